//! Whatever is in names, texts and mails: a client reads back what was meant, and nothing else.

use bytes::BytesMut;
use imap_wire::*;
use mail_types::{Keyword, KeywordTable};
use proptest::prelude::*;

/// One part of a reply, as a strict client reads it.
#[derive(Debug, Clone, PartialEq)]
enum Token {
    Atom(String),
    Text(Vec<u8>),
    Open,
    Close,
}

/// One reply, and what follows it. Panics at anything that is not in the grammar.
fn read(bytes: &[u8], utf8: bool) -> (Vec<Token>, &[u8]) {
    let mut tokens = Vec::new();
    let mut rest = bytes;
    loop {
        match rest {
            [b'\r', b'\n', rest @ ..] => return (tokens, rest),
            [b' ', tail @ ..] => rest = tail,
            [b'(', tail @ ..] => (tokens.push(Token::Open), rest = tail).1,
            [b')', tail @ ..] => (tokens.push(Token::Close), rest = tail).1,
            [b'"', tail @ ..] => {
                let (text, tail) = read_quoted(tail, utf8);
                tokens.push(Token::Text(text));
                rest = tail;
            }
            [b'{', tail @ ..] => {
                let end = tail.iter().position(|b| *b == b'}').unwrap();
                let size: usize = std::str::from_utf8(&tail[..end]).unwrap().parse().unwrap();
                let data = tail[end..].strip_prefix(b"}\r\n").unwrap();
                assert!(!data[..size].contains(&0));
                tokens.push(Token::Text(data[..size].to_vec()));
                rest = &data[size..];
            }
            _ => {
                let end = rest.iter().position(|b| b" ()\r\"{".contains(b)).unwrap();
                let atom = &rest[..end];
                assert!(
                    end > 0 && atom.iter().all(u8::is_ascii_graphic),
                    "{:?}",
                    String::from_utf8_lossy(bytes)
                );
                tokens.push(Token::Atom(String::from_utf8(atom.to_vec()).unwrap()));
                rest = &rest[end..];
            }
        }
    }
}

fn read_quoted(mut rest: &[u8], utf8: bool) -> (Vec<u8>, &[u8]) {
    let mut text = Vec::new();
    loop {
        match rest {
            [b'"', rest @ ..] => {
                assert!(!utf8 || std::str::from_utf8(&text).is_ok());
                return (text, rest);
            }
            [b'\\', c @ (b'"' | b'\\'), tail @ ..] | [c @ (b' '..=b'~'), tail @ ..] => {
                assert!(*c != b'\\' || rest[0] == b'\\');
                text.push(*c);
                rest = tail;
            }
            [c @ 0x80..=0xff, tail @ ..] if utf8 => {
                text.push(*c);
                rest = tail;
            }
            other => panic!("in a quoted string: {other:?}"),
        }
    }
}

fn write(utf8: bool, write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buf = BytesMut::new();
    let mut writer = if utf8 { Writer::new_utf8(&mut buf) } else { Writer::new(&mut buf) };
    write(&mut writer);
    buf.to_vec()
}
/// The tokens of exactly one reply.
fn tokens(utf8: bool, reply: impl FnOnce(&mut Writer<'_>)) -> Vec<Token> {
    let bytes = write(utf8, reply);
    let (tokens, rest) = read(&bytes, utf8);
    assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&bytes));
    tokens
}
fn without_nul(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|b| if *b == 0 { b'?' } else { *b }).collect()
}
fn text_of(token: &Token) -> Vec<u8> {
    match token {
        Token::Text(text) => text.clone(),
        Token::Atom(atom) => atom.clone().into_bytes(),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn strings(bytes in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        "[ -~\\r\\n\"\\\\{}é日]{0,40}".prop_map(String::into_bytes),
    ], utf8: bool) {
        let id = String::from_utf8_lossy(&bytes).into_owned();
        let read = tokens(utf8, |w| w.id(&[(id.as_str(), Some(id.as_str()))]));
        let expected = without_nul(id.as_bytes());
        prop_assert_eq!(text_of(&read[3]), expected.clone());
        prop_assert_eq!(text_of(&read[4]), expected);
        let read = tokens(utf8, |w| { w.string(&bytes); w.continuation("x"); });
        prop_assert_eq!(text_of(&read[0]), without_nul(&bytes));
    }

    #[test]
    fn mailbox_names(name in "\\PC{0,20}|[a-c&\"\\\\ é日{}()*%\\r\\n]{0,20}", utf8: bool) {
        let line = ListLine { name: &name, child_info: &["SUBSCRIBED"], ..ListLine::default() };
        let read = tokens(utf8, |w| w.list(&line));
        let wire = text_of(&read[5]);
        let back = if utf8 { String::from_utf8(wire).unwrap() } else { utf7::decode(&wire).unwrap() };
        prop_assert_eq!(&back, &name);
        // And the client may ask for it as we spelt it.
        if name.chars().all(|c| !c.is_control() && !matches!(c, '*' | '%')) {
            let wire = write(utf8, |w| w.mailbox(&name));
            let line = [b"A LSUB ", &wire[..], b" x\r\n"].concat();
            let mut buf = BytesMut::from(&line[..]);
            let FrameStep::Command(frame) = Framer::new(Limits::AUTHENTICATED).next(&mut buf) else { panic!() };
            let parsed = parse(&frame, &ParseOptions { utf8, ..ParseOptions::default() }).unwrap().body;
            let reference = mail_types::normalize(&name).into_owned();
            prop_assert_eq!(parsed, CommandBody::Lsub(Lsub { reference, pattern: "x".into() }));
        }
    }

    #[test]
    fn human_text(text in "[ -~\\r\\n\\[\\]\u{0}é\u{85}]{0,40}", utf8: bool) {
        let bytes = write(utf8, |w| w.untagged(Status::No, Code::Alert, &text));
        let line = bytes.strip_prefix(b"* NO [ALERT] ").unwrap().strip_suffix(b"\r\n").unwrap();
        let is_clean = !line.is_empty() && !line.iter().any(|b| *b < b' ' || !utf8 && *b > b'~');
        prop_assert!(is_clean);
    }

    #[test]
    fn messages_in_fetch(data in proptest::collection::vec(1u8.., 0..60), preview in "\\PC{0,30}", utf8: bool) {
        let item = FetchItem::BodySection { peek: true, section: Section::default(), partial: None };
        let read = tokens(utf8, |w| {
            let mut fetch = w.fetch(7);
            fetch.preview(Some(&preview));
            fetch.data(&item, &data);
            fetch.end();
        });
        prop_assert_eq!(text_of(&read[5]), without_nul(preview.as_bytes()));
        prop_assert_eq!(&read[6], &Token::Atom("BODY[]".into()));
        prop_assert_eq!(text_of(&read[7]), data);
    }

    #[test]
    fn flags(names in proptest::collection::vec("[!-~]{1,8}", 0..20)) {
        let mut table = KeywordTable::default();
        let mut bits = mail_types::FlagBits::SEEN;
        for name in &names {
            if let Ok(keyword) = Keyword::try_from(name.as_str()) {
                bits = bits.with(table.intern(&keyword).unwrap());
            }
        }
        let read = tokens(false, |w| w.mailbox_flags(bits, &table));
        prop_assert_eq!(read.len(), 2 + 1 + 1 + table.len() + 1);
        // What we tell, a client may store.
        let list = write(false, |w| w.mailbox_flags(bits, &table));
        let line = [b"A STORE 1 ", &list[2..]].concat();
        let mut buf = BytesMut::from(&line[..]);
        let FrameStep::Command(frame) = Framer::new(Limits::AUTHENTICATED).next(&mut buf) else { panic!() };
        let CommandBody::Store(store) = parse(&frame, &ParseOptions::default()).unwrap().body else { panic!() };
        prop_assert_eq!(store.flags.keywords.len(), table.len());
        prop_assert!(store.flags.keywords.iter().all(|keyword| table.find(keyword.as_str()).is_some()));
    }

    #[test]
    fn threads(depths in proptest::collection::vec(0u32..6, 0..30)) {
        let mut last = None;
        let nodes: Vec<ThreadNode> = depths.iter().zip(1..).map(|(depth, number)| {
            let depth = (*depth).min(last.map_or(0, |last| last + 1));
            last = Some(depth);
            ThreadNode { depth, number: Some(number) }
        }).collect();
        let read = tokens(false, |w| w.thread(&nodes));
        let numbers: Vec<_> = read[2..].iter().filter_map(|token| match token {
            Token::Atom(number) => Some(number.parse::<u32>().unwrap()),
            _ => None,
        }).collect();
        prop_assert_eq!(numbers, (1..=nodes.len() as u32).collect::<Vec<_>>());
        let open = read.iter().filter(|token| **token == Token::Open).count();
        prop_assert_eq!(open, read.iter().filter(|token| **token == Token::Close).count());
    }
}
