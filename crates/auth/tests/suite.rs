//! One suite for both databases: what auth promises, from outside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod suite {
    pub(crate) mod accounts;
    pub(crate) mod fixture;
    pub(crate) mod logins;
    pub(crate) mod recipients;
}

/// Runs every test on SQLite and on PostgreSQL.
macro_rules! on_both {
    ($($module:ident: $($name:ident)*;)*) => {
        mod sqlite {
            $($(#[tokio::test]
            async fn $name() {
                crate::suite::$module::$name(crate::suite::fixture::Fixture::sqlite().await).await;
            })*)*
        }
        mod postgres {
            $($(#[tokio::test]
            async fn $name() {
                let fixture = crate::suite::fixture::Fixture::postgres().await;
                let database = fixture.database.clone();
                crate::suite::$module::$name(fixture).await;
                database.expect("of PostgreSQL").remove().await;
            })*)*
        }
    };
}

on_both! {
    accounts:
        accounts_are_added_and_found
        an_address_belongs_to_one_account
        ids_are_never_used_again
        passwords_are_judged
        aliases_come_and_go
        domains_come_and_go
        app_passwords_come_and_go
        migrating_twice_changes_nothing;
    logins:
        the_right_password_gives_a_grant
        what_is_wrong_is_not_told_apart
        strange_names_are_nobody
        by_alias_and_by_local_part
        a_local_part_alone_needs_one_domain
        nobody_acts_as_somebody_else
        a_changed_password_counts_at_once_in_every_process
        a_disabled_account_is_out_at_once
        an_app_password_works_until_removed
        an_unknown_user_costs_as_much_as_a_wrong_password
        the_cache_never_crosses_users
        guessing_becomes_slow_and_others_do_not_suffer
        a_grant_is_renewed
        logins_work_through_the_generated_client;
    recipients:
        whose_address_it_is
        who_logs_in_by_a_name
        the_detail_of_a_subaddress
        a_catch_all_comes_last
        spellings_and_malformed_addresses;
}

#[tokio::test]
async fn a_database_that_is_away_is_not_a_wrong_password() {
    suite::logins::a_database_that_is_away_is_not_a_wrong_password().await;
}

#[tokio::test]
async fn dead_connections_are_no_trouble() {
    suite::logins::dead_connections_are_no_trouble().await;
}
