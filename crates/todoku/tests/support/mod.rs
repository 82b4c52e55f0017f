//! What fault tests are made of: processes to kill, clients that keep a ledger, and the reckoning.

pub(crate) mod append;
pub(crate) mod database;
pub(crate) mod imap;
pub(crate) mod ledger;
pub(crate) mod lmtp;
pub(crate) mod pop3;
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod redis;
pub(crate) mod site;

/// The domain of the accounts.
pub(crate) const DOMAIN: &str = "test.example";

/// The password of every account.
pub(crate) const PASSWORD: &str = "correct-horse-battery";
