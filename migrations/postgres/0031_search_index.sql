-- Which messages may contain a word: see index/ of mailbox-storage. A message is in no row (then SEARCH looks into its text), in
-- the tail, or in a segment; being in several does no harm.

-- Messages that are in no segment yet: added with the message, removed when a segment has them.
CREATE TABLE search_tail (
    account_id      bigint  NOT NULL,
    message_id      bigint  NOT NULL,
    -- Of the text that the bits are of.
    derived_version integer NOT NULL,
    -- Of the numbers of the bits.
    scheme          integer NOT NULL,
    bits            bytea   NOT NULL,
    PRIMARY KEY (account_id, message_id, derived_version)
)
WITH (autovacuum_vacuum_scale_factor = 0.05);

-- Messages whose bits are stored by bit.
CREATE TABLE search_segment (
    account_id bigint  NOT NULL,
    id         bigint  NOT NULL,
    scheme     integer NOT NULL,
    -- Bits of each message.
    width      integer NOT NULL,
    messages   integer NOT NULL,
    -- The messages' ids in the order of their columns.
    ids        bytea   NOT NULL,
    PRIMARY KEY (account_id, id)
);

-- Consecutive bits of a segment, each one bit of every message. A row is small enough to be stored in one piece.
CREATE TABLE search_slices (
    account_id bigint  NOT NULL,
    segment_id bigint  NOT NULL,
    block_no   integer NOT NULL,
    data       bytea   NOT NULL,
    PRIMARY KEY (account_id, segment_id, block_no)
);

-- Grows when texts of messages that are there are derived anew.
ALTER TABLE account_store ADD COLUMN search_epoch bigint NOT NULL DEFAULT 0;

ALTER TABLE search_tail ALTER COLUMN bits SET STORAGE EXTERNAL;
ALTER TABLE search_slices ALTER COLUMN data SET STORAGE EXTERNAL;

-- `mail_insert`, and the new messages' bits for the index.
CREATE FUNCTION mail_insert_indexed(
    i_account bigint[], i_name text[], i_or_inbox boolean[], i_expect bigint[], i_key bytea[], i_key_at bigint[],
    i_now bigint[], i_first integer[], i_last integer[],
    m_hash bytea[], m_size bigint[], m_staged bigint[], m_flags bigint[], m_received bigint[], m_thread bigint[],
    m_sent_day integer[], m_subject text[], m_version integer[], m_envelope bytea[], m_body bytea[],
    m_structure bytea[], m_parts bytea[], m_preview text[], m_text bytea[], m_chunk_first integer[],
    m_chunk_last integer[],
    c_no integer[], c_offset bigint[], c_len integer[], c_data bytea[], p_scheme integer, m_bits bytea[])
RETURNS TABLE (o_outcome integer, o_mailbox bigint, o_uidvalidity bigint, o_uid bigint, o_modseq bigint)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM mail_insert(i_account, i_name, i_or_inbox, i_expect, i_key, i_key_at, i_now, i_first, i_last,
        m_hash, m_size, m_staged, m_flags, m_received, m_thread, m_sent_day, m_subject, m_version, m_envelope, m_body,
        m_structure, m_parts, m_preview, m_text, m_chunk_first, m_chunk_last, c_no, c_offset, c_len, c_data);
    -- What was not inserted has no message, or one that is in the index already; then a row more does no harm.
    INSERT INTO search_tail
    SELECT x.account_id, x.id, x.derived_version, p_scheme, m_bits[j]
      FROM unnest(i_account, i_first, i_last) i (account, first, last)
     CROSS JOIN LATERAL generate_series(i.first, i.last) j
      JOIN message x ON x.account_id = i.account AND x.content_hash = m_hash[j]
        ON CONFLICT DO NOTHING;
END $$;
