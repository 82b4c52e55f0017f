use proptest::prelude::*;

use super::*;

/// Id, references, date, subject (0: empty), is it a reply.
type Row = (u64, Vec<u64>, u64, u64, bool);

fn messages(rows: &[Row]) -> Messages<'_> {
    Messages {
        keys: rows
            .iter()
            .map(|(id, references, _, _, is_reply)| ThreadKeys { id: *id, is_reply: *is_reply, references })
            .collect(),
        sent: rows.iter().map(|row| row.2).collect(),
        arrived: (0..rows.len() as u64).collect(),
        subjects: rows.iter().map(|row| row.3).collect(),
        no_subject: rows.iter().map(|row| row.3 == 0).collect(),
    }
}

/// As a client would read it, numbers from 1.
fn shown(algorithm: Algorithm, rows: &[Row]) -> String {
    let nodes: Vec<imap_wire::ThreadNode> = thread(algorithm, &messages(rows))
        .iter()
        .map(|node| imap_wire::ThreadNode { depth: node.depth, number: node.place.map(|place| place + 1) })
        .collect();
    let mut out = bytes::BytesMut::new();
    imap_wire::Writer::new(&mut out).thread(&nodes);
    String::from_utf8(out.to_vec()).unwrap().trim().trim_start_matches("* THREAD ").to_owned()
}

fn row(id: u64, references: &[u64], date: u64) -> Row {
    (id, references.to_vec(), date, 0, false)
}

#[test]
fn replies_hang_on_their_parents() {
    let rows = [row(1, &[], 1), row(2, &[1], 2), row(3, &[1, 2], 3), row(4, &[1], 4), row(5, &[], 0)];
    assert_eq!(shown(Algorithm::References, &rows), "(5)(1 (2 3)(4))");
    assert_eq!(shown(Algorithm::Refs, &rows), "(1 (2 3)(4))(5)");
}

#[test]
fn missing_messages_hold_siblings_together() {
    assert_eq!(shown(Algorithm::References, &[row(1, &[9], 2), row(2, &[9], 1)]), "((2)(1))");
    assert_eq!(shown(Algorithm::References, &[row(1, &[8, 9], 2), row(2, &[8], 1)]), "((2)(1))");
    assert_eq!(shown(Algorithm::References, &[row(1, &[7, 8, 9], 2)]), "(1)");
    assert_eq!(shown(Algorithm::References, &[row(3, &[], 1), row(1, &[3, 8, 9], 2)]), "(1 2)");
}

#[test]
fn loops_and_ids_given_twice_do_no_harm() {
    assert_eq!(shown(Algorithm::References, &[row(1, &[2], 1), row(2, &[1], 2)]), "(2 1)");
    assert_eq!(shown(Algorithm::References, &[row(1, &[1], 1)]), "(1)");
    assert_eq!(
        shown(Algorithm::References, &[row(1, &[2, 3, 1], 1), row(3, &[1, 2], 2), row(2, &[3], 3)]),
        "(1)(3 2)"
    );
    // The second message of an id is nobody's parent.
    assert_eq!(shown(Algorithm::References, &[row(1, &[], 1), row(1, &[], 2), row(2, &[1], 3)]), "(1 3)(2)");
    assert_eq!(shown(Algorithm::References, &[row(0, &[], 1), row(0, &[], 2)]), "(1)(2)");
}

#[test]
fn the_last_reference_is_believed_and_earlier_ones_where_nothing_was_known() {
    // 3 says that 2 is below 1; 2 itself says that it is below nothing.
    assert_eq!(
        shown(Algorithm::References, &[row(3, &[1, 2], 3), row(2, &[], 2), row(1, &[], 1)]),
        "(3)(2 1)"
    );
    // What was linked by references alone stays.
    assert_eq!(
        shown(Algorithm::References, &[row(3, &[1, 2], 3), row(4, &[5, 2], 4), row(1, &[], 1)]),
        "(3 (1)(2))"
    );
}

fn subject(id: u64, subject: u64, is_reply: bool, date: u64) -> Row {
    (id, Vec::new(), date, subject, is_reply)
}

#[test]
fn threads_of_one_subject_become_one() {
    let replies = [subject(1, 7, false, 1), subject(2, 7, true, 2), subject(3, 7, true, 3)];
    assert_eq!(shown(Algorithm::References, &replies), "(1 (2)(3))");
    let equals = [subject(1, 7, false, 2), subject(2, 7, false, 1), subject(3, 7, false, 3)];
    assert_eq!(shown(Algorithm::References, &equals), "((2)(1)(3))");
    // The original came after its reply.
    let late = [subject(1, 7, true, 1), subject(2, 7, false, 2), subject(3, 8, false, 0)];
    assert_eq!(shown(Algorithm::References, &late), "(3)(2 1)");
    let none = [subject(1, 0, false, 1), subject(2, 0, true, 2)];
    assert_eq!(shown(Algorithm::References, &none), "(1)(2)");
    assert_eq!(shown(Algorithm::Refs, &replies), "(1)(2)(3)");
    assert_eq!(shown(Algorithm::OrderedSubject, &equals), "(2 (1)(3))");
    assert_eq!(shown(Algorithm::OrderedSubject, &late), "(3)(1 2)");
}

#[test]
fn the_thread_with_the_newest_message_is_the_last() {
    let rows = [row(1, &[], 5), row(2, &[], 4), row(3, &[1], 3)];
    assert_eq!(shown(Algorithm::Refs, &rows), "(2)(1 3)");
    assert_eq!(shown(Algorithm::References, &rows), "(2)(1 3)");
    let rows = [row(1, &[], 5), row(2, &[], 6), row(3, &[1], 3)];
    assert_eq!(shown(Algorithm::Refs, &rows), "(2)(1 3)");
    assert_eq!(shown(Algorithm::References, &rows), "(1 3)(2)");
}

#[test]
fn a_chain_of_100_000_is_as_deep() {
    for backwards in [false, true] {
        let ids: Vec<u64> = (1..=100_000).collect();
        let mut rows: Vec<Row> =
            ids.iter().map(|id| row(*id, &[id.saturating_sub(2), id - 1].map(|id| id.max(1)), *id)).collect();
        rows[0].1.clear();
        if backwards {
            rows.reverse();
        }
        let nodes = thread(Algorithm::References, &messages(&rows));
        assert_eq!(nodes.len(), 100_000);
        assert_eq!(nodes.iter().map(|node| node.depth).max(), Some(99_999));
    }
}

#[test]
fn mail_made_to_need_long_searches_for_loops_is_threaded_in_time() {
    const N: u64 = 20_000;
    let mut rows: Vec<Row> = (1..N).map(|id| row(id, &[id - 1], id)).collect();
    // Each has a child, and moves from place to place at the end of the chain.
    rows.extend((N..2 * N).map(|id| row(3 * N + id, &[N - 1, id], id)));
    rows.extend((N..2 * N).map(|id| row(id, &[id, N - 2], id)));
    let nodes = thread(Algorithm::References, &messages(&rows));
    assert_eq!(nodes.iter().filter(|node| node.place.is_some()).count(), rows.len());
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let references = proptest::collection::vec(1u64..9, 0..4);
    proptest::collection::vec((0u64..7, references, 0u64..4, 0u64..3, any::<bool>()), 0..9)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn references_are_as_the_rfc_tells_it(rows in rows()) {
        let messages = messages(&rows);
        prop_assert_eq!(thread(Algorithm::References, &messages), naive::references(&messages));
    }

    #[test]
    fn every_message_is_there_once_and_missing_ones_are_roots(rows in rows()) {
        for algorithm in [Algorithm::OrderedSubject, Algorithm::References, Algorithm::Refs] {
            let nodes = thread(algorithm, &messages(&rows));
            let mut places: Vec<u32> = nodes.iter().filter_map(|node| node.place).collect();
            places.sort_unstable();
            prop_assert_eq!(places, (0..rows.len() as u32).collect::<Vec<_>>());
            let mut depth = 0;
            for (i, node) in nodes.iter().enumerate() {
                prop_assert!(node.depth <= depth);
                depth = node.depth + 1;
                if node.place.is_none() {
                    prop_assert_eq!(node.depth, 0);
                    let siblings = nodes[i + 1..].iter().take_while(|next| next.depth > 0).filter(|next| next.depth == 1);
                    prop_assert!(siblings.count() > 1);
                }
            }
        }
    }
}
