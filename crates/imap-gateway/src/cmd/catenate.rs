//! The parts of a message that CATENATE puts together (RFC 4469): literals, and what URLs of this account point to.

use bytes::Bytes;
use imap_wire::ImapUrl;
use mail_rpc::{Refusal, pb};
use mail_types::{MailboxId, MailboxName};

use crate::error::CmdError;
use crate::fetch::{Part, Place};
use crate::others::{Target, shared_name};
use crate::session::Session;
use crate::state::State;

/// What a URL of an APPEND points to.
///
/// # Errors
/// `NO [BADURL]` for whatever is not a message, or a part of one, of the account that has logged in: absolute URLs are for
/// extensions to come (RFC 4469 §3).
pub(super) async fn open(session: &Session, url: &Bytes) -> Result<Part, CmdError> {
    let bad_url = || CmdError::BadUrl(url.clone());
    let parsed = ImapUrl::parse(url).ok_or_else(bad_url)?;
    if parsed.server.is_some() || parsed.auth.is_some() {
        return Err(bad_url());
    }
    let selected = if parsed.is_relative() { selected_name(session).await? } else { None };
    let mailbox = parsed.mailbox(selected.as_ref()).ok_or_else(bad_url)?;
    let place = place(session, &mailbox, &parsed).await?;
    let Some(place) = place else { return Err(bad_url()) };
    open_at(session, &place, &parsed).await?.ok_or_else(bad_url)
}

/// The part in a mailbox that is found already; `None` if it is not there.
pub(super) async fn open_at(
    session: &Session,
    place: &Place,
    url: &ImapUrl,
) -> Result<Option<Part>, CmdError> {
    let storage = &session.gateway.backends.mailbox;
    Part::open(storage, place, url.uid, (&url.section, url.partial), None).await
}

/// The mailbox of a URL; `None` if it is not there or not to be read (RFC 4314 §4: the right `r`), or another one of that name.
async fn place(session: &Session, mailbox: &MailboxName, url: &ImapUrl) -> Result<Option<Place>, CmdError> {
    let Target { whose, name, .. } = session.target(mailbox).await?;
    let (owner, grant) = (whose.to_pb(), session.grant()?);
    let request = pb::StatusRequest { owner, grant: grant.clone(), name };
    let state = match session.gateway.backends.mailbox.status(request).await.map_err(Refusal::from) {
        Ok(state) => state,
        Err(Refusal::NotFound(_) | Refusal::Forbidden(_)) => return Ok(None),
        Err(refusal) => return Err(refusal.into()),
    };
    if url.uid_validity.is_some_and(|validity| validity.get() != state.uid_validity) {
        return Ok(None);
    }
    Ok(Some(Place { account: whose.owner(), owner, grant, mailbox: MailboxId::new(state.mailbox_id) }))
}

/// The name that the selected mailbox has now: the base of relative URLs.
async fn selected_name(session: &Session) -> Result<Option<MailboxName>, CmdError> {
    let State::Selected(_, selected) = &session.state else { return Ok(None) };
    let id = selected.mailbox().get();
    let request = pb::ListRequest { grant: session.grant()? };
    let tree = session.gateway.backends.mailbox.list(request).await?;
    if selected.whose.is_shared() {
        let owner = selected.whose.owner().get();
        let is_it = |shared: &pb::SharedMailbox| {
            shared.owner == owner && shared.state.as_ref().is_some_and(|state| state.mailbox_id == id)
        };
        let found = tree.shared.into_iter().find(is_it);
        let name = found.and_then(|shared| shared_name(&shared.owner_address, &shared.state?.name));
        return Ok(name.and_then(|name| MailboxName::try_from(name.as_str()).ok()));
    }
    let state = tree.mailboxes.into_iter().find(|state| state.mailbox_id == id);
    Ok(state.and_then(|state| MailboxName::try_from(state.name.as_str()).ok()))
}
