//! One client: its state, and the loop of command and reply.

use std::sync::Arc;
use std::time::Instant;

use line_server::{Connection, Line, ReadError};
use mail_rpc::pb;
use service_runtime::metrics;

use crate::cmd;
use crate::command::{self, Command, LINE_BYTES_MAX};
use crate::maildrop::Maildrop;
use crate::read_ahead::{self, ReadAhead};
use crate::reply::{CmdError, CmdResult, Reply};
use crate::server::{Gateway, INACTIVITY_MIN};

/// Lines that are no command or not allowed in the state, until the session is ended politely: no client makes that many.
const BAD_COMMANDS_MAX: u32 = 20;
/// Failed logins, until the session is ended: the next guess costs a new connection.
pub(crate) const LOGIN_FAILURES_MAX: u32 = 5;
/// Octets of replies to pipelined commands that may wait for each other.
const REPLIES_QUEUED_MAX: usize = 64 * 1024;

/// RFC 1939 §3. UPDATE is not a state of its own: QUIT passes through it.
pub(crate) enum State {
    Authorization {
        /// USER was accepted and PASS is awaited.
        user: Option<String>,
    },
    Transaction(Box<Transaction>),
}

/// What a login opened.
pub(crate) struct Transaction {
    pub(crate) login: pb::Login,
    pub(crate) maildrop: Maildrop,
    pub(crate) read_ahead: ReadAhead,
}

/// One client.
pub(crate) struct Session {
    pub(crate) connection: Connection,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) login_failures: u32,
    bad_commands: u32,
}

/// After a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Continue,
    End,
}

impl Session {
    pub(crate) fn new(connection: Connection, gateway: Arc<Gateway>) -> Self {
        Self { connection, gateway, login_failures: 0, bad_commands: 0 }
    }

    pub(crate) async fn run(mut self) {
        let settings = &self.gateway.settings;
        self.connection.set_read_timeout(settings.inactivity_timeout.max(INACTIVITY_MIN));
        self.connection.set_deadline(Some(tokio::time::Instant::now() + settings.login_timeout));
        self.connection.queue(format!("+OK {} POP3 server ready\r\n", settings.hostname).as_bytes());
        let mut state = State::Authorization { user: None };
        loop {
            if self.flush_when_due().await.is_err() {
                return;
            }
            match self.next_command(&mut state).await {
                Next::Line(Ok(line)) => match self.answer(&mut state, &line).await {
                    Flow::Continue => {}
                    Flow::End => break,
                },
                Next::Line(Err(ReadError::TooLong)) => {
                    if self.count_bad("line too long") == Flow::End {
                        break;
                    }
                }
                // RFC 1939 §3: on a timeout the connection is closed without a word, and nothing is deleted.
                Next::Line(Err(_)) => return,
                Next::Shutdown => {
                    self.connection.queue(b"-ERR [SYS/TEMP] the server is stopping, nothing was deleted\r\n");
                    break;
                }
            }
        }
        self.connection.shutdown().await;
    }

    /// Replies to pipelined commands travel together (RFC 2449 §6.6).
    async fn flush_when_due(&mut self) -> std::io::Result<()> {
        if self.connection.has_buffered() && self.connection.queued() < REPLIES_QUEUED_MAX {
            return Ok(());
        }
        self.connection.flush().await
    }

    /// The next line, whatever it means.
    pub(crate) async fn next_line(&mut self) -> Next {
        tokio::select! {
            biased;
            () = self.gateway.shutdown.wait() => Next::Shutdown,
            line = self.connection.read_line(LINE_BYTES_MAX) => Next::Line(line),
        }
    }

    /// The next command's line; a client that pauses loses what was read ahead for it.
    async fn next_command(&mut self, state: &mut State) -> Next {
        if let State::Transaction(transaction) = state
            && transaction.read_ahead.is_open()
        {
            if let Ok(next) = tokio::time::timeout(read_ahead::IDLE_MAX, self.next_line()).await {
                return next;
            }
            transaction.read_ahead.close();
        }
        self.next_line().await
    }

    async fn answer(&mut self, state: &mut State, line: &Line) -> Flow {
        let started = Instant::now();
        let command = match command::parse(line.text()) {
            Ok(command) => command,
            Err(error) => {
                metrics().command("pop3", "?", "bad", started.elapsed());
                return self.count_bad(&error.to_string());
            }
        };
        let name = command.name();
        let is_quit = command == Command::Quit;
        let result = self.dispatch(state, command).await;
        let outcome = match &result {
            Ok(_) => "ok",
            Err(CmdError::Syntax(_)) => "bad",
            Err(_) => "no",
        };
        metrics().command("pop3", name, outcome, started.elapsed());
        match self.reply(result) {
            Flow::Continue if is_quit => Flow::End,
            flow => flow,
        }
    }

    fn reply(&mut self, result: CmdResult) -> Flow {
        match result {
            Ok(Reply::Ok(text)) => self.connection.queue(format!("+OK {text}\r\n").as_bytes()),
            Ok(Reply::Sent) => {}
            Err(CmdError::Syntax(error)) => return self.count_bad(&error.to_string()),
            Err(CmdError::Broken(why)) => {
                tracing::debug!(peer = %self.connection.peer(), why, "A POP3 session broke off");
                return Flow::End;
            }
            Err(error @ CmdError::Refused { .. }) => self.connection.queue(error.line().as_bytes()),
        }
        if self.login_failures >= LOGIN_FAILURES_MAX {
            self.connection.queue(b"-ERR too many failed logins, goodbye\r\n");
            return Flow::End;
        }
        Flow::Continue
    }

    fn count_bad(&mut self, why: &str) -> Flow {
        self.bad_commands += 1;
        if self.bad_commands > BAD_COMMANDS_MAX {
            self.connection.queue(b"-ERR too many bad commands, goodbye\r\n");
            return Flow::End;
        }
        self.connection.queue(format!("-ERR {why}\r\n").as_bytes());
        Flow::Continue
    }

    /// The table of what is legal where: RFC 1939 §4 to §6, RFC 2449 §5, RFC 2595 §4.
    async fn dispatch(&mut self, state: &mut State, command: Command) -> CmdResult {
        match (command, state) {
            (Command::Capa, state) => Ok(cmd::capa(self, state)),
            (Command::Quit, State::Authorization { .. }) => Reply::ok("bye"),
            (Command::User(name), State::Authorization { user }) => cmd::user(self, user, name),
            (Command::Pass(password), state @ State::Authorization { .. }) => {
                cmd::pass(self, state, password).await
            }
            (Command::AuthList, State::Authorization { .. }) => Ok(cmd::auth_list(self)),
            (Command::Auth { mechanism, initial }, state @ State::Authorization { .. }) => {
                cmd::auth(self, state, &mechanism, initial).await
            }
            (Command::Stls, state @ State::Authorization { .. }) => cmd::stls(self, state).await,
            (_, State::Authorization { .. }) => Err(CmdError::refused("log in first")),
            (Command::Stat, State::Transaction(transaction)) => cmd::stat(transaction),
            (Command::List(number), State::Transaction(transaction)) => {
                cmd::list(self, transaction, number).await
            }
            (Command::Uidl(number), State::Transaction(transaction)) => {
                cmd::uidl(self, transaction, number).await
            }
            (Command::Retr(number), State::Transaction(transaction)) => {
                cmd::retr(self, transaction, number).await
            }
            (Command::Top(number, lines), State::Transaction(transaction)) => {
                cmd::top(self, transaction, number, lines).await
            }
            (Command::Dele(number), State::Transaction(transaction)) => cmd::dele(transaction, number),
            (Command::Rset, State::Transaction(transaction)) => cmd::rset(transaction),
            (Command::Noop, State::Transaction(_)) => Reply::ok("nothing done"),
            (Command::Quit, State::Transaction(transaction)) => cmd::quit(self, transaction).await,
            (
                Command::User(_)
                | Command::Pass(_)
                | Command::Auth { .. }
                | Command::AuthList
                | Command::Stls,
                State::Transaction(_),
            ) => Err(CmdError::refused("already logged in")),
        }
    }
}

/// What ended the wait for the client.
pub(crate) enum Next {
    Line(Result<Line, ReadError>),
    Shutdown,
}
