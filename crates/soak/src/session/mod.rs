//! One IMAP session: it sends commands, and checks every reply against its view and the ledger.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::fault::{Checked, Fault, broken, require};
use crate::ledger::{Moment, Shared};
use crate::mutate::Faults;
use crate::reply::{Condition, Fetch, Reply, expand};
use crate::view::{Learnt, View};
use crate::wire::Wire;

mod idle;
mod pipeline;
mod read;
mod select;
mod steps;
mod store;
mod write;

pub use select::Cache;

/// Where to go, as whom, and what all sessions share.
pub struct Site {
    /// IMAP gateways.
    pub imap: Vec<SocketAddr>,
    /// POP3
    pub pop3: SocketAddr,
    /// LMTP
    pub lmtp: SocketAddr,
    /// The account's address, which is its name too.
    pub address: String,
    /// Its password.
    pub password: String,
    /// What is known.
    pub shared: Shared,
    /// How replies are falsified, if the tester itself is on trial.
    pub faults: Option<Faults>,
    /// One command at a time over all sessions: a session that waits for another would wait for ever.
    pub serial: bool,
}

/// Selections are counted, so that \Recent can be attributed.
static SELECTIONS: AtomicU64 = AtomicU64::new(1);

/// Which replies a running command allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// None runs, or FETCH, STORE or SEARCH: numbers must stay (INV-11).
    Fixed,
    /// The same, for a FETCH that asked for data: its lines need no mod-sequence.
    FixedData,
    /// Any other command.
    Free,
    /// UID FETCH.
    FreeData,
    /// SELECT, whose replies are about another mailbox.
    Selecting,
}

/// What a command brought.
pub struct Outcome {
    /// The tagged reply.
    pub done: Condition,
    /// What was untagged, in order.
    pub untagged: Vec<Reply>,
    /// When it was sent.
    pub asked: Moment,
    /// UIDNEXT of the selected mailbox as it was known when it was sent.
    pub uidnext: u32,
}

impl Outcome {
    /// The tagged reply was OK.
    pub fn is_ok(&self) -> bool {
        self.done.status == "OK"
    }

    /// FETCH lines.
    pub fn fetches(&self) -> impl Iterator<Item = &Fetch> {
        self.untagged.iter().filter_map(|reply| match reply {
            Reply::Fetch(fetch) => Some(fetch),
            _ => None,
        })
    }

    /// What follows the first code of this name, tagged or not.
    pub fn code(&self, name: &str) -> Option<&str> {
        let untagged = self.untagged.iter().find_map(|reply| match reply {
            Reply::Condition(condition) => condition.code_named(name),
            _ => None,
        });
        untagged.or_else(|| self.done.code_named(name))
    }
}

/// A session.
pub struct Session {
    /// `session 3`
    pub name: String,
    pub(crate) site: Arc<Site>,
    pub(crate) rng: fastrand::Rng,
    pub(crate) wire: Wire,
    pub(crate) view: Option<View>,
    pub(crate) caches: std::collections::HashMap<String, Cache>,
    /// The keyword that this session alone sets.
    pub(crate) keyword: String,
    pub(crate) condstore: bool,
    pub(crate) qresync: bool,
    /// UIDONLY (RFC 9586): neither side names a message by its number.
    pub(crate) uid_only: bool,
    index: usize,
    tag: u64,
}

impl Session {
    /// Connects to the gateway whose turn it is and logs in.
    ///
    /// # Errors
    /// When it cannot, or a check fails.
    pub async fn open(site: &Arc<Site>, index: usize, seed: u64) -> Checked<Self> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let name = format!("session {index}");
        let mut session = Self {
            wire: connect(site, index, rng.u64(..)).await?,
            site: Arc::clone(site),
            view: None,
            caches: std::collections::HashMap::new(),
            keyword: format!("$o{index}"),
            condstore: false,
            qresync: false,
            uid_only: false,
            tag: 0,
            name,
            index,
            rng,
        };
        session.log_in().await?;
        Ok(session)
    }

    /// Leaves, in one of two ways, and comes back over another gateway.
    pub(crate) async fn reconnect(&mut self) -> Checked {
        self.remember();
        self.view = None;
        if self.rng.bool() {
            self.logout().await?;
        }
        let turn = self.index + self.rng.usize(..8);
        self.wire = connect(&self.site, turn, self.rng.u64(..)).await?;
        self.log_in().await
    }

    /// After BYE: begins anew.
    pub(crate) async fn restart(&mut self) -> Checked {
        self.view = None;
        self.wire = connect(&self.site, self.index, self.rng.u64(..)).await?;
        self.log_in().await
    }

    async fn log_in(&mut self) -> Checked {
        (self.condstore, self.qresync, self.uid_only) = (false, false, false);
        let greeting = self.wire.next().await?;
        let welcome = matches!(&greeting, Reply::Condition(condition) if condition.status == "OK");
        require(welcome, "reply", || format!("greeting {greeting:?}"))?;
        let line = format!("LOGIN {} {}", self.site.address, self.site.password);
        self.command(&line, Phase::Free).await?.expect_ok("LOGIN")?;
        if self.rng.u8(..4) == 0 && self.command("COMPRESS DEFLATE", Phase::Free).await?.is_ok() {
            self.wire.compress();
        }
        match self.rng.u8(..3) {
            0 => {}
            1 => self.enable("CONDSTORE").await?,
            _ => self.enable("QRESYNC").await?,
        }
        if self.rng.u8(..4) == 0 {
            self.command("ENABLE UIDONLY", Phase::Free).await?.expect_ok("ENABLE")?;
            self.uid_only = true;
        }
        Ok(())
    }

    async fn enable(&mut self, what: &str) -> Checked {
        self.command(&format!("ENABLE {what}"), Phase::Free).await?.expect_ok("ENABLE")?;
        self.condstore = true;
        self.qresync |= what == "QRESYNC";
        Ok(())
    }

    /// INV-17: BYE, then OK.
    async fn logout(&mut self) -> Checked {
        let tag = self.next_tag();
        self.wire.send(format!("{tag} LOGOUT\r\n").as_bytes()).await?;
        let mut bye = false;
        loop {
            match self.wire.next().await? {
                Reply::Condition(condition) => bye |= condition.status == "BYE",
                Reply::Tagged(told, done) => {
                    return require(bye && told == tag && done.status == "OK", "INV-17", || {
                        format!("LOGOUT: BYE {bye}, {told} {}", done.status)
                    });
                }
                _ => {}
            }
        }
    }

    pub(crate) fn next_tag(&mut self) -> String {
        self.tag += 1;
        format!("t{}", self.tag)
    }

    /// Sends one command and takes in everything up to its tagged reply.
    pub(crate) async fn command(&mut self, line: &str, phase: Phase) -> Checked<Outcome> {
        self.command_octets(line, &[], phase).await
    }

    /// The same with octets after the line: literals of LITERAL+ and their continuation.
    pub(crate) async fn command_octets(&mut self, line: &str, rest: &[u8], phase: Phase) -> Checked<Outcome> {
        self.drain().await?;
        let tag = self.next_tag();
        let (asked, uidnext) = self.begin(line);
        let octets = [tag.as_bytes(), b" ", line.as_bytes(), rest, b"\r\n"].concat();
        self.wire.send(&octets).await?;
        self.answer(&tag, phase, (asked, uidnext)).await
    }

    /// What came while no command ran.
    pub(crate) async fn drain(&mut self) -> Checked {
        while let Some(reply) = self.wire.next_until(Instant::now() + Duration::from_micros(50)).await? {
            require(!matches!(reply, Reply::Tagged(..)), "INV-17", || format!("{reply:?} out of nowhere"))?;
            self.take(&reply, Phase::Fixed)?;
        }
        Ok(())
    }

    /// Counts a command about to be sent; when that is, and the UIDNEXT known of the selected mailbox.
    pub(crate) fn begin(&mut self, line: &str) -> (Moment, u32) {
        let mut words = line.split(' ');
        let first = words.next().unwrap_or_default();
        let name =
            if first == "UID" { format!("UID {}", words.next().unwrap_or_default()) } else { first.into() };
        let mut ledger = self.site.shared.lock();
        *ledger.commands.entry(name).or_default() += 1;
        let asked = ledger.tick();
        (asked, self.view.as_ref().map_or(0, |view| ledger.mailbox(view.validity).uidnext))
    }

    /// Everything up to the tagged reply.
    pub(crate) async fn answer(
        &mut self,
        tag: &str,
        phase: Phase,
        (asked, uidnext): (Moment, u32),
    ) -> Checked<Outcome> {
        let mut untagged = Vec::new();
        loop {
            let reply = self.wire.next().await?;
            if let Reply::Tagged(told, done) = reply {
                self.site.shared.lock().count("INV-17", 1);
                require(told == tag, "INV-17", || format!("tag {told} answered, {tag} was next"))?;
                require(done.status != "BAD", "reply", || format!("{tag} BAD {:?}", done.code))?;
                return Ok(Outcome { done, untagged, asked, uidnext });
            }
            self.take(&reply, phase)?;
            untagged.push(reply);
        }
    }

    /// Takes in one untagged reply.
    pub(crate) fn take(&mut self, reply: &Reply, phase: Phase) -> Checked {
        if let Reply::Condition(condition) = reply
            && condition.status == "BYE"
        {
            // INV-26: whose mailbox is deleted must go.
            let may_end = self.view.as_ref().is_some_and(|view| view.volatile);
            return if may_end {
                Err(Fault::Ended)
            } else {
                broken("INV-26", "BYE, and nothing was deleted")
            };
        }
        if let Reply::Fetch(fetch) = reply {
            require(fetch.by_uid == self.uid_only, "INV-47", || {
                format!("{fetch:?}, and UIDONLY is {}", self.uid_only)
            })?;
        }
        if phase == Phase::Selecting {
            return Ok(());
        }
        let free = matches!(phase, Phase::Free | Phase::FreeData);
        let own_line = matches!(phase, Phase::FixedData | Phase::FreeData);
        let (qresync, condstore, uid_only) = (self.qresync, self.condstore, self.uid_only);
        let Some(view) = &mut self.view else { return Ok(()) };
        let mut ledger = self.site.shared.lock();
        match reply {
            Reply::Exists(count) => {
                ledger.count("INV-12", 1);
                view.exists(*count)
            }
            Reply::Recent(count) => require(*count as usize <= view.entries.len(), "INV-20", || {
                format!("{count} RECENT of {} messages", view.entries.len())
            }),
            Reply::Flags(flags) => {
                view.flags = flags.clone();
                Ok(())
            }
            Reply::Expunge(number) => {
                ledger.count("INV-11", 1);
                require(free, "INV-11", || format!("{number} EXPUNGE while numbers are in use"))?;
                require(!qresync, "INV-35", || format!("{number} EXPUNGE after ENABLE QRESYNC"))?;
                require(!uid_only, "INV-47", || format!("{number} EXPUNGE after ENABLE UIDONLY"))?;
                match view.expunge(*number)? {
                    Some(uid) => ledger.gone(view.validity, uid),
                    None => Ok(()),
                }
            }
            Reply::Vanished { earlier: false, uids } => {
                ledger.count("INV-35", 1);
                require(free, "INV-11", || "VANISHED while numbers are in use".into())?;
                require(qresync || uid_only, "INV-35", || "VANISHED, and nobody asked for it".into())?;
                for uid in expand(uids) {
                    view.vanished(uid)?;
                    ledger.gone(view.validity, uid)?;
                }
                Ok(())
            }
            Reply::Fetch(fetch) => {
                drop(ledger);
                let needs = (condstore && !own_line, qresync && !own_line);
                self.take_fetch(fetch, needs)
            }
            _ => Ok(()),
        }
    }

    fn take_fetch(&mut self, fetch: &Fetch, (needs_modseq, needs_uid): (bool, bool)) -> Checked {
        let keyword = self.keyword.clone();
        let Some(view) = &mut self.view else { return Ok(()) };
        let mut ledger = self.site.shared.lock();
        let mut fetch = fetch.clone();
        if let Some(uid) = fetch.uid.filter(|_| fetch.by_uid) {
            ledger.count("INV-47", 1);
            let (number, floor) = view.number_of(uid)?;
            fetch.number = number;
            if let Some(floor) = floor {
                ledger.announced(view.validity, uid, floor)?;
            }
        }
        let fetch = &fetch;
        ledger.count("INV-16", 1);
        require(!needs_modseq || fetch.modseq.is_some(), "INV-16", || {
            format!("{} FETCH without MODSEQ, CONDSTORE is enabled", fetch.number)
        })?;
        require(!needs_uid || fetch.uid.is_some(), "INV-16", || {
            format!("{} FETCH without UID, QRESYNC is enabled", fetch.number)
        })?;
        ledger.count("INV-1", 1);
        if let Learnt::Uid(uid, floor) = view.fetched(fetch)? {
            ledger.announced(view.validity, uid, floor)?;
        }
        let index = fetch.number as usize - 1;
        let Some(uid) = view.entries[index].uid else { return Ok(()) };
        if let Some(flags) = &fetch.flags {
            ledger.count("INV-21", 1);
            let strange = flags.iter().find(|flag| !view.flags.contains(*flag));
            require(strange.is_none(), "INV-21", || format!("{strange:?} was not announced by FLAGS"))?;
            ledger.count("INV-19", 1);
            ledger.count("INV-28", 1);
            let now = ledger.tick();
            if let Some(message) = ledger.message(view.validity, uid) {
                let seen = message.observed(flags, fetch.modseq, (view.asked, &keyword, now));
                seen.map_err(|fault| view.about(fault, uid))?;
                if fetch.recent && !view.read_only {
                    let first = *message.recent_to.get_or_insert(view.number);
                    require(first == view.number, "INV-20", || {
                        format!("UID {uid} of {} is \\Recent for two selections", view.validity)
                    })?;
                }
            }
        }
        ledger.unchanging(view.validity, uid, fetch)
    }

    /// INV-25: after a command that asks the database, the view has all that was acknowledged before it was sent.
    pub(crate) fn synced(&mut self, asked: Moment, uidnext: u32) -> Checked {
        let (condstore, keyword) = (self.condstore, self.keyword.clone());
        let Some(view) = &mut self.view else { return Ok(()) };
        if view.unknown() > 0 {
            return broken("INV-14", "messages that EXISTS told of cannot be fetched");
        }
        let mut ledger = self.site.shared.lock();
        let now = ledger.tick();
        let uids = view.uids();
        ledger.count("INV-25", uids.len());
        let mailbox = ledger.mailbox(view.validity);
        let missing = mailbox.surely_there(asked).find(|uid| uids.binary_search(uid).is_err());
        require(missing.is_none(), "INV-25", || {
            format!("UID {} of {} is missing, it was told before", missing.unwrap_or(0), view.validity)
        })?;
        for entry in &view.entries {
            let Some(uid) = entry.uid else { continue };
            let Some(message) = mailbox.messages.get_mut(&uid) else { continue };
            require(message.gone_at.is_none_or(|gone| gone >= asked), "INV-25", || {
                format!("UID {uid} of {} is still shown, its end was told before", view.validity)
            })?;
            if let Some(flags) = &entry.flags {
                let seen = message.observed(flags, entry.modseq, (asked, &keyword, now));
                seen.map_err(|fault| view.about(fault, uid))?;
            }
            message.alive_at = message.alive_at.max(view.highest);
            let known = message.modseq_at(asked);
            require(!condstore || entry.modseq.is_none_or(|modseq| modseq >= known), "INV-25", || {
                format!("UID {uid} of {} is at {:?}, {known} was told before", view.validity, entry.modseq)
            })?;
        }
        view.asked = asked;
        view.floor = view.floor.max(uidnext);
        Ok(())
    }
}

impl Outcome {
    /// Fails unless the tagged reply was OK.
    pub(crate) fn expect_ok(self, what: &str) -> Checked<Self> {
        require(self.is_ok(), "reply", || format!("{what} failed: {:?}", self.done))?;
        Ok(self)
    }
}

async fn connect(site: &Site, turn: usize, seed: u64) -> Checked<Wire> {
    let mutator = site.faults.as_ref().map(|faults| faults.mutator(seed));
    Wire::connect(site.imap[turn % site.imap.len()], mutator).await
}

/// The number of a new selection.
pub(crate) fn next_selection() -> u64 {
    SELECTIONS.fetch_add(1, Ordering::Relaxed)
}
