//! Reading: lines, counted bytes, dot-stuffed data, and raw bytes for framers.

use std::future::{Future, poll_fn};
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use memchr::memchr;
use tokio::time::{Instant, timeout, timeout_at};

use crate::connection::Connection;
use crate::dots::{DataStep, DotReader};
use crate::inflate::Inflated;
use crate::line::Line;
use crate::stream::{READ_BYTES_MAX, READ_BYTES_MIN};

/// Most bytes of an over-long line that are read and thrown away before the client is given up.
const LINE_BYTES_SKIPPED_MAX: usize = 1024 * 1024;
/// Silence after which compression gives back its memory: longer than a client's think time
/// between commands, much shorter than an IDLE.
const COMPRESSION_REST: Duration = Duration::from_secs(5);

/// Why nothing could be read. After [`ReadError::TooLong`] the connection lives on; after all
/// others it should be closed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The client closed, and no bytes are left over.
    #[error("the client closed the connection")]
    Closed,
    /// The client closed in the middle of something.
    #[error("the client closed the connection in the middle of a line or message")]
    Truncated,
    /// A line longer than allowed. It has been read to its end.
    #[error("line too long")]
    TooLong,
    /// A line so long that its end was not waited for.
    #[error("endless line")]
    Endless,
    /// The client was silent for too long, or not done by the deadline.
    #[error("timed out")]
    TimedOut,
    /// The network, TLS or compression failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Runs a read with a time limit of its own, such as for one state of a protocol.
///
/// # Errors
/// [`ReadError::TimedOut`] at the limit; else those of the read.
pub async fn within<T>(
    limit: Duration,
    read: impl Future<Output = Result<T, ReadError>>,
) -> Result<T, ReadError> {
    timeout(limit, read).await.unwrap_or(Err(ReadError::TimedOut))
}

impl Connection {
    /// The next line, at most `max` bytes with its terminator. A longer one is thrown away to its
    /// end and then reported as [`ReadError::TooLong`]. Cancel-safe.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn read_line(&mut self, max: usize) -> Result<Line, ReadError> {
        loop {
            if let Some(result) = self.take_line(max) {
                return result;
            }
            self.fill().await?;
        }
    }

    /// Up to `limit` bytes, at least one: for literals and BDAT, whose lengths are known. Cancel-safe.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn chunk(&mut self, limit: usize) -> Result<Bytes, ReadError> {
        if self.input.is_empty() && limit > 0 {
            self.fill().await?;
        }
        self.scanned = 0;
        Ok(self.input.split_to(limit.min(self.input.len())).freeze())
    }

    /// The next step of dot-stuffed data. Cancel-safe.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn next_data_chunk(&mut self, reader: &mut DotReader) -> Result<DataStep, ReadError> {
        self.scanned = 0;
        loop {
            if let Some(step) = reader.step(&mut self.input) {
                return Ok(step);
            }
            self.fill().await?;
        }
    }

    /// Waits for bytes and appends them to [`Connection::buffer`]; how many. Cancel-safe. What is
    /// queued is sent first, in this and in all reads that have to wait: replies to pipelined
    /// commands travel together, and nobody waits for a client that waits for its reply.
    ///
    /// # Errors
    /// [`ReadError::Closed`] at the end, [`ReadError::Truncated`] if bytes are left in the buffer.
    pub async fn fill(&mut self) -> Result<usize, ReadError> {
        self.flush().await?;
        loop {
            let (wake, gives_up) = self.next_wake();
            match timeout_at(wake, poll_fn(|cx| self.poll_fill(cx))).await {
                Ok(result) => return self.filled(result),
                Err(_) if gives_up => return Err(ReadError::TimedOut),
                Err(_) => self.rest(),
            }
        }
    }

    /// Bytes that were read and not taken; the caller takes from the front.
    pub fn buffer(&mut self) -> &mut BytesMut {
        self.scanned = 0;
        &mut self.input
    }

    /// True when bytes of the client wait in the buffer, as with pipelined commands; they need not
    /// be a whole line.
    pub fn has_buffered(&self) -> bool {
        !self.input.is_empty()
    }

    fn filled(&mut self, result: io::Result<usize>) -> Result<usize, ReadError> {
        let count = match result {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
            Err(error) => return Err(error.into()),
        };
        if count == 0 {
            let clean = self.input.is_empty() && self.skipped.is_none();
            return Err(if clean { ReadError::Closed } else { ReadError::Truncated });
        }
        self.counters.bytes_received.inc_by(count as u64);
        self.last_activity = Instant::now();
        let is_bulk = count >= self.read_room / 2;
        self.read_room = if is_bulk { self.read_room * 2 } else { self.read_room / 2 }
            .clamp(READ_BYTES_MIN, READ_BYTES_MAX);
        Ok(count)
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let poll = self.poll_fill_through_layers(cx);
        if poll.is_pending() {
            self.release_buffers();
        }
        poll
    }

    fn poll_fill_through_layers(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(deflate) = &mut self.deflate else {
            return self.stream.poll_read(cx, &mut self.input, self.read_room);
        };
        loop {
            match deflate.inflate(&mut self.input)? {
                Inflated::Bytes(count) => return Poll::Ready(Ok(count)),
                Inflated::End => return Poll::Ready(Ok(0)),
                Inflated::Starved => {}
            }
            if ready!(self.stream.poll_read(cx, &mut deflate.received, READ_BYTES_MIN))? == 0 {
                return Poll::Ready(Ok(0));
            }
        }
    }

    /// An idle connection holds no buffers.
    fn release_buffers(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
            self.read_room = READ_BYTES_MIN;
        }
        if self.output.is_empty() {
            self.output = BytesMut::new();
        }
        if let Some(deflate) = &mut self.deflate {
            deflate.release_buffers();
        }
    }

    /// When to stop waiting, and whether that is for good.
    fn next_wake(&self) -> (Instant, bool) {
        let silence = self.last_activity + self.read_timeout;
        let end = self.deadline.map_or(silence, |deadline| deadline.min(silence));
        if self.deflate.as_ref().is_some_and(|deflate| deflate.can_rest()) && self.is_flushed() {
            let rest = self.last_activity + COMPRESSION_REST;
            if rest < end {
                return (rest, false);
            }
        }
        (end, true)
    }

    fn rest(&mut self) {
        if let Some(deflate) = &mut self.deflate {
            deflate.rest();
        }
    }

    fn take_line(&mut self, max: usize) -> Option<Result<Line, ReadError>> {
        let found = memchr(b'\n', &self.input[self.scanned..]).map(|at| self.scanned + at + 1);
        if let Some(skipped) = self.skipped {
            let Some(end) = found else {
                self.skipped = Some(skipped + self.input.len());
                self.input.clear();
                self.scanned = 0;
                return (skipped > LINE_BYTES_SKIPPED_MAX).then_some(Err(ReadError::Endless));
            };
            self.drop_input(end);
            self.skipped = None;
            return Some(Err(ReadError::TooLong));
        }
        match found {
            Some(end) if end > max => {
                self.drop_input(end);
                Some(Err(ReadError::TooLong))
            }
            Some(end) => {
                self.scanned = 0;
                Some(Ok(Line::from_terminated(self.input.split_to(end).freeze())))
            }
            None if self.input.len() >= max => {
                self.skipped = Some(self.input.len());
                self.input.clear();
                self.scanned = 0;
                None
            }
            None => {
                self.scanned = self.input.len();
                None
            }
        }
    }

    fn drop_input(&mut self, count: usize) {
        let _ = self.input.split_to(count);
        self.scanned = 0;
    }
}
