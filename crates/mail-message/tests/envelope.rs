//! ENVELOPE: known answers.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use mail_message::{derive, to_seven_bit};

fn envelope(header: &str) -> String {
    String::from_utf8(to_seven_bit(&derive(header.as_bytes()).envelope).into_owned()).unwrap()
}

#[test]
fn utf8_stays_as_it_is_for_those_who_read_it() {
    // RFC 6855 §3, RFC 6532 §3
    let header = "Subject: 日本 \"\\ \r\n\té\r\nFrom: 山田 <用户@例え.jp>\r\n\r\n";
    let derived = derive(header.as_bytes()).envelope;
    let from = "((\"山田\" NIL \"用户\" \"例え.jp\"))";
    assert_eq!(
        String::from_utf8(derived.clone()).unwrap(),
        format!("(NIL \"日本 \\\"\\\\  é\" {from} {from} {from} NIL NIL NIL NIL NIL)")
    );
    let seven_bit = to_seven_bit(&derived);
    assert!(
        seven_bit.starts_with(b"(NIL \"=?UTF-8?B?5pel5pys?= \\\"\\\\  =?UTF-8?B?w6k=?=\" (("),
        "{seven_bit:?}"
    );
}

/// The first address list of an ENVELOPE: that of From.
fn from(value: &str) -> String {
    let envelope = envelope(&format!("From: {value}\r\n\r\n"));
    let inner = envelope.strip_prefix("(NIL NIL ").unwrap();
    let copies = inner.strip_suffix(" NIL NIL NIL NIL NIL)").unwrap();
    let one = &copies[..(copies.len() - 2) / 3];
    assert_eq!(copies, [one, one, one].join(" "));
    one.to_owned()
}

#[test]
fn the_example_of_rfc_3501() {
    // RFC 3501 §8, RFC 9051 §8
    let header = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\n\
        Subject: IMAP4rev1 WG mtg summary and minutes\r\nTo: imap@cac.washington.edu\r\n\
        cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n\
        Message-Id: <B27397-0100000@cac.washington.edu>\r\nMIME-Version: 1.0\r\n\
        Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n";
    let expected = concat!(
        r#"("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" "#,
        r#"(("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) "#,
        r#"(("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu")) "#,
        r#"((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL "#,
        r#""<B27397-0100000@cac.washington.edu>")"#
    );
    assert_eq!(envelope(header), expected);
}

#[test]
fn addresses_of_rfc_5322() {
    let cases = [
        // Appendix A.1.1, A.1.2
        (
            r#""Joe Q. Public" <john.q.public@example.com>"#,
            r#"(("Joe Q. Public" NIL "john.q.public" "example.com"))"#,
        ),
        (
            "Mary Smith <mary@x.test>, jdoe@example.org",
            r#"(("Mary Smith" NIL "mary" "x.test")(NIL NIL "jdoe" "example.org"))"#,
        ),
        (
            r#""Giant; \"Big\" Box" <sysservices@example.net>"#,
            r#"(("Giant; \"Big\" Box" NIL "sysservices" "example.net"))"#,
        ),
        // A.1.3
        (
            "A Group:Ed Jones <joe@where.test>,john@one.test;",
            r#"((NIL NIL "A Group" NIL)("Ed Jones" NIL "joe" "where.test")(NIL NIL "john" "one.test")(NIL NIL NIL NIL))"#,
        ),
        ("Undisclosed recipients:;", r#"((NIL NIL "Undisclosed recipients" NIL)(NIL NIL NIL NIL))"#),
        // A.5
        (
            r"Pete(A nice \) chap) <pete(his account)@silly.test(his host)>",
            r#"(("Pete" NIL "pete" "silly.test"))"#,
        ),
        (
            "A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n         joe@example.org",
            r#"((NIL NIL "A Group" NIL)("Chris Jones" NIL "c" "public.example")(NIL NIL "joe" "example.org")(NIL NIL NIL NIL))"#,
        ),
        // A.6.1, A.6.3
        (
            "Joe Q. Public <john.q.public@example.com>",
            r#"(("Joe Q. Public" NIL "john.q.public" "example.com"))"#,
        ),
        (
            "Mary Smith <@node.test,@b.test:mary@example.net>, , jdoe@test . example",
            r#"(("Mary Smith" "@node.test,@b.test" "mary" "example.net")(NIL NIL "jdoe" "test.example"))"#,
        ),
    ];
    for (value, expected) in cases {
        assert_eq!(from(value), expected, "{value}");
    }
}

#[test]
fn addresses_as_mailers_write_them() {
    let cases = [
        ("bob@example.org (Bob B.)", r#"(("Bob B." NIL "bob" "example.org"))"#),
        ("root", r#"((NIL NIL "root" ""))"#),
        ("Just A Name", r#"(("Just A Name" NIL "" ""))"#),
        ("Nobody <>", r#"(("Nobody" NIL "" ""))"#),
        (r#""a b"@example.org"#, r#"((NIL NIL "a b" "example.org"))"#),
        (r#"<"a@b"@example.org>"#, r#"((NIL NIL "a@b" "example.org"))"#),
        ("x@[IPv6:2001:db8::1]", r#"((NIL NIL "x" "[IPv6:2001:db8::1]"))"#),
        ("<a@b.c, <d@e.f>", r#"((NIL NIL "a" "b.c")(NIL NIL "d" "e.f"))"#),
        ("a@b.c; d@e.f", r#"((NIL NIL "a" "b.c")(NIL NIL "d" "e.f"))"#),
        ("\"unterminated <a@b.c>", r#"(("unterminated <a@b.c>" NIL "" ""))"#),
        (
            "=?utf-8?B?5bGx?= =?utf-8?B?55Sw?= <y@example.jp>",
            r#"(("=?utf-8?B?5bGx?= =?utf-8?B?55Sw?=" NIL "y" "example.jp"))"#,
        ),
        ("山田 太郎 <y@example.jp>", r#"(("=?UTF-8?B?5bGx55SwIOWkqumDjg==?=" NIL "y" "example.jp"))"#),
    ];
    for (value, expected) in cases {
        assert_eq!(from(value), expected, "{value}");
    }
}

#[test]
fn missing_is_nil_and_empty_is_empty() {
    assert_eq!(envelope("\r\n"), "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
    let empty = envelope(
        "Subject:\r\nFrom:\r\nSender: <>\r\nTo: ,\r\nDate: \r\nMessage-ID:\r\nIn-Reply-To:  \r\n\r\n",
    );
    assert_eq!(empty, r#"("" "" NIL NIL NIL NIL NIL NIL "" "")"#);
}

#[test]
fn sender_and_reply_to_default_to_from() {
    let one = r#"((NIL NIL "a" "b"))"#;
    assert_eq!(envelope("From: a@b\r\n\r\n"), format!("(NIL NIL {one} {one} {one} NIL NIL NIL NIL NIL)"));
    let other = r#"((NIL NIL "c" "d"))"#;
    let header = "From: a@b\r\nReply-To: c@d\r\nSender:\r\n\r\n";
    assert_eq!(envelope(header), format!("(NIL NIL {one} {one} {other} NIL NIL NIL NIL NIL)"));
}

#[test]
fn fields_that_stand_twice_are_joined_or_the_first_counts() {
    let header = "To: a@b\r\nSubject: one\r\nTo: c@d\r\nSubject: two\r\n\r\n";
    assert_eq!(
        envelope(header),
        r#"(NIL "one" NIL NIL NIL ((NIL NIL "a" "b")(NIL NIL "c" "d")) NIL NIL NIL NIL)"#
    );
}

#[test]
fn nothing_leaves_the_quotes() {
    let header = "Subject: a \"b\" \\ \0c\r\n\td\x1b\r\n e\u{e9}\r\n\r\n";
    assert_eq!(
        envelope(header),
        "(NIL \"a \\\"b\\\" \\\\ c d\x1b =?UTF-8?B?ZcOp?=\" NIL NIL NIL NIL NIL NIL NIL NIL)"
    );
    // Raw windows-1252.
    let derived = derive(b"Subject: caf\xe9 ok\r\n\r\n");
    assert!(derived.envelope.starts_with(b"(NIL \"=?UTF-8?B?Y2Fmw6k=?= ok\""));
}

#[test]
fn encoded_words_that_are_written_stay_short_and_decode_again() {
    let subject = format!("start {} {} end", "é".repeat(100), "漢字".repeat(40));
    let derived = derive(format!("Subject: {subject}\r\n\r\n").as_bytes());
    let text = String::from_utf8(to_seven_bit(&derived.envelope).into_owned()).unwrap();
    let raw = text.strip_prefix("(NIL \"").unwrap().split('"').next().unwrap();
    assert!(raw.split(' ').all(|word| word.len() <= 75));
    let again = derive(format!("Subject: {raw}\r\n\r\n").as_bytes());
    assert_eq!(again.base_subject, subject);
}
