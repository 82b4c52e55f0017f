//! SEARCH of RFC 3501 and RFC 9051.

use imap_wire::{CommandBody, Date, ParseErrorKind, Search, SearchKey, SearchReturn, SequenceSet};
use mail_types::{FlagBits, Keyword};

use crate::commands::{key, set};
use crate::driver::{body, refusal, try_command};

#[test]
fn search() {
    let date = |y, m, d| Date::new(y, m, d).unwrap();
    // RFC 9051 §6.4.4
    assert_eq!(
        key("FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\""),
        SearchKey::And(vec![
            SearchKey::Flag(FlagBits::FLAGGED, true),
            SearchKey::Since(date(1994, 2, 1)),
            SearchKey::Not(Box::new(SearchKey::From("Smith".into()))),
        ])
    );
    assert_eq!(key("CHARSET UTF-8 TEXT {9+}\r\n日本語"), SearchKey::Text("日本語".into()));
    assert_eq!(
        key("OR (1:3 UNSEEN) UID *"),
        SearchKey::Or(
            Box::new(SearchKey::And(vec![
                SearchKey::Sequence(set(&[(1, 3)])),
                SearchKey::Flag(FlagBits::SEEN, false)
            ])),
            Box::new(SearchKey::Uid(set(&[(0, 0)])))
        )
    );
    assert_eq!(key("((ALL))"), SearchKey::All);
    assert_eq!(key("HEADER Message-ID \"\""), SearchKey::Header("Message-ID".into(), String::new()));
    assert_eq!(key("LARGER 5000000000"), SearchKey::Larger(5_000_000_000));
    assert_eq!(key("SENTON \"01-Jan-2026\""), SearchKey::SentOn(date(2026, 1, 1)));
    assert_eq!(key("UNKEYWORD $Junk"), SearchKey::Keyword(Keyword::try_from("$Junk").unwrap(), false));
    assert_eq!(key("$"), SearchKey::Sequence(SequenceSet::Saved));
    for word in [
        "NEW",
        "OLD",
        "RECENT",
        "ANSWERED",
        "UNANSWERED",
        "DRAFT",
        "UNDRAFT",
        "DELETED",
        "UNDELETED",
        "SEEN",
        "UNFLAGGED",
    ] {
        key(word);
    }
    for word in ["BCC", "BODY", "CC", "FROM", "SUBJECT", "TEXT", "TO"] {
        key(&format!("{word} x"));
    }
    for bad in [
        "SEARCH",
        "SEARCH ()",
        "SEARCH (ALL",
        "SEARCH OR ALL",
        "SEARCH NOT",
        "SEARCH FOO",
        "SEARCH SINCE 31-Feb-2026",
        "SEARCH ALL)",
        "SEARCH LARGER -1",
        "SEARCH RETURN (FOO) ALL",
        "SEARCH RETURN (MIN)",
        "SEARCH HEADER a",
        "SEARCH KEYWORD \\Seen",
        "SEARCH CHARSET UTF-8",
    ] {
        refusal(bad);
    }
}

#[test]
fn search_in_other_charsets() {
    let bytes = |charset: &str, text: &[u8]| {
        let mut line = format!("A SEARCH CHARSET {charset} SUBJECT {{{}+}}\r\n", text.len()).into_bytes();
        line.extend_from_slice(text);
        line.extend_from_slice(b"\r\n");
        try_command(line).map(|command| match command.body {
            CommandBody::Search(Search { key: SearchKey::Subject(text), .. }) => text,
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(bytes("ISO-2022-JP", b"\x1b$B;3ED\x1b(B").unwrap(), "山田");
    assert_eq!(bytes("Shift_JIS", b"\x8eR\x93c").unwrap(), "山田");
    assert_eq!(bytes("\"euc-jp\"", b"\xbb\xb3\xc5\xc4").unwrap(), "山田");
    assert_eq!(bytes("iso-8859-1", b"\xe9").unwrap(), "é");
    assert_eq!(bytes("utf-8", b"\xff").unwrap_err().kind, ParseErrorKind::Text);
    assert_eq!(bytes("shift_jis", b"\x8e").unwrap_err().kind, ParseErrorKind::Text);
    for unknown in ["X-FOO", "UTF-16", "utf-7"] {
        let kind = bytes(unknown, b"a").unwrap_err().kind;
        assert_eq!(kind, ParseErrorKind::BadCharset);
        assert!(kind.is_refusal());
    }
}

#[test]
fn esearch_returns() {
    let returns = |text: &str| match body(&format!("SEARCH RETURN {text} ALL")) {
        CommandBody::Search(search) => search.returns.unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(returns("()"), SearchReturn { all: true, ..SearchReturn::default() });
    assert_eq!(returns("(MIN count)"), SearchReturn { min: true, count: true, ..SearchReturn::default() });
    assert_eq!(returns("(SAVE)"), SearchReturn { save: true, ..SearchReturn::default() });
    assert_eq!(
        returns("(ALL MAX SAVE)"),
        SearchReturn { all: true, max: true, save: true, ..SearchReturn::default() }
    );
}
