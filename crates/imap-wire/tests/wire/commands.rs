//! Commands of RFC 3501 and RFC 9051.

use imap_wire::{
    Append, AppendForm, AppendStep, BytesRange, Command, CommandBody, Fetch, FetchItem, FlagList,
    InternalDate, Numbering, ParseErrorKind, ParseOptions, SearchKey, Section, SectionText, Select, SeqBound,
    SequenceSet, StatusItem, Store, StoreAction, parse, parse_append_next,
};
use mail_types::{FlagBits, Keyword, MailboxName, NameError};

use crate::driver::{body, frame, refusal, try_command};

pub(crate) fn name(text: &str) -> MailboxName {
    MailboxName::try_from(text).unwrap()
}
pub(crate) fn set(ranges: &[(u32, u32)]) -> SequenceSet {
    let bound = |n| if n == 0 { SeqBound::Last } else { SeqBound::Number(n) };
    SequenceSet::Ranges(ranges.iter().map(|(a, b)| (bound(*a), bound(*b))).collect())
}
fn items(line: &str) -> Vec<FetchItem> {
    match body(line) {
        CommandBody::Fetch(fetch) => fetch.items,
        other => panic!("{other:?}"),
    }
}
pub(crate) fn key(line: &str) -> SearchKey {
    match body(&format!("SEARCH {line}")) {
        CommandBody::Search(search) => search.key,
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_arguments() {
    for (line, expected) in [
        ("CAPABILITY", CommandBody::Capability),
        ("noop", CommandBody::Noop),
        ("LogOut", CommandBody::Logout),
        ("STARTTLS", CommandBody::StartTls),
        ("CHECK", CommandBody::Check),
        ("CLOSE ", CommandBody::Close),
        ("UNSELECT", CommandBody::Unselect),
        ("EXPUNGE", CommandBody::Expunge(None)),
        ("IDLE", CommandBody::Idle),
        ("NAMESPACE", CommandBody::Namespace),
        ("UNAUTHENTICATE", CommandBody::Unauthenticate),
        ("UID EXPUNGE 3000:3002", CommandBody::Expunge(Some(set(&[(3000, 3002)])))),
    ] {
        assert_eq!(body(line), expected, "{line}");
    }
    assert!(matches!(refusal("NOOP x").kind, ParseErrorKind::Expected(_)));
}

#[test]
fn tags_are_found_or_refused() {
    let Command { tag, .. } = try_command("a]b.~1 NOOP\r\n").unwrap();
    assert_eq!(tag.as_str(), "a]b.~1");
    for bad in [
        "",
        " NOOP",
        "+ NOOP",
        "a+b NOOP",
        "* NOOP",
        "\"a\" NOOP",
        "{1} NOOP",
        "a\tNOOP",
        "é NOOP",
        "(a NOOP",
    ] {
        let error = try_command(format!("{bad}\r\n")).unwrap_err();
        assert_eq!((error.tag, error.kind), (None, ParseErrorKind::Tag), "{bad}");
    }
    for unknown in ["FOO", "UID NOOP", "UID", "NOOPS", "XNOOP x"] {
        let error = try_command(format!("A1 {unknown}\r\n")).unwrap_err();
        assert_eq!(error.tag.unwrap().as_str(), "A1");
        assert!(
            matches!(error.kind, ParseErrorKind::UnknownCommand | ParseErrorKind::Expected(_)),
            "{unknown}"
        );
    }
    assert_eq!(refusal("FOO").kind, ParseErrorKind::UnknownCommand);
    assert_eq!(refusal("FOO").position, 3);
}

#[test]
fn login_takes_every_kind_of_string() {
    let expected = CommandBody::Login { user: "al\"ice".into(), password: imap_wire::Secret("s\\ p".into()) };
    for line in [
        "LOGIN \"al\\\"ice\" \"s\\\\ p\"",
        "LOGIN {6+}\r\nal\"ice {4+}\r\ns\\ p",
        "login {6}\r\nal\"ice   \"s\\\\ p\" ",
    ] {
        assert_eq!(body(line), expected, "{line}");
    }
    assert!(matches!(body("LOGIN a] ]"), CommandBody::Login { .. }));
    assert!(!format!("{expected:?}").contains("s\\"));
    for bad in [
        "LOGIN",
        "LOGIN a",
        "LOGIN a ",
        "LOGIN a b c",
        "LOGIN \"a b",
        "LOGIN \"a\\b\" c",
        "LOGIN \"a\"b c",
        "LOGIN (a) b",
        "LOGIN \"a {1+}\r\nb\" c",
        "LOGIN ~{1+}\r\na b",
        "LOGIN {1+}\r\n\0 b",
    ] {
        refusal(bad);
    }
}

#[test]
fn mailboxes() {
    // RFC 3501 §6.3.1
    let select = |mailbox| Select { mailbox: name(mailbox), condstore: false, qresync: None };
    assert_eq!(body("SELECT inbox"), CommandBody::Select(select("INBOX")));
    assert_eq!(body("EXAMINE blurdybloop"), CommandBody::Examine(select("blurdybloop")));
    assert_eq!(body("SELECT {3+}\r\nfoo"), CommandBody::Select(select("foo")));
    assert_eq!(body("SELECT &U,BTFw-/&ZeVnLIqe-"), CommandBody::Select(select("台北/日本語")));
    assert_eq!(
        body("CREATE owatagusiam/"),
        CommandBody::Create { mailbox: name("owatagusiam"), special_use: vec![] }
    );
    assert_eq!(
        body("RENAME blurdybloop \"sar asoop\""),
        CommandBody::Rename { from: name("blurdybloop"), to: name("sar asoop") }
    );
    assert_eq!(body("DELETE a"), CommandBody::Delete(name("a")));
    assert_eq!(body("SUBSCRIBE #news.comp.mail.mime"), CommandBody::Subscribe(name("#news.comp.mail.mime")));
    assert_eq!(body("UNSUBSCRIBE a"), CommandBody::Unsubscribe(name("a")));
    assert_eq!(
        body("STATUS blurdybloop (UIDNEXT messages UIDNEXT)"),
        CommandBody::Status {
            mailbox: name("blurdybloop"),
            items: vec![StatusItem::UidNext, StatusItem::Messages]
        }
    );
    for bad in
        ["STATUS a ()", "STATUS a (FOO)", "STATUS a", "STATUS a (MESSAGES", "CREATE a (USE", "SELECT a (X)"]
    {
        refusal(bad);
    }
}

#[test]
fn impossible_names_are_refused_and_not_misread() {
    for (bad, kind) in [
        ("a//b", ParseErrorKind::MailboxName(NameError::EmptyLevel)),
        ("\"\"", ParseErrorKind::MailboxName(NameError::EmptyLevel)),
        ("../a", ParseErrorKind::MailboxName(NameError::Dots)),
        ("{3+}\r\na\r\n", ParseErrorKind::MailboxEncoding),
        ("{1+}\r\n\0", ParseErrorKind::Nul),
        ("&AGE-", ParseErrorKind::MailboxEncoding),
        ("\"caf\u{e9}\"", ParseErrorKind::MailboxEncoding),
        ("a&b", ParseErrorKind::MailboxEncoding),
    ] {
        let error = refusal(&format!("SELECT {bad}"));
        assert_eq!(error.kind, kind, "{bad}");
        assert_eq!(error.kind.is_refusal(), matches!(kind, ParseErrorKind::MailboxName(_)));
    }
    // RFC 6855 §3: UTF-8 once it is enabled, and then no modified UTF-7.
    let utf8 = ParseOptions { utf8: true, ..ParseOptions::default() };
    let parsed = parse(&frame("A SELECT \"caf\u{e9}&b\"\r\n"), &utf8).unwrap();
    let expected = Select { mailbox: name("caf\u{e9}&b"), condstore: false, qresync: None };
    assert_eq!(parsed.body, CommandBody::Select(expected));
    let overlong = parse(&frame(b"A SELECT \"\xc0\xafetc\"\r\n"), &utf8).unwrap_err();
    assert_eq!(overlong.kind, ParseErrorKind::Text);
    // RFC 9051 §5.1: what looks the same is the same, and the client is told.
    let parsed = parse(&frame("A SELECT \"cafe\u{301}\"\r\n"), &utf8).unwrap();
    assert_eq!(parsed.normalized, [("cafe\u{301}".to_owned(), name("caf\u{e9}"))]);
    assert_eq!(parse(&frame("A DELETE iNbox\r\n"), &utf8).unwrap().normalized.len(), 1);
    assert_eq!(parse(&frame("A DELETE \"caf\u{e9}\"\r\n"), &utf8).unwrap().normalized, []);
}

#[test]
fn sequence_sets_resolve() {
    let resolved = |text: &str, max| match body(&format!("UID EXPUNGE {text}")) {
        CommandBody::Expunge(Some(set)) => set.resolve(max).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    // RFC 9051 §9, seq-range and sequence-set
    assert_eq!(resolved("2:4", 10), [(2, 4)]);
    assert_eq!(resolved("4:2", 10), [(2, 4)]);
    assert_eq!(resolved("2,4:7,9,12:*", 15), [(2, 2), (4, 7), (9, 9), (12, 15)]);
    assert_eq!(resolved("*:4,5:7", 10), [(4, 10)]);
    assert_eq!(resolved("3291:*", 10), [(10, 3291)]);
    assert_eq!(resolved("*", 10), [(10, 10)]);
    assert_eq!(resolved("*,1:*", 0), []);
    assert_eq!(resolved("4294967295,4294967294,1", 1), [(1, 1), (4294967294, 4294967295)]);
    assert_eq!(resolved("$", 10), []);
    for bad in [
        "0",
        "1,",
        ",1",
        "1:",
        ":1",
        "1:2:3",
        "4294967296",
        "-1",
        "a",
        "1;2",
        "$,1",
        "1,$",
        "99999999999999999999",
        "+1",
    ] {
        refusal(&format!("UID EXPUNGE {bad}"));
    }
}

#[test]
fn fetch() {
    // RFC 9051 §6.4.5
    assert_eq!(
        body("FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])"),
        CommandBody::Fetch(Fetch {
            by: Numbering::Sequence,
            set: set(&[(2, 4)]),
            items: vec![
                FetchItem::Flags,
                FetchItem::BodySection {
                    peek: false,
                    section: Section {
                        part: vec![],
                        text: Some(SectionText::HeaderFields(vec!["DATE".into(), "FROM".into()])),
                    },
                    partial: None,
                },
            ],
            changed_since: None,
            vanished: false,
            partial: None,
        })
    );
    let section = |text: &str| match items(&format!("UID FETCH 1 BODY.PEEK[{text}]")).remove(0) {
        FetchItem::BodySection { peek: true, section, partial: None } => section,
        other => panic!("{other:?}"),
    };
    assert_eq!(section(""), Section::default());
    assert_eq!(section("1.2"), Section { part: vec![1, 2], text: None });
    assert_eq!(section("4.2.2.mime"), Section { part: vec![4, 2, 2], text: Some(SectionText::Mime) });
    assert_eq!(section("4.HEADER"), Section { part: vec![4], text: Some(SectionText::Header) });
    assert_eq!(section("TEXT"), Section { part: vec![], text: Some(SectionText::Text) });
    assert_eq!(
        section("1.HEADER.FIELDS.NOT (\"a b\" {1+}\r\nc)"),
        Section { part: vec![1], text: Some(SectionText::HeaderFieldsNot(vec!["a b".into(), "c".into()])) }
    );
    assert_eq!(
        items("FETCH * body[]<5000000000.2048>"),
        [FetchItem::BodySection {
            peek: false,
            section: Section::default(),
            partial: Some(BytesRange { offset: 5_000_000_000, count: 2048 })
        }]
    );
    assert_eq!(items("FETCH 1 FAST"), items("FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE)"));
    assert_eq!(items("FETCH 1 ALL"), items("FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"));
    assert_eq!(items("FETCH 1 full"), items("FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY)"));
    assert_eq!(
        items("FETCH 1 (RFC822 RFC822.HEADER RFC822.TEXT UID UID BODY BODYSTRUCTURE)"),
        [
            FetchItem::Rfc822,
            FetchItem::Rfc822Header,
            FetchItem::Rfc822Text,
            FetchItem::Uid,
            FetchItem::Body,
            FetchItem::BodyStructure
        ]
    );
    for bad in [
        "FETCH",
        "FETCH 1",
        "FETCH 1 ()",
        "FETCH 1 (ALL)",
        "FETCH 1 FOO",
        "FETCH 1 BODY[MIME]",
        "FETCH 1 BODY[0]",
        "FETCH 1 BODY[1.]",
        "FETCH 1 BODY[.1]",
        "FETCH 1 BODY[1.2.]",
        "FETCH 1 BODY[",
        "FETCH 1 BODY[]<0>",
        "FETCH 1 BODY[]<0.0>",
        "FETCH 1 BODY[]<1.2",
        "FETCH 1 BODY[HEADER.FIELDS]",
        "FETCH 1 BODY[HEADER.FIELDS ()]",
        "FETCH 1 (FLAGS",
        "FETCH 1 BODY.PEEK",
        "FETCH 1 BINARY",
        "FETCH 0 FLAGS",
        "FETCH 1 FLAGS (VANISHED)",
        "FETCH 1 BODY[]<9223372036854775808.1>",
    ] {
        refusal(bad);
    }
}

#[test]
fn store_copy_move() {
    // RFC 9051 §6.4.6, §6.4.7
    let flags = FlagList {
        system: FlagBits::DELETED.with(FlagBits::SEEN),
        keywords: vec![Keyword::try_from("$Junk").unwrap()],
    };
    let store = Store {
        by: Numbering::Uid,
        set: set(&[(2, 4)]),
        unchanged_since: None,
        action: StoreAction::Add,
        silent: true,
        flags,
    };
    for line in [
        "UID STORE 2:4 +FLAGS.SILENT (\\Deleted $Junk \\seen $junk)",
        "uid store 2:4 +flags.silent \\Deleted $Junk \\Seen \\Recent",
    ] {
        assert_eq!(body(line), CommandBody::Store(store.clone()), "{line}");
    }
    assert!(matches!(
        body("STORE 1 FLAGS ()"),
        CommandBody::Store(Store { action: StoreAction::Replace, silent: false, .. })
    ));
    assert!(matches!(
        body("STORE 1 -FLAGS a"),
        CommandBody::Store(Store { action: StoreAction::Remove, .. })
    ));
    assert_eq!(
        body("COPY 2:4 MEETING"),
        CommandBody::Copy { by: Numbering::Sequence, set: set(&[(2, 4)]), mailbox: name("MEETING") }
    );
    // RFC 6851 §3.1
    assert_eq!(
        body("UID MOVE 42:69 foo"),
        CommandBody::Move { by: Numbering::Uid, set: set(&[(42, 69)]), mailbox: name("foo") }
    );
    for bad in [
        "STORE 1 FLAGS",
        "STORE 1 FLAGS (\\Foo)",
        "STORE 1 *FLAGS (a)",
        "STORE 1 FLAGS (a",
        "COPY 1",
        "STORE 1 FLAGS (\"a\")",
    ] {
        refusal(bad);
    }
}

#[test]
fn append() {
    // RFC 9051 §6.3.12
    let date = InternalDate::parse(b"17-Jul-1996 02:44:25 -0700");
    let seen = FlagList { system: FlagBits::SEEN, keywords: vec![] };
    let first = frame("A003 APPEND saved-messages (\\Seen) \"17-Jul-1996 02:44:25 -0700\" {326}\r\n");
    assert_eq!(first.open_literal().map(|header| (header.size, header.sync)), Some((326, true)));
    assert_eq!(
        parse(&first, &ParseOptions::default()).unwrap().body,
        CommandBody::Append(Append {
            mailbox: name("saved-messages"),
            steps: vec![
                AppendStep::Message { flags: seen, date, form: AppendForm::Whole },
                AppendStep::Literal
            ],
        })
    );
    let plain = AppendStep::Message { flags: FlagList::default(), date: None, form: AppendForm::Whole };
    let steps = |line: &str| match body(line) {
        CommandBody::Append(append) => append.steps,
        other => panic!("{other:?}"),
    };
    assert_eq!(steps("APPEND {5+}\r\nINBOX {3+}"), [plain.clone(), AppendStep::Literal]);
    let next = |line: &str, form| {
        let piece = crate::extensions::piece(line);
        parse_append_next(&piece, form, &ParseOptions::default()).map_err(|error| error.kind)
    };
    assert_eq!(next("", AppendForm::Whole), Ok(vec![AppendStep::End]));
    assert_eq!(next("  ", AppendForm::Whole), Ok(vec![AppendStep::End]));
    assert_eq!(next(" {9}", AppendForm::Whole), Ok(vec![plain, AppendStep::Literal]));
    assert!(next("x", AppendForm::Whole).is_err());
    assert!(next(" (\\Seen)", AppendForm::Whole).is_err());
    for bad in [
        "APPEND INBOX",
        "APPEND INBOX \"hello\"",
        "APPEND INBOX (\\Seen)",
        "APPEND INBOX (\\Foo) {3+}",
        "APPEND INBOX \"x\" {3+}",
        "APPEND a//b {3}",
        "APPEND INBOX x{3}",
    ] {
        refusal(bad);
    }
}
