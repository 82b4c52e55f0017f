//! Text that is found fuzzily, and how well it fits: the messages that the index cannot rule out are looked into.

use std::sync::Arc;

use mail_message::fuzzy::Needle;
use mail_message::search::Field;
use mail_rpc::pb::text_match;
use mail_rpc::{Refusal, Right, pb, set_from_pb};
use mail_types::{AccountId, MailboxId, Rights, Uid, UidSet};
use tonic::Status;

use super::access::access;
use super::fetch::rest_after;
use super::search::text;
use crate::Inner;
use crate::db::Which;
use crate::index;
use crate::prepare::unpack_text;

/// Texts of one query and one turn of a worker thread.
const PAGE_TEXTS: i64 = 128;
/// Texts looked for by one request; the gateway sends one per search key, and its parser bounds those.
const NEEDLES_MAX: usize = 100;

struct Wanted {
    field: text_match::Field,
    header: String,
    needle: Needle,
}

impl Wanted {
    fn indexed(&self) -> index::Needle {
        let header = (self.field == text_match::Field::Header).then_some(&*self.header);
        index::Needle::of_fuzzy(self.needle.words(), header)
    }
}

pub(super) async fn search(
    inner: &Inner,
    request: pb::FuzzySearchRequest,
) -> Result<pb::FuzzySearchReply, Status> {
    let mailbox = MailboxId::new(request.mailbox_id);
    let grant = (&*request.grant, request.owner, Right::Own);
    let account = access(inner, grant, Which::Id(mailbox), Rights::READ).await?.account;
    if request.texts.len() > NEEDLES_MAX {
        return Err(Refusal::Limit(format!("more than {NEEDLES_MAX} texts")).into());
    }
    if request.texts.iter().any(|text| text.field() == text_match::Field::Unspecified) {
        return Err(Refusal::Invalid("a text without a field".to_owned()).into());
    }
    let wanted: Vec<Wanted> = request
        .texts
        .iter()
        .map(|text| Wanted {
            field: text.field(),
            header: text.header.clone(),
            needle: Needle::new(&text.text),
        })
        .collect();
    let wanted = Arc::new(wanted);
    let mut found: Vec<Vec<(u32, u8)>> = vec![Vec::new(); wanted.len()];
    let mut rest = if wanted.is_empty() {
        UidSet::new()
    } else {
        candidates(inner, account, mailbox, &set_from_pb(&request.uids), &wanted).await?
    };
    while !rest.is_empty() {
        let texts = inner.db.search_texts(account, mailbox, &rest, PAGE_TEXTS).await?;
        rest = match texts.last() {
            Some((last, _)) if texts.len() as i64 == PAGE_TEXTS => rest_after(&rest, last.get()),
            _ => UidSet::new(),
        };
        let wanted = Arc::clone(&wanted);
        let page = tokio::task::spawn_blocking(move || look_into(&texts, &wanted))
            .await
            .map_err(|_| Status::internal("the search was cut short"))?;
        for (all, new) in found.iter_mut().zip(page) {
            all.extend(new);
        }
    }
    Ok(pb::FuzzySearchReply { matches: found.into_iter().map(matches_to_pb).collect() })
}

/// The messages named that may have any of the texts.
async fn candidates(
    inner: &Inner,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
    wanted: &[Wanted],
) -> Result<UidSet, Status> {
    let needles: Vec<index::Needle> = wanted.iter().map(Wanted::indexed).collect();
    if !needles.iter().all(index::Needle::is_indexed) {
        return Ok(uids.clone());
    }
    let there = text::wanted(inner, account, mailbox, uids).await?;
    let Some((epoch, there)) = there else { return Ok(UidSet::new()) };
    let messages: Vec<i64> = there.iter().map(|one| one.message).collect();
    let candidates = inner.index.candidates(&*inner.db, (account, epoch), &needles, &messages).await?;
    let may = |message| (0..needles.len()).any(|needle| candidates.may_have(needle, message));
    let may = there.iter().filter(|one| may(one.message)).map(|one| (one.uid, one.uid));
    Ok(UidSet::from_ranges(may))
}

fn look_into(texts: &[(Uid, Vec<u8>)], wanted: &[Wanted]) -> Vec<Vec<(u32, u8)>> {
    let mut found = vec![Vec::new(); wanted.len()];
    for (uid, packed) in texts {
        let Ok(text) = unpack_text(packed) else {
            tracing::error!(%uid, "a stored search text is damaged");
            continue;
        };
        for (wanted, found) in wanted.iter().zip(&mut found) {
            let field = match wanted.field {
                text_match::Field::Header => Field::Header(&wanted.header),
                text_match::Field::Body => Field::Body,
                text_match::Field::Text | text_match::Field::Unspecified => Field::Text,
            };
            let score = wanted.needle.score(&text, &field);
            if score > 0 {
                found.push((uid.get(), score));
            }
        }
    }
    found
}

fn matches_to_pb(found: Vec<(u32, u8)>) -> pb::fuzzy_search_reply::Matches {
    let mut before = 0;
    let mut matches = pb::fuzzy_search_reply::Matches::default();
    let mut scores = Vec::with_capacity(found.len());
    for (uid, score) in found {
        matches.uid_deltas.push(uid - before);
        before = uid;
        scores.push(score);
    }
    matches.scores = scores.into();
    matches
}
