//! Servers that we start: their processes, their folder, and starting them again.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{self, Stop};
use crate::services::server::Server as Process;
use crate::services::{Services, free_port};

pub(super) mod dovecot;
pub(super) mod todoku;

/// How long a connection to ourselves may take until the server counts as not ready.
const CONNECT_LIMIT: Duration = Duration::from_millis(500);

/// One process and how it is started.
struct Launch {
    name: &'static str,
    program: PathBuf,
    args: Vec<String>,
    variables: Vec<(String, String)>,
    /// Where it listens when it is ready.
    ready: Vec<SocketAddr>,
}

/// Processes that are one server. Dropping it stops them and removes their files.
pub(super) struct Running {
    // The order matters: processes are dropped, which stops them, before what they use.
    processes: Vec<Process>,
    launches: Vec<Launch>,
    services: Option<Services>,
    dir: TempDir,
    stop: Stop,
}

impl Running {
    fn start(launches: Vec<Launch>, services: Option<Services>, dir: TempDir, stop: &Stop) -> Result<Self> {
        let mut running = Self { processes: Vec::new(), launches, services, dir, stop: stop.clone() };
        running.start_all()?;
        Ok(running)
    }

    /// Stops all processes, the last started first, and starts them again.
    pub(super) fn restart(&mut self) -> Result<()> {
        while let Some(process) = self.processes.pop() {
            drop(process);
        }
        self.start_all()
    }

    /// The processes that we started.
    pub(super) fn own_processes(&self) -> Vec<u32> {
        self.processes.iter().map(Process::id).collect()
    }

    /// The processes that we started and those of the database and Redis.
    pub(super) fn all_processes(&self) -> Vec<u32> {
        let services = self.services.iter().flat_map(Services::process_ids);
        self.own_processes().into_iter().chain(services).collect()
    }

    fn start_all(&mut self) -> Result<()> {
        for (number, launch) in self.launches.iter().enumerate() {
            let log = self.dir.path().join(format!("log-{number}"));
            let mut process = Process::spawn(launch.name, launch.command(), log, Signal::TERM)?;
            process.wait(&self.stop, || launch.ready.iter().all(answers))?;
            self.processes.push(process);
        }
        Ok(())
    }
}

impl Launch {
    fn command(&self) -> Command {
        let mut command = command(&self.program);
        command.args(&self.args).envs(self.variables.iter().map(|(name, value)| (name, value)));
        // A group of its own keeps the terminal's Ctrl-C away: it is stopped when the measuring has ended.
        command.process_group(0);
        command
    }
}

/// Runs `program` without our settings of Todoku; where there is `setpriv`, it ends when we are killed.
fn command(program: &Path) -> Command {
    let mut command = match process::find_program("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "TERM"]).arg(program);
            command
        }
        None => Command::new(program),
    };
    process::clean_environment(&mut command);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TODOKU") {
            command.env_remove(name);
        }
    }
    command
}

fn temporary_folder() -> Result<TempDir> {
    tempfile::Builder::new().prefix("todoku-bench-").tempdir().context("no temporary folder")
}

fn free_address() -> Result<SocketAddr> {
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)))
}

fn answers(address: &SocketAddr) -> bool {
    TcpStream::connect_timeout(address, CONNECT_LIMIT).is_ok()
}
