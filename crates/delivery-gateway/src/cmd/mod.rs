//! A file for each group of commands; each command is one function.

mod bdat;
mod data;
mod hello;
mod mail;
mod rcpt;
mod start_tls;

pub(crate) use bdat::bdat;
pub(crate) use data::data;
pub(crate) use hello::{extended_hello, hello};
pub(crate) use mail::mail;
pub(crate) use rcpt::rcpt;
pub(crate) use start_tls::start_tls;
