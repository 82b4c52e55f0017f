//! Runs conformance scripts against any server; `cargo xtask conformance` calls it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use test_harness::script::{Account, NAMES, Outcome, Subject, Verdict, clean, find, run_file, run_files};

#[derive(Parser)]
struct Args {
    /// HOST:PORT of IMAP in clear; several gateways take turns
    #[arg(long, required = true)]
    imap: Vec<SocketAddr>,
    /// HOST:PORT of POP3 in clear
    #[arg(long)]
    pop3: SocketAddr,
    /// HOST:PORT of LMTP
    #[arg(long)]
    lmtp: SocketAddr,
    /// HOST:PORT of SMTP; without it, scripts about SMTP are passed over
    #[arg(long)]
    smtp: Option<SocketAddr>,
    /// alice=ADDRESS:PASSWORD, and bob and carol. With `%n` in it, each script has accounts of its own;
    /// otherwise these are emptied before each
    #[arg(long, required = true)]
    account: Vec<String>,
    /// The server is Todoku: what is not advertised is a failure, and its choices are checked
    #[arg(long)]
    strict: bool,
    /// IMAP inside TLS from the first octet
    #[arg(long)]
    imaps: Option<SocketAddr>,
    /// How many scripts run side by side, when each has accounts of its own
    #[arg(long, default_value_t = 8)]
    at_once: usize,
    /// Where the scripts are
    #[arg(long, default_value = "tests/conformance")]
    scripts: PathBuf,
    /// Only the scripts whose path contains this
    #[arg(default_value = "")]
    filter: String,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let files = find(&args.scripts, &args.filter)?;
    let accounts = accounts(&args.account)?;
    let subject = Subject {
        imap: args.imap,
        pop3: args.pop3,
        lmtp: args.lmtp,
        smtp: args.smtp,
        imaps: args.imaps,
        administration: None,
        strict: args.strict,
    };
    let verdicts = if accounts.iter().all(|account| account.address.contains("%n")) {
        run_files(&files, &subject, args.at_once, |n| accounts.iter().map(|a| numbered(a, n)).collect())
            .await?
    } else {
        one_by_one(&files, &subject, &accounts).await?
    };
    Ok(tell(&verdicts))
}

fn accounts(words: &[String]) -> Result<Vec<Account>> {
    let mut accounts = Vec::new();
    for word in words {
        let parts = word.split_once('=').and_then(|(name, rest)| Some((name, rest.split_once(':')?)));
        let (name, (address, password)) =
            parts.with_context(|| format!("--account {word}: NAME=ADDRESS:PASSWORD"))?;
        accounts.push(Account { name: name.into(), address: address.into(), password: password.into() });
    }
    if let Some(missing) = NAMES.iter().find(|name| accounts.iter().all(|account| account.name != **name)) {
        bail!("--account {missing}=ADDRESS:PASSWORD is missing");
    }
    Ok(accounts)
}

fn numbered(account: &Account, number: usize) -> Account {
    Account { address: account.address.replace("%n", &number.to_string()), ..account.clone() }
}

async fn one_by_one(files: &[PathBuf], subject: &Subject, accounts: &[Account]) -> Result<Vec<Verdict>> {
    let mut verdicts = Vec::new();
    for path in files {
        for account in accounts {
            clean(subject.imap[0], account)
                .await
                .with_context(|| format!("cannot empty {}", account.address))?;
        }
        let result = run_file(path, subject, accounts).await;
        verdicts.push(Verdict { name: path.display().to_string(), result });
    }
    Ok(verdicts)
}

fn tell(verdicts: &[Verdict]) -> ExitCode {
    let (mut passed, mut skipped, mut failed) = (0, 0, 0);
    for verdict in verdicts {
        match &verdict.result {
            Ok(Outcome::Passed) => passed += 1,
            Ok(Outcome::Skipped(why)) => {
                skipped += 1;
                println!("passed over: {} ({why})", verdict.name);
            }
            Err(error) => {
                failed += 1;
                println!("FAILED: {error:#}");
            }
        }
    }
    println!("{passed} passed, {failed} failed, {skipped} passed over");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
