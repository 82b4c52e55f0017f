//! SORT and UID SORT (RFC 5256 §3, RFC 5957), with return options (RFC 5267 §3, RFC 9394).

use imap_wire::{SearchReturn, Sort, SortCriterion, SortKey, Tag};
use mail_rpc::pb;
use mail_types::UidSet;

use super::context::{self, Update};
use super::report::{Report, highest_modseq, number};
use super::search::{Compiled, Hits, Scope, find};
use super::store;
use crate::error::{CmdError, CmdResult, Done};
use crate::order::{self, Criterion};
use crate::session::Session;

pub(crate) async fn sort(session: &mut Session, tag: &Tag, sort: Sort) -> CmdResult {
    let result = run(session, tag, &sort).await;
    if result.as_ref().is_err_and(|error| !matches!(error, CmdError::Bad(..)))
        && sort.returns.is_some_and(|returns| returns.save)
        && let Ok(selected) = session.selected_mut()
    {
        // RFC 5182 §2.1: a search that failed leaves an empty result, one that made no sense changes nothing.
        selected.saved = UidSet::new();
    }
    result
}

async fn run(session: &mut Session, tag: &Tag, sort: &Sort) -> CmdResult {
    let returns = sort.returns.clone().unwrap_or(SearchReturn { all: true, ..SearchReturn::default() });
    context::check(session, tag, &returns)?;
    let compiled = Compiled::of_selected(session.selected()?, &sort.key)?;
    let by_relevancy = sort.criteria.iter().any(|criterion| criterion.key == SortKey::Relevancy);
    compiled.check_relevancy(returns.relevancy || by_relevancy)?;
    session.enabled.condstore |= compiled.uses_modseq;
    let (scope, mut patience) = Scope::of_selected(session)?;
    let work = async {
        let hits = find(&scope, &compiled).await?;
        scope.end();
        sorted(&scope, hits, &sort.criteria).await
    };
    let Hits { messages: found, scores } = patience.wait(work).await??;
    if sort.returns.is_none() {
        // RFC 7162 §3.1.6
        let modseq = highest_modseq(&found).filter(|_| compiled.uses_modseq);
        session.writer().sort(found.iter().map(|message| number(sort.by, message)), modseq);
    } else {
        let report = Report {
            tag,
            mailbox: None,
            by: sort.by,
            returns: &returns,
            uses_modseq: compiled.uses_modseq,
            sorted: true,
            found: &found,
            scores: &scores,
        };
        let saved = report.write(&mut session.writer());
        if returns.save {
            session.selected_mut()?.saved = saved;
        }
    }
    if returns.update {
        let update = Update {
            tag,
            by: sort.by,
            key: &sort.key,
            criteria: &sort.criteria,
            items: &returns.update_items,
        };
        context::keep(session, &update, &found)?;
    }
    session.catch_up_if_stale(store::expunges_of(sort.by)).await?;
    Done::plain()
}

/// What was found in the order of the criteria.
pub(super) async fn sorted(
    scope: &Scope<'_>,
    hits: Hits,
    criteria: &[SortCriterion],
) -> Result<Hits, CmdError> {
    let criteria = telling(criteria);
    let uids: Vec<u32> = hits.messages.iter().map(|message| message.entry.uid.get()).collect();
    let keys: Vec<pb::SortKey> = criteria.iter().filter_map(|criterion| key(criterion.key)).collect();
    let mut columns = scope.columns(&uids, &keys).await?.into_iter();
    let criteria = criteria.iter().map(|criterion| Criterion {
        ordinals: match key(criterion.key).and_then(|_| columns.next()) {
            Some(column) => column.ordinals(&uids),
            // RFC 6203 §6: the highest score comes first.
            None => hits.scores.iter().map(|score| 100u64.saturating_sub(u64::from(*score))).collect(),
        },
        reverse: criterion.reverse,
    });
    let order = order::sort(uids.len(), criteria.collect());
    let places = || order.iter().map(|place| *place as usize);
    Ok(Hits {
        messages: places().map(|place| hits.messages[place]).collect(),
        scores: places().filter_map(|place| hits.scores.get(place)).copied().collect(),
    })
}

/// Without those whose key came before: they decide nothing, and a command may name any number of them.
fn telling(criteria: &[SortCriterion]) -> Vec<SortCriterion> {
    let mut telling: Vec<SortCriterion> = Vec::new();
    for criterion in criteria {
        if telling.iter().all(|other| other.key != criterion.key) {
            telling.push(*criterion);
        }
    }
    telling
}

/// `None`: by what the search says of a message.
fn key(key: SortKey) -> Option<pb::SortKey> {
    use pb::SortKey as K;
    Some(match key {
        SortKey::Arrival => K::Arrival,
        SortKey::Cc => K::Cc,
        SortKey::Date => K::Date,
        SortKey::From => K::From,
        SortKey::Size => K::Size,
        SortKey::Subject => K::Subject,
        SortKey::To => K::To,
        SortKey::DisplayFrom => K::DisplayFrom,
        SortKey::DisplayTo => K::DisplayTo,
        SortKey::Relevancy => return None,
    })
}
