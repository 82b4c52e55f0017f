//! From a needle to the messages that may contain it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use mail_types::AccountId;

use super::grams::{Place, bits_of};
use super::segment::{place, slice, unpack_ids};
use super::signature::has_all;
use super::{Ids, Index, SCHEME, TAIL_MESSAGES};
use crate::db::{Db, IndexRows, SegmentRow, TailRow};
use crate::error::DbResult;

/// Bits of a needle that are looked at: each leaves a fifth of the messages that do not contain it.
const BITS_MAX: usize = 12;
/// Tail rows that are read; with more, which only a merge that fell behind leaves, the rest counts as unknown.
const TAIL_ROWS: i64 = 4096;
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

    /// Some of these bits.
    pub(super) fn of_bits(bits: impl IntoIterator<Item = u32>) -> Self {
        // As good as random, so any of them will do.
        Self(bits.into_iter().collect::<BTreeSet<u32>>().into_iter().take(BITS_MAX).collect())
    }
}

/// What the index says about an account.
pub(crate) struct Candidates {
    /// See `IndexRows`.
    pub(crate) epoch: i64,
    /// Everything was read: what is not known is in no row.
    pub(crate) complete: bool,
    known: Ids,
    found: Vec<Option<Ids>>,
}

impl Candidates {
    /// May this message contain the needle of this number?
    pub(crate) fn may_have(&self, needle: usize, message: i64) -> bool {
        self.found[needle].as_ref().is_none_or(|found| found.has(message) || !self.known.has(message))
    }

    /// Does the index know this message?
    pub(crate) fn knows(&self, message: i64) -> bool {
        self.known.has(message)
    }
}

impl Index {
    /// What may contain each of the needles.
    pub(crate) async fn candidates(
        &self,
        db: &dyn Db,
        account: AccountId,
        needles: &[Needle],
    ) -> DbResult<Candidates> {
        // The tail first: what is moved meanwhile is then seen twice rather than not at all.
        let (tail, rows) = if needles.iter().any(|needle| !needle.0.is_empty()) {
            (db.index_tail(account, TAIL_ROWS).await?, db.index_rows(account).await?)
        } else {
            (Vec::new(), IndexRows { segments: Vec::new(), ..db.index_rows(account).await? })
        };
        if tail.len() >= 2 * TAIL_MESSAGES as usize {
            self.crowd(account);
        }
        let found = needles.iter().map(|needle| (!needle.0.is_empty()).then(Ids::default)).collect();
        let mut out = Candidates {
            epoch: rows.epoch,
            complete: tail.len() < TAIL_ROWS as usize,
            known: Ids::default(),
            found,
        };
        look_in_tail(&tail, needles, &mut out);
        let segments: Vec<SegmentRow> = rows.segments.into_iter().filter(|s| s.scheme == SCHEME).collect();
        let ids = self.ids_of(db, (account, rows.epoch), &segments).await?;
        for first in (0..needles.len()).step_by(NEEDLES_MAX) {
            let some = first..needles.len().min(first + NEEDLES_MAX);
            self.look_in_segments(db, account, (&segments, &ids), (needles, some), &mut out).await?;
        }
        Ok(out)
    }

    /// The messages of the segments; `None`: the segment has just been merged away.
    async fn ids_of(
        &self,
        db: &dyn Db,
        (account, epoch): (AccountId, i64),
        segments: &[SegmentRow],
    ) -> DbResult<HashMap<i64, Arc<Vec<i64>>>> {
        let mut out = HashMap::with_capacity(segments.len());
        let mut missing = Vec::new();
        for segment in segments {
            match self.ids.get(&(account, epoch, segment.id)) {
                Some(ids) => drop(out.insert(segment.id, ids)),
                None => missing.push(segment.id),
            }
        }
        if !missing.is_empty() {
            for (segment, packed) in db.index_ids(account, &missing).await? {
                let Some(ids) = unpack_ids(&packed) else { continue };
                let ids = Arc::new(ids);
                self.ids.insert((account, epoch, segment), Arc::clone(&ids));
                out.insert(segment, ids);
            }
        }
        Ok(out)
    }

    async fn look_in_segments(
        &self,
        db: &dyn Db,
        account: AccountId,
        (segments, ids): (&[SegmentRow], &HashMap<i64, Arc<Vec<i64>>>),
        (needles, some): (&[Needle], std::ops::Range<usize>),
        out: &mut Candidates,
    ) -> DbResult<()> {
        let mut wanted = BTreeSet::new();
        for segment in segments {
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
        for segment in segments {
            let ids = ids.get(&segment.id).filter(|ids| ids.len() == segment.messages as usize);
            // It has just been merged away.
            let Some(ids) = ids else {
                out.complete = false;
                continue;
            };
            let columns: Option<Vec<Vec<u8>>> =
                needles[some.clone()].iter().map(|needle| columns(segment, needle, &blocks)).collect();
            // A block is gone: so is the segment.
            let Some(columns) = columns else {
                out.complete = false;
                continue;
            };
            ids.iter().for_each(|id| out.known.insert(*id));
            for (found, columns) in out.found[some.clone()].iter_mut().zip(columns) {
                let Some(found) = found else { continue };
                for (at, octet) in columns.into_iter().enumerate().filter(|(_, octet)| *octet != 0) {
                    for bit in (0..8).filter(|bit| octet >> bit & 1 == 1) {
                        ids.get(at * 8 + bit).into_iter().for_each(|id| found.insert(*id));
                    }
                }
            }
        }
        Ok(())
    }
}

fn look_in_tail(tail: &[TailRow], needles: &[Needle], out: &mut Candidates) {
    for row in tail.iter().filter(|row| row.scheme == SCHEME) {
        out.known.insert(row.message);
        for (needle, found) in needles.iter().zip(&mut out.found) {
            if let Some(found) = found
                && has_all(&row.bits, &needle.0)
            {
                found.insert(row.message);
            }
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
