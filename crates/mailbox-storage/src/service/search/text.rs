//! Text: the index names candidates, their texts decide.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use mail_message::search::{Field, fold, matches};
use mail_rpc::{pb, pb::text_match};
use mail_types::{AccountId, MailboxId, UidSet};
use tonic::Status;

use super::invalid;
use crate::Inner;
use crate::index::{self, Verdict};
use crate::prepare::{unpack_header, unpack_text};
use crate::service::sync;

/// Texts of one query and one turn of a worker thread.
const PAGE_TEXTS: usize = 128;

/// What to look for, folded like the stored text.
#[derive(Clone)]
pub(super) struct Needle {
    field: text_match::Field,
    header: String,
    text: String,
}

impl Needle {
    /// # Errors
    /// INVALID_ARGUMENT without a field.
    pub(super) fn new(text: &pb::TextMatch) -> Result<Self, Status> {
        if text.field() == text_match::Field::Unspecified {
            return Err(invalid("a text condition without a field"));
        }
        Ok(Self { field: text.field(), header: text.header.to_ascii_lowercase(), text: fold(&text.text) })
    }

    fn in_header(&self) -> bool {
        self.field == text_match::Field::Header
    }

    fn indexed(&self) -> index::Needle {
        index::Needle::new(&self.text, self.in_header().then_some(&*self.header))
    }

    /// Differs from that of every other needle: folded text has no NUL, nor has a field's name.
    fn key(&self) -> String {
        format!("{}\0{}\0{}", self.field as i32, self.header, self.text)
    }

    fn is_in(&self, text: &str) -> bool {
        let field = match self.field {
            text_match::Field::Header => Field::Header(&self.header),
            text_match::Field::Body => Field::Body,
            text_match::Field::Text | text_match::Field::Unspecified => Field::Text,
        };
        matches(text, &field, &self.text)
    }
}

/// A message of the mailbox; it may be there several times.
#[derive(Clone, Copy)]
struct Wanted {
    uid: u32,
    message: i64,
}

/// The messages that have each needle, of `uids`; of what lacks a needle that is required the others need not be told.
///
/// # Errors
/// Those of the database.
pub(super) async fn search(
    inner: &Inner,
    account: AccountId,
    mailbox: MailboxId,
    uids: UidSet,
    needles: Vec<(Needle, bool)>,
) -> Result<Vec<UidSet>, Status> {
    let mut wanted = wanted(inner, account, mailbox, &uids).await?;
    let indexed: Vec<index::Needle> = needles.iter().map(|(needle, _)| needle.indexed()).collect();
    let candidates = inner.index.candidates(&*inner.db, account, &indexed).await?;
    let mut found = vec![UidSet::new(); needles.len()];
    for place in order(&needles, &candidates, &wanted) {
        let (needle, required) = &needles[place];
        let may: Vec<Wanted> =
            wanted.iter().filter(|one| candidates.may_have(place, one.message)).copied().collect();
        let verdict = look(inner, account, needle, candidates.epoch, &may).await?;
        let hits: Vec<Wanted> = may.into_iter().filter(|one| verdict.found.has(one.message)).collect();
        found[place] = UidSet::from_ranges(hits.iter().map(|one| (one.uid, one.uid)));
        if *required {
            wanted = hits;
        }
    }
    Ok(found)
}

/// The messages named that are there, as of now.
async fn wanted(
    inner: &Inner,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
) -> Result<Vec<Wanted>, Status> {
    let Some(entries) = sync::entries(inner, account, mailbox).await? else { return Ok(Vec::new()) };
    let mut ranges = uids.ranges().iter().peekable();
    let mut out = Vec::with_capacity(entries.len());
    for entry in entries.iter() {
        let uid = entry.uid.get();
        while ranges.next_if(|(_, last)| *last < uid).is_some() {}
        match ranges.peek() {
            Some((first, _)) if *first <= uid => out.push(Wanted { uid, message: entry.message.as_i64() }),
            Some(_) => {}
            None => break,
        }
    }
    Ok(out)
}

/// The needles' places: first those that are required, those with the fewest candidates before the others.
fn order(needles: &[(Needle, bool)], candidates: &index::Candidates, wanted: &[Wanted]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..needles.len()).collect();
    if needles.len() > 1 {
        places.sort_by_cached_key(|place| {
            let may = wanted.iter().filter(|one| candidates.may_have(*place, one.message)).count();
            (!needles[*place].1, may)
        });
    }
    places
}

/// What is known of the needle once these messages are looked into.
async fn look(
    inner: &Inner,
    account: AccountId,
    needle: &Needle,
    epoch: i64,
    may: &[Wanted],
) -> Result<Verdict, Status> {
    let key = needle.key();
    let mut verdict = inner.index.verdicts.get(account, &key, epoch);
    let mut unknown: Vec<i64> =
        may.iter().map(|one| one.message).filter(|message| !verdict.checked.has(*message)).collect();
    if unknown.is_empty() {
        return Ok(verdict);
    }
    unknown.sort_unstable();
    unknown.dedup();
    let needle = Arc::new(needle.clone());
    let at_once = std::thread::available_parallelism().map_or(2, usize::from);
    let pages: Vec<Vec<i64>> = unknown.chunks(PAGE_TEXTS).map(<[i64]>::to_vec).collect();
    let pages: Vec<Vec<(i64, bool)>> = stream::iter(pages)
        .map(|page| look_into(inner, account, Arc::clone(&needle), page))
        .buffer_unordered(at_once)
        .try_collect()
        .await?;
    for (message, found) in pages.into_iter().flatten() {
        verdict.checked.insert(message);
        if found {
            verdict.found.insert(message);
        }
    }
    inner.index.verdicts.put(account, &key, verdict.clone());
    Ok(verdict)
}

/// Which of the messages have the needle; those that are gone are left out.
async fn look_into(
    inner: &Inner,
    account: AccountId,
    needle: Arc<Needle>,
    messages: Vec<i64>,
) -> Result<Vec<(i64, bool)>, Status> {
    let texts = inner.db.texts(account, &messages).await?;
    let look =
        move || texts.into_iter().filter_map(|(message, packed)| judge(&needle, message, &packed)).collect();
    tokio::task::spawn_blocking(look).await.map_err(|_| Status::internal("the search was cut short"))
}

fn judge(needle: &Needle, message: i64, packed: &[u8]) -> Option<(i64, bool)> {
    let text = if needle.in_header() { unpack_header(packed) } else { unpack_text(packed) };
    match text {
        Ok(text) => Some((message, needle.is_in(&text))),
        Err(error) => {
            tracing::error!(message, %error, "a stored search text is damaged");
            None
        }
    }
}
