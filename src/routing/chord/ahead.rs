//! One hop ahead. Full Updates (RFC 6940 §6.4.2.1, §10.7) tell whom our linked peers are linked
//! to, so whoever sends a request can choose its first hop by what lies behind that one. The choice
//! stands in the request's destination list (§6.1.2), thus every peer on its way, we among them,
//! follows §10.3.

use std::time::Duration;

use super::{Chord, Linked, RING, Table, ring};
use crate::base::NodeId;
use crate::message::ChordUpdateContents;
use crate::routing::Topology;

impl Chord {
    /// Notes what a linked peer tells of its range and of its links.
    pub fn hear(&mut self, peer: NodeId, contents: &ChordUpdateContents) {
        match contents {
            ChordUpdateContents::PeerReady => {}
            ChordUpdateContents::Neighbors { predecessors, .. } => {
                self.hear_of_range(peer, predecessors);
            }
            ChordUpdateContents::Full { predecessors, successors, fingers } => {
                self.hear_of_range(peer, predecessors);
                self.hear_of_links(peer, [fingers, predecessors, successors]);
            }
        }
    }

    fn hear_of_links(&mut self, peer: NodeId, told: [&Vec<NodeId>; 3]) {
        let Ok(place) = self.index(self.distance(peer)) else { return };
        if self.table == Table::Plain {
            return;
        }
        let told = told.into_iter().flatten().take(LINKS_TOLD_MAX);
        let mut links: Vec<u32> = told.map(|node| mark(node.to_u128())).collect();
        links.sort_unstable();
        links.dedup();
        self.peers[place].links = links.into();
    }

    /// The linked peer that is best named first in the destination list of a request for this
    /// position; `None` if the request is as well off without.
    pub fn first_hop(&self, k: u128) -> Option<NodeId> {
        let unit = self.rtt_median().as_secs_f32();
        if self.table == Table::Plain || !self.joined || unit == 0.0 || self.is_responsible(k) {
            return None;
        }
        let distance = ring::distance(self.position, k);
        let owner = self.peers.partition_point(|p| p.distance < distance);
        let is_linked = self.peers.get(owner).is_some_and(|p| p.distance == distance);
        if is_linked || self.responsible_linked(owner, distance).is_some() {
            return None;
        }
        let hop = self.next_hop(k);
        let spacing = (RING / self.ring_size() / MARK) as f32;
        let view = View { k: mark(k), spacing };
        let cost = |linked: &Linked| {
            let rtt = linked.rtt.map_or(1.0, |rtt| Duration::from(rtt).as_secs_f32() / unit);
            rtt + view.rest_from(mark(self.node(linked.distance).to_u128()), &linked.links)
        };
        let costs = self.peers.iter().map(|linked| (cost(linked), linked));
        let (_, best) = costs.min_by(|(a, _), (b, _)| a.total_cmp(b))?;
        Some(self.node(best.distance)).filter(|best| Some(*best) != hop)
    }
}

/// The first bits of a position: those of two peers are the same in one of many overlays.
fn mark(position: u128) -> u32 {
    (position >> 96) as u32
}

/// What is looked for.
struct View {
    k: u32,
    /// Between two peers, on average.
    spacing: f32,
}

impl View {
    /// What is expected to be left of the way when a message has come to a peer at `at` with these
    /// links, in usual round trips.
    fn rest_from(&self, at: u32, links: &[u32]) -> f32 {
        let own = self.rest(at);
        let (Some(first), Some(last)) = (links.first(), links.last()) else { return own };
        let place = links.partition_point(|link| *link < self.k);
        let behind = links.get(place).unwrap_or(first).wrapping_sub(self.k);
        let before = *place.checked_sub(1).and_then(|place| links.get(place)).unwrap_or(last);
        // The first one behind it is responsible if nobody else is between, whom chance has put
        // there as everywhere.
        let miss = 1.0 - (-(behind as f32) / self.spacing).exp();
        own.min(LINK + miss * self.rest(before))
    }

    /// The same from a peer of which we know no links.
    fn rest(&self, at: u32) -> f32 {
        let peers_between = self.k.wrapping_sub(at) as f32 / self.spacing;
        LAST + HALVING * (peers_between + 1.0).log2()
    }
}

// limits

/// Positions for each mark.
const MARK: f64 = (1_u128 << 96) as f64;
/// Links that one peer can tell us of.
const LINKS_TOLD_MAX: usize = 160;
/// What a hop to a peer's finger takes, in usual round trips, the last hop, and halving the way in
/// front of it. With these values look-ups are fastest in simulated rings of ten thousand.
const LINK: f32 = 0.8;
const LAST: f32 = 1.0;
const HALVING: f32 = 0.4;
