//! Bytes of somebody who means harm.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use imap_wire::{
    CommandBody, FrameStep, Framer, Limits, ParseError, ParseErrorKind, ParseOptions, fuzz, parse,
};
use proptest::prelude::*;

use crate::driver::{body, refusal, try_command};

/// As many as a line can hold.
const MANY: usize = 60_000;

#[test]
fn deep_nesting_is_refused_without_a_deep_stack() {
    for nested in
        ["(".repeat(MANY), "NOT ".repeat(MANY / 4), "OR ALL ".repeat(MANY / 7), "OR ".repeat(MANY / 3)]
    {
        assert_eq!(refusal(&format!("SEARCH {nested}ALL")).kind, ParseErrorKind::TooDeep);
    }
    let chain = |depth: usize| format!("SEARCH {}ALL", "OR SEEN ".repeat(depth));
    body(&chain(100));
    refusal(&chain(101));
    refusal(&format!("FETCH 1 BODY[{}1]", "1.".repeat(200)));
    for open in [
        "ID ",
        "FETCH 1 ",
        "LIST ",
        "STORE 1 FLAGS ",
        "STATUS a ",
        "SORT ",
        "NOTIFY SET ",
        "SELECT a ",
        "GETMETADATA ",
    ] {
        refusal(&format!("{open}{}", "(".repeat(MANY)));
    }
}

/// Every state of the parser, with something endless in it.
#[test]
fn endless_tokens_end_in_an_error_or_a_value() {
    let begin = Instant::now();
    let heads = [
        "",
        "LOGIN ",
        "LOGIN \"",
        "LOGIN a ",
        "AUTHENTICATE ",
        "AUTHENTICATE PLAIN ",
        "SELECT ",
        "SELECT \"",
        "SELECT a (",
        "SELECT a (QRESYNC (",
        "SELECT a (QRESYNC (1 ",
        "CREATE a (USE (\\",
        "LIST ",
        "LIST \"\" ",
        "LIST (",
        "LIST \"\" * RETURN (",
        "STATUS a (",
        "FETCH ",
        "FETCH 1 ",
        "FETCH 1 BODY[",
        "FETCH 1 BODY[1.",
        "FETCH 1 BODY[HEADER.FIELDS (",
        "FETCH 1 BODY[]<",
        "FETCH 1 BODY[]<1.",
        "FETCH 1 FLAGS (",
        "FETCH 1 FLAGS (CHANGEDSINCE ",
        "STORE 1 ",
        "STORE 1 FLAGS (",
        "STORE 1 FLAGS (\\",
        "SEARCH ",
        "SEARCH CHARSET ",
        "SEARCH TEXT ",
        "SEARCH SINCE ",
        "SEARCH LARGER ",
        "SEARCH RETURN (",
        "SEARCH MODSEQ \"",
        "SORT (",
        "SORT (DATE) ",
        "THREAD ",
        "UID ",
        "UID FETCH ",
        "COPY 1 ",
        "APPEND ",
        "APPEND a (",
        "APPEND a \"",
        "APPEND a ",
        "ID (",
        "ID (\"",
        "ENABLE ",
        "NOTIFY SET (",
        "SETACL a b ",
        "GETMETADATA a ",
        "SETQUOTA a (",
        "GENURLAUTH ",
        "REPLACE ",
    ];
    for head in heads {
        for token in [
            "a", "1", "(", ")", "\"", "\\", "{", "}", "[", "]", "<", ".", ",", ":", "*", "%", "$", "~", "+",
            "-", " ", "\u{e9}", "\\\"", "1,", "a ", "() ",
        ] {
            let _ = try_command(format!("A1 {head}{}\r\n", token.repeat(4000 / token.len())));
        }
    }
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}

#[test]
fn literal_sizes_that_lie() {
    for bad in [
        "SEARCH TEXT {-1}",
        "SEARCH TEXT {}",
        "SEARCH TEXT {1",
        "SEARCH TEXT {1 +}",
        "SEARCH TEXT {0x1}",
        "SEARCH TEXT {1}x",
    ] {
        refusal(bad);
    }
    // A literal's bytes are never read as protocol, nor as another literal.
    let command = try_command("A SEARCH TEXT {8+}\r\n{5+}\r\nab BODY {1+}\r\nx\r\n").unwrap();
    assert!(format!("{command:?}").contains("{5+}\\r\\nab"));
}

#[test]
fn nul_is_refused_wherever_it_is() {
    let line = b"A1 LOGIN \"user\" {4+}\r\npass\r\n";
    for at in 0..line.len() - 2 {
        let mut bytes = line.to_vec();
        bytes[at] = 0;
        let found = crate::driver::events(&bytes, imap_wire::Limits::UNAUTHENTICATED, bytes.len());
        let in_literal = at >= line.len() - 6;
        if in_literal {
            assert_eq!(try_command(&bytes).unwrap_err().kind, ParseErrorKind::Nul);
        } else {
            assert!(
                found.iter().any(|event| matches!(event, crate::driver::Event::Error(..))),
                "{at}: {found:?}"
            );
        }
    }
}

#[test]
fn many_of_everything_is_quick() {
    let begin = Instant::now();
    let keywords = (0..8_000).map(|i| format!("k{i} ")).collect::<String>();
    refusal(&format!("STORE 1 FLAGS ({})", keywords.trim_end()));
    body(&format!(
        "UID FETCH {} FLAGS",
        (0..10_000).map(|i| format!("{},", 10_000 - i)).collect::<String>() + "1"
    ));
    body(&format!("SEARCH {}", "SEEN ".repeat(13_000)));
    refusal(&format!("FETCH 1 ({})", (1..5_000).map(|i| format!("BODY[{i}] ")).collect::<String>()));
    body(&format!("FETCH 1 ({})", "BODY[] ".repeat(9_000)));
    refusal(&format!("LIST \"\" ({})", "a ".repeat(65)));
    let wildcards = "%*".repeat(10_000);
    let CommandBody::List(list) = body(&format!("LIST \"{wildcards}\" {wildcards}")) else { panic!() };
    assert_eq!((list.reference.as_str(), list.patterns[0].as_str()), ("*", "*"));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

/// Commands that are whole, to be cut and bent.
const WHOLE: [&str; 14] = [
    "A1 LOGIN \"u\\\\ser\" {4+}\r\npass\r\n",
    "A1 SELECT \"&U,BTFw-\" (QRESYNC (1 2 3:4 (1 3)) CONDSTORE)\r\n",
    "A1 LIST (SUBSCRIBED) \"\" (a \"b*\" {1+}\r\nc) RETURN (STATUS (MESSAGES) CHILDREN)\r\n",
    "A1 UID FETCH 1:*,5 (FLAGS BODY.PEEK[1.2.HEADER.FIELDS (From {2+}\r\nTo)]<0.5>) (CHANGEDSINCE 5 VANISHED)\r\n",
    "A1 UID STORE 1 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Seen $a)\r\n",
    "A1 SEARCH RETURN (MIN PARTIAL -1:-2) CHARSET ISO-2022-JP OR (TEXT {3+}\r\n\x1b$B NOT SINCE 1-Jan-2026) $\r\n",
    "A1 APPEND INBOX (\\Seen a) \" 1-Jan-2026 00:00:00 +0000\" CATENATE (URL x TEXT ~{3+}\r\nabc URL {1+}\r\nx) {1+}\r\nx\r\n",
    "A1 UID REPLACE * {1+}\r\nb UTF8 (~{1+}\r\nx)\r\n",
    "A1 NOTIFY SET STATUS (subtree (a b) (MessageNew (UID) FlagChange)) (inboxes NONE)\r\n",
    "A1 SETMETADATA \"\" (/a NIL /b ~{2+}\r\n\0a)\r\n",
    "A1 ID (\"a\" NIL \"b\" {1+}\r\nc)\r\n",
    "A1 UID SORT RETURN () (REVERSE DATE) UTF-8 MODSEQ \"/flags/x\" all 5\r\n",
    "A1 SETQUOTA \"\" (STORAGE 5 MESSAGE 9223372036854775807)\r\n",
    "A1 AUTHENTICATE PLAIN AGEAYg==\r\n",
];

#[test]
fn every_whole_command_is_one_and_every_beginning_of_it_is_harmless() {
    for whole in WHOLE {
        assert!(fuzz(whole.as_bytes()) >= 1, "{whole}");
        for end in 0..whole.len() {
            fuzz(&whole.as_bytes()[..end]);
            fuzz(&[&whole.as_bytes()[..end], b"\r\n"].concat());
            fuzz(&[&whole.as_bytes()[..end], &whole.as_bytes()[end + 1..]].concat());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz(&bytes);
        fuzz(&[b"A1 ", &bytes[..], b"\r\n"].concat());
    }

    #[test]
    fn no_bent_command_does_harm(which in 0..WHOLE.len(), bends in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = WHOLE[which].as_bytes().to_vec();
        for (at, byte) in bends {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        fuzz(&bytes);
    }

    #[test]
    fn no_words_of_the_grammar_do_harm(words in proptest::collection::vec(
        prop::sample::select(vec!["FETCH ", "UID ", "SEARCH ", "APPEND ", "LIST ", "(", ")", " ", "1:*", "\"a\"", "{1+}\r\nx", "~{1+}\r\n\0", "BODY[", "]", "<0.1>", "RETURN ", "OR ", "NOT ", "CATENATE (", "TEXT ", "URL ", "$", "*", "%", "\\Seen", "NIL", "INBOX"]), 0..20)) {
        fuzz(format!("A1 {}\r\n", words.concat()).as_bytes());
    }

    #[test]
    fn a_tag_is_always_safe_to_repeat(line in "[ -~é\t]{1,30}") {
        let mut buf = BytesMut::from(format!("{line}\r\n").as_str());
        let FrameStep::Command(frame) = Framer::new(Limits::AUTHENTICATED).next(&mut buf) else { return Ok(()) };
        let Err(ParseError { tag: Some(tag), .. }) = parse(&frame, &ParseOptions::default()) else { return Ok(()) };
        let is_safe = |b: u8| b.is_ascii_graphic() && !b"(){%*\"\\+".contains(&b);
        let all_safe = tag.as_str().bytes().all(is_safe);
        prop_assert!(all_safe);
    }
}
