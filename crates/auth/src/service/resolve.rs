//! Resolve: whose mail is mail for this address?

use mail_rpc::pb::resolve_reply::Outcome;
use mail_rpc::{Refusal, Right, pb};

use super::Inner;
use crate::address::{self, Address};
use crate::db::Account;

impl Inner {
    pub(super) async fn resolve(&self, request: pb::ResolveRequest) -> Result<pb::ResolveReply, Refusal> {
        if request.exact {
            return self.resolve_login(&request.address).await;
        }
        let Ok(address) = Address::parse(&request.address) else {
            return self.resolve_malformed(&request.address).await;
        };
        let exact = address.normalised();
        let (user, detail) = address.subaddress().unwrap_or_else(|| (exact.clone(), ""));
        let catch_all = address::catch_all(address.domain());
        let found = self.db.find(address.domain(), [&exact, &user, &catch_all]).await?;
        if !found.domain && !self.local_domains.contains(address.domain()) {
            return Ok(only(Outcome::NotLocal));
        }
        // The address itself comes before the user of a subaddress (RFC 5233 §1), and the catch-all comes last.
        let hit =
            [(&exact, ""), (&user, detail), (&catch_all, "")].into_iter().find_map(|(normalised, detail)| {
                let (_, account) = found.matches.iter().find(|(found, _)| found == normalised)?;
                Some((account, detail))
            });
        let Some((account, detail)) = hit else { return Ok(only(Outcome::NoSuchRecipient)) };
        if !account.enabled {
            return Ok(only(Outcome::Disabled));
        }
        let (grant, _) = self.grants.issue(account.id, Right::Append);
        Ok(pb::ResolveReply { grant, detail: detail.to_owned(), ..found_account(account) })
    }

    /// Who shares a mailbox is named as in a login; the answer allows nothing.
    async fn resolve_login(&self, name: &str) -> Result<pb::ResolveReply, Refusal> {
        let candidate = match self.login_name(name).await? {
            Some(name) => self.candidate(&name).await?,
            None => None,
        };
        Ok(match candidate {
            Some((account, _)) if account.enabled => found_account(&account),
            Some(_) => only(Outcome::Disabled),
            None => only(Outcome::NoSuchRecipient),
        })
    }

    /// No such recipient can be, but the sender may still have meant one of ours.
    async fn resolve_malformed(&self, address: &str) -> Result<pb::ResolveReply, Refusal> {
        let domain = address.rsplit_once('@').and_then(|(_, domain)| address::normalise_domain(domain).ok());
        let local = match &domain {
            Some(domain) if self.local_domains.contains(domain) => true,
            Some(domain) => self.db.domain_list().await?.contains(domain),
            None => false,
        };
        Ok(only(if local { Outcome::NoSuchRecipient } else { Outcome::NotLocal }))
    }
}

fn found_account(account: &Account) -> pb::ResolveReply {
    pb::ResolveReply {
        account_id: account.id.get(),
        account_address: account.address.clone(),
        ..only(Outcome::Account)
    }
}

fn only(outcome: Outcome) -> pb::ResolveReply {
    pb::ResolveReply { outcome: outcome.into(), ..Default::default() }
}
