//! The background task that derives again what an older version derived (`DERIVED_VERSION` of mail-message).
//!
//! Nothing else changes while it runs: until its turn comes a message has what was derived at delivery. A batch is one
//! transaction, what is done stays done, and an index names what is left, so that a restart goes on where the last run ended.
//! One process at a time does it, by a lease; two at once would only do some of the work twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mail_message::DERIVED_VERSION;
use mail_types::{AccountId, MessageId};

use crate::db::Rebuild;
use crate::prepare::{derive_again, unpack_chunk};
use crate::{Storage, StorageError, now};

/// How often is looked for outdated messages; a newer process may share the database with older ones that deliver.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Messages of one transaction: on SQLite deliveries wait for it.
const BATCH: i64 = 32;
/// How long a batch may take before another process begins to do the same.
const LEASE_SECONDS: i64 = 120;
/// A line in the log for so many messages.
const REPORT_EVERY: u64 = 10_000;
const TASK: &str = "rebuild";

impl Storage {
    /// Derives again until nothing is outdated, or until another process does it. How many messages it was.
    ///
    /// # Errors
    /// [`StorageError::Failed`]; what was done until then stays done.
    pub async fn rebuild(&self) -> Result<u64, StorageError> {
        self.rebuild_with_pauses(0).await
    }

    /// Rebuilds for ever, as long as it works resting as long; drop the future to stop.
    pub async fn keep_rebuilding(&self) {
        loop {
            match self.rebuild_with_pauses(1).await {
                Ok(0) => {}
                Ok(messages) => tracing::info!(messages, "derived data is up to date"),
                Err(error) => tracing::warn!(%error, "derived data is not up to date; trying again"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// `pauses`: how long to rest after a batch, in times that it took.
    async fn rebuild_with_pauses(&self, pauses: u32) -> Result<u64, StorageError> {
        let version = DERIVED_VERSION as i32;
        let (mut rebuilt, mut told) = (0, 0);
        loop {
            let begun = Instant::now();
            let outdated = self.0.db.outdated(version, BATCH).await?;
            let (holder, until) = (self.0.holder, now() + LEASE_SECONDS);
            if outdated.is_empty() || !self.0.db.lease(TASK, holder, until, now()).await? {
                return Ok(rebuilt);
            }
            let mut batch: Vec<Rebuild> = Vec::with_capacity(outdated.len());
            for (account, id) in outdated {
                batch.push(self.derive(account, id).await?);
            }
            let accounts: Vec<AccountId> = batch.iter().map(|(account, _, _)| *account).collect();
            let done = self.0.db.rebuild(batch, version).await?;
            accounts.into_iter().for_each(|account| self.0.index.added(account, 1));
            service_runtime::metrics().messages_rebuilt(done);
            rebuilt += done;
            if rebuilt - told >= REPORT_EVERY {
                told = rebuilt;
                tracing::info!(messages = rebuilt, "deriving again");
            }
            tokio::time::sleep(begun.elapsed() * pauses).await;
        }
    }

    async fn derive(&self, account: AccountId, id: MessageId) -> Result<Rebuild, StorageError> {
        let mut octets = BytesMut::new();
        for no in 0.. {
            let rows = self.0.db.content_read(account, &[(id, no, no)]).await?;
            let Some(row) = rows.into_iter().next() else { break };
            match unpack_chunk(row.data, row.raw_len as usize) {
                Ok(raw) => octets.extend_from_slice(&raw),
                Err(error) => {
                    tracing::error!(%account, message = %id, %error, "octets are damaged; what was derived of them is kept");
                    return Ok((account, id, None));
                }
            }
        }
        let prepared =
            derive_again(octets.freeze()).await.map_err(|status| StorageError::Failed(status.to_string()))?;
        Ok((account, id, Some(Arc::new(prepared))))
    }
}

/// A number that no other process has, most likely.
pub(crate) fn holder() -> i64 {
    use std::hash::BuildHasher;
    let random = std::collections::hash_map::RandomState::new().hash_one(std::process::id());
    (random & i64::MAX as u64).cast_signed()
}
