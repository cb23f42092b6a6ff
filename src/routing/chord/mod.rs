//! CHORD-RELOAD, the topology that every implementation has (RFC 6940 §10).
//!
//! The Routing Table is one set: the peers that we are linked to and that have sent us an
//! Update (§6.5.1). The Neighbor Table is those of them next to us, and a finger is whoever of
//! them lies in the finger's range. So a lost peer is replaced by the best match in the same
//! moment (§10.7.1, §10.7.2), and the two tables cannot disagree.

mod fingers;
pub mod ring;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::base::{NodeId, ResourceId};
use crate::message::{ChordUpdateContents, Destination};

use super::topology::Topology;

/// The ring as one node sees it.
#[derive(Clone, Debug)]
pub struct Chord {
    own: NodeId,
    position: u128,
    joined: bool,
    peers: BTreeSet<u128>,
    /// Nearest first.
    predecessors: Vec<NodeId>,
    /// Nearest first.
    successors: Vec<NodeId>,
    /// Fingers that were looked for when the table grew to hold them.
    sought: BTreeSet<u8>,
}

/// What the arrival or loss of a peer changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The Neighbor Table.
    pub neighbors: bool,
    /// The range that we are responsible for.
    pub range: bool,
}

impl Chord {
    /// A node that is not a peer yet and knows nobody.
    pub fn new(own: NodeId) -> Self {
        Self {
            own,
            position: own.to_u128(),
            joined: false,
            peers: BTreeSet::new(),
            predecessors: Vec::new(),
            successors: Vec::new(),
            sought: BTreeSet::new(),
        }
    }

    /// Makes us a peer, responsible for our range, or not one any more.
    pub fn set_joined(&mut self, joined: bool) {
        self.joined = joined;
    }

    /// Whether we are a peer.
    pub fn is_joined(&self) -> bool {
        self.joined
    }

    /// The Neighbor Table's predecessors, nearest first.
    pub fn predecessors(&self) -> &[NodeId] {
        &self.predecessors
    }

    /// The Neighbor Table's successors, nearest first.
    pub fn successors(&self) -> &[NodeId] {
        &self.successors
    }

    /// Whether messages are routed through this peer.
    pub fn contains(&self, peer: NodeId) -> bool {
        self.peers.contains(&peer.to_u128())
    }

    /// How many peers messages are routed through.
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether there is no such peer.
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// All peers that messages are routed through, in ascending order.
    pub fn peers(&self) -> impl Iterator<Item = NodeId> {
        self.peers.iter().map(|p| NodeId::from_u128(*p))
    }

    /// Routes through a peer from now on: it is linked to us and has sent us an Update.
    pub fn insert(&mut self, peer: NodeId) -> Change {
        if peer == self.own || !self.peers.insert(peer.to_u128()) {
            return Change::default();
        }
        self.refresh()
    }

    /// Stops routing through a peer.
    pub fn remove(&mut self, peer: NodeId) -> Change {
        if !self.peers.remove(&peer.to_u128()) {
            return Change::default();
        }
        self.refresh()
    }

    /// Whether a peer that we only heard of would be a neighbour (RFC 6940 §10.7.3).
    pub fn is_better(&self, candidate: NodeId) -> bool {
        let position = candidate.to_u128();
        if candidate == self.own || self.peers.contains(&position) || !candidate.is_valid() {
            return false;
        }
        let nearer = |list: &[NodeId], distance: &dyn Fn(u128) -> u128| {
            list.len() < NEIGHBORS
                || list.last().is_some_and(|last| distance(position) < distance(last.to_u128()))
        };
        nearer(&self.successors, &|p| ring::distance(self.position, p))
            || nearer(&self.predecessors, &|p| ring::distance(p, self.position))
    }

    /// Who would be the neighbours of `own` among `known` and the peers that we have: who a
    /// joining node has to be linked to first (RFC 6940 §10.5).
    pub fn expected(&self, known: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        let mut set = self.peers.clone();
        set.extend(known.iter().filter(|id| id.is_valid()).map(|id| id.to_u128()));
        ring::clockwise(&set, self.position)
            .take(NEIGHBORS)
            .chain(ring::anticlockwise(&set, self.position).take(NEIGHBORS))
            .map(NodeId::from_u128)
            .filter(|id| *id != self.own)
            .collect()
    }

    /// Whether `k` lies in `(after, to]`.
    pub fn between(k: &ResourceId, after: NodeId, to: NodeId) -> bool {
        k.to_u128().is_some_and(|k| ring::in_range(k, after.to_u128(), to.to_u128()))
    }

    /// The nearest predecessor, or we ourselves if there is none: our range begins behind it.
    pub fn range_start(&self) -> NodeId {
        self.predecessors.first().copied().unwrap_or(self.own)
    }

    /// Whether we keep a value for this resource: fewer than three predecessors lie between it
    /// and us (RFC 6940 §10.7.3).
    pub fn keeps(&self, resource: &ResourceId) -> bool {
        match self.predecessors.get(COPIES) {
            Some(third) => Self::between(resource, *third, self.own),
            None => true,
        }
    }

    /// Whether `peer` may send us copies of `resource` (RFC 6940 §10.4): it is a predecessor for
    /// which we keep copies, or a neighbour that hands over what is ours.
    pub fn may_replicate(&self, resource: &ResourceId, peer: NodeId) -> bool {
        let neighbor = self.predecessors.contains(&peer) || self.successors.contains(&peer);
        neighbor && self.keeps(resource)
    }

    /// Our Neighbor Table for an Update.
    pub fn neighbors_update(&self) -> ChordUpdateContents {
        ChordUpdateContents::Neighbors {
            predecessors: self.predecessors.clone(),
            successors: self.successors.clone(),
        }
    }

    /// Our Neighbor and Finger Tables for an Update.
    pub fn full_update(&self) -> ChordUpdateContents {
        let mut fingers = self.fingers();
        fingers.sort_unstable();
        ChordUpdateContents::Full {
            predecessors: self.predecessors.clone(),
            successors: self.successors.clone(),
            fingers,
        }
    }

    fn refresh(&mut self) -> Change {
        let own = self.position;
        let take = |list: &mut dyn Iterator<Item = u128>| -> Vec<NodeId> {
            list.take(NEIGHBORS).map(NodeId::from_u128).collect()
        };
        let successors = take(&mut ring::clockwise(&self.peers, own));
        let predecessors = take(&mut ring::anticlockwise(&self.peers, own));
        let change = Change {
            neighbors: successors != self.successors || predecessors != self.predecessors,
            range: predecessors.first() != self.predecessors.first(),
        };
        self.successors = successors;
        self.predecessors = predecessors;
        change
    }

    /// The neighbour that is responsible for `k`, if it lies between the first and the last of
    /// our Neighbor Table.
    fn responsible_neighbor(&self, k: u128) -> Option<NodeId> {
        let far_to_near = self.predecessors.iter().rev();
        let line: Vec<NodeId> =
            far_to_near.chain([&self.own]).chain(&self.successors).copied().collect();
        line.windows(2)
            .find(|pair| ring::in_range(k, pair[0].to_u128(), pair[1].to_u128()))
            .map(|pair| pair[1])
            .filter(|owner| *owner != self.own)
    }
}

impl Topology for Chord {
    fn is_responsible(&self, entry: &Destination) -> bool {
        self.joined
            && position(entry)
                .is_some_and(|k| ring::in_range(k, self.range_start().to_u128(), self.position))
    }

    fn next_hop(&self, entry: &Destination) -> Option<NodeId> {
        let k = position(entry)?;
        if !self.joined {
            return None;
        }
        // §6.1.2 asks for the peer most likely to be responsible. Where our Neighbor Table tells
        // which one is, it goes before §10.3: that would ask the peer before it first.
        if let Some(owner) = self.responsible_neighbor(k) {
            return Some(owner);
        }
        let before = ring::anticlockwise(&self.peers, k).next();
        let closest = before
            .filter(|p| ring::distance(self.position, *p) < ring::distance(self.position, k))
            .or_else(|| ring::clockwise(&self.peers, k.wrapping_sub(1)).next());
        closest.map(NodeId::from_u128)
    }

    fn replicas(&self) -> &[NodeId] {
        &self.successors[..COPIES.min(self.successors.len())]
    }

    fn neighbors(&self) -> Vec<NodeId> {
        let both: BTreeSet<NodeId> =
            self.predecessors.iter().chain(&self.successors).copied().collect();
        both.into_iter().collect()
    }

    fn may_answer(&self, resource: &ResourceId, node: NodeId) -> bool {
        let Some(k) = resource.to_u128() else { return false };
        let far = ring::distance(k, node.to_u128());
        let mut neighbors = self.predecessors.iter().chain(&self.successors);
        neighbors.all(|n| far <= ring::distance(k, n.to_u128()))
    }
}

fn position(entry: &Destination) -> Option<u128> {
    match entry {
        Destination::Node(id) => Some(id.to_u128()),
        Destination::Resource(id) => id.to_u128(),
        Destination::Opaque(_) => None,
    }
}

// limits

/// Neighbours on each side: three are demanded, and a fourth so that three are left while a lost
/// one is replaced (RFC 6940 §10.1, §10.7).
pub const NEIGHBORS: usize = 4;
/// Copies beside the responsible peer's own (RFC 6940 §10.4).
pub const COPIES: usize = 2;
