//! One client: its state, and the loop of command and reply.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use line_server::{Connection, Line, ReadError, within};
use service_runtime::metrics;

use crate::address::{Address, ReversePath};
use crate::cmd;
use crate::command::{self, Command, LINE_BYTES_MAX, Mail};
use crate::confirm::Confirmation;
use crate::incoming::Incoming;
use crate::reply::{
    BAD_ORDER, BARE_LINE_END, CmdError, CmdResult, LINE_TOO_LONG, Reply, STOPPING, TIMED_OUT, TOO_MANY_ERRORS,
};
use crate::server::{Gateway, Protocol};

/// Silence after which a session ends with 421. RFC 5321 §4.5.3.2.7 asks for at least five minutes.
const SILENCE_MAX: Duration = Duration::from_secs(5 * 60);
/// Mistakes in syntax or order until the session ends: no working client makes that many.
const ERRORS_MAX: u32 = 20;
/// Octets of replies to pipelined commands that may wait for each other.
const REPLIES_QUEUED_MAX: usize = 64 * 1024;
/// How long after QUIT the client's own end is waited for, when that is the only sign that it read what came before.
const LINGER_MAX: Duration = Duration::from_secs(5);

/// RFC 5321 §4.1.4.
pub(crate) enum State {
    /// Nothing, or nothing after STARTTLS.
    Connected,
    Greeted(Hello),
    /// MAIL was accepted.
    Transaction(Hello, Box<Transaction>),
}

/// How the client introduced itself.
#[derive(Debug, Clone)]
pub(crate) struct Hello {
    pub(crate) name: String,
    /// With EHLO or LHLO.
    pub(crate) extended: bool,
}

/// From MAIL to the end of the data.
pub(crate) struct Transaction {
    pub(crate) mail: Mail,
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) body: Body,
}

/// Somebody the message is for.
pub(crate) struct Recipient {
    pub(crate) address: Address,
    pub(crate) account_address: String,
    pub(crate) account_id: u64,
    pub(crate) detail: String,
    pub(crate) grant: Bytes,
    pub(crate) resolved_at: Instant,
}

/// The message so far. DATA brings it at once; BDAT piece by piece.
pub(crate) enum Body {
    NotYet,
    Chunks(Box<Incoming>),
    /// A chunk was refused: RFC 3030 §2 wants the transaction to end with RSET.
    Failed,
}

/// One client.
pub(crate) struct Session {
    pub(crate) connection: Connection,
    pub(crate) protocol: Protocol,
    pub(crate) gateway: Arc<Gateway>,
    /// Recipients asked for that do not exist.
    pub(crate) unknown_recipients: u32,
    /// Answered with 250, but perhaps not read by the client yet.
    unconfirmed: Vec<Confirmation>,
    errors: u32,
}

/// After a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Continue,
    End,
}

impl Session {
    pub(crate) fn new(connection: Connection, protocol: Protocol, gateway: Arc<Gateway>) -> Self {
        Self { connection, protocol, gateway, unknown_recipients: 0, unconfirmed: Vec::new(), errors: 0 }
    }

    pub(crate) async fn run(mut self) {
        self.connection.set_read_timeout(SILENCE_MAX);
        let name = match self.protocol {
            Protocol::Lmtp => "LMTP",
            Protocol::Smtp => "ESMTP",
        };
        self.connection.queue(format!("220 {} {name} Todoku\r\n", self.gateway.settings.hostname).as_bytes());
        let mut state = State::Connected;
        loop {
            let Ok(all_sent) = self.flush_when_due().await else { return };
            let next = self.next_line().await;
            // Whatever the client does after everything was sent to it, it does knowing the replies.
            if all_sent && matches!(next, Next::Line(Ok(_) | Err(ReadError::TooLong | ReadError::Closed))) {
                self.confirm();
            }
            match next {
                Next::Line(Ok(line)) => match self.answer(&mut state, &line).await {
                    Flow::Continue => {}
                    Flow::End => break,
                },
                Next::Line(Err(ReadError::TooLong)) => {
                    if self.count_error(&LINE_TOO_LONG) == Flow::End {
                        break;
                    }
                }
                Next::Line(Err(ReadError::TimedOut)) => {
                    self.say(&TIMED_OUT);
                    break;
                }
                Next::Line(Err(_)) => return,
                Next::Shutdown => {
                    self.say(&STOPPING);
                    break;
                }
            }
        }
        self.end().await;
    }

    pub(crate) fn say(&mut self, reply: &Reply) {
        self.connection.queue(reply.line().as_bytes());
    }

    /// To be told to storage once the client is known to have read the reply.
    pub(crate) fn confirm_later(&mut self, confirmation: Confirmation) {
        if !confirmation.deliveries.is_empty() {
            self.unconfirmed.push(confirmation);
        }
    }

    /// Sends what is queued and looks, without waiting, whether the client is there. One that had hung up by then has not
    /// read it, and its retry must be recognised.
    fn has_hung_up(&mut self) -> bool {
        matches!(self.connection.fill().now_or_never(), Some(Err(_)))
    }

    fn confirm(&mut self) {
        for confirmation in self.unconfirmed.drain(..) {
            self.gateway.confirmer.confirm(confirmation);
        }
    }

    /// Replies to pipelined commands travel together (RFC 2920 §3.2). True: the client has been sent all of them, and has
    /// not said anything yet.
    async fn flush_when_due(&mut self) -> std::io::Result<bool> {
        let waits = !self.connection.has_buffered();
        if waits && !self.unconfirmed.is_empty() && self.has_hung_up() {
            self.unconfirmed.clear();
        }
        if waits || self.connection.queued() >= REPLIES_QUEUED_MAX {
            self.connection.flush().await?;
        }
        Ok(waits)
    }

    async fn next_line(&mut self) -> Next {
        tokio::select! {
            biased;
            () = self.gateway.shutdown.wait() => Next::Shutdown,
            line = self.connection.read_line(LINE_BYTES_MAX) => Next::Line(line),
        }
    }

    /// A client that pipelined QUIT has read our last replies if it closes in good order after them.
    async fn end(&mut self) {
        if !self.unconfirmed.is_empty()
            && !self.connection.has_buffered()
            && !self.has_hung_up()
            && self.connection.flush().await.is_ok()
            && matches!(within(LINGER_MAX, self.connection.fill()).await, Err(ReadError::Closed))
        {
            self.confirm();
        }
        self.connection.shutdown().await;
    }

    async fn answer(&mut self, state: &mut State, line: &Line) -> Flow {
        // Before anything else: a line that ends in LF alone is no line (RFC 5321 §2.3.8).
        if line.has_bare_cr_or_lf() {
            return self.count_error(&BARE_LINE_END);
        }
        let started = Instant::now();
        let (name, result) = match command::parse(line.text()) {
            Ok(Command::Quit) => {
                self.say(&Reply::new(221, "2.0.0", "bye"));
                return Flow::End;
            }
            Ok(command) => (command.name(), self.dispatch(state, command).await),
            Err(error) => ("?", Err(error.into())),
        };
        let outcome = match &result {
            Ok(_) => "ok",
            Err(CmdError::Bad(_)) => "bad",
            Err(_) => "no",
        };
        metrics().command(self.protocol.name(), name, outcome, started.elapsed());
        match result {
            Ok(Some(reply)) => self.say(&reply),
            Ok(None) => {}
            Err(CmdError::Bad(reply)) => return self.count_error(&reply),
            Err(CmdError::Refused(reply)) => self.say(&reply),
            Err(CmdError::Fatal(reply)) => {
                self.say(&reply);
                return Flow::End;
            }
            Err(CmdError::Broken(why)) => {
                tracing::debug!(peer = %self.connection.peer(), why, "A session broke off");
                return Flow::End;
            }
        }
        Flow::Continue
    }

    fn count_error(&mut self, reply: &Reply) -> Flow {
        self.errors += 1;
        self.say(reply);
        if self.errors < ERRORS_MAX {
            return Flow::Continue;
        }
        self.say(&TOO_MANY_ERRORS);
        Flow::End
    }

    /// The table of what is legal where. RFC 5321 §4.1.4, RFC 2033 §4.1.
    async fn dispatch(&mut self, state: &mut State, command: Command) -> Result<Option<Reply>, CmdError> {
        let said = |result: CmdResult| result.map(Some);
        match (command, self.protocol) {
            (Command::Lhlo(name), Protocol::Lmtp) => Ok(cmd::extended_hello(self, state, name)),
            (Command::Ehlo(name), Protocol::Smtp) => Ok(cmd::extended_hello(self, state, name)),
            (Command::Helo(name), Protocol::Smtp) => Ok(cmd::hello(self, state, name)),
            (Command::Lhlo(_), Protocol::Smtp) | (Command::Helo(_) | Command::Ehlo(_), Protocol::Lmtp) => {
                Err(CmdError::Bad(Reply::new(
                    500,
                    "5.5.1",
                    "wrong protocol: this greeting is not spoken here",
                )))
            }
            (Command::StartTls, _) => cmd::start_tls(self, state).await,
            (Command::Mail(mail), _) => said(cmd::mail(self, state, mail)),
            (Command::Rcpt(path), _) => said(cmd::rcpt(self, state, path).await),
            (Command::Data, _) => cmd::data(self, state).await,
            (Command::Bdat { size, last }, _) => cmd::bdat(self, state, size, last).await,
            (Command::Rset, _) => {
                state.reset();
                Ok(Some(Reply::new(250, "2.0.0", "OK")))
            }
            (Command::Noop, _) => Ok(Some(Reply::new(250, "2.0.0", "OK"))),
            // RFC 5321 §3.5.3: nobody is told who is here.
            (Command::Vrfy, _) => Ok(Some(Reply::new(252, "2.5.0", "cannot verify, send mail and see"))),
            (Command::Expn, _) => Err(CmdError::Refused(Reply::new(502, "5.5.1", "there are no lists here"))),
            (Command::Help, _) => Ok(Some(Reply::new(214, "2.0.0", "see RFC 5321 and RFC 2033"))),
            // Answered by the loop, which ends after it.
            (Command::Quit, _) => Ok(None),
        }
    }
}

impl State {
    /// RSET, and the end of a transaction.
    pub(crate) fn reset(&mut self) {
        *self = match std::mem::replace(self, Self::Connected) {
            Self::Transaction(hello, _) => Self::Greeted(hello),
            other => other,
        };
    }

    pub(crate) fn transaction(&mut self) -> Result<(&Hello, &mut Transaction), CmdError> {
        match self {
            Self::Transaction(hello, transaction) => Ok((hello, transaction)),
            Self::Connected | Self::Greeted(_) => Err(CmdError::Bad(BAD_ORDER)),
        }
    }
}

impl Transaction {
    pub(crate) fn new(mail: Mail) -> Self {
        Self { mail, recipients: Vec::new(), body: Body::NotYet }
    }

    pub(crate) fn sender(&self) -> &ReversePath {
        &self.mail.sender
    }
}

enum Next {
    Line(Result<Line, ReadError>),
    Shutdown,
}
