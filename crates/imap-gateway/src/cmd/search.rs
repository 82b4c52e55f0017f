//! SEARCH and UID SEARCH (RFC 9051 §6.4.4, RFC 4731, RFC 5182, RFC 7162 §3.1.5, RFC 9394).

mod key;

use imap_wire::{ESearch, Numbering, Numbers, Search, SearchReturn, Tag};
use mail_rpc::{Refusal, pb, set_from_pb, set_to_pb};
use mail_types::{Uid, UidSet};

use self::key::{Compiled, Context, Found, Truth};
use super::fetch::window;
use super::store;
use crate::error::{CmdError, CmdResult, Done};
use crate::fetch::{Place, Wanted};
use crate::limits::FETCH_PAGE_MESSAGES;
use crate::session::Session;
use crate::view::Message;

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
    if returns.update || returns.context || returns.relevancy {
        return Err(CmdError::bad("This return option is not offered"));
    }
    let compiled = {
        let selected = session.selected()?;
        Compiled::new(&search.key, Context { view: &selected.view, saved: &selected.saved })?
    };
    session.enabled.condstore |= compiled.uses_modseq;
    let found = find(session, &compiled).await?;
    let reported = report(session, tag, search, (&returns, &found), compiled.uses_modseq)?;
    if returns.save {
        session.selected_mut()?.saved = reported;
    }
    session.catch_up_if_stale(store::expunges_of(search.by)).await?;
    Done::plain()
}

/// The messages that satisfy the key, ascending.
async fn find(session: &mut Session, compiled: &Compiled) -> Result<Vec<Message>, CmdError> {
    let view = &session.selected()?.view;
    let all = view.select_all();
    // What the view knows decides most messages; storage is asked about the others, once.
    let judged: Vec<(Message, Truth)> = view
        .messages(&all)
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
        conditions: ask(session, compiled, &undecided).await?,
        threads: find_threads(session, compiled, &judged).await?,
    };
    let view = &session.selected()?.view;
    Ok(judged
        .into_iter()
        .filter(|(message, truth)| {
            *truth == Truth::Yes || compiled.judge(view, message, Some(&found)) == Truth::Yes
        })
        .map(|(message, _)| message)
        .collect())
}

/// Storage's part: the messages that satisfy each condition.
async fn ask(session: &Session, compiled: &Compiled, undecided: &UidSet) -> Result<Vec<UidSet>, CmdError> {
    if compiled.conditions.is_empty() {
        return Ok(Vec::new());
    }
    let request = pb::SearchRequest {
        grant: session.grant()?,
        mailbox_id: session.selected()?.mailbox().get(),
        uids: set_to_pb(undecided),
        conditions: compiled.conditions.clone(),
    };
    let reply = session.gateway.backends.mailbox.search(request).await;
    let reply = reply.map_err(|status| CmdError::of_selected(Refusal::from(status)))?;
    let matches: Vec<UidSet> = reply.matches.iter().map(|matches| set_from_pb(&matches.uids)).collect();
    if matches.len() != compiled.conditions.len() {
        return Err(CmdError::internal("storage answered other conditions than it was asked"));
    }
    Ok(matches)
}

/// RFC 8474 §5.2: threads are among the data that FETCH keeps.
async fn find_threads(
    session: &Session,
    compiled: &Compiled,
    judged: &[(Message, Truth)],
) -> Result<Vec<UidSet>, CmdError> {
    let mut found: Vec<Vec<Uid>> = vec![Vec::new(); compiled.threads.len()];
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let place = Place {
        account: session.user()?.account,
        grant: session.grant()?,
        mailbox: session.selected()?.mailbox(),
    };
    let gateway = &session.gateway;
    let undecided: Vec<_> = judged
        .iter()
        .filter(|(_, truth)| *truth == Truth::Unknown)
        .map(|(message, _)| message.entry)
        .collect();
    for page in undecided.chunks(FETCH_PAGE_MESSAGES) {
        let data = gateway.derived.load(&gateway.backends.mailbox, &place, page, Wanted::default()).await?;
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

/// Writes SEARCH or ESEARCH. Returns what SAVE saves (RFC 5182 §2.1, §2.4).
fn report(
    session: &mut Session,
    tag: &Tag,
    search: &Search,
    (returns, found): (&SearchReturn, &[Message]),
    uses_modseq: bool,
) -> Result<UidSet, CmdError> {
    let number = |message: &Message| match search.by {
        Numbering::Uid => message.entry.uid.get(),
        Numbering::Sequence => message.number,
    };
    let highest = |messages: &[Message]| messages.iter().map(|message| message.entry.modseq).max();
    // RFC 9051 §6.4.4: in IMAP4rev2 the answer is always ESEARCH.
    if search.returns.is_none() && !session.enabled.rev2 {
        let modseq = highest(found).filter(|_| uses_modseq);
        session.writer().search(found.iter().map(number), modseq);
        return Ok(UidSet::new());
    }
    let (min, max) = (found.first(), found.last());
    let window = returns.partial.map(|partial| (partial, window(found, partial)));
    // RFC 5182 §2.4: with MIN and MAX alone, only they are saved.
    let extremes_only = (returns.min || returns.max) && !returns.all && !returns.count && window.is_none();
    let told: Vec<Message> = match (extremes_only, window) {
        (true, _) => {
            let mut told: Vec<Message> =
                min.filter(|_| returns.min).into_iter().chain(max.filter(|_| returns.max)).copied().collect();
            told.dedup();
            told
        }
        (false, Some((_, window))) if !returns.all && !returns.count => window.to_vec(),
        _ => found.to_vec(),
    };
    let nothing_to_say =
        returns.save && !(returns.min || returns.max || returns.all || returns.count) && window.is_none();
    if !nothing_to_say {
        let set = |messages: &[Message]| UidSet::from_ranges(messages.iter().map(|m| (number(m), number(m))));
        let all = returns.all.then(|| set(found)).filter(|all| !all.is_empty());
        let partial = window.map(|(range, messages)| (range, set(messages)));
        session.writer().esearch(&ESearch {
            tag: Some(tag),
            mailbox: None,
            by: Some(search.by),
            min: min.filter(|_| returns.min).map(number),
            max: max.filter(|_| returns.max).map(number),
            all: all.as_ref().map(Numbers::Set),
            count: returns.count.then_some(found.len() as u32),
            partial: partial.as_ref().map(|(range, set)| (*range, Numbers::Set(set))),
            mod_seq: highest(&told).filter(|_| uses_modseq),
        });
    }
    let saved: UidSet = told.iter().map(|message| message.entry.uid).collect();
    Ok(saved)
}
