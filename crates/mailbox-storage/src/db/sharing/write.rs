//! What readers do to messages.

use super::*;

/// Changes flags for all, and \Seen for the reader alone. `None`: the reader may not, or there is no such mailbox.
pub(in super::super) async fn store(
    conn: &mut Conn,
    mut request: StoreFlags,
    reader: Reader,
    seen: Option<bool>,
) -> DbResult<Option<SharedStored>> {
    let (owner, mailbox) = (request.account, request.mailbox);
    lock(conn, &[(owner, mailbox)]).await?;
    let Some((state, rights)) = access(conn, owner, Which::Id(mailbox), reader.account).await? else {
        return Ok(None);
    };
    if !rights.contains(reader.needs) {
        return Ok(None);
    }
    let before = state.highest_modseq;
    let modified = changed_after(conn, &request, reader.account).await?;
    request.uids = request.uids.difference(&modified);
    let mut marked = 0;
    if let Some(seen) = seen {
        for (first, last) in request.uids.ranges() {
            let range = (i64::from(*first), i64::from(*last));
            marked += mark(conn, (owner, mailbox, reader.account), range, seen, before + 1).await?;
        }
    }
    request.unchanged_since = i64::MAX;
    let Some(stored) = store_flags_on(conn, request).await? else { return Ok(None) };
    let mut modseq = stored.written.state.highest_modseq;
    if marked > 0 && modseq == before {
        modseq = before + 1;
        sqlx::query("UPDATE mailbox SET highest_modseq = $3 WHERE account_id = $1 AND id = $2")
            .bind(owner.as_i64())
            .bind(mailbox.as_i64())
            .bind(modseq)
            .execute(conn)
            .await?;
    }
    Ok(Some(SharedStored { before, modseq, modified }))
}

/// Which of the messages changed for the reader after `unchanged_since`.
async fn changed_after(conn: &mut Conn, request: &StoreFlags, reader: AccountId) -> DbResult<UidSet> {
    let mut found = Vec::new();
    if request.unchanged_since == i64::MAX {
        return Ok(UidSet::new());
    }
    for (first, last) in request.uids.ranges() {
        let rows: Vec<(i64,)> = sqlx::query_as(
            "SELECT mm.uid FROM mailbox_message mm LEFT JOIN reader_seen s
               ON s.account_id = mm.account_id AND s.mailbox_id = mm.mailbox_id AND s.uid = mm.uid AND s.reader_id = $3
             WHERE mm.account_id = $1 AND mm.mailbox_id = $2 AND mm.uid BETWEEN $5 AND $6
               AND (mm.modseq > $4 OR coalesce(s.modseq, 0) > $4)",
        )
        .bind(request.account.as_i64())
        .bind(request.mailbox.as_i64())
        .bind(reader.as_i64())
        .bind(request.unchanged_since)
        .bind(i64::from(*first))
        .bind(i64::from(*last))
        .fetch_all(&mut *conn)
        .await?;
        found.extend(rows.into_iter().map(|(uid,)| uid));
    }
    set_of(found.into_iter())
}

/// Sets or clears \Seen of one reader where it differs; of how many messages.
async fn mark(
    conn: &mut Conn,
    (owner, mailbox, reader): (AccountId, MailboxId, AccountId),
    (first, last): (i64, i64),
    seen: bool,
    modseq: i64,
) -> DbResult<u64> {
    let done = sqlx::query(
        "INSERT INTO reader_seen (account_id, mailbox_id, uid, reader_id, seen, modseq)
         SELECT mm.account_id, mm.mailbox_id, mm.uid, $3, $4, $5 FROM mailbox_message mm LEFT JOIN reader_seen s
           ON s.account_id = mm.account_id AND s.mailbox_id = mm.mailbox_id AND s.uid = mm.uid AND s.reader_id = $3
         WHERE mm.account_id = $1 AND mm.mailbox_id = $2 AND mm.uid BETWEEN $6 AND $7 AND coalesce(s.seen, 0) <> $4
         ON CONFLICT (account_id, mailbox_id, uid, reader_id)
           DO UPDATE SET seen = excluded.seen, modseq = excluded.modseq",
    )
    .bind(owner.as_i64())
    .bind(mailbox.as_i64())
    .bind(reader.as_i64())
    .bind(i64::from(seen))
    .bind(modseq)
    .bind(first)
    .bind(last)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// `None`: the reader may not, or there is no such mailbox.
pub(in super::super) async fn expunge(
    conn: &mut Conn,
    request: Expunge,
    reader: Reader,
) -> DbResult<Option<Written>> {
    lock(conn, &[(request.account, request.mailbox)]).await?;
    if !may(conn, request.account, request.mailbox, reader).await? {
        return Ok(None);
    }
    expunge_on(conn, request).await
}

/// Copies or moves inside one owner's mail. The copies have the flags that the reader may set, and the reader's \Seen.
pub(in super::super) async fn copy(
    conn: &mut Conn,
    request: Copy,
    (from, to): (Reader, Reader),
) -> DbResult<CopyOutcome> {
    let owner = request.account;
    lock(conn, &[(owner, request.source), (owner, request.destination)]).await?;
    if !may(conn, owner, request.source, from).await? {
        return Ok(CopyOutcome::NoSource);
    }
    let rights = match access(conn, owner, Which::Id(request.destination), to.account).await? {
        Some((_, rights)) if rights.contains(to.needs) => rights,
        _ => return Ok(CopyOutcome::NoDestination),
    };
    let destination = request.destination;
    let rows = rows(conn, (owner, request.source, Some(from.account)), &request.uids).await?;
    let outcome = copy_on(conn, request).await?;
    let CopyOutcome::Done(copied) = &outcome else { return Ok(outcome) };
    let seen = rows.iter().enumerate().filter(|(_, row)| row.flags.contains(FlagBits::SEEN));
    let seen: Vec<usize> = seen.map(|(place, _)| place).filter(|_| rights.contains(Rights::SEEN)).collect();
    let count = rows.len() as i64;
    if count > 0 {
        let uids = (copied.first_uid, copied.first_uid + count - 1);
        keep_allowed_flags(conn, (owner, destination), uids, rights).await?;
        let modseq = copied.destination.highest_modseq;
        mark_places(conn, (owner, destination, to.account), copied.first_uid, &seen, modseq).await?;
    }
    Ok(outcome)
}

/// Takes flags off copies just made that their maker may not set, and \Seen, which would be the owner's.
async fn keep_allowed_flags(
    conn: &mut Conn,
    (owner, mailbox): (AccountId, MailboxId),
    (first, last): (i64, i64),
    rights: Rights,
) -> DbResult<()> {
    let mask = rights.flags().without(FlagBits::SEEN).bits().cast_signed();
    let lost: Vec<(i64,)> = sqlx::query_as(
        "SELECT flags FROM mailbox_message WHERE account_id = $1 AND mailbox_id = $2 AND uid BETWEEN $3 AND $4",
    )
    .bind(owner.as_i64())
    .bind(mailbox.as_i64())
    .bind(first)
    .bind(last)
    .fetch_all(&mut *conn)
    .await?;
    let lost_bit = |bit: FlagBits| {
        let bit = bit.bits().cast_signed();
        lost.iter().filter(|(flags,)| flags & !mask & bit != 0).count() as i64
    };
    sqlx::query(
        "UPDATE mailbox_message SET flags = flags & $5
          WHERE account_id = $1 AND mailbox_id = $2 AND uid BETWEEN $3 AND $4",
    )
    .bind(owner.as_i64())
    .bind(mailbox.as_i64())
    .bind(first)
    .bind(last)
    .bind(mask)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "UPDATE mailbox SET unseen = unseen + $3, deleted = deleted - $4 WHERE account_id = $1 AND id = $2",
    )
    .bind(owner.as_i64())
    .bind(mailbox.as_i64())
    .bind(lost_bit(FlagBits::SEEN))
    .bind(lost_bit(FlagBits::DELETED))
    .execute(conn)
    .await?;
    Ok(())
}

/// The reader has seen these of the messages that begin at a UID.
async fn mark_places(
    conn: &mut Conn,
    whose: (AccountId, MailboxId, AccountId),
    first_uid: i64,
    places: &[usize],
    modseq: i64,
) -> DbResult<()> {
    for place in places {
        let uid = first_uid + *place as i64;
        mark(conn, whose, (uid, uid), true, modseq).await?;
    }
    Ok(())
}

/// Flags, messages and dates of what is to be copied, \Seen as the one who copies has it; ascending.
pub(in super::super) async fn rows(
    conn: &mut Conn,
    (owner, mailbox, reader): (AccountId, MailboxId, Option<AccountId>),
    uids: &UidSet,
) -> DbResult<Vec<CopyRow>> {
    let mut out = Vec::new();
    for (first, last) in uids.ranges() {
        let found: Vec<(i64, i64, i64, i64, i64, i64)> = sqlx::query_as(
            "SELECT mm.uid, mm.flags, mm.message_id, mm.size, mm.received_at, coalesce(s.seen, 0)
               FROM mailbox_message mm LEFT JOIN reader_seen s
                 ON s.account_id = mm.account_id AND s.mailbox_id = mm.mailbox_id AND s.uid = mm.uid AND s.reader_id = $3
              WHERE mm.account_id = $1 AND mm.mailbox_id = $2 AND mm.uid BETWEEN $4 AND $5 ORDER BY mm.uid",
        )
        .bind(owner.as_i64())
        .bind(mailbox.as_i64())
        .bind(reader.map_or(0, AccountId::as_i64))
        .bind(i64::from(*first))
        .bind(i64::from(*last))
        .fetch_all(&mut *conn)
        .await?;
        for (uid, flags, message, size, received_at, seen) in found {
            out.push(CopyRow {
                uid: Uid::try_from(uid).map_err(damaged)?,
                flags: match reader {
                    Some(_) => with_seen(flags, seen),
                    None => FlagBits::from_bits(flags.unsigned_abs()),
                },
                message: MessageId::try_from(message).map_err(damaged)?,
                size,
                received_at,
            });
        }
    }
    Ok(out)
}

/// Adds messages to a mailbox that may be another's, and takes them out of where they came from if they are moved.
pub(in super::super) async fn transfer(conn: &mut Conn, request: Transfer) -> DbResult<Transferred> {
    if !lock_ends(conn, &request).await? {
        return Ok(Transferred { inserted: Inserted::NoMailbox, source: None });
    }
    let Transfer { insert, reader, seen, source, .. } = request;
    if let Some((expunge, _, count)) = &source {
        // Another may have moved them meanwhile: one message must not arrive twice.
        if rows(conn, (expunge.account, expunge.mailbox, None), &expunge.uids).await?.len() != *count {
            return Ok(Transferred { inserted: Inserted::Stale, source: None });
        }
    }
    let account = insert.account;
    let inserted = insert_on(conn, insert).await?;
    let Inserted::Done { place, modseq } = inserted else {
        return Ok(Transferred { inserted, source: None });
    };
    if let Some(reader) = reader {
        mark_places(conn, (account, place.mailbox, reader.account), place.uid, &seen, modseq).await?;
    }
    let source = match source {
        Some((expunge, ..)) => expunge_on(conn, expunge).await?,
        None => None,
    };
    Ok(Transferred { inserted, source })
}

/// Locks both mailboxes. Those who write and are not the owners: may they?
async fn lock_ends(conn: &mut Conn, request: &Transfer) -> DbResult<bool> {
    let Transfer { insert, destination, reader, source, .. } = request;
    let mut ends = vec![(insert.account, *destination, *reader)];
    ends.extend(source.as_ref().map(|(expunge, from, _)| (expunge.account, expunge.mailbox, *from)));
    let boxes: Vec<_> = ends.iter().map(|(owner, mailbox, _)| (*owner, *mailbox)).collect();
    lock(conn, &boxes).await?;
    for (owner, mailbox, reader) in ends {
        if let Some(reader) = reader
            && !may(conn, owner, mailbox, reader).await?
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Adds a message in the place of another (RFC 8508). The old one goes first, so that the new one has its share of the quota if
/// one account owns both; what is refused then is taken back.
pub(in super::super) async fn replace(conn: &mut Conn, request: Transfer) -> DbResult<Option<Transferred>> {
    if !lock_ends(conn, &request).await? {
        return Ok(Some(Transferred { inserted: Inserted::NoMailbox, source: None }));
    }
    let Transfer { insert, reader, seen, source, .. } = request;
    let Some((expunge, ..)) = source else { return Ok(None) };
    sqlx::raw_sql("SAVEPOINT replacing").execute(&mut *conn).await?;
    let gone = expunge_on(conn, expunge).await?.filter(|written| !written.vanished.is_empty());
    // Of a message that is gone already, only the answer of an earlier try is of interest.
    if gone.is_none() && insert.key.is_none() {
        return Ok(None);
    }
    let account = insert.account;
    let inserted = insert_on(conn, insert).await?;
    if let (Inserted::Done { place, modseq }, Some(_)) = (inserted, &gone) {
        if let Some(reader) = reader {
            mark_places(conn, (account, place.mailbox, reader.account), place.uid, &seen, modseq).await?;
        }
        return Ok(Some(Transferred { inserted, source: gone }));
    }
    sqlx::raw_sql("ROLLBACK TO SAVEPOINT replacing").execute(conn).await?;
    let is_answer = !matches!(inserted, Inserted::Done { .. });
    Ok(is_answer.then_some(Transferred { inserted, source: None }))
}
