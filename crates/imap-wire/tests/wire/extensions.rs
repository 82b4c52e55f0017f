//! Commands of the extensions, after the examples in their RFCs.

use bytes::BytesMut;
use imap_wire::*;
use mail_types::{ModSeq, SpecialUse, UidValidity};

use crate::commands::{key, name, set};
use crate::driver::{body, refusal, try_command};

/// The piece `line CRLF` of an APPEND command after a message.
pub(crate) fn piece(line: &str) -> Frame {
    let mut framer = Framer::new(Limits::AUTHENTICATED);
    let mut buf = BytesMut::from(format!("A APPEND b {{1+}}\r\nx{line}\r\n").as_str());
    assert!(matches!(framer.next(&mut buf), FrameStep::LiteralStream(_)));
    while framer.literal_chunk(&mut buf) != LiteralChunk::Done {}
    match framer.next(&mut buf) {
        FrameStep::Command(frame) | FrameStep::LiteralStream(frame) => {
            assert!(frame.is_continuation());
            frame
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn condstore_and_qresync() {
    // RFC 7162 §3.1.8, §3.2.5
    let select = |line: &str| match body(line) {
        CommandBody::Select(select) => select,
        other => panic!("{other:?}"),
    };
    assert!(select("SELECT INBOX (CONDSTORE)").condstore);
    let expected = QResync {
        uid_validity: UidValidity::new(67890007).unwrap(),
        mod_seq: ModSeq::new(90060115194045000),
        known_uids: Some(set(&[(41, 211), (214, 541)])),
        sequence_match: None,
    };
    let line = "SELECT INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541))";
    assert_eq!(select(line).qresync, Some(expected.clone()));
    let with_match =
        QResync { sequence_match: Some((set(&[(1, 1), (3, 3)]), set(&[(41, 42)]))), ..expected.clone() };
    let line = "SELECT INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541 (1,3 41:42)) CONDSTORE)";
    assert_eq!(select(line).qresync, Some(with_match.clone()));
    let line = "SELECT INBOX (QRESYNC (67890007 90060115194045000 (1,3 41:42)))";
    assert_eq!(select(line).qresync, Some(QResync { known_uids: None, ..with_match }));
    let line = "SELECT INBOX (QRESYNC (67890007 90060115194045000))";
    assert_eq!(select(line).qresync, Some(QResync { known_uids: None, ..expected }));
    for bad in [
        "(QRESYNC (0 1))",
        "(QRESYNC (1))",
        "(QRESYNC (1 1 1:*))",
        "(QRESYNC (1 1 $))",
        "(QRESYNC (1 1 (1,2 3)))",
        "(QRESYNC (1 9223372036854775808))",
        "()",
    ] {
        refusal(&format!("SELECT INBOX {bad}"));
    }
    // §3.1.3, §3.1.4, §3.1.5, §3.2.6
    let CommandBody::Store(store) = body("STORE 7,5,9 (UNCHANGEDSINCE 320162338) +FLAGS.SILENT (\\Deleted)")
    else {
        panic!()
    };
    assert_eq!(store.unchanged_since, Some(ModSeq::new(320162338)));
    let CommandBody::Fetch(fetch) = body("UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)") else {
        panic!()
    };
    assert_eq!((fetch.changed_since, fetch.vanished), (Some(ModSeq::new(12345)), true));
    for bad in
        ["FETCH 1 (FLAGS) (CHANGEDSINCE 1 VANISHED)", "UID FETCH 1 FLAGS (VANISHED)", "UID FETCH 1 FLAGS ()"]
    {
        refusal(bad);
    }
    assert_eq!(
        key("MODSEQ \"/flags/\\\\draft\" all 620162338"),
        SearchKey::ModSeq {
            at_least: ModSeq::new(620162338),
            entry: Some(ModSeqEntry { name: "/flags/\\draft".into(), kind: "all".into() })
        }
    );
    assert_eq!(key("MODSEQ 620162338"), SearchKey::ModSeq { at_least: ModSeq::new(620162338), entry: None });
}

#[test]
fn list_extended() {
    let list = |line: &str| match body(line) {
        CommandBody::List(list) => list,
        other => panic!("{other:?}"),
    };
    assert_eq!(list("LIST \"\" *"), List { patterns: vec!["*".into()], ..List::default() });
    assert_eq!(
        list("LIST #news. \"%*%&AOk-\""),
        List { reference: "#news.".into(), patterns: vec!["*é".into()], ..List::default() }
    );
    // RFC 5258 §5, RFC 5819 §3, RFC 6154 §5.2
    let extended = list(
        "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (INBOX Drafts Sent/%) RETURN (CHILDREN STATUS (MESSAGES UNSEEN) SPECIAL-USE MYRIGHTS METADATA (/shared/comment))",
    );
    assert!(extended.extended && extended.selection.subscribed && extended.selection.recursive_match);
    assert_eq!(extended.patterns, ["INBOX", "Drafts", "Sent/%"]);
    assert!(extended.returns.children && extended.returns.special_use && extended.returns.my_rights);
    assert_eq!(extended.returns.status, Some(vec![StatusItem::Messages, StatusItem::Unseen]));
    assert_eq!(extended.returns.metadata, Some((MetadataOptions::default(), vec!["/shared/comment".into()])));
    assert!(list("LIST () \"\" \"\" RETURN ()").extended);
    assert!(list("LIST (SPECIAL-USE REMOTE) \"\" *").selection.special_use);
    assert_eq!(
        body("LSUB \"#news.\" %"),
        CommandBody::Lsub(Lsub { reference: "#news.".into(), pattern: "%".into() })
    );
    for bad in [
        "LIST \"\"",
        "LIST (FOO) \"\" *",
        "LIST (RECURSIVEMATCH) \"\" *",
        "LIST \"\" ()",
        "LIST \"\" * RETURN",
        "LIST \"\" * RETURN (FOO)",
        "LIST \"\" &AGE-",
        "LSUB a",
    ] {
        refusal(bad);
    }
}

#[test]
fn create_with_special_use() {
    // RFC 6154 §5.3
    assert_eq!(
        body("CREATE MySpecial (USE (\\Drafts \\sent))"),
        CommandBody::Create {
            mailbox: name("MySpecial"),
            special_use: vec![SpecialUse::Drafts, SpecialUse::Sent]
        }
    );
    let error = refusal("CREATE x (USE (\\Nonsense))");
    assert!(error.kind == ParseErrorKind::UseAttr && error.kind.is_refusal());
}

#[test]
fn fetch_items_of_extensions() {
    let items = |line: &str| match body(line) {
        CommandBody::Fetch(fetch) => (fetch.items, fetch.partial),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        items("FETCH 1 (BINARY.PEEK[1.2]<0.9> BINARY[] BINARY.SIZE[3] PREVIEW (LAZY) MODSEQ EMAILID THREADID SAVEDATE)").0,
        [
            FetchItem::Binary { peek: true, part: vec![1, 2], partial: Some(BytesRange { offset: 0, count: 9 }) },
            FetchItem::Binary { peek: false, part: vec![], partial: None },
            FetchItem::BinarySize(vec![3]),
            FetchItem::Preview { lazy: true },
            FetchItem::ModSeq,
            FetchItem::EmailId,
            FetchItem::ThreadId,
            FetchItem::SaveDate,
        ]
    );
    assert_eq!(items("FETCH 1 PREVIEW (CHANGEDSINCE 1)").0, [FetchItem::Preview { lazy: false }]);
    // RFC 9394 §3.3
    let (_, partial) = items("UID FETCH 25900:26600 (UID FLAGS) (PARTIAL -1:-100 CHANGEDSINCE 98305)");
    assert_eq!(partial, Some(PartialRange::Back(1, 100)));
    for bad in [
        "FETCH 1 UID (PARTIAL 1:2)",
        "UID FETCH 1 UID (PARTIAL 0:2)",
        "UID FETCH 1 UID (PARTIAL -1:2)",
        "UID FETCH 1 UID (PARTIAL 1)",
    ] {
        refusal(bad);
    }
}

#[test]
fn search_keys_of_extensions() {
    let date = Date::parse(b"1-Jan-2026").unwrap();
    // RFC 5032, RFC 8514, RFC 8474, RFC 6203, RFC 5466
    for (text, expected) in [
        ("OLDER 3600", SearchKey::Older(3600)),
        ("YOUNGER 1", SearchKey::Younger(1)),
        ("SAVEDBEFORE 1-Jan-2026", SearchKey::SavedBefore(date)),
        ("SAVEDON 1-Jan-2026", SearchKey::SavedOn(date)),
        ("SAVEDSINCE 1-Jan-2026", SearchKey::SavedSince(date)),
        ("SAVEDATESUPPORTED", SearchKey::SaveDateSupported),
        ("EMAILID M6d99ac3275bb4e", SearchKey::EmailId("M6d99ac3275bb4e".into())),
        ("THREADID T64b478a75b7ea9", SearchKey::ThreadId("T64b478a75b7ea9".into())),
        ("FUZZY SUBJECT \"IMAP break\"", SearchKey::Fuzzy(Box::new(SearchKey::Subject("IMAP break".into())))),
        ("FILTER on-the-road", SearchKey::Filter("on-the-road".into())),
    ] {
        assert_eq!(key(text), expected);
    }
    let CommandBody::Search(search) = body("UID SEARCH RETURN (PARTIAL 500:1 SAVE) $") else { panic!() };
    assert_eq!(search.returns.unwrap().partial, Some(PartialRange::Front(1, 500)));
    refusal("SEARCH RETURN (PARTIAL 1:2 ALL) ALL");
    refusal("SEARCH OLDER 0");
}

#[test]
fn sort_thread_and_multi_search() {
    // RFC 5256 §3, RFC 5957 §3, RFC 5267 §3.1
    let CommandBody::Sort(sort) =
        body("UID SORT RETURN (COUNT) (REVERSE DATE subject DISPLAYFROM) UTF-8 SINCE 1-Feb-1994 SEEN")
    else {
        panic!()
    };
    assert_eq!(
        sort.criteria,
        [
            SortCriterion { reverse: true, key: SortKey::Date },
            SortCriterion { reverse: false, key: SortKey::Subject },
            SortCriterion { reverse: false, key: SortKey::DisplayFrom },
        ]
    );
    assert!(sort.returns.unwrap().count);
    let CommandBody::Thread(thread) = body("THREAD references US-ASCII ALL") else { panic!() };
    assert_eq!((thread.algorithm.as_str(), thread.key), ("REFERENCES", SearchKey::All));
    for bad in [
        "SORT () UTF-8 ALL",
        "SORT (REVERSE) UTF-8 ALL",
        "SORT (DATE) ALL",
        "THREAD ALL",
        "SORT (DATE) X-FOO ALL",
    ] {
        refusal(bad);
    }
    // RFC 6237 §2.2
    let line = "ESEARCH IN (mailboxes \"folder1\" subtree (a b) subscribed) RETURN (COUNT) unseen";
    let CommandBody::Search(search) = body(line) else { panic!() };
    assert_eq!(
        search.mailboxes,
        Some(vec![
            MailboxFilter::Mailboxes(vec![name("folder1")]),
            MailboxFilter::Subtree(vec![name("a"), name("b")]),
            MailboxFilter::Subscribed
        ])
    );
}

#[test]
fn notify() {
    // RFC 5465 §3.1, §5
    assert_eq!(body("NOTIFY NONE"), CommandBody::Notify(Notify::None));
    let line = "NOTIFY SET STATUS (selected MessageNew (UID BODY.PEEK[HEADER.FIELDS (From)]) MessageExpunge)";
    refusal(line);
    let line = "NOTIFY SET STATUS (selected-delayed (MessageNew (UID) MessageExpunge FlagChange)) (subtree Lists NONE) (personal (MailboxName))";
    let CommandBody::Notify(Notify::Set { status: true, groups }) = body(line) else { panic!() };
    assert_eq!(groups[0].filter, MailboxFilter::SelectedDelayed);
    assert_eq!(
        groups[0].events,
        [
            NotifyEvent::MessageNew(vec![FetchItem::Uid]),
            NotifyEvent::Other(MessageEvents::MessageExpunge),
            NotifyEvent::Other(MessageEvents::FlagChange)
        ]
    );
    assert_eq!(
        groups[1],
        NotifyGroup { filter: MailboxFilter::Subtree(vec![name("Lists")]), events: vec![] }
    );
    assert_eq!(groups.len(), 3);
}

#[test]
fn append_in_pieces() {
    let options = ParseOptions::default();
    let message = |form| AppendStep::Message { flags: FlagList::default(), date: None, form };
    let steps = |line: &str| match body(line) {
        CommandBody::Append(append) => append.steps,
        other => panic!("{other:?}"),
    };
    // RFC 4469 §3, RFC 6855 §4
    assert_eq!(
        steps("APPEND Drafts CATENATE (URL \"/Drafts;UID=2/;section=HEADER\" TEXT {42}"),
        [
            message(AppendForm::Catenate),
            AppendStep::Url("/Drafts;UID=2/;section=HEADER".into()),
            AppendStep::Literal
        ]
    );
    assert_eq!(
        steps("APPEND Drafts CATENATE (URL a URL b) CATENATE (URL c)"),
        [
            message(AppendForm::Catenate),
            AppendStep::Url("a".into()),
            AppendStep::Url("b".into()),
            message(AppendForm::Catenate),
            AppendStep::Url("c".into()),
            AppendStep::End
        ]
    );
    assert_eq!(steps("APPEND x UTF8 (~{5+}"), [message(AppendForm::Utf8), AppendStep::Literal]);
    let next = |line: &str, form| parse_append_next(&piece(line), form, &options).ok();
    assert_eq!(next(")", AppendForm::Utf8), Some(vec![AppendStep::End]));
    assert_eq!(next("", AppendForm::Utf8), None);
    assert_eq!(next(")", AppendForm::Catenate), Some(vec![AppendStep::End]));
    assert_eq!(
        next(" URL x TEXT {1}", AppendForm::Catenate),
        Some(vec![AppendStep::Url("x".into()), AppendStep::Literal])
    );
    assert_eq!(
        next(" URL x) {5}", AppendForm::Catenate),
        Some(vec![AppendStep::Url("x".into()), message(AppendForm::Whole), AppendStep::Literal])
    );
    // RFC 8508 §3.3
    let CommandBody::Replace(replace) = body("UID REPLACE 2000 Drafts (\\Seen \\Draft) {312+}") else {
        panic!()
    };
    assert_eq!(
        (replace.by, replace.message, replace.mailbox),
        (Numbering::Uid, SeqBound::Number(2000), name("Drafts"))
    );
    assert_eq!(replace.steps.len(), 2);
}

#[test]
fn authentication_and_session() {
    // RFC 4959 §3, RFC 2971 §3.3, RFC 5161 §3.1, RFC 4978 §3, RFC 5255
    let secret = |text: &'static [u8]| Some(Secret(text.into()));
    let auth = |mechanism: &str, initial| CommandBody::Authenticate { mechanism: mechanism.into(), initial };
    assert_eq!(body("AUTHENTICATE gssapi"), auth("GSSAPI", None));
    assert_eq!(body("AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q="), auth("PLAIN", secret(b"test\0test\0test")));
    assert_eq!(body("AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q"), auth("PLAIN", secret(b"test\0test\0test")));
    assert_eq!(body("AUTHENTICATE EXTERNAL ="), auth("EXTERNAL", secret(b"")));
    refusal("AUTHENTICATE PLAIN d!");
    refusal("AUTHENTICATE PLAIN dGVzdA==x");
    refusal("AUTHENTICATE");
    assert_eq!(sasl_line(b"*"), SaslLine::Cancel);
    assert_eq!(sasl_line(b""), SaslLine::Response(Secret("".into())));
    assert_eq!(sasl_line(b"dGVzdA=="), SaslLine::Response(Secret("test".into())));
    assert_eq!(sasl_line(b"dGVzdA==\0"), SaslLine::Invalid);
    assert_eq!(body("ID NIL"), CommandBody::Id(None));
    assert_eq!(body("ID ()"), CommandBody::Id(Some(vec![])));
    assert_eq!(
        body("ID (\"name\" \"sodr\" \"os\" nil)"),
        CommandBody::Id(Some(vec![("name".into(), Some("sodr".into())), ("os".into(), None)]))
    );
    refusal(&format!("ID ({})", "\"a\" \"b\" ".repeat(31)));
    assert_eq!(
        body("ENABLE condstore UTF8=ACCEPT"),
        CommandBody::Enable(vec!["CONDSTORE".into(), "UTF8=ACCEPT".into()])
    );
    refusal("ENABLE");
    assert_eq!(body("COMPRESS deflate"), CommandBody::Compress("DEFLATE".into()));
    assert_eq!(body("LANGUAGE"), CommandBody::Language(vec![]));
    assert_eq!(body("LANGUAGE de \"ja\""), CommandBody::Language(vec!["de".into(), "ja".into()]));
    assert_eq!(body("COMPARATOR \"cz;*\""), CommandBody::Comparator(vec!["cz;*".into()]));
}

#[test]
fn quota_rights_annotations_and_urls() {
    // RFC 9208 §4.1, RFC 4314 §3, RFC 5464 §4, RFC 4467 §7
    assert_eq!(body("GETQUOTA \"\""), CommandBody::GetQuota(String::new()));
    assert_eq!(body("GETQUOTAROOT INBOX"), CommandBody::GetQuotaRoot(name("INBOX")));
    assert_eq!(
        body("SETQUOTA \"\" (storage 512)"),
        CommandBody::SetQuota { root: String::new(), limits: vec![("STORAGE".into(), 512)] }
    );
    assert_eq!(
        body("SETACL INBOX/Drafts John +lrQswicda"[..].replace('Q', "").as_str()),
        CommandBody::SetAcl(SetAcl {
            mailbox: name("INBOX/Drafts"),
            identifier: "John".into(),
            change: AclChange::Add,
            rights: "lrswicda".into()
        })
    );
    refusal("SETACL a b lrQ");
    assert!(matches!(body("DELETEACL INBOX Fred"), CommandBody::DeleteAcl { .. }));
    assert!(matches!(body("LISTRIGHTS ~/Mail/saved smith"), CommandBody::ListRights { .. }));
    assert_eq!(body("GETACL INBOX"), CommandBody::GetAcl(name("INBOX")));
    assert_eq!(body("MYRIGHTS INBOX"), CommandBody::MyRights(name("INBOX")));
    let expected = GetMetadata {
        mailbox: Some(name("INBOX")),
        options: MetadataOptions { max_size: Some(1024), depth: MetadataDepth::One },
        entries: vec!["/shared/comment".into(), "/private/comment".into()],
    };
    for line in [
        "GETMETADATA (MAXSIZE 1024 DEPTH 1) INBOX (/shared/comment /private/comment)",
        "GETMETADATA INBOX (DEPTH 1 MAXSIZE 1024) (/shared/comment /private/comment)",
    ] {
        assert_eq!(body(line), CommandBody::GetMetadata(expected.clone()));
    }
    let CommandBody::GetMetadata(server) = body("GETMETADATA \"\" /shared/admin") else { panic!() };
    assert_eq!((server.mailbox, server.entries), (None, vec!["/shared/admin".to_owned()]));
    assert_eq!(
        body("SETMETADATA INBOX (/private/comment {3+}\r\nabc /shared/x NIL /private/b ~{2+}\r\n\0a)"),
        CommandBody::SetMetadata {
            mailbox: Some(name("INBOX")),
            entries: vec![
                ("/private/comment".into(), Some("abc".into())),
                ("/shared/x".into(), None),
                ("/private/b".into(), Some("\0a".into()))
            ]
        }
    );
    refusal("GETMETADATA INBOX (comment)");
    refusal("GETMETADATA INBOX /a//b");
    assert_eq!(
        body("GENURLAUTH \"imap://joe@example.com/INBOX/;uid=20\" internal"),
        CommandBody::GenUrlAuth(vec![("imap://joe@example.com/INBOX/;uid=20".into(), "INTERNAL".into())])
    );
    assert_eq!(body("RESETKEY"), CommandBody::ResetKey { mailbox: None, mechanisms: vec![] });
    assert_eq!(
        body("RESETKEY INBOX internal"),
        CommandBody::ResetKey { mailbox: Some(name("INBOX")), mechanisms: vec!["INTERNAL".into()] }
    );
    assert_eq!(body("CANCELUPDATE \"B01\" B02"), CommandBody::CancelUpdate(vec!["B01".into(), "B02".into()]));
    assert!(try_command("a CANCELUPDATE\r\n").is_err());
    // RFC 10022 §4
    assert_eq!(body("UIDBATCHES 2000"), CommandBody::UidBatches { size: 2000, range: None });
    assert_eq!(body("uidbatches 500 20:10"), CommandBody::UidBatches { size: 500, range: Some((20, 10)) });
    for bad in [
        "",
        " ",
        " 0",
        " x",
        " 500 ",
        " 500 1",
        " 500 1:",
        " 500 1:*",
        " 500 0:1",
        " 500 1:2 3",
        " 4294967296",
    ] {
        assert!(try_command(format!("a UIDBATCHES{bad}\r\n")).is_err(), "{bad:?}");
    }
    assert_eq!(body("URLFETCH a \"b\""), CommandBody::UrlFetch(vec!["a".into(), "b".into()]));
}
