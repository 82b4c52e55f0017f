//! Deliveries: one message, many recipients, one answer each.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use mail_rpc::pb::deliver_request::Step;
use mail_rpc::pb::deliver_result::Outcome;
use mail_rpc::{Refusal, Right, pb};
use mail_types::{AccountId, FlagBits, MailboxName};
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use tracing::{Instrument, warn};

use super::append::stage_large;
use super::{demand, publish};
use crate::db::{InsertItem, Inserted, NewMessage};
use crate::prepare::prepare;
use crate::room::Held;
use crate::{Inner, now};

/// Recipients of one delivery (RFC 5321 §4.5.3.1.8 asks for at least 100).
const RECIPIENTS_MAX: usize = 1000;
/// Octets of one recipient's trace fields.
const TRACE_BYTES_MAX: usize = 64 << 10;
/// Recipients of a small message that are served at once, so that they share commits.
const SMALL_AT_ONCE: usize = 32;
/// Recipients of a large one: each holds a copy in memory.
const LARGE_AT_ONCE: usize = 2;
/// What counts as large, in octets.
const LARGE_BYTES: usize = 1 << 20;
/// Keys of one confirmation.
const CONFIRMATIONS_MAX: usize = 1000;

pub(super) async fn deliver(
    inner: &Arc<Inner>,
    mut steps: Streaming<pb::DeliverRequest>,
) -> Result<ReceiverStream<Result<pb::DeliverResult, Status>>, Status> {
    let Some(Step::Start(start)) = steps.message().await?.map(step).transpose()? else {
        return Err(invalid("a delivery begins with its start"));
    };
    if start.recipients.is_empty() || start.recipients.len() > RECIPIENTS_MAX {
        return Err(invalid("a delivery has 1 to 1000 recipients"));
    }
    if start.recipients.iter().any(|recipient| recipient.trace.len() > TRACE_BYTES_MAX) {
        return Err(invalid("the trace fields are too long"));
    }
    let whole = gather(inner, &mut steps).await?;
    let (sender, receiver) = channel(start.recipients.len());
    let inner = Arc::clone(inner);
    tokio::spawn(answer(inner, start, whole, sender).in_current_span());
    Ok(ReceiverStream::new(receiver))
}

/// One result per recipient, in order, several of them in the making at once.
async fn answer(
    inner: Arc<Inner>,
    start: pb::DeliverStart,
    whole: Option<Whole>,
    results: Sender<Result<pb::DeliverResult, Status>>,
) {
    let at_once = match &whole {
        Some(whole) if whole.octets.len() > LARGE_BYTES => LARGE_AT_ONCE,
        _ => SMALL_AT_ONCE,
    };
    let content = whole.as_ref().map(|whole| (blake3::hash(&whole.octets), whole.octets.clone()));
    let mut making = FuturesOrdered::new();
    for (index, recipient) in start.recipients.into_iter().enumerate() {
        if making.len() >= at_once
            && let Some(result) = making.next().await
            && results.send(Ok(result)).await.is_err()
        {
            // The caller has gone away; the rest is the sender's to try again.
            return;
        }
        let (inner, sender, content) = (Arc::clone(&inner), start.sender.clone(), content.clone());
        making.push_back(async move { one(&inner, index, &recipient, &sender, content).await });
    }
    while let Some(result) = making.next().await {
        if results.send(Ok(result)).await.is_err() {
            return;
        }
    }
}

/// The delivery to one recipient; no content: it was too large.
async fn one(
    inner: &Inner,
    index: usize,
    recipient: &pb::DeliverRecipient,
    sender: &str,
    content: Option<(blake3::Hash, Bytes)>,
) -> pb::DeliverResult {
    let recipient_index = index as u32;
    let Some((hash, octets)) = content else {
        let outcome = Outcome::TooLarge.into();
        return pb::DeliverResult { recipient: recipient_index, outcome, ..Default::default() };
    };
    let key = delivery_key(&recipient.address, sender, &hash);
    let (outcome, uid) = to_recipient(inner, recipient, &octets, &key).await;
    pb::DeliverResult {
        recipient: recipient_index,
        outcome: outcome.into(),
        key: Bytes::copy_from_slice(&key),
        uid,
    }
}

pub(super) async fn confirm_deliveries(
    inner: &Inner,
    request: pb::ConfirmDeliveriesRequest,
) -> Result<pb::ConfirmDeliveriesReply, Status> {
    if request.deliveries.len() > CONFIRMATIONS_MAX {
        return Err(Refusal::Limit(format!("at most {CONFIRMATIONS_MAX} at once")).into());
    }
    let mut keys = Vec::with_capacity(request.deliveries.len());
    for delivery in request.deliveries {
        keys.push((demand(inner, &delivery.grant, Right::Append)?, delivery.key.to_vec()));
    }
    // The order in which the database locks them.
    keys.sort();
    inner.db.confirm(keys).await?;
    Ok(pb::ConfirmDeliveriesReply {})
}

fn invalid(what: &str) -> Status {
    Refusal::Invalid(what.to_owned()).into()
}

fn step(request: pb::DeliverRequest) -> Result<Step, Status> {
    request.step.ok_or_else(|| invalid("a step without content"))
}

/// A message, and the memory it is kept in.
struct Whole {
    octets: Bytes,
    _held: Held,
}

/// The whole message; `None` if it is too large, all of it having been read.
async fn gather(inner: &Inner, steps: &mut Streaming<pb::DeliverRequest>) -> Result<Option<Whole>, Status> {
    let max = inner.config.message_bytes_max;
    let mut octets = BytesMut::new();
    let mut held = inner.room.hold(0);
    let mut too_large = false;
    loop {
        match held.next(steps).await?.map(step).transpose()? {
            Some(Step::Chunk(chunk)) => {
                too_large |= (octets.len() + chunk.len()) as u64 > max;
                if too_large {
                    octets = BytesMut::new();
                    held = inner.room.hold(0);
                } else {
                    held.grow(chunk.len()).await?;
                    octets.extend_from_slice(&chunk);
                }
            }
            Some(Step::Finish(_)) => {
                return Ok((!too_large).then(|| Whole { octets: octets.freeze(), _held: held }));
            }
            Some(Step::Start(_)) => return Err(invalid("a delivery starts once")),
            None => return Err(invalid("the delivery ended without its finish")),
        }
    }
}

/// Equal for a retry: who sends what to whom, the trace fields aside, which differ at every try.
fn delivery_key(recipient: &str, sender: &str, content: &blake3::Hash) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("todoku delivery key v1");
    for part in [recipient.as_bytes(), sender.as_bytes(), content.as_bytes()] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

async fn to_recipient(
    inner: &Inner,
    recipient: &pb::DeliverRecipient,
    octets: &Bytes,
    key: &[u8; 32],
) -> (Outcome, u32) {
    let Ok(account) = demand(inner, &recipient.grant, Right::Append) else {
        return (Outcome::NoAccount, 0);
    };
    let inserted = match insert(inner, account, recipient, octets, key).await {
        Ok(inserted) => inserted,
        Err(status) if status.code() == tonic::Code::NotFound => Inserted::NoAccount,
        Err(_) => return (Outcome::TryAgain, 0),
    };
    match inserted {
        Inserted::Done { place, modseq } => {
            publish(inner, account, place.mailbox, modseq);
            (Outcome::Delivered, place.uid as u32)
        }
        Inserted::Duplicate(place) => (Outcome::Delivered, place.uid as u32),
        Inserted::NoAccount | Inserted::NoMailbox => (Outcome::NoAccount, 0),
        Inserted::OverQuota => (Outcome::OverQuota, 0),
        Inserted::UidsUsedUp => {
            warn!(%account, "a mailbox has no UIDs left");
            (Outcome::TryAgain, 0)
        }
        Inserted::Stale => (Outcome::TryAgain, 0),
    }
}

async fn insert(
    inner: &Inner,
    account: AccountId,
    recipient: &pb::DeliverRecipient,
    octets: &Bytes,
    key: &[u8; 32],
) -> Result<Inserted, Status> {
    let octets = if recipient.trace.is_empty() {
        octets.clone()
    } else {
        let mut whole = BytesMut::with_capacity(recipient.trace.len() + octets.len());
        whole.extend_from_slice(&recipient.trace);
        whole.extend_from_slice(octets);
        whole.freeze()
    };
    let _work = inner.room.work(octets.len()).await?;
    let mut message = prepare(octets).await?;
    let staged = stage_large(inner, account, &mut message).await?;
    // A detail that cannot be a mailbox's name is as good as one that is none.
    let mailbox = MailboxName::try_from(recipient.mailbox.as_str()).unwrap_or_else(|_| MailboxName::inbox());
    let now = now();
    let messages =
        vec![NewMessage { message: Arc::new(message), flags: FlagBits::NONE, received_at: now, staged }];
    let item = InsertItem {
        account,
        mailbox: mailbox.as_str().to_owned(),
        or_inbox: true,
        expect: None,
        key: Some(key.to_vec()),
        key_made_at: now,
        messages,
        now,
    };
    Ok(inner.committer.insert(item).await?)
}
