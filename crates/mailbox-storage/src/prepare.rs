//! A message's octets -> what is stored of it: hashed, compressed, derived, once and off the async threads when it takes long.

use std::cell::RefCell;

use bytes::Bytes;
use mail_message::search::header;
use mail_message::{DERIVED_VERSION, derive};
use tonic::Status;
use zstd::bulk::Compressor;

use crate::db::{Chunk, Prepared};

/// Octets of a chunk: what a range read costs at least, and what a small message fits into whole.
pub(crate) const CHUNK_BYTES: usize = 256 << 10;
/// Fast, and within a few percent of the next levels on mail.
const ZSTD_LEVEL: i32 = 1;
/// Messages up to this size are prepared at once: a thread hop would cost more than it saves.
const INLINE_BYTES_MAX: usize = 32 << 10;
/// Largest search text that is unpacked; mail-message makes none larger than 1 MiB.
const TEXT_BYTES_MAX: usize = 8 << 20;

thread_local! {
    /// Making a compressor costs more than compressing a small message.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

/// Prepares the message that these pieces make.
///
/// # Errors
/// INTERNAL when the work was cut short by the runtime's end.
pub(crate) async fn prepare(octets: Bytes) -> Result<Prepared, Status> {
    if octets.len() <= INLINE_BYTES_MAX {
        return Ok(prepare_now(&octets));
    }
    tokio::task::spawn_blocking(move || prepare_now(&octets))
        .await
        .map_err(|_| Status::internal("the message could not be read"))
}

/// What is derived from a message that is stored already.
///
/// # Errors
/// INTERNAL when the work was cut short by the runtime's end.
pub(crate) async fn derive_again(octets: Bytes) -> Result<Prepared, Status> {
    tokio::task::spawn_blocking(move || derived(&octets, Vec::new()))
        .await
        .map_err(|_| Status::internal("the message could not be read"))
}

fn prepare_now(octets: &Bytes) -> Prepared {
    let mut chunks = Vec::with_capacity(octets.len().div_ceil(CHUNK_BYTES));
    for (no, raw) in octets.chunks(CHUNK_BYTES).enumerate() {
        chunks.push(Chunk {
            no: no as i32,
            raw_offset: (no * CHUNK_BYTES) as i64,
            raw_len: raw.len() as i32,
            // What doesn't shrink is kept as it is, which its length tells.
            data: compress(raw).map_or_else(|| octets.slice_ref(raw), Bytes::from),
        });
    }
    derived(octets, chunks)
}

fn derived(octets: &Bytes, chunks: Vec<Chunk>) -> Prepared {
    let derived = derive(octets);
    Prepared {
        hash: *blake3::hash(octets).as_bytes(),
        size: octets.len() as i64,
        chunks,
        thread_id: (derived.thread_key & i64::MAX as u64).cast_signed(),
        sent_day: derived.sent_day,
        base_subject: without_nul(derived.base_subject),
        derived_version: DERIVED_VERSION as i32,
        envelope: derived.envelope,
        body: derived.body,
        bodystructure: derived.bodystructure,
        parts: derived.parts,
        preview: without_nul(derived.preview),
        bits: crate::index::signature(&derived.search_text),
        text: pack_text(&derived.search_text),
        keys: derived.sort_keys,
    }
}

/// The octets of a stored chunk.
pub(crate) fn unpack_chunk(data: impl Into<Bytes>, raw_len: usize) -> std::io::Result<Bytes> {
    let data = data.into();
    if data.len() == raw_len {
        return Ok(data);
    }
    let raw = mail_rpc::unpack(&data, raw_len)?;
    if raw.len() == raw_len {
        Ok(raw.into())
    } else {
        Err(std::io::Error::other("a chunk is shorter than it should be"))
    }
}

/// First octet: 0, and the text as it is; 1, and the text compressed; 2, the length of the compressed header, and header and
/// rest, each compressed alone: most searches look into the header only.
fn pack_text(text: &str) -> Vec<u8> {
    let (header, rest) = text.split_at(header(text).len());
    let (Some(header), Some(rest)) = (compress(header.as_bytes()), compress(rest.as_bytes())) else {
        let packed = compress(text.as_bytes());
        let (mark, body) = packed.as_ref().map_or((0, text.as_bytes()), |packed| (1, &packed[..]));
        return [&[mark], body].concat();
    };
    [&[2], &(header.len() as u32).to_le_bytes()[..], &header, &rest].concat()
}

/// The text that [`pack_text`] packed.
pub(crate) fn unpack_text(packed: &[u8]) -> std::io::Result<String> {
    unpack(packed, true)
}

/// The text up to the end of the message header, or more.
pub(crate) fn unpack_header(packed: &[u8]) -> std::io::Result<String> {
    unpack(packed, false)
}

/// Does a text have what `test` looks for? It is unpacked only as far as that takes: what the header has, the text has.
pub(crate) fn text_has(packed: &[u8], test: impl Fn(&str) -> bool) -> std::io::Result<bool> {
    // Only in this form the header is packed alone.
    let is_early = packed.first() == Some(&2) && test(&unpack_header(packed)?);
    Ok(is_early || test(&unpack_text(packed)?))
}

fn unpack(packed: &[u8], whole: bool) -> std::io::Result<String> {
    let damaged = || std::io::Error::other("a damaged search text");
    let (mark, body) = packed.split_first().ok_or_else(damaged)?;
    let text = match mark {
        0 => body.to_vec(),
        1 => decompress(body)?,
        _ => {
            let (length, body) = body.split_first_chunk().ok_or_else(damaged)?;
            let (header, rest) =
                body.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(damaged)?;
            let mut text = decompress(header)?;
            if whole {
                text.extend_from_slice(&decompress(rest)?);
            }
            text
        }
    };
    String::from_utf8(text).map_err(|_| damaged())
}

fn decompress(frame: &[u8]) -> std::io::Result<Vec<u8>> {
    // The frame says how long the text is, so that no buffer is larger than needed.
    let length = zstd::zstd_safe::get_frame_content_size(frame).ok().flatten().unwrap_or(0);
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(TEXT_BYTES_MAX);
    mail_rpc::unpack(frame, length)
}

/// `None`: it does not pay.
fn compress(raw: &[u8]) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Compressor::new(ZSTD_LEVEL).ok();
        }
        let packed = slot.as_mut()?.compress(raw).ok()?;
        (packed.len() < raw.len()).then_some(packed)
    })
}

/// PostgreSQL's text has no NUL.
fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', " ") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_and_text_go_there_and_back() {
        let mut noise: Vec<u8> = b"Subject: x\r\n\r\n".to_vec();
        let mut state = 1u64;
        for _ in 0..3 * CHUNK_BYTES {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            noise.push((state >> 56) as u8);
        }
        for octets in
            [Vec::new(), b"Subject: hello\r\n\r\nhello hello hello hello hello\r\n".repeat(999), noise]
        {
            let prepared = prepare_now(&Bytes::from(octets.clone()));
            let mut back = Vec::new();
            for chunk in &prepared.chunks {
                assert_eq!(chunk.raw_offset as usize, back.len());
                back.extend_from_slice(&unpack_chunk(chunk.data.clone(), chunk.raw_len as usize).unwrap());
            }
            assert_eq!(back, octets);
            unpack_text(&prepared.text).unwrap();
        }
        let sections =
            format!("{}\u{1c}\u{1c}{}\u{1c}", "subject: it\n".repeat(99), "long text ".repeat(1000));
        for text in ["", "a", &"long text ".repeat(1000), "subject: a\n\u{1c}\u{1c}b\u{1c}", &sections] {
            let packed = pack_text(text);
            assert_eq!(unpack_text(&packed).unwrap(), text);
            assert!(unpack_header(&packed).unwrap().starts_with(header(text)));
        }
        assert_eq!(unpack_header(&pack_text(&sections)).unwrap(), header(&sections));
    }
}
