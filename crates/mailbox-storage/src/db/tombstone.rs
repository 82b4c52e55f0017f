//! Runs of expunged UIDs, for both databases.

use mail_types::UidSet;

use super::{DbResult, damaged};

/// Mailboxes with runs that are to go, and up to which mod-sequence: those of before `$1`, and all but the newest `$2` of a mailbox.
pub(super) const DOOMED: &str = "
    SELECT account_id, mailbox_id, max(modseq) FROM (
      SELECT account_id, mailbox_id, max(modseq) AS modseq FROM tombstone_run WHERE expunged_at < $1
       GROUP BY account_id, mailbox_id
      UNION ALL
      SELECT c.account_id, c.mailbox_id, (
          SELECT t.modseq FROM tombstone_run t WHERE t.account_id = c.account_id AND t.mailbox_id = c.mailbox_id
           ORDER BY t.modseq DESC, t.first_uid DESC LIMIT 1 OFFSET $2)
        FROM (SELECT account_id, mailbox_id FROM tombstone_run GROUP BY account_id, mailbox_id HAVING count(*) > $2) c) both_kinds
     GROUP BY account_id, mailbox_id";

/// Of both ends of each run.
pub(super) fn uid_runs(runs: impl IntoIterator<Item = (i64, i64)>) -> DbResult<UidSet> {
    let mut ranges = Vec::new();
    for (first, last) in runs {
        ranges.push((u32::try_from(first).map_err(damaged)?, u32::try_from(last).map_err(damaged)?));
    }
    Ok(UidSet::from_ranges(ranges))
}
