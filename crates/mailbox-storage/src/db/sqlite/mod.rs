//! SQLite: readers on a small pool, every write through one task on one connection, so that they share commits.

mod annotation;
mod index;
mod insert;
mod keys;
mod read;
mod rows;
#[allow(clippy::duplicate_mod, reason = "written once, compiled for each database")]
#[path = "../sharing/mod.rs"]
mod sharing;
mod sharing_dialect;
mod tree;
mod upkeep;
mod url_key;
mod write;
mod writer;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mail_rpc::Entry;
use mail_types::{AccountId, FlagBits, MailboxId, MessageId, ModSeq, Uid, UidSet};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Row};

use super::*;
use crate::StorageError;
use crate::sharing::{ACL_ENTRIES_MAX, RightsSum, SHARED_ROWS_MAX};
use rows::*;
use sharing_dialect::*;
use writer::{Haste, Writer};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");
/// The account commands write from another process; a delivery has this long until its sender is told to come back.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Address space that reads may map instead of copying pages.
const MMAP_BYTES: &str = "1073741824";
/// Page cache of one connection, in KiB (negative: KiB, not pages).
const CACHE_KIB: &str = "-16384";

pub(crate) struct Sqlite {
    pool: SqlitePool,
    writer: Writer,
}

impl Sqlite {
    pub(crate) async fn open(url: &str, max_connections: u32) -> Result<Self, StorageError> {
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit that was acknowledged survives a power failure.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("mmap_size", MMAP_BYTES)
            .pragma("cache_size", CACHE_KIB)
            .pragma("temp_store", "memory")
            .statement_cache_capacity(256)
            .row_buffer_size(256)
            .disable_statement_logging();
        let writer = Writer::start(options.connect().await?);
        // Read-only in effect, not by flag: a read-only connection could not create the WAL index of a fresh file.
        let pool = SqlitePoolOptions::new()
            .max_connections(max_connections.max(1))
            .test_before_acquire(false)
            .connect_with(options.pragma("query_only", "on"))
            .await?;
        Ok(Self { pool, writer })
    }
}

#[async_trait]
impl Db for Sqlite {
    async fn migrate(&self) -> Result<(), MigrateError> {
        let mut migrator = Migrator { ..Migrator::DEFAULT };
        migrator.migrations = MIGRATIONS.migrations.clone();
        migrator.dangerous_set_table_name(crate::MIGRATIONS_TABLE);
        self.writer.migrate(migrator).await
    }
    async fn ready(&self) -> DbResult<()> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }
    async fn close(&self) {
        self.writer.stop().await;
        self.pool.close().await;
    }
    fn insert_lanes(&self) -> usize {
        1
    }

    async fn account_create(&self, account: AccountId, limits: Limits, now: i64) -> DbResult<()> {
        self.writer.run(Haste::Now, move |c| Box::pin(write::account_create(c, account, limits, now))).await
    }
    async fn account_purge(&self, account: AccountId) -> DbResult<()> {
        self.writer.run(Haste::Now, move |c| Box::pin(write::account_purge(c, account))).await
    }
    async fn quota(&self, account: AccountId) -> DbResult<Option<Quota>> {
        read::quota(&self.pool, account).await
    }
    async fn quota_limit(&self, account: AccountId, limits: Limits) -> DbResult<Option<Quota>> {
        self.writer.run(Haste::Now, move |c| Box::pin(write::quota_limit(c, account, limits))).await
    }

    async fn tree(&self, account: AccountId) -> DbResult<Option<Tree>> {
        tree::load(&mut *self.pool.begin().await?, account).await
    }
    async fn tree_change(&self, account: AccountId, plan: TreePlan) -> DbResult<Option<Vec<TreeChange>>> {
        self.writer.run(Haste::Now, move |c| Box::pin(tree::change(c, account, plan))).await
    }
    async fn mailbox(&self, account: AccountId, which: Which<'_>) -> DbResult<Option<MailboxRow>> {
        read::mailbox(&mut *self.pool.acquire().await?, account, which).await
    }
    async fn mailbox_keywords(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        old: &str,
        new: &str,
    ) -> DbResult<bool> {
        let (old, new) = (old.to_owned(), new.to_owned());
        self.writer
            .run(Haste::Now, move |c| Box::pin(write::mailbox_keywords(c, account, mailbox, old, new)))
            .await
    }

    async fn sync(
        &self,
        account: AccountId,
        which: Which<'_>,
        since: Option<Since>,
    ) -> DbResult<Option<SyncRows>> {
        read::sync(&self.pool, account, which, since).await
    }
    async fn claim_recent(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        until: i64,
    ) -> DbResult<Option<i64>> {
        self.writer
            .run(Haste::Unsynced, move |c| Box::pin(write::claim_recent(c, account, mailbox, until)))
            .await
    }
    async fn vanished(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: i64,
    ) -> DbResult<Option<(i64, UidSet)>> {
        read::vanished(&self.pool, account, mailbox, since).await
    }
    async fn modseqs(&self, watches: &[(AccountId, MailboxId)]) -> DbResult<Vec<i64>> {
        read::modseqs(&self.pool, watches).await
    }
    async fn maildrop(&self, account: AccountId) -> DbResult<Option<(MailboxRow, Vec<u32>, Vec<u64>)>> {
        read::maildrop(&self.pool, account).await
    }
    async fn fetch(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &UidSet,
        columns: Columns,
        limit: i64,
    ) -> DbResult<Vec<MessageRow>> {
        read::fetch(&self.pool, (account, mailbox, uids), columns, limit).await
    }
    async fn content_find(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
    ) -> DbResult<Vec<(Uid, MessageId, u64)>> {
        read::content_find(&self.pool, account, mailbox, uids).await
    }
    async fn content_read(
        &self,
        account: AccountId,
        wanted: &[(MessageId, u32, u32)],
    ) -> DbResult<Vec<ChunkRow>> {
        read::content_read(&self.pool, account, wanted).await
    }
    async fn search_column(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &UidSet,
        test: ColumnTest,
    ) -> DbResult<UidSet> {
        read::search_column(&self.pool, account, mailbox, uids, test).await
    }
    async fn search_texts(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &UidSet,
        limit: i64,
    ) -> DbResult<Vec<(Uid, Vec<u8>)>> {
        read::search_texts(&self.pool, account, mailbox, uids, limit).await
    }
    async fn texts(&self, account: AccountId, messages: &[i64]) -> DbResult<Vec<(i64, Vec<u8>)>> {
        index::texts(&self.pool, account, messages).await
    }
    async fn sort_keys(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &UidSet,
        with_keys: bool,
        limit: i64,
    ) -> DbResult<Vec<KeyRow>> {
        keys::read(&self.pool, (account, mailbox, uids), with_keys, limit).await
    }
    async fn flags_used(&self, account: AccountId, mailbox: MailboxId, uids: &UidSet) -> DbResult<FlagBits> {
        read::flags_used(&self.pool, account, mailbox, uids).await
    }

    async fn insert(&self, items: Vec<Arc<InsertItem>>) -> DbResult<Vec<Inserted>> {
        self.writer.run(Haste::Now, move |c| Box::pin(insert::insert(c, items))).await
    }
    async fn replace(&self, item: InsertItem, old: OldMessage) -> DbResult<Option<ReplaceOutcome>> {
        self.writer.run(Haste::Now, move |c| Box::pin(insert::replace(c, item, old))).await
    }
    async fn stage(&self, account: AccountId, now: i64) -> DbResult<Option<MessageId>> {
        self.writer.run(Haste::Now, move |c| Box::pin(insert::stage(c, account, now))).await
    }
    async fn stage_chunks(&self, account: AccountId, message: MessageId, chunks: Vec<Chunk>) -> DbResult<()> {
        self.writer
            .run(Haste::Now, move |c| {
                Box::pin(async move { insert::chunks(c, account.as_i64(), message.as_i64(), &chunks).await })
            })
            .await
    }
    async fn confirm(&self, keys: Vec<(AccountId, Vec<u8>)>) -> DbResult<()> {
        self.writer.run(Haste::Later, move |c| Box::pin(write::confirm(c, keys))).await
    }
    async fn store_flags(&self, request: StoreFlags) -> DbResult<Option<FlagsStored>> {
        self.writer.run(Haste::Now, move |c| Box::pin(write::store_flags(c, request))).await
    }
    async fn expunge(&self, request: Expunge) -> DbResult<Option<Written>> {
        self.writer.run(Haste::Now, move |c| Box::pin(write::expunge(c, request))).await
    }
    async fn copy(&self, request: Copy) -> DbResult<CopyOutcome> {
        self.writer.run(Haste::Now, move |c| Box::pin(write::copy(c, request))).await
    }

    async fn annotations(&self, query: AnnotationQuery) -> DbResult<Vec<AnnotationRow>> {
        annotation::select(&self.pool, &query).await
    }
    async fn annotate(&self, request: Annotate) -> DbResult<Annotated> {
        self.writer.run(Haste::Now, move |c| Box::pin(annotation::annotate(c, request))).await
    }

    async fn url_key(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        fresh: Option<Vec<u8>>,
    ) -> DbResult<Option<Vec<u8>>> {
        let known = url_key::get(&self.pool, account, mailbox).await?;
        let (None, Some(fresh)) = (&known, fresh) else { return Ok(known) };
        self.writer.run(Haste::Now, move |c| Box::pin(url_key::add(c, account, mailbox, fresh))).await?;
        url_key::get(&self.pool, account, mailbox).await
    }
    async fn url_key_reset(&self, account: AccountId, other: Option<(MailboxId, Vec<u8>)>) -> DbResult<()> {
        self.writer.run(Haste::Now, move |c| Box::pin(url_key::reset(c, account, other))).await
    }
    async fn search_state(&self, account: AccountId, mailbox: MailboxId) -> DbResult<Option<SearchState>> {
        index::state(&self.pool, account, mailbox).await
    }
    async fn index_rows(&self, account: AccountId, after: i64, limit: i64) -> DbResult<IndexRows> {
        index::rows(&self.pool, account, after, limit).await
    }
    async fn index_tail(&self, account: AccountId, limit: i64) -> DbResult<Vec<TailRow>> {
        index::tail(&self.pool, account, limit).await
    }
    async fn index_segments(&self, account: AccountId) -> DbResult<Vec<SegmentRow>> {
        index::segments(&self.pool, account).await
    }
    async fn index_ids(&self, account: AccountId, segments: &[i64]) -> DbResult<Vec<(i64, Vec<u8>)>> {
        index::ids(&self.pool, account, segments).await
    }
    async fn index_slices(
        &self,
        account: AccountId,
        wanted: &[(i64, i32)],
    ) -> DbResult<Vec<(i64, i32, Vec<u8>)>> {
        index::slices(&self.pool, account, wanted).await
    }
    async fn index_all_slices(&self, account: AccountId, segment: i64) -> DbResult<Vec<Vec<u8>>> {
        index::all_slices(&self.pool, account, segment).await
    }
    async fn index_living(&self, account: AccountId, messages: &[i64]) -> DbResult<Vec<i64>> {
        index::living(&self.pool, account, messages).await
    }
    async fn index_crowded(&self, after: i64, least: i64, limit: i64) -> DbResult<Vec<i64>> {
        index::crowded(&self.pool, after, least, limit).await
    }
    async fn index_sparse(&self, after: i64, more: i64, limit: i64) -> DbResult<Vec<i64>> {
        index::sparse(&self.pool, after, more, limit).await
    }
    async fn index_change(&self, change: IndexChange) -> DbResult<bool> {
        self.writer.run(Haste::Later, move |c| Box::pin(index::change(c, change))).await
    }

    async fn shared_access(
        &self,
        owner: AccountId,
        which: Which<'_>,
        reader: AccountId,
    ) -> DbResult<Option<(MailboxRow, Rights)>> {
        sharing::access(&mut *self.pool.acquire().await?, owner, which, reader).await
    }
    async fn shared_sync(
        &self,
        owner: AccountId,
        which: Which<'_>,
        since: Option<Since>,
        reader: Reader,
    ) -> DbResult<Option<(SyncRows, Rights)>> {
        let mut tx = self.pool.begin().await?;
        sharing::sync(&mut tx, owner, which, since, reader).await
    }
    async fn shared_with(&self, reader: AccountId) -> DbResult<Vec<SharedRow>> {
        sharing::shared_with(&mut *self.pool.acquire().await?, reader).await
    }
    async fn acl(&self, owner: AccountId, mailbox: MailboxId) -> DbResult<Vec<AclRow>> {
        sharing::acl(&mut *self.pool.acquire().await?, owner, Some(mailbox)).await
    }
    async fn copy_rows(
        &self,
        owner: AccountId,
        mailbox: MailboxId,
        reader: Option<AccountId>,
        uids: &UidSet,
    ) -> DbResult<Vec<CopyRow>> {
        sharing::rows(&mut *self.pool.acquire().await?, (owner, mailbox, reader), uids).await
    }
    async fn acl_change(&self, change: AclEdit, reader: Option<Reader>) -> DbResult<Option<()>> {
        self.writer.run(Haste::Now, move |c| Box::pin(sharing::acl_change(c, change, reader))).await
    }
    async fn shared_store(
        &self,
        request: StoreFlags,
        reader: Reader,
        seen: Option<bool>,
    ) -> DbResult<Option<SharedStored>> {
        self.writer.run(Haste::Now, move |c| Box::pin(sharing::store(c, request, reader, seen))).await
    }
    async fn shared_expunge(&self, request: Expunge, reader: Reader) -> DbResult<Option<Written>> {
        self.writer.run(Haste::Now, move |c| Box::pin(sharing::expunge(c, request, reader))).await
    }
    async fn shared_copy(&self, request: Copy, readers: (Reader, Reader)) -> DbResult<CopyOutcome> {
        self.writer.run(Haste::Now, move |c| Box::pin(sharing::copy(c, request, readers))).await
    }
    async fn transfer(&self, request: Transfer) -> DbResult<Transferred> {
        self.writer.run(Haste::Now, move |c| Box::pin(sharing::transfer(c, request))).await
    }
    async fn shared_replace(&self, request: Transfer) -> DbResult<Option<Transferred>> {
        self.writer.run(Haste::Now, move |c| Box::pin(sharing::replace(c, request))).await
    }

    async fn sweep_garbage(&self, before: i64, limit: i64) -> DbResult<u64> {
        self.writer.run(Haste::Later, move |c| Box::pin(upkeep::garbage(c, before, limit))).await
    }
    async fn sweep_keys(&self, before: i64) -> DbResult<u64> {
        self.writer.run(Haste::Later, move |c| Box::pin(upkeep::keys(c, before))).await
    }
    async fn sweep_tombstones(&self, before: i64, kept: i64) -> DbResult<u64> {
        self.writer.run(Haste::Later, move |c| Box::pin(upkeep::tombstones(c, before, kept))).await
    }
    async fn accounts(&self, after: AccountId, limit: i64) -> DbResult<Vec<AccountId>> {
        upkeep::accounts(&self.pool, after, limit).await
    }
    async fn raise(&self, account: AccountId) -> DbResult<Raised> {
        self.writer.run(Haste::Later, move |c| Box::pin(upkeep::raise(c, account))).await
    }
    async fn outdated(&self, version: i32, limit: i64) -> DbResult<Vec<(AccountId, MessageId)>> {
        upkeep::outdated(&self.pool, version, limit).await
    }
    async fn rebuild(&self, batch: Vec<Rebuild>, version: i32) -> DbResult<u64> {
        self.writer.run(Haste::Later, move |c| Box::pin(upkeep::rebuild(c, batch, version))).await
    }
    async fn lease(&self, task: &'static str, holder: i64, until: i64, now: i64) -> DbResult<bool> {
        let times = (holder, until, now);
        self.writer.run(Haste::Later, move |c| Box::pin(upkeep::lease(c, task, times))).await
    }
    async fn hashes(&self, only: i64, after: (i64, i64), limit: i64) -> DbResult<Vec<HashRow>> {
        let rows: Vec<(i64, i64, Vec<u8>, i32)> = sqlx::query_as(HASHES)
            .bind(only)
            .bind(after.0)
            .bind(after.1)
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        rows.into_iter().map(hash_row).collect()
    }
    async fn audit(&self, query: &'static str, account: i64) -> DbResult<Vec<(i64, String)>> {
        Ok(sqlx::query_as(query).bind(account).fetch_all(&self.pool).await?)
    }
}
