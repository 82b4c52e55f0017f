//! As much of an IMAP client as the tests need.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::PASSWORD;
use super::ledger::Held;

/// A server that says nothing for so long has lost us.
const PATIENCE: Duration = Duration::from_secs(15);

/// A response with its literals taken out.
pub(crate) struct Response {
    pub(crate) text: String,
    literals: Vec<Vec<u8>>,
}

/// One session.
pub(crate) struct Imap {
    reader: BufReader<TcpStream>,
    tag: u32,
}

impl Imap {
    /// Connects and logs in.
    pub(crate) fn login(address: &str, account: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut imap = Self { reader: BufReader::new(stream), tag: 0 };
        let greeting = imap.response()?.text;
        ensure!(greeting.starts_with("* OK"), "{greeting}");
        imap.command(&format!("LOGIN {account} {PASSWORD}"))?;
        Ok(imap)
    }

    /// The untagged responses of a command that must be answered with OK.
    pub(crate) fn command(&mut self, text: &str) -> Result<Vec<Response>> {
        self.send(text)?;
        self.finish(text)
    }

    /// Selects INBOX; its UIDVALIDITY.
    pub(crate) fn select(&mut self) -> Result<u32> {
        let responses = self.command("SELECT INBOX")?;
        let validity = responses.iter().find_map(|response| {
            response.text.split_once("[UIDVALIDITY ")?.1.split(']').next()?.parse().ok()
        });
        validity.context("no UIDVALIDITY")
    }

    /// Every message of the selected mailbox, in the server's order.
    pub(crate) fn fetch_all(&mut self) -> Result<Vec<Held>> {
        let mut held = Vec::new();
        for mut response in self.command("UID FETCH 1:* (UID BODY.PEEK[])")? {
            if !response.text.contains(" FETCH (") {
                continue;
            }
            let uid = response.text.split_once("UID ").context("no UID")?.1;
            let uid = uid.split([' ', ')']).next().unwrap_or("").parse().context("no UID")?;
            let octets = response.literals.pop().with_context(|| format!("no literal: {}", response.text))?;
            held.push(Held { uid, octets });
        }
        Ok(held)
    }

    /// Appends to INBOX. RFC 9051 §6.3.12.
    pub(crate) fn append(&mut self, octets: &[u8]) -> Result<()> {
        self.send(&format!("APPEND INBOX {{{}}}", octets.len()))?;
        let go = self.response()?.text;
        ensure!(go.starts_with('+'), "{go}");
        self.reader.get_mut().write_all(octets)?;
        self.reader.get_mut().write_all(b"\r\n")?;
        self.finish("APPEND").map(|_| ())
    }

    /// Starts IDLE. RFC 9051 §6.3.13.
    pub(crate) fn idle(&mut self) -> Result<()> {
        self.send("IDLE")?;
        loop {
            if self.response()?.text.starts_with('+') {
                return Ok(());
            }
        }
    }

    /// How long it takes until the server says that there are `least` messages or more.
    pub(crate) fn hears_exists(&mut self, least: usize, most: Duration) -> Result<Duration> {
        let begun = Instant::now();
        loop {
            let left = most.checked_sub(begun.elapsed()).filter(|left| !left.is_zero());
            let left = left.with_context(|| format!("no EXISTS in {most:?}"))?;
            self.reader.get_ref().set_read_timeout(Some(left))?;
            let response = self.response().with_context(|| format!("no EXISTS in {most:?}"))?;
            let count = response.text.strip_prefix("* ").and_then(|text| text.strip_suffix(" EXISTS"));
            if count.and_then(|count| count.parse().ok()).is_some_and(|count: usize| count >= least) {
                self.reader.get_ref().set_read_timeout(Some(PATIENCE))?;
                return Ok(begun.elapsed());
            }
        }
    }

    /// Ends IDLE.
    pub(crate) fn done(&mut self) -> Result<()> {
        self.reader.get_mut().write_all(b"DONE\r\n")?;
        self.finish("IDLE").map(|_| ())
    }

    fn send(&mut self, text: &str) -> Result<()> {
        self.tag += 1;
        let line = format!("a{} {text}\r\n", self.tag);
        Ok(self.reader.get_mut().write_all(line.as_bytes())?)
    }

    fn finish(&mut self, command: &str) -> Result<Vec<Response>> {
        let tag = format!("a{} ", self.tag);
        let mut responses = Vec::new();
        loop {
            let response = self.response()?;
            match response.text.strip_prefix(&tag) {
                Some(status) if status.starts_with("OK") => return Ok(responses),
                Some(status) => bail!("{command}: {status}"),
                None => responses.push(response),
            }
        }
    }

    fn response(&mut self) -> Result<Response> {
        let mut response = Response { text: String::new(), literals: Vec::new() };
        loop {
            let mut line = String::new();
            ensure!(self.reader.read_line(&mut line)? > 0 && line.ends_with("\r\n"), "connection lost");
            let line = line.trim_end();
            response.text.push_str(line);
            let length = line.strip_suffix('}').and_then(|line| line.rsplit_once('{'));
            let Some((_, length)) = length else { return Ok(response) };
            let mut octets = vec![0; length.parse()?];
            self.reader.read_exact(&mut octets)?;
            response.literals.push(octets);
        }
    }
}
