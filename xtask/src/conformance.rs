//! `cargo xtask conformance`: the scripts of `tests/conformance` against any server, or against a Dovecot of our own.
//!
//! The runner lives in `test-harness`, which only tests may depend on; so cargo is asked to run it.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args as ClapArgs;

use crate::process::{self, Stop};

pub(crate) mod dovecot;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// HOST:PORT of IMAP in clear; several gateways of one server take turns
    #[arg(long, value_name = "HOST:PORT")]
    imap: Vec<SocketAddr>,
    /// HOST:PORT of POP3 in clear
    #[arg(long, value_name = "HOST:PORT")]
    pop3: Option<SocketAddr>,
    /// HOST:PORT of LMTP
    #[arg(long, value_name = "HOST:PORT")]
    lmtp: Option<SocketAddr>,
    /// HOST:PORT of SMTP; without it the scripts about SMTP are passed over
    #[arg(long, value_name = "HOST:PORT")]
    smtp: Option<SocketAddr>,
    /// alice=ADDRESS:PASSWORD, and the same for bob and carol. They are EMPTIED before each script, unless `%n`
    /// in their address stands for a number, which gives each script accounts of its own
    #[arg(long, value_name = "NAME=ADDRESS:PASSWORD")]
    account: Vec<String>,
    /// The server is a Todoku: what it does not advertise is a failure, and our choices are checked
    #[arg(long)]
    strict: bool,
    /// Start a Dovecot 2.3 and run the scripts against it
    #[arg(long, conflicts_with_all = ["imap", "pop3", "lmtp", "smtp", "account", "strict"])]
    dovecot: bool,
    /// Only the scripts whose path contains this
    #[arg(default_value = "")]
    filter: String,
}

/// `cargo xtask conformance`
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let stop = Stop::listen()?;
    if args.dovecot {
        let dovecot = dovecot::Dovecot::start(&stop)?;
        return run_scripts(dovecot.arguments(), &args.filter, &stop);
    }
    if args.imap.is_empty() || args.account.is_empty() {
        bail!("say where the server is, with --imap, --pop3, --lmtp and --account; or --dovecot");
    }
    let mut words = Vec::new();
    let mut add = |name: &str, value: String| words.extend([format!("--{name}"), value]);
    for imap in &args.imap {
        add("imap", imap.to_string());
    }
    add("pop3", args.pop3.context("--pop3 HOST:PORT is missing")?.to_string());
    add("lmtp", args.lmtp.context("--lmtp HOST:PORT is missing")?.to_string());
    if let Some(smtp) = args.smtp {
        add("smtp", smtp.to_string());
    }
    for account in &args.account {
        add("account", account.clone());
    }
    if args.strict {
        words.push("--strict".into());
    }
    run_scripts(words, &args.filter, &stop)
}

fn run_scripts(words: Vec<String>, filter: &str, stop: &Stop) -> Result<ExitCode> {
    let mut cargo = process::cargo();
    cargo.args(["run", "--quiet", "--package", "test-harness", "--no-default-features"]);
    cargo.args(["--bin", "run-scripts", "--", "--scripts"]);
    cargo.arg(process::workspace_root().join("tests/conformance"));
    cargo.args(words).arg(filter);
    Ok(process::exit_code(process::run(&mut cargo, stop)?))
}
