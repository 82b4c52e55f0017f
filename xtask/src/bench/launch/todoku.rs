//! Todoku in its two shapes: one process on SQLite, or a process for each service on PostgreSQL and Redis.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use super::super::server::{ACCOUNTS, Place, Server};
use super::super::system;
use super::{Launch, Running, command, free_address, temporary_folder};
use crate::process::{self, Stop};
use crate::services::{POSTGRES_VARIABLE, REDIS_VARIABLE, Services};

const USERS: &str = "bench{}@localhost";
const PASSWORD: &str = "benchmarks-need-no-secret";

/// All connections come from one address.
const CONNECTIONS_PER_IP: &str = "20000";

/// Builds this tree's program as users get it, and says where it is.
pub(in super::super) fn build(stop: &Stop) -> Result<PathBuf> {
    process::run_checked(process::cargo().args(["build", "--release", "--package", "todoku"]), stop)?;
    let output = process::cargo().args(["metadata", "--no-deps", "--format-version", "1"]).output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let target = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
    Ok(Path::new(target).join("release/todoku"))
}

/// `todoku all`
pub(in super::super) fn single(name: String, program: &Path, stop: &Stop) -> Result<Server> {
    let dir = temporary_folder()?;
    let ports = Ports::choose()?;
    let mut variables = ports.variables();
    let data = dir.path().join("data");
    variables.push(("TODOKU__DATA__DIR".into(), data.display().to_string()));
    variables.push(("TODOKU__DATABASE__URL".into(), format!("sqlite:{}/todoku.db", data.display())));
    let all = Launch {
        name: "todoku all",
        program: program.to_owned(),
        args: vec!["all".into()],
        variables: variables.clone(),
        ready: vec![ports.imap, ports.pop3, ports.lmtp],
    };
    let running = Running::start(vec![all], None, dir, stop)?;
    add_accounts(program, &variables, stop)?;
    Ok(server(name, program, &ports, running))
}

/// Storage, auth and the gateways, each a process.
pub(in super::super) fn cluster(name: String, program: &Path, stop: &Stop) -> Result<Server> {
    let services = Services::start(stop)?;
    let dir = temporary_folder()?;
    let ports = Ports::choose()?;
    let (storage, auth) = (free_address()?, free_address()?);
    let urls: HashMap<_, _> = services.variables().into_iter().collect();
    let mut variables = ports.variables();
    let settings = [
        ("DATA__DIR", dir.path().join("data").display().to_string()),
        ("DATABASE__URL", urls[POSTGRES_VARIABLE].clone()),
        ("REDIS__URL", urls[REDIS_VARIABLE].clone()),
        ("SERVICES__STORAGE", format!("http://{storage}")),
        ("SERVICES__AUTH", format!("http://{auth}")),
        ("STORAGE__LISTEN", storage.to_string()),
        ("AUTH__LISTEN", auth.to_string()),
        ("GRANTS__KEY", "5b".repeat(32)),
    ];
    variables.extend(settings.map(|(key, value)| (format!("TODOKU__{key}"), value)));
    let mut migrate = command(program);
    migrate.arg("migrate").envs(variables.iter().map(|(name, value)| (name, value)));
    process::run_checked(&mut migrate, stop)?;
    let launch = |name, service: &str, ready| -> Result<Launch> {
        let mut variables = variables.clone();
        // Each has a page for health and metrics of its own.
        variables.push(("TODOKU__HTTP__LISTEN".into(), free_address()?.to_string()));
        Ok(Launch { name, program: program.to_owned(), args: vec![service.into()], variables, ready })
    };
    let launches = vec![
        launch("todoku storage", "storage", vec![storage])?,
        launch("todoku auth", "auth", vec![auth])?,
        launch("todoku imap", "imap", vec![ports.imap])?,
        launch("todoku pop3", "pop3", vec![ports.pop3])?,
        launch("todoku delivery", "delivery", vec![ports.lmtp])?,
    ];
    let running = Running::start(launches, Some(services), dir, stop)?;
    add_accounts(program, &variables, stop)?;
    Ok(server(name, program, &ports, running))
}

struct Ports {
    imap: SocketAddr,
    pop3: SocketAddr,
    lmtp: SocketAddr,
    smtp: SocketAddr,
    http: SocketAddr,
}

impl Ports {
    fn choose() -> Result<Self> {
        Ok(Self {
            imap: free_address()?,
            pop3: free_address()?,
            lmtp: free_address()?,
            smtp: free_address()?,
            http: free_address()?,
        })
    }

    fn variables(&self) -> Vec<(String, String)> {
        let settings = [
            ("IMAP__LISTEN", self.imap.to_string()),
            ("IMAP__LISTEN_TLS", String::new()),
            ("IMAP__ALLOW_CLEAR_LOGIN", "true".into()),
            ("POP3__LISTEN", self.pop3.to_string()),
            ("POP3__LISTEN_TLS", String::new()),
            ("POP3__ALLOW_CLEAR_LOGIN", "true".into()),
            ("LMTP__LISTEN", self.lmtp.to_string()),
            ("SMTP__LISTEN", self.smtp.to_string()),
            ("HTTP__LISTEN", self.http.to_string()),
            ("LIMITS__CONNECTIONS_PER_IP", CONNECTIONS_PER_IP.into()),
        ];
        settings.map(|(key, value)| (format!("TODOKU__{key}"), value)).into()
    }
}

fn server(name: String, program: &Path, ports: &Ports, running: Running) -> Server {
    let place = Place {
        imap: ports.imap,
        pop3: Some(ports.pop3),
        lmtp: Some(ports.lmtp),
        users: USERS.into(),
        password: PASSWORD.into(),
    };
    Server {
        name,
        version: system::first_line(&program.to_string_lossy(), &["--version"]),
        place,
        memory_of: running.own_processes(),
        processor_of: running.all_processes(),
        filled: HashMap::new(),
        running: Some(running),
    }
}

fn add_accounts(program: &Path, variables: &[(String, String)], stop: &Stop) -> Result<()> {
    for number in 0..ACCOUNTS {
        stop.check()?;
        let address = USERS.replace("{}", &format!("{number:02}"));
        let mut add = command(program);
        add.args(["account", "add", &address, "--password-stdin"]);
        add.envs(variables.iter().map(|(name, value)| (name, value)));
        let mut child = add.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            writeln!(stdin, "{PASSWORD}").context("todoku account add")?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("todoku account add {address}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
    }
    Ok(())
}
