//! One system with an account, and how a program is run against it.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use test_harness::script::Account;
use test_harness::system::System;
use tokio::process::Command;
use tokio::time::timeout;

/// A program that waits for a person, or for us, is ended.
const PROGRAM_LIMIT: Duration = Duration::from_secs(150);

pub(crate) const MESSAGE: &str = "From: a@far.example\r\nSubject: hello\r\n\r\n.dot\r\nend\r\n";

/// Which of the two systems a program is run against.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// `todoku all`.
    Sqlite,
    /// Every service behind its own listener, on PostgreSQL and Redis; two IMAP gateways.
    Cluster,
}

/// A system with an account for alice, and a folder for the program's files.
pub(crate) struct Stage {
    pub(crate) system: System,
    pub(crate) alice: Account,
    pub(crate) folder: tempfile::TempDir,
}

impl Stage {
    /// `None`, and said so: the program is not installed, or the cluster's servers are not there.
    pub(crate) async fn set(shape: Shape, program: &str, package: &str) -> Option<Self> {
        if !is_installed(program) {
            return skipped(&format!("{program} is not installed: install {package}"));
        }
        let system = match shape {
            Shape::Sqlite => System::sqlite().await.unwrap(),
            Shape::Cluster => match System::cluster().await.unwrap() {
                Some(system) => system,
                None => return skipped("needs PostgreSQL and Redis; cargo xtask test starts them"),
            },
        };
        let alice = system.accounts(1).await.unwrap().remove(0).remove(0);
        Some(Self { system, alice, folder: tempfile::tempdir().unwrap() })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path(name)).unwrap()).into_owned()
    }

    pub(crate) fn imap_port(&self) -> String {
        self.system.subject.imap[0].port().to_string()
    }

    pub(crate) fn pop3_port(&self) -> String {
        self.system.subject.pop3.port().to_string()
    }

    pub(crate) fn smtp_port(&self) -> String {
        self.system.subject.smtp.unwrap().port().to_string()
    }

    pub(crate) fn lmtp_port(&self) -> String {
        self.system.subject.lmtp.port().to_string()
    }

    /// Runs a program in the stage's folder; it must succeed.
    pub(crate) async fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.run_any(program, arguments).await;
        assert!(output.status.success(), "{program} {arguments:?} failed: {}", all_of(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) async fn run_any(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null()).kill_on_drop(true);
        command.env("HOME", self.folder.path()).env("TERM", "xterm").env("LC_ALL", "C.UTF-8");
        let run = timeout(PROGRAM_LIMIT, command.output()).await;
        run.unwrap_or_else(|_| panic!("{program} {arguments:?} did not end")).unwrap()
    }

    pub(crate) async fn curl(&self, arguments: &[&str]) -> String {
        let user = format!("{}:{}", self.alice.address, self.alice.password);
        let mut all = vec!["--silent", "--show-error", "--insecure", "--max-time", "30", "--user", &user];
        all.extend(arguments);
        self.run("curl", &all).await
    }

    /// By LMTP, `count` times.
    pub(crate) async fn deliver(&self, count: usize) {
        let file = self.write("delivered.eml", MESSAGE);
        let url = format!("smtp://127.0.0.1:{}/client.example", self.smtp_port());
        for _ in 0..count {
            let to = &self.alice.address;
            let arguments = ["--silent", "--show-error", "--url", &url, "--mail-from", "a@far.example"];
            self.run("curl", &[&arguments[..], &["--mail-rcpt", to, "--upload-file", &file]].concat()).await;
        }
    }

    /// What `STATUS mailbox (MESSAGES)` tells.
    pub(crate) async fn messages_in(&self, mailbox: &str) -> usize {
        let url = format!("imap://127.0.0.1:{}/", self.imap_port());
        let told = self.curl(&["--url", &url, "--request", &format!("STATUS {mailbox} (MESSAGES)")]).await;
        let number = told.rsplit_once("MESSAGES ").and_then(|(_, rest)| rest.split(')').next());
        number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{told:?}"))
    }

    pub(crate) async fn python(&self, what: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/client.py");
        let system = &self.system;
        let (imaps, pop3s) = (system.imaps.port().to_string(), system.pop3s.port().to_string());
        let arguments = [
            script.to_str().unwrap(),
            what,
            &self.imap_port(),
            &imaps,
            &self.pop3_port(),
            &pop3s,
            &self.lmtp_port(),
            &self.smtp_port(),
            &self.alice.address,
            &self.alice.password,
        ];
        self.run("python3", &arguments).await;
    }

    pub(crate) async fn end(self) {
        self.system.stop().await.unwrap();
    }
}

/// Where continuous integration runs, a skipped test is a failed one.
pub(crate) fn skipped<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    println!("SKIPPED: {why}");
    None
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Its end and everything it said.
pub(crate) fn all_of(output: &Output) -> String {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    format!("{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr))
}
