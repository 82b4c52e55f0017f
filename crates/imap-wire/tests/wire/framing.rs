//! The framer.

use bytes::BytesMut;
use imap_wire::{FrameErrorKind, FrameStep, Framer, Limits, LineStep, LiteralChunk};
use proptest::prelude::*;

use crate::driver::{Event, events};

const SMALL: Limits =
    Limits { line_bytes: 40, command_bytes: 80, literals: 3, non_sync_bytes: 50, discard_bytes: 200 };

fn all(bytes: &str) -> Vec<Event> {
    let whole = events(bytes.as_bytes(), SMALL, bytes.len().max(1));
    assert_eq!(whole, events(bytes.as_bytes(), SMALL, 1));
    whole
}
fn command(text: &str) -> Event {
    Event::Command(text.to_owned())
}
fn prefix(text: &str) -> Event {
    Event::Prefix(text.to_owned())
}
fn message(text: &str) -> Event {
    Event::Message(text.as_bytes().to_vec())
}
fn error(tag: &str, kind: FrameErrorKind) -> Event {
    Event::Error((!tag.is_empty()).then(|| tag.to_owned()), kind)
}

#[test]
fn lines_and_literals() {
    // RFC 9051 §4.3, RFC 7888 §3
    assert_eq!(all("a noop\r\nb noop\n"), [command("a noop\r\n"), command("b noop\n")]);
    assert_eq!(
        all("A LOGIN {4}\r\nFRED {3}\r\nfat\r\n"),
        [Event::Continue, Event::Continue, command("A LOGIN {4}\r\nFRED {3}\r\nfat\r\n")]
    );
    assert_eq!(all("A LOGIN {4+}\r\nF\r\nD {0+}\r\n\r\n"), [command("A LOGIN {4+}\r\nF\r\nD {0+}\r\n\r\n")]);
    assert_eq!(all("a x{-1}\r\nb {+}\r\n"), [command("a x{-1}\r\n"), command("b {+}\r\n")]);
}

#[test]
fn messages_are_streamed_and_the_rest_goes_on() {
    let end = command("\r\n");
    assert_eq!(
        all("a append INBOX {3+}\r\nabc\r\nb noop\r\n"),
        [prefix("a append INBOX {3+}\r\n"), message("abc"), end.clone(), command("b noop\r\n")]
    );
    // The mailbox name is a literal of the frame.
    assert_eq!(
        all("a APPEND {5+}\r\nINBOX (\\Seen) ~{3+}\r\nabc\r\n"),
        [prefix("a APPEND {5+}\r\nINBOX (\\Seen) ~{3+}\r\n"), message("abc"), end.clone()]
    );
    assert_eq!(
        all("a UID REPLACE 4 {1+}\r\nb {2}\r\nhi\r\n"),
        [prefix("a UID REPLACE 4 {1+}\r\nb {2}\r\n"), message("hi"), end.clone()]
    );
    // RFC 3502: two messages. RFC 4469: a URL may be a literal.
    assert_eq!(
        all("a APPEND b {1}\r\nx (\\Seen) {0+}\r\n\r\n"),
        [prefix("a APPEND b {1}\r\n"), message("x"), prefix(" (\\Seen) {0+}\r\n"), message(""), end]
    );
    assert_eq!(
        all("a APPEND b CATENATE (URL {2+}\r\n/x TEXT {1+}\r\ny)\r\n"),
        [prefix("a APPEND b CATENATE (URL {2+}\r\n/x TEXT {1+}\r\n"), message("y"), command(")\r\n")]
    );
    assert_eq!(
        all("a APPEND URL {1+}\r\nx\r\n"),
        [prefix("a APPEND URL {1+}\r\n"), message("x"), command("\r\n")]
    );
    // Only APPEND itself.
    assert_eq!(all("a SEARCH APPEND {1+}\r\nx\r\n"), [command("a SEARCH APPEND {1+}\r\nx\r\n")]);
}

#[test]
fn the_session_goes_on_after_every_error() {
    let next = command("b noop\r\n");
    let long = "x".repeat(60);
    for (bytes, tag, kind) in [
        (format!("a {long}\r\n"), "a", FrameErrorKind::LineTooLong),
        (format!("{long}\r\n"), "", FrameErrorKind::LineTooLong),
        (format!("a {long}{{3+}}\r\n\r\n!\r\n"), "a", FrameErrorKind::LineTooLong),
        (format!("a x {{60+}}\r\n{long}\r\n"), "a", FrameErrorKind::LiteralTooLarge),
        ("a x {99}\r\n".to_owned(), "a", FrameErrorKind::LiteralTooLarge),
        ("a x {99999999999999999999}\r\n".to_owned(), "a", FrameErrorKind::LiteralTooLarge),
        (format!("a APPEND b {{60+}}\r\n{long} {{2+}}\r\n\r\n\r\n"), "a", FrameErrorKind::LiteralTooLarge),
        (
            "a {0+}\r\n{0+}\r\n{0+}\r\n{1+}\r\n\n{1+}\r\n\n\r\n".to_owned(),
            "a",
            FrameErrorKind::TooManyLiterals,
        ),
        ("a \0 {2+}\r\n\r\n\r\n".to_owned(), "a", FrameErrorKind::Nul),
        ("a x\ry\r\n".to_owned(), "a", FrameErrorKind::BareCr),
        ("a x\r\r\n".to_owned(), "a", FrameErrorKind::BareCr),
        ("\0\r\n".to_owned(), "", FrameErrorKind::Nul),
        ("a\0b x\r\n".to_owned(), "", FrameErrorKind::Nul),
    ] {
        assert_eq!(all(&format!("{bytes}b noop\r\n")), [error(tag, kind), next.clone()], "{bytes:?}");
    }
    // In the piece after a message the tag is still known.
    assert_eq!(
        all(&format!("a APPEND b {{1+}}\r\nx{long}\r\nb noop\r\n"))[2..],
        [error("a", FrameErrorKind::LineTooLong), next]
    );
}

#[test]
fn limits_hold_at_their_edge() {
    let line = format!("a {}", "x".repeat(38));
    assert_eq!(all(&format!("{line}\r\n")), [command(&format!("{line}\r\n"))]);
    assert_eq!(all(&format!("{line}x\r\n")), [error("a", FrameErrorKind::LineTooLong)]);
    assert_eq!(all("a {68+}\r\n"), [error("a", FrameErrorKind::LiteralTooLarge)]);
    assert_eq!(all("a APPEND b {50+}\r\n"), [prefix("a APPEND b {50+}\r\n")]);
    assert_eq!(all("a APPEND b {51}\r\n"), [prefix("a APPEND b {51}\r\n")]);
    assert_eq!(all("a APPEND b {51+}\r\n"), [error("a", FrameErrorKind::LiteralTooLarge)]);
}

#[test]
fn what_is_not_worth_swallowing_ends_the_session() {
    let flood = error("", FrameErrorKind::Flood);
    for bytes in ["a x {4294967295+}\r\n", "a x {99999999999999999999+}\r\n"] {
        assert_eq!(all(bytes), [error("a", FrameErrorKind::LiteralTooLarge), flood.clone()], "{bytes}");
    }
    let endless = format!("a {}", "(".repeat(10_000));
    assert_eq!(all(&endless), [error("a", FrameErrorKind::LineTooLong), flood]);
}

#[test]
fn ten_thousand_literals_are_too_many() {
    let bytes = format!("a SEARCH{}\r\nb noop\r\n", " TEXT {10+}\r\n0123456789".repeat(10_000));
    let limits = Limits::AUTHENTICATED;
    let found = events(bytes.as_bytes(), limits, 4096);
    assert_eq!(found, [error("a", FrameErrorKind::TooManyLiterals), command("b noop\r\n")]);
}

#[test]
fn endless_input_takes_bounded_memory() {
    let mut framer = Framer::new(Limits::UNAUTHENTICATED);
    let mut buf = BytesMut::new();
    let mut largest = 0;
    let mut errors = 0;
    for _ in 0..10_000 {
        buf.extend_from_slice(&[b'('; 1024]);
        match framer.next(&mut buf) {
            FrameStep::NeedMore => {}
            FrameStep::Error(_) => errors += 1,
            other => panic!("{other:?}"),
        }
        largest = largest.max(buf.len());
    }
    assert!(errors > 1);
    assert!(largest <= Limits::UNAUTHENTICATED.line_bytes + 2048, "{largest}");
}

#[test]
fn a_refused_literal_is_swallowed_if_it_comes() {
    let next = |framer: &mut Framer, buf: &mut BytesMut| match framer.next(buf) {
        FrameStep::Command(frame) => String::from_utf8(frame.bytes().to_vec()).unwrap(),
        other => panic!("{other:?}"),
    };
    // Synchronising: the client sends neither the literal nor the rest of the line.
    let mut framer = Framer::new(SMALL);
    let mut buf = BytesMut::from("a APPEND b {9}\r\n");
    assert!(matches!(framer.next(&mut buf), FrameStep::LiteralStream(_)));
    framer.refuse_literal();
    buf.extend_from_slice(b"b noop\r\n");
    assert_eq!(next(&mut framer, &mut buf), "b noop\r\n");
    // Non-synchronising: both come, and so may another.
    let mut buf = BytesMut::from("a APPEND b {9+}\r\nb noop\r\n. (\\Seen) {4+}\r\nx\r\ny\r\nc noop\r\n");
    assert!(matches!(framer.next(&mut buf), FrameStep::LiteralStream(_)));
    framer.refuse_literal();
    assert_eq!(next(&mut framer, &mut buf), "c noop\r\n");
    // In the middle of a literal that was accepted, and after it.
    for taken in 0..=2 {
        let mut buf = BytesMut::from("a APPEND b {4}\r\n");
        assert!(matches!(framer.next(&mut buf), FrameStep::LiteralStream(_)));
        framer.accept_literal();
        buf.extend_from_slice(b"abcd");
        for _ in 0..taken {
            framer.literal_chunk(&mut buf);
        }
        framer.refuse_literal();
        buf.extend_from_slice(b" {2+}\r\n\r\n\r\nd noop\r\n");
        assert_eq!(next(&mut framer, &mut buf), "d noop\r\n");
    }
}

#[test]
fn literal_chunks_keep_to_the_literal() {
    let mut framer = Framer::new(SMALL);
    let mut buf = BytesMut::from("a APPEND b {3+}\r\nabc\r\n");
    assert!(matches!(framer.next(&mut buf), FrameStep::LiteralStream(_)));
    assert_eq!(framer.open_literal().map(|(_, left)| left), Some(3));
    assert_eq!(framer.literal_chunk(&mut buf), LiteralChunk::Data("abc".into()));
    assert_eq!(framer.literal_chunk(&mut buf), LiteralChunk::Done);
    assert_eq!(framer.open_literal(), None);
}

#[test]
fn plain_lines_know_no_literals() {
    let mut framer = Framer::new(SMALL);
    let mut buf = BytesMut::from("DONE\r\n{5+}\n\r\na\0\r\nDO");
    assert_eq!(framer.next_line(&mut buf), LineStep::Line("DONE".into()));
    assert_eq!(framer.next_line(&mut buf), LineStep::Line("{5+}".into()));
    assert_eq!(framer.next_line(&mut buf), LineStep::Line("".into()));
    assert!(
        matches!(framer.next_line(&mut buf), LineStep::Error(error) if error.kind == FrameErrorKind::Nul)
    );
    assert_eq!(framer.next_line(&mut buf), LineStep::NeedMore);
    buf.extend_from_slice(format!("{}{{9+}}\r\nDONE\r\n", "x".repeat(60)).as_bytes());
    assert!(matches!(framer.next_line(&mut buf), LineStep::Error(error) if error.tag.is_none()));
    assert_eq!(framer.next_line(&mut buf), LineStep::Line("DONE".into()));
}

fn pieces() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("a "),
        Just("b1 "),
        Just("APPEND "),
        Just("INBOX "),
        Just("UID "),
        Just("REPLACE 1 "),
        Just("NOOP"),
        Just("{3}\r\n"),
        Just("{3+}\r\n"),
        Just("~{2+}\r\n"),
        Just("{60+}\r\n"),
        Just("{300}\r\n"),
        Just("{0}\r\n"),
        Just("{99999999999999999999+}\r\n"),
        Just("abc"),
        Just("\r\n"),
        Just("\n"),
        Just("\r"),
        Just("\0"),
        Just("CATENATE ("),
        Just("TEXT "),
        Just("URL "),
        Just(") "),
        Just("0123456789012345678901234567890123456789"),
    ];
    proptest::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn reads_of_any_size_give_the_same(bytes in pieces(), piece in 1usize..40) {
        let whole = events(bytes.as_bytes(), SMALL, bytes.len().max(1));
        prop_assert_eq!(&whole, &events(bytes.as_bytes(), SMALL, piece));
        prop_assert_eq!(&whole, &events(bytes.as_bytes(), SMALL, 1));
    }
}
