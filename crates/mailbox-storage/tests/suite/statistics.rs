//! What PostgreSQL may know about accounts.

use crate::fixture::Store;
use sqlx::{Connection, PgConnection};

/// Tables that have an account and keep statistics of it. With them PostgreSQL takes an account that is not among the frequent ones
/// for a tiny one, and then reads all of its rows to find one (`0080_statistics.sql`).
const OFFENDERS: &str = "SELECT c.relname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
   WHERE a.attname = 'account_id' AND c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
     AND c.relname NOT LIKE 'account%' AND coalesce(a.attstattarget, -1) <> 0";

#[tokio::test]
async fn no_table_keeps_statistics_of_accounts() {
    let store = Store::postgres().await;
    let mut conn = PgConnection::connect(&store.url).await.unwrap();
    let offenders: Vec<String> = sqlx::query_scalar(OFFENDERS).fetch_all(&mut conn).await.unwrap();
    assert_eq!(offenders, [""; 0]);
    conn.close().await.unwrap();
    store.end().await;
}
