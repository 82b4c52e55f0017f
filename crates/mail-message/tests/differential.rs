//! Parts and offsets of well-formed mail, compared with the `mail-parser` crate.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use mail_message::{PartIndex, PartKind};
use mail_parser::{MessageParser, PartType};
use proptest::prelude::*;

/// A well-formed entity.
#[derive(Debug, Clone)]
enum Entity {
    Text(String),
    Attachment(String),
    Multipart(Vec<Entity>),
    Message(Box<Entity>),
}

fn entity() -> impl Strategy<Value = Entity> {
    let leaf = prop_oneof![
        "([a-z ]{0,20}\r\n){0,4}[a-z]{1,10}".prop_map(Entity::Text),
        "[A-Za-z0-9]{4}".prop_map(Entity::Attachment)
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 1..4).prop_map(Entity::Multipart),
            // mail-parser 0.11.9 panics on a message right inside a message, so there is a multipart between.
            1 => inner.prop_map(|entity| Entity::Message(Box::new(Entity::Multipart(vec![entity])))),
        ]
    })
}

/// Writes an entity; `boundaries` counts those in use, so that all differ.
fn write(entity: &Entity, boundaries: &mut usize, out: &mut String) {
    match entity {
        Entity::Text(text) => {
            out.push_str("Content-Type: text/plain; charset=utf-8\r\n\r\n");
            out.push_str(text);
        }
        Entity::Attachment(data) => {
            out.push_str("Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n");
            out.push_str(data);
        }
        Entity::Multipart(children) => {
            *boundaries += 1;
            let boundary = format!("=_{boundaries}_=");
            out.push_str(&format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n"));
            for child in children {
                out.push_str(&format!("--{boundary}\r\n"));
                write(child, boundaries, out);
                out.push_str("\r\n");
            }
            out.push_str(&format!("--{boundary}--\r\n"));
        }
        Entity::Message(inner) => {
            out.push_str("Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n");
            write(inner, boundaries, out);
        }
    }
}

/// Kind, start of the header, start of the body, and for leaves its end, in the order in which parts begin.
type Places = Vec<(&'static str, u64, u64, u64)>;

fn ours(message: &str) -> Places {
    let index = PartIndex::parse(message.as_bytes());
    let kind = |kind| match kind {
        PartKind::Multipart => "multipart",
        PartKind::Message => "message",
        PartKind::Leaf | PartKind::Opaque => "leaf",
    };
    let place = |part: &mail_message::Part| {
        let end = if part.kind == PartKind::Leaf { part.body.end } else { 0 };
        (kind(part.kind), part.header.start, part.body.start, end)
    };
    index.parts().iter().map(place).collect()
}

/// `mail-parser` counts the message inside a part from the beginning of the whole.
fn theirs(message: &mail_parser::Message<'_>, out: &mut Places) {
    for part in &message.parts {
        let kind = match &part.body {
            PartType::Multipart(_) => "multipart",
            PartType::Message(_) => "message",
            _ => "leaf",
        };
        let end = if kind == "leaf" { u64::from(part.offset_end) } else { 0 };
        out.push((kind, u64::from(part.offset_header), u64::from(part.offset_body), end));
        if let PartType::Message(inner) = &part.body {
            theirs(inner, out);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn parts_lie_where_mail_parser_finds_them(entity in entity()) {
        let mut text = String::from("From: a@example.org\r\nMIME-Version: 1.0\r\n");
        write(&entity, &mut 0, &mut text);
        let parsed = MessageParser::default().parse(text.as_bytes()).unwrap();
        let mut expected = Places::new();
        theirs(&parsed, &mut expected);
        expected.sort_by_key(|place| (place.1, place.2));
        prop_assert_eq!(ours(&text), expected, "{}", text);
    }
}
