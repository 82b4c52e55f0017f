//! Raising every number that may have been announced, for both databases.

/// How far UIDs are raised: more than any mailbox takes between a backup and the moment it is needed, and so little that the
/// numbers last for thousands of restores.
pub(super) const UIDS: i64 = 1 << 20;
/// The largest UIDNEXT that is raised. Above it the mailbox gets a new UIDVALIDITY instead.
pub(super) const UIDNEXT_RAISED_MAX: i64 = u32::MAX as i64 - 2 * UIDS;

/// Accounts after $1, in order.
pub(super) const ACCOUNTS: &str =
    "SELECT account_id FROM account_store WHERE account_id > $1 ORDER BY account_id LIMIT $2";

/// Each with the account as $1, in one transaction, in this order. Mod-sequences rise by 2^32, object ids too, UIDVALIDITYs by 2^16.
///
/// All that is there has changed since any moment that a client may know, and what is gone is to be found by comparing UIDs:
/// the floor is the new mod-sequence, and no tombstone is needed.
pub(super) const RAISE: [&str; 4] = [
    "UPDATE mailbox SET highest_modseq = highest_modseq + 4294967296, tombstone_floor = highest_modseq + 4294967296
      WHERE account_id = $1",
    "UPDATE mailbox_message SET modseq = (SELECT m.highest_modseq FROM mailbox m
        WHERE m.account_id = mailbox_message.account_id AND m.id = mailbox_message.mailbox_id)
      WHERE account_id = $1",
    "DELETE FROM tombstone_run WHERE account_id = $1",
    "UPDATE account_store SET next_uidvalidity = next_uidvalidity + 65536,
        next_mailbox_id = next_mailbox_id + 4294967296, next_message_id = next_message_id + 4294967296
      WHERE account_id = $1",
];
/// Mailboxes whose UIDNEXT is above $2: another UIDVALIDITY, of those that the account has just skipped.
pub(super) const RENEW_UIDVALIDITY: &str =
    "UPDATE mailbox SET uidvalidity = (SELECT a.next_uidvalidity - 1 FROM account_store a WHERE a.account_id = mailbox.account_id)
      WHERE account_id = $1 AND uidnext > $2";
/// The others: UIDs $3 higher.
pub(super) const RAISE_UIDNEXT: &str =
    "UPDATE mailbox SET uidnext = uidnext + $3 WHERE account_id = $1 AND uidnext <= $2";

/// What was raised for one account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Raised {
    /// Mailboxes whose next UID is higher now.
    pub(crate) mailboxes: u64,
    /// Mailboxes with a new UIDVALIDITY.
    pub(crate) renewed: u64,
    /// Messages that count as changed.
    pub(crate) messages: u64,
}

/// Raises one account's numbers on a connection that is in a transaction.
macro_rules! raise_account {
    ($conn:expr, $account:expr) => {{
        let mut raised = Raised::default();
        for (place, sql) in RAISE.into_iter().enumerate() {
            let done = sqlx::query(sql).bind($account).execute(&mut *$conn).await?;
            if place == 1 {
                raised.messages = done.rows_affected();
            }
        }
        let query = sqlx::query(RENEW_UIDVALIDITY).bind($account).bind(UIDNEXT_RAISED_MAX);
        raised.renewed = query.execute(&mut *$conn).await?.rows_affected();
        let query = sqlx::query(RAISE_UIDNEXT).bind($account).bind(UIDNEXT_RAISED_MAX).bind(UIDS);
        raised.mailboxes = query.execute(&mut *$conn).await?.rows_affected();
        raised
    }};
}
pub(super) use raise_account;
