//! Keeping the ring together (RFC 6940 §10.7): Updates out and in, and lost nodes.

use std::time::Duration;

use crate::base::{Encode, NodeId, ResourceId};
use crate::message::{ChordUpdate, ChordUpdateContents, Method};
use crate::routing::Topology;
use crate::routing::chord::Change;

use super::api::Event;
use super::attach::{AttachPlan, Reason};
use super::join::LIST_MAX;
use super::partition::ALONE_DELAY;
use super::requests::{Failure, Goal};
use super::timers::Timer;
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
    /// We have just become a peer.
    pub(super) fn begin_upkeep(&mut self) {
        self.chord.set_joined(true);
        self.timers.stop(Timer::Join);
        self.emit(Event::Joined);
        self.tell_neighbors();
        let others = self.soon(TELL_OTHERS_NOW);
        self.timers.set(Timer::TellOthers, others);
        let replicate = self.soon(REPLICATE_DELAY);
        self.timers.set(Timer::Replicate, replicate);
        let fingers = self.soon(FINGER_DELAY);
        self.timers.set(Timer::Fingers, fingers);
        self.schedule_stabilize();
        // A founder that was here before may have founded a second ring.
        let is_founder = matches!(self.stage, Stage::Joined { is_founder: true });
        let first = if is_founder { ALONE_DELAY } else { self.config.update_interval };
        let partition = self.soon(first);
        self.timers.set(Timer::Partition, partition);
        self.publish_again();
        let certificates = self.soon(CERTIFICATES_DELAY);
        self.timers.set(Timer::Certificates, certificates);
    }

    /// An Update from a linked node. Only one that is attached, and not merely bootstrapping
    /// through us or we through it, becomes part of the Routing Table (RFC 6940 §6.5.1).
    pub(super) fn take_update(&mut self, from: NodeId, contents: ChordUpdateContents) {
        let start = self.chord.range_start();
        let change = match self.links.is_attached(from) {
            true => self.chord.insert(from),
            false => Change::default(),
        };
        if matches!(self.stage, Stage::Joining(_)) {
            return self.join_update(from, contents);
        }
        if !matches!(self.stage, Stage::Joined { .. }) {
            return;
        }
        self.ring_changed(change, Cause::Arrived);
        if change.range && self.chord.range_start() == from {
            // Unless it has taken its range from us by joining, it may lack what we have.
            self.pass_on(start, from, from);
        }
        self.hear_of_fingers(from, &contents);
        let (predecessors, successors) = match contents {
            ChordUpdateContents::PeerReady => return,
            ChordUpdateContents::Neighbors { predecessors, successors }
            | ChordUpdateContents::Full { predecessors, successors, .. } => {
                (predecessors, successors)
            }
        };
        for node in predecessors.into_iter().chain(successors).take(LIST_MAX) {
            if self.chord.is_better(node) && !self.links.is_attached(node) {
                self.start_attach(AttachPlan::to_neighbor(from, node));
            }
        }
    }

    /// The last link to a node is gone.
    pub(super) fn node_lost(&mut self, node: NodeId, cause: Cause) {
        self.transactions
            .finish_all(|pending| matches!(pending.context.goal, Goal::Update(to) if to == node));
        self.forget_admission(node);
        self.drop_peer(node, cause);
        self.join_lost(node);
    }

    /// Takes a peer out of the Routing Table, if it is there.
    pub(super) fn drop_peer(&mut self, node: NodeId, cause: Cause) {
        if !self.chord.contains(node) {
            return;
        }
        let (predecessors, successors) =
            (self.chord.predecessors().to_vec(), self.chord.successors().to_vec());
        let change = self.chord.remove(node);
        let Stage::Joined { is_founder } = &mut self.stage else { return };
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

    /// Lets everybody know, and the data follow, when our tables have changed.
    pub(super) fn ring_changed(&mut self, change: Change, cause: Cause) {
        if !change.neighbors || !matches!(self.stage, Stage::Joined { .. }) {
            return;
        }
        if self.config.is_reactive {
            let at = self.soon(TELL_NEIGHBORS);
            self.timers.set_earlier(Timer::TellNeighbors, at);
            let others = if change.range { TELL_OTHERS_NOW } else { TELL_OTHERS };
            let at = self.soon(others);
            self.timers.set_earlier(Timer::TellOthers, at);
        }
        let is_loss = matches!(cause, Cause::Failed | Cause::Left);
        self.copies.is_range_new |= change.range && is_loss;
        if !self.copies.is_settled(self.chord.replicas()) {
            let is_held = cause == Cause::Failed && !change.range;
            let delay = if is_held { HOLD_DOWN } else { REPLICATE_DELAY };
            let at = match is_held {
                true => self.now.instant + delay,
                false => self.soon(delay),
            };
            self.timers.set_earlier(Timer::Replicate, at);
        }
        // Copies are not dropped in the middle of things: the next loss may need them.
        self.timers.set(Timer::Discard, self.now.instant + DISCARD_DELAY);
        let at = self.soon(FINGER_DELAY);
        self.timers.set_earlier(Timer::Fingers, at);
    }

    /// Tells neighbours, and nodes that are linked to us without being peers, how our tables
    /// are now.
    pub(super) fn tell_neighbors(&mut self) {
        self.tell_neighbors_except(self.identity.node_id);
    }

    pub(super) fn tell_neighbors_except(&mut self, node: NodeId) {
        if !matches!(self.stage, Stage::Joined { .. }) {
            return;
        }
        self.timers.stop(Timer::TellNeighbors);
        let mut nodes = self.chord.neighbors();
        nodes.extend(self.links.nodes().into_iter().filter(|n| !self.chord.contains(*n)));
        for to in nodes.into_iter().filter(|n| *n != node) {
            self.send_update(to);
        }
    }

    /// Tells fingers and those whose finger we are that we are a peer.
    pub(super) fn tell_others(&mut self) {
        if !matches!(self.stage, Stage::Joined { .. }) {
            return;
        }
        let neighbors = self.chord.neighbors();
        let others: Vec<NodeId> = self.chord.peers().filter(|p| !neighbors.contains(p)).collect();
        for node in others {
            self.send_update(node);
        }
    }

    /// Tells a node what it should know of us: nearness decides (T-53).
    pub(super) fn send_update(&mut self, node: NodeId) {
        let is_far = self.chord.contains(node) && !self.chord.neighbors().contains(&node);
        let contents = match is_far {
            true => ChordUpdateContents::PeerReady,
            false => self.chord.neighbors_update(),
        };
        self.send_contents(node, contents);
    }

    /// Tells a node everything, as it asked.
    pub(super) fn send_full_update(&mut self, node: NodeId) {
        let contents = self.chord.full_update();
        self.send_contents(node, contents);
    }

    pub(super) fn update_answered(&mut self, node: NodeId, failure: Option<Failure>) {
        if failure == Some(Failure::Timeout)
            && let Some(link) = self.links.best(node)
        {
            // A linked node that is silent for five transmissions is not there (§10.7.1).
            self.close(link);
        }
    }

    /// The next neighbour gets its periodic Update; each in its turn, so that they do not go
    /// out all at once (RFC 6940 §10.7.4.1).
    pub(super) fn stabilize(&mut self) {
        let neighbors = self.chord.neighbors();
        let next = neighbors.iter().find(|n| **n > self.stabilized).or(neighbors.first());
        if let Some(node) = next.copied() {
            self.stabilized = node;
            self.send_update(node);
        }
        self.schedule_stabilize();
    }

    fn send_contents(&mut self, node: NodeId, contents: ChordUpdateContents) {
        let uptime = self.now.instant.saturating_since(self.started);
        let uptime_s = u32::try_from(uptime.as_secs()).unwrap_or(u32::MAX);
        let Ok(body) = (ChordUpdate { uptime_s, contents }).to_bytes() else { return };
        // Without room for the request the next change will do.
        let _ =
            self.request(vec![node.into()], None, Method::Update, body, &[], Goal::Update(node));
    }

    fn schedule_stabilize(&mut self) {
        let count = self.chord.neighbors().len().max(1) as u32;
        let turn = self.config.update_interval / count;
        // Between three and five quarters of a turn.
        let at = self.now.instant + turn.mul_f64(0.75 + self.rng.unit() / 2.0);
        self.timers.set(Timer::Stabilize, at);
    }
}

// limits

/// Changes within this time go out in one Update (T-56).
const TELL_NEIGHBORS: Duration = Duration::from_millis(50);
/// Until other links hear that our range has changed.
const TELL_OTHERS_NOW: Duration = Duration::from_secs(1);
/// Until other links hear that our neighbours have changed, which concerns them little.
const TELL_OTHERS: Duration = Duration::from_secs(60);
/// Until new replica peers get copies, so that changes that come together cost once.
const REPLICATE_DELAY: Duration = Duration::from_millis(500);
/// The successor replacement hold-down time (RFC 6940 §10.7.1).
pub(super) const HOLD_DOWN: Duration = Duration::from_secs(30);
/// Until our own certificate is stored: registrations go first.
const CERTIFICATES_DELAY: Duration = Duration::from_secs(1);
/// Without any change for so long, copies that others keep too are dropped.
const DISCARD_DELAY: Duration = Duration::from_secs(60);
/// Until fingers are sought after a change.
const FINGER_DELAY: Duration = Duration::from_secs(1);
