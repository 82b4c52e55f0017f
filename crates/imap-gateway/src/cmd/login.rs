//! LOGIN and AUTHENTICATE: both end at auth.

use imap_wire::{Code, Limits, LineStep, SaslLine, Secret, sasl_line};
use mail_rpc::{Refusal, pb};
use service_runtime::metrics;

use crate::capability;
use crate::error::{CmdError, CmdResult, Done, DoneCode};
use crate::limits::{LOGIN_FAILURE_PAUSE, LOGIN_FAILURES_MAX, USER_NAME_BYTES_MAX};
use crate::server::PROTOCOL;
use crate::session::Session;
use crate::state::{State, User};

/// RFC 9051 §6.2.3
pub(crate) async fn login(session: &mut Session, user: &[u8], password: &Secret) -> CmdResult {
    check_privacy(session)?;
    let credentials =
        Credentials { user: text(user)?, password: text(&password.0)?, authorize_as: String::new() };
    authenticate_with(session, credentials).await
}

/// RFC 9051 §6.2.2; PLAIN of RFC 4616.
pub(crate) async fn authenticate(
    session: &mut Session,
    mechanism: &str,
    initial: Option<Secret>,
) -> CmdResult {
    check_privacy(session)?;
    if mechanism != "PLAIN" {
        return Err(CmdError::no(Code::Cannot, "This mechanism is not offered"));
    }
    let response = match initial {
        Some(response) => response,
        None => {
            session.writer().challenge(b"");
            read_response(session).await?
        }
    };
    authenticate_with(session, plain(&response.0)?).await
}

struct Credentials {
    user: String,
    password: String,
    authorize_as: String,
}

fn check_privacy(session: &Session) -> Result<(), CmdError> {
    if session.may_login() {
        Ok(())
    } else {
        Err(CmdError::no(Code::PrivacyRequired, "Passwords are taken over TLS only"))
    }
}

async fn read_response(session: &mut Session) -> Result<Secret, CmdError> {
    loop {
        match session.framer.next_line(session.connection.buffer()) {
            LineStep::Line(line) => {
                return match sasl_line(&line) {
                    SaslLine::Response(response) => Ok(response),
                    SaslLine::Cancel => Err(CmdError::bad("Authentication cancelled")),
                    SaslLine::Invalid => Err(CmdError::bad("Not base64")),
                };
            }
            LineStep::NeedMore => {
                session.connection.flush().await?;
                session.fill().await?;
            }
            LineStep::Error(error) if error.is_fatal() => {
                return Err(CmdError::Bye(error.kind.code(), error.to_string().into()));
            }
            LineStep::Error(error) => return Err(CmdError::Bad(Code::None, error.to_string().into())),
        }
    }
}

/// `[authzid] NUL authcid NUL passwd` (RFC 4616 §2)
fn plain(response: &[u8]) -> Result<Credentials, CmdError> {
    let mut fields = response.split(|byte| *byte == 0);
    let (Some(authorize_as), Some(user), Some(password), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(CmdError::bad("Not a PLAIN response"));
    };
    Ok(Credentials { user: text(user)?, password: text(password)?, authorize_as: text(authorize_as)? })
}

/// What is not UTF-8, or too long, can be nobody's name and nobody's password.
fn text(bytes: &[u8]) -> Result<String, CmdError> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= USER_NAME_BYTES_MAX => Ok(text.to_owned()),
        _ => Err(CmdError::no(Code::AuthenticationFailed, "Authentication failed")),
    }
}

async fn authenticate_with(session: &mut Session, credentials: Credentials) -> CmdResult {
    let request = pb::AuthenticateRequest {
        username: credentials.user,
        password: credentials.password,
        authorize_as: credentials.authorize_as,
        protocol: pb::Protocol::Imap.into(),
        client_address: session.connection.peer().ip().to_string(),
    };
    match session.gateway.backends.auth.authenticate(request).await {
        Ok(login) => {
            metrics().login(PROTOCOL, "ok");
            session.state = State::Authenticated(User::new(&login));
            session.login_failures = 0;
            session.framer.set_limits(Limits::AUTHENTICATED);
            session.connection.set_deadline(None);
            Ok(Done {
                code: DoneCode::Capability(capability::list(session)),
                text: Some("Logged in"),
                written: false,
            })
        }
        Err(status) => Err(refused(session, status.into()).await),
    }
}

async fn refused(session: &mut Session, refusal: Refusal) -> CmdError {
    match refusal {
        Refusal::Unauthenticated(_) => {
            metrics().login(PROTOCOL, "refused");
            session.login_failures += 1;
            tokio::time::sleep(LOGIN_FAILURE_PAUSE).await;
            if session.login_failures >= LOGIN_FAILURES_MAX {
                return CmdError::Bye(Code::AuthenticationFailed, "Too many failed logins".into());
            }
            CmdError::no(Code::AuthenticationFailed, "Authentication failed")
        }
        Refusal::Forbidden(text) => {
            metrics().login(PROTOCOL, "refused");
            CmdError::no(Code::AuthorizationFailed, text)
        }
        Refusal::Exhausted(text) => {
            metrics().login(PROTOCOL, "busy");
            CmdError::no(Code::Limit, text)
        }
        other => {
            metrics().login(PROTOCOL, "error");
            other.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_has_three_fields() {
        let credentials = plain(b"\0me@localhost\0secret").unwrap();
        assert_eq!((credentials.user.as_str(), credentials.password.as_str()), ("me@localhost", "secret"));
        assert_eq!(plain(b"you\0me\0x").unwrap().authorize_as, "you");
        for bad in [&b""[..], b"a\0b", b"a\0b\0c\0d", b"\0\xff\0x"] {
            assert!(plain(bad).is_err(), "{bad:?}");
        }
    }
}
