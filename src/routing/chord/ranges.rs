//! Early recognition of the responsible peer. RFC 6940 §6.1.2 wants the peer that is most likely to
//! be responsible, while §10.3 by itself would ask the one before it first. Of neighbours the
//! Neighbor Table tells whose range is whose, and every linked peer tells where its own begins:
//! its Updates name its predecessors.

use super::{Chord, Linked, RING, ring};
use crate::base::NodeId;

impl Chord {
    /// Notes where the range of a linked peer with these predecessors begins.
    pub(super) fn hear_of_range(&mut self, peer: NodeId, predecessors: &[NodeId]) {
        let Ok(place) = self.index(self.distance(peer)) else { return };
        let at = peer.to_u128();
        let ranges = predecessors.iter().map(|before| ring::distance(before.to_u128(), at));
        if let Some(range) = ranges.filter(|range| *range > 0).min() {
            self.peers[place].range = range;
        }
    }

    /// The linked peer that is known to be responsible for what lies at this distance from us,
    /// if it is the one at this place of the list.
    pub(super) fn responsible_linked(&self, place: usize, distance: u128) -> Option<&Linked> {
        let linked = self.peers.get(place)?;
        // Who has a range that no honest peer has wants what is not its own.
        let widest = RING / self.ring_size() * RANGE_MAX;
        let has_told =
            || linked.distance - distance < linked.range && (linked.range as f64) < widest;
        (self.is_responsible_neighbor(place) || has_told()).then_some(linked)
    }

    /// Whether our Neighbor Table tells that the peer at this place of the list is responsible for
    /// what lies between the one before it and itself.
    fn is_responsible_neighbor(&self, place: usize) -> bool {
        let count = self.peers.len();
        place < self.side.min(count) || (place < count && place + self.side > count)
    }
}

// limits

/// The widest range that we believe in, in mean ones: one of a hundred thousand is wider than 12.
const RANGE_MAX: f64 = 12.0;
