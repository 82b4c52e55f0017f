//! `/healthz`, `/readyz` and `/metrics`.

use std::fmt::Write;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use tokio::net::TcpListener;

use crate::metrics::{CONTENT_TYPE, metrics};
use crate::shutdown::Shutdown;

/// A check that takes longer counts as failed; probes give up after a second or a few.
const CHECK_DEADLINE: Duration = Duration::from_secs(2);

type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Whether this process wants work: named checks, and false for good once draining. Clones share.
#[derive(Clone, Default)]
pub struct Readiness {
    inner: Arc<ReadinessInner>,
}

#[derive(Default)]
struct ReadinessInner {
    checks: Mutex<Vec<(&'static str, Check)>>,
    draining: AtomicBool,
}

impl Readiness {
    /// Without checks: ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check, such as a ping of the database; its error says what is wrong.
    pub fn check<F, R>(&self, name: &'static str, check: F)
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), String>> + Send + 'static,
    {
        let check: Check = Arc::new(move || check().boxed());
        self.inner.checks.lock().unwrap_or_else(PoisonError::into_inner).push((name, check));
    }

    /// From now on never ready again, so that load balancers turn away.
    pub fn drain(&self) {
        self.inner.draining.store(true, Ordering::Relaxed);
    }

    /// Why this process is not ready, as `name: reason`; empty: ready.
    pub async fn problems(&self) -> Vec<String> {
        if self.inner.draining.load(Ordering::Relaxed) {
            return vec!["draining".to_owned()];
        }
        let checks = self.inner.checks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let run = |(name, check): (&'static str, Check)| async move {
            match tokio::time::timeout(CHECK_DEADLINE, check()).await {
                Ok(Ok(())) => None,
                Ok(Err(reason)) => Some(format!("{name}: {reason}")),
                Err(_) => Some(format!("{name}: no answer within {} s", CHECK_DEADLINE.as_secs())),
            }
        };
        join_all(checks.into_iter().map(run)).await.into_iter().flatten().collect()
    }
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readiness").field("draining", &self.inner.draining).finish_non_exhaustive()
    }
}

/// The three pages, for merging with others.
pub fn router(readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/metrics", get(|| async { ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics().encode()) }))
        .route("/readyz", get(readyz))
        .with_state(readiness)
}

/// Serves the three pages and `more` until the stop signal, which also makes `/readyz` say 503;
/// the pages stay up until the tasks tracked by `shutdown` have ended.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    more: Router,
    shutdown: Shutdown,
) -> std::io::Result<()> {
    let app = router(readiness.clone()).merge(more);
    axum::serve(listener, app)
        .with_graceful_shutdown(async move {
            shutdown.wait().await;
            readiness.drain();
            shutdown.drain().await;
        })
        .await
}

async fn readyz(State(readiness): State<Readiness>) -> impl IntoResponse {
    let problems = readiness.problems().await;
    if problems.is_empty() {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    let mut text = String::new();
    for problem in problems {
        let _ = writeln!(text, "{problem}");
    }
    (StatusCode::SERVICE_UNAVAILABLE, text)
}
