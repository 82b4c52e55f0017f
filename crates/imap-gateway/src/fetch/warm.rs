//! Brings what several FETCH commands need into the caches: one call for derived data, one for octets.

use std::collections::HashSet;

use super::content::Contents;
use super::derived::{Place, Wanted};
use super::plan::Plan;
use super::send::Source;
use crate::error::CmdError;
use crate::limits::AHEAD_BYTES_MAX;
use crate::server::Gateway;
use crate::view::Message;

/// What one FETCH reads, of which messages.
pub(crate) struct Reading {
    pub(crate) plan: Plan,
    pub(crate) messages: Vec<Message>,
}

/// Large contents are left to their command: they are not kept.
///
/// # Errors
/// As storage says.
pub(crate) async fn warm(gateway: &Gateway, place: &Place, readings: &[Reading]) -> Result<(), CmdError> {
    let storage = &gateway.backends.mailbox;
    let mut wanted = Wanted::default();
    let mut entries = Vec::new();
    for reading in readings.iter().filter(|reading| reading.plan.needs_data) {
        wanted = wanted.and(reading.plan.wanted);
        entries.extend(reading.messages.iter().map(|message| message.entry));
    }
    entries.sort_unstable_by_key(|entry| entry.uid);
    entries.dedup_by_key(|entry| entry.uid);
    let found = gateway.derived.load(storage, place, &entries, wanted).await?;

    let (mut ranges, mut kept_later) = (Vec::new(), Vec::new());
    let (mut asked, mut bytes) = (HashSet::new(), 0);
    for reading in readings.iter().filter(|reading| reading.plan.needs_content) {
        for message in &reading.messages {
            let at = entries.binary_search_by_key(&message.entry.uid, |entry| entry.uid);
            let Some(data) = at.ok().and_then(|at| found[at].as_ref()) else { continue };
            let before = ranges.len();
            let source = Source::find(gateway, (place, &reading.plan), (message, data), &mut ranges)?;
            let id = message.entry.message;
            match source {
                Source::Small(_, kept, range, size)
                    if bytes + size <= AHEAD_BYTES_MAX && asked.insert((id, kept)) =>
                {
                    bytes += size;
                    kept_later.push((id, kept, range, size));
                }
                _ => ranges.truncate(before),
            }
        }
    }
    let mut contents = Contents::open(storage, place, ranges).await?;
    for (id, kept, range, size) in kept_later {
        if let Some(octets) = contents.collect(range, size).await? {
            gateway.derived.keep_content(place.account, id, kept, octets);
        }
    }
    Ok(())
}
