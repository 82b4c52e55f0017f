//! A client that asks one question at a time and gives back the value answered.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::corpus::Mail;
use super::value::{self, Value};

/// How long an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// The mailbox that the mails are put into.
const MAILBOX: &str = "Differential";

pub(super) struct Client {
    reader: BufReader<TcpStream>,
    tag: u32,
}

impl Client {
    pub(super) fn login(address: SocketAddr, user: &str, password: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        let mut client = Self { reader: BufReader::new(stream), tag: 0 };
        client.response()?;
        client.must(&format!("LOGIN \"{user}\" \"{password}\""))?;
        Ok(client)
    }

    /// Puts the mails into a new mailbox.
    pub(super) fn fill(mut self, mails: &[Mail]) -> Result<()> {
        // RFC 6855 §4: 8-bit header fields are taken only from who has enabled this. A server without it minds less.
        self.exchange("ENABLE UTF8=ACCEPT")?;
        self.must(&format!("CREATE {MAILBOX}"))?;
        for mail in mails {
            let date = &mail.received;
            let head = format!("x APPEND {MAILBOX} \"{date}\" {{{}+}}\r\n", mail.octets.len());
            let mut bytes = head.into_bytes();
            bytes.extend_from_slice(&mail.octets);
            bytes.extend_from_slice(b"\r\n");
            self.reader.get_mut().write_all(&bytes)?;
            loop {
                let response = self.response()?;
                if response.starts_with(b"x OK") {
                    break;
                }
                if response.starts_with(b"x ") {
                    bail!("APPEND of {}: {}", mail.name, response.escape_ascii());
                }
            }
        }
        Ok(())
    }

    pub(super) fn select(&mut self) -> Result<()> {
        self.must(&format!("SELECT {MAILBOX}"))
    }

    /// The value of one FETCH item; none if the server refused the item.
    pub(super) fn fetch(&mut self, number: u32, item: &str) -> Result<Option<Value>> {
        let (status, responses) = self.exchange(&format!("FETCH {number} ({item})"))?;
        if !status.starts_with("OK") {
            return self.refused();
        }
        for response in responses {
            let values = value::parse(&response)?;
            let [_, Value::Atom(n), Value::Atom(word), Value::List(items)] = values.as_slice() else {
                continue;
            };
            if *n == number.to_string() && word == "FETCH" {
                return Ok(items.get(1).cloned());
            }
        }
        Ok(None)
    }

    /// What SEARCH, SORT or THREAD found; none if the server refused the command. The order of SEARCH means nothing.
    pub(super) fn ask(&mut self, command: &str) -> Result<Option<Value>> {
        let (status, responses) = self.exchange(command)?;
        if !status.starts_with("OK") {
            return self.refused();
        }
        let words = ["SEARCH", "SORT", "THREAD"];
        for response in responses {
            let values = value::parse(&response)?;
            if let [_, Value::Atom(word), found @ ..] = values.as_slice()
                && words.contains(&word.as_str())
            {
                return Ok(Some(Value::List(found.to_vec())));
            }
        }
        Ok(Some(Value::List(Vec::new())))
    }

    /// Servers close a session that sends one bad command after the other.
    fn refused(&mut self) -> Result<Option<Value>> {
        self.must("NOOP").map(|()| None)
    }

    fn must(&mut self, command: &str) -> Result<()> {
        let (status, _) = self.exchange(command)?;
        if !status.starts_with("OK") {
            bail!("{}: {status}", command.split(' ').next().unwrap_or_default());
        }
        Ok(())
    }

    /// The tagged status and the untagged responses before it.
    fn exchange(&mut self, command: &str) -> Result<(String, Vec<Vec<u8>>)> {
        self.tag += 1;
        let tag = format!("d{} ", self.tag);
        self.reader.get_mut().write_all(format!("{tag}{command}\r\n").as_bytes())?;
        let mut responses = Vec::new();
        loop {
            let response = self.response().with_context(|| command.to_owned())?;
            if let Some(status) = response.strip_prefix(tag.as_bytes()) {
                return Ok((String::from_utf8_lossy(status).trim_end().to_owned(), responses));
            }
            responses.push(response);
        }
    }

    /// One response with its literals.
    fn response(&mut self) -> Result<Vec<u8>> {
        let mut response = Vec::new();
        loop {
            let begin = response.len();
            if self.reader.read_until(b'\n', &mut response)? == 0 {
                bail!("the server closed the connection");
            }
            let Some(length) = literal_length(&response[begin..]) else { return Ok(response) };
            let begin = response.len();
            response.resize(begin + length, 0);
            self.reader.read_exact(&mut response[begin..])?;
        }
    }
}

/// The length in the `{length}` that ends a line. RFC 9051 §4.3
fn literal_length(line: &[u8]) -> Option<usize> {
    let rest = line.strip_suffix(b"}\r\n")?;
    let begin = memchr::memrchr(b'{', rest)?;
    std::str::from_utf8(&rest[begin + 1..]).ok()?.parse().ok()
}
