//! Conversations with a gateway over real sockets.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic as tests do")]

mod lmtp;
mod smtp;
mod support;
