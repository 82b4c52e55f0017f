//! IMAP strings in 7-bit: always `quoted`, never a literal, RFC 9051 §4.3.

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
/// left out; a TAB becomes a space; 8-bit becomes RFC 2047 encoded words.
pub(crate) fn put_quoted(out: &mut Vec<u8>, value: &[u8]) {
    let value = trim(value);
    out.push(b'"');
    if value.is_ascii() {
        put_escaped(out, value);
    } else {
        let unfolded: Vec<u8> = value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
        let mut words = Vec::with_capacity(unfolded.len() * 2);
        encoded_word::encode(&charset::guess(&unfolded), &mut words);
        put_escaped(out, &words);
    }
    out.push(b'"');
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
