//! Taking our place in the ring after we have been admitted.
//!
//! From the admitting peer's Update on we are responsible (T-50), but we must not tell anybody
//! before an Attach with each neighbour is done (RFC 6940 §10.5). Until then everything goes
//! through the admitting peer, which is linked to us and knows that we are there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::NodeId;
use crate::message::Destination;
use crate::routing::chord::Chord;

use super::api::{LinkAction, LinkId};
use super::attach::AttachPlan;
use super::join::LIST_MAX;
use super::links::{LinkState, Links};
use super::timers::Timer;
use super::{Peer, Stage};

/// What has to be done before others hear that we are a peer.
#[derive(Debug)]
pub(super) struct Entrance {
    pub(super) circle: Circle,
    /// The bootstrap node may be one of the neighbours, and asked over this link.
    pub(super) bootstrap_link: Option<LinkId>,
    /// Whether those that had not answered were asked in another way.
    pub(super) has_asked_around: bool,
}

/// Peers that may become our neighbours.
#[derive(Debug, Default)]
pub(super) struct Circle {
    /// Who told us of each (RFC 6940 §10.6).
    known: BTreeMap<NodeId, NodeId>,
    /// Those that could not be attached to.
    given_up: BTreeSet<NodeId>,
}

impl Circle {
    /// Learns from an Update of `teacher` of itself and of the peers that it lists. What it listed
    /// before and does not any more is gone.
    pub(super) fn learn(
        &mut self,
        teacher: NodeId,
        listed: impl Iterator<Item = NodeId>,
        own: NodeId,
    ) {
        self.known.retain(|_, before| *before != teacher);
        for node in listed.chain([teacher]).take(LIST_MAX).filter(|node| *node != own) {
            if self.known.len() < CIRCLE_MAX {
                self.known.entry(node).or_insert(teacher);
            }
        }
    }

    /// Learns of one peer that `teacher` has led us to; `false` if we know it already.
    pub(super) fn meet(&mut self, teacher: NodeId, node: NodeId) -> bool {
        self.known.insert(node, teacher).is_none()
    }

    /// Forgets what `teacher` has told us.
    pub(super) fn forget(&mut self, teacher: NodeId) {
        self.known.retain(|_, by| *by != teacher);
    }

    /// Who else has told us of a peer.
    pub(super) fn teacher_of(&self, node: NodeId) -> Option<NodeId> {
        self.known.get(&node).copied().filter(|teacher| *teacher != node)
    }

    /// How many peers are known.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn give_up(&mut self, node: NodeId) {
        self.given_up.insert(node);
    }

    /// The nearest of them before `own`.
    fn predecessor(&self, own: NodeId) -> Option<NodeId> {
        let before = self.known.range(..own).rev().chain(self.known.range(own..).rev());
        before.map(|(node, _)| *node).find(|node| !self.given_up.contains(node))
    }

    /// Those that are neighbours by what we know, and that are not attached yet; with who told us
    /// of them.
    pub(super) fn missing(&self, chord: &Chord, links: &Links) -> Vec<(NodeId, NodeId)> {
        let known = self.known.keys().filter(|node| !self.given_up.contains(node));
        let expected = chord.expected(&known.copied().collect()).into_iter();
        expected
            .filter(|node| !links.is_attached(*node))
            .filter_map(|node| Some((node, *self.known.get(&node)?)))
            .collect()
    }
}

impl Peer {
    /// Whether Updates may be sent: we are a peer that has taken its place.
    pub(super) fn is_in_place(&self) -> bool {
        matches!(self.stage, Stage::Joined { entrance: None, .. })
    }

    /// Hears of more peers before everybody is attached.
    pub(super) fn entrance_update(&mut self, from: NodeId, listed: &[NodeId]) {
        let own = self.identity.node_id;
        if let Stage::Joined { entrance: Some(entrance), .. } = &mut self.stage {
            entrance.circle.learn(from, listed.iter().copied(), own);
            self.check_entrance();
        }
    }

    /// A peer that was going to be our neighbour is gone, or cannot be attached to.
    pub(super) fn entrance_lost(&mut self, node: NodeId) {
        if let Stage::Joined { entrance: Some(entrance), .. } = &mut self.stage {
            entrance.circle.give_up(node);
            self.check_entrance();
        }
    }

    /// Who told us of a peer while we take our place.
    pub(super) fn entrance_teacher(&self, node: NodeId) -> Option<NodeId> {
        let Stage::Joined { entrance: Some(entrance), .. } = &self.stage else { return None };
        entrance.circle.teacher_of(node)
    }

    /// Attaches to neighbours that we have no link with; takes our place once there is none left.
    pub(super) fn check_entrance(&mut self) {
        let Stage::Joined { entrance: Some(entrance), .. } = &self.stage else { return };
        self.chord.set_start(entrance.circle.predecessor(self.identity.node_id));
        let missing = entrance.circle.missing(&self.chord, &self.links);
        let mut is_complete = true;
        for (node, teacher) in missing {
            if self.is_shunned(node) {
                if let Stage::Joined { entrance: Some(entrance), .. } = &mut self.stage {
                    entrance.circle.give_up(node);
                }
            } else {
                is_complete = false;
                self.start_attach(AttachPlan::to_neighbor(teacher, node));
            }
        }
        if is_complete {
            self.enter();
        }
    }

    /// Gives neighbours time to answer.
    pub(super) fn await_neighbors(&mut self) {
        let patience = self.config.reliability_timer + NEIGHBOR_GRACE;
        self.timers.set(Timer::Join, self.now.instant + patience);
    }

    /// Some neighbours have not answered. Who told us of them may not have passed our Attaches on,
    /// so they go through the bootstrap node once.
    pub(super) fn entrance_timeout(&mut self) {
        let Stage::Joined { entrance: Some(entrance), .. } = &mut self.stage else { return };
        let through = entrance.bootstrap_link.and_then(|link| self.links.open(link));
        let through = through.map(|open| open.node).filter(|_| !entrance.has_asked_around);
        entrance.has_asked_around = true;
        let unanswered = through.map_or_else(Vec::new, |t| self.links.unanswered_neighbors(t));
        if unanswered.is_empty() {
            return self.enter();
        }
        for link in unanswered {
            let Some(LinkState::Requested { plan, transaction }) = self.links.take(link) else {
                continue;
            };
            self.transactions.finish(transaction);
            self.act(link, LinkAction::Close);
            let route = plan.node.map(Destination::from).into_iter().collect();
            self.start_attach(AttachPlan { route, first_hop: through, ..plan });
        }
        self.await_neighbors();
    }

    /// Takes our place. Who has not even answered by now is taken for lost, as a peer that has just
    /// died would be, and met later.
    pub(super) fn enter(&mut self) {
        self.note_answered();
        let Stage::Joined { entrance, .. } = &mut self.stage else { return };
        if let Some(Entrance { bootstrap_link, .. }) = entrance.take() {
            if let Some(link) = bootstrap_link {
                self.retire(link);
            }
            self.chord.forget_start(|start| !self.links.is_attached(start));
            self.timers.stop(Timer::Join);
            self.drop_spares();
            self.begin_upkeep();
        }
    }
}

// limits

/// What a neighbour has to answer one retransmission of our Attach, and for ICE and DTLS. Who needs
/// longer is taken for lost, as a peer that has just died would be, and met after the join.
const NEIGHBOR_GRACE: Duration = Duration::from_secs(2);
/// Peers remembered until we have taken our place: the lists of all neighbours.
const CIRCLE_MAX: usize = 1024;
