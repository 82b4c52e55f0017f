//! An INBOX of 100 000 messages.

use anyhow::{Context as _, Result};

use super::super::corpus;
use super::super::imap::expect;
use super::super::server::{HOARDER, Server};
use super::prepare::empty_inbox;
use super::{Mailbox, Measured, deliver};

/// How many messages are appended; the rest comes by doubling.
const APPENDED: usize = 3_125;

/// 3 125 messages five times doubled are 100 000.
const DOUBLINGS: u32 = 5;

/// How many short messages one batch appends.
const BATCH: usize = 125;

/// Under which the mailbox is remembered.
const KEY: &str = "big";

/// Fills the mailbox, once.
pub(super) async fn fill(server: &mut Server) -> Result<()> {
    if server.filled.contains_key(KEY) {
        return Ok(());
    }
    let mut imap = server.place.login(HOARDER).await?;
    empty_inbox(&mut imap).await?;
    imap.ask_capabilities().await?;
    for first in (0..APPENDED).step_by(BATCH) {
        let batch: Vec<_> = (first..first + BATCH).map(corpus::next_short_message).collect();
        imap.append_batch("INBOX", &batch).await?;
    }
    imap.select("INBOX", APPENDED as u32).await?;
    let mut messages = APPENDED as u32;
    for _ in 0..DOUBLINGS {
        imap.command(&format!("COPY 1:{messages} INBOX")).await?;
        messages *= 2;
        let exists = imap.command("NOOP").await?.exists;
        // The COPY may have announced it already.
        expect("EXISTS", exists.unwrap_or(messages), messages)?;
    }
    imap.logout().await?;
    let mailbox = Mailbox { account: HOARDER, name: "INBOX".into(), messages, octets: 0, hits: 0 };
    server.filled.insert(KEY.into(), mailbox);
    Ok(())
}

/// Messages of the mailbox that is searched, all different: copies would share their texts.
const SEARCHED: usize = 100_000;

/// The mailbox that is searched, filled once.
pub(super) async fn searched(server: &mut Server) -> Result<Mailbox> {
    const NAME: &str = "todoku-bench-search";
    if let Some(mailbox) = server.filled.get(NAME) {
        return Ok(mailbox.clone());
    }
    let mut imap = server.place.login(HOARDER).await?;
    imap.recreate(NAME).await?;
    imap.ask_capabilities().await?;
    for first in (0..SEARCHED).step_by(BATCH) {
        let batch: Vec<_> = (first..first + BATCH).map(corpus::next_short_message).collect();
        imap.append_batch(NAME, &batch).await?;
    }
    imap.logout().await?;
    let hits = SEARCHED / corpus::HIT_EVERY;
    let mailbox = Mailbox { account: HOARDER, name: NAME.into(), messages: SEARCHED as u32, octets: 0, hits };
    server.filled.insert(NAME.into(), mailbox.clone());
    Ok(mailbox)
}

/// The mailbox as it is now: deliveries made it larger.
pub(super) async fn mailbox(server: &Server) -> Result<Mailbox> {
    let filled = server.filled.get(KEY).context("the large mailbox is not filled")?;
    let mut imap = server.place.login(HOARDER).await?;
    let messages = imap.command("SELECT INBOX").await?.exists.unwrap_or_default();
    imap.logout().await?;
    if messages < filled.messages {
        expect("EXISTS", messages, filled.messages)?;
    }
    Ok(Mailbox { messages, ..filled.clone() })
}

/// Messages a second, delivered over one connection.
pub(super) async fn deliver(server: &Server, count: usize) -> Result<Measured> {
    deliver::rate_to(server, vec![server.place.user(HOARDER)], 1, count).await
}
