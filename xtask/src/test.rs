//! `cargo xtask test`: every test of the workspace, with the servers and programs that they need.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args as ClapArgs;

use crate::packages;
use crate::process::{self, Stop};
use crate::services::{POSTGRES_VARIABLE, REDIS_VARIABLE, Services};

#[derive(ClapArgs, Default)]
pub(crate) struct Args {
    /// Run only the tests whose name contains this
    #[arg(long, value_name = "NAME")]
    filter: Option<String>,

    /// Run only the tests of this crate; may be given several times
    #[arg(long, short, value_name = "CRATE")]
    package: Vec<String>,

    /// Passed on to `cargo nextest run` (or `cargo test`)
    #[arg(last = true, value_name = "ARGS")]
    rest: Vec<OsString>,
}

/// `cargo xtask test`
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let stop = Stop::listen()?;
    packages::ensure_clients(&stop)?;
    let services = if has_own_services() { None } else { Some(Services::start(&stop)?) };
    let variables = services.as_ref().map(Services::variables);
    for mut step in steps(&args) {
        step.envs(variables.iter().flatten().map(|(name, url)| (name, url)));
        eprintln!("xtask: cargo {}", words(&step));
        let status = process::run(&mut step, &stop)?;
        if !status.success() {
            return Ok(process::exit_code(status));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether whoever called us runs both servers, as `cargo xtask services` does.
fn has_own_services() -> bool {
    [POSTGRES_VARIABLE, REDIS_VARIABLE].iter().all(|name| std::env::var_os(name).is_some())
}

/// What is run, in order. Documentation tests come first: the last thing on the screen is the runner's summary.
fn steps(args: &Args) -> Vec<Command> {
    let mut steps = Vec::new();
    if args.filter.is_none() && args.package.is_empty() && args.rest.is_empty() {
        let mut doc = process::cargo();
        doc.args(["test", "--workspace", "--doc", "--quiet"]);
        steps.push(doc);
    }
    let mut all = process::cargo();
    if process::find_program("cargo-nextest").is_some() {
        all.args(["nextest", "run"]);
        if std::env::var_os("CI").is_some() {
            all.args(["--profile", "ci"]);
        }
    } else {
        // Documentation tests have had their turn.
        all.args(["test", "--lib", "--bins", "--tests"]);
    }
    if args.package.is_empty() {
        all.arg("--workspace");
    }
    for package in &args.package {
        all.args(["--package", package]);
    }
    all.args(&args.filter).args(&args.rest);
    steps.push(all);
    steps
}

fn words(command: &Command) -> String {
    command.get_args().map(|arg| arg.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(args: &Args) -> Vec<String> {
        steps(args).iter().map(words).collect()
    }

    #[test]
    fn everything_means_documentation_too_and_the_summary_comes_last() {
        let lines = lines(&Args::default());
        assert_eq!(lines.len(), 2);
        assert!(lines[0].contains("--doc") && lines[1].contains("--workspace"), "{lines:?}");
    }

    #[test]
    fn a_chosen_crate_is_not_the_workspace() {
        let lines = lines(&Args { package: vec!["auth".into()], filter: Some("sasl".into()), rest: vec![] });
        assert_eq!(lines.len(), 1);
        assert!(lines[0].ends_with("--package auth sasl") && !lines[0].contains("--workspace"), "{lines:?}");
    }
}
