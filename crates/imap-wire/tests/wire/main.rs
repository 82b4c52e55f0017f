//! Known answers from the RFCs, hostile input, and replies read back.

// Helpers of tests may fail as tests do; clippy knows only the functions marked #[test].
#![allow(clippy::unwrap_used)]

mod commands;
mod driver;
mod extensions;
mod framing;
mod hostile;
mod replies;
mod replies_back;
mod searches;
