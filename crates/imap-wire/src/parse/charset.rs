//! Texts of SEARCH in other charsets than UTF-8.

use bytes::Bytes;
use encoding_rs::Encoding;

use super::cursor::{Cursor, Fail, Parsed};
use crate::parse::ParseErrorKind;

/// What the texts of a search are in.
#[derive(Clone, Copy)]
pub(super) enum Charset {
    /// UTF-8, which is also taken where US-ASCII was promised, or nothing.
    Utf8,
    Other(&'static Encoding),
}

/// `charset`, an astring.
pub(super) fn charset(cursor: &mut Cursor<'_>) -> Parsed<Charset> {
    let start = cursor.at;
    let bad = Fail { kind: ParseErrorKind::BadCharset, at: start };
    let label = cursor.astring()?;
    if label.eq_ignore_ascii_case(b"US-ASCII") || label.eq_ignore_ascii_case(b"UTF-8") {
        return Ok(Charset::Utf8);
    }
    let encoding = Encoding::for_label(&label).ok_or(bad)?;
    // Not a charset of texts: UTF-16 holds NUL, the others are the Web's own.
    let is_odd =
        [encoding_rs::UTF_16BE, encoding_rs::UTF_16LE, encoding_rs::REPLACEMENT, encoding_rs::X_USER_DEFINED]
            .contains(&encoding);
    if is_odd {
        return Err(Fail { kind: ParseErrorKind::BadCharset, at: start });
    }
    Ok(if encoding == encoding_rs::UTF_8 { Charset::Utf8 } else { Charset::Other(encoding) })
}

/// An astring in this charset.
pub(super) fn text(cursor: &mut Cursor<'_>, charset: Charset) -> Parsed<String> {
    let start = cursor.at;
    let bytes = cursor.astring()?;
    decode(bytes, charset).ok_or(Fail { kind: ParseErrorKind::Text, at: start })
}

fn decode(bytes: Bytes, charset: Charset) -> Option<String> {
    match charset {
        Charset::Utf8 => String::from_utf8(bytes.to_vec()).ok(),
        Charset::Other(encoding) => {
            encoding.decode_without_bom_handling_and_without_replacement(&bytes).map(|text| text.into_owned())
        }
    }
}
