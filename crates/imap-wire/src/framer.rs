//! Finds commands in a stream of bytes.

use bytes::{Buf, BytesMut};
use memchr::{memchr, memchr2};

use crate::discard::{Discard, Swallowed};
use crate::frame::{AppendVerb, append_verb, literal_header, tag_of};
use crate::{
    Frame, FrameError, FrameErrorKind, FrameStep, Limits, LineStep, Literal, LiteralChunk, LiteralHeader, Tag,
};

/// Finds one command after another in a buffer that the caller fills. Keeps no bytes itself: the buffer begins with
/// the command that is being read until that is handed out.
///
/// The same bytes give the same steps, however they are cut into reads.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    state: State,
    /// Bytes of the buffer that hold no line end.
    scanned: usize,
    /// Where the present line begins in the buffer; more than 0 after a literal.
    line_start: usize,
    /// Where the literal that is being read ends.
    literal_end: Option<usize>,
    literals: Vec<Literal>,
    /// The APPEND command whose rest is being read.
    append: Option<Tag>,
}

#[derive(Debug)]
enum State {
    /// Reading a command into the buffer.
    Reading,
    /// A message literal is handed out.
    Streaming { header: LiteralHeader, accepted: bool, left: u64 },
    /// Swallowing what nobody wants.
    Discarding(Discard),
    /// There was too much to swallow.
    Flooded,
}

impl Framer {
    /// At the beginning of a session.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Reading,
            scanned: 0,
            line_start: 0,
            literal_end: None,
            literals: Vec::new(),
            append: None,
        }
    }

    /// Other limits from the next command on: after login.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The next command. If a literal is open it is refused.
    pub fn next(&mut self, buf: &mut BytesMut) -> FrameStep {
        if matches!(self.state, State::Streaming { .. }) {
            self.refuse_literal();
        }
        match self.swallow(buf) {
            Swallowed::NeedMore => return FrameStep::NeedMore,
            Swallowed::Flood => {
                return FrameStep::Error(FrameError { tag: None, kind: FrameErrorKind::Flood });
            }
            Swallowed::Done => {}
        }
        loop {
            if let Some(end) = self.literal_end {
                if buf.len() < end {
                    return FrameStep::NeedMore;
                }
                self.literal_end = None;
                self.line_start = end;
                self.scanned = end;
            }
            let step = match self.find_line(buf) {
                Ok(None) => Some(FrameStep::NeedMore),
                Ok(Some(lf)) => self.line(buf, lf),
                Err(error) => Some(FrameStep::Error(error)),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    /// The next line as it is: `DONE` of IDLE, and the answers of AUTHENTICATE.
    pub fn next_line(&mut self, buf: &mut BytesMut) -> LineStep {
        match self.swallow(buf) {
            Swallowed::NeedMore => return LineStep::NeedMore,
            Swallowed::Flood => {
                return LineStep::Error(FrameError { tag: None, kind: FrameErrorKind::Flood });
            }
            Swallowed::Done => {}
        }
        if self.literal_end.is_some() {
            self.reset();
        }
        match self.find_line(buf) {
            Ok(None) => LineStep::NeedMore,
            Ok(Some(lf)) => {
                self.reset();
                let line = buf.split_to(lf + 1).freeze();
                let line = line.slice(..without_line_end(&line, lf).len());
                match check_line(&line) {
                    Some(kind) => LineStep::Error(FrameError { tag: None, kind }),
                    None => LineStep::Line(line),
                }
            }
            Err(error) => {
                self.state = State::Discarding(Discard::plain_line());
                LineStep::Error(FrameError { tag: None, ..error })
            }
        }
    }

    /// The open literal is wanted. If it is a synchronising one, send `+ OK\r\n`.
    pub fn accept_literal(&mut self) {
        if let State::Streaming { accepted, .. } = &mut self.state {
            *accepted = true;
        }
    }

    /// The APPEND command is not wanted, or not any more: before its literal, amid it, or after it. What the client
    /// still sends of it is swallowed, and [`next`](Framer::next) gives the next command. Send the tagged NO or BAD.
    ///
    /// Does nothing if there is no APPEND command that goes on.
    pub fn refuse_literal(&mut self) {
        match self.state {
            // RFC 9051 §4.3: without "+" the client sends neither the literal nor the rest of the line.
            State::Streaming { header: LiteralHeader { sync: true, .. }, accepted: false, .. } => {
                self.reset()
            }
            State::Streaming { left, .. } => {
                self.reset();
                self.state = State::Discarding(Discard::literal(left));
            }
            State::Reading if self.append.is_some() => {
                self.reset();
                self.state = State::Discarding(Discard::line());
            }
            _ => {}
        }
    }

    /// The next bytes of an accepted literal.
    pub fn literal_chunk(&mut self, buf: &mut BytesMut) -> LiteralChunk {
        let State::Streaming { left, .. } = &mut self.state else { return LiteralChunk::Done };
        if *left == 0 {
            self.state = State::Reading;
            return LiteralChunk::Done;
        }
        if buf.is_empty() {
            return LiteralChunk::NeedMore;
        }
        let take = usize::try_from(*left).map_or(buf.len(), |left| left.min(buf.len()));
        *left -= take as u64;
        LiteralChunk::Data(buf.split_to(take).freeze())
    }

    /// The literal that is being streamed, with the bytes that are left of it.
    pub fn open_literal(&self) -> Option<(LiteralHeader, u64)> {
        match self.state {
            State::Streaming { header, left, .. } => Some((header, left)),
            _ => None,
        }
    }

    /// Where the present line's LF is.
    fn find_line(&mut self, buf: &mut BytesMut) -> Result<Option<usize>, FrameError> {
        self.scanned = self.scanned.min(buf.len());
        self.line_start = self.line_start.min(buf.len());
        let lf = memchr(b'\n', &buf[self.scanned..]).map(|at| self.scanned + at);
        // The CR may come on top.
        let too_long = lf.unwrap_or(buf.len()) - self.line_start > self.limits.line_bytes + 1;
        if too_long {
            let error = self.error(buf, FrameErrorKind::LineTooLong);
            buf.advance(self.line_start);
            self.reset();
            self.state = State::Discarding(Discard::line());
            return Err(error);
        }
        self.scanned = lf.unwrap_or(buf.len());
        Ok(lf)
    }

    /// A line is complete: so is the command, unless a literal follows. `None`: go on after the literal.
    fn line(&mut self, buf: &mut BytesMut, lf: usize) -> Option<FrameStep> {
        let line = without_line_end(&buf[self.line_start..], lf - self.line_start);
        let end = self.line_start + line.len();
        let header = literal_header(line);
        if let Some(kind) = check_line(line) {
            return Some(self.fail(buf, lf, header.map(|(_, header)| header), kind));
        }
        let Some((at, header)) = header else {
            if lf >= self.limits.command_bytes {
                return Some(self.fail(buf, lf, None, FrameErrorKind::LiteralTooLarge));
            }
            return Some(FrameStep::Command(self.frame(buf, lf, end, None)));
        };
        let tag = self.tag_of_append(&buf[..=lf], &line[..at]);
        let at = self.line_start + at;
        match tag {
            Some(tag) => Some(self.message_literal(buf, lf, at, header, tag)),
            None => self.buffered_literal(buf, lf, at, header),
        }
    }

    /// A literal that is a message was announced.
    fn message_literal(
        &mut self,
        buf: &mut BytesMut,
        lf: usize,
        at: usize,
        header: LiteralHeader,
        tag: Tag,
    ) -> FrameStep {
        if !header.sync && header.size > self.limits.non_sync_bytes {
            return self.fail(buf, lf, Some(header), FrameErrorKind::LiteralTooLarge);
        }
        let frame = self.frame(buf, lf, at, Some(header));
        self.append = Some(tag);
        self.state = State::Streaming { header, accepted: false, left: header.size };
        FrameStep::LiteralStream(frame)
    }

    /// A literal that belongs to the frame was announced.
    fn buffered_literal(
        &mut self,
        buf: &mut BytesMut,
        lf: usize,
        at: usize,
        header: LiteralHeader,
    ) -> Option<FrameStep> {
        let start = lf + 1;
        let room = self.limits.command_bytes.saturating_sub(start) as u64;
        if header.size > room || !header.sync && header.size > self.limits.non_sync_bytes {
            return Some(self.fail(buf, lf, Some(header), FrameErrorKind::LiteralTooLarge));
        }
        if self.literals.len() >= self.limits.literals {
            return Some(self.fail(buf, lf, Some(header), FrameErrorKind::TooManyLiterals));
        }
        let end = start + header.size as usize;
        self.literals.push(Literal { header: at, data: start..end, binary: header.binary });
        self.literal_end = Some(end);
        header.sync.then_some(FrameStep::Continue)
    }

    /// The tag of the command so far, if the literal after the text `before` (of the present line) is a message.
    fn tag_of_append(&self, command: &[u8], before: &[u8]) -> Option<Tag> {
        // RFC 4469 §5: cat-part = text-literal / url, and the url may be a short literal.
        let is_url = before.len() > 5
            && before[before.len() - 4..].eq_ignore_ascii_case(b"URL ")
            && matches!(before[before.len() - 5], b' ' | b'(')
            && (self.append.is_some() || has_catenate(command));
        if is_url {
            return None;
        }
        if self.append.is_some() {
            return self.append.clone();
        }
        let first_line = &command[..memchr(b'\n', command)?];
        let is_message = match append_verb(before_literal(first_line)) {
            AppendVerb::None => false,
            AppendVerb::AtMailbox => !self.literals.is_empty(),
            AppendVerb::AfterMailbox => true,
        };
        if is_message { tag_of(command) } else { None }
    }

    fn frame(&mut self, buf: &mut BytesMut, lf: usize, end: usize, open: Option<LiteralHeader>) -> Frame {
        let continuation = self.append.is_some();
        let literals = std::mem::take(&mut self.literals);
        self.reset();
        Frame { bytes: buf.split_to(lf + 1).freeze(), end, literals, open, continuation }
    }

    /// Gives the command up at the end of a line.
    fn fail(
        &mut self,
        buf: &mut BytesMut,
        lf: usize,
        header: Option<LiteralHeader>,
        kind: FrameErrorKind,
    ) -> FrameStep {
        let error = self.error(buf, kind);
        buf.advance(lf + 1);
        self.reset();
        if let Some(header) = header.filter(|header| !header.sync) {
            self.state = State::Discarding(Discard::literal(header.size));
        }
        FrameStep::Error(error)
    }

    fn error(&self, buf: &BytesMut, kind: FrameErrorKind) -> FrameError {
        let tag = match &self.append {
            Some(tag) => Some(tag.clone()),
            // No further than a line may be: what comes after it depends on how much was read at once.
            None => tag_of(&buf[..buf.len().min(self.limits.line_bytes)]),
        };
        FrameError { tag, kind }
    }

    fn swallow(&mut self, buf: &mut BytesMut) -> Swallowed {
        let swallowed = match &mut self.state {
            State::Discarding(discard) => discard.swallow(buf, self.limits.discard_bytes),
            State::Flooded => Swallowed::Flood,
            _ => return Swallowed::Done,
        };
        match swallowed {
            Swallowed::NeedMore => {}
            Swallowed::Done => self.state = State::Reading,
            Swallowed::Flood => {
                buf.clear();
                self.state = State::Flooded;
            }
        }
        swallowed
    }

    /// Ready for the next command.
    fn reset(&mut self) {
        self.state = State::Reading;
        self.scanned = 0;
        self.line_start = 0;
        self.literal_end = None;
        self.literals.clear();
        self.append = None;
    }
}

/// The line before the LF at `lf`, without its CR. LF alone ends a line too, for people who type.
fn without_line_end(bytes: &[u8], lf: usize) -> &[u8] {
    let line = &bytes[..lf];
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn check_line(line: &[u8]) -> Option<FrameErrorKind> {
    match line[memchr2(0, b'\r', line)?] {
        0 => Some(FrameErrorKind::Nul),
        _ => Some(FrameErrorKind::BareCr),
    }
}

fn before_literal(line: &[u8]) -> &[u8] {
    let line = without_line_end(line, line.len());
    literal_header(line).map_or(line, |(at, _)| &line[..at])
}

/// A mailbox may be called URL; the keyword comes after this one only.
fn has_catenate(command: &[u8]) -> bool {
    const CATENATE: &[u8] = b" CATENATE (";
    command.windows(CATENATE.len()).any(|part| part.eq_ignore_ascii_case(CATENATE))
}
