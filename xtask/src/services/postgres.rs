//! PostgreSQL in a folder of its own, with the durability settings that users have.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rustix::process::Signal;

use super::server::Server;
use super::{Owner, PORT_TRIES, free_port};
use crate::process::{self, Stop};

/// Tests run side by side and each has a pool.
const MAX_CONNECTIONS: &str = "max_connections=200";

/// Code point order and Unicode case, as in the official container image; `C.UTF-8` is not everywhere.
const LOCALE: &str = if cfg!(target_os = "linux") { "--locale=C.UTF-8" } else { "--locale=C" };

pub(super) struct Postgres {
    port: u16,
    server: Server,
}

impl Postgres {
    /// Makes a cluster under `dir` and starts it; returns when it accepts connections.
    pub(super) fn start(bin: &Path, dir: &Path, owner: &Owner, stop: &Stop) -> Result<Self> {
        let home = owner.folder(dir, "postgres")?;
        let data = home.join("data");
        init(bin, &home, &data, owner, stop)?;
        let mut tries = 0;
        loop {
            tries += 1;
            let port = free_port()?;
            let mut server = spawn(bin, &home, &data, owner, port)?;
            match server.wait(stop, || is_ready(&data)) {
                Ok(()) => return Ok(Self { port, server }),
                Err(error) if tries == PORT_TRIES || stop.signal().is_some() => return Err(error),
                Err(_) => {} // most likely somebody took the port
            }
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn process_id(&self) -> u32 {
        self.server.id()
    }

    /// A superuser's URL.
    pub(super) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

fn init(bin: &Path, home: &Path, data: &Path, owner: &Owner, stop: &Stop) -> Result<()> {
    let mut initdb = owner.command(&bin.join("initdb"), home, "TERM");
    initdb.arg("-D").arg(data).args(["-U", "postgres", "--auth=trust", "--encoding=UTF8", LOCALE]);
    // The fresh files need not survive a power cut: they are made anew each time.
    initdb.args(["--no-sync", "--no-instructions"]);
    initdb.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    process::run_checked(&mut initdb, stop)
}

fn spawn(bin: &Path, home: &Path, data: &Path, owner: &Owner, port: u16) -> Result<Server> {
    let sockets: PathBuf = home.to_path_buf();
    let mut command = owner.command(&bin.join("postgres"), home, "QUIT");
    command.arg("-D").arg(data);
    command.args(["-c", "listen_addresses=127.0.0.1", "-c", MAX_CONNECTIONS]);
    command.args(["-c", &format!("port={port}")]);
    command.args(["-c", &format!("unix_socket_directories={}", sockets.display())]);
    let log = home.join("log");
    // SIGQUIT is the shutdown that writes nothing more: the files are thrown away.
    Server::spawn("PostgreSQL", command, log, Signal::QUIT)
}

/// Whether the server wrote into its lock file that it accepts connections: the file's eighth line.
fn is_ready(data: &Path) -> bool {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    text.lines().nth(7).is_some_and(|status| status.trim() == "ready")
}
