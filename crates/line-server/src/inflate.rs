//! Inflating a client's raw DEFLATE stream with state that can be folded away.

use std::fmt;
use std::io;

use bytes::{Buf, BytesMut};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY,
};
use miniz_oxide::inflate::core::{BlockBoundaryState, DecompressorOxide, decompress};

/// How far back DEFLATE may refer, RFC 1951 §2.
const WINDOW_BYTES: usize = 32 * 1024;

/// Inflates a stream in steps of at most [`WINDOW_BYTES`], so that a small input cannot fill the
/// memory at once.
pub(crate) struct Inflater {
    state: State,
    finished: bool,
    /// The last octets that were read.
    last: [u8; 4],
}

/// What a sync flush ends with: the lengths of an empty stored block (RFC 1951 §3.2.4).
const FLUSHED: [u8; 4] = [0, 0, 0xff, 0xff];

enum State {
    Awake(Box<Awake>),
    /// Between two blocks: all that the next one may depend on.
    Asleep {
        boundary: BlockBoundaryState,
        /// The last bytes that came out, at most [`WINDOW_BYTES`]: for most sessions, which send
        /// commands only, all of them and few.
        history: Box<[u8]>,
    },
}

struct Awake {
    core: DecompressorOxide,
    window: [u8; WINDOW_BYTES],
    /// Where in the window the next byte goes.
    at: usize,
    /// The window has been written round once.
    is_full: bool,
    between_blocks: bool,
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

impl Inflater {
    pub(crate) fn new() -> Self {
        let state = State::Asleep { boundary: BlockBoundaryState::default(), history: Box::default() };
        Self { state, finished: false, last: [0; 4] }
    }

    /// Inflates some of `received` to the end of `into`.
    pub(crate) fn step(&mut self, received: &mut BytesMut, into: &mut BytesMut) -> io::Result<Inflated> {
        if received.is_empty() && !self.has_more_inside() {
            return Ok(if self.finished { Inflated::End } else { Inflated::Starved });
        }
        while !self.finished && (self.has_more_inside() || !received.is_empty()) {
            let written = self.step_block(received, into)?;
            if written > 0 {
                return Ok(Inflated::Bytes(written));
            }
        }
        Ok(if self.finished { Inflated::End } else { Inflated::Starved })
    }

    /// Takes from `received` what belongs to the client's last flush, or to the end of its stream, and is no data any more. False: there is
    /// more of it to come.
    pub(crate) fn finish_flush(&mut self, received: &mut BytesMut) -> io::Result<bool> {
        let mut none = BytesMut::new();
        loop {
            let between_blocks = match &self.state {
                State::Awake(awake) => awake.between_blocks,
                State::Asleep { .. } => true,
            };
            if self.finished || between_blocks && self.last == FLUSHED {
                return Ok(true);
            }
            if received.is_empty() && !self.has_more_inside() {
                return Ok(false);
            }
            if self.step_block(received, &mut none)? > 0 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "data after the end of compression"));
            }
        }
    }

    /// Up to the end of a block, of the input, or of the room; how many octets came out.
    fn step_block(&mut self, received: &mut BytesMut, into: &mut BytesMut) -> io::Result<usize> {
        let awake = self.wake();
        let flags = TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY;
        let (status, read, written) =
            decompress(&mut awake.core, received, &mut awake.window, awake.at, flags);
        into.extend_from_slice(&awake.window[awake.at..awake.at + written]);
        awake.is_full |= awake.at + written == WINDOW_BYTES;
        awake.at = (awake.at + written) % WINDOW_BYTES;
        awake.more_inside = status == TINFLStatus::HasMoreOutput;
        awake.between_blocks = status == TINFLStatus::BlockBoundary;
        match status {
            TINFLStatus::Done => self.finished = true,
            TINFLStatus::BlockBoundary | TINFLStatus::HasMoreOutput | TINFLStatus::NeedsMoreInput => {}
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "invalid DEFLATE stream")),
        }
        for octet in &received[read.saturating_sub(4)..read] {
            self.last = [self.last[1], self.last[2], self.last[3], *octet];
        }
        received.advance(read);
        Ok(written)
    }

    /// True when [`Inflater::sleep`] would free memory.
    pub(crate) fn can_sleep(&self) -> bool {
        matches!(&self.state, State::Awake(awake) if awake.between_blocks && !awake.more_inside)
    }

    /// Keeps only the history, if the stream stands between two blocks, as it does when the client
    /// has flushed.
    pub(crate) fn sleep(&mut self) {
        if let State::Awake(awake) = &self.state
            && awake.between_blocks
            && !awake.more_inside
            && let Some(boundary) = awake.core.block_boundary_state()
        {
            self.state = State::Asleep { boundary, history: awake.history() };
        }
    }

    fn has_more_inside(&self) -> bool {
        matches!(&self.state, State::Awake(awake) if awake.more_inside)
    }

    fn wake(&mut self) -> &mut Awake {
        if let State::Asleep { boundary, history } = &self.state {
            self.state = State::Awake(Box::new(Awake::resume(boundary, history)));
        }
        match &mut self.state {
            State::Awake(awake) => awake,
            State::Asleep { .. } => unreachable!("woken above"),
        }
    }
}

impl Awake {
    fn resume(boundary: &BlockBoundaryState, history: &[u8]) -> Self {
        let mut window = [0; WINDOW_BYTES];
        window[..history.len()].copy_from_slice(history);
        Self {
            core: DecompressorOxide::from_block_boundary_state(boundary),
            window,
            at: history.len() % WINDOW_BYTES,
            is_full: history.len() == WINDOW_BYTES,
            between_blocks: false,
            more_inside: false,
        }
    }

    /// The window's bytes, oldest first.
    fn history(&self) -> Box<[u8]> {
        let (newer, older) = self.window.split_at(self.at);
        if self.is_full { [older, newer].concat().into() } else { newer.into() }
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_awake = matches!(self.state, State::Awake(_));
        f.debug_struct("Inflater").field("is_awake", &is_awake).finish_non_exhaustive()
    }
}
