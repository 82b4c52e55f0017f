//! HTML -> the text a reader sees, for SEARCH and PREVIEW. No tree, one pass.

use mail_parser::decoders::html::add_html_token;
use memchr::{memchr, memchr2, memmem};

/// Longest name of a character reference, `&` and `;` included.
const REFERENCE_MAX: usize = 34;

/// Elements whose content isn't text, and the title, which isn't shown.
const SKIPPED: [&str; 5] = ["script", "style", "template", "title", "noembed"];

/// Elements that don't divide words.
const INLINE: [&str; 26] = [
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "em", "font", "i", "ins", "kbd",
    "mark", "s", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "wbr",
];

/// Attributes with text or addresses a user may search for.
const SHOWN_ATTRIBUTES: [&str; 3] = ["href", "alt", "title"];

/// The text of an HTML document.
#[derive(Debug, Default)]
pub(crate) struct HtmlText {
    /// What is between the tags; blanks are as written.
    pub(crate) text: String,
    /// Link targets and descriptions of images, one a line.
    pub(crate) attributes: String,
}

impl HtmlText {
    pub(crate) fn read(html: &str) -> Self {
        let mut found = Self { text: String::with_capacity(html.len() / 2), attributes: String::new() };
        let mut rest = html;
        while let Some(at) = memchr2(b'<', b'&', rest.as_bytes()) {
            found.text.push_str(&rest[..at]);
            rest = &rest[at..];
            let taken =
                if rest.starts_with('<') { found.markup(rest) } else { reference(rest, &mut found.text) };
            rest = &rest[taken..];
        }
        found.text.push_str(rest);
        found
    }

    /// Handles the markup at the start of `html`, which is `<`; returns its length.
    fn markup(&mut self, html: &str) -> usize {
        if let Some(comment) = html.strip_prefix("<!--") {
            return memmem::find(comment.as_bytes(), b"-->").map_or(html.len(), |end| end + 7);
        }
        let (closing, inner) = match html[1..].strip_prefix('/') {
            Some(inner) => (true, inner),
            None => (false, &html[1..]),
        };
        match inner.bytes().next() {
            Some(byte) if byte.is_ascii_alphabetic() => {}
            Some(b'!' | b'?') => return memchr(b'>', html.as_bytes()).map_or(html.len(), |end| end + 1),
            _ => {
                self.text.push('<');
                return 1;
            }
        }
        let name_end = inner.bytes().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(inner.len());
        let (name, attributes) = inner.split_at(name_end);
        let end = html.len() - attributes.len() + tag_end(attributes.as_bytes());
        if !closing {
            self.attributes(&attributes[..tag_end(attributes.as_bytes())]);
        }
        if !is_any(name, &INLINE) {
            self.text.push('\n');
        }
        if !closing && is_any(name, &SKIPPED) {
            return end + skipped(&html.as_bytes()[end..], name);
        }
        end
    }

    fn attributes(&mut self, tag: &str) {
        let mut rest = tag;
        while let Some(equals) = memchr(b'=', rest.as_bytes()) {
            let name = rest[..equals]
                .trim_end()
                .rsplit([' ', '\t', '\r', '\n', '"', '\'', '/'])
                .next()
                .unwrap_or("");
            let value = rest[equals + 1..].trim_start();
            let (value, after) = match value.as_bytes().first() {
                Some(quote @ (b'"' | b'\'')) => {
                    let inner = &value[1..];
                    let end = memchr(*quote, inner.as_bytes()).unwrap_or(inner.len());
                    (&inner[..end], &inner[end..])
                }
                _ => value.split_at(value.find([' ', '\t', '\r', '\n', '>']).unwrap_or(value.len())),
            };
            if is_any(name, &SHOWN_ATTRIBUTES) && !value.is_empty() {
                push_text(value, &mut self.attributes);
                self.attributes.push('\n');
            }
            rest = after;
        }
    }
}

fn is_any(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Length of the rest of a tag, its `>` included; one in quotes doesn't count.
fn tag_end(tag: &[u8]) -> usize {
    let mut quote = None;
    for (at, byte) in tag.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at + 1,
            (None, b'"' | b'\'') if at > 0 && matches!(tag[at - 1], b'=' | b' ') => quote = Some(*byte),
            (Some(open), byte) if open == *byte => quote = None,
            _ => {}
        }
    }
    tag.len()
}

/// Length of what stands before the closing tag of a skipped element; without one, of everything.
fn skipped(html: &[u8], name: &str) -> usize {
    let mut from = 0;
    while let Some(at) = memchr(b'<', &html[from..]) {
        let tag = &html[from + at..];
        if tag.get(1) == Some(&b'/')
            && tag.get(2..2 + name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
        {
            return from + at;
        }
        from += at + 1;
    }
    html.len()
}

fn push_text(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = memchr(b'&', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let taken = reference(&rest[at..], out);
        rest = &rest[at + taken..];
    }
    out.push_str(rest);
}

/// Appends what the character reference at the start of `html`, which is `&`, stands for; returns its length.
fn reference(html: &str, out: &mut String) -> usize {
    let bytes = html.as_bytes();
    let name = bytes[1..]
        .iter()
        .take(REFERENCE_MAX)
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'#');
    let end = 1 + name.count();
    if bytes.get(end) != Some(&b';') {
        out.push('&');
        return 1;
    }
    add_html_token(out, &bytes[..=end], false);
    end + 1
}
