//! Raw DEFLATE in both directions, as RFC 4978 uses it.

use std::io;

use bytes::{Buf, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// Most bytes one step inflates, so that a small input cannot fill the memory at once.
const INFLATE_STEP_BYTES: usize = 32 * 1024;
/// Room for compressed output that is added when it runs out.
const DEFLATE_STEP_BYTES: usize = 4 * 1024;

#[derive(Debug)]
pub(crate) struct Deflate {
    /// `None` while idle. A new one continues the stream: after a sync flush it stands at a byte
    /// boundary, and its blocks refer to nothing before them.
    compress: Option<Compress>,
    decompress: Decompress,
    /// Compressed bytes from the client that are not inflated yet.
    pub(crate) received: BytesMut,
    /// Compressed bytes for the client that are not sent yet.
    pub(crate) to_send: BytesMut,
    /// The last step filled its room: there may be more without further input.
    more_inside: bool,
}

/// What a step of inflating did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Inflated {
    /// That many bytes were appended.
    Bytes(usize),
    /// More compressed bytes are needed.
    Starved,
    /// The client ended the stream.
    End,
}

impl Deflate {
    pub(crate) fn new() -> Self {
        Self {
            compress: None,
            decompress: Decompress::new(false),
            received: BytesMut::new(),
            to_send: BytesMut::new(),
            more_inside: false,
        }
    }

    /// Inflates some of `received` to the end of `into`.
    pub(crate) fn inflate(&mut self, into: &mut BytesMut) -> io::Result<Inflated> {
        while self.more_inside || !self.received.is_empty() {
            let start = into.len();
            into.resize(start + INFLATE_STEP_BYTES, 0);
            let (read_before, written_before) = (self.decompress.total_in(), self.decompress.total_out());
            let status =
                self.decompress.decompress(&self.received, &mut into[start..], FlushDecompress::Sync);
            let written = small(self.decompress.total_out() - written_before);
            let read = small(self.decompress.total_in() - read_before);
            into.truncate(start + written);
            self.received.advance(read);
            self.more_inside = written == INFLATE_STEP_BYTES;
            match status {
                Ok(_) if written > 0 => return Ok(Inflated::Bytes(written)),
                Ok(Status::StreamEnd) => return Ok(Inflated::End),
                Ok(_) if read == 0 => return Ok(Inflated::Starved),
                Ok(_) => {}
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
        Ok(Inflated::Starved)
    }

    /// Compresses `plain` to the end of `to_send`. `FlushCompress::Sync` lets the client read all of it.
    pub(crate) fn deflate(&mut self, plain: &[u8], flush: FlushCompress) -> io::Result<()> {
        let compress = self.compress.get_or_insert_with(|| Compress::new(Compression::fast(), false));
        let mut left = plain;
        loop {
            let start = self.to_send.len();
            self.to_send.resize(start + DEFLATE_STEP_BYTES.max(left.len() / 2), 0);
            let room = self.to_send.len() - start;
            let (read_before, written_before) = (compress.total_in(), compress.total_out());
            let status = compress.compress(left, &mut self.to_send[start..], flush);
            let written = small(compress.total_out() - written_before);
            left = &left[small(compress.total_in() - read_before)..];
            self.to_send.truncate(start + written);
            status.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if left.is_empty() && written < room {
                return Ok(());
            }
        }
    }

    /// Gives memory back while the client is silent and all output is flushed.
    pub(crate) fn rest(&mut self) {
        self.compress = None;
    }

    /// Gives empty buffers back.
    pub(crate) fn release_buffers(&mut self) {
        for buffer in [&mut self.received, &mut self.to_send] {
            if buffer.is_empty() {
                *buffer = BytesMut::new();
            }
        }
    }

    /// True when [`Deflate::rest`] would free something.
    pub(crate) fn can_rest(&self) -> bool {
        self.compress.is_some()
    }
}

/// Differences of totals are bounded by the sizes of our buffers.
fn small(difference: u64) -> usize {
    usize::try_from(difference).expect("bounded by a buffer's length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn carry(from: &mut Deflate, to: &mut Deflate, plain: &[u8]) -> Vec<u8> {
        from.deflate(plain, FlushCompress::Sync).unwrap();
        to.received.extend_from_slice(&from.to_send.split());
        let mut out = BytesMut::new();
        while let Inflated::Bytes(_) = to.inflate(&mut out).unwrap() {}
        out.to_vec()
    }

    #[test]
    fn resting_keeps_the_stream_valid() {
        let (mut here, mut there) = (Deflate::new(), Deflate::new());
        for round in 0..10 {
            let text = format!("* {round} EXISTS\r\n").repeat(100 * round);
            assert_eq!(carry(&mut here, &mut there, text.as_bytes()), text.as_bytes());
            here.rest();
        }
    }

    #[test]
    fn a_bomb_inflates_in_steps() {
        let (mut here, mut there) = (Deflate::new(), Deflate::new());
        here.deflate(&vec![b'x'; 8 << 20], FlushCompress::Sync).unwrap();
        there.received.extend_from_slice(&here.to_send);
        let mut out = BytesMut::new();
        let mut total = 0;
        while let Inflated::Bytes(count) = there.inflate(&mut out).unwrap() {
            assert!(count <= INFLATE_STEP_BYTES);
            total += count;
            out.clear();
        }
        assert_eq!(total, 8 << 20);
    }

    #[test]
    fn nonsense_is_an_error() {
        let mut deflate = Deflate::new();
        deflate.received.extend_from_slice(&[0xff; 64]);
        assert!(deflate.inflate(&mut BytesMut::new()).is_err());
    }

    proptest! {
        #[test]
        fn there_and_back(rounds in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9000), 1..6)) {
            let (mut here, mut there) = (Deflate::new(), Deflate::new());
            for plain in rounds {
                prop_assert_eq!(carry(&mut here, &mut there, &plain), plain);
            }
        }
    }
}
