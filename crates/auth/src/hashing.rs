//! A bounded number of threads for slow hashes: logins must not take the whole machine, nor all its memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Hashes that may wait for each thread: two to three seconds of work, which a client waits for.
const WAITING_PER_THREAD: usize = 64;

/// Too many wait already.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

pub(crate) struct Hashing {
    threads: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
}

/// One of those who wait, until dropped.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Hashing {
    pub(crate) fn new(threads: usize) -> Self {
        let threads = threads.max(1);
        Self {
            threads: Arc::new(Semaphore::new(threads)),
            waiting: AtomicUsize::new(0),
            waiting_max: threads * WAITING_PER_THREAD,
        }
    }

    /// Runs a slow hash. The thread is counted until the hash ends, whether or not somebody still waits for it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        hash: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, TooMany> {
        let begun = Instant::now();
        let permit = match self.threads.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.waiting_max {
                    self.waiting.fetch_sub(1, Ordering::Relaxed);
                    return Err(TooMany);
                }
                let _place = Place(&self.waiting);
                self.threads.clone().acquire_owned().await.expect("the semaphore is never closed")
            }
        };
        service_runtime::metrics().password_waited(begun.elapsed());
        let hashed = spawn_blocking(move || {
            let _permit = permit;
            hash()
        });
        // Fails only while the runtime shuts down, when there is nobody left to answer.
        hashed.await.map_err(|_| TooMany)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn beyond_the_queue_is_refused_at_once_and_nobody_else_suffers() {
        let hashing = Arc::new(Hashing::new(1));
        let (release, released) = mpsc::channel::<()>();
        let busy = tokio::spawn({
            let hashing = hashing.clone();
            async move { hashing.run(move || released.recv().is_ok()).await }
        });
        while hashing.threads.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let mut waiting = Vec::new();
        for number in 0..WAITING_PER_THREAD {
            let hashing = hashing.clone();
            waiting.push(tokio::spawn(async move { hashing.run(move || number).await }));
        }
        while hashing.waiting.load(Ordering::Relaxed) < WAITING_PER_THREAD {
            tokio::task::yield_now().await;
        }
        assert_eq!(hashing.run(|| 0).await, Err(TooMany));
        // One who gives up makes room for another.
        waiting.pop().unwrap().abort();
        while hashing.waiting.load(Ordering::Relaxed) == WAITING_PER_THREAD {
            tokio::task::yield_now().await;
        }
        release.send(()).unwrap();
        assert_eq!(busy.await.unwrap(), Ok(true));
        for (number, waiting) in waiting.into_iter().enumerate() {
            assert_eq!(waiting.await.unwrap(), Ok(number));
        }
        assert_eq!(hashing.waiting.load(Ordering::Relaxed), 0);
    }
}
