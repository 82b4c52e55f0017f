//! Who is this, and whose address is that: the service of `auth.proto`, and the accounts behind it.
//!
//! **Invariants:** a wrong password, an unknown user and a user without a password look the same and take the same time.
//! The database is asked at every login: a changed password or a disabled account takes effect at once, in every
//! process. Passwords and their verifiers never reach a log.

mod address;
mod admin;
mod db;
mod hashing;
mod password;
mod penalty;
mod service;
mod verifications;

pub use address::AddressError;
pub use admin::{Admin, AdminError, Alias, AppPassword};
pub use db::Account;
pub use password::{PasswordError, generate_password};
pub use service::{AuthConfig, AuthError, AuthService};
