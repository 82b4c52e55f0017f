//! `* n FETCH (...)`.

use mail_types::{FlagBits, KeywordTable, ModSeq, Uid};

use super::Writer;
use crate::{FetchItem, InternalDate, Section, SectionText};

/// Appends the items of one FETCH reply. Ends with [`end`](FetchWriter::end).
///
/// A large body need not be in the buffer: write its header with [`literal`](FetchWriter::literal), let go of the
/// writer, send the buffer, send the bytes, and go on with [`Writer::fetch_resume`].
#[derive(Debug)]
#[must_use = "a FETCH reply must be ended"]
pub struct FetchWriter<'w> {
    writer: Writer<'w>,
    is_first: bool,
}

impl Writer<'_> {
    /// Begins the reply for the message with this sequence number.
    pub fn fetch(&mut self, sequence: u32) -> FetchWriter<'_> {
        self.named_number("* ", sequence.into());
        self.raw(" FETCH (");
        FetchWriter { writer: Writer { buf: &mut *self.buf, options: self.options }, is_first: true }
    }
    /// Begins the reply for a message: by its UID alone if the client wants that (RFC 9586 §3.3), else by its number.
    pub fn fetch_message(&mut self, sequence: u32, uid: Uid) -> FetchWriter<'_> {
        if !self.options.uid_only {
            return self.fetch(sequence);
        }
        self.named_number("* ", uid.get().into());
        self.raw(" UIDFETCH (");
        FetchWriter { writer: Writer { buf: &mut *self.buf, options: self.options }, is_first: true }
    }
    /// Goes on with a reply that has at least one item.
    pub fn fetch_resume(&mut self) -> FetchWriter<'_> {
        FetchWriter { writer: Writer { buf: &mut *self.buf, options: self.options }, is_first: false }
    }
}

impl FetchWriter<'_> {
    /// `)`
    pub fn end(mut self) {
        self.writer.raw(")\r\n");
    }
    fn item(&mut self, name: &str) {
        if !self.is_first {
            self.writer.raw(" ");
        }
        self.is_first = false;
        self.writer.raw(name);
    }

    /// `UID n`
    pub fn uid(&mut self, uid: Uid) {
        self.item("UID ");
        self.writer.number(uid.get().into());
    }
    /// `FLAGS (...)`
    pub fn flags(&mut self, flags: FlagBits, keywords: &KeywordTable) {
        self.item("FLAGS (");
        self.writer.flags(flags, keywords, &[]);
        self.writer.raw(")");
    }
    /// `FLAGS (... \Recent)` (RFC 3501 §2.3.2)
    pub fn flags_recent(&mut self, flags: FlagBits, keywords: &KeywordTable) {
        self.item("FLAGS (");
        self.writer.flags(flags, keywords, &["\\Recent"]);
        self.writer.raw(")");
    }
    /// `MODSEQ (n)`
    pub fn mod_seq(&mut self, mod_seq: ModSeq) {
        self.item("MODSEQ (");
        self.writer.number(mod_seq.get());
        self.writer.raw(")");
    }
    /// `INTERNALDATE "..."`
    pub fn internal_date(&mut self, date: InternalDate) {
        self.item("INTERNALDATE ");
        self.writer.date(date);
    }
    /// `SAVEDATE "..."`, or NIL (RFC 8514 §4.2)
    pub fn save_date(&mut self, date: Option<InternalDate>) {
        self.item("SAVEDATE ");
        match date {
            Some(date) => self.writer.date(date),
            None => self.writer.raw("NIL"),
        }
    }
    /// `RFC822.SIZE n`
    pub fn rfc822_size(&mut self, size: u64) {
        self.item("RFC822.SIZE ");
        self.writer.number(size);
    }
    /// `EMAILID (id)` (RFC 8474)
    pub fn email_id(&mut self, id: &str) {
        self.item("EMAILID (");
        self.writer.atom(id);
        self.writer.raw(")");
    }
    /// `THREADID (id)`, or NIL (RFC 8474)
    pub fn thread_id(&mut self, id: Option<&str>) {
        let Some(id) = id else { return self.item("THREADID NIL") };
        self.item("THREADID (");
        self.writer.atom(id);
        self.writer.raw(")");
    }
    /// `PREVIEW "..."`, or NIL (RFC 8970 §3.2)
    pub fn preview(&mut self, text: Option<&str>) {
        self.item("PREVIEW ");
        self.writer.nstring(text.map(str::as_bytes));
    }
    /// `ENVELOPE`, `BODY` or `BODYSTRUCTURE` with its value, which is trusted to be in the form of the grammar:
    /// storage keeps it ready to send.
    pub fn prepared(&mut self, item: &FetchItem, value: &[u8]) {
        self.name(item);
        self.writer.raw(" ");
        self.writer.buf.extend_from_slice(value);
    }
    /// Does the client read UTF-8 in quoted strings?
    pub fn is_utf8(&self) -> bool {
        self.writer.options.utf8
    }
    /// `BINARY.SIZE[1.2] n`
    pub fn binary_size(&mut self, part: &[u32], size: u64) {
        self.name(&FetchItem::BinarySize(part.to_vec()));
        self.writer.raw(" ");
        self.writer.number(size);
    }

    /// The answer to `BODY[...]`, `BINARY[...]` or `RFC822...`, whole: a literal, or `""` if there is nothing. A
    /// binary item with NUL is sent as a `literal8` (RFC 3516 §4.2).
    pub fn data(&mut self, item: &FetchItem, bytes: &[u8]) {
        if bytes.is_empty() {
            self.name(item);
            return self.writer.raw(" \"\"");
        }
        let is_binary = matches!(item, FetchItem::Binary { .. }) && memchr::memchr(0, bytes).is_some();
        if is_binary {
            self.literal8(item, bytes.len() as u64)
        } else {
            self.literal(item, bytes.len() as u64)
        }
        self.writer.buf.extend_from_slice(bytes);
    }
    /// NIL instead of data: there is no such part.
    pub fn nil(&mut self, item: &FetchItem) {
        self.name(item);
        self.writer.raw(" NIL");
    }
    /// The name and the literal header; exactly `size` bytes must follow. The name tells the origin of a partial
    /// fetch but not its length (RFC 9051 §7.5.2).
    pub fn literal(&mut self, item: &FetchItem, size: u64) {
        self.name(item);
        self.writer.raw(" ");
        self.writer.literal_header(size);
    }
    /// As [`literal`](Self::literal), for bytes that may hold NUL; only for BINARY.
    pub fn literal8(&mut self, item: &FetchItem, size: u64) {
        self.name(item);
        self.writer.raw(" ~");
        self.writer.literal_header(size);
    }

    fn name(&mut self, item: &FetchItem) {
        let (name, partial) = match item {
            FetchItem::BodySection { partial, .. } => ("BODY[", *partial),
            FetchItem::Binary { partial, .. } => ("BINARY[", *partial),
            item => (simple_name(item), None),
        };
        self.item(name);
        match item {
            FetchItem::BodySection { section, .. } => self.section(section),
            FetchItem::Binary { part, .. } | FetchItem::BinarySize(part) => self.part(part),
            _ => return,
        }
        self.writer.raw("]");
        if let Some(partial) = partial {
            self.writer.named_number("<", partial.offset);
            self.writer.raw(">");
        }
    }

    fn section(&mut self, section: &Section) {
        self.part(&section.part);
        let Some(text) = &section.text else { return };
        if !section.part.is_empty() {
            self.writer.raw(".");
        }
        match text {
            SectionText::Header => self.writer.raw("HEADER"),
            SectionText::Text => self.writer.raw("TEXT"),
            SectionText::Mime => self.writer.raw("MIME"),
            SectionText::HeaderFields(names) => self.header_names("HEADER.FIELDS (", names),
            SectionText::HeaderFieldsNot(names) => self.header_names("HEADER.FIELDS.NOT (", names),
        }
    }
    fn header_names(&mut self, head: &str, names: &[String]) {
        self.writer.raw(head);
        for (i, name) in names.iter().enumerate() {
            if i > 0 {
                self.writer.raw(" ");
            }
            self.writer.astring(name.as_bytes());
        }
        self.writer.raw(")");
    }
    fn part(&mut self, part: &[u32]) {
        for (i, number) in part.iter().enumerate() {
            if i > 0 {
                self.writer.raw(".");
            }
            self.writer.number((*number).into());
        }
    }
}

impl Writer<'_> {
    /// A quoted `date-time`.
    pub(crate) fn date(&mut self, date: InternalDate) {
        self.raw("\"");
        self.raw(&date.to_string());
        self.raw("\"");
    }
}

fn simple_name(item: &FetchItem) -> &'static str {
    match item {
        FetchItem::Body => "BODY",
        FetchItem::BodySection { .. } => "BODY[",
        FetchItem::BodyStructure => "BODYSTRUCTURE",
        FetchItem::Binary { .. } => "BINARY[",
        FetchItem::BinarySize(_) => "BINARY.SIZE[",
        FetchItem::EmailId => "EMAILID",
        FetchItem::Envelope => "ENVELOPE",
        FetchItem::Flags => "FLAGS",
        FetchItem::InternalDate => "INTERNALDATE",
        FetchItem::ModSeq => "MODSEQ",
        FetchItem::Preview { .. } => "PREVIEW",
        FetchItem::Rfc822 => "RFC822",
        FetchItem::Rfc822Header => "RFC822.HEADER",
        FetchItem::Rfc822Size => "RFC822.SIZE",
        FetchItem::Rfc822Text => "RFC822.TEXT",
        FetchItem::SaveDate => "SAVEDATE",
        FetchItem::ThreadId => "THREADID",
        FetchItem::Uid => "UID",
    }
}
