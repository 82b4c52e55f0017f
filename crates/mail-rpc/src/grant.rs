//! Grants: "this account, these rights, until then", signed by auth, demanded by storage.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use mail_types::AccountId;

/// How long a grant holds. A session that lives longer renews it; a disabled account is out after this at the latest.
pub const GRANT_LIFETIME: Duration = Duration::from_secs(15 * 60);
const VERSION: u8 = 1;
const BODY_BYTES: usize = 1 + 8 + 1 + 8;
const MAC_BYTES: usize = 32;

/// What a grant allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Everything that the owner of the account may do with its mail.
    Own,
    /// Adding mail, and asking whether there is room for it. What the delivery gateway gets.
    Append,
    /// Making, limiting and removing the account's store. What the account commands use.
    Admin,
}

/// A statement by auth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Whose mail.
    pub account: AccountId,
    /// What may be done.
    pub right: Right,
    /// Seconds since 1970 UTC.
    pub expires_at: i64,
}

/// Why a grant does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// Not made by our auth, or damaged.
    #[error("the grant is not one of ours")]
    Forged,
    /// Too old.
    #[error("the grant has expired")]
    Expired,
    /// For something else.
    #[error("the grant does not allow this")]
    NotAllowed,
}

/// The secret that auth signs with and storage checks with.
#[derive(Clone)]
pub struct GrantKey([u8; 32]);

impl std::fmt::Debug for GrantKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GrantKey(secret)")
    }
}

impl GrantKey {
    /// Derives the key of a secret of any length; 32 random bytes are a good one.
    pub fn from_secret(secret: &[u8]) -> Self {
        Self(blake3::derive_key("todoku grants v1", secret))
    }

    /// A grant from now on, of the usual lifetime.
    pub fn issue(&self, account: AccountId, right: Right) -> (Bytes, i64) {
        let expires_at = now() + GRANT_LIFETIME.as_secs() as i64;
        (self.sign(&Grant { account, right, expires_at }), expires_at)
    }

    /// The signed form.
    pub fn sign(&self, grant: &Grant) -> Bytes {
        let mut out = Vec::with_capacity(BODY_BYTES + MAC_BYTES);
        out.push(VERSION);
        out.extend_from_slice(&grant.account.get().to_be_bytes());
        out.push(match grant.right {
            Right::Own => 1,
            Right::Append => 2,
            Right::Admin => 3,
        });
        out.extend_from_slice(&grant.expires_at.to_be_bytes());
        let mac = blake3::keyed_hash(&self.0, &out);
        out.extend_from_slice(mac.as_bytes());
        out.into()
    }

    /// Reads a grant and checks its signature and age.
    ///
    /// # Errors
    /// [`GrantError::Forged`] or [`GrantError::Expired`].
    pub fn check(&self, signed: &[u8]) -> Result<Grant, GrantError> {
        let grant = self.read(signed)?;
        if grant.expires_at < now() { Err(GrantError::Expired) } else { Ok(grant) }
    }

    /// Like [`Self::check`], and the right must be the one named.
    ///
    /// # Errors
    /// Any [`GrantError`].
    pub fn demand(&self, signed: &[u8], right: Right) -> Result<AccountId, GrantError> {
        let grant = self.check(signed)?;
        // An owner may add to the own mail too: IMAP APPEND uses the same path as a delivery.
        let allowed = grant.right == right || (grant.right == Right::Own && right == Right::Append);
        if allowed { Ok(grant.account) } else { Err(GrantError::NotAllowed) }
    }

    /// Reads a grant whatever its age, for renewing it.
    ///
    /// # Errors
    /// [`GrantError::Forged`].
    pub fn read(&self, signed: &[u8]) -> Result<Grant, GrantError> {
        let (body, mac) = signed.split_at_checked(BODY_BYTES).ok_or(GrantError::Forged)?;
        let mac: [u8; MAC_BYTES] = mac.try_into().map_err(|_| GrantError::Forged)?;
        // Hash equality of blake3 takes constant time.
        if blake3::keyed_hash(&self.0, body) != mac || body[0] != VERSION {
            return Err(GrantError::Forged);
        }
        let number =
            |at: usize| body[at..at + 8].try_into().map(u64::from_be_bytes).map_err(|_| GrantError::Forged);
        let right = match body[9] {
            1 => Right::Own,
            2 => Right::Append,
            3 => Right::Admin,
            _ => return Err(GrantError::Forged),
        };
        Ok(Grant { account: AccountId::new(number(1)?), right, expires_at: number(10)? as i64 })
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> GrantKey {
        GrantKey::from_secret(b"secret")
    }

    #[test]
    fn a_grant_goes_there_and_back() {
        let (signed, _) = key().issue(AccountId::new(7), Right::Own);
        assert_eq!(key().demand(&signed, Right::Own), Ok(AccountId::new(7)));
        assert_eq!(key().demand(&signed, Right::Append), Ok(AccountId::new(7)));
        assert_eq!(key().demand(&signed, Right::Admin), Err(GrantError::NotAllowed));
        let (signed, _) = key().issue(AccountId::new(7), Right::Append);
        assert_eq!(key().demand(&signed, Right::Own), Err(GrantError::NotAllowed));
    }

    #[test]
    fn no_byte_can_be_changed() {
        let (signed, _) = key().issue(AccountId::new(7), Right::Own);
        for at in 0..signed.len() {
            let mut bad = signed.to_vec();
            bad[at] ^= 1;
            assert_eq!(key().check(&bad), Err(GrantError::Forged), "byte {at}");
        }
        assert_eq!(key().check(&signed[..signed.len() - 1]), Err(GrantError::Forged));
        assert_eq!(key().check(b""), Err(GrantError::Forged));
        assert_eq!(GrantKey::from_secret(b"other").check(&signed), Err(GrantError::Forged));
    }

    #[test]
    fn an_old_grant_can_be_read_but_does_not_hold() {
        let grant = Grant { account: AccountId::new(1), right: Right::Own, expires_at: now() - 1 };
        let signed = key().sign(&grant);
        assert_eq!(key().check(&signed), Err(GrantError::Expired));
        assert_eq!(key().read(&signed), Ok(grant));
    }
}
