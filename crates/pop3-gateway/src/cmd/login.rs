//! USER and PASS (RFC 1939 §7), AUTH PLAIN (RFC 1734, RFC 4616).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use line_server::ReadError;
use mail_rpc::{Refusal, pb};
use mail_types::sasl::{self, Plain};
use service_runtime::metrics;

use crate::maildrop::Maildrop;
use crate::read_ahead::ReadAhead;
use crate::reply::{CmdError, CmdResult, Code, Reply};
use crate::session::{Next, Session, State, Transaction};

/// Never tells whether there is such a user.
pub(crate) fn user(session: &Session, user: &mut Option<String>, name: String) -> CmdResult {
    session.demand_login_allowed()?;
    *user = Some(name);
    Reply::ok("send PASS")
}

pub(crate) async fn pass(session: &mut Session, state: &mut State, password: String) -> CmdResult {
    session.demand_login_allowed()?;
    let State::Authorization { user } = state else { return Err(CmdError::refused("already logged in")) };
    let Some(username) = user.take() else { return Err(CmdError::refused("send USER first")) };
    log_in(session, state, Plain { authorize_as: "", username: &username, password: &password }).await
}

/// `AUTH` without a mechanism.
pub(crate) fn auth_list(session: &mut Session) -> Reply {
    let mechanisms: &[u8] = if session.may_log_in() { b"+OK\r\nPLAIN\r\n.\r\n" } else { b"+OK\r\n.\r\n" };
    session.connection.queue(mechanisms);
    Reply::Sent
}

pub(crate) async fn auth(
    session: &mut Session,
    state: &mut State,
    mechanism: &str,
    initial: Option<String>,
) -> CmdResult {
    if mechanism != "PLAIN" {
        return Err(CmdError::refused("unknown authentication mechanism"));
    }
    session.demand_login_allowed()?;
    let response = match initial {
        Some(response) => response.into_bytes(),
        None => {
            // An empty challenge, RFC 1734 §2.
            session.connection.queue(b"+ \r\n");
            session.connection.flush().await?;
            match session.next_line().await {
                Next::Line(Ok(line)) => line.text().to_vec(),
                Next::Line(Err(ReadError::TooLong)) => {
                    return Err(CmdError::refused("the response is too long"));
                }
                Next::Line(Err(error)) => return Err(CmdError::Broken(error.to_string())),
                Next::Shutdown => return Err(CmdError::with_code(Code::SysTemp, "the server is stopping")),
            }
        }
    };
    if response == b"*" {
        return Err(CmdError::refused("authentication cancelled"));
    }
    let message = BASE64.decode(&response).map_err(|_| CmdError::refused("the response is not base64"))?;
    let plain = sasl::parse_plain(&message).map_err(|error| CmdError::refused(error.to_string()))?;
    log_in(session, state, plain).await
}

async fn log_in(session: &mut Session, state: &mut State, plain: Plain<'_>) -> CmdResult {
    let request = pb::AuthenticateRequest {
        username: plain.username.to_owned(),
        password: plain.password.to_owned(),
        authorize_as: plain.authorize_as.to_owned(),
        protocol: pb::Protocol::Pop3.into(),
        client_address: session.connection.peer().ip().to_string(),
    };
    let login = match session.gateway.backends.auth.authenticate(request).await {
        Ok(login) => login,
        Err(status) => return Err(failed(session, Refusal::from(status))),
    };
    let request = pb::OpenMaildropRequest { grant: login.grant.clone() };
    let reply = session.gateway.backends.mailbox.open_maildrop(request).await?;
    let maildrop =
        Maildrop::new(reply).ok_or_else(|| Refusal::Internal("damaged maildrop from storage".to_owned()))?;
    metrics().login("pop3", "ok");
    tracing::info!(account = login.account_id, peer = %session.connection.peer(), "POP3 login");
    session.connection.set_deadline(None);
    let (messages, octets) = maildrop.totals();
    let read_ahead = ReadAhead::default();
    *state = State::Transaction(Box::new(Transaction { login, maildrop, read_ahead }));
    Reply::ok(format!("maildrop has {messages} messages ({octets} octets)"))
}

/// LESSONS T13: a service that is away is not a wrong password, or clients ask their users for a new one.
fn failed(session: &mut Session, refusal: Refusal) -> CmdError {
    match refusal {
        Refusal::Unauthenticated(_) => {
            metrics().login("pop3", "refused");
            session.login_failures += 1;
            CmdError::with_code(Code::Auth, "wrong user name or password")
        }
        Refusal::Forbidden(_) => {
            metrics().login("pop3", "refused");
            session.login_failures += 1;
            CmdError::with_code(Code::Auth, "the account is disabled")
        }
        Refusal::Invalid(_) => {
            session.login_failures += 1;
            CmdError::with_code(Code::Auth, "this cannot be a user name or password")
        }
        other => {
            metrics().login("pop3", "error");
            tracing::warn!(error = %other, "Cannot check a login");
            CmdError::with_code(Code::SysTemp, "logins cannot be checked now, try again later")
        }
    }
}

impl Session {
    /// May a password be sent over this connection?
    pub(crate) fn may_log_in(&self) -> bool {
        self.connection.is_tls() || self.gateway.settings.allow_clear_login
    }

    pub(crate) fn offers_stls(&self) -> bool {
        !self.connection.is_tls() && self.gateway.settings.tls.is_some()
    }

    fn demand_login_allowed(&self) -> Result<(), CmdError> {
        // RFC 2595 §2.2 asks for a way to refuse clear text passwords.
        if self.may_log_in() {
            Ok(())
        } else {
            Err(CmdError::refused("log in over TLS only: use STLS first"))
        }
    }
}
