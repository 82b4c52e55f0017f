//! COPY and MOVE.

use mail_rpc::pb::copy_request::Mode;
use mail_rpc::{Refusal, Right, pb, set_from_pb, set_to_pb};
use mail_types::{AccountId, FlagBits, MailboxId, Uid, UidSet};
use tonic::Status;

use super::mailboxes::name;
use super::{demand, mailbox_gone, no_mailbox, over_quota, publish, sync, uids_used_up};
use crate::db::{Copied, Copy, CopyOutcome, MailboxRow, Which};
use crate::keywords::flag_map;
use crate::{Inner, now};

/// Rounds against others who give the source's messages new keywords meanwhile.
const ATTEMPTS: u32 = 4;

pub(super) async fn copy(inner: &Inner, request: pb::CopyRequest) -> Result<pb::CopyReply, Status> {
    let account = demand(inner, &request.grant, Right::Own)?;
    let moves = match request.mode() {
        Mode::Copy => false,
        Mode::Move => true,
        Mode::Unspecified => {
            return Err(Refusal::Invalid("whether to copy or to move is not said".into()).into());
        }
    };
    let destination = name(&request.destination)?;
    let uids = set_from_pb(&request.uids);
    for _ in 0..ATTEMPTS {
        let by_name = Which::Name(destination.as_str());
        let to = inner.db.mailbox(account, by_name).await?;
        let to = to.ok_or_else(|| no_mailbox(destination.as_str()))?;
        let source = MailboxId::new(request.mailbox_id);
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
async fn map(
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

async fn finish(
    inner: &Inner,
    account: AccountId,
    known_modseq: u64,
    copied: Copied,
) -> Result<pb::CopyReply, Status> {
    let Copied { source, destination, source_uids, first_uid } = copied;
    let count = source_uids.len();
    let mut to = UidSet::new();
    if count > 0 {
        publish(inner, account, destination.id, destination.highest_modseq);
        if source.state.id != destination.id && source.state.highest_modseq > source.before {
            publish(inner, account, source.state.id, source.state.highest_modseq);
        }
        let last = u32::try_from(first_uid.unsigned_abs() + count - 1).ok().and_then(Uid::new);
        let first = u32::try_from(first_uid).ok().and_then(Uid::new);
        if let (Some(first), Some(last)) = (first, last) {
            to = UidSet::range(first, last);
        }
    }
    Ok(pb::CopyReply {
        uid_validity: destination.uidvalidity as u32,
        source: set_to_pb(&source_uids),
        destination: set_to_pb(&to),
        sync: Some(sync::after(inner, account, known_modseq, source).await?),
    })
}
