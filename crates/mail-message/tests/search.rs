//! SEARCH, PREVIEW and decoding of text, with Japanese mail above all.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use encoding_rs::{EUC_JP, Encoding, ISO_2022_JP, SHIFT_JIS};
use mail_message::search::{Field, fold, matches};
use mail_message::{Derived, derive};

fn found(derived: &Derived, field: Field<'_>, needle: &str) -> bool {
    matches(&derived.search_text, &field, &fold(needle))
}

fn message(header: &str, body: &[u8]) -> Vec<u8> {
    [header.as_bytes(), b"\r\n", body].concat()
}

fn encoded(encoding: &'static Encoding, text: &str) -> Vec<u8> {
    encoding.encode(text).0.into_owned()
}

fn base64(octets: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(octets)
}

/// An encoded word of ISO-2022-JP, as Japanese mailers write it.
fn word(text: &str) -> String {
    format!("=?ISO-2022-JP?B?{}?=", base64(&encoded(ISO_2022_JP, text)))
}

const TEXT: &str = "お世話になっております。\r\n請求書をお送りします。ＡＢＣ株式会社\r\n";

#[test]
fn japanese_bodies_in_every_charset() {
    for encoding in [ISO_2022_JP, SHIFT_JIS, EUC_JP, encoding_rs::UTF_8] {
        let header = format!("Content-Type: text/plain; charset={}\r\n", encoding.name());
        let derived = derive(&message(&header, &encoded(encoding, TEXT)));
        for needle in ["請", "請求書", "世話", "おります", "abc株式", "ＡＢＣ", "。 請求"] {
            assert!(found(&derived, Field::Body, needle), "{} {needle}", encoding.name());
        }
        assert!(!found(&derived, Field::Body, "領収書"));
        assert_eq!(derived.preview, "お世話になっております。 請求書をお送りします。ＡＢＣ株式会社");
    }
}

#[test]
fn undeclared_charsets_are_guessed() {
    for octets in [encoded(ISO_2022_JP, TEXT), TEXT.as_bytes().to_vec()] {
        let derived = derive(&message("", &octets));
        assert!(found(&derived, Field::Body, "請求書"));
        let unknown = derive(&message("Content-Type: text/plain; charset=x-nonsense\r\n", &octets));
        assert!(found(&unknown, Field::Body, "請求書"));
    }
    assert!(found(&derive(&message("", b"caf\xe9 \x93x\x94")), Field::Body, "CAFÉ “x”"));
    assert_eq!(derive(&message("", b"caf\xe9")).preview, "café");
    assert_eq!(derive(&message("", "café山".as_bytes().split_last().unwrap().1)).preview, "café\u{fffd}");
    let html = [&b"<meta charset=\"Shift_JIS\"><p>"[..], &encoded(SHIFT_JIS, "請求書")].concat();
    assert!(found(&derive(&message("Content-Type: text/html\r\n", &html)), Field::Body, "請求書"));
}

#[test]
fn japanese_without_a_label_or_with_a_wrong_one() {
    let text = "お世話になっております。請求書をお送りします。";
    for encoding in [SHIFT_JIS, encoding_rs::EUC_JP, ISO_2022_JP] {
        let octets = encoded(encoding, text);
        for label in ["", "us-ascii", "iso-8859-1", "utf-8", "x-nonsense"] {
            let field = format!("Content-Type: text/plain; charset=\"{label}\"\r\n");
            let derived = derive(&message(if label.is_empty() { "" } else { &field }, &octets));
            assert!(found(&derived, Field::Body, "請求書"), "{} as {label:?}", encoding.name());
            assert_eq!(derived.preview, text, "{} as {label:?}", encoding.name());
        }
        let mut raw = b"Subject: ".to_vec();
        raw.extend_from_slice(&encoded(encoding, "会議のご案内"));
        raw.extend_from_slice(b"\r\n\r\n");
        assert!(found(&derive(&raw), Field::Header("subject"), "ご案内"), "{}", encoding.name());
    }
}

#[test]
fn japanese_headers() {
    let header = format!(
        "From: {} <yamada@example.jp>\r\nSubject: {}\r\n {}\r\nTo: \"{}\" <sato@example.jp>\r\n",
        word("山田 太郎"),
        word("【重要】請求"),
        word("書の件"),
        word("佐藤")
    );
    let derived = derive(&message(&header, b""));
    assert!(found(&derived, Field::Header("subject"), "請求書の件"));
    assert!(found(&derived, Field::Header("FROM"), "太郎"));
    assert!(found(&derived, Field::Header("From"), "Yamada@Example"));
    assert!(found(&derived, Field::Header("To"), "佐藤"));
    assert!(!found(&derived, Field::Header("To"), "山田"));
    assert!(found(&derived, Field::AnyHeader, "山田"));
    assert!(found(&derived, Field::Text, "重"));
    assert!(!found(&derived, Field::Body, "重"));
    assert_eq!(derived.base_subject, "【重要】請求書の件");
}

#[test]
fn characters_cut_between_encoded_words() {
    let octets = "山田太郎".as_bytes();
    let header = format!(
        "Subject: =?utf-8?B?{}?=\r\n =?UTF-8?B?{}?= =?utf-8?Q?=E8=A1?=\r\n\t=?utf-8?Q?=8C_x?=\r\n",
        base64(&octets[..4]),
        base64(&octets[4..])
    );
    assert_eq!(derive(&message(&header, b"")).base_subject, "山田太郎行 x");
}

#[test]
fn encoded_words_of_rfc_2047() {
    // RFC 2047 §8
    for (raw, text) in [
        ("=?ISO-8859-1?Q?a?=", "a"),
        ("=?ISO-8859-1?Q?a?= b", "a b"),
        ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        ("=?ISO-8859-1?Q?a?=  \r\n   =?ISO-8859-1?Q?b?=", "ab"),
        ("=?ISO-8859-1?Q?a_b?=", "a b"),
        ("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        (
            "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
            "if you can read this you understand the example.",
        ),
        // RFC 2231 §5
        ("=?US-ASCII*EN?Q?Keith_Moore?=", "keith moore"),
        ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
        ("=?utf-8?q?a", "=?utf-8?q?a"),
        ("=?=?utf-8?q?=C3=A9?=", "=?é"),
        ("=??q?a?=", "=??q?a?="),
    ] {
        assert_eq!(derive(&message(&format!("Subject: {raw}\r\n"), b"")).base_subject, text, "{raw}");
    }
}

#[test]
fn file_names_in_shift_jis_are_found_by_text() {
    let name = encoded(SHIFT_JIS, "見積書（最終版）.xlsx");
    let percent: String = name.iter().map(|octet| format!("%{octet:02X}")).collect();
    let (first, second) = percent.split_at(21);
    for field in [
        format!("Content-Disposition: attachment;\r\n filename*=Shift_JIS''{percent}\r\n"),
        format!(
            "Content-Disposition: attachment; filename*0*=Shift_JIS'ja'{first};\r\n filename*1*={second}\r\n"
        ),
        format!("Content-Type: application/x; name=\"=?Shift_JIS?B?{}?=\"\r\n", base64(&name)),
    ] {
        let part =
            format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{field}\r\nAAAA\r\n--b--\r\n");
        let derived = derive(part.as_bytes());
        assert!(found(&derived, Field::Text, "見積書(最終版).XLSX"), "{field}");
        assert!(!found(&derived, Field::AnyHeader, "見積書"));
        assert!(derived.bodystructure.is_ascii());
    }
}

#[test]
fn html_is_searched_as_it_reads() {
    let html = b"<html><head><title>t1</title><style type=\"text/css\">p { color: red }</style></head><body>\
        <p class='a>b'>Hel<b>lo</b>, w&ouml;rld &amp; co&#x2e;</p><div>next</div>a < b<!-- hidden --><script>var x;</script>\
        <a href=\"https://example.org/?a=1&amp;b=2\">here</a><img alt='A picture'></body></html>";
    let derived = derive(&message("Content-Type: text/html; charset=utf-8\r\n", html));
    assert_eq!(derived.preview, "Hello, wörld & co. next a < b here");
    for needle in ["hello, wörld & co. next", "a < b", "example.org/?a=1&b=2", "a picture"] {
        assert!(found(&derived, Field::Body, needle), "{needle}");
    }
    for needle in ["color", "hidden", "var x", "<p", "class"] {
        assert!(!found(&derived, Field::Body, needle), "{needle}");
    }
}

#[test]
fn empty_needles_and_fields() {
    let derived = derive(b"Subject:\r\nX-Test: a b\r\nno colon here\r\n\r\nbody text");
    assert!(found(&derived, Field::Header("SUBJECT"), ""));
    assert!(found(&derived, Field::Header("x-test"), ""));
    assert!(!found(&derived, Field::Header("X-Tes"), ""));
    assert!(!found(&derived, Field::Header("Bcc"), ""));
    assert!(found(&derived, Field::Body, ""));
    assert!(found(&derived, Field::Text, "test: a b"));
    assert!(!found(&derived, Field::Header("X-Test"), "test"));
    assert!(!found(&derived, Field::Body, "a b"));
}

#[test]
fn messages_inside_are_body_but_other_headers_are_not() {
    let text = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Description: described\r\nContent-Type: message/rfc822\r\n\r\n\
                Subject: =?utf-8?q?inn=C3=A9r?=\r\n\r\nthe inner text\r\n--b\r\n\r\nlast\r\n--b--\r\n";
    let derived = derive(text.as_bytes());
    assert!(found(&derived, Field::Body, "subject: innér"));
    assert!(found(&derived, Field::Body, "inner text"));
    assert!(!found(&derived, Field::Body, "described"));
    assert!(found(&derived, Field::Text, "described"));
    assert!(!found(&derived, Field::AnyHeader, "innér"));
    // Not the text of a message inside.
    assert_eq!(derived.preview, "last");
}

#[test]
fn previews_prefer_text_and_skip_attachments() {
    let part = |header: &str, text: &str| format!("--b\r\n{header}\r\n{text}\r\n");
    let mixed = |parts: &str| format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n");
    let html = part("Content-Type: text/html\r\n", "<p>rich</p>");
    let attached = part("Content-Disposition: attachment\r\n", "attached");
    let plain = part("", "plain\r\n  text\u{200b}\0");
    let preview = |text: String| derive(text.as_bytes()).preview;
    assert_eq!(preview(mixed(&format!("{html}{attached}{plain}"))), "plain text");
    assert_eq!(preview(mixed(&format!("{attached}{}{html}", part("", " ")))), "rich");
    assert_eq!(preview(mixed(&attached)), "");
    let long = preview(format!("\r\n{}", "山 ".repeat(500)));
    assert_eq!((long.chars().count(), long.ends_with('山')), (199, true));
}

#[test]
fn folding_makes_what_looks_alike_equal() {
    for (a, b) in [
        ("ｶﾞｷﾞ", "ガギ"),
        ("か\u{3099}", "が"),
        ("ＡＢＣ１２３", "abc123"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("e\u{301}X", "ÉX"),
        ("a \r\n\t b", "a b"),
        ("ﬁ", "FI"),
        ("a\u{ad}b", "AB"),
        ("㈱", "(株)"),
        ("한\u{11ab}", "한\u{11ab}"),
        ("x\u{3000}y", "x y"),
    ] {
        assert_eq!(fold(a), fold(b), "{a:?}");
    }
    assert_eq!(fold(" a "), " a ");
}

#[test]
fn thread_keys_follow_the_root() {
    let key = |header: &str| derive(format!("{header}\r\n").as_bytes()).thread_key;
    let root = key("Message-ID: <root@x>\r\n");
    assert_eq!(key("Message-ID: <2@x>\r\nIn-Reply-To: your mail of <root@x>\r\n"), root);
    assert_eq!(key("Message-ID: <3@x>\r\nIn-Reply-To: <2@x>\r\nReferences: <root@x>\r\n <2@x>\r\n"), root);
    assert_eq!(key("Message-ID: <root\r\n @x>\r\nReferences: < > nonsense\r\n"), root);
    assert_ne!(key("Message-ID: <other@x>\r\n"), root);
    assert_ne!(key("Subject: a\r\n"), key("Subject: b\r\n"));
    // Stored, so it must stay what it is.
    assert_eq!(root, 0xf71d_4424_8648_b765);
}
