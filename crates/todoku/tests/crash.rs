//! Fault tests with real processes: what was acknowledged is there, once, whatever is killed and whenever.
//!
//! The moments are chosen by chance. A failed run prints its seed; `TODOKU_TEST_SEED` repeats the moments, though not
//! what the processes were doing at them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use support::database::{Database, variable};
use support::imap::Imap;
use support::ledger::{Held, Ledger, message};
use support::lmtp::Lmtp;
use support::process::{self, add_account, free_address};
use support::random::Random;
use support::redis::Redis;
use support::site::Site;

mod support;

/// How often `todoku all` is killed.
const KILLS: usize = 6;

/// A push through Redis, across gateways.
const PUSH_MAX: Duration = Duration::from_secs(2);

/// A push without Redis: the batched re-check.
const RECHECK_MAX: Duration = Duration::from_secs(30);

/// Deliveries after which a push must be quick again when Redis is back.
const PUSHES_MAX: usize = 10;

#[test]
fn one_process_on_sqlite_keeps_its_word() -> Result<()> {
    let mut random = Random::announced();
    let dir = tempfile::tempdir()?;
    let mut site = Site::single(dir.path())?;
    let accounts = [add_account("ann", &site.settings)?, add_account("bob", &site.settings)?];
    let validities = site.validities(&accounts)?;

    let ledger = site.torment(&[0; KILLS], &accounts, &mut random, || Ok(()))?;

    ensure!(ledger.doubts() > 0, "no kill hit a delivery: nothing was tested");
    site.reckon(&accounts, &ledger)?;
    ensure!(site.validities(&accounts)? == validities, "UIDVALIDITY has changed");
    site.processes[0].kill()?;
    process::run("fsck", &site.settings, "")?;
    // The check itself had to recover from the last kill; afterwards everything is still there.
    site.processes[0].restart()?;
    site.reckon(&accounts, &ledger)
}

#[test]
fn the_cluster_keeps_its_word() -> Result<()> {
    let mut random = Random::announced();
    let database = Database::create()?;
    let dir = tempfile::tempdir()?;
    let mut site = Site::cluster(dir.path(), &database.url, &variable("TODOKU_TEST_REDIS")?, 2)?;
    let accounts = [add_account("ann", &site.settings)?, add_account("bob", &site.settings)?];
    let validities = site.validities(&accounts)?;

    let mut victims: Vec<usize> = (0..site.processes.len()).collect();
    random.shuffle(&mut victims);
    let names: Vec<&str> = victims.iter().map(|&victim| site.processes[victim].name.as_str()).collect();
    println!("killed in this order: {}", names.join(", "));
    let ledger = site.torment(&victims, &accounts, &mut random, || database.cut_connections())?;

    ensure!(ledger.doubts() > 0, "no kill hit a delivery: nothing was tested");
    ensure!(site.validities(&accounts)? == validities, "UIDVALIDITY has changed");
    site.reckon(&accounts, &ledger)?;
    process::run("fsck", &site.settings, "")?;
    let mut idler = Imap::login(&site.imap[0], &accounts[0])?;
    idler.select()?;
    idler.idle()?;
    Lmtp::connect(&site.lmtp[1])?.deliver(&accounts[0], &message("push", &mut random))?;
    idler.hears_exists(1, PUSH_MAX)?;
    idler.done()
}

#[test]
fn without_redis_pushes_come_later_and_nothing_fails() -> Result<()> {
    let mut random = Random::announced();
    let database = Database::create()?;
    let mut redis = Redis::start(free_address()?)?;
    let dir = tempfile::tempdir()?;
    let site = Site::cluster(dir.path(), &database.url, &redis.url(), 1)?;
    let account = add_account("ann", &site.settings)?;
    let mut idler = Imap::login(&site.imap[0], &account)?;
    idler.select()?;
    idler.idle()?;
    let mut other = Imap::login(&site.imap[0], &account)?;
    other.select()?;
    let mut lmtp = Lmtp::connect(&site.lmtp[0])?;
    let mut push = |name: &str, number, most| {
        lmtp.deliver(&account, &message(name, &mut random))?;
        idler.hears_exists(number, most).with_context(|| name.to_owned())
    };

    push("with Redis", 1, PUSH_MAX)?;
    redis.kill();
    let took = push("without Redis", 2, RECHECK_MAX)?;
    println!("without Redis a push took {took:?}");
    for command in ["NOOP", "STORE 1 +FLAGS (\\Seen)", "UID FETCH 1:* (FLAGS)", "CREATE a", "COPY 1 a"] {
        other.command(command)?;
    }
    other.append(b"Subject: appended\r\n\r\nwithout Redis\r\n")?;
    let mut late = Imap::login(&site.imap[0], &account)?;
    late.select()?;
    ensure!(late.fetch_all()?.len() == 3, "a new session sees less than everything");

    redis.restart()?;
    let mut recovered = false;
    for number in 4..4 + PUSHES_MAX {
        recovered = recovered || push("with Redis again", number, RECHECK_MAX)? < PUSH_MAX;
    }
    ensure!(recovered, "pushes stay slow after Redis has come back");
    Ok(())
}

/// The reckoning that the other tests rely on.
#[test]
fn the_ledger_notices_loss_doubles_and_damage() {
    let (ledger, mut random) = (Ledger::default(), Random::new(1));
    let messages: Vec<Vec<u8>> = ["one", "two", "three"].map(|id| message(id, &mut random)).to_vec();
    for (id, octets) in ["one", "two", "three"].iter().zip(&messages) {
        ledger.sent("ann", id, octets);
    }
    ledger.accepted("ann", "one");
    ledger.accepted("ann", "two");
    let trace = b"Return-Path: <a@b>\r\nReceived: from c\r\n\tby d\r\n".to_vec();
    let held = |numbers: &[(u32, usize)]| -> Vec<Held> {
        let held =
            |&(uid, number): &(u32, usize)| Held { uid, octets: [&trace[..], &messages[number]].concat() };
        numbers.iter().map(held).collect()
    };
    let findings = |held: &[Held]| ledger.findings("ann", held).join("; ");

    assert_eq!(findings(&held(&[(1, 0), (2, 1)])), "");
    assert_eq!(findings(&held(&[(1, 0), (2, 1), (3, 2)])), "", "what was not accepted may be there");
    assert_eq!(findings(&held(&[(1, 0)])), "ann: two was accepted and is lost");
    assert_eq!(findings(&held(&[(1, 0), (2, 1), (3, 0)])), "ann: one is there 2 times");
    assert_eq!(findings(&held(&[(2, 0), (1, 1)])), "ann: UIDs do not ascend");
    let mut damaged = held(&[(1, 0), (2, 1)]);
    damaged[1].octets.push(b'!');
    assert_eq!(findings(&damaged), "ann: two has other octets than were sent");
    let stranger = Held { uid: 9, octets: message("four", &mut random) };
    let with_stranger: Vec<Held> = held(&[(1, 0), (2, 1)]).into_iter().chain([stranger]).collect();
    assert_eq!(findings(&with_stranger), "ann: \"four\" was never sent");
}
