//! The gateway over real sockets, on a real store and a real auth with a fresh database.

#![allow(dead_code, reason = "each test program uses its share")]
#![allow(unreachable_pub, reason = "each test program is a crate")]
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use auth::{AuthConfig, AuthService};
use bytes::BytesMut;
use imap_gateway::{Backends, Listeners, Settings};
use mail_rpc::{AuthClient, GrantKey, MailboxClient, Right, Transport, pb};
use mailbox_hints::Hints;
use mailbox_storage::{Storage, StorageConfig};
use service_runtime::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tonic::codegen::{Service, http};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);
pub const PASSWORD: &str = "correct horse battery";

/// A service whose calls are noted by their names, and are slow if that is wanted.
#[derive(Clone)]
struct Noted<S>(S, Arc<Mutex<Vec<String>>>, Arc<Mutex<HashMap<String, Duration>>>);

impl<B, S> Service<http::Request<B>> for Noted<S>
where
    S: Service<http::Request<B>>,
    S::Future: Send + 'static,
    S::Response: 'static,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let name = request.uri().path().rsplit('/').next().unwrap_or_default();
        let pause = self.2.lock().unwrap().get(name).copied();
        self.1.lock().unwrap().push(name.to_owned());
        let call = self.0.call(request);
        Box::pin(async move {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            call.await
        })
    }
}

/// A system, and how to reach it.
pub struct System {
    pub address: std::net::SocketAddr,
    pub shutdown: Shutdown,
    pub auth: AuthService,
    pub mailbox: MailboxClient,
    pub hints: Hints,
    calls: Arc<Mutex<Vec<String>>>,
    slow: Arc<Mutex<HashMap<String, Duration>>>,
    settings: Settings,
    auth_client: AuthClient,
    grant_key: GrantKey,
    _directory: tempfile::TempDir,
}

impl System {
    pub async fn start() -> Self {
        Self::with(Hints::in_process(), |_| {}).await
    }

    pub async fn with(hints: Hints, adjust: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("todoku.db").display());
        let grant_key = GrantKey::from_secret(b"test");
        let config = StorageConfig::new(url.clone(), grant_key.clone(), hints.clone());
        let storage = Storage::open(config).await.unwrap();
        storage.migrate().await.unwrap();
        let auth = AuthService::open(AuthConfig::new(url, grant_key.clone())).await.unwrap();
        auth.migrate().await.unwrap();
        let (calls, slow) = (Arc::default(), Arc::default());
        let noted = Noted(storage.server(), Arc::clone(&calls), Arc::clone(&slow));
        let mailbox = MailboxClient::new(Transport::local(noted));
        let auth_client = AuthClient::new(Transport::local(auth.server()));
        let mut settings = Settings { allow_clear_login: true, ..Settings::default() };
        adjust(&mut settings);
        let shutdown = Shutdown::new();
        let mut system = Self {
            address: ([127, 0, 0, 1], 0).into(),
            shutdown,
            auth,
            mailbox,
            hints,
            calls,
            slow,
            settings,
            auth_client,
            grant_key,
            _directory: directory,
        };
        system.address = system.gateway().await;
        system.add_account("me").await;
        system
    }

    /// One more gateway on the same services; it shares nothing else with the first.
    pub async fn gateway(&self) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let backends = Backends {
            auth: self.auth_client.clone(),
            mailbox: self.mailbox.clone(),
            hints: self.hints.clone(),
        };
        let listeners = Listeners { clear: Some(listener), tls: None };
        let serve = imap_gateway::serve(listeners, backends, self.settings.clone(), self.shutdown.clone());
        tokio::spawn(serve);
        address
    }

    /// How often storage was called by this name since the last time that anybody asked.
    pub fn calls(&self, name: &str) -> usize {
        std::mem::take(&mut *self.calls.lock().unwrap()).iter().filter(|call| *call == name).count()
    }

    /// From now on storage takes so much longer to answer calls of this name.
    pub fn slow_down(&self, name: &str, pause: Duration) {
        self.slow.lock().unwrap().insert(name.to_owned(), pause);
    }

    pub async fn add_account(&self, name: &str) {
        let account = self.auth.admin().account_add(&format!("{name}@localhost"), PASSWORD).await.unwrap();
        let (grant, _) = self.grant_key.issue(account, Right::Admin);
        self.mailbox
            .provision(pb::ProvisionRequest { grant, limit_bytes: 0, limit_messages: 0 })
            .await
            .unwrap();
    }

    pub async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    pub async fn log_in(&self) -> Client {
        self.log_in_as("me").await
    }

    pub async fn log_in_as(&self, name: &str) -> Client {
        let mut client = self.connect().await;
        client.ok(&format!("LOGIN {name}@localhost \"{PASSWORD}\"")).await;
        client
    }

    /// A client with INBOX selected.
    pub async fn select(&self) -> Client {
        let mut client = self.log_in().await;
        client.ok("SELECT INBOX").await;
        client
    }
}

/// A client that sees every byte.
pub struct Client {
    stream: TcpStream,
    buffer: BytesMut,
    tags: u32,
}

impl Client {
    pub async fn connect(address: std::net::SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut client = Self { stream, buffer: BytesMut::new(), tags: 0 };
        let greeting = client.line().await;
        assert!(greeting.starts_with("* OK [CAPABILITY IMAP4rev1 "), "{greeting}");
        client
    }

    pub async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// All that comes until the server closes.
    pub async fn rest_bytes(&mut self) -> Vec<u8> {
        while self.fill().await {}
        self.buffer.split().to_vec()
    }

    /// The next line, with the literals in it.
    pub async fn line(&mut self) -> String {
        let mut line = self.raw_line().await.unwrap_or_else(|| panic!("the connection was closed"));
        while let Some(size) = literal_size(&line) {
            while self.buffer.len() < size {
                assert!(self.fill().await, "the connection was closed in a literal");
            }
            line.push_str("\r\n");
            line.push_str(&String::from_utf8_lossy(&self.buffer.split_to(size)));
            line.push_str(&self.raw_line().await.unwrap());
        }
        line
    }

    /// Everything up to a line with this beginning, which is the last.
    pub async fn until(&mut self, beginning: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            let is_last = line.starts_with(beginning);
            lines.push(line);
            if is_last {
                return lines;
            }
        }
    }

    /// Sends a command; its reply without the tag, the tagged line last.
    pub async fn run(&mut self, command: &str) -> Vec<String> {
        self.tags += 1;
        let tag = format!("t{} ", self.tags);
        self.send(&format!("{tag}{command}\r\n")).await;
        let mut lines = self.until(&tag).await;
        if let Some(last) = lines.last_mut() {
            *last = last[tag.len()..].to_owned();
        }
        lines
    }

    /// The untagged lines of a command that must succeed.
    pub async fn ok(&mut self, command: &str) -> Vec<String> {
        let mut lines = self.run(command).await;
        let last = lines.pop().unwrap();
        assert!(last.starts_with("OK"), "{command}: {last} after {lines:?}");
        lines
    }

    /// The tagged line of a command that must succeed.
    pub async fn done(&mut self, command: &str) -> String {
        let last = self.run(command).await.pop().unwrap();
        assert!(last.starts_with("OK"), "{command}: {last}");
        last
    }

    /// The tagged line of a command that must not.
    pub async fn fails(&mut self, command: &str) -> String {
        let last = self.run(command).await.pop().unwrap();
        assert!(!last.starts_with("OK"), "{command}: {last}");
        last
    }

    /// APPEND with a synchronising literal.
    pub async fn append(&mut self, mailbox: &str, options: &str, message: &str) -> String {
        self.tags += 1;
        let tag = format!("t{} ", self.tags);
        self.send(&format!("{tag}APPEND {mailbox} {options}{{{}}}\r\n", message.len())).await;
        let line = self.line().await;
        if !line.starts_with('+') {
            return line[tag.len()..].to_owned();
        }
        self.send(&format!("{message}\r\n")).await;
        self.until(&tag).await.pop().unwrap()[tag.len()..].to_owned()
    }

    /// So many messages for INBOX, by a command with the shorter literals.
    pub async fn fill_inbox(&mut self, count: usize) {
        for n in 1..=count {
            let message = message(n);
            self.ok(&format!("APPEND INBOX {{{}+}}\r\n{message}", message.len())).await;
        }
    }

    pub async fn idle(&mut self) {
        self.send("i IDLE\r\n").await;
        self.until("+ ").await;
    }

    /// Nothing comes for a while.
    pub async fn hears_nothing(&mut self) {
        assert!(self.buffer.is_empty(), "{:?}", self.buffer);
        let heard = timeout(Duration::from_millis(150), self.stream.read_buf(&mut self.buffer)).await;
        assert!(heard.is_err(), "{:?}", self.buffer);
    }

    /// All that comes until the server closes.
    pub async fn rest(&mut self) -> String {
        String::from_utf8_lossy(&self.rest_bytes().await).into_owned()
    }

    async fn raw_line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.buffer.split_to(at + 2);
                return Some(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    async fn fill(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
        read.unwrap_or_else(|_| panic!("nothing came; so far {:?}", self.buffer)).is_ok_and(|count| count > 0)
    }
}

pub fn message(n: usize) -> String {
    format!("From: a{n}@example.org\r\nSubject: number {n}\r\n\r\nbody {n}\r\n")
}

fn literal_size(line: &str) -> Option<usize> {
    line.strip_suffix('}')?.rsplit_once('{')?.1.parse().ok()
}
