//! The Finger Table (RFC 6940 §10.7.4.2, §10.7.4.3). Finger `i`, from 1 on, lies in the range
//! `[x + 2^(128-i), x + 2^(128-(i-1)) - 1]`: half the ring away, a quarter, an eighth.

use super::{Chord, NEIGHBORS, ring};
use crate::base::{NodeId, ResourceId, Rng};

impl Chord {
    /// The Finger Table: of each range the peer nearest to its beginning, farthest range first.
    pub fn fingers(&self) -> Vec<NodeId> {
        let mut fingers: Vec<(u8, NodeId)> = Vec::new();
        for peer in ring::clockwise(&self.peers, self.position) {
            let index = self.finger_index(peer);
            if fingers.last().is_none_or(|(last, _)| *last != index) {
                fingers.push((index, NodeId::from_u128(peer)));
            }
        }
        fingers.into_iter().rev().map(|(_, peer)| peer).collect()
    }

    /// The next finger that the table has grown to hold and that nobody in it can act for, with
    /// the resource to look for. Each is named once; afterwards [`Chord::stale_finger`] does.
    pub fn new_finger(&mut self) -> Option<ResourceId> {
        let index = self.missing().into_iter().find(|i| !self.sought.contains(i))?;
        self.sought.insert(index);
        Some(ResourceId::from_u128(self.position.wrapping_add(finger_span(index))))
    }

    /// A random place in the range of a finger that is still missing. Far fingers are preferred:
    /// each is passed over with even odds (RFC 6940 §10.7.4.2).
    pub fn stale_finger(&self, rng: &mut Rng) -> Option<ResourceId> {
        let missing = self.missing();
        let chosen = missing.iter().find(|_| rng.below(2) == 0).or(missing.first())?;
        let span = finger_span(*chosen);
        let offset = u128::from_be_bytes(rng.bytes()) & (span - 1);
        Some(ResourceId::from_u128(self.position.wrapping_add(span).wrapping_add(offset)))
    }

    /// Allows the fingers in whose range `lost` lies to be looked for again at once
    /// (RFC 6940 §10.7.2).
    pub fn forget_finger(&mut self, lost: NodeId) {
        let index = self.finger_index(lost.to_u128());
        self.sought.remove(&index);
    }

    /// Fingers without a peer, farthest first. The table ends where the Neighbor Table begins:
    /// of the ranges up to the last successor we know all peers.
    fn missing(&self) -> Vec<u8> {
        if self.successors.len() < NEIGHBORS {
            return Vec::new();
        }
        let last = self.successors.last().map_or(0, |s| s.to_u128());
        let known = ring::distance(self.position, last);
        let present: Vec<u8> = self.peers.iter().map(|p| self.finger_index(*p)).collect();
        (1..=FINGERS_MAX)
            .take_while(|i| finger_span(*i) > known)
            .filter(|i| !present.contains(i))
            .collect()
    }

    fn finger_index(&self, peer: u128) -> u8 {
        // 127 leading zeros at most: a peer is never at our own position.
        (ring::distance(self.position, peer).leading_zeros() + 1).min(128) as u8
    }
}

/// How far the range of finger `index` begins from us, which is also how wide it is.
fn finger_span(index: u8) -> u128 {
    1 << (128 - u32::from(index.clamp(1, 128)))
}

// limits

/// The table can grow to 128 fingers (RFC 6940 §10.7.4.3).
const FINGERS_MAX: u8 = 128;
