//! FETCH.

use mail_types::ModSeq;

use super::cursor::{Cursor, Fail, Parsed};
use super::search::partial_range;
use crate::parse::ParseErrorKind;
use crate::{BytesRange, Fetch, FetchItem, Frame, Numbering, Section, SectionText};

/// Most items of one FETCH, repeated ones not counted: each may send the whole message once more.
const FETCH_ITEMS_MAX: usize = 128;
/// Most part numbers of a section; no parsed message is nested deeper.
const PART_NUMBERS_MAX: usize = 100;

pub(super) fn fetch(cursor: &mut Cursor<'_>, by: Numbering) -> Parsed<Fetch> {
    cursor.space()?;
    let set = cursor.sequence_set()?;
    cursor.space()?;
    let items = match cursor.peek() {
        Some(b'(') => item_list(cursor)?,
        _ => match macro_items(cursor) {
            Some(items) => items,
            None => vec![item(cursor)?],
        },
    };
    let mut fetch = Fetch { by, set, items, changed_since: None, vanished: false, partial: None };
    if !cursor.is_end() {
        cursor.space()?;
        cursor.list(|cursor| modifier(cursor, &mut fetch))?;
    }
    // RFC 7162 §3.2.6: VANISHED only with UID FETCH and CHANGEDSINCE.
    if fetch.vanished && (by != Numbering::Uid || fetch.changed_since.is_none()) {
        return cursor.expected("UID FETCH with CHANGEDSINCE");
    }
    Ok(fetch)
}

/// `"(" fetch-att *(SP fetch-att) ")"`, each kept once. Empty lists are refused.
pub(super) fn item_list(cursor: &mut Cursor<'_>) -> Parsed<Vec<FetchItem>> {
    let mut items: Vec<FetchItem> = Vec::new();
    cursor.list(|cursor| {
        let item = item(cursor)?;
        if items.contains(&item) {
            return Ok(());
        }
        if items.len() >= FETCH_ITEMS_MAX {
            return cursor.expected("fewer items");
        }
        items.push(item);
        Ok(())
    })?;
    Ok(items)
}

/// RFC 9051 §6.4.5: ALL, FAST and FULL.
fn macro_items(cursor: &mut Cursor<'_>) -> Option<Vec<FetchItem>> {
    let mut items = vec![FetchItem::Flags, FetchItem::InternalDate, FetchItem::Rfc822Size];
    if cursor.take_word("FAST") {
        return Some(items);
    }
    items.push(FetchItem::Envelope);
    if cursor.take_word("ALL") {
        return Some(items);
    }
    items.push(FetchItem::Body);
    cursor.take_word("FULL").then_some(items)
}

fn modifier(cursor: &mut Cursor<'_>, fetch: &mut Fetch) -> Parsed<()> {
    match cursor.word().as_str() {
        "CHANGEDSINCE" => {
            cursor.space()?;
            fetch.changed_since = Some(ModSeq::new(cursor.number63()?));
        }
        "VANISHED" => fetch.vanished = true,
        "PARTIAL" if fetch.by == Numbering::Uid => {
            cursor.space()?;
            fetch.partial = Some(partial_range(cursor)?);
        }
        _ => return cursor.expected("a FETCH modifier"),
    }
    Ok(())
}

fn item(cursor: &mut Cursor<'_>) -> Parsed<FetchItem> {
    let start = cursor.at;
    Ok(match cursor.name().as_str() {
        "FLAGS" => FetchItem::Flags,
        "UID" => FetchItem::Uid,
        "ENVELOPE" => FetchItem::Envelope,
        "INTERNALDATE" => FetchItem::InternalDate,
        "BODY" if cursor.peek() == Some(b'[') => body_section(cursor, false)?,
        "BODY.PEEK" => body_section(cursor, true)?,
        "BODY" => FetchItem::Body,
        "BODYSTRUCTURE" => FetchItem::BodyStructure,
        "BINARY" => binary(cursor, false)?,
        "BINARY.PEEK" => binary(cursor, true)?,
        "BINARY.SIZE" => FetchItem::BinarySize(binary_part(cursor)?),
        "RFC822" => FetchItem::Rfc822,
        "RFC822.HEADER" => FetchItem::Rfc822Header,
        "RFC822.SIZE" => FetchItem::Rfc822Size,
        "RFC822.TEXT" => FetchItem::Rfc822Text,
        "MODSEQ" => FetchItem::ModSeq,
        "EMAILID" => FetchItem::EmailId,
        "THREADID" => FetchItem::ThreadId,
        "SAVEDATE" => FetchItem::SaveDate,
        "PREVIEW" => FetchItem::Preview { lazy: preview_lazy(cursor) },
        _ => return Err(Fail { kind: ParseErrorKind::Expected("a FETCH item"), at: start }),
    })
}

/// RFC 8970 §6: `"PREVIEW" [SP "(" preview-mod *(SP preview-mod) ")"]`
fn preview_lazy(cursor: &mut Cursor<'_>) -> bool {
    const LAZY: &[u8] = b" (LAZY)";
    let is_lazy = cursor.rest().get(..LAZY.len()).is_some_and(|next| next.eq_ignore_ascii_case(LAZY));
    if is_lazy {
        cursor.at += LAZY.len();
    }
    is_lazy
}

fn body_section(cursor: &mut Cursor<'_>, peek: bool) -> Parsed<FetchItem> {
    bracket(cursor, b'[')?;
    let section = section(cursor)?;
    bracket(cursor, b']')?;
    Ok(FetchItem::BodySection { peek, section, partial: bytes_range(cursor)? })
}

fn binary(cursor: &mut Cursor<'_>, peek: bool) -> Parsed<FetchItem> {
    let part = binary_part(cursor)?;
    Ok(FetchItem::Binary { peek, part, partial: bytes_range(cursor)? })
}

/// RFC 3516 §7: `section-binary = "[" [section-part] "]"`
fn binary_part(cursor: &mut Cursor<'_>) -> Parsed<Vec<u32>> {
    bracket(cursor, b'[')?;
    let part = part_numbers(cursor)?;
    bracket(cursor, b']')?;
    Ok(part)
}

fn bracket(cursor: &mut Cursor<'_>, byte: u8) -> Parsed<()> {
    if cursor.take(byte) { Ok(()) } else { cursor.expected("a section in brackets") }
}

/// `[nz-number *("." nz-number)]`; a dot after it is left if no number follows.
fn part_numbers(cursor: &mut Cursor<'_>) -> Parsed<Vec<u32>> {
    let mut part = Vec::new();
    while cursor.peek().is_some_and(|b| b.is_ascii_digit()) {
        if part.len() >= PART_NUMBERS_MAX {
            return cursor.fail(ParseErrorKind::TooDeep);
        }
        part.push(cursor.nz_number()?);
        let more =
            cursor.peek() == Some(b'.') && cursor.bytes.get(cursor.at + 1).is_some_and(u8::is_ascii_digit);
        if !more {
            break;
        }
        cursor.at += 1;
    }
    Ok(part)
}

/// RFC 9051 §9: `section-spec = section-msgtext / (section-part ["." section-text])`
fn section(cursor: &mut Cursor<'_>) -> Parsed<Section> {
    let part = part_numbers(cursor)?;
    if !part.is_empty() && !cursor.take(b'.') || cursor.peek() == Some(b']') && part.is_empty() {
        return Ok(Section { part, text: None });
    }
    let start = cursor.at;
    let text = match cursor.name().as_str() {
        "HEADER" => SectionText::Header,
        "HEADER.FIELDS" => SectionText::HeaderFields(header_list(cursor)?),
        "HEADER.FIELDS.NOT" => SectionText::HeaderFieldsNot(header_list(cursor)?),
        "TEXT" => SectionText::Text,
        "MIME" if !part.is_empty() => SectionText::Mime,
        _ => return Err(Fail { kind: ParseErrorKind::Expected("a section"), at: start }),
    };
    Ok(Section { part, text: Some(text) })
}

/// A section that stands alone, as in a URL.
pub(crate) fn section_text(text: &str) -> Option<Section> {
    let bytes = bytes::Bytes::copy_from_slice(text.as_bytes());
    let frame = Frame { end: bytes.len(), bytes, literals: Vec::new(), open: None, continuation: false };
    let mut cursor = Cursor::new(&frame, crate::ParseOptions::default());
    section(&mut cursor).ok().filter(|_| cursor.is_end())
}

/// `header-list = "(" header-fld-name *(SP header-fld-name) ")"`
fn header_list(cursor: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    cursor.space()?;
    cursor.list(Cursor::astring_text)
}

/// `partial = "<" number63 "." nz-number63 ">"`
fn bytes_range(cursor: &mut Cursor<'_>) -> Parsed<Option<BytesRange>> {
    if !cursor.take(b'<') {
        return Ok(None);
    }
    let offset = cursor.number63()?;
    if !cursor.take(b'.') {
        return cursor.expected("\".\"");
    }
    let start = cursor.at;
    let count = cursor.number63()?;
    if count == 0 {
        return Err(Fail { kind: ParseErrorKind::Number, at: start });
    }
    if !cursor.take(b'>') {
        return cursor.expected("\">\"");
    }
    Ok(Some(BytesRange { offset, count }))
}
