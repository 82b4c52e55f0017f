//! A message while it arrives: checked, counted, and passed on to storage chunk by chunk.

use std::hash::{DefaultHasher, Hasher};

use bytes::Bytes;
use futures_util::StreamExt as _;
use line_server::BudgetGuard;
use mail_rpc::{MailboxClient, Refusal, pb};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tracing::Instrument as _;

use crate::hops::HopCounter;
use crate::line_ends::{BareLineEnd, LineEnds};
use crate::outcome::Results;
use crate::reply::{Reply, TOO_LARGE, TRY_AGAIN};
use crate::server::Gateway;

/// Steps on their way to storage; when it takes no more, the sender's socket is not read.
const STEPS_QUEUED_MAX: usize = 8;

/// Why a message is refused whoever it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    TooLarge,
    /// RFC 5321 §6.3.
    Loop,
    /// What one server takes for a line end and another does not is how mail is smuggled in (CVE-2023-51764 and its kin).
    BareLineEnd,
    /// Storage broke the call off.
    Storage,
}

impl Fault {
    pub(crate) fn reply(self) -> Reply {
        match self {
            Self::TooLarge => TOO_LARGE,
            Self::Loop => Reply::new(554, "5.4.6", "too many hops, this is a mail loop"),
            Self::BareLineEnd => Reply::new(550, "5.6.0", "bare CR or LF in the message"),
            Self::Storage => TRY_AGAIN,
        }
    }
}

/// The message, and the call that takes it. Dropped before [`Incoming::finish`], it leaves nothing behind.
pub(crate) struct Incoming {
    /// `None`: refused, the rest is read and thrown away.
    steps: Option<mpsc::Sender<Step>>,
    results: Results,
    fault: Option<Fault>,
    size: u64,
    size_max: u64,
    hops: HopCounter,
    line_ends: LineEnds,
    digest: DefaultHasher,
}

struct Step {
    request: pb::DeliverRequest,
    /// Memory is given back when storage has taken the step.
    _held: Option<BudgetGuard>,
}

impl Incoming {
    /// Opens the call to storage.
    pub(crate) async fn start(gateway: &Gateway, start: pb::DeliverStart) -> Self {
        let mut digest = DefaultHasher::new();
        digest.write(start.sender.as_bytes());
        digest.write_u8(0xff);
        let recipients = start.recipients.len();
        let (steps, queue) = mpsc::channel(STEPS_QUEUED_MAX);
        let (sender, results) = mpsc::channel(recipients + 1);
        let span = tracing::info_span!("deliver", recipients);
        tokio::spawn(call(gateway.backends.mailbox.clone(), queue, sender).instrument(span));
        let mut incoming = Self {
            steps: Some(steps),
            results: Results::new(results, recipients),
            fault: None,
            size: 0,
            size_max: gateway.settings.message_size_max,
            hops: HopCounter::new(),
            line_ends: LineEnds::default(),
            digest,
        };
        incoming.send(pb::deliver_request::Step::Start(start), None).await;
        incoming
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Octets of DATA, whose line ends its reader has checked.
    pub(crate) async fn push(&mut self, gateway: &Gateway, chunk: Bytes) {
        self.size += chunk.len() as u64;
        self.hops.push(&chunk);
        if self.size > self.size_max {
            self.refuse(Fault::TooLarge);
        } else if self.hops.is_loop() {
            self.refuse(Fault::Loop);
        }
        if self.steps.is_some() && !chunk.is_empty() {
            self.digest.write(&chunk);
            let held = gateway.settings.memory.acquire(chunk.len()).await;
            self.send(pb::deliver_request::Step::Chunk(chunk), Some(held)).await;
        }
    }

    /// Octets of BDAT.
    pub(crate) async fn push_unchecked(&mut self, gateway: &Gateway, chunk: Bytes) {
        if self.line_ends.push(&chunk) == Err(BareLineEnd) {
            self.refuse(Fault::BareLineEnd);
        }
        self.push(gateway, chunk).await;
    }

    /// Nothing more goes to storage, and nothing of the message stays there. The first fault is the one that counts.
    pub(crate) fn refuse(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
        self.steps = None;
    }

    /// The message is whole. The results, with the digest of sender and octets.
    pub(crate) async fn finish(mut self, gateway: &Gateway) -> Result<(Results, u64), Fault> {
        if self.line_ends.finish() == Err(BareLineEnd) {
            self.refuse(Fault::BareLineEnd);
        }
        let digest = self.digest.finish();
        if self.steps.is_some() {
            gateway.confirmer.settle(digest).await;
            self.send(pb::deliver_request::Step::Finish(pb::Finish {}), None).await;
        }
        match self.fault {
            // Storage may have refused with results of its own before it had read everything.
            Some(fault) if fault != Fault::Storage => Err(fault),
            _ => Ok((self.results, digest)),
        }
    }

    async fn send(&mut self, step: pb::deliver_request::Step, held: Option<BudgetGuard>) {
        let Some(steps) = &self.steps else { return };
        let step = Step { request: pb::DeliverRequest { step: Some(step) }, _held: held };
        if steps.send(step).await.is_err() {
            self.refuse(Fault::Storage);
        }
    }
}

/// Runs apart from the session, since storage may answer only after it has read everything.
async fn call(
    mailbox: MailboxClient,
    steps: mpsc::Receiver<Step>,
    results: mpsc::Sender<Result<pb::DeliverResult, Refusal>>,
) {
    let steps = ReceiverStream::new(steps).map(|step| step.request);
    let mut replies = match mailbox.deliver(steps).await {
        Ok(replies) => replies,
        Err(status) => {
            let _ = results.send(Err(status.into())).await;
            return;
        }
    };
    loop {
        let result = match replies.message().await {
            Ok(Some(result)) => Ok(result),
            Ok(None) => return,
            Err(status) => Err(Refusal::from(status)),
        };
        let ends = result.is_err();
        // The session may be gone: the results still are in storage, and a retry finds them.
        if results.send(result).await.is_err() || ends {
            return;
        }
    }
}
