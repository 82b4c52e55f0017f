//! Values of a mailbox store that cannot be wrong: numbers, names, flags and sets.
//!
//! **Invariant:** no I/O, no async, no clock. A value of these types has passed the one check there is for it.

mod flag;
mod ids;
mod name;
mod rights;
pub mod sasl;
mod set;

pub use flag::{FlagBits, KEYWORDS_MAX, Keyword, KeywordError, KeywordTable, KeywordTableFull};
pub use ids::{AccountId, MailboxId, MessageId, ModSeq, OutOfRange, Uid, UidValidity};
pub use name::{
    HIERARCHY_SEPARATOR, MailboxName, NAME_BYTES_MAX, NAME_LEVELS_MAX, NameError, SpecialUse, normalize,
};
pub use rights::{Rights, UnknownRight};
pub use set::{SetError, UidSet};
