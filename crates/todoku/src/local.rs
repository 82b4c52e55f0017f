//! Storage and auth inside this process: what `todoku all` serves, and what the account commands work on.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use auth::{AuthConfig, AuthService};
use bytes::Bytes;
use mail_rpc::pb;
use mail_rpc::{GrantKey, MailboxClient, Refusal, Right, Transport};
use mail_types::AccountId;
use mailbox_hints::Hints;
use mailbox_storage::{Storage, StorageConfig};
use service_runtime::Config;

use crate::import::{self, Format};
use crate::wiring;

/// How long a command that is done waits for Redis to take its hints.
const HINTS_WAIT: Duration = Duration::from_secs(2);

/// Storage and auth on the configured database.
pub(crate) struct Local {
    pub(crate) storage: Storage,
    pub(crate) auth: AuthService,
    pub(crate) mailbox: MailboxClient,
    key: GrantKey,
    hints: Hints,
}

impl Local {
    /// Opens both. The database has this version's tables afterwards if it is an embedded one.
    pub(crate) async fn open(config: &Config, hints: Hints) -> Result<Self> {
        let key = wiring::own_grant_key(config)?;
        let storage = open_storage(config, key.clone(), hints.clone()).await?;
        let auth = open_auth(config, key.clone()).await?;
        if is_embedded(config) {
            storage.migrate().await.context("cannot make the tables of the mail store")?;
            auth.migrate().await.context("cannot make the tables of the accounts")?;
        }
        let mailbox = MailboxClient::new(Transport::local(storage.server()));
        Ok(Self { storage, auth, mailbox, key, hints })
    }

    /// A grant of our own making: this process has the database, and with it every power.
    pub(crate) fn grant(&self, account: AccountId, right: Right) -> Bytes {
        self.key.issue(account, right).0
    }

    /// Makes the account's mailboxes and sets its quota.
    async fn provision(&self, account: AccountId, limit_bytes: u64) -> Result<()> {
        let grant = self.grant(account, Right::Admin);
        let request = pb::ProvisionRequest { grant, limit_bytes, limit_messages: 0 };
        self.mailbox.provision(request).await.map_err(Refusal::from).context("cannot make the mailboxes")?;
        Ok(())
    }

    /// An account with its mailboxes: both, or neither.
    pub(crate) async fn account_add(
        &self,
        address: &str,
        password: &str,
        limit_bytes: u64,
    ) -> Result<AccountId> {
        let account = self.auth.admin().account_add(address, password).await?;
        if let Err(error) = self.provision(account, limit_bytes).await {
            // Half an account would refuse the next try with "exists already".
            self.auth.admin().account_remove(address).await?;
            return Err(error);
        }
        Ok(account)
    }

    /// Whoever waits for news hears of what was done, if Redis is there.
    pub(crate) async fn close(self) {
        self.hints.flush(HINTS_WAIT).await;
        self.storage.close().await;
    }
}

/// SQLite belongs to this process, so its tables are made at start; PostgreSQL's are made by `todoku migrate`.
fn is_embedded(config: &Config) -> bool {
    config.database.url.expose().starts_with("sqlite:")
}

pub(crate) async fn open_storage(config: &Config, grant_key: GrantKey, hints: Hints) -> Result<Storage> {
    if is_embedded(config) {
        std::fs::create_dir_all(&config.data.dir)
            .with_context(|| format!("[data] dir: cannot make {}", config.data.dir.display()))?;
    }
    let settings = StorageConfig {
        max_connections: config.database.max_connections,
        message_bytes_max: config.limits.message_size_max.as_u64(),
        message_memory_bytes: config.limits.memory_budget.as_u64(),
        ..StorageConfig::new(config.database.url.expose(), grant_key, hints)
    };
    Storage::open(settings).await.context("cannot open the mail store; see [database] url")
}

pub(crate) async fn open_auth(config: &Config, grant_key: GrantKey) -> Result<AuthService> {
    let settings = AuthConfig {
        max_connections: config.database.max_connections,
        local_domains: config.domains.local.clone(),
        ..AuthConfig::new(config.database.url.expose(), grant_key)
    };
    AuthService::open(settings).await.context("cannot open the accounts; see [database] url")
}

/// `todoku migrate`
pub(crate) async fn migrate(config: &Config) -> Result<()> {
    let key = GrantKey::from_secret(&wiring::random_bytes::<32>()?);
    let storage = open_storage(config, key.clone(), Hints::none()).await?;
    storage.migrate().await.context("cannot make the tables of the mail store")?;
    let auth = open_auth(config, key).await?;
    auth.migrate().await.context("cannot make the tables of the accounts")?;
    println!("the database has the tables of this version");
    Ok(())
}

/// `todoku import`
pub(crate) async fn import(config: &Config, address: &str, format: Format, path: &Path) -> Result<()> {
    let local = Local::open(config, wiring::hints(config, Hints::none())?).await?;
    let account = crate::account::find(&local, address).await?;
    let summary = import::run(&local.mailbox, || local.grant(account, Right::Own), format, path).await?;
    println!(
        "{} mails read ({} MiB), {} added, {} were there already, {} not taken",
        summary.read,
        summary.bytes >> 20,
        summary.added,
        summary.read - summary.added - summary.failed,
        summary.failed
    );
    local.close().await;
    Ok(())
}
