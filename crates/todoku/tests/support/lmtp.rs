//! An MTA that delivers by LMTP and repeats what was not accepted, as RFC 2033 and RFC 5321 §4.5.4.1 ask.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::ledger::{Ledger, message};
use super::random::Random;

/// A server that says nothing for so long has lost us.
const PATIENCE: Duration = Duration::from_secs(15);

/// A message that is not accepted in this time, in spite of all retries, is a failure.
const ACCEPTED_MAX: Duration = Duration::from_secs(30);

/// Between two tries.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// What came of one try.
enum Outcome {
    /// One reply for each recipient, in order.
    Replies(Vec<u16>),
    /// A command before the message was refused for now.
    NotNow,
}

/// One connection.
pub(crate) struct Lmtp {
    reader: BufReader<TcpStream>,
}

impl Lmtp {
    pub(crate) fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut lmtp = Self { reader: BufReader::new(stream) };
        ensure!(lmtp.reply()? == 220, "no greeting");
        ensure!(lmtp.command("LHLO client.example")? == 250, "LHLO refused");
        Ok(lmtp)
    }

    /// Delivers to one recipient, who must accept it.
    pub(crate) fn deliver(&mut self, recipient: &str, octets: &[u8]) -> Result<()> {
        match self.transaction(&[recipient.to_owned()], octets, &mut false)? {
            Outcome::Replies(replies) if replies == [250] => Ok(()),
            Outcome::Replies(replies) => bail!("{replies:?} instead of 250"),
            Outcome::NotNow => bail!("the recipient was refused for now"),
        }
    }

    /// `sent` becomes true when the server may have the whole message.
    fn transaction(&mut self, recipients: &[String], octets: &[u8], sent: &mut bool) -> Result<Outcome> {
        if temporary(self.command("MAIL FROM:<sender@client.example>")?)? {
            return Ok(Outcome::NotNow);
        }
        for recipient in recipients {
            if temporary(self.command(&format!("RCPT TO:<{recipient}>"))?)? {
                self.command("RSET")?;
                return Ok(Outcome::NotNow);
            }
        }
        if temporary(self.command("DATA")?)? {
            return Ok(Outcome::NotNow);
        }
        let mut data = Vec::with_capacity(octets.len() + 64);
        for line in octets.split_inclusive(|&octet| octet == b'\n') {
            if line.starts_with(b".") {
                data.push(b'.');
            }
            data.extend_from_slice(line);
        }
        data.extend_from_slice(b".\r\n");
        *sent = true;
        self.reader.get_mut().write_all(&data)?;
        let replies = recipients.iter().map(|_| self.reply()).collect::<Result<_>>()?;
        Ok(Outcome::Replies(replies))
    }

    fn command(&mut self, line: &str) -> Result<u16> {
        self.reader.get_mut().write_all(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    /// The code of a reply of one or more lines.
    fn reply(&mut self) -> Result<u16> {
        loop {
            let mut line = String::new();
            ensure!(self.reader.read_line(&mut line)? > 0 && line.ends_with('\n'), "connection lost");
            let code = line.get(..3).and_then(|code| code.parse().ok()).context("no reply code")?;
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(code);
            }
        }
    }
}

/// False: go on. A permanent refusal would lose mail for a passing fault.
fn temporary(code: u16) -> Result<bool> {
    assert!(code < 500, "the server refused for good ({code}) while something was down");
    Ok(code >= 400)
}

/// Delivers until the ledger is closed; whatever was begun then is finished.
pub(crate) fn keep_delivering(client: u64, doors: &[String], recipients: &[String], ledger: &Ledger) {
    let mut random = Random::new(client + 100);
    let mut connection = None;
    for number in 0.. {
        if ledger.closed.load(Ordering::Relaxed) {
            return;
        }
        let id = format!("lmtp-{client}-{number}");
        let octets = message(&id, &mut random);
        let mut waiting = recipients[..1 + usize::from(random.below(4) == 0)].to_vec();
        for recipient in &waiting {
            ledger.sent(recipient, &id, &octets);
        }
        let begun = Instant::now();
        let mut tries = 0usize;
        while !waiting.is_empty() {
            assert!(begun.elapsed() < ACCEPTED_MAX, "{id} is not accepted in {ACCEPTED_MAX:?}");
            if tries > 0 {
                sleep(RETRY_AFTER);
            }
            let door = &doors[(usize::try_from(client + number).unwrap_or(0) + tries) % doors.len()];
            tries += 1;
            attempt(&mut connection, door, &mut waiting, &octets, &id, ledger);
        }
        random.sleep(Duration::ZERO, Duration::from_millis(10));
    }
}

/// One try; those who accepted are no longer waiting afterwards.
fn attempt(
    connection: &mut Option<Lmtp>,
    door: &str,
    waiting: &mut Vec<String>,
    octets: &[u8],
    id: &str,
    ledger: &Ledger,
) {
    let Some(mut lmtp) = connection.take().or_else(|| Lmtp::connect(door).ok()) else { return };
    let mut sent = false;
    match lmtp.transaction(waiting, octets, &mut sent) {
        Ok(Outcome::Replies(replies)) => {
            let mut replies = replies.into_iter();
            waiting.retain(|recipient| {
                let refused = temporary(replies.next().unwrap_or(451)).unwrap_or(true);
                if refused {
                    ledger.in_doubt.fetch_add(1, Ordering::Relaxed);
                } else {
                    ledger.accepted(recipient, id);
                }
                refused
            });
            *connection = Some(lmtp);
        }
        Ok(Outcome::NotNow) => *connection = Some(lmtp),
        Err(_) if sent => {
            ledger.in_doubt.fetch_add(1, Ordering::Relaxed);
        }
        Err(_) => {}
    }
}
