//! Untagged replies about the session and the selected mailbox.

use mail_types::{FlagBits, KeywordTable, UidSet};

use super::Writer;

impl Writer<'_> {
    /// `* n EXISTS`
    pub fn exists(&mut self, count: u32) {
        self.counted(count, " EXISTS\r\n");
    }
    /// `* n RECENT` (RFC 3501 §7.3.2)
    pub fn recent(&mut self, count: u32) {
        self.counted(count, " RECENT\r\n");
    }
    /// `* n EXPUNGE`: a sequence number.
    pub fn expunge(&mut self, sequence: u32) {
        self.counted(sequence, " EXPUNGE\r\n");
    }
    fn counted(&mut self, number: u32, rest: &str) {
        self.named_number("* ", number.into());
        self.raw(rest);
    }
    /// `* VANISHED uids` (RFC 7162 §3.2.10): gone now. Nothing for an empty set.
    pub fn vanished(&mut self, uids: &UidSet) {
        self.vanished_line("* VANISHED ", uids);
    }
    /// `* VANISHED (EARLIER) uids`: gone since the client last looked. Nothing for an empty set.
    pub fn vanished_earlier(&mut self, uids: &UidSet) {
        self.vanished_line("* VANISHED (EARLIER) ", uids);
    }
    fn vanished_line(&mut self, head: &str, uids: &UidSet) {
        if uids.is_empty() {
            return;
        }
        self.raw(head);
        self.set(uids);
        self.line_end();
    }
    /// `* FLAGS (...)`: the flags of the mailbox.
    pub fn mailbox_flags(&mut self, flags: FlagBits, keywords: &KeywordTable) {
        self.raw("* FLAGS (");
        self.flags(flags, keywords, &[]);
        self.raw(")\r\n");
    }
    /// `* CAPABILITY ...`
    pub fn capability(&mut self, names: &[&str]) {
        self.raw("* CAPABILITY");
        self.words(names.iter().copied());
        self.line_end();
    }
    /// `* ENABLED ...` (RFC 9051 §7.2.1), also with no names.
    pub fn enabled(&mut self, names: &[&str]) {
        self.raw("* ENABLED");
        self.words(names.iter().copied());
        self.line_end();
    }
    /// `* ID (...)` (RFC 2971 §3.2); NIL for no fields.
    pub fn id(&mut self, fields: &[(&str, Option<&str>)]) {
        if fields.is_empty() {
            return self.raw("* ID NIL\r\n");
        }
        self.raw("* ID (");
        for (i, (field, value)) in fields.iter().enumerate() {
            self.raw(if i > 0 { " " } else { "" });
            self.string(field.as_bytes());
            self.raw(" ");
            self.nstring(value.map(str::as_bytes));
        }
        self.raw(")\r\n");
    }
    /// `* LANGUAGE (...)` (RFC 5255 §3.3)
    pub fn language(&mut self, tags: &[&str]) {
        self.raw("* LANGUAGE (");
        for (i, tag) in tags.iter().enumerate() {
            self.raw(if i > 0 { " " } else { "" });
            self.astring(tag.as_bytes());
        }
        self.raw(")\r\n");
    }
    /// `* COMPARATOR name` (RFC 5255 §4.8)
    pub fn comparator(&mut self, name: &str) {
        self.raw("* COMPARATOR ");
        self.astring(name.as_bytes());
        self.line_end();
    }
    /// `* GENURLAUTH url...` (RFC 4467 §7)
    pub fn gen_url_auth(&mut self, urls: &[&str]) {
        self.raw("* GENURLAUTH");
        for url in urls {
            self.raw(" ");
            self.string(url.as_bytes());
        }
        self.line_end();
    }
    /// `* URLFETCH url {n}`, after which the caller writes the octets and [`Self::url_fetch_end`].
    pub fn url_fetch_literal(&mut self, url: &[u8], size: u64) {
        self.raw("* URLFETCH ");
        self.string(url);
        self.raw(" ");
        self.literal_header(size);
    }
    /// Ends a URLFETCH line.
    pub fn url_fetch_end(&mut self) {
        self.line_end();
    }
    /// `* URLFETCH url data...` (RFC 4467 §7); NIL for a URL that cannot be had.
    pub fn url_fetch(&mut self, urls: &[(&[u8], Option<&[u8]>)]) {
        self.raw("* URLFETCH");
        for (url, data) in urls {
            self.raw(" ");
            self.string(url);
            self.raw(" ");
            self.nstring(*data);
        }
        self.line_end();
    }
}
