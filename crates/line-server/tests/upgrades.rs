//! STARTTLS, TLS from the start, DEFLATE.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use bytes::BytesMut;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use line_server::{Connection, Mode, Settings, TlsConfig, make_ca_and_service_certs};
use support::{ask, connect, echo, read_all, read_until, settings, start, tls_client, tls_config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// `STARTTLS` and `COMPRESS` upgrade, `PLAIN` ends compression; any other line is echoed.
async fn upgrading(mut connection: Connection, tls: TlsConfig) {
    while let Ok(line) = connection.read_line(1000).await {
        let result = match line.text() {
            b"STARTTLS" => {
                connection.queue(b"OK begin\r\n");
                connection.start_tls(&tls.acceptor()).await
            }
            b"COMPRESS" => {
                connection.queue(b"OK begin\r\n");
                connection.start_deflate().await
            }
            b"PLAIN" => {
                connection.queue(b"OK end\r\n");
                connection.stop_deflate().await
            }
            text => {
                connection.queue(format!("<{}>\r\n", text.escape_ascii()).as_bytes());
                connection.flush().await
            }
        };
        if result.is_err() {
            return;
        }
    }
}

async fn upgrading_server(tls: TlsConfig) -> support::Server {
    start(settings("t-upgrade"), move |connection| upgrading(connection, tls.clone())).await
}

/// CVE-2011-0411: what comes in one segment with STARTTLS is not protected and must not be executed.
#[tokio::test]
async fn bytes_injected_before_tls_are_discarded() {
    let dir = tempfile::tempdir().unwrap();
    let server = upgrading_server(tls_config(dir.path())).await;
    for injected in ["injected\r\n", "half a li", &"long ".repeat(3000)] {
        let mut tcp = connect(&server).await;
        // Written at once, so that the server has it all in its buffer when it starts TLS.
        tcp.write_all(format!("STARTTLS\r\n{}", &injected[..injected.len().min(3000)]).as_bytes())
            .await
            .unwrap();
        read_until(&mut tcp, "OK begin\r\n").await;
        let mut client = tls_client(tcp, dir.path()).await.unwrap();
        client.write_all(b"real\r\n").await.unwrap();
        assert_eq!(read_until(&mut client, "\r\n").await, "<real>\r\n");
    }
}

#[tokio::test]
async fn tls_cannot_start_twice() {
    let dir = tempfile::tempdir().unwrap();
    let server = upgrading_server(tls_config(dir.path())).await;
    let mut tcp = connect(&server).await;
    ask(&mut tcp, b"STARTTLS\r\n", "OK begin\r\n").await;
    let mut client = tls_client(tcp, dir.path()).await.unwrap();
    ask(&mut client, b"STARTTLS\r\n", "OK begin\r\n").await;
    assert_eq!(read_all(&mut client).await, "");
}

#[tokio::test]
async fn tls_from_the_start_tells_what_was_agreed() {
    let dir = tempfile::tempdir().unwrap();
    let mode = Mode::ImplicitTls(tls_config(dir.path()).acceptor());
    let server = start(Settings { mode, ..settings("t-tls") }, |mut connection: Connection| async move {
        let tls = connection.tls().cloned().unwrap();
        connection.queue(format!("{} {}\r\n", tls.server_name.unwrap(), tls.version).as_bytes());
        connection.write(vec![b'x'; 1_000_000]).await.unwrap();
        connection.queue(b"\r\n");
        connection.shutdown().await;
    })
    .await;
    let mut client = tls_client(connect(&server).await, dir.path()).await.unwrap();
    let mut got = Vec::new();
    // An error here would mean that close_notify is missing.
    client.read_to_end(&mut got).await.unwrap();
    assert!(got.starts_with(b"localhost TLSv1_3\r\n"));
    assert_eq!(got.len(), 19 + 1_000_000 + 2);
}

#[tokio::test]
async fn plain_text_on_a_tls_listener_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let mode = Mode::ImplicitTls(tls_config(dir.path()).acceptor());
    let server = start(Settings { mode, ..settings("t-not-tls") }, echo).await;
    let mut client = connect(&server).await;
    client.write_all(b"a001 NOOP\r\n").await.unwrap();
    assert!(!read_all(&mut client).await.contains("NOOP"));
}

#[tokio::test]
async fn a_new_certificate_is_used_without_restart() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tls = tls_config(dir.path());
    let _ = tls_config(other.path());
    let mode = Mode::ImplicitTls(tls.acceptor());
    let server = start(Settings { mode, ..settings("t-reload") }, echo).await;
    assert!(tls_client(connect(&server).await, dir.path()).await.is_ok());
    assert!(tls_client(connect(&server).await, other.path()).await.is_err());
    for name in ["tls-certificate.pem", "tls-key.pem"] {
        std::fs::copy(other.path().join(name), dir.path().join(name)).unwrap();
    }
    tls.reload().unwrap();
    assert!(tls_client(connect(&server).await, other.path()).await.is_ok());
    std::fs::write(dir.path().join("tls-key.pem"), "broken").unwrap();
    assert!(tls.reload().unwrap_err().to_string().contains("tls-key.pem"));
    assert!(tls_client(connect(&server).await, other.path()).await.is_ok());
}

#[tokio::test]
async fn the_self_signed_certificate_is_made_once_and_its_key_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let _ = tls_config(dir.path());
    let key = dir.path().join("tls-key.pem");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let before = std::fs::read(&key).unwrap();
    let _ = tls_config(dir.path());
    assert_eq!(std::fs::read(&key).unwrap(), before);
}

#[test]
fn service_certificates_are_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let files = make_ca_and_service_certs(dir.path(), &["mail.example.org".to_owned()]).unwrap();
    assert!(files.iter().all(|file| file.exists()));
    assert!(
        TlsConfig::load_or_create(
            &dir.path().join("storage.pem"),
            &dir.path().join("storage-key.pem"),
            dir.path()
        )
        .is_ok()
    );
    assert!(
        TlsConfig::load_or_create(
            &dir.path().join("storage.pem"),
            &dir.path().join("auth-key.pem"),
            dir.path()
        )
        .is_err()
    );
    assert!(make_ca_and_service_certs(dir.path(), &[]).unwrap_err().to_string().contains("ca.pem"));
}

/// A client's ends of a compressed connection.
struct Squeezed {
    out: Compress,
    back: Decompress,
}

impl Squeezed {
    fn new() -> Self {
        Self { out: Compress::new(Compression::best(), false), back: Decompress::new(false) }
    }

    fn squeeze(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(plain.len() + 1024);
        self.out.compress_vec(plain, &mut bytes, FlushCompress::Sync).unwrap();
        bytes
    }

    async fn read_until(&mut self, stream: &mut (impl AsyncReadExt + Unpin), end: &str) -> String {
        let mut plain = Vec::new();
        let mut bytes = BytesMut::new();
        while !plain.ends_with(end.as_bytes()) {
            assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
            plain.reserve(1 << 20);
            let before = self.back.total_in();
            self.back.decompress_vec(&bytes, &mut plain, FlushDecompress::Sync).unwrap();
            let _ = bytes.split_to(usize::try_from(self.back.total_in() - before).unwrap());
        }
        String::from_utf8(plain).unwrap()
    }
}

#[tokio::test]
async fn deflate_in_clear_text_and_in_tls() {
    let dir = tempfile::tempdir().unwrap();
    let server = upgrading_server(tls_config(dir.path())).await;
    let mut clear = connect(&server).await;
    deflated_session(&mut clear).await;
    let mut tcp = connect(&server).await;
    ask(&mut tcp, b"STARTTLS\r\n", "OK begin\r\n").await;
    deflated_session(&mut tls_client(tcp, dir.path()).await.unwrap()).await;
}

async fn deflated_session(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) {
    let mut squeezed = Squeezed::new();
    // The first compressed bytes come together with the command.
    let mut first = b"COMPRESS\r\n".to_vec();
    first.extend(squeezed.squeeze(b"early\r\n"));
    stream.write_all(&first).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(read_until(stream, "OK begin\r\n").await, "OK begin\r\n");
    assert_eq!(squeezed.read_until(stream, "<early>\r\n").await, "<early>\r\n");
    for round in 0..50 {
        let line = format!("{round} {}", "abc".repeat(round * 6));
        let bytes = squeezed.squeeze(format!("{line}\r\n").as_bytes());
        for half in bytes.chunks(bytes.len().div_ceil(2)) {
            stream.write_all(half).await.unwrap();
            stream.flush().await.unwrap();
        }
        assert_eq!(squeezed.read_until(stream, ">\r\n").await, format!("<{line}>\r\n"));
    }
}

/// RFC 8437 §4.1: the client flushes or ends its stream after its last compressed command, and may send the next at once.
#[tokio::test]
async fn deflate_ends_where_the_client_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = upgrading_server(tls_config(dir.path())).await;
    for end in [FlushCompress::Sync, FlushCompress::Finish] {
        for piece in [1, 3, 10_000] {
            let mut tcp = connect(&server).await;
            for round in 0..2 {
                ask(&mut tcp, b"COMPRESS\r\n", "OK begin\r\n").await;
                let mut squeezed = Squeezed::new();
                let mut bytes = Vec::with_capacity(1000);
                squeezed.out.compress_vec(b"one\r\nPLAIN\r\n", &mut bytes, end).unwrap();
                bytes.extend_from_slice(b"two\r\n");
                for piece in bytes.chunks(piece) {
                    tcp.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
                let mut received = BytesMut::new();
                while !received.ends_with(b"<two>\r\n") {
                    assert_ne!(tcp.read_buf(&mut received).await.unwrap(), 0, "{round} {received:?}");
                }
                let mut plain = Vec::with_capacity(1000);
                squeezed.back.decompress_vec(&received, &mut plain, FlushDecompress::Sync).unwrap();
                assert_eq!(plain, b"<one>\r\nOK end\r\n");
                // Its stream has an end, after which nothing is compressed.
                let compressed = usize::try_from(squeezed.back.total_in()).unwrap();
                assert_eq!(&received[compressed..], b"<two>\r\n");
            }
        }
    }
}
