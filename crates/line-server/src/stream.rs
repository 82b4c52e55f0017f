//! The transport under a connection: TCP, or TLS over TCP.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncBufRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::io::poll_read_buf;

/// Least room for a read; grows with the traffic up to [`READ_BYTES_MAX`].
pub(crate) const READ_BYTES_MIN: usize = 4 * 1024;
/// Most room for a read: a few TLS records, so that bodies need few system calls.
pub(crate) const READ_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) enum Stream {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// A handshake was given up half-way.
    Gone,
}

impl Stream {
    /// Appends what arrives; 0: the client closed. Memory is taken only once there are bytes.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut BytesMut,
        room: usize,
    ) -> Poll<io::Result<usize>> {
        match self {
            Stream::Clear(tcp) => {
                ready!(tcp.poll_read_ready(cx))?;
                into.reserve(room);
                poll_read_buf(Pin::new(tcp), cx, into)
            }
            Stream::Tls(tls) => {
                let chunk = match ready!(Pin::new(&mut **tls).poll_fill_buf(cx)) {
                    Ok(chunk) => chunk,
                    // Clients that hang up without close_notify are common and harmless here: no
                    // protocol takes the end of the stream for the end of a message.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Poll::Ready(Ok(0)),
                    Err(error) => return Poll::Ready(Err(error)),
                };
                let length = chunk.len();
                into.extend_from_slice(chunk);
                Pin::new(&mut **tls).consume(length);
                Poll::Ready(Ok(length))
            }
            Stream::Gone => Poll::Ready(Err(gone())),
        }
    }

    /// Writes from `first`, then from `second`; how many bytes were taken.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        first: &[u8],
        second: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Stream::Clear(tcp) => {
                Pin::new(tcp).poll_write_vectored(cx, &[IoSlice::new(first), IoSlice::new(second)])
            }
            Stream::Tls(tls) => {
                Pin::new(&mut **tls).poll_write(cx, if first.is_empty() { second } else { first })
            }
            Stream::Gone => Poll::Ready(Err(gone())),
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Clear(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(&mut **tls).poll_flush(cx),
            Stream::Gone => Poll::Ready(Err(gone())),
        }
    }

    /// Sends close_notify over TLS, and FIN.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Clear(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
            Stream::Gone => Poll::Ready(Ok(())),
        }
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the TLS handshake was given up")
}
