//! Conditions over the messages named: numbers by the database, text by looking into the messages that the index names.

pub(super) mod text;

use mail_rpc::pb::{self, condition::Is};
use mail_rpc::{Refusal, Right, set_from_pb, set_to_pb};
use mail_types::{MailboxId, Rights, UidSet};
use tonic::Status;

use super::access::access;
use super::number;
use crate::Inner;
use crate::db::{ColumnTest, TestColumn, Which};

/// Conditions of one request; the gateway sends one per search key, and its parser bounds those.
const CONDITIONS_MAX: usize = 1000;
const DAY_SECONDS: i64 = 86_400;

pub(super) async fn search(inner: &Inner, request: pb::SearchRequest) -> Result<pb::SearchReply, Status> {
    let mailbox = MailboxId::new(request.mailbox_id);
    let grant = (&*request.grant, request.owner, Right::Own);
    let account = access(inner, grant, Which::Id(mailbox), Rights::READ).await?.account;
    if request.conditions.len() > CONDITIONS_MAX {
        return Err(Refusal::Limit(format!("more than {CONDITIONS_MAX} conditions")).into());
    }
    // What is still wanted: a message that fails a required condition is not.
    let mut uids = set_from_pb(&request.uids);
    let mut found = vec![UidSet::new(); request.conditions.len()];
    let mut texts = Vec::new();
    let mut tests = Vec::new();
    for (place, condition) in request.conditions.iter().enumerate() {
        match condition.is.as_ref().ok_or_else(|| invalid("an empty condition"))? {
            Is::Text(text) => texts.push((place, text::Needle::new(text)?, condition.required)),
            other => tests.push((place, column_test(other), condition.required)),
        }
    }
    // Those that leave fewer messages to the others come first.
    tests.sort_by_key(|(_, _, required)| !required);
    for (place, test, required) in tests {
        found[place] = inner.db.search_column(account, mailbox, &uids, test).await?;
        if required {
            uids = found[place].clone();
        }
    }
    if !texts.is_empty() && !uids.is_empty() {
        let needles = texts.iter().map(|(_, needle, required)| (needle.clone(), *required)).collect();
        let sets = text::search(inner, account, mailbox, uids, needles).await?;
        for ((place, _, _), set) in texts.into_iter().zip(sets) {
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
