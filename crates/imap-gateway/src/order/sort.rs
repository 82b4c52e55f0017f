//! The order of messages by several criteria. Pure.

/// One criterion: a number for each message, and whether the largest comes first.
#[derive(Debug, Clone)]
pub(crate) struct Criterion {
    pub(crate) ordinals: Vec<u64>,
    pub(crate) reverse: bool,
}

/// The places of `count` messages in their order. Messages equal by all criteria keep theirs, whatever was reversed
/// (RFC 5256 §3).
pub(crate) fn sort(count: usize, criteria: Vec<Criterion>) -> Vec<u32> {
    let columns: Vec<Vec<u64>> = criteria
        .into_iter()
        .map(|criterion| match criterion.reverse {
            true => criterion.ordinals.into_iter().map(|ordinal| !ordinal).collect(),
            false => criterion.ordinals,
        })
        .collect();
    let Some((first, others)) = columns.split_first() else { return (0..count as u32).collect() };
    let mut order: Vec<(u64, u32)> = first.iter().copied().zip(0..).collect();
    order.sort_unstable_by(|a, b| {
        a.0.cmp(&b.0)
            .then_with(|| {
                let pairs = others.iter().map(|column| column[a.1 as usize].cmp(&column[b.1 as usize]));
                pairs.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
            })
            .then(a.1.cmp(&b.1))
    });
    order.into_iter().map(|(_, place)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn criterion(ordinals: &[u64], reverse: bool) -> Criterion {
        Criterion { ordinals: ordinals.to_vec(), reverse }
    }

    #[test]
    fn reverse_leaves_the_order_of_equals() {
        assert_eq!(sort(4, vec![criterion(&[1, 2, 1, 2], false)]), [0, 2, 1, 3]);
        assert_eq!(sort(4, vec![criterion(&[1, 2, 1, 2], true)]), [1, 3, 0, 2]);
        let two = vec![criterion(&[1, 2, 1, 2], true), criterion(&[5, 6, 4, 6], false)];
        assert_eq!(sort(4, two), [1, 3, 2, 0]);
        assert_eq!(sort(3, Vec::new()), [0, 1, 2]);
    }

    proptest! {
        /// Sorting stably by the last criterion first is the same.
        #[test]
        fn agrees_with_stable_sorts(rows in proptest::collection::vec((0u64..4, 0u64..4), 0..30), reverse in any::<[bool; 2]>()) {
            let mut expected: Vec<u32> = (0..rows.len() as u32).collect();
            expected.sort_by_key(|at| { let b = rows[*at as usize].1; if reverse[1] { !b } else { b } });
            expected.sort_by_key(|at| { let a = rows[*at as usize].0; if reverse[0] { !a } else { a } });
            let (a, b): (Vec<u64>, Vec<u64>) = rows.iter().copied().unzip();
            let criteria = vec![criterion(&a, reverse[0]), criterion(&b, reverse[1])];
            prop_assert_eq!(sort(rows.len(), criteria), expected);
        }
    }
}
