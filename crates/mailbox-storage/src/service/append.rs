//! APPEND and MULTIAPPEND: all messages or none.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use mail_rpc::pb::append_request::Step;
use mail_rpc::{Refusal, Right, pb};
use mail_types::{AccountId, FlagBits, MailboxId, MessageId, Rights, Uid, UidSet};
use tonic::{Code, Status, Streaming};

use super::access::{Access, access};
use super::mailboxes::name;
use super::{no_account, no_mailbox, number, over_quota, publish, uids_used_up};
use crate::db::{
    Expunge, InsertItem, Inserted, KEPT_FOR_EVER, NewMessage, OldMessage, Place, Prepared, Which,
};
use crate::keywords::{Unknown, flag_bits, system_bits};
use crate::prepare::prepare;
use crate::room::Held;
use crate::sharing::{Reader, Transfer};
use crate::{Inner, now};

/// Messages of one APPEND (RFC 3502): they are one transaction.
const MESSAGES_MAX: usize = 1000;
/// Shortest idempotency key in octets that is taken for unguessable by accident.
const KEY_BYTES_MIN: usize = 16;
/// Longest one.
const KEY_BYTES_MAX: usize = 64;
/// Stored octets from which content is written before its transaction begins, so that no lock waits for it.
const STAGE_BYTES: usize = 1 << 20;
/// Chunks of one statement that writes content ahead.
const STAGE_CHUNKS: usize = 16;
/// RFC 4314 §4, UID STORE of \Deleted and UID EXPUNGE, in a mailbox that is open.
const REMOVING: Rights = Rights::READ.with(Rights::DELETE_MESSAGES).with(Rights::EXPUNGE);
/// Rounds against others who delete and make the mailbox meanwhile.
const ATTEMPTS: u32 = 4;

pub(super) async fn append(
    inner: &Inner,
    mut steps: Streaming<pb::AppendRequest>,
) -> Result<pb::AppendReply, Status> {
    let Some(Step::Start(start)) = steps.message().await?.map(step).transpose()? else {
        return Err(invalid("APPEND begins with its start"));
    };
    let mailbox = name(&start.mailbox)?;
    let grant = (&*start.grant, start.owner, Right::Append);
    let which = Which::Name(mailbox.as_str());
    let asked = access(inner, grant, which, Rights::INSERT).await?;
    let account = asked.account;
    let key = match start.idempotency_key.len() {
        0 => None,
        KEY_BYTES_MIN..=KEY_BYTES_MAX => Some(start.idempotency_key.to_vec()),
        _ => return Err(invalid("an idempotency key has 16 to 64 octets")),
    };
    // RFC 9051 §6.3.12: told early that there is no such mailbox, the client saves its octets.
    let row = inner.db.mailbox(account, which).await?;
    row.ok_or_else(|| no_mailbox(mailbox.as_str()))?;
    let old = match &start.replaced {
        Some(replaced) => Some(old_message(inner, &start.grant, replaced).await?),
        None => None,
    };
    let messages = gather(inner, account, &mut steps).await?;
    if old.is_some() && messages.len() != 1 {
        return Err(invalid("one message takes the place of one"));
    }
    for _ in 0..ATTEMPTS {
        let shares = asked.reader.is_some() || old.is_some_and(|(_, access)| access.reader.is_some());
        let (mut item, seen) = item(inner, &asked, mailbox.as_str(), &messages, shares).await?;
        item.key.clone_from(&key);
        if start.keep_key {
            item.key_made_at = KEPT_FOR_EVER;
        }
        let outcome = match (old, asked.reader) {
            (Some((old, access)), reader) if shares => {
                replace_shared(inner, item, (reader, seen), (old, access)).await?
            }
            (Some((old, _)), _) => replace(inner, item, old).await?,
            (None, None) => inner.committer.insert(item).await?,
            (None, Some(reader)) => insert_shared(inner, item, reader, seen).await?,
        };
        let place = match outcome {
            Inserted::Done { place, modseq } => {
                publish(inner, account, place.mailbox, modseq);
                place
            }
            Inserted::Duplicate(place) => place,
            Inserted::NoAccount => return Err(no_account()),
            Inserted::NoMailbox => {
                // A right may have gone meanwhile: the answer is as it would be now.
                access(inner, grant, which, Rights::INSERT).await?;
                if let Some(replaced) = &start.replaced {
                    old_message(inner, &start.grant, replaced).await?;
                }
                return Err(no_mailbox(mailbox.as_str()));
            }
            Inserted::OverQuota => return Err(over_quota()),
            Inserted::UidsUsedUp => return Err(uids_used_up()),
            Inserted::Stale => continue,
        };
        return Ok(reply(place, messages.len()));
    }
    Err(Refusal::Unavailable("the mailbox kept changing; try again".into()).into())
}

/// What is to be replaced, and as whose: RFC 8508 §4.1, the rights of UID STORE and UID EXPUNGE.
async fn old_message(
    inner: &Inner,
    grant: &[u8],
    replaced: &pb::Replaced,
) -> Result<(OldMessage, Access), Status> {
    let uid = Uid::new(replaced.uid).ok_or_else(|| invalid("0 is no UID"))?;
    let mailbox = MailboxId::new(replaced.mailbox_id);
    let asked = access(inner, (grant, replaced.owner, Right::Own), Which::Id(mailbox), REMOVING).await;
    // NOT_FOUND is the answer for the mailbox that the new message goes to.
    let asked = asked.map_err(|status| match status.code() {
        Code::NotFound => nothing_to_replace(),
        _ => status,
    })?;
    Ok((OldMessage { mailbox, uid }, asked))
}

fn nothing_to_replace() -> Status {
    Refusal::Declined("the message to be replaced does not exist any more".into()).into()
}

/// RFC 8508 §3.4: both happen, or nothing does.
async fn replace(inner: &Inner, item: InsertItem, old: OldMessage) -> Result<Inserted, Status> {
    let account = item.account;
    let outcome = inner.db.replace(item, old).await?.ok_or_else(nothing_to_replace)?;
    if outcome.expunged_at > 0 {
        publish(inner, account, old.mailbox, outcome.expunged_at);
    }
    Ok(outcome.inserted)
}

/// The same where one of the mailboxes is another's.
async fn replace_shared(
    inner: &Inner,
    item: InsertItem,
    (reader, seen): (Option<Reader>, Vec<usize>),
    (old, from): (OldMessage, Access),
) -> Result<Inserted, Status> {
    let Some(destination) = item.expect else { return Ok(Inserted::NoMailbox) };
    let expunge = Expunge {
        account: from.account,
        mailbox: old.mailbox,
        uids: UidSet::range(old.uid, old.uid),
        having: FlagBits::NONE,
        now: item.now,
    };
    let source = Some((expunge, from.reader, 1));
    let transfer = Transfer { insert: Arc::new(item), destination, reader, seen, source };
    let outcome = inner.db.shared_replace(transfer).await?.ok_or_else(nothing_to_replace)?;
    if let Some(written) = outcome.source {
        publish(inner, from.account, old.mailbox, written.state.highest_modseq);
    }
    Ok(outcome.inserted)
}

fn invalid(what: &str) -> Status {
    Refusal::Invalid(what.to_owned()).into()
}

fn step(request: pb::AppendRequest) -> Result<Step, Status> {
    request.step.ok_or_else(|| invalid("a step without content"))
}

/// A message that came in whole.
struct Gathered {
    flags: pb::FlagSet,
    received_at: i64,
    message: Arc<Prepared>,
    staged: Option<MessageId>,
}

async fn gather(
    inner: &Inner,
    account: AccountId,
    steps: &mut Streaming<pb::AppendRequest>,
) -> Result<Vec<Gathered>, Status> {
    let mut messages = Vec::new();
    let mut open: Option<(pb::AppendMessage, BytesMut, Held)> = None;
    let mut unstaged = 0;
    loop {
        let request = match &open {
            Some((_, _, held)) => held.next(steps).await?,
            None => steps.message().await?,
        };
        let step = request.map(self::step).transpose()?;
        if let Some(Step::Chunk(chunk)) = step {
            let (header, octets, held) =
                open.as_mut().ok_or_else(|| invalid("octets before their message"))?;
            if (octets.len() + chunk.len()) as u64 > header.size {
                return Err(invalid("a message is longer than it was said to be"));
            }
            held.grow(chunk.len()).await?;
            octets.reserve(held.capacity().saturating_sub(octets.len()));
            octets.extend_from_slice(&chunk);
            continue;
        }
        if let Some((header, octets, _held)) = open.take() {
            if octets.len() as u64 != header.size && !header.at_most {
                return Err(invalid("a message is shorter than it was said to be"));
            }
            messages.push(finish(inner, account, header, octets.freeze(), &mut unstaged).await?);
        }
        match step {
            Some(Step::Message(header)) => {
                let max = inner.config.message_bytes_max;
                if header.size > max {
                    return Err(Refusal::Limit(format!("a message has at most {max} octets")).into());
                }
                if messages.len() >= MESSAGES_MAX {
                    return Err(Refusal::Limit(format!("at most {MESSAGES_MAX} messages at once")).into());
                }
                let expected = if header.at_most { 0 } else { header.size };
                let held = inner.room.hold(usize::try_from(expected).unwrap_or(usize::MAX));
                open = Some((header, BytesMut::new(), held));
            }
            Some(Step::Finish(_)) if !messages.is_empty() => return Ok(messages),
            Some(Step::Finish(_)) => return Err(invalid("APPEND without a message")),
            Some(Step::Start(_) | Step::Chunk(_)) => return Err(invalid("APPEND starts once")),
            None => return Err(invalid("APPEND ended without its finish")),
        }
    }
}

async fn finish(
    inner: &Inner,
    account: AccountId,
    header: pb::AppendMessage,
    octets: Bytes,
    unstaged: &mut usize,
) -> Result<Gathered, Status> {
    let _work = inner.room.work(octets.len()).await?;
    let mut message = prepare(octets).await?;
    let staged = stage_beyond(inner, account, &mut message, unstaged).await?;
    Ok(Gathered {
        flags: header.flags.unwrap_or_default(),
        received_at: header.received_at.unwrap_or_else(now),
        message: Arc::new(message),
        staged,
    })
}

/// Writes a large message's content before its transaction, and gives up its memory. `None`: it is small enough not to.
///
/// # Errors
/// Those of the database; NOT_FOUND without an account.
pub(super) async fn stage(
    inner: &Inner,
    account: AccountId,
    message: &mut Prepared,
) -> Result<Option<MessageId>, Status> {
    if message.chunks.is_empty() {
        return Ok(None);
    }
    let id = inner.db.stage(account, now()).await?.ok_or_else(no_account)?;
    let mut rest = std::mem::take(&mut message.chunks);
    while !rest.is_empty() {
        let some = rest.drain(..rest.len().min(STAGE_CHUNKS)).collect();
        inner.db.stage_chunks(account, id, some).await?;
    }
    Ok(Some(id))
}

/// The same as soon as what was not staged is enough for one transaction.
///
/// # Errors
/// As [`stage`].
pub(super) async fn stage_beyond(
    inner: &Inner,
    account: AccountId,
    message: &mut Prepared,
    unstaged: &mut usize,
) -> Result<Option<MessageId>, Status> {
    let bytes = message.stored_bytes();
    if *unstaged + bytes > STAGE_BYTES {
        return stage(inner, account, message).await;
    }
    *unstaged += bytes;
    Ok(None)
}

/// The same, but only for a message that is worth it.
///
/// # Errors
/// As [`stage`].
pub(super) async fn stage_large(
    inner: &Inner,
    account: AccountId,
    message: &mut Prepared,
) -> Result<Option<MessageId>, Status> {
    if message.stored_bytes() > STAGE_BYTES { stage(inner, account, message).await } else { Ok(None) }
}

/// In the reader's own transaction rather than with others: what the reader may do is looked up in it.
async fn insert_shared(
    inner: &Inner,
    item: InsertItem,
    reader: Reader,
    seen: Vec<usize>,
) -> Result<Inserted, Status> {
    let Some(destination) = item.expect else { return Ok(Inserted::NoMailbox) };
    let transfer = Transfer { insert: Arc::new(item), destination, reader: Some(reader), seen, source: None };
    Ok(inner.db.transfer(transfer).await?.inserted)
}

/// The messages with the flags that may be set, and which of them a reader has seen. RFC 4314 §4: flags that need a right are
/// left out without it, and the messages are added all the same.
async fn item(
    inner: &Inner,
    asked: &Access,
    mailbox: &str,
    messages: &[Gathered],
    shares: bool,
) -> Result<(InsertItem, Vec<usize>), Status> {
    let account = asked.account;
    let expect = if shares || messages.iter().any(|message| !message.flags.keywords.is_empty()) {
        let row = inner.db.mailbox(account, Which::Name(mailbox)).await?;
        Some(row.ok_or_else(|| no_mailbox(mailbox))?.id)
    } else {
        None
    };
    let mut new = Vec::with_capacity(messages.len());
    let mut seen = Vec::new();
    for (place, message) in messages.iter().enumerate() {
        let mut named = message.flags.clone();
        if !asked.rights.contains(Rights::WRITE) {
            named.keywords.clear();
        }
        let mut flags = match expect {
            Some(id) => flag_bits(inner, account, id, &named, Unknown::Intern).await?,
            None => system_bits(&named),
        };
        if asked.reader.is_some() {
            flags = FlagBits::from_bits(flags.bits() & asked.rights.flags().bits());
            seen.extend(flags.contains(FlagBits::SEEN).then_some(place));
            flags = flags.without(FlagBits::SEEN);
        }
        new.push(NewMessage {
            message: Arc::clone(&message.message),
            flags,
            received_at: message.received_at,
            staged: message.staged,
        });
    }
    let item = InsertItem {
        account,
        mailbox: mailbox.to_owned(),
        or_inbox: false,
        expect,
        key: None,
        key_made_at: now(),
        messages: new,
        now: now(),
    };
    Ok((item, seen))
}

fn reply(place: Place, count: usize) -> pb::AppendReply {
    pb::AppendReply {
        mailbox_id: place.mailbox.get(),
        uid_validity: place.uidvalidity as u32,
        uids: (place.uid..place.uid + number(count as u64)).map(|uid| uid as u32).collect(),
    }
}
