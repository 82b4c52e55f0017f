//! PostgreSQL: a read is one statement, a write one function call, both one round trip.

mod annotation;
mod connect;
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

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mail_rpc::Entry;
use mail_types::{AccountId, FlagBits, MailboxId, MessageId, ModSeq, Uid, UidSet};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};

use super::*;
use crate::StorageError;
use crate::sharing::{ACL_ENTRIES_MAX, RightsSum, SHARED_ROWS_MAX};
use connect::{SETTINGS, check};
use rows::*;
use sharing_dialect::*;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/postgres");
/// How long a call waits for a connection before its caller is told to come back.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// An idle connection is given back to the server after this.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// Tries of a write that lost a race (deadlock, serialisation, lock timeout).
const ATTEMPTS: u64 = 4;
/// Groups of insertions that run at once.
const INSERT_LANES: usize = 4;

pub(crate) struct Postgres {
    pool: PgPool,
    /// Without time limits.
    migrating: PgConnectOptions,
}

impl Postgres {
    pub(crate) async fn open(url: &str, max_connections: u32) -> Result<Self, StorageError> {
        let migrating = PgConnectOptions::from_str(url)?
            .application_name("todoku-storage")
            .statement_cache_capacity(256)
            .disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(max_connections.max(2))
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(IDLE_TIMEOUT)
            // A ping would be a round trip more for every call; a connection that broke fails the call, which is tried again.
            .test_before_acquire(false)
            .after_connect(|conn, _| Box::pin(check(conn)))
            .connect_with(migrating.clone().options(SETTINGS))
            .await?;
        Ok(Self { pool, migrating })
    }
}

/// Runs a write until it does not lose a race, a bounded number of times.
macro_rules! retry {
    ($write:expr) => {{
        let mut attempt = 1;
        loop {
            let result = $write.await;
            let again = result.as_ref().is_err_and(DbError::is_lost_race) && attempt < ATTEMPTS;
            if !again {
                break result;
            }
            pause(attempt).await;
            attempt += 1;
        }
    }};
}

/// Commits what was done unless it failed.
macro_rules! in_transaction {
    ($pool:expr, |$tx:ident| $work:expr) => {
        async {
            let mut transaction = $pool.begin().await?;
            let $tx = &mut *transaction;
            let done = $work.await?;
            transaction.commit().await?;
            DbResult::Ok(done)
        }
    };
}

/// Differs from the others', so that the same two do not meet again.
async fn pause(attempt: u64) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let jitter = u64::from(now.map_or(0, |now| now.subsec_nanos()) % 20_000);
    tokio::time::sleep(Duration::from_micros(attempt * 5_000 + jitter)).await;
}

#[async_trait]
impl Db for Postgres {
    async fn migrate(&self) -> Result<(), MigrateError> {
        let mut migrator = Migrator { ..Migrator::DEFAULT };
        migrator.migrations = MIGRATIONS.migrations.clone();
        migrator.dangerous_set_table_name(crate::MIGRATIONS_TABLE);
        let mut conn = PgConnection::connect_with(&self.migrating).await?;
        migrator.run_direct(None, &mut conn, false).await?;
        conn.close().await?;
        Ok(())
    }
    async fn ready(&self) -> DbResult<()> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }
    async fn close(&self) {
        self.pool.close().await;
    }
    fn insert_lanes(&self) -> usize {
        INSERT_LANES
    }

    async fn account_create(&self, account: AccountId, limits: Limits, now: i64) -> DbResult<()> {
        write::account_create(&self.pool, account, limits, now).await
    }
    async fn account_purge(&self, account: AccountId) -> DbResult<()> {
        retry!(write::account_purge(&self.pool, account))
    }
    async fn quota(&self, account: AccountId) -> DbResult<Option<Quota>> {
        read::quota(&self.pool, account).await
    }
    async fn quota_limit(&self, account: AccountId, limits: Limits) -> DbResult<Option<Quota>> {
        write::quota_limit(&self.pool, account, limits).await
    }

    async fn tree(&self, account: AccountId) -> DbResult<Option<Tree>> {
        let mut tx = self.pool.begin().await?;
        tree::load(&mut tx, account).await
    }
    async fn tree_change(&self, account: AccountId, plan: TreePlan) -> DbResult<Option<Vec<TreeChange>>> {
        retry!(tree::change(&self.pool, account, &plan))
    }
    async fn mailbox(&self, account: AccountId, which: Which<'_>) -> DbResult<Option<MailboxRow>> {
        read::mailbox(&self.pool, account, which).await
    }
    async fn mailbox_keywords(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        old: &str,
        new: &str,
    ) -> DbResult<bool> {
        write::mailbox_keywords(&self.pool, account, mailbox, old, new).await
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
        let claimed = sqlx::query_scalar("SELECT mail_claim_recent($1, $2, $3)")
            .bind(account.as_i64())
            .bind(mailbox.as_i64())
            .bind(until)
            .fetch_one(&self.pool)
            .await?;
        Ok(claimed)
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
        retry!(insert::insert_pooled(&self.pool, &items))
    }
    async fn replace(&self, item: InsertItem, old: OldMessage) -> DbResult<Option<ReplaceOutcome>> {
        let item = [Arc::new(item)];
        retry!(insert::replace(&self.pool, &item, old))
    }
    async fn stage(&self, account: AccountId, now: i64) -> DbResult<Option<MessageId>> {
        insert::stage(&self.pool, account, now).await
    }
    async fn stage_chunks(&self, account: AccountId, message: MessageId, chunks: Vec<Chunk>) -> DbResult<()> {
        insert::stage_chunks(&self.pool, account, message, &chunks).await
    }
    async fn confirm(&self, keys: Vec<(AccountId, Vec<u8>)>) -> DbResult<()> {
        retry!(write::confirm(&self.pool, &keys))
    }
    async fn store_flags(&self, request: StoreFlags) -> DbResult<Option<FlagsStored>> {
        retry!(write::store_flags(&self.pool, &request))
    }
    async fn expunge(&self, request: Expunge) -> DbResult<Option<Written>> {
        retry!(write::expunge_pooled(&self.pool, &request))
    }
    async fn copy(&self, request: Copy) -> DbResult<CopyOutcome> {
        retry!(write::copy_pooled(&self.pool, &request))
    }

    async fn annotations(&self, query: AnnotationQuery) -> DbResult<Vec<AnnotationRow>> {
        annotation::select(&self.pool, &query).await
    }
    async fn annotate(&self, request: Annotate) -> DbResult<Annotated> {
        retry!(annotation::annotate(&self.pool, &request))
    }

    async fn url_key(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        fresh: Option<Vec<u8>>,
    ) -> DbResult<Option<Vec<u8>>> {
        url_key::get(&self.pool, account, mailbox, fresh).await
    }
    async fn url_key_reset(&self, account: AccountId, other: Option<(MailboxId, Vec<u8>)>) -> DbResult<()> {
        url_key::reset(&self.pool, account, other).await
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
        retry!(index::change(&self.pool, &change))
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
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut *tx).await?;
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
        retry!(in_transaction!(self.pool, |tx| sharing::acl_change(tx, change.clone(), reader)))
    }
    async fn shared_store(
        &self,
        request: StoreFlags,
        reader: Reader,
        seen: Option<bool>,
    ) -> DbResult<Option<SharedStored>> {
        retry!(in_transaction!(self.pool, |tx| sharing::store(tx, request.clone(), reader, seen)))
    }
    async fn shared_expunge(&self, request: Expunge, reader: Reader) -> DbResult<Option<Written>> {
        retry!(in_transaction!(self.pool, |tx| sharing::expunge(tx, request.clone(), reader)))
    }
    async fn shared_copy(&self, request: Copy, readers: (Reader, Reader)) -> DbResult<CopyOutcome> {
        retry!(in_transaction!(self.pool, |tx| sharing::copy(tx, request.clone(), readers)))
    }
    async fn transfer(&self, request: Transfer) -> DbResult<Transferred> {
        retry!(in_transaction!(self.pool, |tx| sharing::transfer(tx, request.clone())))
    }
    async fn shared_replace(&self, request: Transfer) -> DbResult<Option<Transferred>> {
        retry!(in_transaction!(self.pool, |tx| sharing::replace(tx, request.clone())))
    }

    async fn sweep_garbage(&self, before: i64, limit: i64) -> DbResult<u64> {
        retry!(write::sweep_garbage(&self.pool, before, limit))
    }
    async fn sweep_keys(&self, before: i64) -> DbResult<u64> {
        let done = sqlx::query("DELETE FROM delivery_key WHERE created_at < $1")
            .bind(before)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected())
    }
    async fn sweep_tombstones(&self, before: i64, kept: i64) -> DbResult<u64> {
        write::sweep_tombstones(&self.pool, before, kept).await
    }
    async fn accounts(&self, after: AccountId, limit: i64) -> DbResult<Vec<AccountId>> {
        upkeep::accounts(&self.pool, after, limit).await
    }
    async fn raise(&self, account: AccountId) -> DbResult<Raised> {
        retry!(upkeep::raise(&self.pool, account))
    }
    async fn outdated(&self, version: i32, limit: i64) -> DbResult<Vec<(AccountId, MessageId)>> {
        upkeep::outdated(&self.pool, version, limit).await
    }
    async fn rebuild(&self, batch: Vec<Rebuild>, version: i32) -> DbResult<u64> {
        retry!(upkeep::rebuild(&self.pool, &batch, version))
    }
    async fn lease(&self, task: &'static str, holder: i64, until: i64, now: i64) -> DbResult<bool> {
        upkeep::lease(&self.pool, task, holder, until, now).await
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
        // Larger than any other query: it must not be cut short.
        let mut tx = self.pool.begin().await?;
        for setting in ["SET LOCAL statement_timeout = 0", "SET LOCAL enable_seqscan = on"] {
            sqlx::query(setting).execute(&mut *tx).await?;
        }
        Ok(sqlx::query_as(query).bind(account).fetch_all(&mut *tx).await?)
    }
}
