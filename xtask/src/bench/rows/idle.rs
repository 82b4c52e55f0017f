//! What a session costs that waits.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;

use super::super::imap::{Imap, expect};
use super::super::lmtp::Lmtp;
use super::super::server::{HOARDER, Place, Server, TRAFFIC};
use super::super::{corpus, system};
use super::Measured;
use super::prepare::{FEW, TRAFFIC_MAILBOX};

/// How many clients connect at once.
const AT_ONCE: usize = 50;

/// Time for a server to give memory back that it needed for a moment.
const SETTLE: Duration = Duration::from_secs(3);

/// KiB a session, in the server's processes and in the kernel's socket buffers.
pub(super) async fn memory(server: &mut Server, sessions: usize) -> Result<Measured> {
    if server.memory_of.is_empty() {
        return Ok(Measured::Skipped("no pid".into()));
    }
    // What earlier rows left free inside the processes would hide what the sessions need.
    server.restart()?;
    for account in TRAFFIC {
        let mut imap = server.place.login(account).await?;
        imap.select(TRAFFIC_MAILBOX, FEW as u32).await?;
        imap.logout().await?;
    }
    tokio::time::sleep(SETTLE).await;
    let before = look(server)?;
    let accounts = (0..sessions).map(|number| number % TRAFFIC.len());
    let mut waiting = all_idle(&server.place, accounts, TRAFFIC_MAILBOX, FEW as u32).await?;
    tokio::time::sleep(SETTLE).await;
    let after = look(server)?;
    end(&mut waiting).await?;
    let kib = |before: f64, after: f64| (after - before) / 1024.0 / sessions as f64;
    Ok(Measured::Values(vec![kib(before.0, after.0), kib(before.1, after.1)]))
}

/// KiB a session in the server's processes, of sessions that wait on one mailbox of 100 000: when they have come, and when each was
/// told of a delivery and of a flag.
pub(super) async fn big(server: &mut Server, sessions: usize) -> Result<Measured> {
    if server.memory_of.is_empty() {
        return Ok(Measured::Skipped("no pid".into()));
    }
    server.restart()?;
    // One session stays: what all share is there before.
    let mailbox = super::big::mailbox(server).await?;
    let mut writer = server.place.login(HOARDER).await?;
    writer.select(&mailbox.name, mailbox.messages).await?;
    writer.command("FETCH 1:* (UID FLAGS)").await?;
    // As many come and go first: what the server needed for a moment, to fill the mailbox and to open it, would hide the rest.
    let come = async || {
        let accounts = std::iter::repeat_n(HOARDER, sessions);
        all_idle(&server.place, accounts, &mailbox.name, mailbox.messages).await
    };
    end(&mut come().await?).await?;
    tokio::time::sleep(SETTLE).await;
    let before = look(server)?.0;
    let mut waiting = come().await?;
    tokio::time::sleep(SETTLE).await;
    let idle = look(server)?.0;
    let mut lmtp = Lmtp::connect(server.lmtp()?).await?;
    lmtp.deliver(&server.place.user(HOARDER), &corpus::next_short_message(0)).await?;
    for imap in &mut waiting {
        expect("EXISTS", imap.pushed_exists().await?, mailbox.messages + 1)?;
    }
    for sign in ["+", "-"] {
        writer.command(&format!("UID STORE 50000 {sign}FLAGS.SILENT (\\Answered)")).await?;
    }
    tokio::time::sleep(SETTLE).await;
    let changed = look(server)?.0;
    end(&mut waiting).await?;
    writer.logout().await?;
    lmtp.quit().await?;
    let kib = |after: f64| (after - before) / 1024.0 / sessions as f64;
    Ok(Measured::Values(vec![kib(idle), kib(changed)]))
}

/// Sessions that wait, each of the next account.
async fn all_idle(
    place: &Place,
    accounts: impl Iterator<Item = usize>,
    mailbox: &str,
    messages: u32,
) -> Result<Vec<Imap>> {
    let mut waiting = Vec::new();
    let mut tasks = JoinSet::new();
    for account in accounts {
        if tasks.len() == AT_ONCE
            && let Some(task) = tasks.join_next().await
        {
            waiting.push(task??);
        }
        let (place, mailbox) = (place.clone(), mailbox.to_owned());
        tasks.spawn(async move {
            let mut imap = place.login(account).await?;
            imap.select(&mailbox, messages).await?;
            imap.idle().await?;
            Ok::<_, anyhow::Error>(imap)
        });
    }
    while let Some(task) = tasks.join_next().await {
        waiting.push(task??);
    }
    Ok(waiting)
}

/// Were they really there until now?
async fn end(waiting: &mut Vec<Imap>) -> Result<()> {
    for imap in waiting.iter_mut() {
        imap.done().await?;
    }
    for imap in waiting.drain(..) {
        imap.logout().await?;
    }
    Ok(())
}

/// Bytes in the processes and in socket buffers.
fn look(server: &Server) -> Result<(f64, f64)> {
    let processes = system::memory(&system::process_tree(&server.memory_of))?;
    Ok((processes as f64, system::socket_memory().unwrap_or_default() as f64))
}
