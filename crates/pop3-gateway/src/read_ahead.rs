//! Contents for RETR. A client that downloads message after message gets the next ones read while it takes the last one.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use mail_rpc::{ContentStream, DEADLINE, Refusal, pb};

use crate::maildrop::Maildrop;
use crate::reply::CmdError;
use crate::server::Backends;
use crate::session::Transaction;

/// Messages asked for at once, when the client goes from message to message.
const MESSAGES_MAX: usize = 32;
/// Octets of messages asked for ahead of the client; storage sends no more than the stream's window of them early.
const AHEAD_BYTES_MAX: u64 = 4 << 20;
/// A client that pauses longer than this between messages costs storage no open stream.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(10);
/// How often the beginning of a message is tried, when the storage instance that had the call went away.
const ATTEMPTS: u32 = 4;
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// A grant is renewed when it has less time left than this: longer than any one call takes to be admitted.
const GRANT_MARGIN_SECONDS: i64 = 60;

/// The stream of messages that may be asked for next.
#[derive(Default)]
pub(crate) struct ReadAhead {
    open: Option<Open>,
    last_read: Option<u64>,
}

struct Open {
    stream: ContentStream,
    /// Message numbers still to come on the stream.
    upcoming: VecDeque<u64>,
    range: u32,
}

/// The chunks of one message.
pub(crate) struct Source<'t> {
    kept: &'t mut Option<Open>,
    open: Option<Open>,
    range: u32,
}

impl ReadAhead {
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(crate) fn close(&mut self) {
        self.open = None;
    }

    /// The running stream, if this message comes next on it.
    fn take_for(&mut self, number: u64) -> Option<Open> {
        self.open.take().filter(|open| open.upcoming.front() == Some(&number))
    }

    /// Which messages to ask for, this one first.
    fn plan(&self, maildrop: &Maildrop, number: u64, pipelines: bool) -> VecDeque<u64> {
        let goes_on = self
            .last_read
            .is_some_and(|last| maildrop.listing_after(last).next().is_some_and(|(n, _)| n == number));
        let mut plan = VecDeque::from([number]);
        if !(goes_on || pipelines) {
            return plan;
        }
        let mut octets = 0;
        for (next, message) in maildrop.listing_after(number).take(MESSAGES_MAX - 1) {
            octets += message.size;
            if octets > AHEAD_BYTES_MAX {
                break;
            }
            plan.push_back(next);
        }
        plan
    }
}

impl Transaction {
    /// A message's chunks, the first one read already. `pipelines`: more commands wait, so more RETRs are likely.
    pub(crate) async fn content_of(
        &mut self,
        backends: &Backends,
        number: u64,
        pipelines: bool,
    ) -> Result<(Source<'_>, pb::ContentChunk), CmdError> {
        let kept = match self.read_ahead.take_for(number) {
            // What was asked for early may have been lost since; then it is asked for again.
            Some(mut open) => open.begin().await.ok().map(|chunk| (open, chunk)),
            None => None,
        };
        let (mut open, chunk) = match kept {
            Some(begun) => begun,
            None => {
                let plan = self.read_ahead.plan(&self.maildrop, number, pipelines);
                self.begin(backends, plan).await?
            }
        };
        open.upcoming.pop_front();
        self.read_ahead.last_read = Some(number);
        let range = open.range;
        open.range += 1;
        let mut source = Source { kept: &mut self.read_ahead.open, open: Some(open), range };
        source.after(&chunk);
        Ok((source, chunk))
    }

    async fn begin(
        &mut self,
        backends: &Backends,
        plan: VecDeque<u64>,
    ) -> Result<(Open, pb::ContentChunk), CmdError> {
        let mut ranges = Vec::with_capacity(plan.len());
        for &number in &plan {
            let uid = self.maildrop.message(number)?.uid;
            ranges.push(pb::ContentRange { uid, offset: 0, length: 0 });
        }
        let request = pb::ContentRequest {
            owner: 0,
            grant: self.grant(backends).await?,
            mailbox_id: self.maildrop.mailbox_id(),
            ranges,
            ..Default::default()
        };
        let mut attempt = 1;
        loop {
            let begun = async {
                let stream = backends.mailbox.content(request.clone()).await.map_err(Refusal::from)?;
                let mut open = Open { stream, upcoming: plan.clone(), range: 0 };
                let chunk = open.begin().await?;
                Ok((open, chunk))
            };
            match begun.await {
                Err(Refusal::Unavailable(_)) if attempt < ATTEMPTS => attempt += 1,
                result => return result.map_err(CmdError::from),
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// The session's grant, a new one when the old one is about to end.
    pub(crate) async fn grant(&mut self, backends: &Backends) -> Result<Bytes, CmdError> {
        let left = self.login.expires_at - now();
        if left < GRANT_MARGIN_SECONDS {
            match backends
                .auth
                .renew(pb::RenewRequest { grant: self.login.grant.clone() })
                .await
                .map_err(Refusal::from)
            {
                Ok(login) => self.login = login,
                // The old one holds for a moment more.
                Err(Refusal::Unavailable(_)) if left > 0 => {}
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Ok(self.login.grant.clone())
    }
}

impl Open {
    /// The first chunk of the stream's next message.
    async fn begin(&mut self) -> Result<pb::ContentChunk, Refusal> {
        let chunk = next_chunk(&mut self.stream).await?;
        if chunk.range == self.range { Ok(chunk) } else { Err(out_of_order()) }
    }
}

impl Source<'_> {
    /// The chunk after one that was not the last.
    pub(crate) async fn next(&mut self) -> Result<pb::ContentChunk, CmdError> {
        let Some(open) = &mut self.open else { return Err(out_of_order().into()) };
        let chunk = next_chunk(&mut open.stream).await?;
        if chunk.range != self.range {
            return Err(out_of_order().into());
        }
        self.after(&chunk);
        Ok(chunk)
    }

    /// A stream whose message was read to its end is kept for the next one; any other is dropped with this value.
    fn after(&mut self, chunk: &pb::ContentChunk) {
        if chunk.last {
            *self.kept = self.open.take().filter(|open| !open.upcoming.is_empty());
        }
    }
}

/// The next chunk, if it comes in time.
pub(crate) async fn next_chunk(stream: &mut ContentStream) -> Result<pb::ContentChunk, Refusal> {
    match tokio::time::timeout(DEADLINE, stream.message()).await {
        Ok(Ok(Some(chunk))) => Ok(chunk),
        Ok(Ok(None)) => Err(Refusal::Unavailable("the content broke off".to_owned())),
        Ok(Err(status)) => Err(status.into()),
        Err(_) => Err(Refusal::Unavailable("the content did not come in time".to_owned())),
    }
}

fn out_of_order() -> Refusal {
    Refusal::Internal("content from storage is out of order".to_owned())
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maildrop(sizes: &[u64]) -> Maildrop {
        let uids = (1..).take(sizes.len()).collect();
        Maildrop::new(pb::Maildrop { mailbox_id: 1, uid_validity: 1, uids, sizes: sizes.to_vec() }).unwrap()
    }

    #[test]
    fn asks_ahead_only_for_who_goes_on() {
        let mut drop = maildrop(&[10; 40]);
        let mut ahead = ReadAhead::default();
        assert_eq!(ahead.plan(&drop, 1, false), [1]);
        assert_eq!(ahead.plan(&drop, 1, true).len(), MESSAGES_MAX);
        ahead.last_read = Some(5);
        assert_eq!(ahead.plan(&drop, 9, false), [9]);
        drop.mark(6).unwrap();
        drop.mark(8).unwrap();
        assert_eq!(ahead.plan(&drop, 7, false).iter().take(3).copied().collect::<Vec<_>>(), [7, 9, 10]);
        ahead.last_read = Some(39);
        assert_eq!(ahead.plan(&drop, 40, false), [40]);
    }

    #[test]
    fn asks_ahead_for_no_more_than_the_limit() {
        let drop = maildrop(&[AHEAD_BYTES_MAX * 2, AHEAD_BYTES_MAX, 1]);
        assert_eq!(ReadAhead::default().plan(&drop, 1, true), [1, 2]);
    }
}
