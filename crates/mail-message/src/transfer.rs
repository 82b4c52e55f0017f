//! Content-Transfer-Encoding, RFC 2045 §6.

use std::borrow::Cow;

use memchr::memchr2;

use crate::header::trim;

/// How the octets of a body are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// 7bit, 8bit, binary, or none named.
    Identity,
    /// RFC 2045 §6.8.
    Base64,
    /// RFC 2045 §6.7.
    QuotedPrintable,
    /// A name this crate doesn't know.
    Unknown,
}

/// The encoding has a name that isn't known: `NO [UNKNOWN-CTE]`, RFC 3516 §4.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown Content-Transfer-Encoding")]
pub struct TransferError;

/// The decoded octets of a part's body. Tolerant: octets outside the base64 alphabet are skipped, `=` that
/// begins no quoted-printable escape stands for itself.
///
/// # Errors
/// If the encoding is unknown.
pub fn decode_transfer(encoding: Encoding, body: &[u8]) -> Result<Vec<u8>, TransferError> {
    decode(encoding, body).map(Cow::into_owned)
}

/// Like [`decode_transfer`], without a copy where nothing is encoded.
pub(crate) fn decode(encoding: Encoding, body: &[u8]) -> Result<Cow<'_, [u8]>, TransferError> {
    match encoding {
        Encoding::Identity => Ok(Cow::Borrowed(body)),
        Encoding::Base64 => Ok(Cow::Owned(base64(body))),
        Encoding::QuotedPrintable => Ok(Cow::Owned(quoted_printable(body))),
        Encoding::Unknown => Err(TransferError),
    }
}

impl Encoding {
    /// The value of a Content-Transfer-Encoding field.
    pub(crate) fn from_field(value: &[u8]) -> Self {
        let value = trim(value);
        let end = value.iter().position(|byte| matches!(byte, b' ' | b'\t' | b';' | b'(' | b'\r' | b'\n'));
        let name = &value[..end.unwrap_or(value.len())];
        let is = |known: &[&str]| known.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        if name.is_empty() || is(&["7bit", "8bit", "binary", "7-bit", "8-bit", "none"]) {
            Self::Identity
        } else if is(&["base64"]) {
            Self::Base64
        } else if is(&["quoted-printable"]) {
            Self::QuotedPrintable
        } else {
            Self::Unknown
        }
    }

    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Identity => 0,
            Self::Base64 => 1,
            Self::QuotedPrintable => 2,
            Self::Unknown => 3,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Identity, Self::Base64, Self::QuotedPrintable, Self::Unknown].get(usize::from(code)).copied()
    }
}

/// Marks octets outside the alphabet in [`SEXTETS`].
const SKIP: u8 = 0xff;

/// Value of each octet of the base64 alphabet.
const SEXTETS: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut table = [SKIP; 256];
    let mut at = 0;
    while at < alphabet.len() {
        table[alphabet[at] as usize] = at as u8;
        at += 1;
    }
    table
};

/// Padding ends a quantum wherever it stands: several encoded pieces may have been put one after the other.
pub(crate) fn base64(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0_u32, 0);
    let mut rest = body;
    loop {
        if count == 0 {
            while let [a, b, c, d, tail @ ..] = rest {
                let [a, b, c, d] = [a, b, c, d].map(|octet| SEXTETS[usize::from(*octet)]);
                if (a | b | c | d) & 0xc0 != 0 {
                    break;
                }
                let quantum = u32::from(a) << 18 | u32::from(b) << 12 | u32::from(c) << 6 | u32::from(d);
                out.extend_from_slice(&quantum.to_be_bytes()[1..]);
                rest = tail;
            }
        }
        let Some((octet, tail)) = rest.split_first() else { break };
        rest = tail;
        let sextet = SEXTETS[usize::from(*octet)];
        if sextet != SKIP {
            bits = bits << 6 | u32::from(sextet);
            count += 1;
            if count == 4 {
                out.extend_from_slice(&bits.to_be_bytes()[1..]);
                (bits, count) = (0, 0);
            }
        } else if *octet == b'=' {
            flush(&mut out, bits, count);
            (bits, count) = (0, 0);
        }
    }
    flush(&mut out, bits, count);
    out
}

/// The whole octets of an incomplete quantum.
fn flush(out: &mut Vec<u8>, bits: u32, sextets: u32) {
    match sextets {
        2 => out.push((bits >> 4) as u8),
        3 => out.extend_from_slice(&[(bits >> 10) as u8, (bits >> 2) as u8]),
        _ => {}
    }
}

pub(crate) fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = memchr2(b'=', b'\n', rest) {
        if rest[at] == b'\n' {
            // RFC 2045 §6.7 (3): blanks at the end of a line were added on the way.
            let line = &rest[..at];
            let (text, end) = match line.strip_suffix(b"\r") {
                Some(line) => (line, &b"\r\n"[..]),
                None => (line, &b"\n"[..]),
            };
            out.extend_from_slice(without_blanks_at_end(text));
            out.extend_from_slice(end);
            rest = &rest[at + 1..];
            continue;
        }
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        if let [high, low, tail @ ..] = rest
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            out.push(high << 4 | low);
            rest = tail;
        } else if let Some(after) = soft_break(rest) {
            rest = after;
        } else {
            out.push(b'=');
        }
    }
    out.extend_from_slice(without_blanks_at_end(rest));
    out
}

/// What follows a soft line break whose `=` stands before `rest`.
fn soft_break(rest: &[u8]) -> Option<&[u8]> {
    // Blanks after the `=` are bounded, else a body of `=` and blanks would be scanned again and again.
    let blanks = rest.iter().take(100).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let rest = &rest[blanks..];
    rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")).or(rest.is_empty().then_some(rest))
}

fn without_blanks_at_end(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).map_or(0, |at| at + 1);
    &line[..end]
}

pub(crate) fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}
