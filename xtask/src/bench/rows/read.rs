//! Opening a mailbox and reading it.

use std::time::Instant;

use anyhow::{Result, bail};

use super::super::imap::{Imap, Reply, expect};
use super::super::server::Server;
use super::super::stats::{median, ms};
use super::{Mailbox, Measured, prepare};

/// Fewest octets of a FETCH reply with an envelope and a body structure.
const ENVELOPE_MIN: usize = 200;

/// SELECT in a new session each time.
pub(super) async fn select(server: &Server, mailbox: &Mailbox, times: usize) -> Result<Measured> {
    let mut measured = Vec::with_capacity(times);
    for _ in 0..times {
        let mut imap = server.place.login(mailbox.account).await?;
        let begun = Instant::now();
        imap.select(&mailbox.name, mailbox.messages).await?;
        measured.push(ms(begun.elapsed()));
        imap.logout().await?;
    }
    Measured::one(median(&measured))
}

/// UIDs and flags of all messages.
pub(super) async fn flags(server: &Server, mailbox: &Mailbox, times: usize) -> Result<Measured> {
    let mut imap = open(server, mailbox).await?;
    let time = fetch(&mut imap, mailbox, "UID FETCH 1:* (UID FLAGS)", times).await?.0;
    imap.logout().await?;
    Measured::one(time)
}

/// Envelopes and body structures of all of `messages`: of a mailbox that nobody has read, and again.
pub(super) async fn envelopes(server: &mut Server, messages: usize, times: usize) -> Result<Measured> {
    const COMMAND: &str = "FETCH 1:* (ENVELOPE BODYSTRUCTURE)";
    const NAME: &str = "todoku-bench-fresh";
    let mailbox = prepare::fill(server, NAME, messages).await?;
    // Filling it may have filled caches.
    server.restart()?;
    let mut imap = open(server, &mailbox).await?;
    let (first, reply) = fetch(&mut imap, &mailbox, COMMAND, 1).await?;
    let (again, _) = fetch(&mut imap, &mailbox, COMMAND, times).await?;
    if reply.line_octets < ENVELOPE_MIN * messages {
        bail!("{} octets of envelopes and structures", reply.line_octets);
    }
    imap.command("CLOSE").await?;
    imap.command(&format!("DELETE {NAME}")).await?;
    imap.logout().await?;
    Ok(Measured::Values(vec![first, again]))
}

/// All messages whole.
pub(super) async fn bodies(server: &Server, mailbox: &Mailbox, times: usize) -> Result<Measured> {
    let mut imap = open(server, mailbox).await?;
    let (time, reply) = fetch(&mut imap, mailbox, "FETCH 1:* (BODY.PEEK[])", times).await?;
    if reply.literal_octets != mailbox.octets {
        bail!("{} octets instead of {}", reply.literal_octets, mailbox.octets);
    }
    imap.logout().await?;
    Measured::one(time)
}

/// All messages whole, each by a FETCH of its own that does not wait for those before it: of a mailbox that nobody has read.
pub(super) async fn bodies_one_by_one(server: &mut Server) -> Result<Measured> {
    const NAME: &str = "todoku-bench-fresh";
    let mailbox = prepare::fill(server, NAME, prepare::MESSAGES).await?;
    server.restart()?;
    let mut imap = open(server, &mailbox).await?;
    let commands: Vec<_> = (1..=mailbox.messages).map(|n| format!("FETCH {n} (BODY.PEEK[])")).collect();
    let begun = Instant::now();
    let reply = imap.burst(&commands).await?;
    let time = ms(begun.elapsed());
    expect("FETCH", reply.fetches, mailbox.messages)?;
    if reply.literal_octets != mailbox.octets {
        bail!("{} octets instead of {}", reply.literal_octets, mailbox.octets);
    }
    imap.command("CLOSE").await?;
    imap.command(&format!("DELETE {NAME}")).await?;
    imap.logout().await?;
    Measured::one(time)
}

/// A session on `mailbox`.
pub(super) async fn open(server: &Server, mailbox: &Mailbox) -> Result<Imap> {
    let mut imap = server.place.login(mailbox.account).await?;
    imap.select(&mailbox.name, mailbox.messages).await?;
    Ok(imap)
}

/// The median in milliseconds and the last reply.
async fn fetch(imap: &mut Imap, mailbox: &Mailbox, command: &str, times: usize) -> Result<(f64, Reply)> {
    let mut measured = Vec::with_capacity(times);
    let mut last = Reply::default();
    for _ in 0..times {
        let begun = Instant::now();
        last = imap.command(command).await?;
        measured.push(ms(begun.elapsed()));
        expect("FETCH", last.fetches, mailbox.messages)?;
    }
    Ok((median(&measured), last))
}
