//! Writes the FETCH lines of one page of messages: small contents from memory, large ones as they come.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use imap_wire::{FetchItem, FetchWriter, InternalDate};
use line_server::Connection;
use mail_message::{Encoding, PartIndex};
use mail_rpc::pb;
use mail_types::MessageId;

use super::content::{Contents, Step};
use super::derived::{Kept, MessageData, Place};
use super::plan::{Located, Plan, extract, locate};
use crate::error::CmdError;
use crate::limits::{FLUSH_BYTES, SMALL_CONTENT_BYTES};
use crate::others::object_id;
use crate::server::Gateway;
use crate::state::Enabled;
use crate::sync;
use crate::view::{Message, View};

/// What could not be sent of a page.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    /// Messages that went away.
    pub(crate) gone: bool,
    /// Parts in an encoding that we cannot undo (RFC 3516 §4.3).
    pub(crate) undecodable: bool,
}

/// What is sent of messages, and in which form the client wants it now.
#[derive(Clone, Copy)]
pub(crate) struct Sending<'a> {
    pub(crate) place: &'a Place,
    pub(crate) view: &'a View,
    pub(crate) plan: &'a Plan,
    pub(crate) enabled: Enabled,
}

/// Some messages and what is known of them, where the plan needs it.
pub(crate) struct Page<'m> {
    messages: &'m [Message],
    /// In their order; `None` for one that is gone.
    data: Vec<Option<Arc<MessageData>>>,
}

impl<'m> Page<'m> {
    /// Asks storage for what the plan needs and the cache lacks.
    pub(crate) async fn load(
        gateway: &Gateway,
        (place, plan): (&Place, &Plan),
        messages: &'m [Message],
    ) -> Result<Self, CmdError> {
        if !plan.needs_data {
            return Ok(Self { messages, data: Vec::new() });
        }
        let entries: Vec<_> = messages.iter().map(|message| message.entry).collect();
        let storage = &gateway.backends.mailbox;
        let data = gateway.derived.load(storage, place, &entries, plan.wanted).await?;
        Ok(Self { messages, data })
    }

    /// How many they are.
    pub(crate) fn messages(&self) -> usize {
        self.messages.len()
    }

    /// Writes their lines, with the connection's back-pressure.
    pub(crate) async fn send(
        self,
        gateway: &Gateway,
        connection: &mut Connection,
        what: Sending<'_>,
        missing: &mut Missing,
    ) -> Result<(), CmdError> {
        let Sending { place, view, plan, enabled } = what;
        if !plan.needs_data {
            for message in self.messages {
                let mut writer = enabled.writer(connection.output());
                let mut line = writer.fetch_message(message.number, message.entry.uid);
                plan.items_of(message.entry.uid)
                    .iter()
                    .for_each(|item| write_item(&mut line, item, (view, enabled), message, None));
                line.end();
            }
            return Ok(connection.flush_if_much().await?);
        }
        let mut ranges = Vec::new();
        let mut sources = Vec::with_capacity(self.messages.len());
        for (message, data) in self.messages.iter().zip(&self.data) {
            let source = match data {
                Some(data) if plan.needs_content => {
                    Source::find(gateway, (place, plan), (message, data), &mut ranges)?
                }
                _ => Source::Nothing,
            };
            sources.push(source);
        }
        let mut contents = Contents::open(&gateway.backends.mailbox, place, ranges).await?;
        for ((message, data), source) in self.messages.iter().zip(self.data).zip(sources) {
            let Some(data) = data else {
                missing.gone = true;
                continue;
            };
            let mut line = Line { gateway, connection, what, message, data: &data };
            line.send(&mut contents, source, missing).await?;
            connection.flush_if_much().await?;
        }
        Ok(())
    }
}

/// Where a message's octets come from.
pub(super) enum Source {
    /// It needs none.
    Nothing,
    /// They are here: so many octets from its beginning.
    Here(Vec<Option<Located>>, Bytes),
    /// One range of what was asked of storage, from its beginning, to be kept.
    Small(Vec<Option<Located>>, Kept, u32, u64),
    /// For each item a range of its own, from this one on.
    Large(Vec<Option<Located>>, u32),
}

impl Source {
    pub(super) fn find(
        gateway: &Gateway,
        (place, plan): (&Place, &Plan),
        (message, data): (&Message, &Arc<MessageData>),
        ranges: &mut Vec<pb::ContentRange>,
    ) -> Result<Self, CmdError> {
        let index = match &data.parts {
            Some(parts) if plan.wanted.parts => Some(
                PartIndex::decode(parts)
                    .map_err(|error| CmdError::internal(&format!("part index: {error}")))?,
            ),
            _ => None,
        };
        let items = plan.items_of(message.entry.uid);
        let located: Vec<_> = items.iter().map(|item| locate(item, data, index.as_ref())).collect();
        let end = located.iter().flatten().map(end_of).max().unwrap_or_default();
        if end == 0 {
            return Ok(Self::Here(located, Bytes::new()));
        }
        let header_end = index.as_ref().map_or(0, PartIndex::header_len);
        let kept = if end <= header_end { Kept::Header } else { Kept::Whole };
        let id: MessageId = message.entry.message;
        if let Some((_, octets)) = gateway.derived.content(place.account, id, kept) {
            return Ok(Self::Here(located, octets));
        }
        let first = ranges.len() as u32;
        let uid = message.entry.uid.get();
        let small = match kept {
            Kept::Header => header_end,
            Kept::Whole => data.size,
        };
        if small <= SMALL_CONTENT_BYTES {
            ranges.push(pb::ContentRange { uid, offset: 0, length: small });
            return Ok(Self::Small(located, kept, first, small));
        }
        for range in located.iter().flatten().filter_map(Located::range).filter(|range| !range.is_empty()) {
            ranges.push(pb::ContentRange { uid, offset: range.start, length: range.end - range.start });
        }
        Ok(Self::Large(located, first))
    }
}

impl Located {
    fn range(&self) -> Option<&Range<u64>> {
        match self {
            Self::Range(range) | Self::Fields(range) | Self::Encoded(range, _) => Some(range),
            Self::Nil | Self::UnknownEncoding => None,
        }
    }
    fn encoding(&self) -> Option<Encoding> {
        match self {
            Self::Encoded(_, encoding) => Some(*encoding),
            _ => None,
        }
    }
}

fn end_of(located: &Located) -> u64 {
    located.range().map_or(0, |range| range.end)
}

/// One message's line.
struct Line<'a> {
    gateway: &'a Gateway,
    connection: &'a mut Connection,
    what: Sending<'a>,
    message: &'a Message,
    data: &'a MessageData,
}

impl Line<'_> {
    async fn send(
        &mut self,
        contents: &mut Contents,
        source: Source,
        missing: &mut Missing,
    ) -> Result<(), CmdError> {
        match source {
            Source::Nothing => self.write_whole(&[], &[], missing),
            Source::Here(located, octets) => self.write_whole(&located, &octets, missing),
            Source::Small(located, kept, range, size) => {
                let Some(octets) = contents.collect(range, size).await? else {
                    missing.gone = true;
                    return Ok(());
                };
                let id = self.message.entry.message;
                self.gateway.derived.keep_content(self.what.place.account, id, kept, octets.clone());
                self.write_whole(&located, &octets, missing);
            }
            Source::Large(located, first) => self.stream(contents, &located, first, missing).await?,
        }
        Ok(())
    }

    /// All of a line, with the octets at hand.
    fn write_whole(&mut self, located: &[Option<Located>], octets: &[u8], missing: &mut Missing) {
        let (seen, known) = ((self.what.view, self.what.enabled), Some((self.data, self.what.place)));
        let mut writer = self.what.enabled.writer(self.connection.output());
        let mut line = writer.fetch_message(self.message.number, self.message.entry.uid);
        for (at, item) in self.what.plan.items_of(self.message.entry.uid).iter().enumerate() {
            match located.get(at).and_then(Option::as_ref) {
                None => write_item(&mut line, item, seen, self.message, known),
                Some(located) => {
                    let octets = located.range().map_or(&[][..], |range| slice(octets, range));
                    write_octets(&mut line, item, located, octets, missing);
                }
            }
        }
        line.end();
    }

    /// A line whose octets are too many for memory: each item is sent as it comes.
    async fn stream(
        &mut self,
        contents: &mut Contents,
        located: &[Option<Located>],
        first: u32,
        missing: &mut Missing,
    ) -> Result<(), CmdError> {
        let what = (self.what.enabled, self.message);
        let (seen, known) = ((self.what.view, self.what.enabled), Some((self.data, self.what.place)));
        let mut range = first;
        let mut begun = false;
        for (item, located) in self.what.plan.items_of(self.message.entry.uid).iter().zip(located) {
            let Some(located) = located else {
                begin(self.connection, what, &mut begun, |line| {
                    write_item(line, item, seen, self.message, known);
                });
                continue;
            };
            let size = located.range().map_or(0, |range| range.end - range.start);
            if size == 0 {
                begin(self.connection, what, &mut begun, |line| {
                    write_octets(line, item, located, &[], missing);
                });
                continue;
            }
            let here = range;
            range += 1;
            if !matches!(located, Located::Range(_)) || matches!(item, FetchItem::BinarySize(_)) {
                // Must be whole to be picked from or decoded, and is then held twice.
                let bytes = usize::try_from(size).unwrap_or(usize::MAX);
                let _room = self.gateway.settings.memory.acquire(bytes.saturating_mul(2)).await;
                let octets = contents.collect(here, size).await?;
                missing.gone |= octets.is_none();
                begin(self.connection, what, &mut begun, |line| match &octets {
                    Some(octets) => write_octets(line, item, located, octets, missing),
                    None => line.nil(item),
                });
                continue;
            }
            let Step::Data(chunk) = contents.next(here).await? else {
                missing.gone = true;
                if begun {
                    begin(self.connection, what, &mut begun, |line| line.nil(item));
                    continue;
                }
                return Ok(());
            };
            begin(self.connection, what, &mut begun, |line| line.literal(item, size));
            self.stream_literal(contents, (here, size), chunk).await?;
        }
        if begun {
            self.what.enabled.writer(self.connection.output()).fetch_resume().end();
        }
        Ok(())
    }

    async fn stream_literal(
        &mut self,
        contents: &mut Contents,
        (range, size): (u32, u64),
        first: Bytes,
    ) -> Result<(), CmdError> {
        let mut left = size;
        let mut chunk = first;
        loop {
            chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= chunk.len() as u64;
            self.connection.write(chunk).await?;
            if left == 0 {
                return Ok(());
            }
            chunk = match contents.next(range).await {
                Ok(Step::Data(chunk)) => chunk,
                // The client counts on octets that will not come: nothing we could say would be understood.
                Ok(Step::End | Step::Gone) | Err(_) => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "storage left a message unfinished",
                    )
                    .into());
                }
            };
        }
    }
}

/// Begins a line, or goes on with it.
fn begin(
    connection: &mut Connection,
    (enabled, message): (Enabled, &Message),
    begun: &mut bool,
    write: impl FnOnce(&mut FetchWriter<'_>),
) {
    let mut writer = enabled.writer(connection.output());
    let mut line = match std::mem::replace(begun, true) {
        true => writer.fetch_resume(),
        false => writer.fetch_message(message.number, message.entry.uid),
    };
    write(&mut line);
}

fn slice<'a>(octets: &'a [u8], range: &Range<u64>) -> &'a [u8] {
    let clamp = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(octets.len());
    &octets[clamp(range.start)..clamp(range.end)]
}

/// An item of octets, given those at its place.
fn write_octets(
    line: &mut FetchWriter<'_>,
    item: &FetchItem,
    located: &Located,
    octets: &[u8],
    missing: &mut Missing,
) {
    match (item, located) {
        (FetchItem::BinarySize(part), Located::Range(range)) => {
            line.binary_size(part, range.end - range.start)
        }
        (FetchItem::BinarySize(part), Located::Encoded(_, encoding)) => {
            let decoded = extract(item, octets, Some(*encoding)).unwrap_or_default();
            line.binary_size(part, decoded.len() as u64);
        }
        (FetchItem::BinarySize(part), Located::Nil | Located::Fields(_)) => line.binary_size(part, 0),
        (FetchItem::BinarySize(part), Located::UnknownEncoding) => {
            missing.undecodable = true;
            line.binary_size(part, 0);
        }
        (_, Located::Nil) => line.nil(item),
        (_, Located::UnknownEncoding) => {
            missing.undecodable = true;
            line.nil(item);
        }
        (_, Located::Range(_)) => line.data(item, octets),
        (_, Located::Fields(_) | Located::Encoded(..)) => match extract(item, octets, located.encoding()) {
            Some(made) => line.data(item, &made),
            None => line.nil(item),
        },
    }
}

/// An item that is not about octets.
fn write_item(
    line: &mut FetchWriter<'_>,
    item: &FetchItem,
    (view, enabled): (&View, Enabled),
    message: &Message,
    known: Option<(&MessageData, &Place)>,
) {
    let entry = &message.entry;
    match item {
        FetchItem::Uid => return line.uid(entry.uid),
        FetchItem::Flags => return sync::flags(line, view, enabled, entry),
        FetchItem::ModSeq => return line.mod_seq(entry.modseq),
        FetchItem::EmailId => return line.email_id(&object_id('E', view.owner(), entry.message.get())),
        _ => {}
    }
    let Some((data, place)) = known else { return };
    let at = |seconds| InternalDate { unix_seconds: seconds, offset_minutes: 0 };
    match item {
        FetchItem::Envelope => prepared(line, item, data.envelope.as_deref()),
        FetchItem::Body => prepared(line, item, data.body.as_deref()),
        FetchItem::BodyStructure => prepared(line, item, data.body_structure.as_deref()),
        FetchItem::InternalDate => {
            // Always there: the plan wants dates, and data without those of this UID was loaded again.
            if let Some(received_at) = data.received_at(place.mailbox, entry.uid) {
                line.internal_date(at(received_at));
            }
        }
        FetchItem::Rfc822Size => line.rfc822_size(data.size),
        FetchItem::Preview { .. } => line.preview(data.preview.as_deref()),
        FetchItem::SaveDate => line.save_date(data.saved_at(place.mailbox, entry.uid).map(at)),
        FetchItem::ThreadId => {
            let id = (data.thread_id != 0).then(|| object_id('T', view.owner(), data.thread_id));
            line.thread_id(id.as_deref());
        }
        _ => {}
    }
}

fn prepared(line: &mut FetchWriter<'_>, item: &FetchItem, value: Option<&[u8]>) {
    match value {
        // RFC 6855 §3: UTF-8 for those that have enabled it.
        Some(value) if !value.is_empty() && line.is_utf8() => line.prepared(item, value),
        Some(value) if !value.is_empty() => line.prepared(item, &mail_message::to_seven_bit(value)),
        _ => line.nil(item),
    }
}

/// Sends what is queued once it is much.
trait FlushIfMuch {
    async fn flush_if_much(&mut self) -> io::Result<()>;
}

impl FlushIfMuch for Connection {
    async fn flush_if_much(&mut self) -> io::Result<()> {
        if self.queued() >= FLUSH_BYTES { self.flush().await } else { Ok(()) }
    }
}
