//! Address lists, RFC 5322 §3.4 with the obsolete forms of §4.4, and whatever else stands there. Linear.

use std::ops::ControlFlow;

use crate::header::{is_blank, trim};

/// What an address list is made of, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// One mailbox.
    Mailbox(Mailbox),
    /// `name:`
    GroupStart(Vec<u8>),
    /// `;`, or the end of the field.
    GroupEnd,
}

/// Quotes and comments removed, encoded words as written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Mailbox {
    /// The display name, or the comment of an old style address.
    pub(crate) name: Option<Vec<u8>>,
    /// The obsolete route, as `@a,@b`.
    pub(crate) route: Option<Vec<u8>>,
    /// Empty if there is none.
    pub(crate) local: Vec<u8>,
    /// Empty if there is none.
    pub(crate) host: Vec<u8>,
}

/// Calls `sink` for each entry until it breaks.
pub(crate) fn parse(value: &[u8], sink: &mut dyn FnMut(Entry) -> ControlFlow<()>) {
    let parser =
        Parser { rest: value, words: Words::default(), mailbox: None, comment: None, in_group: false, sink };
    // Where the sink broke off says nothing more.
    let (ControlFlow::Continue(()) | ControlFlow::Break(())) = parser.run();
}

/// Text of words, single blanks between them.
#[derive(Default)]
struct Words {
    bytes: Vec<u8>,
    /// Where the last `@` outside of quotes stands.
    at: Option<usize>,
    /// A blank is due before the next word.
    blank: bool,
    quoted: bool,
}

impl Words {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.quoted
    }

    fn push(&mut self, byte: u8) {
        if std::mem::take(&mut self.blank) && !self.bytes.is_empty() {
            self.bytes.push(b' ');
        }
        self.bytes.push(byte);
    }

    /// Text of a quoted string, or of anything else that is taken as it is.
    fn push_all(&mut self, text: &[u8]) {
        if std::mem::take(&mut self.blank) && !self.bytes.is_empty() {
            self.bytes.push(b' ');
        }
        self.bytes.extend_from_slice(text);
    }

    fn push_at(&mut self) {
        self.at = Some(self.bytes.len());
        self.blank = false;
        self.bytes.push(b'@');
    }

    /// Local part and domain; both may be empty.
    fn into_addr_spec(mut self) -> (Vec<u8>, Vec<u8>) {
        let Some(at) = self.at else { return (self.bytes, Vec::new()) };
        let mut host = self.bytes.split_off(at);
        // RFC 5322 §4.4: blanks may stand around every dot.
        host.retain(|byte| !is_blank(*byte) && *byte != b'@');
        if !self.quoted {
            self.bytes.retain(|byte| !is_blank(*byte));
        }
        (self.bytes, host)
    }
}

struct Parser<'a, 's> {
    rest: &'a [u8],
    words: Words,
    /// The address in angle brackets of the current item.
    mailbox: Option<Mailbox>,
    comment: Option<Vec<u8>>,
    in_group: bool,
    sink: &'s mut dyn FnMut(Entry) -> ControlFlow<()>,
}

impl Parser<'_, '_> {
    fn run(mut self) -> ControlFlow<()> {
        while let Some((byte, rest)) = self.rest.split_first() {
            self.rest = rest;
            match byte {
                b'<' => {
                    if self.mailbox.is_some() {
                        self.finish_item()?;
                    }
                    let name = std::mem::take(&mut self.words);
                    let mut mailbox = self.angle();
                    mailbox.name = (!name.is_empty()).then_some(name.bytes);
                    self.mailbox = Some(mailbox);
                }
                b',' => self.finish_item()?,
                b';' => {
                    self.finish_item()?;
                    if std::mem::take(&mut self.in_group) {
                        (self.sink)(Entry::GroupEnd)?;
                    }
                }
                b':' if !self.in_group && self.mailbox.is_none() && self.words.at.is_none() => {
                    self.in_group = true;
                    let name = std::mem::take(&mut self.words);
                    (self.sink)(Entry::GroupStart(name.bytes))?;
                }
                _ => self.word(*byte),
            }
        }
        self.finish_item()?;
        if self.in_group { (self.sink)(Entry::GroupEnd) } else { ControlFlow::Continue(()) }
    }

    /// What may stand both in a display name and in an address.
    fn word(&mut self, byte: u8) {
        match byte {
            b'(' => {
                let comment = self.comment();
                if !trim(&comment).is_empty() {
                    self.comment = Some(trim(&comment).to_vec());
                }
                self.words.blank = true;
            }
            b'"' => {
                let text = self.quoted();
                self.words.push_all(&text);
                self.words.quoted = true;
            }
            b'[' if self.words.at.is_some() => {
                let end = self.rest.iter().position(|byte| matches!(byte, b']' | b',' | b'>'));
                let (literal, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.words.push(b'[');
                self.words.push_all(literal);
                self.rest = rest;
            }
            b'\\' => {
                if let Some((escaped, rest)) = self.rest.split_first() {
                    self.words.push(*escaped);
                    self.rest = rest;
                }
            }
            b'@' => self.words.push_at(),
            byte if is_blank(byte) => self.words.blank = true,
            byte => self.words.push(byte),
        }
    }

    /// What follows `<`, up to `>`, or to what shows that it was forgotten.
    fn angle(&mut self) -> Mailbox {
        let comment = self.comment.take();
        let mut route = None;
        while let Some((byte, rest)) = self.rest.split_first() {
            let in_route = route.is_none() && !self.words.quoted && self.words.bytes.first() == Some(&b'@');
            match byte {
                b'>' => {
                    self.rest = rest;
                    break;
                }
                b':' if in_route => {
                    self.rest = rest;
                    route = Some(std::mem::take(&mut self.words).bytes);
                }
                b',' if in_route => {
                    self.rest = rest;
                    self.words.push(b',');
                }
                b',' | b'<' | b';' => break,
                byte => {
                    self.rest = rest;
                    self.word(*byte);
                }
            }
        }
        let (local, host) = std::mem::take(&mut self.words).into_addr_spec();
        self.comment = self.comment.take().or(comment);
        Mailbox { name: None, route, local, host }
    }

    fn finish_item(&mut self) -> ControlFlow<()> {
        let words = std::mem::take(&mut self.words);
        let comment = self.comment.take();
        let mut mailbox = match self.mailbox.take() {
            Some(mailbox) => mailbox,
            None if words.is_empty() => return ControlFlow::Continue(()),
            // Words without an address are a name.
            None if words.at.is_none() && words.bytes.contains(&b' ') => {
                Mailbox { name: Some(words.bytes), ..Mailbox::default() }
            }
            None => {
                let (local, host) = words.into_addr_spec();
                Mailbox { local, host, ..Mailbox::default() }
            }
        };
        mailbox.name = mailbox.name.or(comment);
        if mailbox == Mailbox::default() {
            return ControlFlow::Continue(());
        }
        (self.sink)(Entry::Mailbox(mailbox))
    }

    /// What follows `(`, up to its `)`; nested ones are part of the text.
    fn comment(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut depth = 1_usize;
        while let Some((byte, rest)) = self.rest.split_first() {
            self.rest = rest;
            match byte {
                b'\\' => {
                    if let Some((escaped, rest)) = self.rest.split_first() {
                        text.push(*escaped);
                        self.rest = rest;
                    }
                    continue;
                }
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            text.push(*byte);
        }
        text
    }

    /// What follows `"`, up to the next one.
    fn quoted(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        while let Some((byte, rest)) = self.rest.split_first() {
            self.rest = rest;
            match byte {
                b'"' => break,
                b'\\' => {
                    if let Some((escaped, rest)) = self.rest.split_first() {
                        text.push(*escaped);
                        self.rest = rest;
                    }
                }
                b'\r' | b'\n' => {}
                _ => text.push(*byte),
            }
        }
        text
    }
}
