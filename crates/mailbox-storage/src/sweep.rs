//! The background task that removes what nobody needs any more.

use std::time::Duration;

use crate::{Storage, StorageError, now};

/// How often the sweep runs.
const SWEEP_EVERY: Duration = Duration::from_secs(10 * 60);
/// Queue entries of one transaction: short, because deliveries wait for it.
const GARBAGE_BATCH: i64 = 200;

const DAY: i64 = 24 * 60 * 60;

/// What the sweep keeps.
#[derive(Debug, Clone, Copy)]
pub struct SweepPolicy {
    /// How long a message without references is kept, in seconds: longer than any transaction or upload runs.
    pub garbage_seconds: i64,
    /// How long a delivery or append that was never confirmed is recognised when tried again, in seconds. Senders give up
    /// after four to five days (RFC 5321 §4.5.4.1).
    pub key_seconds: i64,
    /// How long expunged UIDs are remembered, in seconds: a client that was away no longer is told just those that vanished.
    /// Whoever was away longer compares UIDs instead.
    pub tombstone_seconds: i64,
    /// Runs of expunged UIDs kept per mailbox, whatever their age: a bound on what a mailbox takes.
    pub tombstones: i64,
}

impl Default for SweepPolicy {
    fn default() -> Self {
        Self {
            garbage_seconds: 60 * 60,
            key_seconds: 5 * DAY,
            tombstone_seconds: 30 * DAY,
            tombstones: 50_000,
        }
    }
}

/// What a sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Queue entries looked at: messages that had lost a reference.
    pub garbage: u64,
    /// Delivery keys.
    pub keys: u64,
    /// Runs of expunged UIDs.
    pub tombstones: u64,
}

impl Storage {
    /// One sweep. Harmless at any time and on any number of instances.
    ///
    /// # Errors
    /// [`StorageError::Failed`]; what was done until then stays done.
    pub async fn sweep(&self, policy: &SweepPolicy) -> Result<Swept, StorageError> {
        let db = &self.0.db;
        let mut swept = Swept::default();
        loop {
            let looked_at = db.sweep_garbage(now() - policy.garbage_seconds, GARBAGE_BATCH).await?;
            swept.garbage += looked_at;
            if looked_at < GARBAGE_BATCH as u64 {
                break;
            }
        }
        swept.keys = db.sweep_keys(now() - policy.key_seconds).await?;
        swept.tombstones = db.sweep_tombstones(now() - policy.tombstone_seconds, policy.tombstones).await?;
        Ok(swept)
    }

    /// Sweeps for ever; drop the future to stop.
    pub async fn keep_sweeping(&self, policy: SweepPolicy) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            match self.sweep(&policy).await {
                Ok(Swept { garbage, keys, tombstones }) => {
                    tracing::debug!(garbage, keys, tombstones, "swept");
                }
                Err(error) => tracing::warn!(%error, "the sweep did not finish; the next one goes on"),
            }
        }
    }
}
