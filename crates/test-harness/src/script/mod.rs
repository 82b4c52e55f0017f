//! Conformance scripts: what clients say and what the server must answer, one rule a file, run over real sockets.
//!
//! The language is described in `tests/conformance/README.md`.

mod clean;
mod parse;
mod pattern;
mod peer;
mod run;
mod suite;
mod tls;

pub use clean::clean;
pub use parse::{Protocol, Script, ScriptError, Step};
pub use run::{Account, Acl, Administration, Outcome, SetQuota, Subject, run};
pub use suite::{NAMES, Verdict, find, run_file, run_files};
