//! What a client hears while a command takes long (RFC 9585): that the server is at work, and how far it is where that is known.
//!
//! It costs a command that is soon done nothing but a look at the clock that is there already. Clients and routers that give up on a
//! silent connection do not, and a client that has gone away is found out.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use imap_wire::{Code, InProgress, Status, Tag};
use line_server::Connection;
use tokio::time::{Instant, timeout_at};

use crate::error::CmdError;
use crate::session::Session;
use crate::state::Enabled;

/// The command in progress, and when its client is to hear of it.
#[derive(Debug)]
pub(crate) struct Progress {
    /// `None`: no command is in progress, and nothing is said.
    tag: Option<Tag>,
    every: Duration,
    next: Instant,
    pub(crate) count: Count,
}

/// How far a command is: in messages.
#[derive(Debug, Default)]
pub(crate) struct Count {
    done: AtomicU32,
    /// 0: neither is known.
    goal: AtomicU32,
}

impl Count {
    /// So many messages are to be worked on.
    pub(crate) fn begin(&self, goal: usize) {
        self.done.store(0, Ordering::Relaxed);
        self.goal.store(u32::try_from(goal).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// So many more are done.
    pub(crate) fn add(&self, done: usize) {
        self.done.fetch_add(u32::try_from(done).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// What follows cannot be counted.
    pub(crate) fn end(&self) {
        self.begin(0);
    }

    /// RFC 9585 §4: the goal is greater than what is done.
    fn get(&self) -> Option<(u32, u32)> {
        let (done, goal) = (self.done.load(Ordering::Relaxed), self.goal.load(Ordering::Relaxed));
        (done < goal).then_some((done, goal))
    }
}

impl Progress {
    /// Of a session without a command.
    pub(crate) fn new(every: Duration) -> Self {
        Self { tag: None, every, next: Instant::now(), count: Count::default() }
    }

    /// A command begins.
    pub(crate) fn begin(&mut self, tag: &Tag, now: Instant) {
        self.tag = Some(tag.clone());
        self.next = now + self.every;
        self.count.end();
    }

    /// The client itself took its time: it hears of what begins now.
    pub(crate) fn restart(&mut self) {
        self.next = Instant::now() + self.every;
    }

    /// The command is done.
    pub(crate) fn end(&mut self) {
        self.tag = None;
    }

    /// For waiting, and for counting meanwhile.
    pub(crate) fn patience<'a>(
        &'a mut self,
        connection: &'a mut Connection,
        enabled: Enabled,
    ) -> (Patience<'a>, &'a Count) {
        let Self { tag, every, next, count } = self;
        (Patience { connection, enabled, tag: tag.as_ref(), every: *every, next, count }, count)
    }
}

/// Waits for what may take long, between two lines for the client.
pub(crate) struct Patience<'a> {
    pub(crate) connection: &'a mut Connection,
    enabled: Enabled,
    tag: Option<&'a Tag>,
    every: Duration,
    next: &'a mut Instant,
    count: &'a Count,
}

impl Patience<'_> {
    /// The work goes on the heap, so that it is there once and not in every future around it.
    ///
    /// # Errors
    /// The client is gone, or takes nothing. The work ends with it.
    pub(crate) fn wait<W: Future>(&mut self, work: W) -> impl Future<Output = Result<W::Output, CmdError>> {
        self.wait_for(Box::pin(work))
    }

    async fn wait_for<W: Future>(&mut self, mut work: Pin<Box<W>>) -> Result<W::Output, CmdError> {
        let Some(tag) = self.tag else { return Ok(work.await) };
        loop {
            if let Ok(done) = timeout_at(*self.next, &mut work).await {
                return Ok(done);
            }
            self.tell(tag);
            *self.next = Instant::now() + self.every;
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                flushed = self.connection.flush() => flushed?,
            }
        }
    }

    fn tell(&mut self, tag: &Tag) {
        let known = self.count.get();
        let code = InProgress { tag, done: known.map(|(done, _)| done), goal: known.map(|(_, goal)| goal) };
        self.enabled.writer(self.connection.output()).untagged(
            Status::Ok,
            Code::InProgress(code),
            "Still at work",
        );
    }
}

impl Session {
    /// As [`Patience::wait`], for what does not look at the session.
    pub(crate) fn patiently<W: Future>(
        &mut self,
        work: W,
    ) -> impl Future<Output = Result<W::Output, CmdError>> {
        let work = Box::pin(work);
        async move { self.progress.patience(&mut self.connection, self.enabled).0.wait_for(work).await }
    }
}
