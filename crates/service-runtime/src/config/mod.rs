//! Configuration: defaults, then a TOML file, then `TODOKU__SECTION__KEY` from the environment.

mod load;
mod secret;
mod sections;

pub use load::ConfigError;
pub use secret::Secret;
pub use sections::*;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything that can be set. Empty `listen` texts switch that listener off.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// IMAP4rev2 and IMAP4rev1.
    pub imap: ImapConfig,
    /// POP3.
    pub pop3: Pop3Config,
    /// LMTP, from the MTA.
    pub lmtp: LmtpConfig,
    /// SMTP, from other sites.
    pub smtp: SmtpConfig,
    /// Health, metrics, web pages.
    pub http: HttpConfig,
    /// PostgreSQL or SQLite.
    pub database: DatabaseConfig,
    /// Change hints.
    pub redis: RedisConfig,
    /// Domains mail is accepted for.
    pub domains: DomainsConfig,
    /// Certificate of the text protocols.
    pub tls: TlsSettings,
    /// Where files are kept.
    pub data: DataConfig,
    /// Where gateways find storage and auth.
    pub services: ServicesConfig,
    /// The storage service's gRPC listener.
    pub storage: StorageConfig,
    /// The auth service's gRPC listener.
    pub auth: AuthConfig,
    /// Mutual TLS between services.
    pub mtls: MtlsConfig,
    /// The key that signs grants.
    pub grants: GrantsConfig,
    /// Limits of a process.
    pub limits: LimitsConfig,
    /// Load balancers in front.
    pub proxy_protocol: ProxyProtocolConfig,
    /// Logs.
    pub log: LogConfig,
    /// Traces.
    pub otlp: OtlpConfig,
    /// Quotas.
    pub quota: QuotaConfig,
    /// Where each value came from, by `section.key`; missing: default.
    #[serde(skip)]
    pub(crate) origins: BTreeMap<String, String>,
}
