//! The search index.

use super::*;

pub(super) async fn state(
    pool: &SqlitePool,
    account: AccountId,
    mailbox: MailboxId,
) -> DbResult<Option<SearchState>> {
    let query = sqlx::query_as(SEARCH_STATE).bind(account.as_i64()).bind(mailbox.as_i64());
    let row: Option<(i64, i64)> = query.fetch_optional(pool).await?;
    Ok(row.map(|(highest_modseq, epoch)| SearchState { highest_modseq, epoch }))
}

pub(super) async fn rows(
    pool: &SqlitePool,
    account: AccountId,
    after: i64,
    limit: i64,
) -> DbResult<IndexRows> {
    let query = sqlx::query_as(INDEX).bind(account.as_i64()).bind(after).bind(limit);
    Ok(index_rows(query.fetch_all(pool).await?))
}

pub(super) async fn tail(pool: &SqlitePool, account: AccountId, limit: i64) -> DbResult<Vec<TailRow>> {
    let rows: Vec<(i64, i32, i32, Vec<u8>)> =
        sqlx::query_as(TAIL).bind(account.as_i64()).bind(limit).fetch_all(pool).await?;
    let row = |(message, version, scheme, bits)| TailRow { message, version, scheme, bits };
    Ok(rows.into_iter().map(row).collect())
}

pub(super) async fn segments(pool: &SqlitePool, account: AccountId) -> DbResult<Vec<SegmentRow>> {
    let rows: Vec<(i64, i32, i32, i32)> =
        sqlx::query_as(SEGMENTS).bind(account.as_i64()).fetch_all(pool).await?;
    let row = |(id, scheme, width, messages)| SegmentRow { id, scheme, width, messages };
    Ok(rows.into_iter().map(row).collect())
}

pub(super) async fn ids(
    pool: &SqlitePool,
    account: AccountId,
    segments: &[i64],
) -> DbResult<Vec<(i64, Vec<u8>)>> {
    Ok(sqlx::query_as(
        "SELECT s.id, s.ids FROM json_each($2) w CROSS JOIN search_segment s ON s.account_id = $1 AND s.id = w.value",
    )
    .bind(account.as_i64())
    .bind(json(segments))
    .fetch_all(pool)
    .await?)
}

pub(super) async fn slices(
    pool: &SqlitePool,
    account: AccountId,
    wanted: &[(i64, i32)],
) -> DbResult<Vec<(i64, i32, Vec<u8>)>> {
    let list: Vec<String> = wanted.iter().map(|(segment, block)| format!("[{segment},{block}]")).collect();
    Ok(sqlx::query_as(
        "SELECT s.segment_id, s.block_no, s.data FROM json_each($2) w CROSS JOIN search_slices s
           ON s.account_id = $1 AND s.segment_id = w.value ->> 0 AND s.block_no = w.value ->> 1",
    )
    .bind(account.as_i64())
    .bind(format!("[{}]", list.join(",")))
    .fetch_all(pool)
    .await?)
}

pub(super) async fn all_slices(
    pool: &SqlitePool,
    account: AccountId,
    segment: i64,
) -> DbResult<Vec<Vec<u8>>> {
    Ok(sqlx::query_scalar(
        "SELECT data FROM search_slices WHERE account_id = $1 AND segment_id = $2 ORDER BY block_no",
    )
    .bind(account.as_i64())
    .bind(segment)
    .fetch_all(pool)
    .await?)
}

pub(super) async fn living(pool: &SqlitePool, account: AccountId, ids: &[i64]) -> DbResult<Vec<i64>> {
    Ok(sqlx::query_scalar(
        "SELECT m.id FROM json_each($2) w CROSS JOIN message m ON m.account_id = $1 AND m.id = w.value",
    )
    .bind(account.as_i64())
    .bind(json(ids))
    .fetch_all(pool)
    .await?)
}

pub(super) async fn texts(
    pool: &SqlitePool,
    account: AccountId,
    messages: &[i64],
) -> DbResult<Vec<(i64, Vec<u8>)>> {
    Ok(sqlx::query_as(
        "SELECT t.message_id, t.text FROM json_each($2) w
           CROSS JOIN message_text t ON t.account_id = $1 AND t.message_id = w.value",
    )
    .bind(account.as_i64())
    .bind(json(messages))
    .fetch_all(pool)
    .await?)
}

pub(super) async fn sparse(pool: &SqlitePool, after: i64, more: i64, limit: i64) -> DbResult<Vec<i64>> {
    Ok(sqlx::query_scalar(SPARSE).bind(after).bind(more).bind(limit).fetch_all(pool).await?)
}

pub(super) async fn crowded(pool: &SqlitePool, after: i64, least: i64, limit: i64) -> DbResult<Vec<i64>> {
    let query = sqlx::query_scalar(CROWDED).bind(after).bind(least - 1).bind(limit);
    Ok(query.fetch_all(pool).await?)
}

/// `false`, and nothing is changed: another process was faster.
pub(super) async fn change(conn: &mut SqliteConnection, change: IndexChange) -> DbResult<bool> {
    let account = change.account.as_i64();
    let tail: Vec<String> = change.tail.iter().map(|(id, version)| format!("[{id},{version}]")).collect();
    let tail = format!("[{}]", tail.join(","));
    let old = json(&change.old);
    let (tail_there, old_there): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM json_each($2) w CROSS JOIN search_tail t ON t.account_id = $1
                   AND t.message_id = w.value ->> 0 AND t.derived_version = w.value ->> 1),
                (SELECT count(*) FROM json_each($3) w CROSS JOIN search_segment s ON s.account_id = $1 AND s.id = w.value)",
    )
    .bind(account)
    .bind(tail.as_str())
    .bind(old.as_str())
    .fetch_one(&mut *conn)
    .await?;
    if tail_there != change.tail.len() as i64 || old_there != change.old.len() as i64 {
        return Ok(false);
    }
    let last: i64 = sqlx::query_scalar(NEXT_SEGMENT).bind(account).fetch_one(&mut *conn).await?;
    for (id, new) in (last + 1..).zip(&change.new) {
        insert(conn, account, id, new).await?;
    }
    sqlx::query(
        "DELETE FROM search_tail WHERE account_id = $1
           AND (message_id, derived_version) IN (SELECT value ->> 0, value ->> 1 FROM json_each($2));
         DELETE FROM search_slices WHERE account_id = $1 AND segment_id IN (SELECT value FROM json_each($3));
         DELETE FROM search_segment WHERE account_id = $1 AND id IN (SELECT value FROM json_each($3));",
    )
    .bind(account)
    .bind(tail)
    .bind(old)
    .execute(&mut *conn)
    .await?;
    if change.frees_numbers() {
        sqlx::query(NEXT_EPOCH).bind(account).execute(conn).await?;
    }
    Ok(true)
}

async fn insert(conn: &mut SqliteConnection, account: i64, id: i64, new: &NewSegment) -> DbResult<()> {
    sqlx::query(INSERT_SEGMENT)
        .bind(account)
        .bind(id)
        .bind(new.scheme)
        .bind(new.width)
        .bind(new.messages)
        .bind(new.ids.as_slice())
        .execute(&mut *conn)
        .await?;
    for (no, block) in (0i32..).zip(&new.blocks) {
        sqlx::query("INSERT INTO search_slices VALUES ($1, $2, $3, $4)")
            .bind(account)
            .bind(id)
            .bind(no)
            .bind(block.as_slice())
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

fn json(numbers: &[i64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
    format!("[{}]", numbers.join(","))
}
