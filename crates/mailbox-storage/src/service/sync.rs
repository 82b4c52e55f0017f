//! Bringing a caller up to date: opening, changes, tombstones, the batched re-check, the maildrop.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::sync::Arc;

use mail_rpc::{Entry, Right, entries_to_pb, pb, set_to_pb};
use mail_types::{AccountId, MailboxId, Rights, UidSet};
use tonic::Status;

use super::access::{Access, access, refusal};
use super::{demand, mailbox_gone, no_mailbox, number};
use crate::Inner;
use crate::db::{MailboxRow, Since, SyncRows, Which, Written};
use crate::service::mailboxes::{list_reply, name};
use crate::sharing::Reader;

pub(super) async fn open(inner: &Inner, request: pb::OpenRequest) -> Result<pb::SyncReply, Status> {
    let name = name(&request.name)?;
    let (grant, which) = ((&*request.grant, request.owner, Right::Own), Which::Name(name.as_str()));
    let asked = access(inner, grant, which, Rights::READ).await?;
    let known = request.known.as_ref().and_then(since);
    if asked.reader.is_some() {
        return shared(inner, &asked, which, known).await;
    }
    let account = asked.account;
    let from = known.or_else(|| inner.snapshots.since_by_name(account, name.as_str()));
    let rows = read(inner, account, which, known, from).await?.ok_or_else(|| no_mailbox(name.as_str()))?;
    finish(inner, account, rows, request.access()).await
}

pub(super) async fn changes(inner: &Inner, request: pb::ChangesRequest) -> Result<pb::SyncReply, Status> {
    let known = request.known.unwrap_or_default();
    let mailbox = MailboxId::new(known.mailbox_id);
    let known = since(&known);
    let (grant, which) = ((&*request.grant, request.owner, Right::Own), Which::Id(mailbox));
    let asked = access(inner, grant, which, Rights::READ).await?;
    if asked.reader.is_some() {
        return shared(inner, &asked, which, known).await;
    }
    let account = asked.account;
    let from = known.or_else(|| inner.snapshots.since(account, mailbox));
    let rows = read(inner, account, which, known, from).await?.ok_or_else(mailbox_gone)?;
    finish(inner, account, rows, request.access()).await
}

pub(super) async fn vanished(
    inner: &Inner,
    request: pb::VanishedRequest,
) -> Result<pb::VanishedReply, Status> {
    let mailbox = MailboxId::new(request.mailbox_id);
    let grant = (&*request.grant, request.owner, Right::Own);
    let asked = access(inner, grant, Which::Id(mailbox), Rights::READ).await?;
    let since = number(request.since_modseq);
    let found = inner.db.vanished(asked.account, mailbox, since).await?;
    let (floor, uids) = found.ok_or_else(mailbox_gone)?;
    let below_floor = since < floor;
    let vanished = if below_floor { Vec::new() } else { set_to_pb(&uids) };
    Ok(pb::VanishedReply { below_floor, vanished })
}

pub(super) async fn check_mod_seqs(
    inner: &Inner,
    request: pb::CheckModSeqsRequest,
) -> Result<pb::CheckModSeqsReply, Status> {
    let mut watches = Vec::with_capacity(request.watches.len());
    for watch in &request.watches {
        // A grant that does not hold is answered 0 by itself; the other sessions of the gateway go on.
        let mailbox = MailboxId::new(watch.mailbox_id);
        let account = match watch.owner {
            0 => demand(inner, &watch.grant, Right::Own).ok(),
            owner => {
                let grant = (&*watch.grant, owner, Right::Own);
                access(inner, grant, Which::Id(mailbox), Rights::READ).await.ok().map(|asked| asked.account)
            }
        };
        watches.push((account.unwrap_or_default(), mailbox));
    }
    let found = inner.db.modseqs(&watches).await?;
    let mut highest_modseq: Vec<u64> = found
        .into_iter()
        .zip(&watches)
        .map(|(modseq, (account, _))| if account.get() == 0 { 0 } else { modseq.unsigned_abs() })
        .collect();
    // Few sessions wait for all mailboxes of an account (NOTIFY), so these are read one by one.
    let mut fingerprints = HashMap::new();
    for ((account, mailbox), answer) in watches.iter().zip(&mut highest_modseq) {
        if mailbox.get() != 0 || account.get() == 0 {
            continue;
        }
        *answer = match fingerprints.entry(*account) {
            MapEntry::Occupied(known) => *known.get(),
            // An account that is gone is like a mailbox that is gone.
            MapEntry::Vacant(place) => {
                *place.insert(list_reply(inner, *account).await.map_or(0, |reply| reply.fingerprint))
            }
        };
    }
    Ok(pb::CheckModSeqsReply { highest_modseq })
}

pub(super) async fn open_maildrop(
    inner: &Inner,
    request: pb::OpenMaildropRequest,
) -> Result<pb::Maildrop, Status> {
    let account = demand(inner, &request.grant, Right::Own)?;
    let (row, uids, sizes) = inner.db.maildrop(account).await?.ok_or_else(|| no_mailbox("INBOX"))?;
    Ok(pb::Maildrop { mailbox_id: row.id.get(), uid_validity: row.uidvalidity as u32, uids, sizes })
}

/// The caller's snapshot, brought up to date after a write: from the write itself if nothing else happened in between.
///
/// # Errors
/// Those of the database.
pub(super) async fn after(
    inner: &Inner,
    account: AccountId,
    known_modseq: u64,
    written: Written,
) -> Result<pb::SyncReply, Status> {
    if number(known_modseq) == written.before {
        let Written { state, entries, vanished, .. } = written;
        return Ok(reply((&state, Rights::ALL), false, &entries, &vanished));
    }
    after_own(inner, account, written.state.id, known_modseq).await
}

/// A snapshot brought up to date by reading.
///
/// # Errors
/// Those of the database.
pub(super) async fn after_own(
    inner: &Inner,
    account: AccountId,
    mailbox: MailboxId,
    known_modseq: u64,
) -> Result<pb::SyncReply, Status> {
    let known = since(&pb::Known { mailbox_id: mailbox.get(), modseq: known_modseq });
    let from = known.or_else(|| inner.snapshots.since(account, mailbox));
    let read = read(inner, account, Which::Id(mailbox), known, from).await?.ok_or_else(mailbox_gone)?;
    Ok(read.into_reply().1)
}

/// The messages of a mailbox, as of now. `None`: there is no such mailbox.
///
/// # Errors
/// Those of the database.
pub(super) async fn entries(
    inner: &Inner,
    account: AccountId,
    mailbox: MailboxId,
) -> Result<Option<Arc<Vec<Entry>>>, Status> {
    let from = inner.snapshots.since(account, mailbox);
    Ok(match read(inner, account, Which::Id(mailbox), None, from).await? {
        Some(Read::All(_, entries)) => Some(entries),
        Some(Read::Changes(_)) | None => None,
    })
}

/// The same for a reader, who sees a \Seen of its own: always read anew, since nothing here is kept for readers.
///
/// # Errors
/// Those of the database; NOT_FOUND when the reader may not read it any more.
pub(super) async fn after_for(
    inner: &Inner,
    asked: &Access,
    mailbox: MailboxId,
    known_modseq: u64,
) -> Result<pb::SyncReply, Status> {
    let known = since(&pb::Known { mailbox_id: mailbox.get(), modseq: known_modseq });
    shared(inner, asked, Which::Id(mailbox), known).await
}

/// A mailbox for a reader. \Recent is the owner's.
async fn shared(
    inner: &Inner,
    asked: &Access,
    which: Which<'_>,
    known: Option<Since>,
) -> Result<pb::SyncReply, Status> {
    let gone = || refusal(which, Rights::NONE);
    let reader = Reader { needs: Rights::READ, ..asked.reader.ok_or_else(gone)? };
    let (rows, rights) = inner.db.shared_sync(asked.account, which, known, reader).await?.ok_or_else(gone)?;
    Ok(reply((&rows.state, rights), rows.full, &rows.entries, &rows.vanished))
}

/// The contract's form of a mailbox row.
pub(super) fn state_to_pb(row: &MailboxRow, rights: Rights) -> pb::MailboxState {
    pb::MailboxState {
        mailbox_id: row.id.get(),
        name: row.name.clone(),
        uid_validity: row.uidvalidity as u32,
        uid_next: row.uidnext as u32,
        highest_modseq: row.highest_modseq.unsigned_abs(),
        exists: row.messages as u32,
        unseen: row.unseen as u32,
        deleted: row.deleted as u32,
        bytes: row.bytes.unsigned_abs(),
        recent: row.recent as u32,
        special_use: row.special_use as u32,
        subscribed: row.subscribed,
        keywords: row.keyword_table().iter().map(|(_, keyword)| keyword.to_owned()).collect(),
        rights: rights.bits(),
    }
}

/// `None` when nothing is known: 0 is "before everything".
fn since(known: &pb::Known) -> Option<Since> {
    let modseq = i64::try_from(known.modseq).ok().filter(|modseq| *modseq > 0)?;
    Some(Since { mailbox: MailboxId::new(known.mailbox_id), modseq })
}

/// What was read for a caller.
enum Read {
    Changes(SyncRows),
    All(MailboxRow, Arc<Vec<Entry>>),
}

impl Read {
    fn into_reply(self) -> (MailboxRow, pb::SyncReply) {
        match self {
            Self::Changes(rows) => {
                let reply = reply((&rows.state, Rights::ALL), false, &rows.entries, &rows.vanished);
                (rows.state, reply)
            }
            Self::All(state, entries) => {
                let reply = reply((&state, Rights::ALL), true, &entries, &UidSet::new());
                (state, reply)
            }
        }
    }
}

/// What changed since `known` if that still holds; else everything, from the snapshot kept here as of `from` if there is one.
async fn read(
    inner: &Inner,
    account: AccountId,
    which: Which<'_>,
    known: Option<Since>,
    from: Option<Since>,
) -> Result<Option<Read>, Status> {
    let Some(mut rows) = inner.db.sync(account, which, from).await? else { return Ok(None) };
    if known.is_some() && !rows.full {
        return Ok(Some(Read::Changes(rows)));
    }
    if let Some(entries) = inner.snapshots.complete(account, from, &mut rows) {
        return Ok(Some(Read::All(rows.state, entries)));
    }
    let Some(mut rows) = inner.db.sync(account, which, None).await? else { return Ok(None) };
    let entries = inner.snapshots.complete(account, None, &mut rows).unwrap_or_default();
    Ok(Some(Read::All(rows.state, entries)))
}

/// \Recent passes to this caller if it may change the mailbox (RFC 3501 §2.3.2).
async fn finish(
    inner: &Inner,
    account: AccountId,
    read: Read,
    access: pb::Access,
) -> Result<pb::SyncReply, Status> {
    let (state, mut reply) = read.into_reply();
    if access == pb::Access::ReadWrite && state.recent > 0 {
        let from = inner.db.claim_recent(account, state.id, state.uidnext).await?;
        reply.recent_from = from.map_or(0, |uid| uid as u32);
    }
    Ok(reply)
}

fn reply(
    (state, rights): (&MailboxRow, Rights),
    full: bool,
    entries: &[Entry],
    vanished: &UidSet,
) -> pb::SyncReply {
    pb::SyncReply {
        state: Some(state_to_pb(state, rights)),
        full,
        entries: Some(entries_to_pb(entries.iter().copied())),
        vanished: set_to_pb(vanished),
        recent_from: 0,
    }
}
