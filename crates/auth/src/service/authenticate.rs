//! Authenticate: checks a password.

use std::time::Instant;

use mail_rpc::{Refusal, Right, pb};
use mail_types::sasl::{PLAIN_NAME_BYTES_MAX, PLAIN_PASSWORD_BYTES_MAX};
use tracing::info;

use super::Inner;
use crate::address::Address;
use crate::db::{Account, Credential, DbError, Kind};
use crate::password;
use crate::penalty::Place;

/// Who is there, as the database says.
pub(super) type Candidate = Option<(Account, Vec<Credential>)>;

impl Inner {
    pub(super) async fn authenticate(&self, request: pb::AuthenticateRequest) -> Result<pb::Login, Refusal> {
        let place = Place::of(&request.client_address);
        if request.username.len() > PLAIN_NAME_BYTES_MAX || request.password.len() > PLAIN_PASSWORD_BYTES_MAX
        {
            return Err(wrong());
        }
        let name = self.login_name(&request.username).await?;
        let name = name.as_ref().map_or("", String::as_str);
        let mut candidate = self.candidate(name).await?;
        if !self.is_right_at_once(&candidate, &request.password) {
            let account = candidate.as_ref().map(|(account, _)| account.id);
            let now = Instant::now();
            let wait = self.penalties.wait(place, name, account, now).map_err(|_| too_many())?;
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
                // The password may have been changed meanwhile.
                candidate = self.candidate(name).await?;
            }
            if !self.verify(&candidate, &request.password).await? {
                self.penalties.failed(place, name, Instant::now());
                info!(user = %name, client = %request.client_address, "login refused: wrong user name or password");
                return Err(wrong());
            }
        }
        let (account, _) = candidate.ok_or_else(wrong)?;
        self.penalties.succeeded(place, account.id, Instant::now());
        self.login(account, name, &request).await
    }

    /// The password was right: may the account be used, and as whom?
    async fn login(
        &self,
        account: Account,
        name: &str,
        request: &pb::AuthenticateRequest,
    ) -> Result<pb::Login, Refusal> {
        if !account.enabled {
            info!(account = %account.id, client = %request.client_address, "login refused: the account is disabled");
            return Err(Refusal::Forbidden("the account is disabled".to_owned()));
        }
        // RFC 4616 §2: an empty authorization identity is the one that belongs to the name.
        if !request.authorize_as.is_empty() && !self.is_same(&account, name, &request.authorize_as).await? {
            info!(account = %account.id, client = %request.client_address, "login refused: asked to act as somebody else");
            return Err(Refusal::Forbidden("nobody may act as somebody else".to_owned()));
        }
        let (grant, expires_at) = self.grants.issue(account.id, Right::Own);
        Ok(pb::Login { account_id: account.id.get(), address: account.address, grant, expires_at })
    }

    /// The normalised address of a user name. `None` when it cannot be anybody's.
    pub(super) async fn login_name(&self, username: &str) -> Result<Option<String>, Refusal> {
        if username.contains('@') {
            return Ok(Address::parse(username).ok().map(|address| address.normalised()));
        }
        let Some(domain) = self.only_domain().await? else { return Ok(None) };
        Ok(Address::parse(&format!("{username}@{domain}")).ok().map(|address| address.normalised()))
    }

    /// The local domain, if there is exactly one.
    async fn only_domain(&self) -> Result<Option<String>, DbError> {
        if self.local_domains.len() > 1 {
            return Ok(None);
        }
        let mut domains = self.db.domain_list().await?;
        domains.extend(self.local_domains.iter().cloned());
        domains.sort_unstable();
        domains.dedup();
        Ok(if domains.len() == 1 { domains.pop() } else { None })
    }

    pub(super) async fn candidate(&self, name: &str) -> Result<Candidate, DbError> {
        if name.is_empty() { Ok(None) } else { self.db.login(name).await }
    }

    async fn is_same(&self, account: &Account, name: &str, authorize_as: &str) -> Result<bool, Refusal> {
        let Some(other) = self.login_name(authorize_as).await? else { return Ok(false) };
        if other == name {
            return Ok(true);
        }
        Ok(self.candidate(&other).await?.is_some_and(|(other, _)| other.id == account.id))
    }

    /// Without a slow hash, and so without a wait before it: the password was right lately, or is an app password, which
    /// cannot be guessed.
    fn is_right_at_once(&self, candidate: &Candidate, password: &str) -> bool {
        let Some((account, credentials)) = candidate else { return false };
        let now = Instant::now();
        credentials.iter().any(|credential| match credential.kind {
            Kind::AppPassword => password::verify_generated(password, &credential.verifier),
            Kind::Password => {
                self.verifications.holds(&self.verifications.key(account.id, credential, password), now)
            }
        })
    }

    /// Takes the same time whether there is such an account or not.
    async fn verify(&self, candidate: &Candidate, password: &str) -> Result<bool, Refusal> {
        let chosen = candidate.as_ref().and_then(|(account, credentials)| {
            let credential = credentials.iter().find(|credential| credential.kind == Kind::Password)?;
            Some((account.id, credential))
        });
        let verifier =
            chosen.map_or_else(|| self.decoy.to_string(), |(_, credential)| credential.verifier.clone());
        let given = password.to_owned();
        let right =
            self.hashing.run(move || password::verify(&given, &verifier)).await.map_err(|_| too_many())?;
        let Some((account, credential)) = chosen.filter(|_| right) else { return Ok(false) };
        self.verifications.remember(self.verifications.key(account, credential, password), Instant::now());
        Ok(true)
    }
}

fn wrong() -> Refusal {
    Refusal::Unauthenticated("wrong user name or password".to_owned())
}

fn too_many() -> Refusal {
    Refusal::Exhausted("too many attempts to log in; try again later".to_owned())
}
