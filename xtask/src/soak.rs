//! `cargo xtask soak`: the model-based tester, for as long as wanted; and `cargo xtask fuzz`.
//!
//! The tester holds the whole system, which only tests may depend on; so cargo is asked to run it.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;

use crate::process::{self, Stop};
use crate::services::Services;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// soak: --seconds N, --seed S, --sessions K, --gateways G, --shape sqlite|cluster, --serial, --mutation NAME, --mutations;
    /// fuzz: --seconds N, --seed S, TARGET. --help tells more
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    rest: Vec<OsString>,
}

/// `cargo xtask soak`
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let stop = Stop::listen()?;
    let sqlite_only = args.rest.windows(2).any(|pair| pair[0] == "--shape" && pair[1] == "sqlite");
    let asks_only = args.rest.iter().any(|word| word == "--help");
    let services = if sqlite_only || asks_only { None } else { Some(Services::start(&stop)?) };
    let mut cargo = process::cargo();
    cargo.args(["run", "--quiet", "--package", "soak", "--bin", "soak", "--"]).args(&args.rest);
    cargo.envs(services.iter().flat_map(Services::variables));
    Ok(process::exit_code(process::run(&mut cargo, &stop)?))
}

/// `cargo xtask fuzz`
pub(crate) fn fuzz(args: &Args) -> Result<ExitCode> {
    let stop = Stop::listen()?;
    let mut cargo = process::cargo();
    cargo.args(["run", "--quiet", "--package", "soak", "--bin", "fuzz", "--"]).args(&args.rest);
    Ok(process::exit_code(process::run(&mut cargo, &stop)?))
}
