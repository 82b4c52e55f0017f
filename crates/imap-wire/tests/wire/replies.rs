//! Replies, after the examples in the RFCs.

use bytes::BytesMut;
use imap_wire::*;
use mail_types::{FlagBits, Keyword, KeywordTable, ModSeq, SpecialUse, Uid, UidSet, UidValidity};

use crate::commands::name;
use crate::driver::{body, try_command};

fn written(write: impl FnOnce(&mut Writer<'_>)) -> String {
    let mut buf = BytesMut::new();
    write(&mut Writer::new(&mut buf));
    String::from_utf8(buf.to_vec()).unwrap()
}
fn written_utf8(write: impl FnOnce(&mut Writer<'_>)) -> String {
    let mut buf = BytesMut::new();
    write(&mut Writer::new_utf8(&mut buf));
    String::from_utf8(buf.to_vec()).unwrap()
}
fn code(code: Code<'_>) -> String {
    let line = written(|w| w.untagged(Status::Ok, code, "x"));
    line.strip_prefix("* OK ").unwrap().strip_suffix(" x\r\n").unwrap().to_owned()
}
fn uids(text: &str) -> UidSet {
    text.parse().unwrap()
}
fn validity(number: u32) -> UidValidity {
    UidValidity::new(number).unwrap()
}
fn keywords() -> KeywordTable {
    let mut table = KeywordTable::default();
    table.intern(&Keyword::try_from("$Forwarded").unwrap()).unwrap();
    table
}

#[test]
fn status_replies() {
    let tag = try_command("a002 NOOP\r\n").unwrap().tag;
    assert_eq!(written(|w| w.ok(&tag, "NOOP completed")), "a002 OK NOOP completed\r\n");
    assert_eq!(
        written(|w| w.no(&tag, Code::TryCreate, "No such mailbox")),
        "a002 NO [TRYCREATE] No such mailbox\r\n"
    );
    assert_eq!(written(|w| w.bad(None, Code::None, "What?")), "* BAD What?\r\n");
    assert_eq!(written(|w| w.bad(Some(&tag), Code::TooBig, "x")), "a002 BAD [TOOBIG] x\r\n");
    assert_eq!(written(|w| w.untagged(Status::Bye, Code::Unavailable, "x")), "* BYE [UNAVAILABLE] x\r\n");
    assert_eq!(written(|w| w.continuation("idling")), "+ idling\r\n");
    assert_eq!(written(|w| w.challenge(b"")), "+ \r\n");
    assert_eq!(written(|w| w.challenge(b"test")), "+ dGVzdA==\r\n");
}

#[test]
fn text_for_people_stays_on_its_line_and_is_no_code() {
    let line = |text| written(|w| w.untagged(Status::No, Code::None, text));
    assert_eq!(line("a\r\n* 1 EXISTS\0é"), "* NO a??* 1 EXISTS??\r\n");
    assert_eq!(line("[ALERT] x"), "* NO (ALERT] x\r\n");
    assert_eq!(line(""), "* NO Done\r\n");
    assert_eq!(written_utf8(|w| w.untagged(Status::No, Code::None, "é\u{85}")), "* NO é?\r\n");
}

#[test]
fn response_codes() {
    let table = keywords();
    let permanent = PermanentFlags {
        flags: FlagBits::DELETED.with(FlagBits::keyword(0)),
        keywords: &table,
        can_create: true,
    };
    // RFC 9051 §7.1, RFC 4315 §3, RFC 7162, RFC 8474, RFC 5464
    for (value, expected) in [
        (Code::Alert, "[ALERT]"),
        (Code::BadCharset(&["UTF-8", "US-ASCII"]), "[BADCHARSET (UTF-8 US-ASCII)]"),
        (Code::BadCharset(&[]), "[BADCHARSET]"),
        (Code::Capability(&["IMAP4rev1", "IDLE"]), "[CAPABILITY IMAP4rev1 IDLE]"),
        (Code::PermanentFlags(permanent), "[PERMANENTFLAGS (\\Deleted $Forwarded \\*)]"),
        (Code::ReadOnly, "[READ-ONLY]"),
        (Code::ReadWrite, "[READ-WRITE]"),
        (Code::UidNext(Uid::new(4392).unwrap()), "[UIDNEXT 4392]"),
        (Code::UidValidity(validity(3857529045)), "[UIDVALIDITY 3857529045]"),
        (Code::Unseen(12), "[UNSEEN 12]"),
        (Code::AppendUid(validity(38505), &uids("3955")), "[APPENDUID 38505 3955]"),
        (
            Code::CopyUid(validity(38505), &uids("304,319:320"), &uids("3956:3958")),
            "[COPYUID 38505 304,319:320 3956:3958]",
        ),
        (Code::HighestModSeq(ModSeq::new(715194045007)), "[HIGHESTMODSEQ 715194045007]"),
        (Code::Modified(&uids("7,9")), "[MODIFIED 7,9]"),
        (Code::MailboxId("F2212ea87"), "[MAILBOXID (F2212ea87)]"),
        (Code::Metadata(MetadataCode::LongEntries(2199)), "[METADATA LONGENTRIES 2199]"),
        (Code::OverQuota, "[OVERQUOTA]"),
        (Code::CompressionActive, "[COMPRESSIONACTIVE]"),
        (Code::BadUrl(b"/INBOX/;UID=7"), "[BADURL /INBOX/;UID=7]"),
        (Code::BadUrl(b"a]\r\n"), "[BADURL ?]"),
        (Code::Closed, "[CLOSED]"),
    ] {
        assert_eq!(code(value), expected);
    }
}

#[test]
fn progress() {
    let line = |tag: &str, done, goal| {
        let tag = try_command(format!("{tag} NOOP\r\n")).unwrap().tag;
        code(Code::InProgress(InProgress { tag: &tag, done, goal }))
    };
    // RFC 9585 §4, §5
    assert_eq!(line("A001", None, None), "[INPROGRESS (\"A001\" NIL NIL)]");
    assert_eq!(line("A001", Some(175), None), "[INPROGRESS (\"A001\" 175 NIL)]");
    assert_eq!(line("A001", Some(175), Some(1000)), "[INPROGRESS (\"A001\" 175 1000)]");
    assert_eq!(line("A001", None, Some(1000)), "[INPROGRESS (\"A001\" NIL NIL)]");
    assert_eq!(line("a]b", Some(0), Some(1)), "[INPROGRESS (NIL 0 1)]");
}

#[test]
fn replies_by_uid() {
    // RFC 9586 §3.3
    let options = WriteOptions { uid_only: true, ..WriteOptions::default() };
    let uid = Uid::new(25996).unwrap();
    for (options, expected) in [
        (options, "* 25996 UIDFETCH (RFC822.SIZE 12008)\r\n"),
        (WriteOptions::default(), "* 7 FETCH (RFC822.SIZE 12008)\r\n"),
    ] {
        let mut buf = BytesMut::new();
        let mut writer = Writer::with(&mut buf, options);
        let mut line = writer.fetch_message(7, uid);
        line.rfc822_size(12008);
        line.end();
        assert_eq!(String::from_utf8_lossy(&buf), expected);
    }
    assert_eq!(code(Code::UidRequired), "[UIDREQUIRED]");
    // RFC 10022 §3.1
    let tag = try_command("A143 NOOP\r\n").unwrap().tag;
    let pair = |high, low| (Uid::new(high).unwrap(), Uid::new(low).unwrap());
    assert_eq!(
        written(|w| w.uid_batches(&tag, &[pair(215295, 99696), pair(99695, 7), pair(6, 1)])),
        "* UIDBATCHES (TAG \"A143\") 215295:99696,99695:7,6:1\r\n"
    );
    assert_eq!(written(|w| w.uid_batches(&tag, &[])), "* UIDBATCHES (TAG \"A143\")\r\n");
    assert_eq!(code(Code::TooFew), "[TOOFEW]");
}

#[test]
fn mailbox_data() {
    let table = keywords();
    assert_eq!(written(|w| w.exists(23)), "* 23 EXISTS\r\n");
    assert_eq!(written(|w| w.recent(0)), "* 0 RECENT\r\n");
    assert_eq!(written(|w| w.expunge(u32::MAX)), "* 4294967295 EXPUNGE\r\n");
    assert_eq!(written(|w| w.vanished(&uids("405,407,410,425"))), "* VANISHED 405,407,410,425\r\n");
    assert_eq!(written(|w| w.vanished_earlier(&uids("300:310"))), "* VANISHED (EARLIER) 300:310\r\n");
    assert_eq!(written(|w| w.vanished(&UidSet::new())), "");
    assert_eq!(
        written(|w| w.mailbox_flags(FlagBits::from_bits(u64::MAX), &table)),
        "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded)\r\n"
    );
    assert_eq!(written(|w| w.capability(&["IMAP4rev1", "ID"])), "* CAPABILITY IMAP4rev1 ID\r\n");
    assert_eq!(written(|w| w.enabled(&[])), "* ENABLED\r\n");
    assert_eq!(written(|w| w.id(&[])), "* ID NIL\r\n");
    assert_eq!(
        written(|w| w.id(&[("name", Some("Todoku")), ("os", None)])),
        "* ID (\"name\" \"Todoku\" \"os\" NIL)\r\n"
    );
}

#[test]
fn lists() {
    let line = |attributes: &[MailboxAttribute], name: &str| {
        written(|w| w.list(&ListLine { attributes, name, ..ListLine::default() }))
    };
    assert_eq!(line(&[MailboxAttribute::NoSelect], ""), "* LIST (\\Noselect) \"/\" \"\"\r\n");
    assert_eq!(line(&[], "INBOX"), "* LIST () \"/\" INBOX\r\n");
    assert_eq!(line(&[], "台北/日本語"), "* LIST () \"/\" &U,BTFw-/&ZeVnLIqe-\r\n");
    assert_eq!(line(&[], "a & \"b\""), "* LIST () \"/\" \"a &- \\\"b\\\"\"\r\n");
    assert_eq!(line(&[], "nil"), "* LIST () \"/\" \"nil\"\r\n");
    assert_eq!(line(&[], "{5}"), "* LIST () \"/\" \"{5}\"\r\n");
    let trash = [MailboxAttribute::HasNoChildren, MailboxAttribute::Use(SpecialUse::Trash)];
    assert_eq!(line(&trash, "Trash"), "* LIST (\\HasNoChildren \\Trash) \"/\" Trash\r\n");
    // RFC 5258 §5, example 7; RFC 9051 §6.3.9.7
    let extended =
        ListLine { attributes: &[], name: "Foo", child_info: &["SUBSCRIBED"], old_name: Some("Bar") };
    assert_eq!(
        written(|w| w.list(&extended)),
        "* LIST () \"/\" Foo (\"CHILDINFO\" (\"SUBSCRIBED\") \"OLDNAME\" (Bar))\r\n"
    );
    assert_eq!(written(|w| w.lsub(&[], "a")), "* LSUB () \"/\" a\r\n");
    assert_eq!(
        written_utf8(|w| w.list(&ListLine { name: "日本 & x", ..ListLine::default() })),
        "* LIST () \"/\" \"日本 & x\"\r\n"
    );
    assert_eq!(
        written(|w| w.status(
            "blurdybloop",
            &[
                (StatusItem::Messages, StatusValue::Number(231)),
                (StatusItem::AppendLimit, StatusValue::Nil),
                (StatusItem::MailboxId, StatusValue::Id("F1"))
            ]
        )),
        "* STATUS blurdybloop (MESSAGES 231 APPENDLIMIT NIL MAILBOXID (F1))\r\n"
    );
    // RFC 2342 §5
    assert_eq!(
        written(|w| w.namespace(&[""], &[], &["Public Folders/", "é/"])),
        "* NAMESPACE ((\"\" \"/\")) NIL ((\"Public Folders/\" \"/\")(\"&AOk-/\" \"/\"))\r\n"
    );
    assert_eq!(
        written(|w| w.quota("", &[("STORAGE", 10, 512), ("MESSAGE", 1, 2)])),
        "* QUOTA \"\" (STORAGE 10 512 MESSAGE 1 2)\r\n"
    );
    assert_eq!(written(|w| w.quota_root("INBOX", &[""])), "* QUOTAROOT INBOX \"\"\r\n");
    assert_eq!(written(|w| w.acl("INBOX", &[("Fred", "rwipslda")])), "* ACL INBOX Fred rwipslda\r\n");
    assert_eq!(
        written(|w| w.list_rights("a", "smith", "la", &["r", "s"])),
        "* LISTRIGHTS a smith la r s\r\n"
    );
    assert_eq!(written(|w| w.my_rights("INBOX", "")), "* MYRIGHTS INBOX \"\"\r\n");
    assert_eq!(
        written(|w| w.metadata("", &[("/shared/comment", Some(b"x")), ("/shared/admin", None)])),
        "* METADATA \"\" (/shared/comment \"x\" /shared/admin NIL)\r\n"
    );
}

#[test]
fn fetch() {
    let table = keywords();
    let CommandBody::Fetch(asked) = body(
        "FETCH 1 (BODY.PEEK[1.HEADER.FIELDS (From \"X Y\")]<5.10> BINARY[1.2] RFC822.HEADER BODYSTRUCTURE BODY[] BINARY[3]<7.1>)",
    ) else {
        panic!()
    };
    let items = &asked.items;
    let mut buf = BytesMut::new();
    {
        let mut w = Writer::new(&mut buf);
        let mut fetch = w.fetch(12);
        fetch.uid(Uid::new(4000).unwrap());
        fetch.flags(FlagBits::SEEN.with(FlagBits::keyword(0)), &table);
        fetch.mod_seq(ModSeq::new(624140003));
        fetch.internal_date(InternalDate::parse(b"17-Jul-1996 02:44:25 -0700").unwrap());
        fetch.rfc822_size(4286);
        fetch.email_id("M1");
        fetch.thread_id(None);
        fetch.save_date(None);
        fetch.preview(Some("He said \"hi\""));
        fetch.data(&items[0], b"From: a\r\n\r\n");
        fetch.nil(&items[1]);
        fetch.data(&items[2], b"");
        fetch.prepared(&items[3], b"(\"TEXT\")");
        fetch.binary_size(&[1, 2], 9);
        fetch.data(&items[5], b"a\0");
        fetch.literal(&items[4], 3);
    }
    // The bytes of the last literal come from elsewhere.
    buf.extend_from_slice(b"abc");
    Writer::new(&mut buf).fetch_resume().end();
    let reply = String::from_utf8(buf.to_vec()).unwrap();
    assert_eq!(
        reply,
        "* 12 FETCH (UID 4000 FLAGS (\\Seen $Forwarded) MODSEQ (624140003) \
         INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 4286 EMAILID (M1) THREADID NIL SAVEDATE NIL \
         PREVIEW \"He said \\\"hi\\\"\" BODY[1.HEADER.FIELDS (From \"X Y\")]<5> {11}\r\nFrom: a\r\n\r\n \
         BINARY[1.2] NIL RFC822.HEADER \"\" BODYSTRUCTURE (\"TEXT\") BINARY.SIZE[1.2] 9 BINARY[3]<7> ~{2}\r\na\0 \
         BODY[] {3}\r\nabc)\r\n"
    );
}

#[test]
fn searches() {
    assert_eq!(written(|w| w.search([2, 84, 882], None)), "* SEARCH 2 84 882\r\n");
    assert_eq!(written(|w| w.search([], None)), "* SEARCH\r\n");
    assert_eq!(
        written(|w| w.search([2, 5], Some(ModSeq::new(917162500)))),
        "* SEARCH 2 5 (MODSEQ 917162500)\r\n"
    );
    assert_eq!(written(|w| w.sort([5, 3], None)), "* SORT 5 3\r\n");
    let tag = try_command("A282 NOOP\r\n").unwrap().tag;
    let set = uids("2,10:11");
    // RFC 9051 §6.4.4.4, RFC 9394 §3.1, RFC 6237 §2.1, RFC 5267 §3.2
    let result = ESearch {
        tag: Some(&tag),
        by: Some(Numbering::Uid),
        min: Some(2),
        count: Some(3),
        all: Some(Numbers::Set(&set)),
        mod_seq: Some(ModSeq::new(9)),
        ..ESearch::default()
    };
    assert_eq!(
        written(|w| w.esearch(&result)),
        "* ESEARCH (TAG \"A282\") UID MIN 2 COUNT 3 ALL 2,10:11 MODSEQ 9\r\n"
    );
    let empty = UidSet::new();
    let nothing = ESearch { tag: Some(&tag), all: Some(Numbers::Set(&empty)), ..ESearch::default() };
    assert_eq!(written(|w| w.esearch(&nothing)), "* ESEARCH (TAG \"A282\")\r\n");
    let mailbox = name("a b");
    let window = ESearch {
        tag: Some(&tag),
        mailbox: Some((&mailbox, validity(1))),
        by: Some(Numbering::Uid),
        partial: Some((PartialRange::Back(1, 100), Numbers::Ordered(&[]))),
        ..ESearch::default()
    };
    assert_eq!(
        written(|w| w.esearch(&window)),
        "* ESEARCH (TAG \"A282\" MAILBOX \"a b\" UIDVALIDITY 1) UID PARTIAL (-1:-100 NIL)\r\n"
    );
    // RFC 5267 §4.3, RFC 6203 §4
    let (gone, new) =
        ([(0, Numbers::Set(&set))], [(1, Numbers::Ordered(&[9, 3])), (7, Numbers::Ordered(&[5]))]);
    let update = ESearch { tag: Some(&tag), remove_from: &gone, add_to: &new, ..ESearch::default() };
    assert_eq!(
        written(|w| w.esearch(&update)),
        "* ESEARCH (TAG \"A282\") REMOVEFROM (0 2,10:11) ADDTO (1 9,3 7 5)\r\n"
    );
    let scored =
        ESearch { all: Some(Numbers::Ordered(&[5, 3])), relevancy: Some(&[100, 7]), ..ESearch::default() };
    assert_eq!(written(|w| w.esearch(&scored)), "* ESEARCH ALL 5,3 RELEVANCY (100 7)\r\n");
    let sorted =
        ESearch { all: Some(Numbers::Ordered(&[23764, 23763, 7, 8, 9, u32::MAX, 0])), ..ESearch::default() };
    assert_eq!(written(|w| w.esearch(&sorted)), "* ESEARCH ALL 23764,23763,7:9,4294967295,0\r\n");
}

#[test]
fn threads() {
    let line = |nodes: &[(u32, u32)]| {
        let nodes: Vec<_> = nodes
            .iter()
            .map(|(depth, number)| ThreadNode { depth: *depth, number: (*number > 0).then_some(*number) })
            .collect();
        written(|w| w.thread(&nodes))
    };
    // RFC 5256 §4
    assert_eq!(
        line(&[(0, 2), (0, 3), (1, 6), (2, 4), (3, 23), (2, 44), (3, 7), (4, 96)]),
        "* THREAD (2)(3 6 (4 23)(44 7 96))\r\n"
    );
    assert_eq!(line(&[(0, 0), (1, 3), (1, 5)]), "* THREAD ((3)(5))\r\n");
    assert_eq!(line(&[]), "* THREAD\r\n");
    let deep: Vec<_> = (0..100_000).map(|i| (i, i + 1)).collect();
    assert!(line(&deep).ends_with(" 99999 100000)\r\n"));
}
