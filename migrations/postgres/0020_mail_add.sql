-- `mail_insert`, and what later migrations have added to a message, its keys and its bits, each written where the message is:
-- looking all messages up again for them took as long as adding them. Processes of before call mail_insert_indexed and
-- mail_keep_keys still, which come to the same: a message that was there already is in the index, or its turn will come.
CREATE FUNCTION mail_add(
    i_account bigint[], i_name text[], i_or_inbox boolean[], i_expect bigint[], i_key bytea[], i_key_at bigint[],
    i_now bigint[], i_first integer[], i_last integer[],
    m_hash bytea[], m_size bigint[], m_staged bigint[], m_flags bigint[], m_received bigint[], m_thread bigint[],
    m_sent_day integer[], m_subject text[], m_version integer[], m_envelope bytea[], m_body bytea[],
    m_structure bytea[], m_parts bytea[], m_preview text[], m_text bytea[], m_chunk_first integer[],
    m_chunk_last integer[],
    c_no integer[], c_offset bigint[], c_len integer[], c_data bytea[],
    m_keys bytea[], p_scheme integer, m_bits bytea[])
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
        IF cardinality(array_remove(m_staged[i_first[i] : i_last[i]], NULL)) > 0 AND EXISTS (
            SELECT 1 FROM unnest(m_staged[i_first[i] : i_last[i]], m_hash[i_first[i] : i_last[i]]) s (id, hash)
             WHERE s.id IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM content c WHERE c.account_id = i_account[i] AND c.message_id = s.id)
               AND NOT EXISTS (SELECT 1 FROM message x WHERE x.account_id = i_account[i] AND x.content_hash = s.hash))
        THEN
            o_outcome := 6; RETURN NEXT; CONTINUE;
        END IF;
        n := i_last[i] - i_first[i] + 1;
        n_bytes := 0; n_unseen := 0; n_deleted := 0;
        FOR j IN i_first[i] .. i_last[i] LOOP
            n_bytes := n_bytes + m_size[j];
            n_unseen := n_unseen + 1 - (m_flags[j] & 1);
            n_deleted := n_deleted + ((m_flags[j] >> 3) & 1);
        END LOOP;
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
                INSERT INTO search_tail VALUES (i_account[i], new_id, m_version[j], p_scheme, m_bits[j])
                    ON CONFLICT DO NOTHING;
            END IF;
            INSERT INTO message_keys VALUES (i_account[i], new_id, m_keys[j]) ON CONFLICT DO NOTHING;
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
