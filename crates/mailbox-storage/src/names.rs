//! Names of mailboxes that are not in Unicode Normalization Form C (RFC 9051 §5.1), from before all names were brought to it: they are
//! looked up in that form, so nobody finds them.

use std::sync::Arc;

use mail_types::{AccountId, MailboxId, MailboxName};
use mailbox_hints::Hint;

use crate::error::DbResult;
use crate::tree::{self, TreeChange};
use crate::{Finding, Inner, Storage, StorageError};

/// Accounts that are looked up at once.
const ACCOUNTS_AT_ONCE: i64 = 1000;

/// A mailbox that has another name now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// Whose.
    pub account: AccountId,
    /// The name that it had.
    pub from: String,
    /// The one that it has.
    pub to: String,
}

impl Storage {
    /// Renames mailboxes of one account, or of all, that cannot be opened by the name that they have. One transaction an account.
    ///
    /// # Errors
    /// [`StorageError::Failed`]; what was told of until then is done.
    pub async fn repair_names(
        &self,
        account: Option<AccountId>,
        mut tell: impl FnMut(Renamed),
    ) -> Result<(), StorageError> {
        each(&self.0, account, async |account| {
            let Some(tree) = self.0.db.tree(account).await? else { return Ok(()) };
            let Some(changes) = self.0.db.tree_change(account, Arc::new(tree::normalize)).await? else {
                return Ok(());
            };
            if !changes.is_empty() {
                let list = MailboxId::new(0);
                let hint = Hint { account, mailbox: list, modseq: Default::default(), trace: None };
                self.0.config.hints.publish([hint]);
            }
            for change in changes {
                let TreeChange::Rename { id, name: to, .. } = change else { continue };
                let old = tree.mailboxes.iter().find(|row| row.id == id);
                let from = old.map_or_else(String::new, |row| row.name.clone());
                tell(Renamed { account, from, to });
            }
            Ok(())
        })
        .await
    }
}

/// What is wrong with the names of one account, or of all.
///
/// # Errors
/// Those of the database.
pub(crate) async fn audit(inner: &Inner, account: Option<AccountId>) -> Result<Vec<Finding>, StorageError> {
    let mut findings = Vec::new();
    each(inner, account, async |account| {
        let Some(tree) = inner.db.tree(account).await? else { return Ok(()) };
        let boxes = tree.mailboxes.iter().map(|row| (format!("mailbox {}", row.id), &row.name));
        let ghosts = tree.ghosts.iter().map(|name| ("a subscription".to_owned(), name));
        let found = boxes.chain(ghosts).filter_map(|(what, name)| Some(format!("{what}: {}", wrong(name)?)));
        findings.extend(found.map(|what| Finding { account, what }));
        Ok(())
    })
    .await?;
    Ok(findings)
}

/// Why nobody finds a mailbox by its name.
fn wrong(name: &str) -> Option<String> {
    match MailboxName::try_from(name) {
        Ok(normal) if normal.as_str() == name => None,
        Ok(normal) => Some(format!(
            "its name {name:?} is not in the form in which names are looked up, {:?}, so that nobody finds it; \
             `todoku fsck --repair` renames it",
            normal.as_str()
        )),
        Err(error) => Some(format!("its name {name:?} cannot be one: {error}")),
    }
}

async fn each(
    inner: &Inner,
    account: Option<AccountId>,
    mut act: impl AsyncFnMut(AccountId) -> DbResult<()>,
) -> Result<(), StorageError> {
    if let Some(account) = account {
        return Ok(act(account).await?);
    }
    let mut after = AccountId::new(0);
    loop {
        let accounts = inner.db.accounts(after, ACCOUNTS_AT_ONCE).await?;
        let Some(last) = accounts.last().copied() else { return Ok(()) };
        for account in accounts {
            act(account).await?;
        }
        after = last;
    }
}
