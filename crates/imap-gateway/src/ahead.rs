//! Commands that a client sent without waiting for replies (RFC 9051 §5.5): what several of them read is asked of storage at once.
//!
//! They are still executed one after the other, so that no command sees less than those before it did. Only what cannot be
//! ambiguous is read early: what never changes (derived data and octets of messages), and the state of mailboxes for STATUS commands
//! that follow each other.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::future::join_all;
use imap_wire::{CommandBody, Fetch, FrameStep, parse};
use mail_rpc::pb;
use mail_types::MailboxName;

use crate::fetch::{Plan, Reading, warm};
use crate::limits::{COMMANDS_AHEAD_MAX, FETCH_PAGE_MESSAGES};
use crate::session::Session;

/// What was found in the input behind the present command.
pub(crate) struct Ahead {
    /// To be executed next. All but the last are FETCH or STATUS.
    steps: VecDeque<FrameStep>,
    /// Answers to the first of the STATUS commands that are still to be executed.
    states: VecDeque<(pb::StatusRequest, Result<pb::MailboxState, tonic::Status>)>,
}

impl Session {
    /// The next step that was found already.
    pub(crate) fn step_ahead(&mut self) -> Option<FrameStep> {
        let step = self.ahead.as_mut()?.steps.pop_front();
        if step.is_none() {
            self.ahead = None;
        }
        step
    }

    /// The answer to a request that was sent early, once.
    pub(crate) fn state_ahead(
        &mut self,
        request: &pb::StatusRequest,
    ) -> Option<Result<pb::MailboxState, tonic::Status>> {
        let states = &mut self.ahead.as_mut()?.states;
        let (asked, _) = states.front()?;
        if asked != request {
            states.clear();
            return None;
        }
        states.pop_front().map(|(_, state)| state)
    }

    /// Looks at the commands behind this one, and reads for all of them.
    pub(crate) async fn look_ahead(&mut self, body: &CommandBody) {
        let reads = matches!(body, CommandBody::Fetch(_) | CommandBody::Status { .. });
        if !reads || self.ahead.is_some() || self.connection.buffer().is_empty() {
            return;
        }
        let (steps, behind) = self.commands_behind();
        if steps.is_empty() {
            return;
        }
        let states = match body {
            CommandBody::Status { mailbox, .. } => self.states(mailbox, &behind).await,
            CommandBody::Fetch(fetch) => {
                self.warm(fetch, &behind).await;
                VecDeque::new()
            }
            _ => VecDeque::new(),
        };
        self.ahead = Some(Box::new(Ahead { steps, states }));
    }

    /// Those that are here whole, and what they ask. A command that may change what the bytes behind it mean is the last.
    fn commands_behind(&mut self) -> (VecDeque<FrameStep>, Vec<CommandBody>) {
        let (mut steps, mut bodies) = (VecDeque::new(), Vec::new());
        let options = self.enabled.parse_options();
        while steps.len() < COMMANDS_AHEAD_MAX {
            let step = self.framer.next(self.connection.buffer());
            if step == FrameStep::NeedMore {
                break;
            }
            let body = match &step {
                FrameStep::Command(frame) => parse(frame, &options).ok().map(|command| command.body),
                _ => None,
            };
            steps.push_back(step);
            match body {
                Some(body @ (CommandBody::Fetch(_) | CommandBody::Status { .. })) => bodies.push(body),
                _ => break,
            }
        }
        (steps, bodies)
    }

    /// Asks for the state of several mailboxes at the same time.
    async fn states(
        &self,
        first: &MailboxName,
        behind: &[CommandBody],
    ) -> VecDeque<(pb::StatusRequest, Result<pb::MailboxState, tonic::Status>)> {
        let names = behind.iter().map_while(|body| match body {
            CommandBody::Status { mailbox, .. } => Some(mailbox),
            _ => None,
        });
        let mut requests = Vec::new();
        for name in std::iter::once(first).chain(names) {
            let (Ok(target), Ok(grant)) = (self.target(name).await, self.grant()) else { break };
            requests.push(pb::StatusRequest { owner: target.whose.to_pb(), grant, name: target.name });
        }
        let storage = &self.gateway.backends.mailbox;
        join_all(requests.into_iter().map(async |request| {
            let state = storage.status(request.clone()).await;
            (request, state)
        }))
        .await
        .into()
    }

    /// Gets what several FETCH commands need into the process's caches. What fails here is told by the command itself.
    async fn warm(&self, first: &Fetch, behind: &[CommandBody]) {
        let (Ok(selected), Ok(grant)) = (self.selected(), self.grant()) else { return };
        let fetches = behind.iter().map_while(|body| match body {
            CommandBody::Fetch(fetch) => Some(fetch),
            _ => None,
        });
        let mut readings = Vec::new();
        let mut left = FETCH_PAGE_MESSAGES;
        for fetch in std::iter::once(first).chain(fetches) {
            let plan = Plan::new(fetch.items.clone());
            let Ok(selection) = selected.view.select(fetch.by, &fetch.set, &selected.saved) else { continue };
            let messages: Vec<_> = selected.view.messages(&selection).take(left + 1).collect();
            let Some(after) = left.checked_sub(messages.len()) else { break };
            left = after;
            readings.push(Reading { plan, messages });
        }
        if readings.len() < 2 {
            return;
        }
        let gateway = Arc::clone(&self.gateway);
        if let Err(error) = warm(&gateway, &selected.place(grant), &readings).await {
            tracing::debug!(?error, "Nothing could be read ahead");
        }
    }
}
