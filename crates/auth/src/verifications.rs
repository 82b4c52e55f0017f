//! Passwords that were right a moment ago.
//!
//! A phone logs in every few minutes and a slow hash for each would be most of our work. An entry is found only with
//! the very verifier that the database holds at this login: a changed password or a removed credential takes effect at
//! once, in every process, and no entry can serve another account.

use std::time::{Duration, Instant};

use mail_types::AccountId;
use quick_cache::sync::Cache;

use crate::db::Credential;
use crate::password;

/// Entries of 48 bytes; the least used goes first.
const ENTRIES_MAX: usize = 20_000;
/// How long an entry is good for.
const LIFETIME: Duration = Duration::from_secs(10 * 60);

pub(crate) struct Verifications {
    /// Of this process alone: what is in memory cannot be searched for passwords without it.
    secret: [u8; 32],
    cache: Cache<Key, Instant>,
}

pub(crate) type Key = [u8; 32];

impl Verifications {
    pub(crate) fn new() -> Self {
        let mut secret = [0; 32];
        password::fill_random(&mut secret);
        Self { secret, cache: Cache::new(ENTRIES_MAX) }
    }

    /// The key of this password at this credential of this account.
    pub(crate) fn key(&self, account: AccountId, credential: &Credential, password: &str) -> Key {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(&account.get().to_be_bytes());
        hasher.update(&credential.id.to_be_bytes());
        hasher.update(&credential.version.to_be_bytes());
        // The length keeps verifier and password apart.
        hasher.update(&(credential.verifier.len() as u64).to_be_bytes());
        hasher.update(credential.verifier.as_bytes());
        hasher.update(password.as_bytes());
        *hasher.finalize().as_bytes()
    }

    pub(crate) fn holds(&self, key: &Key, now: Instant) -> bool {
        self.cache.get(key).is_some_and(|since| now.saturating_duration_since(since) < LIFETIME)
    }

    pub(crate) fn remember(&self, key: Key, now: Instant) {
        self.cache.insert(key, now);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::db::Kind;

    fn credential(id: i64, version: i64, verifier: &str) -> Credential {
        Credential { id, version, kind: Kind::Password, verifier: verifier.to_owned(), label: String::new() }
    }

    #[test]
    fn an_entry_grows_old() {
        let verifications = Verifications::new();
        let now = Instant::now();
        let key = verifications.key(AccountId::new(1), &credential(1, 1, "v"), "secret");
        assert!(!verifications.holds(&key, now));
        verifications.remember(key, now);
        assert!(verifications.holds(&key, now + LIFETIME - Duration::from_secs(1)));
        assert!(!verifications.holds(&key, now + LIFETIME));
    }

    proptest! {
        /// CVE-2025-30189: whatever two logins have in common, they never share an entry.
        #[test]
        fn no_two_users_cross(logins in proptest::collection::vec((0u64..3, 0i64..3, 0i64..3, "[ab$]{0,2}", "[ab$]{0,2}"), 2..40)) {
            let verifications = Verifications::new();
            let mut keys = HashMap::new();
            for login in logins {
                let (account, id, version, verifier, password) = &login;
                let key = verifications.key(AccountId::new(*account), &credential(*id, *version, verifier), password);
                let first = keys.entry(key).or_insert_with(|| login.clone());
                prop_assert_eq!(&*first, &login);
            }
        }
    }
}
