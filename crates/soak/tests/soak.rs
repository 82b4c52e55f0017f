//! The tester for a few seconds on both shapes; and that it bites.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use soak::Shape;
use soak::mutate::Faults;
use soak::run::{Plan, run};

fn plan(shape: Shape, seed: u64, seconds: u64) -> Plan {
    Plan {
        shape,
        gateways: 3,
        sessions: 6,
        time: Duration::from_secs(seconds),
        seed,
        serial: false,
        faults: None,
    }
}

async fn clean(plan: Plan) {
    println!("--shape {:?} --seed {}{}", plan.shape, plan.seed, if plan.serial { " --serial" } else { "" });
    match run(&plan).await.unwrap() {
        Some(report) => {
            if let Some(violation) = report.violation {
                panic!("--seed {}: {violation}", plan.seed);
            }
            assert!(report.checks.values().sum::<u64>() > 500, "{:?}", report.checks);
        }
        None => without_services(),
    }
}

/// Where continuous integration runs, a skipped test is a failed one.
fn without_services() {
    assert!(std::env::var_os("CI").is_none(), "cargo xtask test starts PostgreSQL and Redis");
    println!("SKIPPED: needs PostgreSQL and Redis; cargo xtask test starts them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    clean(plan(Shape::Sqlite, 1, 3)).await;
    clean(plan(Shape::Sqlite, fastrand::u64(..), 3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster() {
    clean(plan(Shape::Cluster, 2, 3)).await;
    clean(plan(Shape::Cluster, fastrand::u64(..), 3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_step_at_a_time() {
    clean(Plan { serial: true, ..plan(Shape::Sqlite, fastrand::u64(..), 3) }).await;
}

/// A handful; `cargo xtask soak --mutations` runs all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_bites() {
    for name in ["exists-dropped", "modseq-low", "octet-changed", "status-stale", "counter-unseen"] {
        let faults = Faults::named(name).unwrap();
        let plan = Plan { faults: Some(faults.clone()), ..plan(Shape::Sqlite, 3, 20) };
        let report = run(&plan).await.unwrap().unwrap();
        assert!(faults.fired() > 0, "{name} was not made");
        assert!(report.violation.is_some(), "{name} was not noticed");
    }
}
