//! The one connection to Redis: publishes what waits, subscribes to what is wanted, starts again when it breaks.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mail_types::AccountId;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, ProtocolVersion, PushInfo, PushKind, RedisError,
    RedisResult, Value,
};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

use crate::Hint;
use crate::outbox::Outbox;
use crate::payload::{self, Incoming};
use crate::registry::Registry;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A Redis that takes longer to answer is taken for dead.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that broke without a word is noticed within this and [`RESPONSE_TIMEOUT`].
const PING_EVERY: Duration = Duration::from_secs(5);
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// A connection that lived shorter counts as a failure: Redis accepts, then refuses what we ask.
const LIFE_MIN: Duration = Duration::from_secs(5);
/// Commands in one pipeline, and channels in one SUBSCRIBE.
const BATCH: usize = 512;
/// After a reconnection every session looks at its mailboxes; this spreads them out a little.
const PAUSE_BETWEEN_BATCHES: Duration = Duration::from_millis(10);

pub(crate) struct Link {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    client: Client,
    registry: Arc<Registry>,
    outbox: Outbox,
    connected: AtomicBool,
}

impl Link {
    pub(crate) fn start(url: &str, registry: Arc<Registry>) -> RedisResult<Self> {
        let info = url.into_connection_info()?;
        // RESP3 lets one connection publish and be subscribed at once.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.set_redis_settings(settings))?;
        let shared = Arc::new(Shared {
            client,
            registry,
            outbox: Outbox::default(),
            connected: AtomicBool::new(false),
        });
        let task = tokio::spawn(run(shared.clone()));
        Ok(Self { shared, task })
    }

    pub(crate) fn publish(&self, hint: Hint) {
        self.shared.outbox.add(hint);
    }

    /// Waits until all is published.
    pub(crate) async fn flush(&self) {
        self.shared.outbox.emptied().await;
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.shared.connected.load(Ordering::Relaxed)
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.shared.outbox.dropped()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(shared: Arc<Shared>) {
    let mut failures = 0u32;
    loop {
        let started = Instant::now();
        // `serve` ends only with an error.
        let Err(error) = serve(&shared).await;
        if shared.connected.swap(false, Ordering::Relaxed) {
            shared.registry.interrupt();
        }
        failures = if started.elapsed() < LIFE_MIN { failures.saturating_add(1) } else { 0 };
        if failures <= 1 {
            warn!(%error, "Redis is away; hints wait, and sessions find out by re-checking");
        } else {
            debug!(%error, failures, "Redis is still away");
        }
        tokio::time::sleep(backoff(failures)).await;
    }
}

async fn serve(shared: &Shared) -> RedisResult<std::convert::Infallible> {
    let gone = Arc::new(Notify::new());
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_push_sender(receiver(shared.registry.clone(), gone.clone()));
    let mut connection = shared.client.get_multiplexed_async_connection_with_config(&config).await?;
    connection.subscribe(payload::CHANNEL_ALL).await?;
    shared.registry.open();
    shared.connected.store(true, Ordering::Relaxed);
    info!("connected to Redis");
    tokio::select! {
        error = publish(shared, connection.clone()) => error,
        error = subscribe(shared, connection.clone()) => error,
        error = ping(connection) => error,
        () = gone.notified() => Err(RedisError::from((redis::ErrorKind::Io, "the connection was closed"))),
    }
}

/// Called by the connection for everything that Redis pushes, so that no queue can grow between.
fn receiver(
    registry: Arc<Registry>,
    gone: Arc<Notify>,
) -> impl Fn(PushInfo) -> Result<(), std::convert::Infallible> + Send + Sync + 'static {
    move |push| {
        match (push.kind, push.data.as_slice()) {
            (PushKind::Disconnection, _) => gone.notify_one(),
            (PushKind::Message, [Value::BulkString(channel), Value::BulkString(payload)]) => {
                match payload::decode(channel, payload) {
                    Some(Incoming::Hints(hints)) => hints.into_iter().for_each(|hint| registry.wake(hint)),
                    Some(Incoming::Resync) => registry.resync_all(),
                    None => debug!("a hint that cannot be understood was ignored"),
                }
            }
            _ => {}
        }
        Ok(())
    }
}

async fn publish(
    shared: &Shared,
    mut connection: MultiplexedConnection,
) -> RedisResult<std::convert::Infallible> {
    loop {
        let batch = shared.outbox.next().await;
        let mut messages = payload::encode(batch.hints());
        if batch.overflowed() {
            messages.push((payload::CHANNEL_ALL.to_owned(), "resync".to_owned()));
        }
        for messages in messages.chunks(BATCH) {
            let mut pipeline = redis::pipe();
            for (channel, payload) in messages {
                pipeline.cmd("PUBLISH").arg(channel).arg(payload).ignore();
            }
            let () = pipeline.query_async(&mut connection).await?;
        }
        batch.sent();
    }
}

/// Keeps the subscribed channels equal to the accounts that somebody waits for.
async fn subscribe(
    shared: &Shared,
    mut connection: MultiplexedConnection,
) -> RedisResult<std::convert::Infallible> {
    let mut subscribed = HashSet::new();
    loop {
        let mut changed = shared.registry.changes(BATCH).await;
        changed.sort_unstable();
        changed.dedup();
        let full = changed.len() >= BATCH;
        let (wanted, unwanted): (Vec<AccountId>, Vec<AccountId>) =
            changed.into_iter().partition(|account| shared.registry.wants(*account));
        let channels = |accounts: &[AccountId], there: bool| -> Vec<String> {
            let differs = accounts.iter().filter(|account| subscribed.contains(*account) == there);
            differs.map(|account| payload::channel(*account)).collect()
        };
        let (missing, needless) = (channels(&wanted, false), channels(&unwanted, true));
        if !missing.is_empty() {
            connection.subscribe(missing).await?;
        }
        if !needless.is_empty() {
            connection.unsubscribe(needless).await?;
        }
        for account in unwanted {
            subscribed.remove(&account);
        }
        for account in wanted {
            subscribed.insert(account);
            shared.registry.confirm(account);
        }
        if full {
            tokio::time::sleep(PAUSE_BETWEEN_BATCHES).await;
        }
    }
}

async fn ping(mut connection: MultiplexedConnection) -> RedisResult<std::convert::Infallible> {
    loop {
        tokio::time::sleep(PING_EVERY).await;
        let () = redis::cmd("PING").query_async(&mut connection).await?;
    }
}

/// Doubles with each failure; half of it is random, so that the processes of a cluster do not return as one.
fn backoff(failures: u32) -> Duration {
    let longest = BACKOFF_MIN.saturating_mul(1 << failures.min(10)).min(BACKOFF_MAX);
    let random = std::hash::RandomState::new().hash_one(failures) % 1000;
    longest / 2 + longest.mul_f64(random as f64 / 2000.0)
}
