//! RCPT, RFC 5321 §4.1.1.3: whose address is it, and is there room?

use std::time::{Duration, Instant};

use mail_rpc::{Refusal, pb};
use pb::resolve_reply::Outcome;

use crate::address::{Address, ForwardPath};
use crate::reply::{BAD_ORDER, CmdError, CmdResult, NEEDS_SMTPUTF8, OVER_QUOTA, Reply, TOO_LARGE, try_again};
use crate::server::Protocol;
use crate::session::{Body, Recipient, Session, State};

/// RFC 5321 §4.5.3.1.8: at least so many recipients are taken.
const RECIPIENTS_MIN: usize = 100;
/// Unknown recipients that an SMTP session may name before each more costs time. Somebody who guesses addresses needs
/// thousands; a typing error or an old list is a few. Not for LMTP: an MTA may carry anybody's mail in one session.
const UNKNOWN_FREE: u32 = 10;
const UNKNOWN_DELAY: Duration = Duration::from_secs(1);
/// Unknown recipients after which an SMTP session is ended.
const UNKNOWN_MAX: u32 = 50;

const NO_SUCH: Reply = Reply::new(550, "5.1.1", "no such recipient here");
const NOT_LOCAL: Reply = Reply::new(550, "5.7.1", "this is no relay, and the domain is not ours");
const DISABLED: Reply = Reply::new(550, "5.2.1", "mailbox is disabled");

pub(crate) async fn rcpt(session: &mut Session, state: &mut State, path: ForwardPath) -> CmdResult {
    let (_, transaction) = state.transaction()?;
    if !matches!(transaction.body, Body::NotYet) {
        return Err(CmdError::Bad(BAD_ORDER));
    }
    if transaction.recipients.len() >= session.gateway.settings.recipients_max.max(RECIPIENTS_MIN) {
        return Err(CmdError::Refused(Reply::new(452, "4.5.3", "too many recipients, send the rest again")));
    }
    let address = match path {
        ForwardPath::Address(address) => address,
        ForwardPath::Postmaster => match session.gateway.settings.local_domains.first() {
            Some(domain) => Address::postmaster_at(domain),
            None => return Err(CmdError::Refused(NO_SUCH)),
        },
    };
    if address.is_international() && !transaction.mail.smtputf8 {
        return Err(CmdError::Refused(NEEDS_SMTPUTF8));
    }
    let found = resolve(session, &address).await?;
    check_room(session, &found, transaction.mail.size).await?;
    transaction.recipients.push(Recipient {
        address,
        account_address: found.account_address,
        account_id: found.account_id,
        detail: found.detail,
        grant: found.grant,
        resolved_at: Instant::now(),
    });
    Ok(Reply::new(250, "2.1.5", "recipient OK"))
}

async fn resolve(session: &mut Session, address: &Address) -> Result<pb::ResolveReply, CmdError> {
    let request = pb::ResolveRequest { address: address.to_string(), exact: false };
    let found = match session.gateway.backends.auth.resolve(request).await.map_err(Refusal::from) {
        Ok(found) => found,
        Err(Refusal::Invalid(_)) => return Err(CmdError::Refused(NO_SUCH)),
        Err(refusal) => return Err(CmdError::Refused(try_again(&refusal, "Resolve"))),
    };
    match found.outcome() {
        Outcome::Account => Ok(found),
        Outcome::NoSuchRecipient => Err(unknown(session, NO_SUCH).await),
        Outcome::NotLocal => Err(unknown(session, NOT_LOCAL).await),
        Outcome::Disabled => Err(CmdError::Refused(DISABLED)),
        Outcome::Unspecified => {
            let refusal = Refusal::Internal("an outcome that is not known here".to_owned());
            Err(CmdError::Refused(try_again(&refusal, "Resolve")))
        }
    }
}

async fn check_room(session: &Session, found: &pb::ResolveReply, size: u64) -> Result<(), CmdError> {
    let request = pb::CheckRoomRequest { grant: found.grant.clone(), size };
    let reply = match session.gateway.backends.mailbox.check_room(request).await.map_err(Refusal::from) {
        Ok(_) => return Ok(()),
        Err(Refusal::Exhausted(_)) => OVER_QUOTA,
        Err(Refusal::Limit(_)) => TOO_LARGE,
        Err(refusal) => try_again(&refusal, "CheckRoom"),
    };
    Err(CmdError::Refused(reply))
}

/// Makes guessing addresses slow, and then ends it.
async fn unknown(session: &mut Session, reply: Reply) -> CmdError {
    if session.protocol == Protocol::Lmtp {
        return CmdError::Refused(reply);
    }
    session.unknown_recipients += 1;
    if session.unknown_recipients > UNKNOWN_MAX {
        return CmdError::Fatal(Reply::new(421, "4.7.0", "too many unknown recipients, closing connection"));
    }
    if session.unknown_recipients > UNKNOWN_FREE {
        tokio::time::sleep(UNKNOWN_DELAY).await;
    }
    CmdError::Refused(reply)
}
