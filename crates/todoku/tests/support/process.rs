//! The program as processes that can be killed and come back at the same address.

use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::{DOMAIN, PASSWORD};

/// A process that does not listen after this time has failed to start.
const START_MAX: Duration = Duration::from_secs(20);

/// Below the ports that the system gives to clients (Linux: from 32768): a client that knocks at a dead server's
/// door from that very port would be connected to itself.
const PORT_FIRST: u32 = 20_000;
const PORT_COUNT: u32 = 12_000;

static NEXT_PORT: AtomicU32 = AtomicU32::new(0);

/// Settings as environment variables, `TODOKU__SECTION__KEY`.
pub(crate) type Settings = Vec<(&'static str, String)>;

/// A TCP address of this host that nobody listens on.
pub(crate) fn free_address() -> Result<String> {
    // Each test is a process of its own: its number keeps neighbours apart.
    let start = std::process::id().wrapping_mul(61) % PORT_COUNT;
    for _ in 0..PORT_COUNT {
        let next = (start + NEXT_PORT.fetch_add(1, Ordering::Relaxed)) % PORT_COUNT;
        let address = format!("127.0.0.1:{}", PORT_FIRST + next);
        if TcpListener::bind(&address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no free port")
}

/// One process of the program.
pub(crate) struct Process {
    pub(crate) name: String,
    command: &'static str,
    settings: Settings,
    /// What it listens on when it is ready.
    doors: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// Starts `todoku COMMAND`; returns when it listens on all of `doors`.
    pub(crate) fn start(
        name: &str,
        command: &'static str,
        settings: Settings,
        doors: &[&String],
        dir: &Path,
    ) -> Result<Self> {
        let doors = doors.iter().map(|door| (*door).clone()).collect();
        let log = dir.join(format!("{name}.log"));
        let mut process = Self { name: name.to_owned(), command, settings, doors, log, child: None };
        process.restart()?;
        Ok(process)
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            ensure!(child.try_wait()?.is_none(), "{} had ended by itself: {}", self.name, self.log_tail());
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Starts it again with the same settings.
    pub(crate) fn restart(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = program(self.command, &self.settings);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut child = command.spawn().context("cannot start todoku")?;
        let begun = Instant::now();
        while !self.doors.iter().all(|door| TcpStream::connect(door).is_ok()) {
            if child.try_wait()?.is_some() || begun.elapsed() > START_MAX {
                let _ = child.kill();
                bail!("{} does not start: {}", self.name, self.log_tail());
            }
            sleep(Duration::from_millis(10));
        }
        self.child = Some(child);
        Ok(())
    }

    fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        // Test runners show this only when the test has failed.
        println!("--- {} ---\n{}", self.name, self.log_tail());
    }
}

/// `todoku COMMAND…` with these settings and no others.
fn program(command: &str, settings: &Settings) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_todoku"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TODOKU") {
            program.env_remove(name);
        }
    }
    program.args(command.split(' ')).envs(settings.iter().map(|(key, value)| (key, value)));
    program
}

/// Runs `todoku COMMAND…` to its end, with `input` on its standard input; what it printed.
pub(crate) fn run(command: &str, settings: &Settings, input: &str) -> Result<String> {
    let mut child = program(command, settings)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let printed =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "todoku {command}: {printed}");
    Ok(printed)
}

/// Makes the account `name` at [`DOMAIN`].
pub(crate) fn add_account(name: &str, settings: &Settings) -> Result<String> {
    let address = format!("{name}@{DOMAIN}");
    run(&format!("account add {address} --password-stdin"), settings, &format!("{PASSWORD}\n"))?;
    Ok(address)
}
