//! Hints within one process.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use mail_types::{AccountId, MailboxId, ModSeq};
use mailbox_hints::{Hint, Hints, Subscription, Wake};
use tokio::time::timeout;

fn account(id: u64) -> AccountId {
    AccountId::new(id)
}

fn hint(account: u64, mailbox: u64, modseq: u64) -> Hint {
    Hint {
        account: AccountId::new(account),
        mailbox: MailboxId::new(mailbox),
        modseq: ModSeq::new(modseq),
        trace: None,
    }
}

fn wake(mailbox: u64, modseq: u64) -> Wake {
    Wake::Mailbox { mailbox: MailboxId::new(mailbox), modseq: ModSeq::new(modseq), trace: None }
}

async fn silent(subscription: &mut Subscription) -> bool {
    timeout(Duration::from_millis(20), subscription.changed()).await.is_err()
}

#[tokio::test]
async fn only_the_subscribers_of_the_account_are_woken() {
    let hints = Hints::in_process();
    let mut one = hints.subscribe(account(1)).await;
    let mut again = hints.subscribe(account(1)).await;
    let mut two = hints.subscribe(account(2)).await;
    hints.publish([hint(1, 5, 9)]);
    assert_eq!(one.changed().await, wake(5, 9));
    assert_eq!(again.changed().await, wake(5, 9));
    assert!(silent(&mut two).await);
    assert!(silent(&mut one).await, "one hint wakes once");
    drop(again);
    hints.publish([hint(1, 5, 10)]);
    assert_eq!(one.changed().await, wake(5, 10));
}

#[tokio::test]
async fn hints_of_a_mailbox_coalesce_into_the_latest() {
    let hints = Hints::in_process();
    let mut subscription = hints.subscribe(account(1)).await;
    hints.publish([hint(1, 5, 9), hint(1, 0, 3), hint(1, 5, 12), hint(1, 5, 11)]);
    assert_eq!(subscription.changed().await, wake(5, 12));
    assert_eq!(subscription.changed().await, wake(0, 3));
    assert!(silent(&mut subscription).await);
}

#[tokio::test]
async fn a_wait_that_was_given_up_loses_nothing() {
    let hints = Hints::in_process();
    let mut subscription = hints.subscribe(account(1)).await;
    for modseq in 1..200 {
        let publisher = hints.clone();
        let publish = tokio::spawn(async move { publisher.publish([hint(1, 5, modseq)]) });
        let mut last = None;
        while last != Some(wake(5, modseq)) {
            tokio::select! {
                biased;
                () = tokio::task::yield_now() => {}
                wake = subscription.changed() => last = Some(wake),
            }
        }
        publish.await.unwrap();
    }
}

#[tokio::test]
async fn too_many_mailboxes_become_one_resync() {
    let hints = Hints::in_process();
    let mut subscription = hints.subscribe(account(1)).await;
    hints.publish((1..=64).map(|mailbox| hint(1, mailbox, 1)));
    assert_eq!(subscription.changed().await, wake(1, 1), "64 are within the limit");
    hints.publish([hint(1, 65, 1), hint(1, 66, 1)]);
    assert_eq!(subscription.changed().await, Wake::Resync);
    assert!(silent(&mut subscription).await);
    hints.publish([hint(1, 66, 2)]);
    assert_eq!(subscription.changed().await, wake(66, 2), "it goes on after a resync");
}

#[tokio::test]
async fn a_slow_subscriber_ends_at_the_last_number() {
    let hints = Hints::in_process();
    let mut subscription = hints.subscribe(account(1)).await;
    for modseq in 1..=1000 {
        hints.publish([hint(1, 5, modseq)]);
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(subscription.changed().await, wake(5, 1000));
    assert!(silent(&mut subscription).await);
}

#[tokio::test]
async fn none_is_silent_and_says_so() {
    let hints = Hints::none();
    assert!(!hints.healthy());
    let mut subscription = hints.subscribe(account(1)).await;
    hints.publish([hint(1, 5, 9)]);
    assert!(silent(&mut subscription).await);
    assert!(Hints::in_process().healthy());
}

/// An idle phone costs kilobytes; its subscription must be a small part of them.
#[tokio::test]
async fn a_subscription_is_small() {
    const COUNT: u64 = 100_000;
    const BYTES_MAX: u64 = 1024;
    let hints = Hints::in_process();
    let before = resident_bytes();
    let mut all = Vec::new();
    for id in 0..COUNT {
        all.push(hints.subscribe(account(id)).await);
    }
    let each = (resident_bytes() - before) / COUNT;
    println!("{each} bytes per subscription");
    assert!(each < BYTES_MAX, "{each} bytes per subscription");
}

fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
