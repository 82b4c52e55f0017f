//! `todoku all`: every service in one process.

use std::net::SocketAddr;

use anyhow::Result;
use mail_rpc::{AuthClient, Transport};
use mailbox_hints::Hints;
use service_runtime::{Config, Readiness, Shutdown, telemetry};
use tracing::warn;

use crate::first_start;
use crate::local::Local;
use crate::services::{self, Backends};
use crate::wiring;

/// Where the listeners are; `None`: switched off.
#[derive(Debug, Default, Clone, Copy)]
#[allow(missing_docs, reason = "each is the listener of its name")]
pub struct Addresses {
    pub imap: Option<SocketAddr>,
    pub imaps: Option<SocketAddr>,
    pub pop3: Option<SocketAddr>,
    pub pop3s: Option<SocketAddr>,
    pub lmtp: Option<SocketAddr>,
    pub smtp: Option<SocketAddr>,
    pub http: Option<SocketAddr>,
    pub storage: Option<SocketAddr>,
    pub auth: Option<SocketAddr>,
}

/// A process that runs everything.
pub struct Running {
    /// Where it listens.
    pub addresses: Addresses,
    local: Local,
}

impl Running {
    /// Closes the database, after the sessions have ended.
    pub async fn close(self) {
        self.local.close().await;
    }
}

/// Runs until SIGTERM or SIGINT.
pub(crate) async fn run(config: &Config) -> Result<()> {
    let _telemetry = telemetry::init("todoku", config)?;
    let shutdown = Shutdown::on_signals()?;
    let running = start(config, &shutdown).await?;
    let first = first_start::account(config, &running.local).await?;
    first_start::print(config, &running.addresses, first.as_ref());
    if !shutdown.drain().await {
        warn!("Some sessions did not end in time");
    }
    running.close().await;
    Ok(())
}

pub(crate) async fn start(config: &Config, shutdown: &Shutdown) -> Result<Running> {
    let hints = wiring::hints(config, Hints::in_process())?;
    let local = Local::open(config, hints.clone()).await?;
    if !config.database.url.expose().starts_with("sqlite:") {
        local.storage.migrate().await?;
        local.auth.migrate().await?;
    }
    let backends = Backends {
        auth: AuthClient::new(Transport::local(local.auth.server())),
        mailbox: local.mailbox.clone(),
        hints,
        tls: wiring::tls(config, shutdown)?,
        memory: services::memory(config),
    };
    let imap = services::start_imap(config, &backends, shutdown).await?;
    let pop3 = services::start_pop3(config, &backends, shutdown).await?;
    let delivery = services::start_delivery(config, &backends, shutdown).await?;
    let readiness = Readiness::new();
    services::watch_storage(&readiness, &local.storage);
    services::keep_up(config, &local.storage, shutdown);
    services::watch_auth(&readiness, &local.auth);
    let addresses = Addresses {
        imap: imap.imap,
        imaps: imap.imaps,
        pop3: pop3.pop3,
        pop3s: pop3.pop3s,
        lmtp: delivery.lmtp,
        smtp: delivery.smtp,
        http: services::start_http(config, readiness, shutdown).await?,
        ..Addresses::default()
    };
    Ok(Running { addresses, local })
}
