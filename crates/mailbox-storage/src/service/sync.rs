//! Bringing a caller up to date: opening, changes, tombstones, the batched re-check, the maildrop.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::sync::Arc;

use mail_rpc::{Entry, Right, entries_to_pb, pb, set_to_pb};
use mail_types::{AccountId, MailboxId, UidSet};
use tonic::Status;

use super::{demand, mailbox_gone, no_mailbox, number};
use crate::Inner;
use crate::db::{MailboxRow, Since, SyncRows, Which, Written};
use crate::service::mailboxes::{list_reply, name};

pub(super) async fn open(inner: &Inner, request: pb::OpenRequest) -> Result<pb::SyncReply, Status> {
    let account = demand(inner, &request.grant, Right::Own)?;
    let name = name(&request.name)?;
    let known = request.known.as_ref().and_then(since);
    let from = known.or_else(|| inner.snapshots.since_by_name(account, name.as_str()));
    let which = Which::Name(name.as_str());
    let rows = read(inner, account, which, known, from).await?.ok_or_else(|| no_mailbox(name.as_str()))?;
    finish(inner, account, rows, request.access()).await
}

pub(super) async fn changes(inner: &Inner, request: pb::ChangesRequest) -> Result<pb::SyncReply, Status> {
    let account = demand(inner, &request.grant, Right::Own)?;
    let asked = request.known.unwrap_or_default();
    let known = since(&asked);
    let mailbox = MailboxId::new(asked.mailbox_id);
    let from = known.or_else(|| inner.snapshots.since(account, mailbox));
    let rows = read(inner, account, Which::Id(mailbox), known, from).await?.ok_or_else(mailbox_gone)?;
    finish(inner, account, rows, request.access()).await
}

pub(super) async fn vanished(
    inner: &Inner,
    request: pb::VanishedRequest,
) -> Result<pb::VanishedReply, Status> {
    let account = demand(inner, &request.grant, Right::Own)?;
    let since = number(request.since_modseq);
    let found = inner.db.vanished(account, MailboxId::new(request.mailbox_id), since).await?;
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
        let account = demand(inner, &watch.grant, Right::Own).unwrap_or_default();
        watches.push((account, MailboxId::new(watch.mailbox_id)));
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
        return Ok(reply(&state, false, &entries, &vanished));
    }
    let mailbox = written.state.id;
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

/// The contract's form of a mailbox row.
pub(super) fn state_to_pb(row: &MailboxRow) -> pb::MailboxState {
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
                let reply = reply(&rows.state, false, &rows.entries, &rows.vanished);
                (rows.state, reply)
            }
            Self::All(state, entries) => {
                let reply = reply(&state, true, &entries, &UidSet::new());
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

fn reply(state: &MailboxRow, full: bool, entries: &[Entry], vanished: &UidSet) -> pb::SyncReply {
    pb::SyncReply {
        state: Some(state_to_pb(state)),
        full,
        entries: Some(entries_to_pb(entries.iter().copied())),
        vanished: set_to_pb(vanished),
        recent_from: 0,
    }
}
