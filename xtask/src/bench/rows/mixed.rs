//! Clients that do what clients do.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use super::super::corpus;
use super::super::imap::expect;
use super::super::server::{Place, Server, TRAFFIC};
use super::Measured;
use super::prepare::{FEW, TRAFFIC_MAILBOX};

/// Commands a second of 40 clients, one in each account, for so many seconds.
pub(super) async fn rate(server: &Server, seconds: u64) -> Result<Measured> {
    let begun = Instant::now();
    let end = begun + Duration::from_secs(seconds);
    let mut tasks = JoinSet::new();
    for account in TRAFFIC {
        let place = server.place.clone();
        tasks.spawn(async move {
            let mut commands = 0;
            let mut round = account;
            while Instant::now() < end {
                commands += session(&place, account, round).await?;
                round += 1;
            }
            Ok::<_, anyhow::Error>(commands)
        });
    }
    let mut commands = 0;
    while let Some(task) = tasks.join_next().await {
        commands += task??;
    }
    // Sessions are finished, not cut off; the clock runs until the last one ends.
    Measured::one(f64::from(commands) / begun.elapsed().as_secs_f64())
}

/// One session. The mailbox has as many messages afterwards as before. Returns the number of commands.
async fn session(place: &Place, account: usize, round: usize) -> Result<u32> {
    let messages = FEW as u32;
    let mut imap = place.login(account).await?;
    imap.select(TRAFFIC_MAILBOX, messages).await?;
    let reply = imap.command("UID FETCH 1:* (UID FLAGS)").await?;
    expect("FETCH", reply.fetches, messages)?;
    let page = round as u32 * 7 % (messages - 10) + 1;
    let reply = imap.command(&format!("FETCH {page}:{} (UID ENVELOPE BODYSTRUCTURE)", page + 9)).await?;
    expect("FETCH", reply.fetches, 10)?;
    for number in [page, page + 3, page + 6] {
        let reply = imap.command(&format!("FETCH {number} (BODY.PEEK[])")).await?;
        expect("FETCH", reply.fetches, 1)?;
        imap.command(&format!("STORE {number} +FLAGS (\\Seen)")).await?;
    }
    imap.command(&format!("STORE {page} -FLAGS (\\Seen)")).await?;
    imap.command("NOOP").await?;
    // The same capabilities were asked for when the mailbox was filled; a synchronising literal is always allowed.
    imap.append(TRAFFIC_MAILBOX, &corpus::next_message(round)).await?;
    imap.command("STORE 1 +FLAGS (\\Deleted)").await?;
    let reply = imap.command("EXPUNGE").await?;
    expect("EXPUNGE", reply.expunges, 1)?;
    imap.logout().await?;
    // LOGIN, SELECT, 2 FETCH, 3 times FETCH and STORE, STORE, NOOP, APPEND, STORE, EXPUNGE, LOGOUT.
    Ok(16)
}
