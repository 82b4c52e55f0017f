//! Every conformance script against both shapes of the system: one process on SQLite; a cluster on PostgreSQL and Redis.
//!
//! A test is a folder of scripts, so that names are short and systems few. A failure tells file, line and dialogue of each script.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use test_harness::script::{Verdict, find, run_files};
use test_harness::system::System;

/// Scripts side by side; each waits more than it works.
const AT_ONCE: usize = 8;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance")
}

async fn run(system: System, folder: &str) {
    let files = find(&root().join(folder), "").unwrap();
    assert!(!files.is_empty(), "no scripts in {folder}");
    let accounts = system.accounts(files.len()).await.unwrap();
    let verdicts = run_files(&files, &system.subject, AT_ONCE, |n| accounts[n].clone()).await.unwrap();
    system.stop().await.unwrap();
    let failures: Vec<String> = verdicts.iter().filter_map(failure).collect();
    assert!(
        failures.is_empty(),
        "{} of {} scripts failed\n{}",
        failures.len(),
        files.len(),
        failures.join("\n")
    );
}

fn failure(verdict: &Verdict) -> Option<String> {
    verdict.result.as_ref().err().map(|error| format!("\n=== {error:#}"))
}

macro_rules! folders {
    ($($name:ident: $folder:literal,)*) => {
        const FOLDERS: &[&str] = &[$($folder),*];

        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::run(super::System::sqlite().await.unwrap(), $folder).await;
            })*
        }

        mod cluster {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                match super::System::cluster().await.unwrap() {
                    Some(system) => super::run(system, $folder).await,
                    None => super::without_services(),
                }
            })*
        }
    };
}

/// Where continuous integration runs, a skipped test is a failed one.
fn without_services() {
    assert!(std::env::var_os("CI").is_none(), "cargo xtask test starts PostgreSQL and Redis");
    println!("SKIPPED: needs PostgreSQL and Redis; cargo xtask test starts them");
}

folders! {
    journeys: "journeys",
    rfc1870: "rfc1870",
    rfc1939_3_syntax: "rfc1939/3-syntax",
    rfc1939_4_authorization: "rfc1939/4-authorization",
    rfc1939_5_transaction: "rfc1939/5-transaction",
    rfc1939_6_update: "rfc1939/6-update",
    rfc1939_7_top: "rfc1939/7-top",
    rfc1939_7_uidl: "rfc1939/7-uidl",
    rfc2033: "rfc2033",
    rfc2342: "rfc2342",
    rfc2449: "rfc2449",
    rfc2971: "rfc2971",
    rfc3030: "rfc3030",
    rfc3501: "rfc3501",
    rfc3516: "rfc3516",
    rfc4314: "rfc4314",
    rfc4315: "rfc4315",
    rfc4467: "rfc4467",
    rfc4469: "rfc4469",
    rfc4731: "rfc4731",
    rfc4978: "rfc4978",
    rfc5032: "rfc5032",
    rfc5034: "rfc5034",
    rfc5182: "rfc5182",
    rfc5255: "rfc5255",
    rfc5256: "rfc5256",
    rfc5267: "rfc5267",
    rfc5321: "rfc5321",
    rfc5464: "rfc5464",
    rfc5465: "rfc5465",
    rfc5550: "rfc5550",
    rfc5957: "rfc5957",
    rfc6203: "rfc6203",
    rfc6531: "rfc6531",
    rfc6851: "rfc6851",
    rfc6855: "rfc6855",
    rfc7162: "rfc7162",
    rfc7888: "rfc7888",
    rfc8437: "rfc8437",
    rfc7377: "rfc7377",
    rfc8440: "rfc8440",
    rfc8474: "rfc8474",
    rfc8508: "rfc8508",
    rfc8514: "rfc8514",
    rfc8970: "rfc8970",
    rfc9051_3_states: "rfc9051/3-states",
    rfc9051_5_1_names: "rfc9051/5.1-names",
    rfc9051_5_5_pipelining: "rfc9051/5.5-pipelining",
    rfc9051_5_5_races: "rfc9051/5.5-races",
    rfc9051_6_1_1_capability: "rfc9051/6.1.1-capability",
    rfc9051_6_1_2_noop: "rfc9051/6.1.2-noop",
    rfc9051_6_1_3_logout: "rfc9051/6.1.3-logout",
    rfc9051_6_2_1_starttls: "rfc9051/6.2.1-starttls",
    rfc9051_6_2_2_authenticate: "rfc9051/6.2.2-authenticate",
    rfc9051_6_2_3_login: "rfc9051/6.2.3-login",
    rfc9051_6_3_1_enable: "rfc9051/6.3.1-enable",
    rfc9051_6_3_11_status: "rfc9051/6.3.11-status",
    rfc9051_6_3_12_append: "rfc9051/6.3.12-append",
    rfc9051_6_3_13_idle: "rfc9051/6.3.13-idle",
    rfc9051_6_3_2_select: "rfc9051/6.3.2-select",
    rfc9051_6_3_3_examine: "rfc9051/6.3.3-examine",
    rfc9051_6_3_4_create: "rfc9051/6.3.4-create",
    rfc9051_6_3_5_delete: "rfc9051/6.3.5-delete",
    rfc9051_6_3_6_rename: "rfc9051/6.3.6-rename",
    rfc9051_6_3_7_subscribe: "rfc9051/6.3.7-subscribe",
    rfc9051_6_3_9_list: "rfc9051/6.3.9-list",
    rfc9051_6_3_9_7_oldname: "rfc9051/6.3.9.7-oldname",
    rfc9051_6_4_1_close: "rfc9051/6.4.1-close",
    rfc9051_6_4_2_unselect: "rfc9051/6.4.2-unselect",
    rfc9051_6_4_3_expunge: "rfc9051/6.4.3-expunge",
    rfc9051_6_4_4_search: "rfc9051/6.4.4-search",
    rfc9051_6_4_5_fetch: "rfc9051/6.4.5-fetch",
    rfc9051_6_4_6_store: "rfc9051/6.4.6-store",
    rfc9051_6_4_7_copy: "rfc9051/6.4.7-copy",
    rfc9051_7_1_check: "rfc9051/7.1-check",
    rfc9051_7_1_greeting: "rfc9051/7.1-greeting",
    rfc9051_7_5_2_fetch: "rfc9051/7.5.2-fetch",
    rfc9051_9_syntax: "rfc9051/9-syntax",
    rfc9051_e_rev2: "rfc9051/E-rev2",
    rfc9208: "rfc9208",
    rfc9394: "rfc9394",
    rfc10022: "rfc10022",
    rfc9585: "rfc9585",
    rfc9586: "rfc9586",
    rfc9590: "rfc9590",
}

#[test]
fn every_script_belongs_to_a_test() {
    let mut missing = BTreeSet::new();
    for path in find(&root(), "").unwrap() {
        let path = path.strip_prefix(root()).unwrap().to_path_buf();
        if !FOLDERS.iter().any(|folder| path.starts_with(folder)) {
            missing.insert(path);
        }
    }
    assert!(missing.is_empty(), "add their folders to the list: {missing:?}");
}
