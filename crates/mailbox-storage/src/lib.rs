//! The only owner of mail: serves `mailbox.proto` from PostgreSQL or SQLite.
//!
//! **Invariant:** knows UIDs, never sequence numbers, and no IMAP or POP3 syntax. An answer to a change is sent after its
//! commit. Within a mailbox UIDs and mod-sequences become visible in ascending order, because every writer holds the
//! mailbox row's lock before it takes a number. No lock, transaction or pooled connection is held while a caller is slow.

mod committer;
mod db;
mod error;
mod fsck;
mod index;
mod keywords;
mod names;
mod prepare;
mod raise;
mod rebuild;
mod room;
mod service;
mod sharing;
mod snapshot;
mod sweep;
mod tree;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use mail_rpc::pb::mailbox_server::MailboxServer;
use mail_rpc::{GrantKey, MESSAGE_BYTES_MAX};
use mailbox_hints::Hints;

pub use error::StorageError;
pub use fsck::{Finding, Report};
pub use names::Renamed;
pub use raise::RaisedAccount;
pub use sweep::{SweepPolicy, Swept};

/// Where it is noted which migrations have run; auth's are noted in a table of their own.
pub(crate) const MIGRATIONS_TABLE: &str = "_mailbox_migrations";

/// What a storage is made with.
#[derive(Clone)]
pub struct StorageConfig {
    /// `sqlite:PATH` or `postgres://USER@HOST/NAME`.
    pub database_url: String,
    /// Connections to the database (readers, on SQLite).
    pub max_connections: u32,
    /// What grants are checked with.
    pub grant_key: GrantKey,
    /// Where commits are told of.
    pub hints: Hints,
    /// Largest message in octets; larger ones are refused.
    pub message_bytes_max: u64,
    /// Quota of a new account whose provision names none, in octets; 0: none.
    pub quota_bytes: u64,
    /// The same in messages; 0: none.
    pub quota_messages: u64,
    /// Memory for snapshots of mailboxes, in octets.
    pub snapshot_bytes: u64,
    /// Memory for messages that come in, in octets, and as much for those that are worked on.
    pub message_memory_bytes: u64,
}

impl StorageConfig {
    /// With the usual limits.
    pub fn new(database_url: impl Into<String>, grant_key: GrantKey, hints: Hints) -> Self {
        Self {
            database_url: database_url.into(),
            max_connections: 8,
            grant_key,
            hints,
            message_bytes_max: 50 << 20,
            quota_bytes: 0,
            quota_messages: 0,
            snapshot_bytes: 64 << 20,
            message_memory_bytes: 256 << 20,
        }
    }
}

/// The mailbox store. Clones share everything.
#[derive(Clone)]
pub struct Storage(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: StorageConfig,
    pub(crate) db: Arc<dyn db::Db>,
    pub(crate) committer: committer::Committer,
    pub(crate) snapshots: snapshot::Snapshots,
    pub(crate) index: Arc<index::Index>,
    pub(crate) keywords: keywords::Keywords,
    pub(crate) room: Arc<room::Room>,
    /// This process, among those that share the database.
    pub(crate) holder: i64,
}

impl Storage {
    /// Connects to the database. Its schema may be old or missing still: see [`Self::migrate`].
    ///
    /// # Errors
    /// [`StorageError`] when the URL cannot be used or the database does not answer.
    pub async fn open(config: StorageConfig) -> Result<Self, StorageError> {
        let db = db::open(&config.database_url, config.max_connections).await?;
        let index = Arc::new(index::Index::new());
        Ok(Self(Arc::new(Inner {
            committer: committer::Committer::start(&db, &index),
            index,
            snapshots: snapshot::Snapshots::new(config.snapshot_bytes),
            keywords: keywords::Keywords::new(),
            room: Arc::new(room::Room::new(
                usize::try_from(config.message_memory_bytes).unwrap_or(usize::MAX),
            )),
            holder: rebuild::holder(),
            db,
            config,
        })))
    }

    /// Brings the mail tables up to date. May run while other instances serve.
    ///
    /// # Errors
    /// [`StorageError::Migrate`].
    pub async fn migrate(&self) -> Result<(), StorageError> {
        Ok(self.0.db.migrate().await?)
    }

    /// Does the database answer?
    ///
    /// # Errors
    /// [`StorageError::Failed`] when it does not.
    pub async fn ready(&self) -> Result<(), StorageError> {
        let begun = std::time::Instant::now();
        let answer = self.0.db.ready().await;
        service_runtime::metrics().database("storage", begun.elapsed());
        Ok(answer?)
    }

    /// The gRPC service.
    pub fn server(&self) -> MailboxServer<Storage> {
        MailboxServer::new(self.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Waits for the writes that run and closes all connections. Calls that come later are answered UNAVAILABLE.
    pub async fn close(&self) {
        self.0.db.close().await;
    }
}

/// Seconds since 1970 UTC.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed())
}
