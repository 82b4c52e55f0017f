-- What changed is kept by command, not by message: an index entry and a tombstone of each message were most of what a STORE or an
-- EXPUNGE of many messages cost. Without an index on it, a new mod-sequence stays on its page (a HOT update).
--
-- What changed after mod-sequence S are, of the messages whose own mod-sequence is above S: those above the last UID whose
-- mod-sequence is S or below, since UIDs and mod-sequences are given out in the same order; and those in flag_change after S.

-- All tombstones are read once, which may take longer than statements of the service may.
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = '60s';
LOCK TABLE mailbox, mailbox_message, tombstone IN ACCESS EXCLUSIVE MODE;

DROP INDEX mailbox_message_by_modseq;

-- Where flags changed: ranges of UIDs, with unchanged ones and gaps between them where that makes them fewer. Only where to look:
-- the messages tell whether they changed, and if nothing is here, all of the mailbox is looked at.
CREATE TABLE flag_change (
    account_id bigint NOT NULL,
    mailbox_id bigint NOT NULL,
    modseq     bigint NOT NULL,
    first_uid  bigint NOT NULL,
    last_uid   bigint NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, modseq, first_uid)
)
WITH (autovacuum_vacuum_scale_factor = 0.05);
-- As of all tables: see 0080_statistics.sql.
ALTER TABLE flag_change ALTER account_id SET STATISTICS 0;
-- Changes after this mod-sequence are in flag_change.
ALTER TABLE mailbox ADD COLUMN flag_changes_from bigint NOT NULL DEFAULT 0;
UPDATE mailbox SET flag_changes_from = highest_modseq;

-- Expunged UIDs (RFC 7162 §3.2.10) in runs.
CREATE TABLE tombstone_run (
    account_id  bigint NOT NULL,
    mailbox_id  bigint NOT NULL,
    modseq      bigint NOT NULL,
    first_uid   bigint NOT NULL,
    last_uid    bigint NOT NULL,
    expunged_at bigint NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, modseq, first_uid)
);
ALTER TABLE tombstone_run ALTER account_id SET STATISTICS 0;
CREATE INDEX tombstone_run_by_age ON tombstone_run (expunged_at);
INSERT INTO tombstone_run
SELECT t.account_id, t.mailbox_id, t.modseq, min(t.uid), max(t.uid), extract(epoch FROM now())::bigint
  FROM (SELECT s.*, s.uid - row_number() OVER (PARTITION BY s.account_id, s.mailbox_id, s.modseq ORDER BY s.uid) AS run
          FROM tombstone s) t
 GROUP BY t.account_id, t.mailbox_id, t.modseq, t.run;
DROP TABLE tombstone;

-- For processes of the version before, which may run on until they are replaced.
CREATE VIEW tombstone AS
SELECT account_id, mailbox_id, modseq, generate_series(first_uid, last_uid) AS uid FROM tombstone_run;
CREATE FUNCTION tombstone_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM tombstone_run t WHERE t.account_id = OLD.account_id AND t.mailbox_id = OLD.mailbox_id
       AND t.modseq = OLD.modseq AND OLD.uid BETWEEN t.first_uid AND t.last_uid;
    RETURN OLD;
END $$;
CREATE TRIGGER tombstone_removed INSTEAD OF DELETE ON tombstone FOR EACH ROW EXECUTE FUNCTION tombstone_removed();

-- Leaves tombstones. The UIDs ascend.
CREATE FUNCTION mail_bury(p_account bigint, p_mailbox bigint, p_modseq bigint, p_uids bigint[], p_now bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    n integer := cardinality(p_uids);
BEGIN
    IF p_uids[n] - p_uids[1] = n - 1 THEN
        INSERT INTO tombstone_run VALUES (p_account, p_mailbox, p_modseq, p_uids[1], p_uids[n], p_now);
    ELSE
        INSERT INTO tombstone_run SELECT p_account, p_mailbox, p_modseq, min(u.uid), max(u.uid), p_now
          FROM unnest(p_uids) WITH ORDINALITY u (uid, place) GROUP BY u.uid - u.place;
    END IF;
END $$;

-- Notes where flags changed, in a few ranges. The UIDs ascend.
CREATE FUNCTION mail_note_flags(p_account bigint, p_mailbox bigint, p_modseq bigint, p_uids bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    n integer := cardinality(p_uids);
    firsts bigint[];
    lasts bigint[];
BEGIN
    IF p_uids[n] - p_uids[1] > n THEN
        SELECT array_agg(r.first), array_agg(r.last) INTO firsts, lasts FROM (
            SELECT min(g.uid) AS first, max(g.uid) AS last FROM (
                SELECT f.uid, sum(f.far) OVER (ORDER BY f.uid) AS run FROM (
                    SELECT u.uid, CASE WHEN u.uid - lag(u.uid) OVER (ORDER BY u.uid) > 100 THEN 1 ELSE 0 END AS far
                      FROM unnest(p_uids) u (uid)) f) g
             GROUP BY g.run) r;
    END IF;
    IF cardinality(firsts) <= 64 THEN
        INSERT INTO flag_change SELECT p_account, p_mailbox, p_modseq, r.first, r.last FROM unnest(firsts, lasts) r (first, last);
    ELSE
        INSERT INTO flag_change VALUES (p_account, p_mailbox, p_modseq, p_uids[1], p_uids[n]);
    END IF;
    -- A prime, so that no regular order of flag changes and other writes misses it.
    IF p_modseq % 61 = 0 THEN
        DELETE FROM flag_change c
         WHERE c.account_id = p_account AND c.mailbox_id = p_mailbox AND c.modseq <= p_modseq - 1024;
        UPDATE mailbox m SET flag_changes_from = greatest(m.flag_changes_from, p_modseq - 1024)
         WHERE m.account_id = p_account AND m.id = p_mailbox;
    END IF;
END $$;

-- As before; where flags changed is noted.
CREATE OR REPLACE FUNCTION mail_store_flags(
    p_account bigint, p_mailbox bigint, p_first bigint[], p_last bigint[], p_keep bigint, p_set bigint,
    p_unchanged_since bigint)
RETURNS TABLE (box mailbox, before bigint, uids bigint[], flags_now bigint[], message_ids bigint[], modified bigint[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    d_unseen bigint;
    d_deleted bigint;
    d_flags bigint[];
    d_uids bigint[];
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
      INTO d_uids, d_flags, message_ids, d_unseen, d_deleted FROM sorted s;
    uids := d_uids;
    flags_now := d_flags;
    IF d_uids IS NOT NULL THEN
        PERFORM mail_note_flags(p_account, p_mailbox, before + 1, d_uids);
        UPDATE mailbox m SET highest_modseq = m.highest_modseq + 1, unseen = m.unseen + d_unseen,
            deleted = m.deleted + d_deleted
          WHERE m.account_id = p_account AND m.id = p_mailbox RETURNING * INTO box;
    END IF;
    RETURN NEXT;
END $$;

-- As before; the tombstones are runs.
CREATE OR REPLACE FUNCTION mail_expunge(
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
    d_uids bigint[];
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
    )
    SELECT array_agg(g.uid ORDER BY g.uid), count(*), sum(1 - (g.flags & 1)), sum((g.flags >> 3) & 1), sum(g.size),
           count(*) FILTER (WHERE g.uid >= box.recent_from)
      INTO d_uids, d_messages, d_unseen, d_deleted, d_bytes, d_recent FROM gone g;
    uids := d_uids;
    IF d_messages > 0 THEN
        PERFORM mail_bury(p_account, p_mailbox, before + 1, d_uids, p_now);
        UPDATE mailbox m SET highest_modseq = m.highest_modseq + 1, messages = m.messages - d_messages,
            unseen = m.unseen - d_unseen, deleted = m.deleted - d_deleted, bytes = m.bytes - d_bytes,
            recent = m.recent - d_recent
          WHERE m.account_id = p_account AND m.id = p_mailbox RETURNING * INTO box;
        UPDATE account_store a SET used_bytes = a.used_bytes - d_bytes, used_messages = a.used_messages - d_messages
          WHERE a.account_id = p_account;
    END IF;
    RETURN NEXT;
END $$;

-- As before; the tombstones are runs. Copies, or moves. Outcomes: 0 done, 1 no source, 2 no destination, 3 over quota, 4 UIDs used up, 5 a flag not in the map.
CREATE OR REPLACE FUNCTION mail_copy(
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
    d_uids bigint[];
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
      INTO d_uids, places, message_ids, old_flags, old_sizes, received, used, sizes, n
      FROM (SELECT x.* FROM unnest(p_first, p_last) r (first, last) CROSS JOIN LATERAL (
        SELECT x.ctid AS place, x.* FROM mailbox_message x
         WHERE x.account_id = p_account AND x.mailbox_id = p_source AND x.uid BETWEEN r.first AND r.last OFFSET 0) x
        ORDER BY x.uid) mm;
    source_uids := d_uids;
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
        PERFORM mail_bury(p_account, p_source, before + 1, d_uids, p_now);
        WITH gone AS (
            DELETE FROM mailbox_message mm USING unnest(places) named (place)
             WHERE mm.account_id = p_account AND mm.ctid = named.place
            RETURNING mm.uid, mm.flags
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
