//! Sets of message numbers as clients give them.

use std::fmt;

/// `seq-number`: a number that is not zero, or `*` (RFC 9051 §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeqBound {
    /// A number; never zero.
    Number(u32),
    /// `*`: the largest number in use.
    Last,
}

/// `sequence-set` (RFC 9051 §9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SequenceSet {
    /// Ranges as given: in any order, overlapping or not. A single number is a range of itself.
    Ranges(Vec<(SeqBound, SeqBound)>),
    /// `$`: the saved result (RFC 5182 §2.1).
    Saved,
}

impl SequenceSet {
    /// The ranges in numbers, ascending, merged, both ends included. `max` is the largest number in use: the number
    /// of messages, or the largest UID; 0 for an empty mailbox, where `*` is nothing at all.
    ///
    /// `n:*` always includes the last message, even if n is larger (RFC 9051 §9, seq-range). Numbers above `max` are
    /// kept: whether they are an error (sequence numbers) or nothing (UIDs) is for the caller.
    ///
    /// Empty for the saved result.
    pub fn resolve(&self, max: u32) -> impl Iterator<Item = (u32, u32)> + use<> {
        let mut ranges: Vec<(u32, u32)> = match self {
            Self::Saved => Vec::new(),
            Self::Ranges(ranges) => ranges.iter().filter_map(|range| resolve_range(*range, max)).collect(),
        };
        ranges.sort_unstable();
        ranges.dedup_by(|next, kept| {
            let touches = next.0 <= kept.1.saturating_add(1);
            if touches {
                kept.1 = kept.1.max(next.1);
            }
            touches
        });
        ranges.into_iter()
    }
    /// Does it depend on which number is the last, or on the saved result?
    pub fn is_dynamic(&self) -> bool {
        match self {
            Self::Saved => true,
            Self::Ranges(ranges) => {
                ranges.iter().any(|(a, b)| matches!(a, SeqBound::Last) || matches!(b, SeqBound::Last))
            }
        }
    }
    /// The largest number named, `*` aside.
    pub fn largest_named(&self) -> Option<u32> {
        let number = |bound: &SeqBound| match bound {
            SeqBound::Number(n) => Some(*n),
            SeqBound::Last => None,
        };
        match self {
            Self::Saved => None,
            Self::Ranges(ranges) => ranges.iter().flat_map(|(a, b)| [number(a), number(b)]).flatten().max(),
        }
    }
}

/// `None` if it is nothing in an empty mailbox.
fn resolve_range((a, b): (SeqBound, SeqBound), max: u32) -> Option<(u32, u32)> {
    let number = |bound| match bound {
        SeqBound::Number(n) => Some(n),
        SeqBound::Last => (max > 0).then_some(max),
    };
    let (a, b) = (number(a)?, number(b)?);
    Some((a.min(b), a.max(b)))
}

impl fmt::Display for SeqBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => n.fmt(f),
            Self::Last => f.write_str("*"),
        }
    }
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Ranges(ranges) = self else { return f.write_str("$") };
        for (i, (a, b)) in ranges.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            if a == b { write!(f, "{comma}{a}")? } else { write!(f, "{comma}{a}:{b}")? }
        }
        Ok(())
    }
}
