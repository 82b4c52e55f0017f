//! ENVELOPE, RFC 9051 §7.5.2.

use std::ops::ControlFlow;

use crate::address::{Entry, parse};
use crate::header::fields;
use crate::limits::{ADDRESS_LIST_BYTES_MAX, ADDRESSES_MAX};
use crate::nstring::{put_nstring, put_quoted};

/// Appends the ENVELOPE of the message with this header.
pub(crate) fn put_envelope(out: &mut Vec<u8>, header: &[u8]) {
    let envelope = Envelope::read(header);
    out.push(b'(');
    put_nstring(out, envelope.date);
    out.push(b' ');
    put_nstring(out, envelope.subject);
    // RFC 9051 §7.5.2: Sender and Reply-To are those of From if they are missing or empty.
    let from = &envelope.from;
    let or_from = |list| if AddressList::is_empty(list) { from } else { list };
    let lists = [
        from,
        or_from(&envelope.sender),
        or_from(&envelope.reply_to),
        &envelope.to,
        &envelope.cc,
        &envelope.bcc,
    ];
    for list in lists {
        out.push(b' ');
        list.put(out);
    }
    out.push(b' ');
    put_nstring(out, envelope.in_reply_to);
    out.push(b' ');
    put_nstring(out, envelope.message_id);
    out.push(b')');
}

#[derive(Default)]
struct Envelope<'a> {
    date: Option<&'a [u8]>,
    subject: Option<&'a [u8]>,
    from: AddressList,
    sender: AddressList,
    reply_to: AddressList,
    to: AddressList,
    cc: AddressList,
    bcc: AddressList,
    in_reply_to: Option<&'a [u8]>,
    message_id: Option<&'a [u8]>,
}

impl<'a> Envelope<'a> {
    /// Of a field that may stand once the first counts; address fields that stand more than once are joined.
    fn read(header: &'a [u8]) -> Self {
        let mut envelope = Self::default();
        for field in fields(header) {
            // The names sought differ in length; most fields of a header are none of them.
            match field.name.len() {
                2 if field.is("To") => envelope.to.add(field.value),
                2 if field.is("Cc") => envelope.cc.add(field.value),
                3 if field.is("Bcc") => envelope.bcc.add(field.value),
                4 if field.is("From") => envelope.from.add(field.value),
                6 if field.is("Sender") => envelope.sender.add(field.value),
                8 if field.is("Reply-To") => envelope.reply_to.add(field.value),
                4 if field.is("Date") => first(&mut envelope.date, field.value),
                7 if field.is("Subject") => first(&mut envelope.subject, field.value),
                11 if field.is("In-Reply-To") => first(&mut envelope.in_reply_to, field.value),
                10 if field.is("Message-ID") => first(&mut envelope.message_id, field.value),
                _ => {}
            }
        }
        envelope
    }
}

fn first<'a>(slot: &mut Option<&'a [u8]>, value: &'a [u8]) {
    slot.get_or_insert(value);
}

/// The addresses of one ENVELOPE member, as they are sent.
#[derive(Default)]
struct AddressList {
    text: Vec<u8>,
    count: usize,
    /// A group began whose end hasn't been written.
    in_group: bool,
}

impl AddressList {
    fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    fn put(&self, out: &mut Vec<u8>) {
        if self.is_empty() {
            out.extend_from_slice(b"NIL");
        } else {
            out.push(b'(');
            out.extend_from_slice(&self.text);
            out.push(b')');
        }
    }

    fn add(&mut self, value: &[u8]) {
        if self.is_full() {
            return;
        }
        parse(value, &mut |entry| {
            match &entry {
                // A group whose start is there must end.
                Entry::GroupEnd if std::mem::take(&mut self.in_group) => {}
                Entry::GroupEnd => return ControlFlow::Break(()),
                _ if self.is_full() && self.in_group => return ControlFlow::Continue(()),
                _ if self.is_full() => return ControlFlow::Break(()),
                Entry::GroupStart(_) => self.in_group = true,
                Entry::Mailbox(_) => {}
            }
            self.count += 1;
            put_entry(&mut self.text, entry);
            ControlFlow::Continue(())
        });
    }

    fn is_full(&self) -> bool {
        self.count >= ADDRESSES_MAX || self.text.len() >= ADDRESS_LIST_BYTES_MAX
    }
}

fn put_entry(out: &mut Vec<u8>, entry: Entry) {
    match entry {
        Entry::GroupStart(name) => {
            out.extend_from_slice(b"(NIL NIL ");
            put_quoted(out, &name);
            out.extend_from_slice(b" NIL)");
        }
        Entry::GroupEnd => out.extend_from_slice(b"(NIL NIL NIL NIL)"),
        Entry::Mailbox(mailbox) => {
            out.push(b'(');
            put_nstring(out, mailbox.name.as_deref());
            out.push(b' ');
            put_nstring(out, mailbox.route.as_deref());
            // NIL in one of these would mean a group, so what is missing is an empty string.
            out.push(b' ');
            put_quoted(out, &mailbox.local);
            out.push(b' ');
            put_quoted(out, &mailbox.host);
            out.push(b')');
        }
    }
}
