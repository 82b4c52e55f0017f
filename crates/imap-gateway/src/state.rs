//! The states of a session (RFC 9051 §3), each owning what it needs, and the one table of what is allowed where.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use imap_wire::{Code, CommandBody, ParseOptions, WriteOptions, Writer};
use mail_rpc::pb;
use mail_types::{AccountId, KeywordTable, MailboxId, Rights, UidSet};
use mailbox_hints::{Subscription, Wake};
use tokio::time::Instant;

use crate::context::Contexts;
use crate::error::CmdError;
use crate::fetch::Place;
use crate::language::Language;
use crate::limits::GRANT_MARGIN_SECONDS;
use crate::others::Whose;
use crate::view::View;

pub(crate) enum State {
    NotAuthenticated,
    Authenticated(User),
    Selected(User, Box<Selected>),
    Logout,
}

/// Who has logged in, and auth's statement of it.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) account: AccountId,
    /// The account's own address.
    pub(crate) address: Arc<str>,
    pub(crate) grant: Bytes,
    expires_at: i64,
}

/// An open mailbox.
pub(crate) struct Selected {
    pub(crate) view: View,
    pub(crate) whose: Whose,
    /// What may be done with it (RFC 4314), as storage said last.
    pub(crate) rights: Rights,
    pub(crate) access: Access,
    /// How many of the mailbox's keywords the client has been told of with FLAGS.
    pub(crate) keywords_told: usize,
    /// The saved search result, `$` (RFC 5182).
    pub(crate) saved: UidSet,
    /// Searches that are kept up to date.
    pub(crate) contexts: Contexts,
    /// Wakes this session; none when hints are not at work.
    pub(crate) subscription: Subscription,
    /// When the database was asked for news last.
    pub(crate) checked_at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// EXAMINE
    ReadOnly,
    /// SELECT
    ReadWrite,
}

/// What the client has asked for with ENABLE, or in other ways (RFC 7162 §3.1).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Enabled {
    pub(crate) condstore: bool,
    pub(crate) qresync: bool,
    /// IMAP4rev2 (RFC 9051 §6.3.1): its replies instead of those of IMAP4rev1.
    pub(crate) rev2: bool,
    /// UTF8=ACCEPT (RFC 6855 §3).
    pub(crate) utf8_accept: bool,
    /// UIDONLY (RFC 9586): no sequence numbers, neither way.
    pub(crate) uid_only: bool,
    pub(crate) watches: Watches,
    /// LANGUAGE (RFC 5255 §3.2).
    pub(crate) language: Language,
}

impl Enabled {
    /// Mailbox names and quoted strings in UTF-8, both ways.
    pub(crate) fn utf8(self) -> bool {
        self.rev2 || self.utf8_accept
    }

    pub(crate) fn parse_options(self) -> ParseOptions {
        ParseOptions { utf8: self.utf8(), no_charset: self.utf8_accept, rev2: self.rev2 }
    }

    /// Writes replies in the form that the client wants.
    pub(crate) fn writer(self, out: &mut BytesMut) -> Writer<'_> {
        let options =
            WriteOptions { utf8: self.utf8(), uid_only: self.uid_only, translate: self.language.translate() };
        Writer::with(out, options)
    }
}

/// What NOTIFY says of the selected mailbox's flags (RFC 5465 §5.1).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Watches {
    /// Unasked FETCH lines have the UID.
    pub(crate) uid: bool,
    /// Flags that other sessions change are not told.
    pub(crate) hide_flags: bool,
}

impl User {
    pub(crate) fn new(login: &pb::Login) -> Self {
        Self {
            account: AccountId::new(login.account_id),
            address: login.address.as_str().into(),
            grant: login.grant.clone(),
            expires_at: login.expires_at,
        }
    }

    /// Seconds that the grant still holds.
    pub(crate) fn grant_left(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
        self.expires_at - now
    }

    pub(crate) fn needs_renewal(&self) -> bool {
        self.grant_left() < GRANT_MARGIN_SECONDS
    }
}

impl Access {
    pub(crate) fn to_pb(self) -> i32 {
        match self {
            Self::ReadOnly => pb::Access::ReadOnly.into(),
            Self::ReadWrite => pb::Access::ReadWrite.into(),
        }
    }
}

impl Selected {
    pub(crate) fn mailbox(&self) -> MailboxId {
        self.view.snapshot().meta().mailbox
    }

    /// Where its messages are fetched from.
    pub(crate) fn place(&self, grant: Bytes) -> Place {
        Place { account: self.whose.owner(), owner: self.whose.to_pb(), grant, mailbox: self.mailbox() }
    }

    /// RFC 4314 §5.2: can anything that all share be changed? \Seen is each reader's own.
    pub(crate) fn is_read_write(&self) -> bool {
        let changing = Rights::INSERT.with(Rights::EXPUNGE).with(Rights::WRITE).with(Rights::DELETE_MESSAGES);
        self.access == Access::ReadWrite && self.rights.has_any(changing)
    }

    pub(crate) fn keywords(&self) -> &Arc<KeywordTable> {
        &self.view.snapshot().meta().keywords
    }

    /// Does a hint say that the mailbox has gone on since this client was told of it?
    pub(crate) fn is_news(&self, wake: &Wake) -> bool {
        match wake {
            Wake::Resync => true,
            Wake::Mailbox { mailbox, modseq, .. } => {
                *mailbox == self.mailbox() && *modseq > self.view.snapshot().meta().modseq
            }
        }
    }

    /// Changing messages needs SELECT.
    pub(crate) fn demand_write(&self) -> Result<(), CmdError> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(CmdError::no(Code::ReadOnly, "The mailbox was opened with EXAMINE")),
        }
    }
}

/// In which states a command is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Any,
    NotAuthenticated,
    Authenticated,
    Selected,
    /// We know the syntax, and do not offer it.
    NotOffered,
}

impl State {
    pub(crate) fn allows(&self, phase: Phase) -> bool {
        match phase {
            Phase::Any => !matches!(self, Self::Logout),
            Phase::NotAuthenticated => matches!(self, Self::NotAuthenticated),
            Phase::Authenticated => matches!(self, Self::Authenticated(_) | Self::Selected(..)),
            Phase::Selected => matches!(self, Self::Selected(..)),
            Phase::NotOffered => false,
        }
    }
}

/// RFC 9051 §6: every command's name and states.
pub(crate) fn describe(body: &CommandBody) -> (&'static str, Phase) {
    use CommandBody as C;
    match body {
        C::Capability => ("CAPABILITY", Phase::Any),
        C::Noop => ("NOOP", Phase::Any),
        C::Logout => ("LOGOUT", Phase::Any),
        C::Id(_) => ("ID", Phase::Any),
        C::Language(_) => ("LANGUAGE", Phase::Any),
        C::Unauthenticate => ("UNAUTHENTICATE", Phase::Authenticated),
        C::StartTls => ("STARTTLS", Phase::NotAuthenticated),
        C::Authenticate { .. } => ("AUTHENTICATE", Phase::NotAuthenticated),
        C::Login { .. } => ("LOGIN", Phase::NotAuthenticated),
        C::Enable(_) => ("ENABLE", Phase::Authenticated),
        C::Select(_) => ("SELECT", Phase::Authenticated),
        C::Examine(_) => ("EXAMINE", Phase::Authenticated),
        C::Create { .. } => ("CREATE", Phase::Authenticated),
        C::Delete(_) => ("DELETE", Phase::Authenticated),
        C::Rename { .. } => ("RENAME", Phase::Authenticated),
        C::Subscribe(_) => ("SUBSCRIBE", Phase::Authenticated),
        C::Unsubscribe(_) => ("UNSUBSCRIBE", Phase::Authenticated),
        C::List(_) => ("LIST", Phase::Authenticated),
        C::Lsub(_) => ("LSUB", Phase::Authenticated),
        C::Namespace => ("NAMESPACE", Phase::Authenticated),
        C::Status { .. } => ("STATUS", Phase::Authenticated),
        C::Append(_) => ("APPEND", Phase::Authenticated),
        C::Notify(_) => ("NOTIFY", Phase::Authenticated),
        C::Idle => ("IDLE", Phase::Authenticated),
        // RFC 4978 §3: in any state; before login it would only help attackers.
        C::Compress(_) => ("COMPRESS", Phase::Authenticated),
        C::GetQuota(_) => ("GETQUOTA", Phase::Authenticated),
        C::SetAcl(_) => ("SETACL", Phase::Authenticated),
        C::DeleteAcl { .. } => ("DELETEACL", Phase::Authenticated),
        C::GetAcl(_) => ("GETACL", Phase::Authenticated),
        C::ListRights { .. } => ("LISTRIGHTS", Phase::Authenticated),
        C::MyRights(_) => ("MYRIGHTS", Phase::Authenticated),
        C::GetQuotaRoot(_) => ("GETQUOTAROOT", Phase::Authenticated),
        C::SetQuota { .. } => ("SETQUOTA", Phase::Authenticated),
        C::GetMetadata(_) => ("GETMETADATA", Phase::Authenticated),
        C::SetMetadata { .. } => ("SETMETADATA", Phase::Authenticated),
        C::GenUrlAuth(_) => ("GENURLAUTH", Phase::Authenticated),
        C::ResetKey { .. } => ("RESETKEY", Phase::Authenticated),
        C::UrlFetch(_) => ("URLFETCH", Phase::Authenticated),
        C::Check => ("CHECK", Phase::Selected),
        C::Close => ("CLOSE", Phase::Selected),
        C::Unselect => ("UNSELECT", Phase::Selected),
        C::Expunge(_) => ("EXPUNGE", Phase::Selected),
        C::Search(search) if search.mailboxes.is_none() => ("SEARCH", Phase::Selected),
        C::Search(_) => ("ESEARCH", Phase::Authenticated),
        C::CancelUpdate(_) => ("CANCELUPDATE", Phase::Selected),
        C::UidBatches { .. } => ("UIDBATCHES", Phase::Selected),
        C::Sort(_) => ("SORT", Phase::Selected),
        C::Thread(_) => ("THREAD", Phase::Selected),
        C::Fetch(_) => ("FETCH", Phase::Selected),
        C::Store(_) => ("STORE", Phase::Selected),
        C::Replace(_) => ("REPLACE", Phase::Selected),
        C::Copy { .. } => ("COPY", Phase::Selected),
        C::Move { .. } => ("MOVE", Phase::Selected),
        C::Comparator(_) => ("OTHER", Phase::NotOffered),
    }
}
