//! Traces leave the process, at the latest when the guard is dropped.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use service_runtime::{Config, telemetry};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_are_exported_when_the_guard_is_dropped() {
    let collector = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = Config::default();
    config.otlp.endpoint = format!("http://{}", collector.local_addr().unwrap());
    let guard = telemetry::init("test", &config).unwrap();
    tracing::info_span!(target: "todoku", "work", mailbox = "INBOX").in_scope(|| tracing::info!("Done"));
    let dropping = tokio::task::spawn_blocking(move || drop(guard));
    let (mut stream, _) =
        tokio::time::timeout(Duration::from_secs(10), collector.accept()).await.expect("an export").unwrap();
    let mut preface = [0; 14];
    stream.read_exact(&mut preface).await.unwrap();
    assert_eq!(&preface, b"PRI * HTTP/2.0");
    // A collector that breaks off must not keep the process from ending.
    drop((stream, collector));
    tokio::time::timeout(Duration::from_secs(20), dropping).await.expect("the guard ends").unwrap();
    assert!(telemetry::init("test", &Config::default()).is_err(), "only once");
}
