//! Access control lists (RFC 4314).

use std::sync::Arc;

use mail_rpc::pb::set_acl_request::How;
use mail_rpc::{Refusal, Right, pb};
use mail_types::{AccountId, MailboxId, Rights};
use tonic::Status;

use super::access::access;
use super::mailboxes::name;
use super::{no_mailbox, publish};
use crate::Inner;
use crate::db::Which;
use crate::sharing::{AclEdit, RightsEdit};

/// Longest address that is kept for showing, in octets.
const ADDRESS_BYTES_MAX: usize = 512;

pub(super) async fn my_rights(
    inner: &Inner,
    request: pb::MyRightsRequest,
) -> Result<pb::MyRightsReply, Status> {
    let name = name(&request.name)?;
    let which = Which::Name(name.as_str());
    let asked = access(inner, (&request.grant, request.owner, Right::Own), which, Rights::NONE).await?;
    let row = inner.db.mailbox(asked.account, which).await?;
    row.ok_or_else(|| no_mailbox(name.as_str()))?;
    Ok(pb::MyRightsReply { rights: asked.rights.bits() })
}

pub(super) async fn get_acl(inner: &Inner, request: pb::GetAclRequest) -> Result<pb::Acl, Status> {
    let name = name(&request.name)?;
    let which = Which::Name(name.as_str());
    let needs = Rights::ADMINISTER;
    let asked = access(inner, (&request.grant, request.owner, Right::Own), which, needs).await?;
    let row = inner.db.mailbox(asked.account, which).await?.ok_or_else(|| no_mailbox(name.as_str()))?;
    let entries = inner.db.acl(asked.account, row.id).await?;
    let entries = entries.into_iter().map(|entry| pb::AclEntry {
        grantee: entry.grantee.get(),
        negative: entry.negative,
        address: entry.address,
        rights: entry.rights.bits(),
    });
    Ok(pb::Acl { entries: entries.collect() })
}

pub(super) async fn set_acl(inner: &Inner, request: pb::SetAclRequest) -> Result<pb::SetAclReply, Status> {
    let name = name(&request.name)?;
    let which = Which::Name(name.as_str());
    let needs = Rights::ADMINISTER;
    let asked = access(inner, (&request.grant, request.owner, Right::Own), which, needs).await?;
    let how = request.how();
    let entry = request.entry.unwrap_or_default();
    let too_long = entry.address.len() > ADDRESS_BYTES_MAX || request.owner_address.len() > ADDRESS_BYTES_MAX;
    if too_long || i64::try_from(entry.grantee).is_err() {
        return Err(Refusal::Invalid("an entry that cannot be kept".into()).into());
    }
    if AccountId::new(entry.grantee) == asked.account {
        return Err(Refusal::Declined("the owner of a mailbox has all rights, always".into()).into());
    }
    let rights = Rights::from_bits(entry.rights);
    let edit: RightsEdit = match how {
        How::Replace => Arc::new(move |_| rights),
        How::Add => Arc::new(move |held| held.with(rights)),
        How::Remove => Arc::new(move |held| held.without(rights)),
        How::Unspecified => return Err(Refusal::Invalid("how to change rights is not said".into()).into()),
    };
    let row = inner.db.mailbox(asked.account, which).await?.ok_or_else(|| no_mailbox(name.as_str()))?;
    let change = AclEdit {
        owner: asked.account,
        mailbox: row.id,
        grantee: AccountId::new(entry.grantee),
        negative: entry.negative,
        edit,
        address: entry.address,
        owner_address: request.owner_address,
    };
    let grantee = change.grantee;
    let changed = inner.db.acl_change(change, asked.reader).await?;
    changed.ok_or_else(|| no_mailbox(name.as_str()))?;
    // Whoever has it open looks, and learns what it still may do.
    publish(inner, asked.account, row.id, i64::MAX);
    // Whose list of mailboxes it is in, or not any more; 0: everybody's.
    publish(inner, grantee, MailboxId::new(0), 0);
    Ok(pb::SetAclReply {})
}
