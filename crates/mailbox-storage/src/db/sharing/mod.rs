//! Mailboxes of others (RFC 4314): written once, and compiled as a module of each database. What a reader may do is read in the
//! transaction that does it.

#[allow(clippy::duplicate_mod, reason = "as its parent")]
mod acl;
#[allow(clippy::duplicate_mod, reason = "as its parent")]
mod write;

use mail_rpc::Refusal;
use sqlx::AssertSqlSafe;

use super::*;
pub(super) use acl::{acl, acl_change, inherit};
pub(super) use write::{copy, expunge, replace, rows, store, transfer};

/// What a reader may do, and the mailbox as it is for that reader; `None`: there is no such mailbox.
pub(super) async fn access(
    conn: &mut Conn,
    owner: AccountId,
    which: Which<'_>,
    reader: AccountId,
) -> DbResult<Option<(MailboxRow, Rights)>> {
    let by = match which {
        Which::Id(_) => "m.id",
        Which::Name(_) => "m.name",
    };
    let columns = sharing_columns();
    let sql = format!(
        "SELECT {columns}, coalesce(a.negative, 0), coalesce(a.rights, 0),
           (SELECT count(*) FROM reader_seen s
             WHERE s.reader_id = $2 AND s.account_id = $1 AND s.mailbox_id = m.id AND s.seen = 1)
         FROM mailbox m LEFT JOIN acl a
           ON a.account_id = m.account_id AND a.mailbox_id = m.id AND a.grantee_id IN (0, $2)
         WHERE m.account_id = $1 AND {by} = $3"
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(owner.as_i64()).bind(reader.as_i64());
    let query = match which {
        Which::Id(id) => query.bind(id.as_i64()),
        Which::Name(name) => query.bind(name.to_owned()),
    };
    let rows = query.fetch_all(conn).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let state = for_reader(mailbox_row(first, 0)?, first.try_get(MAILBOX_COLUMNS_LEN + 2)?);
    let mut sum = RightsSum::default();
    for row in &rows {
        let rights: i64 = row.try_get(MAILBOX_COLUMNS_LEN + 1)?;
        sum.add(row.try_get::<i64, _>(MAILBOX_COLUMNS_LEN)? != 0, rights_of(rights));
    }
    Ok(Some((state, sum.total())))
}

/// What only the owner has is not told: \Recent, the special use, the subscription.
fn for_reader(state: MailboxRow, seen: i64) -> MailboxRow {
    MailboxRow {
        unseen: (state.messages - seen).max(0),
        recent: 0,
        special_use: 0,
        subscribed: false,
        ..state
    }
}

/// A mailbox for a reader: its row and, of the same moment if the transaction shows one, what changed since `since`, or all.
pub(super) async fn sync(
    conn: &mut Conn,
    owner: AccountId,
    which: Which<'_>,
    since: Option<Since>,
    reader: Reader,
) -> DbResult<Option<(SyncRows, Rights)>> {
    let Some((state, rights)) = access(conn, owner, which, reader.account).await? else { return Ok(None) };
    if !rights.contains(reader.needs) {
        return Ok(None);
    }
    let since = since.filter(|since| {
        since.mailbox == state.id && (state.tombstone_floor..=state.highest_modseq).contains(&since.modseq)
    });
    let (mut entries, mut vanished) = (Vec::new(), UidSet::new());
    if since.is_none_or(|since| since.modseq < state.highest_modseq) {
        entries =
            changed(conn, owner, state.id, reader.account, since.map_or(0, |since| since.modseq)).await?;
    }
    if let Some(since) = since {
        let gone: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT first_uid, last_uid FROM tombstone_run WHERE account_id = $1 AND mailbox_id = $2 AND modseq > $3",
        )
        .bind(owner.as_i64())
        .bind(state.id.as_i64())
        .bind(since.modseq)
        .fetch_all(conn)
        .await?;
        vanished = uid_runs(gone)?;
    }
    Ok(Some((SyncRows { state, full: since.is_none(), entries, vanished }, rights)))
}

/// UID, flags, mod-sequence, message, and the reader's \Seen and its mod-sequence.
type ReaderFields = (i64, i64, i64, i64, i64, i64);

/// What a reader sees of messages that changed for that reader after `since`; 0: of all.
async fn changed(
    conn: &mut Conn,
    owner: AccountId,
    mailbox: MailboxId,
    reader: AccountId,
    since: i64,
) -> DbResult<Vec<Entry>> {
    const COLUMNS: &str =
        "mm.uid, mm.flags, mm.modseq, mm.message_id, coalesce(s.seen, 0), coalesce(s.modseq, 0)";
    let mut found: Vec<ReaderFields> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM reader_seen s JOIN mailbox_message mm
           ON mm.account_id = s.account_id AND mm.mailbox_id = s.mailbox_id AND mm.uid = s.uid
         WHERE s.reader_id = $3 AND s.account_id = $1 AND s.mailbox_id = $2 AND s.modseq > $4"
    )))
    .bind(owner.as_i64())
    .bind(mailbox.as_i64())
    .bind(reader.as_i64())
    .bind(since)
    .fetch_all(&mut *conn)
    .await?;
    for (first, last) in where_changed(conn, owner, mailbox, since).await? {
        let rows: Vec<ReaderFields> = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM mailbox_message mm LEFT JOIN reader_seen s
               ON s.account_id = mm.account_id AND s.mailbox_id = mm.mailbox_id AND s.uid = mm.uid AND s.reader_id = $3
             WHERE mm.account_id = $1 AND mm.mailbox_id = $2 AND mm.uid BETWEEN $5 AND $6 AND mm.modseq > $4"
        )))
        .bind(owner.as_i64())
        .bind(mailbox.as_i64())
        .bind(reader.as_i64())
        .bind(since)
        .bind(first)
        .bind(last)
        .fetch_all(&mut *conn)
        .await?;
        found.extend(rows);
    }
    found.sort_unstable_by_key(|(uid, ..)| *uid);
    found.dedup_by_key(|(uid, ..)| *uid);
    found
        .into_iter()
        .map(|(uid, flags, modseq, message, seen, seen_at)| {
            Ok(Entry {
                uid: Uid::try_from(uid).map_err(damaged)?,
                flags: with_seen(flags, seen),
                modseq: ModSeq::try_from(modseq.max(seen_at)).map_err(damaged)?,
                message: MessageId::try_from(message).map_err(damaged)?,
            })
        })
        .collect()
}

/// Ranges of UIDs that hold all messages whose own mod-sequence is above `since`.
async fn where_changed(
    conn: &mut Conn,
    owner: AccountId,
    mailbox: MailboxId,
    since: i64,
) -> DbResult<Vec<(i64, i64)>> {
    let last_old: Option<i64> = sqlx::query_scalar(
        "SELECT CASE WHEN m.flag_changes_from <= $3 THEN coalesce(
             (SELECT x.uid FROM mailbox_message x
               WHERE x.account_id = $1 AND x.mailbox_id = $2 AND x.modseq <= $3 ORDER BY x.uid DESC LIMIT 1), 0) END
           FROM mailbox m WHERE m.account_id = $1 AND m.id = $2",
    )
    .bind(owner.as_i64())
    .bind(mailbox.as_i64())
    .bind(since)
    .fetch_one(&mut *conn)
    .await?;
    let Some(last_old) = last_old else { return Ok(vec![(0, i64::from(u32::MAX))]) };
    let listed = changes::ranges_since("$1", "$2", "$3");
    let mut ranges: Vec<(i64, i64)> =
        sqlx::query_as(AssertSqlSafe(format!("SELECT r.first, r.last FROM {listed} r WHERE r.first <= $4")))
            .bind(owner.as_i64())
            .bind(mailbox.as_i64())
            .bind(since)
            .bind(last_old)
            .fetch_all(conn)
            .await?;
    ranges.iter_mut().for_each(|range| range.1 = range.1.min(last_old));
    ranges.push((last_old + 1, i64::from(u32::MAX)));
    Ok(ranges)
}

/// The flags that all share, and \Seen as the reader has it.
fn with_seen(flags: i64, seen: i64) -> FlagBits {
    let shared = FlagBits::from_bits(flags.unsigned_abs()).without(FlagBits::SEEN);
    if seen == 0 { shared } else { shared.with(FlagBits::SEEN) }
}

/// Every mailbox of others that a reader has rights to, by owner and name; not how many messages the reader has not seen.
pub(super) async fn shared_with(conn: &mut Conn, reader: AccountId) -> DbResult<Vec<SharedRow>> {
    let columns = sharing_columns();
    let sql = format!(
        "SELECT {columns}, a.negative, a.rights, a.account_id, a.owner
           FROM acl a JOIN mailbox m ON m.account_id = a.account_id AND m.id = a.mailbox_id
          WHERE a.grantee_id IN (0, $1) AND a.account_id <> $1 ORDER BY a.account_id, m.name LIMIT $2"
    );
    let rows =
        sqlx::query(AssertSqlSafe(sql)).bind(reader.as_i64()).bind(SHARED_ROWS_MAX).fetch_all(conn).await?;
    let mut found: Vec<(SharedRow, RightsSum)> = Vec::new();
    for row in &rows {
        let at = MAILBOX_COLUMNS_LEN;
        let owner = AccountId::try_from(row.try_get::<i64, _>(at + 2)?).map_err(damaged)?;
        let state = for_reader(mailbox_row(row, 0)?, 0);
        if found.last().is_none_or(|(last, _)| (last.owner, last.state.id) != (owner, state.id)) {
            let owner_address = row.try_get(at + 3)?;
            found.push((
                SharedRow { owner, owner_address, state, rights: Rights::NONE },
                RightsSum::default(),
            ));
        }
        if let Some((_, sum)) = found.last_mut() {
            sum.add(row.try_get::<i64, _>(at)? != 0, rights_of(row.try_get(at + 1)?));
        }
    }
    Ok(found.into_iter().map(|(shared, sum)| SharedRow { rights: sum.total(), ..shared }).collect())
}

/// Has the reader what is needed?
pub(super) async fn may(
    conn: &mut Conn,
    owner: AccountId,
    mailbox: MailboxId,
    reader: Reader,
) -> DbResult<bool> {
    let found = access(conn, owner, Which::Id(mailbox), reader.account).await?;
    Ok(found.is_some_and(|(_, rights)| rights.contains(reader.needs)))
}

fn rights_of(number: i64) -> Rights {
    Rights::from_bits(u32::try_from(number).unwrap_or_default())
}

fn set_of(uids: impl Iterator<Item = i64>) -> DbResult<UidSet> {
    let mut ranges = Vec::new();
    for uid in uids {
        let uid = u32::try_from(uid).map_err(damaged)?;
        ranges.push((uid, uid));
    }
    Ok(UidSet::from_ranges(ranges))
}
