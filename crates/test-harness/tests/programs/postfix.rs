//! A Postfix of our own: its configuration and queue in the stage's folder, delivering by LMTP to the system.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::stage::{Stage, all_of, skipped};

/// Postfix's own waits between its queues are seconds.
const DELIVERY_LIMIT: Duration = Duration::from_secs(60);

/// Only what takes a mail from `sendmail` to LMTP: no port is listened on.
const MASTER: &str = "\
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
";

/// Runs until it is dropped.
pub(crate) struct Postfix {
    configuration: PathBuf,
    log: PathBuf,
}

impl Postfix {
    /// `None`, and said so: only root can start Postfix.
    pub(crate) async fn start(stage: &Stage) -> Option<Self> {
        if !is_root() {
            // Continuous integration need not be root, so this is no failure there.
            println!("SKIPPED: only root can start Postfix");
            return None;
        }
        let folder = stage.folder.path();
        let configuration = folder.join("postfix");
        for name in ["postfix", "queue", "state"] {
            std::fs::create_dir(folder.join(name)).unwrap();
        }
        open_to_postfix(stage);
        std::fs::write(configuration.join("master.cf"), MASTER).unwrap();
        std::fs::write(configuration.join("main.cf"), main_cf(stage)).unwrap();
        let postfix = Self { configuration, log: folder.join("postfix.log") };
        let output = Command::new("postfix")
            .arg("-c")
            .arg(&postfix.configuration)
            .arg("start")
            .output()
            .await
            .unwrap();
        if !output.status.success() {
            return skipped(&format!("Postfix does not start here: {}", all_of(&output)));
        }
        Some(postfix)
    }

    /// Hands a small message to its `sendmail`: the sender first, then the recipients.
    pub(crate) async fn send(&self, addresses: &[&str]) {
        self.send_text(addresses, ".dot\nend\n").await;
    }

    /// The same with this text.
    pub(crate) async fn send_text(&self, addresses: &[&str], text: &str) {
        let mut command = Command::new("sendmail");
        command.arg("-C").arg(&self.configuration).args(["-i", "-f"]).args(addresses);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(format!("Subject: by Postfix\n\n{text}").as_bytes()).await.unwrap();
        drop(input);
        assert!(child.wait().await.unwrap().success());
    }

    /// Waits until its log has this `count` times.
    pub(crate) async fn logged(&self, what: &str, count: usize) {
        let begun = Instant::now();
        loop {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            if log.matches(what).count() == count {
                return;
            }
            assert!(begun.elapsed() < DELIVERY_LIMIT, "{what} x {count} not in {log}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let mut stop = std::process::Command::new("postfix");
        let _ = stop.arg("-c").arg(&self.configuration).arg("stop").output();
    }
}

fn main_cf(stage: &Stage) -> String {
    let folder = stage.folder.path().display();
    format!(
        "compatibility_level = 3.6\nqueue_directory = {folder}/queue\ndata_directory = {folder}/state\n\
         maillog_file = {folder}/postfix.log\nmaillog_file_prefixes = {folder}\nmyhostname = mta.far.example\n\
         mydestination =\nalias_maps =\nalias_database =\ninet_protocols = ipv4\ninet_interfaces = loopback-only\n\
         disable_dns_lookups = yes\nmessage_size_limit = 0\ndefault_transport = lmtp:inet:127.0.0.1:{}\n",
        stage.lmtp_port()
    )
}

/// Its processes run as a user of their own, which must reach the queue and own the state.
fn open_to_postfix(stage: &Stage) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(stage.folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let owned = std::process::Command::new("chown").arg("postfix").arg(stage.path("state")).status().unwrap();
    assert!(owned.success(), "Postfix brings its user");
}

fn is_root() -> bool {
    let output = std::process::Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
