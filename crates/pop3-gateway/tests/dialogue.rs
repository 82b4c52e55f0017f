//! Conversations over real sockets, after RFC 1939 and the traps that other servers fell into.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic as tests do")]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use rustls_pki_types::ServerName;
use support::{CHUNK_BYTES, Clear, Client, Server};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const SHORT: &[u8] = b"Subject: one\r\n\r\nbody 1\r\n.dot\r\n..\r\nlast\r\n";
const OTHER: &[u8] = b"Subject: two\r\nX: y\r\n\r\nbody 2\r\n";

#[tokio::test]
async fn the_example_session_of_rfc_1939_section_10() {
    let one = [b'a'; 118].iter().copied().chain(*b"\r\n").collect::<Vec<u8>>();
    let two = [b'b'; 198].iter().copied().chain(*b"\r\n").collect::<Vec<u8>>();
    let server = Server::start(&[&one, &two]).await;
    let mut client = server.log_in().await;
    assert_eq!(client.ok("STAT").await, "+OK 2 320");
    assert_eq!(client.ask("LIST").await, "+OK 2 messages (320 octets)");
    assert_eq!(client.body().await, b"1 120\r\n2 200\r\n");
    assert_eq!(client.ok("RETR 1").await, "+OK 120 octets");
    assert_eq!(client.body().await, one);
    client.ok("DELE 1").await;
    assert_eq!(client.ok("RETR 2").await, "+OK 200 octets");
    assert_eq!(client.body().await, two);
    client.ok("DELE 2").await;
    assert_eq!(server.fake.store().expunges.len(), 0, "nothing before QUIT");
    client.ok("QUIT").await;
    assert_eq!(server.fake.store().expunges, [[(10, 10), (13, 13)]]);
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn numbers_never_shift_after_dele() {
    let server = Server::start(&[SHORT, OTHER, SHORT]).await;
    let mut client = server.log_in().await;
    client.ok("DELE 1").await;
    assert_eq!(client.text("LIST").await, format!("2 {}\r\n3 {}\r\n", OTHER.len(), SHORT.len()));
    assert_eq!(client.text("UIDL").await, "2 ab.d\r\n3 ab.10\r\n");
    assert_eq!(client.ok("LIST 3").await, format!("+OK 3 {}", SHORT.len()));
    assert_eq!(client.ok("UIDL 2").await, "+OK 2 ab.d");
    for command in ["LIST 1", "UIDL 1", "RETR 1", "TOP 1 0", "DELE 1", "LIST 0", "RETR 4", "DELE 99999999999"]
    {
        client.err(command).await;
    }
    assert_eq!(client.multi("RETR 3").await, SHORT);
    client.ok("RSET").await;
    assert_eq!(client.ok("STAT").await, format!("+OK 3 {}", 2 * SHORT.len() + OTHER.len()));
    client.ok("QUIT").await;
    assert!(server.fake.store().expunges.is_empty(), "RSET took it back");
}

#[tokio::test]
async fn top_is_header_and_lines_and_reads_no_more() {
    let big = [b"Subject: big\r\n\r\n".as_slice(), &b"line of text\r\n".repeat(100_000)].concat();
    let server = Server::start(&[SHORT, &big, b"only: header\r\n"]).await;
    server.fake.store().chunk_bytes = 4096;
    let mut client = server.log_in().await;
    assert_eq!(client.text("TOP 1 0").await, "Subject: one\r\n\r\n");
    assert_eq!(client.text("TOP 1 2").await, "Subject: one\r\n\r\nbody 1\r\n.dot\r\n");
    assert_eq!(client.multi("TOP 1 100").await, SHORT);
    assert_eq!(client.text("TOP 3 5").await, "only: header\r\n");
    server.fake.store().octets_sent = 0;
    assert_eq!(client.text("TOP 2 1").await, "Subject: big\r\n\r\nline of text\r\n");
    assert!(server.fake.store().octets_sent < 20_000);
    assert_eq!(client.multi("TOP 2 99999").await.len(), big.len() - 14);
    assert_eq!(client.multi("TOP 2 18446744073709551615").await, big);
}

#[tokio::test]
async fn drops_and_aborts_delete_nothing() {
    let server = Server::start(&[SHORT, OTHER]).await;
    let mut client = server.log_in().await;
    client.ok("DELE 1").await;
    drop(client);
    let mut client = server.log_in().await;
    assert_eq!(client.ok("STAT").await, format!("+OK 2 {}", SHORT.len() + OTHER.len()));
    client.ok("DELE 2").await;
    server.shutdown.trigger();
    assert!(client.rest().await.starts_with("-ERR [SYS/TEMP]"));
    assert!(server.fake.store().expunges.is_empty());
}

#[tokio::test]
async fn quit_says_so_when_it_could_not_delete() {
    let server = Server::start(&[SHORT]).await;
    let mut client = server.log_in().await;
    client.ok("DELE 1").await;
    server.fake.store().down = true;
    assert_eq!(client.ask("QUIT").await, "-ERR [SYS/TEMP] deleted messages not removed");
    assert_eq!(client.rest().await, "");
    assert_eq!(server.fake.store().messages.len(), 1);
}

#[tokio::test]
async fn a_message_expunged_elsewhere_is_missing_alone() {
    let server = Server::start(&[SHORT, OTHER, SHORT]).await;
    let mut client = server.log_in().await;
    server.fake.store().gone.insert(13);
    client.send("RETR 1\r\nRETR 2\r\nRETR 3\r\nTOP 2 1\r\nSTAT\r\n").await;
    assert!(client.line().await.starts_with("+OK"));
    assert_eq!(client.body().await, SHORT);
    assert!(client.line().await.starts_with("-ERR"));
    assert!(client.line().await.starts_with("+OK"));
    assert_eq!(client.body().await, SHORT);
    assert!(client.line().await.starts_with("-ERR"));
    assert!(client.line().await.starts_with("+OK 3 "));
}

#[tokio::test]
async fn pipelined_commands_are_all_answered_in_order() {
    let server = Server::start(&[SHORT, OTHER]).await;
    let mut client = server.connect().await;
    client.send("CAPA\r\nUSER mrose\r\nPASS secret word\r\nSTAT\r\nRETR 2\r\nXXXX\r\nUIDL 1\r\nNOOP\r\nQUIT\r\nNOOP\r\n").await;
    assert!(client.line().await.starts_with("+OK"));
    client.body().await;
    for expected in ["+OK", "+OK", "+OK 2 ", "+OK"] {
        assert!(client.line().await.starts_with(expected));
    }
    assert_eq!(client.body().await, OTHER);
    for expected in ["-ERR", "+OK 1 ab.a", "+OK", "+OK"] {
        assert!(client.line().await.starts_with(expected));
    }
    assert_eq!(client.rest().await, "", "nothing after QUIT");
}

#[tokio::test]
async fn a_download_asks_storage_once_for_many() {
    let messages: Vec<Vec<u8>> =
        (0..40).map(|i| format!("Subject: {i}\r\n\r\n.{i}\r\n").into_bytes()).collect();
    let server = Server::start(&messages.iter().map(Vec::as_slice).collect::<Vec<_>>()).await;
    let mut client = server.log_in().await;
    for (number, message) in (1..).zip(&messages) {
        assert_eq!(&client.multi(&format!("RETR {number}")).await, message);
        client.ok(&format!("DELE {number}")).await;
    }
    assert_eq!(server.fake.store().contents_asked.len(), 3, "one, then windows of 32");
    client.err("RETR 5").await;
    client.ok("RSET").await;
    assert_eq!(client.multi("RETR 7").await, messages[6]);
    assert_eq!(client.multi("RETR 3").await, messages[2]);
    client.ok("QUIT").await;
}

#[tokio::test]
async fn a_content_that_breaks_off_is_never_terminated() {
    let server = Server::start(&[SHORT]).await;
    let mut client = server.log_in().await;
    server.fake.store().break_after = Some(CHUNK_BYTES as u64);
    client.ok("RETR 1").await;
    let rest = client.rest().await;
    assert!(!rest.contains("\r\n.\r\n") && rest.len() <= CHUNK_BYTES, "{rest:?}");
    let mut client = server.log_in().await;
    server.fake.store().break_after = Some(0);
    assert!(
        client.err("RETR 1").await.starts_with("-ERR [SYS/TEMP]"),
        "before the first octet it can be told"
    );
    server.fake.store().break_after = None;
    assert_eq!(client.multi("RETR 1").await, SHORT);
}

#[tokio::test]
async fn bare_line_feeds_become_lines() {
    let server = Server::start(&[b"A: 1\n\n.x\n.\n", b"no end"]).await;
    let mut client = server.log_in().await;
    assert_eq!(client.multi("RETR 1").await, b"A: 1\r\n\r\n.x\r\n.\r\n");
    assert_eq!(client.multi("RETR 2").await, b"no end\r\n");
}

#[tokio::test]
async fn wrong_passwords_and_services_that_are_away_differ() {
    let server = Server::start(&[]).await;
    let mut client = server.connect().await;
    client.err("PASS x").await;
    client.ok("USER nobody").await;
    assert!(client.err("PASS x").await.starts_with("-ERR [AUTH] "));
    client.err("PASS again").await;
    client.ok("USER gone").await;
    assert!(client.err("PASS x").await.starts_with("-ERR [AUTH] "));
    server.fake.store().auth_down = true;
    client.ok("USER mrose").await;
    assert!(client.err("PASS secret word").await.starts_with("-ERR [SYS/TEMP] "));
    server.fake.store().auth_down = false;
    server.fake.store().down = true;
    client.ok("USER mrose").await;
    assert!(client.err("PASS secret word").await.starts_with("-ERR [SYS/TEMP] "));
    server.fake.store().down = false;
    client.err("STAT").await;
    client.ok("USER mrose").await;
    assert_eq!(client.ok("PASS secret word").await, "+OK maildrop has 0 messages (0 octets)");
    client.err("USER mrose").await;
    client.err("STLS").await;
    assert_eq!(client.ok("STAT").await, "+OK 0 0");
    assert_eq!(client.text("LIST").await, "");
}

#[tokio::test]
async fn guessing_ends_the_session() {
    let server = Server::start(&[]).await;
    let mut client = server.connect().await;
    for _ in 0..5 {
        client.ok("USER mrose").await;
        client.err("PASS guess").await;
    }
    assert_eq!(client.rest().await, "-ERR too many failed logins, goodbye\r\n");
    let mut client = server.connect().await;
    for _ in 0..20 {
        client.err("HELO").await;
    }
    assert!(client.ask("HELO").await.contains("goodbye"));
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn auth_plain_in_all_its_forms() {
    let server = Server::start(&[SHORT]).await;
    // NUL "mrose" NUL "secret word"
    const GOOD: &str = "AG1yb3NlAHNlY3JldCB3b3Jk";
    let mut client = server.connect().await;
    assert_eq!(client.text("AUTH").await, "PLAIN\r\n");
    client.err("AUTH LOGIN").await;
    assert_eq!(client.ask("AUTH PLAIN").await, "+ ");
    client.err("*").await;
    for bad in
        ["AUTH PLAIN !!!!", "AUTH PLAIN =", "AUTH PLAIN AAAA", "AUTH PLAIN AHg=", "AUTH PLAIN AP8A/w=="]
    {
        client.err(bad).await;
    }
    assert!(client.err("AUTH PLAIN AG1yb3NlAHdyb25n").await.starts_with("-ERR [AUTH]"));
    assert_eq!(client.ask("AUTH PLAIN").await, "+ ");
    client.err(&"A".repeat(70_000)).await;
    assert_eq!(client.ask("auth plain").await, "+ ");
    client.ok(GOOD).await;
    client.ok("STAT").await;
    let mut client = server.connect().await;
    client.ok(&format!("AUTH PLAIN {GOOD}")).await;
    client.err(&format!("AUTH PLAIN {GOOD}")).await;
}

#[tokio::test]
async fn an_old_grant_is_renewed() {
    let server = Server::start(&[SHORT]).await;
    server.fake.store().grant_seconds = 30;
    let mut client = server.log_in().await;
    client.multi("RETR 1").await;
    client.multi("TOP 1 0").await;
    assert_eq!(server.fake.store().renewals, 1);
}

#[tokio::test]
async fn a_line_too_long_is_refused_and_the_session_lives() {
    let server = Server::start(&[]).await;
    let mut client = server.connect().await;
    client.err(&format!("USER {}", "x".repeat(64 * 1024))).await;
    client.ok("USER mrose").await;
    client.err("PASS \0").await;
    client.ok("PASS secret word").await;
}

#[tokio::test]
async fn clear_logins_are_refused_where_they_should_be() {
    let server = Server::start_with(&[SHORT], Clear::LoginRefused).await;
    let mut client = server.connect().await;
    let capabilities = client.text("CAPA").await;
    assert!(capabilities.contains("STLS\r\n"));
    assert!(!capabilities.contains("USER") && !capabilities.contains("SASL"), "{capabilities}");
    client.err("USER mrose").await;
    client.err("AUTH PLAIN AG1yb3NlAHNlY3JldCB3b3Jk").await;
    let mut client = stls(client, "").await;
    let capabilities = client.text("CAPA").await;
    assert!(!capabilities.contains("STLS"));
    assert!(capabilities.contains("USER\r\nSASL PLAIN\r\n"), "{capabilities}");
    for capability in ["TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "EXPIRE NEVER"] {
        assert!(capabilities.contains(&format!("{capability}\r\n")), "{capability}");
    }
    client.err("STLS").await;
    client.ok("USER mrose").await;
    client.ok("PASS secret word").await;
    assert_eq!(client.multi("RETR 1").await, SHORT);
}

#[tokio::test]
async fn what_was_sent_before_tls_is_forgotten() {
    let server = Server::start(&[]).await;
    let mut client = server.connect().await;
    client.ok("USER mrose").await;
    // CVE-2011-0411: commands behind STLS in the same segment must not run.
    let mut client = stls(client, "USER mrose\r\nPASS secret word\r\n").await;
    client.err("PASS secret word").await;
    client.err("STAT").await;
    client.ok("USER mrose").await;
    client.ok("PASS secret word").await;
}

#[tokio::test]
async fn tls_from_the_first_byte() {
    let server = Server::start_with(&[SHORT], Clear::LoginRefused).await;
    let mut client = tls(TcpStream::connect(server.tls_address).await.unwrap()).await;
    assert!(client.line().await.starts_with("+OK"));
    client.ok("USER mrose").await;
    client.ok("PASS secret word").await;
    client.ok("QUIT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_messages_stream() {
    let line = b"0123456789012345678901234567890123456789012345678901234567890123456789012345\r\n";
    let big = Bytes::from(line.repeat(400_000));
    let server = Server::start(&[&big]).await;
    server.fake.store().chunk_bytes = 256 * 1024;
    let mut client = server.log_in().await;
    assert_eq!(client.multi("RETR 1").await, big);
}

async fn stls(mut client: Client<TcpStream>, injected: &str) -> Client<TlsStream<TcpStream>> {
    client.send(format!("STLS\r\n{injected}")).await;
    assert!(client.line().await.starts_with("+OK"));
    assert!(client.0.buffer().is_empty(), "nothing between the reply and the handshake");
    tls(client.0.into_inner()).await
}

async fn tls(stream: TcpStream) -> Client<TlsStream<TcpStream>> {
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(any_certificate::Any))
            .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    Client::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap())
}

mod any_certificate {
    use rustls::DigitallySignedStruct;
    use rustls::SignatureScheme;
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

    /// Tests trust their own server.
    #[derive(Debug)]
    pub(crate) struct Any;

    impl ServerCertVerifier for Any {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, rustls::Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            rustls::crypto::aws_lc_rs::default_provider()
                .signature_verification_algorithms
                .supported_schemes()
        }
    }
}
