//! One line of a text protocol.

use bytes::Bytes;

/// A line without its terminator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    text: Bytes,
    ending: Ending,
}

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// CR LF, as the standards ask.
    CrLf,
    /// LF alone, which some protocols tolerate and others must refuse.
    Lf,
}

impl Line {
    /// From bytes that end in LF.
    pub(crate) fn from_terminated(mut bytes: Bytes) -> Self {
        bytes.truncate(bytes.len().saturating_sub(1));
        if bytes.last() == Some(&b'\r') {
            bytes.truncate(bytes.len() - 1);
            return Self { text: bytes, ending: Ending::CrLf };
        }
        Self { text: bytes, ending: Ending::Lf }
    }

    /// The bytes before the terminator.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The same, owned.
    pub fn into_text(self) -> Bytes {
        self.text
    }

    /// How the line ended.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// True unless the line ended in CR LF and holds no other CR (RFC 5321 §2.3.8).
    pub fn has_bare_cr_or_lf(&self) -> bool {
        self.ending == Ending::Lf || memchr::memchr(b'\r', &self.text).is_some()
    }
}
