//! Authorized URLs (RFC 4467): one message each, readable by whoever shows a URL that the owner of the mailbox has signed.

use mail_rpc::{Refusal, Right, pb};
use mail_types::{AccountId, MailboxId};
use tonic::Status;

use super::mailboxes::name;
use super::{demand, no_mailbox};
use crate::Inner;
use crate::db::Which;

/// Octets of a key, and of a token.
const KEY_BYTES: usize = 32;
/// URLs of one call.
const TARGETS_MAX: usize = 1000;

pub(super) async fn sign(inner: &Inner, request: pb::SignUrlsRequest) -> Result<pb::SignUrlsReply, Status> {
    let account = demand(inner, &request.grant, Right::Own)?;
    if request.targets.len() > TARGETS_MAX {
        return Err(Refusal::Limit(format!("at most {TARGETS_MAX} URLs at once")).into());
    }
    let mut tokens = Vec::with_capacity(request.targets.len());
    for target in &request.targets {
        let (mailbox, _) =
            find(inner, account, &target.mailbox).await?.ok_or_else(|| no_mailbox(&target.mailbox))?;
        let key = inner.db.url_key(account, mailbox, Some(random()?.to_vec())).await?;
        let key = key.as_deref().and_then(|key| key.try_into().ok());
        let key = key.ok_or_else(|| Refusal::Internal("a mailbox access key is damaged".into()))?;
        tokens.push(token(key, target).as_bytes().to_vec().into());
    }
    Ok(pb::SignUrlsReply { tokens })
}

pub(super) async fn reset(
    inner: &Inner,
    request: pb::ResetUrlKeysRequest,
) -> Result<pb::ResetUrlKeysReply, Status> {
    let account = demand(inner, &request.grant, Right::Own)?;
    let other = match request.mailbox.as_str() {
        "" => None,
        text => {
            let (mailbox, _) = find(inner, account, text).await?.ok_or_else(|| no_mailbox(text))?;
            Some((mailbox, random()?.to_vec()))
        }
    };
    inner.db.url_key_reset(account, other).await?;
    Ok(pb::ResetUrlKeysReply {})
}

/// Whose mailbox a proof opens to somebody who has logged in. The caller must keep to the proof's message.
///
/// # Errors
/// PERMISSION_DENIED, whatever is wrong: nobody learns which mailboxes there are.
pub(super) async fn verify(
    inner: &Inner,
    reader: &[u8],
    proof: &pb::UrlProof,
) -> Result<(AccountId, MailboxId), Status> {
    demand(inner, reader, Right::Own)?;
    let found = match demand(inner, &proof.owner_grant, Right::Append) {
        Ok(owner) => find_key(inner, owner, proof).await?,
        Err(_) => None,
    };
    // RFC 4467 §6: a token is calculated in any case, so that time tells nothing.
    let plausible = random()?;
    let key = found.as_ref().map_or(&plausible, |(_, _, key)| key);
    let target = proof.target.clone().unwrap_or_default();
    let given: [u8; KEY_BYTES] = proof.token[..].try_into().unwrap_or_default();
    // Equality of hashes takes the same time wherever they differ.
    let is_good = token(key, &target) == blake3::Hash::from_bytes(given);
    match found {
        Some((owner, mailbox, _)) if is_good => Ok((owner, mailbox)),
        _ => Err(Refusal::Forbidden("this URL opens nothing".into()).into()),
    }
}

async fn find_key(
    inner: &Inner,
    owner: AccountId,
    proof: &pb::UrlProof,
) -> Result<Option<(AccountId, MailboxId, [u8; KEY_BYTES])>, Status> {
    let Some(target) = &proof.target else { return Ok(None) };
    let Some((mailbox, uid_validity)) = find(inner, owner, &target.mailbox).await? else { return Ok(None) };
    if proof.uid_validity != 0 && i64::from(proof.uid_validity) != uid_validity {
        return Ok(None);
    }
    let key = inner.db.url_key(owner, mailbox, None).await?;
    Ok(key.and_then(|key| key.try_into().ok()).map(|key| (owner, mailbox, key)))
}

/// A mailbox and its UIDVALIDITY.
async fn find(inner: &Inner, account: AccountId, text: &str) -> Result<Option<(MailboxId, i64)>, Status> {
    let Ok(name) = name(text) else { return Ok(None) };
    let row = inner.db.mailbox(account, Which::Name(name.as_str())).await?;
    Ok(row.map(|row| (row.id, row.uidvalidity)))
}

/// Bound to the message too, so that a token for one opens no other whatever the URL is taken for.
fn token(key: &[u8; KEY_BYTES], target: &pb::UrlTarget) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&target.uid.to_le_bytes());
    hasher.update(&(target.mailbox.len() as u64).to_le_bytes());
    hasher.update(target.mailbox.as_bytes());
    hasher.update(&target.rump);
    hasher.finalize()
}

fn random() -> Result<[u8; KEY_BYTES], Status> {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| Status::from(Refusal::Internal(format!("no randomness: {error}"))))?;
    Ok(bytes)
}
