-- Expand: what SORT and THREAD look at, apart from the wide rows of `message` so that a mailbox's keys are read at once.
CREATE TABLE message_keys (
    account_id bigint NOT NULL,
    message_id bigint NOT NULL,
    -- SortKeys of mail-message; a message without a row, or with one of another form, is read again when it is sorted.
    keys       bytea  NOT NULL,
    PRIMARY KEY (account_id, message_id)
);

-- The keys go with their message.
CREATE FUNCTION message_keys_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM message_keys k USING gone g WHERE k.account_id = g.account_id AND k.message_id = g.id;
    RETURN NULL;
END $$;
CREATE TRIGGER message_keys_follow AFTER DELETE ON message
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION message_keys_follow();

-- Keeps the keys of messages that mail_insert has just added, or that were there without keys. Called in the same statement, so
-- that a message and its keys are one commit; how many were added.
CREATE FUNCTION mail_keep_keys(p_account bigint, p_hash bytea[], p_keys bytea[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    INSERT INTO message_keys
      SELECT p_account, m.id, added.keys FROM unnest(p_hash, p_keys) added (hash, keys)
        CROSS JOIN LATERAL (SELECT x.id FROM message x
          WHERE x.account_id = p_account AND x.content_hash = added.hash OFFSET 0) m
      ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;
