//! Why a session cannot go on.

use std::fmt;

/// An invariant that was broken, or an end that is none of the server's faults.
#[derive(Debug)]
pub enum Fault {
    /// The server did what it must not.
    Broken(Violation),
    /// BYE for a reason that was to be expected: the mailbox was deleted.
    Ended,
}

/// A broken invariant.
#[derive(Debug, Clone)]
pub struct Violation {
    /// `INV-n`, or `grammar`, `reply`, `connection` for what is below them.
    pub invariant: &'static str,
    /// What was expected, and what came.
    pub what: String,
    /// Who saw it.
    pub session: String,
    /// The last lines of its dialogue.
    pub dialogue: Vec<String>,
}

/// What a check says.
pub type Checked<T = ()> = Result<T, Fault>;

/// A violation without its session, which [`crate::session::Session`] adds.
pub fn broken<T>(invariant: &'static str, what: impl Into<String>) -> Checked<T> {
    Err(Fault::Broken(Violation {
        invariant,
        what: what.into(),
        session: String::new(),
        dialogue: Vec::new(),
    }))
}

/// Breaks `invariant` unless `holds`.
pub fn require(holds: bool, invariant: &'static str, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { broken(invariant, what()) }
}

impl Fault {
    /// Says who saw it.
    #[must_use]
    pub fn seen_by(self, session: &str, dialogue: impl IntoIterator<Item = String>) -> Self {
        match self {
            Self::Broken(mut violation) if violation.session.is_empty() => {
                violation.session = session.to_owned();
                violation.dialogue = dialogue.into_iter().collect();
                Self::Broken(violation)
            }
            other => other,
        }
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(Violation {
            invariant: "connection",
            what: error.to_string(),
            session: String::new(),
            dialogue: Vec::new(),
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.invariant, self.what)?;
        writeln!(f, "seen by {}; its last lines:", self.session)?;
        self.dialogue.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}
