//! Does the database hold what it must hold? Used by tests after every chaos and by `todoku fsck`.

use mail_types::{AccountId, MessageId};

use crate::db::HashRow;
use crate::prepare::unpack_chunk;
use crate::{Inner, Storage, StorageError};

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whose mail.
    pub account: AccountId,
    /// What is wrong.
    pub what: String,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Empty when all is well.
    pub findings: Vec<Finding>,
    /// Messages whose octets were read and compared with their hash.
    pub messages: u64,
}

/// Each names what is wrong as (account, text); `$1` is the account or 0 for all.
const AUDIT: [&str; 13] = [
    "SELECT m.account_id, 'mailbox ' || m.id || ': a UID at or above UIDNEXT, or a mod-sequence above the highest'
       FROM mailbox m WHERE ($1 = 0 OR m.account_id = $1) AND (
         EXISTS (SELECT 1 FROM mailbox_message r WHERE r.account_id = m.account_id AND r.mailbox_id = m.id
           AND (r.uid >= m.uidnext OR r.modseq > m.highest_modseq))
         OR EXISTS (SELECT 1 FROM tombstone_run r WHERE r.account_id = m.account_id AND r.mailbox_id = m.id
           AND (r.last_uid >= m.uidnext OR r.modseq > m.highest_modseq)))",
    "SELECT d.account_id, 'mailbox ' || d.mailbox_id || ': UID ' || d.uid || ' is there and expunged'
       FROM (SELECT t.account_id, t.mailbox_id, (SELECT min(r.uid) FROM mailbox_message r
               WHERE r.account_id = t.account_id AND r.mailbox_id = t.mailbox_id
                 AND r.uid BETWEEN t.first_uid AND t.last_uid) AS uid
               FROM tombstone_run t WHERE $1 = 0 OR t.account_id = $1) d
      WHERE d.uid IS NOT NULL",
    "SELECT t.account_id, 'mailbox ' || t.mailbox_id || ': UID ' || t.first_uid || ' was expunged twice'
       FROM (SELECT account_id, mailbox_id, first_uid, max(last_uid) OVER (PARTITION BY account_id, mailbox_id
                 ORDER BY first_uid, last_uid ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
               FROM tombstone_run WHERE $1 = 0 OR account_id = $1) t
      WHERE t.first_uid <= t.before",
    "SELECT r.account_id, 'mailbox ' || r.mailbox_id || ': a change of UID ' || r.uid || ' will not be found'
       FROM (SELECT account_id, mailbox_id, uid, modseq, min(modseq) OVER (PARTITION BY account_id, mailbox_id
                 ORDER BY uid DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS above
               FROM mailbox_message WHERE $1 = 0 OR account_id = $1) r
       JOIN mailbox m ON m.account_id = r.account_id AND m.id = r.mailbox_id
      WHERE r.above < r.modseq AND r.modseq > m.flag_changes_from
        AND NOT EXISTS (SELECT 1 FROM flag_change c WHERE c.account_id = r.account_id AND c.mailbox_id = r.mailbox_id
          AND c.modseq = r.modseq AND r.uid BETWEEN c.first_uid AND c.last_uid)",
    "SELECT m.account_id, 'mailbox ' || m.id || ': counters differ from its messages'
       FROM mailbox m LEFT JOIN (
         SELECT account_id, mailbox_id, count(*) AS messages, sum(1 - (flags & 1)) AS unseen,
                sum((flags >> 3) & 1) AS deleted, sum(size) AS bytes
           FROM mailbox_message GROUP BY account_id, mailbox_id) r
         ON r.account_id = m.account_id AND r.mailbox_id = m.id
      WHERE ($1 = 0 OR m.account_id = $1) AND (m.messages <> coalesce(r.messages, 0)
         OR m.unseen <> coalesce(r.unseen, 0) OR m.deleted <> coalesce(r.deleted, 0)
         OR m.bytes <> coalesce(r.bytes, 0))",
    "SELECT m.account_id, 'mailbox ' || m.id || ': the counter of recent messages is wrong'
       FROM mailbox m WHERE ($1 = 0 OR m.account_id = $1) AND m.recent <> (
         SELECT count(*) FROM mailbox_message r
          WHERE r.account_id = m.account_id AND r.mailbox_id = m.id AND r.uid >= m.recent_from)",
    "SELECT a.account_id, 'the quota in use differs from the sum of its messages'
       FROM account_store a LEFT JOIN (
         SELECT account_id, count(*) AS messages, sum(size) AS bytes FROM mailbox_message GROUP BY account_id) r
         ON r.account_id = a.account_id
      WHERE ($1 = 0 OR a.account_id = $1)
        AND (a.used_messages <> coalesce(r.messages, 0) OR a.used_bytes <> coalesce(r.bytes, 0))",
    "SELECT s.account_id, 'mailbox ' || s.mailbox_id || ': a reader has seen UID ' || s.uid || ', which is not there'
       FROM reader_seen s LEFT JOIN mailbox_message r
         ON r.account_id = s.account_id AND r.mailbox_id = s.mailbox_id AND r.uid = s.uid
      WHERE ($1 = 0 OR s.account_id = $1) AND r.uid IS NULL",
    "SELECT a.account_id, 'mailbox ' || a.mailbox_id || ' is shared and is not there'
       FROM acl a LEFT JOIN mailbox m ON m.account_id = a.account_id AND m.id = a.mailbox_id
      WHERE ($1 = 0 OR a.account_id = $1) AND m.id IS NULL",
    "SELECT r.account_id, 'mailbox ' || r.mailbox_id || ': UID ' || r.uid || ' has no message, no mailbox or another size'
       FROM mailbox_message r LEFT JOIN message x ON x.account_id = r.account_id AND x.id = r.message_id
       LEFT JOIN mailbox m ON m.account_id = r.account_id AND m.id = r.mailbox_id
      WHERE ($1 = 0 OR r.account_id = $1) AND (x.id IS NULL OR m.id IS NULL OR x.size <> r.size)",
    "SELECT x.account_id, 'message ' || x.id || ': its content or search text is not whole'
       FROM message x LEFT JOIN (SELECT account_id, message_id, sum(raw_len) AS bytes, count(*) AS chunks,
           max(chunk_no) + 1 AS numbered FROM content GROUP BY account_id, message_id) c
         ON c.account_id = x.account_id AND c.message_id = x.id
       LEFT JOIN message_text t ON t.account_id = x.account_id AND t.message_id = x.id
      WHERE ($1 = 0 OR x.account_id = $1) AND (x.size <> coalesce(c.bytes, 0)
        OR coalesce(c.chunks, 0) <> coalesce(c.numbered, 0) OR t.message_id IS NULL)",
    "SELECT k.account_id, 'message ' || k.message_id || ': its keys are there without it'
       FROM message_keys k LEFT JOIN message x ON x.account_id = k.account_id AND x.id = k.message_id
      WHERE ($1 = 0 OR k.account_id = $1) AND x.id IS NULL",
    "SELECT x.account_id, 'message ' || x.id || ': nobody refers to it and no sweep will look at it'
       FROM message x
      WHERE ($1 = 0 OR x.account_id = $1)
        AND NOT EXISTS (SELECT 1 FROM mailbox_message r WHERE r.account_id = x.account_id AND r.message_id = x.id AND r.message_id > 0)
        AND NOT EXISTS (SELECT 1 FROM garbage g WHERE g.account_id = x.account_id AND g.message_id = x.id)",
];

/// Messages whose content is checked at once.
const CONTENT_BATCH: i64 = 100;

impl Storage {
    /// Checks the tables against each other, every message's octets against their hash, and that the search index has every
    /// message and finds one of each hundred. While others write, a check of
    /// one account may name what is only in the making; repeat it.
    ///
    /// # Errors
    /// [`StorageError::Failed`] when a query fails.
    pub async fn fsck(&self, account: Option<AccountId>) -> Result<Report, StorageError> {
        let db = &self.0.db;
        let only = account.map_or(0, AccountId::as_i64);
        let mut report = Report::default();
        for query in AUDIT {
            for (account, what) in db.audit(query, only).await? {
                report.findings.push(finding(account, what));
            }
        }
        report.findings.extend(crate::names::audit(&self.0, account).await?);
        let mut after = (0, 0);
        loop {
            let page = db.hashes(only, after, CONTENT_BATCH).await?;
            let Some(last) = page.last() else { return Ok(report) };
            after = (last.account.as_i64(), last.id.as_i64());
            for messages in page.chunk_by(|one, next| one.account == next.account) {
                let account = messages[0].account;
                for what in self.check_index(account, messages).await? {
                    report.findings.push(Finding { account, what });
                }
            }
            for HashRow { account, id, hash, .. } in page {
                report.messages += 1;
                if let Some(what) = self.check_content(account, id, &hash).await? {
                    report.findings.push(Finding { account, what });
                }
            }
        }
    }

    async fn check_index(
        &self,
        account: AccountId,
        messages: &[HashRow],
    ) -> Result<Vec<String>, StorageError> {
        let messages: Vec<_> = messages.iter().map(|row| (row.id, row.version)).collect();
        let Inner { db, index, .. } = &*self.0;
        let findings = index.audit(&**db, account, &messages).await?;
        if findings.is_empty() {
            return Ok(findings);
        }
        // A merge may have moved it between two looks.
        Ok(index.audit(&**db, account, &messages).await?)
    }

    async fn check_content(
        &self,
        account: AccountId,
        id: MessageId,
        hash: &[u8],
    ) -> Result<Option<String>, StorageError> {
        let mut hasher = blake3::Hasher::new();
        for no in 0.. {
            let rows = self.0.db.content_read(account, &[(id, no, no)]).await?;
            let Some(row) = rows.into_iter().next() else { break };
            match unpack_chunk(row.data, row.raw_len as usize) {
                Ok(raw) => hasher.update(&raw),
                Err(error) => return Ok(Some(format!("message {id}: chunk {no} is damaged: {error}"))),
            };
        }
        let same = hasher.finalize().as_bytes() == hash;
        Ok((!same).then(|| format!("message {id}: its octets are not those that were stored")))
    }
}

fn finding(account: i64, what: String) -> Finding {
    Finding { account: AccountId::try_from(account).unwrap_or_default(), what }
}
