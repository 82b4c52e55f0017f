-- Mail. Every primary key begins with the account; times are seconds since 1970 UTC; flags are FlagBits of mail-types.

-- One row per account: what its writers count. Locked (on PostgreSQL) after the mailbox rows.
CREATE TABLE account_store (
    account_id       INTEGER NOT NULL PRIMARY KEY,
    next_mailbox_id  INTEGER NOT NULL DEFAULT 1,
    next_message_id  INTEGER NOT NULL DEFAULT 1,
    -- Grows for ever; begins at the time of creation, so that a store made anew is told from the one before.
    next_uidvalidity INTEGER NOT NULL CHECK (next_uidvalidity BETWEEN 1 AND 4294967295),
    -- Octets and messages of all mailboxes; a copy counts like its original.
    used_bytes       INTEGER NOT NULL DEFAULT 0 CHECK (used_bytes >= 0),
    used_messages    INTEGER NOT NULL DEFAULT 0 CHECK (used_messages >= 0),
    -- 0: no limit.
    limit_bytes      INTEGER NOT NULL DEFAULT 0 CHECK (limit_bytes >= 0),
    limit_messages   INTEGER NOT NULL DEFAULT 0 CHECK (limit_messages >= 0)
) STRICT;

CREATE TABLE mailbox (
    account_id      INTEGER NOT NULL,
    id              INTEGER NOT NULL,
    name            TEXT    NOT NULL,
    uidvalidity     INTEGER NOT NULL CHECK (uidvalidity BETWEEN 1 AND 4294967295),
    uidnext         INTEGER NOT NULL DEFAULT 1 CHECK (uidnext BETWEEN 1 AND 4294967295),
    -- Never 0: clients take that for a mailbox without mod-sequences.
    highest_modseq  INTEGER NOT NULL DEFAULT 1 CHECK (highest_modseq >= 1),
    -- Tombstones of this mod-sequence and below may be gone.
    tombstone_floor INTEGER NOT NULL DEFAULT 0,
    special_use     INTEGER NOT NULL DEFAULT 0,
    subscribed      INTEGER NOT NULL DEFAULT 0,
    -- KeywordTable of mail-types; a keyword keeps its bit for ever.
    keywords        TEXT    NOT NULL DEFAULT '',
    messages        INTEGER NOT NULL DEFAULT 0 CHECK (messages >= 0),
    unseen          INTEGER NOT NULL DEFAULT 0 CHECK (unseen >= 0),
    deleted         INTEGER NOT NULL DEFAULT 0 CHECK (deleted >= 0),
    bytes           INTEGER NOT NULL DEFAULT 0 CHECK (bytes >= 0),
    -- Messages from the UID recent_from on, which no read-write session was told of.
    recent          INTEGER NOT NULL DEFAULT 0 CHECK (recent >= 0),
    recent_from     INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (account_id, id),
    CONSTRAINT mailbox_name_unique_per_account UNIQUE (account_id, name)
) STRICT, WITHOUT ROWID;

-- Names that are subscribed to without a mailbox (RFC 9051 §6.3.9: they must stay).
CREATE TABLE subscription_ghost (
    account_id INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    PRIMARY KEY (account_id, name)
) STRICT, WITHOUT ROWID;

-- The largest UIDVALIDITY under which a name was known before its mailbox was deleted or renamed away.
CREATE TABLE vacated_name (
    account_id  INTEGER NOT NULL,
    name        TEXT    NOT NULL,
    uidvalidity INTEGER NOT NULL,
    PRIMARY KEY (account_id, name)
) STRICT, WITHOUT ROWID;

-- Immutable; shared by the copies of a message in several mailboxes and by equal messages.
CREATE TABLE message (
    account_id      INTEGER NOT NULL,
    id              INTEGER NOT NULL,
    -- BLAKE3 of the octets.
    content_hash    BLOB    NOT NULL,
    size            INTEGER NOT NULL,
    thread_id       INTEGER NOT NULL,
    -- Days since 1970 of the Date field as written.
    sent_day        INTEGER,
    base_subject    TEXT    NOT NULL,
    -- DERIVED_VERSION of mail-message at which this, what follows and message_text were derived.
    derived_version INTEGER NOT NULL,
    envelope        BLOB    NOT NULL,
    body            BLOB    NOT NULL,
    bodystructure   BLOB    NOT NULL,
    parts           BLOB    NOT NULL,
    preview         TEXT    NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;
CREATE UNIQUE INDEX message_by_hash ON message (account_id, content_hash);

-- What SEARCH looks into, zstd-compressed.
CREATE TABLE message_text (
    account_id INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    text       BLOB    NOT NULL,
    PRIMARY KEY (account_id, message_id)
) STRICT;

-- The octets in chunks, each compressed alone, so that a range reads its chunks only.
CREATE TABLE content (
    account_id INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    chunk_no   INTEGER NOT NULL,
    raw_offset INTEGER NOT NULL,
    raw_len    INTEGER NOT NULL,
    -- zstd; the octets themselves if it is as long as raw_len.
    data       BLOB    NOT NULL,
    PRIMARY KEY (account_id, message_id, chunk_no)
) STRICT;

CREATE TABLE mailbox_message (
    account_id  INTEGER NOT NULL,
    mailbox_id  INTEGER NOT NULL,
    uid         INTEGER NOT NULL,
    message_id  INTEGER NOT NULL,
    modseq      INTEGER NOT NULL,
    flags       INTEGER NOT NULL,
    size        INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    saved_at    INTEGER NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX mailbox_message_by_modseq ON mailbox_message (account_id, mailbox_id, modseq);
CREATE INDEX mailbox_message_by_message ON mailbox_message (account_id, message_id);

-- Expunged UIDs (RFC 7162 §3.2.10).
CREATE TABLE tombstone (
    account_id INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL,
    modseq     INTEGER NOT NULL,
    uid        INTEGER NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, modseq, uid)
) STRICT, WITHOUT ROWID;

-- Deliveries and appends whose answer may not have been seen: the same key again is answered with what is stored here.
CREATE TABLE delivery_key (
    account_id  INTEGER NOT NULL,
    key         BLOB    NOT NULL,
    mailbox_id  INTEGER NOT NULL,
    uidvalidity INTEGER NOT NULL,
    uid         INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (account_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_key_by_age ON delivery_key (created_at);

-- Messages that may have lost their last reference, or content whose message never came: the sweep looks at them.
CREATE TABLE garbage (
    account_id INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    since      INTEGER NOT NULL,
    PRIMARY KEY (account_id, message_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX garbage_by_age ON garbage (since);
