//! ESEARCH: one search over several mailboxes (RFC 7377).

use std::collections::BTreeSet;
use std::sync::Arc;

use imap_wire::{Code, MailboxFilter, Numbering, Search, SearchReturn, Tag};
use mail_rpc::pb;
use mail_types::{HIERARCHY_SEPARATOR, MailboxId, MailboxName, UidSet, UidValidity};

use super::context::{self, Update};
use super::report::Report;
use super::search::{Compiled, Hits, Scope, find};
use crate::error::{CmdError, CmdResult, Done};
use crate::fetch::Place;
use crate::limits::{FLUSH_BYTES, SEARCHED_MAILBOXES_MAX};
use crate::session::Session;
use crate::snapshot::Snapshot;
use crate::state::State;
use crate::sync::Expunges;
use crate::view::View;

pub(crate) async fn esearch(session: &mut Session, tag: &Tag, search: &Search) -> CmdResult {
    let returns = search.returns.unwrap_or(SearchReturn { all: true, ..SearchReturn::default() });
    let filters = match search.mailboxes.as_deref() {
        None | Some([]) => &[MailboxFilter::Selected][..],
        Some(filters) => filters,
    };
    check(session, tag, filters, &returns)?;
    let selected = session.selected().ok().map(|selected| selected.mailbox());
    let tree = session.gateway.backends.mailbox.list(pb::ListRequest { grant: session.grant()? }).await?;
    let chosen: Vec<&pb::MailboxState> = chosen(filters, selected, &tree.mailboxes);
    if chosen.len() > SEARCHED_MAILBOXES_MAX {
        return Err(CmdError::no(Code::Limit, "Too many mailboxes for one search"));
    }
    for state in chosen {
        let is_selected = selected == Some(MailboxId::new(state.mailbox_id));
        let result = match is_selected {
            true => in_selected(session, tag, search, (&returns, state)).await,
            false => elsewhere(session, tag, search, (&returns, state)).await,
        };
        match result {
            // Deleted meanwhile: there is nothing in it.
            Err(CmdError::Bye(_) | CmdError::No(Code::NonExistent, _)) if !is_selected => {}
            other => other?,
        }
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
    selected: Option<MailboxId>,
    mailboxes: &'a [pb::MailboxState],
) -> Vec<&'a pb::MailboxState> {
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
        .filter(|state| {
            exact.contains(&*state.name)
                || filters.iter().any(|filter| match filter {
                    MailboxFilter::Selected => selected == Some(MailboxId::new(state.mailbox_id)),
                    // RFC 5465 §6.3: where mail is delivered to.
                    MailboxFilter::Inboxes => state.name == MailboxName::inbox().as_str(),
                    MailboxFilter::Personal => true,
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
    let hits = find(&Scope::of_selected(session)?, &compiled).await?;
    let saved = report(session, tag, (returns, state), &compiled, &hits)?;
    if returns.save {
        session.selected_mut()?.saved = saved;
    }
    if returns.update {
        let update = Update { tag, by: Numbering::Uid, key: &search.key, criteria: &[] };
        context::keep(session, &update, &hits.messages)?;
    }
    Ok(())
}

/// As it is now.
async fn elsewhere(
    session: &mut Session,
    tag: &Tag,
    search: &Search,
    (returns, state): (&SearchReturn, &pb::MailboxState),
) -> Result<(), CmdError> {
    if state.exists == 0 {
        return Ok(());
    }
    let gateway = Arc::clone(&session.gateway);
    let (account, grant) = (session.user()?.account, session.grant()?);
    let known = gateway.mailboxes.latest(account, MailboxId::new(state.mailbox_id));
    let request = pb::OpenRequest {
        grant: grant.clone(),
        name: state.name.clone(),
        access: pb::Access::ReadOnly.into(),
        known: known.as_ref().map(|snapshot| pb::Known {
            mailbox_id: snapshot.meta().mailbox.get(),
            modseq: snapshot.meta().modseq.get(),
        }),
    };
    let reply = gateway.backends.mailbox.open(request).await?;
    let snapshot = Snapshot::from_reply(known.as_ref(), &reply)?;
    gateway.mailboxes.keep(account, &snapshot);
    let mailbox = snapshot.meta().mailbox;
    let view = View::new(snapshot);
    let compiled = Compiled::elsewhere(&view, &search.key)?;
    compiled.check_relevancy(returns.relevancy)?;
    let scope = Scope { gateway: &gateway, place: Place { account, grant, mailbox }, view: &view };
    let hits = find(&scope, &compiled).await?;
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
        let found = chosen(filters, Some(MailboxId::new(5)), &mailboxes);
        found.into_iter().map(|state| state.name.clone()).collect()
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
        assert_eq!(named(&[F::Mailboxes(name("a/b")), F::Mailboxes(name("none"))]), ["a/b"]);
    }
}
