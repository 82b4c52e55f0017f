//! Redis that writes nothing to disk.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;

use super::server::Server;
use super::{Owner, PORT_TRIES, free_port};
use crate::process::Stop;

/// How long an answer to PING may take before it is asked again.
const PING_LIMIT: Duration = Duration::from_millis(500);

pub(super) struct Redis {
    port: u16,
    server: Server,
    program: PathBuf,
    home: PathBuf,
    user: Owner,
}

impl Redis {
    /// Starts a server; [`Redis::wait_ready`] waits for it.
    pub(super) fn start(program: &Path, dir: &Path, owner: &Owner) -> Result<Self> {
        let home = owner.folder(dir, "redis")?;
        let port = free_port()?;
        let server = spawn(program, &home, owner, port)?;
        Ok(Self { port, server, program: program.to_path_buf(), home, user: owner.clone() })
    }

    /// Returns when the server answers.
    pub(super) fn wait_ready(&mut self, stop: &Stop) -> Result<()> {
        let mut tries = 1;
        loop {
            let port = self.port;
            match self.server.wait(stop, || answers_ping(port)) {
                Ok(()) => return Ok(()),
                Err(error) if tries == PORT_TRIES || stop.signal().is_some() => return Err(error),
                Err(_) => {} // most likely somebody took the port
            }
            tries += 1;
            self.port = free_port()?;
            self.server = spawn(&self.program, &self.home, &self.user, self.port)?;
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn process_id(&self) -> u32 {
        self.server.id()
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

fn spawn(program: &Path, home: &Path, owner: &Owner, port: u16) -> Result<Server> {
    let mut command = owner.command(program, home, "KILL");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--daemonize", "no"]);
    command.args(["--save", "", "--appendonly", "no"]);
    Server::spawn("Redis", command, home.join("log"), Signal::KILL)
}

fn answers_ping(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let ping = || -> std::io::Result<bool> {
        let mut socket = TcpStream::connect_timeout(&address, PING_LIMIT)?;
        socket.set_read_timeout(Some(PING_LIMIT))?;
        socket.write_all(b"PING\r\n")?;
        let mut answer = [0; 5];
        socket.read_exact(&mut answer)?;
        Ok(&answer == b"+PONG")
    };
    ping().unwrap_or(false)
}
