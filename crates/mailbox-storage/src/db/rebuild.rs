//! What is derived from a message's octets, for both databases: the one list of what a rebuild replaces.
//!
//! Insertions have lists of their own (`sqlite/insert.rs`, `mail_add` in the migrations).

use std::sync::Arc;

use mail_types::{AccountId, MessageId};

use super::Prepared;

/// A message to be rebuilt; `None`: its octets are damaged, so what was derived of them is left as it is.
pub(crate) type Rebuild = (AccountId, MessageId, Option<Arc<Prepared>>);

/// Messages that a version below $1 derived.
pub(super) const OUTDATED: &str = "SELECT account_id, id FROM message WHERE derived_version < $1
    ORDER BY derived_version LIMIT $2";

/// Takes a task that nobody has at $4, or keeps it.
pub(super) const LEASE: &str = "INSERT INTO upkeep_lease VALUES ($1, $2, $3) ON CONFLICT (task) DO UPDATE
       SET holder = excluded.holder, until = excluded.until
     WHERE upkeep_lease.holder = excluded.holder OR upkeep_lease.until < $4";

/// Changes nothing where the message is gone or another process was faster.
pub(super) const REBUILD_MESSAGE: &str =
    "UPDATE message SET derived_version = $3, thread_id = $4, sent_day = $5,
       base_subject = $6, envelope = $7, body = $8, bodystructure = $9, parts = $10, preview = $11
     WHERE account_id = $1 AND id = $2 AND derived_version < $3";
pub(super) const REBUILD_TEXT: &str =
    "UPDATE message_text SET text = $3 WHERE account_id = $1 AND message_id = $2";
/// Messages of a version without keys have no row yet.
pub(super) const REBUILD_KEYS: &str = "INSERT INTO message_keys VALUES ($1, $2, $3)
     ON CONFLICT (account_id, message_id) DO UPDATE SET keys = excluded.keys";
/// For damaged octets, so that they are not tried for ever.
pub(super) const REBUILD_NOTHING: &str =
    "UPDATE message SET derived_version = $3 WHERE account_id = $1 AND id = $2 AND derived_version < $3";

/// The accounts of a batch, each once: their texts change, which searches must know.
pub(super) fn accounts_of(batch: &[Rebuild]) -> std::collections::BTreeSet<AccountId> {
    batch.iter().map(|(account, _, _)| *account).collect()
}

/// Rebuilds one message on a connection that is in a transaction. Tells whether it did.
macro_rules! rebuild_one {
    ($conn:expr, $rebuild:expr, $version:expr) => {{
        let (account, id, prepared) = $rebuild;
        let (account, id) = (account.as_i64(), id.as_i64());
        let sql = if prepared.is_some() { REBUILD_MESSAGE } else { REBUILD_NOTHING };
        let mut query = sqlx::query(sql).bind(account).bind(id).bind($version);
        if let Some(prepared) = prepared {
            query = query
                .bind(prepared.thread_id)
                .bind(prepared.sent_day)
                .bind(prepared.base_subject.as_str())
                .bind(prepared.envelope.as_slice())
                .bind(prepared.body.as_slice())
                .bind(prepared.bodystructure.as_slice())
                .bind(prepared.parts.as_slice())
                .bind(prepared.preview.as_str());
        }
        let done = query.execute(&mut *$conn).await?.rows_affected() > 0;
        if let (true, Some(prepared)) = (done, prepared) {
            let query = sqlx::query(REBUILD_TEXT).bind(account).bind(id).bind(prepared.text.as_slice());
            query.execute(&mut *$conn).await?;
            let query = sqlx::query(REBUILD_KEYS).bind(account).bind(id).bind(prepared.keys.as_slice());
            query.execute(&mut *$conn).await?;
            let query = sqlx::query(INSERT_TAIL).bind(account).bind(id).bind($version).bind(SCHEME);
            query.bind(prepared.bits.as_slice()).execute(&mut *$conn).await?;
        }
        done
    }};
}
pub(super) use rebuild_one;
