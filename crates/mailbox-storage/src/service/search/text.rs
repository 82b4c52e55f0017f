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
use crate::prepare::{text_has, unpack_header, unpack_text};
use crate::service::sync;

/// Texts of one query and one turn of a worker thread.
const PAGE_TEXTS: usize = 128;
/// Texts that are looked into without asking the index: those of mail that came since the last search for the same.
const FEW_TEXTS: usize = 8;

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
pub(in crate::service) struct Wanted {
    pub(in crate::service) uid: u32,
    pub(in crate::service) message: i64,
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
    let mut found = vec![UidSet::new(); needles.len()];
    let Some((epoch, mut wanted)) = wanted(inner, account, mailbox, &uids).await? else { return Ok(found) };
    let mut verdicts: Vec<Arc<Verdict>> =
        needles.iter().map(|(needle, _)| inner.index.verdicts.get(account, &needle.key(), epoch)).collect();
    rule_out(inner, (account, epoch), &needles, &wanted, &mut verdicts).await?;
    for place in order(&needles, &verdicts, &wanted) {
        let (needle, required) = &needles[place];
        let verdict = look(inner, account, needle, Arc::clone(&verdicts[place]), &wanted).await?;
        let hits = wanted.iter().filter(|one| verdict.found.has(one.message));
        found[place] = UidSet::from_ranges(hits.clone().map(|one| (one.uid, one.uid)));
        if *required {
            wanted = hits.copied().collect();
        }
    }
    Ok(found)
}

/// The epoch of the texts, and the messages named that are there, as of now. `None`: there is no such mailbox.
///
/// # Errors
/// Those of the database.
pub(in crate::service) async fn wanted(
    inner: &Inner,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
) -> Result<Option<(i64, Vec<Wanted>)>, Status> {
    let Some(state) = inner.db.search_state(account, mailbox).await? else { return Ok(None) };
    let entries = match inner.snapshots.at(account, mailbox, state.highest_modseq) {
        Some(entries) => entries,
        None => match sync::entries(inner, account, mailbox).await? {
            Some(entries) => entries,
            None => return Ok(None),
        },
    };
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
    Ok(Some((state.epoch, out)))
}

/// Asks the index which messages cannot have the needles, where texts of more than a few would have to be looked into.
async fn rule_out(
    inner: &Inner,
    (account, epoch): (AccountId, i64),
    needles: &[(Needle, bool)],
    wanted: &[Wanted],
    verdicts: &mut [Arc<Verdict>],
) -> Result<(), Status> {
    let mut asked = Vec::new();
    let mut indexed = Vec::new();
    for (place, (needle, _)) in needles.iter().enumerate() {
        let needle = needle.indexed();
        if needle.is_indexed() && unknown(&verdicts[place], wanted).nth(FEW_TEXTS).is_some() {
            asked.push(place);
            indexed.push(needle);
        }
    }
    if asked.is_empty() {
        return Ok(());
    }
    let messages = wanted.iter().map(|one| one.message);
    let messages: Vec<i64> = messages.collect();
    let candidates = inner.index.candidates(&*inner.db, (account, epoch), &indexed, &messages).await?;
    for (number, place) in asked.into_iter().enumerate() {
        let verdict = Arc::make_mut(&mut verdicts[place]);
        let without = wanted.iter().filter(|one| !candidates.may_have(number, one.message));
        without.for_each(|one| verdict.checked.insert(one.message));
        inner.index.verdicts.put(account, &needles[place].0.key(), Arc::clone(&verdicts[place]));
    }
    Ok(())
}

/// The messages whose texts decide.
fn unknown(verdict: &Verdict, wanted: &[Wanted]) -> impl Iterator<Item = i64> {
    wanted.iter().map(|one| one.message).filter(|message| !verdict.checked.has(*message))
}

/// The needles' places: first those that are required, those with the fewest candidates before the others.
fn order(needles: &[(Needle, bool)], verdicts: &[Arc<Verdict>], wanted: &[Wanted]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..needles.len()).collect();
    if needles.len() > 1 {
        places.sort_by_cached_key(|place| {
            let verdict = &verdicts[*place];
            let may = |message: i64| verdict.found.has(message) || !verdict.checked.has(message);
            (!needles[*place].1, wanted.iter().filter(|one| may(one.message)).count())
        });
    }
    places
}

/// What is known of the needle once the messages that may have it are looked into.
async fn look(
    inner: &Inner,
    account: AccountId,
    needle: &Needle,
    mut verdict: Arc<Verdict>,
    wanted: &[Wanted],
) -> Result<Arc<Verdict>, Status> {
    let mut unknown: Vec<i64> = unknown(&verdict, wanted).collect();
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
    let decided = Arc::make_mut(&mut verdict);
    for (message, found) in pages.into_iter().flatten() {
        decided.checked.insert(message);
        if found {
            decided.found.insert(message);
        }
    }
    inner.index.verdicts.put(account, &needle.key(), Arc::clone(&verdict));
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
    let found = match needle.field {
        text_match::Field::Header => unpack_header(packed).map(|text| needle.is_in(&text)),
        text_match::Field::Body => unpack_text(packed).map(|text| needle.is_in(&text)),
        _ => text_has(packed, |text| needle.is_in(text)),
    };
    match found {
        Ok(found) => Some((message, found)),
        Err(error) => {
            tracing::error!(message, %error, "a stored search text is damaged");
            None
        }
    }
}
