//! One input made of others.

use fastrand::Rng;

/// Numbers that parsers trip over.
const NUMBERS: [&str; 9] =
    ["0", "1", "4294967295", "4294967296", "9223372036854775807", "18446744073709551616", "-1", "007", ""];
/// Octets that mean something somewhere.
const OCTETS: &[u8] = b"\0\t\n\r \"%&'()*+,-./:;<=>?@[\\]^_{|}~\x7f\x80\xc3\xff";

/// A few changes to an input of the pool.
pub(super) fn changed(rng: &mut Rng, pool: &[Vec<u8>], words: &[&[u8]], max: usize) -> Vec<u8> {
    let mut input = rng.choice(pool).cloned().unwrap_or_default();
    for _ in 0..1 + rng.usize(..4) {
        change(rng, &mut input, pool, words);
    }
    input.truncate(max);
    input
}

fn change(rng: &mut Rng, input: &mut Vec<u8>, pool: &[Vec<u8>], words: &[&[u8]]) {
    let at = rng.usize(..=input.len());
    let end = at + rng.usize(..=(input.len() - at).min(16));
    match rng.u8(..10) {
        0 => drop(input.drain(at..end)),
        1 => input.insert(at, *rng.choice(OCTETS).unwrap_or(&b' ')),
        2 => insert(input, at..end, rng.choice(words).copied().unwrap_or_default()),
        3 | 4 => insert(input, at..at, rng.choice(words).copied().unwrap_or_default()),
        5 => {
            // The number that stands here, or one put here.
            let digits = input[at..].iter().take_while(|octet| octet.is_ascii_digit()).count();
            insert(input, at..at + digits, rng.choice(NUMBERS).unwrap_or_default().as_bytes());
        }
        6 => {
            // From here on another input.
            let other = rng.choice(pool).cloned().unwrap_or_default();
            let from = rng.usize(..=other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        7 => {
            // The same again, a few times or many.
            let piece = input[at..end].to_vec();
            let times = if rng.u8(..8) == 0 { rng.usize(..200) } else { rng.usize(..4) };
            insert(input, end..end, &piece.repeat(times));
        }
        8 => {
            if let Some(octet) = input.get_mut(at) {
                *octet ^= 1 << rng.u8(..8);
            }
        }
        _ => input.truncate(at),
    }
}

fn insert(input: &mut Vec<u8>, range: std::ops::Range<usize>, piece: &[u8]) {
    input.splice(range, piece.iter().copied());
}
