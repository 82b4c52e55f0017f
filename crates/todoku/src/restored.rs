//! `todoku restored`: the database was set back, and mail programs have seen what it has forgotten.

use anyhow::{Context, Result};
use mail_types::AccountId;
use mailbox_hints::Hints;
use service_runtime::Config;

use crate::local::Local;

/// Raises the numbers of all accounts after this one, and tells of each.
///
/// # Errors
/// When the database does not do it; the accounts told of are done.
pub(crate) async fn run(config: &Config, after: u64) -> Result<()> {
    let local = Local::open(config, Hints::none()).await?;
    let mut last = after;
    let tell = |raised: mailbox_storage::RaisedAccount| {
        last = raised.account.get();
        println!(
            "account {last}: {} mailboxes with higher UIDs, {} with a new UIDVALIDITY, {} messages",
            raised.mailboxes, raised.renewed, raised.messages
        );
    };
    let done = local.storage.raise_numbers(AccountId::new(after), tell).await;
    local.close().await;
    let accounts =
        done.with_context(|| format!("not finished; go on with: todoku restored --after {last}"))?;
    println!("{accounts} accounts; services may be started");
    Ok(())
}
