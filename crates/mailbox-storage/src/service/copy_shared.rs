//! COPY and MOVE where one of the mailboxes is another's: inside one owner's mail by reference, between two owners by content.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use mail_rpc::{Refusal, pb, set_from_pb, set_to_pb};
use mail_types::{AccountId, FlagBits, MailboxId, MailboxName, MessageId, Rights, UidSet};
use tonic::Status;

use super::access::Access;
use super::append::stage_beyond;
use super::copy::{ATTEMPTS, consecutive, map};
use super::{mailbox_gone, no_account, no_mailbox, over_quota, publish, sync, uids_used_up};
use crate::db::{Copied, Copy, CopyOutcome, Expunge, InsertItem, Inserted, MailboxRow, NewMessage, Which};
use crate::keywords::{Unknown, flag_bits};
use crate::prepare::{CHUNK_BYTES, prepare, unpack_chunk};
use crate::sharing::{CopyRow, Transfer, Transferred};
use crate::{Inner, now};

/// Messages of one COPY between two accounts: their content is read and written anew.
const BETWEEN_ACCOUNTS_MAX: usize = 1000;

/// Where a copy comes from and where it goes, as the caller may use them.
type Ends<'a> = (&'a Access, &'a Access);

pub(super) async fn copy_shared(
    inner: &Inner,
    request: &pb::CopyRequest,
    ends: Ends<'_>,
    destination: &MailboxName,
    moves: bool,
) -> Result<pb::CopyReply, Status> {
    let (from, into) = ends;
    let source = MailboxId::new(request.mailbox_id);
    let uids = set_from_pb(&request.uids);
    for _ in 0..ATTEMPTS {
        let to = inner.db.mailbox(into.account, Which::Name(destination.as_str())).await?;
        let to = to.ok_or_else(|| no_mailbox(destination.as_str()))?;
        let done = if from.account == into.account {
            inside(inner, ends, (source, &uids), &to, moves).await?
        } else {
            between(inner, ends, (source, &uids), &to, moves).await?
        };
        let Some(done) = done else { continue };
        return reply(inner, request, from, done).await;
    }
    Err(Refusal::Unavailable("the messages kept changing; try again".into()).into())
}

/// What was copied; UIDs go together one by one.
struct Moved {
    uid_validity: i64,
    source: UidSet,
    destination: UidSet,
}

async fn reply(
    inner: &Inner,
    request: &pb::CopyRequest,
    from: &Access,
    done: Moved,
) -> Result<pb::CopyReply, Status> {
    let mailbox = MailboxId::new(request.mailbox_id);
    let known = request.known_modseq;
    let sync = match from.reader {
        Some(_) => sync::after_for(inner, from, mailbox, known).await?,
        None => sync::after_own(inner, from.account, mailbox, known).await?,
    };
    Ok(pb::CopyReply {
        uid_validity: done.uid_validity as u32,
        source: set_to_pb(&done.source),
        destination: set_to_pb(&done.destination),
        sync: Some(sync),
    })
}

/// `None`: something changed meanwhile.
async fn inside(
    inner: &Inner,
    (from, into): Ends<'_>,
    (source, uids): (MailboxId, &UidSet),
    to: &MailboxRow,
    moves: bool,
) -> Result<Option<Moved>, Status> {
    let owner = from.account;
    let (Some(reader), Some(writer)) = (from.reader, into.reader) else { return Err(mailbox_gone()) };
    let flag_map = map(inner, owner, source, uids, to).await?;
    let copy =
        Copy { account: owner, source, destination: to.id, uids: uids.clone(), moves, flag_map, now: now() };
    match inner.db.shared_copy(copy, (reader, writer)).await? {
        CopyOutcome::Done(copied) => {
            let Copied { source: old, destination, source_uids, first_uid } = *copied;
            if !source_uids.is_empty() {
                publish(inner, owner, destination.id, destination.highest_modseq);
                publish(inner, owner, source, old.state.highest_modseq);
            }
            let destination_uids = consecutive(first_uid, source_uids.len());
            let uid_validity = destination.uidvalidity;
            Ok(Some(Moved { uid_validity, source: source_uids, destination: destination_uids }))
        }
        CopyOutcome::NoSource => Err(mailbox_gone()),
        CopyOutcome::NoDestination => Err(no_mailbox(&to.name)),
        CopyOutcome::OverQuota => Err(over_quota()),
        CopyOutcome::UidsUsedUp => Err(uids_used_up()),
        CopyOutcome::UnknownFlag => Ok(None),
    }
}

/// As if the messages came anew: read, derived and stored, and in the same transaction taken away if they are moved.
async fn between(
    inner: &Inner,
    (from, into): Ends<'_>,
    (source, uids): (MailboxId, &UidSet),
    to: &MailboxRow,
    moves: bool,
) -> Result<Option<Moved>, Status> {
    let reader = from.reader.map(|reader| reader.account);
    let rows = inner.db.copy_rows(from.account, source, reader, uids).await?;
    let taken: UidSet = rows.iter().map(|row| row.uid).collect();
    if rows.len() > BETWEEN_ACCOUNTS_MAX {
        let text = format!("at most {BETWEEN_ACCOUNTS_MAX} messages at once between two accounts");
        return Err(Refusal::Limit(text).into());
    }
    if rows.is_empty() {
        return Ok(Some(Moved { uid_validity: to.uidvalidity, source: taken, destination: UidSet::new() }));
    }
    let (messages, seen) = new_messages(inner, (from, into), source, to, &rows).await?;
    let insert = Arc::new(InsertItem {
        account: into.account,
        mailbox: to.name.clone(),
        or_inbox: false,
        expect: Some(to.id),
        key: None,
        key_made_at: 0,
        messages,
        now: now(),
    });
    let expunge = Expunge {
        account: from.account,
        mailbox: source,
        uids: taken.clone(),
        having: FlagBits::NONE,
        now: now(),
    };
    let source_part = moves.then_some((expunge, from.reader, rows.len()));
    let transfer = Transfer { insert, destination: to.id, reader: into.reader, seen, source: source_part };
    let Transferred { inserted, source: written } = inner.db.transfer(transfer).await?;
    if let Some(written) = written {
        publish(inner, from.account, source, written.state.highest_modseq);
    }
    match inserted {
        Inserted::Done { place, modseq } => {
            publish(inner, into.account, place.mailbox, modseq);
            let destination = consecutive(place.uid, rows.len() as u64);
            Ok(Some(Moved { uid_validity: place.uidvalidity, source: taken, destination }))
        }
        Inserted::NoAccount => Err(no_account()),
        Inserted::NoMailbox => Err(no_mailbox(&to.name)),
        Inserted::OverQuota => Err(over_quota()),
        Inserted::UidsUsedUp => Err(uids_used_up()),
        Inserted::Duplicate(_) | Inserted::Stale => Ok(None),
    }
}

/// The messages as the destination gets them, and which of them its reader has seen.
async fn new_messages(
    inner: &Inner,
    (from, into): Ends<'_>,
    source: MailboxId,
    to: &MailboxRow,
    rows: &[CopyRow],
) -> Result<(Vec<NewMessage>, Vec<usize>), Status> {
    let row = inner.db.mailbox(from.account, Which::Id(source)).await?.ok_or_else(mailbox_gone)?;
    let keywords = row.keyword_table();
    let (mut messages, mut seen, mut unstaged) = (Vec::with_capacity(rows.len()), Vec::new(), 0);
    for (place, row) in rows.iter().enumerate() {
        let mut named = pb::FlagSet { system: (row.flags.bits() & SYSTEM) as u32, keywords: Vec::new() };
        if into.rights.contains(Rights::WRITE) {
            let names = row.flags.keyword_indexes().filter_map(|index| keywords.name(index));
            named.keywords.extend(names.map(str::to_owned));
        }
        let flags = flag_bits(inner, into.account, to.id, &named, Unknown::Intern).await?;
        let mut flags = FlagBits::from_bits(flags.bits() & into.rights.flags().bits());
        if into.reader.is_some() {
            seen.extend(flags.contains(FlagBits::SEEN).then_some(place));
            flags = flags.without(FlagBits::SEEN);
        }
        let mut message = prepare(octets(inner, from.account, row).await?).await?;
        let staged = stage_beyond(inner, into.account, &mut message, &mut unstaged).await?;
        let received_at = row.received_at;
        messages.push(NewMessage { message: Arc::new(message), flags, received_at, staged });
    }
    Ok((messages, seen))
}

/// The system flags among the bits.
const SYSTEM: u64 = 0x1f;

/// A message's content in whole.
async fn octets(inner: &Inner, owner: AccountId, row: &CopyRow) -> Result<Bytes, Status> {
    let size = usize::try_from(row.size).unwrap_or_default();
    let last = u32::try_from(size.saturating_sub(1) / CHUNK_BYTES).unwrap_or_default();
    let wanted: [(MessageId, u32, u32); 1] = [(row.message, 0, last)];
    let mut octets = BytesMut::with_capacity(size);
    for chunk in inner.db.content_read(owner, &wanted).await? {
        let raw = unpack_chunk(chunk.data, chunk.raw_len as usize)
            .map_err(|_| Refusal::Internal("stored content is damaged".into()))?;
        octets.extend_from_slice(&raw);
    }
    if octets.len() != size {
        return Err(Refusal::Unavailable("a message went away; try again".into()).into());
    }
    Ok(octets.freeze())
}
