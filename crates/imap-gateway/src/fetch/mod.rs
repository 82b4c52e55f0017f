//! What FETCH needs beside the view: derived data and octets of messages, from the process's caches or from storage.

mod content;
mod derived;
mod part;
mod plan;
mod send;
mod warm;

pub(crate) use derived::{Derived, Place, Wanted};
pub(crate) use part::Part;
pub(crate) use plan::Plan;
pub(crate) use send::{Missing, Page, Sending};
pub(crate) use warm::{Reading, warm};
