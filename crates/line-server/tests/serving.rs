//! The accept loop: limits, PROXY headers, panics, draining.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use line_server::{Connection, ConnectionLimits, Mode, Settings};
use service_runtime::metrics;
use support::{ask, connect, echo, read_all, read_until, settings, start, tls_client, tls_config};
use tokio::io::AsyncWriteExt;

/// Tells the client its address, then echoes.
async fn tell_peer(mut connection: Connection) {
    let peer = connection.peer();
    connection.queue(format!("{peer}\r\n").as_bytes());
    connection.flush().await.unwrap();
    echo(connection).await;
}

#[tokio::test]
async fn too_many_from_one_address_are_refused_politely() {
    let limits = ConnectionLimits::new(100, 2);
    let proxy_trusted = vec!["127.0.0.0/8".parse().unwrap()];
    let settings = Settings { limits: limits.clone(), proxy_trusted, ..settings("t-per-ip") };
    let server = start(settings, echo).await;
    let header = b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 143\r\n";
    let (mut first, mut second) = (connect(&server).await, connect(&server).await);
    first.write_all(header).await.unwrap();
    second.write_all(header).await.unwrap();
    ask(&mut first, b"a\r\n", "<a>\r\n").await;
    ask(&mut second, b"b\r\n", "<b>\r\n").await;
    let mut third = connect(&server).await;
    third.write_all(header).await.unwrap();
    third.write_all(b"early talk\r\n").await.unwrap();
    assert_eq!(read_all(&mut third).await, "* BYE too many connections\r\n");
    let text = metrics().encode();
    assert!(
        text.contains("todoku_connections_refused_total{protocol=\"t-per-ip\",reason=\"per_ip\"} 1"),
        "{text}"
    );
    drop(first);
    while limits.open() > 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut fourth = connect(&server).await;
    fourth.write_all(header).await.unwrap();
    ask(&mut fourth, b"d\r\n", "<d>\r\n").await;
}

#[tokio::test]
async fn too_many_in_all_are_refused_politely() {
    let settings = Settings { limits: ConnectionLimits::new(1, 100), ..settings("t-total") };
    let server = start(settings, echo).await;
    let mut first = connect(&server).await;
    ask(&mut first, b"a\r\n", "<a>\r\n").await;
    let mut second = connect(&server).await;
    assert_eq!(read_all(&mut second).await, "* BYE too many connections\r\n");
    ask(&mut first, b"still\r\n", "<still>\r\n").await;
}

#[tokio::test]
async fn proxy_headers_from_trusted_peers() {
    let settings = Settings { proxy_trusted: vec!["127.0.0.0/8".parse().unwrap()], ..settings("t-proxy") };
    let server = start(settings, tell_peer).await;

    let mut v1 = connect(&server).await;
    v1.write_all(b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 143\r\nfirst\r\n").await.unwrap();
    assert_eq!(read_until(&mut v1, "<first>\r\n").await, "192.0.2.7:40000\r\n<first>\r\n");

    let addresses = proxy_header::ProxiedAddress::stream(
        "[2001:db8::9]:41000".parse().unwrap(),
        "[2001:db8::1]:143".parse().unwrap(),
    );
    let mut header = Vec::new();
    proxy_header::ProxyHeader::with_address(addresses).encode_v2(&mut header).unwrap();
    let mut v2 = connect(&server).await;
    for byte in &header {
        v2.write_all(&[*byte]).await.unwrap();
    }
    v2.write_all(b"second\r\n").await.unwrap();
    assert_eq!(read_until(&mut v2, "<second>\r\n").await, "[2001:db8::9]:41000\r\n<second>\r\n");

    let mut without = connect(&server).await;
    without.write_all(b"a001 LOGIN user password\r\n").await.unwrap();
    assert_eq!(read_all(&mut without).await, "");
}

#[tokio::test]
async fn proxy_headers_from_others_are_ordinary_lines() {
    let settings = Settings { proxy_trusted: vec!["10.0.0.0/8".parse().unwrap()], ..settings("t-untrusted") };
    let server = start(settings, tell_peer).await;
    let mut client = connect(&server).await;
    let own = client.local_addr().unwrap();
    let line = "PROXY TCP4 192.0.2.7 198.51.100.1 40000 143";
    client.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
    assert_eq!(read_until(&mut client, ">\r\n").await, format!("{own}\r\n<{line}>\r\n"));
}

#[tokio::test]
async fn proxy_header_then_tls() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        mode: Mode::ImplicitTls(tls_config(dir.path()).acceptor()),
        proxy_trusted: vec!["127.0.0.1".parse().unwrap()],
        ..settings("t-proxy-tls")
    };
    let server = start(settings, tell_peer).await;
    let mut tcp = connect(&server).await;
    tcp.write_all(b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 993\r\n").await.unwrap();
    let mut client = tls_client(tcp, dir.path()).await.unwrap();
    assert_eq!(read_until(&mut client, "\r\n").await, "192.0.2.7:40000\r\n");
}

#[tokio::test]
async fn a_panic_ends_one_session_only() {
    let server = start(settings("t-panic"), |mut connection: Connection| async move {
        let line = connection.read_line(100).await.unwrap();
        assert_ne!(line.text(), b"boom");
        connection.queue(b"fine\r\n");
        connection.shutdown().await;
    })
    .await;
    let (mut bad, mut good) = (connect(&server).await, connect(&server).await);
    bad.write_all(b"boom\r\n").await.unwrap();
    assert_eq!(read_all(&mut bad).await, "");
    good.write_all(b"x\r\n").await.unwrap();
    assert_eq!(read_all(&mut good).await, "fine\r\n");
    drop((bad, good));
    while metrics().protocol("t-panic").sessions.get() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let text = metrics().encode();
    assert!(text.contains("todoku_errors_total{service=\"t-panic\",kind=\"panic\"} 1"), "{text}");
}

#[tokio::test]
async fn draining_lets_sessions_say_goodbye() {
    let stop = service_runtime::Shutdown::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = stop.clone();
    let serving = tokio::spawn(line_server::serve(
        listener,
        settings("t-drain"),
        stop.clone(),
        move |mut connection| {
            let stop = seen.clone();
            async move {
                connection.queue(b"* OK\r\n");
                connection.flush().await.unwrap();
                tokio::select! {
                    _ = connection.fill() => {}
                    () = stop.wait() => connection.queue(b"* BYE\r\n"),
                }
                connection.shutdown().await;
            }
        },
    ));
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    read_until(&mut client, "* OK\r\n").await;
    stop.trigger();
    assert_eq!(read_all(&mut client).await, "* BYE\r\n");
    drop(client);
    tokio::time::timeout(Duration::from_secs(5), serving).await.expect("drained").unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    assert!(stop.drain().await);
}

#[tokio::test]
async fn draining_closes_stuck_sessions_at_the_deadline() {
    let server = start(settings("t-stuck"), |mut connection: Connection| async move {
        connection.queue(b"* OK\r\n");
        connection.flush().await.unwrap();
        std::future::pending().await
    })
    .await;
    let mut client = connect(&server).await;
    read_until(&mut client, "* OK\r\n").await;
    server.shutdown.trigger();
    tokio::time::pause();
    assert_eq!(read_all_after_deadline(&mut client).await, 0);
    server.task.await.unwrap();
    assert_eq!(metrics().protocol("t-stuck").sessions.get(), 0);
}

async fn read_all_after_deadline(client: &mut tokio::net::TcpStream) -> usize {
    use tokio::io::AsyncReadExt;
    client.read(&mut [0; 16]).await.unwrap_or(0)
}
