//! SELECT, EXAMINE, and coming back with a cache (RFC 7162 §3.2.5).

use std::collections::BTreeMap;

use super::{Outcome, Phase, Session, next_selection};
use crate::fault::{Checked, broken, require};
use crate::ledger::Flags;
use crate::reply::{Reply, expand};
use crate::view::{Entry, View};

/// What a client keeps of a mailbox that it leaves.
#[derive(Debug, Clone, Default)]
pub struct Cache {
    /// UIDVALIDITY
    pub validity: u32,
    /// HIGHESTMODSEQ: the client knows everything up to it.
    pub highest: u64,
    /// Flags and mod-sequences.
    pub messages: BTreeMap<u32, (Flags, u64)>,
}

impl Session {
    /// Selects `name`, learns all there is to know, and compares.
    pub(crate) async fn select(&mut self, name: &str, volatile: bool) -> Checked {
        self.remember();
        let read_only = self.rng.u8(..5) == 0;
        let cache = self.caches.get(name).filter(|_| self.qresync && self.rng.u8(..4) > 0).cloned();
        let known = self.site.shared.lock().validity_of(name);
        let verb = if read_only { "EXAMINE" } else { "SELECT" };
        let lie = cache.is_some() && self.rng.u8(..8) == 0;
        let parameter = match &cache {
            Some(cache) => self.parameter(cache, lie),
            None if self.rng.u8(..4) == 0 => " (CONDSTORE)".to_owned(),
            None => String::new(),
        };
        self.view = None;
        let before = known.map_or((0, 0), |validity| {
            let mut ledger = self.site.shared.lock();
            let mailbox = ledger.mailbox(validity);
            (mailbox.uidnext, mailbox.highest)
        });
        let outcome = self.command(&format!("{verb} {name}{parameter}"), Phase::Selecting).await?;
        self.condstore |= parameter == " (CONDSTORE)" && outcome.is_ok();
        if !outcome.is_ok() {
            return require(volatile, "INV-25", || format!("{verb} {name}: {:?}", outcome.done));
        }
        let mut view = opened(&outcome, name, read_only, volatile)?;
        view.by_uid = self.uid_only;
        require(!self.uid_only || outcome.code("UNSEEN").is_none(), "INV-47", || {
            format!("{verb} {name} tells the number of an unseen message")
        })?;
        self.check_opened(&outcome, &view, (known, before))?;
        let validity = view.validity;
        self.view = Some(view);
        match cache.filter(|cache| cache.validity == validity && !lie) {
            // With a list of known UIDs the client asks about those alone (RFC 7162 §3.2.5.1).
            Some(cache) => self.resynchronised(&outcome, cache, parameter.contains(" 1:")).await?,
            None => self.take_fetches(&outcome)?,
        }
        self.learn(&outcome).await
    }

    /// `(QRESYNC (...))` with what the cache has, in one of its forms; or with a mod-sequence of a lost timeline (INV-36).
    fn parameter(&mut self, cache: &Cache, lie: bool) -> String {
        if lie {
            return match self.rng.bool() {
                true => format!(" (QRESYNC ({} {}))", cache.validity, cache.highest + 1_000_000),
                false => format!(" (QRESYNC ({} {}))", cache.validity + 7, cache.highest),
            };
        }
        let last = cache.messages.keys().last().copied().unwrap_or(1);
        let known = match self.rng.u8(..3) {
            0 => String::new(),
            1 => format!(" 1:{last}"),
            // RFC 9586 §3.7
            _ if self.uid_only => format!(" 1:{last}"),
            _ => {
                let uids: Vec<u32> = cache.messages.keys().copied().collect();
                let step = uids.len().div_ceil(4).max(1);
                let pairs: Vec<(usize, u32)> =
                    uids.iter().enumerate().step_by(step).map(|(index, uid)| (index + 1, *uid)).collect();
                let join = |numbers: Vec<String>| numbers.join(",");
                match pairs.is_empty() {
                    true => format!(" 1:{last}"),
                    false => format!(
                        " 1:{last} ({} {})",
                        join(pairs.iter().map(|(number, _)| number.to_string()).collect()),
                        join(pairs.iter().map(|(_, uid)| uid.to_string()).collect())
                    ),
                }
            }
        };
        format!(" (QRESYNC ({} {}{known}))", cache.validity, cache.highest)
    }

    /// INV-3, INV-6, INV-30: nothing goes back.
    fn check_opened(
        &self,
        outcome: &Outcome,
        view: &View,
        (known, (uidnext, highest)): (Option<u32>, (u32, u64)),
    ) -> Checked {
        let mut ledger = self.site.shared.lock();
        ledger.name_seen(&view.name, view.validity, known, view.volatile)?;
        let told: u32 = number(outcome, "UIDNEXT")?;
        let mailbox = ledger.mailbox(view.validity);
        if known == Some(view.validity) {
            require(told >= uidnext, "INV-3", || format!("UIDNEXT {told}, {uidnext} was told before"))?;
            require(view.highest >= highest, "INV-30", || {
                format!("HIGHESTMODSEQ {}, {highest} was told before", view.highest)
            })?;
        }
        mailbox.uidnext = mailbox.uidnext.max(told);
        mailbox.highest = mailbox.highest.max(view.highest);
        ledger.count("INV-3", 1);
        ledger.count("INV-30", 1);
        Ok(())
    }

    /// FETCH lines of a SELECT without a cache: there should be none.
    fn take_fetches(&mut self, outcome: &Outcome) -> Checked {
        require(outcome.fetches().next().is_none(), "INV-36", || "FETCH in SELECT, unasked".into())?;
        let vanished = outcome.untagged.iter().any(|reply| matches!(reply, Reply::Vanished { .. }));
        require(!vanished, "INV-36", || "VANISHED in SELECT, unasked".into())
    }

    /// INV-31, INV-32: the cache with what SELECT told is the mailbox.
    async fn resynchronised(&mut self, outcome: &Outcome, mut cache: Cache, limited: bool) -> Checked {
        for reply in &outcome.untagged {
            match reply {
                Reply::Vanished { earlier, uids } => {
                    require(*earlier, "INV-32", || "VANISHED without (EARLIER) in SELECT".into())?;
                    expand(uids).iter().for_each(|uid| drop(cache.messages.remove(uid)));
                }
                Reply::Fetch(fetch) => {
                    let (Some(uid), Some(flags), Some(modseq)) = (fetch.uid, &fetch.flags, fetch.modseq)
                    else {
                        return broken("INV-16", "UID, FLAGS or MODSEQ is missing in a resynchronisation");
                    };
                    require(modseq > cache.highest, "INV-31", || {
                        format!("UID {uid} at {modseq} is told to a client that knows {}", cache.highest)
                    })?;
                    cache.messages.insert(uid, (flags.clone(), modseq));
                }
                _ => {}
            }
        }
        let Some(view) = &mut self.view else { return Ok(()) };
        let (cached, there) = (cache.messages.len(), view.entries.len());
        require(cached == there || limited && cached < there, "INV-31", || {
            format!(
                "a cache of mod-sequence {} has {cached} messages after resynchronisation, the mailbox {there}",
                cache.highest
            )
        })?;
        for (entry, (uid, (flags, modseq))) in view.entries.iter_mut().zip(&cache.messages) {
            *entry = Entry {
                uid: Some(*uid),
                flags: Some(flags.clone()),
                modseq: Some(*modseq),
                floor: entry.floor,
            };
        }
        for (index, entry) in view.entries.iter().enumerate() {
            let Some(uid) = entry.uid else { continue };
            let told = outcome.fetches().find(|fetch| fetch.number as usize == index + 1);
            require(told.is_none_or(|fetch| fetch.uid == Some(uid)), "INV-31", || {
                format!("message {} is UID {uid} by the cache, and {told:?}", index + 1)
            })?;
        }
        let (validity, uids) = (view.validity, view.uids());
        let mut ledger = self.site.shared.lock();
        ledger.count("INV-31", uids.len());
        uids.into_iter().try_for_each(|uid| ledger.announced(validity, uid, 0))
    }

    /// Asks for UIDs, flags and mod-sequences of all messages, and compares them with what is known.
    async fn learn(&mut self, outcome: &Outcome) -> Checked {
        let count = self.view.as_ref().map_or(0, |view| view.entries.len());
        if count > 0 {
            let items = if self.condstore || self.rng.bool() { "UID FLAGS MODSEQ" } else { "UID FLAGS" };
            self.condstore |= items.ends_with("MODSEQ");
            self.fetch_from(1, count, items).await?;
        }
        self.settle(outcome.asked, outcome.uidnext).await
    }

    /// Flags and UIDs from one number on; of all messages, where there are no numbers.
    async fn fetch_from(&mut self, first: usize, last: usize, items: &str) -> Checked {
        let (line, phase) = match self.uid_only {
            true => (format!("UID FETCH 1:* ({items})"), Phase::FreeData),
            false => (format!("FETCH {first}:{last} ({items})"), Phase::FixedData),
        };
        self.command(&line, phase).await.map(drop)
    }

    /// Learns the UIDs of new messages, then compares with the ledger.
    pub(crate) async fn settle(&mut self, asked: u64, uidnext: u32) -> Checked {
        let Some(view) = &self.view else { return Ok(()) };
        let count = view.entries.len();
        if let Some(first) = view.first_unknown() {
            let items = if self.condstore { "UID FLAGS MODSEQ" } else { "UID FLAGS" };
            self.fetch_from(first + 1, count, items).await?;
            // What was expunged meanwhile is refused until that is announced.
            if self.view.as_ref().is_some_and(|view| view.unknown() > 0) {
                self.command("NOOP", Phase::Free).await?.expect_ok("NOOP")?;
                let Some(view) = &self.view else { return Ok(()) };
                if view.unknown() > 0 {
                    return Box::pin(self.settle(asked, uidnext)).await;
                }
            }
        }
        self.synced(asked, uidnext)
    }

    /// Keeps what is known of the mailbox that is left, if it is all there is to know.
    pub(crate) fn remember(&mut self) {
        let Some(view) = &self.view else { return };
        let all: Option<BTreeMap<u32, (Flags, u64)>> = view
            .entries
            .iter()
            .map(|entry| Some((entry.uid?, (entry.flags.clone()?, entry.modseq?))))
            .collect();
        if let Some(messages) = all {
            let cache = Cache { validity: view.validity, highest: view.highest, messages };
            self.caches.insert(view.name.clone(), cache);
        }
    }
}

fn number<T: std::str::FromStr>(outcome: &Outcome, code: &str) -> Checked<T> {
    match outcome.code(code).and_then(|text| text.parse().ok()) {
        Some(number) => Ok(number),
        None => broken("INV-24", format!("SELECT without {code}")),
    }
}

/// The view that SELECT's replies describe.
fn opened(outcome: &Outcome, name: &str, read_only: bool, volatile: bool) -> Checked<View> {
    let mut view = View {
        name: name.to_owned(),
        validity: number(outcome, "UIDVALIDITY")?,
        highest: number(outcome, "HIGHESTMODSEQ")?,
        read_only,
        volatile,
        asked: outcome.asked,
        number: next_selection(),
        ..View::default()
    };
    require(view.highest > 0 && view.validity > 0, "INV-29", || "HIGHESTMODSEQ or UIDVALIDITY is 0".into())?;
    let mut exists = None;
    for reply in &outcome.untagged {
        match reply {
            Reply::Exists(count) => exists = Some(*count),
            Reply::Flags(flags) => view.flags = flags.clone(),
            Reply::Recent(count) => require(exists.is_some_and(|exists| *count <= exists), "INV-20", || {
                format!("{count} RECENT of {exists:?}")
            })?,
            _ => {}
        }
    }
    let Some(count) = exists else { return broken("INV-24", "SELECT without EXISTS") };
    view.exists(count)?;
    let permanent = outcome.code("PERMANENTFLAGS").unwrap_or("()").to_ascii_lowercase();
    let mut names = permanent.trim_matches(['(', ')']).split(' ').filter(|flag| !flag.is_empty());
    require(names.all(|flag| flag == "\\*" || view.flags.contains(flag)), "INV-21", || {
        format!("PERMANENTFLAGS {permanent} are not all in FLAGS {:?}", view.flags)
    })?;
    let mode = outcome.done.code.as_ref().map(|(code, _)| code.as_str());
    let expected = if read_only { "READ-ONLY" } else { "READ-WRITE" };
    require(mode == Some(expected), "reply", || format!("{mode:?} instead of {expected}"))?;
    Ok(view)
}
