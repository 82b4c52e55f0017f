//! SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314).

use imap_wire::{AclChange, Code, SetAcl};
use mail_rpc::pb;
use mail_rpc::pb::set_acl_request::How;
use mail_types::{MailboxName, Rights};

use crate::error::{CmdError, CmdResult, Done};
use crate::others::Target;
use crate::session::Session;

/// RFC 4314 §2: everybody who can log in.
const ANYONE: &str = "anyone";
/// RFC 4314 §2: marks rights that are taken away.
const NEGATIVE: char = '-';

/// RFC 4314 §3.1
pub(crate) async fn set_acl(session: &mut Session, set: SetAcl) -> CmdResult {
    let rights =
        Rights::parse(&set.rights).map_err(|error| CmdError::Bad(Code::None, error.to_string().into()))?;
    let how = match set.change {
        AclChange::Replace => How::Replace,
        AclChange::Add => How::Add,
        AclChange::Remove => How::Remove,
    };
    // First the mailbox: who may not change its list is not told who has an account.
    let target = administered(session, &set.mailbox).await?.0;
    let entry = entry(session, &set.identifier).await?;
    let entry = entry.ok_or_else(|| CmdError::no(Code::Cannot, "There is no such user"))?;
    change(session, target, how, pb::AclEntry { rights: rights.bits(), ..entry }).await
}

/// RFC 4314 §3.2
pub(crate) async fn delete_acl(session: &mut Session, name: &MailboxName, identifier: &str) -> CmdResult {
    let target = administered(session, name).await?.0;
    match entry(session, identifier).await? {
        Some(entry) => change(session, target, How::Replace, entry).await,
        // Entries of accounts that are no more went with them.
        None => Done::plain(),
    }
}

/// RFC 4314 §3.3
pub(crate) async fn get_acl(session: &mut Session, name: &MailboxName) -> CmdResult {
    let (target, acl) = administered(session, name).await?;
    let owner = owner_address(session, &target)?;
    let mut entries = vec![(owner, Rights::ALL.to_string())];
    for entry in acl.entries {
        let sign = if entry.negative { "-" } else { "" };
        let who = if entry.grantee == 0 { ANYONE } else { &entry.address };
        entries.push((format!("{sign}{who}"), Rights::from_bits(entry.rights).to_string()));
    }
    let entries: Vec<(&str, &str)> = entries.iter().map(|(who, rights)| (&**who, &**rights)).collect();
    session.writer().acl(name.as_str(), &entries);
    Done::plain()
}

/// RFC 4314 §3.4: every right can be given by itself, and the owner has all of them.
pub(crate) async fn list_rights(session: &mut Session, name: &MailboxName, identifier: &str) -> CmdResult {
    let (target, _) = administered(session, name).await?;
    let entry = entry(session, identifier).await?;
    let entry = entry.ok_or_else(|| CmdError::no(Code::Cannot, "There is no such user"))?;
    let all = Rights::ALL.to_string();
    if entry.grantee == target.whose.owner().get() {
        session.writer().list_rights(name.as_str(), identifier, &all, &[]);
    } else {
        let each: Vec<String> = all.chars().map(String::from).collect();
        let each: Vec<&str> = each.iter().map(String::as_str).collect();
        session.writer().list_rights(name.as_str(), identifier, "", &each);
    }
    Done::plain()
}

/// RFC 4314 §3.5
pub(crate) async fn my_rights(session: &mut Session, name: &MailboxName) -> CmdResult {
    let target = session.target(name).await?;
    let request =
        pb::MyRightsRequest { grant: session.grant()?, owner: target.whose.to_pb(), name: target.name };
    let reply = session.gateway.backends.mailbox.my_rights(request).await?;
    session.writer().my_rights(name.as_str(), &Rights::from_bits(reply.rights).to_string());
    Done::plain()
}

/// A mailbox whose list the user may see and change, and the list.
async fn administered(session: &Session, name: &MailboxName) -> Result<(Target, pb::Acl), CmdError> {
    let target = session.target(name).await?;
    let owner = target.whose.to_pb();
    let request = pb::GetAclRequest { grant: session.grant()?, owner, name: target.name.clone() };
    let acl = session.gateway.backends.mailbox.get_acl(request).await?;
    Ok((target, acl))
}

/// Whom an identifier means. `None`: nobody here.
async fn entry(session: &Session, identifier: &str) -> Result<Option<pb::AclEntry>, CmdError> {
    let (negative, who) = match identifier.strip_prefix(NEGATIVE) {
        Some(who) => (true, who),
        None => (false, identifier),
    };
    if who.is_empty() {
        return Err(CmdError::bad("An identifier cannot be empty"));
    }
    if who == ANYONE {
        return Ok(Some(pb::AclEntry { negative, ..Default::default() }));
    }
    let found = session.resolve(who).await?;
    Ok(found.map(|reply| pb::AclEntry {
        grantee: reply.account_id,
        negative,
        address: reply.account_address,
        rights: 0,
    }))
}

async fn change(session: &mut Session, target: Target, how: How, entry: pb::AclEntry) -> CmdResult {
    let owner_address = owner_address(session, &target)?;
    let request = pb::SetAclRequest {
        grant: session.grant()?,
        owner: target.whose.to_pb(),
        name: target.name,
        how: how.into(),
        entry: Some(entry),
        owner_address,
    };
    session.gateway.backends.mailbox.set_acl(request).await?;
    Done::plain()
}

fn owner_address(session: &Session, target: &Target) -> Result<String, CmdError> {
    Ok(if target.whose.is_shared() {
        target.owner_address.clone()
    } else {
        session.user()?.address.to_string()
    })
}
