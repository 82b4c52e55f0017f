//! SORT and UID SORT (RFC 5256 §3, RFC 5957), with return options (RFC 5267 §3, RFC 9394).

use imap_wire::{SearchReturn, Sort, SortCriterion, SortKey, Tag};
use mail_rpc::pb;
use mail_types::UidSet;

use super::context::{self, Update};
use super::report::{Report, highest_modseq, number};
use super::search::{Compiled, Scope, find};
use super::store;
use crate::error::{CmdError, CmdResult, Done};
use crate::order::{self, Criterion};
use crate::session::Session;
use crate::view::Message;

pub(crate) async fn sort(session: &mut Session, tag: &Tag, sort: Sort) -> CmdResult {
    let result = run(session, tag, &sort).await;
    if result.is_err()
        && sort.returns.is_some_and(|returns| returns.save)
        && let Ok(selected) = session.selected_mut()
    {
        // RFC 5182 §2.1: a search that failed leaves an empty result.
        selected.saved = UidSet::new();
    }
    result
}

async fn run(session: &mut Session, tag: &Tag, sort: &Sort) -> CmdResult {
    let returns = sort.returns.unwrap_or(SearchReturn { all: true, ..SearchReturn::default() });
    if returns.relevancy {
        return Err(CmdError::bad("This return option is not offered"));
    }
    context::check(session, tag, &returns)?;
    let compiled = Compiled::of_selected(session.selected()?, &sort.key)?;
    session.enabled.condstore |= compiled.uses_modseq;
    let scope = Scope::of_selected(session)?;
    let found = find(&scope, &compiled).await?;
    let found = sorted(&scope, found, &sort.criteria).await?;
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
        };
        let saved = report.write(&mut session.writer());
        if returns.save {
            session.selected_mut()?.saved = saved;
        }
    }
    if returns.update {
        let update = Update { tag, by: sort.by, key: &sort.key, criteria: &sort.criteria };
        context::keep(session, &update, &found)?;
    }
    session.catch_up_if_stale(store::expunges_of(sort.by)).await?;
    Done::plain()
}

/// Messages (ascending) in the order of the criteria.
pub(super) async fn sorted(
    scope: &Scope<'_>,
    found: Vec<Message>,
    criteria: &[SortCriterion],
) -> Result<Vec<Message>, CmdError> {
    let keys: Result<Vec<pb::SortKey>, CmdError> =
        criteria.iter().map(|criterion| key(criterion.key)).collect();
    let uids: Vec<u32> = found.iter().map(|message| message.entry.uid.get()).collect();
    let columns = scope.columns(&uids, &keys?).await?;
    let criteria = criteria.iter().zip(columns).map(|(criterion, column)| Criterion {
        ordinals: column.ordinals(&uids),
        reverse: criterion.reverse,
    });
    let order = order::sort(found.len(), criteria.collect());
    Ok(order.into_iter().map(|place| found[place as usize]).collect())
}

fn key(key: SortKey) -> Result<pb::SortKey, CmdError> {
    use pb::SortKey as K;
    Ok(match key {
        SortKey::Arrival => K::Arrival,
        SortKey::Cc => K::Cc,
        SortKey::Date => K::Date,
        SortKey::From => K::From,
        SortKey::Size => K::Size,
        SortKey::Subject => K::Subject,
        SortKey::To => K::To,
        SortKey::DisplayFrom => K::DisplayFrom,
        SortKey::DisplayTo => K::DisplayTo,
        SortKey::Relevancy => return Err(CmdError::bad("This sort key is not offered")),
    })
}
