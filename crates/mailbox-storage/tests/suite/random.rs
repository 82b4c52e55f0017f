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

async fn random_changes_keep_everything_exact(store: &Store) {
    for seed in 1..=4 {
        let names = [format!("one{seed}"), format!("two{seed}")];
        let mut ids = Vec::new();
        for name in &names {
            ids.push(store.create(name).await.unwrap().mailbox_id);
        }
        let mut dice = Dice(seed);
        let mut models = [Model::new(), Model::new()];
        let mut nexts = [1u32, 1];
        let mut moments: Vec<(usize, pb::SyncReply)> = Vec::new();
        for step in 0..120 {
            let at = dice.roll(2) as usize;
            let first = 1 + dice.roll(u64::from(nexts[at]) + 2) as u32;
            let set = format!("{first}:{}", first + dice.roll(6) as u32);
            let hit: Vec<u32> = {
                let range = set.parse::<mail_types::UidSet>().unwrap();
                models[at].keys().copied().filter(|uid| range.contains(Uid::new(*uid).unwrap())).collect()
            };
            match dice.roll(7) {
                0 | 1 => {
                    let flags = dice.roll(32);
                    let octets = message(&format!("s{seed}n{step}"));
                    let uid = store.append(&names[at], FlagBits::from_bits(flags), &octets).await;
                    assert_eq!(uid, nexts[at]);
                    models[at].insert(uid, flags);
                    nexts[at] += 1;
                }
                2 | 3 => {
                    let (how, bits) = (1 + dice.roll(3), dice.roll(32));
                    let how = How::try_from(how as i32).unwrap();
                    let request = pb::StoreFlagsRequest {
                        mailbox_id: ids[at],
                        uids: ranges(&set),
                        how: how.into(),
                        flags: Some(system(FlagBits::from_bits(bits))),
                        ..Default::default()
                    };
                    store.store(request).await.unwrap();
                    for uid in hit {
                        let flags = models[at].get_mut(&uid).unwrap();
                        *flags = match how {
                            How::Add => *flags | bits,
                            How::Remove => *flags & !bits,
                            _ => bits,
                        };
                    }
                }
                4 | 5 => {
                    let (to, moves) = (dice.roll(2) as usize, dice.roll(2) == 0);
                    let mode = if moves { Mode::Move } else { Mode::Copy };
                    let copied = store.copy((ids[at], 0), &set, &names[to], mode).await.unwrap();
                    let source: Vec<u32> =
                        mail_rpc::set_from_pb(&copied.source).iter().map(Uid::get).collect();
                    assert_eq!(source, hit);
                    for uid in hit {
                        let flags = models[at][&uid];
                        if moves {
                            models[at].remove(&uid);
                        }
                        models[to].insert(nexts[to], flags);
                        nexts[to] += 1;
                    }
                }
                _ => {
                    let request = pb::ExpungeRequest {
                        grant: store.alice(),
                        mailbox_id: ids[at],
                        uids: ranges(&set),
                        which: pb::expunge_request::Which::Deleted.into(),
                        known_modseq: 0,
                    };
                    store.client.expunge(request).await.unwrap();
                    models[at].retain(|uid, flags| !hit.contains(uid) || *flags & 8 == 0);
                }
            }
            if dice.roll(4) == 0 {
                moments.push((at, store.examine(&names[at]).await));
            }
        }
        for (at, model) in models.iter().enumerate() {
            let end = store.open_as(&names[at], pb::Access::ReadWrite, None).await.unwrap();
            assert_eq!(flags_of(&end), model.iter().map(|(uid, flags)| (*uid, *flags)).collect::<Vec<_>>());
            assert_eq!(end.state.unwrap().uid_next, nexts[at]);
        }
        // INV-31: whoever knows any earlier moment gets to the same state.
        for (at, moment) in moments {
            let changes = store.changes(known(&moment)).await.unwrap();
            assert!(!changes.full);
            let gone = mail_rpc::set_from_pb(&changes.vanished);
            let mut view: Model = flags_of(&moment).into_iter().collect();
            view.retain(|uid, _| !gone.contains(Uid::new(*uid).unwrap()));
            view.extend(flags_of(&changes));
            assert_eq!(view, models[at]);
        }
        let report = store.storage.fsck(Some(ALICE)).await.unwrap();
        assert_eq!(report.findings, []);
    }
}
