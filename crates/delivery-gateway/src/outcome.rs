//! What became of a message, recipient by recipient.

use std::time::Duration;

use mail_rpc::{Refusal, pb};
use pb::deliver_result::Outcome;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::reply::{OVER_QUOTA, Reply, TOO_LARGE, TRY_AGAIN, try_again};

/// How long a recipient's commit may take. A sender waits ten minutes (RFC 5321 §4.5.3.2.6); a commit that takes longer than
/// this is lost or will be found by the retry.
const RESULT_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) const DELIVERED: Reply = Reply::new(250, "2.0.0", "delivered");

/// Storage's results, put into the order of the recipients.
pub(crate) struct Results {
    incoming: mpsc::Receiver<Result<pb::DeliverResult, Refusal>>,
    known: Vec<Option<pb::DeliverResult>>,
    next: usize,
    /// No more will come: what is not known yet is to be tried again.
    failed: bool,
}

impl Results {
    pub(crate) fn new(
        incoming: mpsc::Receiver<Result<pb::DeliverResult, Refusal>>,
        recipients: usize,
    ) -> Self {
        Self { incoming, known: vec![None; recipients], next: 0, failed: false }
    }

    /// The next recipient's result as soon as it is there; `None`: it did not come.
    pub(crate) async fn next(&mut self) -> Option<pb::DeliverResult> {
        let index = self.next;
        self.next += 1;
        while !self.failed && self.known.get(index).is_some_and(Option::is_none) {
            match timeout(RESULT_TIMEOUT, self.incoming.recv()).await {
                Ok(Some(Ok(result))) => self.take(result),
                Ok(Some(Err(refusal))) => {
                    let _ = try_again(&refusal, "Deliver");
                    self.failed = true;
                }
                Ok(None) => self.failed = true,
                Err(_) => {
                    tracing::warn!("Storage did not finish a delivery in time");
                    self.failed = true;
                }
            }
        }
        self.known.get_mut(index).and_then(Option::take)
    }

    /// True when the next result would have to be waited for.
    pub(crate) fn must_wait(&self) -> bool {
        !self.failed && self.incoming.is_empty() && self.known.get(self.next).is_some_and(Option::is_none)
    }

    fn take(&mut self, result: pb::DeliverResult) {
        match usize::try_from(result.recipient).ok().and_then(|index| self.known.get_mut(index)) {
            Some(place) => *place = Some(result),
            None => {
                tracing::error!(recipient = result.recipient, "A result for a recipient that was not named")
            }
        }
    }
}

/// The reply to one recipient, and its name in metrics.
pub(crate) fn reply(result: Option<&pb::DeliverResult>, grant_is_fresh: bool) -> (Reply, &'static str) {
    let Some(result) = result else { return (TRY_AGAIN, "deferred") };
    match result.outcome() {
        Outcome::Delivered => (DELIVERED, "stored"),
        Outcome::OverQuota => (OVER_QUOTA, "deferred"),
        // A sender slower than a grant lives is not told that there is no such mailbox.
        Outcome::NoAccount if !grant_is_fresh => (TRY_AGAIN, "deferred"),
        Outcome::NoAccount => (Reply::new(550, "5.2.1", "mailbox is gone"), "refused"),
        Outcome::TooLarge => (TOO_LARGE, "refused"),
        Outcome::TryAgain | Outcome::Unspecified => (TRY_AGAIN, "deferred"),
    }
}

/// SMTP's one reply for all recipients (RFC 5321 §4.2.5).
///
/// 250 only if all have it. If some failed, 250 would lose their mail and a permanent refusal would bounce what others have
/// got, so the sender is asked to try again: storage knows the deliveries that were made by their keys, which are not
/// confirmed then, and makes no second copy; and what failed for good is refused at RCPT next time.
pub(crate) fn combine(replies: &[Reply]) -> Reply {
    let Some(first) = replies.first() else { return TRY_AGAIN };
    if replies.iter().all(Reply::is_positive) {
        return first.clone();
    }
    if replies.iter().any(Reply::is_positive) {
        return Reply::new(451, "4.3.0", "delivered to some recipients only, try again");
    }
    replies.iter().find(|reply| reply.is_temporary()).unwrap_or(first).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reply_for_many() {
        let gone = Reply::new(550, "5.2.1", "gone");
        assert_eq!(combine(&[DELIVERED, DELIVERED]), DELIVERED);
        assert!(combine(&[DELIVERED, gone.clone()]).is_temporary());
        assert_eq!(combine(&[gone.clone(), OVER_QUOTA]), OVER_QUOTA);
        assert_eq!(combine(&[gone.clone(), gone.clone()]), gone);
        assert_eq!(combine(&[]), TRY_AGAIN);
    }

    #[tokio::test]
    async fn results_come_in_the_order_of_recipients() {
        let (sender, receiver) = mpsc::channel(4);
        let mut results = Results::new(receiver, 3);
        let result = |recipient| pb::DeliverResult { recipient, ..Default::default() };
        for recipient in [1, 7, 0] {
            sender.send(Ok(result(recipient))).await.unwrap();
        }
        assert_eq!(results.next().await.unwrap().recipient, 0);
        assert!(!results.must_wait());
        assert_eq!(results.next().await.unwrap().recipient, 1);
        assert!(results.must_wait());
        drop(sender);
        assert!(results.next().await.is_none());
        assert!(results.next().await.is_none());
    }
}
