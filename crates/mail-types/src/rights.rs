//! Rights to a mailbox (RFC 4314 §2.1).

use std::fmt;

use crate::FlagBits;

/// A set of rights. The numbers are stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Rights(u16);

/// A letter that is no right of RFC 4314 §2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no right {0:?}")]
pub struct UnknownRight(pub char);

impl Rights {
    /// No right at all.
    pub const NONE: Self = Self(0);
    /// `l`: knowing that the mailbox is there.
    pub const LOOKUP: Self = Self(1);
    /// `r`: reading it.
    pub const READ: Self = Self(1 << 1);
    /// `s`: keeping \Seen.
    pub const SEEN: Self = Self(1 << 2);
    /// `w`: changing all flags but \Seen and \Deleted.
    pub const WRITE: Self = Self(1 << 3);
    /// `i`: adding messages.
    pub const INSERT: Self = Self(1 << 4);
    /// `p`: sending mail to the mailbox's own address; nothing here asks for it.
    pub const POST: Self = Self(1 << 5);
    /// `k`: making mailboxes below it.
    pub const CREATE: Self = Self(1 << 6);
    /// `x`: deleting or renaming it.
    pub const DELETE_MAILBOX: Self = Self(1 << 7);
    /// `t`: changing \Deleted.
    pub const DELETE_MESSAGES: Self = Self(1 << 8);
    /// `e`: expunging.
    pub const EXPUNGE: Self = Self(1 << 9);
    /// `a`: seeing and changing who has which rights.
    pub const ADMINISTER: Self = Self(1 << 10);
    /// What an owner has, always.
    pub const ALL: Self = Self((1 << 11) - 1);
    /// MYRIGHTS needs one of them (RFC 4314 §4).
    pub const KNOWING: Self = Self(
        Self::LOOKUP.0
            | Self::READ.0
            | Self::INSERT.0
            | Self::CREATE.0
            | Self::DELETE_MAILBOX.0
            | Self::ADMINISTER.0,
    );
    /// Each with its letter, in the order in which they are shown.
    pub const LETTERS: [(Self, char); 11] = [
        (Self::LOOKUP, 'l'),
        (Self::READ, 'r'),
        (Self::SEEN, 's'),
        (Self::WRITE, 'w'),
        (Self::INSERT, 'i'),
        (Self::POST, 'p'),
        (Self::CREATE, 'k'),
        (Self::DELETE_MAILBOX, 'x'),
        (Self::DELETE_MESSAGES, 't'),
        (Self::EXPUNGE, 'e'),
        (Self::ADMINISTER, 'a'),
    ];
    /// RFC 4314 §2.1.1: what the virtual right `c` of older clients stands for.
    const OLD_CREATE: Self = Self(Self::CREATE.0 | Self::DELETE_MAILBOX.0);
    /// RFC 4314 §2.1.1: the same for `d`.
    const OLD_DELETE: Self = Self(Self::DELETE_MESSAGES.0 | Self::EXPUNGE.0);

    /// Reads the letters, the virtual `c` and `d` included.
    ///
    /// # Errors
    /// [`UnknownRight`] for the first letter that is none.
    pub fn parse(text: &str) -> Result<Self, UnknownRight> {
        text.chars().try_fold(Self::NONE, |all, letter| {
            let right = match letter {
                'c' => Some(Self::OLD_CREATE),
                'd' => Some(Self::OLD_DELETE),
                _ => Self::LETTERS.iter().find(|(_, known)| *known == letter).map(|(right, _)| *right),
            };
            right.map(|right| all.with(right)).ok_or(UnknownRight(letter))
        })
    }

    /// From a stored number; bits that are no right are dropped.
    pub const fn from_bits(bits: u32) -> Self {
        Self((bits & Self::ALL.0 as u32) as u16)
    }
    /// The stored number.
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }
    /// Are all of these among them?
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
    /// Is any of these among them?
    pub const fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
    /// These and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// These without those.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
    /// The flags that may be changed with them (RFC 4314 §4).
    pub fn flags(self) -> FlagBits {
        let (seen, deleted) = (FlagBits::SEEN, FlagBits::DELETED);
        let others = FlagBits::from_bits(u64::MAX).without(seen).without(deleted);
        [(Self::SEEN, seen), (Self::DELETE_MESSAGES, deleted), (Self::WRITE, others)]
            .into_iter()
            .filter(|(right, _)| self.contains(*right))
            .fold(FlagBits::NONE, |all, (_, flags)| all.with(flags))
    }
}

/// As MYRIGHTS and ACL show them: with `c` or `d` when any of their members is there (RFC 4314 §2.1.1).
impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (right, letter) in Self::LETTERS.iter().filter(|(right, _)| self.contains(*right)) {
            if *right == Self::ADMINISTER {
                continue;
            }
            write!(f, "{letter}")?;
        }
        for (members, letter) in [(Self::OLD_CREATE, "c"), (Self::OLD_DELETE, "d"), (Self::ADMINISTER, "a")] {
            if self.has_any(members) {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_go_there_and_back() {
        for (right, letter) in Rights::LETTERS {
            let text = letter.to_string();
            assert_eq!(Rights::parse(&text), Ok(right));
            assert!(right.to_string().contains(letter));
        }
        assert_eq!(Rights::parse("lrswipkxtea"), Ok(Rights::ALL));
        assert_eq!(Rights::ALL.to_string(), "lrswipkxtecda");
        assert_eq!(Rights::parse("lrq"), Err(UnknownRight('q')));
        assert_eq!(Rights::parse("R"), Err(UnknownRight('R')));
        assert_eq!(Rights::from_bits(u32::MAX), Rights::ALL);
    }

    #[test]
    fn old_rights_stand_for_new_ones() {
        assert_eq!(Rights::parse("lrswida"), Rights::parse("lrswietad"));
        assert_eq!(Rights::parse("c"), Rights::parse("kx"));
        // A member alone brings the virtual right along, so that older clients see it.
        assert_eq!(Rights::parse("t").unwrap().to_string(), "td");
        assert_eq!(Rights::parse("k").unwrap().to_string(), "kc");
    }

    #[test]
    fn each_flag_has_its_right() {
        let flags = |rights| Rights::parse(rights).unwrap().flags();
        assert_eq!(flags("lripkxea"), FlagBits::NONE);
        assert_eq!(flags("s"), FlagBits::SEEN);
        assert_eq!(flags("t"), FlagBits::DELETED);
        let w = flags("w");
        assert!(w.contains(FlagBits::FLAGGED) && w.contains(FlagBits::keyword(3)));
        assert!(!w.contains(FlagBits::SEEN) && !w.contains(FlagBits::DELETED));
        assert_eq!(flags("swt"), FlagBits::from_bits(u64::MAX));
    }
}
