//! Dovecot 2.3 in a folder of its own, made like our server where a configuration can do that: "/" as the separator,
//! the usual mailboxes, accounts for every script.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{self, Stop};
use crate::services::server::Server;
use crate::services::{free_port, ids_of};

/// More than there are scripts: each has accounts of its own.
const ACCOUNTS: usize = 2000;

const PASSWORD: &str = "conformance-needs-no-secret";
const DOMAIN: &str = "test.example";
const NAMES: [&str; 3] = ["alice", "bob", "carol"];

/// Whose processes read and write the mail.
const MAIL_USER: &str = "nobody";

/// How long a connection to ourselves may take until the server counts as not ready.
const CONNECT_LIMIT: Duration = Duration::from_millis(500);

/// The running server. Dropping it stops it and removes its files.
pub(crate) struct Dovecot {
    // The order matters: the server is dropped, which stops it, before its folder is.
    _server: Server,
    _dir: TempDir,
    imap: SocketAddr,
    pop3: SocketAddr,
    lmtp: SocketAddr,
}

impl Dovecot {
    pub(crate) fn start(stop: &Stop) -> Result<Self> {
        let program = process::find_program("dovecot").context(
            "--dovecot needs Dovecot 2.3; on Debian 12 or Ubuntu: \
             apt-get install dovecot-imapd dovecot-pop3d dovecot-lmtpd",
        )?;
        if !process::is_root() {
            bail!("--dovecot needs root, as Dovecot does; or start one yourself and name its addresses");
        }
        let dir = tempfile::Builder::new().prefix("todoku-conformance-").tempdir()?;
        let (imap, pop3, lmtp) = (free_address()?, free_address()?, free_address()?);
        write_files(dir.path(), [imap, pop3, lmtp])?;
        let mut command = std::process::Command::new(program);
        command.arg("-F").arg("-c").arg(dir.path().join("dovecot.conf"));
        let mut server = Server::spawn("Dovecot", command, dir.path().join("log"), Signal::TERM)?;
        server.wait(stop, || [imap, pop3, lmtp].iter().all(answers))?;
        Ok(Self { _server: server, _dir: dir, imap, pop3, lmtp })
    }

    /// Where IMAP is.
    pub(crate) fn imap(&self) -> SocketAddr {
        self.imap
    }

    /// The user name and password of an account.
    pub(crate) fn account(&self, number: usize) -> (String, String) {
        (format!("{}-{number}@{DOMAIN}", NAMES[0]), PASSWORD.to_owned())
    }

    /// What the runner is told about it.
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut words = Vec::new();
        for (name, address) in [("--imap", self.imap), ("--pop3", self.pop3), ("--lmtp", self.lmtp)] {
            words.extend([name.to_owned(), address.to_string()]);
        }
        for name in NAMES {
            words.extend(["--account".to_owned(), format!("{name}={name}-%n@{DOMAIN}:{PASSWORD}")]);
        }
        words
    }
}

fn write_files(dir: &Path, addresses: [SocketAddr; 3]) -> Result<()> {
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o711))?;
    let mail = dir.join("mail");
    std::fs::create_dir(&mail)?;
    let passwd = std::fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    let (user, group) =
        ids_of(MAIL_USER, &passwd).with_context(|| format!("there is no user {MAIL_USER}"))?;
    chown(&mail, Some(user), Some(group))?;
    let mut users = String::new();
    for number in 0..ACCOUNTS {
        for name in NAMES {
            let home = mail.join(format!("{name}-{number}"));
            let _ = writeln!(users, "{name}-{number}@{DOMAIN}:{{PLAIN}}{PASSWORD}::::{}::", home.display());
        }
    }
    std::fs::write(dir.join("users"), users)?;
    let text = CONFIGURATION
        .replace("@DIR@", &dir.display().to_string())
        .replace("@UID@", &user.to_string())
        .replace("@GID@", &group.to_string())
        .replace("@IMAP@", &addresses[0].port().to_string())
        .replace("@POP3@", &addresses[1].port().to_string())
        .replace("@LMTP@", &addresses[2].port().to_string());
    std::fs::write(dir.join("dovecot.conf"), text).context("cannot write dovecot.conf")
}

fn free_address() -> Result<SocketAddr> {
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)))
}

fn answers(address: &SocketAddr) -> bool {
    TcpStream::connect_timeout(address, CONNECT_LIMIT).is_ok()
}

const CONFIGURATION: &str = r"
base_dir = @DIR@/run
state_dir = @DIR@/state
log_path = /dev/stderr
protocols = imap pop3 lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
mail_location = sdbox:~/sdbox
mail_uid = @UID@
mail_gid = @GID@
first_valid_uid = 1
first_valid_gid = 1
mail_max_userip_connections = 0
mail_plugins = quota
default_process_limit = 1000
default_client_limit = 5000
passdb {
  driver = passwd-file
  args = @DIR@/users
}
userdb {
  driver = passwd-file
  args = @DIR@/users
}
namespace inbox {
  inbox = yes
  separator = /
  mailbox Drafts {
    auto = subscribe
    special_use = \Drafts
  }
  mailbox Sent {
    auto = subscribe
    special_use = \Sent
  }
  mailbox Junk {
    auto = subscribe
    special_use = \Junk
  }
  mailbox Trash {
    auto = subscribe
    special_use = \Trash
  }
  mailbox Archive {
    auto = subscribe
    special_use = \Archive
  }
}
plugin {
  quota = count:User quota
  quota_rule = *:storage=1G
  quota_vsizes = yes
}
service imap-login {
  service_count = 0
  inet_listener imap {
    port = @IMAP@
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  service_count = 0
  inet_listener pop3 {
    port = @POP3@
  }
  inet_listener pop3s {
    port = 0
  }
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = @LMTP@
  }
}
protocol imap {
  mail_plugins = quota imap_quota
}
protocol lmtp {
  postmaster_address = postmaster@test.example
}
";
