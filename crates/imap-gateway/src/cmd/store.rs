//! STORE and UID STORE (RFC 9051 §6.4.6, RFC 7162 §3.1.3).

use std::sync::Arc;

use imap_wire::{FlagList, Numbering, Store, StoreAction};
use mail_rpc::{Refusal, pb, set_from_pb, set_to_pb};
use mail_types::{FlagBits, UidSet};

use crate::error::{CmdError, CmdResult, Done, DoneCode};
use crate::session::Session;
use crate::sync::{Echo, Expunges, OwnStore};
use crate::view::View;

pub(crate) async fn store(session: &mut Session, store: Store) -> CmdResult {
    if store.unchanged_since.is_some() {
        // RFC 7162 §3.1: a CONDSTORE-enabling command.
        session.enabled.condstore = true;
    }
    let selected = session.selected()?;
    selected.demand_write()?;
    let selection = selected.view.select(store.by, &store.set, &selected.saved)?;
    let some_are_gone = store.by == Numbering::Sequence && selection.names_ghosts;
    let uids = selected.view.uids(&selection);
    let expunges = expunges_of(store.by);
    if uids.is_empty() {
        return finish(session, some_are_gone, UidSet::new()).await;
    }
    let known = session.newest()?;
    let request = pb::StoreFlagsRequest {
        owner: session.selected()?.whose.to_pb(),
        grant: session.grant()?,
        mailbox_id: known.meta().mailbox.get(),
        uids: set_to_pb(&uids),
        how: how(store.action).into(),
        flags: Some(flag_set(&store.flags)),
        unchanged_since: store.unchanged_since.map(|modseq| modseq.get()),
        known_modseq: known.meta().modseq.get(),
    };
    let gateway = Arc::clone(&session.gateway);
    let reply = session.patiently(gateway.backends.mailbox.store_flags(request)).await?;
    let reply = reply.map_err(|status| CmdError::of_selected(Refusal::from(status)))?;
    let modified = set_from_pb(&reply.modified);
    // The numbers of what was not stored, before expunges that are announced now change them.
    let not_stored = modified_numbers(&session.selected()?.view, store.by, &modified);
    let Some(sync) = &reply.sync else {
        return Err(CmdError::internal("no sync in the reply to StoreFlags"));
    };
    let keywords = sync.state.as_ref().map_or(&[][..], |state| &state.keywords);
    let own = OwnStore {
        uids: &uids.difference(&modified),
        by: store.by,
        action: store.action,
        flags: bits(&store.flags, keywords),
        echo: if store.silent { Echo::Silent } else { Echo::Line },
        conditional: store.unchanged_since.is_some(),
    };
    session.take_reply(&known, sync, expunges, Some(own))?;
    let some_are_gone = some_are_gone || store.by == Numbering::Sequence && names_ghosts(session, &uids)?;
    finish(session, some_are_gone, not_stored).await
}

/// Numbers of a later command must not shift while one that uses numbers runs.
pub(crate) fn expunges_of(by: Numbering) -> Expunges {
    match by {
        Numbering::Sequence => Expunges::Keep,
        Numbering::Uid => Expunges::Announce,
    }
}

pub(crate) fn flag_set(flags: &FlagList) -> pb::FlagSet {
    pb::FlagSet {
        system: flags.system.bits() as u32,
        keywords: flags.keywords.iter().map(|keyword| keyword.as_str().to_owned()).collect(),
    }
}

async fn finish(session: &mut Session, some_are_gone: bool, not_stored: UidSet) -> CmdResult {
    if !not_stored.is_empty() {
        return Done::with_code(DoneCode::Modified(not_stored));
    }
    if some_are_gone {
        return Err(CmdError::expunge_issued());
    }
    session.catch_up_if_stale(Expunges::Keep).await?;
    Done::plain()
}

/// RFC 7162 §3.1.3: in sequence numbers for STORE, in UIDs for UID STORE.
fn modified_numbers(view: &View, by: Numbering, modified: &UidSet) -> UidSet {
    let selection = view.select_uids(modified.ranges().iter().copied());
    let messages = view.messages(&selection).filter(|message| modified.contains(message.entry.uid));
    match by {
        Numbering::Uid => messages.map(|message| message.entry.uid).collect(),
        Numbering::Sequence => UidSet::from_ranges(messages.map(|message| (message.number, message.number))),
    }
}

fn names_ghosts(session: &Session, uids: &UidSet) -> Result<bool, CmdError> {
    Ok(session.selected()?.view.ghosts().iter().any(|ghost| uids.contains(*ghost)))
}

fn how(action: StoreAction) -> pb::store_flags_request::How {
    match action {
        StoreAction::Add => pb::store_flags_request::How::Add,
        StoreAction::Remove => pb::store_flags_request::How::Remove,
        StoreAction::Replace => pb::store_flags_request::How::Replace,
    }
}

fn bits(flags: &FlagList, keywords: &[String]) -> FlagBits {
    flags.keywords.iter().fold(flags.system, |bits, keyword| {
        match keywords.iter().position(|known| known.eq_ignore_ascii_case(keyword.as_str())) {
            Some(index) if index < mail_types::KEYWORDS_MAX => bits.with(FlagBits::keyword(index)),
            _ => bits,
        }
    })
}
