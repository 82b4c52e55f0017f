//! A place in a frame, and the smallest parts of the grammar (RFC 9051 §9).

use mail_types::MailboxName;

use crate::parse::{ParseErrorKind, ParseOptions};
use crate::{Frame, Literal, SeqBound, SequenceSet};

/// What is wrong, and where.
#[derive(Debug)]
pub(crate) struct Fail {
    pub(crate) kind: ParseErrorKind,
    pub(crate) at: usize,
}

pub(crate) type Parsed<T> = Result<T, Fail>;

/// Longest word that is compared to known ones; none of them is longer.
const WORD_BYTES_MAX: usize = 24;

/// An upper-case word.
pub(crate) struct Word {
    bytes: [u8; WORD_BYTES_MAX],
    len: usize,
}

impl Word {
    /// Empty if it is too long or not ASCII: then it is none of the known ones.
    fn new(word: &[u8]) -> Self {
        let mut bytes = [0; WORD_BYTES_MAX];
        let Some(known) = bytes.get_mut(..word.len()).filter(|_| word.is_ascii()) else {
            return Self { bytes, len: 0 };
        };
        known.copy_from_slice(word);
        known.make_ascii_uppercase();
        Self { bytes, len: word.len() }
    }
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

/// Reads a frame from left to right.
pub(crate) struct Cursor<'a> {
    pub(crate) frame: &'a Frame,
    /// The frame's bytes without the last line end, and without the header of the open literal.
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
    /// Buffered literals that were read.
    literals_read: usize,
    pub(crate) options: ParseOptions,
    /// Names that were given in another form.
    pub(crate) normalized: Vec<(String, MailboxName)>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(frame: &'a Frame, options: ParseOptions) -> Self {
        let bytes = &frame.bytes[..frame.end];
        Self { frame, bytes, at: 0, literals_read: 0, options, normalized: Vec::new() }
    }

    pub(crate) fn fail<T>(&self, kind: ParseErrorKind) -> Parsed<T> {
        Err(Fail { kind, at: self.at })
    }
    pub(crate) fn expected<T>(&self, what: &'static str) -> Parsed<T> {
        self.fail(ParseErrorKind::Expected(what))
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }
    /// Is the literal that is to be streamed next?
    pub(crate) fn at_open_literal(&self) -> bool {
        self.frame.open.is_some() && self.at == self.bytes.len()
    }
    /// The buffered literal that begins here; steps over it.
    pub(crate) fn take_literal(&mut self) -> Option<&'a Literal> {
        let literal =
            self.frame.literals.get(self.literals_read).filter(|literal| literal.header == self.at)?;
        self.literals_read += 1;
        self.at = literal.data.end;
        Some(literal)
    }

    /// Steps over this byte if it is next.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }
    pub(crate) fn open(&mut self) -> Parsed<()> {
        if self.take(b'(') { Ok(()) } else { self.expected("\"(\"") }
    }
    pub(crate) fn close(&mut self) -> Parsed<()> {
        if self.take(b')') { Ok(()) } else { self.expected("\")\"") }
    }
    /// One space. More are taken too, for clients that build commands of parts that may be empty.
    pub(crate) fn space(&mut self) -> Parsed<()> {
        if !self.take(b' ') {
            return self.expected("a space");
        }
        while self.take(b' ') {}
        Ok(())
    }
    /// Is there anything but spaces, which some clients send before CRLF? Steps over them.
    pub(crate) fn is_end(&mut self) -> bool {
        if self.rest().iter().any(|b| *b != b' ') || self.frame.open.is_some() {
            return false;
        }
        self.at = self.bytes.len();
        true
    }
    pub(crate) fn end(&mut self) -> Parsed<()> {
        if self.is_end() { Ok(()) } else { self.expected("the end of the command") }
    }

    /// The longest run of bytes of a kind, maybe empty.
    pub(crate) fn run(&mut self, kind: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let len = rest.iter().position(|b| !kind(*b)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }
    /// `atom = 1*ATOM-CHAR`
    pub(crate) fn atom(&mut self) -> Parsed<&'a str> {
        let atom = self.run(is_atom_char);
        match std::str::from_utf8(atom) {
            Ok(text) if !text.is_empty() => Ok(text),
            _ => self.expected("an atom"),
        }
    }
    /// An atom in upper case, to be compared to words of the grammar.
    pub(crate) fn word(&mut self) -> Word {
        Word::new(self.run(is_atom_char))
    }
    /// A name that may be followed by `[`: letters, digits, `.`, `-`.
    pub(crate) fn name(&mut self) -> Word {
        Word::new(self.run(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-'))
    }
    /// Steps over this word if it is next, and is not the beginning of a longer one. Letter case is ignored.
    pub(crate) fn take_word(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let found = rest.get(..word.len()).is_some_and(|next| next.eq_ignore_ascii_case(word.as_bytes()))
            && !rest.get(word.len()).is_some_and(|next| is_atom_char(*next));
        if found {
            self.at += word.len();
        }
        found
    }

    /// `( item *(SP item) )`
    pub(crate) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.open()?;
        let mut items = vec![item(self)?];
        loop {
            while self.take(b' ') {}
            if self.take(b')') {
                return Ok(items);
            }
            items.push(item(self)?);
        }
    }
    /// `()` or a list.
    pub(crate) fn list_or_empty<T>(&mut self, item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        if self.rest().starts_with(b"()") {
            self.at += 2;
            return Ok(Vec::new());
        }
        self.list(item)
    }

    /// `number63`: up to 2^63 - 1.
    pub(crate) fn number63(&mut self) -> Parsed<u64> {
        let start = self.at;
        let digits = self.run(|b| b.is_ascii_digit());
        if digits.is_empty() {
            return self.expected("a number");
        }
        let number = digits
            .iter()
            .try_fold(0u64, |n, digit| n.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
            .filter(|n| *n <= i64::MAX as u64);
        number.ok_or(Fail { kind: ParseErrorKind::Number, at: start })
    }
    /// `number`: up to 2^32 - 1.
    pub(crate) fn number(&mut self) -> Parsed<u32> {
        let start = self.at;
        let number = self.number63()?;
        u32::try_from(number).map_err(|_| Fail { kind: ParseErrorKind::Number, at: start })
    }
    /// `nz-number`
    pub(crate) fn nz_number(&mut self) -> Parsed<u32> {
        let start = self.at;
        match self.number()? {
            0 => Err(Fail { kind: ParseErrorKind::Number, at: start }),
            number => Ok(number),
        }
    }

    /// `seq-number`
    pub(crate) fn seq_bound(&mut self) -> Parsed<SeqBound> {
        if self.take(b'*') { Ok(SeqBound::Last) } else { self.nz_number().map(SeqBound::Number) }
    }
    /// `sequence-set`
    pub(crate) fn sequence_set(&mut self) -> Parsed<SequenceSet> {
        if self.take(b'$') {
            return Ok(SequenceSet::Saved);
        }
        let mut ranges = Vec::new();
        loop {
            let first = self.seq_bound()?;
            let last = if self.take(b':') { self.seq_bound()? } else { first };
            ranges.push((first, last));
            if !self.take(b',') {
                return Ok(SequenceSet::Ranges(ranges));
            }
        }
    }
    /// A set of plain numbers: no `*`, no `$`.
    pub(crate) fn known_set(&mut self) -> Parsed<SequenceSet> {
        let start = self.at;
        let set = self.sequence_set()?;
        if set.is_dynamic() {
            return Err(Fail { kind: ParseErrorKind::Expected("a set without \"*\""), at: start });
        }
        Ok(set)
    }
}

/// `ATOM-CHAR = <any CHAR except atom-specials>`
pub(crate) fn is_atom_char(b: u8) -> bool {
    b.is_ascii_graphic() && !matches!(b, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}
/// `ASTRING-CHAR = ATOM-CHAR / resp-specials`
pub(crate) fn is_astring_char(b: u8) -> bool {
    is_atom_char(b) || b == b']'
}
/// `list-char = ATOM-CHAR / list-wildcards / resp-specials`
pub(crate) fn is_list_char(b: u8) -> bool {
    is_astring_char(b) || matches!(b, b'%' | b'*')
}
