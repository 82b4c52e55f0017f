//! `cargo xtask ci`: all that has to be right before a change is taken, as `.ci/run` runs it.

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Result;

use crate::process::{self, Stop};
use crate::{test, tidy};

/// A check and the name it is reported by.
type Step = (&'static str, fn(&Stop) -> Result<ExitCode>);

/// The quick ones first. Tests come last, so that their summary is near the end of the output.
const STEPS: &[Step] = &[
    ("format", format),
    ("tidy", |_| tidy::run(tidy::Args::default())),
    ("deny", deny),
    ("clippy", clippy),
    ("test", |_| test::run(test::Args::default())),
];

/// `cargo xtask ci`. A failing check does not keep the others from being run: one run tells everything.
pub(crate) fn run() -> Result<ExitCode> {
    let stop = Stop::listen()?;
    let mut failed = Vec::new();
    for (name, step) in STEPS {
        stop.check()?;
        eprintln!("ci: {name}");
        let begun = Instant::now();
        let outcome = step(&stop).unwrap_or_else(|error| {
            eprintln!("ci: {name}: {error:#}");
            ExitCode::FAILURE
        });
        if outcome != ExitCode::SUCCESS {
            failed.push(*name);
        }
        let verdict = if outcome == ExitCode::SUCCESS { "done" } else { "FAILED" };
        eprintln!("ci: {name} {verdict} after {:.0} s", begun.elapsed().as_secs_f32());
    }
    stop.check()?;
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("ci: failed: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

fn format(stop: &Stop) -> Result<ExitCode> {
    cargo(&["fmt", "--all", "--check"], stop)
}

fn clippy(stop: &Stop) -> Result<ExitCode> {
    let lint = ["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"];
    cargo(&lint, stop)
}

/// Licences, banned crates and sources; advisories need a database from the network and are not looked at.
fn deny(stop: &Stop) -> Result<ExitCode> {
    if process::find_program("cargo-deny").is_none() {
        eprintln!("ci: deny SKIPPED: there is no cargo-deny (cargo install --locked cargo-deny)");
        return Ok(ExitCode::SUCCESS);
    }
    cargo(&["deny", "--offline", "check", "licenses", "bans", "sources"], stop)
}

fn cargo(args: &[&str], stop: &Stop) -> Result<ExitCode> {
    let mut command: Command = process::cargo();
    Ok(process::exit_code(process::run(command.args(args), stop)?))
}
