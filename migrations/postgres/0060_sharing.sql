-- Mailboxes that others may use (RFC 4314). Keyed by the owner like all mail; the reader's side has indexes of its own.

CREATE TABLE acl (
    -- The owner's.
    account_id    bigint NOT NULL,
    mailbox_id    bigint NOT NULL,
    -- Whose rights; 0: anyone.
    grantee_id    bigint NOT NULL,
    -- 1: rights that are taken away, whoever gave them.
    negative      bigint NOT NULL CHECK (negative IN (0, 1)),
    -- Rights of mail-types.
    rights        bigint NOT NULL CHECK (rights > 0),
    -- Addresses when the entry was made, for showing.
    grantee       text   NOT NULL,
    owner         text   NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, grantee_id, negative)
);
-- What is shared with somebody: one walk, however many accounts there are.
CREATE INDEX acl_by_grantee ON acl (grantee_id, account_id, mailbox_id);

-- What others than the owner have seen. Without a row a message is unseen, at the mod-sequence of the message itself.
CREATE TABLE reader_seen (
    account_id    bigint NOT NULL,
    mailbox_id    bigint NOT NULL,
    uid           bigint NOT NULL,
    reader_id     bigint NOT NULL,
    seen          bigint NOT NULL CHECK (seen IN (0, 1)),
    -- Of the mailbox's mod-sequences.
    modseq        bigint NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, uid, reader_id)
);
CREATE INDEX reader_seen_by_modseq ON reader_seen (reader_id, account_id, mailbox_id, modseq);

-- Whichever statement removes messages or mailboxes, what hangs on them goes too.
CREATE FUNCTION sharing_of_gone_messages() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM reader_seen s USING gone g
     WHERE s.account_id = g.account_id AND s.mailbox_id = g.mailbox_id AND s.uid = g.uid;
    RETURN NULL;
END $$;
CREATE TRIGGER sharing_of_gone_messages AFTER DELETE ON mailbox_message REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION sharing_of_gone_messages();
CREATE FUNCTION sharing_of_gone_mailbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM acl a WHERE a.account_id = OLD.account_id AND a.mailbox_id = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER sharing_of_gone_mailbox AFTER DELETE ON mailbox FOR EACH ROW EXECUTE FUNCTION sharing_of_gone_mailbox();
