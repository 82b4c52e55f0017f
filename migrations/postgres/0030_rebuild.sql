-- Finds what an older version derived, to derive it again.
CREATE INDEX message_by_version ON message (derived_version);

-- Which process does a task of upkeep that one is enough for.
CREATE TABLE upkeep_lease (
    task   text   NOT NULL PRIMARY KEY,
    -- A random number of the process.
    holder bigint NOT NULL,
    -- Until then, in seconds since 1970 UTC, nobody else does it.
    until  bigint NOT NULL
);
