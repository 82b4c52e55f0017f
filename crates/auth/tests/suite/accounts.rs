//! What the command line does.

use auth::{AddressError, AdminError, Alias, PasswordError};
use mail_types::AccountId;

use super::fixture::*;

pub(crate) async fn accounts_are_added_and_found(fixture: Fixture) {
    let admin = &fixture.admin;
    let anna = admin.account_add(ANNA, ANNAS_PASSWORD).await.unwrap();
    let bob = admin.account_add(BOB, BOBS_PASSWORD).await.unwrap();
    assert_ne!(anna, bob);
    let found = admin.find("ANNA@Example.org").await.unwrap();
    assert_eq!((found.id, found.address.as_str(), found.enabled), (anna, ANNA, true));
    assert!(found.created_at > 1_700_000_000);
    let all: Vec<AccountId> =
        admin.account_list().await.unwrap().into_iter().map(|account| account.id).collect();
    assert_eq!(all, [anna, bob]);
    assert_eq!(admin.account_remove(ANNA).await.unwrap(), anna);
    let gone = admin.find(ANNA).await.unwrap_err();
    assert_eq!(gone.to_string(), "there is no account \"Anna@example.org\"");
    assert!(matches!(admin.account_remove(ANNA).await, Err(AdminError::NoAccount(_))));
    assert_eq!(admin.account_list().await.unwrap().len(), 1);
}

pub(crate) async fn an_address_belongs_to_one_account(fixture: Fixture) {
    let fixture = fixture.with_people().await;
    let admin = &fixture.admin;
    for taken in ["anna@EXAMPLE.org", "\"ANNA\"@example.org"] {
        assert!(
            matches!(admin.account_add(taken, "long enough").await, Err(AdminError::Taken(_))),
            "{taken}"
        );
        assert!(matches!(admin.alias_add(BOB, taken).await, Err(AdminError::Taken(_))), "{taken}");
    }
    // A refused account leaves nothing behind.
    assert_eq!(admin.account_list().await.unwrap().len(), 2);
    assert!(matches!(
        admin.account_add("nonsense", "long enough").await,
        Err(AdminError::Address(_, AddressError::Shape))
    ));
}

pub(crate) async fn ids_are_never_used_again(fixture: Fixture) {
    let admin = &fixture.admin;
    let first = admin.account_add(ANNA, ANNAS_PASSWORD).await.unwrap();
    admin.account_remove(ANNA).await.unwrap();
    let second = admin.account_add(ANNA, ANNAS_PASSWORD).await.unwrap();
    assert!(second > first, "{second} after {first}");
}

pub(crate) async fn passwords_are_judged(fixture: Fixture) {
    let admin = &fixture.admin;
    let refused = admin.account_add(ANNA, "short").await.unwrap_err();
    assert_eq!(refused.to_string(), "the password is too short: 8 characters are the least");
    admin.account_add(ANNA, ANNAS_PASSWORD).await.unwrap();
    assert!(matches!(
        admin.set_password(ANNA, "anna@example.org").await,
        Err(AdminError::Password(PasswordError::IsAddress))
    ));
    fixture.login(ANNA, ANNAS_PASSWORD).await.unwrap();
}

pub(crate) async fn aliases_come_and_go(fixture: Fixture) {
    let fixture = fixture.with_people().await;
    let admin = &fixture.admin;
    assert_eq!(admin.alias_list(ANNA).await.unwrap(), []);
    admin.alias_add(ANNA, "Sales@example.org").await.unwrap();
    admin.alias_add("sales@example.org", "@Example.org").await.unwrap();
    let alias = |address: &str| Alias { address: address.to_owned() };
    assert_eq!(admin.alias_list(ANNA).await.unwrap(), [alias("@Example.org"), alias("Sales@example.org")]);
    assert!(matches!(admin.alias_add(BOB, "@example.org").await, Err(AdminError::Taken(_))));
    assert!(matches!(admin.alias_add(ANNA, "a@elsewhere.example").await, Err(AdminError::NotLocal(_))));
    assert!(matches!(admin.alias_add(ANNA, "@elsewhere.example").await, Err(AdminError::NotLocal(_))));
    assert!(matches!(admin.alias_remove(BOB, "sales@example.org").await, Err(AdminError::NoAlias(_))));
    assert!(matches!(admin.alias_remove(ANNA, ANNA).await, Err(AdminError::NoAlias(_))), "its own stays");
    admin.alias_remove(ANNA, "SALES@example.org").await.unwrap();
    admin.alias_remove(ANNA, "@example.org").await.unwrap();
    assert_eq!(admin.alias_list(ANNA).await.unwrap(), []);
    admin.alias_add(ANNA, "sales@example.org").await.unwrap();
    admin.account_remove(ANNA).await.unwrap();
    admin.alias_add(BOB, "sales@example.org").await.unwrap();
}

pub(crate) async fn domains_come_and_go(fixture: Fixture) {
    let admin = &fixture.admin;
    let refused = admin.account_add("anna@bücher.example", ANNAS_PASSWORD).await.unwrap_err();
    assert!(refused.to_string().contains("xn--bcher-kva.example is not local"), "{refused}");
    admin.domain_add("Bücher.example").await.unwrap();
    assert!(matches!(admin.domain_add("xn--bcher-kva.example").await, Err(AdminError::Taken(_))));
    assert!(matches!(admin.domain_add("example.org").await, Err(AdminError::Taken(_))));
    assert!(matches!(admin.domain_add("no domain").await, Err(AdminError::Address(..))));
    assert_eq!(admin.domain_list().await.unwrap(), ["example.org", "xn--bcher-kva.example"]);
    admin.account_add("anna@bücher.example", ANNAS_PASSWORD).await.unwrap();
    fixture.login("anna@xn--bcher-kva.example", ANNAS_PASSWORD).await.unwrap();
    admin.domain_remove("bücher.example").await.unwrap();
    assert!(matches!(admin.domain_remove("bücher.example").await, Err(AdminError::NoDomain(_))));
    assert_eq!(admin.domain_list().await.unwrap(), ["example.org"]);
}

pub(crate) async fn app_passwords_come_and_go(fixture: Fixture) {
    let fixture = fixture.with_people().await;
    let admin = &fixture.admin;
    let (phone, first) = admin.app_password_add(ANNA, "phone").await.unwrap();
    let (tablet, second) = admin.app_password_add(ANNA, "tablet").await.unwrap();
    assert_ne!(first, second);
    assert_eq!(admin.app_password_list(ANNA).await.unwrap(), [phone.clone(), tablet.clone()]);
    assert_eq!(admin.app_password_list(BOB).await.unwrap(), []);
    assert!(matches!(admin.app_password_remove(BOB, phone.id).await, Err(AdminError::NoAppPassword(_))));
    // The account's own password is no app password, whatever its number.
    assert!(matches!(admin.app_password_remove(ANNA, 1).await, Err(AdminError::NoAppPassword(1))));
    admin.app_password_remove(ANNA, phone.id).await.unwrap();
    assert_eq!(admin.app_password_list(ANNA).await.unwrap(), [tablet]);
    for bad in ["", "line\nend", &"x".repeat(101)] {
        assert!(matches!(admin.app_password_add(ANNA, bad).await, Err(AdminError::Label)), "{bad:?}");
    }
}

pub(crate) async fn migrating_twice_changes_nothing(fixture: Fixture) {
    let fixture = fixture.with_people().await;
    fixture.service.migrate().await.unwrap();
    open(&fixture.url, &["example.org"]).await.migrate().await.unwrap();
    fixture.login(ANNA, ANNAS_PASSWORD).await.unwrap();
}
