//! A server on a free port, and plain clients.

#![allow(dead_code)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use line_server::{Connection, ConnectionLimits, Mode, Settings, TlsConfig, serve};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use service_runtime::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    pub(crate) task: JoinHandle<()>,
}

pub(crate) fn settings(protocol: &'static str) -> Settings {
    Settings {
        protocol,
        mode: Mode::Clear,
        limits: ConnectionLimits::new(10_000, 10_000),
        busy_line: Bytes::from_static(b"* BYE too many connections\r\n"),
        proxy_trusted: Vec::new(),
    }
}

pub(crate) async fn start<H, R>(settings: Settings, handler: H) -> Server
where
    H: Fn(Connection) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let task = tokio::spawn(serve(listener, settings, shutdown.clone(), handler));
    Server { address, shutdown, task }
}

/// Answers each line of at most 100 bytes with `<line>`, an over-long one with `<too long>`.
pub(crate) async fn echo(mut connection: Connection) {
    loop {
        match connection.read_line(100).await {
            Ok(line) => {
                connection.queue(b"<");
                connection.queue(line.text());
                connection.queue(b">\r\n");
            }
            Err(line_server::ReadError::TooLong) => connection.queue(b"<too long>\r\n"),
            Err(_) => return,
        }
    }
}

pub(crate) async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address).await.unwrap()
}

/// Reads until `text` has arrived; all that was read.
pub(crate) async fn read_until(stream: &mut (impl AsyncReadExt + Unpin), text: &str) -> String {
    let mut got = Vec::new();
    let read = async {
        while !got.ends_with(text.as_bytes()) {
            match stream.read_u8().await {
                Ok(byte) => got.push(byte),
                Err(_) => break,
            }
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(10), read).await.is_ok();
    let got = String::from_utf8_lossy(&got).into_owned();
    assert!(in_time && got.ends_with(text), "waited for {text:?}, got {got:?}");
    got
}

/// Sends, then reads until `answer`.
pub(crate) async fn ask(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), text: &[u8], answer: &str) {
    stream.write_all(text).await.unwrap();
    stream.flush().await.unwrap();
    read_until(stream, answer).await;
}

/// Reads to the end of the connection.
pub(crate) async fn read_all(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut got = Vec::new();
    let read = stream.read_to_end(&mut got);
    let _ = tokio::time::timeout(Duration::from_secs(10), read).await.expect("the server closes");
    String::from_utf8_lossy(&got).into_owned()
}

pub(crate) fn tls_config(data_dir: &std::path::Path) -> TlsConfig {
    TlsConfig::load_or_create("".as_ref(), "".as_ref(), data_dir).unwrap()
}

/// A handshake that trusts exactly the self-signed certificate of the data directory.
pub(crate) async fn tls_client(
    tcp: TcpStream,
    data_dir: &std::path::Path,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(data_dir.join("tls-certificate.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await
}
