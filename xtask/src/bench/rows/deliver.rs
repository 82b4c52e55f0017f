//! Deliveries by LMTP, and how soon a waiting session hears of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::task::JoinSet;

use super::super::corpus;
use super::super::lmtp::Lmtp;
use super::super::server::{Server, TRAFFIC};
use super::super::stats::{median, ms, percentile};
use super::Measured;

/// Time between two pushes: each finds a server at rest.
const REST: Duration = Duration::from_millis(10);

/// How long a push may take.
const PUSH_LIMIT: Duration = Duration::from_secs(60);

/// Messages a second, delivered over so many connections to the accounts in turn.
pub(super) async fn rate(server: &Server, connections: usize, count: usize) -> Result<Measured> {
    rate_to(server, TRAFFIC.map(|account| server.place.user(account)).collect(), connections, count).await
}

/// As [`rate`], to these recipients in turn.
pub(super) async fn rate_to(
    server: &Server,
    recipients: Vec<String>,
    connections: usize,
    count: usize,
) -> Result<Measured> {
    let recipients = Arc::new(recipients);
    let address = server.lmtp()?;
    let next = Arc::new(AtomicUsize::new(0));
    // A connection and a first delivery ahead of the clock: what starts later than the first message is not measured.
    let mut sessions = Vec::new();
    for number in 0..connections {
        let mut lmtp = Lmtp::connect(address).await?;
        lmtp.deliver(&recipients[number % recipients.len()], &corpus::next_message(number)).await?;
        sessions.push(lmtp);
    }
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for mut lmtp in sessions {
        let (recipients, next) = (Arc::clone(&recipients), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok::<_, anyhow::Error>(lmtp);
                }
                lmtp.deliver(&recipients[number % recipients.len()], &corpus::next_message(number)).await?;
            }
        });
    }
    let mut finished = Vec::new();
    while let Some(task) = tasks.join_next().await {
        finished.push(task??);
    }
    let elapsed = begun.elapsed();
    for lmtp in finished {
        lmtp.quit().await?;
    }
    Measured::one(count as f64 / elapsed.as_secs_f64())
}

/// From the final dot sent until EXISTS is read by a session that idles on the recipient's INBOX.
pub(super) async fn push(server: &Server, account: usize, count: usize) -> Result<Measured> {
    let recipient = server.place.user(account);
    let mut imap = server.place.login(account).await?;
    let mut exists = imap.command("SELECT INBOX").await?.exists.unwrap_or_default();
    let mut lmtp = Lmtp::connect(server.lmtp()?).await?;
    imap.idle().await?;
    let mut times = Vec::with_capacity(count);
    // The first one finds cold caches, and is not counted.
    for number in 0..=count {
        tokio::time::sleep(REST).await;
        let begun = lmtp.deliver_up_to_reply(&recipient, &corpus::next_short_message(number)).await?;
        let pushed = async {
            let exists = tokio::time::timeout(PUSH_LIMIT, imap.pushed_exists()).await;
            (exists, begun.elapsed())
        };
        let ((pushed, elapsed), delivered) = tokio::join!(pushed, lmtp.delivered());
        delivered?;
        let Ok(pushed) = pushed else { bail!("no EXISTS within {PUSH_LIMIT:?}") };
        exists += 1;
        super::super::imap::expect("EXISTS", pushed?, exists)?;
        if number > 0 {
            times.push(ms(elapsed));
        }
    }
    imap.done().await?;
    imap.logout().await?;
    lmtp.quit().await?;
    Ok(Measured::Values(vec![median(&times), percentile(&times, 99)]))
}
