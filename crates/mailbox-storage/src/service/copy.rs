//! COPY and MOVE.

use mail_rpc::pb::copy_request::Mode;
use mail_rpc::{Refusal, Right, pb, set_from_pb, set_to_pb};
use mail_types::{AccountId, FlagBits, MailboxId, Rights, Uid, UidSet};
use tonic::Status;

use super::access::access;
use super::copy_shared::copy_shared;
use super::mailboxes::name;
use super::{mailbox_gone, no_mailbox, over_quota, publish, sync, uids_used_up};
use crate::db::{Copied, Copy, CopyOutcome, MailboxRow, Which};
use crate::keywords::flag_map;
use crate::{Inner, now};

/// Rounds against others who give the source's messages new keywords meanwhile.
pub(super) const ATTEMPTS: u32 = 4;
/// RFC 6851 §3.3 and RFC 4314 §4: a MOVE stores \Deleted and expunges.
const MOVING: Rights = Rights::READ.with(Rights::DELETE_MESSAGES).with(Rights::EXPUNGE);

pub(super) async fn copy(inner: &Inner, request: pb::CopyRequest) -> Result<pb::CopyReply, Status> {
    let moves = match request.mode() {
        Mode::Copy => false,
        Mode::Move => true,
        Mode::Unspecified => {
            return Err(Refusal::Invalid("whether to copy or to move is not said".into()).into());
        }
    };
    let needs = if moves { MOVING } else { Rights::READ };
    let source = MailboxId::new(request.mailbox_id);
    let grant = (&*request.grant, request.owner, Right::Own);
    let from = access(inner, grant, Which::Id(source), needs).await?;
    let destination = name(&request.destination)?;
    let grant = (&*request.grant, request.destination_owner, Right::Own);
    let into = access(inner, grant, Which::Name(destination.as_str()), Rights::INSERT).await?;
    if from.reader.is_some() || into.reader.is_some() {
        return copy_shared(inner, &request, (&from, &into), &destination, moves).await;
    }
    let account = from.account;
    let uids = set_from_pb(&request.uids);
    for _ in 0..ATTEMPTS {
        let by_name = Which::Name(destination.as_str());
        let to = inner.db.mailbox(account, by_name).await?;
        let to = to.ok_or_else(|| no_mailbox(destination.as_str()))?;
        let flag_map = map(inner, account, source, &uids, &to).await?;
        let copy =
            Copy { account, source, destination: to.id, uids: uids.clone(), moves, flag_map, now: now() };
        match inner.db.copy(copy).await? {
            CopyOutcome::Done(copied) => return finish(inner, account, request.known_modseq, *copied).await,
            CopyOutcome::NoSource => return Err(mailbox_gone()),
            CopyOutcome::NoDestination => return Err(no_mailbox(destination.as_str())),
            CopyOutcome::OverQuota => return Err(over_quota()),
            CopyOutcome::UidsUsedUp => return Err(uids_used_up()),
            CopyOutcome::UnknownFlag => {}
        }
    }
    Err(Refusal::Unavailable("the messages kept changing; try again".into()).into())
}

/// Nothing to ask for where the source has no keywords, or both are one mailbox.
pub(super) async fn map(
    inner: &Inner,
    account: AccountId,
    source: MailboxId,
    uids: &UidSet,
    destination: &MailboxRow,
) -> Result<Vec<(FlagBits, FlagBits)>, Status> {
    let identity =
        |count: usize| (0..count).map(|index| (FlagBits::keyword(index), FlagBits::keyword(index))).collect();
    if source == destination.id {
        return Ok(identity(mail_types::KEYWORDS_MAX));
    }
    let row = inner.db.mailbox(account, Which::Id(source)).await?.ok_or_else(mailbox_gone)?;
    let table = row.keyword_table();
    if table.is_empty() {
        return Ok(Vec::new());
    }
    // What the one calls its keywords is the beginning of what the other does: every bit stays what it is.
    if destination.keywords == row.keywords || destination.keywords.starts_with(&format!("{} ", row.keywords))
    {
        return Ok(identity(table.len()));
    }
    let used = inner.db.flags_used(account, source, uids).await?;
    flag_map(inner, account, &table, used, destination.id).await
}

/// So many UIDs from this one on.
pub(super) fn consecutive(first: i64, count: u64) -> UidSet {
    let last = u32::try_from((first.unsigned_abs() + count).saturating_sub(1)).ok().and_then(Uid::new);
    match (u32::try_from(first).ok().and_then(Uid::new), last) {
        (Some(first), Some(last)) if count > 0 => UidSet::range(first, last),
        _ => UidSet::new(),
    }
}

async fn finish(
    inner: &Inner,
    account: AccountId,
    known_modseq: u64,
    copied: Copied,
) -> Result<pb::CopyReply, Status> {
    let Copied { source, destination, source_uids, first_uid } = copied;
    if !source_uids.is_empty() {
        publish(inner, account, destination.id, destination.highest_modseq);
        if source.state.id != destination.id && source.state.highest_modseq > source.before {
            publish(inner, account, source.state.id, source.state.highest_modseq);
        }
    }
    let to = consecutive(first_uid, source_uids.len());
    Ok(pb::CopyReply {
        uid_validity: destination.uidvalidity as u32,
        source: set_to_pb(&source_uids),
        destination: set_to_pb(&to),
        sync: Some(sync::after(inner, account, known_modseq, source).await?),
    })
}
