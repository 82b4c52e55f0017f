//! Modified UTF-7 of mailbox names (RFC 3501 §5.1.3).
//!
//! One name has one form: everything else is refused, so that two spellings cannot mean one mailbox.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// The bytes are not modified UTF-7 in canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not modified UTF-7")]
pub struct Utf7Error;

/// Modified UTF-7 to text.
///
/// # Errors
/// [`Utf7Error`] for bytes outside of printable US-ASCII, bad base64, lone surrogates, set bits of padding, a shift
/// that ends and begins again at once, and characters that stand for themselves but are encoded.
pub fn decode(bytes: &[u8]) -> Result<String, Utf7Error> {
    let mut out = String::with_capacity(bytes.len());
    let mut rest = bytes;
    // A shift right after a shift ought to have been one shift.
    let mut after_shift = false;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'&' {
            if !matches!(first, 0x20..=0x7e) {
                return Err(Utf7Error);
            }
            out.push(char::from(*first));
            after_shift = false;
            continue;
        }
        let end = rest.iter().position(|b| *b == b'-').ok_or(Utf7Error)?;
        let (shifted, tail) = (&rest[..end], &rest[end + 1..]);
        rest = tail;
        if shifted.is_empty() {
            out.push('&');
            after_shift = false;
            continue;
        }
        if after_shift {
            return Err(Utf7Error);
        }
        decode_shift(shifted, &mut out)?;
        after_shift = true;
    }
    Ok(out)
}

/// The base64 between `&` and `-`.
fn decode_shift(shifted: &[u8], out: &mut String) -> Result<(), Utf7Error> {
    let mut units = Vec::with_capacity(shifted.len() * 6 / 16);
    let (mut bits, mut held) = (0u32, 0u32);
    for b in shifted {
        let value = ALPHABET.iter().position(|known| known == b).ok_or(Utf7Error)?;
        bits = bits << 6 | value as u32;
        held += 6;
        if held >= 16 {
            held -= 16;
            units.push((bits >> held) as u16);
            bits &= (1 << held) - 1;
        }
    }
    // What is left over is padding: less than one digit, and zero.
    if held >= 6 || bits != 0 || units.is_empty() {
        return Err(Utf7Error);
    }
    for c in char::decode_utf16(units) {
        let c = c.map_err(|_| Utf7Error)?;
        if is_direct(c) {
            return Err(Utf7Error);
        }
        out.push(c);
    }
    Ok(())
}

/// Text to modified UTF-7.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if is_direct(c) {
            out.push(c);
            if c == '&' {
                out.push('-');
            }
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let end = rest.find(is_direct).unwrap_or(rest.len());
        encode_shift(&rest[..end], &mut out);
        rest = &rest[end..];
    }
    out
}

fn encode_shift(text: &str, out: &mut String) {
    out.push('&');
    let (mut bits, mut held) = (0u32, 0u32);
    for unit in text.encode_utf16() {
        bits = bits << 16 | u32::from(unit);
        held += 16;
        while held >= 6 {
            held -= 6;
            out.push(digit(bits >> held));
            bits &= (1 << held) - 1;
        }
    }
    if held > 0 {
        out.push(digit(bits << (6 - held)));
    }
    out.push('-');
}

fn digit(value: u32) -> char {
    char::from(ALPHABET[(value & 63) as usize])
}

/// Does it stand for itself (`&` as `&-`)?
fn is_direct(c: char) -> bool {
    matches!(c, ' '..='~')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_answers() {
        // RFC 3501 §5.1.3
        for (wire, text) in [
            ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
            ("&Jjo-!", "☺!"),
            ("&U,BTF2XlZyyKng-", "台北日本語"),
            ("Tom &- Jerry", "Tom & Jerry"),
            ("&2D3eAA-", "😀"),
            ("&AOk-&-", "é&"),
            ("", ""),
        ] {
            assert_eq!(decode(wire.as_bytes()).as_deref(), Ok(text), "{wire}");
            assert_eq!(encode(text), wire);
        }
    }

    #[test]
    fn one_name_has_one_form() {
        for bad in [
            "&",
            "&Jjo",
            "&Jjo!",
            "&U,BTFw-&ZeVnLIqe-",
            "&AGE-",
            "&ACY-",
            "&2D0-",
            "&3gA-",
            "&Jj-",
            "&Jjp-",
            "&A-",
            "&Jjo=-",
            "&AO/-",
            "caf\u{e9}",
            "a\0",
            "a\r\n",
            "&AOkA-",
            "&AOkAAA-x\x7f",
        ] {
            assert!(decode(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_goes_there_and_back(text in "\\PC{0,40}|[&-a é日😀]{0,20}") {
            let wire = encode(&text);
            prop_assert!(wire.bytes().all(|b| matches!(b, 0x20..=0x7e)));
            prop_assert_eq!(decode(wire.as_bytes()), Ok(text));
        }
        #[test]
        fn what_decodes_was_canonical(wire in "(&[A-Za-z0-9+,]{0,8}-|[ -~]){0,6}") {
            if let Ok(text) = decode(wire.as_bytes()) {
                prop_assert_eq!(encode(&text), wire);
            }
        }
    }
}
