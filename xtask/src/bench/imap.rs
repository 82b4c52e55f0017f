//! The IMAP client: counts what comes and looks at no more of it than that.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, bail};

use super::corpus;
use super::wire::{Wire, literal_length, shown};

/// How many messages one MULTIAPPEND of [`Imap::fill`] brings.
const BATCH: usize = 50;

/// How long a client waits for a greeting before it connects again, and how often it does.
const GREETING_LIMIT: Duration = Duration::from_secs(10);
const GREETING_TRIES: u32 = 6;

pub(super) struct Imap {
    wire: Wire,
    tag: u32,
    /// The capabilities after login, upper case, with a space on each side.
    pub(super) capabilities: String,
}

/// What a command was answered with.
#[derive(Default)]
pub(super) struct Reply {
    /// The number of the last EXISTS.
    pub(super) exists: Option<u32>,
    /// Untagged FETCH replies.
    pub(super) fetches: u32,
    /// Untagged EXPUNGE replies.
    pub(super) expunges: u32,
    /// Octets in literals.
    pub(super) literal_octets: usize,
    /// Octets outside of literals.
    pub(super) line_octets: usize,
    /// Words after SEARCH, SORT or THREAD.
    pub(super) found: usize,
    /// The tagged line, without the tag.
    pub(super) status: String,
}

impl Imap {
    /// Connects, reads the greeting, logs in.
    pub(super) async fn login(address: SocketAddr, user: &str, password: &str) -> Result<Self> {
        let wire = greeted(address).await?;
        let mut imap = Self { wire, tag: 0, capabilities: String::new() };
        imap.command(&format!("LOGIN \"{user}\" \"{password}\"")).await?;
        Ok(imap)
    }

    /// Asks for the capabilities.
    pub(super) async fn ask_capabilities(&mut self) -> Result<()> {
        self.tag += 1;
        let tag = format!("a{} ", self.tag);
        self.wire.send(format!("{tag}CAPABILITY\r\n").as_bytes()).await?;
        loop {
            let line = self.wire.line().await?;
            if let Some(list) = line.strip_prefix(b"* CAPABILITY") {
                self.capabilities = format!("{} ", String::from_utf8_lossy(list).to_ascii_uppercase());
            } else if line.starts_with(tag.as_bytes()) {
                return Ok(());
            }
        }
    }

    /// Whether the server says that it can do `capability`; after [`Imap::ask_capabilities`].
    pub(super) fn can(&self, capability: &str) -> bool {
        self.capabilities.contains(&format!(" {capability} "))
    }

    /// Sends `text` as a command; any other answer than OK is an error.
    pub(super) async fn command(&mut self, text: &str) -> Result<Reply> {
        let reply = self.attempt(text).await?;
        if !reply.status.starts_with("OK") {
            // The words of a LOGIN are nobody's business.
            bail!("{}: {}", text.split(' ').next().unwrap_or_default(), reply.status);
        }
        Ok(reply)
    }

    /// As [`Imap::command`], whatever the answer is.
    pub(super) async fn attempt(&mut self, text: &str) -> Result<Reply> {
        self.tag += 1;
        let mut line = String::with_capacity(text.len() + 16);
        let _ = write!(line, "a{} {text}\r\n", self.tag);
        self.wire.send(line.as_bytes()).await?;
        self.reply(self.tag).await
    }

    /// Sends all commands before it reads the first answer. What came to all of them together.
    pub(super) async fn burst(&mut self, commands: &[String]) -> Result<Reply> {
        let first = self.tag + 1;
        let mut lines = String::new();
        for command in commands {
            self.tag += 1;
            let _ = write!(lines, "a{} {command}\r\n", self.tag);
        }
        self.wire.send(lines.as_bytes()).await?;
        let mut all = Reply::default();
        for tag in first..=self.tag {
            let reply = self.reply(tag).await?;
            if !reply.status.starts_with("OK") {
                bail!("a{tag}: {}", reply.status);
            }
            all.fetches += reply.fetches;
            all.literal_octets += reply.literal_octets;
        }
        Ok(all)
    }

    /// SELECTs `mailbox`, which must hold `messages`.
    pub(super) async fn select(&mut self, mailbox: &str, messages: u32) -> Result<()> {
        let reply = self.command(&format!("SELECT {mailbox}")).await?;
        expect("EXISTS", reply.exists.unwrap_or_default(), messages)
    }

    /// Makes `mailbox` anew and empty.
    pub(super) async fn recreate(&mut self, mailbox: &str) -> Result<()> {
        self.attempt(&format!("DELETE {mailbox}")).await?;
        self.command(&format!("CREATE {mailbox}")).await?;
        Ok(())
    }

    /// APPENDs one message and waits for the answer.
    pub(super) async fn append(&mut self, mailbox: &str, message: &[u8]) -> Result<()> {
        if self.can("LITERAL+") {
            return self.append_pipelined(mailbox, std::slice::from_ref(&message)).await;
        }
        self.tag += 1;
        let head = format!("a{} APPEND {mailbox} {{{}}}\r\n", self.tag, message.len());
        self.wire.send(head.as_bytes()).await?;
        let line = self.wire.line().await?;
        if !line.starts_with(b"+") {
            bail!("APPEND: {}", shown(line));
        }
        self.wire.send(message).await?;
        self.wire.send(b"\r\n").await?;
        self.tagged_ok("APPEND", self.tag).await
    }

    /// Sends an APPEND of each message before the first answer is read. RFC 7888 §3.
    pub(super) async fn append_pipelined(
        &mut self,
        mailbox: &str,
        messages: &[impl AsRef<[u8]>],
    ) -> Result<()> {
        let first = self.tag + 1;
        let mut bytes = Vec::new();
        for message in messages {
            self.tag += 1;
            bytes.extend_from_slice(format!("a{} APPEND {mailbox}", self.tag).as_bytes());
            put_literal(&mut bytes, message.as_ref());
            bytes.extend_from_slice(b"\r\n");
        }
        self.wire.send(&bytes).await?;
        for tag in first..=self.tag {
            self.tagged_ok("APPEND", tag).await?;
        }
        Ok(())
    }

    /// Brings `count` messages of the corpus into `mailbox` by the fastest way offered. Returns the octets of them all.
    pub(super) async fn fill(&mut self, mailbox: &str, count: usize) -> Result<usize> {
        self.ask_capabilities().await?;
        let mut octets = 0;
        let mut done = 0;
        while done < count {
            let batch = corpus::next_messages(done, BATCH.min(count - done));
            octets += batch.iter().map(Vec::len).sum::<usize>();
            done += batch.len();
            self.append_batch(mailbox, &batch).await?;
        }
        Ok(octets)
    }

    /// APPENDs these messages by the fastest way offered; after [`Imap::ask_capabilities`].
    pub(super) async fn append_batch(&mut self, mailbox: &str, messages: &[Vec<u8>]) -> Result<()> {
        if !self.can("LITERAL+") {
            for message in messages {
                self.append(mailbox, message).await?;
            }
            return Ok(());
        }
        if self.can("MULTIAPPEND") {
            return self.multiappend(mailbox, messages).await;
        }
        self.append_pipelined(mailbox, messages).await
    }

    /// RFC 3502
    async fn multiappend(&mut self, mailbox: &str, messages: &[Vec<u8>]) -> Result<()> {
        self.tag += 1;
        let mut bytes = format!("a{} APPEND {mailbox}", self.tag).into_bytes();
        for message in messages {
            put_literal(&mut bytes, message);
        }
        bytes.extend_from_slice(b"\r\n");
        self.wire.send(&bytes).await?;
        self.tagged_ok("APPEND", self.tag).await
    }

    /// Begins to IDLE. RFC 2177
    pub(super) async fn idle(&mut self) -> Result<()> {
        self.tag += 1;
        self.wire.send(format!("a{} IDLE\r\n", self.tag).as_bytes()).await?;
        loop {
            let line = self.wire.line().await?;
            if line.starts_with(b"+") {
                return Ok(());
            }
            if !line.starts_with(b"*") {
                bail!("IDLE: {}", shown(line));
            }
        }
    }

    /// The number of the next EXISTS that is pushed.
    pub(super) async fn pushed_exists(&mut self) -> Result<u32> {
        loop {
            let line = self.wire.line().await?;
            if line.starts_with(b"* BYE") {
                bail!("{}", shown(line));
            }
            if let Some((number, "EXISTS")) = numbered(line) {
                return Ok(number);
            }
        }
    }

    /// Ends IDLE.
    pub(super) async fn done(&mut self) -> Result<()> {
        self.wire.send(b"DONE\r\n").await?;
        self.tagged_ok("IDLE", self.tag).await
    }

    pub(super) async fn logout(mut self) -> Result<()> {
        self.command("LOGOUT").await.map(drop)
    }

    async fn tagged_ok(&mut self, command: &str, tag: u32) -> Result<()> {
        let reply = self.reply(tag).await?;
        if !reply.status.starts_with("OK") {
            bail!("{command}: {}", reply.status);
        }
        Ok(())
    }

    /// Reads up to the line tagged `tag`.
    async fn reply(&mut self, tag: u32) -> Result<Reply> {
        let tag = format!("a{tag} ");
        let mut reply = Reply::default();
        let mut is_new = true;
        loop {
            let line = self.wire.line().await?;
            reply.line_octets += line.len();
            if is_new {
                if let Some(status) = line.strip_prefix(tag.as_bytes()) {
                    reply.status = shown(status);
                    return Ok(reply);
                }
                reply.count(line)?;
            }
            let literal = literal_length(line);
            is_new = literal.is_none();
            if let Some(length) = literal {
                reply.literal_octets += length;
                self.wire.skip(length).await?;
            }
        }
    }
}

impl Reply {
    fn count(&mut self, line: &[u8]) -> Result<()> {
        match numbered(line) {
            Some((_, "FETCH")) => self.fetches += 1,
            Some((_, "EXPUNGE")) => self.expunges += 1,
            Some((number, "EXISTS")) => self.exists = Some(number),
            Some(_) => {}
            None => {
                for list in [&b"* SEARCH"[..], b"* SORT", b"* THREAD"] {
                    if let Some(list) = line.strip_prefix(list) {
                        self.found += count_numbers(list);
                    }
                }
                if !line.starts_with(b"* ") && !line.starts_with(b"+") {
                    bail!("an unexpected line: {}", shown(line));
                }
            }
        }
        Ok(())
    }
}

/// A connection whose greeting was read.
async fn greeted(address: SocketAddr) -> Result<Wire> {
    for _ in 0..GREETING_TRIES {
        let mut wire = Wire::connect(address).await?;
        // A full accept queue drops what the client takes for a connection: nothing will ever come on it.
        if let Ok(greeting) = tokio::time::timeout(GREETING_LIMIT, wire.line()).await {
            let greeting = greeting?;
            if !greeting.starts_with(b"* OK") {
                bail!("greeting: {}", shown(greeting));
            }
            return Ok(wire);
        }
    }
    bail!("no greeting within {GREETING_LIMIT:?}, {GREETING_TRIES} times")
}

/// Fails unless the server said as much as it should.
pub(super) fn expect(what: &str, found: u32, wanted: u32) -> Result<()> {
    if found != wanted {
        bail!("{found} {what} instead of {wanted}");
    }
    Ok(())
}

/// `number` and `WORD` of `* number WORD …`.
fn numbered(line: &[u8]) -> Option<(u32, &str)> {
    let rest = line.strip_prefix(b"* ")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    let word = rest.get(digits + 1..)?;
    let length = word.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    Some((number, std::str::from_utf8(&word[..length]).ok()?))
}

fn count_numbers(list: &[u8]) -> usize {
    list.split(|byte| !byte.is_ascii_digit()).filter(|word| !word.is_empty()).count()
}

fn put_literal(bytes: &mut Vec<u8>, message: &[u8]) {
    bytes.extend_from_slice(format!(" {{{}+}}\r\n", message.len()).as_bytes());
    bytes.extend_from_slice(message);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untagged_lines_are_counted_by_kind() {
        let mut reply = Reply::default();
        for line in
            ["* 12 EXISTS", "* 3 FETCH (UID 7)", "* 4 EXPUNGE", "* SEARCH 2 84 882", "* OK [UIDNEXT 3] x"]
        {
            reply.count(line.as_bytes()).unwrap();
        }
        assert_eq!((reply.exists, reply.fetches, reply.expunges, reply.found), (Some(12), 1, 1, 3));
        reply.count(b"* THREAD (2)(3 6 (4 23)(44 7 96))").unwrap();
        assert_eq!(reply.found, 11);
        assert!(reply.count(b"a7 OK done").is_err(), "another command's tag");
    }
}
