//! What turns one ordered result into another, as positions (RFC 5267 §4.3). Pure.

use std::collections::HashSet;

/// Results beginning at a position, from 1.
pub(crate) type Run = (u32, Vec<u32>);

/// What is to be removed, the last first, so that no removal moves the next.
pub(crate) fn removals(old: &[u32], gone: &HashSet<u32>) -> Vec<Run> {
    let mut runs = runs_of(old, |uid| gone.contains(&uid));
    runs.reverse();
    runs
}

/// What is to be inserted, the first first, so that every position is that in the new result.
pub(crate) fn insertions(new: &[u32], added: &HashSet<u32>) -> Vec<Run> {
    runs_of(new, |uid| added.contains(&uid))
}

fn runs_of(results: &[u32], is: impl Fn(u32) -> bool) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (position, uid) in (1..).zip(results).filter(|(_, uid)| is(**uid)) {
        match runs.last_mut() {
            Some((start, run)) if *start + run.len() as u32 == position => run.push(*uid),
            _ => runs.push((position, vec![*uid])),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_are_one_run() {
        let some = |uids: &[u32]| uids.iter().copied().collect::<HashSet<u32>>();
        assert_eq!(removals(&[9, 3, 7, 5], &some(&[9, 3, 5])), [(4, vec![5]), (1, vec![9, 3])]);
        assert_eq!(insertions(&[9, 3, 7, 5], &some(&[3, 7])), [(2, vec![3, 7])]);
    }

    proptest! {
        /// A client that follows the positions has the new result.
        #[test]
        fn clients_can_follow(order in Just((1u32..20).collect::<Vec<_>>()).prop_shuffle(), had in any::<[bool; 20]>(), has in any::<[bool; 20]>()) {
            let of = |which: &[bool; 20]| order.iter().copied().filter(|uid| which[*uid as usize]).collect::<Vec<_>>();
            let (old, new) = (of(&had), of(&has));
            let gone: HashSet<u32> = old.iter().copied().filter(|uid| !new.contains(uid)).collect();
            let added: HashSet<u32> = new.iter().copied().filter(|uid| !old.contains(uid)).collect();
            let mut client = old.clone();
            for (position, run) in removals(&old, &gone) {
                let at = position as usize - 1;
                prop_assert_eq!(client.drain(at..at + run.len()).collect::<Vec<_>>(), run);
            }
            for (position, run) in insertions(&new, &added) {
                let at = position as usize - 1;
                client.splice(at..at, run);
            }
            prop_assert_eq!(client, new);
        }
    }
}
