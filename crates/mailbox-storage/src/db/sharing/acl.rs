//! Access control lists, read and changed.

use super::*;

/// The access control lists of an account, or of one of its mailboxes.
pub(in super::super) async fn acl(
    conn: &mut Conn,
    owner: AccountId,
    mailbox: Option<MailboxId>,
) -> DbResult<Vec<AclRow>> {
    let rows: Vec<(i64, i64, i64, i64, String)> = sqlx::query_as(
        "SELECT mailbox_id, grantee_id, negative, rights, grantee FROM acl
          WHERE account_id = $1 AND ($2 = 0 OR mailbox_id = $2) ORDER BY mailbox_id, grantee, negative",
    )
    .bind(owner.as_i64())
    .bind(mailbox.map_or(0, MailboxId::as_i64))
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(mailbox, grantee, negative, rights, address)| {
            Ok(AclRow {
                mailbox: MailboxId::try_from(mailbox).map_err(damaged)?,
                grantee: AccountId::try_from(grantee).map_err(damaged)?,
                negative: negative != 0,
                rights: rights_of(rights),
                address,
            })
        })
        .collect()
}

/// `None`: there is no such mailbox.
pub(in super::super) async fn acl_change(
    conn: &mut Conn,
    change: AclEdit,
    reader: Option<Reader>,
) -> DbResult<Option<()>> {
    lock(conn, &[(change.owner, change.mailbox)]).await?;
    if let Some(reader) = reader
        && !may(conn, change.owner, change.mailbox, reader).await?
    {
        return Ok(None);
    }
    let entries = acl(conn, change.owner, Some(change.mailbox)).await?;
    let held =
        entries.iter().find(|entry| entry.grantee == change.grantee && entry.negative == change.negative);
    if held.is_none() && entries.len() >= ACL_ENTRIES_MAX {
        return Err(Refusal::Limit(format!("at most {ACL_ENTRIES_MAX} entries in one list")).into());
    }
    let rights = (change.edit)(held.map_or(Rights::NONE, |entry| entry.rights));
    sqlx::query(
        "DELETE FROM acl WHERE account_id = $1 AND mailbox_id = $2 AND grantee_id = $3 AND negative = $4",
    )
    .bind(change.owner.as_i64())
    .bind(change.mailbox.as_i64())
    .bind(change.grantee.as_i64())
    .bind(i64::from(change.negative))
    .execute(&mut *conn)
    .await?;
    if rights == Rights::NONE {
        return Ok(Some(()));
    }
    let made = sqlx::query(
        "INSERT INTO acl (account_id, mailbox_id, grantee_id, negative, rights, grantee, owner)
         SELECT m.account_id, m.id, $3, $4, $5, $6, $7 FROM mailbox m WHERE m.account_id = $1 AND m.id = $2",
    )
    .bind(change.owner.as_i64())
    .bind(change.mailbox.as_i64())
    .bind(change.grantee.as_i64())
    .bind(i64::from(change.negative))
    .bind(i64::from(rights.bits()))
    .bind(change.address)
    .bind(change.owner_address)
    .execute(conn)
    .await?;
    Ok((made.rows_affected() > 0).then_some(()))
}

/// A new mailbox begins with the list of the one above it.
pub(in super::super) async fn inherit(
    conn: &mut Conn,
    owner: AccountId,
    from: MailboxId,
    to: MailboxId,
) -> DbResult<()> {
    sqlx::query(
        "INSERT INTO acl (account_id, mailbox_id, grantee_id, negative, rights, grantee, owner)
         SELECT account_id, $3, grantee_id, negative, rights, grantee, owner FROM acl
          WHERE account_id = $1 AND mailbox_id = $2",
    )
    .bind(owner.as_i64())
    .bind(from.as_i64())
    .bind(to.as_i64())
    .execute(conn)
    .await?;
    Ok(())
}
