//! What a session costs that waits.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;

use super::super::server::{Server, TRAFFIC};
use super::super::system;
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
    let mut waiting = Vec::with_capacity(sessions);
    let mut tasks = JoinSet::new();
    for number in 0..sessions {
        if tasks.len() == AT_ONCE
            && let Some(task) = tasks.join_next().await
        {
            waiting.push(task??);
        }
        let place = server.place.clone();
        tasks.spawn(async move {
            let mut imap = place.login(number % TRAFFIC.len()).await?;
            imap.select(TRAFFIC_MAILBOX, FEW as u32).await?;
            imap.idle().await?;
            Ok::<_, anyhow::Error>(imap)
        });
    }
    while let Some(task) = tasks.join_next().await {
        waiting.push(task??);
    }
    tokio::time::sleep(SETTLE).await;
    let after = look(server)?;
    // Were they really there until now?
    for imap in &mut waiting {
        imap.done().await?;
    }
    for imap in waiting {
        imap.logout().await?;
    }
    let kib = |before: f64, after: f64| (after - before) / 1024.0 / sessions as f64;
    Ok(Measured::Values(vec![kib(before.0, after.0), kib(before.1, after.1)]))
}

/// Bytes in the processes and in socket buffers.
fn look(server: &Server) -> Result<(f64, f64)> {
    let processes = system::memory(&system::process_tree(&server.memory_of))?;
    Ok((processes as f64, system::socket_memory().unwrap_or_default() as f64))
}
