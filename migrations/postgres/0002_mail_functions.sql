-- One call, one transaction, one round trip. Every function locks the mailbox rows by ascending id, then the account's row, and
-- reads what it counts on only afterwards: each statement of a function sees what was committed before the lock was granted.
--
-- The planner takes account and mailbox for independent and so thinks every mailbox is tiny; left alone it reads all of a
-- mailbox to find one UID. CROSS JOIN LATERAL (... OFFSET 0) makes it walk the ranges by the primary key, and rows found so
-- are changed by their place (ctid), which cannot change meanwhile: whoever changes a row holds the mailbox's lock.

-- Adds messages. Items i_* lie in mailboxes, each item's messages are m_*[i_first .. i_last], each message's chunks
-- c_*[m_chunk_first .. m_chunk_last]. Outcomes: 0 done, 1 key known, 2 no account, 3 no mailbox, 4 over quota, 5 UIDs used up,
-- 6 stale.
CREATE FUNCTION mail_insert(
    i_account bigint[], i_name text[], i_or_inbox boolean[], i_expect bigint[], i_key bytea[], i_key_at bigint[],
    i_now bigint[], i_first integer[], i_last integer[],
    m_hash bytea[], m_size bigint[], m_staged bigint[], m_flags bigint[], m_received bigint[], m_thread bigint[],
    m_sent_day integer[], m_subject text[], m_version integer[], m_envelope bytea[], m_body bytea[],
    m_structure bytea[], m_parts bytea[], m_preview text[], m_text bytea[], m_chunk_first integer[],
    m_chunk_last integer[],
    c_no integer[], c_offset bigint[], c_len integer[], c_data bytea[])
RETURNS TABLE (o_outcome integer, o_mailbox bigint, o_uidvalidity bigint, o_uid bigint, o_modseq bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    boxes bigint[];
    box mailbox;
    store account_store;
    known delivery_key;
    n bigint;
    n_bytes bigint;
    n_unseen bigint;
    n_deleted bigint;
    new_id bigint;
    is_new boolean;
BEGIN
    SELECT array_agg(coalesce(named.id, inbox.id) ORDER BY item.place) INTO boxes
      FROM unnest(i_account, i_name, i_or_inbox) WITH ORDINALITY item (account, name, or_inbox, place)
      LEFT JOIN mailbox named ON named.account_id = item.account AND named.name = item.name
      LEFT JOIN mailbox inbox ON item.or_inbox AND inbox.account_id = item.account AND inbox.name = 'INBOX';
    PERFORM 1 FROM mailbox m
      WHERE (m.account_id, m.id) IN (SELECT * FROM unnest(i_account, boxes))
      ORDER BY m.account_id, m.id FOR NO KEY UPDATE;
    PERFORM 1 FROM account_store a WHERE a.account_id = ANY (i_account) ORDER BY a.account_id FOR NO KEY UPDATE;

    FOR i IN 1 .. array_length(i_account, 1) LOOP
        o_mailbox := 0; o_uidvalidity := 0; o_uid := 0; o_modseq := 0;
        SELECT * INTO store FROM account_store a WHERE a.account_id = i_account[i];
        IF NOT FOUND THEN
            o_outcome := 2; RETURN NEXT; CONTINUE;
        END IF;
        IF i_key[i] IS NOT NULL THEN
            SELECT * INTO known FROM delivery_key k WHERE k.account_id = i_account[i] AND k.key = i_key[i];
            IF FOUND THEN
                o_outcome := 1; o_mailbox := known.mailbox_id; o_uidvalidity := known.uidvalidity; o_uid := known.uid;
                RETURN NEXT; CONTINUE;
            END IF;
        END IF;
        SELECT * INTO box FROM mailbox m WHERE m.account_id = i_account[i] AND m.id = boxes[i];
        IF NOT FOUND THEN
            -- Deleted since it was looked up: a delivery then belongs elsewhere.
            o_outcome := CASE WHEN boxes[i] IS NULL OR NOT i_or_inbox[i] THEN 3 ELSE 6 END;
            RETURN NEXT; CONTINUE;
        END IF;
        IF i_expect[i] IS NOT NULL AND i_expect[i] <> box.id THEN
            o_outcome := 6; RETURN NEXT; CONTINUE;
        END IF;
        IF EXISTS (SELECT 1 FROM unnest(m_staged[i_first[i] : i_last[i]], m_hash[i_first[i] : i_last[i]]) s (id, hash)
                    WHERE s.id IS NOT NULL
                      AND NOT EXISTS (SELECT 1 FROM content c WHERE c.account_id = i_account[i] AND c.message_id = s.id)
                      AND NOT EXISTS (SELECT 1 FROM message x WHERE x.account_id = i_account[i] AND x.content_hash = s.hash))
        THEN
            o_outcome := 6; RETURN NEXT; CONTINUE;
        END IF;
        n := i_last[i] - i_first[i] + 1;
        SELECT sum(s.size), sum(1 - (s.flags & 1)), sum((s.flags >> 3) & 1) INTO n_bytes, n_unseen, n_deleted
          FROM unnest(m_size[i_first[i] : i_last[i]], m_flags[i_first[i] : i_last[i]]) s (size, flags);
        IF (store.limit_bytes > 0 AND store.used_bytes + n_bytes > store.limit_bytes)
            OR (store.limit_messages > 0 AND store.used_messages + n > store.limit_messages) THEN
            o_outcome := 4; RETURN NEXT; CONTINUE;
        END IF;
        IF box.uidnext + n > 4294967295 THEN
            o_outcome := 5; RETURN NEXT; CONTINUE;
        END IF;

        FOR j IN i_first[i] .. i_last[i] LOOP
            SELECT x.id INTO new_id FROM message x
              WHERE x.account_id = i_account[i] AND x.content_hash = m_hash[j];
            is_new := NOT FOUND;
            IF is_new THEN
                new_id := m_staged[j];
                IF new_id IS NULL THEN
                    new_id := store.next_message_id;
                    store.next_message_id := store.next_message_id + 1;
                END IF;
                INSERT INTO message VALUES (i_account[i], new_id, m_hash[j], m_size[j], m_thread[j], m_sent_day[j],
                    m_subject[j], m_version[j], m_envelope[j], m_body[j], m_structure[j], m_parts[j], m_preview[j]);
                INSERT INTO message_text VALUES (i_account[i], new_id, m_text[j]);
                FOR c IN m_chunk_first[j] .. m_chunk_last[j] LOOP
                    INSERT INTO content VALUES (i_account[i], new_id, c_no[c], c_offset[c], c_len[c], c_data[c]);
                END LOOP;
            END IF;
            INSERT INTO mailbox_message VALUES (i_account[i], box.id, box.uidnext + j - i_first[i], new_id,
                box.highest_modseq + 1, m_flags[j], m_size[j], m_received[j], i_now[i]);
        END LOOP;

        UPDATE mailbox m SET uidnext = m.uidnext + n, highest_modseq = m.highest_modseq + 1,
            messages = m.messages + n, unseen = m.unseen + n_unseen, deleted = m.deleted + n_deleted,
            bytes = m.bytes + n_bytes, recent = m.recent + n
          WHERE m.account_id = i_account[i] AND m.id = box.id;
        UPDATE account_store a SET used_bytes = a.used_bytes + n_bytes, used_messages = a.used_messages + n,
            next_message_id = store.next_message_id WHERE a.account_id = i_account[i];
        IF i_key[i] IS NOT NULL THEN
            INSERT INTO delivery_key
              VALUES (i_account[i], i_key[i], box.id, box.uidvalidity, box.uidnext, i_key_at[i]);
        END IF;
        o_outcome := 0; o_mailbox := box.id; o_uidvalidity := box.uidvalidity; o_uid := box.uidnext;
        o_modseq := box.highest_modseq + 1;
        RETURN NEXT;
    END LOOP;
END $$;

-- New flags are old & keep | set, where they differ and the mod-sequence is not above unchanged_since. No row: no such mailbox.
CREATE FUNCTION mail_store_flags(
    p_account bigint, p_mailbox bigint, p_first bigint[], p_last bigint[], p_keep bigint, p_set bigint,
    p_unchanged_since bigint)
RETURNS TABLE (box mailbox, before bigint, uids bigint[], flags_now bigint[], message_ids bigint[], modified bigint[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    d_unseen bigint;
    d_deleted bigint;
    d_flags bigint[];
BEGIN
    SELECT * INTO box FROM mailbox m WHERE m.account_id = p_account AND m.id = p_mailbox FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    before := box.highest_modseq;
    IF p_unchanged_since < before THEN
        SELECT array_agg(mm.uid) INTO modified
          FROM unnest(p_first, p_last) r (first, last) CROSS JOIN LATERAL (
            SELECT x.uid, x.flags, x.modseq FROM mailbox_message x
             WHERE x.account_id = p_account AND x.mailbox_id = p_mailbox AND x.uid BETWEEN r.first AND r.last OFFSET 0) mm
         WHERE mm.modseq > p_unchanged_since;
    END IF;
    WITH old AS MATERIALIZED (
        SELECT mm.place, mm.flags
          FROM unnest(p_first, p_last) r (first, last) CROSS JOIN LATERAL (
            SELECT x.ctid AS place, x.flags, x.modseq FROM mailbox_message x
             WHERE x.account_id = p_account AND x.mailbox_id = p_mailbox AND x.uid BETWEEN r.first AND r.last OFFSET 0) mm
         WHERE mm.modseq <= p_unchanged_since AND ((mm.flags & p_keep) | p_set) <> mm.flags
    ), new AS (
        UPDATE mailbox_message mm SET flags = (mm.flags & p_keep) | p_set, modseq = box.highest_modseq + 1
          FROM old WHERE mm.account_id = p_account AND mm.ctid = old.place
        RETURNING mm.uid, mm.flags, old.flags AS old_flags, mm.message_id
    ), sorted AS (SELECT * FROM new ORDER BY uid)
    SELECT array_agg(s.uid), array_agg(s.flags), array_agg(s.message_id),
           sum((s.old_flags & 1) - (s.flags & 1)), sum(((s.flags >> 3) & 1) - ((s.old_flags >> 3) & 1))
      INTO uids, d_flags, message_ids, d_unseen, d_deleted FROM sorted s;
    flags_now := d_flags;
    IF uids IS NOT NULL THEN
        UPDATE mailbox m SET highest_modseq = m.highest_modseq + 1, unseen = m.unseen + d_unseen,
            deleted = m.deleted + d_deleted
          WHERE m.account_id = p_account AND m.id = p_mailbox RETURNING * INTO box;
    END IF;
    RETURN NEXT;
END $$;

-- Removes messages that have all flags of p_having and leaves tombstones. No row: no such mailbox.
CREATE FUNCTION mail_expunge(
    p_account bigint, p_mailbox bigint, p_first bigint[], p_last bigint[], p_having bigint, p_now bigint)
RETURNS TABLE (box mailbox, before bigint, uids bigint[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    d_messages bigint;
    d_unseen bigint;
    d_deleted bigint;
    d_bytes bigint;
    d_recent bigint;
BEGIN
    SELECT * INTO box FROM mailbox m WHERE m.account_id = p_account AND m.id = p_mailbox FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    before := box.highest_modseq;
    PERFORM 1 FROM account_store a WHERE a.account_id = p_account FOR NO KEY UPDATE;
    WITH named AS MATERIALIZED (
        SELECT mm.place
          FROM unnest(p_first, p_last) r (first, last) CROSS JOIN LATERAL (
            SELECT x.ctid AS place, x.flags FROM mailbox_message x
             WHERE x.account_id = p_account AND x.mailbox_id = p_mailbox AND x.uid BETWEEN r.first AND r.last OFFSET 0) mm
         WHERE mm.flags & p_having = p_having
    ), gone AS (
        DELETE FROM mailbox_message mm USING named
         WHERE mm.account_id = p_account AND mm.ctid = named.place
        RETURNING mm.uid, mm.flags, mm.size, mm.message_id
    ), queued AS (
        INSERT INTO garbage SELECT DISTINCT p_account, g.message_id, p_now FROM gone g
        ON CONFLICT (account_id, message_id) DO UPDATE SET since = excluded.since
    ), buried AS (
        INSERT INTO tombstone SELECT p_account, p_mailbox, box.highest_modseq + 1, g.uid FROM gone g
    )
    SELECT array_agg(g.uid), count(*), sum(1 - (g.flags & 1)), sum((g.flags >> 3) & 1), sum(g.size),
           count(*) FILTER (WHERE g.uid >= box.recent_from)
      INTO uids, d_messages, d_unseen, d_deleted, d_bytes, d_recent FROM gone g;
    IF d_messages > 0 THEN
        UPDATE mailbox m SET highest_modseq = m.highest_modseq + 1, messages = m.messages - d_messages,
            unseen = m.unseen - d_unseen, deleted = m.deleted - d_deleted, bytes = m.bytes - d_bytes,
            recent = m.recent - d_recent
          WHERE m.account_id = p_account AND m.id = p_mailbox RETURNING * INTO box;
        UPDATE account_store a SET used_bytes = a.used_bytes - d_bytes, used_messages = a.used_messages - d_messages
          WHERE a.account_id = p_account;
    END IF;
    RETURN NEXT;
END $$;

-- Copies, or moves. Outcomes: 0 done, 1 no source, 2 no destination, 3 over quota, 4 UIDs used up, 5 a flag not in the map.
CREATE FUNCTION mail_copy(
    p_account bigint, p_source bigint, p_destination bigint, p_first bigint[], p_last bigint[], p_moves boolean,
    p_map_from bigint[], p_map_to bigint[], p_now bigint)
RETURNS TABLE (outcome integer, source mailbox, destination mailbox, before bigint, source_uids bigint[],
    first_uid bigint, new_flags bigint[], message_ids bigint[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    mask bigint := 31;
    used bigint;
    places tid[];
    old_flags bigint[];
    old_sizes bigint[];
    received bigint[];
    sizes bigint;
    n bigint;
    done account_store;
BEGIN
    PERFORM 1 FROM mailbox m WHERE m.account_id = p_account AND m.id IN (p_source, p_destination)
      ORDER BY m.id FOR NO KEY UPDATE;
    SELECT * INTO source FROM mailbox m WHERE m.account_id = p_account AND m.id = p_source;
    IF NOT FOUND THEN
        outcome := 1; RETURN NEXT; RETURN;
    END IF;
    SELECT * INTO destination FROM mailbox m WHERE m.account_id = p_account AND m.id = p_destination;
    IF NOT FOUND THEN
        outcome := 2; RETURN NEXT; RETURN;
    END IF;
    before := source.highest_modseq;
    first_uid := destination.uidnext;
    SELECT array_agg(mm.uid), array_agg(mm.place), array_agg(mm.message_id), array_agg(mm.flags), array_agg(mm.size),
           array_agg(mm.received_at), bit_or(mm.flags), sum(mm.size), count(*)
      INTO source_uids, places, message_ids, old_flags, old_sizes, received, used, sizes, n
      FROM (SELECT x.* FROM unnest(p_first, p_last) r (first, last) CROSS JOIN LATERAL (
        SELECT x.ctid AS place, x.* FROM mailbox_message x
         WHERE x.account_id = p_account AND x.mailbox_id = p_source AND x.uid BETWEEN r.first AND r.last OFFSET 0) x
        ORDER BY x.uid) mm;
    IF n = 0 THEN
        outcome := 0; RETURN NEXT; RETURN;
    END IF;
    SELECT mask | coalesce(bit_or(f), 0) INTO mask FROM unnest(p_map_from) f;
    IF used & ~mask <> 0 THEN
        outcome := 5; RETURN NEXT; RETURN;
    END IF;
    IF destination.uidnext + n > 4294967295 THEN
        outcome := 4; RETURN NEXT; RETURN;
    END IF;
    IF NOT p_moves THEN
        UPDATE account_store a SET used_bytes = a.used_bytes + sizes, used_messages = a.used_messages + n
          WHERE a.account_id = p_account AND (a.limit_bytes = 0 OR a.used_bytes + sizes <= a.limit_bytes)
            AND (a.limit_messages = 0 OR a.used_messages + n <= a.limit_messages)
          RETURNING * INTO done;
        IF NOT FOUND THEN
            outcome := 3; RETURN NEXT; RETURN;
        END IF;
    END IF;

    SELECT array_agg((o.flags & 31) | CASE WHEN o.flags <= 31 THEN 0 ELSE
             (SELECT coalesce(bit_or(t.bit_to), 0) FROM unnest(p_map_from, p_map_to) t (bit_from, bit_to)
               WHERE o.flags & t.bit_from <> 0) END ORDER BY o.place)
      INTO new_flags FROM unnest(old_flags) WITH ORDINALITY o (flags, place);
    INSERT INTO mailbox_message
    SELECT p_account, p_destination, destination.uidnext + c.place - 1, c.message, destination.highest_modseq + 1, c.flags,
           c.size, c.received, p_now
      FROM unnest(message_ids, new_flags, old_sizes, received) WITH ORDINALITY c (message, flags, size, received, place);
    UPDATE mailbox m SET uidnext = m.uidnext + n, highest_modseq = m.highest_modseq + 1, messages = m.messages + n,
        unseen = m.unseen + f.unseen, deleted = m.deleted + f.deleted, bytes = m.bytes + sizes, recent = m.recent + n
      FROM (SELECT sum(1 - (b & 1)) AS unseen, sum((b >> 3) & 1) AS deleted FROM unnest(new_flags) b) f
      WHERE m.account_id = p_account AND m.id = p_destination;
    IF p_moves THEN
        WITH gone AS (
            DELETE FROM mailbox_message mm USING unnest(places) named (place)
             WHERE mm.account_id = p_account AND mm.ctid = named.place
            RETURNING mm.uid, mm.flags
        ), buried AS (
            INSERT INTO tombstone SELECT p_account, p_source, before + 1, g.uid FROM gone g
        )
        UPDATE mailbox m SET highest_modseq = before + 1, messages = m.messages - n, unseen = m.unseen - f.unseen,
            deleted = m.deleted - f.deleted, bytes = m.bytes - sizes, recent = m.recent - f.recent
          FROM (SELECT sum(1 - (g.flags & 1)) AS unseen, sum((g.flags >> 3) & 1) AS deleted,
                               count(*) FILTER (WHERE g.uid >= source.recent_from) AS recent FROM gone g) f
          WHERE m.account_id = p_account AND m.id = p_source;
    END IF;
    SELECT * INTO source FROM mailbox m WHERE m.account_id = p_account AND m.id = p_source;
    SELECT * INTO destination FROM mailbox m WHERE m.account_id = p_account AND m.id = p_destination;
    outcome := 0;
    RETURN NEXT;
END $$;

-- \Recent of everything below p_until passes to the caller: the first such UID, or null if another was faster.
CREATE FUNCTION mail_claim_recent(p_account bigint, p_mailbox bigint, p_until bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    claimed bigint;
BEGIN
    SELECT m.recent_from INTO claimed FROM mailbox m
      WHERE m.account_id = p_account AND m.id = p_mailbox AND m.recent_from < p_until FOR NO KEY UPDATE;
    IF FOUND THEN
        UPDATE mailbox m SET recent_from = p_until, recent = (SELECT count(*) FROM mailbox_message mm
            WHERE mm.account_id = p_account AND mm.mailbox_id = p_mailbox AND mm.uid >= p_until)
          WHERE m.account_id = p_account AND m.id = p_mailbox;
    END IF;
    RETURN claimed;
END $$;

-- Forgets delivery keys. Not worth waiting for the disk: a key that comes back after a crash ages out.
CREATE FUNCTION mail_confirm(p_account bigint[], p_key bytea[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    DELETE FROM delivery_key k USING unnest(p_account, p_key) t (account, key)
      WHERE k.account_id = t.account AND k.key = t.key;
END $$;

-- Looks at queued messages and removes those that no mailbox has. How many it looked at.
CREATE FUNCTION mail_sweep(p_before bigint, p_limit bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    accounts bigint[];
    messages bigint[];
    dead_accounts bigint[];
    dead_messages bigint[];
BEGIN
    SELECT array_agg(q.account_id), array_agg(q.message_id) INTO accounts, messages FROM (
        SELECT g.account_id, g.message_id FROM garbage g WHERE g.since < p_before ORDER BY g.since LIMIT p_limit) q;
    IF accounts IS NULL THEN
        RETURN 0;
    END IF;
    -- Whoever adds an equal message holds this lock too, so nobody takes up what goes now.
    PERFORM 1 FROM account_store a WHERE a.account_id = ANY (accounts) ORDER BY a.account_id FOR NO KEY UPDATE;
    SELECT array_agg(d.account), array_agg(d.message) INTO dead_accounts, dead_messages
      FROM unnest(accounts, messages) d (account, message)
     WHERE NOT EXISTS (SELECT 1 FROM mailbox_message mm
                        WHERE mm.account_id = d.account AND mm.message_id = d.message AND mm.message_id > 0);
    DELETE FROM content c USING unnest(dead_accounts, dead_messages) d (account, message)
      WHERE c.account_id = d.account AND c.message_id = d.message;
    DELETE FROM message_text t USING unnest(dead_accounts, dead_messages) d (account, message)
      WHERE t.account_id = d.account AND t.message_id = d.message;
    DELETE FROM message x USING unnest(dead_accounts, dead_messages) d (account, message)
      WHERE x.account_id = d.account AND x.id = d.message;
    DELETE FROM garbage g USING unnest(accounts, messages) d (account, message)
      WHERE g.account_id = d.account AND g.message_id = d.message AND g.since < p_before;
    RETURN cardinality(accounts);
END $$;
