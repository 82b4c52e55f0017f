//! What the module that both databases share calls by the same name.

use super::*;

pub(super) type Conn = PgConnection;

/// The columns of a mailbox called `m`.
pub(super) fn sharing_columns() -> String {
    mailbox_columns("m")
}

/// Locks mailboxes, and then their accounts, in the order in which everybody does. What is read afterwards was committed before.
pub(super) async fn lock(conn: &mut Conn, boxes: &[(AccountId, MailboxId)]) -> DbResult<()> {
    let (accounts, mailboxes): (Vec<i64>, Vec<i64>) =
        boxes.iter().map(|(account, mailbox)| (account.as_i64(), mailbox.as_i64())).unzip();
    sqlx::query(
        "SELECT 1 FROM mailbox m WHERE (m.account_id, m.id) IN (SELECT * FROM unnest($1::bigint[], $2::bigint[]))
          ORDER BY m.account_id, m.id FOR NO KEY UPDATE",
    )
    .bind(&accounts)
    .bind(&mailboxes)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "SELECT 1 FROM account_store a WHERE a.account_id = ANY ($1) ORDER BY a.account_id FOR NO KEY UPDATE",
    )
    .bind(&accounts)
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn store_flags_on(conn: &mut Conn, request: StoreFlags) -> DbResult<Option<FlagsStored>> {
    write::store_flags(conn, &request).await
}

pub(super) async fn expunge_on(conn: &mut Conn, request: Expunge) -> DbResult<Option<Written>> {
    write::expunge(conn, &request).await
}

pub(super) async fn copy_on(conn: &mut Conn, request: Copy) -> DbResult<CopyOutcome> {
    write::copy(conn, &request).await
}

pub(super) async fn insert_on(conn: &mut Conn, item: Arc<InsertItem>) -> DbResult<Inserted> {
    let outcomes = insert::insert(conn, &[item]).await?;
    outcomes.into_iter().next().ok_or_else(|| damaged("an insertion without an outcome"))
}
