//! What a connection to PostgreSQL must be like.

use sqlx::postgres::PgConnection;

/// What every connection runs with. A commit that was acknowledged is on disk (and on the synchronous standby); a statement
/// or a wait for a lock ends before the caller's deadline; nobody holds a row lock while away; plans as short as these gain
/// nothing from being compiled; every query has its index, which a plan made while the tables were small must use too; and
/// no values make another plan better, so that planning anew at each call, which took longer than most queries, is for nothing.
pub(super) const SETTINGS: [(&str, &str); 7] = [
    ("synchronous_commit", "on"),
    ("statement_timeout", "15s"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("jit", "off"),
    ("enable_seqscan", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];

/// A standby, or a server that acknowledges before it has written, would break promises made to clients.
pub(super) async fn check(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    let (durable, standby): (String, bool) =
        sqlx::query_as("SELECT current_setting('synchronous_commit'), pg_is_in_recovery()")
            .fetch_one(conn)
            .await?;
    if standby || !matches!(&*durable, "on" | "remote_apply") {
        return Err(sqlx::Error::Protocol("the database is a standby or does not commit durably".into()));
    }
    Ok(())
}
