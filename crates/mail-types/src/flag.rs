//! Flags as bits: five system flags, and up to [`KEYWORDS_MAX`] keywords whose bits a mailbox's [`KeywordTable`] assigns.

use std::fmt;

/// Most keywords that one mailbox can tell apart; a message's flags are then one 63-bit column.
pub const KEYWORDS_MAX: usize = 55;
/// Longest keyword in bytes; longer ones are no use to any client and would bloat every FLAGS reply.
const KEYWORD_BYTES_MAX: usize = 128;
const KEYWORD_SHIFT: u32 = 8;

/// The flags of one message in one mailbox. Bits 0 to 4 are system flags, bits 8 to 62 keywords.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FlagBits(u64);

impl FlagBits {
    /// No flag.
    pub const NONE: FlagBits = FlagBits(0);
    /// `\Seen`
    pub const SEEN: FlagBits = FlagBits(1);
    /// `\Answered`
    pub const ANSWERED: FlagBits = FlagBits(1 << 1);
    /// `\Flagged`
    pub const FLAGGED: FlagBits = FlagBits(1 << 2);
    /// `\Deleted`
    pub const DELETED: FlagBits = FlagBits(1 << 3);
    /// `\Draft`
    pub const DRAFT: FlagBits = FlagBits(1 << 4);
    /// The system flags in the order in which they are shown, with their names (RFC 9051 §2.3.2).
    pub const SYSTEM: [(FlagBits, &'static str); 5] = [
        (Self::ANSWERED, "\\Answered"),
        (Self::FLAGGED, "\\Flagged"),
        (Self::DELETED, "\\Deleted"),
        (Self::SEEN, "\\Seen"),
        (Self::DRAFT, "\\Draft"),
    ];

    /// From the stored number; bit 63 and the unused bits are dropped.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & 0x7fff_ffff_ffff_ff1f)
    }
    /// The stored number.
    pub const fn bits(self) -> u64 {
        self.0
    }
    /// The bit of the keyword at `index` of its mailbox's table.
    pub const fn keyword(index: usize) -> Self {
        assert!(index < KEYWORDS_MAX);
        Self(1 << (KEYWORD_SHIFT + index as u32))
    }
    /// The system flag of this name, letter case ignored. `\Recent` is none: no client may set it.
    pub fn system(name: &str) -> Option<Self> {
        Self::SYSTEM.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(bits, _)| *bits)
    }
    /// Are all flags of `other` here?
    pub const fn contains(self, other: FlagBits) -> bool {
        self.0 & other.0 == other.0
    }
    /// Both.
    pub const fn with(self, other: FlagBits) -> Self {
        Self(self.0 | other.0)
    }
    /// These without those.
    pub const fn without(self, other: FlagBits) -> Self {
        Self(self.0 & !other.0)
    }
    /// Indexes of the keywords that are set, ascending.
    pub fn keyword_indexes(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0 >> KEYWORD_SHIFT;
        std::iter::from_fn(move || {
            if rest == 0 {
                return None;
            }
            let index = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            Some(index)
        })
    }
}

impl fmt::Debug for FlagBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlagBits({:#x})", self.0)
    }
}

/// A keyword: an IMAP atom that does not begin with a backslash (`flag-keyword`, RFC 9051 §9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyword(String);

/// Why a text is no keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeywordError {
    /// Empty.
    #[error("a keyword cannot be empty")]
    Empty,
    /// Over the limit.
    #[error("a keyword has at most {KEYWORD_BYTES_MAX} octets")]
    TooLong,
    /// A character that an atom cannot hold.
    #[error("a keyword cannot hold the character {0:?}")]
    BadChar(char),
}

impl Keyword {
    /// The text as the client first wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for Keyword {
    type Error = KeywordError;
    fn try_from(text: &str) -> Result<Self, KeywordError> {
        if text.is_empty() {
            return Err(KeywordError::Empty);
        }
        if text.len() > KEYWORD_BYTES_MAX {
            return Err(KeywordError::TooLong);
        }
        let bad = |c: &char| !c.is_ascii_graphic() || "(){%*\"\\]".contains(*c);
        match text.chars().find(bad) {
            Some(c) => Err(KeywordError::BadChar(c)),
            None => Ok(Self(text.to_owned())),
        }
    }
}

/// Which bit stands for which keyword in one mailbox. Spelling is the first one seen; matching ignores letter case.
///
/// Stored as one text column: the keywords in bit order, separated by spaces. A keyword keeps its bit for ever.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeywordTable(Vec<String>);

/// All places are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this mailbox already has {KEYWORDS_MAX} different keywords")]
pub struct KeywordTableFull;

impl KeywordTable {
    /// Reads the stored form.
    pub fn from_stored(text: &str) -> Self {
        Self(text.split(' ').filter(|s| !s.is_empty()).take(KEYWORDS_MAX).map(|s| s.to_owned()).collect())
    }
    /// The stored form.
    pub fn to_stored(&self) -> String {
        self.0.join(" ")
    }
    /// The keyword at a bit, if one has it.
    pub fn name(&self, index: usize) -> Option<&str> {
        self.0.get(index).map(String::as_str)
    }
    /// All keywords with their indexes.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &str)> {
        self.0.iter().map(String::as_str).enumerate()
    }
    /// How many keywords there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Has it none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Is there no place left?
    pub fn is_full(&self) -> bool {
        self.0.len() >= KEYWORDS_MAX
    }
    /// The bit of a keyword that is known already.
    pub fn find(&self, keyword: &str) -> Option<FlagBits> {
        self.0.iter().position(|known| known.eq_ignore_ascii_case(keyword)).map(FlagBits::keyword)
    }
    /// The bit of a keyword, which is given a place if it has none.
    ///
    /// # Errors
    /// [`KeywordTableFull`] when it is new and there is no place left.
    pub fn intern(&mut self, keyword: &Keyword) -> Result<FlagBits, KeywordTableFull> {
        if let Some(bits) = self.find(keyword.as_str()) {
            return Ok(bits);
        }
        if self.is_full() {
            return Err(KeywordTableFull);
        }
        self.0.push(keyword.as_str().to_owned());
        Ok(FlagBits::keyword(self.0.len() - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyword(text: &str) -> Keyword {
        Keyword::try_from(text).unwrap()
    }

    #[test]
    fn system_flags_ignore_case_and_recent_is_none() {
        assert_eq!(FlagBits::system("\\sEEN"), Some(FlagBits::SEEN));
        assert_eq!(FlagBits::system("\\Recent"), None);
    }

    #[test]
    fn keywords_are_atoms() {
        assert!(Keyword::try_from("$Forwarded").is_ok());
        for bad in ["", "a b", "a\"", "\\Seen", "a]", "a(", "é", "a\0"] {
            assert!(Keyword::try_from(bad).is_err(), "{bad:?}");
        }
        assert!(Keyword::try_from("x".repeat(KEYWORD_BYTES_MAX).as_str()).is_ok());
        assert!(Keyword::try_from("x".repeat(KEYWORD_BYTES_MAX + 1).as_str()).is_err());
    }

    #[test]
    fn table_keeps_first_spelling_and_is_limited() {
        let mut table = KeywordTable::default();
        let first = table.intern(&keyword("$Junk")).unwrap();
        assert_eq!(table.intern(&keyword("$junk")), Ok(first));
        assert_eq!(table.name(0), Some("$Junk"));
        for i in 1..KEYWORDS_MAX {
            table.intern(&keyword(&format!("k{i}"))).unwrap();
        }
        assert_eq!(table.intern(&keyword("more")), Err(KeywordTableFull));
        assert_eq!(KeywordTable::from_stored(&table.to_stored()), table);
    }

    #[test]
    fn keyword_indexes_are_the_set_bits() {
        let bits = FlagBits::SEEN.with(FlagBits::keyword(0)).with(FlagBits::keyword(54));
        assert_eq!(bits.keyword_indexes().collect::<Vec<_>>(), [0, 54]);
        assert_eq!(FlagBits::from_bits(bits.bits()), bits);
    }
}
