//! Header blocks: where they end, their fields, HEADER.FIELDS.

use std::collections::HashSet;

use memchr::memchr;

use crate::limits::{FIELD_VALUE_MAX, FIELDS_MAX};

/// Which fields [`header_fields`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// HEADER.FIELDS: the named ones.
    Matching,
    /// HEADER.FIELDS.NOT: all but the named ones.
    Others,
}

/// The fields of a header block whose names match (or don't), byte for byte and in order, followed by an empty
/// line if the block ends with one. RFC 9051 §6.4.5.1: names match in any case; the delimiting empty line is left out
/// only of a message that has none.
///
/// `header` is a range that [`crate::section_range`] gave for [`crate::SectionPart::Header`].
pub fn header_fields(header: &[u8], names: &[impl AsRef<[u8]>], keep: Keep) -> Vec<u8> {
    let wanted: HashSet<Vec<u8>> = names.iter().map(|name| name.as_ref().to_ascii_lowercase()).collect();
    let mut out = Vec::new();
    let mut lower = Vec::new();
    for field in all_fields(header) {
        lower.clear();
        lower.extend(field.name.iter().map(u8::to_ascii_lowercase));
        if wanted.contains(&lower) == (keep == Keep::Matching) {
            out.extend_from_slice(field.raw);
            if !field.raw.ends_with(b"\n") {
                out.extend_from_slice(b"\r\n");
            }
        }
    }
    if ends_with_empty_line(header) {
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn ends_with_empty_line(header: &[u8]) -> bool {
    let last_line = header.strip_suffix(b"\n").map(|rest| rest.strip_suffix(b"\r").unwrap_or(rest));
    last_line.is_some_and(|before| before.is_empty() || before.ends_with(b"\n"))
}

/// One header field, as it stands in the message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    /// Without the colon and blanks before it; empty if the line has no colon.
    pub(crate) name: &'a [u8],
    /// What follows the colon, folds included, the final line end not; at most [`FIELD_VALUE_MAX`] octets.
    pub(crate) value: &'a [u8],
    /// The whole field with its line ends.
    pub(crate) raw: &'a [u8],
}

impl Field<'_> {
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The fields of a header block, up to its empty line or its end; at most [`FIELDS_MAX`].
pub(crate) fn fields(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    all_fields(header).take(FIELDS_MAX)
}

fn all_fields(header: &[u8]) -> Fields<'_> {
    Fields { rest: header }
}

struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        if self.rest.is_empty() || is_empty_line(self.rest) {
            self.rest = &[];
            return None;
        }
        let mut end = line_end(self.rest, 0);
        while matches!(self.rest.get(end), Some(b' ' | b'\t')) {
            end = line_end(self.rest, end);
        }
        let (raw, rest) = self.rest.split_at(end);
        self.rest = rest;
        let first_line = &raw[..line_end(raw, 0)];
        let (name, value) = match memchr(b':', first_line) {
            Some(colon) => (trim_end(&raw[..colon]), &raw[colon + 1..]),
            None => (&raw[..0], raw),
        };
        let value = trim_newline(value);
        Some(Field { name, value: &value[..value.len().min(FIELD_VALUE_MAX)], raw })
    }
}

/// Position after the line that `from` lies in: behind its LF, or the end of `bytes`.
pub(crate) fn line_end(bytes: &[u8], from: usize) -> usize {
    memchr(b'\n', &bytes[from..]).map_or(bytes.len(), |at| from + at + 1)
}

/// Does `bytes` begin with an empty line? A bare LF counts as a line end.
pub(crate) fn is_empty_line(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\n") || bytes.starts_with(b"\r\n")
}

/// Without one final CRLF or LF.
pub(crate) fn trim_newline(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// Without blanks and line ends at the end.
pub(crate) fn trim_end(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !is_blank(*byte)).map_or(0, |at| at + 1);
    &bytes[..end]
}

/// Without blanks and line ends on both sides.
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !is_blank(*byte)).unwrap_or(bytes.len());
    trim_end(&bytes[start..])
}

/// Space, TAB, CR, LF.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
