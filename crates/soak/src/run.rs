//! Rounds: all do random things at once, then all are quiet and everything is compared.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use crate::fault::{Checked, Fault, Violation, broken};
use crate::lmtp;
use crate::mutate::{Faults, How};
use crate::pop3;
use crate::quiet;
use crate::session::{Phase, Session};
use crate::stage::{Shape, Stage};

/// Mailboxes that nobody deletes.
pub const STABLE: [&str; 3] = ["INBOX", "soak-a", "soak-b"];
/// Mailboxes that come and go.
pub const VOLATILE: [&str; 3] = ["v0", "v1", "v2"];
/// Steps of a session in a round.
const ROUND_STEPS: u64 = 25;

/// What to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The system under test.
    pub shape: Shape,
    /// IMAP gateways of the cluster.
    pub gateways: usize,
    /// IMAP sessions.
    pub sessions: usize,
    /// How long.
    pub time: Duration,
    /// Where all randomness comes from.
    pub seed: u64,
    /// One step at a time over all sessions.
    pub serial: bool,
    /// What is falsified.
    pub faults: Option<Faults>,
}

/// What happened.
#[derive(Debug, Default)]
pub struct Report {
    /// The invariant that was broken.
    pub violation: Option<Violation>,
    /// Commands, by name.
    pub commands: BTreeMap<String, u64>,
    /// Checks, by invariant.
    pub checks: BTreeMap<&'static str, u64>,
    /// Messages handed in.
    pub messages: usize,
    /// Rounds finished.
    pub rounds: u64,
}

/// Runs the plan. `None` where there is no PostgreSQL or Redis.
///
/// # Errors
/// When the system cannot be started or stopped. A broken invariant is part of the report.
pub async fn run(plan: &Plan) -> Result<Option<Report>> {
    let Some(stage) = Stage::start(plan.shape, plan.gateways, plan.faults.clone(), plan.serial).await? else {
        return Ok(None);
    };
    let mut report = Report::default();
    if let Err(Fault::Broken(violation)) = Box::pin(rounds(plan, &stage, &mut report)).await {
        report.violation = Some(violation);
    }
    {
        let ledger = stage.site.shared.lock();
        report.commands = ledger.commands.clone();
        report.checks = ledger.checks.clone();
        report.messages = ledger.ids();
    }
    stage.stop().await.context("the system does not stop")?;
    Ok(Some(report))
}

async fn rounds(plan: &Plan, stage: &Stage, report: &mut Report) -> Checked {
    let end = Instant::now() + plan.time;
    let mut seeds = fastrand::Rng::with_seed(plan.seed);
    let mut inspector = Session::open(&stage.site, 99, seeds.u64(..)).await?;
    for name in &STABLE[1..] {
        inspector.command(&format!("CREATE {name}"), Phase::Free).await?.expect_ok("CREATE")?;
    }
    let mut sessions = Vec::new();
    for index in 0..plan.sessions {
        sessions.push(Session::open(&stage.site, index, seeds.u64(..)).await?);
    }
    loop {
        sessions = if plan.serial {
            one_at_a_time(stage, sessions, seeds.u64(..)).await?
        } else {
            all_at_once(stage, sessions, seeds.u64(..)).await?
        };
        let dialogue_of = |session: &Session| session.wire.dialogue();
        if let Err(fault) = Box::pin(all_quiet(stage, &mut sessions, &mut inspector)).await {
            return Err(fault.seen_by("the comparison at the end of a round", dialogue_of(&inspector)));
        }
        report.rounds += 1;
        if Instant::now() >= end {
            return Ok(());
        }
    }
}

async fn all_at_once(stage: &Stage, sessions: Vec<Session>, seed: u64) -> Checked<Vec<Session>> {
    let mut tasks: JoinSet<Checked<Option<Session>>> = JoinSet::new();
    let mut seeds = fastrand::Rng::with_seed(seed);
    for mut session in sessions {
        let mut steps = seeds.fork();
        tasks.spawn(async move {
            for _ in 0..ROUND_STEPS {
                session.step(steps.u64(..)).await?;
            }
            Ok(Some(session))
        });
    }
    let (site, mut rng) = (stage.site.clone(), seeds.fork());
    tasks.spawn(async move {
        for _ in 0..2 {
            pop3::visit(&site, &mut rng).await.map_err(|fault| fault.seen_by("POP3", []))?;
        }
        Ok(None)
    });
    let (site, mut rng) = (stage.site.clone(), seeds.fork());
    tasks.spawn(async move {
        for _ in 0..4 {
            lmtp::deliver(&site, &mut rng).await.map_err(|fault| fault.seen_by("LMTP", []))?;
        }
        Ok(None)
    });
    let mut sessions = Vec::new();
    while let Some(done) = tasks.join_next().await {
        match done {
            // The first to fail ends all: dropped tasks are aborted.
            Ok(session) => sessions.extend(session?),
            Err(error) => return broken("reply", format!("the tester itself: {error}")),
        }
    }
    sessions.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(sessions)
}

async fn one_at_a_time(stage: &Stage, mut sessions: Vec<Session>, seed: u64) -> Checked<Vec<Session>> {
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..ROUND_STEPS * sessions.len() as u64 {
        let (turn, step) = (rng.usize(..sessions.len() * 16), rng.u64(..));
        let mut own = fastrand::Rng::with_seed(step);
        if turn == 0 {
            pop3::visit(&stage.site, &mut own).await.map_err(|fault| fault.seen_by("POP3", []))?;
        } else if turn < 4 {
            lmtp::deliver(&stage.site, &mut own).await.map_err(|fault| fault.seen_by("LMTP", []))?;
        } else {
            let index = turn % sessions.len();
            sessions[index].step(step).await?;
        }
    }
    Ok(sessions)
}

async fn all_quiet(stage: &Stage, sessions: &mut [Session], inspector: &mut Session) -> Checked {
    let site = &stage.site;
    if let Some(faults) = &site.faults
        && let How::Sql(_) = faults.mutation.how
    {
        let statement = faults.statement(&site.address, "INBOX").unwrap_or_default();
        match stage.system.falsify(&statement).await {
            Ok(rows) if rows > 0 => faults.count(),
            Ok(_) => {}
            Err(error) => return broken("mutation", format!("{statement}: {error:#}")),
        }
    }
    let truth = match stage.system.truth(&site.address).await {
        Ok(truth) => truth,
        Err(error) => return broken("connection", format!("the database: {error:#}")),
    };
    quiet::tables(site, &truth)?;
    for session in sessions.iter_mut() {
        let settled = match session.settle_down(&truth).await {
            Err(Fault::Ended) => session.restart().await,
            settled => settled,
        };
        let dialogue = session.wire.dialogue();
        settled.map_err(|fault| fault.seen_by(&session.name, dialogue))?;
    }
    for mailbox in quiet::inspected(&truth) {
        inspector.inspect(mailbox).await?;
    }
    quiet::deliveries(site, &truth)?;
    quiet::maildrop(site, &truth).await?;
    match stage.system.fsck().await {
        Ok(findings) if findings.is_empty() => Ok(()),
        Ok(findings) => broken("INV-44", format!("fsck: {findings:?}")),
        Err(error) => broken("connection", format!("fsck: {error:#}")),
    }
}
