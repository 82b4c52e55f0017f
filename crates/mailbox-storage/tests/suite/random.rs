//! Random sequences of changes against a model, then everything compared: counters, snapshots, changes from every moment.

use mail_rpc::pb::{self, copy_request::Mode, store_flags_request::How};
use mail_types::{FlagBits, Uid};
use std::collections::BTreeMap;

use crate::fixture::*;

suite!(random_changes_keep_everything_exact);

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// UID to flags.
type Model = BTreeMap<u32, u64>;

/// Two mailboxes, and what they should hold.
struct Pair {
    names: [String; 2],
    ids: [u64; 2],
    models: [Model; 2],
    nexts: [u32; 2],
    dice: Dice,
}

async fn random_changes_keep_everything_exact(store: &Store) {
    for seed in 1..=4 {
        let names = [format!("one{seed}"), format!("two{seed}")];
        let mut ids = [0; 2];
        for (id, name) in ids.iter_mut().zip(&names) {
            *id = store.create(name).await.unwrap().mailbox_id;
        }
        let (models, nexts) = ([Model::new(), Model::new()], [1, 1]);
        let mut pair = Pair { names, ids, models, nexts, dice: Dice(seed) };
        let mut moments: Vec<(usize, pb::SyncReply)> = Vec::new();
        for step in 0..120 {
            let at = pair.change(store, &format!("s{seed}n{step}")).await;
            if pair.dice.roll(4) == 0 {
                moments.push((at, store.examine(&pair.names[at]).await));
            }
        }
        pair.check(store, moments).await;
        let report = store.storage.fsck(Some(ALICE)).await.unwrap();
        assert_eq!(report.findings, []);
    }
}

impl Pair {
    /// Changes one of them, in the database and in the model; which.
    async fn change(&mut self, store: &Store, subject: &str) -> usize {
        let at = self.dice.roll(2) as usize;
        let first = 1 + self.dice.roll(u64::from(self.nexts[at]) + 2) as u32;
        let set = format!("{first}:{}", first + self.dice.roll(6) as u32);
        let range = set.parse::<mail_types::UidSet>().unwrap();
        let known = self.models[at].keys().copied();
        let hit: Vec<u32> = known.filter(|uid| range.contains(Uid::new(*uid).unwrap())).collect();
        match self.dice.roll(7) {
            0 | 1 => self.append(store, at, subject).await,
            2 | 3 => self.flag(store, at, &set, hit).await,
            4 | 5 => self.copy(store, at, &set, hit).await,
            _ => self.expunge(store, at, &set, hit).await,
        }
        at
    }

    async fn append(&mut self, store: &Store, at: usize, subject: &str) {
        let flags = self.dice.roll(32);
        let uid = store.append(&self.names[at], FlagBits::from_bits(flags), &message(subject)).await;
        assert_eq!(uid, self.nexts[at]);
        self.models[at].insert(uid, flags);
        self.nexts[at] += 1;
    }

    async fn flag(&mut self, store: &Store, at: usize, set: &str, hit: Vec<u32>) {
        let how = How::try_from(1 + self.dice.roll(3) as i32).unwrap();
        let bits = self.dice.roll(32);
        let request = pb::StoreFlagsRequest {
            mailbox_id: self.ids[at],
            uids: ranges(set),
            how: how.into(),
            flags: Some(system(FlagBits::from_bits(bits))),
            ..Default::default()
        };
        store.store(request).await.unwrap();
        for uid in hit {
            let flags = self.models[at].get_mut(&uid).unwrap();
            *flags = match how {
                How::Add => *flags | bits,
                How::Remove => *flags & !bits,
                _ => bits,
            };
        }
    }

    async fn copy(&mut self, store: &Store, at: usize, set: &str, hit: Vec<u32>) {
        let (to, moves) = (self.dice.roll(2) as usize, self.dice.roll(2) == 0);
        let mode = if moves { Mode::Move } else { Mode::Copy };
        let copied = store.copy((self.ids[at], 0), set, &self.names[to], mode).await.unwrap();
        let source: Vec<u32> = mail_rpc::set_from_pb(&copied.source).iter().map(Uid::get).collect();
        assert_eq!(source, hit);
        for uid in hit {
            let flags = self.models[at][&uid];
            if moves {
                self.models[at].remove(&uid);
            }
            self.models[to].insert(self.nexts[to], flags);
            self.nexts[to] += 1;
        }
    }

    async fn expunge(&mut self, store: &Store, at: usize, set: &str, hit: Vec<u32>) {
        let request = pb::ExpungeRequest {
            owner: 0,
            grant: store.alice(),
            mailbox_id: self.ids[at],
            uids: ranges(set),
            which: pb::expunge_request::Which::Deleted.into(),
            known_modseq: 0,
        };
        store.client.expunge(request).await.unwrap();
        self.models[at].retain(|uid, flags| !hit.contains(uid) || *flags & 8 == 0);
    }

    /// The database holds what the model does, and whoever knows any earlier moment gets there too (INV-31).
    async fn check(&self, store: &Store, moments: Vec<(usize, pb::SyncReply)>) {
        for (at, model) in self.models.iter().enumerate() {
            let end = store.open_as(&self.names[at], pb::Access::ReadWrite, None).await.unwrap();
            let expected: Vec<_> = model.iter().map(|(uid, flags)| (*uid, *flags)).collect();
            assert_eq!(flags_of(&end), expected);
            assert_eq!(end.state.unwrap().uid_next, self.nexts[at]);
        }
        for (at, moment) in moments {
            let changes = store.changes(known(&moment)).await.unwrap();
            assert!(!changes.full);
            let gone = mail_rpc::set_from_pb(&changes.vanished);
            let mut view: Model = flags_of(&moment).into_iter().collect();
            view.retain(|uid, _| !gone.contains(Uid::new(*uid).unwrap()));
            view.extend(flags_of(&changes));
            assert_eq!(view, self.models[at]);
        }
    }
}
