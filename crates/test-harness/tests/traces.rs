//! One trace follows a mail from LMTP through storage to the push at a client that waits, in both shapes of the system.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use service_runtime::{Config, telemetry};
use test_harness::system::System;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// Longest wait for a line.
const LINE_LIMIT: Duration = Duration::from_secs(30);

/// What a collector of traces got.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let scopes =
            request.into_inner().resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        self.0.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A client that sends lines and waits for others.
struct Lines(BufReader<TcpStream>);

impl Lines {
    async fn connect(address: std::net::SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    async fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads up to a line that begins so.
    async fn expect(&mut self, start: &str) {
        let mut line = String::new();
        while !line.starts_with(start) {
            line.clear();
            let read = tokio::time::timeout(LINE_LIMIT, self.0.read_line(&mut line)).await;
            assert_ne!(read.expect(start).unwrap(), 0, "closed before {start}");
        }
    }
}

/// A client idles, a mail comes, the client hears of it.
async fn mail_is_pushed(system: System) {
    let alice = system.accounts(1).await.unwrap().remove(0).remove(0);
    let mut imap = Lines::connect(system.subject.imap[0]).await;
    imap.send(&format!("a LOGIN {} {}\r\nb SELECT INBOX\r\nc IDLE\r\n", alice.address, alice.password)).await;
    imap.expect("+ ").await;
    let mut lmtp = Lines::connect(system.subject.lmtp).await;
    let mail = format!("LHLO x\r\nMAIL FROM:<a@far.example>\r\nRCPT TO:<{}>\r\nDATA\r\n", alice.address);
    lmtp.send(&mail).await;
    lmtp.expect("354").await;
    lmtp.send("Subject: traced\r\n\r\nx\r\n.\r\n").await;
    lmtp.expect("250 2.").await;
    imap.expect("* 1 EXISTS").await;
    imap.send("DONE\r\nd LOGOUT\r\n").await;
    imap.expect("d OK").await;
    system.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_from_lmtp_to_the_push() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = Config::default();
    config.otlp.endpoint = format!("http://{}", listener.local_addr().unwrap());
    let collector = Collector::default();
    let service = TraceServiceServer::new(collector.clone());
    let server = tonic::transport::Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let guard = telemetry::init("test", &config).unwrap();

    let mut mails = 1;
    mail_is_pushed(System::sqlite().await.unwrap()).await;
    if let Some(system) = System::cluster().await.unwrap() {
        mail_is_pushed(system).await;
        mails += 1;
    } else {
        assert!(std::env::var_os("CI").is_none(), "cargo xtask test starts PostgreSQL and Redis");
    }
    // What has not been sent yet is sent now.
    tokio::task::spawn_blocking(move || drop(guard)).await.unwrap();

    let spans = collector.0.lock().unwrap().clone();
    let mut traces: HashMap<&[u8], Vec<&str>> = HashMap::new();
    for span in &spans {
        traces.entry(&span.trace_id).or_default().push(&span.name);
    }
    let follows = |names: &&Vec<&str>| {
        ["deliver", "Mailbox.Deliver", "push", "Mailbox.Changes"].iter().all(|name| names.contains(name))
    };
    assert_eq!(traces.values().filter(follows).count(), mails, "{traces:?}");
    // The push is a child of storage's span, so that viewers show it below.
    let deliveries: Vec<&Span> = spans.iter().filter(|span| span.name == "Mailbox.Deliver").collect();
    let pushes = spans.iter().filter(|span| span.name == "push");
    let below =
        pushes.filter(|push| deliveries.iter().any(|delivery| delivery.span_id == push.parent_span_id));
    assert_eq!(below.count(), mails);
}
