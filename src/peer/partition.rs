//! The search for other partitions of the overlay (RFC 6940 §10.7.4.4), and what happens when one
//! is found.
//!
//! Two rings merge like a zip: who has found a peer of the other ring tells its neighbours, these
//! attach to it through whom they heard of it from (§10.6) and hear of its neighbours in turn
//! (§10.7.3). Many peers probe, so that it begins in many places. What a peer keeps and is not
//! responsible for any more it hands to the new neighbour that is (§6.4.2.3). That one may refuse
//! if there are too many of its own ring between the two (§7.4.1.1), so everybody whose
//! neighbourhood has merged stores its own values anew.

use std::time::Duration;

use crate::base::{Encode, NodeId, ResourceId};
use crate::message::{Method, PingReq};
use crate::routing::Topology;
use crate::routing::chord::COPIES;

use super::Peer;
use super::api::{LinkAction, LinkId};
use super::attach::AttachPlan;
use super::links::LinkState;
use super::requests::{Failure, Goal, Reply};
use super::timers::Timer;

impl Peer {
    /// Asks a bootstrap node who it thinks comes after us, or after one of our neighbours
    /// (RFC 6940 §10.7.4.4, T-46).
    pub(super) fn probe_partition(&mut self) {
        if let Some(link) = self.probe.take() {
            self.close(link);
        }
        // Who is alone, after the others have left, is found by nobody when they come back.
        let alone = self.chord.is_empty();
        let at = self.soon(if alone { ALONE_DELAY } else { self.config.update_interval });
        self.timers.set(Timer::Partition, at);
        let index = self.rng.below(self.bootstrap.len() as u64) as usize;
        if let Some(address) = self.bootstrap.get(index).copied() {
            let link = self.links.add(self.now.instant, LinkState::Dialing);
            self.probe = Some(link);
            self.act(link, LinkAction::Dial(address));
            self.watch_links();
        }
    }

    /// A neighbour is new to us that has been a peer for long, in a place where we should have
    /// known it: it comes from another ring.
    pub(super) fn met(&mut self, node: NodeId, uptime_s: u32) {
        if uptime_s < STRANGER_UPTIME_S || !self.chord.is_amid(node) {
            return;
        }
        let predecessors = self.chord.predecessors();
        let place = predecessors.iter().position(|p| *p == node);
        // The nearest has got its range already.
        if let Some(place) = place.filter(|place| (1..=COPIES).contains(place)) {
            let after = predecessors.get(place + 1).copied().unwrap_or(self.identity.node_id);
            self.pass_on(after, node, node);
        }
        let at = self.soon(MERGED);
        self.timers.set(Timer::Republish, at);
    }

    pub(super) fn probe_linked(&mut self, link: LinkId, node: NodeId) {
        // Between us and our successor there may be nobody of the other ring, and then nobody
        // there may answer us (§6.3.4): in every other turn we ask for a neighbour's place.
        let neighbors = self.chord.neighbors();
        let turn = self.rng.below(2 * neighbors.len().max(1) as u64) as usize;
        let place = neighbors.get(turn).copied().unwrap_or(self.identity.node_id);
        let next = place.to_u128().wrapping_add(1);
        let route = vec![node.into(), ResourceId::from_u128(next).into()];
        let body = PingReq::default().to_bytes().unwrap_or_default();
        let goal = Goal::Partition(link);
        if self.request(route, Some(node), Method::Ping, body, &[], goal).is_err() {
            self.probe = None;
            self.close(link);
        }
    }

    pub(super) fn partition_answered(&mut self, link: LinkId, outcome: Result<Reply, Failure>) {
        let through = self.links.open(link).map(|open| open.node);
        if let (Ok(reply), Some(through)) = (outcome, through) {
            let node = reply.signed.node_id;
            if node != self.identity.node_id && !self.chord.contains(node) {
                let mut plan = AttachPlan::to_neighbor(through, node);
                plan.first_hop = Some(through);
                self.start_attach(plan);
                // The link is needed until the other side is attached; the next probe closes it.
                return;
            }
        }
        if self.probe == Some(link) {
            self.probe = None;
            self.close(link);
        }
    }
}

// limits

/// A peer for less time has just joined, and got from its admitting peer what is its own.
const STRANGER_UPTIME_S: u32 = 60;
/// Until our values are stored anew, after the last peer of another ring has been met.
const MERGED: Duration = Duration::from_secs(20);

/// Until a peer that is alone looks whether others have a ring.
pub(super) const ALONE_DELAY: Duration = Duration::from_secs(15);
