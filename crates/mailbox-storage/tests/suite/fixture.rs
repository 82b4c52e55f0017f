//! A fresh database per test, and short ways to call the service.

use bytes::Bytes;
use mail_rpc::{Entry, GrantKey, MailboxClient, Right, Transport, entries_from_pb, pb, set_from_pb};
use mail_types::{AccountId, FlagBits, UidSet};
use mailbox_hints::Hints;
use mailbox_storage::{Storage, StorageConfig};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use tonic::Status;

pub(crate) const ALICE: AccountId = AccountId::new(7);
pub(crate) const BOB: AccountId = AccountId::new(8);
pub(crate) const MESSAGE_BYTES_MAX: u64 = 4 << 20;

pub(crate) struct Store {
    pub(crate) storage: Storage,
    pub(crate) client: MailboxClient,
    pub(crate) key: GrantKey,
    pub(crate) hints: Hints,
    pub(crate) url: String,
    dropped: Option<(String, String)>,
    _dir: Option<tempfile::TempDir>,
}

/// A database with nothing in it.
pub(crate) struct Empty {
    pub(crate) url: String,
    /// The server's own database, and the name of this one.
    dropped: Option<(String, String)>,
    dir: Option<tempfile::TempDir>,
}

impl Empty {
    pub(crate) fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("mail.db").display());
        Self { url, dropped: None, dir: Some(dir) }
    }

    pub(crate) async fn postgres() -> Self {
        let admin = std::env::var("TODOKU_TEST_POSTGRES")
            .expect("TODOKU_TEST_POSTGRES is not set; run `cargo xtask test`, which starts PostgreSQL");
        let unique = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        let name = format!("t_{unique}_{}", std::process::id());
        let mut conn = PgConnection::connect(&admin).await.unwrap();
        conn.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        let (server, _) = admin.rsplit_once('/').unwrap();
        let query = admin.split_once('?').map_or(String::new(), |(_, query)| format!("?{query}"));
        Self { url: format!("{server}/{name}{query}"), dropped: Some((admin.clone(), name)), dir: None }
    }

    /// Brings the schema up to date and starts a service on it.
    pub(crate) async fn open(self) -> Store {
        let Self { url, dropped, dir } = self;
        let key = GrantKey::from_secret(b"test");
        let hints = Hints::in_process();
        let storage = Storage::open(config(&url, &key, &hints)).await.unwrap();
        storage.migrate().await.unwrap();
        let client = MailboxClient::new(Transport::local(storage.server()));
        let store = Store { storage, client, key, hints, url, dropped, _dir: dir };
        store.provision(ALICE).await;
        store
    }
}

impl Store {
    pub(crate) async fn sqlite() -> Self {
        Empty::sqlite().open().await
    }
    pub(crate) async fn postgres() -> Self {
        Empty::postgres().await.open().await
    }

    /// A second instance on the same database, as another process would be.
    pub(crate) async fn again(&self) -> MailboxClient {
        MailboxClient::new(Transport::local(self.process().await.server()))
    }
    pub(crate) async fn process(&self) -> Storage {
        Storage::open(config(&self.url, &self.key, &self.hints)).await.unwrap()
    }

    /// Changes the tables behind the service's back.
    pub(crate) async fn sql(&self, statement: &'static str) {
        if self.url.starts_with("sqlite:") {
            let mut conn = SqliteConnection::connect(&self.url).await.unwrap();
            conn.execute(statement).await.unwrap();
            conn.close().await.unwrap();
        } else {
            let mut conn = PgConnection::connect(&self.url).await.unwrap();
            conn.execute(statement).await.unwrap();
            conn.close().await.unwrap();
        }
    }

    /// Checks everything and removes the database.
    pub(crate) async fn end(self) {
        let report = self.storage.fsck(None).await.unwrap();
        assert_eq!(report.findings, []);
        self.storage.close().await;
        if let Some((admin, name)) = self.dropped {
            let mut conn = PgConnection::connect(&admin).await.unwrap();
            conn.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
        }
    }

    pub(crate) fn grant(&self, account: AccountId, right: Right) -> Bytes {
        self.key.issue(account, right).0
    }
    pub(crate) fn alice(&self) -> Bytes {
        self.grant(ALICE, Right::Own)
    }

    pub(crate) async fn provision(&self, account: AccountId) {
        let grant = self.grant(account, Right::Admin);
        self.client.provision(pb::ProvisionRequest { grant, ..Default::default() }).await.unwrap();
    }
    pub(crate) async fn quota(&self) -> pb::Quota {
        self.client.get_quota(pb::GetQuotaRequest { grant: self.alice() }).await.unwrap()
    }
    pub(crate) async fn limit(&self, limit_bytes: u64, limit_messages: u64) {
        let grant = self.grant(ALICE, Right::Admin);
        self.client.set_quota(pb::SetQuotaRequest { grant, limit_bytes, limit_messages }).await.unwrap();
    }

    pub(crate) async fn status(&self, name: &str) -> Result<pb::MailboxState, Status> {
        self.client.status(pb::StatusRequest { owner: 0, grant: self.alice(), name: name.into() }).await
    }
    pub(crate) async fn create(&self, name: &str) -> Result<pb::MailboxState, Status> {
        let name = name.into();
        self.client.create(pb::CreateRequest { owner: 0, grant: self.alice(), name, special_use: 0 }).await
    }
    pub(crate) async fn open_as(
        &self,
        name: &str,
        access: pb::Access,
        known: Option<pb::Known>,
    ) -> Result<pb::SyncReply, Status> {
        let request = pb::OpenRequest {
            owner: 0,
            grant: self.alice(),
            name: name.into(),
            access: access.into(),
            known,
        };
        self.client.open(request).await
    }
    pub(crate) async fn examine(&self, name: &str) -> pb::SyncReply {
        self.open_as(name, pb::Access::ReadOnly, None).await.unwrap()
    }
    pub(crate) async fn changes(&self, known: pb::Known) -> Result<pb::SyncReply, Status> {
        let access = pb::Access::ReadOnly.into();
        self.client
            .changes(pb::ChangesRequest { owner: 0, grant: self.alice(), known: Some(known), access })
            .await
    }

    pub(crate) async fn append_all(
        &self,
        mailbox: &str,
        messages: &[(pb::FlagSet, Vec<u8>)],
        idempotency_key: &[u8],
    ) -> Result<pb::AppendReply, Status> {
        self.client
            .append(tokio_stream::iter(append_steps(self.alice(), mailbox, messages, idempotency_key)))
            .await
    }
    /// One message with system flags; its UID.
    pub(crate) async fn append(&self, mailbox: &str, flags: FlagBits, octets: &[u8]) -> u32 {
        self.append_all(mailbox, &[(system(flags), octets.to_vec())], b"").await.unwrap().uids[0]
    }

    pub(crate) async fn store(&self, request: pb::StoreFlagsRequest) -> Result<pb::StoreFlagsReply, Status> {
        self.client.store_flags(pb::StoreFlagsRequest { grant: self.alice(), ..request }).await
    }
    pub(crate) async fn copy(
        &self,
        (mailbox_id, known_modseq): (u64, u64),
        uids: &str,
        destination: &str,
        mode: pb::copy_request::Mode,
    ) -> Result<pb::CopyReply, Status> {
        let request = pb::CopyRequest {
            owner: 0,
            destination_owner: 0,
            grant: self.alice(),
            mailbox_id,
            uids: ranges(uids),
            destination: destination.into(),
            mode: mode.into(),
            known_modseq,
        };
        self.client.copy(request).await
    }
    pub(crate) async fn expunge(&self, mailbox_id: u64, uids: &str, known_modseq: u64) -> pb::ExpungeReply {
        let request = pb::ExpungeRequest {
            owner: 0,
            grant: self.alice(),
            mailbox_id,
            uids: ranges(uids),
            which: pb::expunge_request::Which::All.into(),
            known_modseq,
        };
        self.client.expunge(request).await.unwrap()
    }
    /// Octets of one range; `None`: gone.
    pub(crate) async fn read(&self, mailbox_id: u64, uid: u32, offset: u64, length: u64) -> Option<Vec<u8>> {
        let ranges = vec![pb::ContentRange { uid, offset, length }];
        let request = pb::ContentRequest { owner: 0, grant: self.alice(), mailbox_id, ranges, packed: false };
        let mut chunks = self.client.content(request).await.unwrap();
        let mut out = Vec::new();
        while let Some(chunk) = chunks.message().await.unwrap() {
            if chunk.gone {
                assert!(chunk.last);
                return None;
            }
            out.extend_from_slice(&chunk.data);
            if chunk.last {
                assert!(chunks.message().await.unwrap().is_none());
                return Some(out);
            }
        }
        panic!("no last chunk");
    }
}

fn config(url: &str, key: &GrantKey, hints: &Hints) -> StorageConfig {
    StorageConfig {
        message_bytes_max: MESSAGE_BYTES_MAX,
        ..StorageConfig::new(url, key.clone(), hints.clone())
    }
}

pub(crate) fn append_steps(
    grant: Bytes,
    mailbox: &str,
    messages: &[(pb::FlagSet, Vec<u8>)],
    key: &[u8],
) -> Vec<pb::AppendRequest> {
    use pb::append_request::Step;
    let start = pb::AppendStart {
        grant,
        mailbox: mailbox.into(),
        idempotency_key: Bytes::copy_from_slice(key),
        ..Default::default()
    };
    let mut steps = vec![Step::Start(start)];
    for (flags, octets) in messages {
        let (flags, size) = (Some(flags.clone()), octets.len() as u64);
        steps.push(Step::Message(pb::AppendMessage {
            flags,
            received_at: Some(1_000_000_000),
            size,
            ..Default::default()
        }));
        steps.extend(octets.chunks(100_000).map(|part| Step::Chunk(Bytes::copy_from_slice(part))));
    }
    steps.push(Step::Finish(pb::Finish {}));
    steps.into_iter().map(|step| pb::AppendRequest { step: Some(step) }).collect()
}

pub(crate) fn system(flags: FlagBits) -> pb::FlagSet {
    pb::FlagSet { system: flags.bits() as u32, keywords: Vec::new() }
}

pub(crate) fn ranges(text: &str) -> Vec<pb::UidRange> {
    if text.is_empty() {
        return Vec::new();
    }
    mail_rpc::set_to_pb(&text.parse::<UidSet>().unwrap())
}

pub(crate) fn text(ranges: &[pb::UidRange]) -> String {
    set_from_pb(ranges).to_string()
}

pub(crate) fn entries(reply: &pb::SyncReply) -> Vec<Entry> {
    entries_from_pb(reply.entries.as_ref().unwrap()).unwrap()
}

/// UID and flags, for short assertions.
pub(crate) fn flags_of(reply: &pb::SyncReply) -> Vec<(u32, u64)> {
    entries(reply).iter().map(|entry| (entry.uid.get(), entry.flags.bits())).collect()
}

pub(crate) fn known(reply: &pb::SyncReply) -> pb::Known {
    let state = reply.state.as_ref().unwrap();
    pb::Known { mailbox_id: state.mailbox_id, modseq: state.highest_modseq }
}

pub(crate) fn message(subject: &str) -> Vec<u8> {
    format!(
        "From: Carol <carol@example.org>\r\nTo: alice@example.net\r\nSubject: {subject}\r\n\
         Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nMessage-ID: <{subject}@example.org>\r\n\r\n\
         This is the body of {subject}.\r\n"
    )
    .into_bytes()
}

/// Octets that do not compress.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut out = b"Subject: noise\r\n\r\n".to_vec();
    while out.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        out.push((state >> 56) as u8);
    }
    out
}
