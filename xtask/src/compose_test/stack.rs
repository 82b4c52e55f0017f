//! The project that Compose runs: brought up, shown when something fails, and taken down in any case.

use std::process::{Command, ExitCode, Stdio};

use anyhow::Result;

use super::{images, run_quietly};
use crate::process::{self, Stop};
use crate::services::free_port;

const PROJECT: &str = "todoku-test";

/// How many lines of each service are shown when the journey fails.
const LOG_LINES: &str = "40";

/// What docker-compose.yml publishes, by the variable that chooses the port of the host. Two of them are bound to
/// 127.0.0.1 there; the test binds all of them to it.
const PORTS: [(&str, &str, Bound); 8] = [
    ("imap", "IMAP_PORT", Bound::Here),
    ("imaps", "IMAPS_PORT", Bound::Here),
    ("pop3", "POP3_PORT", Bound::Here),
    ("pop3s", "POP3S_PORT", Bound::Here),
    ("smtp", "SMTP_PORT", Bound::Here),
    ("lmtp", "LMTP_PORT", Bound::ByCompose),
    ("haproxy_stats", "HAPROXY_STATS_PORT", Bound::ByCompose),
    ("prometheus", "PROMETHEUS_PORT", Bound::ByCompose),
];

/// Who writes the address before the port.
#[derive(Clone, Copy, PartialEq)]
enum Bound {
    Here,
    ByCompose,
}

/// The project. Dropping it takes it down, with its volumes.
pub(super) struct Stack {
    /// `docker compose -f … -p …`, or the same with `docker-compose`.
    compose: Vec<String>,
    ports: Vec<(&'static str, u16)>,
    is_up: bool,
}

impl Stack {
    /// Chooses the ports; nothing is started. What a run that was killed left behind is removed.
    pub(super) fn new(mut compose: Vec<String>) -> Result<Self> {
        let words = ["-f", "docker-compose.yml", "-f", "deploy/compose.test.yml", "-p", PROJECT];
        compose.extend(words.map(str::to_owned));
        let ports = PORTS.iter().map(|(name, ..)| Ok((*name, free_port()?))).collect::<Result<_>>()?;
        let stack = Self { compose, ports, is_up: false };
        stack.down();
        Ok(stack)
    }

    /// The files that the containers read, judged by who reads them.
    pub(super) fn check_configuration(&self, stop: &Stop) -> Result<()> {
        run_quietly(self.command(&["config"]).stdin(Stdio::null()), stop)?;
        let root = process::workspace_root();
        let mount = |file: &str| format!("{}:/checked:ro", root.join(file).display());
        let docker = |image: &str, file: &str, command: &[&str]| {
            let mut docker = Command::new("docker");
            docker.args(["run", "--rm", "--volume", &mount(file), "--entrypoint", command[0], image]);
            docker.args(&command[1..]);
            docker
        };
        // In its container HAProxy finds Docker's name server, and the names need not be there yet.
        let balancer = &["haproxy", "-c", "-f", "/checked"];
        run_quietly(&mut docker("todoku-test/haproxy", "deploy/haproxy/haproxy.cfg", balancer), stop)?;
        let monitor = &["promtool", "check", "config", "/checked"];
        run_quietly(&mut docker("todoku-test/prometheus", "deploy/prometheus/prometheus.yml", monitor), stop)
    }

    /// What the README tells an operator to type.
    pub(super) fn up(&mut self, stop: &Stop) -> Result<()> {
        self.is_up = true;
        let outcome = run_quietly(&mut self.command(&["up", "-d", "--no-build", "--scale", "imap=3"]), stop);
        if outcome.is_err() && stop.signal().is_none() {
            self.show_logs();
        }
        outcome
    }

    /// Runs `journey.py`, which prints what it sees.
    pub(super) fn journey(&self, stop: &Stop) -> Result<ExitCode> {
        let ports: serde_json::Map<String, serde_json::Value> =
            self.ports.iter().map(|(name, port)| ((*name).to_owned(), (*port).into())).collect();
        let mut command = Command::new("python3");
        command
            .args(["-B", "-u", "xtask/src/compose_test/journey.py"])
            .current_dir(process::workspace_root())
            .env("COMPOSE_TEST_PROJECT", PROJECT)
            .env("COMPOSE_TEST_COMMAND", serde_json::to_string(&self.compose)?)
            .env("COMPOSE_TEST_PORTS", serde_json::to_string(&ports)?)
            .envs(self.variables());
        let status = process::run(&mut command, stop)?;
        Ok(process::exit_code(status))
    }

    /// Shows the last lines of each service.
    pub(super) fn show_logs(&self) {
        let _ = self.command(&["ps", "--all"]).status();
        let _ = self.command(&["logs", "--no-color", "--tail", LOG_LINES]).status();
    }

    /// Leaves the project up, and says where it is.
    pub(super) fn keep(mut self) {
        self.is_up = false;
        for (name, port) in &self.ports {
            println!("{name}: 127.0.0.1:{port}");
        }
        println!("The account is alice@localhost, its password: correct horse battery staple");
        println!("Take it down: {} down --volumes", self.compose.join(" "));
    }

    fn down(&self) {
        // Not by way of the stop signal: it may be the reason why we are here.
        let quiet = self.command(&["down", "--volumes", "--remove-orphans", "--timeout", "3"]).output();
        match quiet {
            Ok(output) if output.status.success() => (),
            Ok(output) => {
                eprint!("xtask: the stack is not down: {}", String::from_utf8_lossy(&output.stderr))
            }
            Err(error) => eprintln!("xtask: the stack is not down: {error}"),
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        use std::os::unix::process::CommandExt as _;
        let mut command = Command::new(&self.compose[0]);
        command.args(&self.compose[1..]).args(args).envs(self.variables());
        command.current_dir(process::workspace_root());
        if args.first() == Some(&"down") {
            // A second Ctrl-C must not leave half of it.
            command.process_group(0);
        }
        command
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let ports = PORTS.iter().zip(&self.ports).map(|((_, variable, bound), (_, port))| match bound {
            Bound::Here => (*variable, format!("127.0.0.1:{port}")),
            Bound::ByCompose => (*variable, port.to_string()),
        });
        ports
            .chain([
                ("TODOKU_IMAGE", images::TODOKU.to_owned()),
                ("TODOKU_HOSTNAME", "mail.localhost".to_owned()),
            ])
            .collect()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.is_up {
            self.down();
        }
    }
}
