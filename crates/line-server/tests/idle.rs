//! What an idle connection costs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use line_server::{Mode, Settings};
use support::{ask, connect, echo, settings, start, tls_client, tls_config};

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// How many connections to hold: `IDLE_CONNECTIONS`, or few enough for 1 024 file descriptors.
fn connections() -> usize {
    std::env::var("IDLE_CONNECTIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(400)
}

#[tokio::test]
async fn idle_connections_are_small() {
    let server = start(settings("t-idle"), echo).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(connect(&server).await);
    }
    let before = resident();
    for _ in 0..connections() {
        let mut client = connect(&server).await;
        ask(&mut client, b"hello\r\n", "<hello>\r\n").await;
        clients.push(client);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let each = resident().saturating_sub(before) / connections();
    println!("{each} bytes for each of {} idle connections, both ends", connections());
    assert!(each < 8 * 1024, "{each} bytes for each idle connection");

    let dir = tempfile::tempdir().unwrap();
    let mode = Mode::ImplicitTls(tls_config(dir.path()).acceptor());
    let server = start(Settings { mode, ..settings("t-idle-tls") }, echo).await;
    drop(clients);
    let mut clients = Vec::new();
    let before = resident();
    for _ in 0..connections() {
        let mut client = tls_client(connect(&server).await, dir.path()).await.unwrap();
        ask(&mut client, b"hello\r\n", "<hello>\r\n").await;
        clients.push(client);
    }
    let each = resident().saturating_sub(before) / connections();
    println!("{each} bytes for each of {} idle TLS connections, both ends", connections());
}
