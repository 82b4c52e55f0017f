//! Dovecot 2.3 in a folder of its own, with the durability settings that it comes with.
//!
//! Its passwords are kept in plain text, and its limits are raised to what the rows need: it is measured at its best.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::super::server::{ACCOUNTS, Place, Server};
use super::super::system;
use super::{Launch, Running, free_address, temporary_folder};
use crate::process::{self, Stop};
use crate::services::ids_of;

const USERS: &str = "bench{}@localhost";
const PASSWORD: &str = "benchmarks-need-no-secret";
const INSTALL: &str = "apt-get install dovecot-imapd dovecot-pop3d dovecot-lmtpd";

/// Whose processes read and write the mail.
const MAIL_USER: &str = "nobody";

pub(in super::super) fn start(stop: &Stop) -> Result<Server> {
    let program = process::find_program("dovecot")
        .with_context(|| format!("--dovecot needs Dovecot 2.3; on Debian 12 or Ubuntu: {INSTALL}"))?;
    if !process::is_root() {
        bail!("--dovecot needs root, as Dovecot does; or start one yourself and name it with --against");
    }
    let version = system::first_line(&program.to_string_lossy(), &["--version"]);
    if !version.starts_with("2.3.") {
        bail!(
            "this is Dovecot {version}, whose configuration is another one; start it yourself and use --against"
        );
    }
    let dir = temporary_folder()?;
    let place = Place {
        imap: free_address()?,
        pop3: Some(free_address()?),
        lmtp: Some(free_address()?),
        users: USERS.into(),
        password: PASSWORD.into(),
    };
    write_files(dir.path(), &place)?;
    let launch = Launch {
        name: "Dovecot",
        program,
        args: vec!["-F".into(), "-c".into(), dir.path().join("dovecot.conf").display().to_string()],
        variables: Vec::new(),
        ready: [Some(place.imap), place.pop3, place.lmtp].into_iter().flatten().collect(),
    };
    let running = Running::start(vec![launch], None, dir, stop)?;
    Ok(Server {
        name: "Dovecot".into(),
        version: format!("Dovecot {version}, sdbox"),
        place,
        memory_of: running.own_processes(),
        processor_of: running.all_processes(),
        filled: HashMap::new(),
        running: Some(running),
    })
}

fn write_files(dir: &Path, place: &Place) -> Result<()> {
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o711))?;
    let mail = dir.join("mail");
    std::fs::create_dir(&mail)?;
    let passwd = std::fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    let (user, group) =
        ids_of(MAIL_USER, &passwd).with_context(|| format!("there is no user {MAIL_USER}"))?;
    chown(&mail, Some(user), Some(group))?;
    let mut users = String::new();
    for number in 0..ACCOUNTS {
        let _ = writeln!(users, "{}:{PASSWORD}", place.user(number));
    }
    std::fs::write(dir.join("users"), users)?;
    let port =
        |address: Option<std::net::SocketAddr>| address.map_or(0, |address| address.port()).to_string();
    let text = CONFIGURATION
        .replace("@DIR@", &dir.display().to_string())
        .replace("@UID@", &user.to_string())
        .replace("@GID@", &group.to_string())
        .replace("@IMAP@", &port(Some(place.imap)))
        .replace("@POP3@", &port(place.pop3))
        .replace("@LMTP@", &port(place.lmtp));
    std::fs::write(dir.join("dovecot.conf"), text).context("cannot write dovecot.conf")
}

const CONFIGURATION: &str = "\
base_dir = @DIR@/run
state_dir = @DIR@/state
log_path = /dev/stderr
protocols = imap pop3 lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
auth_cache_size = 10M
mail_location = sdbox:@DIR@/mail/%u
first_valid_uid = 1
first_valid_gid = 1
mail_max_userip_connections = 0
default_process_limit = 5000
default_client_limit = 20000
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u @DIR@/users
}
userdb {
  driver = static
  args = uid=@UID@ gid=@GID@ home=@DIR@/mail/%u
}
service imap-login {
  service_count = 0
  process_limit = 2
  process_min_avail = 2
  inet_listener imap {
    address = 127.0.0.1
    port = @IMAP@
  }
  inet_listener imaps {
    port = 0
  }
}
service imap {
  process_limit = 5000
}
service pop3-login {
  service_count = 0
  process_limit = 2
  inet_listener pop3 {
    address = 127.0.0.1
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
namespace inbox {
  inbox = yes
}
";
