//! From the configuration to what services are made of.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use line_server::{Cidr, TlsConfig};
use mail_rpc::{GrantKey, MutualTls, Transport};
use mailbox_hints::Hints;
use service_runtime::{Config, Shutdown, net};
use tokio::net::TcpListener;

/// A random secret for things that live as long as this process.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(bytes)
}

/// The grant key of the configuration.
///
/// # Errors
/// When there is none: services in different processes must share it.
pub(crate) fn shared_grant_key(config: &Config) -> Result<GrantKey> {
    let key = config.grants.load_key()?.context(
        "[grants] key or key_file is not set: storage and auth must share a key; `todoku certs` makes one",
    )?;
    Ok(GrantKey::from_secret(&key))
}

/// The configured grant key, or one that dies with this process: enough when storage and auth both live in it.
pub(crate) fn own_grant_key(config: &Config) -> Result<GrantKey> {
    Ok(match config.grants.load_key()? {
        Some(key) => GrantKey::from_secret(&key),
        None => GrantKey::from_secret(&random_bytes::<32>()?),
    })
}

/// Redis, if one is configured; otherwise `fallback`.
pub(crate) fn hints(config: &Config, fallback: Hints) -> Result<Hints> {
    if config.redis.url.is_empty() {
        return Ok(fallback);
    }
    Hints::redis(config.redis.url.expose()).context("[redis] url")
}

/// A listener on the address of `key`; `None` if it is switched off.
pub(crate) async fn bind(key: &str, listen: &str) -> Result<Option<TcpListener>> {
    net::bind(key, listen).await.with_context(|| {
        let variable = key.to_uppercase().replace('.', "__");
        format!(
            "if something else uses that port, choose another with TODOKU__{variable}=HOST:PORT, or switch it off with \
             TODOKU__{variable}="
        )
    })
}

pub(crate) fn address(listener: Option<&TcpListener>) -> Option<SocketAddr> {
    listener.and_then(|listener| listener.local_addr().ok())
}

/// The mail listeners' certificate, which is followed when its file changes.
pub(crate) fn tls(config: &Config, shutdown: &Shutdown) -> Result<TlsConfig> {
    std::fs::create_dir_all(&config.data.dir)
        .with_context(|| format!("[data] dir: cannot make {}", config.data.dir.display()))?;
    let tls = TlsConfig::load_or_create(&config.tls.certificate, &config.tls.key, &config.data.dir)
        .context("[tls] certificate")?;
    tls.spawn_reload(shutdown);
    Ok(tls)
}

/// Networks of load balancers.
pub(crate) fn proxy_trusted(config: &Config) -> Result<Vec<Cidr>> {
    config
        .proxy_protocol
        .trusted
        .iter()
        .map(|text| text.parse().with_context(|| format!("[proxy_protocol] trusted: {text:?}")))
        .collect()
}

/// The files of `[mtls]`, read; `None` if services speak plain text.
pub(crate) fn mutual_tls(config: &Config) -> Result<Option<MutualTls>> {
    if !config.mtls.is_enabled() {
        return Ok(None);
    }
    let read = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("[mtls]: cannot read {}", path.display()))
    };
    Ok(Some(MutualTls {
        ca: read(&config.mtls.ca)?,
        certificate: read(&config.mtls.certificate)?,
        key: read(&config.mtls.key)?,
    }))
}

/// Ways to storage and auth in other processes.
pub(crate) fn remote(config: &Config) -> Result<(Transport, Transport)> {
    let tls = mutual_tls(config)?;
    let storage = Transport::remote(&config.services.storage, tls.as_ref()).context("[services] storage")?;
    let auth = Transport::remote(&config.services.auth, tls.as_ref()).context("[services] auth")?;
    Ok((storage, auth))
}
