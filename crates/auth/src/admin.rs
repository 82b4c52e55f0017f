//! What an administrator does to accounts. The command line uses it; there is no rpc for it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use mail_types::AccountId;

use crate::address::{self, Address, AddressError};
use crate::db::{Account, Db, DbError, Kind, NewAccount};
use crate::hashing::Hashing;
use crate::password::{self, PasswordError};

/// Longest name of an app password, in octets.
const LABEL_BYTES_MAX: usize = 100;

/// Why a change was not made. The texts are for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Not an address.
    #[error("{0:?}: {1}")]
    Address(String, AddressError),
    /// No account has this address.
    #[error("there is no account {0:?}")]
    NoAccount(String),
    /// The domain is not ours.
    #[error(
        "the domain {0} is not local; add it to [domains] local in the configuration, or to the database with `domain add`"
    )]
    NotLocal(String),
    /// Somebody has it.
    #[error("{0:?} is taken already")]
    Taken(String),
    /// Not an address of this account, or not one that can be removed.
    #[error("{0:?} is not an alias of this account")]
    NoAlias(String),
    /// Not an app password of this account.
    #[error("the account has no app password number {0}")]
    NoAppPassword(i64),
    /// The name of an app password.
    #[error("the name of an app password has 1 to {LABEL_BYTES_MAX} octets and no control characters")]
    Label,
    /// No such domain in the database; the configuration may have it.
    #[error("the domain {0} is not in the database")]
    NoDomain(String),
    /// The password is not taken.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The database is away, or at fault.
    #[error("{0}")]
    Database(String),
}

impl From<DbError> for AdminError {
    fn from(error: DbError) -> Self {
        Self::Database(error.to_string())
    }
}

/// Another address of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// As its owner spells it; `@domain` is a catch-all.
    pub address: String,
}

/// A generated password for one device; the password itself is shown once, when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppPassword {
    /// Its number within the account.
    pub id: i64,
    /// What the owner calls it.
    pub label: String,
}

/// Changes accounts. Each change takes effect at once, in every process.
#[derive(Clone)]
pub struct Admin {
    db: Arc<dyn Db>,
    hashing: Arc<Hashing>,
    local_domains: HashSet<String>,
}

impl Admin {
    pub(crate) fn new(db: Arc<dyn Db>, hashing: Arc<Hashing>, local_domains: HashSet<String>) -> Self {
        Self { db, hashing, local_domains }
    }

    /// Makes an account. Its store is made by storage's Provision.
    ///
    /// # Errors
    /// A bad or taken address, a domain that is not local, a password that is not taken.
    pub async fn account_add(&self, address: &str, password: &str) -> Result<AccountId, AdminError> {
        let parsed = parse(address)?;
        self.demand_local(parsed.domain()).await?;
        let verifier = self.hash(password, parsed.spelling()).await?;
        let account = NewAccount {
            normalised: &parsed.normalised(),
            address: parsed.spelling(),
            verifier: &verifier,
            now: now(),
        };
        self.db.account_add(account).await.map_err(|error| taken(error, address))
    }

    /// All accounts, by address.
    ///
    /// # Errors
    /// [`AdminError::Database`].
    pub async fn account_list(&self) -> Result<Vec<Account>, AdminError> {
        Ok(self.db.account_list().await?)
    }

    /// The account of an address or alias.
    ///
    /// # Errors
    /// [`AdminError::NoAccount`] and a bad address.
    pub async fn find(&self, address: &str) -> Result<Account, AdminError> {
        let normalised = parse(address)?.normalised();
        let found = self.db.login(&normalised).await?;
        found.map(|(account, _)| account).ok_or_else(|| AdminError::NoAccount(address.to_owned()))
    }

    /// Removes the account, its addresses and passwords. Its mail is removed by storage's Purge, before this.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub async fn account_remove(&self, address: &str) -> Result<AccountId, AdminError> {
        let account = self.find(address).await?;
        self.db.account_remove(account.id).await?;
        Ok(account.id)
    }

    /// Changes the account's password; app passwords stay.
    ///
    /// # Errors
    /// As [`Self::find`], and a password that is not taken.
    pub async fn set_password(&self, address: &str, password: &str) -> Result<(), AdminError> {
        let account = self.find(address).await?;
        let verifier = self.hash(password, &account.address).await?;
        Ok(self.db.password_set(account.id, &verifier, now()).await?)
    }

    /// Lets the owner log in and mail come in.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub async fn enable(&self, address: &str) -> Result<(), AdminError> {
        let account = self.find(address).await?;
        self.db.account_enable(account.id, true).await?;
        Ok(())
    }

    /// Refuses logins and mail at once; sessions end when their grant does. What is there stays.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub async fn disable(&self, address: &str) -> Result<(), AdminError> {
        let account = self.find(address).await?;
        self.db.account_enable(account.id, false).await?;
        Ok(())
    }

    /// Gives the account another address; `@domain` is all addresses of the domain that nobody else has.
    ///
    /// # Errors
    /// As [`Self::account_add`].
    pub async fn alias_add(&self, account: &str, alias: &str) -> Result<(), AdminError> {
        let account = self.find(account).await?;
        let (normalised, spelling, domain) = parse_alias(alias)?;
        self.demand_local(&domain).await?;
        let added = self.db.address_add(account.id, &normalised, &spelling).await;
        added.map_err(|error| taken(error, alias))
    }

    /// Takes an alias away; the account's own address stays.
    ///
    /// # Errors
    /// [`AdminError::NoAlias`], and as [`Self::find`].
    pub async fn alias_remove(&self, account: &str, alias: &str) -> Result<(), AdminError> {
        let account = self.find(account).await?;
        let (normalised, ..) = parse_alias(alias)?;
        let own = parse(&account.address)?.normalised();
        if normalised != own && self.db.address_remove(account.id, &normalised).await? {
            Ok(())
        } else {
            Err(AdminError::NoAlias(alias.to_owned()))
        }
    }

    /// The account's other addresses.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub async fn alias_list(&self, account: &str) -> Result<Vec<Alias>, AdminError> {
        let account = self.find(account).await?;
        let own = parse(&account.address)?.normalised();
        let addresses = self.db.address_list(account.id).await?;
        let aliases = addresses.into_iter().filter(|(normalised, _)| *normalised != own);
        Ok(aliases.map(|(_, address)| Alias { address }).collect())
    }

    /// Makes a password for one device, shown this once. It works beside the account's own.
    ///
    /// # Errors
    /// [`AdminError::Label`], and as [`Self::find`].
    pub async fn app_password_add(
        &self,
        account: &str,
        label: &str,
    ) -> Result<(AppPassword, String), AdminError> {
        if label.is_empty() || label.len() > LABEL_BYTES_MAX || label.contains(char::is_control) {
            return Err(AdminError::Label);
        }
        let account = self.find(account).await?;
        let password = password::generate_password();
        let verifier = password::hash_generated(&password);
        let id = self.db.app_password_add(account.id, &verifier, label, now()).await?;
        Ok((AppPassword { id, label: label.to_owned() }, password))
    }

    /// The account's app passwords.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub async fn app_password_list(&self, account: &str) -> Result<Vec<AppPassword>, AdminError> {
        let normalised = parse(account)?.normalised();
        let found = self.db.login(&normalised).await?;
        let (_, credentials) = found.ok_or_else(|| AdminError::NoAccount(account.to_owned()))?;
        let apps = credentials.into_iter().filter(|credential| credential.kind == Kind::AppPassword);
        Ok(apps.map(|credential| AppPassword { id: credential.id, label: credential.label }).collect())
    }

    /// Takes an app password away.
    ///
    /// # Errors
    /// [`AdminError::NoAppPassword`], and as [`Self::find`].
    pub async fn app_password_remove(&self, account: &str, id: i64) -> Result<(), AdminError> {
        let account = self.find(account).await?;
        let removed = self.db.app_password_remove(account.id, id).await?;
        if removed { Ok(()) } else { Err(AdminError::NoAppPassword(id)) }
    }

    /// Accepts mail for another domain.
    ///
    /// # Errors
    /// A bad domain name, and [`AdminError::Taken`] when it is local already.
    pub async fn domain_add(&self, domain: &str) -> Result<(), AdminError> {
        let name = parse_domain(domain)?;
        if self.local_domains.contains(&name) {
            return Err(AdminError::Taken(name));
        }
        self.db.domain_add(&name, now()).await.map_err(|error| taken(error, domain))
    }

    /// No longer accepts mail for a domain that was added; its addresses stay for when it comes back.
    ///
    /// # Errors
    /// A bad domain name, and [`AdminError::NoDomain`].
    pub async fn domain_remove(&self, domain: &str) -> Result<(), AdminError> {
        let name = parse_domain(domain)?;
        if self.db.domain_remove(&name).await? { Ok(()) } else { Err(AdminError::NoDomain(name)) }
    }

    /// All local domains, those of the configuration too, as A-labels.
    ///
    /// # Errors
    /// [`AdminError::Database`].
    pub async fn domain_list(&self) -> Result<Vec<String>, AdminError> {
        let mut domains = self.db.domain_list().await?;
        domains.extend(self.local_domains.iter().cloned());
        domains.sort_unstable();
        domains.dedup();
        Ok(domains)
    }

    async fn demand_local(&self, domain: &str) -> Result<(), AdminError> {
        if self.local_domains.contains(domain)
            || self.db.domain_list().await?.iter().any(|name| name == domain)
        {
            Ok(())
        } else {
            Err(AdminError::NotLocal(domain.to_owned()))
        }
    }

    async fn hash(&self, password: &str, address: &str) -> Result<String, AdminError> {
        password::judge(password, address)?;
        let password = password.to_owned();
        let hashed = self.hashing.run(move || password::hash(&password)).await;
        hashed.map_err(|_| AdminError::Database("too many logins wait to be checked; try again".to_owned()))
    }
}

fn parse(address: &str) -> Result<Address, AdminError> {
    Address::parse(address).map_err(|error| AdminError::Address(address.to_owned(), error))
}

fn parse_domain(domain: &str) -> Result<String, AdminError> {
    address::normalise_domain(domain).map_err(|error| AdminError::Address(domain.to_owned(), error))
}

/// Normalised form, spelling and domain.
fn parse_alias(alias: &str) -> Result<(String, String, String), AdminError> {
    match alias.strip_prefix('@') {
        Some(domain) => {
            let name = parse_domain(domain)?;
            Ok((address::catch_all(&name), alias.to_owned(), name))
        }
        None => {
            let address = parse(alias)?;
            Ok((address.normalised(), address.spelling().to_owned(), address.domain().to_owned()))
        }
    }
}

fn taken(error: DbError, what: &str) -> AdminError {
    match error {
        DbError::Taken => AdminError::Taken(what.to_owned()),
        other => other.into(),
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
