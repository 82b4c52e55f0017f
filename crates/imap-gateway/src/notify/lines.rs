//! A look at all mailboxes, and the lines that come of it.

use imap_wire::StatusItem;
use mail_rpc::{Refusal, pb};

use super::changes::{Changes, Known};
use super::sources::Key;
use super::{Notifier, load};
use crate::cmd::{list, status};
use crate::error::CmdError;
use crate::limits::NOTIFY_LINES_MAX;
use crate::others::shared_name;
use crate::session::Session;

/// LIST's data, and what it is to this client. What the user has seen of others' mailboxes is asked one by one, and with it
/// whether they may still be read.
pub(super) async fn look_at(session: &Session) -> Result<(pb::ListReply, Known), CmdError> {
    let mut list = load(session).await?;
    let mut new = Known::new(&list);
    let Some(notifier) = &session.notify else { return Ok((list, new)) };
    let stale = new.stale(&notifier.known, &notifier.spec);
    for key in stale.into_iter().take(NOTIFY_LINES_MAX) {
        let shared = list.shared.iter_mut().find(|shared| (shared.owner, id_of(&shared.state)) == key);
        let Some(state) = shared.and_then(|shared| shared.state.as_mut()) else { continue };
        let request = pb::StatusRequest { owner: key.0, grant: session.grant()?, name: state.name.clone() };
        match session.gateway.backends.mailbox.status(request).await.map_err(Refusal::from) {
            // Another one may have taken its name meanwhile.
            Ok(fresh) if fresh.mailbox_id == key.1 => {
                new.freshen(key, Some(&fresh));
                *state = fresh;
            }
            Ok(_) | Err(Refusal::NotFound(_) | Refusal::Forbidden(_)) => new.freshen(key, None),
            Err(refusal) => return Err(refusal.into()),
        }
    }
    Ok((list, new))
}

fn id_of(state: &Option<pb::MailboxState>) -> u64 {
    state.as_ref().map_or(0, |state| state.mailbox_id)
}

pub(super) fn write(session: &mut Session, list: &pb::ListReply, changes: &Changes) {
    if !changes.names.is_empty() {
        let Ok(account) = session.user().map(|user| user.account) else { return };
        let tree = list::Tree::new(account, list.clone());
        for (name, old_name) in &changes.names {
            tree.write_event(&mut session.writer(), name, old_name.as_deref());
        }
    }
    write_status(session, list, &changes.status);
}

pub(super) fn write_status(session: &mut Session, list: &pb::ListReply, lines: &[(Key, Vec<StatusItem>)]) {
    for ((owner, id), items) in lines {
        let own = || list.mailboxes.iter().find(|state| state.mailbox_id == *id);
        let shared = || {
            let mut all = list.shared.iter();
            all.find(|shared| (shared.owner, id_of(&shared.state)) == (*owner, *id))
        };
        let (name, state) = match owner {
            0 => (own().map(|state| state.name.clone()), own()),
            _ => {
                let state = shared().and_then(|shared| shared.state.as_ref());
                let address = shared().map(|shared| shared.owner_address.as_str());
                (address.zip(state).and_then(|(address, state)| shared_name(address, &state.name)), state)
            }
        };
        let (Some(name), Some(state)) = (name, state) else { continue };
        let (deleted_bytes, append_limit) = (0, 0);
        let line =
            status::StatusLine { name: &name, owner: *owner, state, items, deleted_bytes, append_limit };
        line.write(&mut session.writer());
    }
}

/// RFC 5465 §3.1: which of the mailboxes can be listed, and no more.
pub(super) fn write_without_access(session: &mut Session, list: &pb::ListReply, notifier: &Notifier) {
    let Ok(account) = session.user().map(|user| user.account) else { return };
    let names = notifier.known.without_access(&notifier.spec);
    if names.is_empty() {
        return;
    }
    let tree = list::Tree::new(account, list.clone());
    for name in names {
        tree.write_without_access(&mut session.writer(), name);
    }
}
