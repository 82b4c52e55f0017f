//! Conversations over SMTP: RFC 5321, one reply for all recipients, STARTTLS.

use std::sync::Arc;

use crate::support::{Client, Server};
use mail_rpc::pb::deliver_result::Outcome;
use proptest::prelude::*;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

#[tokio::test]
async fn the_typical_transaction_of_rfc_5321_appendix_d_1() {
    let server = Server::start().await;
    let mut client = server.smtp().await;
    client.expect("LHLO bar.com", "500").await;
    client.expect("MAIL FROM:<Smith@bar.com>", "250").await;
    client.expect("RCPT TO:<Jones@foo.edu>", "250").await;
    client.expect("RCPT TO:<Green@elsewhere.example>", "550 5.7.1").await;
    client.expect("RCPT TO:<Brown@foo.edu>", "250").await;
    client.expect("DATA", "354").await;
    client.send("Blah blah blah...\r\n..etc. etc. etc.\r\n.\r\n").await;
    client.replies(&["250 2.0.0"]).await;
    client.expect("QUIT", "221").await;
    assert_eq!(client.rest().await, "");
    let stored = server.fake.store().stored.clone();
    assert_eq!(stored.len(), 2);
    assert_eq!(stored[0].content, b"Blah blah blah...\r\n.etc. etc. etc.\r\n");
    assert!(stored[1].trace.contains("with ESMTP id"));
    assert!(stored[1].trace.contains("for <Brown@foo.edu>;"));
}

#[tokio::test]
async fn an_old_client_says_helo() {
    let server = Server::start().await;
    let mut client = server.smtp().await;
    assert_eq!(client.ask("HELO bar.com").await, "250 mx.foo.edu");
    client.begin(&["a@foo.edu"]).await;
    client.send("x\r\n.\r\n").await;
    client.replies(&["250"]).await;
    assert!(
        server.fake.store().stored[0]
            .trace
            .contains("from bar.com ([127.0.0.1])\r\n\tby mx.foo.edu with SMTP id")
    );
}

#[tokio::test]
async fn order_is_kept() {
    let server = Server::start().await;
    let mut client = Client::new(TcpStream::connect(server.smtp).await.unwrap());
    client.replies(&["220"]).await;
    client.expect("MAIL FROM:<a@b>", "503").await;
    client.expect("EHLO x", "250-").await;
    client.expect("RCPT TO:<a@foo.edu>", "503").await;
    client.expect("MAIL FROM:<a@b> RET=FULL", "555 5.5.4").await;
    client.expect("MAIL FROM:<a@b> SIZE=abc", "501 5.5.4").await;
    client.expect("MAIL FROM:<a@b>", "250").await;
    client.expect("STARTTLS", "503").await;
    client.expect("RCPT TO:<a@foo.edu>", "250").await;
    // EHLO ends a transaction, RFC 5321 §4.1.4.
    client.expect("EHLO x", "250-").await;
    client.expect("DATA", "503").await;
}

/// What was delivered before the failure is recognised when the sender tries again, so nobody gets two copies and nobody
/// loses one.
#[tokio::test]
async fn a_partial_failure_is_tried_again_without_duplicates() {
    let server = Server::start().await;
    let mut client = server.smtp().await;
    server.fake.store().outcomes.insert("b@foo.edu".into(), Outcome::TryAgain);
    client.begin(&["a@foo.edu", "b@foo.edu"]).await;
    client.send("x\r\n.\r\n").await;
    client.replies(&["451 4.3.0"]).await;
    client.expect("NOOP", "250").await;
    server.fake.store().outcomes.clear();
    client.begin(&["a@foo.edu", "b@foo.edu"]).await;
    client.send("x\r\n.\r\n").await;
    client.replies(&["250 2.0.0"]).await;
    let recipients: Vec<_> =
        server.fake.store().stored.iter().map(|stored| stored.recipient.clone()).collect();
    assert_eq!(recipients, ["a@foo.edu", "b@foo.edu"]);
    // Then it is confirmed, and the next is another mail.
    client.begin(&["a@foo.edu", "b@foo.edu"]).await;
    client.send("x\r\n.\r\n").await;
    client.replies(&["250 2.0.0"]).await;
    assert_eq!(server.fake.store().stored.len(), 4);
}

#[tokio::test]
async fn one_reply_for_one_fault() {
    let server = Server::start().await;
    let mut client = server.smtp().await;
    for (outcome, reply) in [
        (Outcome::OverQuota, "452 4.2.2"),
        (Outcome::NoAccount, "550 5.2.1"),
        (Outcome::TooLarge, "552 5.3.4"),
    ] {
        server.fake.store().outcomes =
            [("a@foo.edu".into(), outcome), ("b@foo.edu".into(), outcome)].into_iter().collect();
        client.begin(&["a@foo.edu", "b@foo.edu"]).await;
        client.send("x\r\n.\r\n").await;
        client.replies(&[reply]).await;
    }
    client.begin(&["a@foo.edu", "b@foo.edu"]).await;
    client.send("bare\nline\r\n.\r\n").await;
    client.replies(&["550 5.6.0"]).await;
    client.expect("NOOP", "250").await;
}

/// A whole session in one segment, RFC 2920 §3.1; the reply to the data is not taken for read.
#[tokio::test]
async fn everything_pipelined() {
    let server = Server::start().await;
    let mut client = server.smtp().await;
    client.send("MAIL FROM:<a@b>\r\nRCPT TO:<a@foo.edu>\r\nRCPT TO:<nobody@foo.edu>\r\nDATA\r\nx\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<a@foo.edu>\r\nDATA\r\ny\r\n.\r\nQUIT\r\nNOOP\r\n").await;
    client.replies(&["250", "250", "550", "354", "250", "250", "250", "354", "250", "221"]).await;
    drop(client);
    assert_eq!(server.fake.store().stored.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn harvesting_is_slow_and_ends() {
    let server = Server::start().await;
    let mut client = server.smtp().await;
    client.expect("MAIL FROM:<a@b>", "250").await;
    let started = tokio::time::Instant::now();
    for _ in 0..50 {
        client.expect("RCPT TO:<nobody@foo.edu>", "550").await;
    }
    assert!(started.elapsed() >= std::time::Duration::from_secs(40));
    client.expect("RCPT TO:<nobody@foo.edu>", "421 4.7.0").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn what_was_sent_before_tls_is_forgotten() {
    let server = Server::start().await;
    let mut client = server.smtp().await;
    // CVE-2011-0411: commands behind STARTTLS in the same segment must not run.
    client.send("STARTTLS\r\nMAIL FROM:<evil@b>\r\nRCPT TO:<a@foo.edu>\r\n").await;
    client.replies(&["220 2.0.0"]).await;
    assert!(client.0.buffer().is_empty(), "nothing between the reply and the handshake");
    let mut client = tls(client.0.into_inner()).await;
    client.expect("MAIL FROM:<a@b>", "503").await;
    let reply = client.ask("EHLO x").await;
    assert!(!reply.contains("STARTTLS"), "{reply}");
    client.expect("STARTTLS", "503").await;
    client.begin(&["a@foo.edu"]).await;
    client.send("x\r\n.\r\n").await;
    client.replies(&["250"]).await;
    assert!(server.fake.store().stored[0].trace.contains("with ESMTPS id"));
}

/// Whatever lines a message is made of, what is stored is what was sent.
#[test]
fn messages_arrive_octet_by_octet() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start());
    let lines = proptest::collection::vec("[.a\u{e9}\u{0}\t ]{0,5}", 0..20);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(60));
    runner
        .run(&(lines, 1usize..12), |(lines, cut)| {
            let message: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let stuffed: String = lines
                .iter()
                .map(
                    |line| if line.starts_with('.') { format!(".{line}\r\n") } else { format!("{line}\r\n") },
                )
                .collect();
            let chunks = chunks(message.as_bytes(), cut);
            runtime.block_on(async {
                let mut client = server.smtp().await;
                server.fake.store().keys.clear();
                client.begin(&["a@foo.edu"]).await;
                client.send(format!("{stuffed}.\r\n")).await;
                client.replies(&["250"]).await;
                server.fake.store().keys.clear();
                client.expect("MAIL FROM:<bdat@b>", "250").await;
                client.expect("RCPT TO:<a@foo.edu>", "250").await;
                let count = message.len().div_ceil(cut) + 1;
                client.send(chunks).await;
                client.replies(&vec!["250"; count]).await;
            });
            let stored = std::mem::take(&mut server.fake.store().stored);
            prop_assert_eq!(stored.len(), 2);
            prop_assert_eq!(&stored[0].content, message.as_bytes());
            prop_assert_eq!(&stored[1].content, message.as_bytes());
            Ok(())
        })
        .unwrap();
}

/// BDATs of so many octets, and an empty last one.
fn chunks(message: &[u8], cut: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in message.chunks(cut) {
        out.extend_from_slice(format!("BDAT {}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
    }
    out.extend_from_slice(b"BDAT 0 LAST\r\n");
    out
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
