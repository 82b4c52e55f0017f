-- Expand: what SORT and THREAD look at, apart from the wide rows of `message` so that a mailbox's keys are read at once.
CREATE TABLE message_keys (
    account_id INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    -- SortKeys of mail-message; a message without a row, or with one of another form, is read again when it is sorted.
    keys       BLOB    NOT NULL,
    PRIMARY KEY (account_id, message_id)
) STRICT, WITHOUT ROWID;

-- The keys go with their message.
CREATE TRIGGER message_keys_follow AFTER DELETE ON message BEGIN
    DELETE FROM message_keys WHERE account_id = old.account_id AND message_id = old.id;
END;
