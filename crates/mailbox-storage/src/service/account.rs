//! The account's store and its quota.

use mail_rpc::{Right, pb};
use mail_types::MailboxId;
use std::sync::Arc;
use tonic::Status;

use super::{demand, no_account, number, over_quota, publish};
use crate::db::{Limits, Quota};
use crate::{Inner, now, tree};

pub(super) async fn provision(
    inner: &Inner,
    request: pb::ProvisionRequest,
) -> Result<pb::ProvisionReply, Status> {
    let account = demand(inner, &request.grant, Right::Admin)?;
    let or = |asked: u64, usual: u64| number(if asked == 0 { usual } else { asked });
    let limits = Limits {
        bytes: or(request.limit_bytes, inner.config.quota_bytes),
        messages: or(request.limit_messages, inner.config.quota_messages),
    };
    inner.db.account_create(account, limits, now()).await?;
    inner.db.tree_change(account, Arc::new(tree::provision)).await?.ok_or_else(no_account)?;
    publish(inner, account, MailboxId::new(0), 0);
    Ok(pb::ProvisionReply {})
}

pub(super) async fn purge(inner: &Inner, request: pb::PurgeRequest) -> Result<pb::PurgeReply, Status> {
    let account = demand(inner, &request.grant, Right::Admin)?;
    inner.db.account_purge(account).await?;
    inner.snapshots.forget(account);
    inner.index.forget(account);
    inner.keywords.forget(account);
    publish(inner, account, MailboxId::new(0), 0);
    Ok(pb::PurgeReply {})
}

pub(super) async fn get_quota(inner: &Inner, request: pb::GetQuotaRequest) -> Result<pb::Quota, Status> {
    let account = demand(inner, &request.grant, Right::Own)?;
    let quota = inner.db.quota(account).await?.ok_or_else(no_account)?;
    let tree = inner.db.tree(account).await?.ok_or_else(no_account)?;
    Ok(pb::Quota {
        used_mailboxes: tree.mailboxes.len() as u64,
        limit_mailboxes: tree::MAILBOXES_MAX as u64,
        ..quota_to_pb(quota)
    })
}

pub(super) async fn set_quota(inner: &Inner, request: pb::SetQuotaRequest) -> Result<pb::Quota, Status> {
    let account = demand(inner, &request.grant, Right::Admin)?;
    let limits = Limits { bytes: number(request.limit_bytes), messages: number(request.limit_messages) };
    Ok(quota_to_pb(inner.db.quota_limit(account, limits).await?.ok_or_else(no_account)?))
}

pub(super) async fn check_room(
    inner: &Inner,
    request: pb::CheckRoomRequest,
) -> Result<pb::CheckRoomReply, Status> {
    let account = demand(inner, &request.grant, Right::Append)?;
    let quota = inner.db.quota(account).await?.ok_or_else(no_account)?;
    if quota.has_room(number(request.size), 1) { Ok(pb::CheckRoomReply {}) } else { Err(over_quota()) }
}

fn quota_to_pb(quota: Quota) -> pb::Quota {
    pb::Quota {
        used_bytes: quota.used_bytes.unsigned_abs(),
        used_messages: quota.used_messages.unsigned_abs(),
        limit_bytes: quota.limit_bytes.unsigned_abs(),
        limit_messages: quota.limit_messages.unsigned_abs(),
        ..pb::Quota::default()
    }
}
