//! CHORD-RELOAD, the topology that every implementation has (RFC 6940 §10).
//!
//! The peers that we are linked to and that have sent us an Update (§6.5.1) are kept in one list,
//! in the order of their distance from us. The Neighbor Table is its two ends, and a finger is
//! whoever of them lies in the finger's range. So a lost peer is replaced by the best match in
//! the same moment (§10.7.1, §10.7.2), and the two tables cannot disagree. Who is next to us and
//! cannot be linked to is in a list of its own (`unlinked`).
//!
//! A [`Table::Wide`] has more fingers than one for each power of two, prefers those with a short
//! round trip, and keeps as many neighbours as the ring's size asks for. Its peers know from
//! Updates what range each linked peer has (`ranges`) and whom it is linked to (`ahead`). A
//! [`Table::Plain`] is the least that the RFC asks for.

mod ahead;
mod fingers;
mod proximity;
mod ranges;
pub mod ring;
#[cfg(test)]
mod tests;
mod unlinked;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use crate::base::{NodeId, ResourceId};
use crate::message::ChordUpdateContents;

use super::topology::Topology;
use fingers::{Slot, Sought};
use unlinked::Unlinked;

/// How much a peer wants to know of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// The least: three neighbours on each side and one finger for each power of two.
    Plain,
    /// As much as the number of links allows, near peers first.
    Wide,
}

/// The ring as one node sees it.
#[derive(Clone, Debug)]
pub struct Chord {
    own: NodeId,
    position: u128,
    joined: bool,
    /// Where our range begins until the predecessor there is linked to us.
    start: Option<NodeId>,
    /// Where our range begins: each message is measured by it.
    range_start: NodeId,
    table: Table,
    links_max: usize,
    /// By distance from us.
    peers: Vec<Linked>,
    /// Neighbours wanted on each side.
    side: usize,
    /// Nearest first.
    predecessors: Vec<NodeId>,
    /// Nearest first.
    successors: Vec<NodeId>,
    /// Peers next to us that we cannot be linked to.
    unlinked: Vec<Unlinked>,
    /// Peers that do not name certain of our neighbours, each with one of those.
    left_out: BTreeSet<(NodeId, NodeId)>,
    /// Slots that the table has grown to hold.
    sought: BTreeMap<Slot, Sought>,
}

/// A peer with a link to us that has sent us an Update.
#[derive(Clone, Debug)]
struct Linked {
    /// How far clockwise from us it is.
    distance: u128,
    /// The round trip to it, once it has been measured.
    rtt: Option<Rtt>,
    /// Whether messages are routed through it.
    is_route: bool,
    /// How much of the ring up to it is its own, as it has told; 0 as long as it has not.
    range: u128,
    /// Marks of the peers that it is linked to, in their order on the ring, as it has told.
    links: Box<[u32]>,
}

impl Linked {
    fn new(distance: u128) -> Self {
        Self { distance, rtt: None, is_route: false, range: 0, links: Box::default() }
    }
}

/// A round trip in microseconds, which takes a quarter of the room of a [`Duration`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rtt(NonZeroU32);

impl From<Duration> for Rtt {
    fn from(time: Duration) -> Self {
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        Self(NonZeroU32::new(micros).unwrap_or(NonZeroU32::MIN))
    }
}

impl From<Rtt> for Duration {
    fn from(Rtt(micros): Rtt) -> Self {
        Self::from_micros(u64::from(micros.get()))
    }
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
    /// A node that is not a peer yet and knows nobody. A wide table is made to fit into
    /// `links_max` links, those that others open to us among them.
    pub fn new(own: NodeId, table: Table, links_max: usize) -> Self {
        Self {
            own,
            position: own.to_u128(),
            joined: false,
            start: None,
            range_start: own,
            table,
            links_max,
            peers: Vec::new(),
            side: table.side_min(),
            predecessors: Vec::new(),
            successors: Vec::new(),
            unlinked: Vec::new(),
            left_out: BTreeSet::new(),
            sought: BTreeMap::new(),
        }
    }

    /// Makes us a peer, responsible for our range, or not one any more.
    pub fn set_joined(&mut self, joined: bool) {
        self.joined = joined;
    }

    /// Names the predecessor of a peer that has just been admitted: its range begins there although
    /// that one has not sent an Update yet.
    pub fn set_start(&mut self, start: Option<NodeId>) {
        self.start = start.filter(|start| *start != self.own);
        self.settle_range();
    }

    /// Forgets the predecessor that was named, if it is one of those that are gone.
    pub fn forget_start(&mut self, is_gone: impl Fn(NodeId) -> bool) {
        self.start = self.start.filter(|start| !is_gone(*start));
        self.settle_range();
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

    /// Whether this peer is linked to us and has sent us an Update.
    pub fn contains(&self, peer: NodeId) -> bool {
        self.index(self.distance(peer)).is_ok()
    }

    /// How many such peers there are.
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether there is no such peer.
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// All such peers, by their distance from us.
    pub fn peers(&self) -> impl Iterator<Item = NodeId> {
        self.peers.iter().map(|p| self.node(p.distance))
    }

    /// All such peers, clockwise from this position on.
    pub fn peers_from(&self, position: u128) -> impl Iterator<Item = NodeId> {
        let distance = ring::distance(self.position, position);
        let place = self.peers.partition_point(|p| p.distance < distance);
        let (before, behind) = self.peers.split_at(place);
        behind.iter().chain(before).map(|p| self.node(p.distance))
    }

    /// Takes in a peer: it is linked to us and has sent us an Update.
    pub fn insert(&mut self, peer: NodeId) -> Change {
        let distance = self.distance(peer);
        match self.index(distance) {
            Err(place) if peer != self.own => {
                if self.peers.len() == self.peers.capacity() {
                    // Tables have few sizes that they stay at; doubling would leave much unused.
                    self.peers.reserve_exact(PEERS_STEP);
                }
                self.peers.insert(place, Linked::new(distance));
                let change = self.refresh();
                self.forget_start(|start| start == peer);
                change
            }
            _ => Change::default(),
        }
    }

    /// Stops routing through a peer.
    pub fn remove(&mut self, peer: NodeId) -> Change {
        match self.index(self.distance(peer)) {
            Ok(place) => {
                self.peers.remove(place);
                self.left_out.retain(|(by, node)| *by != peer && *node != peer);
                self.refresh()
            }
            Err(_) => Change::default(),
        }
    }

    /// Whether a peer that we only heard of would be a neighbour (RFC 6940 §10.7.3).
    pub fn is_better(&self, candidate: NodeId) -> bool {
        let distance = self.distance(candidate);
        let Err(place) = self.index(distance) else { return false };
        let is_near = place < self.side || self.peers.len() - place < self.side;
        is_near && candidate != self.own && candidate.is_valid()
    }

    /// How many neighbours are wanted on each side.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Whether `peer` belongs into the Neighbor Table of `other`, by what we know.
    pub fn is_neighbor_of(&self, other: NodeId, peer: NodeId) -> bool {
        let all = self.peers.iter().map(|p| p.distance).chain([0]);
        let [at, peer] = [other, peer].map(|node| self.distance(node));
        let between = |from: u128, to: u128| {
            let width = ring::distance(from, to);
            all.clone().filter(|k| (1..width).contains(&ring::distance(from, *k))).count()
        };
        between(at, peer).min(between(peer, at)) < self.side
    }

    /// Whether a peer that has `listed` its neighbours has lost its place: it takes us for the
    /// nearest on one side, and several of our neighbours lie between.
    pub fn is_lost(&self, peer: NodeId, listed: &[NodeId]) -> bool {
        let at = peer.to_u128();
        if !listed.contains(&self.own) {
            return false;
        }
        let between = |from: u128, to: u128, k: NodeId| {
            let k = k.to_u128();
            k != to && k != from && ring::in_range(k, from, to)
        };
        [(at, self.position), (self.position, at)].into_iter().any(|(from, to)| {
            let known = self.predecessors.iter().chain(&self.successors);
            let known: BTreeSet<NodeId> =
                known.filter(|k| between(from, to, **k)).copied().collect();
            known.len() >= LOST && !listed.iter().any(|k| between(from, to, *k))
        })
    }

    /// Those of our neighbours that `peer` does not name although it names some that are farther
    /// from it: it has lost them, or does not know them.
    pub fn left_out(
        &self,
        peer: NodeId,
        predecessors: &[NodeId],
        successors: &[NodeId],
    ) -> Vec<NodeId> {
        let at = peer.to_u128();
        let after = |node: &NodeId| ring::distance(at, node.to_u128());
        let before = |node: &NodeId| ring::distance(node.to_u128(), at);
        let last = successors.iter().map(after).max().unwrap_or(0);
        let first = predecessors.iter().map(before).max().unwrap_or(0);
        let mut ours = self.neighbors();
        ours.retain(|node| {
            let is_within = after(node) < last || before(node) < first;
            is_within && *node != peer && !predecessors.contains(node) && !successors.contains(node)
        });
        ours
    }

    /// Those of `left_out` that `peer` did not leave out before: there may be some that it can
    /// never be linked to.
    pub fn newly_left_out(&mut self, peer: NodeId, left_out: &[NodeId]) -> Vec<NodeId> {
        if !self.contains(peer) {
            return Vec::new();
        }
        self.left_out.retain(|(by, node)| *by != peer || left_out.contains(node));
        let new = left_out.iter().copied().filter(|node| self.left_out.insert((peer, *node)));
        new.collect()
    }

    /// Whether a neighbour is not just the last on its side, or one of few.
    pub fn is_amid(&self, neighbor: NodeId) -> bool {
        [&self.predecessors, &self.successors].into_iter().any(|list| {
            let place = list.iter().position(|n| *n == neighbor);
            place.is_some_and(|place| place + 1 < self.side || list.len() < self.side)
        })
    }

    /// Who would be the neighbours of `own` among `known` and the peers that we have: who a
    /// joining node has to be linked to first (RFC 6940 §10.5).
    pub fn expected(&self, known: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        let known = known.iter().filter(|id| id.is_valid() && **id != self.own);
        let mut all: Vec<u128> = known.map(|id| self.distance(*id)).collect();
        all.extend(self.peers.iter().map(|p| p.distance));
        all.sort_unstable();
        all.dedup();
        let successors = all.iter().take(self.side);
        let predecessors = all.iter().rev().take(self.side);
        successors.chain(predecessors).map(|distance| self.node(*distance)).collect()
    }

    /// Whether `k` lies in `(after, to]`.
    pub fn between(k: &ResourceId, after: NodeId, to: NodeId) -> bool {
        k.to_u128().is_some_and(|k| ring::in_range(k, after.to_u128(), to.to_u128()))
    }

    /// The nearest predecessor, linked to us or not, or we ourselves if there is none: our range
    /// begins behind it.
    pub fn range_start(&self) -> NodeId {
        self.range_start
    }

    /// Finds out where our range begins, and whether that is new.
    fn settle_range(&mut self) -> bool {
        let known = self.predecessors.first().copied().into_iter().chain(self.start);
        let known = known.chain(self.unlinked.iter().map(|unlinked| unlinked.node));
        let nearest = known.min_by_key(|p| ring::distance(p.to_u128(), self.position));
        let before = std::mem::replace(&mut self.range_start, nearest.unwrap_or(self.own));
        self.range_start != before
    }

    /// The range that a node would take over from us or from a predecessor of ours, if the one
    /// before that is known too: where it begins, and whose it is; `None` if the node comes
    /// anywhere else.
    pub fn range_for(&self, node: NodeId) -> Option<(NodeId, NodeId)> {
        let k = node.to_u128();
        if self.is_responsible(k) {
            return Some((self.range_start(), self.own));
        }
        let unlinked = self.unlinked.iter().map(|unlinked| unlinked.node);
        let mut before: Vec<NodeId> = self.predecessors.iter().copied().chain(unlinked).collect();
        before.sort_by_key(|p| ring::distance(p.to_u128(), self.position));
        // So few are all that there are, and behind the last one the ring comes round to us.
        before.extend((before.len() < self.side).then_some(self.own));
        let is_between = |pair: &&[NodeId]| {
            pair[0] != node && ring::in_range(k, pair[1].to_u128(), pair[0].to_u128())
        };
        before.windows(2).find(is_between).map(|pair| (pair[1], pair[0]))
    }

    /// Whether we keep copies of what is this peer's (RFC 6940 §10.4).
    pub fn keeps_for(&self, owner: NodeId) -> bool {
        owner == self.own || self.predecessors.iter().take(COPIES).any(|peer| *peer == owner)
    }

    /// Whether we keep a value for this resource: fewer than three predecessors lie between it
    /// and us (RFC 6940 §10.7.3).
    pub fn keeps(&self, resource: &ResourceId) -> bool {
        match self.predecessors.get(COPIES) {
            Some(third) => Self::between(resource, *third, self.own),
            None => true,
        }
    }

    /// Which of our predecessors is responsible for this resource, if one of those that we know is.
    pub fn responsible_predecessor(&self, resource: &ResourceId) -> Option<NodeId> {
        let pairs = self.predecessors.windows(2);
        let owner = |pair: &&[NodeId]| Self::between(resource, pair[1], pair[0]);
        pairs.filter(|pair| pair[0] != pair[1]).find(owner).map(|pair| pair[0])
    }

    /// Whether `sender` may send us copies of `resource` (RFC 6940 §7.4.1.1, §10.4): as far as we
    /// know we are one of the three peers that keep it, and the sender is one of them too or
    /// nearer to it than the last. What is ours may also come from a neighbour that had to keep it
    /// before it heard of us (§6.4.2.3).
    pub fn may_replicate(&self, resource: &ResourceId, sender: NodeId) -> bool {
        let Some(k) = resource.to_u128().filter(|_| self.keeps(resource)) else { return false };
        let behind = |node: &NodeId| ring::distance(k, node.to_u128());
        let own = behind(&self.own);
        let before_us = self.predecessors.iter().filter(|p| behind(p) < own).count();
        let last = match COPIES.saturating_sub(before_us) {
            0 => Some(&self.own),
            after_us => self.successors.get(after_us - 1),
        };
        last.is_none_or(|last| behind(&sender) <= behind(last))
            || (before_us == 0 && self.successors.contains(&sender))
    }

    /// The linked peers that are no neighbours.
    pub fn others(&self) -> Vec<NodeId> {
        let end = self.peers.len().saturating_sub(self.side).max(self.side);
        let others = self.peers.get(self.side..end).unwrap_or_default();
        others.iter().map(|p| self.node(p.distance)).collect()
    }

    /// Our Neighbor Table for an Update to a node.
    pub fn neighbors_update(&self, to: NodeId) -> ChordUpdateContents {
        let (predecessors, successors) = (self.predecessors_for(to), self.successors.clone());
        ChordUpdateContents::Neighbors { predecessors, successors }
    }

    /// Our Neighbor and Finger Tables for an Update to a node.
    pub fn full_update(&self, to: NodeId) -> ChordUpdateContents {
        let mut fingers = match self.table {
            Table::Plain => self.fingers(),
            // Any link helps who looks ahead.
            Table::Wide => self.others(),
        };
        fingers.sort_unstable();
        let (predecessors, successors) = (self.predecessors_for(to), self.successors.clone());
        ChordUpdateContents::Full { predecessors, successors, fingers }
    }

    /// About how many peers the ring has, from how densely they sit next to us.
    pub fn ring_size(&self) -> f64 {
        let near = self.table.side_min();
        if self.peers.len() <= 2 * near {
            return (self.peers.len() + 1) as f64;
        }
        let after = self.peers[near - 1].distance;
        let before = self.peers[self.peers.len() - near].distance.wrapping_neg();
        2.0 * near as f64 * RING / (after as f64 + before as f64)
    }

    fn distance(&self, node: NodeId) -> u128 {
        ring::distance(self.position, node.to_u128())
    }

    fn node(&self, distance: u128) -> NodeId {
        NodeId::from_u128(self.position.wrapping_add(distance))
    }

    /// Where a peer at this distance is in the list, or would be.
    fn index(&self, distance: u128) -> Result<usize, usize> {
        self.peers.binary_search_by_key(&distance, |p| p.distance)
    }

    /// Whether the peer at this place of the list is a neighbour.
    fn is_neighbor(&self, place: usize) -> bool {
        place < self.side || self.peers.len() - place <= self.side
    }

    fn refresh(&mut self) -> Change {
        self.side = self.table.side(self.ring_size(), self.side, self.links_max);
        let near = self.peers.iter().take(self.side);
        let successors: Vec<NodeId> = near.map(|p| self.node(p.distance)).collect();
        let near = self.peers.iter().rev().take(self.side);
        let predecessors: Vec<NodeId> = near.map(|p| self.node(p.distance)).collect();
        let neighbors = successors != self.successors || predecessors != self.predecessors;
        self.successors = successors;
        self.predecessors = predecessors;
        self.prune_unlinked();
        self.choose_routes();
        Change { neighbors, range: self.settle_range() }
    }
}

impl Table {
    /// Neighbours on each side of the smallest rings.
    fn side_min(self) -> usize {
        match self {
            Self::Plain => NEIGHBORS_PLAIN,
            Self::Wide => NEIGHBORS_MIN,
        }
    }

    /// Neighbours on each side in a ring of this size, for who wanted `before` until now: half
    /// the logarithm of the size (RFC 6940 §10.7 asks for its order), but no more than an eighth
    /// of the links, and not to and fro with each peer that comes or goes.
    fn side(self, ring_size: f64, before: usize, links_max: usize) -> usize {
        if self == Self::Plain {
            return NEIGHBORS_PLAIN;
        }
        let wanted = ring_size.log2() / 2.0;
        let mut side = before;
        while wanted > side as f64 + SIDE_UP {
            side += 1;
        }
        while wanted < side as f64 - SIDE_DOWN {
            side -= 1;
        }
        side.min(links_max / LINKS_PER_NEIGHBOR).clamp(NEIGHBORS_MIN, NEIGHBORS_MAX)
    }
}

impl Topology for Chord {
    fn is_responsible(&self, k: u128) -> bool {
        self.joined && ring::in_range(k, self.range_start.to_u128(), self.position)
    }

    fn next_hop(&self, k: u128) -> Option<NodeId> {
        if !self.joined {
            return None;
        }
        let distance = ring::distance(self.position, k);
        let owner = self.peers.partition_point(|p| p.distance < distance);
        if let Some(through) = self.way_to_unlinked(k, owner) {
            return Some(through);
        }
        if self.table == Table::Wide
            && let Some(peer) = self.responsible_linked(owner, distance)
        {
            return Some(self.node(peer.distance));
        }
        let is_linked = self.peers.get(owner).is_some_and(|p| p.distance == distance);
        let end = owner + usize::from(is_linked);
        // The largest before it, or else the smallest behind it (§10.3).
        let before = self.peers[..end].iter().rev().find(|p| p.is_route);
        let hop = before.or_else(|| self.peers[end..].iter().find(|p| p.is_route));
        hop.map(|peer| self.node(peer.distance))
    }

    fn detour(&self, k: u128, lost: NodeId) -> Option<NodeId> {
        let mut others = self.clone();
        others.forget_start(|start| start == lost);
        others.remove(lost);
        if others.is_responsible(k) { Some(self.own) } else { others.next_hop(k) }
    }

    fn replicas(&self) -> Vec<NodeId> {
        self.nearest_behind()
    }

    fn neighbors(&self) -> Vec<NodeId> {
        let both: BTreeSet<NodeId> =
            self.predecessors.iter().chain(&self.successors).copied().collect();
        both.into_iter().collect()
    }

    fn may_answer(&self, resource: &ResourceId, node: NodeId, lost: &[NodeId]) -> bool {
        let Some(k) = resource.to_u128() else { return false };
        let far = ring::distance(k, node.to_u128());
        let mut neighbors = self.predecessors.iter().chain(&self.successors);
        neighbors.all(|n| lost.contains(n) || far <= ring::distance(k, n.to_u128()))
    }
}

// limits

/// Places that a full list of peers grows by.
const PEERS_STEP: usize = 8;
/// The number of positions.
const RING: f64 = u128::MAX as f64;
/// Neighbours on each side that are demanded (RFC 6940 §10.1, §10.7).
const NEIGHBORS_PLAIN: usize = 3;
/// One more, so that three are left while a lost one is replaced.
const NEIGHBORS_MIN: usize = 4;
/// Enough for rings of 60,000 peers; more would cost more Updates than it saves hops.
const NEIGHBORS_MAX: usize = 8;
/// Neighbours on one side may take this part of the links.
const LINKS_PER_NEIGHBOR: usize = 8;
/// How much more neighbours must be wanted than there are for one to be added, and how many
/// fewer for one to be dropped: twice the error that the size is estimated with.
const SIDE_UP: f64 = 0.6;
const SIDE_DOWN: f64 = 0.9;
/// So many unknown neighbours of ours between a peer and us show that it has lost its place. One
/// may be a peer that has just died, and that we still believe in.
const LOST: usize = 2;
/// Copies beside the responsible peer's own (RFC 6940 §10.4).
pub const COPIES: usize = 2;
