use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn entry(uid: u32, flags: u64, modseq: u64) -> Entry {
    Entry {
        uid: Uid::new(uid).unwrap(),
        flags: FlagBits::from_bits(flags),
        modseq: ModSeq::new(modseq),
        message: MessageId::new(u64::from(uid) * 7 % 1000),
    }
}

fn meta(modseq: u64) -> Meta {
    Meta {
        mailbox: MailboxId::new(1),
        uid_validity: 9,
        uid_next: 1_000_000,
        modseq: ModSeq::new(modseq),
        keywords: Arc::default(),
    }
}

fn all(snapshot: &Snapshot) -> Vec<Entry> {
    snapshot.range(0..snapshot.len()).collect()
}

#[test]
fn a_large_mailbox_takes_less_than_a_megabyte() {
    let entries: Vec<Entry> = (1..=100_000u32)
        .map(|n| entry(n + n / 7, u64::from(n % 3 == 0), u64::from(n) * 3 % 60_000))
        .collect();
    let snapshot = Snapshot::new(meta(60_000), &entries);
    assert!(snapshot.weight() < 1_000_000, "{}", snapshot.weight());
    assert_eq!(all(&snapshot), entries);
}

#[test]
fn one_change_copies_one_chunk() {
    let entries: Vec<Entry> = (1..=100_000).map(|n| entry(n, 0, 1)).collect();
    let old = Snapshot::new(meta(1), &entries);
    let new = old.apply(meta(2), &[entry(50_000, 1, 2)], &UidSet::new()).unwrap();
    let copied = old.chunks.iter().zip(&new.chunks).filter(|(a, b)| !Arc::ptr_eq(a, b)).count();
    assert_eq!(copied, 1);
    let delivered = new.apply(meta(3), &[entry(100_001, 0, 3)], &UidSet::new()).unwrap();
    let copied = new.chunks.iter().zip(&delivered.chunks).filter(|(a, b)| !Arc::ptr_eq(a, b)).count();
    assert_eq!(copied, 1);
    let mut found = Vec::new();
    old.compare(&delivered, |difference| found.push(difference));
    assert_eq!(
        found,
        [
            Compared::Changed { index: 49_999, old: entry(50_000, 0, 1), new: entry(50_000, 1, 2) },
            Compared::Added(Uid::new(100_001).unwrap()),
        ]
    );
}

#[test]
fn a_late_uid_is_refused() {
    let old = Snapshot::new(meta(1), &[entry(1, 0, 1), entry(5, 0, 1)]);
    assert!(old.apply(meta(2), &[entry(3, 0, 2)], &UidSet::new()).is_none());
    assert!(old.apply(meta(2), &[entry(6, 0, 2)], &UidSet::new()).is_some());
}

#[test]
fn the_first_unseen_message_is_found() {
    let entries: Vec<Entry> = (1..=2000).map(|n| entry(n, u64::from(n != 1234), 1)).collect();
    assert_eq!(Snapshot::new(meta(1), &entries).first_without(FlagBits::SEEN), Some(1233));
    assert_eq!(Snapshot::new(meta(1), &entries[..1000]).first_without(FlagBits::SEEN), None);
    assert_eq!(Snapshot::new(meta(1), &[]).first_without(FlagBits::SEEN), None);
}

#[test]
fn an_empty_mailbox_has_no_places() {
    let empty = Snapshot::new(meta(1), &[]);
    assert_eq!((empty.len(), empty.rank(5), empty.range(0..10).count()), (0, 0, 0));
    assert_eq!(empty.find(Uid::MIN), None);
}

type Model = BTreeMap<u32, (u64, u64)>;

fn entries(model: &Model) -> Vec<Entry> {
    model.iter().map(|(uid, (flags, modseq))| entry(*uid, *flags, *modseq)).collect()
}

proptest! {
    #[test]
    fn behaves_as_a_list(
        first in proptest::collection::vec((1u32..4, 0u64..32), 0..1500),
        steps in proptest::collection::vec(
            (proptest::collection::vec((any::<prop::sample::Index>(), 0u64..32), 0..5), 0usize..700, any::<prop::sample::Index>(), 0usize..600),
            0..6,
        ),
    ) {
        let mut model = Model::new();
        let mut uid = 0;
        for (gap, flags) in first {
            uid += gap;
            model.insert(uid, (flags, 1));
        }
        let mut snapshot = Snapshot::new(meta(1), &entries(&model));
        for (modseq, (flagged, arrived, from, gone)) in (2u64..).zip(steps) {
            let before = model.clone();
            let mut changed = Model::new();
            let uids: Vec<u32> = model.keys().copied().collect();
            for (which, flags) in flagged {
                if !uids.is_empty() {
                    changed.insert(uids[which.index(uids.len())], (flags, modseq));
                }
            }
            for _ in 0..arrived {
                uid += 1;
                changed.insert(uid, (0, modseq));
            }
            model.extend(changed.iter().map(|(uid, value)| (*uid, *value)));
            let start = if uids.is_empty() { 0 } else { from.index(uids.len()) };
            let vanished: UidSet =
                uids.iter().skip(start).take(gone).filter_map(|uid| Uid::new(*uid)).collect();
            model.retain(|uid, _| !vanished.contains(Uid::new(*uid).unwrap()));
            let next = snapshot.apply(meta(modseq), &entries(&changed), &vanished).unwrap();

            let expected = entries(&model);
            prop_assert_eq!(&all(&next), &expected);
            prop_assert!(next.chunks.iter().all(|chunk| chunk.len > 0 && chunk.len <= CHUNK_ENTRIES_MAX));
            for (index, entry) in expected.iter().enumerate().step_by(37) {
                prop_assert_eq!(next.find(entry.uid), Some(index));
                prop_assert_eq!(next.get(index), *entry);
                prop_assert_eq!(next.rank(entry.uid.get() + 1), index + 1);
                prop_assert_eq!(next.range(index..index + 3).collect::<Vec<_>>(), expected.iter().copied().skip(index).take(3).collect::<Vec<_>>());
            }
            let (mut gone, mut added, mut altered) = (Vec::new(), Vec::new(), Vec::new());
            snapshot.compare(&next, |difference| match difference {
                Compared::Gone(uid) => gone.push(uid.get()),
                Compared::Added(uid) => added.push(uid.get()),
                Compared::Changed { index, new, .. } => {
                    assert_eq!(next.get(index), new);
                    altered.push(new.uid.get());
                }
            });
            prop_assert_eq!(gone, before.keys().filter(|uid| !model.contains_key(uid)).copied().collect::<Vec<_>>());
            prop_assert_eq!(added, model.keys().filter(|uid| !before.contains_key(uid)).copied().collect::<Vec<_>>());
            prop_assert_eq!(altered, model.iter().filter(|(uid, value)| before.get(uid).is_some_and(|old| old != *value)).map(|(uid, _)| *uid).collect::<Vec<_>>());
            snapshot = next;
        }
    }
}
