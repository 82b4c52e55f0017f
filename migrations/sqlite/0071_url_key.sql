-- Mailbox access keys (RFC 4467 §2.2): what authorized URLs are signed with.
CREATE TABLE url_key (
    account_id INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL,
    key        BLOB    NOT NULL,
    PRIMARY KEY (account_id, mailbox_id)
) STRICT;
