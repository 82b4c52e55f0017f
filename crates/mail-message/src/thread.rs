//! What ties the messages of a conversation together.

use memchr::memchr;

use crate::header::{fields, is_blank};

/// Hash of the first id in References, else In-Reply-To, else Message-ID, else of the header.
pub(crate) fn thread_key(header: &[u8]) -> u64 {
    let (mut references, mut in_reply_to, mut own) = (None, None, None);
    for field in fields(header) {
        let slot = match field.name.len() {
            10 if field.is("References") => &mut references,
            11 if field.is("In-Reply-To") => &mut in_reply_to,
            10 if field.is("Message-ID") => &mut own,
            _ => continue,
        };
        *slot = slot.or_else(|| first_id(field.value));
    }
    match references.or(in_reply_to).or(own) {
        Some(id) => fnv1a(id.iter().copied().filter(|byte| !is_blank(*byte))),
        None => fnv1a(header.iter().copied()),
    }
}

/// The first non-empty `<...>`, brackets removed, RFC 5322 §3.6.4.
fn first_id(value: &[u8]) -> Option<&[u8]> {
    let mut rest = value;
    while let Some(open) = memchr(b'<', rest) {
        let inner = &rest[open + 1..];
        let close = memchr(b'>', inner)?;
        let id = &inner[..close];
        if id.iter().any(|byte| !is_blank(*byte)) {
            return Some(id);
        }
        rest = &inner[close..];
    }
    None
}

/// FNV-1a, 64 bits: fixed for ever, unlike the hashes of the standard library. Whoever crafts a collision only
/// joins his own mail to a conversation, which References allows him anyway.
pub(crate) fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
