//! The search index.

use super::*;

pub(super) async fn state(
    pool: &PgPool,
    account: AccountId,
    mailbox: MailboxId,
) -> DbResult<Option<SearchState>> {
    let query = sqlx::query_as(SEARCH_STATE).bind(account.as_i64()).bind(mailbox.as_i64());
    let row: Option<(i64, i64)> = query.fetch_optional(pool).await?;
    Ok(row.map(|(highest_modseq, epoch)| SearchState { highest_modseq, epoch }))
}

pub(super) async fn rows(pool: &PgPool, account: AccountId, after: i64, limit: i64) -> DbResult<IndexRows> {
    let query = sqlx::query_as(INDEX).bind(account.as_i64()).bind(after).bind(limit);
    Ok(index_rows(query.fetch_all(pool).await?))
}

pub(super) async fn tail(pool: &PgPool, account: AccountId, limit: i64) -> DbResult<Vec<TailRow>> {
    let rows: Vec<(i64, i32, i32, Vec<u8>)> =
        sqlx::query_as(TAIL).bind(account.as_i64()).bind(limit).fetch_all(pool).await?;
    let row = |(message, version, scheme, bits)| TailRow { message, version, scheme, bits };
    Ok(rows.into_iter().map(row).collect())
}

pub(super) async fn segments(pool: &PgPool, account: AccountId) -> DbResult<Vec<SegmentRow>> {
    let rows: Vec<(i64, i32, i32, i32)> =
        sqlx::query_as(SEGMENTS).bind(account.as_i64()).fetch_all(pool).await?;
    let row = |(id, scheme, width, messages)| SegmentRow { id, scheme, width, messages };
    Ok(rows.into_iter().map(row).collect())
}

pub(super) async fn ids(
    pool: &PgPool,
    account: AccountId,
    segments: &[i64],
) -> DbResult<Vec<(i64, Vec<u8>)>> {
    Ok(sqlx::query_as(
        "SELECT s.id, s.ids FROM unnest($2::bigint[]) w CROSS JOIN LATERAL (
           SELECT * FROM search_segment x WHERE x.account_id = $1 AND x.id = w OFFSET 0) s",
    )
    .bind(account.as_i64())
    .bind(segments)
    .fetch_all(pool)
    .await?)
}

/// The planner takes small tables for ones to be read whole, and large lists for short ones; LATERAL leaves it no choice.
pub(super) async fn slices(
    pool: &PgPool,
    account: AccountId,
    wanted: &[(i64, i32)],
) -> DbResult<Vec<(i64, i32, Vec<u8>)>> {
    let (segments, blocks): (Vec<i64>, Vec<i32>) = wanted.iter().copied().unzip();
    Ok(sqlx::query_as(
        "SELECT s.segment_id, s.block_no, s.data FROM unnest($2::bigint[], $3::integer[]) w (segment, block)
          CROSS JOIN LATERAL (SELECT * FROM search_slices x WHERE x.account_id = $1 AND x.segment_id = w.segment
            AND x.block_no = w.block OFFSET 0) s",
    )
    .bind(account.as_i64())
    .bind(segments)
    .bind(blocks)
    .fetch_all(pool)
    .await?)
}

pub(super) async fn all_slices(pool: &PgPool, account: AccountId, segment: i64) -> DbResult<Vec<Vec<u8>>> {
    Ok(sqlx::query_scalar(
        "SELECT data FROM search_slices WHERE account_id = $1 AND segment_id = $2 ORDER BY block_no",
    )
    .bind(account.as_i64())
    .bind(segment)
    .fetch_all(pool)
    .await?)
}

pub(super) async fn living(pool: &PgPool, account: AccountId, ids: &[i64]) -> DbResult<Vec<i64>> {
    Ok(sqlx::query_scalar(
        "SELECT m.id FROM unnest($2::bigint[]) w CROSS JOIN LATERAL (
           SELECT x.id FROM message x WHERE x.account_id = $1 AND x.id = w OFFSET 0) m",
    )
    .bind(account.as_i64())
    .bind(ids)
    .fetch_all(pool)
    .await?)
}

pub(super) async fn texts(
    pool: &PgPool,
    account: AccountId,
    messages: &[i64],
) -> DbResult<Vec<(i64, Vec<u8>)>> {
    Ok(sqlx::query_as(
        "SELECT t.message_id, t.text FROM unnest($2::bigint[]) w CROSS JOIN LATERAL (
           SELECT * FROM message_text x WHERE x.account_id = $1 AND x.message_id = w OFFSET 0) t",
    )
    .bind(account.as_i64())
    .bind(messages)
    .fetch_all(pool)
    .await?)
}

pub(super) async fn sparse(pool: &PgPool, after: i64, more: i64, limit: i64) -> DbResult<Vec<i64>> {
    Ok(sqlx::query_scalar(SPARSE).bind(after).bind(more).bind(limit).fetch_all(pool).await?)
}

pub(super) async fn crowded(pool: &PgPool, after: i64, least: i64, limit: i64) -> DbResult<Vec<i64>> {
    let query = sqlx::query_scalar(CROWDED).bind(after).bind(least - 1).bind(limit);
    Ok(query.fetch_all(pool).await?)
}

/// Of the advisory locks of accounts whose segments are changed: two at once would give out the same numbers.
const MERGE_LOCKS: i32 = 0x7365_6172;

/// `false`, and nothing is changed: another process was faster.
pub(super) async fn change(pool: &PgPool, change: &IndexChange) -> DbResult<bool> {
    let account = change.account.as_i64();
    let mut tx = pool.begin().await?;
    let alone: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1, ($2 % 2147483647)::integer)")
        .bind(MERGE_LOCKS)
        .bind(account)
        .fetch_one(&mut *tx)
        .await?;
    if !alone {
        return Ok(false);
    }
    let last: i64 = sqlx::query_scalar(NEXT_SEGMENT).bind(account).fetch_one(&mut *tx).await?;
    for (id, new) in (last + 1..).zip(&change.new) {
        insert(&mut tx, account, id, new).await?;
    }
    let (messages, versions): (Vec<i64>, Vec<i32>) = change.tail.iter().copied().unzip();
    let tail = sqlx::query(
        "DELETE FROM search_tail t USING unnest($2::bigint[], $3::integer[]) w (message, version)
          CROSS JOIN LATERAL (SELECT x.ctid AS place FROM search_tail x WHERE x.account_id = $1
            AND x.message_id = w.message AND x.derived_version = w.version OFFSET 0) old
          WHERE t.account_id = $1 AND t.ctid = old.place",
    )
    .bind(account)
    .bind(messages)
    .bind(versions)
    .execute(&mut *tx)
    .await?;
    let old = sqlx::query("DELETE FROM search_segment WHERE account_id = $1 AND id = ANY ($2)")
        .bind(account)
        .bind(change.old.as_slice())
        .execute(&mut *tx)
        .await?;
    if tail.rows_affected() != change.tail.len() as u64 || old.rows_affected() != change.old.len() as u64 {
        tx.rollback().await?;
        return Ok(false);
    }
    sqlx::query("DELETE FROM search_slices WHERE account_id = $1 AND segment_id = ANY ($2)")
        .bind(account)
        .bind(change.old.as_slice())
        .execute(&mut *tx)
        .await?;
    if change.frees_numbers() {
        sqlx::query(NEXT_EPOCH).bind(account).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(true)
}

async fn insert(conn: &mut PgConnection, account: i64, id: i64, new: &NewSegment) -> DbResult<()> {
    sqlx::query(INSERT_SEGMENT)
        .bind(account)
        .bind(id)
        .bind(new.scheme)
        .bind(new.width)
        .bind(new.messages)
        .bind(new.ids.as_slice())
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "INSERT INTO search_slices SELECT $1, $2, b.place - 1, b.data
           FROM unnest($3::bytea[]) WITH ORDINALITY b (data, place)",
    )
    .bind(account)
    .bind(id)
    .bind(new.blocks.as_slice())
    .execute(conn)
    .await?;
    Ok(())
}
