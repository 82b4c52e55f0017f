-- What changed is kept by command, not by message: an index entry and a tombstone of each message were most of what a STORE or an
-- EXPUNGE of many messages cost.
--
-- What changed after mod-sequence S are, of the messages whose own mod-sequence is above S: those above the last UID whose
-- mod-sequence is S or below, since UIDs and mod-sequences are given out in the same order; and those in flag_change after S.

DROP INDEX mailbox_message_by_modseq;

-- Where flags changed: ranges of UIDs, with unchanged ones and gaps between them where that makes them fewer. Only where to look:
-- the messages tell whether they changed, and if nothing is here, all of the mailbox is looked at.
CREATE TABLE flag_change (
    account_id INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL,
    modseq     INTEGER NOT NULL,
    first_uid  INTEGER NOT NULL,
    last_uid   INTEGER NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, modseq, first_uid)
) STRICT, WITHOUT ROWID;
-- Changes after this mod-sequence are in flag_change.
ALTER TABLE mailbox ADD COLUMN flag_changes_from INTEGER NOT NULL DEFAULT 0;
UPDATE mailbox SET flag_changes_from = highest_modseq;

-- Expunged UIDs (RFC 7162 §3.2.10) in runs.
CREATE TABLE tombstone_run (
    account_id  INTEGER NOT NULL,
    mailbox_id  INTEGER NOT NULL,
    modseq      INTEGER NOT NULL,
    first_uid   INTEGER NOT NULL,
    last_uid    INTEGER NOT NULL,
    expunged_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, modseq, first_uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstone_run_by_age ON tombstone_run (expunged_at);
INSERT INTO tombstone_run
SELECT account_id, mailbox_id, modseq, min(uid), max(uid), unixepoch()
  FROM (SELECT *, uid - row_number() OVER (PARTITION BY account_id, mailbox_id, modseq ORDER BY uid) AS run FROM tombstone)
 GROUP BY account_id, mailbox_id, modseq, run;
DROP TABLE tombstone;
