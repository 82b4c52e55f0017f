//! A gateway on a free port, a mailbox store and an auth service in memory behind it, and a client that speaks raw lines.

use std::collections::HashSet;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use line_server::{ConnectionLimits, TlsAcceptor, TlsConfig};
use mail_rpc::pb::{self, auth_server, mailbox_server};
use mail_rpc::{AuthClient, MailboxClient, Transport};
use pop3_gateway::{Backends, Listeners, Settings};
use service_runtime::Shutdown;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tonic::{Request, Response, Status};

pub(crate) const CHUNK_BYTES: usize = 7;

/// What the store holds, and what it was asked.
#[derive(Default)]
pub(crate) struct Store {
    pub(crate) messages: Vec<(u32, Bytes)>,
    /// Expunged by another session after the snapshot.
    pub(crate) gone: HashSet<u32>,
    pub(crate) down: bool,
    pub(crate) auth_down: bool,
    /// Octets of a chunk; 0: [`CHUNK_BYTES`].
    pub(crate) chunk_bytes: usize,
    /// Breaks contents off after this many octets.
    pub(crate) break_after: Option<u64>,
    pub(crate) contents_asked: Vec<Vec<(u32, u64, u64)>>,
    pub(crate) octets_sent: u64,
    pub(crate) expunges: Vec<Vec<(u32, u32)>>,
    pub(crate) renewals: usize,
    pub(crate) grant_seconds: i64,
}

#[derive(Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<Store>>);

impl Fake {
    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap()
    }

    fn up(&self) -> Result<MutexGuard<'_, Store>, Status> {
        let store = self.store();
        if store.down { Err(Status::unavailable("away")) } else { Ok(store) }
    }
}

type Stream<T> = Pin<Box<dyn tokio_stream::Stream<Item = Result<T, Status>> + Send>>;

macro_rules! not_used {
    ($($name:ident($request:ty) -> $reply:ty;)*) => {$(
        fn $name<'a, 'b>(&'a self, _: Request<$request>)
            -> Pin<Box<dyn Future<Output = Result<Response<$reply>, Status>> + Send + 'b>>
        where 'a: 'b, Self: 'b {
            Box::pin(async { Err(Status::unimplemented(stringify!($name))) })
        }
    )*};
}

#[tonic::async_trait]
impl mailbox_server::Mailbox for Fake {
    type FetchStream = Stream<pb::FetchPage>;
    type ContentStream = Stream<pb::ContentChunk>;
    type DeliverStream = Stream<pb::DeliverResult>;
    type FetchUrlStream = Stream<pb::FetchPage>;
    type ContentUrlStream = Stream<pb::ContentChunk>;

    async fn open_maildrop(
        &self,
        _: Request<pb::OpenMaildropRequest>,
    ) -> Result<Response<pb::Maildrop>, Status> {
        let store = self.up()?;
        Ok(Response::new(pb::Maildrop {
            mailbox_id: 4,
            uid_validity: 0xab,
            uids: store.messages.iter().map(|(uid, _)| *uid).collect(),
            sizes: store.messages.iter().map(|(_, text)| text.len() as u64).collect(),
        }))
    }

    async fn content(
        &self,
        request: Request<pb::ContentRequest>,
    ) -> Result<Response<Self::ContentStream>, Status> {
        let request = request.into_inner();
        assert_eq!(request.mailbox_id, 4);
        self.up()?.contents_asked.push(request.ranges.iter().map(|r| (r.uid, r.offset, r.length)).collect());
        let fake = self.clone();
        let (sender, chunks) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            for (range, asked) in (0..).zip(&request.ranges) {
                for chunk in fake.chunks(range, asked) {
                    if sender.send(chunk).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(tokio_stream::wrappers::ReceiverStream::new(chunks))))
    }

    async fn expunge(
        &self,
        request: Request<pb::ExpungeRequest>,
    ) -> Result<Response<pb::ExpungeReply>, Status> {
        let request = request.into_inner();
        assert_eq!(request.which(), pb::expunge_request::Which::All);
        let mut store = self.up()?;
        let ranges: Vec<_> = request.uids.iter().map(|range| (range.first, range.last)).collect();
        store.messages.retain(|(uid, _)| !ranges.iter().any(|(first, last)| (first..=last).contains(&uid)));
        store.expunges.push(ranges);
        Ok(Response::new(pb::ExpungeReply::default()))
    }

    not_used! {
        provision(pb::ProvisionRequest) -> pb::ProvisionReply;
        purge(pb::PurgeRequest) -> pb::PurgeReply;
        get_quota(pb::GetQuotaRequest) -> pb::Quota;
        set_quota(pb::SetQuotaRequest) -> pb::Quota;
        list(pb::ListRequest) -> pb::ListReply;
        status(pb::StatusRequest) -> pb::MailboxState;
        create(pb::CreateRequest) -> pb::MailboxState;
        delete(pb::DeleteRequest) -> pb::DeleteReply;
        rename(pb::RenameRequest) -> pb::RenameReply;
        subscribe(pb::SubscribeRequest) -> pb::SubscribeReply;
        open(pb::OpenRequest) -> pb::SyncReply;
        changes(pb::ChangesRequest) -> pb::SyncReply;
        vanished(pb::VanishedRequest) -> pb::VanishedReply;
        check_mod_seqs(pb::CheckModSeqsRequest) -> pb::CheckModSeqsReply;
        fetch(pb::FetchRequest) -> Self::FetchStream;
        search(pb::SearchRequest) -> pb::SearchReply;
        my_rights(pb::MyRightsRequest) -> pb::MyRightsReply;
        get_acl(pb::GetAclRequest) -> pb::Acl;
        set_acl(pb::SetAclRequest) -> pb::SetAclReply;
        sort_keys(pb::SortKeysRequest) -> pb::SortKeysReply;
        fuzzy_search(pb::FuzzySearchRequest) -> pb::FuzzySearchReply;
        get_metadata(pb::GetMetadataRequest) -> pb::GetMetadataReply;
        set_metadata(pb::SetMetadataRequest) -> pb::SetMetadataReply;
        sign_urls(pb::SignUrlsRequest) -> pb::SignUrlsReply;
        reset_url_keys(pb::ResetUrlKeysRequest) -> pb::ResetUrlKeysReply;
        fetch_url(pb::FetchUrlRequest) -> Self::FetchUrlStream;
        content_url(pb::ContentUrlRequest) -> Self::ContentUrlStream;
        store_flags(pb::StoreFlagsRequest) -> pb::StoreFlagsReply;
        copy(pb::CopyRequest) -> pb::CopyReply;
        append(tonic::Streaming<pb::AppendRequest>) -> pb::AppendReply;
        deliver(tonic::Streaming<pb::DeliverRequest>) -> Self::DeliverStream;
        confirm_deliveries(pb::ConfirmDeliveriesRequest) -> pb::ConfirmDeliveriesReply;
        check_room(pb::CheckRoomRequest) -> pb::CheckRoomReply;
    }
}

impl Fake {
    fn chunks(&self, range: u32, asked: &pb::ContentRange) -> Vec<Result<pb::ContentChunk, Status>> {
        let mut store = self.store();
        let found = store.messages.iter().find(|(uid, _)| *uid == asked.uid).map(|(_, text)| text.clone());
        let Some(text) = found.filter(|_| !store.gone.contains(&asked.uid)) else {
            return vec![Ok(pb::ContentChunk {
                range,
                data: Bytes::new(),
                last: true,
                gone: true,
                ..Default::default()
            })];
        };
        let from = usize::try_from(asked.offset).unwrap().min(text.len());
        let length = if asked.length == 0 { usize::MAX } else { usize::try_from(asked.length).unwrap() };
        let text = text.slice(from..from.saturating_add(length).min(text.len()));
        let step = if store.chunk_bytes == 0 { CHUNK_BYTES } else { store.chunk_bytes };
        let mut chunks = Vec::new();
        let mut at = 0;
        loop {
            let end = (at + step).min(text.len());
            if store.break_after.is_some_and(|octets| end as u64 > octets) {
                chunks.push(Err(Status::unavailable("broke off")));
                return chunks;
            }
            let last = end == text.len();
            store.octets_sent += (end - at) as u64;
            chunks.push(Ok(pb::ContentChunk {
                range,
                data: text.slice(at..end),
                last,
                ..Default::default()
            }));
            at = end;
            if last {
                return chunks;
            }
        }
    }

    fn login(&self) -> pb::Login {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let lifetime = match self.store().grant_seconds {
            0 => 900,
            seconds => seconds,
        };
        let expires_at = now.cast_signed() + lifetime;
        pb::Login {
            account_id: 1,
            address: "mrose@example".into(),
            grant: Bytes::from_static(b"grant"),
            expires_at,
        }
    }
}

#[tonic::async_trait]
impl auth_server::Auth for Fake {
    async fn authenticate(
        &self,
        request: Request<pb::AuthenticateRequest>,
    ) -> Result<Response<pb::Login>, Status> {
        let request = request.into_inner();
        assert_eq!(request.protocol(), pb::Protocol::Pop3);
        assert_eq!(request.client_address, "127.0.0.1");
        if self.store().auth_down {
            return Err(Status::unavailable("away"));
        }
        match (request.username.as_str(), request.password.as_str()) {
            ("mrose", "secret word") => Ok(Response::new(self.login())),
            ("gone", _) => Err(Status::permission_denied("disabled")),
            _ => Err(Status::unauthenticated("no")),
        }
    }

    async fn renew(&self, _: Request<pb::RenewRequest>) -> Result<Response<pb::Login>, Status> {
        let mut store = self.store();
        store.renewals += 1;
        store.grant_seconds = 0;
        drop(store);
        Ok(Response::new(self.login()))
    }

    not_used! { resolve(pb::ResolveRequest) -> pb::ResolveReply; }
}

/// A running gateway.
pub(crate) struct Server {
    pub(crate) fake: Fake,
    pub(crate) address: SocketAddr,
    pub(crate) tls_address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    _certificates: tempfile::TempDir,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clear {
    LoginAllowed,
    LoginRefused,
}

impl Server {
    pub(crate) async fn start(messages: &[&[u8]]) -> Self {
        Self::start_with(messages, Clear::LoginAllowed).await
    }

    pub(crate) async fn start_with(messages: &[&[u8]], clear: Clear) -> Self {
        let fake = Fake::default();
        fake.store().messages =
            (0..).zip(messages).map(|(i, text)| (10 + 3 * i, Bytes::copy_from_slice(text))).collect();
        let directory = tempfile::tempdir().unwrap();
        let empty = std::path::Path::new("");
        let tls = TlsConfig::load_or_create(empty, empty, directory.path()).unwrap();
        Self::run(fake, tls.acceptor(), clear, directory).await
    }

    async fn run(fake: Fake, tls: TlsAcceptor, clear: Clear, directory: tempfile::TempDir) -> Self {
        let bind = || TcpListener::bind("127.0.0.1:0");
        let (plain, secure) = (bind().await.unwrap(), bind().await.unwrap());
        let (address, tls_address) = (plain.local_addr().unwrap(), secure.local_addr().unwrap());
        let shutdown = Shutdown::new();
        let backends = Backends {
            auth: AuthClient::new(Transport::local(auth_server::AuthServer::new(fake.clone()))),
            mailbox: MailboxClient::new(Transport::local(mailbox_server::MailboxServer::new(fake.clone()))),
        };
        let settings = Settings {
            hostname: "pop.example".to_owned(),
            allow_clear_login: clear == Clear::LoginAllowed,
            tls: Some(tls),
            login_timeout: Duration::from_secs(60),
            inactivity_timeout: Duration::from_secs(600),
            limits: ConnectionLimits::new(100, 100),
            proxy_trusted: Vec::new(),
        };
        let listeners = Listeners { clear: Some(plain), tls: Some(secure) };
        tokio::spawn(pop3_gateway::serve(listeners, backends, settings, shutdown.clone()));
        Self { fake, address, tls_address, shutdown, _certificates: directory }
    }

    pub(crate) async fn connect(&self) -> Client<TcpStream> {
        let mut client = Client::new(TcpStream::connect(self.address).await.unwrap());
        assert_eq!(client.line().await, "+OK pop.example POP3 server ready");
        client
    }

    pub(crate) async fn log_in(&self) -> Client<TcpStream> {
        let mut client = self.connect().await;
        client.ok("USER mrose").await;
        client.ok("PASS secret word").await;
        client
    }
}

/// Speaks raw lines.
pub(crate) struct Client<S>(pub(crate) BufReader<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).await.unwrap();
        self.0.get_mut().flush().await.unwrap();
    }

    /// The next line, without its CRLF, which must be there.
    pub(crate) async fn line(&mut self) -> String {
        let line = self.raw_line().await.unwrap();
        String::from_utf8_lossy(line.strip_suffix(b"\r\n").expect("CRLF")).into_owned()
    }

    async fn raw_line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        let read = self.0.read_until(b'\n', &mut line);
        tokio::time::timeout(Duration::from_secs(10), read).await.expect("a line in time")?;
        Ok(line)
    }

    pub(crate) async fn ask(&mut self, command: &str) -> String {
        self.send(format!("{command}\r\n")).await;
        self.line().await
    }

    pub(crate) async fn ok(&mut self, command: &str) -> String {
        let reply = self.ask(command).await;
        assert!(reply.starts_with("+OK"), "{command}: {reply}");
        reply
    }

    pub(crate) async fn err(&mut self, command: &str) -> String {
        let reply = self.ask(command).await;
        assert!(reply.starts_with("-ERR"), "{command}: {reply}");
        reply
    }

    /// The lines of a multi-line reply after its first, unstuffed, as octets with their CRLFs.
    pub(crate) async fn body(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = self.raw_line().await.unwrap();
            assert!(line.ends_with(b"\r\n"), "{:?}", line.escape_ascii().to_string());
            if line == b".\r\n" {
                return body;
            }
            body.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }

    pub(crate) async fn multi(&mut self, command: &str) -> Vec<u8> {
        self.ok(command).await;
        self.body().await
    }

    pub(crate) async fn text(&mut self, command: &str) -> String {
        String::from_utf8(self.multi(command).await).unwrap()
    }

    /// What comes until the server closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let read = self.0.read_to_end(&mut rest);
        let _ = tokio::time::timeout(Duration::from_secs(10), read).await.expect("the end in time");
        String::from_utf8_lossy(&rest).into_owned()
    }
}
