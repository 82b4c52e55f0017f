//! What a mailbox holds at one mod-sequence: immutable, and shared by all sessions of the process that have it open.
//!
//! Persistent: a change makes a new snapshot that shares all chunks but the changed ones with the old one, so it costs the same
//! in a mailbox of 100 000 messages as in one of 100, and what two snapshots have in common is found by comparing pointers.

use std::sync::Arc;

use mail_rpc::{Entry, Refusal, entries_from_pb, pb, set_from_pb};
use mail_types::{FlagBits, KeywordTable, MailboxId, MessageId, ModSeq, Uid, UidSet};

use crate::column::Column;

/// Most entries of a chunk: what one change of a flag copies.
const CHUNK_ENTRIES_MAX: usize = 512;
/// A changed chunk smaller than this joins its neighbour, so that expunging does not leave thousands of crumbs.
const CHUNK_ENTRIES_MIN: usize = 128;
/// What a pointer in the spine and the counters of an `Arc` take, in bytes.
const ARC_BYTES: usize = 24;

/// The mailbox itself, at the moment of the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) mailbox: MailboxId,
    pub(crate) uid_validity: u32,
    pub(crate) uid_next: u32,
    /// HIGHESTMODSEQ.
    pub(crate) modseq: ModSeq,
    /// Keyword of flag bit 8 + i at place i. Only ever grows.
    pub(crate) keywords: Arc<KeywordTable>,
}

impl Meta {
    pub(crate) fn from_pb(state: &pb::MailboxState) -> Self {
        Self {
            mailbox: MailboxId::new(state.mailbox_id),
            uid_validity: state.uid_validity,
            uid_next: state.uid_next,
            modseq: ModSeq::new(state.highest_modseq),
            keywords: Arc::new(KeywordTable::from_stored(&state.keywords.join(" "))),
        }
    }
}

/// A mailbox at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    meta: Meta,
    chunks: Vec<Arc<Chunk>>,
    /// Index of each chunk's first entry, and at the end the number of entries.
    starts: Vec<u32>,
    weight: usize,
}

#[derive(Debug)]
struct Chunk {
    len: usize,
    first: u32,
    last: u32,
    /// Flags that every message of the chunk has.
    common_flags: FlagBits,
    uids: Column,
    flags: Column,
    modseqs: Column,
    messages: Column,
    /// In bytes.
    weight: usize,
}

impl Snapshot {
    /// Of entries ascending by UID.
    pub(crate) fn new(meta: Meta, entries: &[Entry]) -> Self {
        Self::of_chunks(
            meta,
            entries.chunks(CHUNK_ENTRIES_MAX).map(|part| Arc::new(Chunk::new(part))).collect(),
        )
    }

    /// The mailbox after what storage answered. `known`: what the answer is relative to, unless it is complete.
    ///
    /// # Errors
    /// [`Refusal::Internal`] when the answer does not fit to what was known.
    pub(crate) fn from_reply(known: Option<&Arc<Self>>, reply: &pb::SyncReply) -> Result<Arc<Self>, Refusal> {
        let damaged = |why: &str| Refusal::Internal(format!("storage sent {why}"));
        let state = reply.state.as_ref().ok_or_else(|| damaged("no mailbox state"))?;
        let mut meta = Meta::from_pb(state);
        let entries = match &reply.entries {
            Some(entries) => entries_from_pb(entries)?,
            None => Vec::new(),
        };
        if reply.full {
            return Ok(Arc::new(Self::new(meta, &entries)));
        }
        let known = known.ok_or_else(|| damaged("changes where nothing was known"))?;
        if known.meta.mailbox != meta.mailbox || meta.modseq < known.meta.modseq {
            return Err(damaged("changes of something else"));
        }
        if meta.keywords == known.meta.keywords {
            meta.keywords = Arc::clone(&known.meta.keywords);
        }
        if meta == known.meta && entries.is_empty() && reply.vanished.is_empty() {
            return Ok(Arc::clone(known));
        }
        let vanished = set_from_pb(&reply.vanished);
        let next =
            known.apply(meta, &entries, &vanished).ok_or_else(|| damaged("a message with a late UID"))?;
        Ok(Arc::new(next))
    }

    /// With entries added or replaced, and UIDs gone (whether or not they were there). `None` if a new UID is not above all others:
    /// clients could not be told of it (RFC 9051 §2.3.1.1).
    pub(crate) fn apply(&self, meta: Meta, changed: &[Entry], vanished: &UidSet) -> Option<Self> {
        let last = self.last_uid().map_or(0, Uid::get);
        let (mut changed, new) = changed.split_at(changed.partition_point(|entry| entry.uid.get() <= last));
        let mut builder = Builder::default();
        for chunk in &self.chunks {
            let (here, later) =
                changed.split_at(changed.partition_point(|entry| entry.uid.get() <= chunk.last));
            changed = later;
            if here.is_empty() && !overlaps(vanished, chunk.first, chunk.last) {
                builder.keep(chunk);
                continue;
            }
            let mut entries = chunk.entries();
            for change in here {
                let at = entries.binary_search_by_key(&change.uid, |entry| entry.uid).ok()?;
                entries[at] = *change;
            }
            entries.retain(|entry| !vanished.contains(entry.uid));
            builder.add(&entries);
        }
        let arrived: Vec<Entry> = new.iter().copied().filter(|entry| !vanished.contains(entry.uid)).collect();
        builder.add(&arrived);
        Some(Self::of_chunks(meta, builder.chunks))
    }

    /// What became of the messages that `held` has, without any that came since. Its mod-sequence is that of `held`: what is asked
    /// for relative to it brings the others.
    pub(crate) fn without_arrivals(&self, held: &Self) -> Option<Self> {
        let meta = Meta {
            modseq: held.meta.modseq,
            uid_next: held.meta.uid_next,
            keywords: Arc::clone(&self.meta.keywords),
            ..held.meta.clone()
        };
        let after = held.last_uid().map_or(1, |uid| uid.get().saturating_add(1));
        self.apply(meta, &[], &UidSet::from_ranges([(after, u32::MAX)]))
    }

    fn of_chunks(meta: Meta, chunks: Vec<Arc<Chunk>>) -> Self {
        let mut starts = Vec::with_capacity(chunks.len() + 1);
        let mut start = 0;
        for chunk in &chunks {
            starts.push(start);
            start += chunk.len as u32;
        }
        starts.push(start);
        let weight = size_of::<Self>() + chunks.iter().map(|chunk| chunk.weight).sum::<usize>();
        Self { meta, chunks, starts, weight }
    }

    pub(crate) fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Messages.
    pub(crate) fn len(&self) -> usize {
        self.starts.last().map_or(0, |end| *end as usize)
    }

    pub(crate) fn last_uid(&self) -> Option<Uid> {
        self.chunks.last().and_then(|chunk| Uid::new(chunk.last))
    }

    /// How many messages have a smaller UID.
    pub(crate) fn rank(&self, uid: u32) -> usize {
        let at = self.chunks.partition_point(|chunk| chunk.last < uid);
        match self.chunks.get(at) {
            Some(chunk) => self.starts[at] as usize + chunk.rank(uid),
            None => self.len(),
        }
    }

    /// The place of a UID.
    pub(crate) fn find(&self, uid: Uid) -> Option<usize> {
        let index = self.rank(uid.get());
        (index < self.len() && self.get(index).uid == uid).then_some(index)
    }

    /// The entry at a place below [`Self::len`].
    pub(crate) fn get(&self, index: usize) -> Entry {
        let at = self.chunk_of(index);
        self.chunks[at].get(index - self.starts[at] as usize)
    }

    /// The entries of a range of places.
    pub(crate) fn range(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = Entry> + '_ {
        let mut at = self.chunk_of(range.start);
        let mut inner = range.start - self.starts.get(at).map_or(0, |start| *start as usize);
        (range.start..range.end.min(self.len())).map(move |_| {
            if inner == self.chunks[at].len {
                (at, inner) = (at + 1, 0);
            }
            inner += 1;
            self.chunks[at].get(inner - 1)
        })
    }

    /// The place of the first message, from a place on, that lacks a flag. Skips chunks in which all have it.
    pub(crate) fn first_without(&self, flag: FlagBits) -> Option<usize> {
        for (chunk, start) in self.chunks.iter().zip(&self.starts) {
            if chunk.common_flags.contains(flag) {
                continue;
            }
            if let Some(inner) = (0..chunk.len).find(|inner| !chunk.get(*inner).flags.contains(flag)) {
                return Some(*start as usize + inner);
            }
        }
        None
    }

    /// Compares two snapshots of one mailbox message by message, leaving out what they share.
    pub(crate) fn compare(&self, newer: &Self, mut found: impl FnMut(Compared)) {
        let (mut old, mut new) = (Cursor::new(self), Cursor::new(newer));
        loop {
            if let (Some(a), Some(b)) = (old.whole_chunk(), new.whole_chunk())
                && Arc::ptr_eq(a, b)
            {
                old.skip_chunk();
                new.skip_chunk();
                continue;
            }
            match (old.peek(), new.peek()) {
                (None, None) => return,
                (Some(a), Some(b)) if a.uid == b.uid => {
                    if a != b {
                        found(Compared::Changed { index: new.index, old: a, new: b });
                    }
                    old.step();
                    new.step();
                }
                (Some(a), b) if b.is_none_or(|b| a.uid < b.uid) => {
                    found(Compared::Gone(a.uid));
                    old.step();
                }
                (_, Some(b)) => {
                    found(Compared::Added(b.uid));
                    new.step();
                }
                (Some(_), None) => return,
            }
        }
    }

    /// Memory it takes, what it shares with others included, in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    fn chunk_of(&self, index: usize) -> usize {
        self.starts.partition_point(|start| *start as usize <= index).saturating_sub(1).min(self.chunks.len())
    }
}

/// One difference between two snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compared {
    /// Its flags or its mod-sequence; `index` is its place in the newer one.
    Changed { index: usize, old: Entry, new: Entry },
    /// It is not in the newer one.
    Gone(Uid),
    /// It is not in the older one.
    Added(Uid),
}

impl Chunk {
    fn new(entries: &[Entry]) -> Self {
        let column = |of: fn(&Entry) -> u64| Column::new(&entries.iter().map(of).collect::<Vec<_>>());
        let every = FlagBits::from_bits(u64::MAX);
        let columns = [
            column(|entry| u64::from(entry.uid.get())),
            column(|entry| entry.flags.bits()),
            column(|entry| entry.modseq.get()),
            column(|entry| entry.message.get()),
        ];
        let weight = columns.iter().map(Column::heap_bytes).sum::<usize>() + size_of::<Self>() + ARC_BYTES;
        let [uids, flags, modseqs, messages] = columns;
        Self {
            len: entries.len(),
            first: entries.first().map_or(0, |entry| entry.uid.get()),
            last: entries.last().map_or(0, |entry| entry.uid.get()),
            common_flags: entries
                .iter()
                .fold(every, |all, entry| FlagBits::from_bits(all.bits() & entry.flags.bits())),
            uids,
            flags,
            modseqs,
            messages,
            weight,
        }
    }

    fn get(&self, inner: usize) -> Entry {
        Entry {
            // A chunk is made of entries, so what comes out went in as a UID.
            uid: u32::try_from(self.uids.get(inner)).ok().and_then(Uid::new).unwrap_or(Uid::MIN),
            flags: FlagBits::from_bits(self.flags.get(inner)),
            modseq: ModSeq::new(self.modseqs.get(inner)),
            message: MessageId::new(self.messages.get(inner)),
        }
    }

    fn entries(&self) -> Vec<Entry> {
        (0..self.len).map(|inner| self.get(inner)).collect()
    }

    fn rank(&self, uid: u32) -> usize {
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let middle = (low + high) / 2;
            if self.uids.get(middle) < u64::from(uid) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

#[derive(Default)]
struct Builder {
    chunks: Vec<Arc<Chunk>>,
}

impl Builder {
    fn keep(&mut self, chunk: &Arc<Chunk>) {
        self.chunks.push(Arc::clone(chunk));
    }

    /// Adds entries above all there are: to the last chunk as far as they are few and it has room.
    fn add(&mut self, entries: &[Entry]) {
        if entries.is_empty() {
            return;
        }
        if let Some(last) = self.chunks.last()
            && (last.len < CHUNK_ENTRIES_MIN || entries.len() < CHUNK_ENTRIES_MIN)
            && last.len < CHUNK_ENTRIES_MAX
        {
            let mut joined = last.entries();
            joined.extend_from_slice(entries);
            self.chunks.pop();
            self.chunks.extend(joined.chunks(CHUNK_ENTRIES_MAX).map(|part| Arc::new(Chunk::new(part))));
            return;
        }
        self.chunks.extend(entries.chunks(CHUNK_ENTRIES_MAX).map(|part| Arc::new(Chunk::new(part))));
    }
}

struct Cursor<'a> {
    snapshot: &'a Snapshot,
    chunk: usize,
    inner: usize,
    index: usize,
}

impl<'a> Cursor<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, chunk: 0, inner: 0, index: 0 }
    }
    fn whole_chunk(&self) -> Option<&'a Arc<Chunk>> {
        if self.inner == 0 { self.snapshot.chunks.get(self.chunk) } else { None }
    }
    fn skip_chunk(&mut self) {
        self.index += self.snapshot.chunks[self.chunk].len;
        self.chunk += 1;
    }
    fn peek(&self) -> Option<Entry> {
        self.snapshot.chunks.get(self.chunk).map(|chunk| chunk.get(self.inner))
    }
    fn step(&mut self) {
        self.index += 1;
        self.inner += 1;
        if self.inner == self.snapshot.chunks[self.chunk].len {
            (self.chunk, self.inner) = (self.chunk + 1, 0);
        }
    }
}

fn overlaps(set: &UidSet, first: u32, last: u32) -> bool {
    let at = set.ranges().partition_point(|range| range.1 < first);
    set.ranges().get(at).is_some_and(|range| range.0 <= last)
}

#[cfg(test)]
mod tests;
