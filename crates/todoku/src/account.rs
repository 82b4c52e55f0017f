//! `todoku account …`: works on the database, so it works while the server runs and while it does not.

use std::io::{IsTerminal, Write};

use anyhow::{Context, Result, bail};
use mail_rpc::pb;
use mail_rpc::{Refusal, Right};
use mail_types::AccountId;
use mailbox_hints::Hints;
use service_runtime::{ByteSize, Config};

use crate::cli::Account;
use crate::local::Local;
use crate::wiring;

/// Does one command.
///
/// # Errors
/// What is wrong with it, and what to do.
pub(crate) async fn run(config: &Config, command: Account) -> Result<()> {
    let local = Local::open(config, wiring::hints(config, Hints::none())?).await?;
    let result = dispatch(config, &local, command).await;
    local.close().await;
    result
}

async fn dispatch(config: &Config, local: &Local, command: Account) -> Result<()> {
    let admin = local.auth.admin();
    match command {
        Account::Add { address, password_stdin, quota } => {
            add(config, local, &address, password_stdin, quota).await
        }
        Account::List => list(local).await,
        Account::Passwd { address, password_stdin } => {
            let password = Password::get(password_stdin)?;
            admin.set_password(&address, &password.text).await?;
            password.show(&address);
            Ok(())
        }
        Account::Quota { address, size, messages } => quota(local, &address, size, messages).await,
        Account::Alias { address, alias, remove } => self::alias(local, &address, alias, remove).await,
        Account::Disable { address } => {
            admin.disable(&address).await?;
            println!("{address} is disabled: no login, no mail; nothing was deleted");
            Ok(())
        }
        Account::Enable { address } => {
            admin.enable(&address).await?;
            println!("{address} is enabled");
            Ok(())
        }
        Account::Remove { address, yes } => remove(local, &address, yes).await,
    }
}

/// The account of an address.
pub(crate) async fn find(local: &Local, address: &str) -> Result<AccountId> {
    Ok(local.auth.admin().find(address).await?.id)
}

async fn add(
    config: &Config,
    local: &Local,
    address: &str,
    password_stdin: bool,
    quota: Option<ByteSize>,
) -> Result<()> {
    let password = Password::get(password_stdin)?;
    serve_domain(config, local, address).await?;
    let limit = quota.unwrap_or(config.quota.default_bytes).as_u64();
    local.account_add(address, &password.text, limit).await?;
    println!("{address} is there, with its mailboxes");
    password.show(address);
    Ok(())
}

/// An account of a new domain makes it one that mail is accepted for.
async fn serve_domain(config: &Config, local: &Local, address: &str) -> Result<()> {
    let admin = local.auth.admin();
    let Some((_, domain)) = address.rsplit_once('@') else {
        bail!("{address:?} is no address; write it as name@example.org");
    };
    let known = admin.domain_list().await?;
    if config.domains.local.iter().chain(&known).any(|local| local.eq_ignore_ascii_case(domain)) {
        return Ok(());
    }
    admin.domain_add(domain).await?;
    println!("mail for {domain} is accepted from now on");
    Ok(())
}

async fn list(local: &Local) -> Result<()> {
    let admin = local.auth.admin();
    println!("{:<40} {:>10} {:>12} {:>12}  addresses", "account", "messages", "used", "quota");
    for account in admin.account_list().await? {
        let quota = get_quota(local, account.id).await?;
        let limit = if quota.limit_bytes == 0 {
            "-".to_owned()
        } else {
            ByteSize::bytes(quota.limit_bytes).to_string()
        };
        let state = if account.enabled { "" } else { "(disabled) " };
        let aliases = admin.alias_list(&account.address).await?;
        let aliases = aliases.into_iter().map(|alias| alias.address).collect::<Vec<_>>().join(", ");
        println!(
            "{:<40} {:>10} {:>12} {:>12}  {state}{aliases}",
            account.address,
            quota.used_messages,
            ByteSize::bytes(quota.used_bytes).to_string(),
            limit
        );
    }
    Ok(())
}

async fn get_quota(local: &Local, account: AccountId) -> Result<pb::Quota> {
    let grant = local.grant(account, Right::Own);
    Ok(local.mailbox.get_quota(pb::GetQuotaRequest { grant }).await.map_err(Refusal::from)?)
}

async fn quota(local: &Local, address: &str, size: Option<ByteSize>, messages: Option<u64>) -> Result<()> {
    let quota = set_quota(local, address, size.map(|size| size.as_u64()), messages).await?;
    let limit = |limit: u64, text: String| if limit == 0 { "no limit".to_owned() } else { text };
    println!(
        "{address}: {} of {}, {} messages of {}",
        ByteSize::bytes(quota.used_bytes),
        limit(quota.limit_bytes, ByteSize::bytes(quota.limit_bytes).to_string()),
        quota.used_messages,
        limit(quota.limit_messages, quota.limit_messages.to_string())
    );
    Ok(())
}

/// Changes what is given, and tells what is so afterwards.
pub(crate) async fn set_quota(
    local: &Local,
    address: &str,
    bytes: Option<u64>,
    messages: Option<u64>,
) -> Result<pb::Quota> {
    let account = find(local, address).await?;
    let mut quota = get_quota(local, account).await?;
    if bytes.is_some() || messages.is_some() {
        let request = pb::SetQuotaRequest {
            grant: local.grant(account, Right::Admin),
            limit_bytes: bytes.unwrap_or(quota.limit_bytes),
            limit_messages: messages.unwrap_or(quota.limit_messages),
        };
        quota = local.mailbox.set_quota(request).await.map_err(Refusal::from)?;
    }
    Ok(quota)
}

async fn alias(local: &Local, address: &str, alias: Option<String>, remove: bool) -> Result<()> {
    let admin = local.auth.admin();
    match alias {
        None if remove => bail!("say which alias to remove"),
        None => {
            for alias in admin.alias_list(address).await? {
                println!("{}", alias.address);
            }
        }
        Some(alias) if remove => {
            admin.alias_remove(address, &alias).await?;
            println!("{alias} no longer reaches {address}");
        }
        Some(alias) => {
            admin.alias_add(address, &alias).await?;
            println!("{alias} reaches {address}");
        }
    }
    Ok(())
}

async fn remove(local: &Local, address: &str, yes: bool) -> Result<()> {
    let account = find(local, address).await?;
    if !yes {
        if !std::io::stdin().is_terminal() {
            bail!("this deletes {address} with all its mail; say --yes if that is meant");
        }
        print!("Delete {address} with all its mail? Type the address to say yes: ");
        std::io::stdout().flush()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        if answer.trim() != address {
            bail!("nothing was deleted");
        }
    }
    // Disabled first, so that no mail comes in behind the broom; the address last, so that a purge that failed can be repeated.
    let admin = local.auth.admin();
    admin.disable(address).await?;
    let grant = local.grant(account, Right::Admin);
    local.mailbox.purge(pb::PurgeRequest { grant }).await.map_err(Refusal::from)?;
    admin.account_remove(address).await?;
    println!("{address} and its mail are gone");
    Ok(())
}

/// A password that was given, or one that was generated and has to be told.
struct Password {
    text: String,
    generated: bool,
}

impl Password {
    fn get(from_stdin: bool) -> Result<Self> {
        if !from_stdin {
            return Ok(Self { text: auth::generate_password(), generated: true });
        }
        let mut text = String::new();
        std::io::stdin().read_line(&mut text).context("cannot read the password from standard input")?;
        let text = text.trim_end_matches(['\r', '\n']).to_owned();
        if text.is_empty() {
            bail!("standard input holds no password; write it on the first line");
        }
        Ok(Self { text, generated: false })
    }

    fn show(&self, address: &str) {
        if self.generated {
            println!("Password of {address}: {}   (shown only this once)", self.text);
        }
    }
}
