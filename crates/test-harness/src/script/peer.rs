//! One connection of a script: reads logical lines, with IMAP literals joined in.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// What a line waits for at most: pushes without Redis may take as long as the batched re-check, scripts do not test that.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Peer {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Only IMAP has literals.
    literals: bool,
}

impl Peer {
    pub(crate) async fn connect(address: SocketAddr, literals: bool) -> Result<Self> {
        let stream =
            TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new(), literals })
    }

    pub(crate) async fn send(&mut self, octets: &[u8]) -> Result<()> {
        self.stream.write_all(octets).await.context("the server closed the connection")
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
                self.buffer.extend_from_slice(&chunk[..n]);
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
