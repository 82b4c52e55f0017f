//! Mailboxes by name: LIST, STATUS, CREATE, DELETE, RENAME, SUBSCRIBE.

use std::sync::Arc;

use mail_rpc::{Refusal, Right, pb};
use mail_types::{AccountId, MailboxId, MailboxName};
use tonic::Status;

use super::sync::state_to_pb;
use super::{demand, no_account, no_mailbox, publish};
use crate::Inner;
use crate::db::Which;
use crate::tree::{self, Tree, TreeChange};

pub(super) async fn list(inner: &Inner, request: pb::ListRequest) -> Result<pb::ListReply, Status> {
    let account = demand(inner, &request.grant, Right::Own)?;
    list_reply(inner, account).await
}

/// What List answers.
///
/// # Errors
/// Those of the database; NOT_FOUND without an account.
pub(super) async fn list_reply(inner: &Inner, account: AccountId) -> Result<pb::ListReply, Status> {
    let tree = inner.db.tree(account).await?.ok_or_else(no_account)?;
    let mut reply = pb::ListReply {
        mailboxes: tree.mailboxes.iter().map(state_to_pb).collect(),
        ghost_subscriptions: tree.ghosts,
        fingerprint: 0,
        metadata_version: tree.annotation_version.unsigned_abs(),
    };
    reply.fingerprint = fingerprint(&reply);
    Ok(reply)
}

/// A number that stands for all of it.
fn fingerprint(reply: &pb::ListReply) -> u64 {
    let hash = blake3::hash(&mail_rpc::encode(reply));
    let first = hash.as_bytes().first_chunk().copied().unwrap_or_default();
    // As a mod-sequence it has 63 bits, and is not 0.
    u64::from_le_bytes(first) >> 1 | 1
}

pub(super) async fn status(inner: &Inner, request: pb::StatusRequest) -> Result<pb::MailboxState, Status> {
    let account = demand(inner, &request.grant, Right::Own)?;
    let name = name(&request.name)?;
    let row = inner.db.mailbox(account, Which::Name(name.as_str())).await?;
    Ok(state_to_pb(&row.ok_or_else(|| no_mailbox(name.as_str()))?))
}

pub(super) async fn create(inner: &Inner, request: pb::CreateRequest) -> Result<pb::MailboxState, Status> {
    let account = demand(inner, &request.grant, Right::Own)?;
    let name = name(&request.name)?;
    let (asked, special_use) = (name.clone(), request.special_use);
    change(inner, account, move |tree| tree::create(tree, &asked, special_use)).await?;
    let row = inner.db.mailbox(account, Which::Name(name.as_str())).await?;
    Ok(state_to_pb(&row.ok_or_else(|| no_mailbox(name.as_str()))?))
}

pub(super) async fn delete(inner: &Inner, request: pb::DeleteRequest) -> Result<pb::DeleteReply, Status> {
    let account = demand(inner, &request.grant, Right::Own)?;
    let name = name(&request.name)?;
    change(inner, account, move |tree| tree::delete(tree, &name)).await?;
    Ok(pb::DeleteReply {})
}

pub(super) async fn rename(inner: &Inner, request: pb::RenameRequest) -> Result<pb::RenameReply, Status> {
    let account = demand(inner, &request.grant, Right::Own)?;
    let (from, to) = (name(&request.from)?, name(&request.to)?);
    change(inner, account, move |tree| tree::rename(tree, &from, &to)).await?;
    Ok(pb::RenameReply {})
}

pub(super) async fn subscribe(
    inner: &Inner,
    request: pb::SubscribeRequest,
) -> Result<pb::SubscribeReply, Status> {
    let account = demand(inner, &request.grant, Right::Own)?;
    let name = name(&request.name)?;
    change(inner, account, move |tree| tree::subscribe(tree, &name, request.subscribed)).await?;
    Ok(pb::SubscribeReply {})
}

/// A valid name.
///
/// # Errors
/// INVALID_ARGUMENT.
pub(super) fn name(text: &str) -> Result<MailboxName, Status> {
    MailboxName::try_from(text).map_err(|error| Refusal::Invalid(error.to_string()).into())
}

async fn change<F>(inner: &Inner, account: AccountId, plan: F) -> Result<(), Status>
where
    F: Fn(&Tree) -> Result<Vec<TreeChange>, Refusal> + Send + Sync + 'static,
{
    let changes = inner.db.tree_change(account, Arc::new(plan)).await?.ok_or_else(no_account)?;
    for change in &changes {
        match change {
            // Sessions that have it open look, and learn that it is gone.
            TreeChange::Delete { id } => publish(inner, account, *id, i64::MAX),
            TreeChange::MoveAll { from, .. } => publish(inner, account, *from, i64::MAX),
            _ => {}
        }
    }
    publish(inner, account, MailboxId::new(0), 0);
    Ok(())
}
