//! Step 5 of REFERENCES: threads of one subject become one.

use std::collections::{HashMap, HashSet};

use super::Messages;
use super::tree::Forest;

/// The roots must be in order (step 4).
pub(super) fn by_subject(forest: &mut Forest, messages: &Messages<'_>) {
    let table = subject_table(forest, messages);
    let roots = forest.roots.clone();
    let mut merger = Merger { forest, messages, table, gone: HashSet::new() };
    for root in roots {
        merger.merge(root);
    }
    let gone = merger.gone;
    forest.roots.retain(|root| !gone.contains(root));
}

/// Step 5 (B): the message that a subject stands for. Empty subjects stand for none.
fn subject_table(forest: &Forest, messages: &Messages<'_>) -> HashMap<u64, u32> {
    let mut table: HashMap<u64, u32> = HashMap::new();
    for root in &forest.roots {
        let Some(subject) = subject(forest, messages, *root) else { continue };
        let held = table.entry(subject).or_insert(*root);
        let better = forest.is_dummy(*root) || (is_reply(messages, *held) && !is_reply(messages, *root));
        if !forest.is_dummy(*held) && better {
            *held = *root;
        }
    }
    table
}

/// `None`: it is empty.
fn subject(forest: &Forest, messages: &Messages<'_>, root: u32) -> Option<u64> {
    let face = forest.face(root) as usize;
    (!messages.no_subject[face]).then(|| messages.subjects[face])
}

/// Of a message; never of a missing one.
fn is_reply(messages: &Messages<'_>, node: u32) -> bool {
    messages.keys.get(node as usize).is_some_and(|keys| keys.is_reply)
}

struct Merger<'f, 'm> {
    forest: &'f mut Forest,
    messages: &'m Messages<'m>,
    table: HashMap<u64, u32>,
    /// No roots any more.
    gone: HashSet<u32>,
}

impl Merger<'_, '_> {
    /// Step 5 (C).
    fn merge(&mut self, root: u32) {
        let Some(subject) = subject(self.forest, self.messages, root) else { return };
        let Some(held) = self.table.get(&subject).copied() else { return };
        // What the table held before is below a missing message by now, and comes by later.
        if held == root || self.gone.contains(&root) {
            return;
        }
        match (self.forest.is_dummy(held), self.forest.is_dummy(root)) {
            (true, true) => {
                for child in self.forest.take_children(root) {
                    self.forest.add_child(held, child);
                }
            }
            (true, false) => self.forest.add_child(held, root),
            // The table never holds a message where there is a missing one of that subject.
            (false, _) if is_reply(self.messages, root) && !is_reply(self.messages, held) => {
                self.forest.add_child(held, root);
            }
            (false, _) => {
                let dummy = self.forest.add_dummy();
                self.forest.add_child(dummy, held);
                self.forest.add_child(dummy, root);
                self.forest.roots.push(dummy);
                self.table.insert(subject, dummy);
                self.gone.insert(held);
            }
        }
        self.gone.insert(root);
    }
}
