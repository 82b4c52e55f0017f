//! From what a client asks to what must be known and read.

use std::ops::Range;

use imap_wire::{BytesRange, FetchItem, Section, SectionText};
use mail_message::{Encoding, Keep, PartIndex, SectionPart, section_range};
use mail_types::{Uid, UidSet};

use super::derived::{MessageData, Wanted};
use crate::limits::{BINARY_BYTES_MAX, HEADER_BYTES_MAX};
use crate::state::Enabled;

/// What a FETCH asks, once for all its messages.
#[derive(Debug)]
pub(crate) struct Plan {
    /// In the order of the reply.
    items: Vec<FetchItem>,
    /// Messages whose flags this FETCH changes, and the items for those: with the flags in front.
    newly_seen: Option<(UidSet, Vec<FetchItem>)>,
    pub(crate) wanted: Wanted,
    /// Something beside UID, FLAGS and MODSEQ, which the view knows.
    pub(crate) needs_data: bool,
    pub(crate) needs_content: bool,
    /// RFC 9051 §6.4.5: reading a body without PEEK.
    pub(crate) sets_seen: bool,
}

/// Where an item's octets are in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Located {
    /// There is no such part.
    Nil,
    /// As they are.
    Range(Range<u64>),
    /// Fields of the header there.
    Fields(Range<u64>),
    /// To be decoded.
    Encoded(Range<u64>, Encoding),
    /// RFC 3516 §4.3: `NO [UNKNOWN-CTE]`.
    UnknownEncoding,
}

impl Plan {
    pub(crate) fn new(asked: Vec<FetchItem>) -> Self {
        let mut items: Vec<FetchItem> = Vec::with_capacity(asked.len());
        for item in asked {
            if !items.contains(&item) {
                items.push(item);
            }
        }
        let mut plan = Self {
            items,
            newly_seen: None,
            wanted: Wanted::default(),
            needs_data: false,
            needs_content: false,
            sets_seen: false,
        };
        for item in &plan.items {
            let wanted = &mut plan.wanted;
            match item {
                FetchItem::Uid | FetchItem::Flags | FetchItem::ModSeq | FetchItem::EmailId => continue,
                FetchItem::Envelope => wanted.envelope = true,
                FetchItem::Body => wanted.body = true,
                FetchItem::BodyStructure => wanted.body_structure = true,
                FetchItem::Preview { .. } => wanted.preview = true,
                FetchItem::InternalDate | FetchItem::SaveDate => wanted.dates = true,
                FetchItem::Rfc822Size | FetchItem::ThreadId => {}
                FetchItem::BodySection { peek, section, .. } => {
                    plan.needs_content = true;
                    plan.sets_seen |= !peek;
                    wanted.parts |= *section != Section::default();
                }
                FetchItem::Binary { peek, part, .. } => {
                    plan.needs_content = true;
                    plan.sets_seen |= !peek;
                    wanted.parts |= !part.is_empty();
                }
                FetchItem::BinarySize(part) => {
                    plan.needs_content = true;
                    wanted.parts |= !part.is_empty();
                }
                FetchItem::Rfc822 => {
                    plan.needs_content = true;
                    plan.sets_seen = true;
                }
                FetchItem::Rfc822Text => {
                    plan.needs_content = true;
                    plan.sets_seen = true;
                    wanted.parts = true;
                }
                FetchItem::Rfc822Header => {
                    plan.needs_content = true;
                    wanted.parts = true;
                }
            }
            plan.needs_data = true;
        }
        plan
    }

    /// These messages became seen, and their lines say so.
    pub(crate) fn tell_seen(&mut self, uids: UidSet, enabled: Enabled) {
        let told = [FetchItem::Flags, FetchItem::ModSeq].into_iter().take(1 + usize::from(enabled.condstore));
        let mut items: Vec<FetchItem> = told.collect();
        items.extend(self.items.iter().filter(|item| !items.contains(item)).cloned().collect::<Vec<_>>());
        self.newly_seen = Some((uids, items));
    }

    /// MODSEQ is among the items, so that the client knows of mod-sequences (RFC 7162 §3.1).
    pub(crate) fn tells_mod_seq(&self) -> bool {
        self.items.contains(&FetchItem::ModSeq)
    }

    /// The items of one message.
    pub(super) fn items_of(&self, uid: Uid) -> &[FetchItem] {
        match &self.newly_seen {
            Some((uids, items)) if uids.contains(uid) => items,
            _ => &self.items,
        }
    }
}

/// Where an item is; `None` if it is not about octets.
pub(super) fn locate(item: &FetchItem, data: &MessageData, index: Option<&PartIndex>) -> Option<Located> {
    let whole = 0..data.size;
    Some(match item {
        FetchItem::Rfc822 => Located::Range(whole),
        FetchItem::Rfc822Header => section(index, &[], SectionPart::Header),
        FetchItem::Rfc822Text => section(index, &[], SectionPart::Text),
        FetchItem::BodySection { section, partial, .. } => {
            locate_section(section, *partial, data.size, index)
        }
        FetchItem::Binary { part, partial, .. } => match binary(index, part, whole) {
            // Decoded octets are cut after decoding.
            Located::Range(range) => Located::Range(clip(range, *partial)),
            other => other,
        },
        FetchItem::BinarySize(part) => binary(index, part, whole),
        _ => return None,
    })
}

/// Where a section of a message of so many octets is.
pub(super) fn locate_section(
    asked: &Section,
    partial: Option<BytesRange>,
    size: u64,
    index: Option<&PartIndex>,
) -> Located {
    match (&asked.text, &asked.part[..]) {
        (None, []) => Located::Range(clip(0..size, partial)),
        (Some(SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_)), part) => {
            match section(index, part, SectionPart::Header) {
                Located::Range(range) => {
                    Located::Fields(range.start..range.end.min(range.start + HEADER_BYTES_MAX))
                }
                other => other,
            }
        }
        (text, part) => match section(index, part, section_part(text.as_ref())) {
            Located::Range(range) => Located::Range(clip(range, partial)),
            other => other,
        },
    }
}

/// What an item is made of, once the octets at its place are here.
pub(super) fn extract(item: &FetchItem, octets: &[u8], encoding: Option<Encoding>) -> Option<Vec<u8>> {
    match item {
        FetchItem::BodySection { section, partial, .. } => {
            let made = match &section.text {
                Some(SectionText::HeaderFields(names)) => {
                    mail_message::header_fields(octets, names, Keep::Matching)
                }
                Some(SectionText::HeaderFieldsNot(names)) => {
                    mail_message::header_fields(octets, names, Keep::Others)
                }
                _ => octets.to_vec(),
            };
            Some(cut(made, *partial))
        }
        FetchItem::Binary { partial, .. } => {
            Some(cut(mail_message::decode_transfer(encoding?, octets).ok()?, *partial))
        }
        FetchItem::BinarySize(_) => mail_message::decode_transfer(encoding?, octets).ok(),
        _ => Some(octets.to_vec()),
    }
}

fn section_part(text: Option<&SectionText>) -> SectionPart {
    match text {
        None => SectionPart::Whole,
        Some(SectionText::Text) => SectionPart::Text,
        Some(SectionText::Mime) => SectionPart::Mime,
        Some(SectionText::Header | SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_)) => {
            SectionPart::Header
        }
    }
}

fn section(index: Option<&PartIndex>, path: &[u32], part: SectionPart) -> Located {
    index.and_then(|index| section_range(index, path, part)).map_or(Located::Nil, Located::Range)
}

/// RFC 3516 §4.3
fn binary(index: Option<&PartIndex>, path: &[u32], whole: Range<u64>) -> Located {
    if path.is_empty() {
        return Located::Range(whole);
    }
    let Some(part) = index.and_then(|index| index.find(path)) else { return Located::Nil };
    match part.encoding {
        Encoding::Identity => Located::Range(part.body.clone()),
        Encoding::Unknown => Located::UnknownEncoding,
        encoding if part.body.end - part.body.start <= BINARY_BYTES_MAX => {
            Located::Encoded(part.body.clone(), encoding)
        }
        _ => Located::UnknownEncoding,
    }
}

/// RFC 9051 §6.4.5: beyond the end there is nothing.
fn clip(range: Range<u64>, partial: Option<BytesRange>) -> Range<u64> {
    let Some(partial) = partial else { return range };
    let start = range.start.saturating_add(partial.offset).min(range.end);
    start..start.saturating_add(partial.count).min(range.end)
}

fn cut(octets: Vec<u8>, partial: Option<BytesRange>) -> Vec<u8> {
    match partial {
        None => octets,
        Some(_) => {
            let range = clip(0..octets.len() as u64, partial);
            octets[range.start as usize..range.end as usize].to_vec()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_ranges_end_with_the_section() {
        let partial = |offset, count| Some(BytesRange { offset, count });
        assert_eq!(clip(10..20, None), 10..20);
        assert_eq!(clip(10..20, partial(0, 5)), 10..15);
        assert_eq!(clip(10..20, partial(8, 5)), 18..20);
        assert_eq!(clip(10..20, partial(10, 5)), 20..20);
        assert_eq!(clip(10..20, partial(u64::MAX, u64::MAX)), 20..20);
        assert_eq!(cut(b"abcdef".to_vec(), partial(2, 2)), b"cd");
        assert_eq!(cut(b"abcdef".to_vec(), partial(9, 2)), b"");
    }

    #[test]
    fn what_the_view_knows_needs_no_data() {
        let plan = Plan::new(vec![FetchItem::Uid, FetchItem::Flags, FetchItem::Uid, FetchItem::ModSeq]);
        assert_eq!(plan.items.len(), 3);
        assert!(!plan.needs_data && !plan.sets_seen);
        let plan = Plan::new(vec![FetchItem::Rfc822]);
        assert!(plan.needs_data && plan.needs_content && plan.sets_seen && !plan.wanted.parts);
    }
}
