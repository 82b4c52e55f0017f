//! What is fuzzed: everything that reads octets of strangers, and what we write of them.

use bytes::BytesMut;
use imap_wire::{FrameStep, Framer, Limits, ListLine, ParseOptions, SequenceSet, Writer};
use mail_message::{PartIndex, derive, to_seven_bit};
use mail_types::UidSet;

use super::Target;
use crate::reply::{Reply, Value, parse};

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "imap", seeds: IMAP_SEEDS, words: IMAP_WORDS, run: imap },
    Target {
        name: "sets",
        seeds: &[b"1", b"1:*", b"1,3:5,7", b"$"],
        words: &[b",", b":", b"*", b"1", b"4294967295", b"4294967296", b"0", b"1:5", b"$"],
        run: sets,
    },
    Target {
        name: "utf7",
        seeds: &[b"INBOX", b"&U,BTFw-", b"a&-b", b"&Jjo-!"],
        words: &[b"&", b"-", b",", b"&-", b"AGE", b"2D3c", b"2D0", b"U,BTFw", b"+", b"/"],
        run: utf7,
    },
    Target { name: "message", seeds: MESSAGE_SEEDS, words: MESSAGE_WORDS, run: message },
    Target {
        name: "lmtp",
        seeds: &[
            b"MAIL FROM:<a@b> SIZE=3 BODY=8BITMIME",
            b"RCPT TO:<\"a b\"@[127.0.0.1]>",
            b"LHLO x",
            b"BDAT 3 LAST",
        ],
        words: &[
            b"MAIL FROM:",
            b"RCPT TO:",
            b"<",
            b">",
            b"@",
            b"\"",
            b"\\",
            b"[IPv6:::1]",
            b" SIZE=",
            b" BODY=",
            b" SMTPUTF8",
            b"a.b",
            b"@x,@y:",
        ],
        run: delivery_gateway::fuzz,
    },
    Target {
        name: "pop3",
        seeds: &[b"USER a", b"PASS b c", b"TOP 1 2", b"UIDL", b"AUTH PLAIN =", b"RETR 1"],
        words: &[b"RETR ", b"TOP ", b"DELE ", b" ", b"1", b"AUTH PLAIN ", b"=", b"STLS", b"CAPA"],
        run: pop3_gateway::fuzz,
    },
    Target { name: "replies", seeds: REPLY_SEEDS, words: IMAP_WORDS, run: replies },
];

const IMAP_SEEDS: &[&[u8]] = &[
    b"a LOGIN \"a\" {1+}\r\nb\r\n",
    b"a SELECT INBOX (QRESYNC (1 2 1:3 (1,2 3,4)))\r\n",
    b"a UID FETCH 1:* (UID FLAGS BODY.PEEK[1.2.HEADER.FIELDS (A B)]<0.5> BINARY[1]) (CHANGEDSINCE 3 VANISHED)\r\n",
    b"a STORE 1,2:4 (UNCHANGEDSINCE 3) +FLAGS.SILENT (\\Seen $x)\r\n",
    b"a APPEND \"x y\" (\\Seen) \"01-Feb-2020 03:04:05 +0000\" {3+}\r\nabc\r\n",
    b"a UID SEARCH RETURN (MIN MAX ALL COUNT) CHARSET UTF-8 OR (NOT SEEN) HEADER X \"y\" SINCE 1-Jan-2020\r\n",
    b"a LIST (SUBSCRIBED) \"\" (INBOX %/*) RETURN (STATUS (MESSAGES) CHILDREN)\r\n",
    b"a STATUS &U,BTFw- (MESSAGES UIDNEXT)\r\n",
    b"a COPY $ x\r\n",
    b"a ENABLE CONDSTORE QRESYNC\r\n",
    b"a ENABLE UIDONLY\r\n",
    b"a UIDBATCHES 500 1:20\r\n",
];

const IMAP_WORDS: &[&[u8]] = &[
    b" ",
    b"(",
    b")",
    b"\r\n",
    b"{3}\r\n",
    b"{3+}\r\nabc",
    b"~{3+}\r\nabc",
    b"\"",
    b"\\\"",
    b"\\Seen",
    b"$",
    b"*",
    b"1:*",
    b"NIL",
    b"UID ",
    b"FETCH ",
    b"STORE ",
    b"SEARCH ",
    b"SORT (REVERSE DATE) UTF-8 ",
    b"THREAD REFERENCES UTF-8 ",
    b"APPEND ",
    b"CATENATE (",
    b"RENAME ",
    b"LIST ",
    b"RETURN (",
    b"SAVE",
    b"PARTIAL 1:5",
    b"NOT ",
    b"OR ",
    b"MODSEQ ",
    b"YOUNGER 3",
    b"BODY[",
    b"]",
    b"<0.5>",
    b"BINARY.SIZE[1]",
    b"(QRESYNC (",
    b"(CONDSTORE)",
    b"SETACL x y lrs",
    b"GETMETADATA (DEPTH 1) x /a",
    b"AUTHENTICATE PLAIN =",
    b"ID (\"a\" NIL)",
];

const MESSAGE_SEEDS: &[&[u8]] = &[
    b"From: \"A \\\" B\" <a@b>, g: c@d, e@f;\r\nTo: (x (y)) z@w\r\nSubject: =?utf-8?q?a=20b?=\r\nDate: Mon, 1 Jan 2024 10:00:00 +0100\r\n\r\nx\r\n",
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ny\r\n--b--\r\n",
    b"Content-Type: text/html; name*0*=utf-8''%41; name*1=b\r\nContent-Disposition: attachment; filename=\"a\\\"b\"\r\nContent-Language: a, b\r\n\r\n<p>x&amp;<script>y",
];

const MESSAGE_WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n ",
    b"\r\n\r\n",
    b"--b\r\n",
    b"--b--\r\n",
    b"--b",
    b"Content-Type: ",
    b"multipart/digest; boundary=b",
    b"message/rfc822",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"From: ",
    b"Cc: ",
    b"<",
    b">",
    b"@",
    b"\"",
    b"\\",
    b"(",
    b")",
    b":",
    b";",
    b",",
    b"=?utf-8?b?",
    b"?=",
    b"=?iso-2022-jp?q?=1B$B",
    b"name*0=",
    b"name*1*=%ff",
    b"utf-8''",
    b"\xc3\xa9",
    b"\xff",
    b"\0",
    b"Date: ",
];

const REPLY_SEEDS: &[&[u8]] = &[
    b"* 1 FETCH (UID 2 FLAGS (\\Seen))\r\n",
    b"a OK [COPYUID 1 2:3 4:5] x\r\n",
    b"* VANISHED (EARLIER) 1:3\r\n",
    b"* 25996 UIDFETCH (FLAGS () MODSEQ (7))\r\n",
    b"* LIST () \"/\" {3}\r\nabc\r\n",
];

/// The framer and the parser; and octet by octet the result is the same (an invariant of imap-wire).
fn imap(octets: &[u8]) -> String {
    let whole = steps(octets, usize::MAX);
    assert_eq!(whole, steps(octets, 1), "cut into octets it means something else");
    whole
}

fn steps(octets: &[u8], cut: usize) -> String {
    let mut framer = Framer::new(Limits::AUTHENTICATED);
    let utf8 = octets.len().is_multiple_of(2);
    let options = ParseOptions { utf8, no_charset: utf8, rev2: utf8 };
    let (mut buffer, mut text) = (BytesMut::new(), String::new());
    for piece in octets.chunks(cut.min(octets.len().max(1))) {
        buffer.extend_from_slice(piece);
        loop {
            match framer.next(&mut buffer) {
                FrameStep::NeedMore => break,
                FrameStep::Error(error) => {
                    text.push_str(&format!("{error:?}"));
                    if error.is_fatal() {
                        return text;
                    }
                }
                FrameStep::Continue => text.push('+'),
                FrameStep::Command(frame) => {
                    text.push_str(&format!("{:?}", imap_wire::parse(&frame, &options)))
                }
                // The next call refuses the message.
                FrameStep::LiteralStream(frame) => {
                    text.push_str(&format!("{:?}", imap_wire::parse(&frame, &options)))
                }
            }
        }
    }
    text
}

/// What is taken is written as it was meant, and resolves to ascending ranges.
fn sets(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    let set = text.parse::<UidSet>();
    if let Ok(set) = &set
        && !set.is_empty()
    {
        assert_eq!(set.to_string().parse::<UidSet>().ok().as_ref(), Some(set));
        assert!(set.ranges().windows(2).all(|pair| pair[0].1 < pair[1].0), "{set}");
    }
    let line = [b"a COPY ".as_slice(), octets, b" x\r\n"].concat();
    let mut buffer = BytesMut::from(line.as_slice());
    let FrameStep::Command(frame) = Framer::new(Limits::AUTHENTICATED).next(&mut buffer) else {
        return "None".into();
    };
    let parsed = imap_wire::parse(&frame, &ParseOptions::default());
    if let Ok(command) = &parsed
        && let imap_wire::CommandBody::Copy { set, .. } = &command.body
        && !matches!(set, SequenceSet::Saved)
    {
        for max in [0, 1, 5, u32::MAX] {
            let ranges: Vec<(u32, u32)> = set.resolve(max).collect();
            assert!(ranges.iter().all(|(first, last)| first <= last), "{ranges:?}");
        }
    }
    format!("{set:?} {parsed:?}")
}

/// One name has one form.
fn utf7(octets: &[u8]) -> String {
    let decoded = imap_wire::utf7::decode(octets);
    if let Ok(text) = &decoded {
        assert_eq!(imap_wire::utf7::encode(text).as_bytes(), octets);
    }
    let text = String::from_utf8_lossy(octets);
    assert_eq!(imap_wire::utf7::decode(imap_wire::utf7::encode(&text).as_bytes()).as_deref(), Ok(&*text));
    listed(&text);
    format!("{decoded:?}")
}

/// A name as LIST shows it is read by the independent parser and means the same.
fn listed(name: &str) {
    if name.contains(['\0', '\r', '\n']) {
        return;
    }
    let mut out = BytesMut::new();
    Writer::new(&mut out).list(&ListLine { name, ..ListLine::default() });
    match parse(&out) {
        Ok(Reply::List { mailbox, .. }) => {
            assert_eq!(imap_wire::utf7::decode(mailbox.as_bytes()).as_deref(), Ok(name));
        }
        other => panic!("{other:?} of {:?}", String::from_utf8_lossy(&out)),
    }
}

/// Derived data is a FETCH reply that the independent parser reads, with the fields that the grammar wants.
fn message(octets: &[u8]) -> String {
    let derived = derive(octets);
    let mut line = b"* 1 FETCH (".to_vec();
    let items = [
        ("ENVELOPE ", &derived.envelope),
        (" BODY ", &derived.body),
        (" BODYSTRUCTURE ", &derived.bodystructure),
    ];
    for (name, value) in items {
        line.extend_from_slice(name.as_bytes());
        line.extend_from_slice(&to_seven_bit(value));
    }
    line.extend_from_slice(b")\r\n");
    let reply = parse(&line).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&line)));
    let Reply::Fetch(fetch) = reply else { panic!("{reply:?}") };
    for (name, value) in &fetch.others {
        let Value::List(fields) = value else { panic!("{name} {value:?}") };
        match name.as_str() {
            "ENVELOPE" => envelope(fields),
            name => body(fields, name == "BODYSTRUCTURE"),
        }
    }
    let index = PartIndex::decode(&derived.parts).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(index.encode(), derived.parts);
    String::from_utf8_lossy(&derived.bodystructure).into_owned() + &String::from_utf8_lossy(&derived.envelope)
}

/// RFC 9051 §7.5.2: ten fields, addresses of four.
fn envelope(fields: &[Value]) {
    assert_eq!(fields.len(), 10, "{fields:?}");
    for addresses in &fields[2..8] {
        let Value::List(addresses) = addresses else {
            assert_eq!(addresses, &Value::Nil);
            continue;
        };
        assert!(!addresses.is_empty());
        assert!(addresses.iter().all(|address| matches!(address, Value::List(parts) if parts.len() == 4)));
    }
}

/// RFC 9051 §7.5.2: parts first, or a type with its fields.
fn body(fields: &[Value], extended: bool) {
    if let Some(Value::List(_)) = fields.first() {
        let parts = fields.iter().take_while(|field| matches!(field, Value::List(_)));
        let count = parts.clone().filter(|part| matches!(part, Value::List(_))).count();
        for part in fields.iter().take(count) {
            let Value::List(part) = part else { continue };
            body(part, extended);
        }
        assert!(
            matches!(fields.get(count), Some(Value::String(_))),
            "a multipart without subtype: {fields:?}"
        );
        return;
    }
    let kind = |index: usize| match &fields[index] {
        Value::String(octets) => String::from_utf8_lossy(octets).to_ascii_lowercase(),
        other => panic!("{other:?} as a type"),
    };
    let (basic, extra) = match (kind(0).as_str(), kind(1).as_str()) {
        ("message", "rfc822" | "global") => (10, true),
        ("text", _) => (8, false),
        _ => (7, false),
    };
    assert!(
        matches!(&fields[2], Value::Nil | Value::List(_)) && matches!(&fields[6], Value::Atom(_)),
        "{fields:?}"
    );
    assert!(fields.len() >= basic, "{fields:?}");
    assert!(extended || fields.len() == basic, "extension data in BODY: {fields:?}");
    if extra {
        let (Value::List(own), Value::List(inner)) = (&fields[7], &fields[8]) else { panic!("{fields:?}") };
        envelope(own);
        body(inner, extended);
    }
}

/// The tester's own parser must not trip either.
fn replies(octets: &[u8]) -> String {
    match parse(octets) {
        Ok(reply) => format!("{reply:?}"),
        Err(error) => error.to_string(),
    }
}
