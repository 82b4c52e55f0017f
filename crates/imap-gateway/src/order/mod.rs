//! SORT and THREAD (RFC 5256) beside the commands: what messages are ordered by, and the order.

mod column;
mod keys;
mod sort;
mod thread;
mod update;

pub(crate) use column::Column;
pub(crate) use keys::Keys;
pub(crate) use sort::{Criterion, sort};
pub(crate) use thread::{Algorithm, Messages, Node, thread};
pub(crate) use update::{Run, insertions, removals};
