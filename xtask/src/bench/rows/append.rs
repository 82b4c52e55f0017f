//! Messages brought by IMAP.

use std::time::Instant;

use anyhow::Result;
use tokio::task::JoinSet;

use super::super::corpus;
use super::super::imap::expect;
use super::super::server::{READER, Server};
use super::super::stats::{median, ms};
use super::Measured;

const CONNECTIONS: usize = 10;

/// How many appends a client sends before it reads answers.
const WINDOW: usize = 5;

const MAILBOX: &str = "todoku-bench-append";

/// Milliseconds of one append, one after the other.
pub(super) async fn one(server: &Server, times: usize) -> Result<Measured> {
    let mut imap = server.place.login(READER).await?;
    imap.ask_capabilities().await?;
    imap.recreate(MAILBOX).await?;
    let mut measured = Vec::with_capacity(times);
    for time in 0..times {
        let message = corpus::next_message(time);
        let begun = Instant::now();
        imap.append(MAILBOX, &message).await?;
        measured.push(ms(begun.elapsed()));
    }
    imap.select(MAILBOX, times as u32).await?;
    imap.command("CLOSE").await?;
    imap.command(&format!("DELETE {MAILBOX}")).await?;
    imap.logout().await?;
    Measured::one(median(&measured))
}

/// Appends a second over 10 connections into one mailbox of each account, pipelined.
pub(super) async fn rate(server: &Server, count: usize) -> Result<Measured> {
    let mut sessions = Vec::new();
    for account in 0..CONNECTIONS {
        let mut imap = server.place.login(account).await?;
        imap.ask_capabilities().await?;
        imap.recreate(MAILBOX).await?;
        sessions.push(imap);
    }
    if !sessions[0].can("LITERAL+") {
        return Ok(Measured::Skipped("no LITERAL+".into()));
    }
    let each = count / CONNECTIONS;
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for mut imap in sessions {
        tasks.spawn(async move {
            let mut done = 0;
            while done < each {
                let batch = corpus::next_messages(done, WINDOW.min(each - done));
                imap.append_pipelined(MAILBOX, &batch).await?;
                done += batch.len();
            }
            Ok::<_, anyhow::Error>(imap)
        });
    }
    let mut finished = Vec::new();
    while let Some(task) = tasks.join_next().await {
        finished.push(task??);
    }
    let elapsed = begun.elapsed();
    for mut imap in finished {
        let exists = imap.command(&format!("SELECT {MAILBOX}")).await?.exists;
        expect("EXISTS", exists.unwrap_or_default(), each as u32)?;
        imap.command("CLOSE").await?;
        imap.command(&format!("DELETE {MAILBOX}")).await?;
        imap.logout().await?;
    }
    Measured::one((each * CONNECTIONS) as f64 / elapsed.as_secs_f64())
}
