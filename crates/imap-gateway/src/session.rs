//! One client's session: reads a command, has it executed, writes its reply, and again.

use std::sync::Arc;

use imap_wire::{
    Code, CommandBody, Frame, FrameError, FrameStep, Framer, Limits, ParseError, Status, Tag, Writer, parse,
};
use line_server::{Connection, ReadError};
use mail_rpc::{Refusal, pb};
use mail_types::MailboxName;
use service_runtime::metrics;
use tokio::time::Instant;
use tracing::Instrument;

use crate::ahead::Ahead;
use crate::annotations::Told;
use crate::capability;
use crate::cmd;
use crate::error::{CmdError, CmdResult, Done, DoneCode};
use crate::limits::{BAD_COMMANDS_MAX, BAD_COMMANDS_UNAUTHENTICATED_MAX, FLUSH_BYTES};
use crate::notify::{self, Notifier};
use crate::progress::Progress;
use crate::server::{Gateway, PROTOCOL};
use crate::state::{Enabled, Phase, Selected, State, User, describe};
use crate::sync::Expunges;
use crate::uid_only::names_numbers;

/// What one client's session holds. Small while it waits: buffers and the futures of commands exist only while they are at work.
pub(crate) struct Session {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) connection: Connection,
    pub(crate) framer: Framer,
    pub(crate) state: State,
    pub(crate) enabled: Enabled,
    pub(crate) login_failures: u32,
    /// Names that the present command gave in another form than they have (RFC 9051 §6.3.9.7).
    pub(crate) normalized: Vec<(String, MailboxName)>,
    /// Once NOTIFY was used.
    pub(crate) notify: Option<Box<Notifier>>,
    /// After ENABLE METADATA.
    pub(crate) annotations: Option<Box<Told>>,
    /// While commands that were sent ahead are executed.
    pub(crate) ahead: Option<Box<Ahead>>,
    /// Of the present command.
    pub(crate) progress: Progress,
    bad_commands: u32,
}

/// Serves a connection to its end.
pub(crate) async fn run(gateway: Arc<Gateway>, connection: Connection) {
    // Not all at the same time: by the client's port.
    let share = u32::from(connection.peer().port() % 64);
    let every = gateway.settings.progress_every;
    let progress = Progress::new(every + every / 2 * share / 64);
    let mut session = Session {
        gateway,
        connection,
        framer: Framer::new(Limits::UNAUTHENTICATED),
        state: State::NotAuthenticated,
        enabled: Enabled::default(),
        login_failures: 0,
        normalized: Vec::new(),
        notify: None,
        annotations: None,
        ahead: None,
        progress,
        bad_commands: 0,
    };
    let end = session.serve().await;
    Box::pin(session.end(end)).await;
}

/// Why a session ends.
#[derive(Debug)]
pub(crate) enum End {
    /// After LOGOUT, or after a BYE that is written already.
    Finished,
    /// BYE is to be said, with the reason in a form that clients know (RFC 5530) if there is one.
    Bye(Code<'static>, String),
    /// The connection failed.
    Disconnected(ReadError),
}

impl End {
    pub(crate) fn shutdown() -> Self {
        Self::Bye(Code::Unavailable, "Server is shutting down".to_owned())
    }
}

/// What follows a command.
enum Next {
    Command,
    /// The client waits for news, which is a state rather than a command.
    Idle(Tag),
}

impl From<ReadError> for End {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::TimedOut => Self::Bye(Code::None, "Autologout: silent for too long".to_owned()),
            other => Self::Disconnected(other),
        }
    }
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> Self {
        Self::Disconnected(error.into())
    }
}

impl From<End> for CmdError {
    fn from(end: End) -> Self {
        match end {
            End::Bye(code, text) => Self::Bye(code, text.into()),
            End::Disconnected(error) => Self::Disconnected(error),
            End::Finished => Self::Bye(Code::None, "Logging out".into()),
        }
    }
}

impl Session {
    async fn serve(&mut self) -> End {
        let settings = &self.gateway.settings;
        self.connection.set_deadline(Some(Instant::now() + settings.unauthenticated_timeout));
        self.connection.set_read_timeout(settings.idle_timeout);
        let capabilities = DoneCode::Capability(capability::list(self));
        capabilities.with(|code| self.writer().untagged(Status::Ok, code, "Todoku ready"));
        loop {
            if let Err(end) = self.step().await {
                return end;
            }
        }
    }

    /// Waits for input, or does what came.
    async fn step(&mut self) -> Result<(), End> {
        let step = match self.step_ahead() {
            Some(step) => step,
            None => self.framer.next(self.connection.buffer()),
        };
        match step {
            FrameStep::NeedMore => {
                self.connection.flush().await?;
                // RFC 5465 §3.1: while no command is in progress, and none is on its way.
                let waits = self.notify.as_ref().is_some_and(|notifier| notifier.is_waiting());
                if waits && self.connection.buffer().is_empty() {
                    Box::pin(self.wait_for_news()).await?;
                } else {
                    self.fill().await?;
                }
            }
            FrameStep::Continue => self.writer().continuation("OK"),
            FrameStep::Command(frame) | FrameStep::LiteralStream(frame) => {
                // On the heap, and gone when done: an idle session must not have room for the largest command.
                if let Next::Idle(tag) = Box::pin(self.command(frame)).await? {
                    cmd::idle::idle(self, &tag).await?;
                }
                if self.connection.queued() >= FLUSH_BYTES {
                    self.connection.flush().await?;
                }
                if matches!(self.state, State::Logout) {
                    return Err(End::Finished);
                }
            }
            FrameStep::Error(error) => self.frame_error(&error)?,
        }
        Ok(())
    }

    async fn wait_for_news(&mut self) -> Result<(), End> {
        let event = notify::event(self).await?;
        notify::handle(self, event, false).await
    }

    /// More input, unless the server stops.
    pub(crate) async fn fill(&mut self) -> Result<(), End> {
        let shutdown = self.gateway.shutdown.clone();
        tokio::select! {
            biased;
            filled = self.connection.fill() => { filled?; Ok(()) }
            () = shutdown.wait() => Err(End::shutdown()),
        }
    }

    async fn command(&mut self, frame: Frame) -> Result<Next, End> {
        let has_open_literal = frame.open_literal().is_some();
        let command = match parse(&frame, &self.enabled.parse_options()) {
            Ok(command) => command,
            Err(error) => {
                if has_open_literal {
                    self.framer.refuse_literal();
                }
                self.forget_saved(&error, &frame);
                return self.parse_error(&error).map(|()| Next::Command);
            }
        };
        drop(frame);
        let (name, phase) = describe(&command.body);
        if matches!(command.body, CommandBody::Idle) && self.state.allows(phase) {
            return Ok(Next::Idle(command.tag));
        }
        self.normalized = command.normalized;
        let started = Instant::now();
        self.progress.begin(&command.tag, started);
        let span = tracing::debug_span!("command", name, tag = command.tag.as_str());
        let result = match self.refusal(&command.body, phase) {
            None => self.execute(&command.tag, command.body, phase).instrument(span).await,
            Some(error) => {
                if has_open_literal {
                    self.framer.refuse_literal();
                }
                Err(error)
            }
        };
        self.conclude(&command.tag, name, result, started).map(|()| Next::Command)
    }

    /// Why a command cannot be done now, whatever it is about.
    fn refusal(&self, body: &CommandBody, phase: Phase) -> Option<CmdError> {
        if !self.state.allows(phase) {
            return Some(CmdError::bad(match phase {
                Phase::NotOffered => "Command not offered",
                _ => "Command not allowed in this state",
            }));
        }
        // RFC 9586 §3
        (self.enabled.uid_only && names_numbers(body))
            .then(|| CmdError::bad_code(Code::UidRequired, "Messages have only UIDs in this session"))
    }

    async fn execute(&mut self, tag: &Tag, body: CommandBody, phase: Phase) -> CmdResult {
        self.renew_grant().await?;
        self.look_ahead(&body).await;
        let leaves = matches!(body, CommandBody::Close | CommandBody::Unselect);
        if phase == Phase::Selected && !leaves && self.selected().is_ok_and(|open| open.whose.is_shared()) {
            // RFC 4314 §5.1.1: what is cached here must not outlive the right to see it.
            self.sync(Expunges::Keep).await?;
        }
        let result = cmd::execute(self, tag, body).await;
        cmd::context::refresh(self).await?;
        if self.notify.is_some() {
            self.watch_selected();
            // What was done is done: that more cannot be told of new messages now does not undo it.
            if let Err(error @ (CmdError::Bye(..) | CmdError::Disconnected(_))) = self.tell_fresh().await {
                return Err(error);
            }
        }
        result
    }

    /// Writes the tagged reply.
    pub(crate) fn conclude(
        &mut self,
        tag: &Tag,
        name: &'static str,
        result: CmdResult,
        started: Instant,
    ) -> Result<(), End> {
        self.progress.end();
        let outcome = match &result {
            Ok(_) => "ok",
            Err(CmdError::Bad(..)) => "bad",
            Err(_) => "no",
        };
        metrics().command(PROTOCOL, name, outcome, started.elapsed());
        if !matches!(result, Err(CmdError::Bad(..))) {
            self.bad_commands = 0;
        }
        match result {
            Ok(Done { written: true, .. }) => {}
            Ok(done) => {
                let text = done.text.unwrap_or("Completed");
                done.code.with(|code| self.writer().tagged(tag, Status::Ok, code, text));
            }
            Err(CmdError::No(code, text)) => self.writer().no(tag, code, &text),
            Err(CmdError::BadUrl(url)) => {
                self.writer().no(tag, Code::BadUrl(&url), "No such message or part")
            }
            Err(CmdError::Bad(code, text)) => return self.bad(Some(tag), code, &text),
            Err(CmdError::Bye(code, text)) => {
                self.writer().untagged(Status::Bye, code, &text);
                self.writer().no(tag, code, &text);
                return Err(End::Finished);
            }
            Err(CmdError::Disconnected(error)) => return Err(error.into()),
        }
        Ok(())
    }

    /// Appends to the output buffer.
    pub(crate) fn writer(&mut self) -> Writer<'_> {
        self.enabled.writer(self.connection.output())
    }

    fn bad(&mut self, tag: Option<&Tag>, code: Code<'_>, text: &str) -> Result<(), End> {
        self.writer().bad(tag, code, text);
        self.bad_commands += 1;
        let max = match self.state {
            State::NotAuthenticated => BAD_COMMANDS_UNAUTHENTICATED_MAX,
            _ => BAD_COMMANDS_MAX,
        };
        if self.bad_commands >= max {
            return Err(End::Bye(Code::ClientBug, "Too many bad commands".to_owned()));
        }
        Ok(())
    }

    pub(crate) fn frame_error(&mut self, error: &FrameError) -> Result<(), End> {
        if error.is_fatal() {
            return Err(End::Bye(error.kind.code(), error.to_string()));
        }
        metrics().command(PROTOCOL, "UNKNOWN", "bad", std::time::Duration::ZERO);
        self.bad(error.tag.as_ref(), error.kind.code(), &error.to_string())
    }

    fn parse_error(&mut self, error: &ParseError) -> Result<(), End> {
        metrics().command(PROTOCOL, "UNKNOWN", "bad", std::time::Duration::ZERO);
        if let Some(tag) = error.tag.as_ref().filter(|_| error.kind.is_refusal()) {
            self.writer().no(tag, error.kind.code(), &error.to_string());
            return Ok(());
        }
        self.bad(error.tag.as_ref(), error.kind.code(), &error.to_string())
    }

    /// RFC 5182 §2.1: a search with SAVE that is refused leaves an empty result, for its charset too.
    fn forget_saved(&mut self, error: &ParseError, frame: &Frame) {
        let names_save = || frame.bytes().windows(4).any(|word| word.eq_ignore_ascii_case(b"SAVE"));
        if let State::Selected(_, selected) = &mut self.state
            && error.kind == imap_wire::ParseErrorKind::BadCharset
            && names_save()
        {
            selected.saved = mail_types::UidSet::new();
        }
    }

    /// Says goodbye, if that is still to be done, and closes.
    async fn end(mut self, end: End) {
        match end {
            End::Finished => {}
            End::Bye(code, text) => self.writer().untagged(Status::Bye, code, &text),
            End::Disconnected(error) => {
                tracing::debug!(peer = %self.connection.peer(), %error, "A client is gone");
                if !matches!(error, ReadError::Endless) {
                    return;
                }
            }
        }
        self.connection.shutdown().await;
    }

    pub(crate) fn may_start_tls(&self) -> bool {
        self.gateway.settings.tls.is_some() && !self.connection.is_tls()
    }

    /// RFC 9051 §6.2.3: no passwords in clear text, unless the operator wants it so.
    pub(crate) fn may_login(&self) -> bool {
        self.connection.is_tls() || self.gateway.settings.allow_clear_login
    }

    /// The user of a session that has logged in.
    pub(crate) fn user(&self) -> Result<&User, CmdError> {
        match &self.state {
            State::Authenticated(user) | State::Selected(user, _) => Ok(user),
            State::NotAuthenticated | State::Logout => Err(CmdError::bad("Not logged in")),
        }
    }

    pub(crate) fn grant(&self) -> Result<bytes::Bytes, CmdError> {
        Ok(self.user()?.grant.clone())
    }

    pub(crate) fn selected(&self) -> Result<&Selected, CmdError> {
        match &self.state {
            State::Selected(_, selected) => Ok(selected),
            _ => Err(CmdError::bad("No mailbox is selected")),
        }
    }

    pub(crate) fn selected_mut(&mut self) -> Result<&mut Selected, CmdError> {
        match &mut self.state {
            State::Selected(_, selected) => Ok(selected),
            _ => Err(CmdError::bad("No mailbox is selected")),
        }
    }

    /// Drops the selected mailbox.
    pub(crate) fn unselect(&mut self) {
        self.forget_fresh();
        self.state = match std::mem::replace(&mut self.state, State::Logout) {
            State::Selected(user, _) => State::Authenticated(user),
            other => other,
        };
    }

    /// A session that outlives its grant gets a new one, as long as auth says so.
    pub(crate) async fn renew_grant(&mut self) -> Result<(), CmdError> {
        let (State::Authenticated(user) | State::Selected(user, _)) = &mut self.state else { return Ok(()) };
        if !user.needs_renewal() {
            return Ok(());
        }
        match self.gateway.backends.auth.renew(pb::RenewRequest { grant: user.grant.clone() }).await {
            Ok(login) if login.account_id == user.account.get() => {
                *user = User::new(&login);
                Ok(())
            }
            Ok(_) => Err(CmdError::internal("auth renewed a grant for another account")),
            Err(status) => match Refusal::from(status) {
                Refusal::Forbidden(_) | Refusal::Unauthenticated(_) => {
                    Err(CmdError::Bye(Code::ContactAdmin, "This account was disabled".into()))
                }
                // Auth is away: the old grant does as long as it holds.
                _ if user.grant_left() > 0 => Ok(()),
                refusal => Err(refusal.into()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use mail_rpc::{AuthClient, MailboxClient, Transport};
    use mailbox_hints::Hints;
    use service_runtime::Shutdown;

    use super::*;
    use crate::server::{Backends, Settings};

    /// Bytes of a session's task, at any time: 10 000 idle sessions are a few dozen megabytes.
    const TASK_BYTES_MAX: usize = 3 * 1024;

    #[tokio::test]
    async fn an_idle_session_is_small() {
        let transport = Transport::remote("http://127.0.0.1:1", None).unwrap();
        let backends = Backends {
            auth: AuthClient::new(transport.clone()),
            mailbox: MailboxClient::new(transport),
            hints: Hints::none(),
        };
        let gateway = Arc::new(Gateway::new(backends, Settings::default(), Shutdown::new()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let task = run(gateway, Connection::from_tcp(stream, PROTOCOL).unwrap());
        let size = std::mem::size_of_val(&task);
        assert!(size <= TASK_BYTES_MAX, "{size}");
    }
}
