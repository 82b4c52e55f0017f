//! Changing flags, copying, expunging.

use std::time::Instant;

use anyhow::Result;

use super::super::imap::expect;
use super::super::server::Server;
use super::super::stats::{median, ms};
use super::{Mailbox, Measured, read};

const COPIES: &str = "todoku-bench-copies";

/// A flag of one message set or removed.
pub(super) async fn store_one(server: &Server, mailbox: &Mailbox, times: usize) -> Result<Measured> {
    let mut imap = read::open(server, mailbox).await?;
    let mut measured = Vec::with_capacity(times);
    for time in 0..times {
        // First every message of some is flagged, then none is: each command changes something.
        let number = (time / 2 * 37) as u32 % mailbox.messages + 1;
        let sign = sign(time);
        let begun = Instant::now();
        let reply = imap.command(&format!("STORE {number} {sign}FLAGS (\\Flagged)")).await?;
        measured.push(ms(begun.elapsed()));
        expect("FETCH", reply.fetches, 1)?;
    }
    imap.command("STORE 1:* -FLAGS.SILENT (\\Flagged)").await?;
    imap.logout().await?;
    Measured::one(median(&measured))
}

/// A flag of all messages set or removed.
pub(super) async fn store_all(server: &Server, mailbox: &Mailbox, times: usize) -> Result<Measured> {
    let mut imap = read::open(server, mailbox).await?;
    let mut measured = Vec::with_capacity(times);
    for time in 0..times {
        let sign = sign(time);
        let begun = Instant::now();
        let reply = imap.command(&format!("STORE 1:* {sign}FLAGS (\\Flagged)")).await?;
        measured.push(ms(begun.elapsed()));
        expect("FETCH", reply.fetches, mailbox.messages)?;
    }
    imap.command("STORE 1:* -FLAGS.SILENT (\\Flagged)").await?;
    imap.logout().await?;
    Measured::one(median(&measured))
}

/// All messages copied into an empty mailbox.
pub(super) async fn copy(server: &Server, mailbox: &Mailbox, times: usize) -> Result<Measured> {
    copy_then(server, mailbox, times, Timed::Copy).await
}

/// All messages expunged.
pub(super) async fn expunge(server: &Server, mailbox: &Mailbox, times: usize) -> Result<Measured> {
    copy_then(server, mailbox, times, Timed::Expunge).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Timed {
    Copy,
    Expunge,
}

async fn copy_then(server: &Server, mailbox: &Mailbox, times: usize, timed: Timed) -> Result<Measured> {
    let copies = Mailbox { name: COPIES.into(), ..mailbox.clone() };
    let mut measured = Vec::with_capacity(times);
    for _ in 0..times {
        let mut imap = read::open(server, mailbox).await?;
        imap.recreate(COPIES).await?;
        let begun = Instant::now();
        imap.command(&format!("COPY 1:* {COPIES}")).await?;
        if timed == Timed::Copy {
            measured.push(ms(begun.elapsed()));
        }
        imap.logout().await?;
        let mut imap = read::open(server, &copies).await?;
        if timed == Timed::Expunge {
            imap.command("STORE 1:* +FLAGS.SILENT (\\Deleted)").await?;
            let begun = Instant::now();
            let reply = imap.command("EXPUNGE").await?;
            measured.push(ms(begun.elapsed()));
            expect("EXPUNGE", reply.expunges, copies.messages)?;
        }
        imap.command("CLOSE").await?;
        imap.command(&format!("DELETE {COPIES}")).await?;
        imap.logout().await?;
    }
    Measured::one(median(&measured))
}

fn sign(time: usize) -> char {
    if time.is_multiple_of(2) { '+' } else { '-' }
}
