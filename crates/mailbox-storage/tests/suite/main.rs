//! One suite for both databases, through the generated client: contract and SQL are tested together.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

/// Makes a test of each function for SQLite and for PostgreSQL. Every test ends with a check of the whole database.
macro_rules! suite {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                let store = crate::fixture::Store::sqlite().await;
                super::$name(&store).await;
                store.end().await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                let store = crate::fixture::Store::postgres().await;
                super::$name(&store).await;
                store.end().await;
            })*
        }
    };
}

mod account;
mod concurrency;
mod content;
mod copy;
mod deliver;
mod fixture;
mod flags;
mod index;
mod mailboxes;
mod names;
mod raise;
mod random;
mod rebuild;
mod replace;
mod search;
mod sharing;
mod sharing_caller;
mod sharing_replace;
mod sharing_rpcs;
mod sort_keys;
mod statistics;
mod sync;
mod upgrade;
