//! FETCH and UID FETCH (RFC 9051 §6.4.5, RFC 7162 §3.1.4, RFC 9394 §3.2).

use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use imap_wire::{Code, Fetch, FetchItem, FlagList, Numbering, PartialRange, SequenceSet, StoreAction};
use mail_rpc::{Refusal, pb, set_to_pb};
use mail_types::{FlagBits, Rights, UidSet};

use super::{select, store};
use crate::error::{CmdError, CmdResult, Done};
use crate::fetch::{Missing, Page, Plan, Sending};
use crate::limits::FETCH_PAGE_MESSAGES;
use crate::session::Session;
use crate::state::{Access, State};
use crate::sync::{Echo, OwnStore};
use crate::view::{Message, View};

pub(crate) async fn fetch(session: &mut Session, fetch: Fetch) -> CmdResult {
    let mut items = fetch.items;
    if fetch.by == Numbering::Uid && !items.contains(&FetchItem::Uid) && !session.enabled.uid_only {
        // RFC 9051 §6.4.9; of UIDFETCH the UID is the beginning (RFC 9586 §3.3).
        items.insert(0, FetchItem::Uid);
    }
    if fetch.changed_since.is_some() && !items.contains(&FetchItem::ModSeq) {
        // RFC 7162 §3.1.4.1
        items.push(FetchItem::ModSeq);
    }
    session.enabled.condstore |= items.contains(&FetchItem::ModSeq);
    let mut plan = Plan::new(items);

    let selected = session.selected()?;
    let selection = selected.view.select(fetch.by, &fetch.set, &selected.saved)?;
    let mut missing =
        Missing { gone: fetch.by == Numbering::Sequence && selection.names_ghosts, undecodable: false };
    let mut messages: Vec<Message> = selected.view.messages(&selection).collect();
    if let Some(since) = fetch.changed_since {
        messages.retain(|message| message.entry.modseq > since);
        if fetch.vanished {
            vanished(session, &fetch.set, since).await?;
        }
    }
    if let Some(partial) = fetch.partial {
        messages = window(&messages, partial).to_vec();
    }
    if plan.sets_seen {
        let newly_seen = mark_seen(session, &messages, fetch.by).await?;
        plan.tell_seen(newly_seen, session.enabled);
        // Numbers and flags as they are after that; what was chosen stays chosen.
        let view = &session.selected()?.view;
        messages.retain_mut(|message| match current(view, message) {
            Some(current) => {
                *message = current;
                true
            }
            None => {
                missing.gone = true;
                false
            }
        });
    }
    send(session, &plan, &messages, &mut missing).await?;
    if missing.undecodable {
        return Err(CmdError::no(Code::UnknownCte, "A part has an encoding that cannot be undone"));
    }
    if missing.gone && fetch.by == Numbering::Sequence {
        return Err(CmdError::expunge_issued());
    }
    session.catch_up_if_stale(store::expunges_of(fetch.by)).await?;
    Done::plain()
}

/// Writes the lines of some messages of the selected mailbox. While a page is written, what the next one needs is asked for.
pub(crate) async fn send(
    session: &mut Session,
    plan: &Plan,
    messages: &[Message],
    missing: &mut Missing,
) -> Result<(), CmdError> {
    let gateway = Arc::clone(&session.gateway);
    let Session { connection, state, enabled, progress, .. } = session;
    let State::Selected(user, selected) = state else { return Ok(()) };
    let place = selected.place(user.grant.clone());
    let what = Sending { place: &place, view: &selected.view, plan, enabled: *enabled };
    let (mut patience, count) = progress.patience(connection, *enabled);
    count.begin(messages.len());
    let mut pages = messages.chunks(FETCH_PAGE_MESSAGES);
    let Some(first) = pages.next() else { return Ok(()) };
    let mut page = patience.wait(Page::load(&gateway, (&place, plan), first)).await??;
    for next in pages {
        let sent = page.messages();
        let mut loading = pin!(Page::load(&gateway, (&place, plan), next));
        let loaded = {
            let sending = pin!(page.send(&gateway, patience.connection, what, missing));
            match select(loading.as_mut(), sending).await {
                Either::Left((loaded, sending)) => {
                    sending.await?;
                    Some(loaded)
                }
                Either::Right((sent, _)) => {
                    sent?;
                    None
                }
            }
        };
        // Between two pages no line is begun, so there is room for one about progress.
        page = match loaded {
            Some(loaded) => loaded?,
            None => patience.wait(loading).await??,
        };
        count.add(sent);
    }
    page.send(&gateway, patience.connection, what, missing).await
}

/// The message as the view has it now.
fn current(view: &View, message: &Message) -> Option<Message> {
    let index = view.snapshot().find(message.entry.uid)?;
    Some(Message { number: view.number_of(index), entry: view.snapshot().get(index) })
}

/// RFC 9394 §3.2: a window of the messages.
pub(crate) fn window(messages: &[Message], partial: PartialRange) -> &[Message] {
    messages.get(window_of(messages.len(), partial)).unwrap_or_default()
}

/// Which of so many results a window shows.
pub(crate) fn window_of(len: usize, partial: PartialRange) -> Range<usize> {
    let (from, to) = match partial {
        PartialRange::Front(first, last) => (first as usize - 1, last as usize),
        PartialRange::Back(first, last) => {
            (len.saturating_sub(last as usize), (len + 1).saturating_sub(first as usize))
        }
    };
    from.min(len)..to.clamp(from.min(len), len)
}

/// RFC 7162 §3.2.6. `*` stands for the last UID ever given, so that what was expunged above the last message is told too.
async fn vanished(
    session: &mut Session,
    set: &SequenceSet,
    since: mail_types::ModSeq,
) -> Result<(), CmdError> {
    if !session.enabled.qresync {
        return Err(CmdError::bad("ENABLE QRESYNC comes first"));
    }
    let selected = session.selected()?;
    let asked = match set {
        SequenceSet::Saved => selected.saved.clone(),
        set => {
            let last = selected.view.snapshot().meta().uid_next.saturating_sub(1);
            UidSet::from_ranges(set.resolve(last))
        }
    };
    select::write_vanished(session, &asked, since, None).await
}

/// RFC 9051 §6.4.5: one call for all messages. Which became seen; their lines of data say so.
async fn mark_seen(session: &mut Session, messages: &[Message], by: Numbering) -> Result<UidSet, CmdError> {
    let selected = session.selected()?;
    // RFC 4314 §4: without the right `s` nothing becomes seen.
    if selected.access == Access::ReadOnly || !selected.rights.contains(Rights::SEEN) {
        return Ok(UidSet::new());
    }
    let unseen = messages.iter().filter(|message| !message.entry.flags.contains(FlagBits::SEEN));
    let uids: UidSet = unseen.map(|message| message.entry.uid).collect();
    if uids.is_empty() {
        return Ok(uids);
    }
    let known = session.newest()?;
    let request = pb::StoreFlagsRequest {
        owner: session.selected()?.whose.to_pb(),
        grant: session.grant()?,
        mailbox_id: known.meta().mailbox.get(),
        uids: set_to_pb(&uids),
        how: pb::store_flags_request::How::Add.into(),
        flags: Some(store::flag_set(&FlagList { system: FlagBits::SEEN, keywords: Vec::new() })),
        unchanged_since: None,
        known_modseq: known.meta().modseq.get(),
    };
    let gateway = Arc::clone(&session.gateway);
    let reply = session.patiently(gateway.backends.mailbox.store_flags(request)).await?;
    let reply = reply.map_err(|status| CmdError::of_selected(Refusal::from(status)))?;
    let Some(sync) = &reply.sync else {
        return Err(CmdError::internal("no sync in the reply to StoreFlags"));
    };
    let own = OwnStore {
        uids: &uids,
        by,
        action: StoreAction::Add,
        flags: FlagBits::SEEN,
        echo: Echo::WithData,
        conditional: false,
    };
    session.take_reply(&known, sync, store::expunges_of(by), Some(own))?;
    Ok(uids)
}
