//! Databases of versions before: what they hold is carried on.

use std::borrow::Cow;
use std::path::Path;

use mail_rpc::pb;
use sqlx::migrate::Migrator;
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

use crate::fixture::*;

/// An account whose INBOX had nine messages, expunged by three commands: 1, 2, 3 and 5; 4; 6 to 9.
const EXPUNGED: &str = "
    INSERT INTO account_store (account_id, next_mailbox_id, next_uidvalidity) VALUES (7, 2, 1001);
    INSERT INTO mailbox (account_id, id, name, uidvalidity, uidnext, highest_modseq) VALUES (7, 1, 'INBOX', 1000, 10, 12);
    INSERT INTO tombstone (account_id, mailbox_id, modseq, uid) VALUES
      (7, 1, 10, 1), (7, 1, 10, 2), (7, 1, 10, 3), (7, 1, 10, 5), (7, 1, 11, 4),
      (7, 1, 12, 6), (7, 1, 12, 7), (7, 1, 12, 8), (7, 1, 12, 9);";

/// The migrations below that number.
async fn migrations_before(folder: &str, number: i64) -> Migrator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(folder);
    let mut migrator = Migrator::new(path).await.unwrap();
    let earlier = migrator.migrations.iter().filter(|migration| migration.version < number).cloned();
    migrator.migrations = Cow::Owned(earlier.collect());
    migrator.dangerous_set_table_name("_mailbox_migrations");
    migrator
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tombstones_become_runs_on_sqlite() {
    let empty = Empty::sqlite();
    let mut conn = SqliteConnection::connect(&format!("{}?mode=rwc", empty.url)).await.unwrap();
    migrations_before("sqlite", 100).await.run_direct(None, &mut conn, false).await.unwrap();
    conn.execute(EXPUNGED).await.unwrap();
    conn.close().await.unwrap();
    vanished_is_told(empty.open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tombstones_become_runs_on_postgresql() {
    let empty = Empty::postgres().await;
    let mut conn = PgConnection::connect(&empty.url).await.unwrap();
    migrations_before("postgres", 100).await.run_direct(None, &mut conn, false).await.unwrap();
    conn.execute(EXPUNGED).await.unwrap();
    conn.close().await.unwrap();
    vanished_is_told(empty.open().await).await;
}

async fn vanished_is_told(store: Store) {
    for (modseq, vanished) in [(9, "1:9"), (10, "4,6:9"), (11, "6:9"), (12, "")] {
        let reply = store.changes(pb::Known { mailbox_id: 1, modseq }).await.unwrap();
        assert!(!reply.full, "{modseq}");
        assert_eq!(text(&reply.vanished), vanished, "{modseq}");
    }
    store.end().await;
}
