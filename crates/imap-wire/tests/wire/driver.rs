//! Feeds bytes to a framer as a gateway would, and says what happened.

use bytes::BytesMut;
use imap_wire::{
    Command, CommandBody, Frame, FrameErrorKind, FrameStep, Framer, Limits, LiteralChunk, ParseError,
    ParseOptions, parse,
};

/// One thing that a framer found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Continue,
    Command(String),
    Prefix(String),
    Message(Vec<u8>),
    Error(Option<String>, FrameErrorKind),
}

fn text(frame: &Frame) -> String {
    String::from_utf8_lossy(frame.bytes()).into_owned()
}

/// All events of these bytes, read in pieces of at most `piece` bytes; message literals are taken.
pub(crate) fn events(bytes: &[u8], limits: Limits, piece: usize) -> Vec<Event> {
    let mut framer = Framer::new(limits);
    let mut buf = BytesMut::new();
    let mut pieces = bytes.chunks(piece);
    let mut events = Vec::new();
    loop {
        match framer.next(&mut buf) {
            FrameStep::NeedMore => match pieces.next() {
                Some(piece) => buf.extend_from_slice(piece),
                None => return events,
            },
            FrameStep::Continue => events.push(Event::Continue),
            FrameStep::Command(frame) => events.push(Event::Command(text(&frame))),
            FrameStep::Error(error) => {
                events.push(Event::Error(error.tag.as_ref().map(|tag| tag.to_string()), error.kind));
                if error.is_fatal() {
                    return events;
                }
            }
            FrameStep::LiteralStream(frame) => {
                events.push(Event::Prefix(text(&frame)));
                framer.accept_literal();
                let mut message = Vec::new();
                loop {
                    match framer.literal_chunk(&mut buf) {
                        LiteralChunk::Data(data) => message.extend_from_slice(&data),
                        LiteralChunk::Done => break,
                        LiteralChunk::NeedMore => match pieces.next() {
                            Some(piece) => buf.extend_from_slice(piece),
                            None => return events,
                        },
                    }
                }
                events.push(Event::Message(message));
            }
        }
    }
}

/// The only frame of these bytes: a command, or the beginning of an APPEND.
pub(crate) fn frame(bytes: impl AsRef<[u8]>) -> Frame {
    let mut framer = Framer::new(Limits::AUTHENTICATED);
    let mut buf = BytesMut::from(bytes.as_ref());
    loop {
        match framer.next(&mut buf) {
            FrameStep::Continue => {}
            FrameStep::Command(frame) | FrameStep::LiteralStream(frame) => return frame,
            other => panic!("{other:?} for {:?}", String::from_utf8_lossy(bytes.as_ref())),
        }
    }
}

pub(crate) fn try_command(bytes: impl AsRef<[u8]>) -> Result<Command, ParseError> {
    parse(&frame(bytes), &ParseOptions::default())
}

/// The body of the command `A1 line CRLF`.
pub(crate) fn body(line: &str) -> CommandBody {
    let command = try_command(format!("A1 {line}\r\n")).unwrap_or_else(|error| panic!("{error:?}: {line}"));
    assert_eq!(command.tag.as_str(), "A1");
    command.body
}

/// The error of the command `A1 line CRLF`.
pub(crate) fn refusal(line: &str) -> ParseError {
    match try_command(format!("A1 {line}\r\n")) {
        Err(error) => error,
        Ok(command) => panic!("{line}: {command:?}"),
    }
}
