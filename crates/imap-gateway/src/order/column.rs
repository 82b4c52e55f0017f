//! One sort key of the messages of a mailbox, as a column. None of it ever changes under one UID, so a column only grows.

use std::cmp::Ordering;

use mail_rpc::{Refusal, pb};

/// A sort key of some messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// Ascending.
    uids: Vec<u32>,
    values: Values,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Values {
    Numbers(Vec<i64>),
    Texts(Texts),
    Threads(Threads),
}

/// Texts, each once and ascending; and for each message the rank of its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Texts {
    octets: Vec<u8>,
    /// Where each text ends.
    ends: Vec<u32>,
    ranks: Vec<u32>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Threads {
    ids: Vec<u64>,
    replies: Vec<bool>,
    references: Vec<u64>,
    /// Where each message's references end.
    ends: Vec<u32>,
}

/// What THREAD needs of one message. Ids are hashes; 0: none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ThreadKeys<'a> {
    pub(crate) id: u64,
    pub(crate) is_reply: bool,
    pub(crate) references: &'a [u64],
}

impl Column {
    /// Of no message.
    pub(crate) fn empty(key: pb::SortKey) -> Self {
        use pb::SortKey as K;
        let values = match key {
            K::Arrival | K::Date | K::Size => Values::Numbers(Vec::new()),
            K::Thread | K::Unspecified => Values::Threads(Threads::default()),
            K::From | K::To | K::Cc | K::DisplayFrom | K::DisplayTo | K::Subject => {
                Values::Texts(Texts::default())
            }
        };
        Self { uids: Vec::new(), values }
    }

    /// What storage answered for these messages.
    ///
    /// # Errors
    /// [`Refusal::Internal`] when the columns do not fit each other.
    pub(crate) fn from_pb(key: pb::SortKey, uids: Vec<u32>, sent: pb::KeyColumn) -> Result<Self, Refusal> {
        let damaged = || Refusal::Internal("storage sent damaged sort keys".to_owned());
        let values = match Self::empty(key).values {
            Values::Numbers(_) => {
                let mut number = 0i64;
                let numbers = sent.number_deltas.iter().map(|delta| {
                    number = number.wrapping_add(*delta);
                    number
                });
                Values::Numbers(numbers.collect())
            }
            Values::Texts(_) => Values::Texts(Texts::from_pb(sent).ok_or_else(damaged)?),
            Values::Threads(_) => Values::Threads(Threads::from_pb(sent).ok_or_else(damaged)?),
        };
        let column = Self { uids, values };
        let fits = column.len() == column.uids.len() && column.uids.is_sorted_by(|a, b| a < b);
        if fits { Ok(column) } else { Err(damaged()) }
    }

    /// Messages.
    pub(crate) fn len(&self) -> usize {
        match &self.values {
            Values::Numbers(numbers) => numbers.len(),
            Values::Texts(texts) => texts.ranks.len(),
            Values::Threads(threads) => threads.ids.len(),
        }
    }

    /// With the messages of another column of the same key.
    pub(crate) fn merged(&self, other: &Self) -> Self {
        let places = interleave(&self.uids, &other.uids);
        let uid = |place: &Place| match place {
            Place::Own(at) => self.uids[*at],
            Place::Other(at) => other.uids[*at],
        };
        let values = match (&self.values, &other.values) {
            (Values::Numbers(a), Values::Numbers(b)) => Values::Numbers(
                places
                    .iter()
                    .map(|place| match place {
                        Place::Own(at) => a[*at],
                        Place::Other(at) => b[*at],
                    })
                    .collect(),
            ),
            (Values::Texts(a), Values::Texts(b)) => Values::Texts(a.merged(b, &places)),
            (Values::Threads(a), Values::Threads(b)) => Values::Threads(a.merged(b, &places)),
            // Of another key: what was asked for last.
            _ => return other.clone(),
        };
        Self { uids: places.iter().map(uid).collect(), values }
    }

    /// Those of `uids` (ascending) that the column lacks.
    pub(crate) fn missing(&self, uids: &[u32]) -> Vec<u32> {
        let found = self.places(uids);
        uids.iter().zip(found).filter(|(_, place)| place.is_none()).map(|(uid, _)| *uid).collect()
    }

    /// For each of `uids` (ascending) its place in the column.
    pub(crate) fn places(&self, uids: &[u32]) -> Vec<Option<usize>> {
        let mut at = 0;
        uids.iter()
            .map(|uid| {
                // Nearly always the next one.
                if self.uids.get(at).is_some_and(|here| here < uid) {
                    at += self.uids[at..].partition_point(|here| here < uid);
                }
                let found = self.uids.get(at) == Some(uid);
                at += usize::from(found);
                found.then_some(at.wrapping_sub(1))
            })
            .collect()
    }

    /// For each of `uids` (ascending) a number that compares as the key does. What the column lacks is the least.
    pub(crate) fn ordinals(&self, uids: &[u32]) -> Vec<u64> {
        let of = |at: usize| match &self.values {
            Values::Numbers(numbers) => numbers[at].cast_unsigned() ^ (1 << 63),
            Values::Texts(texts) => u64::from(texts.ranks[at]) + 1,
            Values::Threads(_) => 0,
        };
        self.places(uids).into_iter().map(|place| place.map_or(0, of)).collect()
    }

    /// For each of `uids` (ascending) whether its text is empty. What the column lacks has none.
    pub(crate) fn are_empty(&self, uids: &[u32]) -> Vec<bool> {
        let is_empty = |at: usize| match &self.values {
            Values::Texts(texts) => texts.ranks[at] == 0 && texts.ends.first() == Some(&0),
            _ => true,
        };
        self.places(uids).into_iter().map(|place| place.is_none_or(is_empty)).collect()
    }

    /// For each of `uids` (ascending) what THREAD needs.
    pub(crate) fn threads<'a>(&'a self, uids: &[u32]) -> Vec<ThreadKeys<'a>> {
        let Values::Threads(threads) = &self.values else { return vec![ThreadKeys::default(); uids.len()] };
        self.places(uids)
            .into_iter()
            .map(|place| place.map_or_else(Default::default, |at| threads.get(at)))
            .collect()
    }

    /// In bytes.
    pub(crate) fn weight(&self) -> usize {
        let values = match &self.values {
            Values::Numbers(numbers) => numbers.len() * 8,
            Values::Texts(texts) => texts.octets.len() + (texts.ends.len() + texts.ranks.len()) * 4,
            Values::Threads(threads) => threads.ids.len() * 13 + threads.references.len() * 8,
        };
        values + self.uids.len() * 4 + size_of::<Self>()
    }
}

enum Place {
    Own(usize),
    Other(usize),
}

fn interleave(own: &[u32], other: &[u32]) -> Vec<Place> {
    let mut places = Vec::with_capacity(own.len() + other.len());
    let (mut a, mut b) = (0, 0);
    while a < own.len() || b < other.len() {
        let order = match (own.get(a), other.get(b)) {
            (Some(own), Some(other)) => own.cmp(other),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        places.push(if order.is_le() { Place::Own(a) } else { Place::Other(b) });
        a += usize::from(order.is_le());
        b += usize::from(order.is_ge());
    }
    places
}

impl Texts {
    fn from_pb(sent: pb::KeyColumn) -> Option<Self> {
        let mut texts = Self { ranks: sent.text_places, ..Self::default() };
        for text in &sent.texts {
            texts.push(text)?;
        }
        let ascending = sent.texts.is_sorted_by(|a, b| a < b);
        let known = texts.ends.len() as u32;
        (ascending && texts.ranks.iter().all(|rank| *rank < known)).then_some(texts)
    }

    fn push(&mut self, text: &[u8]) -> Option<()> {
        self.octets.extend_from_slice(text);
        self.ends.push(u32::try_from(self.octets.len()).ok()?);
        Some(())
    }

    fn get(&self, rank: usize) -> &[u8] {
        let start = rank.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.octets[start as usize..self.ends[rank] as usize]
    }

    fn merged(&self, other: &Self, places: &[Place]) -> Self {
        let mut out = Self::default();
        let (mut own_ranks, mut other_ranks) = (Vec::new(), Vec::new());
        let (mut a, mut b) = (0, 0);
        while a < self.ends.len() || b < other.ends.len() {
            let order = match (a < self.ends.len(), b < other.ends.len()) {
                (true, true) => self.get(a).cmp(other.get(b)),
                (true, false) => Ordering::Less,
                (false, _) => Ordering::Greater,
            };
            let rank = out.ends.len() as u32;
            // Within 4 GiB, which the cache's budget is far below.
            let _ = out.push(if order.is_le() { self.get(a) } else { other.get(b) });
            if order.is_le() {
                own_ranks.push(rank);
                a += 1;
            }
            if order.is_ge() {
                other_ranks.push(rank);
                b += 1;
            }
        }
        out.ranks = places
            .iter()
            .map(|place| match place {
                Place::Own(at) => own_ranks[self.ranks[*at] as usize],
                Place::Other(at) => other_ranks[other.ranks[*at] as usize],
            })
            .collect();
        out
    }
}

impl Threads {
    fn from_pb(sent: pb::KeyColumn) -> Option<Self> {
        let mut end = 0u32;
        let mut ends = Vec::with_capacity(sent.reference_counts.len());
        for count in &sent.reference_counts {
            end = end.checked_add(*count)?;
            ends.push(end);
        }
        let fits = sent.ids.len() == ends.len()
            && sent.replies.len() == ends.len()
            && sent.references.len() == end as usize;
        let threads = Self { ids: sent.ids, replies: sent.replies, references: sent.references, ends };
        fits.then_some(threads)
    }

    fn get(&self, at: usize) -> ThreadKeys<'_> {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        ThreadKeys {
            id: self.ids[at],
            is_reply: self.replies[at],
            references: &self.references[start as usize..self.ends[at] as usize],
        }
    }

    fn merged(&self, other: &Self, places: &[Place]) -> Self {
        let mut out = Self::default();
        for place in places {
            let keys = match place {
                Place::Own(at) => self.get(*at),
                Place::Other(at) => other.get(*at),
            };
            out.ids.push(keys.id);
            out.replies.push(keys.is_reply);
            out.references.extend_from_slice(keys.references);
            out.ends.push(out.references.len() as u32);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(uids: &[u32], texts: &[&str], places: &[u32]) -> Column {
        let texts = texts.iter().map(|text| text.as_bytes().to_vec().into()).collect();
        let sent = pb::KeyColumn { texts, text_places: places.to_vec(), ..Default::default() };
        Column::from_pb(pb::SortKey::Subject, uids.to_vec(), sent).unwrap()
    }

    #[test]
    fn merged_texts_have_the_ranks_of_all() {
        let old = texts(&[2, 5, 9], &["", "B", "D"], &[1, 2, 0]);
        let new = texts(&[3, 10], &["A", "B"], &[1, 0]);
        let both = old.merged(&new);
        assert_eq!(both, texts(&[2, 3, 5, 9, 10], &["", "A", "B", "D"], &[2, 2, 3, 0, 1]));
        assert_eq!(both.ordinals(&[2, 4, 5, 10]), [3, 0, 4, 2]);
        assert_eq!(both.are_empty(&[2, 4, 9]), [false, true, true]);
        assert_eq!(both.missing(&[1, 2, 3, 4, 10, 11]), [1, 4, 11]);
        assert_eq!(both.merged(&new), both);
        assert_eq!(Column::empty(pb::SortKey::Subject).merged(&old), old);
    }

    #[test]
    fn numbers_below_zero_come_first() {
        let sent = pb::KeyColumn { number_deltas: vec![5, -10, 7], ..Default::default() };
        let column = Column::from_pb(pb::SortKey::Date, vec![1, 2, 3], sent).unwrap();
        let ordinals = column.ordinals(&[1, 2, 3]);
        assert!(ordinals[1] < ordinals[2] && ordinals[2] < ordinals[0], "{ordinals:?}");
    }

    #[test]
    fn merged_threads_keep_their_references() {
        let column = |uids: &[u32], ids: &[u64], references: &[u64], counts: &[u32]| {
            let sent = pb::KeyColumn {
                ids: ids.to_vec(),
                references: references.to_vec(),
                reference_counts: counts.to_vec(),
                replies: vec![false; ids.len()],
                ..Default::default()
            };
            Column::from_pb(pb::SortKey::Thread, uids.to_vec(), sent).unwrap()
        };
        let both = column(&[1, 4], &[10, 40], &[7, 8], &[0, 2]).merged(&column(&[2], &[20], &[10], &[1]));
        assert_eq!(both, column(&[1, 2, 4], &[10, 20, 40], &[10, 7, 8], &[0, 1, 2]));
        assert_eq!(both.threads(&[4])[0].references, [7, 8]);
    }

    #[test]
    fn damage_is_seen() {
        for (uids, sent) in [
            (vec![1], pb::KeyColumn::default()),
            (
                vec![2, 1],
                pb::KeyColumn { texts: vec!["".into()], text_places: vec![0, 0], ..Default::default() },
            ),
            (vec![1], pb::KeyColumn { texts: vec!["a".into()], text_places: vec![1], ..Default::default() }),
            (
                vec![1],
                pb::KeyColumn {
                    texts: vec!["b".into(), "a".into()],
                    text_places: vec![1],
                    ..Default::default()
                },
            ),
        ] {
            assert!(Column::from_pb(pb::SortKey::Subject, uids, sent).is_err());
        }
    }
}
