//! A file for each group of commands; each command is one function.

mod capa;
mod listing;
mod login;
mod quit;
mod retrieve;
mod stls;

pub(crate) use capa::capa;
pub(crate) use listing::{dele, list, rset, stat, uidl};
pub(crate) use login::{auth, auth_list, pass, user};
pub(crate) use quit::quit;
pub(crate) use retrieve::{retr, top};
pub(crate) use stls::stls;
