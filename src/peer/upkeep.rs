//! Keeping the ring together (RFC 6940 §10.7): Updates that come, and lost nodes.

use std::time::Duration;

use crate::base::{NodeId, ResourceId};
use crate::message::ChordUpdate;
use crate::routing::Topology;
use crate::routing::chord::Change;

use super::api::Event;
use super::attach::{AttachPlan, Reason};
use super::join::LIST_MAX;
use super::partition::ALONE_DELAY;
use super::requests::Goal;
use super::timers::Timer;
use super::updates::{FINGER_DELAY, REPLICATE_DELAY, TELL_OTHERS_NOW};
use super::{Peer, Stage};

/// Why the ring changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// A peer told us that it is there.
    Arrived,
    /// We admitted a peer, so it has its data already.
    Admitted,
    /// A peer said good-bye.
    Left,
    /// A peer cannot be reached any more.
    Failed,
    /// We have no use for a link any more.
    GivenUp,
}

impl Peer {
    /// We have just become responsible for our part of the ring.
    pub(super) fn begin_peer(&mut self) {
        self.chord.set_joined(true);
        self.started = self.now.instant;
        self.timers.stop(Timer::Join);
        self.emit(Event::Joined);
        self.publish_again();
        let certificates = self.soon(CERTIFICATES_DELAY);
        self.timers.set(Timer::Certificates, certificates);
    }

    /// We have just taken our place, so others may hear of us.
    pub(super) fn begin_upkeep(&mut self) {
        self.tell_neighbors();
        let others = self.soon(TELL_OTHERS_NOW);
        self.timers.set(Timer::TellOthers, others);
        let replicate = self.soon(REPLICATE_DELAY);
        self.timers.set(Timer::Replicate, replicate);
        let fingers = self.soon(FINGER_DELAY);
        self.timers.set(Timer::Fingers, fingers);
        self.schedule_stabilize();
        // A founder that was here before may have founded a second ring.
        let is_founder = matches!(self.stage, Stage::Joined { is_founder: true, .. });
        let first = if is_founder { ALONE_DELAY } else { self.config.update_interval };
        let partition = self.soon(first);
        self.timers.set(Timer::Partition, partition);
    }

    /// An Update from a linked node. Only one that is attached, and not merely bootstrapping
    /// through us or we through it, becomes part of the Routing Table (RFC 6940 §6.5.1).
    pub(super) fn take_update(&mut self, from: NodeId, update: ChordUpdate) {
        let ChordUpdate { uptime_s, contents } = update;
        if matches!(self.stage, Stage::Client(_)) {
            return self.client_update(from, &contents);
        }
        let start = self.chord.range_start();
        let change = match self.links.is_attached(from) {
            true => self.chord.insert(from),
            false => Change::default(),
        };
        self.chord.hear(from, &contents);
        if matches!(self.stage, Stage::Joining(_)) {
            return self.join_update(from, contents);
        }
        if !matches!(self.stage, Stage::Joined { .. }) {
            return;
        }
        self.hear_of_fingers(from, &contents);
        let (predecessors, successors) = contents.into_neighbors();
        let unlinked = self.chord.hear_of_unlinked(from, &predecessors, &successors);
        self.ring_changed(unlinked, Cause::Failed);
        let left_out = self.chord.left_out(from, &predecessors, &successors);
        let listed: Vec<NodeId> =
            predecessors.into_iter().chain(successors).take(LIST_MAX).collect();
        if change.neighbors {
            self.introduce(from, &listed);
        } else {
            let new = self.chord.newly_left_out(from, &left_out);
            self.doubt(new);
        }
        self.ring_changed(change, Cause::Arrived);
        if change.neighbors {
            self.range_shed(start, from);
        }
        if change.neighbors {
            self.met(from, uptime_s);
        }
        if !self.is_in_place() {
            return self.entrance_update(from, &listed);
        }
        for node in self.chord.expected(&listed.iter().copied().collect()) {
            if listed.contains(&node) && !self.links.is_attached(node) {
                self.start_attach(AttachPlan::to_neighbor(from, node));
            }
        }
        // Between us and who takes us for a neighbour there may be some that it does not know, as
        // not everybody can be linked to everybody.
        let is_one_sided = listed.contains(&self.identity.node_id)
            && !self.chord.neighbors().contains(&from)
            && !left_out.is_empty();
        if is_one_sided || self.chord.is_lost(from, &listed) {
            self.send_neighbors(from);
        }
    }

    /// The last link to a node is gone.
    pub(super) fn node_lost(&mut self, node: NodeId, cause: Cause) {
        self.transactions
            .finish_all(|pending| matches!(pending.context.goal, Goal::Update(to) if to == node));
        self.forget_admission(node);
        self.chord.forget_start(|start| start == node);
        self.drop_peer(node, cause);
        self.join_lost(node);
        self.client_lost(node);
    }

    /// Takes a peer out of the Routing Table, if it is there.
    pub(super) fn drop_peer(&mut self, node: NodeId, cause: Cause) {
        if !self.chord.contains(node) {
            return;
        }
        if cause == Cause::Failed {
            self.peer_failed();
        }
        let (predecessors, successors) =
            (self.chord.predecessors().to_vec(), self.chord.successors().to_vec());
        let change = self.chord.remove(node);
        let Stage::Joined { is_founder, .. } = &mut self.stage else { return };
        if self.chord.is_empty() {
            // With a good-bye we know that we are alone; otherwise it is we who are cut off, and
            // must not become a ring of our own (T-60).
            *is_founder |= cause == Cause::Left;
            if !*is_founder {
                return self.rejoin();
            }
            let partition = self.soon(ALONE_DELAY);
            self.timers.set(Timer::Partition, partition);
        }
        if cause != Cause::GivenUp {
            self.chord.forget_finger(node);
        }
        self.ring_changed(change, cause);
        if let [heir, lost, ..] = predecessors[..]
            && lost == node
        {
            // The heir may have joined too lately to have had copies; we come after it.
            let after = predecessors.get(2).copied().unwrap_or(self.identity.node_id);
            self.pass_on(after, lost, heir);
        }
        let was_known = self.chord.successors().first().is_none_or(|s| successors.contains(s));
        if !was_known {
            let next = self.identity.node_id.to_u128().wrapping_add(1);
            let next = ResourceId::from_u128(next);
            self.start_attach(AttachPlan::to_resource(next, Reason::Repair));
        }
    }
}

// limits

/// Until our own certificate is stored: registrations go first.
const CERTIFICATES_DELAY: Duration = Duration::from_secs(1);
