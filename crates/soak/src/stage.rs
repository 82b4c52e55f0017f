//! The system under test, with an account and its mailboxes.

use std::sync::Arc;

use anyhow::{Context, Result};
use test_harness::system::System;

use crate::ledger::Shared;
use crate::mutate::Faults;
use crate::session::Site;

/// Which system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Shape {
    /// `todoku all` on SQLite.
    Sqlite,
    /// Services of their own on PostgreSQL and Redis, with several IMAP gateways.
    Cluster,
}

/// A running system.
pub struct Stage {
    /// Its processes and its database.
    pub system: System,
    /// Where clients go.
    pub site: Arc<Site>,
}

impl Stage {
    /// Starts it. `None` where there is no PostgreSQL or Redis.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start(
        shape: Shape,
        gateways: usize,
        faults: Option<Faults>,
        serial: bool,
    ) -> Result<Option<Self>> {
        let system = match shape {
            Shape::Sqlite => Some(System::sqlite().await?),
            Shape::Cluster => System::cluster_of(gateways).await?,
        };
        let Some(system) = system else { return Ok(None) };
        let accounts = system.accounts(1).await?;
        let account = accounts.first().and_then(|set| set.first()).context("no account")?;
        let site = Site {
            imap: system.subject.imap.clone(),
            pop3: system.subject.pop3,
            lmtp: system.subject.lmtp,
            address: account.address.clone(),
            password: account.password.clone(),
            shared: Shared::default(),
            faults,
            serial,
        };
        Ok(Some(Self { system, site: Arc::new(site) }))
    }

    /// Stops it and drops its database.
    ///
    /// # Errors
    /// When the database cannot be dropped.
    pub async fn stop(self) -> Result<()> {
        self.system.stop().await
    }
}
