//! What all text protocols share: the accept loop, TLS and STARTTLS, the PROXY protocol, limits,
//! draining; and a [`Connection`] with readers for lines, counted bytes and dot-stuffed data.
//!
//! A session queues its replies and reads on: a read that has to wait sends them first. An idle
//! connection holds no buffers. Everything that waits for the client is cancel-safe: bytes
//! live in the connection, not in the future. Nothing here knows a protocol's commands.

mod budget;
mod certs;
mod cidr;
mod connection;
mod deflate;
mod dots;
mod inflate;
mod limits;
mod line;
mod proxy;
mod read;
mod server;
mod stream;
mod tls;
mod write;

pub use budget::{Budget, BudgetGuard};
pub use certs::{CertsError, make_ca_and_service_certs};
pub use cidr::{Cidr, CidrError};
pub use connection::{Connection, TlsInfo};
pub use dots::{DataFault, DataStep, DotReader};
pub use limits::ConnectionLimits;
pub use line::{Ending, Line};
pub use read::{ReadError, within};
pub use server::{Mode, Settings, serve};
pub use tls::{TlsConfig, TlsError};
pub use tokio_rustls::TlsAcceptor;
