//! The program: command line, wiring of the services, first start, accounts and imports.
//!
//! **Invariant:** no rules about mail live here. A service is started the same way alone and together with the others; what differs
//! is the transport that its clients get.

mod account;
mod acl;
mod all;
mod certs;
pub mod cli;
mod first_start;
mod fsck;
mod health;
mod import;
mod local;
mod restored;
mod services;
mod welcome;
mod wiring;

use anyhow::Result;
use cli::{Cli, Command};
use service_runtime::{Config, Shutdown};

pub use all::{Addresses, Running};
pub use services::start_cluster_service;

/// Starts everything in this process; what the tests do, too. Stops when `shutdown` is triggered.
///
/// # Errors
/// When a listener cannot be bound, or the database cannot be opened.
pub async fn start_all(config: &Config, shutdown: &Shutdown) -> Result<Running> {
    all::start(config, shutdown).await
}

/// Makes the tables of this version, as `todoku migrate` does.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub async fn migrate(config: &Config) -> Result<()> {
    local::migrate(config).await
}

/// Makes an account with its mailboxes, as `todoku account add` does.
///
/// # Errors
/// A bad or taken address, a domain that is not local, a password that is not taken.
pub async fn account_add(config: &Config, address: &str, password: &str) -> Result<()> {
    let local = local::Local::open(config, mailbox_hints::Hints::none()).await?;
    local.account_add(address, password, config.quota.default_bytes.as_u64()).await?;
    local.close().await;
    Ok(())
}

/// Sets the octets that an account's mail may take, as `todoku account quota` does; 0: as many as there are.
///
/// # Errors
/// When there is no such account, or the database cannot be reached.
pub async fn account_quota(config: &Config, address: &str, bytes: u64) -> Result<()> {
    let local = local::Local::open(config, mailbox_hints::Hints::none()).await?;
    account::set_quota(&local, address, Some(bytes), None).await?;
    local.close().await;
    Ok(())
}

/// Does what `todoku acl` does with these words behind it.
///
/// # Errors
/// Words that are no command, and what `todoku acl` fails with.
pub async fn acl(config: &Config, words: &[&str]) -> Result<()> {
    use clap::Parser;
    let cli = Cli::try_parse_from(["todoku", "acl"].iter().chain(words))?;
    match cli.command {
        Some(Command::Acl(command)) => acl::run(config, command).await,
        _ => anyhow::bail!("not a command of `todoku acl`"),
    }
}

/// What a process of its own runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// An IMAP gateway.
    Imap,
    /// A POP3 gateway.
    Pop3,
    /// A delivery gateway.
    Delivery,
    /// The mailbox store.
    Storage,
    /// Who is this?
    Auth,
}

/// Does what the command line says.
///
/// # Errors
/// Everything that ends the program early, with what to do about it.
pub async fn run(cli: Cli) -> Result<()> {
    let config = Config::load(cli.config.as_deref(), cli.data.as_deref())?;
    match cli.command.unwrap_or(Command::All) {
        Command::All => all::run(&config).await,
        Command::Imap => services::run(Service::Imap, &config).await,
        Command::Pop3 => services::run(Service::Pop3, &config).await,
        Command::Delivery => services::run(Service::Delivery, &config).await,
        Command::Storage => services::run(Service::Storage, &config).await,
        Command::Auth => services::run(Service::Auth, &config).await,
        Command::Migrate => local::migrate(&config).await,
        Command::Config => {
            for line in config.explain() {
                println!("{line}");
            }
            Ok(())
        }
        Command::Certs { dir } => certs::run(&dir),
        Command::Fsck { address, repair } => fsck::run(&config, address.as_deref(), repair).await,
        Command::Restored { after } => restored::run(&config, after).await,
        Command::Health => health::run(&config).await,
        Command::Account(command) => account::run(&config, command).await,
        Command::Acl(command) => acl::run(&config, command).await,
        Command::Import { address, format, path } => local::import(&config, &address, format, &path).await,
    }
}
