//! Keywords become bits before a write begins.
//!
//! A keyword keeps its bit for ever, so its place in the mailbox's table may be taken in a transaction of its own: if the write
//! then fails, the mailbox knows one keyword more and nothing else.

use std::sync::Arc;

use mail_rpc::{Refusal, pb};
use mail_types::{AccountId, FlagBits, Keyword, KeywordTable, MailboxId};
use quick_cache::sync::Cache;
use tonic::Status;

use crate::Inner;
use crate::db::Which;

/// Mailboxes whose table is remembered; a place once taken stays, so what is remembered is never wrong, only incomplete.
const TABLES_MAX: usize = 10_000;
/// Rounds against others who take places at the same time.
const ATTEMPTS: u32 = 16;

pub(crate) struct Keywords(Cache<(AccountId, MailboxId), Arc<KeywordTable>>);

impl Keywords {
    pub(crate) fn new() -> Self {
        Self(Cache::new(TABLES_MAX))
    }

    /// Forgets an account.
    pub(crate) fn forget(&self, account: AccountId) {
        self.0.retain(|(other, _), _| *other != account);
    }
}

/// What to do about a keyword that the mailbox does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Give it a place.
    Intern,
    /// Leave it out: it is to be removed, and nothing has it.
    LeaveOut,
}

/// Only system flags, whatever else is in the number.
pub(crate) fn system_bits(flags: &pb::FlagSet) -> FlagBits {
    FlagBits::from_bits(u64::from(flags.system & 0x1f))
}

/// The bits of these flags in this mailbox.
///
/// # Errors
/// INVALID_ARGUMENT for what is no keyword, OUT_OF_RANGE when the table is full, NOT_FOUND without a mailbox.
pub(crate) async fn flag_bits(
    inner: &Inner,
    account: AccountId,
    mailbox: MailboxId,
    flags: &pb::FlagSet,
    unknown: Unknown,
) -> Result<FlagBits, Status> {
    let system = system_bits(flags);
    if flags.keywords.is_empty() {
        return Ok(system);
    }
    let mut wanted = Vec::with_capacity(flags.keywords.len());
    for keyword in &flags.keywords {
        wanted
            .push(Keyword::try_from(keyword.as_str()).map_err(|error| Refusal::Invalid(error.to_string()))?);
    }
    intern(inner, account, mailbox, &wanted, unknown).await.map(|bits| bits.with(system))
}

async fn intern(
    inner: &Inner,
    account: AccountId,
    mailbox: MailboxId,
    wanted: &[Keyword],
    unknown: Unknown,
) -> Result<FlagBits, Status> {
    let key = (account, mailbox);
    if let Some(table) = inner.keywords.0.get(&key)
        && let Some(bits) = all_known(&table, wanted)
    {
        return Ok(bits);
    }
    for _ in 0..ATTEMPTS {
        let row = inner.db.mailbox(account, Which::Id(mailbox)).await?;
        let row = row.ok_or_else(|| Refusal::NotFound("the mailbox was deleted".into()))?;
        let mut table = row.keyword_table();
        let mut bits = FlagBits::NONE;
        for keyword in wanted {
            bits = bits.with(match unknown {
                Unknown::LeaveOut => table.find(keyword.as_str()).unwrap_or_default(),
                Unknown::Intern => {
                    table.intern(keyword).map_err(|error| Refusal::Limit(error.to_string()))?
                }
            });
        }
        let new = table.to_stored();
        if new == row.keywords || inner.db.mailbox_keywords(account, mailbox, &row.keywords, &new).await? {
            inner.keywords.0.insert(key, Arc::new(table));
            return Ok(bits);
        }
    }
    Err(Refusal::Unavailable("too many new keywords at once; try again".into()).into())
}

fn all_known(table: &KeywordTable, wanted: &[Keyword]) -> Option<FlagBits> {
    wanted.iter().try_fold(FlagBits::NONE, |bits, keyword| Some(bits.with(table.find(keyword.as_str())?)))
}

/// What the source's keyword bits are in the destination, of those that `used` has; new ones get a place.
///
/// # Errors
/// As [`flag_bits`].
pub(crate) async fn flag_map(
    inner: &Inner,
    account: AccountId,
    source: &KeywordTable,
    used: FlagBits,
    destination: MailboxId,
) -> Result<Vec<(FlagBits, FlagBits)>, Status> {
    let mut map = Vec::new();
    for index in used.keyword_indexes() {
        let keyword = source.name(index).and_then(|name| Keyword::try_from(name).ok());
        let bits = match keyword {
            Some(keyword) => intern(inner, account, destination, &[keyword], Unknown::Intern).await?,
            None => FlagBits::NONE,
        };
        map.push((FlagBits::keyword(index), bits));
    }
    Ok(map)
}
