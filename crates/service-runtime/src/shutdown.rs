//! The stop signal: one token everybody listens to, one tracker of what still runs.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long sessions may take to finish after the stop signal. Kubernetes kills after 30 s by
/// default; this leaves time to flush telemetry.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(20);

/// Exit status after a second signal: the usual 128 + SIGINT.
const EXIT_INTERRUPTED: i32 = 130;

/// Shared by all parts of a process; clones are the same signal.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tracker: TaskTracker,
}

impl Shutdown {
    /// One that only [`Shutdown::trigger`] sets off; what tests use.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that SIGTERM or SIGINT sets off; a second signal ends the process at once.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed. Must be called inside a tokio runtime.
    pub fn on_signals() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = Self::new();
        let token = shutdown.token.clone();
        tokio::spawn(async move {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            tracing::info!(signal = name, "Stopping; a second signal stops at once");
            token.cancel();
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(EXIT_INTERRUPTED);
        });
        Ok(shutdown)
    }

    /// Starts the stop.
    pub fn trigger(&self) {
        self.token.cancel();
    }

    /// True once the stop has begun.
    pub fn is_triggered(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Returns when the stop begins; at once if it has. Cancel-safe.
    pub async fn wait(&self) {
        self.token.cancelled().await;
    }

    /// The token, for libraries that want one.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// The tasks that [`Shutdown::drain`] waits for.
    pub fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }

    /// Runs a task that [`Shutdown::drain`] waits for.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(future)
    }

    /// Waits for the stop, then for the tracked tasks, at most [`DRAIN_DEADLINE`]. True: all ended.
    pub async fn drain(&self) -> bool {
        self.wait().await;
        self.tracker.close();
        tokio::time::timeout(DRAIN_DEADLINE, self.tracker.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn drain_waits_for_tracked_tasks() {
        let shutdown = Shutdown::new();
        let other = shutdown.clone();
        let task = shutdown.spawn(async move {
            other.wait().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        });
        assert!(!shutdown.is_triggered());
        shutdown.trigger();
        assert!(shutdown.drain().await);
        assert!(task.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn drain_gives_up_at_the_deadline() {
        let shutdown = Shutdown::new();
        shutdown.spawn(std::future::pending::<()>());
        shutdown.trigger();
        assert!(!shutdown.drain().await);
    }
}
