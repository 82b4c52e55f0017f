//! Known answers from the RFCs, hostile input, and replies read back.

mod commands;
mod driver;
mod extensions;
mod framing;
mod hostile;
mod replies;
mod replies_back;
