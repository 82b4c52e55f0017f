-- Mailboxes that others may use (RFC 4314). Keyed by the owner like all mail; the reader's side has indexes of its own.

CREATE TABLE acl (
    -- The owner's.
    account_id    INTEGER NOT NULL,
    mailbox_id    INTEGER NOT NULL,
    -- Whose rights; 0: anyone.
    grantee_id    INTEGER NOT NULL,
    -- 1: rights that are taken away, whoever gave them.
    negative      INTEGER NOT NULL CHECK (negative IN (0, 1)),
    -- Rights of mail-types.
    rights        INTEGER NOT NULL CHECK (rights > 0),
    -- Addresses when the entry was made, for showing.
    grantee       TEXT    NOT NULL,
    owner         TEXT    NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, grantee_id, negative)
) STRICT, WITHOUT ROWID;
-- What is shared with somebody: one walk, however many accounts there are.
CREATE INDEX acl_by_grantee ON acl (grantee_id, account_id, mailbox_id);

-- What others than the owner have seen. Without a row a message is unseen, at the mod-sequence of the message itself.
CREATE TABLE reader_seen (
    account_id    INTEGER NOT NULL,
    mailbox_id    INTEGER NOT NULL,
    uid           INTEGER NOT NULL,
    reader_id     INTEGER NOT NULL,
    seen          INTEGER NOT NULL CHECK (seen IN (0, 1)),
    -- Of the mailbox's mod-sequences.
    modseq        INTEGER NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, uid, reader_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX reader_seen_by_modseq ON reader_seen (reader_id, account_id, mailbox_id, modseq);

-- Whichever statement removes messages or mailboxes, what hangs on them goes too.
CREATE TRIGGER sharing_of_gone_message AFTER DELETE ON mailbox_message BEGIN
    DELETE FROM reader_seen
     WHERE account_id = OLD.account_id AND mailbox_id = OLD.mailbox_id AND uid = OLD.uid;
END;
CREATE TRIGGER sharing_of_gone_mailbox AFTER DELETE ON mailbox BEGIN
    DELETE FROM acl WHERE account_id = OLD.account_id AND mailbox_id = OLD.id;
END;
