//! The whole system in one process on free ports with a fresh database, and the runner of conformance scripts.

pub mod script;
#[cfg(feature = "system")]
pub mod system;
#[cfg(feature = "system")]
pub mod truth;
