//! ESEARCH: one search over several mailboxes (RFC 7377).

use std::collections::BTreeSet;
use std::sync::Arc;

use imap_wire::{Code, MailboxFilter, Numbering, Search, SearchReturn, Tag};
use mail_rpc::pb;
use mail_types::{AccountId, HIERARCHY_SEPARATOR, MailboxId, MailboxName, Rights, UidSet, UidValidity};

use super::context::{self, Update};
use super::report::Report;
use super::search::{Compiled, Hits, Scope, find};
use crate::error::{CmdError, CmdResult, Done};
use crate::fetch::Place;
use crate::limits::{FLUSH_BYTES, SEARCHED_MAILBOXES_MAX};
use crate::others::{Target, Whose, shared_name};
use crate::session::Session;
use crate::snapshot::Snapshot;
use crate::state::State;
use crate::sync::Expunges;
use crate::view::View;

pub(crate) async fn esearch(session: &mut Session, tag: &Tag, search: &Search) -> CmdResult {
    let returns = search.returns.clone().unwrap_or(SearchReturn { all: true, ..SearchReturn::default() });
    let filters = match search.mailboxes.as_deref() {
        None | Some([]) => &[MailboxFilter::Selected][..],
        Some(filters) => filters,
    };
    check(session, tag, filters, &returns)?;
    let selected = session.selected().ok().map(|selected| (selected.whose, selected.mailbox()));
    let tree = session.gateway.backends.mailbox.list(pb::ListRequest { grant: session.grant()? }).await?;
    let candidates = readable(session.user()?.account, tree);
    let chosen: Vec<&Readable> = chosen(filters, selected, &candidates);
    if chosen.len() > SEARCHED_MAILBOXES_MAX {
        return Err(CmdError::no(Code::Limit, "Too many mailboxes for one search"));
    }
    // What this search counts: the messages of the mailboxes that are done.
    let messages = |found: &&Readable| found.state.exists as usize;
    session.progress.count.begin(chosen.iter().map(messages).sum());
    for found in chosen {
        let is_selected = selected == Some(found.key());
        let result = match is_selected {
            true => in_selected(session, tag, search, (&returns, &found.state)).await,
            false => elsewhere(session, tag, search, (&returns, found)).await,
        };
        match result {
            // Deleted meanwhile: there is nothing in it.
            Err(CmdError::Bye(..) | CmdError::No(Code::NonExistent, _)) if !is_selected => {}
            other => other?,
        }
        session.progress.count.add(messages(&found));
        if session.connection.queued() >= FLUSH_BYTES {
            session.connection.flush().await?;
        }
    }
    session.catch_up_if_stale(Expunges::Announce).await?;
    Done::plain()
}

/// RFC 7377 §2.2
fn check(
    session: &Session,
    tag: &Tag,
    filters: &[MailboxFilter],
    returns: &SearchReturn,
) -> Result<(), CmdError> {
    let is_selected = matches!(session.state, State::Selected(..));
    if filters.contains(&MailboxFilter::SelectedDelayed) {
        return Err(CmdError::bad("SELECTED-DELAYED is of NOTIFY alone"));
    }
    if filters.contains(&MailboxFilter::Selected) && !is_selected {
        return Err(CmdError::bad("No mailbox is selected"));
    }
    if returns.save && filters != [MailboxFilter::Selected] {
        return Err(CmdError::bad("Only a search of the selected mailbox can be saved"));
    }
    if returns.update {
        if !is_selected {
            return Err(CmdError::bad("UPDATE needs a selected mailbox"));
        }
        context::check(session, tag, returns)?;
    }
    Ok(())
}

/// The mailboxes that the filters name and that are there, each once, by name.
fn chosen<'a>(
    filters: &[MailboxFilter],
    selected: Option<(Whose, MailboxId)>,
    mailboxes: &'a [Readable],
) -> Vec<&'a Readable> {
    let mut exact = BTreeSet::new();
    for filter in filters {
        if let MailboxFilter::Mailboxes(names)
        | MailboxFilter::Subtree(names)
        | MailboxFilter::SubtreeOne(names) = filter
        {
            exact.extend(names.iter().map(MailboxName::as_str));
        }
    }
    mailboxes
        .iter()
        .filter(|found| {
            let state = &found.state;
            let is_own = !found.target.whose.is_shared();
            exact.contains(&*state.name)
                || filters.iter().any(|filter| match filter {
                    MailboxFilter::Selected => selected == Some(found.key()),
                    // RFC 5465 §6.3: where mail is delivered to.
                    MailboxFilter::Inboxes => is_own && state.name == MailboxName::inbox().as_str(),
                    MailboxFilter::Personal => is_own,
                    MailboxFilter::Subscribed => state.subscribed,
                    MailboxFilter::Subtree(names) => below(&state.name, names).is_some(),
                    MailboxFilter::SubtreeOne(names) => {
                        below(&state.name, names).is_some_and(|rest| !rest.contains(HIERARCHY_SEPARATOR))
                    }
                    MailboxFilter::Mailboxes(_) | MailboxFilter::SelectedDelayed => false,
                })
        })
        .collect()
}

/// A mailbox that may be searched, its state under the name that the client uses.
struct Readable {
    target: Target,
    state: pb::MailboxState,
}

impl Readable {
    fn key(&self) -> (Whose, MailboxId) {
        (self.target.whose, MailboxId::new(self.state.mailbox_id))
    }
}

/// The user's own mailboxes, and those of others that it may read, by name.
fn readable(account: AccountId, tree: pb::ListReply) -> Vec<Readable> {
    let own = tree.mailboxes.into_iter().map(|state| {
        let (whose, name) = (Whose::own(account), state.name.clone());
        Readable { target: Target { whose, owner_address: String::new(), name }, state }
    });
    let subscribed: BTreeSet<String> = tree.ghost_subscriptions.into_iter().collect();
    let others = tree.shared.into_iter().filter_map(|shared| {
        let mut state = shared.state?;
        let full = shared_name(&shared.owner_address, &state.name)?;
        state.subscribed = subscribed.contains(&full);
        let name = std::mem::replace(&mut state.name, full);
        let whose = Whose::of(account, AccountId::new(shared.owner));
        let readable = Rights::from_bits(state.rights).contains(Rights::READ);
        readable.then_some(Readable {
            target: Target { whose, owner_address: shared.owner_address, name },
            state,
        })
    });
    let mut all: Vec<Readable> = own.chain(others).collect();
    all.sort_by(|a, b| a.state.name.cmp(&b.state.name));
    all
}

/// What follows the first of the names that this one is below, and the separator.
fn below<'a>(name: &'a str, names: &[MailboxName]) -> Option<&'a str> {
    let rest_of = |above: &MailboxName| name.strip_prefix(above.as_str())?.strip_prefix(HIERARCHY_SEPARATOR);
    // The nearest: of it the name may be a direct child.
    names.iter().filter_map(rest_of).min_by_key(|rest| rest.len())
}

/// As the client sees it.
async fn in_selected(
    session: &mut Session,
    tag: &Tag,
    search: &Search,
    (returns, state): (&SearchReturn, &pb::MailboxState),
) -> Result<(), CmdError> {
    let compiled = Compiled::of_selected(session.selected()?, &search.key)?;
    compiled.check_relevancy(returns.relevancy)?;
    session.enabled.condstore |= compiled.uses_modseq;
    let (scope, mut patience) = Scope::of_selected(session)?;
    let scope = Scope { count: None, ..scope };
    let hits = patience.wait(find(&scope, &compiled)).await??;
    let saved = report(session, tag, (returns, state), &compiled, &hits)?;
    if returns.save {
        session.selected_mut()?.saved = saved;
    }
    if returns.update {
        let update =
            Update { tag, by: Numbering::Uid, key: &search.key, criteria: &[], items: &returns.update_items };
        context::keep(session, &update, &hits.messages)?;
    }
    Ok(())
}

/// As it is now.
async fn elsewhere(
    session: &mut Session,
    tag: &Tag,
    search: &Search,
    (returns, found): (&SearchReturn, &Readable),
) -> Result<(), CmdError> {
    let Readable { target, state } = found;
    if state.exists == 0 {
        return Ok(());
    }
    let gateway = Arc::clone(&session.gateway);
    let (whose, grant) = (target.whose, session.grant()?);
    let owner = whose.to_pb();
    let known = gateway.mailboxes.latest(whose, MailboxId::new(state.mailbox_id));
    let request = pb::OpenRequest {
        grant: grant.clone(),
        owner,
        name: target.name.clone(),
        access: pb::Access::ReadOnly.into(),
        known: known.as_ref().map(|snapshot| pb::Known {
            mailbox_id: snapshot.meta().mailbox.get(),
            modseq: snapshot.meta().modseq.get(),
        }),
    };
    let reply = session.patiently(gateway.backends.mailbox.open(request)).await??;
    let snapshot = Snapshot::from_reply(known.as_ref(), &reply)?;
    let snapshot = gateway.mailboxes.keep(whose, snapshot);
    let mailbox = snapshot.meta().mailbox;
    let view = View::of(owner, snapshot);
    let compiled = Compiled::elsewhere(&view, &search.key)?;
    compiled.check_relevancy(returns.relevancy)?;
    let place = Place { account: whose.owner(), owner, grant, mailbox };
    let scope = Scope { gateway: &gateway, place, view: &view, count: None };
    let hits = session.patiently(find(&scope, &compiled)).await??;
    report(session, tag, (returns, state), &compiled, &hits)?;
    Ok(())
}

/// RFC 7377 §2.1: nothing of a mailbox in which nothing was found.
fn report(
    session: &mut Session,
    tag: &Tag,
    (returns, state): (&SearchReturn, &pb::MailboxState),
    compiled: &Compiled,
    hits: &Hits,
) -> Result<UidSet, CmdError> {
    let damaged = || CmdError::internal("storage named a mailbox that cannot be");
    if hits.messages.is_empty() {
        return Ok(UidSet::new());
    }
    let name = MailboxName::try_from(&*state.name).map_err(|_| damaged())?;
    let validity = UidValidity::new(state.uid_validity).ok_or_else(damaged)?;
    let report = Report {
        tag,
        mailbox: Some((&name, validity)),
        by: Numbering::Uid,
        returns,
        uses_modseq: compiled.uses_modseq,
        sorted: false,
        found: &hits.messages,
        scores: &hits.scores,
    };
    Ok(report.write(&mut session.writer()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(filters: &[MailboxFilter]) -> Vec<String> {
        let names = ["INBOX", "a", "a/b", "a/b/c", "ab", "z"];
        let mailboxes: Vec<pb::MailboxState> = names
            .iter()
            .zip(1..)
            .map(|(name, mailbox_id)| pb::MailboxState {
                name: (*name).to_owned(),
                mailbox_id,
                subscribed: *name == "z",
                ..Default::default()
            })
            .collect();
        let others = pb::SharedMailbox {
            owner: 2,
            owner_address: "bob@example.org".to_owned(),
            state: Some(pb::MailboxState {
                name: "INBOX".to_owned(),
                mailbox_id: 5,
                rights: Rights::ALL.bits(),
                ..Default::default()
            }),
        };
        let account = AccountId::new(1);
        let tree = pb::ListReply { mailboxes, shared: vec![others], ..Default::default() };
        let readable = readable(account, tree);
        let selected = (Whose::own(account), MailboxId::new(5));
        let found = chosen(filters, Some(selected), &readable);
        found.into_iter().map(|found| found.state.name.clone()).collect()
    }

    #[test]
    fn filters_name_each_mailbox_once() {
        use MailboxFilter as F;
        let name = |name: &str| vec![MailboxName::try_from(name).unwrap()];
        assert_eq!(named(&[F::Selected]), ["ab"]);
        assert_eq!(named(&[F::Inboxes, F::Subscribed]), ["INBOX", "z"]);
        assert_eq!(named(&[F::Personal, F::Selected]).len(), 6);
        assert_eq!(named(&[F::Subtree(name("a"))]), ["a", "a/b", "a/b/c"]);
        assert_eq!(named(&[F::SubtreeOne(name("a"))]), ["a", "a/b"]);
        let both = [MailboxName::try_from("a").unwrap(), MailboxName::try_from("a/b").unwrap()];
        assert_eq!(named(&[F::SubtreeOne(both.to_vec())]), ["a", "a/b", "a/b/c"]);
        let others = name("Other users/bob@example.org");
        assert_eq!(named(&[F::Subtree(others)]), ["Other users/bob@example.org/INBOX"]);
        assert_eq!(named(&[F::Mailboxes(name("a/b")), F::Mailboxes(name("none"))]), ["a/b"]);
    }
}
