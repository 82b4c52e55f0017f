//! The IMAP gateway: speaks IMAP4rev1 and IMAP4rev2 with their extensions to clients, and gRPC to storage and auth.
//!
//! **Invariant:** stateless. It knows sequence numbers, storage knows UIDs, and a session's `View` is the only translator; `sync`
//! is the only thing that changes one. What is kept here beyond a session is cache, and can be emptied at any time.

mod ahead;
mod annotations;
mod capability;
mod cmd;
mod column;
mod context;
mod error;
mod fetch;
mod language;
mod limits;
mod mailboxes;
mod notify;
mod order;
mod others;
mod progress;
mod server;
mod session;
mod snapshot;
mod state;
mod sync;
mod uid_only;
mod view;
mod watch;

pub use server::{Backends, Listeners, Settings, serve};
