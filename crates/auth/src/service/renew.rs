//! Renew: a new grant for a session that outlives its old one.

use std::time::{SystemTime, UNIX_EPOCH};

use mail_rpc::{Refusal, Right, pb};

use super::Inner;

/// A session may renew a grant that has expired, having slept or waited for us, but not forever: a grant that leaked
/// must die some day. In seconds.
const RENEWABLE_AFTER_EXPIRY: i64 = 24 * 60 * 60;

impl Inner {
    pub(super) async fn renew(&self, request: pb::RenewRequest) -> Result<pb::Login, Refusal> {
        let old =
            self.grants.read(&request.grant).map_err(|error| Refusal::Unauthenticated(error.to_string()))?;
        if old.expires_at < now() - RENEWABLE_AFTER_EXPIRY {
            return Err(Refusal::Unauthenticated("the grant is too old; log in again".to_owned()));
        }
        if old.right != Right::Own {
            return Err(Refusal::Forbidden("only the grant of a login can be renewed".to_owned()));
        }
        let account = self.db.account(old.account).await?;
        let account = account
            .filter(|account| account.enabled)
            .ok_or_else(|| Refusal::Forbidden("the account is disabled or removed".to_owned()))?;
        let (grant, expires_at) = self.grants.issue(account.id, Right::Own);
        Ok(pb::Login { account_id: account.id.get(), address: account.address, grant, expires_at })
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
