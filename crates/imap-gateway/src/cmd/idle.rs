//! IDLE (RFC 2177, RFC 9051 §6.3.13).

use std::time::Duration;

use imap_wire::{Code, LineStep, Status, Tag};
use mailbox_hints::Wake;
use service_runtime::metrics;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::Instrument;

use super::context;
use crate::annotations::{Hearing, may_tell};
use crate::error::CmdError;
use crate::notify;
use crate::session::{End, Session};
use crate::state::State;
use crate::sync::Expunges;
use crate::watch::Watch;

/// Why an idling session goes on.
enum Event {
    Input,
    /// A hint: the mailbox may have gone on.
    Hint(Wake),
    /// The re-check found something.
    Recheck,
    /// Annotations may have changed; `true`: the re-check found that.
    Annotations(bool),
    Keepalive,
    Shutdown,
}

/// Ends with the client's DONE, or with an error of its own. Lives as long as the client waits, so it is small: whatever work
/// there is to do gets its own room for as long as it takes.
pub(crate) async fn idle(session: &mut Session, tag: &Tag) -> Result<(), End> {
    let started = Instant::now();
    // The subscription is there since SELECT. First read, then promise (RFC 2177 §3: what is told after "+" is news).
    if let Err(error) = Box::pin(catch_up(session)).await {
        return session.conclude(tag, "IDLE", Err(error), started);
    }
    let mut hearing = match Box::pin(Hearing::start(session)).await {
        Ok(hearing) => hearing,
        Err(error) => return session.conclude(tag, "IDLE", Err(error), started),
    };
    session.writer().continuation("idling");
    let mut watch = watch(session);
    let period = keepalive(session);
    let mut keepalive_at = Instant::now() + period;
    loop {
        match session.framer.next_line(session.connection.buffer()) {
            LineStep::Line(line) if line.eq_ignore_ascii_case(b"DONE") => {
                return session.conclude(tag, "IDLE", Ok(Default::default()), started);
            }
            LineStep::Line(_) => {
                let error = CmdError::bad("Expected DONE");
                return session.conclude(tag, "IDLE", Err(error), started);
            }
            LineStep::Error(error) => return session.frame_error(&error),
            LineStep::NeedMore => {}
        }
        session.connection.flush().await?;
        if session.notify.is_some() {
            if Box::pin(notified(session, keepalive_at)).await? {
                keepalive_at = Instant::now() + period;
            }
            continue;
        }
        match next(session, (watch.as_ref(), hearing.as_deref_mut()), keepalive_at).await? {
            Event::Input => continue,
            Event::Shutdown => return Err(End::shutdown()),
            Event::Keepalive => {
                session.writer().untagged(Status::Ok, Code::None, "Still here");
                keepalive_at = Instant::now() + period;
                if renewal_is_due(session) {
                    match Box::pin(session.renew_grant()).await {
                        Ok(()) => watch = self::watch(session),
                        Err(CmdError::Bye(code, text)) => return Err(End::Bye(code, text.into_owned())),
                        Err(_) => {}
                    }
                }
            }
            Event::Hint(wake) => {
                let woken_at = Instant::now();
                if session.selected().is_ok_and(|selected| selected.is_news(&wake)) {
                    Box::pin(deliver(session, wake).instrument(push_span(wake))).await?;
                    metrics().push(woken_at.elapsed());
                    tell(watch.as_ref(), session);
                }
                if hearing.is_some() && may_tell(&wake) {
                    Box::pin(tell_annotations(session, None)).await?;
                }
            }
            Event::Annotations(rechecked) => {
                let hearing = hearing.as_deref_mut().filter(|_| rechecked);
                Box::pin(tell_annotations(session, hearing)).await?;
            }
            Event::Recheck => {
                Box::pin(push(session, None)).await?;
                watch = self::watch(session);
            }
        }
    }
}

/// RFC 5465 §4: what NOTIFY asked for, no more and no less. True: it was time to say something.
async fn notified(session: &mut Session, keepalive_at: Instant) -> Result<bool, End> {
    match timeout_at(keepalive_at, notify::event(session)).await {
        Ok(event) => {
            notify::handle(session, event?, true).await?;
            Ok(false)
        }
        Err(_) => {
            session.writer().untagged(Status::Ok, Code::None, "Still here");
            Ok(true)
        }
    }
}

async fn next(
    session: &mut Session,
    (watch, hearing): (Option<&Watch>, Option<&mut Hearing>),
    keepalive_at: Instant,
) -> Result<Event, End> {
    let Session { connection, state, gateway, .. } = session;
    let hint = async {
        match state {
            State::Selected(_, selected) => selected.subscription.changed().await,
            _ => std::future::pending().await,
        }
    };
    let recheck = async {
        match watch {
            Some(watch) => watch.woken().await,
            None => std::future::pending().await,
        }
    };
    let annotations = async {
        match hearing {
            Some(hearing) => hearing.changed().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        filled = connection.fill() => { filled?; Ok(Event::Input) }
        wake = hint => Ok(Event::Hint(wake)),
        () = recheck => Ok(Event::Recheck),
        rechecked = annotations => Ok(Event::Annotations(rechecked)),
        () = sleep_until(keepalive_at) => Ok(Event::Keepalive),
        () = gateway.shutdown.wait() => Ok(Event::Shutdown),
    }
}

async fn catch_up(session: &mut Session) -> Result<(), CmdError> {
    session.renew_grant().await?;
    session.sync_news(Expunges::Announce).await?;
    context::refresh(session).await
}

/// The news of a hint, up to the client's socket.
async fn deliver(session: &mut Session, wake: Wake) -> Result<(), End> {
    push(session, Some(wake)).await?;
    session.connection.flush().await?;
    Ok(())
}

/// Continues the trace of the commit that the hint is about. A child, not a link: viewers of traces show both on one line of time.
fn push_span(wake: Wake) -> tracing::Span {
    let span = tracing::debug_span!("push");
    if let Wake::Mailbox { trace: Some(trace), .. } = wake {
        mail_rpc::adopt_traceparent(&span, &trace.to_string());
    }
    span
}

/// Brings the news. That storage is away is no reason to end the wait: the re-check, or the next hint, comes back to it.
async fn push(session: &mut Session, wake: Option<Wake>) -> Result<(), End> {
    let synced = match newer_snapshot(session, wake) {
        Some(snapshot) => match session.take_snapshot(snapshot, Expunges::Announce) {
            Ok(()) => context::refresh(session).await,
            failed => failed,
        },
        None => catch_up(session).await,
    };
    end_of(synced)
}

/// RFC 5464 §4.1: what others have changed comes unasked.
async fn tell_annotations(session: &mut Session, again: Option<&mut Hearing>) -> Result<(), End> {
    end_of(session.renew_grant().await)?;
    let told = session.tell_annotations().await;
    // What could not be read is found by the next re-check.
    if let (Ok(()), Some(hearing)) = (&told, again) {
        end_of(hearing.watch(session).await)?;
    }
    end_of(told)
}

/// What of it ends the session.
fn end_of(done: Result<(), CmdError>) -> Result<(), End> {
    match done {
        Ok(()) | Err(CmdError::No(..) | CmdError::BadUrl(_) | CmdError::Bad(..)) => Ok(()),
        Err(CmdError::Bye(code, text)) => Err(End::Bye(code, text.into_owned())),
        Err(CmdError::Disconnected(error)) => Err(error.into()),
    }
}

/// Another session of this process may have fetched already what the hint is about.
fn newer_snapshot(
    session: &Session,
    wake: Option<Wake>,
) -> Option<std::sync::Arc<crate::snapshot::Snapshot>> {
    let Some(Wake::Mailbox { modseq, .. }) = wake else { return None };
    let selected = session.selected().ok()?;
    session
        .gateway
        .mailboxes
        .latest(selected.whose, selected.mailbox())
        .filter(|cached| cached.meta().modseq >= modseq)
}

fn watch(session: &Session) -> Option<Watch> {
    let State::Selected(user, selected) = &session.state else { return None };
    let meta = selected.view.snapshot().meta();
    Some(session.gateway.recheck.watch(
        user.grant.clone(),
        (selected.whose.to_pb(), meta.mailbox),
        meta.modseq,
    ))
}

fn tell(watch: Option<&Watch>, session: &Session) {
    if let (Some(watch), Ok(selected)) = (watch, session.selected()) {
        watch.told(selected.view.snapshot().meta().modseq);
    }
}

fn renewal_is_due(session: &Session) -> bool {
    session.user().is_ok_and(|user| user.needs_renewal())
}

/// Not all at the same time: by the client's port.
fn keepalive(session: &Session) -> Duration {
    let share = u32::from(session.connection.peer().port() % 64);
    let every = session.gateway.settings.idle_notify;
    every + every / 4 * share / 64
}
