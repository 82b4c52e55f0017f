//! The pages that operators and load balancers read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use service_runtime::{Readiness, Shutdown, http, metrics};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn fetch(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn pages() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (readiness, shutdown) = (Readiness::new(), Shutdown::new());
    let healthy = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&healthy);
    readiness.check("database", move || {
        let healthy = seen.load(Ordering::Relaxed);
        async move { if healthy { Ok(()) } else { Err("connection refused".to_owned()) } }
    });
    let more = Router::new().route("/admin", get(|| async { "pages of the program" }));
    let serving = tokio::spawn(http::serve(listener, readiness.clone(), more, shutdown.clone()));

    assert!(fetch(address, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(fetch(address, "/readyz").await.starts_with("HTTP/1.1 200"));
    assert!(fetch(address, "/admin").await.ends_with("pages of the program"));
    metrics().login("test", "ok");
    let text = fetch(address, "/metrics").await;
    assert!(text.contains("content-type: application/openmetrics-text; version=1.0.0"), "{text}");
    assert!(text.contains("todoku_logins_total{protocol=\"test\",outcome=\"ok\"} 1"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");

    healthy.store(false, Ordering::Relaxed);
    let text = fetch(address, "/readyz").await;
    assert!(text.starts_with("HTTP/1.1 503") && text.contains("database: connection refused"), "{text}");
    healthy.store(true, Ordering::Relaxed);

    // While sessions drain the pages are up, and turn load balancers away.
    let draining = shutdown.tracker().token();
    shutdown.trigger();
    while fetch(address, "/readyz").await.starts_with("HTTP/1.1 200") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(fetch(address, "/readyz").await.contains("draining"));
    drop(draining);
    tokio::time::timeout(Duration::from_secs(5), serving).await.expect("stopped").unwrap().unwrap();
}

#[tokio::test]
async fn a_check_that_hangs_is_a_problem() {
    let readiness = Readiness::new();
    readiness.check("stuck", std::future::pending);
    readiness.check("fine", || async { Ok(()) });
    tokio::time::pause();
    assert_eq!(readiness.problems().await, ["stuck: no answer within 2 s"]);
}
