//! A client's end of an IMAP connection: octets to replies, with COMPRESS, a memory of the dialogue, and a place for a mutation
//! between the socket and the parser, like a proxy that falsifies.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::fault::{Checked, Fault, broken};
use crate::mutate::Mutator;
use crate::reply::{Reply, parse};

/// A reply that does not come in this time never comes.
pub const REPLY_MAX: Duration = Duration::from_secs(45);
/// Lines that a failure shows.
const DIALOGUE_LINES: usize = 40;

struct Deflate {
    inflate: Decompress,
    deflate: Compress,
}

/// A connection.
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    deflate: Option<Deflate>,
    mutator: Option<Mutator>,
    /// What the mutation made of replies that came.
    ready: VecDeque<Vec<u8>>,
    dialogue: VecDeque<String>,
}

impl Wire {
    /// Connects, without waiting for the greeting.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn connect(address: SocketAddr, mutator: Option<Mutator>) -> Checked<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
            deflate: None,
            mutator,
            ready: VecDeque::new(),
            dialogue: VecDeque::new(),
        })
    }

    /// The last lines.
    pub fn dialogue(&self) -> Vec<String> {
        self.dialogue.iter().cloned().collect()
    }

    /// From now on compressed both ways.
    pub fn compress(&mut self) {
        self.deflate = Some(Deflate {
            inflate: Decompress::new(false),
            deflate: Compress::new(Compression::fast(), false),
        });
    }

    /// Sends octets as they are.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, octets: &[u8]) -> Checked {
        self.note("C", octets);
        if let Some(mutator) = &mut self.mutator {
            mutator.sent(octets);
        }
        let octets = match &mut self.deflate {
            None => octets.to_vec(),
            Some(deflate) => compressed(&mut deflate.deflate, octets)?,
        };
        Ok(self.stream.write_all(&octets).await?)
    }

    /// The next reply.
    ///
    /// # Errors
    /// What is not of the grammar; silence for [`REPLY_MAX`]; a connection that ends.
    pub async fn next(&mut self) -> Checked<Reply> {
        match self.next_until(Instant::now() + REPLY_MAX).await? {
            Some(reply) => Ok(reply),
            None => broken("reply", format!("no reply within {REPLY_MAX:?}")),
        }
    }

    /// The next reply, or `None` when none is complete at `deadline`.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn next_until(&mut self, deadline: Instant) -> Checked<Option<Reply>> {
        loop {
            if let Some(raw) = self.ready.pop_front() {
                self.note("S", &raw);
                return match parse(&raw) {
                    Ok(reply) => Ok(Some(reply)),
                    Err(error) => broken("grammar", error.to_string()),
                };
            }
            if let Some(length) = complete(&self.buffer)? {
                let raw: Vec<u8> = self.buffer.drain(..length).collect();
                match &mut self.mutator {
                    Some(mutator) => self.ready.extend(mutator.pass(raw)),
                    None => self.ready.push_back(raw),
                }
                continue;
            }
            match timeout_at(deadline, self.fill()).await {
                Ok(filled) => filled?,
                Err(_) => return Ok(None),
            }
        }
    }

    async fn fill(&mut self) -> Checked {
        let mut chunk = vec![0; 16 * 1024];
        let count = self.stream.read(&mut chunk).await?;
        if count == 0 {
            return broken("connection", "the server closed the connection");
        }
        match &mut self.deflate {
            None => self.buffer.extend_from_slice(&chunk[..count]),
            Some(deflate) => inflate(&mut deflate.inflate, &chunk[..count], &mut self.buffer)?,
        }
        Ok(())
    }

    fn note(&mut self, who: &str, octets: &[u8]) {
        let text = String::from_utf8_lossy(octets);
        for line in text.split("\r\n").filter(|line| !line.is_empty()).take(DIALOGUE_LINES) {
            if self.dialogue.len() == DIALOGUE_LINES {
                self.dialogue.pop_front();
            }
            self.dialogue.push_back(format!("{who}: {}", line.chars().take(300).collect::<String>()));
        }
    }
}

/// The length of the reply that `buffer` begins with, literals included; `None` when it is not complete.
fn complete(buffer: &[u8]) -> Checked<Option<usize>> {
    let mut at = 0;
    loop {
        let Some(end) = buffer[at..].iter().position(|octet| *octet == b'\n') else { return Ok(None) };
        let line = &buffer[at..at + end];
        let Some(line) = line.strip_suffix(b"\r") else {
            return broken("grammar", "a line that ends in LF alone");
        };
        at += end + 1;
        let Some(literal) = literal_length(line) else { return Ok(Some(at)) };
        if buffer.len() < at + literal {
            return Ok(None);
        }
        at += literal;
    }
}

fn literal_length(line: &[u8]) -> Option<usize> {
    let open = line.strip_suffix(b"}")?;
    let digits = &open[open.iter().rposition(|octet| *octet == b'{')? + 1..];
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn compressed(deflate: &mut Compress, octets: &[u8]) -> Checked<Vec<u8>> {
    let mut out = Vec::with_capacity(octets.len() + 64);
    let before = deflate.total_in();
    loop {
        let done = (deflate.total_in() - before) as usize;
        let room = out.capacity();
        deflate.compress_vec(&octets[done..], &mut out, FlushCompress::Sync).map_err(std::io::Error::from)?;
        if (deflate.total_in() - before) as usize == octets.len() && out.len() < room {
            return Ok(out);
        }
        out.reserve(octets.len() + 64);
    }
}

fn inflate(inflate: &mut Decompress, octets: &[u8], out: &mut Vec<u8>) -> Checked {
    let before = inflate.total_in();
    loop {
        out.reserve(32 * 1024);
        let room = out.capacity();
        let done = (inflate.total_in() - before) as usize;
        inflate
            .decompress_vec(&octets[done..], out, FlushDecompress::Sync)
            .map_err(|error| Fault::from(std::io::Error::other(error)))?;
        if (inflate.total_in() - before) as usize == octets.len() && out.len() < room {
            return Ok(());
        }
    }
}
