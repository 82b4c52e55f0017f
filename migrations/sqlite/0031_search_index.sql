-- Which messages may contain a word: see index/ of mailbox-storage. A message is in no row (then SEARCH looks into its text), in
-- the tail, or in a segment; being in several does no harm.

-- Messages that are in no segment yet: added with the message, removed when a segment has them.
CREATE TABLE search_tail (
    account_id      INTEGER NOT NULL,
    message_id      INTEGER NOT NULL,
    -- Of the text that the bits are of.
    derived_version INTEGER NOT NULL,
    -- Of the numbers of the bits.
    scheme          INTEGER NOT NULL,
    bits            BLOB    NOT NULL,
    PRIMARY KEY (account_id, message_id, derived_version)
) STRICT, WITHOUT ROWID;

-- Messages whose bits are stored by bit.
CREATE TABLE search_segment (
    account_id INTEGER NOT NULL,
    id         INTEGER NOT NULL,
    scheme     INTEGER NOT NULL,
    -- Bits of each message.
    width      INTEGER NOT NULL,
    messages   INTEGER NOT NULL,
    -- The messages' ids in the order of their columns.
    ids        BLOB    NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

-- Consecutive bits of a segment, each one bit of every message.
CREATE TABLE search_slices (
    account_id INTEGER NOT NULL,
    segment_id INTEGER NOT NULL,
    block_no   INTEGER NOT NULL,
    data       BLOB    NOT NULL,
    PRIMARY KEY (account_id, segment_id, block_no)
) STRICT;

-- Grows when texts of messages that are there are derived anew.
ALTER TABLE account_store ADD COLUMN search_epoch INTEGER NOT NULL DEFAULT 0;
