//! `todoku fsck`: does the mail store keep its own rules?

use anyhow::{Result, bail};
use mailbox_hints::Hints;
use mailbox_storage::Renamed;
use service_runtime::Config;

use crate::local::Local;
use crate::wiring;

/// Checks one account, or all. `repair`: mends names of mailboxes before.
///
/// # Errors
/// When something is wrong with the store, or it cannot be read.
pub(crate) async fn run(config: &Config, address: Option<&str>, repair: bool) -> Result<()> {
    let local = Local::open(config, wiring::hints(config, Hints::none())?).await?;
    let account = match address {
        Some(address) => Some(crate::account::find(&local, address).await?),
        None => None,
    };
    if repair {
        let tell = |Renamed { account, from, to }| println!("account {account}: {from:?} is {to:?} now");
        local.storage.repair_names(account, tell).await?;
    }
    let report = local.storage.fsck(account).await?;
    local.close().await;
    for finding in &report.findings {
        println!("account {}: {}", finding.account, finding.what);
    }
    println!("{} messages compared with their hash, {} findings", report.messages, report.findings.len());
    if !report.findings.is_empty() {
        bail!("the store breaks its own rules; keep a copy of the database and report what stands above");
    }
    Ok(())
}
