//! Strings, mailbox names, flags and dates.

use bytes::{Bytes, BytesMut};
use mail_types::{FlagBits, Keyword, MailboxName};
use memchr::memchr;

use super::cursor::{Cursor, Fail, Parsed, is_astring_char, is_list_char};
use crate::parse::ParseErrorKind;
use crate::{Date, FlagList, InternalDate, utf7};

impl Cursor<'_> {
    /// `string = quoted / literal`, without NUL. Eight-bit bytes are taken in quoted strings too: what they mean is
    /// checked by whoever reads the text.
    pub(crate) fn string(&mut self) -> Parsed<Bytes> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(false),
            _ => self.expected("a string"),
        }
    }
    /// `string` or `literal8`, which may hold NUL.
    pub(crate) fn binary_string(&mut self) -> Parsed<Bytes> {
        match self.peek() {
            Some(b'~') => self.literal(true),
            _ => self.string(),
        }
    }
    /// `astring = 1*ASTRING-CHAR / string`
    pub(crate) fn astring(&mut self) -> Parsed<Bytes> {
        self.bare_or_string(is_astring_char)
    }
    fn bare_or_string(&mut self, kind: impl Fn(u8) -> bool) -> Parsed<Bytes> {
        let start = self.at;
        if self.run(kind).is_empty() {
            return self.string();
        }
        Ok(self.frame.bytes.slice(start..self.at))
    }
    /// An `astring` in UTF-8.
    pub(crate) fn astring_text(&mut self) -> Parsed<String> {
        let start = self.at;
        text(self.astring()?, start, ParseErrorKind::Text)
    }

    fn quoted(&mut self) -> Parsed<Bytes> {
        let start = self.at;
        let bytes = self.quoted_bytes()?;
        // RFC 6855 §3: eight-bit octets that are no UTF-8 are BAD.
        if self.options.utf8 && std::str::from_utf8(&bytes).is_err() {
            return Err(Fail { kind: ParseErrorKind::Text, at: start });
        }
        Ok(bytes)
    }
    fn quoted_bytes(&mut self) -> Parsed<Bytes> {
        self.at += 1;
        let start = self.at;
        let plain = self.run(is_plain);
        if self.take(b'"') {
            return Ok(self.frame.bytes.slice(start..self.at - 1));
        }
        let mut out = BytesMut::from(plain);
        loop {
            if self.take(b'"') {
                return Ok(out.freeze());
            }
            if self.take(b'\\') {
                match self.peek() {
                    Some(c @ (b'"' | b'\\')) => {
                        self.at += 1;
                        out.extend_from_slice(&[c]);
                    }
                    _ => return self.expected("an escaped quote or backslash"),
                }
                continue;
            }
            let plain = self.run(is_plain);
            if plain.is_empty() {
                return self.expected("a closing quote");
            }
            out.extend_from_slice(plain);
        }
    }

    fn literal(&mut self, binary: bool) -> Parsed<Bytes> {
        let start = self.at;
        let Some(literal) = self.take_literal().filter(|literal| literal.binary == binary) else {
            return Err(Fail { kind: ParseErrorKind::Expected("a string"), at: start });
        };
        let bytes = self.frame.bytes.slice(literal.data.clone());
        if !binary && memchr(0, &bytes).is_some() {
            return Err(Fail { kind: ParseErrorKind::Nul, at: start });
        }
        Ok(bytes)
    }

    /// `mailbox`
    pub(crate) fn mailbox(&mut self) -> Parsed<MailboxName> {
        let start = self.at;
        let name = self.mailbox_text()?;
        self.mailbox_name(&name, start)
    }
    /// The mailbox that CREATE makes: one separator at the end only says that there will be others below
    /// (RFC 3501 §6.3.3).
    pub(crate) fn new_mailbox(&mut self) -> Parsed<MailboxName> {
        let start = self.at;
        let name = self.mailbox_text()?;
        self.mailbox_name(name.strip_suffix(mail_types::HIERARCHY_SEPARATOR).unwrap_or(&name), start)
    }
    /// `mailbox`, or `None` for the empty name, which stands for the server.
    pub(crate) fn mailbox_or_server(&mut self) -> Parsed<Option<MailboxName>> {
        let start = self.at;
        let name = self.mailbox_text()?;
        if name.is_empty() { Ok(None) } else { self.mailbox_name(&name, start).map(Some) }
    }
    /// The text of a mailbox name that need not be possible.
    pub(crate) fn mailbox_text(&mut self) -> Parsed<String> {
        let start = self.at;
        let bytes = self.astring()?;
        self.name_text(bytes, start)
    }
    /// `list-mailbox = 1*list-char / string`, with runs of wildcards made as short as they can be.
    pub(crate) fn list_mailbox(&mut self) -> Parsed<String> {
        let start = self.at;
        let bytes = self.bare_or_string(is_list_char)?;
        let pattern = self.name_text(bytes, start)?;
        Ok(crate::pattern::shorten(&mail_types::normalize(&pattern)))
    }
    fn mailbox_name(&mut self, given: &str, at: usize) -> Parsed<MailboxName> {
        let name = MailboxName::try_from(given)
            .map_err(|error| Fail { kind: ParseErrorKind::MailboxName(error), at })?;
        if name.as_str() != given && self.normalized.len() < NORMALIZED_MAX {
            self.normalized.push((given.to_owned(), name.clone()));
        }
        Ok(name)
    }
    fn name_text(&self, bytes: Bytes, start: usize) -> Parsed<String> {
        if self.options.utf8 {
            return text(bytes, start, ParseErrorKind::MailboxEncoding);
        }
        utf7::decode(&bytes).map_err(|_| Fail { kind: ParseErrorKind::MailboxEncoding, at: start })
    }

    /// `flag`, added to a list.
    pub(crate) fn flag(&mut self, list: &mut FlagList) -> Parsed<()> {
        let start = self.at;
        let bad = Fail { kind: ParseErrorKind::Expected("a flag"), at: start };
        let is_system = self.take(b'\\');
        let atom = self.atom()?;
        if !is_system {
            let keyword = Keyword::try_from(atom).map_err(|_| bad)?;
            let is_known = |known: &Keyword| known.as_str().eq_ignore_ascii_case(keyword.as_str());
            if !list.keywords.iter().any(is_known) {
                list.keywords.push(keyword);
            }
            return if list.keywords.len() > KEYWORDS_IN_LIST_MAX {
                self.expected("fewer keywords")
            } else {
                Ok(())
            };
        }
        if atom.eq_ignore_ascii_case("Recent") {
            return Ok(());
        }
        let name = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
        list.system = list.system.with(FlagBits::system(name).ok_or(bad)?);
        Ok(())
    }
    /// `flag-list`
    pub(crate) fn flag_list(&mut self) -> Parsed<FlagList> {
        let mut flags = FlagList::default();
        self.list_or_empty(|cursor| cursor.flag(&mut flags))?;
        Ok(flags)
    }

    /// `date-time`
    pub(crate) fn date_time(&mut self) -> Parsed<InternalDate> {
        let start = self.at;
        let bytes = self.quoted()?;
        InternalDate::parse(&bytes).ok_or(Fail { kind: ParseErrorKind::Expected("a date"), at: start })
    }
    /// `date = date-text / DQUOTE date-text DQUOTE`
    pub(crate) fn date(&mut self) -> Parsed<Date> {
        let start = self.at;
        let bytes = self.astring()?;
        Date::parse(&bytes).ok_or(Fail { kind: ParseErrorKind::Expected("a date"), at: start })
    }
}

/// Most keywords in one STORE or APPEND. A mailbox holds fewer; the list is searched for each of its members.
const KEYWORDS_IN_LIST_MAX: usize = 256;

/// Names of one command whose other form is remembered; those that answer with it have two.
const NORMALIZED_MAX: usize = 2;

/// Within quotes. A line end is the beginning of a literal, which no quoted string can hold.
fn is_plain(b: u8) -> bool {
    !matches!(b, b'"' | b'\\' | b'\r' | b'\n')
}

fn text(bytes: Bytes, at: usize, kind: ParseErrorKind) -> Parsed<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Fail { kind, at })
}
