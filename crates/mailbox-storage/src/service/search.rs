//! Conditions over the messages named: numbers by the database, text by looking into every one of them.

use mail_message::search::{Field, fold, matches};
use mail_rpc::pb::{condition::Is, text_match};
use mail_rpc::{Refusal, Right, pb, set_from_pb, set_to_pb};
use mail_types::{AccountId, MailboxId, Uid, UidSet};
use std::sync::Arc;
use tonic::Status;

use super::fetch::rest_after;
use super::{demand, number};
use crate::Inner;
use crate::db::{ColumnTest, TestColumn};
use crate::prepare::unpack_text;

/// Texts of one query and one turn of a worker thread.
const PAGE_TEXTS: i64 = 256;
/// Conditions of one request; the gateway sends one per search key, and its parser bounds those.
const CONDITIONS_MAX: usize = 1000;
const DAY_SECONDS: i64 = 86_400;

pub(super) async fn search(inner: &Inner, request: pb::SearchRequest) -> Result<pb::SearchReply, Status> {
    let account = demand(inner, &request.grant, Right::Own)?;
    let mailbox = MailboxId::new(request.mailbox_id);
    if request.conditions.len() > CONDITIONS_MAX {
        return Err(Refusal::Limit(format!("more than {CONDITIONS_MAX} conditions")).into());
    }
    let uids = set_from_pb(&request.uids);
    let mut found = vec![UidSet::new(); request.conditions.len()];
    let (mut needles, mut places) = (Vec::new(), Vec::new());
    for (place, condition) in request.conditions.iter().enumerate() {
        match condition.is.as_ref().ok_or_else(|| invalid("an empty condition"))? {
            Is::Text(text) => {
                needles.push(needle(text)?);
                places.push(place);
            }
            other => {
                let test = column_test(other);
                found[place] = inner.db.search_column(account, mailbox, &uids, test).await?;
            }
        }
    }
    if !needles.is_empty() {
        let texts = search_texts(inner, account, mailbox, uids, needles).await?;
        for (place, set) in places.into_iter().zip(texts) {
            found[place] = set;
        }
    }
    let matches = found.iter().map(|set| pb::search_reply::Matches { uids: set_to_pb(set) }).collect();
    Ok(pb::SearchReply { matches })
}

fn invalid(what: &str) -> Status {
    Refusal::Invalid(what.to_owned()).into()
}

fn column_test(is: &Is) -> ColumnTest {
    let (column, from, to) = match is {
        Is::Received(days) => {
            let seconds = |day: i64| day.saturating_mul(DAY_SECONDS);
            (TestColumn::ReceivedAt, seconds(days.from), seconds(days.to))
        }
        Is::Saved(days) => {
            let seconds = |day: i64| day.saturating_mul(DAY_SECONDS);
            (TestColumn::SavedAt, seconds(days.from), seconds(days.to))
        }
        Is::ReceivedSeconds(seconds) => (TestColumn::ReceivedAt, seconds.from, seconds.to),
        Is::Sent(days) => (TestColumn::SentDay, days.from, days.to),
        Is::Size(size) => (TestColumn::Size, number(size.min), number(size.max).saturating_add(1)),
        // Handled by the caller; matches nothing.
        Is::Text(_) => (TestColumn::Size, 0, 0),
    };
    ColumnTest { column, from, to }
}

/// What to look for, folded like the stored text.
struct Needle {
    field: text_match::Field,
    header: String,
    text: String,
}

fn needle(text: &pb::TextMatch) -> Result<Needle, Status> {
    if text.field() == text_match::Field::Unspecified {
        return Err(invalid("a text condition without a field"));
    }
    Ok(Needle { field: text.field(), header: text.header.clone(), text: fold(&text.text) })
}

async fn search_texts(
    inner: &Inner,
    account: AccountId,
    mailbox: MailboxId,
    uids: UidSet,
    needles: Vec<Needle>,
) -> Result<Vec<UidSet>, Status> {
    let needles = Arc::new(needles);
    let mut found = vec![Vec::new(); needles.len()];
    let mut rest = uids;
    while !rest.is_empty() {
        let texts = inner.db.search_texts(account, mailbox, &rest, PAGE_TEXTS).await?;
        let more = texts.len() as i64 == PAGE_TEXTS;
        rest = match texts.last() {
            Some((last, _)) if more => rest_after(&rest, last.get()),
            _ => UidSet::new(),
        };
        let needles = Arc::clone(&needles);
        let page = tokio::task::spawn_blocking(move || match_page(&texts, &needles))
            .await
            .map_err(|_| Status::internal("the search was cut short"))?;
        for (all, new) in found.iter_mut().zip(page) {
            all.extend(new);
        }
    }
    Ok(found.into_iter().map(|uids| uids.into_iter().collect()).collect())
}

fn match_page(texts: &[(Uid, Vec<u8>)], needles: &[Needle]) -> Vec<Vec<Uid>> {
    let mut found = vec![Vec::new(); needles.len()];
    for (uid, packed) in texts {
        let Ok(text) = unpack_text(packed) else {
            tracing::error!(%uid, "a stored search text is damaged");
            continue;
        };
        for (needle, found) in needles.iter().zip(&mut found) {
            let field = match needle.field {
                text_match::Field::Header => Field::Header(&needle.header),
                text_match::Field::Body => Field::Body,
                text_match::Field::Text | text_match::Field::Unspecified => Field::Text,
            };
            if matches(&text, &field, &needle.text) {
                found.push(*uid);
            }
        }
    }
    found
}
