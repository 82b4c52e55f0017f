//! What has brought other servers down: each of these must be quick, bounded and valid.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod checker;

use std::time::{Duration, Instant};

use checker::check;
use mail_message::limits::{FIELDS_MAX, PART_DEPTH_MAX, PARTS_MAX, SEARCH_TEXT_MAX};
use mail_message::{Derived, Keep, PartIndex, derive, header_fields};

/// Time one message may take. Generous: debug builds on a busy machine; what is quadratic takes minutes.
const TIME_MAX: Duration = Duration::from_secs(20);

fn derive_in_time(name: &str, message: &[u8]) -> Derived {
    let start = Instant::now();
    let derived = derive(message);
    assert!(start.elapsed() < TIME_MAX, "{name}: {:?} for {} octets", start.elapsed(), message.len());
    check(&derived, message.len());
    derived
}

#[test]
fn half_a_million_address_fields() {
    derive_in_time("to", &[b"To: a@b\r\n".repeat(500_000), b"\r\n".to_vec()].concat());
    derive_in_time(
        "to folded",
        &[b"To: a@b".to_vec(), b",\r\n c@d".repeat(500_000), b"\r\n\r\n".to_vec()].concat(),
    );
    derive_in_time("groups", &[b"Cc: ".to_vec(), b"g:a@b;".repeat(200_000), b"\r\n\r\n".to_vec()].concat());
}

#[test]
fn more_parts_than_allowed() {
    let head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    let parts = [head.clone(), b"--b\r\n\r\nx\r\n".repeat(PARTS_MAX + 1), b"--b--\r\n".to_vec()].concat();
    derive_in_time("parts", &parts);
    assert_eq!(PartIndex::parse(&parts).parts().len(), PARTS_MAX);
    for count in PARTS_MAX - 3..PARTS_MAX + 2 {
        let rfc822 = b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ny\r\n--b--\r\n".to_vec();
        derive_in_time(
            "last is a message",
            &[head.clone(), b"--b\r\n\r\n\r\n".repeat(count), rfc822].concat(),
        );
    }
    let digest = b"Content-Type: multipart/digest; boundary=b\r\n\r\n".to_vec();
    derive_in_time("digest", &[digest, b"--b\r\n\r\nSubject: x\r\n\r\ny\r\n".repeat(20_000)].concat());
}

#[test]
fn deeper_than_allowed() {
    let nested: Vec<u8> = (0..60_000)
        .flat_map(|depth| {
            format!("Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n").into_bytes()
        })
        .collect();
    let derived = derive_in_time("multiparts", &nested);
    assert_eq!(PartIndex::decode(&derived.parts).unwrap().parts().len(), PART_DEPTH_MAX + 1);
    let same = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".repeat(60_000);
    derive_in_time("multiparts with one boundary", &same);
    let messages = b"Content-Type: message/rfc822\r\n\r\n".repeat(60_000);
    let derived = derive_in_time("messages", &messages);
    assert_eq!(PartIndex::decode(&derived.parts).unwrap().parts().len(), PART_DEPTH_MAX + 1);
    let comments =
        [b"From: ".to_vec(), b"(".repeat(60_000), b"\r\nDate: ".to_vec(), b"(".repeat(60_000)].concat();
    derive_in_time("comments", &comments);
    let types = [b"Content-Type: ".to_vec(), b"(".repeat(60_000), b"a/b;".repeat(60_000)].concat();
    derive_in_time("comments in a type", &types);
}

#[test]
fn continuations_without_end() {
    let parameters: String = (0..100_000).map(|number| format!("; name*{number}=x")).collect();
    derive_in_time("rfc 2231", format!("Content-Type: a/b{parameters}\r\n\r\n").as_bytes());
    let same: String = "; name*1*=%41".repeat(100_000);
    derive_in_time("rfc 2231, one number", format!("Content-Disposition: a{same}\r\n\r\n").as_bytes());
    let names: String = (0..100_000).map(|number| format!("; n{number}*=x")).collect();
    derive_in_time("names", format!("Content-Type: a/b{names}\r\n\r\n").as_bytes());
}

#[test]
fn giant_fields() {
    for unit in [
        &b"x"[..],
        b"x ",
        b"\"",
        b"\\",
        b"<",
        b"=?",
        b"=?utf-8?q?",
        b"=?utf-8?b?4?= ",
        b"\xff",
        b"\r\n ",
        b"(",
        b"a@",
        b":",
        "é ".as_bytes(),
    ] {
        for name in ["From", "Subject", "Content-Type", "Date", "References", "Content-Language", "X"] {
            let message = [name.as_bytes(), b": ", &unit.repeat(1_000_000 / unit.len())].concat();
            derive_in_time(name, &message);
        }
    }
    derive_in_time("no colon", &b"x".repeat(100 << 20));
    derive_in_time("one value", &[b"Subject: ".to_vec(), b"x".repeat(100 << 20)].concat());
    let many = [b"a:\r\n".repeat(FIELDS_MAX), b"Subject: late\r\n\r\n".to_vec()].concat();
    assert!(derive_in_time("fields", &many).envelope.starts_with(b"(NIL NIL "));
    assert_eq!(header_fields(&many, &["subject"], Keep::Matching), b"Subject: late\r\n\r\n");
    derive_in_time("empty names", &b":\r\n".repeat(1 << 20));
}

#[test]
fn giant_bodies() {
    for (kind, unit) in [
        ("text/html", &b"<"[..]),
        ("text/html", b"<!--"),
        ("text/html", b"<a href=\""),
        ("text/html", b"<script>"),
        ("text/html", b"&"),
        ("text/html", b"&amp;"),
        ("text/html", b"<p>x"),
        ("text/html", b"</"),
        ("text/html", b"<a =\n"),
        ("text/plain", "\u{301}".as_bytes()),
        ("text/plain", "\u{fdfa}".as_bytes()),
        ("text/plain", b"\0"),
        ("text/plain; charset=utf-7", b"+AGE-"),
        ("text/plain; charset=iso-2022-jp", b"\x1b$B"),
        ("text/plain; charset=utf-16", b"\xd8"),
    ] {
        let body = unit.repeat((4 << 20) / unit.len());
        let derived =
            derive_in_time(kind, &[b"Content-Type: ", kind.as_bytes(), b"\r\n\r\n", &body].concat());
        assert!(derived.search_text.len() <= SEARCH_TEXT_MAX + 16);
    }
    for encoding in ["quoted-printable", "base64"] {
        for unit in [&b"="[..], b"= ", b"\n", b" ", b"A", b"=4"] {
            let head = format!("Content-Transfer-Encoding: {encoding}\r\n\r\n");
            derive_in_time(encoding, &[head.as_bytes(), &unit.repeat((4 << 20) / unit.len())].concat());
        }
    }
}

#[test]
fn lines_that_look_like_boundaries() {
    let open: Vec<u8> = (0..PART_DEPTH_MAX)
        .flat_map(|depth| {
            format!(
                "Content-Type: multipart/mixed; boundary={}{depth}\n\n--{}{depth}\n",
                "a".repeat(900),
                "a".repeat(900)
            )
            .into_bytes()
        })
        .collect();
    derive_in_time("short", &[open.clone(), b"--\n".repeat(1 << 20)].concat());
    let line = [b"--".to_vec(), b"a".repeat(902), b"\n".to_vec()].concat();
    derive_in_time("long", &[open, line.repeat(5_000)].concat());
}

#[test]
fn cut_at_every_octet() {
    for message in SAMPLES {
        for end in 0..=message.len() {
            check(&derive(&message.as_bytes()[..end]), end);
        }
    }
}

const SAMPLES: [&str; 3] = [
    "From: \"J\\\"D\" (a\\) b) <@r,@s:j@[1.2]>, g: a@b, c;\r\nSubject: =?utf-8?B?5bGx?= =?iso-2022-jp?Q?=1B$B=3BD?=\r\n\
     Date: Tue, 24 Nov 2026 05:27:09 +0900 (c)\r\nContent-Type: multipart/mixed;\r\n boundary=\"b\\b\"; x*0*=utf-8'a'%E5; x*1=\"y\r\n\r\n\
     --bb\r\n\r\n--bb--\r\n",
    "Content-Type: multipart/digest; boundary=d\n\nx\n--d\n\nSubject: in\nContent-Type: multipart/mixed; boundary=e\n\n--e\n\
     Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<p a=\"=\n=E5=B1=\">&am&amp;<!-- x -->\n--e--\n--d--\ny\n",
    "Content-Type: message/rfc822\r\nContent-Disposition: attachment; filename*=Shift_JIS''%8C%A9\r\nContent-Language: a, b\r\n\r\n\
     To: \u{5c71}\r\nContent-Transfer-Encoding: base64\r\n\r\n5bGx55Sw\r\n5b==\r\n",
];
