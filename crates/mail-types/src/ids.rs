//! Numbers with a meaning. All of them are stored as 64-bit signed integers by both databases, so all stay below 2^63.

use std::fmt;
use std::num::NonZeroU32;

/// A number that does not fit its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} out of range: {value}")]
pub struct OutOfRange {
    what: &'static str,
    value: i64,
}

macro_rules! id63 {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(u64);

        impl $name {
            /// Wraps a number; the top bit is dropped because databases keep signed 64-bit integers.
            pub const fn new(value: u64) -> Self {
                Self(value & (i64::MAX as u64))
            }
            /// The number.
            pub const fn get(self) -> u64 {
                self.0
            }
            /// The number as the databases keep it.
            pub const fn as_i64(self) -> i64 {
                self.0 as i64
            }
        }

        impl TryFrom<i64> for $name {
            type Error = OutOfRange;
            fn try_from(value: i64) -> Result<Self, OutOfRange> {
                u64::try_from(value).map(Self).map_err(|_| OutOfRange { what: $what, value })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id63!(
    /// An account. Never used again for somebody else.
    AccountId, "account id"
);
id63!(
    /// A mailbox of one account; kept over RENAME, never used again.
    MailboxId, "mailbox id"
);
id63!(
    /// An immutable message of one account; shared by its copies in several mailboxes.
    MessageId, "message id"
);
id63!(
    /// A mod-sequence (RFC 7162 §3.1): 63 bits, one timeline per mailbox, 0 is "before everything".
    ModSeq, "mod-sequence"
);

macro_rules! nz32 {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroU32);

        impl $name {
            /// `None` for zero, which is no such number.
            pub const fn new(value: u32) -> Option<Self> {
                match NonZeroU32::new(value) {
                    Some(value) => Some(Self(value)),
                    None => None,
                }
            }
            /// The number.
            pub const fn get(self) -> u32 {
                self.0.get()
            }
            /// The number as the databases keep it.
            pub const fn as_i64(self) -> i64 {
                self.0.get() as i64
            }
        }

        impl TryFrom<i64> for $name {
            type Error = OutOfRange;
            fn try_from(value: i64) -> Result<Self, OutOfRange> {
                u32::try_from(value).ok().and_then(Self::new).ok_or(OutOfRange { what: $what, value })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

nz32!(
    /// A unique identifier of a message in a mailbox (RFC 9051 §2.3.1.1): 1 to 2^32 - 1, ascending.
    Uid, "UID"
);
nz32!(
    /// The unique identifier validity value of a mailbox (RFC 9051 §2.3.1.1).
    UidValidity, "UIDVALIDITY"
);

impl Uid {
    /// The smallest UID.
    pub const MIN: Uid = Uid(NonZeroU32::MIN);
    /// The largest UID.
    pub const MAX: Uid = Uid(NonZeroU32::MAX);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uid_has_32_bits_and_is_not_zero() {
        assert!(Uid::try_from(0).is_err());
        assert!(Uid::try_from(-1).is_err());
        assert!(Uid::try_from(1i64 << 32).is_err());
        assert_eq!(Uid::try_from((1i64 << 32) - 1), Ok(Uid::MAX));
    }

    #[test]
    fn modseq_has_63_bits() {
        assert_eq!(ModSeq::new(u64::MAX).as_i64(), i64::MAX);
        assert!(ModSeq::try_from(-1).is_err());
    }
}
