//! THREAD and UID THREAD (RFC 5256 §3, draft-ietf-morg-inthread).

use std::sync::Arc;

use imap_wire::{Code, Thread, ThreadNode};
use mail_rpc::pb::SortKey;

use super::report::number;
use super::search::{Compiled, Scope, find};
use super::store;
use crate::error::{CmdError, CmdResult, Done};
use crate::order::{Algorithm, Column, Messages, Node, thread as make_threads};
use crate::session::Session;
use crate::view::Message;

/// Messages up to which threads are made at once: a thread hop would cost more than it saves.
const INLINE_MESSAGES_MAX: usize = 5000;

pub(crate) async fn thread(session: &mut Session, thread: Thread) -> CmdResult {
    let algorithm = match thread.algorithm.as_str() {
        "ORDEREDSUBJECT" => Algorithm::OrderedSubject,
        "REFERENCES" => Algorithm::References,
        "REFS" => Algorithm::Refs,
        _ => return Err(CmdError::bad("This threading algorithm is not offered")),
    };
    let compiled = Compiled::of_selected(session.selected()?, &thread.key)?;
    session.enabled.condstore |= compiled.uses_modseq;
    let (scope, mut patience) = Scope::of_selected(session)?;
    let (found, nodes) = patience.wait(threads(&scope, &compiled, algorithm)).await??;
    let nodes: Vec<ThreadNode> = nodes
        .into_iter()
        .map(|node| ThreadNode {
            depth: node.depth,
            number: node.place.map(|place| number(thread.by, &found[place as usize])),
        })
        .collect();
    session.writer().thread(&nodes);
    session.catch_up_if_stale(store::expunges_of(thread.by)).await?;
    Done::plain()
}

/// The messages, and the threads that they are in.
async fn threads(
    scope: &Scope<'_>,
    compiled: &Compiled,
    algorithm: Algorithm,
) -> Result<(Vec<Message>, Vec<Node>), CmdError> {
    let found = find(scope, compiled).await?.messages;
    scope.end();
    let uids: Vec<u32> = found.iter().map(|message| message.entry.uid.get()).collect();
    let columns = scope.columns(&uids, &algorithm.keys()).await?;
    if uids.len() <= INLINE_MESSAGES_MAX {
        return Ok((found, nodes(algorithm, &uids, &columns)));
    }
    let nodes = tokio::task::spawn_blocking(move || nodes(algorithm, &uids, &columns))
        .await
        .map_err(|_| CmdError::no(Code::Unavailable, "Please try again"))?;
    Ok((found, nodes))
}

impl Algorithm {
    /// What it needs, in the order in which [`nodes`] takes it.
    fn keys(self) -> [SortKey; 3] {
        match self {
            Self::OrderedSubject | Self::References => [SortKey::Thread, SortKey::Date, SortKey::Subject],
            Self::Refs => [SortKey::Thread, SortKey::Date, SortKey::Arrival],
        }
    }
}

fn nodes(algorithm: Algorithm, uids: &[u32], columns: &[Arc<Column>]) -> Vec<Node> {
    let [keys, sent, third] = columns else { return Vec::new() };
    let mut messages =
        Messages { keys: keys.threads(uids), sent: sent.ordinals(uids), ..Messages::default() };
    match algorithm {
        Algorithm::Refs => messages.arrived = third.ordinals(uids),
        Algorithm::OrderedSubject | Algorithm::References => {
            messages.subjects = third.ordinals(uids);
            messages.no_subject = third.are_empty(uids);
        }
    }
    make_threads(algorithm, &messages)
}
