//! Many clients that log in at once.

use std::time::Instant;

use anyhow::Result;
use tokio::task::JoinSet;

use super::super::server::{Server, TRAFFIC};
use super::Measured;

/// Clients at once.
const CLIENTS: usize = 1_000;

/// Logins a second: each client connects, logs in and logs out, `times` times.
pub(super) async fn rate(server: &Server, times: usize) -> Result<Measured> {
    for account in TRAFFIC {
        server.place.login(account).await?.logout().await?;
    }
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for client in 0..CLIENTS {
        let place = server.place.clone();
        tasks.spawn(async move {
            for time in 0..times {
                let imap = place.login((client + time) % TRAFFIC.len()).await?;
                imap.logout().await?;
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Measured::one((CLIENTS * times) as f64 / begun.elapsed().as_secs_f64())
}
