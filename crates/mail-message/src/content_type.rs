//! Content-Type and Content-Disposition: a name and parameters, RFC 2045 §5.1, RFC 2183, RFC 2231.

use crate::header::{is_blank, trim_end};
use crate::index::MediaType;
use crate::limits::{NAME_MAX, PARAMETERS_MAX};
use crate::parameter::{Parameter, Segment, join};

/// A parsed Content-Type.
pub(crate) struct ContentType<'a> {
    /// As written.
    pub(crate) main: &'a [u8],
    /// As written.
    pub(crate) sub: &'a [u8],
    pub(crate) parameters: Vec<Parameter>,
}

impl<'a> ContentType<'a> {
    /// `None` if it isn't `type "/" subtype`, which counts as if there were none (RFC 2045 §5.2).
    pub(crate) fn parse(value: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor { rest: value };
        cursor.skip_cfws();
        let main = cursor.token();
        cursor.skip_cfws();
        if !cursor.take(b'/') {
            return None;
        }
        cursor.skip_cfws();
        let sub = cursor.token();
        // RFC 2045 §5.1: no control characters. They are left out where the type is written, and "t\0ext" would look like a "text"
        // without its count of lines.
        let is_name = |name: &[u8]| !name.is_empty() && !name.iter().any(u8::is_ascii_control);
        if !is_name(main) || !is_name(sub) {
            return None;
        }
        Some(Self { main, sub, parameters: cursor.parameters() })
    }

    pub(crate) fn media(&self) -> MediaType {
        MediaType { main: lower_name(self.main), sub: lower_name(self.sub) }
    }

    pub(crate) fn charset(&self) -> Option<String> {
        self.parameter("charset").map(|name| lower_name(&name))
    }

    /// The octets of a parameter's value.
    pub(crate) fn parameter(&self, name: &str) -> Option<Vec<u8>> {
        let found = self.parameters.iter().find(|parameter| parameter.is(name))?;
        Some(trim_end(found.octets()).to_vec())
    }
}

/// A parsed Content-Disposition, RFC 2183 §2.
pub(crate) struct Disposition<'a> {
    /// As written.
    pub(crate) name: &'a [u8],
    pub(crate) parameters: Vec<Parameter>,
}

impl<'a> Disposition<'a> {
    /// `None` if there is no disposition type.
    pub(crate) fn parse(value: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor { rest: value };
        cursor.skip_cfws();
        let name = cursor.token();
        (!name.is_empty()).then(|| Self { name, parameters: cursor.parameters() })
    }
}

fn lower_name(name: &[u8]) -> String {
    name.iter()
        .take(NAME_MAX)
        .map(|byte| if byte.is_ascii() { byte.to_ascii_lowercase() as char } else { '?' })
        .collect()
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Skips blanks, folds and comments; comments nest (RFC 5322 §3.2.2).
    fn skip_cfws(&mut self) {
        let mut depth = 0_usize;
        let mut escaped = false;
        let end = self.rest.iter().position(|byte| {
            match (depth, *byte) {
                (1.., _) if escaped => escaped = false,
                (1.., b'\\') => escaped = true,
                (_, b'(') => depth += 1,
                (1.., b')') => depth -= 1,
                (1.., _) => {}
                (0, byte) => return !is_blank(byte),
            }
            false
        });
        self.rest = &self.rest[end.unwrap_or(self.rest.len())..];
    }

    fn take(&mut self, octet: u8) -> bool {
        let rest = self.rest.strip_prefix(&[octet]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn until(&mut self, stop: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| stop(*byte)).unwrap_or(self.rest.len());
        let (head, rest) = self.rest.split_at(end);
        self.rest = rest;
        head
    }

    fn token(&mut self) -> &'a [u8] {
        self.until(|byte| is_blank(byte) || matches!(byte, b'/' | b';' | b'(' | b'"' | b'='))
    }

    fn parameters(&mut self) -> Vec<Parameter> {
        let mut segments = Vec::new();
        while segments.len() < PARAMETERS_MAX {
            self.until(|byte| byte == b';');
            if !self.take(b';') {
                break;
            }
            self.skip_cfws();
            let name = self.until(|byte| is_blank(byte) || matches!(byte, b'=' | b';' | b'('));
            self.skip_cfws();
            if name.is_empty() || !self.take(b'=') {
                continue;
            }
            self.skip_cfws();
            segments.push(Segment { name, value: self.value() });
        }
        join(segments)
    }

    /// A quoted string, or lenient text up to the next semicolon.
    fn value(&mut self) -> Vec<u8> {
        if self.take(b'"') {
            return self.quoted();
        }
        let mut value = Vec::new();
        loop {
            let word = self.until(|byte| is_blank(byte) || matches!(byte, b';' | b'('));
            if !value.is_empty() && !word.is_empty() {
                value.push(b' ');
            }
            value.extend_from_slice(word);
            self.skip_cfws();
            if matches!(self.rest.first(), None | Some(b';')) {
                return value;
            }
        }
    }

    /// What follows an opening quote, up to the closing one or the end; folds are removed.
    fn quoted(&mut self) -> Vec<u8> {
        let mut value = Vec::new();
        loop {
            value.extend_from_slice(self.until(|byte| matches!(byte, b'"' | b'\\' | b'\r' | b'\n')));
            let Some((octet, rest)) = self.rest.split_first() else { return value };
            self.rest = rest;
            match octet {
                b'"' => return value,
                b'\\' => {
                    if let Some((escaped, rest)) = self.rest.split_first() {
                        value.push(*escaped);
                        self.rest = rest;
                    }
                }
                _ => {}
            }
        }
    }
}
