//! CHECK, CLOSE, UNSELECT, EXPUNGE and UID EXPUNGE.

use std::sync::Arc;

use imap_wire::{Numbering, SequenceSet};
use mail_rpc::{Refusal, pb, set_to_pb};
use mail_types::UidSet;

use crate::error::{CmdError, CmdResult, Done, DoneCode};
use crate::session::Session;
use crate::state::Access;
use crate::sync::Expunges;

/// RFC 3501 §6.4.1: all that is acknowledged is on disk already.
pub(crate) async fn check(session: &mut Session) -> CmdResult {
    session.sync_news(Expunges::Announce).await?;
    Done::plain()
}

/// RFC 9051 §6.4.1: expunges in silence.
pub(crate) async fn close(session: &mut Session) -> CmdResult {
    let selected = session.selected()?;
    if selected.access == Access::ReadWrite {
        // A \Deleted that another session has set and this one has not heard of counts too.
        let uids = UidSet::all();
        let request = expunge_request(session, &uids, 0)?;
        let gateway = Arc::clone(&session.gateway);
        let reply = session.patiently(gateway.backends.mailbox.expunge(request)).await?;
        match reply.map_err(Refusal::from) {
            // RFC 4314 §4: without the right to expunge, closing is all that happens.
            Ok(_) | Err(Refusal::NotFound(_) | Refusal::Forbidden(_)) => {}
            Err(refusal) => return Err(refusal.into()),
        }
    }
    session.unselect();
    Done::plain()
}

/// RFC 9051 §6.4.2
pub(crate) fn unselect(session: &mut Session) -> CmdResult {
    session.unselect();
    Done::plain()
}

/// RFC 9051 §6.4.3; with a set, RFC 4315 §2.1.
pub(crate) async fn expunge(session: &mut Session, set: Option<SequenceSet>) -> CmdResult {
    let selected = session.selected()?;
    selected.demand_write()?;
    let uids = match &set {
        Some(set) => {
            let selection = selected.view.select(Numbering::Uid, set, &selected.saved)?;
            selected.view.uids(&selection)
        }
        // All messages, those too that this client has not been told of.
        None => UidSet::all(),
    };
    if uids.is_empty() {
        session.sync(Expunges::Announce).await?;
        return completed(session);
    }
    let known = session.newest()?;
    let request = expunge_request(session, &uids, known.meta().modseq.get())?;
    let gateway = Arc::clone(&session.gateway);
    let reply = session.patiently(gateway.backends.mailbox.expunge(request)).await?;
    let reply = reply.map_err(|status| CmdError::of_selected(Refusal::from(status)))?;
    match &reply.sync {
        Some(sync) => session.take_reply(&known, sync, Expunges::Announce, None)?,
        None => session.sync(Expunges::Announce).await?,
    }
    completed(session)
}

/// RFC 7162 §3.2.7 and §3.2.8: the mod-sequence up to which the client has now heard everything.
fn completed(session: &Session) -> CmdResult {
    if !session.enabled.condstore {
        return Done::plain();
    }
    Done::with_code(DoneCode::HighestModSeq(session.selected()?.view.snapshot().meta().modseq))
}

fn expunge_request(
    session: &Session,
    uids: &UidSet,
    known_modseq: u64,
) -> Result<pb::ExpungeRequest, CmdError> {
    Ok(pb::ExpungeRequest {
        owner: session.selected()?.whose.to_pb(),
        grant: session.grant()?,
        mailbox_id: session.selected()?.mailbox().get(),
        uids: set_to_pb(uids),
        which: pb::expunge_request::Which::Deleted.into(),
        known_modseq,
    })
}
