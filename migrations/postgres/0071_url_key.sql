-- Mailbox access keys (RFC 4467 §2.2): what authorized URLs are signed with.
CREATE TABLE url_key (
    account_id bigint NOT NULL,
    mailbox_id bigint NOT NULL,
    key        bytea  NOT NULL,
    PRIMARY KEY (account_id, mailbox_id)
);
