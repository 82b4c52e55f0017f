//! Running systems of several processes, and what is common to their tests.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::append::keep_appending;
use super::imap::Imap;
use super::ledger::Ledger;
use super::lmtp::keep_delivering;
use super::process::{self, Process, Settings, free_address};
use super::random::Random;
use super::{DOMAIN, pop3};

/// Delivering clients.
const WRITERS: u64 = 4;

/// What services in different processes sign grants with.
const GRANT_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// How long killed processes may stand in the way of those that come after them.
const RECOVERY_MAX: Duration = Duration::from_secs(10);

/// Processes and where clients find them.
pub(crate) struct Site {
    pub(crate) processes: Vec<Process>,
    pub(crate) imap: Vec<String>,
    pub(crate) pop3: String,
    pub(crate) lmtp: Vec<String>,
    /// For commands on the database.
    pub(crate) settings: Settings,
}

impl Site {
    /// `todoku all` on SQLite in `dir`.
    pub(crate) fn single(dir: &Path) -> Result<Self> {
        let (imap, pop3, lmtp) = (free_address()?, free_address()?, free_address()?);
        let settings = settings(
            dir,
            [
                ("TODOKU__IMAP__LISTEN", imap.clone()),
                ("TODOKU__POP3__LISTEN", pop3.clone()),
                ("TODOKU__LMTP__LISTEN", lmtp.clone()),
            ],
        );
        let doors = [&imap, &pop3, &lmtp];
        let processes = vec![Process::start("all", "all", settings.clone(), &doors, dir)?];
        Ok(Self { processes, imap: vec![imap], pop3, lmtp: vec![lmtp], settings })
    }

    /// Each service `copies` times as a process of its own; what has one number uses the storage of that number.
    pub(crate) fn cluster(dir: &Path, database: &str, redis: &str, copies: usize) -> Result<Self> {
        let shared = settings(
            dir,
            [
                ("TODOKU__DATABASE__URL", database.to_owned()),
                ("TODOKU__REDIS__URL", redis.to_owned()),
                ("TODOKU__GRANTS__KEY", GRANT_KEY.to_owned()),
            ],
        );
        process::run("migrate", &shared, "")?;
        let mut processes = Vec::new();
        let mut start = |name: &str, command, more: &[(&'static str, String)], door: &String| {
            let settings = shared.iter().chain(more).cloned().collect();
            processes.push(Process::start(name, command, settings, &[door], dir)?);
            anyhow::Ok(())
        };
        let auth = free_address()?;
        start("auth", "auth", &[("TODOKU__AUTH__LISTEN", auth.clone())], &auth)?;
        let (mut imap, mut lmtp, pop3) = (Vec::new(), Vec::new(), free_address()?);
        for number in 1..=copies {
            let (storage, imap_door, lmtp_door) = (free_address()?, free_address()?, free_address()?);
            let listen = [("TODOKU__STORAGE__LISTEN", storage.clone())];
            start(&format!("storage-{number}"), "storage", &listen, &storage)?;
            let with = |key, door: &String| {
                let services = [
                    ("TODOKU__SERVICES__STORAGE", format!("http://{storage}")),
                    ("TODOKU__SERVICES__AUTH", format!("http://{auth}")),
                ];
                services.into_iter().chain([(key, door.clone())]).collect::<Vec<_>>()
            };
            start(&format!("imap-{number}"), "imap", &with("TODOKU__IMAP__LISTEN", &imap_door), &imap_door)?;
            let listen = with("TODOKU__LMTP__LISTEN", &lmtp_door);
            start(&format!("delivery-{number}"), "delivery", &listen, &lmtp_door)?;
            if number == 1 {
                start("pop3", "pop3", &with("TODOKU__POP3__LISTEN", &pop3), &pop3)?;
            }
            imap.push(imap_door);
            lmtp.push(lmtp_door);
        }
        Ok(Self { processes, imap, pop3, lmtp, settings: shared })
    }

    /// Kills processes in the order of `victims` while clients write to `accounts`, and brings each back; `disturb` does
    /// something else to the system before each kill.
    pub(crate) fn torment(
        &mut self,
        victims: &[usize],
        accounts: &[String],
        random: &mut Random,
        disturb: impl Fn() -> Result<()>,
    ) -> Result<Ledger> {
        let ledger = Ledger::default();
        let (ledger_ref, lmtp, imap) = (&ledger, self.lmtp.clone(), self.imap.clone());
        std::thread::scope(|scope| {
            // Whatever happens here, the clients come to an end.
            let _closing = Closing(ledger_ref);
            for writer in 0..WRITERS {
                let lmtp = &lmtp;
                scope.spawn(move || keep_delivering(writer, lmtp, accounts, ledger_ref));
            }
            let imap = &imap;
            scope.spawn(move || keep_appending(imap, &accounts[0], ledger_ref));
            for &victim in victims {
                random.sleep(Duration::from_millis(200), Duration::from_millis(800));
                disturb()?;
                random.sleep(Duration::from_millis(100), Duration::from_millis(700));
                let victim = &mut self.processes[victim];
                victim.kill()?;
                random.sleep(Duration::ZERO, Duration::from_millis(400));
                victim.restart()?;
            }
            random.sleep(Duration::from_millis(300), Duration::from_millis(600));
            anyhow::Ok(())
        })?;
        let (sent, accepted) = ledger.counts();
        println!("{sent} sent, {accepted} accepted, {} tries in doubt", ledger.doubts());
        Ok(ledger)
    }

    /// Compares all mailboxes, as IMAP and as POP3 show them, with the ledger.
    pub(crate) fn reckon(&self, accounts: &[String], ledger: &Ledger) -> Result<()> {
        let mut findings = Vec::new();
        for (account, imap) in accounts.iter().zip(self.imap.iter().cycle()) {
            let mut session = Imap::login(imap, account)?;
            session.select()?;
            let held = session.fetch_all()?;
            findings.extend(ledger.findings(account, &held));
            let maildrop = pop3::retrieve_all(&self.pop3, account)?;
            if !maildrop.iter().eq(held.iter().map(|message| &message.octets)) {
                findings.push(format!(
                    "{account}: POP3 shows {} messages and IMAP {}, or other octets",
                    maildrop.len(),
                    held.len()
                ));
            }
        }
        ensure!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
        Ok(())
    }

    /// The UIDVALIDITY of each account's INBOX.
    pub(crate) fn validities(&self, accounts: &[String]) -> Result<Vec<u32>> {
        // A gateway may still be finding out that its storage is back.
        let begun = Instant::now();
        loop {
            let validities = accounts
                .iter()
                .map(|account| Imap::login(&self.imap[0], account)?.select())
                .collect::<Result<Vec<_>>>();
            match validities {
                Err(_) if begun.elapsed() < RECOVERY_MAX => sleep(Duration::from_millis(100)),
                other => return other.context("the system does not recover"),
            }
        }
    }
}

struct Closing<'a>(&'a Ledger);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What all processes have, and `more`: no listener but those named.
fn settings<const N: usize>(dir: &Path, more: [(&'static str, String); N]) -> Settings {
    let mut settings: Settings = [
        "TODOKU__IMAP__LISTEN",
        "TODOKU__IMAP__LISTEN_TLS",
        "TODOKU__POP3__LISTEN",
        "TODOKU__POP3__LISTEN_TLS",
        "TODOKU__LMTP__LISTEN",
        "TODOKU__SMTP__LISTEN",
        "TODOKU__HTTP__LISTEN",
    ]
    .map(|key| (key, String::new()))
    .to_vec();
    settings.extend([
        ("TODOKU__IMAP__ALLOW_CLEAR_LOGIN", "true".to_owned()),
        ("TODOKU__POP3__ALLOW_CLEAR_LOGIN", "true".to_owned()),
        ("TODOKU__DOMAINS__LOCAL", DOMAIN.to_owned()),
        ("TODOKU__DATA__DIR", dir.display().to_string()),
    ]);
    settings.extend(more);
    settings
}
