//! SEARCH and UID SEARCH (RFC 9051 §6.4.4, RFC 4731, RFC 5182, RFC 7162 §3.1.5, RFC 9394).

mod key;

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
use crate::limits::FETCH_PAGE_MESSAGES;
use crate::order::Column;
use crate::server::Gateway;
use crate::session::Session;
use crate::view::{Message, Selection, View};

pub(crate) async fn search(session: &mut Session, tag: &Tag, search: Search) -> CmdResult {
    let result = run(session, tag, &search).await;
    if result.is_err()
        && search.returns.is_some_and(|returns| returns.save)
        && let Ok(selected) = session.selected_mut()
    {
        // RFC 5182 §2.1: a search that failed leaves an empty result.
        selected.saved = UidSet::new();
    }
    result
}

async fn run(session: &mut Session, tag: &Tag, search: &Search) -> CmdResult {
    let returns = search.returns.unwrap_or(SearchReturn { all: true, ..SearchReturn::default() });
    if returns.relevancy {
        return Err(CmdError::bad("This return option is not offered"));
    }
    context::check(session, tag, &returns)?;
    let compiled = Compiled::of_selected(session.selected()?, &search.key)?;
    session.enabled.condstore |= compiled.uses_modseq;
    let found = find(&Scope::of_selected(session)?, &compiled).await?;
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
        };
        let saved = report.write(&mut session.writer());
        if returns.save {
            session.selected_mut()?.saved = saved;
        }
    }
    if returns.update {
        let update = Update { tag, by: search.by, key: &search.key, criteria: &[] };
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
}

impl<'a> Scope<'a> {
    pub(super) fn of_selected(session: &'a Session) -> Result<Self, CmdError> {
        let selected = session.selected()?;
        Ok(Self {
            gateway: &session.gateway,
            place: Place {
                account: session.user()?.account,
                grant: session.grant()?,
                mailbox: selected.mailbox(),
            },
            view: &selected.view,
        })
    }

    /// What the messages of some UIDs (ascending) are ordered by: a column for each of `keys`.
    pub(super) async fn columns(
        &self,
        uids: &[u32],
        keys: &[pb::SortKey],
    ) -> Result<Vec<Arc<Column>>, CmdError> {
        let validity = self.view.snapshot().meta().uid_validity;
        let storage = &self.gateway.backends.mailbox;
        self.gateway.sort_keys.load(storage, (&self.place, validity), uids, keys).await
    }
}

/// The messages that satisfy the key, ascending.
pub(super) async fn find(scope: &Scope<'_>, compiled: &Compiled) -> Result<Vec<Message>, CmdError> {
    find_among(scope, compiled, &scope.view.select_all()).await
}

/// Those of a selection that satisfy the key, ascending.
pub(super) async fn find_among(
    scope: &Scope<'_>,
    compiled: &Compiled,
    selection: &Selection,
) -> Result<Vec<Message>, CmdError> {
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
    if undecided.is_empty() {
        return Ok(judged.into_iter().map(|(message, _)| message).collect());
    }
    let found = Found {
        conditions: ask(scope, compiled, &undecided).await?,
        threads: find_threads(scope, compiled, &judged).await?,
    };
    Ok(judged
        .into_iter()
        .filter(|(message, truth)| {
            *truth == Truth::Yes || compiled.judge(view, message, Some(&found)) == Truth::Yes
        })
        .map(|(message, _)| message)
        .collect())
}

/// Storage's part: the messages that satisfy each condition.
async fn ask(scope: &Scope<'_>, compiled: &Compiled, undecided: &UidSet) -> Result<Vec<UidSet>, CmdError> {
    if compiled.conditions.is_empty() {
        return Ok(Vec::new());
    }
    let request = pb::SearchRequest {
        grant: scope.place.grant.clone(),
        mailbox_id: scope.place.mailbox.get(),
        uids: set_to_pb(undecided),
        conditions: compiled.conditions.clone(),
    };
    let reply = scope.gateway.backends.mailbox.search(request).await;
    let reply = reply.map_err(|status| CmdError::of_selected(Refusal::from(status)))?;
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
