//! One connection of a script: reads logical lines, with IMAP literals joined in.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// What a line waits for at most: pushes without Redis may take as long as the batched re-check, scripts do not test that.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// TCP, or TLS over it.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(crate) struct Peer {
    stream: Box<dyn Stream>,
    /// Raw DEFLATE, both ways (RFC 4978).
    deflate: Option<(Compress, Decompress)>,
    buffer: Vec<u8>,
    /// Only IMAP has literals.
    literals: bool,
}

impl Peer {
    pub(crate) async fn connect(address: SocketAddr, literals: bool) -> Result<Self> {
        let stream =
            TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: Box::new(stream), deflate: None, buffer: Vec::new(), literals })
    }

    pub(crate) async fn send(&mut self, octets: &[u8]) -> Result<()> {
        let compressed = match &mut self.deflate {
            Some((compress, _)) => deflated(compress, octets)?,
            None => Vec::new(),
        };
        let octets = if self.deflate.is_some() { &compressed } else { octets };
        self.stream.write_all(octets).await.context("the server closed the connection")?;
        self.stream.flush().await.context("the server closed the connection")
    }

    /// The client's side of a handshake. What the server said in clear has been read before: it says nothing beyond its OK.
    pub(crate) async fn start_tls(&mut self) -> Result<()> {
        if !self.buffer.is_empty() {
            bail!("said in clear after its OK: {:?}", show(&self.buffer));
        }
        let clear = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let name = "localhost".try_into().context("a name")?;
        self.stream = Box::new(super::tls::connector()?.connect(name, clear).await.context("no TLS")?);
        Ok(())
    }

    /// Both directions are compressed from now on; what has come already is.
    pub(crate) fn start_deflate(&mut self) -> Result<()> {
        self.deflate = Some((Compress::new(Compression::fast(), false), Decompress::new(false)));
        let early = std::mem::take(&mut self.buffer);
        self.take(&early)
    }

    /// Octets of the server.
    fn take(&mut self, octets: &[u8]) -> Result<()> {
        match &mut self.deflate {
            Some((_, decompress)) => inflate(decompress, octets, &mut self.buffer),
            None => {
                self.buffer.extend_from_slice(octets);
                Ok(())
            }
        }
    }

    /// The next line without its CRLF. Literals are part of it, with their line ends shown as `\r\n`.
    /// `None`: nothing came until then, or the connection is closed (see [`Self::is_closed`]).
    pub(crate) async fn line(&mut self, until: Instant) -> Result<Option<String>> {
        loop {
            if let Some(end) = logical_end(&self.buffer, self.literals) {
                let line: Vec<u8> = self.buffer.drain(..end).collect();
                return Ok(Some(show(&line[..line.len() - 2])));
            }
            if !self.fill(until).await? {
                return Ok(None);
            }
        }
    }

    /// False: time is up or the connection is closed.
    async fn fill(&mut self, until: Instant) -> Result<bool> {
        let mut chunk = vec![0u8; 16 * 1024];
        match timeout_at(until, self.stream.read(&mut chunk)).await {
            Err(_) | Ok(Ok(0)) => Ok(false),
            Ok(Ok(n)) => {
                self.take(&chunk[..n])?;
                Ok(true)
            }
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(false),
            Ok(Err(error)) => Err(error.into()),
        }
    }

    /// Waits for the server to close; what comes before that is dropped.
    pub(crate) async fn closed(&mut self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while self.fill(until).await? {}
        if Instant::now() >= until {
            bail!("the server did not close the connection");
        }
        Ok(())
    }
}

/// All of it, flushed, so that the server can answer.
fn deflated(compress: &mut Compress, octets: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(octets.len() + 64);
    let (begin, mut taken) = (compress.total_in(), 0);
    loop {
        compress.compress_vec(&octets[taken..], &mut out, FlushCompress::Sync)?;
        taken = (compress.total_in() - begin) as usize;
        if taken == octets.len() && out.len() < out.capacity() {
            return Ok(out);
        }
        out.reserve(octets.len() + 64);
    }
}

fn inflate(decompress: &mut Decompress, octets: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let (begin, mut taken) = (decompress.total_in(), 0);
    loop {
        out.reserve(16 * 1024);
        let status = decompress.decompress_vec(&octets[taken..], out, FlushDecompress::Sync)?;
        taken = (decompress.total_in() - begin) as usize;
        let is_done = taken == octets.len() && out.len() < out.capacity();
        if is_done || status == Status::StreamEnd {
            return Ok(());
        }
    }
}

/// Where a line with its literals ends, its CRLF included.
fn logical_end(buffer: &[u8], literals: bool) -> Option<usize> {
    let mut from = 0;
    loop {
        let end = from + buffer[from..].windows(2).position(|w| w == b"\r\n")? + 2;
        match literal_size(&buffer[from..end - 2]).filter(|_| literals) {
            Some(size) if buffer.len() < end + size => return None,
            Some(size) => from = end + size,
            None => return Some(end),
        }
    }
}

/// `...{n}` or `...~{n}` at the end of a line.
fn literal_size(line: &[u8]) -> Option<usize> {
    let inner = line.strip_suffix(b"}")?;
    let open = inner.iter().rposition(|b| *b == b'{')?;
    std::str::from_utf8(&inner[open + 1..]).ok()?.parse().ok()
}

/// Octets that a script can write: CR, LF and NUL escaped, invalid UTF-8 replaced.
fn show(line: &[u8]) -> String {
    String::from_utf8_lossy(line).replace('\r', "\\r").replace('\n', "\\n").replace('\0', "\\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_part_of_their_line() {
        assert_eq!(logical_end(b"* 1 EXISTS\r\n* 2", true), Some(12));
        assert_eq!(logical_end(b"* 1 FETCH (BODY[] {4}\r\na\r\nb", true), None);
        assert_eq!(logical_end(b"* 1 FETCH (BODY[] {4}\r\na\r\nb)\r\n", true), Some(30));
        assert_eq!(logical_end(b"+OK {4}\r\n", false), Some(9));
    }
}
