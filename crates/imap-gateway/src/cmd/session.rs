//! CAPABILITY, NOOP, LOGOUT, ID, STARTTLS, ENABLE, LANGUAGE, UNAUTHENTICATE, COMPRESS, NAMESPACE: about the session, not about mail.

use imap_wire::{Code, Framer, Limits, Status, Tag};
use tokio::time::Instant;

use crate::annotations::Told;
use crate::capability;
use crate::error::{CmdError, CmdResult, Done};
use crate::language::Language;
use crate::others::OTHER_USERS;
use crate::session::Session;
use crate::state::{Enabled, State};
use crate::sync::Expunges;

/// RFC 9051 §6.1.1
pub(crate) fn capability(session: &mut Session) -> CmdResult {
    let names = capability::list(session);
    session.writer().capability(&names.iter().map(String::as_str).collect::<Vec<_>>());
    Done::plain()
}

/// RFC 9051 §6.1.2
pub(crate) async fn noop(session: &mut Session) -> CmdResult {
    session.sync_news(Expunges::Announce).await?;
    session.tell_annotations().await?;
    Done::plain()
}

/// RFC 9051 §6.1.3
pub(crate) fn logout(session: &mut Session) -> CmdResult {
    session.writer().untagged(Status::Bye, Code::None, "Logging out");
    session.state = State::Logout;
    Done::plain()
}

/// RFC 2971 §3.1. What the client says of itself is not kept: it may name people.
pub(crate) fn id(session: &mut Session) -> CmdResult {
    session.writer().id(&[("name", Some("Todoku"))]);
    Done::plain()
}

/// RFC 9051 §6.2.2. Nothing from before the handshake is believed after it.
pub(crate) async fn start_tls(session: &mut Session, tag: &Tag) -> CmdResult {
    let Some(acceptor) = session.gateway.settings.tls.clone().filter(|_| session.may_start_tls()) else {
        return Err(CmdError::bad("TLS is not offered"));
    };
    session.writer().ok(tag, "Begin TLS negotiation now");
    session.connection.start_tls(&acceptor).await?;
    session.framer = Framer::new(Limits::UNAUTHENTICATED);
    session.enabled = Enabled::default();
    Done::already_written()
}

/// RFC 5161 §3.1
pub(crate) async fn enable(session: &mut Session, names: &[String]) -> CmdResult {
    let mut enabled = Vec::new();
    for name in names {
        let mut name = name.as_str();
        match name {
            "IMAP4REV2" => {
                session.enabled.rev2 = true;
                name = "IMAP4rev2";
            }
            "UTF8=ACCEPT" if session.gateway.settings.utf8_accept => session.enabled.utf8_accept = true,
            // RFC 5464 §4.4
            "METADATA" => {
                let list = crate::notify::load(session).await?;
                session.annotations = Some(Box::new(Told::new(list.metadata_version)));
            }
            "CONDSTORE" => session.enabled.condstore = true,
            // RFC 7162 §3.2.3: QRESYNC enables CONDSTORE.
            "QRESYNC" => {
                session.enabled.condstore = true;
                session.enabled.qresync = true;
            }
            "UIDONLY" => enable_uid_only(session),
            _ => continue,
        }
        enabled.push(name);
    }
    session.writer().enabled(&enabled);
    Done::plain()
}

/// RFC 9586 §3.1. Searches that are kept up to date go on, and tell of UIDs from now on.
fn enable_uid_only(session: &mut Session) {
    session.enabled.uid_only = true;
    if let Ok(selected) = session.selected_mut() {
        selected.contexts.use_uids();
    }
}

/// RFC 5255 §3.2
pub(crate) fn language(session: &mut Session, ranges: &[String]) -> CmdResult {
    if ranges.is_empty() {
        session.writer().language(&Language::tags());
        return Ok(Done { text: Some("These languages are offered"), ..Done::default() });
    }
    let Some(language) = ranges.iter().find_map(|range| Language::of_range(range)) else {
        return Err(CmdError::no(Code::None, "No such language"));
    };
    session.writer().language(&[language.tag()]);
    session.enabled.language = language;
    Ok(Done { text: Some("Speaking this language now"), ..Done::default() })
}

/// RFC 8437 §3: as if the connection had just begun, TLS aside. What counts against guessing stays.
pub(crate) async fn unauthenticate(session: &mut Session, tag: &Tag) -> CmdResult {
    session.writer().ok(tag, "Logged out, the connection stays");
    session.state = State::NotAuthenticated;
    session.enabled = Enabled::default();
    (session.notify, session.annotations) = (None, None);
    session.connection.stop_deflate().await?;
    session.framer.set_limits(Limits::UNAUTHENTICATED);
    let deadline = Instant::now() + session.gateway.settings.unauthenticated_timeout;
    session.connection.set_deadline(Some(deadline));
    Done::already_written()
}

/// RFC 4978 §3
pub(crate) async fn compress(session: &mut Session, tag: &Tag, mechanism: &str) -> CmdResult {
    if mechanism != "DEFLATE" {
        return Err(CmdError::bad("Only DEFLATE is offered"));
    }
    if session.connection.is_deflate() {
        return Err(CmdError::no(Code::CompressionActive, "Compression is active already"));
    }
    session.writer().ok(tag, "DEFLATE active");
    session.connection.start_deflate().await?;
    Done::already_written()
}

/// RFC 9051 §6.3.10: the user's own mailboxes, and those that others share.
pub(crate) fn namespace(session: &mut Session) -> CmdResult {
    session.writer().namespace(&[""], &[OTHER_USERS], &[]);
    Done::plain()
}
