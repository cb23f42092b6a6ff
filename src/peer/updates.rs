//! Updates that go out (RFC 6940 §10.7): who hears of a change, and when.
//!
//! A loss is told to all neighbours at once (§10.7.1). Who arrives has itself told those that it
//! takes for its neighbours, and the peer that admitted it has told the others; so of an arrival
//! only those hear at once who would miss it (T-56). Everybody else hears of changes by the next
//! periodic Update, or, not being a neighbour, within the interval of those.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::base::{Encode, NodeId};
use crate::message::{ChordUpdate, ChordUpdateContents, Method};
use crate::routing::Topology;
use crate::routing::chord::{Change, Table};

use super::Peer;
use super::requests::{Failure, Goal};
use super::serve::Question;
use super::timers::Timer;
use super::upkeep::Cause;

/// Who is to hear of a change at once.
#[derive(Debug, Default)]
pub(super) struct News {
    is_for_all: bool,
    audience: BTreeSet<NodeId>,
}

impl Peer {
    /// Lets others know, and the data follow, when our tables have changed.
    pub(super) fn ring_changed(&mut self, change: Change, cause: Cause) {
        if !change.neighbors || !self.is_in_place() {
            return;
        }
        let is_loss = matches!(cause, Cause::Failed | Cause::Left);
        if self.config.is_reactive {
            self.news.is_for_all |= is_loss;
            let at = self.soon(TELL_NEIGHBORS);
            self.timers.set_earlier(Timer::TellNeighbors, at);
            let others = match is_loss && change.range {
                true => TELL_OTHERS,
                false => self.config.update_interval / 2,
            };
            let at = self.soon(others);
            self.timers.set_earlier(Timer::TellOthers, at);
        }
        self.copies.is_range_new |= change.range && is_loss;
        if !self.copies.is_settled(&self.chord.replicas()) {
            let is_held = cause == Cause::Failed && !change.range;
            let delay = if is_held { HOLD_DOWN } else { REPLICATE_DELAY };
            let at = match is_held {
                true => self.now.instant + delay,
                false => self.soon(delay),
            };
            self.timers.set_earlier(Timer::Replicate, at);
        }
        let at = self.soon(HAND_OVER_DELAY);
        self.timers.set_earlier(Timer::HandOver, at);
        // Copies are not dropped in the middle of things: the next loss may need them.
        self.copies.is_dropping = false;
        self.timers.set(Timer::Discard, self.now.instant + DISCARD_DELAY);
        let at = self.soon(FINGER_DELAY);
        self.timers.set_earlier(Timer::Fingers, at);
    }

    /// A neighbour is new, and has `listed` its own. Who is not among them and should know of it
    /// is to hear of it from us.
    pub(super) fn introduce(&mut self, arrived: NodeId, listed: &[NodeId]) {
        let neighbors = self.chord.neighbors().into_iter();
        let lacking = neighbors
            .filter(|n| *n != arrived && !listed.contains(n))
            .filter(|n| self.chord.is_neighbor_of(*n, arrived));
        self.news.audience.extend(lacking);
    }

    /// A neighbour does not name these of our own any more. They hear from us: whoever is dead does
    /// not acknowledge that, so that one peer's discovery is soon everybody's.
    pub(super) fn doubt(&mut self, neighbors: Vec<NodeId>) {
        if self.config.is_reactive && !neighbors.is_empty() {
            self.news.audience.extend(neighbors);
            let at = self.soon(TELL_NEIGHBORS);
            self.timers.set_earlier(Timer::TellNeighbors, at);
        }
    }

    /// Tells of changes: neighbours that must know, and nodes that are linked to us without being
    /// peers.
    pub(super) fn tell_news(&mut self) {
        let news = std::mem::take(&mut self.news);
        if news.is_for_all {
            return self.tell_neighbors();
        }
        self.timers.stop(Timer::TellNeighbors);
        let clients = self.links.nodes().into_iter().filter(|n| !self.chord.contains(*n));
        let to: BTreeSet<NodeId> = clients.chain(news.audience).collect();
        self.tell(to.into_iter());
    }

    /// Tells neighbours, and nodes that are linked to us without being peers, how our tables
    /// are now.
    pub(super) fn tell_neighbors(&mut self) {
        self.tell_neighbors_except(self.identity.node_id);
    }

    pub(super) fn tell_neighbors_except(&mut self, node: NodeId) {
        self.timers.stop(Timer::TellNeighbors);
        self.news = News::default();
        let mut nodes = self.chord.neighbors();
        nodes.extend(self.links.nodes().into_iter().filter(|n| !self.chord.contains(*n)));
        self.tell(nodes.into_iter().filter(|n| *n != node));
    }

    /// Tells fingers and those whose finger we are that we are a peer, and in a wide table whom
    /// we are linked to: now, and from time to time.
    pub(super) fn tell_others(&mut self) {
        for node in self.chord.others() {
            match self.config.table {
                Table::Plain => self.send_update(node),
                Table::Wide => self.send_full_update(node),
            }
        }
        if self.config.table == Table::Wide {
            let at = self.soon(self.config.update_interval * OTHERS_TURNS);
            self.timers.set_earlier(Timer::TellOthers, at);
        }
    }

    fn tell(&mut self, nodes: impl Iterator<Item = NodeId>) {
        for to in nodes {
            self.send_update(to);
        }
    }

    /// Tells a node what it should know of us: nearness decides (T-53).
    pub(super) fn send_update(&mut self, node: NodeId) {
        let is_far = self.chord.contains(node) && !self.chord.neighbors().contains(&node);
        let contents = match is_far {
            true => ChordUpdateContents::PeerReady,
            false => self.chord.neighbors_update(node),
        };
        self.send_contents(node, contents);
    }

    /// Tells a node of our neighbours.
    pub(super) fn send_neighbors(&mut self, node: NodeId) {
        let contents = self.chord.neighbors_update(node);
        self.send_contents(node, contents);
    }

    /// Tells a node everything, as it asked.
    pub(super) fn send_full_update(&mut self, node: NodeId) {
        let contents = self.chord.full_update(node);
        self.send_contents(node, contents);
    }

    /// Tells a node everything that is going to join next to us, along with the answer to its
    /// Attach (RFC 6940 §12): it need not wait until the link with us is up.
    pub(super) fn send_tables(&mut self, question: &Question) {
        if !self.is_in_place() {
            return;
        }
        let contents = self.chord.full_update(question.signed.node_id);
        let uptime_s = self.uptime_s();
        let Ok(body) = (ChordUpdate { uptime_s, contents }).to_bytes() else { return };
        let route = self.header_back(&question.header, question.previous).destination_list;
        // Otherwise they come once the link is up.
        let _ = self.request(route, None, Method::Update, body, &[], Goal::Tables);
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
        self.retry_unlinked();
        self.schedule_stabilize();
    }

    pub(super) fn schedule_stabilize(&mut self) {
        let count = self.chord.neighbors().len().max(1) as u32;
        let turn = self.config.update_interval / count;
        // Between three and five quarters of a turn.
        let at = self.now.instant + turn.mul_f64(0.75 + self.rng.unit() / 2.0);
        self.timers.set(Timer::Stabilize, at);
    }

    fn send_contents(&mut self, node: NodeId, contents: ChordUpdateContents) {
        if !self.is_in_place() {
            return;
        }
        let uptime_s = self.uptime_s();
        let Ok(body) = (ChordUpdate { uptime_s, contents }).to_bytes() else { return };
        // Without room for the request the next change will do.
        let _ =
            self.request(vec![node.into()], None, Method::Update, body, &[], Goal::Update(node));
    }
}

// limits

/// Changes within this time go out in one Update (T-56).
const TELL_NEIGHBORS: Duration = Duration::from_millis(50);
/// Until the links of a new peer that are not its neighbours hear that it is one.
pub(super) const TELL_OTHERS_NOW: Duration = Duration::from_secs(1);
/// Until other links hear that a loss has changed our range: what comes to us meanwhile is passed
/// on, and changes that come together cost once.
const TELL_OTHERS: Duration = Duration::from_secs(60);
/// So many times the interval of neighbours' Updates lies between two of all others: a finger's
/// links change slowly, and who looks ahead by old ones comes to the same place later.
const OTHERS_TURNS: u32 = 6;
/// Until new replica peers get copies, so that changes that come together cost once.
pub(super) const REPLICATE_DELAY: Duration = Duration::from_millis(500);
/// The successor replacement hold-down time (RFC 6940 §10.7.1).
pub(super) const HOLD_DOWN: Duration = Duration::from_secs(30);
/// Until what we need not keep any more is handed over: some changes together, and long before so
/// many peers have come between that who is responsible is out of our sight.
pub(super) const HAND_OVER_DELAY: Duration = Duration::from_secs(2);
/// Without any change for so long, copies that others keep too are dropped.
const DISCARD_DELAY: Duration = Duration::from_secs(60);
/// Until fingers are sought after a change.
pub(super) const FINGER_DELAY: Duration = Duration::from_secs(1);
