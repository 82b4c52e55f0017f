//! The stored form of a part index: a version octet, then numbers as LEB128 varints.

use std::collections::HashMap;

use super::{MediaType, Part, PartKind};
use crate::limits::{NAME_MAX, PART_DEPTH_MAX, PARTS_MAX};
use crate::transfer::Encoding;

/// First octet of a blob.
const VERSION: u8 = 1;

/// Why a stored part index can't be used. Always an internal fault: only [`super::PartIndex::encode`] writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PartIndexError {
    /// Written by another version of this crate; derive the message again.
    #[error("the part index has another version")]
    Version,
    /// Ends too early.
    #[error("the part index is truncated")]
    Truncated,
    /// Not a tree, ranges that aren't nested, or values that don't exist.
    #[error("the part index is inconsistent")]
    Inconsistent,
}

pub(super) fn encode(parts: &[Part]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + parts.len() * 24);
    out.push(VERSION);
    put(&mut out, parts.len() as u64);
    // Types and charsets repeat; each is written once and then referred to by its number.
    let mut names = HashMap::new();
    let mut last_start = 0;
    for part in parts {
        out.push(kind_code(part.kind) << 4 | part.encoding.code() << 1 | u8::from(part.charset.is_some()));
        put(&mut out, part.header.start - last_start);
        last_start = part.header.start;
        put(&mut out, part.header.end - part.header.start);
        put(&mut out, part.body.start - part.header.end);
        put(&mut out, part.body.end - part.body.start);
        put(&mut out, part.lines);
        if part.kind != PartKind::Leaf && part.kind != PartKind::Opaque {
            put(&mut out, u64::from(part.children));
            put(&mut out, u64::from(part.subtree));
        }
        put_name(&mut out, &mut names, &part.media.main);
        put_name(&mut out, &mut names, &part.media.sub);
        if let Some(charset) = &part.charset {
            put_name(&mut out, &mut names, charset);
        }
    }
    out
}

pub(super) fn decode(blob: &[u8]) -> Result<Vec<Part>, PartIndexError> {
    let mut reader = Reader { rest: blob, names: Vec::new() };
    if reader.octet()? != VERSION {
        return Err(PartIndexError::Version);
    }
    let count = reader.number()?;
    if count == 0 || count > PARTS_MAX as u64 {
        return Err(PartIndexError::Inconsistent);
    }
    let mut parts = Vec::with_capacity(count as usize);
    let mut start = 0_u64;
    for _ in 0..count {
        let part = reader.part(start)?;
        start = part.header.start;
        parts.push(part);
    }
    if reader.rest.is_empty() && is_tree(&parts) { Ok(parts) } else { Err(PartIndexError::Inconsistent) }
}

/// Children inside their parents, in order, each counted once.
fn is_tree(parts: &[Part]) -> bool {
    // For each open container: where its subtree and its body end, and how many children are to come.
    let mut open: Vec<(usize, u64, u32)> = vec![(parts.len(), u64::MAX, 1)];
    for (at, part) in parts.iter().enumerate() {
        while open.last().is_some_and(|(end, _, left)| *end == at && *left == 0) {
            open.pop();
        }
        let Some((end, body_end, left)) = open.last_mut() else { return false };
        let part_end = at + part.subtree as usize;
        if *left == 0 || part.subtree == 0 || part_end > *end || part.body.end > *body_end {
            return false;
        }
        *left -= 1;
        match part.kind {
            PartKind::Leaf | PartKind::Opaque if part.children == 0 && part.subtree == 1 => continue,
            PartKind::Message if part.children == 1 => {}
            PartKind::Multipart if part.children >= 1 => {}
            _ => return false,
        }
        open.push((part_end, part.body.end, part.children));
        if open.len() > PART_DEPTH_MAX + 2 {
            return false;
        }
    }
    open.iter().all(|(end, _, left)| *end == parts.len() && *left == 0)
}

fn kind_code(kind: PartKind) -> u8 {
    match kind {
        PartKind::Leaf => 0,
        PartKind::Opaque => 1,
        PartKind::Multipart => 2,
        PartKind::Message => 3,
    }
}

fn kind_of(code: u8) -> Option<PartKind> {
    [PartKind::Leaf, PartKind::Opaque, PartKind::Multipart, PartKind::Message].get(usize::from(code)).copied()
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_name<'a>(out: &mut Vec<u8>, names: &mut HashMap<&'a str, u64>, name: &'a str) {
    let next = names.len() as u64 + 1;
    let number = *names.entry(name).or_insert(next);
    if number == next {
        put(out, 0);
        put(out, name.len() as u64);
        out.extend_from_slice(name.as_bytes());
    } else {
        put(out, number);
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    names: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    fn part(&mut self, last_start: u64) -> Result<Part, PartIndexError> {
        let head = self.octet()?;
        let kind = kind_of(head >> 4).ok_or(PartIndexError::Inconsistent)?;
        let encoding = Encoding::from_code(head >> 1 & 7).ok_or(PartIndexError::Inconsistent)?;
        let header_start = self.after(last_start)?;
        let header_end = self.after(header_start)?;
        let body_start = self.after(header_end)?;
        let body_end = self.after(body_start)?;
        let lines = self.number()?;
        let (mut children, mut subtree) = (0, 1);
        if kind != PartKind::Leaf && kind != PartKind::Opaque {
            children = self.small()?;
            subtree = self.small()?;
        }
        let media = MediaType::new(self.name()?, self.name()?);
        let charset = if head & 1 == 1 { Some(self.name()?.to_owned()) } else { None };
        let (header, body) = (header_start..header_end, body_start..body_end);
        Ok(Part { header, body, lines, encoding, kind, media, charset, children, subtree })
    }

    fn octet(&mut self) -> Result<u8, PartIndexError> {
        let (first, rest) = self.rest.split_first().ok_or(PartIndexError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Result<u64, PartIndexError> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let octet = self.octet()?;
            number |= u64::from(octet & 0x7f) << shift;
            if octet < 0x80 {
                return Ok(number);
            }
        }
        Err(PartIndexError::Inconsistent)
    }

    fn small(&mut self) -> Result<u32, PartIndexError> {
        u32::try_from(self.number()?).map_err(|_| PartIndexError::Inconsistent)
    }

    fn after(&mut self, position: u64) -> Result<u64, PartIndexError> {
        position.checked_add(self.number()?).ok_or(PartIndexError::Inconsistent)
    }

    fn name(&mut self) -> Result<&'a str, PartIndexError> {
        let number = self.number()?;
        if number > 0 {
            let known = usize::try_from(number - 1).ok().and_then(|at| self.names.get(at));
            return known.copied().ok_or(PartIndexError::Inconsistent);
        }
        let length = self.number()?;
        if length > NAME_MAX as u64 {
            return Err(PartIndexError::Inconsistent);
        }
        let (name, rest) = self.rest.split_at_checked(length as usize).ok_or(PartIndexError::Truncated)?;
        self.rest = rest;
        let name = std::str::from_utf8(name).map_err(|_| PartIndexError::Inconsistent)?;
        self.names.push(name);
        Ok(name)
    }
}
