//! What a session does next.

use super::{Phase, Session};
use crate::fault::{Checked, Fault};

impl Session {
    /// One random step. A failure says who saw it.
    ///
    /// # Errors
    /// A broken invariant.
    pub async fn step(&mut self, seed: u64) -> Checked {
        // Each step has a generator of its own, so that what one meets does not change what the next one does.
        self.rng = fastrand::Rng::with_seed(seed);
        let done = match Box::pin(self.random_step()).await {
            Err(Fault::Ended) => Box::pin(self.restart()).await,
            done => done,
        };
        let dialogue = self.wire.dialogue();
        done.map_err(|fault| fault.seen_by(&self.name, dialogue))
    }

    async fn random_step(&mut self) -> Checked {
        if self.view.is_none() && self.rng.u8(..5) > 0 {
            let (name, volatile) = self.any_mailbox();
            return self.select(&name, volatile).await;
        }
        match self.rng.u8(..100) {
            0..18 => self.store().await,
            18..34 => self.fetch().await,
            34..40 => self.changed_since().await,
            40..48 => self.search().await,
            48..58 => self.append().await,
            58..63 => self.transfer(false).await,
            63..67 => self.transfer(true).await,
            67..72 => self.expunge().await,
            72..77 => self.noop().await,
            77..82 => self.status().await,
            82 if self.view.is_some() && self.rng.bool() => self.batches().await,
            82..83 => self.list().await,
            83..88 => self.idle_or_noop().await,
            88..91 => self.pipeline().await,
            91..93 => self.leave().await,
            93..95 => self.reconnect().await,
            95..97 => self.mailboxes().await,
            _ => {
                let (name, volatile) = self.any_mailbox();
                self.select(&name, volatile).await
            }
        }
    }

    /// NOOP or CHECK: everything acknowledged until now is there afterwards.
    ///
    /// # Errors
    /// A broken invariant.
    pub async fn noop(&mut self) -> Checked {
        let line = if self.view.is_some() && self.rng.u8(..4) == 0 { "CHECK" } else { "NOOP" };
        let outcome = self.command(line, Phase::Free).await?.expect_ok(line)?;
        self.settle(outcome.asked, outcome.uidnext).await
    }

    async fn idle_or_noop(&mut self) -> Checked {
        if self.view.is_some() { self.idle().await } else { self.noop().await }
    }
}
