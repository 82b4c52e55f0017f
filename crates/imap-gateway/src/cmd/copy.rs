//! COPY and MOVE (RFC 9051 §6.4.7, §6.4.8; RFC 4315 §3; RFC 6851).

use std::sync::Arc;

use imap_wire::{Numbering, SequenceSet, Status};
use mail_rpc::{Refusal, pb, set_from_pb, set_to_pb};
use mail_types::{MailboxName, UidValidity};

use crate::error::{CmdError, CmdResult, Done, DoneCode};
use crate::session::Session;
use crate::sync::Expunges;

pub(crate) async fn copy(
    session: &mut Session,
    by: Numbering,
    set: &SequenceSet,
    destination: &MailboxName,
) -> CmdResult {
    let Some(reply) = transfer(session, by, set, (destination, pb::copy_request::Mode::Copy)).await? else {
        return Done::plain();
    };
    match copy_uid(&reply) {
        Some(code) => Done::with_code(code),
        None => Done::plain(),
    }
}

/// RFC 6851 §3.3: COPYUID comes before the expunges, in an untagged OK.
pub(crate) async fn move_messages(
    session: &mut Session,
    by: Numbering,
    set: &SequenceSet,
    destination: &MailboxName,
) -> CmdResult {
    session.selected()?.demand_write()?;
    let moved = transfer(session, by, set, (destination, pb::copy_request::Mode::Move)).await?;
    if moved.is_none() || !session.enabled.condstore {
        return Done::plain();
    }
    // RFC 7162 §3.2.9 and errata: MOVE is like EXPUNGE.
    Done::with_code(DoneCode::HighestModSeq(session.selected()?.view.snapshot().meta().modseq))
}

async fn transfer(
    session: &mut Session,
    by: Numbering,
    set: &SequenceSet,
    (destination, mode): (&MailboxName, pb::copy_request::Mode),
) -> Result<Option<pb::CopyReply>, CmdError> {
    let selected = session.selected()?;
    let selection = selected.view.select(by, set, &selected.saved)?;
    // All or nothing (RFC 9051 §6.4.7), so a message that is gone fails the command.
    if by == Numbering::Sequence && selection.names_ghosts {
        return Err(CmdError::expunge_issued());
    }
    let uids = selected.view.uids(&selection);
    if uids.is_empty() {
        return Ok(None);
    }
    let target = session.target(destination).await?;
    let known = session.newest()?;
    let request = pb::CopyRequest {
        owner: session.selected()?.whose.to_pb(),
        destination_owner: target.whose.to_pb(),
        grant: session.grant()?,
        mailbox_id: known.meta().mailbox.get(),
        uids: set_to_pb(&uids),
        destination: target.name,
        mode: mode.into(),
        known_modseq: known.meta().modseq.get(),
    };
    let gateway = Arc::clone(&session.gateway);
    let reply = session.patiently(gateway.backends.mailbox.copy(request)).await?;
    let reply = match reply.map_err(Refusal::from) {
        Ok(reply) => reply,
        // Source or destination? If it is the source, asking for its news says so.
        Err(refusal @ Refusal::NotFound(_)) => {
            session.sync(Expunges::Announce).await?;
            return Err(CmdError::of_destination(refusal));
        }
        Err(refusal) => return Err(refusal.into()),
    };
    if mode == pb::copy_request::Mode::Move
        && let Some(code) = copy_uid(&reply)
    {
        code.with(|code| session.writer().untagged(Status::Ok, code, "Moved"));
    }
    // RFC 5465 §3.1: a copy changes nothing here, so a client that wants no news of this mailbox gets none by it.
    let is_silent = mode == pb::copy_request::Mode::Copy && session.wants_no_news();
    if let Some(sync) = reply.sync.as_ref().filter(|_| !is_silent) {
        match session.take_reply(&known, sync, Expunges::Announce, None) {
            // The mailbox was renamed meanwhile, and its UIDs have another validity. The messages are copied all the same, and the
            // client is to hear where they are; the next command hears the rest.
            Err(CmdError::Bye(..)) if mode == pb::copy_request::Mode::Copy => {}
            told => told?,
        }
    }
    Ok(Some(reply))
}

fn copy_uid(reply: &pb::CopyReply) -> Option<DoneCode> {
    let validity = UidValidity::new(reply.uid_validity)?;
    if reply.source.is_empty() {
        return None;
    }
    // Both ascend (RFC 4315 §3), so that as sets they still go together one by one.
    Some(DoneCode::CopyUid(validity, set_from_pb(&reply.source), set_from_pb(&reply.destination)))
}
