//! IMAP strings: always `quoted`, never a literal (RFC 9051 §4.3), in UTF-8; and the same in 7-bit.

use std::borrow::Cow;

use crate::charset;
use crate::encoded_word;
use crate::header::trim;

/// Appends `NIL`, or the octets as a quoted string.
pub(crate) fn put_nstring(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        None => out.extend_from_slice(b"NIL"),
        Some(value) => put_quoted(out, value),
    }
}

/// Appends a header field's value (folds and all) as a quoted string. CR, LF and NUL cannot stand in one and are
/// left out; a TAB becomes a space; 8-bit that is no UTF-8 becomes RFC 2047 encoded words, as its charset is not
/// known.
pub(crate) fn put_quoted(out: &mut Vec<u8>, value: &[u8]) {
    let value = trim(value);
    out.push(b'"');
    if value.is_ascii() {
        put_escaped(out, value);
    } else {
        let unfolded: Vec<u8> = value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
        match std::str::from_utf8(&unfolded) {
            Ok(_) => put_escaped(out, &unfolded),
            Err(_) => put_escaped(out, &words(&charset::guess(&unfolded))),
        }
    }
    out.push(b'"');
}

/// A value made of quoted strings, such as an ENVELOPE, for a client that reads 7-bit only (RFC 6855 §3): UTF-8
/// becomes RFC 2047 encoded words.
pub fn to_seven_bit(value: &[u8]) -> Cow<'_, [u8]> {
    if value.is_ascii() {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len() * 2);
    let mut rest = value;
    while let Some(quote) = memchr::memchr(b'"', rest) {
        let (before, string) = rest.split_at(quote + 1);
        out.extend_from_slice(before);
        let (content, length) = unescape(string);
        match std::str::from_utf8(&content) {
            Ok(text) if !text.is_ascii() => put_escaped(&mut out, &words(text)),
            _ => put_escaped(&mut out, &content),
        }
        rest = &string[length..];
        if let Some(after) = rest.strip_prefix(b"\"") {
            out.push(b'"');
            rest = after;
        }
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

/// What a quoted string holds, from after its first quote, and how long that is as written.
fn unescape(string: &[u8]) -> (Vec<u8>, usize) {
    let mut content = Vec::new();
    let mut at = 0;
    while let Some(byte) = string.get(at) {
        match byte {
            b'"' => break,
            b'\\' if at + 1 < string.len() => {
                content.push(string[at + 1]);
                at += 2;
            }
            byte => {
                content.push(*byte);
                at += 1;
            }
        }
    }
    (content, at)
}

fn words(text: &str) -> Vec<u8> {
    let mut words = Vec::with_capacity(text.len() * 2);
    encoded_word::encode(text, &mut words);
    words
}

fn put_escaped(out: &mut Vec<u8>, value: &[u8]) {
    out.reserve(value.len() + 2);
    for byte in value {
        match byte {
            b'\r' | b'\n' | 0 => {}
            b'\t' => out.push(b' '),
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            _ => out.push(*byte),
        }
    }
}
