//! Changes. The writer has begun the transaction and holds the only lock there is.

use sqlx::AssertSqlSafe;

use super::*;

/// The system flags' bits.
const SYSTEM_MASK: u64 = 0x1f;

pub(super) async fn account_create(
    conn: &mut SqliteConnection,
    account: AccountId,
    limits: Limits,
    now: i64,
) -> DbResult<()> {
    sqlx::query(
        "INSERT INTO account_store (account_id, next_uidvalidity, limit_bytes, limit_messages)
         VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .bind(account.as_i64())
    .bind(now)
    .bind(limits.bytes)
    .bind(limits.messages)
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn account_purge(conn: &mut SqliteConnection, account: AccountId) -> DbResult<()> {
    sqlx::query(
        "DELETE FROM mailbox_message WHERE account_id = $1; DELETE FROM tombstone_run WHERE account_id = $1;
         DELETE FROM flag_change WHERE account_id = $1;
         DELETE FROM content WHERE account_id = $1; DELETE FROM message_text WHERE account_id = $1;
         DELETE FROM search_tail WHERE account_id = $1; DELETE FROM search_segment WHERE account_id = $1;
         DELETE FROM search_slices WHERE account_id = $1;
         DELETE FROM message WHERE account_id = $1; DELETE FROM delivery_key WHERE account_id = $1;
         DELETE FROM garbage WHERE account_id = $1; DELETE FROM mailbox WHERE account_id = $1;
         DELETE FROM subscription_ghost WHERE account_id = $1; DELETE FROM vacated_name WHERE account_id = $1;
         DELETE FROM annotation WHERE account_id = $1 OR reader_id = $1; DELETE FROM url_key WHERE account_id = $1;
         DELETE FROM acl WHERE account_id = $1 OR grantee_id = $1;
         DELETE FROM reader_seen WHERE account_id = $1 OR reader_id = $1;
         DELETE FROM account_store WHERE account_id = $1;",
    )
    .bind(account.as_i64())
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn quota_limit(
    conn: &mut SqliteConnection,
    account: AccountId,
    limits: Limits,
) -> DbResult<Option<Quota>> {
    let row: Option<(i64, i64)> = sqlx::query_as(
        "UPDATE account_store SET limit_bytes = $2, limit_messages = $3 WHERE account_id = $1
         RETURNING used_bytes, used_messages",
    )
    .bind(account.as_i64())
    .bind(limits.bytes)
    .bind(limits.messages)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|(used_bytes, used_messages)| Quota {
        used_bytes,
        used_messages,
        limit_bytes: limits.bytes,
        limit_messages: limits.messages,
    }))
}

pub(super) async fn mailbox_keywords(
    conn: &mut SqliteConnection,
    account: AccountId,
    mailbox: MailboxId,
    old: String,
    new: String,
) -> DbResult<bool> {
    let done =
        sqlx::query("UPDATE mailbox SET keywords = $4 WHERE account_id = $1 AND id = $2 AND keywords = $3")
            .bind(account.as_i64())
            .bind(mailbox.as_i64())
            .bind(old)
            .bind(new)
            .execute(conn)
            .await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn claim_recent(
    conn: &mut SqliteConnection,
    account: AccountId,
    mailbox: MailboxId,
    until: i64,
) -> DbResult<Option<i64>> {
    let from: Option<i64> = sqlx::query_scalar(
        "SELECT recent_from FROM mailbox WHERE account_id = $1 AND id = $2 AND recent_from < $3",
    )
    .bind(account.as_i64())
    .bind(mailbox.as_i64())
    .bind(until)
    .fetch_optional(&mut *conn)
    .await?;
    if from.is_some() {
        sqlx::query(
            "UPDATE mailbox SET recent_from = $3, recent = (SELECT count(*) FROM mailbox_message
                WHERE account_id = $1 AND mailbox_id = $2 AND uid >= $3)
             WHERE account_id = $1 AND id = $2",
        )
        .bind(account.as_i64())
        .bind(mailbox.as_i64())
        .bind(until)
        .execute(conn)
        .await?;
    }
    Ok(from)
}

pub(super) async fn confirm(conn: &mut SqliteConnection, keys: Vec<(AccountId, Vec<u8>)>) -> DbResult<()> {
    for (account, key) in keys {
        sqlx::query("DELETE FROM delivery_key WHERE account_id = $1 AND key = $2")
            .bind(account.as_i64())
            .bind(key)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

pub(super) async fn store_flags(
    conn: &mut SqliteConnection,
    request: StoreFlags,
) -> DbResult<Option<FlagsStored>> {
    // What will change, with its flags before: one row.
    let sql = format!(
        "SELECT {MAILBOX_COLUMNS},
           (SELECT group_concat(uid || ',' || flags || ',' || message_id) FROM
             (SELECT mm.uid, mm.flags, mm.message_id FROM {NAMED}
               WHERE mm.modseq <= $4 AND (mm.flags & $5 | $6) <> mm.flags ORDER BY mm.uid)),
           (SELECT group_concat(mm.uid) FROM {NAMED} WHERE mm.modseq > $4)
         FROM mailbox m WHERE m.account_id = $1 AND m.id = $2"
    );
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(request.account.as_i64())
        .bind(request.mailbox.as_i64())
        .bind(ranges_json(&request.uids))
        .bind(request.unchanged_since)
        .bind(request.keep)
        .bind(request.set)
        .fetch_optional(&mut *conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let mut state = mailbox_row(&row, 0)?;
    let modified = uid_set(numbers(row.try_get(MAILBOX_COLUMNS_LEN + 1)?)?)?;
    let before = state.highest_modseq;
    let mut entries = Vec::new();
    let mut uids = Vec::new();
    for [uid, old, message] in numbers(row.try_get(MAILBOX_COLUMNS_LEN)?)? {
        let new = old & request.keep | request.set;
        state.unseen += (old & 1) - (new & 1);
        state.deleted += (new >> 3 & 1) - (old >> 3 & 1);
        uids.push((uid as u32, uid as u32));
        entries.push(entry([uid, new, before + 1, message])?);
    }
    if !entries.is_empty() {
        state.highest_modseq += 1;
        let sql = format!(
            "UPDATE mailbox_message SET flags = flags & $5 | $6, modseq = $4
              WHERE account_id = $1 AND mailbox_id = $2 AND uid IN (SELECT mm.uid FROM {NAMED});
             UPDATE mailbox SET highest_modseq = $4, unseen = $7, deleted = $8
              WHERE account_id = $1 AND id = $2;
             INSERT INTO flag_change SELECT $1, $2, $4, r.value ->> 0, r.value ->> 1 FROM json_each($9) r"
        );
        let uids = UidSet::from_ranges(uids);
        sqlx::query(AssertSqlSafe(sql))
            .bind(request.account.as_i64())
            .bind(request.mailbox.as_i64())
            .bind(ranges_json(&uids))
            .bind(state.highest_modseq)
            .bind(request.keep)
            .bind(request.set)
            .bind(state.unseen)
            .bind(state.deleted)
            .bind(ranges_json(&changes::noted(&uids)))
            .execute(&mut *conn)
            .await?;
        forget_old_changes(conn, request.account, &state).await?;
    }
    Ok(Some(FlagsStored { written: Written { state, before, entries, vanished: UidSet::new() }, modified }))
}

/// Now and then, since it costs as much as the change.
async fn forget_old_changes(
    conn: &mut SqliteConnection,
    account: AccountId,
    state: &MailboxRow,
) -> DbResult<()> {
    if state.highest_modseq % changes::FORGET_EVERY != 0 {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM flag_change WHERE account_id = $1 AND mailbox_id = $2 AND modseq <= $3;
         UPDATE mailbox SET flag_changes_from = max(flag_changes_from, $3) WHERE account_id = $1 AND id = $2",
    )
    .bind(account.as_i64())
    .bind(state.id.as_i64())
    .bind(state.highest_modseq - changes::KEPT)
    .execute(conn)
    .await?;
    Ok(())
}

/// The messages of a mailbox that are in `$3`, as the FROM clause of a query.
const NAMED: &str = "json_each($3) r CROSS JOIN mailbox_message mm
      ON mm.account_id = $1 AND mm.mailbox_id = $2 AND mm.uid BETWEEN r.value ->> 0 AND r.value ->> 1";

pub(super) async fn expunge(conn: &mut SqliteConnection, request: Expunge) -> DbResult<Option<Written>> {
    let sql = format!(
        "SELECT {MAILBOX_COLUMNS}, (SELECT group_concat(mm.uid || ',' || mm.flags || ',' || mm.size)
           FROM {NAMED} WHERE mm.flags & $4 = $4)
         FROM mailbox m WHERE m.account_id = $1 AND m.id = $2"
    );
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(request.account.as_i64())
        .bind(request.mailbox.as_i64())
        .bind(ranges_json(&request.uids))
        .bind(request.having.bits().cast_signed())
        .fetch_optional(&mut *conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let mut state = mailbox_row(&row, 0)?;
    let before = state.highest_modseq;
    let (mut uids, mut bytes) = (Vec::new(), 0);
    for [uid, flags, size] in numbers(row.try_get(MAILBOX_COLUMNS_LEN)?)? {
        state.messages -= 1;
        state.unseen -= 1 - (flags & 1);
        state.deleted -= flags >> 3 & 1;
        state.recent -= i64::from(uid >= state.recent_from);
        bytes += size;
        uids.push([uid]);
    }
    let count = uids.len() as i64;
    let vanished = uid_set(uids)?;
    if count > 0 {
        state.highest_modseq += 1;
        state.bytes -= bytes;
        remove(conn, request.account, &state, &vanished, request.now).await?;
        sqlx::query(
            "UPDATE account_store SET used_bytes = used_bytes - $2, used_messages = used_messages - $3
              WHERE account_id = $1",
        )
        .bind(request.account.as_i64())
        .bind(bytes)
        .bind(count)
        .execute(conn)
        .await?;
    }
    Ok(Some(Written { state, before, entries: Vec::new(), vanished }))
}

/// Removes messages whose counters are already taken off `state`, and leaves tombstones of its mod-sequence.
async fn remove(
    conn: &mut SqliteConnection,
    account: AccountId,
    state: &MailboxRow,
    uids: &UidSet,
    now: i64,
) -> DbResult<()> {
    let sql = format!(
        "INSERT INTO garbage SELECT $1, mm.message_id, $5 FROM {NAMED} WHERE true
           ON CONFLICT DO UPDATE SET since = excluded.since;
         INSERT INTO tombstone_run SELECT $1, $2, $4, r.value ->> 0, r.value ->> 1, $5 FROM json_each($3) r;
         DELETE FROM mailbox_message WHERE account_id = $1 AND mailbox_id = $2
           AND uid IN (SELECT mm.uid FROM {NAMED});
         UPDATE mailbox SET highest_modseq = $4, messages = $6, unseen = $7, deleted = $8, bytes = $9,
           recent = $10 WHERE account_id = $1 AND id = $2;"
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(account.as_i64())
        .bind(state.id.as_i64())
        .bind(ranges_json(uids))
        .bind(state.highest_modseq)
        .bind(now)
        .bind(state.messages)
        .bind(state.unseen)
        .bind(state.deleted)
        .bind(state.bytes)
        .bind(state.recent)
        .execute(conn)
        .await?;
    Ok(())
}

pub(super) async fn copy(conn: &mut SqliteConnection, request: Copy) -> DbResult<CopyOutcome> {
    let Some(mut source) = read::mailbox(conn, request.account, Which::Id(request.source)).await? else {
        return Ok(CopyOutcome::NoSource);
    };
    let Some(mut destination) = read::mailbox(conn, request.account, Which::Id(request.destination)).await?
    else {
        return Ok(CopyOutcome::NoDestination);
    };
    let before = source.highest_modseq;
    let rows = copied_rows(conn, &request).await?;
    let count = rows.len() as i64;
    let bytes: i64 = rows.iter().map(|[_, _, size, _]| size).sum();
    if count == 0 {
        let written = Written { state: source, before, entries: Vec::new(), vanished: UidSet::new() };
        let first_uid = destination.uidnext;
        let source_uids = UidSet::new();
        return Ok(CopyOutcome::Done(Box::new(Copied {
            source: written,
            destination,
            source_uids,
            first_uid,
        })));
    }
    if destination.uidnext + count > i64::from(u32::MAX) {
        return Ok(CopyOutcome::UidsUsedUp);
    }
    let first_uid = destination.uidnext;
    let mut entries = Vec::with_capacity(rows.len());
    let modseq = destination.highest_modseq + 1;
    for (i, [_, flags, size, message]) in rows.iter().enumerate() {
        let Some(flags) = map_flags(*flags, &request.flag_map) else { return Ok(CopyOutcome::UnknownFlag) };
        entries.push((entry([first_uid + i as i64, flags, modseq, *message])?, *size));
        destination.unseen += 1 - (flags & 1);
        destination.deleted += flags >> 3 & 1;
    }
    // The first change comes after the last reason to decline: what is declined is committed as well.
    if !request.moves && !copy_quota(conn, request.account, bytes, count).await? {
        return Ok(CopyOutcome::OverQuota);
    }
    destination.messages += count;
    destination.recent += count;
    destination.bytes += bytes;
    destination.uidnext += count;
    destination.highest_modseq = modseq;
    let source_uids = uid_set(rows.iter().map(|row| [row[0]]).collect())?;
    place_copies(conn, &request, &destination, &source_uids, &entries).await?;
    let same = request.source == request.destination;
    if same {
        source = destination.clone();
    }
    if request.moves {
        for [uid, flags, _, _] in &rows {
            source.messages -= 1;
            source.unseen -= 1 - (flags & 1);
            source.deleted -= flags >> 3 & 1;
            source.recent -= i64::from(*uid >= source.recent_from);
        }
        source.bytes -= bytes;
        source.highest_modseq = if same { modseq } else { before + 1 };
        remove(conn, request.account, &source, &source_uids, request.now).await?;
    }
    if same {
        destination = source.clone();
    }
    let entries = if same { entries.into_iter().map(|(entry, _)| entry).collect() } else { Vec::new() };
    let vanished = if request.moves { source_uids.clone() } else { UidSet::new() };
    let source = Written { state: source, before, entries, vanished };
    Ok(CopyOutcome::Done(Box::new(Copied { source, destination, source_uids, first_uid })))
}

/// UID, flags, size and message of what is to be copied, ascending.
async fn copied_rows(conn: &mut SqliteConnection, request: &Copy) -> DbResult<Vec<[i64; 4]>> {
    let sql = format!(
        "SELECT group_concat(uid || ',' || flags || ',' || size || ',' || message_id) FROM
           (SELECT mm.uid, mm.flags, mm.size, mm.message_id FROM {NAMED} ORDER BY mm.uid)"
    );
    let text: Option<String> = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(request.account.as_i64())
        .bind(request.source.as_i64())
        .bind(ranges_json(&request.uids))
        .fetch_one(conn)
        .await?;
    numbers(text.as_deref())
}

/// Takes the copies' share of the quota if there is room.
async fn copy_quota(
    conn: &mut SqliteConnection,
    account: AccountId,
    bytes: i64,
    count: i64,
) -> DbResult<bool> {
    let done = sqlx::query(
        "UPDATE account_store SET used_bytes = used_bytes + $2, used_messages = used_messages + $3
          WHERE account_id = $1 AND (limit_bytes = 0 OR used_bytes + $2 <= limit_bytes)
            AND (limit_messages = 0 OR used_messages + $3 <= limit_messages)",
    )
    .bind(account.as_i64())
    .bind(bytes)
    .bind(count)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// `None`: a flag that the map does not know.
fn map_flags(flags: i64, map: &[(FlagBits, FlagBits)]) -> Option<i64> {
    let flags = FlagBits::from_bits(flags.unsigned_abs());
    let mut out = FlagBits::from_bits(flags.bits() & SYSTEM_MASK);
    let mut known = out;
    for (from, to) in map {
        if flags.contains(*from) {
            out = out.with(*to);
            known = known.with(*from);
        }
    }
    (known == flags).then(|| out.bits().cast_signed())
}

async fn place_copies(
    conn: &mut SqliteConnection,
    request: &Copy,
    destination: &MailboxRow,
    source_uids: &UidSet,
    entries: &[(Entry, i64)],
) -> DbResult<()> {
    let map: Vec<String> =
        request.flag_map.iter().map(|(from, to)| format!("[{},{}]", from.bits(), to.bits())).collect();
    let sql = format!(
        "INSERT INTO mailbox_message
           SELECT $1, $4, $5 + c.n, c.message_id, $6, (c.flags & {SYSTEM_MASK}) + iif(c.flags <= {SYSTEM_MASK}, 0,
               (SELECT coalesce(sum(value ->> 1), 0) FROM json_each($8) WHERE c.flags & (value ->> 0) <> 0)),
               c.size, c.received_at, $7
             FROM (SELECT mm.*, row_number() OVER (ORDER BY mm.uid) - 1 AS n FROM {NAMED}) c;
         UPDATE mailbox SET uidnext = $9, highest_modseq = $6, messages = $10, unseen = $11, deleted = $12,
           bytes = $13, recent = $14 WHERE account_id = $1 AND id = $4"
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(request.account.as_i64())
        .bind(request.source.as_i64())
        .bind(ranges_json(source_uids))
        .bind(request.destination.as_i64())
        .bind(destination.uidnext - entries.len() as i64)
        .bind(destination.highest_modseq)
        .bind(request.now)
        .bind(format!("[{}]", map.join(",")))
        .bind(destination.uidnext)
        .bind(destination.messages)
        .bind(destination.unseen)
        .bind(destination.deleted)
        .bind(destination.bytes)
        .bind(destination.recent)
        .execute(conn)
        .await?;
    Ok(())
}
