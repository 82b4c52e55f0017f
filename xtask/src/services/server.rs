//! One server process with its log, waited for until it is ready and stopped when dropped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use crate::process::{self, POLL, Stop};

/// How long a server may take until it answers, on a machine that is busy compiling.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How many lines of its log are shown when a server does not start.
const LOG_LINES: usize = 15;

pub(crate) struct Server {
    child: Child,
    log: PathBuf,
    stop_signal: Signal,
    name: &'static str,
}

impl Server {
    /// Starts `command` with its output in the file `log`. `stop_signal` is what ends it quickly.
    pub(crate) fn spawn(
        name: &'static str,
        mut command: Command,
        log: PathBuf,
        stop_signal: Signal,
    ) -> Result<Self> {
        let output = std::fs::File::create(&log).context("cannot make a log file")?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child, log, stop_signal, name })
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns when `ready` says so; fails when the server ends or takes too long, showing its log.
    pub(crate) fn wait(&mut self, stop: &Stop, ready: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            stop.check()?;
            if let Some(status) = self.child.try_wait()? {
                bail!("{} did not start ({status}):\n{}", self.name, last_lines(&self.log));
            }
            if ready() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{} is not ready after {START_LIMIT:?}:\n{}", self.name, last_lines(&self.log));
            }
            sleep(POLL);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        process::end(&mut self.child, self.stop_signal, false);
    }
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
