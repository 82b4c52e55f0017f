//! Annotations.

use super::super::annotation::{FORGET, NAMES, NEXT, SELECT, UPSERT};
use super::sharing;
use super::*;

pub(super) async fn select(pool: &SqlitePool, query: &AnnotationQuery) -> DbResult<Vec<AnnotationRow>> {
    let rows: Vec<(i64, String, Option<Vec<u8>>, i64)> = sqlx::query_as(SELECT)
        .bind(query.account.as_i64())
        .bind(query.reader.as_i64())
        .bind(query.mailbox.map_or(-1, MailboxId::as_i64))
        .bind(query.since.unwrap_or(-1))
        .bind(query.after.0.as_i64())
        .bind(query.after.1.as_str())
        .bind(query.entry.as_deref().unwrap_or_default())
        .bind(query.limit)
        .fetch_all(pool)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(mailbox, entry, value, version)| AnnotationRow { mailbox, entry, value, version })
        .collect())
}

pub(super) async fn annotate(conn: &mut SqliteConnection, request: Annotate) -> DbResult<Annotated> {
    let (account, mailbox) = (request.account.as_i64(), request.mailbox.as_i64());
    let there: Option<i64> = sqlx::query_scalar("SELECT id FROM mailbox WHERE account_id = $1 AND id = $2")
        .bind(account)
        .bind(mailbox)
        .fetch_optional(&mut *conn)
        .await?;
    if mailbox != 0 && there.is_none() {
        return Ok(Annotated::NoMailbox);
    }
    if let Some(reader) = request.allowed
        && !sharing::may(&mut *conn, request.account, request.mailbox, reader).await?
    {
        return Ok(Annotated::NoMailbox);
    }
    let there: Vec<String> = sqlx::query_scalar(NAMES)
        .bind(account)
        .bind(mailbox)
        .bind(request.reader.as_i64())
        .fetch_all(&mut *conn)
        .await?;
    if request.count_after(&there) > request.max {
        return Ok(Annotated::TooMany);
    }
    let version: Option<i64> = sqlx::query_scalar(NEXT).bind(account).fetch_optional(&mut *conn).await?;
    let Some(version) = version else { return Ok(Annotated::NoMailbox) };
    for (entry, is_private, value) in &request.changes {
        sqlx::query(UPSERT)
            .bind(account)
            .bind(mailbox)
            .bind(entry.as_str())
            .bind(request.reader_of(*is_private))
            .bind(value.as_deref())
            .bind(version)
            .execute(&mut *conn)
            .await?;
    }
    sqlx::query(FORGET).bind(account).bind(mailbox).bind(version).execute(conn).await?;
    Ok(Annotated::Done(version))
}
