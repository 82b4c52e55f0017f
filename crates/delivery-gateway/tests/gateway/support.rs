//! A gateway on free ports, a mailbox store and an auth service in memory behind it, and a client that speaks raw lines.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use delivery_gateway::{Backends, Listeners, Settings};
use line_server::{Budget, ConnectionLimits, TlsConfig};
use mail_rpc::pb::deliver_result::Outcome;
use mail_rpc::pb::{self, auth_server, mailbox_server};
use mail_rpc::{AuthClient, MailboxClient, Transport};
use service_runtime::Shutdown;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, Streaming};

pub(crate) const SIZE_MAX: u64 = 200_000;

/// A message for one recipient.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) recipient: String,
    pub(crate) mailbox: String,
    pub(crate) sender: String,
    pub(crate) trace: String,
    pub(crate) content: Vec<u8>,
}

#[derive(Default)]
pub(crate) struct Store {
    pub(crate) stored: Vec<Stored>,
    /// Keys that were not confirmed.
    pub(crate) keys: HashSet<Vec<u8>>,
    pub(crate) confirms: usize,
    pub(crate) outcomes: HashMap<String, Outcome>,
    /// Streams that ended without `finish`.
    pub(crate) aborted: usize,
    pub(crate) down: bool,
    pub(crate) auth_down: bool,
    pub(crate) room_asked: Vec<u64>,
}

#[derive(Clone)]
pub(crate) struct Fake {
    store: Arc<Mutex<Store>>,
    /// A permit for each result that may be sent.
    pub(crate) gate: Arc<Semaphore>,
}

impl Fake {
    fn new() -> Self {
        Self { store: Arc::default(), gate: Arc::new(Semaphore::new(1_000_000)) }
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap()
    }

    fn keep(&self, start: &pb::DeliverStart, index: usize, content: &[u8]) -> pb::DeliverResult {
        let recipient = &start.recipients[index];
        let mut store = self.store();
        let outcome = store.outcomes.get(&recipient.address).copied().unwrap_or(Outcome::Delivered);
        let key = [recipient.address.as_bytes(), start.sender.as_bytes(), content].join(&0);
        if outcome == Outcome::Delivered && store.keys.insert(key.clone()) {
            store.stored.push(Stored {
                recipient: recipient.address.clone(),
                mailbox: recipient.mailbox.clone(),
                sender: start.sender.clone(),
                trace: String::from_utf8(recipient.trace.to_vec()).unwrap(),
                content: content.to_vec(),
            });
        }
        pb::DeliverResult { recipient: index as u32, outcome: outcome.into(), key: key.into(), uid: 1 }
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

    async fn deliver(
        &self,
        request: Request<Streaming<pb::DeliverRequest>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        use pb::deliver_request::Step;
        if self.store().down {
            return Err(Status::unavailable("away"));
        }
        let mut steps = request.into_inner();
        let (mut start, mut content, mut finished) = (None, Vec::new(), false);
        while let Ok(Some(request)) = steps.message().await {
            match request.step {
                Some(Step::Start(step)) => start = Some(step),
                Some(Step::Chunk(chunk)) => content.extend_from_slice(&chunk),
                Some(Step::Finish(_)) => finished = true,
                None => return Err(Status::invalid_argument("no step")),
            }
        }
        let Some(start) = start.filter(|_| finished) else {
            self.store().aborted += 1;
            return Err(Status::invalid_argument("no finish"));
        };
        let (sender, results) = tokio::sync::mpsc::channel(1);
        let fake = self.clone();
        tokio::spawn(async move {
            for index in 0..start.recipients.len() {
                fake.gate.acquire().await.unwrap().forget();
                let result = fake.keep(&start, index, &content);
                if sender.send(Ok(result)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(tokio_stream::wrappers::ReceiverStream::new(results))))
    }

    async fn confirm_deliveries(
        &self,
        request: Request<pb::ConfirmDeliveriesRequest>,
    ) -> Result<Response<pb::ConfirmDeliveriesReply>, Status> {
        let mut store = self.store();
        store.confirms += 1;
        for delivery in request.into_inner().deliveries {
            assert_eq!(delivery.grant, "append");
            store.keys.remove(delivery.key.as_ref());
        }
        Ok(Response::new(pb::ConfirmDeliveriesReply {}))
    }

    async fn check_room(
        &self,
        request: Request<pb::CheckRoomRequest>,
    ) -> Result<Response<pb::CheckRoomReply>, Status> {
        let request = request.into_inner();
        self.store().room_asked.push(request.size);
        match request.grant.as_ref() {
            b"full" => Err(Status::resource_exhausted("full")),
            b"away" => Err(Status::unavailable("away")),
            _ => Ok(Response::new(pb::CheckRoomReply {})),
        }
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
        content(pb::ContentRequest) -> Self::ContentStream;
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
        open_maildrop(pb::OpenMaildropRequest) -> pb::Maildrop;
        store_flags(pb::StoreFlagsRequest) -> pb::StoreFlagsReply;
        copy(pb::CopyRequest) -> pb::CopyReply;
        expunge(pb::ExpungeRequest) -> pb::ExpungeReply;
        append(Streaming<pb::AppendRequest>) -> pb::AppendReply;
    }
}

#[tonic::async_trait]
impl auth_server::Auth for Fake {
    async fn resolve(
        &self,
        request: Request<pb::ResolveRequest>,
    ) -> Result<Response<pb::ResolveReply>, Status> {
        use pb::resolve_reply::Outcome;
        if self.store().auth_down {
            return Err(Status::unavailable("away"));
        }
        let address = request.into_inner().address;
        let (local, domain) = address.rsplit_once('@').unwrap();
        let (user, detail) = local.split_once('+').unwrap_or((local, ""));
        let outcome = match (user, domain) {
            (_, domain) if domain != "foo.edu" => Outcome::NotLocal,
            ("green" | "nobody", _) => Outcome::NoSuchRecipient,
            ("disabled", _) => Outcome::Disabled,
            _ => Outcome::Account,
        };
        let grant = match user {
            "full" | "away" => Bytes::copy_from_slice(user.as_bytes()),
            _ => Bytes::from_static(b"append"),
        };
        Ok(Response::new(pb::ResolveReply {
            outcome: outcome.into(),
            account_id: 1,
            grant,
            account_address: format!("{user}@{domain}"),
            detail: detail.to_owned(),
        }))
    }

    not_used! {
        authenticate(pb::AuthenticateRequest) -> pb::Login;
        renew(pb::RenewRequest) -> pb::Login;
    }
}

/// A running gateway.
pub(crate) struct Server {
    pub(crate) fake: Fake,
    pub(crate) lmtp: SocketAddr,
    pub(crate) smtp: SocketAddr,
    pub(crate) shutdown: Shutdown,
    pub(crate) running: tokio::task::JoinHandle<()>,
    _certificates: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let fake = Fake::new();
        let directory = tempfile::tempdir().unwrap();
        let empty = std::path::Path::new("");
        let tls = TlsConfig::load_or_create(empty, empty, directory.path()).unwrap();
        let bind = || TcpListener::bind("127.0.0.1:0");
        let (lmtp, smtp) = (bind().await.unwrap(), bind().await.unwrap());
        let (lmtp_address, smtp_address) = (lmtp.local_addr().unwrap(), smtp.local_addr().unwrap());
        let shutdown = Shutdown::new();
        let backends = Backends {
            auth: AuthClient::new(Transport::local(auth_server::AuthServer::new(fake.clone()))),
            mailbox: MailboxClient::new(Transport::local(mailbox_server::MailboxServer::new(fake.clone()))),
        };
        let settings = Settings {
            hostname: "mx.foo.edu".to_owned(),
            local_domains: vec!["foo.edu".to_owned()],
            message_size_max: SIZE_MAX,
            recipients_max: 100,
            tls: Some(tls.acceptor()),
            limits: ConnectionLimits::new(100, 100),
            proxy_trusted: Vec::new(),
            memory: Budget::new(128 * 1024),
        };
        let listeners = Listeners { lmtp: Some(lmtp), smtp: Some(smtp) };
        let running = tokio::spawn(delivery_gateway::serve(listeners, backends, settings, shutdown.clone()));
        Self { fake, lmtp: lmtp_address, smtp: smtp_address, shutdown, running, _certificates: directory }
    }

    pub(crate) async fn lmtp(&self) -> Client<TcpStream> {
        let mut client = Client::new(TcpStream::connect(self.lmtp).await.unwrap());
        assert_eq!(client.line().await, "220 mx.foo.edu LMTP Todoku");
        client.ask("LHLO client.example").await;
        client
    }

    pub(crate) async fn smtp(&self) -> Client<TcpStream> {
        let mut client = Client::new(TcpStream::connect(self.smtp).await.unwrap());
        assert_eq!(client.line().await, "220 mx.foo.edu ESMTP Todoku");
        client.ask("EHLO client.example").await;
        client
    }

    /// Waits until the store looks like this.
    pub(crate) async fn until(&self, wanted: impl Fn(&Store) -> bool) {
        let waited = async {
            while !wanted(&self.fake.store()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waited).await.expect("the store in time");
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

    pub(crate) async fn line(&mut self) -> String {
        let mut line = Vec::new();
        let read = self.0.read_until(b'\n', &mut line);
        tokio::time::timeout(Duration::from_secs(10), read).await.expect("a line in time").unwrap();
        String::from_utf8_lossy(line.strip_suffix(b"\r\n").expect("CRLF")).into_owned()
    }

    /// A reply with all its lines, joined by `|`.
    pub(crate) async fn reply(&mut self) -> String {
        let mut reply = self.line().await;
        let mut last = reply.clone();
        while last.as_bytes()[3] == b'-' {
            last = self.line().await;
            reply = format!("{reply}|{last}");
        }
        reply
    }

    pub(crate) async fn ask(&mut self, command: &str) -> String {
        self.send(format!("{command}\r\n")).await;
        self.reply().await
    }

    /// The reply must begin so.
    pub(crate) async fn expect(&mut self, command: &str, beginning: &str) {
        let reply = self.ask(command).await;
        assert!(reply.starts_with(beginning), "{command}: {reply}");
    }

    pub(crate) async fn replies(&mut self, beginnings: &[&str]) {
        for beginning in beginnings {
            let reply = self.reply().await;
            assert!(reply.starts_with(beginning), "wanted {beginning}, got {reply}");
        }
    }

    /// MAIL and RCPTs, all accepted, and DATA.
    pub(crate) async fn begin(&mut self, recipients: &[&str]) {
        self.expect("MAIL FROM:<chris@bar.com>", "250 2.1.0").await;
        for recipient in recipients {
            self.expect(&format!("RCPT TO:<{recipient}>"), "250 2.1.5").await;
        }
        self.expect("DATA", "354 ").await;
    }

    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let read = self.0.read_to_end(&mut rest);
        let _ = tokio::time::timeout(Duration::from_secs(10), read).await.expect("the end in time");
        String::from_utf8_lossy(&rest).into_owned()
    }
}
