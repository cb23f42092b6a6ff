//! Near peers first. All peers of the overlay are equally good at carrying a message on, but not
//! equally fast: the Routing Table leaves out a linked peer if one shortly before it on the ring
//! is so much nearer in time that going on from there is faster.

use std::time::Duration;

use super::{Chord, Linked, Table};
use crate::base::NodeId;

impl Chord {
    /// Notes how long a round trip to a linked peer takes.
    pub fn set_rtt(&mut self, peer: NodeId, rtt: Duration) {
        if let Ok(place) = self.index(self.distance(peer)) {
            self.peers[place].rtt = Some(rtt);
            self.choose_routes();
        }
    }

    /// How long a round trip to a linked peer takes, if it has been measured.
    pub fn rtt(&self, peer: NodeId) -> Option<Duration> {
        self.index(self.distance(peer)).ok().and_then(|place| self.peers[place].rtt)
    }

    /// Our Routing Table: neighbours always, others unless a message would be faster by a peer
    /// before them.
    pub(super) fn choose_routes(&mut self) {
        if self.table == Table::Plain {
            let mut routes = self.finger_distances();
            routes.extend(
                self.predecessors.iter().chain(&self.successors).map(|n| self.distance(*n)),
            );
            routes.sort_unstable();
            routes.dedup();
            self.routes = routes;
            return;
        }
        // The fewer fingers, the more hops one step back costs.
        let share = HOP_SHARE + HOP_SHARE_SPARSE / self.parts_per_finger();
        let unit = self.rtt_median().as_secs_f64() * share;
        let spacing = super::RING / self.ring_size();
        let mut routes: Vec<u128> = Vec::with_capacity(self.peers.len());
        // The last peers before this one with their round trips, in seconds.
        let mut before: Vec<(u128, f64)> = Vec::with_capacity(self.peers.len());
        for (place, peer) in self.peers.iter().enumerate() {
            let next = self.peers.get(place + 1).map_or(u128::MAX, |next| next.distance);
            // Messages that would go by this peer are on average on their way to here.
            let target = peer.distance + (next - peer.distance) / 2;
            let cost = |distance: u128, rtt: f64| {
                rtt + unit * ((target - distance) as f64 / spacing + 1.0).log2()
            };
            let rtt = peer.rtt.map_or(0.0, |rtt| rtt.as_secs_f64());
            let own = cost(peer.distance, rtt);
            let mut nearby = before.iter().rev().take(COMPARED);
            if self.is_neighbor(place) || nearby.all(|(distance, rtt)| cost(*distance, *rtt) >= own)
            {
                routes.push(peer.distance);
                if peer.rtt.is_some() {
                    before.push((peer.distance, rtt));
                }
            }
        }
        self.routes = routes;
    }

    /// The round trip that half of the linked peers have; the unit of what is far and near.
    pub(super) fn rtt_median(&self) -> Duration {
        let mut known: Vec<Duration> = self.peers.iter().filter_map(|p| p.rtt).collect();
        known.sort_unstable();
        known.get(known.len() / 2).copied().unwrap_or_default()
    }

    /// The nearest of these peers in time; those that have not been measured come last.
    pub(super) fn nearest(peers: &[Linked]) -> Option<&Linked> {
        peers.iter().min_by_key(|p| p.rtt.unwrap_or(Duration::MAX))
    }

    /// The linked peers with the shortest round trips, best first: their fingers are likely to be
    /// near us too.
    pub fn close_friends(&self) -> Vec<NodeId> {
        let mut measured: Vec<(Duration, u128)> =
            self.peers.iter().filter_map(|p| Some((p.rtt?, p.distance))).collect();
        measured.sort_unstable();
        measured.into_iter().take(FRIENDS).map(|(_, distance)| self.node(distance)).collect()
    }
}

// limits

/// What halving the rest of the way is worth, as a part of the usual round trip, with many fingers
/// in each range; and how much more it is worth with one. With these values look-ups are fastest
/// in simulated rings of ten thousand.
const HOP_SHARE: f64 = 0.3;
const HOP_SHARE_SPARSE: f64 = 0.6;
/// Peers that each one is compared with: those farther back are hardly ever better.
const COMPARED: usize = 8;
/// Peers whose tables we ask for.
const FRIENDS: usize = 6;
