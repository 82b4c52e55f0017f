//! The search index against looking into every text.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mail_message::derive;
use mail_message::search::{self, fold, matches};
use mail_rpc::pb::{self, condition::Is, copy_request::Mode, text_match::Field};
use mail_rpc::{MailboxClient, Transport};
use mail_types::FlagBits;
use mailbox_storage::{Storage, SweepPolicy};

use crate::fixture::*;

suite!(
    the_index_agrees_with_the_texts,
    mail_is_found_as_soon_as_it_is_there,
    what_is_not_indexed_is_found,
    required_conditions_narrow_the_others,
    other_processes_merges_change_nothing,
    old_bits_of_a_long_tail_hide_nothing,
    what_is_gone_is_left_out,
    fuzzy_finds_what_scores,
);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// Words of few letters, so that needles stand in many texts and nearly stand in many more.
    fn words(&mut self, count: usize) -> String {
        const PIECES: [&str; 28] = [
            "ab",
            "abc",
            "Cab",
            "xyz",
            "é",
            "e",
            "e\u{301}",
            "か",
            "がく",
            "각",
            "가",
            "naïve",
            " ",
            " ",
            "-",
            "_",
            "12",
            "会",
            "議",
            "会議",
            "の",
            "ノ",
            "資料",
            "ＡＢＣ",
            "한국",
            "Привет",
            "ﾃｽﾄ",
            "ß",
        ];
        (0..count).map(|_| self.pick(&PIECES)).collect()
    }

    fn message(&mut self) -> Vec<u8> {
        let (from, subject, length) = (self.words(2), self.words(3), 1 + self.below(60));
        let cc = if self.below(3) == 0 { format!("Cc: {}\r\n", self.words(2)) } else { String::new() };
        format!(
            "From: {from} <a{}@example.org>\r\nTo: {}\r\nSubject: {subject}\r\n{cc}\
             Content-Type: text/plain; charset=utf-8\r\n\r\n{}\r\n",
            self.below(5),
            self.words(1),
            self.words(length)
        )
        .into_bytes()
    }
}

fn find(field: Field, header: &str, text: &str) -> pb::Condition {
    let is = Is::Text(pb::TextMatch { field: field.into(), header: header.into(), text: text.into() });
    pb::Condition { is: Some(is), required: false }
}

async fn search(store: &Store, mailbox: &str, conditions: &[pb::Condition]) -> Vec<String> {
    search_by(&store.client, store, mailbox, conditions).await
}

async fn search_by(
    client: &MailboxClient,
    store: &Store,
    mailbox: &str,
    conditions: &[pb::Condition],
) -> Vec<String> {
    let request = pb::SearchRequest {
        owner: 0,
        grant: store.alice(),
        mailbox_id: store.status(mailbox).await.unwrap().mailbox_id,
        uids: ranges("1:4294967295"),
        conditions: conditions.to_vec(),
    };
    let reply = client.search(request).await.unwrap();
    reply.matches.iter().map(|matches| text(&matches.uids)).collect()
}

/// What the texts say; messages by UID.
fn expected(texts: &[(u32, String)], condition: &pb::Condition) -> String {
    let Some(Is::Text(wanted)) = &condition.is else { panic!("not a text") };
    let field = match wanted.field() {
        Field::Header => search::Field::Header(&wanted.header),
        Field::Body => search::Field::Body,
        _ => search::Field::Text,
    };
    let needle = fold(&wanted.text);
    let found = texts.iter().filter(|(_, text)| matches(text, &field, &needle));
    found.filter_map(|(uid, _)| mail_types::Uid::new(*uid)).collect::<mail_types::UidSet>().to_string()
}

async fn the_index_agrees_with_the_texts(store: &Store) {
    let mut random = Random(11);
    store.create("Copies").await.unwrap();
    let mut texts: Vec<(u32, String)> = Vec::new();
    let mut copies: Vec<(u32, String)> = Vec::new();
    for round in 0..8 {
        let some: Vec<Vec<u8>> = (0..40).map(|_| random.message()).collect();
        let new: Vec<_> = some.iter().map(|octets| (system(FlagBits::NONE), octets.clone())).collect();
        let reply = store.append_all("INBOX", &new, b"").await.unwrap();
        texts.extend(reply.uids.iter().copied().zip(some.iter().map(|octets| derive(octets).search_text)));
        if random.below(3) > 0 {
            store.storage.merge_search_index(1).await.unwrap();
        }
        let inbox = store.status("INBOX").await.unwrap();
        let copied = texts[random.below(texts.len())].clone();
        let reply = store
            .copy((inbox.mailbox_id, inbox.highest_modseq), &copied.0.to_string(), "Copies", Mode::Copy)
            .await
            .unwrap();
        copies.push((text(&reply.destination).parse().unwrap(), copied.1));
        for _ in 0..5 {
            let (gone, _) = texts.remove(random.below(texts.len()));
            store.expunge(inbox.mailbox_id, &gone.to_string(), 0).await;
        }
        if round % 3 == 2 {
            sweep(&store.storage).await;
            store.storage.compact_search_index(0).await.unwrap();
        }
        let conditions: Vec<pb::Condition> = (0..60)
            .map(|_| {
                let all: Vec<char> = texts[random.below(texts.len())].1.chars().collect();
                let (from, length) = (random.below(all.len()), 1 + random.below(6));
                let needle: String =
                    all[from..].iter().take_while(|c| !c.is_control()).take(length).collect();
                let needle = if random.below(6) == 0 { random.words(2) } else { needle };
                let field = [Field::Text, Field::Body, Field::Header][random.below(3)];
                find(field, random.pick(&["Subject", "from", "TO", "cc", "Content-Type"]), &needle)
            })
            .collect();
        for (mailbox, texts) in [("INBOX", &texts), ("Copies", &copies)] {
            // Twice: what was found before is remembered.
            for _ in 0..2 {
                let found = search(store, mailbox, &conditions).await;
                for (found, condition) in found.iter().zip(&conditions) {
                    assert_eq!(*found, expected(texts, condition), "{condition:?} in {mailbox}");
                }
            }
        }
    }
}

/// Other messages, more than a search looks into without asking the index. Theirs are the UIDs up to 20.
async fn others(store: &Store) {
    let some: Vec<_> = (0..20).map(|n| (system(FlagBits::NONE), message(&format!("other{n}")))).collect();
    store.append_all("INBOX", &some, b"").await.unwrap();
}

async fn mail_is_found_as_soon_as_it_is_there(store: &Store) {
    let stop = Arc::new(AtomicBool::new(false));
    let mut mergers = Vec::new();
    for _ in 0..2 {
        let (process, stop) = (store.process().await, Arc::clone(&stop));
        mergers.push(tokio::spawn(async move {
            let mut merged = 0;
            for turn in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                merged += process.merge_search_index(3).await.unwrap();
                if merged > 0 && turn % 4 == 0 {
                    sweep(&process).await;
                    // Cut short at some point, as by a kill.
                    let some_time = Duration::from_micros(turn % 40 * 100);
                    drop(tokio::time::timeout(some_time, process.compact_search_index(0)).await);
                }
                tokio::task::yield_now().await;
            }
            process.close().await;
            merged
        }));
    }
    let inbox = store.status("INBOX").await.unwrap().mailbox_id;
    let deliver = async |writer: usize| {
        let mut gone = Vec::new();
        for n in 0..40 {
            let word = format!("w{writer}x{n}q");
            let uid = store.append("INBOX", FlagBits::NONE, &message(&word)).await;
            let (all, part) = (find(Field::Text, "", &word), find(Field::Header, "subject", &word));
            assert_eq!(search(store, "INBOX", &[all, part]).await, [uid.to_string(), uid.to_string()]);
            gone.push(uid.to_string());
            if gone.len() == 10 {
                // Every tenth stays.
                store.expunge(inbox, &gone.drain(..).skip(1).collect::<Vec<_>>().join(","), 0).await;
            }
        }
    };
    tokio::join!(deliver(0), deliver(1), deliver(2));
    stop.store(true, Ordering::Relaxed);
    let mut merged = 0;
    for merger in mergers {
        merged += merger.await.unwrap();
    }
    assert!(merged > 0);
    let every = search(store, "INBOX", &[find(Field::Body, "", "body of w1x")]).await;
    assert!(every[0].contains([',', ':']), "{every:?}");
}

async fn sweep(storage: &Storage) {
    storage.sweep(&SweepPolicy { garbage_seconds: -1, ..Default::default() }).await.unwrap();
}

async fn what_is_not_indexed_is_found(store: &Store) {
    let conditions = [
        find(Field::Text, "", "apple"),
        find(Field::Header, "subject", "pear"),
        find(Field::Body, "", "plum"),
    ];
    others(store).await;
    for name in ["apple", "pear", "apple pie"] {
        store.append("INBOX", FlagBits::NONE, &message(name)).await;
    }
    store.storage.merge_search_index(1).await.unwrap();
    store.append("INBOX", FlagBits::NONE, &message("pears")).await;
    let found = ["21,23", "22,24", ""];
    assert_eq!(search(store, "INBOX", &conditions).await, found);
    // As an older version leaves it.
    for table in ["DELETE FROM search_tail", "DELETE FROM search_segment", "DELETE FROM search_slices"] {
        store.sql(table).await;
        let fresh = store.process().await;
        let client = MailboxClient::new(Transport::local(fresh.server()));
        assert_eq!(search_by(&client, store, "INBOX", &conditions).await, found);
        assert_eq!(search(store, "INBOX", &conditions).await, found);
        fresh.close().await;
    }
    let missing = store.storage.fsck(None).await.unwrap();
    assert_eq!(missing.findings.len(), 24, "{missing:?}");
    store.sql("UPDATE message SET derived_version = 1").await;
    assert_eq!(store.storage.fsck(None).await.unwrap().findings, []);
    store.append("INBOX", FlagBits::NONE, &message("plum")).await;
    assert_eq!(search(store, "INBOX", &conditions).await, ["21,23", "22,24", "25"]);
    assert_eq!(store.storage.rebuild().await.unwrap(), 24);
    store.storage.merge_search_index(1).await.unwrap();
    assert_eq!(search(store, "INBOX", &conditions).await, ["21,23", "22,24", "25"]);
}

async fn required_conditions_narrow_the_others(store: &Store) {
    others(store).await;
    for name in ["apple", "pear", "apple pear", "pear apple"] {
        store.append("INBOX", FlagBits::NONE, &message(name)).await;
    }
    let required = |condition: pb::Condition| pb::Condition { required: true, ..condition };
    let (apple, pear) = (find(Field::Header, "subject", "apple"), find(Field::Header, "subject", "pear"));
    let found = search(store, "INBOX", &[apple.clone(), required(pear)]).await;
    assert_eq!(found, ["23:24", "22:24"]);
    let size = Is::Size(pb::SizeRange { min: message("apple pear").len() as u64, max: u64::MAX });
    let size = pb::Condition { is: Some(size), required: true };
    assert_eq!(search(store, "INBOX", &[apple, size]).await, ["23:24", "23:24"]);
}

async fn other_processes_merges_change_nothing(store: &Store) {
    let other = store.process().await;
    let mut names = Vec::new();
    for round in 0..12 {
        // More than a search looks into without asking the index, in some rounds.
        for n in 0..[3, 12][round % 2] {
            let name = format!("r{round}n{n}e");
            let uid = store.append("INBOX", FlagBits::NONE, &message(&name)).await;
            names.push((name, uid));
        }
        if round % 3 > 0 {
            other.merge_search_index(1).await.unwrap();
        }
        for (name, uid) in &names {
            // Searched for the first time, and again.
            let subject = find(Field::Header, "subject", name);
            let part = find(Field::Text, "", &format!("of {name} x{round}"));
            assert_eq!(search(store, "INBOX", &[subject, part]).await, [uid.to_string(), String::new()]);
        }
    }
    other.close().await;
}

async fn old_bits_of_a_long_tail_hide_nothing(store: &Store) {
    others(store).await;
    store.append("INBOX", FlagBits::NONE, &message("apple")).await;
    // As if another version had derived another text.
    store.sql("UPDATE search_tail SET bits = (SELECT t.bits FROM search_tail t WHERE t.message_id = 2) WHERE message_id = 21").await;
    store.storage.merge_search_index(1).await.unwrap();
    store.sql("UPDATE message SET derived_version = 1 WHERE id = 21").await;
    assert_eq!(store.storage.rebuild().await.unwrap(), 1);
    // More rows than a search reads come before the new one.
    store
        .sql(
            "INSERT INTO search_tail WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
             SELECT t.account_id, -n.i, t.derived_version, t.scheme, t.bits FROM search_tail t, n WHERE t.message_id = 21",
        )
        .await;
    for needle in ["apple", "body of apple", "ppl"] {
        assert_eq!(search(store, "INBOX", &[find(Field::Text, "", needle)]).await, ["21"]);
    }
}

async fn what_is_gone_is_left_out(store: &Store) {
    let inbox = store.status("INBOX").await.unwrap().mailbox_id;
    let other = MailboxClient::new(Transport::local(store.process().await.server()));
    let expect = async |needle: &str, uids: &str| {
        let conditions = [find(Field::Text, "", needle), find(Field::Header, "subject", needle)];
        for client in [&store.client, &other] {
            assert_eq!(search_by(client, store, "INBOX", &conditions).await, [uids, uids], "{needle}");
        }
    };
    for round in 0u32..3 {
        let first = round * 80 + 1;
        let some: Vec<_> = (0..80)
            .map(|n| {
                let name = format!("r{round}q{}", if n % 10 == 0 { "keep" } else { "lose" });
                (system(FlagBits::NONE), message(&format!("{name}{n}")))
            })
            .collect();
        store.append_all("INBOX", &some, b"").await.unwrap();
        store.storage.merge_search_index(1).await.unwrap();
        let kept: Vec<String> = (0..8).map(|n| (first + n * 10).to_string()).collect();
        expect(&format!("r{round}qkeep"), &kept.join(",")).await;
        // Nothing is gone yet.
        assert_eq!(store.storage.compact_search_index(0).await.unwrap(), 0);
        for n in (0..80).filter(|n| n % 10 > 0) {
            store.expunge(inbox, &(first + n).to_string(), 0).await;
        }
        assert_eq!(store.storage.compact_search_index(0).await.unwrap(), 0);
        sweep(&store.storage).await;
        assert_eq!(store.storage.compact_search_index(0).await.unwrap(), 72);
        assert_eq!(store.storage.compact_search_index(0).await.unwrap(), 0);
        expect(&format!("r{round}qkeep"), &kept.join(",")).await;
        expect(&format!("r{round}qlose"), "").await;
        expect(
            &format!("qkeep{}", 70),
            &(0..=round).map(|r| (r * 80 + 71).to_string()).collect::<Vec<_>>().join(","),
        )
        .await;
        assert_eq!(store.storage.fsck(None).await.unwrap().findings, []);
    }
    // All of it: the numbers of segments begin anew.
    store.expunge(inbox, "1:4294967295", 0).await;
    sweep(&store.storage).await;
    assert_eq!(store.storage.compact_search_index(0).await.unwrap(), 24);
    expect("qkeep", "").await;
    others(store).await;
    store.storage.merge_search_index(1).await.unwrap();
    for n in 0..20 {
        expect(&format!("body of other{n}\r\n"), "").await;
        let condition = [find(Field::Header, "subject", &format!("other{n}"))];
        let found = search_by(&other, store, "INBOX", &condition).await;
        assert!(found[0].split([',', ':']).any(|uid| uid == (241 + n).to_string()), "{found:?}");
    }
}

async fn fuzzy_finds_what_scores(store: &Store) {
    let mut random = Random(29);
    let mut texts: Vec<(u32, String)> = Vec::new();
    for _ in 0..3 {
        let some: Vec<Vec<u8>> = (0..40).map(|_| random.message()).collect();
        let new: Vec<_> = some.iter().map(|octets| (system(FlagBits::NONE), octets.clone())).collect();
        let reply = store.append_all("INBOX", &new, b"").await.unwrap();
        texts.extend(reply.uids.iter().copied().zip(some.iter().map(|octets| derive(octets).search_text)));
        store.storage.merge_search_index(20).await.unwrap();
        for _ in 0..60 {
            let length = 1 + random.below(4);
            let (needle, header) = (random.words(length), random.pick(&["subject", "From"]));
            let (field, here) = match random.below(3) {
                0 => (Field::Text, search::Field::Text),
                1 => (Field::Body, search::Field::Body),
                _ => (Field::Header, search::Field::Header(header)),
            };
            let wanted = pb::TextMatch { field: field.into(), header: header.into(), text: needle.clone() };
            let request = pb::FuzzySearchRequest {
                owner: 0,
                grant: store.alice(),
                mailbox_id: store.status("INBOX").await.unwrap().mailbox_id,
                uids: ranges("1:4294967295"),
                texts: vec![wanted],
            };
            let reply = store.client.fuzzy_search(request).await.unwrap();
            let mut uid = 0;
            let found: Vec<(u32, u8)> = reply.matches[0]
                .uid_deltas
                .iter()
                .zip(&reply.matches[0].scores[..])
                .map(|(delta, score)| {
                    uid += delta;
                    (uid, *score)
                })
                .collect();
            let fuzzy = mail_message::fuzzy::Needle::new(&needle);
            let scores = texts.iter().map(|(uid, text)| (*uid, fuzzy.score(text, &here)));
            let expected: Vec<(u32, u8)> = scores.filter(|(_, score)| *score > 0).collect();
            assert_eq!(found, expected, "{needle:?} in {field:?} {header}");
        }
    }
}
