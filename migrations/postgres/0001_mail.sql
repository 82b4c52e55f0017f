-- Mail. Every primary key begins with the account; times are seconds since 1970 UTC; flags are FlagBits of mail-types.

-- One row per account: what its writers count. Locked (on PostgreSQL) after the mailbox rows.
CREATE TABLE account_store (
    account_id       bigint NOT NULL PRIMARY KEY,
    next_mailbox_id  bigint NOT NULL DEFAULT 1,
    next_message_id  bigint NOT NULL DEFAULT 1,
    -- Grows for ever; begins at the time of creation, so that a store made anew is told from the one before.
    next_uidvalidity bigint NOT NULL CHECK (next_uidvalidity BETWEEN 1 AND 4294967295),
    -- Octets and messages of all mailboxes; a copy counts like its original.
    used_bytes       bigint NOT NULL DEFAULT 0 CHECK (used_bytes >= 0),
    used_messages    bigint NOT NULL DEFAULT 0 CHECK (used_messages >= 0),
    -- 0: no limit.
    limit_bytes      bigint NOT NULL DEFAULT 0 CHECK (limit_bytes >= 0),
    limit_messages   bigint NOT NULL DEFAULT 0 CHECK (limit_messages >= 0)
)
WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);

CREATE TABLE mailbox (
    account_id      bigint NOT NULL,
    id              bigint NOT NULL,
    name            text COLLATE "C"    NOT NULL,
    uidvalidity     bigint NOT NULL CHECK (uidvalidity BETWEEN 1 AND 4294967295),
    uidnext         bigint NOT NULL DEFAULT 1 CHECK (uidnext BETWEEN 1 AND 4294967295),
    -- Never 0: clients take that for a mailbox without mod-sequences.
    highest_modseq  bigint NOT NULL DEFAULT 1 CHECK (highest_modseq >= 1),
    -- Tombstones of this mod-sequence and below may be gone.
    tombstone_floor bigint NOT NULL DEFAULT 0,
    special_use     bigint NOT NULL DEFAULT 0,
    subscribed      boolean NOT NULL DEFAULT false,
    -- KeywordTable of mail-types; a keyword keeps its bit for ever.
    keywords        text    NOT NULL DEFAULT '',
    messages        bigint NOT NULL DEFAULT 0 CHECK (messages >= 0),
    unseen          bigint NOT NULL DEFAULT 0 CHECK (unseen >= 0),
    deleted         bigint NOT NULL DEFAULT 0 CHECK (deleted >= 0),
    bytes           bigint NOT NULL DEFAULT 0 CHECK (bytes >= 0),
    -- Messages from the UID recent_from on, which no read-write session was told of.
    recent          bigint NOT NULL DEFAULT 0 CHECK (recent >= 0),
    recent_from     bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (account_id, id),
    CONSTRAINT mailbox_name_unique_per_account UNIQUE (account_id, name)
)
-- Every write changes a row here, none of the changing columns is indexed: updates stay on their page and are cleaned up there.
WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);

-- Names that are subscribed to without a mailbox (RFC 9051 §6.3.9: they must stay).
CREATE TABLE subscription_ghost (
    account_id bigint NOT NULL,
    name       text COLLATE "C"    NOT NULL,
    PRIMARY KEY (account_id, name)
);

-- The largest UIDVALIDITY under which a name was known before its mailbox was deleted or renamed away.
CREATE TABLE vacated_name (
    account_id  bigint NOT NULL,
    name        text COLLATE "C"    NOT NULL,
    uidvalidity bigint NOT NULL,
    PRIMARY KEY (account_id, name)
);

-- Immutable; shared by the copies of a message in several mailboxes and by equal messages.
CREATE TABLE message (
    account_id      bigint NOT NULL,
    id              bigint NOT NULL,
    -- BLAKE3 of the octets.
    content_hash    bytea    NOT NULL,
    size            bigint NOT NULL,
    thread_id       bigint NOT NULL,
    -- Days since 1970 of the Date field as written.
    sent_day        integer,
    base_subject    text    NOT NULL,
    -- DERIVED_VERSION of mail-message at which this, what follows and message_text were derived.
    derived_version integer NOT NULL,
    envelope        bytea    NOT NULL,
    body            bytea    NOT NULL,
    bodystructure   bytea    NOT NULL,
    parts           bytea    NOT NULL,
    preview         text    NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX message_by_hash ON message (account_id, content_hash);

-- What SEARCH looks into, zstd-compressed.
CREATE TABLE message_text (
    account_id bigint NOT NULL,
    message_id bigint NOT NULL,
    text       bytea    NOT NULL,
    PRIMARY KEY (account_id, message_id)
);

-- The octets in chunks, each compressed alone, so that a range reads its chunks only.
CREATE TABLE content (
    account_id bigint NOT NULL,
    message_id bigint NOT NULL,
    chunk_no   integer NOT NULL,
    raw_offset bigint NOT NULL,
    raw_len    integer NOT NULL,
    -- zstd; the octets themselves if it is as long as raw_len.
    data       bytea    NOT NULL,
    PRIMARY KEY (account_id, message_id, chunk_no)
);

CREATE TABLE mailbox_message (
    account_id  bigint NOT NULL,
    mailbox_id  bigint NOT NULL,
    uid         bigint NOT NULL,
    message_id  bigint NOT NULL,
    modseq      bigint NOT NULL,
    flags       bigint NOT NULL,
    size        bigint NOT NULL,
    received_at bigint NOT NULL,
    saved_at    bigint NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, uid)
)
WITH (fillfactor = 80);
-- The planner takes account and mailbox for independent and so thinks every mailbox is tiny. The conditions, which always hold,
-- keep these two from being taken for a way to find a UID: they serve only queries that repeat them.
CREATE INDEX mailbox_message_by_modseq ON mailbox_message (account_id, mailbox_id, modseq) WHERE modseq > 0;
CREATE INDEX mailbox_message_by_message ON mailbox_message (account_id, message_id) WHERE message_id > 0;

-- Expunged UIDs (RFC 7162 §3.2.10).
CREATE TABLE tombstone (
    account_id bigint NOT NULL,
    mailbox_id bigint NOT NULL,
    modseq     bigint NOT NULL,
    uid        bigint NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, modseq, uid)
);

-- Deliveries and appends whose answer may not have been seen: the same key again is answered with what is stored here.
CREATE TABLE delivery_key (
    account_id  bigint NOT NULL,
    key         bytea    NOT NULL,
    mailbox_id  bigint NOT NULL,
    uidvalidity bigint NOT NULL,
    uid         bigint NOT NULL,
    created_at  bigint NOT NULL,
    PRIMARY KEY (account_id, key)
);
CREATE INDEX delivery_key_by_age ON delivery_key (created_at);

-- Messages that may have lost their last reference, or content whose message never came: the sweep looks at them.
CREATE TABLE garbage (
    account_id bigint NOT NULL,
    message_id bigint NOT NULL,
    since      bigint NOT NULL,
    PRIMARY KEY (account_id, message_id)
);
CREATE INDEX garbage_by_age ON garbage (since);

-- Compressed already: trying again would cost time only.
ALTER TABLE content ALTER COLUMN data SET STORAGE EXTERNAL;
ALTER TABLE message_text ALTER COLUMN text SET STORAGE EXTERNAL;
