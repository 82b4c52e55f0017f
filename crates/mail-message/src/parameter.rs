//! Parameters and what RFC 2231 does to them: continuations, charsets, percent-encoding.

use std::collections::HashMap;

use crate::charset;
use crate::transfer::hex;

/// One `name=value` as written, quotes removed.
pub(crate) struct Segment<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) value: Vec<u8>,
}

/// A parameter whose continuations have been joined.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// As written, without `*` and section numbers.
    pub(crate) name: Vec<u8>,
    pub(crate) value: Value,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// As written; may hold RFC 2047 encoded words, though it should not.
    Plain(Vec<u8>),
    /// RFC 2231 §4: octets in the charset it names.
    Extended { charset: Vec<u8>, language: Vec<u8>, octets: Vec<u8> },
}

impl Parameter {
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value without its charset.
    pub(crate) fn octets(&self) -> &[u8] {
        match &self.value {
            Value::Plain(octets) | Value::Extended { octets, .. } => octets,
        }
    }

    /// The value of an extended parameter as text.
    pub(crate) fn extended_text(&self) -> Option<String> {
        match &self.value {
            Value::Plain(_) => None,
            Value::Extended { charset, octets, .. } => Some(charset::decode(charset, octets).into_owned()),
        }
    }
}

/// Joins the segments of each parameter; it stays where its first segment stood.
pub(crate) fn join(segments: Vec<Segment<'_>>) -> Vec<Parameter> {
    let mut joined: Vec<Joined> = Vec::new();
    let mut by_name: HashMap<Vec<u8>, usize> = HashMap::new();
    for segment in segments {
        let (name, section) = split_name(segment.name);
        let Some((number, extended)) = section else {
            joined.push(Joined::Whole(Parameter { name: name.to_vec(), value: Value::Plain(segment.value) }));
            continue;
        };
        let at = *by_name.entry(name.to_ascii_lowercase()).or_insert_with(|| {
            joined.push(Joined::Pieces(name.to_vec(), Vec::new()));
            joined.len() - 1
        });
        if let Joined::Pieces(_, pieces) = &mut joined[at] {
            pieces.push(Piece { number, extended, value: segment.value });
        }
    }
    joined.into_iter().map(Joined::finish).collect()
}

enum Joined {
    Whole(Parameter),
    Pieces(Vec<u8>, Vec<Piece>),
}

struct Piece {
    number: u32,
    extended: bool,
    value: Vec<u8>,
}

impl Joined {
    fn finish(self) -> Parameter {
        let (name, mut pieces) = match self {
            Self::Whole(parameter) => return parameter,
            Self::Pieces(name, pieces) => (name, pieces),
        };
        // RFC 2231 §3: the order in which they stand says nothing. A number that stands twice counts once.
        pieces.sort_by_key(|piece| piece.number);
        pieces.dedup_by_key(|piece| piece.number);
        let charset_named = pieces.first().is_some_and(|piece| piece.extended);
        let (mut charset, mut language, mut octets) = (Vec::new(), Vec::new(), Vec::new());
        for (at, piece) in pieces.iter().enumerate() {
            let mut text = piece.value.as_slice();
            if at == 0 && charset_named {
                let mut parts = text.splitn(3, |byte| *byte == b'\'');
                if let (Some(first), Some(second), Some(third)) = (parts.next(), parts.next(), parts.next()) {
                    (charset, language, text) = (first.to_vec(), second.to_vec(), third);
                }
            }
            if piece.extended {
                percent_decode(text, &mut octets);
            } else {
                octets.extend_from_slice(text);
            }
        }
        let value =
            if charset_named { Value::Extended { charset, language, octets } } else { Value::Plain(octets) };
        Parameter { name, value }
    }
}

/// `name`, `name*`, `name*0`, `name*0*` -> the name, and the section number with whether it is extended.
fn split_name(name: &[u8]) -> (&[u8], Option<(u32, bool)>) {
    let (stem, extended) = match name.strip_suffix(b"*") {
        Some(stem) => (stem, true),
        None => (name, false),
    };
    let star = stem.iter().rposition(|byte| *byte == b'*');
    let number = star.and_then(|star| std::str::from_utf8(&stem[star + 1..]).ok()?.parse().ok());
    match (star, number) {
        (Some(star), Some(number)) if star > 0 => (&stem[..star], Some((number, extended))),
        _ if extended && !stem.is_empty() => (stem, Some((0, true))),
        _ => (name, None),
    }
}

fn percent_decode(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((octet, tail)) = rest.split_first() {
        rest = tail;
        if *octet == b'%'
            && let [high, low, tail @ ..] = rest
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            out.push(high << 4 | low);
            rest = tail;
        } else {
            out.push(*octet);
        }
    }
}
