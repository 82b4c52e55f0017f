//! Replies.

use bytes::BytesMut;

/// Appends replies to a buffer.
#[derive(Debug)]
pub struct Writer<'a> {
    buf: &'a mut BytesMut,
    utf8: bool,
}

impl<'a> Writer<'a> {
    /// For a client that has not enabled UTF-8.
    pub fn new(buf: &'a mut BytesMut) -> Self {
        Self { buf, utf8: false }
    }
}
