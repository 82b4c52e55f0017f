//! Checks that hold for whatever was derived.

use mail_message::limits::{PART_DEPTH_MAX, PREVIEW_CHARS_MAX};
use mail_message::{Derived, PartIndex, PartKind, to_seven_bit};

/// Panics unless everything derived from a message of `length` octets is well formed.
pub(crate) fn check(derived: &Derived, length: usize) {
    for value in [&derived.envelope, &derived.body, &derived.bodystructure] {
        assert!(std::str::from_utf8(value).is_ok());
        check_list(value);
        let seven_bit = to_seven_bit(value);
        assert!(seven_bit.is_ascii());
        check_list(&seven_bit);
    }
    assert!(derived.preview.chars().count() <= PREVIEW_CHARS_MAX);
    assert!(!derived.preview.contains(char::is_control));
    // PostgreSQL stores no NUL in text.
    assert!(!derived.search_text.contains('\0') && !derived.base_subject.contains('\0'));
    assert_eq!(derived.search_text.matches('\u{1c}').count(), 3);
    let index = PartIndex::decode(&derived.parts).unwrap();
    assert_eq!(index.encode(), derived.parts);
    check_ranges(&index, length as u64);
}

/// One parenthesised list: NIL, numbers, quoted strings and lists, no line ends in quotes.
fn check_list(value: &[u8]) {
    assert!(value.starts_with(b"(") && value.ends_with(b")"));
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, byte) in value.iter().enumerate() {
        assert!((quoted || byte.is_ascii()) && !matches!(byte, 0 | b'\r' | b'\n'), "octet {byte} at {at}");
        match byte {
            _ if escaped => {
                assert!(matches!(byte, b'"' | b'\\'));
                escaped = false;
            }
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'(' => depth += 1,
            b')' => depth = depth.checked_sub(1).unwrap(),
            b' ' => assert!(!matches!(value[at + 1], b' ' | b')'), "at {at}"),
            b'0'..=b'9' | b'N' | b'I' | b'L' => {}
            other => panic!("octet {other} at {at}"),
        }
        assert!(depth > 0 || at + 1 == value.len());
    }
    assert!(!quoted && depth == 0);
}

fn check_ranges(index: &PartIndex, length: u64) {
    let root = index.root();
    assert_eq!((root.header.start, root.body.end), (0, length));
    let mut at = 0;
    check_part(index, &mut at, 0..length, 0);
    assert_eq!(at, index.parts().len());
}

fn check_part(index: &PartIndex, at: &mut usize, within: std::ops::Range<u64>, depth: usize) {
    let part = &index.parts()[*at];
    *at += 1;
    assert!(depth <= PART_DEPTH_MAX);
    assert!(within.start <= part.header.start && part.header.start <= part.header.end);
    assert!(
        part.header.end <= part.body.start && part.body.start <= part.body.end && part.body.end <= within.end
    );
    let mut from = part.body.start;
    for _ in 0..part.children {
        let child = index.parts()[*at].clone();
        check_part(index, at, from..part.body.end, depth + 1);
        from = child.body.end;
    }
    match part.kind {
        PartKind::Leaf | PartKind::Opaque => assert_eq!(part.children, 0),
        PartKind::Multipart => assert!(part.children > 0),
        PartKind::Message => assert_eq!(part.children, 1),
    }
}
