//! RFC 2047: header text <-> Unicode.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::{memchr, memchr3, memmem};

use crate::charset;
use crate::header::is_blank;
use crate::transfer::{self, hex};

/// Octets of a charset name that is looked at; RFC 2047 §2 allows 75 for the whole encoded word.
const CHARSET_MAX: usize = 75;

/// Octets of encoded text searched for its end: ten times RFC 2047 §2, since many exceed it.
const ENCODED_TEXT_MAX: usize = 4096;

/// Octets of UTF-8 in one encoded word that is written: 45 become 60 in base64, 72 with `=?UTF-8?B?` and `?=`.
const WORD_OCTETS_MAX: usize = 45;

/// A header field's value as text: unfolded, encoded words decoded wherever they stand, raw 8-bit guessed.
pub(crate) fn decode(value: &[u8]) -> Cow<'_, str> {
    let encoded = memmem::find(value, b"=?").is_some();
    if !encoded
        && memchr3(b'\r', b'\n', 0x1b, value).is_none()
        && let Ok(text) = std::str::from_utf8(value)
    {
        return Cow::Borrowed(text);
    }
    if !encoded {
        return Cow::Owned(charset::guess(&unfold(value)).into_owned());
    }
    let mut decoder = Decoder { out: String::with_capacity(value.len()), charset: &[], octets: Vec::new() };
    let (mut plain, mut from) = (0, 0);
    while let Some(found) = memmem::find(&value[from..], b"=?") {
        let at = from + found;
        let Some((word, length)) = EncodedWord::parse(&value[at..]) else {
            from = at + 2;
            continue;
        };
        decoder.push_plain(&value[plain..at]);
        decoder.push_word(&word);
        plain = at + length;
        from = plain;
    }
    decoder.finish(&value[plain..])
}

/// Appends `text` in 7-bit: words with other characters become encoded words, the others stay as they are.
pub(crate) fn encode(text: &str, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(first) = rest.find(|character: char| !character.is_ascii()) {
        let start = rest[..first].rfind(' ').map_or(0, |space| space + 1);
        out.extend_from_slice(&rest.as_bytes()[..start]);
        let end = encoded_run(&rest[start..]);
        encode_run(&rest[start..start + end], out);
        rest = &rest[start + end..];
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Length of the words from the start of `text` that are to be encoded together: a blank between two encoded
/// words would be lost (RFC 2047 §6.2), so it is encoded with them.
fn encoded_run(text: &str) -> usize {
    let mut end = 0;
    let mut at = 0;
    for word in text.split_inclusive(' ') {
        if word.trim_end_matches(' ').is_empty() {
            at += word.len();
            continue;
        }
        if word.is_ascii() {
            break;
        }
        end = at + word.trim_end_matches(' ').len();
        at += word.len();
    }
    end
}

fn encode_run(text: &str, out: &mut Vec<u8>) {
    let mut rest = text;
    while !rest.is_empty() {
        let mut end = rest.len().min(WORD_OCTETS_MAX);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        if rest.len() < text.len() {
            out.push(b' ');
        }
        out.extend_from_slice(b"=?UTF-8?B?");
        out.extend_from_slice(STANDARD.encode(&rest[..end]).as_bytes());
        out.extend_from_slice(b"?=");
        rest = &rest[end..];
    }
}

/// Without CR and LF: RFC 5322 §2.2.3 keeps the blank that follows them.
pub(crate) fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'\r', b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    Cow::Owned(value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect())
}

struct Decoder<'a> {
    out: String,
    /// Of the words in `octets`.
    charset: &'a [u8],
    /// Adjacent words of one charset: a character may be cut between them, so they are decoded together.
    octets: Vec<u8>,
}

impl<'a> Decoder<'a> {
    fn push_plain(&mut self, plain: &[u8]) {
        // RFC 2047 §6.2: blanks between two encoded words are not shown.
        if !self.charset.is_empty() && plain.iter().all(|byte| is_blank(*byte)) {
            return;
        }
        self.flush();
        self.out.push_str(&charset::guess(&unfold(plain)));
    }

    fn push_word(&mut self, word: &EncodedWord<'a>) {
        if !self.charset.eq_ignore_ascii_case(word.charset) {
            self.flush();
            self.charset = word.charset;
        }
        if word.base64 {
            self.octets.extend_from_slice(&transfer::base64(word.text));
        } else {
            decode_q(word.text, &mut self.octets);
        }
    }

    fn flush(&mut self) {
        self.out.push_str(&charset::decode(self.charset, &self.octets));
        self.octets.clear();
        self.charset = &[];
    }

    fn finish(mut self, plain: &[u8]) -> Cow<'static, str> {
        self.flush();
        self.out.push_str(&charset::guess(&unfold(plain)));
        Cow::Owned(self.out)
    }
}

struct EncodedWord<'a> {
    charset: &'a [u8],
    base64: bool,
    text: &'a [u8],
}

impl<'a> EncodedWord<'a> {
    /// The encoded word at the start of `bytes`, which is `=?`, and its length.
    fn parse(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let rest = bytes.get(2..)?;
        let charset_end = memchr(b'?', &rest[..rest.len().min(CHARSET_MAX)])?;
        // RFC 2231 §5: a language may follow the charset.
        let charset = rest[..charset_end].split(|byte| *byte == b'*').next().unwrap_or_default();
        if charset.is_empty() || charset.iter().any(|byte| is_blank(*byte)) {
            return None;
        }
        let [encoding, b'?', text @ ..] = &rest[charset_end + 1..] else { return None };
        let base64 = match encoding.to_ascii_lowercase() {
            b'b' => true,
            b'q' => false,
            _ => return None,
        };
        let window = &text[..text.len().min(ENCODED_TEXT_MAX)];
        let end = if base64 {
            memchr(b'?', window).filter(|end| text.get(end + 1) == Some(&b'='))
        } else {
            memmem::find(window, b"?=")
        }?;
        let length = 2 + charset_end + 3 + end + 2;
        Some((Self { charset, base64, text: &text[..end] }, length))
    }
}

/// RFC 2047 §4.2.
fn decode_q(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((octet, tail)) = rest.split_first() {
        rest = tail;
        match (octet, rest) {
            (b'_', _) => out.push(b' '),
            (b'=', [high, low, tail @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = tail;
                }
                _ => out.push(b'='),
            },
            (b'\r' | b'\n', _) => {}
            _ => out.push(*octet),
        }
    }
}
