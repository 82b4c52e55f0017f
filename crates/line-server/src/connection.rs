//! A client's connection, over TCP, TLS, and DEFLATE, upgraded in place.

use std::future::poll_fn;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::FlushCompress;
use service_runtime::metrics::{ProtocolMetrics, metrics};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::deflate::Deflate;
use crate::limits::Slot;
use crate::stream::{READ_BYTES_MIN, Stream};

/// RFC 9051 §5.4 asks for at least 30 minutes; the margin absorbs clients that speak every 30.
const READ_TIMEOUT_DEFAULT: Duration = Duration::from_secs(31 * 60);
/// A handshake is two round trips; slow phones need seconds, attackers want minutes.
pub(crate) const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// The end of a flush travels with the flushed data, or right after it.
const COMPRESSION_END_TIMEOUT: Duration = Duration::from_secs(30);

/// One client's connection: bytes in, bytes out, and who is at the other end.
///
/// Reading is in `read.rs`, writing in `write.rs`. All futures may be dropped at any time without
/// losing a byte, but for [`Connection::start_tls`] and [`Connection::shutdown`].
#[derive(Debug)]
pub struct Connection {
    pub(crate) stream: Stream,
    pub(crate) deflate: Option<Box<Deflate>>,
    /// Bytes from the client, decrypted and inflated, that nobody took yet.
    pub(crate) input: BytesMut,
    /// Bytes at the start of `input` that are known to hold no LF.
    pub(crate) scanned: usize,
    /// Bytes of an over-long line that were thrown away; `None`: not in one.
    pub(crate) skipped: Option<usize>,
    /// Room for the next read, in bytes.
    pub(crate) read_room: usize,
    /// Bytes for the client, not yet compressed or encrypted.
    pub(crate) output: BytesMut,
    /// A large block that goes after `output`, uncopied.
    pub(crate) tail: Bytes,
    pub(crate) read_timeout: Duration,
    pub(crate) deadline: Option<Instant>,
    pub(crate) last_activity: Instant,
    pub(crate) counters: ProtocolMetrics,
    protocol: &'static str,
    peer: SocketAddr,
    local: SocketAddr,
    tls: Option<Box<TlsInfo>>,
    slot: Option<Slot>,
}

/// What the TLS handshake agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsInfo {
    /// Name the client asked for (SNI).
    pub server_name: Option<String>,
    /// Application protocol (ALPN).
    pub alpn: Option<String>,
    /// Such as `TLSv1_3`.
    pub version: String,
    /// Such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: String,
}

impl Connection {
    /// A connection over an accepted TCP stream; [`crate::serve`] makes them, and so can tests.
    ///
    /// # Errors
    /// When the stream is already closed.
    pub fn from_tcp(stream: TcpStream, protocol: &'static str) -> io::Result<Self> {
        let (peer, local) = (stream.peer_addr()?, stream.local_addr()?);
        Ok(Self {
            stream: Stream::Clear(stream),
            deflate: None,
            input: BytesMut::new(),
            scanned: 0,
            skipped: None,
            read_room: READ_BYTES_MIN,
            output: BytesMut::new(),
            tail: Bytes::new(),
            read_timeout: READ_TIMEOUT_DEFAULT,
            deadline: None,
            last_activity: Instant::now(),
            counters: metrics().protocol(protocol),
            protocol,
            peer,
            local,
            tls: None,
            slot: None,
        })
    }

    /// The client's address: from the PROXY header where there was one.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The address the client connected to.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The protocol's name, as metrics use it.
    pub fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// True over TLS.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// What the handshake agreed on.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_deref()
    }

    /// True once [`Connection::start_deflate`] was called.
    pub fn is_deflate(&self) -> bool {
        self.deflate.is_some()
    }

    /// How long the client may be silent before a read fails; at first 31 minutes. Silence counts
    /// from the last bytes in either direction, over dropped and repeated reads.
    pub fn set_read_timeout(&mut self, silence: Duration) {
        self.read_timeout = silence;
    }

    /// When reads fail whatever the client sends, as before authentication; `None`: never.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// Starts the count of the client's silence again.
    pub fn touch(&mut self) {
        self.last_activity = Instant::now();
    }

    /// Sends what is queued, then does the server's side of a TLS handshake. Bytes the client sent
    /// before it are thrown away: they are not protected, and might be injected (CVE-2011-0411,
    /// RFC 9051 §11.1). Protocol state that came before it is the caller's to reset.
    ///
    /// # Errors
    /// After an error, or when dropped half-way, the connection is dead.
    pub async fn start_tls(&mut self, acceptor: &TlsAcceptor) -> io::Result<()> {
        if self.deflate.is_some() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "TLS inside compression"));
        }
        self.flush().await?;
        if !self.input.is_empty() {
            tracing::info!(peer = %self.peer, bytes = self.input.len(), "Discarded bytes sent before TLS");
        }
        self.input = BytesMut::new();
        self.scanned = 0;
        self.skipped = None;
        let Stream::Clear(tcp) = mem::replace(&mut self.stream, Stream::Gone) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "already in TLS"));
        };
        let tls = match timeout(TLS_HANDSHAKE_TIMEOUT, acceptor.accept(tcp)).await {
            Ok(result) => result?,
            Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "TLS handshake took too long")),
        };
        self.tls = Some(Box::new(describe(&tls)));
        self.stream = Stream::Tls(Box::new(tls));
        self.touch();
        Ok(())
    }

    /// Sends what is queued, then compresses both directions (RFC 4978). What is buffered already is
    /// the start of the client's compressed stream. A second call changes nothing.
    ///
    /// # Errors
    /// When the queued bytes cannot be sent.
    pub async fn start_deflate(&mut self) -> io::Result<()> {
        if self.deflate.is_some() {
            return Ok(());
        }
        self.flush().await?;
        let mut deflate = Box::new(Deflate::new());
        deflate.received = mem::take(&mut self.input);
        self.scanned = 0;
        self.deflate = Some(deflate);
        Ok(())
    }

    /// Sends what is queued, ends the compressed streams of both directions, and goes on without compression (RFC 8437 §4.1). The
    /// client has ended its own stream, or flushed it, after the last bytes that were taken from the buffer.
    ///
    /// # Errors
    /// When the queued bytes cannot be sent, the client sends compressed data after it said it would not, or is silent for too long.
    pub async fn stop_deflate(&mut self) -> io::Result<()> {
        if self.deflate.is_none() {
            return Ok(());
        }
        self.flush().await?;
        if let Some(deflate) = &mut self.deflate {
            deflate.deflate(&[], FlushCompress::Finish)?;
        }
        self.flush().await?;
        if !self.input.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "data after the end of compression"));
        }
        match timeout(COMPRESSION_END_TIMEOUT, self.end_of_compressed_input()).await {
            Ok(ended) => ended?,
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
        if let Some(deflate) = self.deflate.take() {
            self.input = deflate.received;
        }
        self.scanned = 0;
        Ok(())
    }

    async fn end_of_compressed_input(&mut self) -> io::Result<()> {
        while let Some(deflate) = &mut self.deflate
            && !deflate.finish_input()?
        {
            let read = poll_fn(|cx| self.stream.poll_read(cx, &mut deflate.received, READ_BYTES_MIN));
            if read.await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    pub(crate) fn set_addresses(&mut self, peer: SocketAddr, local: SocketAddr) {
        self.peer = peer;
        self.local = local;
    }

    pub(crate) fn set_slot(&mut self, slot: Slot) {
        self.slot = Some(slot);
    }
}

fn describe(tls: &TlsStream<TcpStream>) -> TlsInfo {
    let (_, session) = tls.get_ref();
    TlsInfo {
        server_name: session.server_name().map(str::to_owned),
        alpn: session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
        version: session.protocol_version().map(|v| format!("{v:?}")).unwrap_or_default(),
        cipher: session.negotiated_cipher_suite().map(|c| format!("{:?}", c.suite())).unwrap_or_default(),
    }
}
