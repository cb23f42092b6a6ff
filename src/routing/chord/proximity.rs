//! Near peers first. All peers of the overlay are equally good at carrying a message on, but not
//! equally fast: the Routing Table leaves out a linked peer if one shortly before it on the ring
//! is so much nearer in time that going on from there is faster.

use std::time::Duration;

use super::{Chord, Linked, Rtt, Table};
use crate::base::NodeId;

impl Chord {
    /// Notes how long a round trip to a linked peer takes.
    pub fn set_rtt(&mut self, peer: NodeId, rtt: Duration) {
        let Ok(place) = self.index(self.distance(peer)) else { return };
        let known = self.peers[place].rtt.map(Duration::from);
        if known.is_none_or(|known| known.abs_diff(rtt) > known / RTT_SAME) {
            self.peers[place].rtt = Some(rtt.into());
            self.choose_routes();
        }
    }

    /// How long a round trip to a linked peer takes, if it has been measured.
    pub fn rtt(&self, peer: NodeId) -> Option<Duration> {
        let place = self.index(self.distance(peer)).ok()?;
        self.peers[place].rtt.map(Duration::from)
    }

    /// Our Routing Table: neighbours always, others unless a message would be faster by a peer
    /// before them.
    pub(super) fn choose_routes(&mut self) {
        if self.table == Table::Plain {
            let fingers = self.finger_distances();
            for place in 0..self.peers.len() {
                let is_finger = fingers.contains(&self.peers[place].distance);
                self.peers[place].is_route = is_finger || self.is_neighbor(place);
            }
            return;
        }
        // The fewer fingers, the more hops one step back costs.
        let share = HOP_SHARE + HOP_SHARE_SPARSE / self.parts_per_finger();
        let unit = self.rtt_median().as_secs_f64() * share;
        let spacing = super::RING / self.ring_size();
        // The last peers before this one with their round trips, in seconds.
        let mut before: Vec<(u128, f64)> = Vec::with_capacity(self.peers.len());
        for place in 0..self.peers.len() {
            let Linked { distance, rtt, .. } = self.peers[place];
            let next = self.peers.get(place + 1).map_or(u128::MAX, |next| next.distance);
            // Messages that would go by this peer are on average on their way to here.
            let target = distance + (next - distance) / 2;
            let cost = |distance: u128, rtt: f64| {
                rtt + unit * ((target - distance) as f64 / spacing + 1.0).log2()
            };
            let seconds = rtt.map_or(0.0, |rtt| Duration::from(rtt).as_secs_f64());
            let own = cost(distance, seconds);
            let mut nearby = before.iter().rev().take(COMPARED);
            let is_route = self.is_neighbor(place)
                || nearby.all(|(distance, rtt)| cost(*distance, *rtt) >= own);
            self.peers[place].is_route = is_route;
            if is_route && rtt.is_some() {
                before.push((distance, seconds));
            }
        }
    }

    /// The round trip that half of the linked peers have; the unit of what is far and near.
    pub(super) fn rtt_median(&self) -> Duration {
        let mut known: Vec<Rtt> = self.peers.iter().filter_map(|p| p.rtt).collect();
        known.sort_unstable();
        known.get(known.len() / 2).copied().map(Duration::from).unwrap_or_default()
    }

    /// The nearest of these peers in time; those that have not been measured come last.
    pub(super) fn nearest(peers: &[Linked]) -> Option<&Linked> {
        peers.iter().min_by_key(|p| (p.rtt.is_none(), p.rtt))
    }

    /// The linked peers with the shortest round trips, best first: their fingers are likely to be
    /// near us too.
    pub fn close_friends(&self) -> Vec<NodeId> {
        let mut measured: Vec<(Rtt, u128)> =
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
/// A round trip that differs by no more than this part of what it was counts as the same.
const RTT_SAME: u32 = 8;
/// Peers that each one is compared with: those farther back are hardly ever better.
const COMPARED: usize = 8;
/// Peers whose tables we ask for.
const FRIENDS: usize = 6;
