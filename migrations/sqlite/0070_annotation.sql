-- Annotations of mailboxes and of the server (RFC 5464).

CREATE TABLE annotation (
    -- Whose mailbox.
    account_id INTEGER NOT NULL,
    -- 0: the server itself.
    mailbox_id INTEGER NOT NULL,
    -- With its /shared or /private in front, lower-case.
    entry      TEXT    NOT NULL,
    -- Whose private value; 0: shared.
    reader_id  INTEGER NOT NULL,
    -- NULL: removed; kept a while so that it can be told.
    value      BLOB,
    -- Of the account's timeline of annotations.
    version    INTEGER NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, entry, reader_id)
) STRICT;

-- The newest version of an annotation of the account.
ALTER TABLE account_store ADD COLUMN annotation_version INTEGER NOT NULL DEFAULT 1;
