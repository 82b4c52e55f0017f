//! IDLE (RFC 2177), and that no wake-up is lost (INV-40).

use std::time::Duration;

use tokio::time::Instant;

use super::{Phase, Session};
use crate::fault::{Checked, broken, require};
use crate::ledger::Moment;
use crate::reply::Reply;

/// A change that is not told for so long was lost. Above what a crowded machine takes, below the periodic re-check.
const WAKE_MAX: Duration = Duration::from_secs(12);

impl Session {
    /// Waits a while; now and then until it has heard of all that others did before a certain moment.
    pub(crate) async fn idle(&mut self) -> Checked {
        self.drain().await?;
        let tag = self.next_tag();
        let (asked, uidnext) = self.begin("IDLE");
        self.wire.send(format!("{tag} IDLE\r\n").as_bytes()).await?;
        loop {
            match self.wire.next().await? {
                Reply::Continuation => break,
                reply => self.take(&reply, Phase::Free)?,
            }
        }
        let pause = Duration::from_millis(self.rng.u64(1..150));
        self.listen(Instant::now() + pause).await?;
        if self.rng.u8(..2) == 0 {
            self.hear_all().await?;
        }
        self.wire.send(b"DONE\r\n").await?;
        self.answer(&tag, Phase::Free, (asked, uidnext)).await?.expect_ok("IDLE")?;
        self.settle(asked, uidnext).await
    }

    async fn listen(&mut self, until: Instant) -> Checked {
        while let Some(reply) = self.wire.next_until(until).await? {
            require(!matches!(reply, Reply::Tagged(..)), "INV-42", || "IDLE ended by itself".into())?;
            self.take(&reply, Phase::Free)?;
        }
        Ok(())
    }

    async fn hear_all(&mut self) -> Checked {
        let target = self.site.shared.lock().tick();
        let begun = Instant::now();
        while let Some(news) = self.unheard(target) {
            if begun.elapsed() > WAKE_MAX {
                return broken("INV-40", format!("IDLE was not told of {news} in {WAKE_MAX:?}"));
            }
            self.listen(Instant::now() + Duration::from_millis(20)).await?;
        }
        self.site.shared.lock().count("INV-40", 1);
        Ok(())
    }

    /// Something that was known at `target` and that this session has not been told.
    fn unheard(&self, target: Moment) -> Option<String> {
        let view = self.view.as_ref()?;
        let mut ledger = self.site.shared.lock();
        let mailbox = ledger.mailbox(view.validity);
        let uids = view.uids();
        let new = mailbox.surely_there(target).filter(|uid| uids.binary_search(uid).is_err()).count();
        if new > view.unknown() {
            return Some(format!("{new} new messages, but of {}", view.unknown()));
        }
        let gone = |uid: &u32| {
            let message = mailbox.messages.get(uid);
            message.and_then(|message| message.gone_at).is_some_and(|gone| gone < target)
        };
        if let Some(uid) = uids.into_iter().find(gone) {
            return Some(format!("the end of UID {uid}"));
        }
        let late = view.entries.iter().find(|entry| {
            let message = entry.uid.and_then(|uid| mailbox.messages.get(&uid));
            let modseq = message.map_or(0, |message| message.modseq_at(target));
            entry.modseq.is_some_and(|known| known < modseq)
        });
        late.filter(|_| self.condstore).map(|entry| format!("new flags of UID {:?}", entry.uid))
    }
}
