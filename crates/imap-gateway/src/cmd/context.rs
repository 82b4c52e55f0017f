//! UPDATE and CANCELUPDATE (RFC 5267 §4.3).

use std::collections::HashSet;
use std::sync::Arc;

use imap_wire::{
    Code, FetchItem, Numbering, SearchKey, SearchReturn, SeqBound, SequenceSet, SortCriterion, SortKey,
    Status, Tag,
};
use mail_types::{Uid, UidSet};

use super::fetch;
use super::search::{Compiled, Hits, Scope, find_among};
use super::sort::sorted;
use crate::context::Context;
use crate::error::{CmdError, CmdResult, Done};
use crate::fetch::{Missing, Plan};
use crate::notify::peeking;
use crate::session::Session;
use crate::state::{Selected, State};
use crate::view::{Message, View};

/// RFC 5267 §4.3.5
pub(crate) fn cancel_update(session: &mut Session, tags: &[String]) -> CmdResult {
    session.selected_mut()?.contexts.cancel(tags);
    Done::plain()
}

/// RFC 5267 §4.3: BAD for a tag that has a context already.
pub(super) fn check(session: &Session, tag: &Tag, returns: &SearchReturn) -> Result<(), CmdError> {
    if returns.update && session.selected()?.contexts.has(tag) {
        return Err(CmdError::bad("This tag is in use by a search with UPDATE"));
    }
    Ok(())
}

/// A search with UPDATE, that is to be kept up to date.
pub(super) struct Update<'a> {
    pub(super) tag: &'a Tag,
    pub(super) by: Numbering,
    pub(super) key: &'a SearchKey,
    pub(super) criteria: &'a [SortCriterion],
    pub(super) items: &'a [FetchItem],
}

/// Keeps a search up to date from now on, or says that it is not (RFC 5267 §4.3.1). Before the view changes.
pub(super) fn keep(session: &mut Session, update: &Update<'_>, found: &[Message]) -> Result<(), CmdError> {
    let fetch = (!update.items.is_empty()).then(|| Arc::new(Plan::new(peeking(update.items.to_vec()))));
    session.enabled.condstore |= fetch.as_ref().is_some_and(|plan| plan.tells_mod_seq());
    let selected = session.selected_mut()?;
    let context = Context {
        fetch,
        seen_to: selected.view.last_uid().map_or(0, Uid::get),
        tag: update.tag.clone(),
        by: update.by,
        key: frozen(update.key, selected)?,
        criteria: update.criteria.to_vec(),
        results: found.iter().map(|message| message.entry.uid.get()).collect(),
    };
    if !selected.contexts.add(context) {
        let code = Code::NoUpdate(update.tag);
        session.writer().untagged(Status::No, code, "Too many searches are kept up to date");
    }
    Ok(())
}

/// RFC 5267 §4.3: sequence numbers, and the saved result, are those of the time of the command.
fn frozen(key: &SearchKey, selected: &Selected) -> Result<SearchKey, CmdError> {
    use SearchKey as K;
    let both = |key: &SearchKey| frozen(key, selected).map(Box::new);
    Ok(match key {
        K::And(keys) => K::And(keys.iter().map(|key| frozen(key, selected)).collect::<Result<_, _>>()?),
        K::Or(a, b) => K::Or(both(a)?, both(b)?),
        K::Not(key) => K::Not(both(key)?),
        K::Fuzzy(key) => K::Fuzzy(both(key)?),
        K::Sequence(set) => uids(&selected.view, set, &selected.saved),
        K::Uid(SequenceSet::Saved) => uids(&selected.view, &SequenceSet::Saved, &selected.saved),
        other => other.clone(),
    })
}

fn uids(view: &View, set: &SequenceSet, saved: &UidSet) -> SearchKey {
    let uids = view.uids(&view.select_existing(set, saved));
    if uids.is_empty() {
        return SearchKey::Not(Box::new(SearchKey::All));
    }
    let bound = |(first, last): &(u32, u32)| (SeqBound::Number(*first), SeqBound::Number(*last));
    SearchKey::Uid(SequenceSet::Ranges(uids.ranges().iter().map(bound).collect()))
}

/// Tells what new and changed messages do to the searches that are kept up to date. That storage is away is no reason for the
/// command to fail, which has done its work: the next one comes back to it.
pub(crate) async fn refresh(session: &mut Session) -> Result<(), CmdError> {
    let State::Selected(_, selected) = &mut session.state else { return Ok(()) };
    let touched = selected.contexts.take_touched();
    if touched.is_empty() || selected.contexts.is_empty() {
        return Ok(());
    }
    let mut live = selected.contexts.take_live();
    let mut failure = None;
    for context in &mut live {
        if let Err(error) = refresh_one(session, context, &touched).await {
            failure = Some(error);
            break;
        }
    }
    let selected = session.selected_mut()?;
    selected.contexts.put_live(live);
    match failure {
        Some(error @ (CmdError::Bye(..) | CmdError::Disconnected(_))) => Err(error),
        Some(_) => {
            selected.contexts.touch(touched);
            Ok(())
        }
        None => Ok(()),
    }
}

async fn refresh_one(session: &mut Session, context: &mut Context, touched: &UidSet) -> Result<(), CmdError> {
    let compiled = Compiled::of_selected(session.selected()?, &context.key)?;
    let (scope, _) = Scope::of_selected(session)?;
    let selection = scope.view.select_uids(touched.ranges().iter().copied());
    let matching = find_among(&scope, &compiled, &selection).await?.messages;
    let matching: HashSet<u32> = matching.iter().map(|message| message.entry.uid.get()).collect();
    let had: HashSet<u32> = context.results.iter().copied().collect();
    let is_touched = |uid: &u32| Uid::new(*uid).is_some_and(|uid| touched.contains(uid));
    let gone: HashSet<u32> =
        had.iter().copied().filter(|uid| is_touched(uid) && !matching.contains(uid)).collect();
    let added: HashSet<u32> = matching.difference(&had).copied().collect();
    let results = match added.is_empty() {
        true => None,
        false => {
            let uids = had.difference(&gone).chain(&added).copied();
            Some(ordered(&scope, context, &compiled, uids).await?)
        }
    };
    tell_new(session, context, &added).await?;
    let State::Selected(_, selected) = &session.state else { return Ok(()) };
    let new = results.map(|results| (&added, results));
    context.change(&gone, new, &selected.view, session.connection.output());
    Ok(())
}

/// RFC 5465 §7: of messages that came, not of those that only changed, and before the ESEARCH line.
async fn tell_new(
    session: &mut Session,
    context: &mut Context,
    added: &HashSet<u32>,
) -> Result<(), CmdError> {
    let view = &session.selected()?.view;
    let after = std::mem::replace(&mut context.seen_to, view.last_uid().map_or(0, Uid::get));
    let Some(plan) = &context.fetch else { return Ok(()) };
    let new = UidSet::from_ranges(added.iter().filter(|uid| **uid > after).map(|uid| (*uid, *uid)));
    let selection = view.select_uids(new.ranges().iter().copied());
    let messages: Vec<Message> = view.messages(&selection).collect();
    fetch::send(session, plan, &messages, &mut Missing::default()).await
}

/// Results in the context's order.
async fn ordered(
    scope: &Scope<'_>,
    context: &Context,
    compiled: &Compiled,
    uids: impl Iterator<Item = u32>,
) -> Result<Vec<u32>, CmdError> {
    let uids = UidSet::from_ranges(uids.map(|uid| (uid, uid)));
    let selection = scope.view.select_uids(uids.ranges().iter().copied());
    let mut hits = match context.criteria.iter().any(|criterion| criterion.key == SortKey::Relevancy) {
        // The scores of what was there before were not kept.
        true => find_among(scope, compiled, &selection).await?,
        false => Hits { messages: scope.view.messages(&selection).collect(), scores: Vec::new() },
    };
    if context.is_sorted() {
        hits = sorted(scope, hits, &context.criteria).await?;
    }
    Ok(hits.messages.iter().map(|message| message.entry.uid.get()).collect())
}
