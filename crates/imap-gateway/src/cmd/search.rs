//! SEARCH and UID SEARCH (RFC 9051 §6.4.4, RFC 4731, RFC 5182, RFC 7162 §3.1.5, RFC 9394).

mod key;

use std::collections::HashMap;
use std::sync::Arc;

use imap_wire::{Search, SearchReturn, Tag};
use mail_rpc::{Refusal, pb, set_from_pb, set_to_pb};
use mail_types::{Uid, UidSet};

pub(super) use self::key::Compiled;
use self::key::{Found, Truth};
use super::context::{self, Update};
use super::report::{Report, highest_modseq, number};
use super::store;
use crate::error::{CmdError, CmdResult, Done};
use crate::fetch::{Place, Wanted};
use crate::limits::{FETCH_PAGE_MESSAGES, FUZZY_MESSAGES};
use crate::order::Column;
use crate::progress::{Count, Patience};
use crate::server::Gateway;
use crate::session::Session;
use crate::state::State;
use crate::view::{Message, Selection, View};

pub(crate) async fn search(session: &mut Session, tag: &Tag, search: Search) -> CmdResult {
    let result = run(session, tag, &search).await;
    if result.as_ref().is_err_and(|error| !matches!(error, CmdError::Bad(..)))
        && search.returns.is_some_and(|returns| returns.save)
        && let Ok(selected) = session.selected_mut()
    {
        // RFC 5182 §2.1: a search that failed leaves an empty result, one that made no sense changes nothing.
        selected.saved = UidSet::new();
    }
    result
}

async fn run(session: &mut Session, tag: &Tag, search: &Search) -> CmdResult {
    let returns = search.returns.clone().unwrap_or(SearchReturn { all: true, ..SearchReturn::default() });
    context::check(session, tag, &returns)?;
    let compiled = Compiled::of_selected(session.selected()?, &search.key)?;
    compiled.check_relevancy(returns.relevancy)?;
    session.enabled.condstore |= compiled.uses_modseq;
    let (scope, mut patience) = Scope::of_selected(session)?;
    let Hits { messages: found, scores } = patience.wait(find(&scope, &compiled)).await??;
    // RFC 9051 §6.4.4: in IMAP4rev2 the answer is always ESEARCH.
    if search.returns.is_none() && !session.enabled.rev2 {
        let modseq = highest_modseq(&found).filter(|_| compiled.uses_modseq);
        session.writer().search(found.iter().map(|message| number(search.by, message)), modseq);
    } else {
        let report = Report {
            tag,
            mailbox: None,
            by: search.by,
            returns: &returns,
            uses_modseq: compiled.uses_modseq,
            sorted: false,
            found: &found,
            scores: &scores,
        };
        let saved = report.write(&mut session.writer());
        if returns.save {
            session.selected_mut()?.saved = saved;
        }
    }
    if returns.update {
        let update =
            Update { tag, by: search.by, key: &search.key, criteria: &[], items: &returns.update_items };
        context::keep(session, &update, &found)?;
    }
    session.catch_up_if_stale(store::expunges_of(search.by)).await?;
    Done::plain()
}

/// Where messages are looked for.
pub(super) struct Scope<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) place: Place,
    pub(super) view: &'a View,
    /// The messages that are looked into, if they are to be counted here.
    pub(super) count: Option<&'a Count>,
}

impl<'a> Scope<'a> {
    pub(super) fn of_selected(session: &'a mut Session) -> Result<(Self, Patience<'a>), CmdError> {
        let Session { gateway, connection, state, enabled, progress, .. } = session;
        let State::Selected(user, selected) = state else {
            return Err(CmdError::bad("No mailbox is selected"));
        };
        let (patience, count) = progress.patience(connection, *enabled);
        let place = selected.place(user.grant.clone());
        Ok((Self { gateway, place, view: &selected.view, count: Some(count) }, patience))
    }

    /// So many messages will be looked into.
    fn begin(&self, goal: usize) {
        if let Some(count) = self.count {
            count.begin(goal);
        }
    }

    /// What follows is not looking into messages.
    pub(super) fn end(&self) {
        if let Some(count) = self.count {
            count.end();
        }
    }

    /// So many were.
    fn add(&self, done: usize) {
        if let Some(count) = self.count {
            count.add(done);
        }
    }

    /// What the messages of some UIDs (ascending) are ordered by: a column for each of `keys`.
    pub(super) async fn columns(
        &self,
        uids: &[u32],
        keys: &[pb::SortKey],
    ) -> Result<Vec<Arc<Column>>, CmdError> {
        let snapshot = self.view.snapshot();
        let of = (&self.place, snapshot.meta().uid_validity, snapshot.len());
        self.gateway.sort_keys.load(&self.gateway.backends.mailbox, of, uids, keys).await
    }
}

/// What was found.
pub(super) struct Hits {
    /// Ascending.
    pub(super) messages: Vec<Message>,
    /// Of each how relevant it is (RFC 6203 §4); empty if the key is not fuzzy.
    pub(super) scores: Vec<u8>,
}

impl Compiled {
    /// RFC 6203 §4, §6: relevancy is of fuzzy searches.
    pub(super) fn check_relevancy(&self, wanted: bool) -> Result<(), CmdError> {
        match wanted && !self.is_fuzzy {
            true => Err(CmdError::bad("RELEVANCY needs FUZZY")),
            false => Ok(()),
        }
    }
}

/// The messages that satisfy the key.
pub(super) async fn find(scope: &Scope<'_>, compiled: &Compiled) -> Result<Hits, CmdError> {
    find_among(scope, compiled, &scope.view.select_all()).await
}

/// Those of a selection that satisfy the key.
pub(super) async fn find_among(
    scope: &Scope<'_>,
    compiled: &Compiled,
    selection: &Selection,
) -> Result<Hits, CmdError> {
    let view = scope.view;
    // What the view knows decides most messages; storage is asked about the others, once.
    let judged: Vec<(Message, Truth)> = view
        .messages(selection)
        .map(|message| (message, compiled.judge(view, &message, None)))
        .filter(|(_, truth)| *truth != Truth::No)
        .collect();
    let undecided: UidSet = judged
        .iter()
        .filter(|(_, truth)| *truth == Truth::Unknown)
        .map(|(message, _)| message.entry.uid)
        .collect();
    if undecided.is_empty() && !compiled.is_fuzzy {
        let messages = judged.into_iter().map(|(message, _)| message).collect();
        return Ok(Hits { messages, scores: Vec::new() });
    }
    // A message may be decided and still want a score.
    let fuzzy_among: Vec<Uid> = judged.iter().map(|(message, _)| message.entry.uid).collect();
    let goal = |asked: bool, messages: usize| if asked { messages } else { 0 };
    scope.begin(
        goal(!compiled.conditions.is_empty(), undecided.len() as usize)
            + goal(!compiled.fuzzies.is_empty(), fuzzy_among.len())
            + goal(!compiled.threads.is_empty(), undecided.len() as usize),
    );
    let found = Found {
        conditions: ask(scope, compiled, &undecided).await?,
        fuzzies: ask_fuzzily(scope, compiled, &fuzzy_among).await?,
        threads: find_threads(scope, compiled, &judged).await?,
    };
    let messages: Vec<Message> = judged
        .into_iter()
        .filter(|(message, truth)| {
            *truth == Truth::Yes || compiled.judge(view, message, Some(&found)) == Truth::Yes
        })
        .map(|(message, _)| message)
        .collect();
    let scored = if compiled.is_fuzzy { &messages[..] } else { &[] };
    let scores = scored.iter().map(|message| compiled.score(message.entry.uid, &found)).collect();
    Ok(Hits { messages, scores })
}

/// For each text that is looked for fuzzily the scores of the messages that have it, by UID.
async fn ask_fuzzily(
    scope: &Scope<'_>,
    compiled: &Compiled,
    uids: &[Uid],
) -> Result<Vec<HashMap<u32, u8>>, CmdError> {
    let mut found = vec![HashMap::new(); compiled.fuzzies.len()];
    let parts = if found.is_empty() { &[] } else { uids };
    for part in parts.chunks(FUZZY_MESSAGES) {
        let request = pb::FuzzySearchRequest {
            owner: scope.place.owner,
            grant: scope.place.grant.clone(),
            mailbox_id: scope.place.mailbox.get(),
            uids: set_to_pb(&part.iter().copied().collect()),
            texts: compiled.fuzzies.clone(),
        };
        let reply = scope.gateway.backends.mailbox.fuzzy_search(request).await;
        let reply = reply.map_err(|status| CmdError::of_selected(Refusal::from(status)))?;
        if reply.matches.len() != found.len() {
            return Err(CmdError::internal("storage answered other texts than it was asked"));
        }
        scope.add(part.len());
        for (found, matches) in found.iter_mut().zip(reply.matches) {
            let mut uid = 0u32;
            for (delta, score) in matches.uid_deltas.iter().zip(&matches.scores[..]) {
                uid = uid.wrapping_add(*delta);
                found.insert(uid, *score);
            }
        }
    }
    Ok(found)
}

/// Storage's part: the messages that satisfy each condition.
async fn ask(scope: &Scope<'_>, compiled: &Compiled, undecided: &UidSet) -> Result<Vec<UidSet>, CmdError> {
    if compiled.conditions.is_empty() {
        return Ok(Vec::new());
    }
    let request = pb::SearchRequest {
        owner: scope.place.owner,
        grant: scope.place.grant.clone(),
        mailbox_id: scope.place.mailbox.get(),
        uids: set_to_pb(undecided),
        conditions: compiled.conditions.clone(),
    };
    let reply = scope.gateway.backends.mailbox.search(request).await;
    let reply = reply.map_err(|status| CmdError::of_selected(Refusal::from(status)))?;
    scope.add(undecided.len() as usize);
    let matches: Vec<UidSet> = reply.matches.iter().map(|matches| set_from_pb(&matches.uids)).collect();
    if matches.len() != compiled.conditions.len() {
        return Err(CmdError::internal("storage answered other conditions than it was asked"));
    }
    Ok(matches)
}

/// RFC 8474 §5.2: threads are among the data that FETCH keeps.
async fn find_threads(
    scope: &Scope<'_>,
    compiled: &Compiled,
    judged: &[(Message, Truth)],
) -> Result<Vec<UidSet>, CmdError> {
    let mut found: Vec<Vec<Uid>> = vec![Vec::new(); compiled.threads.len()];
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let (gateway, place) = (scope.gateway, &scope.place);
    let undecided: Vec<_> = judged
        .iter()
        .filter(|(_, truth)| *truth == Truth::Unknown)
        .map(|(message, _)| message.entry)
        .collect();
    for page in undecided.chunks(FETCH_PAGE_MESSAGES) {
        let data = gateway.derived.load(&gateway.backends.mailbox, place, page, Wanted::default()).await?;
        scope.add(page.len());
        for (entry, data) in page.iter().zip(data) {
            let Some(data) = data else { continue };
            for (thread, uids) in compiled.threads.iter().zip(&mut found) {
                if data.thread_id == *thread {
                    uids.push(entry.uid);
                }
            }
        }
    }
    Ok(found.into_iter().map(|uids| uids.into_iter().collect()).collect())
}
