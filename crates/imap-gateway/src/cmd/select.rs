//! SELECT and EXAMINE (RFC 9051 §6.3.2, §6.3.3), CONDSTORE and QRESYNC parameters (RFC 7162 §3.1.8, §3.2.5).

use std::sync::Arc;

use imap_wire::{Code, QResync, Select, SequenceSet, Status};
use mail_rpc::{Refusal, pb, set_from_pb};
use mail_types::{FlagBits, ModSeq, Rights, Uid, UidSet, UidValidity};
use tokio::time::Instant;

use super::list;
use crate::context::Contexts;
use crate::error::{CmdError, CmdResult, Done, DoneCode};
use crate::others::{Target, Whose, object_id};
use crate::session::Session;
use crate::snapshot::Snapshot;
use crate::state::{Access, Selected, State};
use crate::sync;
use crate::view::View;

pub(crate) async fn select(session: &mut Session, select: Select) -> CmdResult {
    open(session, select, Access::ReadWrite).await
}

pub(crate) async fn examine(session: &mut Session, select: Select) -> CmdResult {
    open(session, select, Access::ReadOnly).await
}

async fn open(session: &mut Session, select: Select, access: Access) -> CmdResult {
    if select.qresync.is_some() && !session.enabled.qresync {
        // RFC 7162 §3.2.5
        return Err(CmdError::bad("ENABLE QRESYNC comes first"));
    }
    // RFC 9051 §6.3.2: the mailbox that was open is closed even if the new one cannot be opened.
    if matches!(session.state, State::Selected(..)) {
        session.unselect();
        session.writer().untagged(Status::Ok, Code::Closed, "Previous mailbox closed");
    }
    session.enabled.condstore |= select.condstore;

    let user = session.user()?.clone();
    let gateway = Arc::clone(&session.gateway);
    // Subscribed before the database is read, so that nothing falls between the two.
    let Target { whose, name, .. } = session.target(&select.mailbox).await?;
    let subscription = gateway.backends.hints.subscribe(whose.owner()).await;
    let known = gateway.mailboxes.latest_by_name(whose, &name);
    let request = pb::OpenRequest {
        owner: whose.to_pb(),
        grant: user.grant.clone(),
        name: name.clone(),
        access: access.to_pb(),
        known: known.as_ref().map(|snapshot| pb::Known {
            mailbox_id: snapshot.meta().mailbox.get(),
            modseq: snapshot.meta().modseq.get(),
        }),
    };
    let reply = session.patiently(gateway.backends.mailbox.open(request)).await??;
    let snapshot = Snapshot::from_reply(known.as_ref(), &reply)?;
    let snapshot = gateway.mailboxes.keep(whose, snapshot);
    gateway.mailboxes.keep_name(whose, &name, snapshot.meta().mailbox);

    let mut view = View::of(whose.to_pb(), Arc::clone(&snapshot));
    view.add_recent(sync::recent_from(&snapshot, &reply, access), snapshot.meta().uid_next);
    let selected = Box::new(Selected {
        view,
        whose,
        rights: rights(whose, &reply),
        access,
        keywords_told: 0,
        saved: UidSet::new(),
        contexts: Contexts::default(),
        subscription,
        checked_at: Instant::now(),
    });
    session.state = State::Selected(user, selected);
    write_state(session)?;
    if session.enabled.rev2 {
        // RFC 9051 §6.3.2: LIST is part of the answer.
        list::write_selected(session, &select.mailbox).await?;
    }
    if let Some(qresync) = select.qresync {
        resynchronise(session, &qresync).await?;
    }
    // RFC 4314 §5.2
    Done::with_code(match session.selected()?.is_read_write() {
        true => DoneCode::ReadWrite,
        false => DoneCode::ReadOnly,
    })
}

/// The owner's are never in question.
fn rights(whose: Whose, reply: &pb::SyncReply) -> Rights {
    match &reply.state {
        Some(state) if whose.is_shared() => Rights::from_bits(state.rights),
        _ => Rights::ALL,
    }
}

/// RFC 3501 §6.3.1, RFC 7162 §3.1.2.1, RFC 8474 §4.2
fn write_state(session: &mut Session) -> Result<(), CmdError> {
    let State::Selected(_, selected) = &mut session.state else { return Ok(()) };
    let enabled = session.enabled;
    let out = session.connection.output();
    sync::write_flags(selected, enabled, out);
    sync::write_exists(&selected.view, enabled, out);
    let snapshot = selected.view.snapshot();
    let meta = snapshot.meta();
    let mut writer = enabled.writer(out);
    // RFC 9051 appendix E: not in IMAP4rev2. RFC 9586 §3: it is a sequence number.
    let tells_unseen = !enabled.rev2 && !enabled.uid_only;
    if let Some(index) = snapshot.first_without(FlagBits::SEEN).filter(|_| tells_unseen) {
        writer.untagged(Status::Ok, Code::Unseen(index as u32 + 1), "First unseen message");
    }
    if let Some(validity) = UidValidity::new(meta.uid_validity) {
        writer.untagged(Status::Ok, Code::UidValidity(validity), "UIDs are valid");
    }
    if let Some(next) = Uid::new(meta.uid_next) {
        writer.untagged(Status::Ok, Code::UidNext(next), "Predicted next UID");
    }
    writer.untagged(Status::Ok, Code::HighestModSeq(meta.modseq), "Highest mod-sequence");
    writer.untagged(
        Status::Ok,
        Code::MailboxId(&object_id('M', selected.view.owner(), meta.mailbox.get())),
        "Mailbox id",
    );
    // RFC 4467 §8
    writer.untagged(Status::Ok, Code::UrlMechInternal, "Mechanisms of authorized URLs");
    Ok(())
}

/// RFC 7162 §3.2.5: tells what changed since the client was here last, instead of having it ask.
async fn resynchronise(session: &mut Session, qresync: &QResync) -> Result<(), CmdError> {
    let selected = session.selected()?;
    let meta = selected.view.snapshot().meta().clone();
    // A mod-sequence from the future is one of a lost timeline: the client starts anew, as with another UIDVALIDITY.
    if qresync.uid_validity.get() != meta.uid_validity || qresync.mod_seq > meta.modseq {
        return Ok(());
    }
    let asked = match &qresync.known_uids {
        Some(set) => UidSet::from_ranges(set.resolve(u32::MAX)),
        None => UidSet::all(),
    };
    let in_step = qresync.sequence_match.as_ref().and_then(|pairs| in_step(&selected.view, pairs));
    write_vanished(session, &asked, qresync.mod_seq, in_step).await?;
    write_changed(session, &asked, qresync.mod_seq)
}

/// RFC 7162 §3.2.5.2: the last UID up to which the client's sequence numbers fit, so that up to there it has missed no expunge.
fn in_step(view: &View, (numbers, uids): &(SequenceSet, SequenceSet)) -> Option<u32> {
    let each = |set: &SequenceSet| {
        set.resolve(u32::MAX).flat_map(|(first, last)| first..=last).take(view.len()).collect::<Vec<u32>>()
    };
    each(numbers)
        .into_iter()
        .zip(each(uids))
        .take_while(|(number, uid)| {
            let index = *number as usize - 1;
            index < view.snapshot().len() && view.snapshot().get(index).uid.get() == *uid
        })
        .last()
        .map(|(_, uid)| uid)
}

/// `* VANISHED (EARLIER)`: which of the UIDs asked for were expunged after a mod-sequence (RFC 7162 §3.2.10). If the tombstones do
/// not reach back that far, all of them that are not there.
pub(crate) async fn write_vanished(
    session: &mut Session,
    asked: &UidSet,
    since: ModSeq,
    in_step: Option<u32>,
) -> Result<(), CmdError> {
    let selected = session.selected()?;
    let meta = selected.view.snapshot().meta();
    let request = pb::VanishedRequest {
        owner: selected.whose.to_pb(),
        grant: session.grant()?,
        mailbox_id: meta.mailbox.get(),
        since_modseq: since.get(),
    };
    let ever_used = UidSet::from_ranges((meta.uid_next > 1).then(|| (1, meta.uid_next - 1)));
    let reply = session.gateway.backends.mailbox.vanished(request).await;
    let reply = reply.map_err(|status| CmdError::of_selected(Refusal::from(status)))?;
    let vanished = if reply.below_floor {
        let snapshot = session.selected()?.view.snapshot();
        let live: UidSet = snapshot.range(0..snapshot.len()).map(|entry| entry.uid).collect();
        let missing = asked.intersection(&ever_used).difference(&live);
        match in_step {
            Some(uid) => missing.difference(&UidSet::from_ranges([(1, uid)])),
            None => missing,
        }
    } else {
        // What vanishes now, while this client still counts it, is told by `sync`.
        let counted: UidSet = session.selected()?.view.ghosts().iter().copied().collect();
        set_from_pb(&reply.vanished).intersection(asked).intersection(&ever_used).difference(&counted)
    };
    let vanished = without_live(session, vanished)?;
    session.writer().vanished_earlier(&vanished);
    Ok(())
}

/// Storage may know of expunges that this snapshot does not: those are announced when the view gets there.
fn without_live(session: &Session, vanished: UidSet) -> Result<UidSet, CmdError> {
    let view = &session.selected()?.view;
    let live = view.select_uids(vanished.ranges().iter().copied());
    if live.is_empty() {
        return Ok(vanished);
    }
    let live: UidSet = view.messages(&live).map(|message| message.entry.uid).collect();
    Ok(vanished.difference(&live))
}

/// FETCH lines for what changed after a mod-sequence, of the UIDs asked for.
fn write_changed(session: &mut Session, asked: &UidSet, since: ModSeq) -> Result<(), CmdError> {
    let State::Selected(_, selected) = &session.state else { return Ok(()) };
    let view = &selected.view;
    let selection = view.select_uids(asked.ranges().iter().copied());
    let enabled = session.enabled;
    let mut writer = enabled.writer(session.connection.output());
    for message in view.messages(&selection).filter(|message| message.entry.modseq > since) {
        let mut line = writer.fetch_message(message.number, message.entry.uid);
        if !enabled.uid_only {
            line.uid(message.entry.uid);
        }
        line.mod_seq(message.entry.modseq);
        sync::flags(&mut line, view, enabled, &message.entry);
        line.end();
    }
    Ok(())
}
