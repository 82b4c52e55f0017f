//! What the module that both databases share calls by the same name.

use super::*;

pub(super) type Conn = SqliteConnection;

/// The columns of a mailbox called `m`.
pub(super) fn sharing_columns() -> &'static str {
    MAILBOX_COLUMNS
}

/// There is one writer.
pub(super) async fn lock(_: &mut Conn, _: &[(AccountId, MailboxId)]) -> DbResult<()> {
    Ok(())
}

pub(super) async fn store_flags_on(conn: &mut Conn, request: StoreFlags) -> DbResult<Option<FlagsStored>> {
    write::store_flags(conn, request).await
}

pub(super) async fn expunge_on(conn: &mut Conn, request: Expunge) -> DbResult<Option<Written>> {
    write::expunge(conn, request).await
}

pub(super) async fn copy_on(conn: &mut Conn, request: Copy) -> DbResult<CopyOutcome> {
    write::copy(conn, request).await
}

pub(super) async fn insert_on(conn: &mut Conn, item: Arc<InsertItem>) -> DbResult<Inserted> {
    let outcomes = insert::insert(conn, vec![item]).await?;
    outcomes.into_iter().next().ok_or_else(|| damaged("an insertion without an outcome"))
}
