//! Strings, numbers, names and flags.

use mail_types::{FlagBits, KeywordTable, UidSet};

use super::Writer;
use crate::utf7;

/// Longest quoted string in bytes. Longer ones are literals, which clients read with less trouble.
const QUOTED_BYTES_MAX: usize = 1024;
/// Most digits of a 64-bit number.
const DIGITS_MAX: usize = 20;

impl Writer<'_> {
    /// Bytes as they are. Only for what is safe by construction.
    pub(crate) fn raw(&mut self, text: &str) {
        self.buf.extend_from_slice(text.as_bytes());
    }
    pub(crate) fn line_end(&mut self) {
        self.raw("\r\n");
    }
    pub(crate) fn number(&mut self, mut number: u64) {
        let mut digits = [0u8; DIGITS_MAX];
        let mut at = DIGITS_MAX;
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.buf.extend_from_slice(&digits[at..]);
    }
    pub(crate) fn set(&mut self, set: &UidSet) {
        self.ranges(set.ranges().iter().copied());
    }
    pub(crate) fn ranges(&mut self, ranges: impl IntoIterator<Item = (u32, u32)>) {
        for (i, (first, last)) in ranges.into_iter().enumerate() {
            if i > 0 {
                self.raw(",");
            }
            self.number(first.into());
            if first != last {
                self.raw(":");
                self.number(last.into());
            }
        }
    }
    /// Each after a space.
    pub(crate) fn words<'w>(&mut self, words: impl IntoIterator<Item = &'w str>) {
        for word in words {
            self.raw(" ");
            self.atom(word);
        }
    }
    /// An atom of ours; what cannot be in one is left out.
    pub(crate) fn atom(&mut self, atom: &str) {
        let good = |b: &u8| b.is_ascii_graphic() && !b"(){%*\"".contains(b);
        self.buf.extend(atom.bytes().filter(|b| good(b)));
    }

    /// Text for people (`resp-text`, RFC 9051 §9), on one line. A bracket at its beginning would be taken for a
    /// response code.
    pub(crate) fn text(&mut self, text: &str) {
        let text = if text.is_empty() { "Done" } else { text };
        let translated = self.options.translate.and_then(|translate| translate(text));
        let text = translated.as_deref().unwrap_or(text);
        // RFC 5255 §3.2: a client that has chosen a language reads UTF-8.
        let utf8 = self.options.utf8 || self.options.translate.is_some();
        for (i, c) in text.chars().enumerate() {
            match c {
                '[' if i == 0 => self.raw("("),
                c if c.is_control() || !utf8 && !c.is_ascii() => self.raw("?"),
                c => self.raw(c.encode_utf8(&mut [0; 4])),
            }
        }
    }

    /// `string = quoted / literal` (RFC 9051 §9): quoted if it can be, a literal otherwise. NUL, which no literal may
    /// hold, becomes a question mark.
    pub fn string(&mut self, bytes: &[u8]) {
        if self.can_quote(bytes) {
            self.raw("\"");
            for b in bytes {
                if matches!(b, b'"' | b'\\') {
                    self.raw("\\");
                }
                self.buf.extend_from_slice(&[*b]);
            }
            self.raw("\"");
            return;
        }
        self.literal_header(bytes.len() as u64);
        self.buf.extend(bytes.iter().map(|b| if *b == 0 { b'?' } else { *b }));
    }
    /// `nstring`: a string or NIL.
    pub fn nstring(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.string(bytes),
            None => self.raw("NIL"),
        }
    }
    /// `astring`: bare if it can be.
    pub fn astring(&mut self, bytes: &[u8]) {
        let is_bare = !bytes.is_empty()
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-._/#$+&,:;<=>?@^`|~!'".contains(b))
            && !bytes.eq_ignore_ascii_case(b"NIL");
        if is_bare { self.buf.extend_from_slice(bytes) } else { self.string(bytes) }
    }
    /// `{n}` and CRLF; the bytes are to follow.
    pub(crate) fn literal_header(&mut self, size: u64) {
        self.raw("{");
        self.number(size);
        self.raw("}\r\n");
    }
    fn can_quote(&self, bytes: &[u8]) -> bool {
        if bytes.len() > QUOTED_BYTES_MAX {
            return false;
        }
        if bytes.iter().all(|b| matches!(b, b' '..=b'~')) {
            return true;
        }
        let is_plain = |text: &str| !text.chars().any(|c| c.is_control());
        self.options.utf8 && std::str::from_utf8(bytes).is_ok_and(is_plain)
    }

    /// A mailbox name, given in UTF-8: in UTF-8 for clients that have enabled it, in modified UTF-7 for others.
    pub fn mailbox(&mut self, name: &str) {
        if self.options.utf8 || name.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'&') {
            self.astring(name.as_bytes());
        } else {
            let wire = utf7::encode(name);
            self.astring(wire.as_bytes());
        }
    }

    /// `\Seen $Forwarded`, without parentheses. Bits without a keyword in the table are left out.
    pub(crate) fn flags(&mut self, flags: FlagBits, keywords: &KeywordTable, extra: &[&str]) {
        let system = FlagBits::SYSTEM.iter().filter(|(bit, _)| flags.contains(*bit)).map(|(_, name)| *name);
        let named = flags.keyword_indexes().filter_map(|index| keywords.name(index));
        for (i, name) in system.chain(named).chain(extra.iter().copied()).enumerate() {
            if i > 0 {
                self.raw(" ");
            }
            match name {
                "\\*" => self.raw(name),
                name => self.atom(name),
            }
        }
    }
}
