//! The text of a message, for SEARCH and PREVIEW: decoded once, used for both.

use std::borrow::Cow;

use memchr::memchr;

use crate::charset;
use crate::content_type::{ContentType, Disposition};
use crate::encoded_word;
use crate::header::{Field, fields};
use crate::html::HtmlText;
use crate::index::{Part, PartIndex, PartKind};
use crate::limits::{
    PREVIEW_CHARS_MAX, SEARCH_HEADER_MAX, SEARCH_MIME_MAX, SEARCH_TEXT_MAX, TEXT_PART_MAX, TEXT_TOTAL_MAX,
};
use crate::parameter::Parameter;
use crate::search::{Folder, SECTION_END, is_invisible};
use crate::structure::slice;
use crate::transfer;

/// The texts derived from a message.
pub(crate) struct Texts {
    pub(crate) search: String,
    pub(crate) preview: String,
}

/// Reads all text of a message.
pub(crate) fn read(message: &[u8], index: &PartIndex) -> Texts {
    let mut search = String::with_capacity(message.len().min(SEARCH_TEXT_MAX));
    put_header(&mut search, slice(message, &index.root().header), SEARCH_HEADER_MAX);
    search.push(SECTION_END);
    let mime_end = search.len() + SEARCH_MIME_MAX;
    for (at, part) in index.parts().iter().enumerate().skip(1) {
        if !is_message_root(index, at) {
            let room = mime_end.saturating_sub(search.len());
            put_header(&mut search, slice(message, &part.header), room);
        }
    }
    search.push(SECTION_END);
    let mut reader = Reader {
        message,
        index,
        search,
        plain: Preview::default(),
        html: Preview::default(),
        budget: TEXT_TOTAL_MAX,
    };
    reader.read_parts();
    reader.search.push(SECTION_END);
    let preview = if reader.plain.text.is_empty() { reader.html.text } else { reader.plain.text };
    Texts { search: reader.search, preview }
}

/// Is it the message inside a message/rfc822 part? Its header is text of the body.
fn is_message_root(index: &PartIndex, at: usize) -> bool {
    at > 0 && index.parts()[at - 1].kind == PartKind::Message
}

/// Appends one `name: value` line for each field, within `room` octets.
fn put_header(out: &mut String, header: &[u8], room: usize) {
    let end = out.len() + room;
    for field in fields(header) {
        if out.len() >= end {
            return;
        }
        if field.name.is_empty() {
            continue;
        }
        let start = out.len();
        let room = end - start;
        Folder::new(out, room).push(&charset::guess(field.name));
        out.push_str(": ");
        Folder::new(out, room).push(encoded_word::decode(field.value).trim());
        if let Some(extended) = extended_values(&field) {
            Folder::new(out, room).push(&extended);
        }
        out.push('\n');
    }
}

/// RFC 2231 values, which the field itself holds encoded: file names most of all.
fn extended_values(field: &Field<'_>) -> Option<String> {
    memchr(b'*', field.value)?;
    let parameters = if field.is("Content-Type") {
        ContentType::parse(field.value)?.parameters
    } else if field.is("Content-Disposition") {
        Disposition::parse(field.value)?.parameters
    } else {
        return None;
    };
    let values: Vec<String> = parameters.iter().filter_map(Parameter::extended_text).collect();
    Some(format!(" {}", values.join(" ")))
}

struct Reader<'a> {
    message: &'a [u8],
    index: &'a PartIndex,
    search: String,
    /// From text/plain, and from text/html for messages that have no other.
    plain: Preview,
    html: Preview,
    /// Encoded octets that may still be decoded.
    budget: usize,
}

impl Reader<'_> {
    fn read_parts(&mut self) {
        let index = self.index;
        // Parts of messages inside this one say nothing about this one at a glance.
        let mut nested_until = 0;
        for (at, part) in index.parts().iter().enumerate() {
            if is_message_root(index, at) {
                let room = self.room();
                put_header(&mut self.search, slice(self.message, &part.header), room);
            }
            if part.kind == PartKind::Message {
                nested_until = nested_until.max(at + part.subtree as usize);
            }
            if part.kind == PartKind::Leaf && part.media.main == "text" {
                let previewed = at >= nested_until && self.wants_preview(part);
                if self.room() > 0 || previewed {
                    self.read_text(part, previewed);
                }
            }
        }
    }

    fn room(&self) -> usize {
        SEARCH_TEXT_MAX.saturating_sub(self.search.len())
    }

    fn wants_preview(&self, part: &Part) -> bool {
        let wanted = match &*part.media.sub {
            "plain" => true,
            "html" => self.html.text.is_empty(),
            _ => false,
        };
        wanted && self.plain.text.is_empty() && !self.is_attachment(part)
    }

    fn is_attachment(&self, part: &Part) -> bool {
        fields(slice(self.message, &part.header))
            .find(|field| field.is("Content-Disposition"))
            .and_then(|field| Disposition::parse(field.value))
            .is_some_and(|disposition| disposition.name.eq_ignore_ascii_case(b"attachment"))
    }

    fn read_text(&mut self, part: &Part, previewed: bool) {
        let body = slice(self.message, &part.body);
        let body = &body[..body.len().min(TEXT_PART_MAX).min(self.budget)];
        self.budget -= body.len();
        let Ok(octets) = transfer::decode(part.encoding, body) else { return };
        let html = part.media.sub == "html";
        let text = decode_text(part, &octets);
        let found;
        let (text, attributes): (&str, &str) = if html {
            found = HtmlText::read(&text);
            (&found.text, &found.attributes)
        } else {
            (&text, "")
        };
        if previewed {
            if html { &mut self.html } else { &mut self.plain }.read(text);
        }
        let room = self.room();
        let mut folder = Folder::new(&mut self.search, room);
        folder.push(text);
        folder.push(attributes);
        // Text of two parts must not match as one.
        folder.end_line();
    }
}

fn decode_text<'a>(part: &Part, octets: &'a [u8]) -> Cow<'a, str> {
    match &part.charset {
        Some(name) => charset::decode(name.as_bytes(), octets),
        None if part.media.sub == "html" => charset::decode(meta_charset(octets), octets),
        None => charset::guess(octets),
    }
}

/// The charset an HTML document names in its first kilobyte; empty if none.
fn meta_charset(octets: &[u8]) -> &[u8] {
    let head = &octets[..octets.len().min(1024)];
    let Some(at) = head.windows(8).position(|window| window.eq_ignore_ascii_case(b"charset=")) else {
        return b"";
    };
    let name = &head[at + 8..];
    let name = name.strip_prefix(b"\"").or_else(|| name.strip_prefix(b"'")).unwrap_or(name);
    let end = name.iter().position(|byte| !byte.is_ascii_alphanumeric() && !b"-_:.".contains(byte));
    &name[..end.unwrap_or(name.len())]
}

#[derive(Default)]
struct Preview {
    text: String,
}

impl Preview {
    /// Takes the beginning of a text, runs of blanks as one space.
    fn read(&mut self, text: &str) {
        let mut left = PREVIEW_CHARS_MAX;
        let mut blank = false;
        for character in text.chars() {
            if character.is_whitespace() || character.is_control() {
                blank = !self.text.is_empty();
            } else if !is_invisible(character) {
                let needed = if blank { 2 } else { 1 };
                if left < needed {
                    return;
                }
                left -= needed;
                if std::mem::take(&mut blank) {
                    self.text.push(' ');
                }
                self.text.push(character);
            }
        }
    }
}
