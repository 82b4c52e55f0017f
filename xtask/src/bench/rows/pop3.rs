//! Maildrops downloaded whole.

use std::time::Instant;

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;

use super::super::pop3;
use super::super::server::{MAILDROPS, Server};
use super::Measured;
use super::prepare::FEW;

/// Megabytes a second of 10 clients that each download a maildrop of their own, `times` times.
pub(super) async fn rate(server: &Server, times: usize) -> Result<Measured> {
    let Some(address) = server.place.pop3 else {
        return Ok(Measured::Skipped("no POP3".into()));
    };
    let octets = server.filled.get("INBOX").context("the maildrops are not filled")?.octets;
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for account in MAILDROPS {
        let (user, password) = (server.place.user(account), server.place.password.clone());
        tasks.spawn(async move {
            for _ in 0..times {
                pop3::download(address, (&user, &password), FEW, octets).await?;
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Measured::one((MAILDROPS.len() * times * octets) as f64 / 1e6 / begun.elapsed().as_secs_f64())
}
