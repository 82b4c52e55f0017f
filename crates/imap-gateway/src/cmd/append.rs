//! APPEND and MULTIAPPEND (RFC 9051 §6.3.12, RFC 3502, RFC 4315): octets go to storage as they come from the client.

use bytes::Bytes;
use imap_wire::{
    Append, AppendForm, AppendStep, Code, FlagList, FrameStep, InternalDate, LiteralChunk, LiteralHeader,
    parse_append_next,
};
use line_server::BudgetGuard;
use mail_rpc::{Refusal, pb};
use mail_types::{Rights, Uid, UidSet, UidValidity};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::catenate;
use super::store::flag_set;
use crate::error::{CmdError, CmdResult, Done, DoneCode};
use crate::limits::{APPEND_CHUNK_BYTES, APPEND_CHUNKS_IN_FLIGHT, APPEND_MESSAGES_MAX};
use crate::others::{Target, Whose};
use crate::session::Session;
use crate::state::State;
use crate::sync::Expunges;

/// Octets of an idempotency key.
const KEY_BYTES: usize = 16;

pub(crate) async fn append(session: &mut Session, append: Append) -> CmdResult {
    let (whose, reply) = take(session, append, None).await?;
    appended(session, &reply.map_err(CmdError::of_destination)?, whose).await
}

/// Takes the messages from the client and gives them to storage, in the place of another if so wanted.
pub(super) async fn take(
    session: &mut Session,
    append: Append,
    replaced: Option<pb::Replaced>,
) -> Result<(Whose, Result<pb::AppendReply, Refusal>), CmdError> {
    let target = match check(session, &append, replaced.is_some()).await {
        Ok(target) => target,
        Err(error) => {
            session.framer.refuse_literal();
            return Err(error);
        }
    };
    match receive(session, append, &target, replaced).await {
        Ok(upload) => {
            session.progress.restart();
            Ok((target.whose, session.patiently(upload.finish()).await?))
        }
        // The upload ends here without `finish`, and so leaves nothing behind.
        Err(error) => {
            session.framer.refuse_literal();
            Err(error)
        }
    }
}

/// What can be known before the client sends its message should be said before.
async fn check(session: &mut Session, append: &Append, replaces: bool) -> Result<Target, CmdError> {
    if let Some(size) = message_size(session)
        && size > session.gateway.settings.message_bytes_max
    {
        return Err(too_big());
    }
    let target = session.target(&append.mailbox).await?;
    if target.whose.is_shared() {
        check_shared(session, &target).await?;
        return Ok(target);
    }
    if comes_anyway(session) {
        return Ok(target);
    }
    let request = pb::StatusRequest { owner: 0, grant: session.grant()?, name: target.name.clone() };
    let status = session.gateway.backends.mailbox.status(request).await;
    status.map_err(|status| CmdError::of_destination(Refusal::from(status)))?;
    // RFC 8508 §3.4: what counts is the difference, which storage knows.
    if let Some(size) = message_size(session).filter(|_| !replaces) {
        let request = pb::CheckRoomRequest { grant: session.grant()?, size };
        session.gateway.backends.mailbox.check_room(request).await?;
    }
    Ok(target)
}

/// A small literal that the client sends without waiting (RFC 7888 §3): asking first would save no octets, and storage says
/// the same when the message is there.
fn comes_anyway(session: &Session) -> bool {
    let literal = session.framer.open_literal();
    literal.is_some_and(|(header, _)| !header.sync && header.size <= APPEND_CHUNK_BYTES as u64)
}

/// RFC 4314 §4: the right `i`. Its owner's room is looked at when the messages are there.
async fn check_shared(session: &Session, target: &Target) -> Result<(), CmdError> {
    let (owner, name) = (target.whose.to_pb(), target.name.clone());
    let request = pb::MyRightsRequest { grant: session.grant()?, owner, name };
    let reply = session.gateway.backends.mailbox.my_rights(request).await;
    let reply = reply.map_err(|status| CmdError::of_destination(Refusal::from(status)))?;
    if Rights::from_bits(reply.rights).contains(Rights::INSERT) {
        return Ok(());
    }
    Err(CmdError::no(Code::NoPerm, "You lack the right to add messages"))
}

fn message_size(session: &Session) -> Option<u64> {
    session.framer.open_literal().map(|(header, _): (LiteralHeader, u64)| header.size)
}

fn too_big() -> CmdError {
    CmdError::no(Code::TooBig, "The message is larger than this server takes")
}

/// A stream of storage's Append under way.
struct Upload {
    steps: mpsc::Sender<pb::AppendRequest>,
    call: JoinHandle<Result<pb::AppendReply, Status>>,
    _room: BudgetGuard,
}

impl Upload {
    async fn start(
        session: &Session,
        target: &Target,
        replaced: Option<pb::Replaced>,
    ) -> Result<Self, CmdError> {
        let room =
            session.gateway.settings.memory.acquire(APPEND_CHUNK_BYTES * APPEND_CHUNKS_IN_FLIGHT).await;
        let (steps, receiver) = mpsc::channel(APPEND_CHUNKS_IN_FLIGHT);
        let storage = session.gateway.backends.mailbox.clone();
        let call = tokio::spawn(async move { storage.append(ReceiverStream::new(receiver)).await });
        let mut key = vec![0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(|error| CmdError::internal(&format!("no randomness: {error}")))?;
        let mut upload = Self { steps, call, _room: room };
        let start = pb::AppendStart {
            owner: target.whose.to_pb(),
            grant: session.grant()?,
            mailbox: target.name.clone(),
            idempotency_key: key.into(),
            keep_key: false,
            replaced,
        };
        upload.send(pb::append_request::Step::Start(start)).await?;
        Ok(upload)
    }

    /// Waits while storage has enough to do. When it has refused, says why.
    async fn send(&mut self, step: pb::append_request::Step) -> Result<(), CmdError> {
        if self.steps.send(pb::AppendRequest { step: Some(step) }).await.is_ok() {
            return Ok(());
        }
        Err(match (&mut self.call).await {
            Ok(Err(status)) => CmdError::of_destination(status.into()),
            _ => CmdError::internal("storage ended an append early"),
        })
    }

    async fn finish(mut self) -> Result<pb::AppendReply, Refusal> {
        let finish = pb::append_request::Step::Finish(pb::Finish {});
        let _ = self.steps.send(pb::AppendRequest { step: Some(finish) }).await;
        drop(self.steps);
        match (&mut self.call).await {
            Ok(reply) => reply.map_err(Refusal::from),
            Err(error) => Err(Refusal::Internal(format!("an append failed: {error}"))),
        }
    }
}

async fn receive(
    session: &mut Session,
    append: Append,
    target: &Target,
    replaced: Option<pb::Replaced>,
) -> Result<Upload, CmdError> {
    let messages_max = if replaced.is_some() { 1 } else { APPEND_MESSAGES_MAX };
    let mut upload = Upload::start(session, target, replaced).await?;
    let mut steps = append.steps;
    let mut messages = 0;
    let mut pending: Option<(FlagList, Option<InternalDate>)> = None;
    let mut form = AppendForm::Whole;
    // Octets of the message that is being put together, and what was seen of its header.
    let (mut total, mut header) = (0, HeaderScan::of(session));
    loop {
        for step in std::mem::take(&mut steps) {
            match step {
                AppendStep::Message { flags, date, form: next } => {
                    demand_octets(messages, total)?;
                    messages += 1;
                    if messages > messages_max {
                        return Err(CmdError::no(Code::Limit, "Too many messages at once"));
                    }
                    (form, total, header) = (next, 0, HeaderScan::of(session));
                    if form == AppendForm::Catenate {
                        let size = session.gateway.settings.message_bytes_max;
                        begin_message(&mut upload, (&flags, date), size, true).await?;
                    } else {
                        pending = Some((flags, date));
                    }
                }
                AppendStep::Url(url) => {
                    send_part(session, &mut upload, &url, (&mut total, &mut header)).await?;
                }
                AppendStep::Literal => {
                    let size = message_size(session).unwrap_or_default();
                    grow(session, &mut total, size)?;
                    check_form(session, form)?;
                    if let Some((flags, date)) = pending.take() {
                        demand_octets(messages, total)?;
                        begin_message(&mut upload, (&flags, date), size, false).await?;
                    }
                    receive_literal(session, &mut upload, &mut header).await?;
                }
                AppendStep::End => {
                    demand_octets(messages, total)?;
                    return Ok(upload);
                }
            }
        }
        steps = next_steps(session, form).await?;
    }
}

/// RFC 6855 §4: what stands in `UTF8 (...)` is a literal8.
fn check_form(session: &Session, form: AppendForm) -> Result<(), CmdError> {
    let is_binary = session.framer.open_literal().is_some_and(|(header, _)| header.binary);
    if form == AppendForm::Utf8 && !is_binary {
        return Err(CmdError::bad("UTF8 needs a literal8"));
    }
    Ok(())
}

/// RFC 3502 §6.3.11: an empty message takes all back.
fn demand_octets(messages: usize, total: u64) -> Result<(), CmdError> {
    if messages > 0 && total == 0 {
        return Err(CmdError::no(Code::None, "An empty message cancels APPEND"));
    }
    Ok(())
}

/// RFC 4469 §4.2: the limit is one for all parts together.
fn grow(session: &Session, total: &mut u64, by: u64) -> Result<(), CmdError> {
    *total = total.saturating_add(by);
    if *total > session.gateway.settings.message_bytes_max { Err(too_big()) } else { Ok(()) }
}

async fn begin_message(
    upload: &mut Upload,
    (flags, date): (&FlagList, Option<InternalDate>),
    size: u64,
    at_most: bool,
) -> Result<(), CmdError> {
    let message = pb::AppendMessage {
        flags: Some(flag_set(flags)),
        received_at: date.map(|date| date.unix_seconds),
        size,
        at_most,
    };
    upload.send(pb::append_request::Step::Message(message)).await
}

/// What a URL points to, as the next part (RFC 4469 §3).
async fn send_part(
    session: &Session,
    upload: &mut Upload,
    url: &Bytes,
    (total, header): (&mut u64, &mut HeaderScan),
) -> Result<(), CmdError> {
    let mut part = catenate::open(session, url).await?;
    grow(session, total, part.size)?;
    while let Some(mut data) = part.next().await? {
        header.check(&data)?;
        while !data.is_empty() {
            let chunk = data.split_to(data.len().min(APPEND_CHUNK_BYTES));
            upload.send(pb::append_request::Step::Chunk(chunk)).await?;
        }
    }
    Ok(())
}

async fn receive_literal(
    session: &mut Session,
    upload: &mut Upload,
    header: &mut HeaderScan,
) -> Result<(), CmdError> {
    if session.framer.open_literal().is_some_and(|(header, _)| header.sync) {
        session.writer().continuation("OK");
        session.connection.flush().await?;
    }
    session.framer.accept_literal();
    loop {
        match session.framer.literal_chunk(session.connection.buffer()) {
            LiteralChunk::Data(mut data) => {
                header.check(&data)?;
                while !data.is_empty() {
                    let chunk: Bytes = data.split_to(data.len().min(APPEND_CHUNK_BYTES));
                    upload.send(pb::append_request::Step::Chunk(chunk)).await?;
                }
            }
            LiteralChunk::NeedMore => fill(session).await?,
            LiteralChunk::Done => return Ok(()),
        }
    }
}

/// Looks at a message's header as it comes, in one piece or in several (RFC 4469).
struct HeaderScan {
    /// The empty line has come.
    is_over: bool,
    /// Something stands on the present line.
    in_line: bool,
}

impl HeaderScan {
    /// RFC 6855 §4: raw 8-bit in a header is for those who have enabled UTF-8.
    fn of(session: &Session) -> Self {
        let is_over = session.enabled.utf8() || !session.gateway.settings.utf8_accept;
        Self { is_over, in_line: false }
    }

    /// The next octets of the message, wherever they come from.
    fn check(&mut self, octets: &[u8]) -> Result<(), CmdError> {
        if self.finds_8bit(octets) {
            return Err(CmdError::no(Code::Cannot, "A header in UTF-8 needs ENABLE UTF8=ACCEPT"));
        }
        Ok(())
    }

    fn finds_8bit(&mut self, octets: &[u8]) -> bool {
        for octet in octets {
            match octet {
                _ if self.is_over => return false,
                b'\n' => self.is_over = !std::mem::take(&mut self.in_line),
                b'\r' => {}
                octet if octet.is_ascii() => self.in_line = true,
                _ => return true,
            }
        }
        false
    }
}

/// What comes after a message: the end of the command, or another message.
async fn next_steps(session: &mut Session, form: AppendForm) -> Result<Vec<AppendStep>, CmdError> {
    loop {
        match session.framer.next(session.connection.buffer()) {
            FrameStep::NeedMore => fill(session).await?,
            FrameStep::Continue => session.writer().continuation("OK"),
            FrameStep::Command(frame) | FrameStep::LiteralStream(frame) => {
                return parse_append_next(&frame, form, &session.enabled.parse_options()).map_err(|error| {
                    if error.kind.is_refusal() {
                        CmdError::no(Code::Cannot, error.to_string())
                    } else {
                        CmdError::Bad(Code::None, error.to_string().into())
                    }
                });
            }
            FrameStep::Error(error) if error.is_fatal() => {
                return Err(CmdError::Bye(error.kind.code(), error.to_string().into()));
            }
            FrameStep::Error(error) => return Err(CmdError::Bad(Code::None, error.to_string().into())),
        }
    }
}

async fn fill(session: &mut Session) -> Result<(), CmdError> {
    session.connection.flush().await?;
    session.fill().await.map_err(CmdError::from)
}

pub(super) fn append_uid(reply: &pb::AppendReply) -> Option<DoneCode> {
    let uids: UidSet = reply.uids.iter().filter_map(|uid| Uid::new(*uid)).collect();
    let validity = UidValidity::new(reply.uid_validity)?;
    (!uids.is_empty()).then_some(DoneCode::AppendUid(validity, uids))
}

async fn appended(session: &mut Session, reply: &pb::AppendReply, whose: Whose) -> CmdResult {
    // RFC 9051 §6.3.12: a client that appends to its own mailbox should hear of it at once.
    if let State::Selected(_, selected) = &session.state
        && selected.whose == whose
        && selected.mailbox().get() == reply.mailbox_id
    {
        session.sync_news(Expunges::Announce).await?;
        session.note_own_messages(&reply.uids);
    }
    match append_uid(reply) {
        Some(code) => Done::with_code(code),
        None => Done::plain(),
    }
}
