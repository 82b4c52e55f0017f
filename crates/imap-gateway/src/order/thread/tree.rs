//! Steps 1 to 4 and 6 of REFERENCES: who is whose child, missing messages left out, siblings in order.

use std::collections::HashMap;

use super::super::column::ThreadKeys;
use super::Node;

/// Steps of looking for loops in one command. Real mail needs a few per message, since a message that is linked hardly ever has
/// children; mail made to need more gets fewer links.
const LOOP_STEPS_MAX: usize = 50_000_000;

/// The parents of nodes: first the messages, by their places, then missing messages that others refer to.
struct Parents {
    of: Vec<Option<u32>>,
    children: Vec<u32>,
    steps: usize,
}

impl Parents {
    fn unlink(&mut self, child: u32) {
        if let Some(parent) = self.of[child as usize].take() {
            self.children[parent as usize] -= 1;
        }
    }

    /// Unless it would make a loop.
    fn link(&mut self, parent: u32, child: u32) {
        if !self.is_below(parent, child) {
            self.of[child as usize] = Some(parent);
            self.children[parent as usize] += 1;
        }
    }

    fn is_below(&mut self, node: u32, above: u32) -> bool {
        if node == above {
            return true;
        }
        if self.children[above as usize] == 0 {
            return false;
        }
        let mut at = node;
        while let Some(parent) = self.of[at as usize] {
            self.steps += 1;
            if parent == above || self.steps > LOOP_STEPS_MAX {
                return true;
            }
            at = parent;
        }
        false
    }
}

/// Step 1: the parent of every node.
fn parents(keys: &[ThreadKeys<'_>]) -> Vec<Option<u32>> {
    let mut by_id: HashMap<u64, u32> = HashMap::with_capacity(keys.len());
    for (place, keys) in (0..).zip(keys) {
        // A message without an id, or with that of one before it, is nobody's parent.
        if keys.id != 0 {
            by_id.entry(keys.id).or_insert(place);
        }
    }
    let mut parents = Parents { of: vec![None; keys.len()], children: vec![0; keys.len()], steps: 0 };
    for (place, keys) in (0..).zip(keys) {
        let mut last = None;
        for id in keys.references {
            let node = *by_id.entry(*id).or_insert_with(|| {
                parents.of.push(None);
                parents.children.push(0);
                parents.of.len() as u32 - 1
            });
            // Step 1 (A): a link that is there stays.
            if let Some(parent) = last
                && parents.of[node as usize].is_none()
            {
                parents.link(parent, node);
            }
            last = Some(node);
        }
        // Step 1 (B): the last reference is the parent, whatever others made of it.
        if parents.of[place as usize] != last {
            parents.unlink(place);
            if let Some(parent) = last {
                parents.link(parent, place);
            }
        }
    }
    parents.of
}

/// Threads. A node is a message, by its place, or above those a missing message; missing ones are roots only.
pub(super) struct Forest {
    messages: u32,
    pub(super) roots: Vec<u32>,
    children: Vec<Vec<u32>>,
}

impl Forest {
    /// Steps 1 to 3.
    pub(super) fn new(keys: &[ThreadKeys<'_>]) -> Self {
        let parents = parents(keys);
        let messages = keys.len() as u32;
        let anchors = anchors(&parents, messages);
        let mut forest = Self { messages, roots: Vec::new(), children: vec![Vec::new(); parents.len()] };
        for place in 0..messages {
            match parents[place as usize] {
                None => forest.roots.push(place),
                Some(parent) => forest.children[anchors[parent as usize] as usize].push(place),
            }
        }
        // Step 3: a missing message stays as the root of several only.
        for dummy in messages..parents.len() as u32 {
            match forest.children[dummy as usize][..] {
                [] => {}
                [only] => {
                    forest.children[dummy as usize].clear();
                    forest.roots.push(only);
                }
                _ => forest.roots.push(dummy),
            }
        }
        forest
    }

    pub(super) fn is_dummy(&self, node: u32) -> bool {
        node >= self.messages
    }

    /// What stands for a root: itself, or the first child of a missing message.
    pub(super) fn face(&self, root: u32) -> u32 {
        match self.is_dummy(root) {
            true => self.children[root as usize].first().copied().unwrap_or(root),
            false => root,
        }
    }

    /// Adds a child, at the end.
    pub(super) fn add_child(&mut self, parent: u32, child: u32) {
        self.children[parent as usize].push(child);
    }

    pub(super) fn take_children(&mut self, node: u32) -> Vec<u32> {
        std::mem::take(&mut self.children[node as usize])
    }

    /// A missing message without children.
    pub(super) fn add_dummy(&mut self) -> u32 {
        self.children.push(Vec::new());
        self.children.len() as u32 - 1
    }

    /// Steps 4 and 6: siblings by date, then by place; a missing message by its first child.
    pub(super) fn sort(&mut self, dates: &[u64]) {
        for siblings in self.children.iter_mut().filter(|siblings| siblings.len() > 1) {
            siblings.sort_unstable_by_key(|place| (dates[*place as usize], *place));
        }
        self.sort_roots(|forest, root| {
            let face = forest.face(root);
            (dates[face as usize], face)
        });
    }

    /// The threads by the latest date of any of their messages, then by the place of their root.
    pub(super) fn sort_roots_by_latest(&mut self, dates: &[u64]) {
        let mut latest = vec![0; self.children.len()];
        for root in &self.roots {
            let mut stack = vec![*root];
            while let Some(node) = stack.pop() {
                let date = dates.get(node as usize).copied().unwrap_or(0);
                latest[*root as usize] = date.max(latest[*root as usize]);
                stack.extend(&self.children[node as usize]);
            }
        }
        self.sort_roots(|forest, root| (latest[root as usize], forest.face(root)));
    }

    fn sort_roots(&mut self, key: impl Fn(&Self, u32) -> (u64, u32)) {
        let mut roots = std::mem::take(&mut self.roots);
        roots.sort_by_cached_key(|root| key(self, *root));
        self.roots = roots;
    }

    /// In reading order.
    pub(super) fn nodes(&self) -> Vec<Node> {
        let mut nodes = Vec::with_capacity(self.messages as usize);
        let mut stack: Vec<(u32, u32)> = self.roots.iter().rev().map(|root| (*root, 0)).collect();
        while let Some((node, depth)) = stack.pop() {
            nodes.push(Node { depth, place: (!self.is_dummy(node)).then_some(node) });
            stack.extend(self.children[node as usize].iter().rev().map(|child| (*child, depth + 1)));
        }
        nodes
    }
}

/// For every node what its children hang on once missing messages are pruned: a message itself; for a missing one the message
/// nearest above it, or else the topmost missing one.
fn anchors(parents: &[Option<u32>], messages: u32) -> Vec<u32> {
    let mut anchors: Vec<Option<u32>> =
        (0..parents.len() as u32).map(|node| (node < messages).then_some(node)).collect();
    let mut path = Vec::new();
    for start in messages..parents.len() as u32 {
        let mut node = start;
        let anchor = loop {
            match (anchors[node as usize], parents[node as usize]) {
                (Some(anchor), _) => break anchor,
                (None, None) => break node,
                (None, Some(_)) => path.push(node),
            }
            // There is a parent: it was just seen.
            node = parents[node as usize].unwrap_or(node);
        };
        anchors[node as usize] = Some(anchor);
        for passed in path.drain(..) {
            anchors[passed as usize] = Some(anchor);
        }
    }
    anchors.into_iter().zip(0..).map(|(anchor, node)| anchor.unwrap_or(node)).collect()
}
