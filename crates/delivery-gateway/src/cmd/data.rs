//! DATA (RFC 5321 §4.1.1.4), and the replies after a message (RFC 2033 §4.2).

use std::time::Duration;

use jiff::Timestamp;
use line_server::{DataStep, DotReader};
use mail_rpc::{GRANT_LIFETIME, pb};
use service_runtime::metrics;

use crate::confirm::Confirmation;
use crate::incoming::{Fault, Incoming};
use crate::outcome::{self, Results};
use crate::reply::{BAD_ORDER, CmdError, Reply};
use crate::server::Protocol;
use crate::session::{Body, Hello, Recipient, Session, State, Transaction};
use crate::trace::{Origin, With};

/// How long a message may take to arrive, however steadily: 50 MiB at the speed of a modem, and an end for all else.
pub(crate) const MESSAGE_TIME_MAX: Duration = Duration::from_secs(3 * 60 * 60);
/// A grant this close to its end may have ended on the way.
const GRANT_MARGIN: Duration = Duration::from_secs(60);

pub(crate) const NO_RECIPIENTS: Reply = Reply::new(503, "5.5.1", "no valid recipients");

pub(crate) async fn data(session: &mut Session, state: &mut State) -> Result<Option<Reply>, CmdError> {
    let (hello, transaction) = state.transaction()?;
    if !matches!(transaction.body, Body::NotYet) {
        return Err(CmdError::Bad(BAD_ORDER));
    }
    // RFC 2033 §4.2: without recipients there is nothing to reply for.
    if transaction.recipients.is_empty() {
        return Err(CmdError::Refused(NO_RECIPIENTS));
    }
    session.say(&Reply::new(354, "", "send the message, end it with a dot alone in a line"));
    session.connection.flush().await?;
    let mut incoming = start(session, hello, transaction).await?;
    let received = receive(session, &mut incoming).await;
    session.connection.set_deadline(None);
    // The transaction is over, however it ends (RFC 5321 §4.1.1.4); half a message goes with `incoming`.
    received?;
    answer(session, transaction, incoming).await?;
    state.reset();
    Ok(None)
}

/// To the end of the data, also of a message that is refused: what follows is the next command.
async fn receive(session: &mut Session, incoming: &mut Incoming) -> Result<(), CmdError> {
    let gateway = session.gateway.clone();
    session.connection.set_deadline(Some(tokio::time::Instant::now() + MESSAGE_TIME_MAX));
    let mut reader = DotReader::new();
    loop {
        match session.connection.next_data_chunk(&mut reader).await? {
            DataStep::Data(chunk) => incoming.push(&gateway, chunk).await,
            DataStep::Fault(_) => incoming.refuse(Fault::BareLineEnd),
            DataStep::End => return Ok(()),
        }
    }
}

/// Opens the delivery for the transaction's recipients.
pub(crate) async fn start(
    session: &Session,
    hello: &Hello,
    transaction: &Transaction,
) -> Result<Incoming, CmdError> {
    let id = getrandom::u64().map_err(|error| CmdError::Broken(error.to_string()))?;
    let origin = Origin {
        helo: hello.name.clone(),
        client: session.connection.peer().ip(),
        with: With {
            protocol: session.protocol,
            extended: hello.extended,
            tls: session.connection.is_tls(),
            smtputf8: transaction.mail.smtputf8,
        },
        host: session.gateway.settings.hostname.clone(),
        id: format!("{id:016x}"),
        received_at: Timestamp::now(),
    };
    let recipient = |recipient: &Recipient| pb::DeliverRecipient {
        grant: recipient.grant.clone(),
        address: recipient.address.to_string(),
        mailbox: recipient.detail.clone(),
        trace: origin.header(transaction.sender(), &recipient.address, &recipient.account_address).into(),
    };
    let start = pb::DeliverStart {
        recipients: transaction.recipients.iter().map(recipient).collect(),
        sender: transaction.sender().to_string(),
    };
    tracing::debug!(id = origin.id, peer = %session.connection.peer(), recipients = start.recipients.len(), "Receiving");
    Ok(Incoming::start(&session.gateway, start).await)
}

/// The replies to a message that has arrived, after the commits that they speak of.
pub(crate) async fn answer(
    session: &mut Session,
    transaction: &Transaction,
    incoming: Incoming,
) -> Result<(), CmdError> {
    let size = incoming.size();
    let gateway = session.gateway.clone();
    let finished = incoming.finish(&gateway).await;
    let recipients = &transaction.recipients;
    match (finished, session.protocol) {
        (Ok((results, digest)), Protocol::Lmtp) => each(session, recipients, results, digest, size).await,
        (Ok((results, digest)), Protocol::Smtp) => all(session, recipients, results, digest, size).await,
        (Err(fault), protocol) => {
            let replies = if protocol == Protocol::Lmtp { recipients.len() } else { 1 };
            for recipient in recipients {
                log(session, recipient, "refused", size);
            }
            for _ in 0..replies {
                session.say(&fault.reply());
            }
            Ok(())
        }
    }
}

/// LMTP: a reply for each recipient, in order, each as soon as it is known.
async fn each(
    session: &mut Session,
    recipients: &[Recipient],
    mut results: Results,
    digest: u64,
    size: u64,
) -> Result<(), CmdError> {
    let mut deliveries = Vec::new();
    for recipient in recipients {
        if results.must_wait() {
            session.connection.flush().await?;
        }
        let result = results.next().await;
        let reply = judge(session, recipient, result.as_ref(), size);
        if let (true, Some(result)) = (reply.is_positive(), result) {
            deliveries.push((recipient.grant.clone(), result.key));
        }
        session.say(&reply);
    }
    session.confirm_later(Confirmation { deliveries, digest });
    Ok(())
}

/// SMTP: one reply for all.
async fn all(
    session: &mut Session,
    recipients: &[Recipient],
    mut results: Results,
    digest: u64,
    size: u64,
) -> Result<(), CmdError> {
    let mut deliveries = Vec::new();
    let mut replies = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        let result = results.next().await;
        replies.push(judge(session, recipient, result.as_ref(), size));
        deliveries.extend(result.map(|result| (recipient.grant.clone(), result.key)));
    }
    let reply = outcome::combine(&replies);
    // Unless all have it the sender will come again, and must be recognised then.
    if reply.is_positive() {
        session.confirm_later(Confirmation { deliveries, digest });
    }
    session.say(&reply);
    Ok(())
}

fn judge(session: &Session, recipient: &Recipient, result: Option<&pb::DeliverResult>, size: u64) -> Reply {
    let grant_is_fresh = recipient.resolved_at.elapsed() + GRANT_MARGIN < GRANT_LIFETIME;
    let (reply, outcome) = outcome::reply(result, grant_is_fresh);
    log(session, recipient, outcome, size);
    reply
}

fn log(session: &Session, recipient: &Recipient, outcome: &'static str, size: u64) {
    metrics().delivery(session.protocol.name(), outcome);
    tracing::info!(account = recipient.account_id, outcome, size_bytes = size, "Delivery");
}
