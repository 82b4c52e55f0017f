//! `cargo xtask compose-test`: docker-compose.yml on this machine's Docker engine.
//!
//! No image is pulled: `images` makes stand-ins from Debian's packages, and the image of todoku by the project's own
//! Dockerfile from a program built here. `stack` brings everything up and takes it down, whatever happens in between;
//! what is done with it, by Python's own mail clients, is `compose_test/journey.py`.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args as ClapArgs;

use crate::packages::{self, Package};
use crate::process::{self, Stop};

mod images;
mod stack;

use stack::Stack;

/// What makes images and talks to the stack. Docker itself is not ours to install.
const TOOLS: &[Package] = &[
    Package { program: "debootstrap", debian: "debootstrap" },
    Package { program: "python3", debian: "python3" },
];

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Leave the stack up, and say how to reach it and how to take it down
    #[arg(long)]
    keep: bool,
}

/// `cargo xtask compose-test`
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let stop = Stop::listen()?;
    packages::ensure(TOOLS, &stop)?;
    let compose = compose_command()?;
    let begun = Instant::now();
    let program = build(&stop)?;
    report("todoku is built", begun);
    let begun = Instant::now();
    images::make(&program, &stop)?;
    report("images are there", begun);

    let mut stack = Stack::new(compose)?;
    stack.check_configuration(&stop)?;
    let begun = Instant::now();
    stack.up(&stop)?;
    report("stack is up", begun);
    let outcome = stack.journey(&stop)?;
    if outcome != ExitCode::SUCCESS {
        stack.show_logs();
    }
    if args.keep {
        stack.keep();
    }
    Ok(outcome)
}

fn report(what: &str, since: Instant) {
    eprintln!("xtask: {what} ({:.0} s)", since.elapsed().as_secs_f32());
}

/// The plugin of Docker's command line, or else the program that was before it.
fn compose_command() -> Result<Vec<String>> {
    if process::find_program("docker").is_none() {
        bail!("there is no docker; on Debian or Ubuntu: sudo apt-get install docker.io docker-compose");
    }
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    let plugin = Command::new("docker").args(["compose", "version"]).output().context("cannot run docker")?;
    if plugin.status.success() {
        return Ok(words(&["docker", "compose"]));
    }
    if process::find_program("docker-compose").is_some() {
        return Ok(words(&["docker-compose"]));
    }
    bail!("Docker has no compose; on Debian or Ubuntu: sudo apt-get install docker-compose")
}

/// Builds the program in release mode, for the image.
fn build(stop: &Stop) -> Result<PathBuf> {
    let mut command = process::cargo();
    command.args(["build", "--release", "--locked", "--quiet", "--package", "todoku"]);
    process::run_checked(&mut command, stop)?;
    let metadata = process::cargo().args(["metadata", "--format-version=1", "--no-deps"]).output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout)?;
    let target = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
    Ok(PathBuf::from(target).join("release/todoku"))
}

/// Runs `command` and shows what it says only if it fails.
fn run_quietly(command: &mut Command, stop: &Stop) -> Result<()> {
    let log = tempfile::NamedTempFile::new().context("no temporary file")?;
    command.stdout(log.reopen()?).stderr(log.reopen()?);
    let outcome = process::run_checked(command, stop);
    if outcome.is_err() {
        eprint!("{}", std::fs::read_to_string(log.path()).unwrap_or_default());
    }
    outcome
}
