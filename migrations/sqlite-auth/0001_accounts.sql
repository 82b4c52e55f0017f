-- Who may log in, and whose address is whose. Times are seconds since 1970 UTC.

CREATE TABLE account (
    -- Never used again for somebody else: mail and caches are kept by it.
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The account's own address as its owner spells it; its normalised form is a row of `address`.
    address    TEXT    NOT NULL,
    enabled    BOOLEAN NOT NULL DEFAULT true,
    created_at INTEGER  NOT NULL
);

CREATE TABLE address (
    -- Local part in lower case, Unicode in form C, domain as A-labels. `@domain` is the domain's catch-all.
    normalised TEXT    NOT NULL CONSTRAINT address_unique PRIMARY KEY,
    -- As its owner spells it.
    address    TEXT    NOT NULL,
    account_id INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE
);
CREATE INDEX address_account ON address (account_id);

CREATE TABLE credential (
    account_id INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    -- Ascending within the account.
    id         INTEGER NOT NULL,
    kind       TEXT    NOT NULL CHECK (kind IN ('password', 'app-password')),
    -- What a password is checked with; never the password itself.
    verifier   TEXT    NOT NULL,
    -- What the owner calls an app password.
    label      TEXT    NOT NULL DEFAULT '',
    -- Grows with each change.
    version    INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX credential_one_password ON credential (account_id) WHERE kind = 'password';

-- Domains that mail is accepted for, beside those in the configuration.
CREATE TABLE domain (
    -- A-labels in lower case.
    name       TEXT    NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL
);
