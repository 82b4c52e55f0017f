//! Sets of UIDs as ranges: what a client names and what storage is asked for are never longer than what was said.

use std::fmt;

use crate::Uid;

/// A set of UIDs: disjoint ranges, ascending, never touching one another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct UidSet(Vec<(u32, u32)>);

/// Why a text or a list of bounds is no set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// Not `n`, `n:m`, separated by commas.
    #[error("not a set of numbers")]
    Syntax,
    /// Zero is no UID.
    #[error("zero is not a message number")]
    Zero,
}

impl UidSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self(Vec::new())
    }
    /// All UIDs from `first` to `last`, in either order.
    pub fn range(first: Uid, last: Uid) -> Self {
        Self(vec![(first.get().min(last.get()), first.get().max(last.get()))])
    }
    /// Every UID there can be.
    pub fn all() -> Self {
        Self::range(Uid::MIN, Uid::MAX)
    }
    /// Builds the set of any ranges, in any order, overlapping or not. Bounds of zero are dropped.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut ranges: Vec<(u32, u32)> =
            ranges.into_iter().map(|(a, b)| (a.min(b).max(1), a.max(b))).filter(|(a, b)| a <= b).collect();
        ranges.sort_unstable();
        let mut set = Self(Vec::with_capacity(ranges.len()));
        for (first, last) in ranges {
            set.push_range(first, last);
        }
        set
    }
    /// Adds a range that begins at or after the beginning of the last one.
    fn push_range(&mut self, first: u32, last: u32) {
        match self.0.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
            _ => self.0.push((first, last)),
        }
    }
    /// Adds a UID that is larger than all in the set: the cheap way to build one.
    ///
    /// Smaller ones are put in their place too, at the cost of a sort.
    pub fn push(&mut self, uid: Uid) {
        let uid = uid.get();
        match self.0.last_mut() {
            Some((_, end)) if uid == end.saturating_add(1) => *end = uid,
            Some((_, end)) if uid <= *end => {
                if !self.contains_number(uid) {
                    *self = Self::from_ranges(self.0.iter().copied().chain([(uid, uid)]));
                }
            }
            _ => self.0.push((uid, uid)),
        }
    }
    /// The ranges, both ends included.
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }
    /// Is there nothing in it?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// How many UIDs are in it.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|(a, b)| u64::from(b - a) + 1).sum()
    }
    /// Is this UID in it? Logarithmic.
    pub fn contains(&self, uid: Uid) -> bool {
        self.contains_number(uid.get())
    }
    fn contains_number(&self, n: u32) -> bool {
        let index = self.0.partition_point(|(_, last)| *last < n);
        self.0.get(index).is_some_and(|(first, _)| *first <= n)
    }
    /// The UIDs, ascending. Mind `all()`: four thousand million of them.
    pub fn iter(&self) -> impl Iterator<Item = Uid> + '_ {
        self.0.iter().flat_map(|(a, b)| *a..=*b).filter_map(Uid::new)
    }
    /// The smallest.
    pub fn first(&self) -> Option<Uid> {
        self.0.first().and_then(|(a, _)| Uid::new(*a))
    }
    /// The largest.
    pub fn last(&self) -> Option<Uid> {
        self.0.last().and_then(|(_, b)| Uid::new(*b))
    }
    /// What is in both.
    pub fn intersection(&self, other: &UidSet) -> UidSet {
        let mut out = UidSet::new();
        let (mut i, mut j) = (0, 0);
        while let (Some(a), Some(b)) = (self.0.get(i), other.0.get(j)) {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            if first <= last {
                out.push_range(first, last);
            }
            if a.1 < b.1 {
                i += 1;
            } else {
                j += 1;
            }
        }
        out
    }
    /// What is in either.
    pub fn union(&self, other: &UidSet) -> UidSet {
        Self::from_ranges(self.0.iter().chain(&other.0).copied())
    }
    /// What is in this one only.
    pub fn difference(&self, other: &UidSet) -> UidSet {
        let mut out = UidSet::new();
        let mut j = 0;
        for &(first, last) in &self.0 {
            let mut from = u64::from(first);
            while let Some(&(b_first, b_last)) = other.0.get(j) {
                if u64::from(b_last) < from {
                    j += 1;
                    continue;
                }
                if b_first > last {
                    break;
                }
                if u64::from(b_first) > from {
                    out.push_range(from as u32, b_first - 1);
                }
                from = u64::from(b_last) + 1;
                if from > u64::from(last) {
                    break;
                }
                j += 1;
            }
            if from <= u64::from(last) {
                out.push_range(from as u32, last);
            }
        }
        out
    }
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> Self {
        Self::from_ranges(uids.into_iter().map(|uid| (uid.get(), uid.get())))
    }
}

impl fmt::Display for UidSet {
    /// The IMAP form (`uid-set`, RFC 4315 §4): `1:3,7`. Empty for the empty set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (a, b)) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            if a == b { write!(f, "{a}")? } else { write!(f, "{a}:{b}")? }
        }
        Ok(())
    }
}

impl std::str::FromStr for UidSet {
    type Err = SetError;
    fn from_str(text: &str) -> Result<Self, SetError> {
        let number = |text: &str| match text.parse::<u32>() {
            Ok(0) => Err(SetError::Zero),
            Ok(n) if text.as_bytes()[0].is_ascii_digit() => Ok(n),
            _ => Err(SetError::Syntax),
        };
        let mut ranges = Vec::new();
        for item in text.split(',') {
            let (a, b) = item.split_once(':').unwrap_or((item, item));
            ranges.push((number(a)?, number(b)?));
        }
        Ok(Self::from_ranges(ranges))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(text: &str) -> UidSet {
        text.parse().unwrap()
    }

    #[test]
    fn text_goes_there_and_back_in_normal_form() {
        assert_eq!(set("5,1:3,4,9:7").to_string(), "1:5,7:9");
        assert_eq!(set("4294967295,4294967294").to_string(), "4294967294:4294967295");
        for bad in ["", "0", "1,", "+1", "1:*", "a", "4294967296", "1:2:3"] {
            assert!(bad.parse::<UidSet>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_largest_uid_does_not_overflow() {
        let all = UidSet::all();
        assert_eq!(all.len(), u64::from(u32::MAX));
        assert_eq!(all.difference(&set("4294967295")).last().unwrap().get(), 4_294_967_294);
        assert!(all.difference(&all).is_empty());
    }

    fn model() -> impl Strategy<Value = BTreeSet<u32>> {
        proptest::collection::btree_set(1u32..60, 0..30)
    }
    fn of(model: &BTreeSet<u32>) -> UidSet {
        model.iter().filter_map(|n| Uid::new(*n)).collect()
    }
    fn back(set: &UidSet) -> BTreeSet<u32> {
        set.iter().map(Uid::get).collect()
    }

    proptest! {
        #[test]
        fn behaves_as_a_set(a in model(), b in model()) {
            let (x, y) = (of(&a), of(&b));
            prop_assert_eq!(back(&x), a.clone());
            prop_assert_eq!(x.len() as usize, a.len());
            prop_assert_eq!(back(&x.union(&y)), a.union(&b).copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(back(&x.intersection(&y)), a.intersection(&b).copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(back(&x.difference(&y)), a.difference(&b).copied().collect::<BTreeSet<_>>());
            let mut pushed = UidSet::new();
            for n in a.iter().rev() { pushed.push(Uid::new(*n).unwrap()); }
            prop_assert_eq!(pushed, x.clone());
            for n in 1..60 { prop_assert_eq!(x.contains(Uid::new(n).unwrap()), a.contains(&n)); }
            for w in x.ranges().windows(2) { prop_assert!(w[0].1 + 1 < w[1].0); }
        }
    }
}
