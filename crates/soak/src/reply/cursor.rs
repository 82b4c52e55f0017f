//! Tokens of the response grammar (RFC 9051 §9).

use super::Ranges;

/// What is not of the grammar, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed at octet {at}: {what}")]
pub struct Malformed {
    at: usize,
    what: String,
}

/// A value in a FETCH reply.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// NIL
    Nil,
    /// Also numbers.
    Atom(String),
    /// Quoted, a literal or a literal8.
    String(Vec<u8>),
    /// In parentheses.
    List(Vec<Value>),
}

/// Deepest list that is followed: the tester's own stack is to survive.
const DEPTH_MAX: usize = 300;

/// Where the parser is.
pub(super) struct Cursor<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self { octets, at: 0 }
    }

    pub(super) fn malformed(&self, what: &str) -> Malformed {
        let rest = &self.octets[self.at.min(self.octets.len())..];
        let near = String::from_utf8_lossy(&rest[..rest.len().min(40)]).into_owned();
        Malformed { at: self.at, what: format!("{what}, near {near:?}") }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.octets.get(self.at).copied()
    }

    pub(super) fn take(&mut self, text: &[u8]) -> bool {
        let is_there = self.octets[self.at..].starts_with(text);
        if is_there {
            self.at += text.len();
        }
        is_there
    }

    pub(super) fn expect(&mut self, text: &[u8]) -> Result<(), Malformed> {
        match self.take(text) {
            true => Ok(()),
            false => Err(self.malformed(&format!("expected {:?}", String::from_utf8_lossy(text)))),
        }
    }

    pub(super) fn end(&self) -> Result<(), Malformed> {
        if self.at == self.octets.len() { Ok(()) } else { Err(self.malformed("more than one reply")) }
    }

    fn span(&mut self, takes: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = &self.octets[self.at..];
        let length = rest.iter().position(|octet| !takes(*octet)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// Also names of attributes; in upper case unless it begins with `\`.
    pub(super) fn atom(&mut self) -> Result<String, Malformed> {
        let text = self.span(|octet| is_atom(octet) && octet != b'[');
        if text.is_empty() {
            return Err(self.malformed("expected an atom"));
        }
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// `BODY[HEADER.FIELDS ("X")]<0>` and simpler ones, in upper case.
    pub(super) fn item_name(&mut self) -> Result<String, Malformed> {
        let mut name = self.atom()?;
        if self.peek() == Some(b'[') {
            let section = self.span(|octet| octet != b']' && (b' '..0x7f).contains(&octet));
            name.push_str(&String::from_utf8_lossy(section));
            self.expect(b"]")?;
            name.push(']');
            if self.take(b"<") {
                name.push_str(&format!("<{}>", self.number32()?));
                self.expect(b">")?;
            }
        }
        Ok(name.to_ascii_uppercase())
    }

    pub(super) fn number64(&mut self) -> Result<u64, Malformed> {
        let digits = self.span(|octet| octet.is_ascii_digit());
        let text = std::str::from_utf8(digits).unwrap_or_default();
        if text.len() > 1 && text.starts_with('0') {
            return Err(self.malformed("a number with leading zeros"));
        }
        text.parse().map_err(|_| self.malformed("expected a number"))
    }

    pub(super) fn number32(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.number64()?).map_err(|_| self.malformed("a number beyond 32 bits"))
    }

    pub(super) fn nonzero(&mut self) -> Result<u32, Malformed> {
        match self.number32()? {
            0 => Err(self.malformed("a number that must not be 0")),
            number => Ok(number),
        }
    }

    /// RFC 7162 §7: 63 bits, never 0 where a message has one.
    pub(super) fn modseq(&mut self) -> Result<u64, Malformed> {
        match self.number64()? {
            0 => Err(self.malformed("mod-sequence 0")),
            number if number > i64::MAX as u64 => Err(self.malformed("a mod-sequence beyond 63 bits")),
            number => Ok(number),
        }
    }

    /// Ascending and without overlap: what a careful server sends.
    pub(super) fn ranges(&mut self) -> Result<Ranges, Malformed> {
        let mut ranges: Ranges = Vec::new();
        loop {
            let first = self.nonzero()?;
            let last = if self.take(b":") { self.nonzero()? } else { first };
            let before = ranges.last().map_or(0, |(_, last)| *last);
            if last < first || first <= before {
                return Err(self.malformed("a set that does not ascend"));
            }
            ranges.push((first, last));
            if !self.take(b",") {
                return Ok(ranges);
            }
        }
    }

    pub(super) fn flag_list(&mut self) -> Result<Vec<String>, Malformed> {
        self.expect(b"(")?;
        let mut flags: Vec<String> = Vec::new();
        while !self.take(b")") {
            if !flags.is_empty() {
                self.expect(b" ")?;
            }
            let system = self.take(b"\\");
            let name = if system && self.take(b"*") { "*".to_owned() } else { self.atom()? };
            let flag = if system { format!("\\{name}") } else { name };
            if flags.iter().any(|known| known.eq_ignore_ascii_case(&flag)) {
                return Err(self.malformed("the same flag twice"));
            }
            flags.push(flag);
        }
        Ok(flags)
    }

    /// An astring, as text.
    pub(super) fn string(&mut self) -> Result<String, Malformed> {
        match self.value()? {
            Value::Atom(text) => Ok(text),
            Value::String(octets) => Ok(String::from_utf8_lossy(&octets).into_owned()),
            _ => Err(self.malformed("expected a string")),
        }
    }

    pub(super) fn value(&mut self) -> Result<Value, Malformed> {
        self.value_at(0)
    }

    fn value_at(&mut self, depth: usize) -> Result<Value, Malformed> {
        match self.peek() {
            Some(b'(') if depth < DEPTH_MAX => self.list(depth),
            Some(b'(') => Err(self.malformed("lists too deep")),
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(),
            Some(b'~') if self.octets[self.at..].starts_with(b"~{") => self.literal(),
            _ => {
                let text = self.span(|octet| is_atom(octet) || octet == b'\\' || octet == b']');
                match text {
                    b"" => Err(self.malformed("expected a value")),
                    b"NIL" => Ok(Value::Nil),
                    text => Ok(Value::Atom(String::from_utf8_lossy(text).into_owned())),
                }
            }
        }
    }

    /// Values stand apart by one space; lists may touch (the addresses of an envelope, the parts of a body).
    fn list(&mut self, depth: usize) -> Result<Value, Malformed> {
        self.expect(b"(")?;
        let mut values = Vec::new();
        while !self.take(b")") {
            let touches = matches!(values.last(), Some(Value::List(_))) && self.peek() == Some(b'(');
            if !values.is_empty() && !touches {
                self.expect(b" ")?;
            }
            values.push(self.value_at(depth + 1)?);
        }
        Ok(Value::List(values))
    }

    fn quoted(&mut self) -> Result<Value, Malformed> {
        self.expect(b"\"")?;
        let mut octets = Vec::new();
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(octet @ (b'"' | b'\\')) => octets.push(octet),
                        _ => return Err(self.malformed("a backslash before what needs none")),
                    }
                }
                Some(octet) if (1..0x80).contains(&octet) && octet != b'\r' && octet != b'\n' => {
                    octets.push(octet);
                }
                _ => return Err(self.malformed("an octet that may not stand in quotes")),
            }
            self.at += 1;
        }
        self.at += 1;
        Ok(Value::String(octets))
    }

    fn literal(&mut self) -> Result<Value, Malformed> {
        let binary = self.take(b"~");
        self.expect(b"{")?;
        let length = self.number64()? as usize;
        self.expect(b"}\r\n")?;
        let octets = self.octets.get(self.at..self.at + length);
        let octets = octets.ok_or_else(|| self.malformed("a literal that ends early"))?;
        if !binary && octets.contains(&0) {
            return Err(self.malformed("NUL in a literal that is no literal8"));
        }
        self.at += length;
        Ok(Value::String(octets.to_vec()))
    }

    /// `[NAME rest] `, if there is one.
    pub(super) fn code(&mut self) -> Result<Option<(String, String)>, Malformed> {
        if !self.take(b"[") {
            return Ok(None);
        }
        let text = self.span(|octet| octet != b']' && (b' '..0x7f).contains(&octet));
        self.expect(b"] ")?;
        let text = String::from_utf8_lossy(text).into_owned();
        let (name, rest) = text.split_once(' ').unwrap_or((&text, ""));
        if name.is_empty() || (text.contains(' ') && rest.is_empty()) {
            return Err(self.malformed("an empty response code"));
        }
        Ok(Some((name.to_ascii_uppercase(), rest.to_owned())))
    }

    /// The human-readable rest of the line.
    pub(super) fn text(&mut self) -> Result<(), Malformed> {
        let text = self.span(|octet| octet != b'\r' && octet != b'\n' && octet != 0 && octet < 0x80);
        if text.is_empty() { Err(self.malformed("no text")) } else { Ok(()) }
    }

    /// ` value value ...` until the end of the line.
    pub(super) fn rest_of_values(&mut self) -> Result<(), Malformed> {
        while self.take(b" ") {
            self.value()?;
        }
        Ok(())
    }
}

fn is_atom(octet: u8) -> bool {
    (0x21..0x7f).contains(&octet) && !b"(){%*\"\\]".contains(&octet)
}
