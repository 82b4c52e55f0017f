//! Whose mail is mail for this address?

use mail_rpc::Right;
use mail_rpc::pb::resolve_reply::Outcome;

use super::fixture::*;

/// Sharing names people as a login does.
pub(crate) async fn who_logs_in_by_a_name(fixture: Fixture) {
    let fixture = fixture.with_people().await;
    let anna = fixture.admin.find(ANNA).await.unwrap().id.get();
    fixture.admin.alias_add(BOB, "@example.org").await.unwrap();
    let reply = fixture.resolve_exact("ANNA@example.org").await;
    assert_eq!((reply.outcome(), reply.account_id, &*reply.account_address), (Outcome::Account, anna, ANNA));
    assert!(reply.grant.is_empty());
    for nobody in
        ["anna+detail@example.org", "nobody@example.org", "", "@example.org", "anna@elsewhere.example"]
    {
        let reply = fixture.resolve_exact(nobody).await;
        assert_eq!((reply.outcome(), reply.account_id), (Outcome::NoSuchRecipient, 0), "{nobody}");
    }
    fixture.admin.disable(ANNA).await.unwrap();
    assert_eq!(fixture.resolve_exact(ANNA).await.outcome(), Outcome::Disabled);
}

pub(crate) async fn whose_address_it_is(fixture: Fixture) {
    let fixture = fixture.with_people().await;
    let anna = fixture.admin.find(ANNA).await.unwrap().id;
    let reply = fixture.resolve("anna@example.org").await;
    assert_eq!(reply.outcome(), Outcome::Account);
    assert_eq!(
        (reply.account_id, reply.account_address.as_str(), reply.detail.as_str()),
        (anna.get(), ANNA, "")
    );
    // The grant allows adding mail and nothing else.
    let grant = key().check(&reply.grant).unwrap();
    assert_eq!((grant.account, grant.right), (anna, Right::Append));
    assert!(key().demand(&reply.grant, Right::Own).is_err());

    let nobody = fixture.resolve("carol@example.org").await;
    assert_eq!((nobody.outcome(), nobody.grant.len()), (Outcome::NoSuchRecipient, 0));
    assert_eq!(fixture.resolve("anna@elsewhere.example").await.outcome(), Outcome::NotLocal);

    fixture.admin.alias_add(ANNA, "sales@example.org").await.unwrap();
    assert_eq!(fixture.resolve("Sales@example.org").await.account_id, anna.get());
    fixture.admin.disable(ANNA).await.unwrap();
    for address in ["anna@example.org", "sales@example.org"] {
        let reply = fixture.resolve(address).await;
        assert_eq!((reply.outcome(), reply.grant.len()), (Outcome::Disabled, 0));
    }
    fixture.admin.enable(ANNA).await.unwrap();
    assert_eq!(fixture.resolve("anna@example.org").await.outcome(), Outcome::Account);

    fixture.admin.domain_add("second.example").await.unwrap();
    fixture.admin.alias_add(BOB, "bob@second.example").await.unwrap();
    assert_eq!(fixture.resolve("bob@second.example").await.outcome(), Outcome::Account);
    assert_eq!(fixture.resolve("anna@second.example").await.outcome(), Outcome::NoSuchRecipient);
    fixture.admin.domain_remove("second.example").await.unwrap();
    assert_eq!(fixture.resolve("bob@second.example").await.outcome(), Outcome::NotLocal);
}

pub(crate) async fn the_detail_of_a_subaddress(fixture: Fixture) {
    let fixture = fixture.with_people().await;
    let reply = fixture.resolve("anna+Lists.rust@example.org").await;
    assert_eq!((reply.outcome(), reply.detail.as_str()), (Outcome::Account, "Lists.rust"));
    assert_eq!(reply.account_address, ANNA);
    // An address of its own comes first.
    fixture.admin.alias_add(BOB, "anna+bob@example.org").await.unwrap();
    let reply = fixture.resolve("Anna+Bob@example.org").await;
    assert_eq!((reply.account_address.as_str(), reply.detail.as_str()), (BOB, ""));
    assert_eq!(fixture.resolve("carol+x@example.org").await.outcome(), Outcome::NoSuchRecipient);
    // A subaddress receives mail; it is no name to log in with.
    assert!(fixture.login("anna+x@example.org", ANNAS_PASSWORD).await.is_err());
}

pub(crate) async fn a_catch_all_comes_last(fixture: Fixture) {
    let fixture = fixture.with_people().await;
    fixture.admin.alias_add(BOB, "@example.org").await.unwrap();
    for (address, owner) in [
        ("whoever@example.org", BOB),
        ("anna@example.org", ANNA),
        ("anna+x@example.org", ANNA),
        ("whoever+x@example.org", BOB),
    ] {
        assert_eq!(fixture.resolve(address).await.account_address, owner, "{address}");
    }
    assert_eq!(fixture.resolve("whoever+x@example.org").await.detail, "");
    assert_eq!(fixture.resolve("whoever@elsewhere.example").await.outcome(), Outcome::NotLocal);
    assert!(fixture.login("@example.org", BOBS_PASSWORD).await.is_err());
    assert!(fixture.login("whoever@example.org", BOBS_PASSWORD).await.is_err());
}

pub(crate) async fn spellings_and_malformed_addresses(fixture: Fixture) {
    let fixture = fixture.with_people().await;
    fixture.admin.domain_add("bücher.example").await.unwrap();
    fixture.admin.account_add("J\u{f6}rg@bücher.example", "long enough").await.unwrap();
    for same in ["jo\u{308}rg@BÜCHER.example", "JÖRG@xn--bcher-kva.example", "\"jörg\"@bücher.example"] {
        assert_eq!(fixture.resolve(same).await.outcome(), Outcome::Account, "{same}");
    }
    let long = format!("{}@example.org", "x".repeat(65));
    for nobody in
        ["\"\"@example.org", "@example.org", "a b@example.org", "x\0y@example.org", "%u%d@example.org", &long]
    {
        assert_eq!(fixture.resolve(nobody).await.outcome(), Outcome::NoSuchRecipient, "{nobody:?}");
    }
    for foreign in ["", "postmaster", "anna@", "anna@[127.0.0.1]", "anna@example.org\0", "';--", "a@b@c"] {
        assert_eq!(fixture.resolve(foreign).await.outcome(), Outcome::NotLocal, "{foreign:?}");
    }
    assert_eq!(fixture.resolve("\"@bücher.example").await.outcome(), Outcome::NoSuchRecipient);
}
