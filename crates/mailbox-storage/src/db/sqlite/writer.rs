//! The one task that writes. What waits while it commits shares its next transaction, each job under a savepoint of its own.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::Connection;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::error::{DbError, DbResult};

/// Jobs that may wait for the writer; beyond it callers wait for a place.
const QUEUE_JOBS_MAX: usize = 1024;
/// Jobs of one transaction: a bound on how long the first one waits for the others.
const GROUP_JOBS_MAX: usize = 256;
/// How long a group stays open for more once it has begun to run.
const GROUP_TIME_MAX: Duration = Duration::from_millis(50);
/// How long a job that is in no hurry waits for others to share a commit with.
const LATER_WAIT: Duration = Duration::from_millis(50);

/// Does somebody wait for it?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Haste {
    Now,
    /// Yes, but not for the disk: it may be undone by a failure of power.
    Unsynced,
    /// May wait a moment for others, so that it costs no commit of its own.
    Later,
}

/// Runs the work and keeps its result until the commit.
type Work = Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Ran> + Send>;

/// A job that has run but is not committed.
struct Ran {
    /// Its changes are to be kept.
    ok: bool,
    /// Answers; called with the failure of the commit if there was one.
    answer: Box<dyn FnOnce(Option<String>) + Send>,
}

enum Job {
    Write(Haste, Work),
    Migrate(Migrator, oneshot::Sender<Result<(), MigrateError>>),
    Stop(oneshot::Sender<()>),
}

pub(super) struct Writer(mpsc::Sender<Job>);

impl Writer {
    pub(super) fn start(conn: SqliteConnection) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE_JOBS_MAX);
        tokio::spawn(run(conn, receiver));
        Self(sender)
    }

    /// Runs the work inside the next transaction and waits for its commit. Dropping this future changes nothing: the job
    /// is done wholly or, if it was not queued yet, not at all.
    pub(super) async fn run<T, F>(&self, haste: Haste, work: F) -> DbResult<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, DbResult<T>> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel::<DbResult<T>>();
        let work: Work = Box::new(move |conn| {
            let running = work(conn);
            Box::pin(async move {
                let result = running.await;
                Ran {
                    ok: result.is_ok(),
                    answer: Box::new(move |failure| {
                        let result = match failure {
                            Some(failure) if result.is_ok() => Err(DbError::Shared(failure)),
                            _ => result,
                        };
                        // The caller may be gone; the work is done all the same.
                        let _ = sender.send(result);
                    }),
                }
            })
        });
        self.0.send(Job::Write(haste, work)).await.map_err(|_| DbError::Closed)?;
        receiver.await.map_err(|_| DbError::Closed)?
    }

    pub(super) async fn migrate(&self, migrator: Migrator) -> Result<(), MigrateError> {
        let (sender, receiver) = oneshot::channel();
        let closed = || MigrateError::Execute(sqlx::Error::WorkerCrashed);
        self.0.send(Job::Migrate(migrator, sender)).await.map_err(|_| closed())?;
        receiver.await.map_err(|_| closed())?
    }

    /// Waits until everything queued before is committed; nothing is taken afterwards.
    pub(super) async fn stop(&self) {
        let (sender, receiver) = oneshot::channel();
        if self.0.send(Job::Stop(sender)).await.is_ok() {
            let _ = receiver.await;
        }
    }
}

async fn run(conn: SqliteConnection, mut jobs: mpsc::Receiver<Job>) {
    let mut conn = Writing { conn, syncs: true };
    let mut next = jobs.recv().await;
    while let Some(job) = next.take() {
        match job {
            Job::Write(haste, work) => {
                next = group(&mut conn, &mut jobs, haste, work).await;
                if next.is_some() {
                    continue;
                }
            }
            Job::Migrate(migrator, answer) => {
                let _ = answer.send(migrator.run_direct(None, &mut conn.conn, false).await);
            }
            Job::Stop(answer) => {
                jobs.close();
                if let Err(error) = conn.conn.close().await {
                    warn!(%error, "the database was not closed cleanly");
                }
                let _ = answer.send(());
                return;
            }
        }
        next = jobs.recv().await;
    }
}

/// The connection that writes.
struct Writing {
    conn: SqliteConnection,
    /// Its commits wait for the disk. False for longer than one transaction only if that one failed.
    syncs: bool,
}

impl Writing {
    async fn begin(&mut self, syncs: bool) -> Result<(), sqlx::Error> {
        const BEGIN: &str = "BEGIN IMMEDIATE; SAVEPOINT job";
        let sql = match (self.syncs, syncs) {
            (false, true) => format!("PRAGMA synchronous = FULL; {BEGIN}"),
            (_, false) => format!("PRAGMA synchronous = NORMAL; {BEGIN}"),
            (true, true) => BEGIN.to_owned(),
        };
        // Before the attempt: it may fail half-way.
        self.syncs &= syncs;
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut self.conn).await?;
        self.syncs = syncs;
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), sqlx::Error> {
        let sql = if self.syncs { "COMMIT" } else { "COMMIT; PRAGMA synchronous = FULL" };
        sqlx::query(sql).execute(&mut self.conn).await?;
        self.syncs = true;
        Ok(())
    }
}

/// One transaction for this job and those that wait. The job that did not belong into it, if one was met.
async fn group(conn: &mut Writing, jobs: &mut mpsc::Receiver<Job>, haste: Haste, first: Work) -> Option<Job> {
    let (mut waiting, mut left_over) = (vec![first], None);
    let syncs = haste != Haste::Unsynced;
    let mut hurry = haste != Haste::Later;
    let until = Instant::now() + LATER_WAIT;
    while !hurry && left_over.is_none() && waiting.len() < GROUP_JOBS_MAX {
        match timeout_at(until, jobs.recv()).await {
            Ok(Some(Job::Write(haste, work))) => {
                hurry = haste != Haste::Later;
                waiting.push(work);
            }
            Ok(other) => left_over = other,
            Err(_) => break,
        }
        if left_over.is_none() && jobs.is_closed() {
            break;
        }
    }
    let mut ran = Vec::new();
    let result = transaction(conn, syncs, jobs, &mut left_over, waiting, &mut ran).await;
    let failure = result.err().map(|error| {
        warn!(%error, "a transaction failed");
        error.to_string()
    });
    if failure.is_some() {
        // Harmless if the failure has ended the transaction already.
        let _ = sqlx::query("ROLLBACK").execute(&mut conn.conn).await;
    }
    for job in ran {
        (job.answer)(failure.clone());
    }
    left_over
}

async fn transaction(
    conn: &mut Writing,
    syncs: bool,
    jobs: &mut mpsc::Receiver<Job>,
    left_over: &mut Option<Job>,
    waiting: Vec<Work>,
    ran: &mut Vec<Ran>,
) -> Result<(), sqlx::Error> {
    let until = Instant::now() + GROUP_TIME_MAX;
    conn.begin(syncs).await?;
    let mut waiting = waiting.into_iter();
    loop {
        let work = match waiting.next() {
            Some(work) => work,
            None if left_over.is_some() || ran.len() >= GROUP_JOBS_MAX || Instant::now() >= until => break,
            None => match jobs.try_recv() {
                Ok(Job::Write(haste, work)) if syncs || haste == Haste::Unsynced => work,
                Ok(other) => {
                    *left_over = Some(other);
                    break;
                }
                Err(_) => break,
            },
        };
        if !ran.is_empty() {
            sqlx::query("RELEASE job; SAVEPOINT job").execute(&mut conn.conn).await?;
        }
        let job = work(&mut conn.conn).await;
        let ok = job.ok;
        ran.push(job);
        if !ok {
            sqlx::query("ROLLBACK TO job").execute(&mut conn.conn).await?;
        }
    }
    conn.commit().await
}

#[cfg(test)]
mod tests {
    use sqlx::ConnectOptions as _;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

    use super::*;

    /// `PRAGMA synchronous` as a job sees it: 1 NORMAL, 2 FULL.
    async fn seen(writer: &Writer, haste: Haste, fails: bool) -> DbResult<i64> {
        writer
            .run(haste, move |conn| {
                Box::pin(async move {
                    let level = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *conn).await?;
                    if fails {
                        // Ends the transaction under the writer's feet.
                        sqlx::query("ROLLBACK").execute(conn).await?;
                    }
                    Ok(level)
                })
            })
            .await
    }

    #[tokio::test]
    async fn only_what_may_be_lost_is_not_synced() {
        let dir = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(dir.path().join("db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let writer = Writer::start(options.connect().await.unwrap());
        for (haste, level) in [(Haste::Now, 2), (Haste::Unsynced, 1), (Haste::Later, 2), (Haste::Unsynced, 1)]
        {
            assert_eq!(seen(&writer, haste, false).await.unwrap(), level, "{haste:?}");
        }
        // A transaction that fails half-way leaves nothing that the next one has not put right.
        seen(&writer, Haste::Unsynced, true).await.unwrap_err();
        assert_eq!(seen(&writer, Haste::Now, false).await.unwrap(), 2);
        let (unsynced, now) =
            tokio::join!(seen(&writer, Haste::Unsynced, false), seen(&writer, Haste::Now, false));
        assert_eq!((unsynced.unwrap(), now.unwrap()), (1, 2));
    }
}
