//! Child processes: found, run, told to stop when we are, and never left behind.

use std::io::IsTerminal as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How often a waiting loop looks again. Short, because start-up time is made of these.
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// How long a child may take to end after it was told to, before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// The signal that told this program to stop, once there is one.
///
/// While it lives, SIGINT, SIGTERM and SIGHUP end this program by the ordinary way out of `main`,
/// so that everything that was started is also stopped.
#[derive(Clone)]
pub(crate) struct Stop(Arc<AtomicUsize>);

impl Stop {
    /// Begins to listen for signals.
    pub(crate) fn listen() -> Result<Self> {
        let received = Arc::new(AtomicUsize::new(0));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let number = usize::try_from(signal).context("signal numbers are positive")?;
            signal_hook::flag::register_usize(signal, Arc::clone(&received), number)
                .context("cannot listen for signals")?;
        }
        Ok(Self(received))
    }

    /// The signal received, if any.
    pub(crate) fn signal(&self) -> Option<Signal> {
        let number = i32::try_from(self.0.load(Ordering::Relaxed)).ok()?;
        Signal::from_named_raw(number)
    }

    /// Fails once a signal was received.
    pub(crate) fn check(&self) -> Result<()> {
        if self.signal().is_some() {
            bail!("stopped by a signal");
        }
        Ok(())
    }
}

/// Runs `command` to its end and returns its status. A signal that stops us stops it, too, and is an error.
pub(crate) fn run(command: &mut Command, stop: &Stop) -> Result<ExitStatus> {
    stop.check()?;
    // Without a terminal the child gets a process group of its own, so that a signal reaches its children
    // as well. With one it stays in ours: it may read from the terminal, and Ctrl-C reaches the whole group.
    let own_group = !std::io::stdin().is_terminal();
    if own_group {
        command.process_group(0);
    }
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    loop {
        if let Some(status) = child.try_wait()? {
            // A child that ended because of the signal that we got as well: ours is the better message.
            stop.check()?;
            return Ok(status);
        }
        if let Some(signal) = stop.signal() {
            end(&mut child, signal, own_group);
            stop.check()?;
        }
        sleep(POLL);
    }
}

/// As [`run`], and a status other than success is an error that names the command.
pub(crate) fn run_checked(command: &mut Command, stop: &Stop) -> Result<()> {
    let status = run(command, stop)?;
    if !status.success() {
        let name = command.get_program().to_string_lossy().into_owned();
        let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy()).collect();
        bail!("`{name} {}` failed: {status}", args.join(" "));
    }
    Ok(())
}

/// Sends `signal` to `child` (and its process group), waits a little, and kills it if it is still there.
pub(crate) fn end(child: &mut Child, signal: Signal, whole_group: bool) {
    let pid = Pid::from_child(child);
    let send = |signal| {
        // It may have ended by itself meanwhile; then there is nobody to tell.
        let _ = if whole_group {
            rustix::process::kill_process_group(pid, signal)
        } else {
            rustix::process::kill_process(pid, signal)
        };
    };
    send(signal);
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        sleep(POLL);
    }
    send(Signal::KILL);
    let _ = child.wait();
}

/// The exit code that passes a child's status on, as a shell does.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The full path of `program`, looked for in `PATH` and where distributions put servers.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|file| is_executable(file))
}

/// Whether `file` is a program.
pub(crate) fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// A `cargo` command at the top of the workspace, free of what `cargo run` left in our environment.
///
/// Build scripts that watch such a variable would otherwise run again each time a build comes by another way.
pub(crate) fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(workspace_root());
    clean_environment(&mut command);
    command
}

/// Removes from the environment of `command` what `cargo run` set for this program alone.
pub(crate) fn clean_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
}

/// The folder that holds the workspace's `Cargo.toml`.
pub(crate) fn workspace_root() -> PathBuf {
    // At run time, so that a copied or moved clone works on itself; `cargo run` sets it.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = manifest.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    here.parent().map_or(here.clone(), Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never() -> Stop {
        Stop(Arc::new(AtomicUsize::new(0)))
    }

    #[test]
    fn a_failing_command_is_named() {
        let error = run_checked(Command::new("sh").args(["-c", "exit 3"]), &never()).unwrap_err().to_string();
        assert!(error.contains("sh -c exit 3") && error.contains('3'), "{error}");
    }

    #[test]
    fn a_signal_ends_a_running_command() {
        let stop = never();
        let later = stop.clone();
        let begun = Instant::now();
        std::thread::spawn(move || {
            sleep(Duration::from_millis(100));
            later.0.store(usize::try_from(SIGTERM).unwrap(), Ordering::Relaxed);
        });
        assert!(run(Command::new("sleep").arg("30"), &stop).is_err());
        assert!(begun.elapsed() < GRACE, "took {:?}", begun.elapsed());
    }

    #[test]
    fn nothing_starts_after_a_signal() {
        let stop = Stop(Arc::new(AtomicUsize::new(usize::try_from(SIGINT).unwrap())));
        assert!(run(&mut Command::new("true"), &stop).is_err());
    }

    #[test]
    fn programs_are_found_by_name_only_when_they_can_run() {
        assert!(find_program("sh").is_some());
        assert!(find_program("no-such-program-of-todoku").is_none());
        assert!(!is_executable(&workspace_root().join("Cargo.toml")));
    }
}
