//! Writing: a queue, and a flush that gives up on clients that take nothing.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use flate2::FlushCompress;
use tokio::time::{Instant, timeout};

use crate::connection::Connection;
use crate::deflate::Deflate;
use crate::stream::Stream;

/// How long a client may take nothing of what is sent to it. Long enough for a phone in a tunnel.
const WRITE_STALL_MAX: Duration = Duration::from_secs(120);
/// Queued bytes at which [`Connection::write`] sends before it takes more.
const QUEUE_BYTES_MAX: usize = 64 * 1024;
/// Blocks from this size on are sent from where they are. Smaller ones are copied, and so travel together: a system call costs
/// more than copying so much.
const UNCOPIED_BYTES_MIN: usize = 32 * 1024;
/// Plain bytes compressed at once, so that the compressed ones stay bounded too.
const COMPRESSED_STEP_BYTES: usize = 64 * 1024;
/// How long the end of a connection may take, once everything is sent.
const SHUTDOWN_MAX: Duration = Duration::from_secs(2);

impl Connection {
    /// Queues bytes without waiting; for replies, which are small. See [`Connection::write`] for bodies.
    pub fn queue(&mut self, bytes: &[u8]) {
        self.output().extend_from_slice(bytes);
    }

    /// The queue itself, for encoders that append to a buffer.
    pub fn output(&mut self) -> &mut BytesMut {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail);
            self.output.extend_from_slice(&tail);
        }
        &mut self.output
    }

    /// Bytes that are queued and not sent.
    pub fn queued(&self) -> usize {
        self.output.len() + self.tail.len()
    }

    /// Queues bytes, and sends when more than 64 KiB wait: a slow client slows the caller down.
    /// Large blocks are not copied. Cancel-safe: once polled, all bytes are queued or sent.
    ///
    /// # Errors
    /// As [`Connection::flush`].
    pub async fn write(&mut self, bytes: impl Into<Bytes>) -> io::Result<()> {
        let bytes: Bytes = bytes.into();
        if bytes.len() < UNCOPIED_BYTES_MIN || !self.tail.is_empty() {
            self.queue(&bytes);
        } else {
            self.tail = bytes;
        }
        if self.queued() >= QUEUE_BYTES_MAX || !self.tail.is_empty() {
            self.send().await?;
        }
        Ok(())
    }

    /// Sends all that is queued. Cancel-safe.
    ///
    /// # Errors
    /// `TimedOut` when the client takes nothing for two minutes; else what the network says.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.send().await?;
        if let Stream::Tls(_) = self.stream {
            with_stall_limit(poll_fn(|cx| self.stream.poll_flush(cx))).await?;
        }
        Ok(())
    }

    /// Sends what is queued and ends the connection: close_notify, FIN, and a short wait for the
    /// client's own end, without which unread input would cost the client our last words.
    /// Errors no longer matter and are ignored.
    pub async fn shutdown(&mut self) {
        if self.flush().await.is_err() {
            return;
        }
        let end = async {
            poll_fn(|cx| self.stream.poll_shutdown(cx)).await?;
            let mut ignored = BytesMut::new();
            loop {
                ignored.clear();
                let count = poll_fn(|cx| self.stream.poll_read(cx, &mut ignored, 4096)).await?;
                if count == 0 {
                    return io::Result::Ok(());
                }
            }
        };
        let _ = timeout(SHUTDOWN_MAX, end).await;
    }

    /// True when neither this connection nor its compressor holds unsent bytes.
    pub(crate) fn is_flushed(&self) -> bool {
        self.queued() == 0 && self.deflate.as_ref().is_none_or(|deflate| deflate.to_send.is_empty())
    }

    async fn send(&mut self) -> io::Result<()> {
        while !self.is_flushed() {
            let sent = match &mut self.deflate {
                Some(deflate) => {
                    let taken = compress_some(deflate, &mut self.output, &mut self.tail)?;
                    self.counters.bytes_sent.inc_by(taken as u64);
                    let sent =
                        with_stall_limit(poll_fn(|cx| self.stream.poll_write(cx, &deflate.to_send, &[])))
                            .await?;
                    deflate.to_send.advance(sent);
                    sent
                }
                None => {
                    let sent =
                        with_stall_limit(poll_fn(|cx| self.stream.poll_write(cx, &self.output, &self.tail)))
                            .await?;
                    let from_output = sent.min(self.output.len());
                    self.output.advance(from_output);
                    self.tail.advance(sent - from_output);
                    self.counters.bytes_sent.inc_by(sent as u64);
                    sent
                }
            };
            if sent == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.last_activity = Instant::now();
        }
        Ok(())
    }
}

/// Refills the compressed queue once it is empty; how many plain bytes that took. Every step ends
/// in a sync flush, so that the compressor may rest at any time.
fn compress_some(deflate: &mut Deflate, output: &mut BytesMut, tail: &mut Bytes) -> io::Result<usize> {
    if !deflate.to_send.is_empty() {
        return Ok(0);
    }
    let from_output = output.len().min(COMPRESSED_STEP_BYTES);
    let from_tail = tail.len().min(COMPRESSED_STEP_BYTES - from_output);
    deflate.deflate(&output[..from_output], FlushCompress::None)?;
    deflate.deflate(&tail[..from_tail], FlushCompress::Sync)?;
    output.advance(from_output);
    tail.advance(from_tail);
    Ok(from_output + from_tail)
}

async fn with_stall_limit<T>(write: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match timeout(WRITE_STALL_MAX, write).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no bytes")),
    }
}
