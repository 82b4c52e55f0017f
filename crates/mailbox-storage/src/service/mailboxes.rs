//! Mailboxes by name: LIST, STATUS, CREATE, DELETE, RENAME, SUBSCRIBE.

use std::sync::Arc;

use mail_rpc::{Refusal, Right, pb};
use mail_types::{AccountId, MailboxId, MailboxName, Rights};
use tonic::Status;

use super::access::{access, forbidden, who};
use super::sync::state_to_pb;
use super::{demand, no_account, no_mailbox, publish};
use crate::Inner;
use crate::db::Which;
use crate::tree::{self, By, Tree, TreeChange};

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
    let shared = inner.db.shared_with(account).await?;
    let shared = shared.iter().filter(|shared| shared.rights.contains(Rights::LOOKUP));
    let mut reply = pb::ListReply {
        mailboxes: tree.mailboxes.iter().map(|row| state_to_pb(row, Rights::ALL)).collect(),
        ghost_subscriptions: tree.ghosts,
        shared: shared
            .map(|shared| pb::SharedMailbox {
                owner: shared.owner.get(),
                owner_address: shared.owner_address.clone(),
                state: Some(state_to_pb(&shared.state, shared.rights)),
            })
            .collect(),
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
    let name = name(&request.name)?;
    let (grant, which) = ((&*request.grant, request.owner, Right::Own), Which::Name(name.as_str()));
    let asked = access(inner, grant, which, Rights::READ).await?;
    let row = match asked.reader {
        None => inner.db.mailbox(asked.account, which).await?,
        Some(reader) => {
            inner.db.shared_access(asked.account, which, reader.account).await?.map(|(row, _)| row)
        }
    };
    Ok(state_to_pb(&row.ok_or_else(|| no_mailbox(name.as_str()))?, asked.rights))
}

pub(super) async fn create(inner: &Inner, request: pb::CreateRequest) -> Result<pb::MailboxState, Status> {
    let (account, by) = who_changes(inner, &request.grant, request.owner)?;
    let name = name(&request.name)?;
    let (asked, special_use) = (name.clone(), request.special_use);
    if special_use != 0 && matches!(by, By::Reader(_)) {
        return Err(Refusal::Declined("what a mailbox is for is said by its owner".into()).into());
    }
    change(inner, (account, by), forbidden, move |tree| tree::create(tree, by, &asked, special_use)).await?;
    let row = inner.db.mailbox(account, Which::Name(name.as_str())).await?;
    Ok(state_to_pb(&row.ok_or_else(|| no_mailbox(name.as_str()))?, Rights::ALL))
}

pub(super) async fn delete(inner: &Inner, request: pb::DeleteRequest) -> Result<pb::DeleteReply, Status> {
    let who = who_changes(inner, &request.grant, request.owner)?;
    let name = name(&request.name)?;
    let absent = no_mailbox(name.as_str());
    change(inner, who, || absent, move |tree| tree::delete(tree, who.1, &name)).await?;
    Ok(pb::DeleteReply {})
}

pub(super) async fn rename(inner: &Inner, request: pb::RenameRequest) -> Result<pb::RenameReply, Status> {
    let who = who_changes(inner, &request.grant, request.owner)?;
    let (from, to) = (name(&request.from)?, name(&request.to)?);
    let absent = no_mailbox(from.as_str());
    change(inner, who, || absent, move |tree| tree::rename(tree, who.1, &from, &to)).await?;
    Ok(pb::RenameReply {})
}

pub(super) async fn subscribe(
    inner: &Inner,
    request: pb::SubscribeRequest,
) -> Result<pb::SubscribeReply, Status> {
    let account = demand(inner, &request.grant, Right::Own)?;
    let name = name(&request.name)?;
    let plan = move |tree: &Tree| tree::subscribe(tree, &name, request.subscribed);
    change(inner, (account, By::Owner), no_account, plan).await?;
    Ok(pb::SubscribeReply {})
}

/// A valid name.
///
/// # Errors
/// INVALID_ARGUMENT.
pub(super) fn name(text: &str) -> Result<MailboxName, Status> {
    MailboxName::try_from(text).map_err(|error| Refusal::Invalid(error.to_string()).into())
}

/// Whose tree is to change, and by whom: what that allows is decided where it is changed.
fn who_changes(inner: &Inner, grant: &[u8], owner: u64) -> Result<(AccountId, By), Status> {
    let (account, reader) = who(inner, grant, owner, Right::Own)?;
    Ok((account, reader.map_or(By::Owner, By::Reader)))
}

/// `absent`: what a reader hears when there is no such account.
async fn change<F>(
    inner: &Inner,
    (account, by): (AccountId, By),
    absent: impl FnOnce() -> Status,
    plan: F,
) -> Result<(), Status>
where
    F: Fn(&Tree) -> Result<Vec<TreeChange>, Refusal> + Send + Sync + 'static,
{
    let changes = inner.db.tree_change(account, Arc::new(plan)).await?.ok_or_else(|| match by {
        By::Owner => no_account(),
        By::Reader(_) => absent(),
    })?;
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
