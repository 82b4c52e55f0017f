//! GENURLAUTH, RESETKEY, URLFETCH (RFC 4467).
//!
//! Who owns the mailbox and who may use the URL is settled by accounts, never by the spelling of names; whether the URL is good
//! is storage's to say.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use imap_wire::{Code, ImapUrl, UrlAccess};
use mail_rpc::pb;
use mail_rpc::pb::resolve_reply::Outcome;
use mail_types::{AccountId, MailboxId, MailboxName};

use crate::error::{CmdError, CmdResult, Done, DoneCode};
use crate::fetch::{Part, Place};
use crate::session::Session;

/// The one mechanism there is (RFC 4467 §2.4.1).
const INTERNAL: &str = "INTERNAL";

/// RFC 4467 §7 (GENURLAUTH)
pub(crate) async fn generate(session: &mut Session, urls: Vec<(Bytes, String)>) -> CmdResult {
    let mut targets = Vec::with_capacity(urls.len());
    for (url, mechanism) in &urls {
        if mechanism != INTERNAL {
            return Err(CmdError::bad("The only mechanism is INTERNAL"));
        }
        targets.push(target(session, url).await?);
    }
    let request = pb::SignUrlsRequest { grant: session.grant()?, targets };
    let reply =
        match session.gateway.backends.mailbox.sign_urls(request).await.map_err(mail_rpc::Refusal::from) {
            Ok(reply) => reply,
            Err(mail_rpc::Refusal::NotFound(_)) => return Err(CmdError::bad("No such mailbox")),
            Err(refusal) => return Err(refusal.into()),
        };
    let signed: Vec<String> = urls
        .iter()
        .zip(&reply.tokens)
        .map(|((url, _), token)| format!("{}:internal:{}", String::from_utf8_lossy(url), hex(token)))
        .collect();
    session.writer().gen_url_auth(&signed.iter().map(String::as_str).collect::<Vec<_>>());
    Done::plain()
}

/// What a rump points to, which must be the user's own.
async fn target(session: &Session, url: &Bytes) -> Result<pb::UrlTarget, CmdError> {
    let parsed = ImapUrl::parse(url).ok_or_else(|| CmdError::bad("Not a URL of a message"))?;
    let auth = parsed.auth.as_ref().ok_or_else(|| CmdError::bad("The URL has no access identifier"))?;
    if auth.verifier.is_some() {
        return Err(CmdError::bad("The URL is authorized already"));
    }
    let user = parsed.server.as_ref().and_then(|server| server.user.as_deref());
    let user = user.ok_or_else(|| CmdError::bad("The URL does not say whose mailbox it is"))?;
    let account = session.user()?.account;
    if resolve(session, user).await?.is_none_or(|(owner, _)| owner != account) {
        return Err(CmdError::bad("The URL is not of a mailbox of yours"));
    }
    let mailbox = parsed.mailbox(None).ok_or_else(|| CmdError::bad("The URL has no mailbox"))?;
    Ok(pb::UrlTarget { mailbox: mailbox.as_str().to_owned(), uid: parsed.uid.get(), rump: url.clone() })
}

/// RFC 4467 §7 (RESETKEY)
pub(crate) async fn reset(
    session: &mut Session,
    mailbox: Option<MailboxName>,
    mechanisms: &[String],
) -> CmdResult {
    if mechanisms.iter().any(|mechanism| mechanism != INTERNAL) {
        return Err(CmdError::no(Code::UrlMechInternal, "The only mechanism is INTERNAL"));
    }
    let name = mailbox.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default();
    let request = pb::ResetUrlKeysRequest { grant: session.grant()?, mailbox: name };
    session.gateway.backends.mailbox.reset_url_keys(request).await?;
    match mailbox {
        Some(_) => Done::with_code(DoneCode::UrlMech),
        None => Done::plain(),
    }
}

/// RFC 4467 §7 (URLFETCH): a URL that is not good for this user, whatever the reason, is answered NIL.
pub(crate) async fn fetch(session: &mut Session, urls: Vec<Bytes>) -> CmdResult {
    for url in urls {
        match open(session, &url).await? {
            Some(part) => send(session, &url, part).await?,
            None => session.writer().url_fetch(&[(&url, None)]),
        }
    }
    Done::plain()
}

async fn send(session: &mut Session, url: &Bytes, mut part: Part) -> Result<(), CmdError> {
    session.writer().url_fetch_literal(url, part.size);
    loop {
        match part.next().await {
            Ok(Some(data)) => session.connection.write(data).await?,
            Ok(None) => break,
            // The client counts on octets that will not come.
            Err(_) => {
                return Err(std::io::Error::new(
                    std::io::ErrorKind::UnexpectedEof,
                    "storage left a message unfinished",
                )
                .into());
            }
        }
    }
    session.writer().url_fetch_end();
    Ok(())
}

async fn open(session: &Session, url: &Bytes) -> Result<Option<Part>, CmdError> {
    let Some(parsed) = ImapUrl::parse(url) else { return Ok(None) };
    let (Some(auth), Some(server), Some(mailbox)) = (&parsed.auth, &parsed.server, parsed.mailbox(None))
    else {
        return Ok(None);
    };
    let (Some((mechanism, token)), Some(owner)) = (&auth.verifier, &server.user) else { return Ok(None) };
    let Some(token) = unhex(token).filter(|_| mechanism == INTERNAL) else { return Ok(None) };
    if auth.expires_at.is_some_and(|at| at < now()) || !may_use(session, &auth.access).await? {
        return Ok(None);
    }
    let user = session.user()?;
    // Without an owner the rest happens all the same, and comes to nothing.
    let owner_grant = resolve(session, owner).await?.map(|(_, grant)| grant).unwrap_or_default();
    let target = pb::UrlTarget {
        mailbox: mailbox.as_str().to_owned(),
        uid: parsed.uid.get(),
        rump: url.slice(..auth.rump_len),
    };
    let proof = pb::UrlProof {
        owner_grant,
        target: Some(target),
        token: token.into(),
        uid_validity: parsed.uid_validity.map_or(0, |validity| validity.get()),
    };
    let place =
        Place { account: user.account, owner: 0, grant: user.grant.clone(), mailbox: MailboxId::new(0) };
    let what = (&parsed.section, parsed.partial);
    match Part::open(&session.gateway.backends.mailbox, &place, parsed.uid, what, Some(&proof)).await {
        Ok(part) => Ok(part),
        Err(CmdError::No(Code::NoPerm | Code::NonExistent, _)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// RFC 4467 §3: is this user one of those whom the access identifier names?
async fn may_use(session: &Session, access: &UrlAccess) -> Result<bool, CmdError> {
    let account = session.user()?.account;
    match access {
        UrlAccess::AuthUser | UrlAccess::Anonymous => Ok(true),
        UrlAccess::User(name) => Ok(resolve(session, name).await?.is_some_and(|(user, _)| user == account)),
        // For whom it submits is the submission server's to check.
        UrlAccess::Submit(_) => {
            for name in &session.gateway.settings.submit_users {
                if resolve(session, name).await?.is_some_and(|(user, _)| user == account) {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}

/// Whose address it is, with a grant that opens nothing but proves it.
async fn resolve(session: &Session, address: &str) -> Result<Option<(AccountId, Bytes)>, CmdError> {
    let request = pb::ResolveRequest { address: address.to_owned(), exact: false };
    let reply = session.gateway.backends.auth.resolve(request).await?;
    let is_account = reply.outcome() == Outcome::Account;
    Ok(is_account.then(|| (AccountId::new(reply.account_id), reply.grant)))
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(i64::MAX, |since| since.as_secs() as i64)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_in_hexadecimal() {
        assert_eq!(hex(&[0, 0xab, 7]), "00ab07");
        assert_eq!(unhex("00aB07"), Some(vec![0, 0xab, 7]));
        for bad in ["0", "0g", "+1", "\u{e9}"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }
}
