//! What SORT and THREAD look at (RFC 5256, RFC 5957), made once and kept as one small blob.

use std::ops::ControlFlow;

use crate::address::{Entry, parse};
use crate::casemap::casemap;
use crate::header::{fields, is_blank};
use crate::limits::{BASE_SUBJECT_MAX, REFERENCES_MAX, SORT_NAME_MAX};
use crate::subject::base_subject;
use crate::thread::fnv1a;
use crate::{charset, date, encoded_word};

/// First octet of the blob: its form.
const FORM: u8 = 1;
const HAS_DATE: u8 = 1;
const IS_REPLY: u8 = 2;
/// Texts of a blob.
const TEXTS: usize = 6;

/// The keys of one message. Texts are in the form of the collation `i;unicode-casemap` (RFC 5051), to be compared
/// by their octets; one that is missing is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortKeys<'a> {
    /// The Date field in seconds since 1970 UTC.
    pub sent_at: Option<i64>,
    /// RFC 5256 §3: the subject is that of a reply, or of a forwarded message.
    pub is_reply: bool,
    /// addr-mailbox of the first From address.
    pub from: &'a str,
    /// Of the first To address.
    pub to: &'a str,
    /// Of the first Cc address.
    pub cc: &'a str,
    /// What the first From address is shown as (RFC 5957 §3).
    pub display_from: &'a str,
    /// What the first To address is shown as.
    pub display_to: &'a str,
    /// RFC 5256 §2.1.
    pub subject: &'a str,
    /// Hash of the Message-ID; 0: none.
    pub id: u64,
    references: &'a [u8],
}

impl<'a> SortKeys<'a> {
    /// Reads what [`sort_keys`] made. `None`: it is not of this form.
    pub fn decode(blob: &'a [u8]) -> Option<Self> {
        let mut rest = blob;
        let [form, marks] = *take(&mut rest)?;
        if form != FORM {
            return None;
        }
        let sent_at = i64::from_le_bytes(*take(&mut rest)?);
        let id = u64::from_le_bytes(*take(&mut rest)?);
        let mut texts = [""; TEXTS];
        for text in &mut texts {
            let length = usize::from(u16::from_le_bytes(*take(&mut rest)?));
            let (octets, after) = rest.split_at_checked(length)?;
            *text = std::str::from_utf8(octets).ok()?;
            rest = after;
        }
        let [from, to, cc, display_from, display_to, subject] = texts;
        Some(Self {
            sent_at: (marks & HAS_DATE != 0).then_some(sent_at),
            is_reply: marks & IS_REPLY != 0,
            from,
            to,
            cc,
            display_from,
            display_to,
            subject,
            id,
            references: rest,
        })
    }

    /// Hashes of the message ids that the message refers to, the oldest first (RFC 5256 §3).
    pub fn references(&self) -> impl Iterator<Item = u64> + 'a {
        let (ids, _) = self.references.as_chunks::<8>();
        ids.iter().map(|id| u64::from_le_bytes(*id))
    }
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(head)
}

/// The keys of the message with this header, encoded. What follows the header, if anything, is not looked at.
pub fn sort_keys(header: &[u8]) -> Vec<u8> {
    let mut found = Found::default();
    for field in fields(header) {
        let slot = match field.name.len() {
            2 if field.is("To") => &mut found.to,
            2 if field.is("Cc") => &mut found.cc,
            4 if field.is("From") => &mut found.from,
            4 if field.is("Date") => &mut found.date,
            7 if field.is("Subject") => &mut found.subject,
            10 if field.is("Message-ID") => &mut found.id,
            10 if field.is("References") => &mut found.references,
            11 if field.is("In-Reply-To") => &mut found.in_reply_to,
            _ => continue,
        };
        // The first counts, but an address field without an address says nothing, as in ENVELOPE.
        let names = field.name.len() == 2 || field.is("From");
        if slot.is_none_or(|value| names && value.iter().copied().all(is_blank)) {
            *slot = Some(field.value);
        }
    }
    found.encode()
}

#[derive(Default)]
struct Found<'a> {
    date: Option<&'a [u8]>,
    from: Option<&'a [u8]>,
    to: Option<&'a [u8]>,
    cc: Option<&'a [u8]>,
    subject: Option<&'a [u8]>,
    id: Option<&'a [u8]>,
    references: Option<&'a [u8]>,
    in_reply_to: Option<&'a [u8]>,
}

impl Found<'_> {
    fn encode(&self) -> Vec<u8> {
        let sent_at = self.date.and_then(date::Date::parse).map(date::Date::unix_seconds);
        let subject = base_subject(&encoded_word::decode(self.subject.unwrap_or_default()));
        let (from, to, cc) = (Address::first(self.from), Address::first(self.to), Address::first(self.cc));
        let mut out = Vec::with_capacity(256);
        let mark = |is: bool, mark: u8| if is { mark } else { 0 };
        out.extend([FORM, mark(sent_at.is_some(), HAS_DATE) | mark(subject.is_reply, IS_REPLY)]);
        out.extend(sent_at.unwrap_or(0).to_le_bytes());
        out.extend(message_ids(self.id.unwrap_or_default()).next().unwrap_or(0).to_le_bytes());
        for text in [&from.mailbox, &to.mailbox, &cc.mailbox, &from.display, &to.display] {
            put_text(&casemap(text, SORT_NAME_MAX), &mut out);
        }
        put_text(&casemap(&subject.text, BASE_SUBJECT_MAX), &mut out);
        for id in self.references() {
            out.extend(id.to_le_bytes());
        }
        out
    }

    /// RFC 5256 §3: those of References, else the first of In-Reply-To.
    fn references(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = message_ids(self.references.unwrap_or_default()).collect();
        if ids.is_empty() {
            ids.extend(message_ids(self.in_reply_to.unwrap_or_default()).next());
        }
        if ids.len() > REFERENCES_MAX {
            ids.drain(1..=ids.len() - REFERENCES_MAX);
        }
        ids
    }
}

/// The limits keep it below 64 KiB.
fn put_text(text: &str, out: &mut Vec<u8>) {
    out.extend((text.len() as u16).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// The first address of a field, as ENVELOPE has it.
#[derive(Default)]
struct Address {
    mailbox: String,
    display: String,
}

impl Address {
    fn first(value: Option<&[u8]>) -> Self {
        let mut address = Self::default();
        parse(value.unwrap_or_default(), &mut |entry| {
            address = match entry {
                Entry::Mailbox(mailbox) => Self::new(mailbox.name.as_deref(), &mailbox.local, &mailbox.host),
                // RFC 9051 §7.5.2: a group begins with an address whose addr-mailbox is its name.
                Entry::GroupStart(name) => Self::new(None, &name, b""),
                Entry::GroupEnd => Self::default(),
            };
            ControlFlow::Break(())
        });
        address
    }

    /// RFC 5957 §3
    fn new(name: Option<&[u8]>, local: &[u8], host: &[u8]) -> Self {
        let mailbox = charset::guess(local).into_owned();
        let name = encoded_word::decode(name.unwrap_or_default()).into_owned();
        let display = match (name.is_empty(), host.is_empty()) {
            (false, _) => name,
            (true, false) => format!("{mailbox}@{}", charset::guess(host)),
            (true, true) => mailbox.clone(),
        };
        Self { mailbox, display }
    }
}

/// Hashes of the message ids in a field, RFC 5322 §3.6.4. Quotes make no difference (RFC 5256 §3), nor do blanks.
fn message_ids(value: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let mut rest = value;
    std::iter::from_fn(move || {
        loop {
            let open = memchr::memchr(b'<', rest)?;
            rest = &rest[open + 1..];
            let (id, after) = one_id(rest)?;
            rest = after;
            if !id.is_empty() {
                // 0 stands for none.
                return Some(fnv1a(id.into_iter()).max(1));
            }
        }
    })
}

/// What is between the brackets, and what follows. `None`: it has no end.
fn one_id(value: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut id, mut quoted, mut at) = (Vec::with_capacity(64), false, 0);
    loop {
        let byte = *value.get(at)?;
        at += 1;
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                id.push(*value.get(at)?);
                at += 1;
            }
            b'>' if !quoted => return Some((id, &value[at..])),
            _ if is_blank(byte) => {}
            _ => id.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(header: &str) -> Vec<u8> {
        sort_keys(header.as_bytes())
    }

    fn id(text: &str) -> u64 {
        fnv1a(text.bytes())
    }

    #[test]
    fn all_keys_of_a_reply() {
        let blob = blob(
            "Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nFrom: =?utf-8?q?J=C3=B6rg?= <Joe@example.org>, b@c\r\n\
             To: friends: a@b, c@d;\r\nCc: carol@example.org\r\nSubject: [x] Re: hello\r\n\
             Message-ID: <\"1 a\"@b>\r\nReferences: <a@b>\r\n <\"c\\d\"@e> junk\r\nIn-Reply-To: <z@z>\r\n\r\n\
             Subject: body\r\n",
        );
        let keys = SortKeys::decode(&blob).unwrap();
        assert_eq!(keys.sent_at, Some(760_686_745));
        assert!(keys.is_reply);
        assert_eq!((keys.from, keys.display_from), ("JOE", "JO\u{308}RG"));
        assert_eq!((keys.to, keys.display_to), ("FRIENDS", "FRIENDS"));
        assert_eq!(keys.cc, "CAROL");
        assert_eq!(keys.subject, "HELLO");
        assert_eq!(keys.id, id("1a@b"));
        assert_eq!(keys.references().collect::<Vec<_>>(), [id("a@b"), id("cd@e")]);
    }

    #[test]
    fn what_is_missing_is_empty() {
        let blob = blob("X: y\r\n\r\n");
        let keys = SortKeys::decode(&blob).unwrap();
        assert_eq!(keys.sent_at, None);
        assert!(!keys.is_reply);
        assert_eq!([keys.from, keys.display_to, keys.subject], ["", "", ""]);
        assert_eq!((keys.id, keys.references().count()), (0, 0));
    }

    #[test]
    fn addresses_without_a_name_are_shown_whole() {
        let blob = blob("From: Joe@Example.ORG\r\nTo: \"\" <x@y>\r\n\r\n");
        let keys = SortKeys::decode(&blob).unwrap();
        assert_eq!((keys.from, keys.display_from), ("JOE", "JOE@EXAMPLE.ORG"));
        assert_eq!((keys.to, keys.display_to), ("X", "X@Y"));
    }

    #[test]
    fn in_reply_to_counts_where_references_has_no_id() {
        let only =
            |header: &str| -> Vec<u64> { SortKeys::decode(&blob(header)).unwrap().references().collect() };
        assert_eq!(only("In-Reply-To: mail of <a@b> <c@d>\r\n\r\n"), [id("a@b")]);
        assert_eq!(only("References: none\r\nIn-Reply-To: <a@b>\r\n\r\n"), [id("a@b")]);
        assert_eq!(only("References: <> < > <open\r\n\r\n"), []);
    }

    #[test]
    fn of_many_references_the_first_and_the_last_are_kept() {
        let all: Vec<String> = (0..500).map(|n| format!("<{n}@x>")).collect();
        let blob = blob(&format!("References: {}\r\n\r\n", all.join("\r\n ")));
        let ids: Vec<u64> = SortKeys::decode(&blob).unwrap().references().collect();
        assert_eq!(ids.len(), REFERENCES_MAX);
        assert_eq!((ids[0], ids[1], ids[REFERENCES_MAX - 1]), (id("0@x"), id("301@x"), id("499@x")));
    }

    #[test]
    fn damage_is_seen() {
        let blob = blob("Subject: x\r\n\r\n");
        for end in 0..blob.len() {
            assert_eq!(SortKeys::decode(&blob[..end]), None, "{end}");
        }
        assert_eq!(SortKeys::decode(&[9; 100]), None);
    }
}
