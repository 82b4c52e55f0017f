//! SEARCH, SORT, THREAD.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Result, bail};

use super::super::corpus::{COMMON, HIT, JAPANESE_NEEDLE as JAPANESE, MISS};
use super::super::imap::Imap;
use super::super::server::Server;
use super::super::stats::{median, ms};
use super::{Mailbox, Measured, read};

/// A word that stands in one message of twenty.
pub(super) async fn text_hit(server: &Server, mailbox: &Mailbox, times: usize) -> Result<Measured> {
    let mut imap = read::open(server, mailbox).await?;
    find(&mut imap, &format!("SEARCH TEXT {HIT}"), mailbox.hits, times).await
}

/// A word that stands in no message.
pub(super) async fn text_miss(server: &Server, mailbox: &Mailbox, times: usize) -> Result<Measured> {
    let mut imap = read::open(server, mailbox).await?;
    find(&mut imap, &format!("SEARCH TEXT {MISS}"), 0, times).await
}

/// Words that stand in no message, each searched for once.
pub(super) async fn text_new(server: &Server, mailbox: &Mailbox, times: usize) -> Result<Measured> {
    let mut imap = read::open(server, mailbox).await?;
    find_new(&mut imap, times).await
}

/// Two characters that stand next to each other in four of ten Japanese mails in UTF-8, and in no other.
pub(super) async fn text_japanese(server: &Server, mailbox: &Mailbox, times: usize) -> Result<Measured> {
    let mut imap = read::open(server, mailbox).await?;
    let command = format!("UID SEARCH CHARSET UTF-8 BODY {{{}+}}\r\n{JAPANESE}", JAPANESE.len());
    let expected = imap.command(&command).await?.found;
    if expected < mailbox.messages as usize / 40 {
        bail!("{expected} found");
    }
    find(&mut imap, &command, expected, times).await
}

/// In a mailbox of 100 000: a word of every 20th message, one of none, and one of all of them: the first search for it (the
/// program keeps what it found) and the following ones. Then words of none, two letters and an ideograph of none for the first
/// time, and the word of every 20th fuzzily.
pub(super) async fn big(server: &mut Server, mailbox: &Mailbox, times: usize) -> Result<Measured> {
    server.restart()?;
    let mut imap = read::open(server, mailbox).await?;
    let mut figures = Vec::new();
    for (word, expected) in [(HIT, mailbox.hits), (MISS, 0), (COMMON, mailbox.messages as usize)] {
        let command = format!("SEARCH TEXT {word}");
        let Measured::Values(first) = find(&mut imap, &command, expected, 1).await? else { continue };
        let Measured::Values(again) = find(&mut imap, &command, expected, times).await? else { continue };
        figures.extend([first[0], again[0]]);
    }
    figures.extend(values(find_new(&mut imap, times).await?));
    let japanese = |needle: &str| format!("SEARCH CHARSET UTF-8 BODY {{{}+}}\r\n{needle}", needle.len());
    for (command, expected) in [("SEARCH BODY zq".to_owned(), 0), (japanese("鱸"), 0)] {
        figures.extend(values(find(&mut imap, &command, expected, 1).await?));
    }
    imap.ask_capabilities().await?;
    figures.push(match imap.can("SEARCH=FUZZY") {
        true => values(find(&mut imap, &format!("SEARCH FUZZY TEXT {HIT}"), mailbox.hits, times).await?)[0],
        false => f64::NAN,
    });
    Ok(Measured::Values(figures))
}

/// All messages by subject. RFC 5256
pub(super) async fn sort(server: &Server, mailbox: &Mailbox, times: usize) -> Result<Measured> {
    let mut imap = read::open(server, mailbox).await?;
    imap.ask_capabilities().await?;
    if !imap.can("SORT") {
        return Ok(Measured::Skipped("no SORT".into()));
    }
    find(&mut imap, "SORT (SUBJECT REVERSE DATE) UTF-8 ALL", mailbox.messages as usize, times).await
}

/// All messages by the date they were sent, the newest first, as a webmail shows them. RFC 5256
pub(super) async fn sort_date(server: &Server, mailbox: &Mailbox, times: usize) -> Result<Measured> {
    let mut imap = read::open(server, mailbox).await?;
    imap.ask_capabilities().await?;
    if !imap.can("SORT") {
        return Ok(Measured::Skipped("no SORT".into()));
    }
    find(&mut imap, "UID SORT (REVERSE DATE) UTF-8 ALL", mailbox.messages as usize, times).await
}

/// All messages by references. RFC 5256
pub(super) async fn thread(server: &Server, mailbox: &Mailbox, times: usize) -> Result<Measured> {
    let mut imap = read::open(server, mailbox).await?;
    imap.ask_capabilities().await?;
    if !imap.can("THREAD=REFERENCES") {
        return Ok(Measured::Skipped("no THREAD=REFERENCES".into()));
    }
    find(&mut imap, "THREAD REFERENCES UTF-8 ALL", mailbox.messages as usize, times).await
}

fn values(measured: Measured) -> Vec<f64> {
    match measured {
        Measured::Values(values) => values,
        Measured::Skipped(_) => Vec::new(),
    }
}

async fn find_new(imap: &mut Imap, times: usize) -> Result<Measured> {
    static WORDS: AtomicU64 = AtomicU64::new(100);
    let mut measured = Vec::with_capacity(times);
    for _ in 0..times {
        let word = format!("{MISS}{}", WORDS.fetch_add(1, Ordering::Relaxed));
        measured.extend(values(find(imap, &format!("SEARCH TEXT {word}"), 0, 1).await?));
    }
    Measured::one(median(&measured))
}

async fn find(imap: &mut Imap, command: &str, expected: usize, times: usize) -> Result<Measured> {
    let mut measured = Vec::with_capacity(times);
    for _ in 0..times {
        let begun = Instant::now();
        let reply = imap.command(command).await?;
        measured.push(ms(begun.elapsed()));
        if reply.found != expected {
            bail!("{} found instead of {expected}", reply.found);
        }
    }
    Measured::one(median(&measured))
}
