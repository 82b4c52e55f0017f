//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE.

use imap_wire::{Code, MailboxAttribute};
use mail_rpc::{Refusal, pb};
use mail_types::{MailboxName, SpecialUse};

use super::list;
use crate::error::{CmdError, CmdResult, Done, DoneCode};
use crate::others::{object_id, other_account};
use crate::session::Session;

/// RFC 9051 §6.3.4, RFC 6154 §3, RFC 8474 §4.1
pub(crate) async fn create(session: &mut Session, name: &MailboxName, uses: &[SpecialUse]) -> CmdResult {
    let special_use = match uses {
        [] => 0,
        [only] => *only as u32,
        // RFC 6154 §3: uses that cannot be combined.
        _ => return Err(CmdError::no(Code::UseAttr, "A mailbox can have one special use only")),
    };
    let target = session.target(name).await?;
    let owner = target.whose.to_pb();
    let request = pb::CreateRequest { owner, grant: session.grant()?, name: target.name, special_use };
    let reply = session.gateway.backends.mailbox.create(request).await.map_err(Refusal::from);
    let state = reply.map_err(|refusal| match refusal {
        Refusal::Declined(text) if special_use != 0 => CmdError::no(Code::UseAttr, text),
        other => other.into(),
    })?;
    list::write_normalized(session, name, &[]);
    session.note_own_names(&[name.as_str()]);
    Done::with_code(DoneCode::MailboxId(object_id('M', owner, state.mailbox_id)))
}

/// RFC 9051 §6.3.5
pub(crate) async fn delete(session: &mut Session, name: &MailboxName) -> CmdResult {
    let target = session.target(name).await?;
    let owner = target.whose.to_pb();
    let request = pb::DeleteRequest { owner, grant: session.grant()?, name: target.name };
    match session.gateway.backends.mailbox.delete(request).await.map_err(Refusal::from) {
        Ok(_) => {}
        // RFC 9051 §6.3.5: a name that is only there for those below it.
        Err(Refusal::NotFound(_)) if owner == 0 && list::has_children(session, name).await? => {
            return Err(CmdError::no(Code::HasChildren, "There are mailboxes below it"));
        }
        Err(refusal) => return Err(refusal.into()),
    }
    list::write_normalized(session, name, &[MailboxAttribute::NonExistent]);
    session.note_own_names(&[name.as_str()]);
    Done::plain()
}

/// RFC 9051 §6.3.6
pub(crate) async fn rename(session: &mut Session, from: &MailboxName, to: &MailboxName) -> CmdResult {
    let (source, target) = (session.target(from).await?, session.target(to).await?);
    if source.whose != target.whose {
        // Of a mailbox that is not there, or that nobody may know of, that is said first.
        let (grant, owner, name) = (session.grant()?, source.whose.to_pb(), source.name);
        session.gateway.backends.mailbox.my_rights(pb::MyRightsRequest { grant, owner, name }).await?;
        return Err(other_account());
    }
    let owner = source.whose.to_pb();
    let request = pb::RenameRequest { owner, grant: session.grant()?, from: source.name, to: target.name };
    session.gateway.backends.mailbox.rename(request).await?;
    // RFC 9051 §6.3.6: the name that it had, as the client gave it.
    if !session.normalized.is_empty() {
        let given = session.normalized.iter().find(|(_, name)| name == from).map(|(given, _)| given.clone());
        session.normalized = vec![(given.unwrap_or_else(|| from.as_str().to_owned()), to.clone())];
    }
    list::write_normalized(session, to, &[]);
    session.note_own_names(&[from.as_str(), to.as_str()]);
    Done::plain()
}

/// RFC 9051 §6.3.7
pub(crate) async fn subscribe(session: &mut Session, name: &MailboxName) -> CmdResult {
    set_subscribed(session, name, true).await
}

/// RFC 9051 §6.3.8
pub(crate) async fn unsubscribe(session: &mut Session, name: &MailboxName) -> CmdResult {
    set_subscribed(session, name, false).await
}

async fn set_subscribed(session: &mut Session, name: &MailboxName, subscribed: bool) -> CmdResult {
    let request =
        pb::SubscribeRequest { grant: session.grant()?, name: name.as_str().to_owned(), subscribed };
    session.gateway.backends.mailbox.subscribe(request).await?;
    session.note_own_names(&[name.as_str()]);
    Done::plain()
}
