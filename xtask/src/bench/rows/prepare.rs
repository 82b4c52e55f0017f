//! Mailboxes with known content.

use anyhow::{Context as _, Result};

use super::super::corpus::{BODIES, HIT_EVERY};
use super::super::imap::Imap;
use super::super::server::{MAILDROPS, READER, Server, TRAFFIC};
use super::Mailbox;

/// Messages of the mailbox that is read and changed.
pub(super) const MESSAGES: usize = 2_000;

/// Messages of a maildrop, and of the mailbox that mixed commands and idle sessions use.
pub(super) const FEW: usize = 50;

/// The mailbox that mixed commands and idle sessions use, in each account.
pub(super) const TRAFFIC_MAILBOX: &str = "todoku-bench-traffic";

const READ_MAILBOX: &str = "todoku-bench-read";

const BULK_MAILBOX: &str = "todoku-bench-bulk";

/// 500 MB of mails of 13 KB.
const BULK_MESSAGES: usize = 38_000;

/// Fills the mailbox of [`MESSAGES`].
pub(super) async fn reader(server: &mut Server) -> Result<()> {
    if !server.filled.contains_key(READ_MAILBOX) {
        let mailbox = fill(server, READ_MAILBOX, MESSAGES).await?;
        server.filled.insert(READ_MAILBOX.into(), mailbox);
    }
    Ok(())
}

/// The mailbox of [`MESSAGES`], filled before.
pub(super) fn filled(server: &Server) -> Result<Mailbox> {
    server.filled.get(READ_MAILBOX).cloned().context("the mailbox is not filled")
}

/// Makes and fills a mailbox of `messages`, a multiple of [`BODIES`].
pub(super) async fn fill(server: &Server, name: &str, messages: usize) -> Result<Mailbox> {
    let mut imap = server.place.login(READER).await?;
    imap.recreate(name).await?;
    let octets = imap.fill(name, messages).await?;
    imap.logout().await?;
    let hits = messages / BODIES * (BODIES / HIT_EVERY);
    Ok(Mailbox { account: READER, name: name.into(), messages: messages as u32, octets, hits })
}

/// Fills the mailbox of [`BULK_MESSAGES`].
pub(super) async fn bulk(server: &mut Server) -> Result<()> {
    if !server.filled.contains_key(BULK_MAILBOX) {
        let mailbox = fill(server, BULK_MAILBOX, BULK_MESSAGES).await?;
        server.filled.insert(BULK_MAILBOX.into(), mailbox);
    }
    Ok(())
}

/// The mailbox of [`BULK_MESSAGES`], filled before.
pub(super) fn bulk_filled(server: &Server) -> Result<Mailbox> {
    server.filled.get(BULK_MAILBOX).cloned().context("the mailbox is not filled")
}

/// A mailbox of [`FEW`] in each account of [`TRAFFIC`].
pub(super) async fn traffic(server: &mut Server) -> Result<()> {
    if server.filled.contains_key(TRAFFIC_MAILBOX) {
        return Ok(());
    }
    for account in TRAFFIC {
        let mut imap = server.place.login(account).await?;
        imap.recreate(TRAFFIC_MAILBOX).await?;
        imap.fill(TRAFFIC_MAILBOX, FEW).await?;
        imap.logout().await?;
    }
    remember(server, TRAFFIC_MAILBOX, TRAFFIC.start, 0);
    Ok(())
}

/// An INBOX of [`FEW`] in each account of [`MAILDROPS`].
pub(super) async fn maildrops(server: &mut Server) -> Result<()> {
    if server.filled.contains_key("INBOX") {
        return Ok(());
    }
    let mut octets = 0;
    for account in MAILDROPS {
        let mut imap = server.place.login(account).await?;
        empty_inbox(&mut imap).await?;
        octets = imap.fill("INBOX", FEW).await?;
        imap.logout().await?;
    }
    remember(server, "INBOX", MAILDROPS.start, octets);
    Ok(())
}

/// Removes what an earlier run left.
pub(super) async fn empty_inbox(imap: &mut Imap) -> Result<()> {
    if imap.command("SELECT INBOX").await?.exists.unwrap_or_default() > 0 {
        imap.command("STORE 1:* +FLAGS.SILENT (\\Deleted)").await?;
        imap.command("CLOSE").await?;
    }
    Ok(())
}

fn remember(server: &mut Server, name: &str, account: usize, octets: usize) {
    let mailbox = Mailbox { account, name: name.into(), messages: FEW as u32, octets, hits: 0 };
    server.filled.insert(name.into(), mailbox);
}
