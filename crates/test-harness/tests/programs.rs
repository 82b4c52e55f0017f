//! Mail programs that people use, against the running system. They read the standards in their own ways.
//!
//! A program that is not installed skips its test, except in continuous integration; `cargo xtask test` installs them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use test_harness::script::Account;
use test_harness::system::System;
use tokio::process::Command;
use tokio::time::timeout;

/// A program that waits for a person, or for us, is ended.
const PROGRAM_LIMIT: Duration = Duration::from_secs(150);

const MESSAGE: &str = "From: a@far.example\r\nSubject: hello\r\n\r\n.dot\r\nend\r\n";

/// A system with an account for alice, and a folder for the program's files.
struct Stage {
    system: System,
    alice: Account,
    folder: tempfile::TempDir,
}

impl Stage {
    /// `None`, and said so: the program is not installed.
    async fn with(program: &str, package: &str) -> Option<Self> {
        if !is_installed(program) {
            assert!(std::env::var_os("CI").is_none(), "{program} is not installed");
            println!("SKIPPED: install {package}");
            return None;
        }
        let system = System::sqlite().await.unwrap();
        let alice = system.accounts(1).await.unwrap().remove(0).remove(0);
        Some(Self { system, alice, folder: tempfile::tempdir().unwrap() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path(name)).unwrap()).into_owned()
    }

    fn imap_port(&self) -> String {
        self.system.subject.imap[0].port().to_string()
    }

    fn pop3_port(&self) -> String {
        self.system.subject.pop3.port().to_string()
    }

    fn smtp_port(&self) -> String {
        self.system.subject.smtp.unwrap().port().to_string()
    }

    fn lmtp_port(&self) -> String {
        self.system.subject.lmtp.port().to_string()
    }

    /// Runs a program in the stage's folder; it must succeed.
    async fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.run_any(program, arguments).await;
        assert!(output.status.success(), "{program} {arguments:?} failed: {}", all_of(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    async fn run_any(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null()).kill_on_drop(true);
        command.env("HOME", self.folder.path()).env("TERM", "xterm").env("LC_ALL", "C.UTF-8");
        let run = timeout(PROGRAM_LIMIT, command.output()).await;
        run.unwrap_or_else(|_| panic!("{program} {arguments:?} did not end")).unwrap()
    }

    async fn curl(&self, arguments: &[&str]) -> String {
        let user = format!("{}:{}", self.alice.address, self.alice.password);
        let mut all = vec!["--silent", "--show-error", "--insecure", "--max-time", "30", "--user", &user];
        all.extend(arguments);
        self.run("curl", &all).await
    }

    /// By LMTP, `count` times.
    async fn deliver(&self, count: usize) {
        let file = self.write("delivered.eml", MESSAGE);
        let url = format!("smtp://127.0.0.1:{}/client.example", self.smtp_port());
        for _ in 0..count {
            let to = &self.alice.address;
            let arguments = ["--silent", "--show-error", "--url", &url, "--mail-from", "a@far.example"];
            self.run("curl", &[&arguments[..], &["--mail-rcpt", to, "--upload-file", &file]].concat()).await;
        }
    }

    /// What `STATUS mailbox (MESSAGES)` tells.
    async fn messages_in(&self, mailbox: &str) -> usize {
        let url = format!("imap://127.0.0.1:{}/", self.imap_port());
        let told = self.curl(&["--url", &url, "--request", &format!("STATUS {mailbox} (MESSAGES)")]).await;
        let number = told.rsplit_once("MESSAGES ").and_then(|(_, rest)| rest.split(')').next());
        number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{told:?}"))
    }

    async fn python(&self, what: &str) {
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

    async fn end(self) {
        self.system.stop().await.unwrap();
    }
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn all_of(output: &Output) -> String {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    format!("{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr))
}

macro_rules! programs {
    ($($name:ident($program:literal, $package:literal, $stage:ident) $body:block)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let Some($stage) = Stage::with($program, $package).await else { return };
            $body
            $stage.end().await;
        })*
    };
}

programs! {
    python_libraries("python3", "python3", stage) {
        stage.python("libraries").await;
    }

    python_samples("python3", "python3", stage) {
        stage.python("samples").await;
    }

    python_large_message("python3", "python3", stage) {
        stage.python("large").await;
    }

    python_ten_thousand_messages("python3", "python3", stage) {
        stage.python("ten_thousand").await;
    }

    curl_smtp_then_imap("curl", "curl", stage) {
        stage.deliver(2).await;
        for base in [format!("imap://127.0.0.1:{}", stage.imap_port()), format!("imaps://{}", stage.system.imaps)] {
            let list = stage.curl(&["--url", &format!("{base}/")]).await;
            assert!(list.contains("INBOX") && list.contains("Trash"), "{list}");
            let message = stage.curl(&["--url", &format!("{base}/INBOX;MAILINDEX=1")]).await;
            assert!(message.ends_with("Subject: hello\r\n\r\n.dot\r\nend\r\n"), "{message:?}");
            let message = stage.curl(&["--url", &format!("{base}/INBOX;UID=2;SECTION=TEXT")]).await;
            assert_eq!(message, ".dot\r\nend\r\n");
            let found = stage.curl(&["--url", &format!("{base}/INBOX?SUBJECT%20hello")]).await;
            assert_eq!(found.trim_end(), "* SEARCH 1 2");
        }
        let base = format!("imap://127.0.0.1:{}", stage.imap_port());
        let sent = stage.write("sent.eml", MESSAGE);
        stage.curl(&["--url", &format!("{base}/Sent"), "--upload-file", &sent]).await;
        assert_eq!(stage.messages_in("Sent").await, 1);
        stage.curl(&["--ssl-reqd", "--url", &format!("{base}/INBOX"), "--request", "STORE 1 +FLAGS (\\Deleted)"]).await;
        stage.curl(&["--url", &format!("{base}/INBOX"), "--request", "EXPUNGE"]).await;
        assert_eq!(stage.messages_in("INBOX").await, 1);
    }

    curl_pop3("curl", "curl", stage) {
        stage.deliver(2).await;
        for base in [format!("pop3://127.0.0.1:{}", stage.pop3_port()), format!("pop3s://{}", stage.system.pop3s)] {
            let list = stage.curl(&["--url", &format!("{base}/")]).await;
            assert_eq!(list.lines().count(), 2, "{list}");
            let message = stage.curl(&["--url", &format!("{base}/1")]).await;
            assert!(message.ends_with("Subject: hello\r\n\r\n.dot\r\nend\r\n"), "{message:?}");
            let uidl = stage.curl(&["--url", &format!("{base}/"), "--request", "UIDL"]).await;
            assert_eq!(uidl.lines().count(), 2, "{uidl}");
        }
        let base = format!("pop3://127.0.0.1:{}", stage.pop3_port());
        stage.curl(&["--ssl-reqd", "--url", &format!("{base}/2"), "--request", "DELE", "--list-only"]).await;
        assert_eq!(stage.messages_in("INBOX").await, 1);
    }

    swaks_lmtp_and_smtp("swaks", "swaks", stage) {
        for (protocol, port) in [("LMTP", stage.lmtp_port()), ("ESMTP", stage.smtp_port()), ("SMTP", stage.smtp_port())] {
            let to = &stage.alice.address;
            let arguments = ["--server", "127.0.0.1", "--port", &port, "--protocol", protocol, "--to", to];
            stage.run("swaks", &[&arguments[..], &["--from", "s@far.example", "--h-Subject", protocol]].concat()).await;
        }
        let port = stage.smtp_port();
        let arguments = ["--server", "127.0.0.1", "--port", &port, "--to", &stage.alice.address, "--pipeline"];
        stage.run("swaks", &[&arguments[..], &["--from", "<>", "--attach", "some text"]].concat()).await;
        assert_eq!(stage.messages_in("INBOX").await, 4);
        let arguments = ["--server", "127.0.0.1", "--port", &port, "--to", "nobody-of-that-name@test.example"];
        let refused = stage.run_any("swaks", &arguments).await;
        assert!(!refused.status.success() && all_of(&refused).contains("550 5.1.1"), "{}", all_of(&refused));
    }

    mbsync_both_ways("mbsync", "isync", stage) {
        stage.deliver(3).await;
        std::fs::create_dir(stage.path("mail")).unwrap();
        let mail = stage.path("mail").display().to_string();
        let configuration = stage.write("mbsyncrc", &format!(
            "IMAPAccount a\nHost 127.0.0.1\nPort {}\nUser {}\nPass {}\nSSLType None\nAuthMechs LOGIN\n\n\
             IMAPStore far\nAccount a\n\nMaildirStore near\nPath {mail}/\nInbox {mail}/INBOX\nSubFolders Verbatim\n\n\
             Channel c\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n",
            stage.imap_port(), stage.alice.address, stage.alice.password
        ));
        stage.run("mbsync", &["-c", &configuration, "-a"]).await;
        let new = stage.path("mail/INBOX/new");
        assert_eq!(std::fs::read_dir(&new).unwrap().count(), 3);
        assert!(stage.path("mail/Trash").is_dir(), "every mailbox is made");
        // A message of ours goes up, one of theirs is thrown away here, one is read here.
        std::fs::write(stage.path("mail/INBOX/cur/1.local:2,S"), "Subject: ours\n\nx\n").unwrap();
        let mut theirs: Vec<_> = std::fs::read_dir(&new).unwrap().map(|entry| entry.unwrap().path()).collect();
        theirs.sort();
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().split(":2,").next().unwrap().to_owned();
        let cur = stage.path("mail/INBOX/cur");
        std::fs::rename(&theirs[0], cur.join(format!("{}:2,T", name(&theirs[0])))).unwrap();
        std::fs::rename(&theirs[1], cur.join(format!("{}:2,FS", name(&theirs[1])))).unwrap();
        stage.run("mbsync", &["-c", &configuration, "-a"]).await;
        assert_eq!(stage.messages_in("INBOX").await, 3);
        let url = format!("imap://127.0.0.1:{}/INBOX?SEEN", stage.imap_port());
        assert_eq!(stage.curl(&["--url", &url]).await.split_whitespace().count(), 2 + 2, "ours and the one read");
        stage.run("mbsync", &["-c", &configuration, "-a"]).await;
        assert_eq!(stage.messages_in("INBOX").await, 3, "nothing comes twice");
    }

    fetchmail_pop3_and_imap("fetchmail", "fetchmail", stage) {
        for (protocol, port) in [("POP3", stage.pop3_port()), ("IMAP", stage.imap_port())] {
            stage.deliver(2).await;
            let _ = std::fs::remove_file(stage.path("got"));
            let configuration = stage.write("fetchmailrc", &format!(
                "poll 127.0.0.1 protocol {protocol} port {port} user \"{}\" password \"{}\" sslproto \"\" \
                 mda \"cat >> {}\"\n",
                stage.alice.address, stage.alice.password, stage.path("got").display()
            ));
            restrict(&configuration);
            let pid = stage.path("pid").display().to_string();
            stage.run("fetchmail", &["-f", &configuration, "--nosyslog", "--pidfile", &pid]).await;
            assert_eq!(stage.read("got").matches("Subject: hello").count(), 2, "{protocol}");
            assert_eq!(stage.messages_in("INBOX").await, 0, "{protocol}: fetched mail is deleted");
        }
    }

    offlineimap_down("offlineimap", "offlineimap3", stage) {
        stage.deliver(3).await;
        let configuration = stage.write("offlineimaprc", &format!(
            "[general]\naccounts = a\nmetadata = {0}/meta\nui = quiet\n[Account a]\nlocalrepository = l\n\
             remoterepository = r\n[Repository l]\ntype = Maildir\nlocalfolders = {0}/mail\n[Repository r]\ntype = IMAP\n\
             remotehost = 127.0.0.1\nremoteport = {1}\nremoteuser = {2}\nremotepass = {3}\nssl = no\nstarttls = no\n",
            stage.folder.path().display(), stage.imap_port(), stage.alice.address, stage.alice.password
        ));
        stage.run("offlineimap", &["-c", &configuration, "-o"]).await;
        assert_eq!(std::fs::read_dir(stage.path("mail/INBOX/new")).unwrap().count(), 3);
        stage.run("offlineimap", &["-c", &configuration, "-o"]).await;
        assert_eq!(stage.messages_in("INBOX").await, 3, "nothing comes twice");
    }

    mutt_reads_and_saves("mutt", "mutt", stage) {
        stage.deliver(2).await;
        let configuration = stage.write("muttrc", &format!(
            "set imap_user=\"{}\"\nset imap_pass=\"{}\"\nset ssl_starttls=no\nset ssl_force_tls=no\nset confirmcreate=no\n\
             set confirmappend=no\nset quit=yes\nset delete=yes\nset move=no\nset mbox_type=mbox\nset wait_key=no\nset folder=.\n",
            stage.alice.address, stage.alice.password
        ));
        // mutt wants a terminal; `script` is one. It copies a message and deletes it.
        let keys = "push '<first-entry><copy-message>./saved<enter><delete-message><sync-mailbox><quit>'";
        let command = format!(
            "mutt -n -F {configuration} -f imap://127.0.0.1:{}/INBOX -e \"{keys}\"",
            stage.imap_port()
        );
        let screen = stage.run("script", &["-qec", &command, "/dev/null"]).await;
        let saved = stage.read("saved");
        assert_eq!(saved.matches("Subject: hello").count(), 1, "{saved}\n{screen}");
        assert_eq!(stage.messages_in("INBOX").await, 1);
    }
}

/// Programs refuse files with passwords that others can read.
fn restrict(path: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
