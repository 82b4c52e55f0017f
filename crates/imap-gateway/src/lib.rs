//! The IMAP gateway.
#![allow(dead_code)]
mod column;
mod snapshot;
mod view;
