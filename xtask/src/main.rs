//! `cargo xtask`: what a developer of Todoku types.
//!
//! Each sub-command is a module of its own; this file only says which there are.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod ci;
mod compose_test;
mod conformance;
mod differential;
mod packages;
mod process;
mod services;
mod soak;
mod test;
mod tidy;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks for the developers of Todoku")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run all tests, with a private PostgreSQL and Redis
    Test(test::Args),
    /// Check the rules of the source tree: who may depend on whom, RFC pointers, sizes
    Tidy(tidy::Args),
    /// All of the above and more: formatting, tidy, licences, clippy, tests
    Ci,
    /// Measure the server from outside, beside other builds and other servers
    Bench(bench::Args),
    /// Run the conformance scripts against any server
    Conformance(conformance::Args),
    /// Compare what Todoku and a Dovecot say of the same mails
    Differential(differential::Args),
    /// Random commands of many sessions against a model, for as long as wanted
    #[command(disable_help_flag = true)]
    Soak(soak::Args),
    /// Random octets for everything that reads octets of strangers
    #[command(disable_help_flag = true)]
    Fuzz(soak::Args),
    /// Run docker-compose.yml on this machine's Docker engine, with stand-ins of the public images
    ComposeTest(compose_test::Args),
    /// Start a private PostgreSQL and Redis, then run COMMAND with them, or wait for Ctrl-C
    Services(services::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.task {
        Task::Test(args) => test::run(args),
        Task::Tidy(args) => tidy::run(args),
        Task::Ci => ci::run(),
        Task::Bench(args) => bench::run(args),
        Task::Conformance(args) => conformance::run(&args),
        Task::Differential(args) => differential::run(&args),
        Task::Soak(args) => soak::run(&args),
        Task::Fuzz(args) => soak::fuzz(&args),
        Task::ComposeTest(args) => compose_test::run(args),
        Task::Services(args) => services::run(args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}
