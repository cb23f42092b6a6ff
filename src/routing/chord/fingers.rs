//! The Finger Table (RFC 6940 §10.7.4.2, §10.7.4.3). Finger `i`, from 1 on, lies in the range
//! `[x + 2^(128-i), x + 2^(128-(i-1)) - 1]`: half the ring away, a quarter, an eighth.
//!
//! A wide table divides each of these ranges into slots of equal width, as many as the links
//! allow, and wants the peer with the shortest round trip in each.

use std::time::Duration;

use super::{Chord, Linked, NEIGHBORS_MAX, Table, ring};
use crate::base::{NodeId, ResourceId, Rng};

/// A part of a finger's range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    /// Which part of the range, from 0 on: all ranges have a first part before any has a second.
    part: u8,
    /// Which finger, from 1 on.
    finger: u8,
}

/// What has been done about the finger of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sought {
    /// How often it was looked for in vain.
    tries: u8,
    /// Whether it is to be looked for again.
    again: bool,
}

impl Chord {
    /// The Finger Table, farthest range first: of each slot the peer with the shortest round
    /// trip, in a plain table the peer nearest to the range's beginning.
    pub fn fingers(&self) -> Vec<NodeId> {
        self.finger_distances().into_iter().rev().map(|distance| self.node(distance)).collect()
    }

    /// The next finger that the table has grown to hold, or that was lost, and that nobody in it
    /// can act for, with the resource to look for, and whether it is the first of its range. Each
    /// is named once; afterwards [`Chord::stale_finger`] does.
    pub fn new_finger(&mut self, rng: &mut Rng) -> Option<(ResourceId, bool)> {
        let is_wanted = |slot: &Slot| self.sought.get(slot).is_none_or(|sought| sought.again);
        let slot = self.missing().into_iter().find(is_wanted)?;
        let before = self.sought.get(&slot).copied();
        let tries = before.map_or(0, |sought| sought.tries);
        self.sought.insert(slot, Sought { tries, again: false });
        let (start, width) = self.bounds(slot);
        // Whoever is at the beginning is lost, or wants no more links.
        let is_first = before.is_none();
        let offset = if is_first { 0 } else { u128::from_be_bytes(rng.bytes()) % width };
        Some((self.resource(start + offset), slot.part == 0))
    }

    /// A random place in the range of a finger that is still missing. Far fingers are preferred:
    /// each is passed over with even odds (RFC 6940 §10.7.4.2).
    pub fn stale_finger(&self, rng: &mut Rng) -> Option<ResourceId> {
        let missing = self.missing();
        let chosen = missing.iter().find(|_| rng.below(2) == 0).or(missing.first())?;
        let (start, width) = self.bounds(*chosen);
        Some(self.resource(start + u128::from_be_bytes(rng.bytes()) % width))
    }

    /// Allows the fingers in whose range `lost` lies to be looked for again at once
    /// (RFC 6940 §10.7.2).
    pub fn forget_finger(&mut self, lost: NodeId) {
        let slot = self.slot(self.distance(lost), self.parts_per_finger());
        self.sought.insert(slot, Sought { tries: 0, again: true });
    }

    /// Allows the finger in whose range `place` lies to be looked for at another place: who is
    /// responsible for this one gives us no link. After some tries it is left to
    /// [`Chord::stale_finger`].
    pub fn seek_elsewhere(&mut self, place: &ResourceId) {
        let Some(place) = place.to_u128() else { return };
        let distance = ring::distance(self.position, place);
        if distance == 0 {
            return;
        }
        let slot = self.slot(distance, self.parts_per_finger());
        if let Some(sought) = self.sought.get_mut(&slot) {
            sought.tries = sought.tries.saturating_add(1);
            sought.again = sought.tries < TRIES_MAX;
        }
    }

    /// Whether a peer that one of our links told us of may be a better finger than what we have:
    /// nobody is in its slot, or nobody who is nearly as near as our informant, or near enough.
    pub fn wants(&self, candidate: NodeId, informant: NodeId) -> bool {
        let distance = self.distance(candidate);
        let Err(place) = self.index(distance) else { return false };
        let is_near = place < self.side || self.peers.len() - place < self.side;
        if self.table == Table::Plain || is_near || candidate == self.own || !candidate.is_valid() {
            return false;
        }
        let slot = self.slot(distance, self.parts_per_finger());
        match (Self::nearest(self.in_slot(slot)), self.rtt(informant)) {
            (None, _) => true,
            (Some(best), Some(informant)) => best.rtt.is_some_and(|best| {
                let best = Duration::from(best);
                best > NEAR_ENOUGH && informant < best.mul_f64(WORTH_A_TRIAL)
            }),
            (Some(_), None) => false,
        }
    }

    /// The slowest of the fingers in the slot of `peer` for which `is_ours` holds, if another
    /// peer there is faster: it is not needed any more.
    pub fn outdone(&self, peer: NodeId, is_ours: impl Fn(NodeId) -> bool) -> Option<NodeId> {
        let slot = self.slot(self.distance(peer), self.parts_per_finger());
        let rivals = self.in_slot(slot);
        let best = Self::nearest(rivals)?.distance;
        let measured = rivals.iter().all(|p| p.rtt.is_some());
        let outdone = rivals.iter().filter(|p| measured && p.distance != best);
        let outdone =
            outdone.filter(|p| !self.is_near(p.distance) && is_ours(self.node(p.distance)));
        outdone.max_by_key(|p| p.rtt).map(|p| self.node(p.distance))
    }

    /// The link that is missed least when there are too many: one that no message is routed by,
    /// else one whose slot has another, else any but the neighbours'; of those the slowest.
    pub fn least_needed(&self, is_fixed: impl Fn(NodeId) -> bool) -> Option<NodeId> {
        let parts = self.parts_per_finger();
        let free = self.peers.iter().filter(|p| !self.is_near(p.distance));
        let worth = |p: &&Linked| {
            let is_only = self.in_slot(self.slot(p.distance, parts)).len() < 2;
            (p.is_route, is_only, std::cmp::Reverse(p.rtt))
        };
        let free = free.filter(|p| !is_fixed(self.node(p.distance)));
        free.min_by_key(worth).map(|p| self.node(p.distance))
    }

    /// Distances of the Finger Table, ascending.
    pub(super) fn finger_distances(&self) -> Vec<u128> {
        let parts = self.parts_per_finger();
        let mut chosen: Vec<u128> = Vec::new();
        let mut rest = &self.peers[..];
        while let Some(first) = rest.first() {
            let slot = self.slot(first.distance, parts);
            let end = rest.iter().take_while(|p| self.slot(p.distance, parts) == slot).count();
            let (here, after) = rest.split_at(end);
            let finger = match self.table {
                Table::Plain => Some(first),
                Table::Wide => Self::nearest(here),
            };
            chosen.extend(finger.map(|p| p.distance));
            rest = after;
        }
        chosen
    }

    /// Slots without a peer, in the order in which they are to be filled. The table ends where
    /// the Neighbor Table begins: of the ranges up to the last successor we know all peers.
    fn missing(&self) -> Vec<Slot> {
        if self.successors.len() < self.side {
            return Vec::new();
        }
        let parts = self.parts_per_finger();
        let mut slots: Vec<Slot> = (1..=self.finger_count())
            .flat_map(|finger| (0..parts_of(finger, parts)).map(move |part| Slot { part, finger }))
            .filter(|slot| self.in_slot(*slot).is_empty())
            .collect();
        slots.sort_unstable();
        slots
    }

    /// The peers in a slot, by distance.
    fn in_slot(&self, slot: Slot) -> &[Linked] {
        let (start, width) = self.bounds(slot);
        let from = self.peers.partition_point(|p| p.distance < start);
        let count = self.peers[from..].partition_point(|p| p.distance - start < width);
        &self.peers[from..from + count]
    }

    /// How far from us a slot begins, and how wide it is.
    fn bounds(&self, slot: Slot) -> (u128, u128) {
        let span = finger_span(slot.finger);
        let parts = u128::from(parts_of(slot.finger, self.parts_per_finger()));
        let width = (span / parts).max(1);
        let start = span + width * u128::from(slot.part);
        // What division leaves over belongs to the last one.
        let is_last = u128::from(slot.part) + 1 == parts;
        (start, if is_last { span - width * (parts - 1) } else { width })
    }

    fn slot(&self, distance: u128, parts_per_finger: f64) -> Slot {
        // 127 leading zeros at most: a peer is never at our own position.
        let finger = (distance.leading_zeros() + 1).min(128) as u8;
        let span = finger_span(finger);
        let parts = parts_of(finger, parts_per_finger);
        let part = (distance - span) / (span / u128::from(parts)).max(1);
        Slot { finger, part: part.min(u128::from(parts) - 1) as u8 }
    }

    /// Fingers whose ranges reach beyond our Neighbor Table.
    fn finger_count(&self) -> u8 {
        let last = self.peers.get(..self.side).and_then(<[_]>::last);
        // The span of finger i is larger than this distance as long as i is not larger than the
        // number of zeros before its first one.
        last.map_or(0, |p| p.distance.leading_zeros().min(FINGERS_MAX) as u8)
    }

    /// Slots for each finger's range, on average.
    pub(super) fn parts_per_finger(&self) -> f64 {
        let fingers = self.finger_count();
        match self.table {
            Table::Plain => 1.0,
            Table::Wide if fingers == 0 => 1.0,
            Table::Wide => {
                let free = self.links_max.saturating_sub(2 * self.side) as f64;
                (free * OWN_SHARE / f64::from(fingers)).clamp(1.0, PARTS_MAX)
            }
        }
    }

    /// Whether a peer is a neighbour, or may be one in the eyes of its own.
    fn is_near(&self, distance: u128) -> bool {
        let Ok(place) = self.index(distance) else { return false };
        place < NEIGHBORS_MAX || self.peers.len() - place <= NEIGHBORS_MAX
    }

    fn resource(&self, distance: u128) -> ResourceId {
        ResourceId::from_u128(self.position.wrapping_add(distance))
    }
}

/// How far the range of a finger begins from us, which is also how wide it is.
fn finger_span(finger: u8) -> u128 {
    1 << (128 - u32::from(finger.clamp(1, 128)))
}

/// Slots in the range of this finger: whole numbers that come to the average together.
fn parts_of(finger: u8, parts_per_finger: f64) -> u8 {
    let up_to = |finger: u8| (f64::from(finger) * parts_per_finger) as u32;
    (up_to(finger) - up_to(finger.saturating_sub(1))).max(1) as u8
}

// limits

/// The table can grow to 128 fingers (RFC 6940 §10.7.4.3).
const FINGERS_MAX: u32 = 128;
/// Which part of the links beside the neighbours' are our own fingers: others choose us as often
/// as we choose them, and not all equally.
const OWN_SHARE: f64 = 0.43;
/// Places of a slot that are tried in a row: its peers may all have as many links as they allow.
const TRIES_MAX: u8 = 5;
/// A finger with a shorter round trip is good enough, as all are in a local network: a trial costs
/// some ten kilobytes.
const NEAR_ENOUGH: Duration = Duration::from_millis(10);
/// Of a finger's round trip, the part that another one's is to be expected to take for a trial.
const WORTH_A_TRIAL: f64 = 0.75;
/// Slots in one finger's range.
const PARTS_MAX: f64 = 16.0;
