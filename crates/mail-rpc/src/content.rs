//! Octets of messages on their way: packed as they are stored, unpacked where they are used.

use std::cell::RefCell;
use std::io;

use tonic::{Status, Streaming};
use zstd::bulk::Decompressor;

use crate::pb;

/// Largest chunk that is unpacked; storage makes none larger than 256 KiB.
const UNPACKED_BYTES_MAX: usize = 1 << 20;

thread_local! {
    /// Making a decompressor costs more than unpacking a small message.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The chunks of a Content call, unpacked as they are taken: what waits for a slow reader stays packed.
pub struct ContentStream(Streaming<pb::ContentChunk>);

impl ContentStream {
    pub(crate) fn new(chunks: Streaming<pb::ContentChunk>) -> Self {
        Self(chunks)
    }

    /// The next chunk; `None` at the end.
    ///
    /// # Errors
    /// The status codes named in the `.proto` file; INTERNAL for a chunk that cannot be unpacked.
    pub async fn message(&mut self) -> Result<Option<pb::ContentChunk>, Status> {
        let Some(chunk) = self.0.message().await? else { return Ok(None) };
        open(chunk).map(Some).map_err(|error| Status::internal(format!("packed content is damaged: {error}")))
    }
}

/// The same chunk with its octets as they are.
fn open(mut chunk: pb::ContentChunk) -> io::Result<pb::ContentChunk> {
    let length = std::mem::take(&mut chunk.unpacked_length) as usize;
    if length == 0 {
        return Ok(chunk);
    }
    if length > UNPACKED_BYTES_MAX {
        return Err(io::Error::other("a chunk is longer than any is"));
    }
    let (from, to) = (chunk.from as usize, chunk.to as usize);
    let raw = bytes::Bytes::from(unpack(&chunk.data, length)?);
    if raw.len() != length || from > to || to > length {
        return Err(io::Error::other("a chunk is shorter than it says"));
    }
    chunk.data = raw.slice(from..to);
    (chunk.from, chunk.to) = (0, 0);
    Ok(chunk)
}

/// What a zstd frame holds, if that is at most `length` octets.
///
/// # Errors
/// A damaged frame, or a longer one.
pub fn unpack(frame: &[u8], length: usize) -> io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|slot| match slot {
        Some(decompressor) => decompressor.decompress(frame, length),
        None => slot.insert(Decompressor::new()?).decompress(frame, length),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(data: &[u8], unpacked_length: u32, from: u32, to: u32) -> pb::ContentChunk {
        let data = bytes::Bytes::copy_from_slice(data);
        pb::ContentChunk { data, unpacked_length, from, to, ..Default::default() }
    }

    #[test]
    fn chunks_are_opened_and_damaged_ones_told() {
        let text = b"Subject: hello\r\n\r\n".repeat(100);
        let length = text.len() as u32;
        let frame = zstd::bulk::compress(&text, 1).unwrap();
        assert_eq!(open(chunk(b"as it is", 0, 0, 0)).unwrap().data, &b"as it is"[..]);
        assert_eq!(open(chunk(&frame, length, 9, 14)).unwrap(), chunk(b"hello", 0, 0, 0));
        assert_eq!(open(chunk(&frame, length, 0, length)).unwrap().data, text);
        for (frame, length, from, to) in [
            (&frame[1..], length, 0, 1),
            (&frame, length - 1, 0, 1),
            (&frame, length + 1, 0, 1),
            (&frame, length, 0, length + 1),
            (&frame, length, 2, 1),
            (&frame, u32::MAX, 0, 1),
        ] {
            open(chunk(frame, length, from, to)).unwrap_err();
        }
    }
}
