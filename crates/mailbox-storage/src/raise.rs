//! After a restore to an earlier moment: what clients were told since then must never be told again of something else.

use mail_types::AccountId;

use crate::{Storage, StorageError};

/// Accounts that are looked up at once.
const ACCOUNTS_AT_ONCE: i64 = 1000;

/// What was raised for one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RaisedAccount {
    /// Whose numbers.
    pub account: AccountId,
    /// Mailboxes whose next UID is higher now.
    pub mailboxes: u64,
    /// Mailboxes that had no higher UIDs left and got a new UIDVALIDITY.
    pub renewed: u64,
    /// Messages that clients will ask about again: only their flags, unless the UIDVALIDITY is new.
    pub messages: u64,
}

impl Storage {
    /// Raises UIDs, mod-sequences, UIDVALIDITYs and object ids of every account beyond anything that can have been announced
    /// before the database was set back. One transaction an account, in order of their numbers; `after` skips those that an
    /// earlier call has told of. Doing it twice is harmless. To be run while no other process uses the database: they keep
    /// what they have read.
    ///
    /// # Errors
    /// [`StorageError::Failed`]; the accounts told of until then are done.
    pub async fn raise_numbers(
        &self,
        after: AccountId,
        mut tell: impl FnMut(RaisedAccount),
    ) -> Result<u64, StorageError> {
        let (mut after, mut count) = (after, 0);
        loop {
            let accounts = self.0.db.accounts(after, ACCOUNTS_AT_ONCE).await?;
            let Some(last) = accounts.last().copied() else { return Ok(count) };
            for account in accounts {
                let raised = self.0.db.raise(account).await?;
                count += 1;
                tell(RaisedAccount {
                    account,
                    mailboxes: raised.mailboxes,
                    renewed: raised.renewed,
                    messages: raised.messages,
                });
            }
            after = last;
        }
    }
}
