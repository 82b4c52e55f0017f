//! From a needle to the messages that may contain it.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use mail_types::AccountId;

use super::grams::{Place, bits_of};
use super::kept::{Kept, KeptSegment};
use super::segment::{place, slice};
use super::signature::has_all;
use super::{Ids, Index, TAIL_MESSAGES};
use crate::db::{Db, SegmentRow};
use crate::error::DbResult;

/// Bits of a needle that are looked at: each leaves a fifth of the messages that do not contain it.
const BITS_MAX: usize = 12;
/// Messages that the kept index does not know and that may be looked into at every search; with more it is read again.
const UNKNOWN_MAX: usize = 8;
/// Needles of one query, so that what is in memory is bounded.
const NEEDLES_MAX: usize = 16;

/// The bits that a text with this needle has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Needle(Vec<u32>);

impl Needle {
    /// `field`: the header field that it is to stand in.
    pub(crate) fn new(folded: &str, field: Option<&str>) -> Self {
        let mut bits = Vec::new();
        bits_of(folded, field.map_or(Place::ANYWHERE, Place::field), |bit| bits.push(bit));
        Self::of_bits(bits)
    }

    /// Has it any bits? If not, every message is a candidate.
    pub(crate) fn is_indexed(&self) -> bool {
        !self.0.is_empty()
    }

    #[cfg(test)]
    pub(super) fn is_within(&self, bits: &std::collections::HashSet<u32>) -> bool {
        self.0.iter().all(|bit| bits.contains(bit))
    }

    /// Of words that must all be there, as FUZZY compares them.
    ///
    /// Hiragana and katakana are the same to it, and α is ᾳ without its iota, but not to the index: so they tell nothing here. All
    /// else that it takes for the same has the same letters.
    pub(crate) fn of_fuzzy(words: &[String], field: Option<&str>) -> Self {
        let place = field.map_or(Place::ANYWHERE, Place::field);
        let is_ambiguous = |letter| matches!(letter, '\u{3041}'..='\u{30ff}' | 'α' | 'η' | 'ω');
        let mut bits = Vec::new();
        for word in words {
            bits_of(&word.replace(is_ambiguous, " "), place, |bit| bits.push(bit));
        }
        Self::of_bits(bits)
    }

    /// Some of these bits.
    pub(super) fn of_bits(bits: impl IntoIterator<Item = u32>) -> Self {
        // As good as random, so any of them will do.
        Self(bits.into_iter().collect::<BTreeSet<u32>>().into_iter().take(BITS_MAX).collect())
    }
}

/// What the index says about an account.
pub(crate) struct Candidates {
    kept: Arc<Kept>,
    /// Every row was read: what is not known is in none.
    pub(crate) complete: bool,
    found: Vec<Option<Ids>>,
}

impl Candidates {
    /// May this message contain the needle of this number?
    pub(crate) fn may_have(&self, needle: usize, message: i64) -> bool {
        self.found[needle].as_ref().is_none_or(|found| found.has(message) || !self.knows(message))
    }

    /// Does the index know this message?
    pub(crate) fn knows(&self, message: i64) -> bool {
        self.kept.known.has(message)
    }
}

impl Index {
    /// Which of the messages wanted may contain each of the needles, in texts of this epoch.
    pub(crate) async fn candidates(
        &self,
        db: &dyn Db,
        (account, epoch): (AccountId, i64),
        needles: &[Needle],
        wanted: &[i64],
    ) -> DbResult<Candidates> {
        let kept = self.kept.get(&account).filter(|kept| kept.epoch == epoch);
        if let Some(kept) = kept {
            let is_late = kept.unknown(wanted) > UNKNOWN_MAX;
            if !is_late {
                let found = look(db, account, &kept, needles, Some(wanted)).await?;
                if found.complete || !kept.complete {
                    return Ok(found);
                }
            }
            let kept = Kept::read(db, account, epoch, Some(&kept), wanted).await?;
            return self.keep(db, account, kept, needles, wanted).await;
        }
        let kept = Kept::read(db, account, epoch, None, wanted).await?;
        self.keep(db, account, kept, needles, wanted).await
    }

    /// The same by the database alone, whatever is kept.
    pub(super) async fn read_candidates(
        &self,
        db: &dyn Db,
        account: AccountId,
        needles: &[Needle],
    ) -> DbResult<Candidates> {
        let kept = Kept::read(db, account, 0, None, &[]).await?;
        look(db, account, &Arc::new(kept), needles, None).await
    }

    async fn keep(
        &self,
        db: &dyn Db,
        account: AccountId,
        kept: Kept,
        needles: &[Needle],
        wanted: &[i64],
    ) -> DbResult<Candidates> {
        if kept.tail.len() >= 2 * TAIL_MESSAGES as usize {
            self.crowd(account);
        }
        let kept = Arc::new(kept);
        self.kept.insert(account, Arc::clone(&kept));
        look(db, account, &kept, needles, Some(wanted)).await
    }
}

/// `wanted`: of these messages; `None`: of all.
async fn look(
    db: &dyn Db,
    account: AccountId,
    kept: &Arc<Kept>,
    needles: &[Needle],
    wanted: Option<&[i64]>,
) -> DbResult<Candidates> {
    let found = needles.iter().map(|needle| needle.is_indexed().then(Ids::default)).collect();
    let mut out = Candidates { kept: Arc::clone(kept), complete: kept.complete, found };
    look_in_tail(needles, &mut out);
    let segments = segments_of(kept, wanted);
    for first in (0..needles.len()).step_by(NEEDLES_MAX) {
        let some = first..needles.len().min(first + NEEDLES_MAX);
        look_in_segments(db, account, &segments, (needles, some), &mut out).await?;
    }
    Ok(out)
}

/// The segments that have any of these messages: an account has other mailboxes too.
fn segments_of<'a>(kept: &'a Kept, wanted: Option<&[i64]>) -> Vec<&'a KeptSegment> {
    let Some(wanted) = wanted else { return kept.segments.iter().collect() };
    let mut all = Ids::default();
    wanted.iter().for_each(|id| all.insert(*id));
    kept.segments.iter().filter(|(_, ids)| ids.iter().any(|id| all.has(*id))).collect()
}

fn look_in_tail(needles: &[Needle], out: &mut Candidates) {
    for (needle, found) in needles.iter().zip(&mut out.found) {
        let Some(found) = found else { continue };
        for row in out.kept.tail.iter().filter(|row| has_all(&row.bits, &needle.0)) {
            found.insert(row.message);
        }
    }
}

async fn look_in_segments(
    db: &dyn Db,
    account: AccountId,
    segments: &[&KeptSegment],
    (needles, some): (&[Needle], Range<usize>),
    out: &mut Candidates,
) -> DbResult<()> {
    let mut wanted = BTreeSet::new();
    for (segment, _) in segments {
        for bit in needles[some.clone()].iter().flat_map(|needle| &needle.0) {
            wanted.insert((segment.id, place_in(segment, *bit).0));
        }
    }
    let wanted: Vec<(i64, i32)> = wanted.into_iter().collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let blocks: HashMap<(i64, i32), Vec<u8>> = db
        .index_slices(account, &wanted)
        .await?
        .into_iter()
        .map(|(segment, block, data)| ((segment, block), data))
        .collect();
    for (segment, ids) in segments {
        for (needle, found) in needles[some.clone()].iter().zip(&mut out.found[some.clone()]) {
            let Some(found) = found else { continue };
            match columns(segment, needle, &blocks) {
                Some(columns) => messages_of(&columns, ids, |id| found.insert(id)),
                // A block is gone: so is the segment, merged away, and what it says is not known.
                None => {
                    out.complete = false;
                    ids.iter().for_each(|id| found.insert(*id));
                }
            }
        }
    }
    Ok(())
}

/// The messages whose bits are set.
fn messages_of(columns: &[u8], ids: &[i64], mut found: impl FnMut(i64)) {
    for (at, octet) in columns.iter().enumerate().filter(|(_, octet)| **octet != 0) {
        for bit in (0..8).filter(|bit| octet >> bit & 1 == 1) {
            ids.get(at * 8 + bit).into_iter().for_each(|id| found(*id));
        }
    }
}

fn place_in(segment: &SegmentRow, bit: u32) -> (i32, usize) {
    place(bit, segment.messages as usize, segment.width.max(1) as usize)
}

/// The messages of a segment that have all bits of a needle, as bits. `None`: not all of it is there.
fn columns(segment: &SegmentRow, needle: &Needle, blocks: &HashMap<(i64, i32), Vec<u8>>) -> Option<Vec<u8>> {
    let messages = segment.messages as usize;
    let mut all: Option<Vec<u8>> = None;
    for bit in &needle.0 {
        let (block, at) = place_in(segment, *bit);
        let slice = slice(blocks.get(&(segment.id, block))?, at, messages)?;
        match &mut all {
            Some(all) => all.iter_mut().zip(slice).for_each(|(all, one)| *all &= one),
            None => all = Some(slice.to_vec()),
        }
    }
    Some(all.unwrap_or_default())
}
