//! Mailbox names and their special uses.

use std::borrow::Cow;
use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// Separates the levels of a name (RFC 9051 §5.1.1).
pub const HIERARCHY_SEPARATOR: char = '/';
/// Longest mailbox name in bytes of UTF-8: fits an index entry of either database with room to spare.
pub const NAME_BYTES_MAX: usize = 1000;
/// Deepest hierarchy: more has no reader, and RENAME and LIST walk every level.
pub const NAME_LEVELS_MAX: usize = 32;

const INBOX: &str = "INBOX";

/// `mailbox = "INBOX" / astring` (RFC 9051 §9), as UTF-8 text in Normalization Form C, whatever form the
/// client typed. INBOX is upper-case, also as the first level of a longer name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(String);

/// A name, or part of one, in Unicode Normalization Form C (RFC 9051 §5.1): what looks the same is the same.
pub fn normalize(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || unicode_normalization::is_nfc(text) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.nfc().collect())
}

/// Why a text is no mailbox name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty, or with an empty level (`a//b`, `/a`, `a/`).
    #[error("a mailbox name cannot have an empty level")]
    EmptyLevel,
    /// Over [`NAME_BYTES_MAX`].
    #[error("a mailbox name has at most {NAME_BYTES_MAX} octets")]
    TooLong,
    /// Over [`NAME_LEVELS_MAX`].
    #[error("a mailbox name has at most {NAME_LEVELS_MAX} levels")]
    TooDeep,
    /// A level `.` or `..`, which exports and other servers take for directories.
    #[error("a level of a mailbox name cannot be \".\" or \"..\"")]
    Dots,
    /// A control character (RFC 9051 §5.1: names with CTLs harm clients), or a LIST wildcard.
    #[error("a mailbox name cannot hold the character {0:?}")]
    BadChar(char),
}

impl MailboxName {
    /// The INBOX.
    pub fn inbox() -> Self {
        Self(INBOX.to_owned())
    }
    /// Is it the INBOX itself?
    pub fn is_inbox(&self) -> bool {
        self.0 == INBOX
    }
    /// The name in UTF-8.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The name one level up, if there is one.
    pub fn parent(&self) -> Option<MailboxName> {
        self.0.rsplit_once(HIERARCHY_SEPARATOR).map(|(parent, _)| Self(parent.to_owned()))
    }
    /// Is it below `other` in the hierarchy?
    pub fn is_below(&self, other: &MailboxName) -> bool {
        self.0.strip_prefix(&other.0).is_some_and(|rest| rest.starts_with(HIERARCHY_SEPARATOR))
    }
}

impl TryFrom<&str> for MailboxName {
    type Error = NameError;
    fn try_from(text: &str) -> Result<Self, NameError> {
        if text.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong);
        }
        let bad = |c: &char| c.is_control() || "*%\u{2028}\u{2029}\u{fffd}".contains(*c);
        if let Some(c) = text.chars().find(bad) {
            return Err(NameError::BadChar(c));
        }
        let text = normalize(text);
        if text.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong);
        }
        let mut levels = 0;
        for level in text.split(HIERARCHY_SEPARATOR) {
            levels += 1;
            match level {
                "" => return Err(NameError::EmptyLevel),
                "." | ".." => return Err(NameError::Dots),
                _ => {}
            }
        }
        if levels > NAME_LEVELS_MAX {
            return Err(NameError::TooDeep);
        }
        let first = text.split(HIERARCHY_SEPARATOR).next().unwrap_or_default();
        if first.eq_ignore_ascii_case(INBOX) {
            return Ok(Self(format!("{INBOX}{}", &text[first.len()..])));
        }
        Ok(Self(text.into_owned()))
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a mailbox is for (RFC 6154 §2). The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SpecialUse {
    /// `\All`
    All = 1,
    /// `\Archive`
    Archive = 2,
    /// `\Drafts`
    Drafts = 3,
    /// `\Flagged`
    Flagged = 4,
    /// `\Junk`
    Junk = 5,
    /// `\Sent`
    Sent = 6,
    /// `\Trash`
    Trash = 7,
    /// `\Important` (RFC 8457)
    Important = 8,
}

impl SpecialUse {
    /// All of them, with their attributes.
    pub const ALL: [(SpecialUse, &'static str); 8] = [
        (Self::All, "\\All"),
        (Self::Archive, "\\Archive"),
        (Self::Drafts, "\\Drafts"),
        (Self::Flagged, "\\Flagged"),
        (Self::Junk, "\\Junk"),
        (Self::Sent, "\\Sent"),
        (Self::Trash, "\\Trash"),
        (Self::Important, "\\Important"),
    ];
    /// The attribute, with its backslash.
    pub fn attribute(self) -> &'static str {
        Self::ALL.iter().find(|(use_, _)| *use_ == self).map_or("", |(_, attribute)| attribute)
    }
    /// The use of this attribute, letter case ignored.
    pub fn from_attribute(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| known.eq_ignore_ascii_case(text)).map(|(use_, _)| *use_)
    }
    /// The use of this stored number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.iter().find(|(use_, _)| *use_ as u32 == number).map(|(use_, _)| *use_)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inbox_is_one_mailbox_in_any_case() {
        assert!(MailboxName::try_from("inBox").unwrap().is_inbox());
        assert_eq!(MailboxName::try_from("inbox/Work").unwrap().as_str(), "INBOX/Work");
        assert_eq!(MailboxName::try_from("inboxes").unwrap().as_str(), "inboxes");
    }

    #[test]
    fn dangerous_names_are_refused() {
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        let deep = vec!["a"; NAME_LEVELS_MAX + 1].join("/");
        for bad in
            ["", "/a", "a/", "a//b", "..", "a/../b", "a\0b", "a\r\n* 1 EXISTS", "a*", "a%b", &long, &deep]
        {
            assert!(MailboxName::try_from(bad).is_err(), "{bad:?}");
        }
        assert!(MailboxName::try_from("x".repeat(NAME_BYTES_MAX).as_str()).is_ok());
        assert!(MailboxName::try_from(vec!["a"; NAME_LEVELS_MAX].join("/").as_str()).is_ok());
        assert!(MailboxName::try_from("送信済み/2026").is_ok());
    }

    #[test]
    fn below_needs_the_separator() {
        let a = MailboxName::try_from("a").unwrap();
        assert!(MailboxName::try_from("a/b").unwrap().is_below(&a));
        assert!(!MailboxName::try_from("ab").unwrap().is_below(&a));
        assert!(!a.is_below(&a));
    }

    #[test]
    fn special_use_numbers_and_attributes_go_there_and_back() {
        for (use_, attribute) in SpecialUse::ALL {
            assert_eq!(SpecialUse::from_number(use_ as u32), Some(use_));
            assert_eq!(SpecialUse::from_attribute(&attribute.to_lowercase()), Some(use_));
        }
    }
}
