-- Annotations of mailboxes and of the server (RFC 5464).

CREATE TABLE annotation (
    -- Whose mailbox.
    account_id bigint NOT NULL,
    -- 0: the server itself.
    mailbox_id bigint NOT NULL,
    -- With its /shared or /private in front, lower-case.
    entry      text COLLATE "C" NOT NULL,
    -- Whose private value; 0: shared.
    reader_id  bigint NOT NULL,
    -- NULL: removed; kept a while so that it can be told.
    value      bytea,
    -- Of the account's timeline of annotations.
    version    bigint NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, entry, reader_id)
);

-- The newest version of an annotation of the account.
ALTER TABLE account_store ADD COLUMN annotation_version bigint NOT NULL DEFAULT 1;
