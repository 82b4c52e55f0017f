use mail_types::{MailboxId, MessageId, ModSeq};
use proptest::prelude::*;

use super::*;
use crate::snapshot::Meta;

fn snapshot(modseq: u64, messages: &[(u32, u64, u64)]) -> Arc<Snapshot> {
    let entries: Vec<Entry> = messages
        .iter()
        .map(|(uid, flags, modseq)| Entry {
            uid: Uid::new(*uid).unwrap(),
            flags: FlagBits::from_bits(*flags),
            modseq: ModSeq::new(*modseq),
            message: MessageId::new(u64::from(*uid)),
        })
        .collect();
    Arc::new(Snapshot::new(
        Meta {
            mailbox: MailboxId::new(1),
            uid_validity: 1,
            uid_next: 1000,
            modseq: ModSeq::new(modseq),
            keywords: Arc::default(),
        },
        &entries,
    ))
}

fn set(ranges: &[(u32, u32)]) -> SequenceSet {
    let bound = |n: u32| if n == 0 { SeqBound::Last } else { SeqBound::Number(n) };
    SequenceSet::Ranges(ranges.iter().map(|(a, b)| (bound(*a), bound(*b))).collect())
}

fn uids(view: &View, by: Numbering, ranges: &[(u32, u32)]) -> Result<Vec<u32>, NoSuchMessage> {
    let selection = view.select(by, &set(ranges), &UidSet::new())?;
    Ok(view.messages(&selection).map(|message| message.entry.uid.get()).collect())
}

#[test]
fn ghosts_keep_the_numbers_of_the_others() {
    let mut view = View::new(snapshot(1, &[(2, 0, 1), (4, 0, 1), (6, 0, 1), (8, 0, 1)]));
    let advance = view.advance(snapshot(3, &[(2, 0, 1), (6, 1, 2), (8, 0, 1), (9, 0, 3)])).unwrap();
    assert_eq!(
        advance,
        Advance { changed: vec![Change { index: 1, flags_before: FlagBits::NONE }], arrived: 1 }
    );
    assert_eq!(view.len(), 5);
    assert_eq!(view.number_of(1), 3);
    assert_eq!(uids(&view, Numbering::Sequence, &[(3, 5)]), Ok(vec![6, 8, 9]));
    let selection = view.select(Numbering::Sequence, &set(&[(2, 2)]), &UidSet::new()).unwrap();
    assert!(selection.is_empty() && selection.names_ghosts);

    let expunged = view.take_expunged();
    assert_eq!((expunged.numbers, expunged.uids.to_string()), (vec![2], "4".to_owned()));
    assert_eq!((view.len(), view.number_of(1)), (4, 2));
}

#[test]
fn sets_are_strict_about_numbers_and_not_about_uids() {
    let view = View::new(snapshot(1, &[(10, 0, 1), (20, 0, 1), (30, 0, 1)]));
    let star = 0;
    for (by, ranges, expected) in [
        (Numbering::Sequence, vec![(1, star)], Ok(vec![10, 20, 30])),
        (Numbering::Sequence, vec![(3, 1)], Ok(vec![10, 20, 30])),
        (Numbering::Sequence, vec![(star, star)], Ok(vec![30])),
        (Numbering::Sequence, vec![(5, star)], Ok(vec![30])),
        (Numbering::Sequence, vec![(3, 4)], Err(NoSuchMessage)),
        (Numbering::Sequence, vec![(1, 1), (4, 4)], Err(NoSuchMessage)),
        (Numbering::Sequence, vec![(2, 2), (1, 2)], Ok(vec![10, 20])),
        (Numbering::Uid, vec![(11, 19)], Ok(vec![])),
        (Numbering::Uid, vec![(70, 70)], Ok(vec![])),
        (Numbering::Uid, vec![(99, star)], Ok(vec![30])),
        (Numbering::Uid, vec![(20, u32::MAX), (1, 10)], Ok(vec![10, 20, 30])),
    ] {
        assert_eq!(uids(&view, by, &ranges), expected, "{by:?} {ranges:?}");
    }
    let empty = View::new(snapshot(1, &[]));
    assert_eq!(uids(&empty, Numbering::Sequence, &[(1, star)]), Err(NoSuchMessage));
    assert_eq!(uids(&empty, Numbering::Uid, &[(1, star), (star, star)]), Ok(vec![]));
}

#[test]
fn a_run_of_neighbours_is_one_range_of_uids() {
    let view = View::new(snapshot(1, &[(1, 0, 1), (5, 0, 1), (9, 0, 1), (12, 0, 1)]));
    let selection = view.select(Numbering::Sequence, &set(&[(1, 2), (4, 4)]), &UidSet::new()).unwrap();
    assert_eq!(view.uids(&selection).to_string(), "1:5,12");
}

#[test]
fn recent_counts_what_the_client_counts() {
    let mut view = View::new(snapshot(1, &[(1, 0, 1), (5, 0, 1), (9, 0, 1)]));
    view.add_recent(5, 10);
    view.add_recent(0, 10);
    assert_eq!(view.recent_count(), 2);
    view.advance(snapshot(2, &[(1, 0, 1), (9, 0, 1)])).unwrap();
    assert_eq!(view.recent_count(), 2);
    view.take_expunged();
    assert_eq!(view.recent_count(), 1);
    assert!(view.is_recent(Uid::new(9).unwrap()) && !view.is_recent(Uid::MIN));
}

#[test]
fn a_late_uid_ends_the_view() {
    let mut view = View::new(snapshot(1, &[(1, 0, 1), (5, 0, 1)]));
    assert_eq!(view.advance(snapshot(2, &[(1, 0, 1), (3, 0, 2), (5, 0, 1)])), Err(LateUid));
    // Also below a ghost: the client was told of 5.
    let mut view = View::new(snapshot(1, &[(1, 0, 1), (5, 0, 1)]));
    view.advance(snapshot(2, &[(1, 0, 1)])).unwrap();
    assert_eq!(view.advance(snapshot(3, &[(1, 0, 1), (4, 0, 3)])), Err(LateUid));
}

/// A client that knows nothing but what it is told.
#[derive(Default)]
struct Client {
    messages: Vec<(u32, u64)>,
}

#[derive(Debug, Clone)]
enum Step {
    Deliver(u8),
    Expunge(prop::sample::Index),
    Flag(prop::sample::Index, u64),
    Sync { expunge: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u8..4).prop_map(Step::Deliver),
        any::<prop::sample::Index>().prop_map(Step::Expunge),
        (any::<prop::sample::Index>(), 0u64..32).prop_map(|(at, flags)| Step::Flag(at, flags)),
        any::<bool>().prop_map(|expunge| Step::Sync { expunge }),
    ]
}

proptest! {
    #[test]
    fn the_client_and_the_view_agree(steps in proptest::collection::vec(step(), 0..80)) {
        let (mut truth, mut modseq, mut next_uid) = (Vec::<(u32, u64, u64)>::new(), 1u64, 1u32);
        let mut view = View::new(snapshot(modseq, &truth));
        let mut client = Client::default();
        for step in steps {
            modseq += 1;
            match step {
                Step::Deliver(gap) => {
                    next_uid += u32::from(gap);
                    truth.push((next_uid, 0, modseq));
                    next_uid += 1;
                }
                Step::Expunge(at) if !truth.is_empty() => { truth.remove(at.index(truth.len())); }
                Step::Flag(at, flags) if !truth.is_empty() => {
                    let at = at.index(truth.len());
                    truth[at] = (truth[at].0, flags & 0x1f, modseq);
                }
                Step::Expunge(_) | Step::Flag(..) => {}
                Step::Sync { expunge } => {
                    let advance = view.advance(snapshot(modseq, &truth)).unwrap();
                    if expunge {
                        for number in view.take_expunged().numbers {
                            client.messages.remove(number as usize - 1);
                        }
                    }
                    prop_assert_eq!(client.messages.len() + advance.arrived, view.len());
                    for index in view.snapshot().len() - advance.arrived..view.snapshot().len() {
                        let entry = view.snapshot().get(index);
                        client.messages.push((entry.uid.get(), entry.flags.bits()));
                    }
                    for change in advance.changed {
                        let entry = view.snapshot().get(change.index);
                        let told = &mut client.messages[view.number_of(change.index) as usize - 1];
                        prop_assert_eq!(told.0, entry.uid.get());
                        prop_assert_eq!(told.1, change.flags_before.bits());
                        told.1 = entry.flags.bits();
                    }
                    let live: Vec<_> = client.messages.iter().copied()
                        .filter(|(uid, _)| truth.iter().any(|(live, ..)| live == uid)).collect();
                    prop_assert_eq!(live, truth.iter().map(|(uid, flags, _)| (*uid, *flags)).collect::<Vec<_>>());
                    if expunge { prop_assert_eq!(client.messages.len(), truth.len()); }
                }
            }
            for (place, (uid, _)) in client.messages.iter().enumerate() {
                let number = place as u32 + 1;
                let selection = view.select(Numbering::Sequence, &set(&[(number, number)]), &UidSet::new()).unwrap();
                let named: Vec<_> = view.messages(&selection).collect();
                if view.ghosts().iter().any(|ghost| ghost.get() == *uid) {
                    prop_assert!(named.is_empty() && selection.names_ghosts);
                } else {
                    prop_assert_eq!((named[0].number, named[0].entry.uid.get()), (number, *uid));
                }
            }
        }
    }
}
