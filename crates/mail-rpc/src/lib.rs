//! The contract between the services: generated code, conversions to `mail-types`, clients, grants.
//!
//! **Invariant:** the `.proto` files are the only seam. A service in this process is reached through the same generated client as
//! one on another host; only the [`Transport`] differs.

/// The generated code of `proto/todoku/v1`.
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
pub mod pb {
    tonic::include_proto!("todoku.v1");
}

mod clients;
mod content;
mod convert;
mod grant;
mod refusal;
mod resolver;
mod trace_context;
mod transport;

pub use clients::{AuthClient, DEADLINE, MESSAGE_BYTES_MAX, MailboxClient};
pub use content::{ContentStream, unpack};
pub use convert::{Entry, encode, entries_from_pb, entries_to_pb, set_from_pb, set_to_pb};
pub use grant::{GRANT_LIFETIME, Grant, GrantError, GrantKey, Right};
pub use refusal::{Refusal, outcome};
pub use trace_context::{adopt_trace_context, adopt_traceparent, current_traceparent};
pub use transport::{
    CONNECTION_WINDOW_BYTES, FRAME_BYTES_MAX, MutualTls, STREAM_WINDOW_BYTES, Transport, TransportError,
};
