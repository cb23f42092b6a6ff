//! Peers next to us that no link can be made with, although others are linked to them: not every
//! pair of nodes can reach each other. What is theirs is not ours (RFC 6940 §10.1), so our range
//! ends where theirs begins, and what is for them goes through a neighbour that names them.
//!
//! They are in none of the tables of §6.5.1, and our Updates name them only to peers between them
//! and us.

use super::{COPIES, Change, Chord, ring};
use crate::base::NodeId;

/// Such a peer.
#[derive(Clone, Debug)]
pub(super) struct Unlinked {
    pub(super) node: NodeId,
    /// Neighbours of ours that are linked to it.
    through: Vec<NodeId>,
}

impl Chord {
    /// Takes note of a peer that is there and that we cannot be linked to; `through`, which is
    /// linked to us, knows it. Nothing changes if it would be no neighbour of ours.
    pub fn note_unlinked(&mut self, peer: NodeId, through: NodeId) -> Change {
        if !self.contains(through) || !self.is_better(peer) {
            return Change::default();
        }
        if let Some(known) = self.unlinked.iter_mut().find(|known| known.node == peer) {
            if !known.through.contains(&through) {
                known.through.push(through);
            }
            return Change::default();
        }
        self.unlinked.push(Unlinked { node: peer, through: vec![through] });
        Change { neighbors: true, range: self.settle_range() }
    }

    /// Forgets a peer that we cannot be linked to: it is gone.
    pub fn forget_unlinked(&mut self, peer: NodeId) -> Change {
        let before = self.unlinked.len();
        self.unlinked.retain(|known| known.node != peer);
        let neighbors = self.unlinked.len() != before;
        Change { neighbors, range: self.settle_range() }
    }

    /// A neighbour has named its own: it may know peers that we cannot be linked to, or have lost
    /// them. Who is known to nobody any more is gone.
    pub fn hear_of_unlinked(
        &mut self,
        from: NodeId,
        predecessors: &[NodeId],
        successors: &[NodeId],
    ) -> Change {
        if self.unlinked.is_empty() || !self.contains(from) {
            return Change::default();
        }
        for known in &mut self.unlinked {
            known.through.retain(|through| *through != from);
            if predecessors.contains(&known.node) || successors.contains(&known.node) {
                known.through.push(from);
            }
        }
        let before = self.unlinked.len();
        self.unlinked.retain(|known| !known.through.is_empty());
        let neighbors = self.unlinked.len() != before;
        Change { neighbors, range: self.settle_range() }
    }

    /// Whether this is a peer that we cannot be linked to.
    pub fn is_unlinked(&self, peer: NodeId) -> bool {
        self.unlinked.iter().any(|known| known.node == peer)
    }

    /// The peers that we cannot be linked to, each with a neighbour that knows it.
    pub fn unlinked(&self) -> impl Iterator<Item = (NodeId, NodeId)> {
        self.unlinked.iter().filter_map(|known| Some((known.node, *known.through.last()?)))
    }

    /// Forgets those that are no neighbours any more, and those that no neighbour knows.
    pub(super) fn prune_unlinked(&mut self) {
        if self.unlinked.is_empty() {
            // Most are there for the moments of a join, and leave no room behind.
            self.unlinked = Vec::new();
            return;
        }
        let mut unlinked = std::mem::take(&mut self.unlinked);
        for known in &mut unlinked {
            known.through.retain(|t| self.successors.contains(t) || self.predecessors.contains(t));
        }
        unlinked.retain(|known| !known.through.is_empty() && self.is_better(known.node));
        self.unlinked = unlinked;
    }

    /// Our predecessors as an Update to a node names them: those that we cannot be linked to are
    /// among them if the node is between them and us, as its own range then begins behind them.
    /// Word of them thus runs one way only, so that nobody keeps alive what others have from it.
    /// To the last of them the one before it is named too, for the same reason: of several that
    /// we admit it may be the latest.
    pub(super) fn predecessors_for(&self, to: NodeId) -> Vec<NodeId> {
        let is_between = |peer: NodeId| ring::in_range(to.to_u128(), peer.to_u128(), self.position);
        let unlinked = self.unlinked.iter().map(|known| known.node);
        let named = unlinked.filter(|peer| to != self.own && is_between(*peer));
        let mut nearest: Vec<NodeId> = self.predecessors.iter().copied().chain(named).collect();
        if nearest.len() > self.predecessors.len() {
            nearest.sort_by_key(|node| ring::distance(node.to_u128(), self.position));
            nearest.truncate(self.side);
        }
        if nearest.last() == Some(&to) {
            let end = self.peers.partition_point(|peer| peer.distance < self.distance(to));
            nearest.extend(end.checked_sub(1).map(|before| self.node(self.peers[before].distance)));
        }
        nearest
    }

    /// Through whom a message for position `k` goes if its owner is one of those that we cannot be
    /// linked to; `owner` is the place that it would have in the list of peers.
    pub(super) fn way_to_unlinked(&self, k: u128, owner: usize) -> Option<NodeId> {
        // Farther away there may be peers between that we do not know.
        let count = self.peers.len();
        if self.unlinked.is_empty() || (owner >= self.side && owner + self.side <= count) {
            return None;
        }
        let behind = |node: NodeId| ring::distance(k, node.to_u128());
        let nearest = self.unlinked.iter().min_by_key(|known| behind(known.node))?;
        let linked = self.peers.get(owner).map_or(self.own, |peer| self.node(peer.distance));
        let is_nearer = behind(nearest.node) < behind(linked);
        nearest.through.last().copied().filter(|_| is_nearer)
    }

    /// The peers behind us that keep copies of what is ours.
    pub(super) fn nearest_behind(&self) -> Vec<NodeId> {
        let linked = self.successors.iter().take(COPIES).copied();
        let mut nearest: Vec<NodeId> = linked.chain(self.unlinked.iter().map(|u| u.node)).collect();
        if !self.unlinked.is_empty() {
            nearest.sort_by_key(|node| self.distance(*node));
        }
        nearest.truncate(COPIES);
        nearest
    }
}
