//! What waits together commits together: insertions gather while the group before them commits.
//!
//! A lane runs one group at a time. All insertions of an account go through one lane, so lanes never wait for each other's
//! locks within one process.

use std::sync::Arc;
use std::time::Instant;

use mail_types::AccountId;
use service_runtime::metrics;
use tokio::sync::{mpsc, oneshot};

use crate::db::{Db, InsertItem, Inserted};
use crate::error::{DbError, DbResult};
use crate::index::Index;

/// Items of one group. A group is as many as came while the one before was committing.
const GROUP_ITEMS_MAX: usize = 64;
/// Stored octets of one group: a bound on how long its locks are held.
const GROUP_BYTES_MAX: usize = 4 << 20;
/// Items that may wait in a lane; beyond it callers wait for a place.
const LANE_ITEMS_MAX: usize = 256;

type Waiting = (Arc<InsertItem>, oneshot::Sender<DbResult<Inserted>>);

#[derive(Clone)]
pub(crate) struct Committer {
    lanes: Arc<[mpsc::Sender<Waiting>]>,
}

impl Committer {
    /// Starts the lanes; they end when the last clone is dropped.
    pub(crate) fn start(db: &Arc<dyn Db>, index: &Arc<Index>) -> Self {
        let lane = |_| {
            let (sender, receiver) = mpsc::channel(LANE_ITEMS_MAX);
            tokio::spawn(run(Arc::clone(db), Arc::clone(index), receiver));
            sender
        };
        Self { lanes: (0..db.insert_lanes()).map(lane).collect() }
    }

    /// Adds messages and waits for the commit. Dropping this future changes nothing: it is done wholly or, if it was not
    /// queued yet, not at all.
    pub(crate) async fn insert(&self, item: InsertItem) -> DbResult<Inserted> {
        let (sender, receiver) = oneshot::channel();
        self.lane(item.account).send((Arc::new(item), sender)).await.map_err(|_| DbError::Closed)?;
        receiver.await.map_err(|_| DbError::Closed)?
    }

    fn lane(&self, account: AccountId) -> &mpsc::Sender<Waiting> {
        &self.lanes[(account.get() % self.lanes.len() as u64) as usize]
    }
}

async fn run(db: Arc<dyn Db>, index: Arc<Index>, mut queue: mpsc::Receiver<Waiting>) {
    while let Some(first) = queue.recv().await {
        let mut bytes = weight(&first);
        let mut group = vec![first];
        while group.len() < GROUP_ITEMS_MAX && bytes < GROUP_BYTES_MAX {
            let Ok(next) = queue.try_recv() else { break };
            bytes += weight(&next);
            group.push(next);
        }
        for item in group.iter().map(|(item, _)| item) {
            index.added(item.account, item.messages.len() as u32);
        }
        commit(&db, group).await;
    }
}

fn weight((item, _): &Waiting) -> usize {
    item.messages.iter().map(|new| if new.staged.is_some() { 0 } else { new.message.stored_bytes() }).sum()
}

async fn commit(db: &Arc<dyn Db>, group: Vec<Waiting>) {
    let begun = Instant::now();
    let outcomes = db.insert(group.iter().map(|(item, _)| Arc::clone(item)).collect()).await;
    metrics().commit(group.len(), begun.elapsed());
    match outcomes {
        Ok(outcomes) if outcomes.len() == group.len() => {
            for ((_, answer), outcome) in group.into_iter().zip(outcomes) {
                let _ = answer.send(Ok(outcome));
            }
        }
        Ok(_) => {
            for (_, answer) in group {
                let _ = answer.send(Err(DbError::Damaged("outcomes are missing".into())));
            }
        }
        Err(error) => alone(db, group, error).await,
    }
}

/// The group failed. What certainly was not committed is tried once more, each alone, so that one bad item fails alone.
async fn alone(db: &Arc<dyn Db>, group: Vec<Waiting>, error: DbError) {
    let again = group.len() > 1;
    let unknown = error.is_unknown();
    let mut error = Some(error);
    for (item, answer) in group {
        // With a key the second try finds what the first one did.
        let result = if again && (!unknown || item.key.is_some()) {
            db.insert(vec![item]).await.and_then(|outcomes| {
                outcomes.into_iter().next().ok_or_else(|| DbError::Damaged("no outcome".into()))
            })
        } else {
            Err(error.take().unwrap_or_else(|| DbError::Shared("the group's transaction failed".into())))
        };
        let _ = answer.send(result);
    }
}
