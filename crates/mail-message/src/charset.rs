//! Octets in a charset -> text.

use std::borrow::Cow;

use encoding_rs::{Encoding, ISO_2022_JP, SHIFT_JIS, UTF_8, WINDOWS_1252};
use memchr::{memchr_iter, memmem};

use crate::detect;

/// Text in the named charset (any case); guessed where the name is missing, unknown, or claims ASCII.
/// Octets that don't fit become U+FFFD.
pub(crate) fn decode<'a>(name: &[u8], octets: &'a [u8]) -> Cow<'a, str> {
    if says_nothing(name) {
        return guess(octets);
    }
    if let Some(encoding) = known(name) {
        if encoding == ISO_2022_JP {
            return decode_iso_2022_jp(octets);
        }
        return match encoding.decode_without_bom_handling(octets) {
            (text, wrong) if wrong || encoding == WINDOWS_1252 || encoding == UTF_8 => {
                mislabelled(octets).unwrap_or(text)
            }
            (text, _) => text,
        };
    }
    match mail_parser::decoders::charsets::map::charset_decoder(name) {
        Some(decoder) => Cow::Owned(decoder(octets)),
        None => guess(octets),
    }
}

/// What the octets say when they do not fit the charset that was declared, or one that almost anything fits.
fn mislabelled(octets: &[u8]) -> Option<Cow<'_, str>> {
    if octets.is_ascii() {
        return memmem::find(octets, b"\x1b$").map(|_| decode_iso_2022_jp(octets));
    }
    match std::str::from_utf8(octets) {
        Ok(text) => Some(Cow::Borrowed(text)),
        Err(_) => detect::japanese(octets).map(Cow::Owned),
    }
}

/// Text in no declared charset: UTF-8 if it is valid, ISO-2022-JP if it switches to it, else what the octets look like.
pub(crate) fn guess(octets: &[u8]) -> Cow<'_, str> {
    // RFC 1468: escape sequences to two-byte sets begin with ESC `$`.
    if memmem::find(octets, b"\x1b$").is_some() {
        return decode_iso_2022_jp(octets);
    }
    match std::str::from_utf8(octets) {
        Ok(text) => Cow::Borrowed(text),
        // A character cut off at the end doesn't make it another charset.
        Err(error) if error.error_len().is_none() && !octets[..error.valid_up_to()].is_ascii() => {
            UTF_8.decode_without_bom_handling(octets).0
        }
        Err(_) => detect::legacy(octets),
    }
}

/// An escape sequence right after another one (as between two encoded words that are joined) means nothing, but the
/// decoder, made for the Web, takes it for an error: the first one is left out.
fn decode_iso_2022_jp(octets: &[u8]) -> Cow<'_, str> {
    let mut kept = Vec::new();
    let mut from = 0;
    for escape in memchr_iter(0x1b, octets) {
        if octets.get(escape + 3) == Some(&0x1b) && matches!(octets[escape + 1], b'(' | b'$') {
            kept.extend_from_slice(&octets[from..escape]);
            from = escape + 3;
        }
    }
    if from == 0 {
        return ISO_2022_JP.decode_without_bom_handling(octets).0;
    }
    kept.extend_from_slice(&octets[from..]);
    Cow::Owned(ISO_2022_JP.decode_without_bom_handling(&kept).0.into_owned())
}

/// Is the charset `name` known to this crate, or does it need a guess?
pub(crate) fn is_known(name: &[u8]) -> bool {
    known(name).is_some() || mail_parser::decoders::charsets::map::charset_decoder(name).is_some()
}

fn says_nothing(name: &[u8]) -> bool {
    ["", "us-ascii", "ascii", "unknown-8bit", "x-unknown", "default", "unknown"]
        .iter()
        .any(|nothing| name.eq_ignore_ascii_case(nothing.as_bytes()))
}

fn known(name: &[u8]) -> Option<&'static Encoding> {
    let is = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    if is(&["cp932", "ms932", "windows-932", "sjis", "shift-jis", "cp943c"]) {
        Some(SHIFT_JIS)
    } else if is(&["iso-2022-jp-1", "iso-2022-jp-2", "iso-2022-jp-3", "iso-2022-jp-ms", "cp50220", "cp50221"])
    {
        Some(ISO_2022_JP)
    } else {
        // A label for charsets that are unsafe on the Web decodes to a lone U+FFFD; a guess shows more.
        Encoding::for_label(name).filter(|encoding| *encoding != encoding_rs::REPLACEMENT)
    }
}
