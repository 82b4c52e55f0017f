//! Commands that only look: FETCH, SEARCH, STATUS, LIST.

use std::collections::BTreeSet;

use super::{Outcome, Phase, Session};
use crate::fault::{Checked, broken, require};
use crate::ledger::Flags;
use crate::pick;
use crate::reply::{Fetch, Reply, expand};

/// Items that ask for data; each is compared with what it was before.
const DATA: [&str; 12] = [
    "BODY.PEEK[]",
    "BODY[]",
    "RFC822.SIZE INTERNALDATE",
    "ENVELOPE",
    "BODYSTRUCTURE",
    "BODY RFC822.SIZE",
    "BODY.PEEK[HEADER]",
    "BODY.PEEK[TEXT]<0.20>",
    "BODY.PEEK[HEADER.FIELDS (Subject X-Soak-Id)]",
    "BODY.PEEK[1]",
    "EMAILID THREADID",
    "RFC822.SIZE BODY.PEEK[]<5.11>",
];

impl Session {
    /// A set of these messages, by UID or by number; with UIDs also some that do not exist.
    pub(crate) fn set_of(&mut self, uids: &[u32], uid: bool) -> String {
        let Some(view) = &self.view else { return "1".into() };
        if !uid {
            let numbers: Vec<u32> =
                uids.iter().filter_map(|uid| view.find(*uid)).map(|index| index as u32 + 1).collect();
            return pick::set(&numbers);
        }
        let mut set = pick::set(uids);
        if self.rng.u8(..6) == 0 {
            // INV-9: what does not exist is passed over.
            let dead = {
                self.site
                    .shared
                    .lock()
                    .mailbox(view.validity)
                    .messages
                    .iter()
                    .find(|(_, m)| m.gone_at.is_some())
                    .map(|(uid, _)| *uid)
            };
            set.push_str(&format!(",{}", dead.unwrap_or(4_000_000_000)));
        }
        set
    }

    /// FETCH and UID FETCH.
    pub(crate) async fn fetch(&mut self) -> Checked {
        let Some((line, uids, uid)) = self.plan_fetch() else { return Ok(()) };
        let marks = line.contains("BODY[]") && self.view.as_ref().is_some_and(|view| !view.read_only);
        if marks {
            self.will_see(&uids);
        }
        let phase = if uid { Phase::FreeData } else { Phase::FixedData };
        let outcome = self.command(&line, phase).await?;
        self.condstore |= line.contains("MODSEQ");
        self.check_fetched(&outcome, &uids, (uid, marks))
    }

    /// The line, the UIDs it asks for, and whether by UID.
    pub(crate) fn plan_fetch(&mut self) -> Option<(String, Vec<u32>, bool)> {
        let view = self.view.as_ref().filter(|view| !view.entries.is_empty())?;
        let indexes = pick::some(&mut self.rng, view.entries.len());
        let uids: Vec<u32> = indexes.into_iter().filter_map(|index| view.entries[index].uid).collect();
        if uids.is_empty() {
            return None;
        }
        let items = match self.rng.u8(..4) {
            0 => "FLAGS".to_owned(),
            1 => "UID FLAGS MODSEQ".to_owned(),
            _ => format!("UID {}", self.rng.choice(DATA)?),
        };
        let uid = self.rng.bool() || self.uid_only;
        let set = self.set_of(&uids, uid);
        Some((format!("{} {set} ({items})", if uid { "UID FETCH" } else { "FETCH" }), uids, uid))
    }

    /// INV-23: BODY[] sets \Seen.
    fn will_see(&mut self, uids: &[u32]) {
        let Some(view) = &self.view else { return };
        let mut ledger = self.site.shared.lock();
        let now = ledger.tick();
        for uid in uids {
            if let Some(message) = ledger.message(view.validity, *uid) {
                message.adding(&Flags::from(["\\seen".to_owned()]), now);
            }
        }
    }

    /// INV-15: each message asked for is answered, unless it may be gone; no other one's data comes.
    pub(crate) fn check_fetched(
        &mut self,
        outcome: &Outcome,
        uids: &[u32],
        (uid, marks): (bool, bool),
    ) -> Checked {
        require(outcome.is_ok() || outcome.code("EXPUNGEISSUED").is_some(), "INV-15", || {
            format!("FETCH failed: {:?}", outcome.done)
        })?;
        let Some(view) = &self.view else { return Ok(()) };
        let mut ledger = self.site.shared.lock();
        ledger.count("INV-15", uids.len());
        ledger.count("INV-23", usize::from(marks));
        let now = ledger.tick();
        let is_data = |fetch: &&Fetch| fetch.size.is_some() || !fetch.others.is_empty();
        for fetch in outcome.fetches().filter(is_data) {
            let asked = fetch.uid.is_some_and(|uid| uids.contains(&uid));
            require(asked, "INV-15", || format!("data of UID {:?} came, asked for {uids:?}", fetch.uid))?;
        }
        for wanted in uids {
            let number = view.find(*wanted).map(|index| index as u32 + 1);
            let found = outcome.fetches().any(|fetch| match fetch.uid {
                Some(told) => told == *wanted,
                None => Some(fetch.number) == number,
            });
            let may_be_gone = ledger.mailbox(view.validity).may_be_gone(*wanted);
            require(found || may_be_gone, "INV-15", || format!("nothing came of UID {wanted}"))?;
            if found
                && marks
                && outcome.is_ok()
                && let Some(message) = ledger.message(view.validity, *wanted)
            {
                message.holds(&Flags::from(["\\seen".to_owned()]), now);
            }
        }
        // RFC 9051 §6.4.9: what a UID command causes; news of other sessions are not that.
        let nameless = outcome.fetches().filter(is_data).any(|fetch| fetch.uid.is_none());
        require(!uid || !nameless, "INV-16", || "UID FETCH brought a line without UID".into())
    }

    /// FETCH CHANGEDSINCE, with VANISHED where it may (INV-31, INV-32).
    pub(crate) async fn changed_since(&mut self) -> Checked {
        let Some(view) = self.view.as_ref().filter(|view| !view.entries.is_empty()) else { return Ok(()) };
        let modseqs: Vec<u64> = view.entries.iter().filter_map(|entry| entry.modseq).collect();
        let since = match self.rng.choice(&modseqs) {
            Some(modseq) => *modseq,
            None => view.highest,
        };
        let vanished = self.qresync && self.rng.bool();
        let line = format!(
            "UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since}{})",
            if vanished { " VANISHED" } else { "" }
        );
        let before = self.view.clone().unwrap_or_default();
        let outcome = self.command(&line, Phase::FreeData).await?;
        self.condstore = true;
        require(outcome.is_ok(), "reply", || format!("{line}: {:?}", outcome.done))?;
        let mut ledger = self.site.shared.lock();
        ledger.count("INV-31", before.entries.len());
        for entry in &before.entries {
            let (Some(uid), Some(modseq)) = (entry.uid, entry.modseq) else { continue };
            let told = outcome.fetches().find(|fetch| fetch.uid == Some(uid));
            let may_be_gone = ledger.mailbox(before.validity).may_be_gone(uid);
            require(modseq <= since || told.is_some() || may_be_gone, "INV-31", || {
                format!("UID {uid} is at {modseq}, and not told as changed since {since}")
            })?;
            require(
                told.is_none_or(|fetch| fetch.modseq.is_some_and(|told| told > since)),
                "INV-31",
                || format!("{told:?} is told as changed since {since}"),
            )?;
        }
        drop(ledger);
        self.check_vanished(&outcome, &before, (vanished, since))
    }

    /// INV-32: all that are known to have gone after a mod-sequence, and none that is there.
    fn check_vanished(
        &self,
        outcome: &Outcome,
        before: &crate::view::View,
        (asked_for, since): (bool, u64),
    ) -> Checked {
        let mut told = BTreeSet::new();
        for reply in &outcome.untagged {
            match reply {
                Reply::Vanished { earlier: true, uids } => {
                    require(asked_for, "INV-32", || "VANISHED (EARLIER), unasked".into())?;
                    told.extend(expand(uids));
                }
                Reply::Vanished { earlier: false, uids } => told.extend(expand(uids)),
                _ => {}
            }
        }
        let mut ledger = self.site.shared.lock();
        ledger.count("INV-32", told.len());
        let mailbox = ledger.mailbox(before.validity);
        // `*` is the last UID that this session has been told of.
        let last = before.uids().last().copied().unwrap_or(0);
        let live = told.iter().find(|uid| !mailbox.may_be_gone(**uid));
        require(live.is_none(), "INV-32", || {
            format!("VANISHED (EARLIER) names UID {live:?}, which is there")
        })?;
        let view = self.view.as_ref();
        let untold = mailbox.messages.range(..=last).find(|(uid, message)| {
            // What this session still counts is told when its end is.
            let counted = view.is_some_and(|view| view.find(**uid).is_some());
            let gone = message.gone_at.is_some_and(|gone| gone < outcome.asked);
            gone && message.alive_at > since && !counted && !told.contains(uid)
        });
        require(untold.is_none() || !asked_for, "INV-32", || {
            format!("UID {:?} went after {since} and is not in VANISHED", untold.map(|(uid, _)| uid))
        })
    }

    /// SEARCH, by keys whose answer is known.
    pub(crate) async fn search(&mut self) -> Checked {
        let Some(view) = self.view.as_ref().filter(|view| !view.entries.is_empty()) else { return Ok(()) };
        let validity = view.validity;
        let one = self.rng.usize(..view.entries.len());
        let pick = view.entries[one].clone();
        let id = pick.uid.and_then(|uid| self.site.shared.lock().message(validity, uid)?.id);
        let key = match (self.rng.u8(..7), id, pick.uid, pick.modseq) {
            (0, Some(id), ..) => format!("SUBJECT tok{id}x"),
            (1, Some(id), ..) => format!("TEXT bod{id}y"),
            (2, _, Some(uid), _) => format!("UID {uid}:*"),
            (3, _, _, Some(modseq)) => format!("MODSEQ {modseq}"),
            (4, ..) => "ALL".into(),
            (5, ..) => format!("UNKEYWORD {}", self.keyword),
            _ => format!("KEYWORD {}", self.keyword),
        };
        let uid = self.rng.bool() || self.uid_only;
        let extended = self.rng.bool();
        let returns = if extended { "RETURN (MIN MAX COUNT ALL) " } else { "" };
        let line = format!("{} {returns}{key}", if uid { "UID SEARCH" } else { "SEARCH" });
        let before = self.view.clone().unwrap_or_default();
        let outcome = self.command(&line, if uid { Phase::Free } else { Phase::Fixed }).await?;
        self.condstore |= key.starts_with("MODSEQ");
        require(outcome.is_ok(), "reply", || format!("{line}: {:?}", outcome.done))?;
        let (numbers, modseq) = found(&outcome, extended, uid)?;
        let uids = found_uids(&before, &numbers, uid)?;
        self.check_found(&before, &key, &uids)?;
        if key.starts_with("MODSEQ") && !uids.is_empty() {
            let highest =
                before.entries.iter().filter(|entry| entry.uid.is_some_and(|uid| uids.contains(&uid)));
            let highest = highest.filter_map(|entry| entry.modseq).max().unwrap_or(0);
            require(modseq.is_some_and(|modseq| modseq >= highest), "INV-31", || {
                format!("SEARCH MODSEQ tells {modseq:?}, one of its messages is at {highest}")
            })?;
        }
        Ok(())
    }

    fn check_found(&self, before: &crate::view::View, key: &str, uids: &BTreeSet<u32>) -> Checked {
        let mut ledger = self.site.shared.lock();
        ledger.count("INV-24", before.entries.len());
        for entry in &before.entries {
            let Some(uid) = entry.uid else { continue };
            let mailbox = ledger.mailbox(before.validity);
            if mailbox.may_be_gone(uid) {
                continue;
            }
            let Some(message) = mailbox.messages.get(&uid) else { continue };
            let owned =
                message.owned.get(&self.keyword).filter(|owned| !owned.pending).map(|owned| owned.set);
            let word = key.rsplit(' ').next().unwrap_or_default();
            let expected = match key.split(' ').next() {
                Some("ALL") => Some(true),
                Some("KEYWORD") => owned,
                Some("UNKEYWORD") => owned.map(|set| !set),
                Some("UID") => word
                    .strip_suffix(":*")
                    .and_then(|first| first.parse().ok())
                    .map(|first: u32| uid >= first),
                Some("SUBJECT") => message.id.map(|id| word == format!("tok{id}x")),
                Some("TEXT") => message.id.map(|id| word == format!("bod{id}y")),
                Some("MODSEQ") => entry
                    .modseq
                    .filter(|modseq| word.parse().is_ok_and(|since| *modseq >= since))
                    .map(|_| true),
                _ => None,
            };
            require(expected.is_none_or(|expected| expected == uids.contains(&uid)), "INV-24", || {
                format!(
                    "SEARCH {key}: UID {uid} {} be found; found {uids:?}",
                    if expected == Some(true) { "must" } else { "must not" }
                )
            })?;
        }
        Ok(())
    }

    /// STATUS of any mailbox (INV-3, INV-24, INV-30).
    pub(crate) async fn status(&mut self) -> Checked {
        let (name, volatile) = self.any_mailbox();
        let (known, before) = {
            let mut ledger = self.site.shared.lock();
            let known = ledger.validity_of(&name);
            let mailbox = known.map(|validity| ledger.mailbox(validity));
            (known, mailbox.map_or((0, 0), |mailbox| (mailbox.uidnext, mailbox.highest)))
        };
        let line =
            format!("STATUS {name} (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ SIZE DELETED)");
        let outcome = self.command(&line, Phase::Free).await?;
        self.condstore = true;
        if !outcome.is_ok() {
            return require(volatile, "INV-25", || format!("STATUS {name}: {:?}", outcome.done));
        }
        let items = outcome.untagged.iter().find_map(|reply| match reply {
            Reply::Status { mailbox, items } if *mailbox == name => Some(items),
            _ => None,
        });
        let Some(items) = items else { return broken("INV-24", format!("no STATUS reply for {name}")) };
        let get = |item: &str| items.iter().find(|(name, _)| name == item).map(|(_, value)| *value);
        let number =
            |item: &str| get(item).map_or_else(|| broken("INV-24", format!("STATUS without {item}")), Ok);
        let (messages, uidnext, validity) =
            (number("MESSAGES")?, number("UIDNEXT")? as u32, number("UIDVALIDITY")? as u32);
        let highest = number("HIGHESTMODSEQ")?;
        let mut ledger = self.site.shared.lock();
        ledger.name_seen(&name, validity, known, volatile)?;
        ledger.count("INV-3", 1);
        ledger.count("INV-30", 1);
        for item in ["UNSEEN", "DELETED", "RECENT"] {
            let part = number(item)?;
            require(part <= messages, "INV-44", || format!("{item} {part} of {messages} messages"))?;
        }
        let mailbox = ledger.mailbox(validity);
        let least = mailbox.surely_there(outcome.asked).count() as u64;
        require(messages >= least && messages < u64::from(uidnext), "INV-24", || {
            format!("STATUS {name}: {messages} messages, at least {least} are there, UIDNEXT {uidnext}")
        })?;
        if known == Some(validity) {
            require(uidnext >= before.0, "INV-3", || {
                format!("UIDNEXT {uidnext} of {name}, was {}", before.0)
            })?;
            require(highest >= before.1, "INV-30", || {
                format!("HIGHESTMODSEQ {highest} of {name}, was {}", before.1)
            })?;
        }
        mailbox.uidnext = mailbox.uidnext.max(uidnext);
        mailbox.highest = mailbox.highest.max(highest);
        Ok(())
    }

    /// UIDBATCHES: each message that is known is in a batch, of which one lies below the other.
    pub(crate) async fn batches(&mut self) -> Checked {
        let outcome = self.command("UIDBATCHES 500", Phase::Free).await?.expect_ok("UIDBATCHES")?;
        let batches = outcome.untagged.iter().find_map(|reply| match reply {
            Reply::UidBatches(batches) => Some(batches),
            _ => None,
        });
        let (Some(batches), Some(view)) = (batches, &self.view) else {
            return broken("reply", "UIDBATCHES without its reply");
        };
        let tiled = batches.windows(2).all(|pair| pair[0].1 == pair[1].0 + 1)
            && batches.iter().all(|(high, low)| high >= low)
            && batches.last().is_none_or(|(_, low)| *low == 1);
        require(tiled, "INV-24", || format!("UIDBATCHES {batches:?} do not lie side by side"))?;
        let mut ledger = self.site.shared.lock();
        ledger.count("INV-24", 1);
        let mailbox = ledger.mailbox(view.validity);
        let top = batches.first().map_or(0, |(high, _)| *high);
        let left = view.uids().into_iter().find(|uid| *uid > top && !mailbox.may_be_gone(*uid));
        require(left.is_none(), "INV-24", || format!("UID {left:?} is in none of {batches:?}"))
    }

    /// LIST: names that nobody deletes are there.
    pub(crate) async fn list(&mut self) -> Checked {
        let line = if self.rng.bool() { "LIST \"\" *" } else { "LIST (SUBSCRIBED) \"\" * RETURN (CHILDREN)" };
        let outcome = self.command(line, Phase::Free).await?.expect_ok("LIST")?;
        let names: BTreeSet<&str> = outcome
            .untagged
            .iter()
            .filter_map(|reply| match reply {
                Reply::List { mailbox, .. } => Some(mailbox.as_str()),
                _ => None,
            })
            .collect();
        let all = line == "LIST \"\" *";
        require(!all || crate::run::STABLE.iter().all(|name| names.contains(name)), "INV-25", || {
            format!("LIST shows {names:?}")
        })
    }
}

/// The numbers that SEARCH or ESEARCH told, which must agree among themselves.
fn found(outcome: &Outcome, extended: bool, uid: bool) -> Checked<(Vec<u32>, Option<u64>)> {
    for reply in &outcome.untagged {
        match reply {
            Reply::Search { numbers, modseq } if !extended => return Ok((numbers.clone(), *modseq)),
            Reply::ESearch(told) if extended => {
                let all = expand(told.all.as_deref().unwrap_or_default());
                let agrees = told.uid == uid
                    && told.count == Some(all.len() as u32)
                    && told.min == all.first().copied()
                    && told.max == all.last().copied();
                require(agrees, "INV-24", || format!("ESEARCH contradicts itself: {told:?}"))?;
                return Ok((all, told.modseq));
            }
            _ => {}
        }
    }
    broken("reply", "SEARCH without a SEARCH or ESEARCH reply")
}

fn found_uids(view: &crate::view::View, numbers: &[u32], uid: bool) -> Checked<BTreeSet<u32>> {
    if uid {
        return Ok(numbers.iter().copied().collect());
    }
    let mut uids = BTreeSet::new();
    for number in numbers {
        let entry = view.entries.get(*number as usize - 1);
        require(entry.is_some(), "INV-15", || {
            format!("SEARCH found message {number} of {}", view.entries.len())
        })?;
        uids.extend(entry.and_then(|entry| entry.uid));
    }
    Ok(uids)
}
