//! A TCP connection read by lines and literals, as cheaply as the client can: it shares the machine with the server.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// First size of the read buffer in bytes: thousands of idle clients have one each.
const BUFFER_MIN: usize = 2 * 1024;

/// Size in bytes up to which the buffer doubles when a read fills it. Only a longer line makes it larger.
const BUFFER_FULL: usize = 256 * 1024;

/// Longest line in bytes that a server may answer. A SEARCH reply over 100 000 messages has 700 000.
const LINE_MAX: usize = 16 * 1024 * 1024;

pub(super) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What was read and not yet taken.
    begin: usize,
    end: usize,
}

impl Wire {
    pub(super) async fn connect(address: SocketAddr) -> Result<Self> {
        let stream =
            TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; BUFFER_MIN], begin: 0, end: 0 })
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await.context("the server closed the connection")
    }

    /// The next line, without its line end.
    pub(super) async fn line(&mut self) -> Result<&[u8]> {
        let mut searched = 0;
        let length = loop {
            let unread = &self.buffer[self.begin..self.end];
            if let Some(at) = memchr::memchr(b'\n', &unread[searched..]) {
                break searched + at;
            }
            searched = unread.len();
            if searched > LINE_MAX {
                bail!("a line of more than {LINE_MAX} bytes");
            }
            self.fill().await?;
        };
        let line = &self.buffer[self.begin..self.begin + length];
        self.begin += length + 1;
        Ok(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// Reads `count` bytes and forgets them.
    pub(super) async fn skip(&mut self, mut count: usize) -> Result<()> {
        loop {
            let taken = count.min(self.end - self.begin);
            self.begin += taken;
            count -= taken;
            if count == 0 {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<()> {
        if self.begin > 0 {
            self.buffer.copy_within(self.begin..self.end, 0);
            self.end -= self.begin;
            self.begin = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let read = self.stream.read(&mut self.buffer[self.end..]).await.context("cannot read")?;
        if read == 0 {
            bail!("the server closed the connection");
        }
        self.end += read;
        if self.end == self.buffer.len() && self.end < BUFFER_FULL {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        Ok(())
    }
}

/// The length in the `{length}` that ends `line`, if it ends so. RFC 9051 §4.3.
pub(super) fn literal_length(line: &[u8]) -> Option<usize> {
    let rest = line.strip_suffix(b"}")?;
    let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, number) = rest.split_at(rest.len() - digits);
    if !before.ends_with(b"{") {
        return None;
    }
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// A line shown to a human: at most a terminal's width of it.
pub(super) fn shown(line: &[u8]) -> String {
    const SHOWN: usize = 100;
    String::from_utf8_lossy(&line[..line.len().min(SHOWN)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_told_from_text_that_ends_like_one() {
        assert_eq!(literal_length(b"* 1 FETCH (BODY[] {342}"), Some(342));
        assert_eq!(literal_length(b"* 1 FETCH (BODY[] {0}"), Some(0));
        for text in [&b"x }"[..], b"x {}", b"x {12", b"x {a12}", b"12}", b"}"] {
            assert_eq!(literal_length(text), None, "{}", shown(text));
        }
    }
}
