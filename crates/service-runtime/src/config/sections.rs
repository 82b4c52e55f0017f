//! The sections of the configuration, with their defaults.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::Secret;
use crate::net::host_name;
use crate::size::ByteSize;

/// Declares a section: its keys, their documentation and their defaults in one place.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}

section! {
    /// `[imap]`
    ImapConfig {
        /// Listener in clear text, where STARTTLS is offered.
        listen: String = "127.0.0.1:1143".into(),
        /// Listener with TLS from the first byte.
        listen_tls: String = "127.0.0.1:1993".into(),
        /// Accept passwords without TLS, RFC 9051 §6.2.3.
        allow_clear_login: bool = false,
        /// Offer UTF8=ACCEPT, RFC 6855, which forbids raw 8-bit in headers of APPEND to clients that have not enabled it.
        utf8_accept: bool = true,
        /// Seconds until an idling client hears `* OK Still here`, plus up to a quarter, so that not all do at once.
        idle_notify_seconds: u64 = 110,
        /// A note about this server that clients can read, RFC 5464 §3.2.1.1.
        comment: String = String::new(),
        /// A URI by which its operator is reached, such as `mailto:postmaster@example.com`.
        admin: String = String::new(),
        /// Addresses of accounts that mail submission servers log in with to fetch what `submit+` URLs point to, RFC 4467 §3.
        #[serde(deserialize_with = "list")]
        submit_users: Vec<String> = Vec::new(),
    }
}

section! {
    /// `[pop3]`
    Pop3Config {
        /// Listener in clear text, where STLS is offered.
        listen: String = "127.0.0.1:1110".into(),
        /// Listener with TLS from the first byte.
        listen_tls: String = "127.0.0.1:1995".into(),
        /// Accept passwords without TLS.
        allow_clear_login: bool = false,
    }
}

section! {
    /// `[lmtp]`
    LmtpConfig {
        /// Listener for the MTA.
        listen: String = "127.0.0.1:2424".into(),
    }
}

section! {
    /// `[smtp]`
    SmtpConfig {
        /// Listener for other sites.
        listen: String = "127.0.0.1:2525".into(),
        /// Name in greetings and Received fields.
        hostname: String = host_name(),
    }
}

section! {
    /// `[http]`
    HttpConfig {
        /// Listener of /healthz, /readyz, /metrics and the web pages.
        listen: String = "127.0.0.1:8080".into(),
    }
}

section! {
    /// `[database]`
    DatabaseConfig {
        /// `sqlite:PATH` or `postgres://user@host/name`. Loading fills an empty one with
        /// `sqlite:<data.dir>/todoku.db`.
        url: Secret = Secret::default(),
        /// Most connections of one process to PostgreSQL.
        max_connections: u32 = 16,
    }
}

section! {
    /// `[redis]`
    RedisConfig {
        /// `redis://host:port`; empty: hints stay inside the process.
        url: Secret = Secret::default(),
    }
}

section! {
    /// `[domains]`
    DomainsConfig {
        /// Domains that mail is accepted for, beside those in the database. From the environment: separated by commas.
        #[serde(deserialize_with = "list")]
        local: Vec<String> = vec!["localhost".into()],
    }
}

section! {
    /// `[tls]`
    TlsSettings {
        /// PEM file with the certificate chain; empty: self-signed, kept in the data directory.
        certificate: PathBuf = PathBuf::new(),
        /// PEM file with the private key.
        key: PathBuf = PathBuf::new(),
    }
}

section! {
    /// `[data]`
    DataConfig {
        /// Directory of the SQLite database, content and the self-signed certificate.
        dir: PathBuf = PathBuf::from("./data"),
    }
}

section! {
    /// `[services]`
    ServicesConfig {
        /// URL of mailbox storage.
        storage: String = "http://127.0.0.1:7001".into(),
        /// URL of auth.
        auth: String = "http://127.0.0.1:7002".into(),
    }
}

section! {
    /// `[storage]`
    StorageConfig {
        /// gRPC listener.
        listen: String = "127.0.0.1:7001".into(),
        /// Days for which expunged UIDs are remembered, for clients with QRESYNC (RFC 7162 §3.2.10) that come back. Whoever was away
        /// longer compares UIDs.
        tombstone_days: u32 = 30,
        /// Runs of expunged UIDs remembered per mailbox, whatever their age.
        tombstones_max: u32 = 50_000,
    }
}

section! {
    /// `[auth]`
    AuthConfig {
        /// gRPC listener.
        listen: String = "127.0.0.1:7002".into(),
    }
}

section! {
    /// `[mtls]`: certificates between services; all empty means plain text, on loopback only.
    MtlsConfig {
        /// PEM file of the CA that both sides trust.
        ca: PathBuf = PathBuf::new(),
        /// PEM file of this service's certificate.
        certificate: PathBuf = PathBuf::new(),
        /// PEM file of this service's private key.
        key: PathBuf = PathBuf::new(),
        /// Allow plain text beyond loopback, for networks that encrypt by themselves.
        allow_plaintext: bool = false,
    }
}

section! {
    /// `[grants]`
    GrantsConfig {
        /// Key that signs grants, in hexadecimal.
        key: Secret = Secret::default(),
        /// File with that key, in hexadecimal; used when `key` is empty.
        key_file: PathBuf = PathBuf::new(),
    }
}

section! {
    /// `[limits]`, each of one process.
    LimitsConfig {
        /// Most connections per listener.
        connections: usize = 50_000,
        /// Most connections per listener and client address (IPv6: per /64).
        connections_per_ip: usize = 200,
        /// Seconds that a client may take until it is authenticated.
        unauthenticated_timeout_seconds: u64 = 60,
        /// Seconds of silence after which a session ends. RFC 9051 §5.4: at least 30 minutes.
        idle_timeout_seconds: u64 = 31 * 60,
        /// Bytes of messages in flight in all sessions together; in storage, of messages that come in, and as many for those worked on.
        memory_budget: ByteSize = ByteSize::mib(256),
        /// Largest message accepted.
        message_size_max: ByteSize = ByteSize::mib(50),
        /// Most recipients of one transaction. RFC 5321 §4.5.3.1.8: at least 100.
        recipients_max: usize = 1_000,
    }
}

section! {
    /// `[proxy_protocol]`
    ProxyProtocolConfig {
        /// Networks (CIDR) of load balancers; their connections must start with a PROXY header.
        #[serde(deserialize_with = "list")]
        trusted: Vec<String> = Vec::new(),
    }
}

section! {
    /// `[log]`
    LogConfig {
        /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,imap_gateway=debug`.
        level: String = "info".into(),
        /// How lines look.
        format: LogFormat = LogFormat::Auto,
    }
}

section! {
    /// `[otlp]`
    OtlpConfig {
        /// Collector that takes traces over gRPC, `http://host:4317`; empty: none.
        endpoint: String = String::new(),
    }
}

section! {
    /// `[quota]`
    QuotaConfig {
        /// Quota of a new account; 0: none.
        default_bytes: ByteSize = ByteSize::bytes(0),
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    Auto,
    /// For reading.
    Human,
    /// One JSON object a line.
    Json,
}

impl LimitsConfig {
    /// How long a client may take until it is authenticated.
    pub fn unauthenticated_timeout(&self) -> Duration {
        Duration::from_secs(self.unauthenticated_timeout_seconds)
    }

    /// Silence after which a session ends.
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_seconds)
    }
}

impl MtlsConfig {
    /// True when certificates are set.
    pub fn is_enabled(&self) -> bool {
        !is_empty(&self.ca) || !is_empty(&self.certificate) || !is_empty(&self.key)
    }
}

/// The smallest key: 128 bits, below which signatures could be guessed.
const GRANT_KEY_BYTES_MIN: usize = 16;

impl GrantsConfig {
    /// The key's bytes from `key` or else `key_file`; `None` when neither is set.
    ///
    /// # Errors
    /// When the file cannot be read, or the text is not hexadecimal or shorter than 16 bytes.
    pub fn load_key(&self) -> anyhow::Result<Option<Vec<u8>>> {
        use anyhow::Context;
        let text = if !self.key.is_empty() {
            self.key.expose().to_owned()
        } else if !is_empty(&self.key_file) {
            std::fs::read_to_string(&self.key_file)
                .with_context(|| format!("grants.key_file: cannot read {}", self.key_file.display()))?
        } else {
            return Ok(None);
        };
        let key = hex::decode(text.trim())
            .context("grants.key is not hexadecimal; make one with `openssl rand -hex 32`")?;
        anyhow::ensure!(
            key.len() >= GRANT_KEY_BYTES_MIN,
            "grants.key has {} bytes, and needs at least {GRANT_KEY_BYTES_MIN}; make one with `openssl rand -hex 32`",
            key.len()
        );
        Ok(Some(key))
    }
}

/// True for a path setting that was left empty.
pub(crate) fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

/// A list, or one text with commas: all that the environment can hold.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum ListOrText {
        List(Vec<String>),
        Text(String),
    }
    Ok(match ListOrText::deserialize(deserializer)? {
        ListOrText::List(items) => items,
        ListOrText::Text(text) => {
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
        }
    })
}
