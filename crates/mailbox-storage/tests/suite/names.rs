//! Names of mailboxes from before all were brought to Normalization Form C.

use mail_rpc::pb;
use mail_types::FlagBits;
use mailbox_storage::Renamed;

use crate::fixture::*;

suite! {
    what_nobody_finds_is_found_and_renamed,
}

/// `Cafe`, with the accent as a character of its own.
const OLD: &str = "Cafe\u{301}";
const NEW: &str = "Caf\u{e9}";

async fn what_nobody_finds_is_found_and_renamed(store: &Store) {
    for name in ["plain", "plain/sub", "lone"] {
        store.create(name).await.unwrap();
    }
    store.create(NEW).await.unwrap();
    store.append("plain", FlagBits::NONE, &message("kept")).await;
    store.subscribe("plain", true).await;
    store.subscribe("ghost", true).await;
    store
        .sql(
            "UPDATE mailbox SET name = 'Cafe\u{301}' || substr(name, 6) WHERE name LIKE 'plain%';
             UPDATE mailbox SET name = 'u\u{308}ber' WHERE name = 'lone';
             UPDATE subscription_ghost SET name = 'o\u{308}de' WHERE name = 'ghost';",
        )
        .await;
    assert!(store.status(OLD).await.is_ok_and(|state| state.exists == 0), "it is the other one's name");
    let report = store.storage.fsck(None).await.unwrap();
    let findings: Vec<&str> = report.findings.iter().map(|finding| finding.what.as_str()).collect();
    assert_eq!(findings.len(), 4, "{findings:?}");
    assert!(findings.iter().all(|what| what.contains("todoku fsck --repair")), "{findings:?}");

    let mut renamed = Vec::new();
    store.storage.repair_names(Some(ALICE), |one| renamed.push(one)).await.unwrap();
    let one = |from: &str, to: &str| Renamed { account: ALICE, from: from.into(), to: to.into() };
    let expected =
        [one(OLD, "Caf\u{e9} 2"), one("Cafe\u{301}/sub", "Caf\u{e9} 2/sub"), one("u\u{308}ber", "\u{fc}ber")];
    assert_eq!(renamed, expected);
    assert_eq!(store.storage.fsck(None).await.unwrap().findings, []);
    let state = store.status("Caf\u{e9} 2").await.unwrap();
    assert_eq!((state.exists, state.subscribed), (1, true));
    store.status("Caf\u{e9} 2/sub").await.unwrap();
    store.status("\u{fc}ber").await.unwrap();
    let list = store.client.list(pb::ListRequest { grant: store.alice() }).await.unwrap();
    assert_eq!(list.ghost_subscriptions, ["\u{f6}de"]);
    // All is well already.
    store.storage.repair_names(None, |one| panic!("{one:?}")).await.unwrap();
}
