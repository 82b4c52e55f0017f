//! What one client believes a mailbox to hold: the only translator between sequence numbers and UIDs. Pure, no I/O.
//!
//! A view is a shared snapshot and the *ghosts*: messages that are gone from it, but whose EXPUNGE the client has not been told of
//! yet, so that it still counts them (RFC 9051 §7.5.1). [`View::advance`] and [`View::take_expunged`] are called by `sync` alone,
//! which tells the client what they return.

use std::ops::Range;
use std::sync::Arc;

use imap_wire::{Numbering, SeqBound, SequenceSet};
use mail_rpc::Entry;
use mail_types::{FlagBits, Uid, UidSet};

use crate::snapshot::{Compared, Snapshot};

/// The view of one session.
#[derive(Debug)]
pub(crate) struct View {
    snapshot: Arc<Snapshot>,
    /// Ascending, none of them in the snapshot.
    ghosts: Vec<Uid>,
    /// What this session alone may call \Recent; may name messages that are gone.
    recent: UidSet,
    /// Whose mailbox it is; 0: the user's own.
    owner: u64,
}

/// What a newer snapshot changed for the client.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Advance {
    /// Messages it knew and knows, by their place in the new snapshot, ascending.
    pub(crate) changed: Vec<Change>,
    /// Messages it must be told of with EXISTS: the last ones of the view.
    pub(crate) arrived: usize,
}

/// One message with new flags or at least a new mod-sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) index: usize,
    pub(crate) flags_before: FlagBits,
}

/// Ghosts that the client is now told of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Expunged {
    /// For EXPUNGE lines, in the order in which they must be written: descending, so that none changes the next.
    pub(crate) numbers: Vec<u32>,
    /// For VANISHED.
    pub(crate) uids: UidSet,
}

/// Storage showed a message whose UID is not above all that the client knows: it cannot be told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message appeared with a UID below others")]
pub(crate) struct LateUid;

/// A sequence number that the client was never told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("No such message")]
pub(crate) struct NoSuchMessage;

/// Messages that a set names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Places in the snapshot, ascending, apart from each other.
    ranges: Vec<Range<usize>>,
    /// It names ghosts too.
    pub(crate) names_ghosts: bool,
}

impl Selection {
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
    pub(crate) fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }
    pub(crate) fn len(&self) -> usize {
        self.ranges.iter().map(ExactSizeIterator::len).sum()
    }

    fn push(&mut self, range: Range<usize>) {
        match self.ranges.last_mut() {
            _ if range.is_empty() => {}
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => self.ranges.push(range),
        }
    }
}

/// A message of a selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) number: u32,
    pub(crate) entry: Entry,
}

impl View {
    pub(crate) fn new(snapshot: Arc<Snapshot>) -> Self {
        Self { snapshot, ghosts: Vec::new(), recent: UidSet::new(), owner: 0 }
    }

    /// Of a mailbox of another's.
    pub(crate) fn of(owner: u64, snapshot: Arc<Snapshot>) -> Self {
        Self { owner, ..Self::new(snapshot) }
    }

    /// Whose ids the numbers of mailboxes, messages and threads are; 0: the user's own.
    pub(crate) fn owner(&self) -> u64 {
        self.owner
    }

    pub(crate) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// EXISTS.
    pub(crate) fn len(&self) -> usize {
        self.snapshot.len() + self.ghosts.len()
    }

    pub(crate) fn ghosts(&self) -> &[Uid] {
        &self.ghosts
    }

    /// Takes a newer snapshot. Messages that are gone become ghosts.
    ///
    /// # Errors
    /// [`LateUid`]; the view is useless then.
    pub(crate) fn advance(&mut self, newer: Arc<Snapshot>) -> Result<Advance, LateUid> {
        if Arc::ptr_eq(&self.snapshot, &newer) {
            return Ok(Advance::default());
        }
        let known_to = self.last_uid();
        let (mut advance, mut gone, mut late) = (Advance::default(), Vec::new(), false);
        self.snapshot.compare(&newer, |difference| match difference {
            Compared::Changed { index, old, .. } => {
                advance.changed.push(Change { index, flags_before: old.flags });
            }
            Compared::Gone(uid) => gone.push(uid),
            Compared::Added(uid) if Some(uid) > known_to => advance.arrived += 1,
            Compared::Added(_) => late = true,
        });
        if late {
            return Err(LateUid);
        }
        if !gone.is_empty() {
            self.ghosts.extend(gone);
            self.ghosts.sort_unstable();
        }
        self.snapshot = newer;
        Ok(advance)
    }

    /// The ghosts, which the client stops counting with this.
    pub(crate) fn take_expunged(&mut self) -> Expunged {
        let numbers = (0..self.ghosts.len()).rev().map(|at| self.ghost_place(at) as u32 + 1).collect();
        let uids: UidSet = std::mem::take(&mut self.ghosts).into_iter().collect();
        self.recent = self.recent.difference(&uids);
        Expunged { numbers, uids }
    }

    /// The sequence number of the message at a place of the snapshot.
    pub(crate) fn number_of(&self, index: usize) -> u32 {
        self.number(index, self.snapshot_uid(index))
    }

    /// The sequence number of a UID that the client counts.
    pub(crate) fn number_of_uid(&self, uid: Uid) -> Option<u32> {
        match self.snapshot.find(uid) {
            Some(index) => Some(self.number_of(index)),
            None => self.ghosts.binary_search(&uid).ok().map(|at| self.ghost_place(at) as u32 + 1),
        }
    }

    fn number(&self, index: usize, uid: Option<Uid>) -> u32 {
        let ghosts = match uid {
            Some(uid) if !self.ghosts.is_empty() => self.ghosts.partition_point(|ghost| *ghost < uid),
            _ => 0,
        };
        (index + ghosts) as u32 + 1
    }

    /// The messages that a client's set names. Of sequence numbers, all must exist; UIDs may be any (RFC 9051 §6.4.9).
    /// `saved` is what `$` stands for.
    ///
    /// # Errors
    /// [`NoSuchMessage`]: a sequence number beyond the last one, `*` in an empty mailbox included (RFC 9051 §9, seq-number).
    pub(crate) fn select(
        &self,
        by: Numbering,
        set: &SequenceSet,
        saved: &UidSet,
    ) -> Result<Selection, NoSuchMessage> {
        match (set, by) {
            (SequenceSet::Saved, _) => Ok(self.select_uids(saved.ranges().iter().copied())),
            (_, Numbering::Uid) => Ok(self.select_uids(set.resolve(self.last_uid().map_or(0, Uid::get)))),
            (SequenceSet::Ranges(ranges), Numbering::Sequence) => self.select_numbers(ranges, set),
        }
    }

    fn select_numbers(
        &self,
        given: &[(SeqBound, SeqBound)],
        set: &SequenceSet,
    ) -> Result<Selection, NoSuchMessage> {
        let last = self.len() as u32;
        let beyond = |(a, b): &(SeqBound, SeqBound)| match (a, b) {
            (SeqBound::Number(a), SeqBound::Number(b)) => (*a).max(*b) > last,
            // `n:*` names the last message, however large n is.
            _ => last == 0,
        };
        if given.iter().any(beyond) {
            return Err(NoSuchMessage);
        }
        Ok(self.select_existing(set, &UidSet::new()))
    }

    /// As [`Self::select`] by sequence numbers, but those that do not exist name nothing: a search may ask for them (RFC 7377 §2).
    pub(crate) fn select_existing(&self, set: &SequenceSet, saved: &UidSet) -> Selection {
        if *set == SequenceSet::Saved {
            return self.select_uids(saved.ranges().iter().copied());
        }
        let last = self.len() as u32;
        let mut selection = Selection::default();
        for (first, end) in set.resolve(last).take_while(|(first, _)| *first <= last) {
            let (first, end) = (first as usize - 1, end.min(last) as usize);
            let (ghosts_before, ghosts_within) = (self.ghosts_before(first), self.ghosts_before(end));
            selection.names_ghosts |= ghosts_within > ghosts_before;
            selection.push(first - ghosts_before..end - ghosts_within);
        }
        selection
    }

    /// The messages of UID ranges, both ends included, ascending.
    pub(crate) fn select_uids(&self, ranges: impl IntoIterator<Item = (u32, u32)>) -> Selection {
        let mut selection = Selection::default();
        for (first, last) in ranges {
            let end = last.checked_add(1).map_or(self.snapshot.len(), |after| self.snapshot.rank(after));
            selection.push(self.snapshot.rank(first)..end);
            let ghost = self.ghosts.partition_point(|ghost| ghost.get() < first);
            selection.names_ghosts |= self.ghosts.get(ghost).is_some_and(|ghost| ghost.get() <= last);
        }
        selection
    }

    /// All messages that are still there.
    pub(crate) fn select_all(&self) -> Selection {
        let mut selection = Selection::default();
        selection.push(0..self.snapshot.len());
        selection
    }

    /// The messages of a selection, ascending.
    pub(crate) fn messages<'a>(&'a self, selection: &'a Selection) -> impl Iterator<Item = Message> + 'a {
        selection.ranges.iter().flat_map(move |range| {
            (range.start..)
                .zip(self.snapshot.range(range.clone()))
                .map(|(index, entry)| Message { number: self.number(index, Some(entry.uid)), entry })
        })
    }

    /// The UIDs of a selection, as ranges that name none of the mailbox's other messages: a run of neighbours is one range,
    /// whatever lies between their UIDs, since no other message can ever get one of those.
    pub(crate) fn uids(&self, selection: &Selection) -> UidSet {
        UidSet::from_ranges(selection.ranges.iter().filter_map(|range| {
            Some((self.snapshot_uid(range.start)?.get(), self.snapshot_uid(range.end - 1)?.get()))
        }))
    }

    /// The last message's UID, as the client knows it.
    pub(crate) fn last_uid(&self) -> Option<Uid> {
        self.snapshot.last_uid().max(self.ghosts.last().copied())
    }

    /// Messages of these UIDs are \Recent in this session.
    pub(crate) fn add_recent(&mut self, first: u32, uid_next: u32) {
        if first > 0 && first < uid_next {
            self.recent = self.recent.union(&UidSet::from_ranges([(first, uid_next - 1)]));
        }
    }

    pub(crate) fn is_recent(&self, uid: Uid) -> bool {
        !self.recent.is_empty() && self.recent.contains(uid)
    }

    /// RECENT: how many of the view's messages are \Recent.
    pub(crate) fn recent_count(&self) -> usize {
        let ghosts = self.ghosts.iter().filter(|uid| self.recent.contains(**uid)).count();
        self.select_uids(self.recent.ranges().iter().copied()).len() + ghosts
    }

    fn snapshot_uid(&self, index: usize) -> Option<Uid> {
        (index < self.snapshot.len()).then(|| self.snapshot.get(index).uid)
    }

    /// The place of a ghost among all that the client counts.
    fn ghost_place(&self, at: usize) -> usize {
        self.snapshot.rank(self.ghosts[at].get()) + at
    }

    /// How many ghosts are among the first `place` messages that the client counts.
    fn ghosts_before(&self, place: usize) -> usize {
        let (mut low, mut high) = (0, self.ghosts.len());
        while low < high {
            let middle = (low + high) / 2;
            if self.ghost_place(middle) < place { low = middle + 1 } else { high = middle }
        }
        low
    }
}

#[cfg(test)]
mod tests;
