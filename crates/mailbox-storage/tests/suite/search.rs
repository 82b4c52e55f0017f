//! Search: numbers by the database, text by looking into every message.

use mail_rpc::pb::{self, condition::Is, text_match::Field};
use mail_types::FlagBits;
use tonic::Code;

use crate::fixture::*;

suite!(conditions_are_answered_each, empty_conditions_are_refused, text_over_several_pages);

async fn search(store: &Store, uids: &str, conditions: Vec<Is>) -> Vec<String> {
    let request = pb::SearchRequest {
        owner: 0,
        grant: store.alice(),
        mailbox_id: store.status("INBOX").await.unwrap().mailbox_id,
        uids: ranges(uids),
        conditions: conditions
            .into_iter()
            .map(|is| pb::Condition { is: Some(is), required: false })
            .collect(),
    };
    let reply = store.client.search(request).await.unwrap();
    reply.matches.iter().map(|matches| text(&matches.uids)).collect()
}

fn find(field: Field, header: &str, text: &str) -> Is {
    Is::Text(pb::TextMatch { field: field.into(), header: header.into(), text: text.into() })
}

async fn conditions_are_answered_each(store: &Store) {
    for name in ["apple", "pear", "apple pie"] {
        store.append("INBOX", FlagBits::NONE, &message(name)).await;
    }
    store.append("INBOX", FlagBits::NONE, b"Subject: no date\r\n\r\n").await;
    let sizes = message("apple").len() as u64;
    let day = 1_000_000_000 / 86_400;
    let found = search(
        store,
        "1:4294967295",
        vec![
            Is::Received(pb::DayRange { from: day, to: day + 1 }),
            Is::Received(pb::DayRange { from: day + 1, to: i64::MAX }),
            Is::ReceivedSeconds(pb::SecondRange { from: i64::MIN, to: 1_000_000_001 }),
            // 1994-02-07 as written.
            Is::Sent(pb::DayRange { from: 8803, to: 8804 }),
            Is::Size(pb::SizeRange { min: sizes, max: sizes }),
            Is::Size(pb::SizeRange { min: sizes + 1, max: u64::MAX }),
            find(Field::Header, "Subject", "APPLE"),
            find(Field::Header, "date", ""),
            find(Field::Body, "", "body of pear"),
            find(Field::Text, "", "carol@example"),
            find(Field::Text, "", "nowhere"),
            Is::Saved(pb::DayRange { from: day, to: i64::MAX }),
        ],
    )
    .await;
    let expected = ["1:4", "", "1:4", "1:3", "1", "3", "1,3", "1:3", "2", "1:3", "", "1:4"];
    assert_eq!(found, expected);
    assert_eq!(search(store, "2:3", vec![find(Field::Text, "", "apple")]).await, ["3"]);
    assert_eq!(search(store, "", vec![find(Field::Text, "", "apple")]).await, [""]);
}

async fn empty_conditions_are_refused(store: &Store) {
    let mailbox_id = store.status("INBOX").await.unwrap().mailbox_id;
    let conditions = vec![pb::Condition { is: None, required: false }];
    let request =
        pb::SearchRequest { owner: 0, grant: store.alice(), mailbox_id, uids: ranges("1"), conditions };
    assert_eq!(store.client.search(request).await.unwrap_err().code(), Code::InvalidArgument);
}

async fn text_over_several_pages(store: &Store) {
    let some: Vec<_> = (0..600)
        .map(|i| {
            (system(FlagBits::NONE), message(&format!("m{i}{}", if i % 50 == 0 { "needle" } else { "" })))
        })
        .collect();
    store.append_all("INBOX", &some, b"").await.unwrap();
    let found = search(store, "1:600", vec![find(Field::Header, "subject", "needle")]).await;
    let expected: Vec<String> = (0..12).map(|i| (i * 50 + 1).to_string()).collect();
    assert_eq!(found, [expected.join(",")]);
}
