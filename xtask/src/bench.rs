//! `cargo xtask bench`: Todoku measured from outside, beside other builds and other servers.
//!
//! All servers run at the same time and are measured in turns, row by row, so that what else the machine does meets
//! them alike. `docs/benchmarks.md` says what each row means.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::{Args as ClapArgs, ValueEnum};

use crate::process::{self, POLL, Stop};

mod corpus;
mod imap;
mod launch;
mod lmtp;
mod pop3;
mod rows;
mod server;
mod stats;
mod system;
mod table;
mod wire;

use rows::{FULL, Measured, QUICK, ROWS, Row, Sizes};
use server::{Against, Server};
use table::{Cell, Table};

/// A `todoku all` with accounts, for others than the bench. Dropping it stops it.
pub(crate) struct Lent(Server);

impl Lent {
    /// Starts `program`, or this tree's, built as users get it.
    pub(crate) fn start(program: Option<&Path>, stop: &Stop) -> Result<Self> {
        let program = match program {
            Some(program) => program.to_owned(),
            None => launch::todoku::build(stop)?,
        };
        launch::todoku::single("todoku".into(), &program, stop).map(Self)
    }

    pub(crate) fn imap(&self) -> std::net::SocketAddr {
        self.0.place.imap
    }

    /// The user name and password of an account.
    pub(crate) fn account(&self, number: usize) -> (String, String) {
        (self.0.place.user(number), self.0.place.password.clone())
    }
}

/// How long one turn of a row may take, with the mailboxes that it fills.
const TURN_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Open files that 2 000 sessions and the servers need.
const FILES: u64 = 16_384;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Only these rows, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "ROWS")]
    rows: Vec<String>,

    /// How much is measured; only `full` has the mailbox of 100 000 messages
    #[arg(long, value_enum, default_value = "quick")]
    size: Size,

    /// Turns, instead of what the size says
    #[arg(long, value_name = "N")]
    turns: Option<usize>,

    /// A build to measure instead of this tree's; several are compared
    #[arg(long, value_name = "[NAME=]PATH")]
    binary: Vec<String>,

    /// Measure no Todoku, only the other servers
    #[arg(long)]
    without_todoku: bool,

    /// Also measure each build as a cluster: a process for each service, PostgreSQL, Redis
    #[arg(long)]
    postgres: bool,

    /// Also measure a private Dovecot
    #[arg(long)]
    dovecot: bool,

    /// Also measure this server: NAME=imap:HOST:PORT,pop3:HOST:PORT,lmtp:HOST:PORT,user:PATTERN,password:TEXT,pid:N
    #[arg(long, value_name = "SERVER")]
    against: Vec<Against>,

    /// Also write the table to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Size {
    Quick,
    Full,
}

/// `cargo xtask bench`
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let stop = Stop::listen()?;
    if cfg!(debug_assertions) {
        return run_optimised(&stop);
    }
    let sizes = match args.size {
        Size::Quick => &QUICK,
        Size::Full => &FULL,
    };
    let rows = choose_rows(&args.rows, args.size)?;
    raise_file_limit();
    let mut servers = start_servers(&args, &stop)?;
    if servers.is_empty() {
        bail!("there is no server to measure");
    }
    let mut table = Table::new(&servers, system::describe_machine()?);
    // One thread: the client leaves the other cores to the servers.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let turns = args.turns.unwrap_or(sizes.turns).max(1);
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = measure_all(&rows, &mut servers, (sizes, turns), &mut table) => outcome,
            () = stopped(&stop) => Err(anyhow::anyhow!("stopped by a signal")),
        }
    });
    let text = table.markdown();
    println!("{text}");
    if let Some(file) = &args.out {
        std::fs::write(file, &text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Runs this command again, built with optimisation: a slow client would be what is measured.
fn run_optimised(stop: &Stop) -> Result<ExitCode> {
    let mut command = process::cargo();
    command
        .args(["run", "--quiet", "--release", "--package", "xtask", "--"])
        .args(std::env::args_os().skip(1));

    // Paths on the command line are relative to where we were called.
    command.current_dir(std::env::current_dir()?);
    Ok(process::exit_code(process::run(&mut command, stop)?))
}

fn choose_rows(names: &[String], size: Size) -> Result<Vec<&'static Row>> {
    if names.is_empty() {
        let is_full = matches!(size, Size::Full);
        return Ok(ROWS.iter().filter(|row| is_full || !row.is_for_full).collect());
    }
    let find = |name: &String| {
        ROWS.iter().find(|row| row.name == name).with_context(|| {
            let all: Vec<_> = ROWS.iter().map(|row| row.name).collect();
            format!("there is no row `{name}`; there are {}", all.join(", "))
        })
    };
    names.iter().map(find).collect()
}

fn start_servers(args: &Args, stop: &Stop) -> Result<Vec<Server>> {
    let mut builds: Vec<(String, PathBuf)> = Vec::new();
    for text in &args.binary {
        let (name, path) = text.split_once('=').unwrap_or((text, text));
        let path = Path::new(path).canonicalize().with_context(|| format!("--binary {path}"))?;
        builds.push((name.to_owned(), path));
    }
    if builds.is_empty() && !args.without_todoku {
        builds.push(("todoku".into(), launch::todoku::build(stop)?));
    }
    let mut servers = Vec::new();
    for (name, program) in &builds {
        eprintln!("xtask: starting {name}");
        servers.push(launch::todoku::single(name.clone(), program, stop)?);
        if args.postgres {
            servers.push(launch::todoku::cluster(format!("{name} cluster"), program, stop)?);
        }
    }
    if args.dovecot {
        servers.push(launch::dovecot::start(stop)?);
    }
    servers.extend(args.against.iter().cloned().map(Against::into_server));
    Ok(servers)
}

async fn measure_all(
    rows: &[&'static Row],
    servers: &mut [Server],
    (sizes, turns): (&Sizes, usize),
    table: &mut Table,
) -> Result<()> {
    for row in rows {
        let mut cells: Vec<Cell> = servers.iter().map(|_| Cell::default()).collect();
        for _ in 0..turns {
            for (server, cell) in servers.iter_mut().zip(&mut cells) {
                // What failed once is not asked again: its mailboxes may be anything.
                if cell.can_go_on() {
                    one_turn(row, server, sizes, cell).await;
                }
            }
        }
        let mut line = format!("xtask: {:<18}", row.name);
        for cell in &cells {
            let _ = write!(line, " {}", cell.summary(row));
        }
        eprintln!("{line}");
        table.add(row, cells);
    }
    Ok(())
}

async fn one_turn(row: &Row, server: &mut Server, sizes: &Sizes, cell: &mut Cell) {
    let turn = async {
        rows::prepare(row, server).await?;
        let time_of = |root: u32| system::processor_time(&system::process_tree(&[root]));
        let before: Vec<_> = server.processor_of.iter().map(|&root| (root, time_of(root))).collect();
        let begun = Instant::now();
        let measured = rows::measure(row, server, sizes).await?;
        let after: Duration = server.processor_of.iter().map(|&root| time_of(root)).sum();
        // A row that starts the server again finds new processes, which have used nothing before; the database's stay.
        let stayed = before.iter().filter(|(root, _)| server.processor_of.contains(root));
        let before: Duration = stayed.map(|(_, time)| *time).sum();
        Ok::<_, anyhow::Error>((measured, after.saturating_sub(before), begun.elapsed()))
    };
    match tokio::time::timeout(TURN_LIMIT, Box::pin(turn)).await {
        Ok(Ok((Measured::Values(values), processor, elapsed))) => cell.add(values, processor, elapsed),
        Ok(Ok((Measured::Skipped(reason), ..))) => cell.skip(reason),
        Ok(Err(error)) => cell.wrong(format!("{error:#}")),
        Err(_) => cell.wrong(format!("not done after {} s", TURN_LIMIT.as_secs())),
    }
}

async fn stopped(stop: &Stop) {
    while stop.signal().is_none() {
        tokio::time::sleep(POLL).await;
    }
}

/// Every connection is an open file here, and in the servers that inherit our limit.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < FILES) {
        limit.current = Some(limit.maximum.map_or(FILES, |maximum| maximum.min(FILES)));
        // Without it the rows with many sessions say what went wrong.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_names_of_their_own_and_are_chosen_by_them() {
        let quick = choose_rows(&[], Size::Quick).unwrap().len();
        assert!(quick < choose_rows(&[], Size::Full).unwrap().len());
        let mut names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ROWS.len());
        assert_eq!(choose_rows(&["big-select".into()], Size::Quick).unwrap().len(), 1);
        let error = choose_rows(&["selekt".into()], Size::Quick).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("selekt") && error.contains("select"), "{error}");
    }
}
