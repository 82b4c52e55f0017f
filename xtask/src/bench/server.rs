//! A server that is measured: where it listens, who may log in, and what was put into it.

use std::collections::HashMap;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};

use super::imap::Imap;
use super::launch::Running;
use super::rows::Mailbox;

/// Accounts that logins, deliveries and idle sessions are spread over.
pub(super) const TRAFFIC: std::ops::Range<usize> = 0..40;
/// Accounts whose INBOX is downloaded by POP3.
pub(super) const MAILDROPS: std::ops::Range<usize> = 40..50;
/// The account with the mailboxes that are read and changed.
pub(super) const READER: usize = 50;
/// The account whose INBOX has 100 000 messages.
pub(super) const HOARDER: usize = 51;
/// The account that deliveries are pushed to.
pub(super) const WAITER: usize = 52;
/// All accounts.
pub(super) const ACCOUNTS: usize = 53;

pub(super) struct Server {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) place: Place,
    /// Process numbers whose memory counts, each with its descendants.
    pub(super) memory_of: Vec<u32>,
    /// Process numbers whose processor time counts, each with its descendants.
    pub(super) processor_of: Vec<u32>,
    /// Mailboxes that were filled, by name.
    pub(super) filled: HashMap<String, Mailbox>,
    /// Present when we started it.
    pub(super) running: Option<Running>,
}

/// Where a server is and who may log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) imap: SocketAddr,
    pub(super) pop3: Option<SocketAddr>,
    pub(super) lmtp: Option<SocketAddr>,
    /// Addresses, with `{}` for the number of the account.
    pub(super) users: String,
    pub(super) password: String,
}

impl Place {
    /// Address and login name of account `number`.
    pub(super) fn user(&self, number: usize) -> String {
        self.users.replace("{}", &format!("{number:02}"))
    }

    /// A new IMAP session of account `number`.
    pub(super) async fn login(&self, number: usize) -> Result<Imap> {
        Imap::login(self.imap, &self.user(number), &self.password).await
    }
}

impl Server {
    /// Where LMTP listens.
    pub(super) fn lmtp(&self) -> Result<SocketAddr> {
        self.place.lmtp.context("no LMTP address")
    }

    /// Stops and starts the server, when it is ours to do. What is on its disk stays.
    pub(super) fn restart(&mut self) -> Result<()> {
        if let Some(running) = &mut self.running {
            running.restart()?;
            self.memory_of = running.own_processes();
            self.processor_of = running.all_processes();
        }
        Ok(())
    }
}

/// `NAME=imap:HOST:PORT,pop3:HOST:PORT,lmtp:HOST:PORT,user:PATTERN,password:TEXT,pid:N`: the argument of `--against`.
#[derive(Clone, Debug)]
pub(super) struct Against {
    name: String,
    place: Place,
    processes: Vec<u32>,
}

impl FromStr for Against {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, parts) = text.split_once('=').context("expected NAME=imap:HOST:PORT,user:PATTERN,…")?;
        let (mut imap, mut pop3, mut lmtp, mut users, mut password) = (None, None, None, None, None);
        let mut processes = Vec::new();
        for part in parts.split(',') {
            let (key, value) = part.split_once(':').with_context(|| format!("`{part}` is not KEY:VALUE"))?;
            match key {
                "imap" => imap = Some(resolve(value)?),
                "pop3" => pop3 = Some(resolve(value)?),
                "lmtp" => lmtp = Some(resolve(value)?),
                "user" => users = Some(value.to_owned()),
                "password" => password = Some(value.to_owned()),
                "pid" => processes.push(value.parse().with_context(|| format!("`{part}`"))?),
                _ => bail!("`{key}` is none of imap, pop3, lmtp, user, password, pid"),
            }
        }
        let users: String = users.context("user:PATTERN is missing")?;
        if !users.contains("{}") {
            bail!("`{users}` has no {{}} for the number of the account, 00 to {}", ACCOUNTS - 1);
        }
        let imap = imap.context("imap:HOST:PORT is missing")?;
        let password = password.context("password:… is missing")?;
        Ok(Self { name: name.to_owned(), place: Place { imap, pop3, lmtp, users, password }, processes })
    }
}

impl Against {
    pub(super) fn into_server(self) -> Server {
        Server {
            version: format!("at {}", self.place.imap),
            name: self.name,
            place: self.place,
            memory_of: self.processes.clone(),
            processor_of: self.processes,
            filled: HashMap::new(),
            running: None,
        }
    }
}

fn resolve(address: &str) -> Result<SocketAddr> {
    let mut found = address.to_socket_addrs().with_context(|| format!("`{address}` is no HOST:PORT"))?;
    found.next().with_context(|| format!("`{address}` has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_told_in_one_word() {
        let text = "old=imap:127.0.0.1:143,lmtp:[::1]:24,user:u{}@example.org,password:a:b,pid:7,pid:8";
        let against: Against = text.parse().unwrap();
        assert_eq!((against.name.as_str(), against.processes), ("old", vec![7, 8]));
        assert_eq!(against.place.user(3), "u03@example.org");
        assert_eq!(against.place.password, "a:b");
        assert_eq!(against.place.lmtp.unwrap().to_string(), "[::1]:24");
        assert_eq!(against.place.pop3, None);
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = |text: &str| text.parse::<Against>().unwrap_err().to_string();
        assert!(error("old").contains("NAME="));
        assert!(error("old=imap:127.0.0.1:143,user:joe,password:x").contains("{}"));
        assert!(error("old=user:u{},password:x").contains("imap"));
        assert!(error("old=jmap:x").contains("jmap"));
    }
}
