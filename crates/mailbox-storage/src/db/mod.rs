//! The one narrow door to the database: batch operations, each one transaction. No domain rules on the other side of it.

mod annotation;
mod changes;
mod index;
pub(crate) mod postgres;
mod raise;
mod rebuild;
pub(crate) mod sqlite;
mod tombstone;
mod types;

use std::sync::Arc;

use async_trait::async_trait;
use mail_types::{AccountId, FlagBits, MailboxId, MessageId, Rights, Uid, UidSet};

use crate::error::{DbError, DbResult};
use crate::index::SCHEME;
use crate::sharing::{AclEdit, AclRow, CopyRow, Reader, SharedRow, SharedStored, Transfer, Transferred};
use crate::tree::{Tree, TreeChange};
pub(crate) use annotation::{Annotate, Annotated, AnnotationQuery, AnnotationRow};
use index::{
    CROWDED, INDEX, INSERT_SEGMENT, INSERT_TAIL, NEXT_EPOCH, NEXT_SEGMENT, SEARCH_STATE, SEGMENTS, SPARSE,
    TAIL, index_rows,
};
pub(crate) use index::{IndexChange, IndexRows, NewSegment, SearchState, SegmentRow, TailRow};
pub(crate) use raise::Raised;
use raise::{ACCOUNTS, RAISE, RAISE_UIDNEXT, RENEW_UIDVALIDITY, UIDNEXT_RAISED_MAX, UIDS, raise_account};
pub(crate) use rebuild::Rebuild;
use rebuild::{
    LEASE, OUTDATED, REBUILD_KEYS, REBUILD_MESSAGE, REBUILD_NOTHING, REBUILD_TEXT, accounts_of, rebuild_one,
};
use tombstone::{DOOMED, uid_runs};
pub(crate) use types::*;

/// The pure function that decides what becomes of an account's mailboxes.
pub(crate) type TreePlan = Arc<dyn Fn(&Tree) -> Result<Vec<TreeChange>, mail_rpc::Refusal> + Send + Sync>;

/// What both databases can do. Every method that writes locks the mailbox rows by ascending id before it takes a number,
/// then the account's row, and commits before it returns.
#[async_trait]
pub(crate) trait Db: Send + Sync + 'static {
    /// Brings the schema up to date.
    async fn migrate(&self) -> Result<(), sqlx::migrate::MigrateError>;
    /// Fails when no query can be answered.
    async fn ready(&self) -> DbResult<()>;
    /// Waits for what runs and closes all connections.
    async fn close(&self);
    /// How many groups of insertions may run at once.
    fn insert_lanes(&self) -> usize;

    // ---- the account ----

    /// Makes the account's row if there is none.
    async fn account_create(&self, account: AccountId, limits: Limits, now: i64) -> DbResult<()>;
    /// Removes every row of the account.
    async fn account_purge(&self, account: AccountId) -> DbResult<()>;
    /// `None`: no such account.
    async fn quota(&self, account: AccountId) -> DbResult<Option<Quota>>;
    /// `None`: no such account.
    async fn quota_limit(&self, account: AccountId, limits: Limits) -> DbResult<Option<Quota>>;

    // ---- mailboxes ----

    /// All mailboxes, ordered by name. `None`: no such account.
    async fn tree(&self, account: AccountId) -> DbResult<Option<Tree>>;
    /// Locks all mailboxes, lets `plan` decide, applies it. `None`: no such account.
    async fn tree_change(&self, account: AccountId, plan: TreePlan) -> DbResult<Option<Vec<TreeChange>>>;
    /// One mailbox's row.
    async fn mailbox(&self, account: AccountId, which: Which<'_>) -> DbResult<Option<MailboxRow>>;
    /// Replaces the keyword table if it still is `old`. Tells whether it was.
    async fn mailbox_keywords(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        old: &str,
        new: &str,
    ) -> DbResult<bool>;

    // ---- reading ----

    /// A mailbox's row and, of the same moment, what changed since `since`, or everything if `since` does not hold for it.
    async fn sync(
        &self,
        account: AccountId,
        which: Which<'_>,
        since: Option<Since>,
    ) -> DbResult<Option<SyncRows>>;
    /// Sets `recent_from` to `until` unless it is there already. The first UID that the caller alone is told is recent.
    async fn claim_recent(&self, account: AccountId, mailbox: MailboxId, until: i64)
    -> DbResult<Option<i64>>;
    /// UIDs expunged after a mod-sequence, and the floor. `None`: no such mailbox.
    async fn vanished(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: i64,
    ) -> DbResult<Option<(i64, UidSet)>>;
    /// Highest mod-sequences in the order asked; 0 for what is not there.
    async fn modseqs(&self, watches: &[(AccountId, MailboxId)]) -> DbResult<Vec<i64>>;
    /// INBOX's row, UIDs and sizes of one moment.
    async fn maildrop(&self, account: AccountId) -> DbResult<Option<(MailboxRow, Vec<u32>, Vec<u64>)>>;
    /// At most `limit` messages of `uids`, ascending.
    async fn fetch(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &UidSet,
        columns: Columns,
        limit: i64,
    ) -> DbResult<Vec<MessageRow>>;
    /// Where the content of messages is; what does not exist is left out.
    async fn content_find(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
    ) -> DbResult<Vec<(Uid, MessageId, u64)>>;
    /// Chunks `first..=last` of each message named, in that order.
    async fn content_read(
        &self,
        account: AccountId,
        wanted: &[(MessageId, u32, u32)],
    ) -> DbResult<Vec<ChunkRow>>;
    /// UIDs whose column lies in `from..to`.
    async fn search_column(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &UidSet,
        test: ColumnTest,
    ) -> DbResult<UidSet>;
    /// At most `limit` compressed search texts of `uids`, ascending.
    async fn search_texts(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &UidSet,
        limit: i64,
    ) -> DbResult<Vec<(Uid, Vec<u8>)>>;
    /// Compressed search texts of these messages, of those that are there, in any order.
    async fn texts(&self, account: AccountId, messages: &[i64]) -> DbResult<Vec<(i64, Vec<u8>)>>;
    /// What at most `limit` messages of `uids` are sorted by, ascending; `with_keys`: by more than size and arrival.
    async fn sort_keys(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &UidSet,
        with_keys: bool,
        limit: i64,
    ) -> DbResult<Vec<KeyRow>>;

    /// All flags that any of these messages has.
    async fn flags_used(&self, account: AccountId, mailbox: MailboxId, uids: &UidSet) -> DbResult<FlagBits>;

    // ---- writing ----

    /// Several insertions in one transaction, one outcome each.
    async fn insert(&self, items: Vec<Arc<InsertItem>>) -> DbResult<Vec<Inserted>>;
    /// One insertion that takes the place of a message, both in one transaction. `None`: the message is not there.
    async fn replace(&self, item: InsertItem, old: OldMessage) -> DbResult<Option<ReplaceOutcome>>;
    /// A message id for content that is written before its message; the sweep removes it if the message never comes.
    async fn stage(&self, account: AccountId, now: i64) -> DbResult<Option<MessageId>>;
    /// Writes chunks of a staged message.
    async fn stage_chunks(&self, account: AccountId, message: MessageId, chunks: Vec<Chunk>) -> DbResult<()>;
    /// Forgets delivery keys.
    async fn confirm(&self, keys: Vec<(AccountId, Vec<u8>)>) -> DbResult<()>;
    /// Changes flags where they differ. `None`: no such mailbox.
    async fn store_flags(&self, request: StoreFlags) -> DbResult<Option<FlagsStored>>;
    /// Removes messages and leaves tombstones. `None`: no such mailbox.
    async fn expunge(&self, request: Expunge) -> DbResult<Option<Written>>;
    /// Copies or moves.
    async fn copy(&self, request: Copy) -> DbResult<CopyOutcome>;

    // ---- annotations ----

    /// A page of them.
    async fn annotations(&self, query: AnnotationQuery) -> DbResult<Vec<AnnotationRow>>;
    /// Sets or removes them, all or none.
    async fn annotate(&self, request: Annotate) -> DbResult<Annotated>;

    // ---- mailbox access keys ----

    /// The key of a mailbox; `fresh` becomes it if there is none.
    async fn url_key(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        fresh: Option<Vec<u8>>,
    ) -> DbResult<Option<Vec<u8>>>;
    /// Another key for a mailbox, or no keys any more.
    async fn url_key_reset(&self, account: AccountId, other: Option<(MailboxId, Vec<u8>)>) -> DbResult<()>;

    // ---- the search index ----

    /// `None`: no such mailbox.
    async fn search_state(&self, account: AccountId, mailbox: MailboxId) -> DbResult<Option<SearchState>>;
    /// The segments there are, and at most `limit` messages after this one that are in no segment yet, at one moment.
    async fn index_rows(&self, account: AccountId, after: i64, limit: i64) -> DbResult<IndexRows>;
    /// At most `limit` messages that are in no segment yet.
    async fn index_tail(&self, account: AccountId, limit: i64) -> DbResult<Vec<TailRow>>;
    /// The segments there are.
    async fn index_segments(&self, account: AccountId) -> DbResult<Vec<SegmentRow>>;
    /// The packed message ids of these segments.
    async fn index_ids(&self, account: AccountId, segments: &[i64]) -> DbResult<Vec<(i64, Vec<u8>)>>;
    /// Blocks of segments, in any order; what is gone is left out.
    async fn index_slices(
        &self,
        account: AccountId,
        wanted: &[(i64, i32)],
    ) -> DbResult<Vec<(i64, i32, Vec<u8>)>>;
    /// All blocks of one segment, in their order.
    async fn index_all_slices(&self, account: AccountId, segment: i64) -> DbResult<Vec<Vec<u8>>>;
    /// Those of the messages that are there.
    async fn index_living(&self, account: AccountId, messages: &[i64]) -> DbResult<Vec<i64>>;
    /// Up to `limit` accounts after this one with `least` messages or more that are in no segment.
    async fn index_crowded(&self, after: i64, least: i64, limit: i64) -> DbResult<Vec<i64>>;
    /// Up to `limit` accounts after this one whose segments have more than twice as many messages as there are, and `more`.
    async fn index_sparse(&self, after: i64, more: i64, limit: i64) -> DbResult<Vec<i64>>;
    /// Puts segments in the place of others and of tail rows. `false`, and nothing is changed: those are not all there any more.
    async fn index_change(&self, change: IndexChange) -> DbResult<bool>;

    // ---- mailboxes of others; what a reader needs is checked in the transaction that does the work ----

    /// What a reader may do, and the mailbox as it is for that reader. `None`: no such mailbox.
    async fn shared_access(
        &self,
        owner: AccountId,
        which: Which<'_>,
        reader: AccountId,
    ) -> DbResult<Option<(MailboxRow, Rights)>>;
    /// As `sync`, with the reader's own \Seen. `None` too when the reader may not.
    async fn shared_sync(
        &self,
        owner: AccountId,
        which: Which<'_>,
        since: Option<Since>,
        reader: Reader,
    ) -> DbResult<Option<(SyncRows, Rights)>>;
    /// Every mailbox of others that a reader has any rights to.
    async fn shared_with(&self, reader: AccountId) -> DbResult<Vec<SharedRow>>;
    /// The entries of a mailbox's list.
    async fn acl(&self, owner: AccountId, mailbox: MailboxId) -> DbResult<Vec<AclRow>>;
    /// `None`: no such mailbox, or the reader may not.
    async fn acl_change(&self, change: AclEdit, reader: Option<Reader>) -> DbResult<Option<()>>;
    /// Changes flags that all share, and the reader's \Seen. `None`: no such mailbox, or the reader may not.
    async fn shared_store(
        &self,
        request: StoreFlags,
        reader: Reader,
        seen: Option<bool>,
    ) -> DbResult<Option<SharedStored>>;
    /// `None`: no such mailbox, or the reader may not.
    async fn shared_expunge(&self, request: Expunge, reader: Reader) -> DbResult<Option<Written>>;
    /// Copies inside one owner's mail.
    async fn shared_copy(&self, request: Copy, readers: (Reader, Reader)) -> DbResult<CopyOutcome>;
    /// What a copy is made of. `reader`: whose \Seen counts; `None`: the owner's.
    async fn copy_rows(
        &self,
        owner: AccountId,
        mailbox: MailboxId,
        reader: Option<AccountId>,
        uids: &UidSet,
    ) -> DbResult<Vec<CopyRow>>;
    /// Adds messages to a mailbox that may be another's, and removes them from where they were.
    async fn transfer(&self, request: Transfer) -> DbResult<Transferred>;
    /// Adds a message to a mailbox in the place of another, one of the mailboxes at least being another's. `None`: the old
    /// message is not there.
    async fn shared_replace(&self, request: Transfer) -> DbResult<Option<Transferred>>;

    // ---- upkeep ----

    /// At most `limit` accounts after this one, in order.
    async fn accounts(&self, after: AccountId, limit: i64) -> DbResult<Vec<AccountId>>;
    /// Raises all numbers of an account beyond anything announced.
    async fn raise(&self, account: AccountId) -> DbResult<Raised>;
    /// Removes up to `limit` messages without references queued before `before`; how many queue entries it looked at.
    async fn sweep_garbage(&self, before: i64, limit: i64) -> DbResult<u64>;
    /// Removes delivery keys made before `before`.
    async fn sweep_keys(&self, before: i64) -> DbResult<u64>;
    /// Removes the tombstones of expunges before `before`, and all but the newest `kept` runs of each mailbox; raises the floor
    /// accordingly. How many runs are gone.
    async fn sweep_tombstones(&self, before: i64, kept: i64) -> DbResult<u64>;
    /// At most `limit` messages that a version below this one derived.
    async fn outdated(&self, version: i32, limit: i64) -> DbResult<Vec<(AccountId, MessageId)>>;
    /// Replaces what was derived of these messages, each wholly or not at all. How many were not of this version yet.
    async fn rebuild(&self, batch: Vec<Rebuild>, version: i32) -> DbResult<u64>;
    /// Takes or keeps a task of upkeep until then. `false`: another process has it.
    async fn lease(&self, task: &'static str, holder: i64, until: i64, now: i64) -> DbResult<bool>;
    /// Messages after (account, id) with their hashes, in that order; `only` 0: of all accounts.
    async fn hashes(&self, only: i64, after: (i64, i64), limit: i64) -> DbResult<Vec<HashRow>>;
    /// Runs one audit query that names what is wrong: (account, what) per row, `account` 0 for all.
    async fn audit(&self, query: &'static str, account: i64) -> DbResult<Vec<(i64, String)>>;
}

/// A database by its URL.
pub(crate) async fn open(url: &str, max_connections: u32) -> Result<Arc<dyn Db>, crate::StorageError> {
    if url.starts_with("sqlite:") {
        Ok(Arc::new(sqlite::Sqlite::open(url, max_connections).await?))
    } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        Ok(Arc::new(postgres::Postgres::open(url, max_connections).await?))
    } else {
        Err(crate::StorageError::UnknownDatabase)
    }
}

/// The message of a number that cannot be: the row was damaged.
pub(crate) fn damaged(what: impl std::fmt::Display) -> DbError {
    DbError::Damaged(what.to_string())
}

/// Messages after ($2, $3) and their hashes.
pub(crate) const HASHES: &str = "SELECT account_id, id, content_hash, derived_version FROM message
    WHERE ($1 = 0 OR account_id = $1) AND (account_id, id) > ($2, $3) ORDER BY account_id, id LIMIT $4";

/// A message, for fsck.
pub(crate) struct HashRow {
    pub(crate) account: AccountId,
    pub(crate) id: MessageId,
    pub(crate) hash: Vec<u8>,
    pub(crate) version: i32,
}

pub(crate) fn message_key((account, id): (i64, i64)) -> DbResult<(AccountId, MessageId)> {
    Ok((AccountId::try_from(account).map_err(damaged)?, MessageId::try_from(id).map_err(damaged)?))
}

pub(crate) fn hash_row((account, id, hash, version): (i64, i64, Vec<u8>, i32)) -> DbResult<HashRow> {
    let (account, id) = message_key((account, id))?;
    Ok(HashRow { account, id, hash, version })
}
