//! REPLACE and UID REPLACE (RFC 8508): a message takes the place of another, in one transaction of storage.

use imap_wire::{Append, Code, Numbering, Replace, SeqBound, SequenceSet, Status};
use mail_rpc::{Refusal, pb};
use mail_types::Rights;

use super::append;
use crate::error::{CmdError, CmdResult, Done, DoneCode};
use crate::session::Session;
use crate::sync::Expunges;

const REMOVING: Rights = Rights::DELETE_MESSAGES.with(Rights::EXPUNGE);

pub(crate) async fn replace(session: &mut Session, replace: Replace) -> CmdResult {
    let Replace { by, message, mailbox, steps } = replace;
    let old = match old_message(session, by, message).await {
        Ok(old) => old,
        Err(error) => {
            session.framer.refuse_literal();
            return Err(error);
        }
    };
    let (whose, reply) = append::take(session, Append { mailbox, steps }, Some(old)).await?;
    let reply = match reply {
        Ok(reply) => reply,
        // Another session was faster.
        Err(Refusal::Declined(_)) => {
            session.sync(Expunges::Announce).await?;
            return Err(CmdError::expunge_issued());
        }
        Err(refusal) => return Err(CmdError::of_destination(refusal)),
    };
    // RFC 8508 §4.3: before the expunge, so that a client never has neither of the two.
    if let Some(code) = append::append_uid(&reply) {
        code.with(|code| session.writer().untagged(Status::Ok, code, "Replacement message ready"));
    }
    session.sync(Expunges::Announce).await?;
    let selected = session.selected()?;
    if selected.whose == whose && selected.mailbox().get() == reply.mailbox_id {
        session.note_own_messages(&reply.uids);
    }
    if !session.enabled.condstore {
        return Done::plain();
    }
    // RFC 8508 §4.5: as with UID EXPUNGE.
    Done::with_code(DoneCode::HighestModSeq(session.selected()?.view.snapshot().meta().modseq))
}

/// The message that is to go.
async fn old_message(
    session: &mut Session,
    by: Numbering,
    message: SeqBound,
) -> Result<pb::Replaced, CmdError> {
    let selected = session.selected()?;
    selected.demand_write()?;
    // RFC 8508 §4.1: what UID STORE and UID EXPUNGE need; storage asks again when it does the work.
    if !selected.rights.contains(REMOVING) {
        return Err(CmdError::no(Code::NoPerm, "You lack the right to delete messages"));
    }
    let set = SequenceSet::Ranges(vec![(message, message)]);
    let selection = selected.view.select(by, &set, &selected.saved)?;
    let (owner, mailbox_id) = (selected.whose.to_pb(), selected.mailbox().get());
    let uid = selected.view.messages(&selection).next().map(|message| message.entry.uid.get());
    if let Some(uid) = uid {
        return Ok(pb::Replaced { mailbox_id, uid, owner });
    }
    session.sync(Expunges::Announce).await?;
    Err(CmdError::expunge_issued())
}
