//! `todoku fsck`: does the mail store keep its own rules?

use anyhow::{Result, bail};
use mailbox_hints::Hints;
use service_runtime::Config;

use crate::local::Local;

/// Checks one account, or all.
///
/// # Errors
/// When something is wrong with the store, or it cannot be read.
pub(crate) async fn run(config: &Config, address: Option<&str>) -> Result<()> {
    let local = Local::open(config, Hints::none()).await?;
    let account = match address {
        Some(address) => Some(crate::account::find(&local, address).await?),
        None => None,
    };
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
