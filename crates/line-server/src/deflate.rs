//! Raw DEFLATE in both directions, as RFC 4978 uses it.

use std::io;

use bytes::BytesMut;
use flate2::{Compress, Compression, FlushCompress};

use crate::inflate::{Inflated, Inflater};

/// Room for compressed output that is added when it runs out.
const DEFLATE_STEP_BYTES: usize = 4 * 1024;

#[derive(Debug)]
pub(crate) struct Deflate {
    /// `None` while idle. A new one continues the stream: after a sync flush it stands at a byte
    /// boundary, and its blocks refer to nothing before them.
    compress: Option<Compress>,
    inflater: Inflater,
    /// Compressed bytes from the client that are not inflated yet.
    pub(crate) received: BytesMut,
    /// Compressed bytes for the client that are not sent yet.
    pub(crate) to_send: BytesMut,
}

impl Deflate {
    pub(crate) fn new() -> Self {
        Self {
            compress: None,
            inflater: Inflater::new(),
            received: BytesMut::new(),
            to_send: BytesMut::new(),
        }
    }

    /// Inflates some of `received` to the end of `into`.
    pub(crate) fn inflate(&mut self, into: &mut BytesMut) -> io::Result<Inflated> {
        self.inflater.step(&mut self.received, into)
    }

    /// See [`Inflater::finish_flush`].
    pub(crate) fn finish_input(&mut self) -> io::Result<bool> {
        self.inflater.finish_flush(&mut self.received)
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
        self.inflater.sleep();
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
        self.compress.is_some() || self.inflater.can_sleep()
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
            there.rest();
            assert!(!there.can_rest());
        }
    }

    /// A compressor that goes on refers to what came before: the sleeper must remember it all.
    #[test]
    fn sleeping_keeps_the_window() {
        let (mut here, mut there) = (Deflate::new(), Deflate::new());
        let noise: Vec<u8> = (0..70_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for part in [&noise[..100], &noise[..20_000], &noise, &noise[40_000..], &noise[38_000..60_000]] {
            assert_eq!(carry(&mut here, &mut there, part), part);
            there.rest();
        }
        here.deflate(&noise[60_000..], FlushCompress::Sync).unwrap();
        assert!(here.to_send.len() < 5_000, "the compressor does refer back: {}", here.to_send.len());
    }

    #[test]
    fn a_bomb_inflates_in_steps() {
        let (mut here, mut there) = (Deflate::new(), Deflate::new());
        here.deflate(&vec![b'x'; 8 << 20], FlushCompress::Sync).unwrap();
        there.received.extend_from_slice(&here.to_send);
        let mut out = BytesMut::new();
        let mut total = 0;
        while let Inflated::Bytes(count) = there.inflate(&mut out).unwrap() {
            assert!(count <= 32 * 1024);
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
        fn there_and_back(rounds in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9000), 1..12), rest: bool) {
            let (mut here, mut there) = (Deflate::new(), Deflate::new());
            for plain in rounds {
                prop_assert_eq!(carry(&mut here, &mut there, &plain), plain);
                if rest {
                    there.rest();
                }
            }
        }
    }
}
