//! `cargo xtask soak` runs this.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use soak::Shape;
use soak::mutate::{Faults, MUTATIONS};
use soak::run::{Plan, Report, run};

#[derive(Parser)]
struct Cli {
    /// How long each shape (or mutation) is run
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Where all randomness comes from; a random one if not given. It is printed
    #[arg(long)]
    seed: Option<u64>,
    /// IMAP sessions, beside POP3 and LMTP
    #[arg(long, default_value_t = 8)]
    sessions: usize,
    /// IMAP gateways of the cluster
    #[arg(long, default_value_t = 3)]
    gateways: usize,
    /// Only this one; both if not given
    #[arg(long)]
    shape: Option<Shape>,
    /// One step at a time over all sessions: the same seed then does the same
    #[arg(long)]
    serial: bool,
    /// Falsify: the run must fail
    #[arg(long, value_name = "NAME")]
    mutation: Option<String>,
    /// Every mutation in turn, and a table of what caught it
    #[arg(long)]
    mutations: bool,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    if cli.mutations {
        return mutations(&cli).await;
    }
    let faults = match &cli.mutation {
        Some(name) => Some(Faults::named(name).with_context(|| format!("no mutation {name}"))?),
        None => None,
    };
    let shapes = cli.shape.map_or(vec![Shape::Sqlite, Shape::Cluster], |shape| vec![shape]);
    let mut failed = false;
    for shape in shapes {
        let plan = plan(&cli, shape, faults.clone());
        println!("{shape:?}: {} sessions, {} s, --seed {}", plan.sessions, cli.seconds, plan.seed);
        let begun = Instant::now();
        let Some(report) = run(&plan).await? else { bail!("the cluster needs PostgreSQL and Redis") };
        print(&report, begun.elapsed());
        if let Some(violation) = &report.violation {
            println!("BROKEN with --seed {}: {violation}", plan.seed);
            failed = true;
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn plan(cli: &Cli, shape: Shape, faults: Option<Faults>) -> Plan {
    Plan {
        shape,
        gateways: cli.gateways,
        sessions: cli.sessions,
        time: Duration::from_secs(cli.seconds),
        seed: cli.seed.unwrap_or_else(|| fastrand::u64(..)),
        serial: cli.serial,
        faults,
    }
}

fn print(report: &Report, time: Duration) {
    let commands: u64 = report.commands.values().sum();
    let checks: u64 = report.checks.values().sum();
    println!(
        "  {} rounds, {commands} commands, {} messages, {checks} checks in {:.0} s",
        report.rounds,
        report.messages,
        time.as_secs_f32()
    );
    let list = |items: Vec<String>| items.join(", ");
    println!(
        "  commands: {}",
        list(report.commands.iter().map(|(name, count)| format!("{name} {count}")).collect())
    );
    println!(
        "  checks: {}",
        list(report.checks.iter().map(|(name, count)| format!("{name} {count}")).collect())
    );
}

/// Each mutation, until it is caught or its time is over.
async fn mutations(cli: &Cli) -> Result<ExitCode> {
    let shape = cli.shape.unwrap_or(Shape::Sqlite);
    let mut missed = Vec::new();
    println!("{:<20} {:<8} {:>6}  {:<11} what caught it", "mutation", "made", "after", "");
    for mutation in MUTATIONS {
        let Some(faults) = Faults::named(mutation.name) else { continue };
        let begun = Instant::now();
        let report = run(&plan(cli, shape, Some(faults.clone()))).await?.context("no PostgreSQL or Redis")?;
        let (verdict, by) = match &report.violation {
            Some(violation) => ("caught by", format!("{}: {:.90}", violation.invariant, violation.what)),
            None => ("NOT CAUGHT", mutation.what.to_owned()),
        };
        println!(
            "{:<20} {:<8} {:>4.1} s  {verdict:<11} {by}",
            mutation.name,
            faults.fired(),
            begun.elapsed().as_secs_f32()
        );
        if report.violation.is_none() || faults.fired() == 0 {
            missed.push(mutation.name);
        }
    }
    println!("{} of {} caught", MUTATIONS.len() - missed.len(), MUTATIONS.len());
    Ok(if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
