//! Where flags changed: the list that a look for changes begins with, for both databases.

use mail_types::UidSet;

/// Mod-sequences whose changes stay listed. Whoever was away longer has all of the mailbox looked at; the functions in
/// `migrations/postgres` have the same numbers.
pub(super) const KEPT: i64 = 1024;
/// How often the list is shortened: a prime, so that no regular order of flag changes and other writes misses it.
pub(super) const FORGET_EVERY: i64 = 61;
/// Gaps between changed messages that are not worth another range.
const GAP: u32 = 100;
/// Ranges of one change; more become one.
const RANGES_MAX: usize = 64;

/// What is noted of a change: the same messages, and some between them, in a few ranges.
pub(super) fn noted(changed: &UidSet) -> UidSet {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for (first, last) in changed.ranges() {
        match ranges.last_mut() {
            Some(before) if first - before.1 <= GAP => before.1 = *last,
            _ => ranges.push((*first, *last)),
        }
    }
    if let (Some(first), Some(last)) = (ranges.first(), ranges.last())
        && ranges.len() > RANGES_MAX
    {
        ranges = vec![(first.0, last.1)];
    }
    UidSet::from_ranges(ranges)
}

/// A subquery: what was noted after the mod-sequence `since`, as (first, last), apart from each other. Those that overlap are one,
/// so that each message is looked at once.
pub(super) fn ranges_since(account: &str, mailbox: &str, since: &str) -> String {
    format!(
        "(SELECT min(o.first_uid) AS first, max(o.last_uid) AS last FROM (
            SELECT n.first_uid, n.last_uid, sum(n.apart) OVER (ORDER BY n.first_uid, n.last_uid) AS place FROM (
              SELECT c.first_uid, c.last_uid, CASE WHEN c.first_uid <= max(c.last_uid) OVER (
                  ORDER BY c.first_uid, c.last_uid ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) THEN 0 ELSE 1 END AS apart
                FROM flag_change c
               WHERE c.account_id = {account} AND c.mailbox_id = {mailbox} AND c.modseq > {since}) n) o
          GROUP BY o.place)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_covers_what_changed() {
        let noted = |text: &str| noted(&text.parse().unwrap()).to_string();
        assert_eq!(noted("7"), "7");
        assert_eq!(noted("1:3,5,9,200,300"), "1:9,200:300");
        let scattered: UidSet = UidSet::from_ranges((0..65).map(|i| (1 + i * 1000, 2 + i * 1000)));
        assert_eq!(super::noted(&scattered).to_string(), "1:64002");
        let fewer = UidSet::from_ranges((0..64).map(|i| (1 + i * 1000, 2 + i * 1000)));
        assert_eq!(super::noted(&fewer), fewer);
    }
}
