//! Admitting a joining node (RFC 6940 §10.5, steps 5 to 8; T-51, T-52): answer, send it what will
//! be its own, and only then let it be our predecessor.

use std::time::Duration;

use crate::base::{Encode, NodeId};
use crate::message::{ErrorCode, ErrorResponse, JoinAns, JoinReq};
use crate::routing::chord::Chord;

use super::copies::{Copy, Why};
use super::serve::Question;
use super::timers::Timer;
use super::upkeep::Cause;
use super::{Peer, Stage};

/// A node that is being handed its part of the ring.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) node: NodeId,
    /// Where the range begins that it has been handed.
    start: NodeId,
    /// What is to be sent before the Update that admits it.
    waiting: usize,
}

impl Peer {
    pub(super) fn serve_join(&mut self, question: &Question) {
        let node = question.signed.node_id;
        let Ok(join) = question.read::<JoinReq>() else {
            return self.refuse_invalid(question, "the Join does not parse");
        };
        if join.joining_peer_id != node || node == self.identity.node_id {
            return self.refuse_forbidden(question, "the signer is not who wants to join");
        }
        if !question.is_direct() || !self.links.is_attached(node) {
            return self.refuse_forbidden(question, "a Join comes over a link of its own");
        }
        if !matches!(self.stage, Stage::Joined { .. }) {
            return self.refuse(question, ErrorResponse::new(ErrorCode::NOT_FOUND));
        }
        if !self.is_in_place() {
            // The Update that admits it would place ourselves in the ring too early (§10.5).
            return self.refuse(question, ErrorResponse::new(ErrorCode::IN_PROGRESS));
        }
        if self.admission.as_ref().is_some_and(|a| a.node != node) {
            return self.refuse(question, ErrorResponse::new(ErrorCode::IN_PROGRESS));
        }
        if self.chord.contains(node) {
            // It has been a peer before, and starts anew.
            self.drop_peer(node, Cause::Left);
        }
        // Who cannot be linked to the responsible peer comes to the next one behind it, which has
        // copies of what is to be handed over. From our Update the responsible peer learns of it.
        let Some((start, owner)) = self.chord.range_for(node) else {
            return self.refuse(question, ErrorResponse::new(ErrorCode::NOT_FOUND));
        };
        if !self.may_admit(node, owner) {
            return self.refuse(question, ErrorResponse::new(ErrorCode::NOT_FOUND));
        }
        self.answer(question, JoinAns::default().to_bytes(), &[]);
        self.hand_over(node, start);
    }

    /// Whether a node may take over a part of this peer's range from us: if we have the copies, or
    /// it comes back after a while, as nobody else can be linked to it who has them.
    fn may_admit(&mut self, node: NodeId, owner: NodeId) -> bool {
        let now = self.now.instant;
        if self.chord.keeps_for(owner) {
            return true;
        }
        self.sent_on.retain(|_, since| now < *since + COMES_BACK);
        if let Some(since) = self.sent_on.get(&node) {
            return now >= *since + SENT_ON;
        }
        if self.sent_on.len() < SENT_ON_MAX {
            self.sent_on.insert(node, now);
        }
        false
    }

    /// A copy for the admitted node is on its way or not needed. The Update that admits it goes out
    /// right behind the last one, over the same link: §10.5 has it wait for no answers, which would
    /// cost a round trip.
    pub(super) fn handed_over(&mut self, node: NodeId) {
        let Some(admission) = self.admission.as_mut().filter(|a| a.node == node) else { return };
        admission.waiting = admission.waiting.saturating_sub(1);
        if admission.waiting > 0 {
            return;
        }
        match self.chord.range_for(node).map(|(start, _)| start) {
            // It is out of our sight now.
            None => self.forget_admission(node),
            Some(start) if start == admission.start => self.admit(node),
            // Meanwhile its range has grown or shrunk.
            Some(start) => self.hand_over(node, start),
        }
    }

    /// Whether a resource is on its way to the node that we admit.
    pub(super) fn also_for_admitted(&mut self, resource: &crate::base::ResourceId) {
        let Some(admission) = &mut self.admission else { return };
        if Chord::between(resource, admission.start, admission.node) {
            admission.waiting += 1;
            let to = admission.node;
            self.push_copy(Copy { to, resource: resource.clone(), number: 1, why: Why::Admission });
        }
    }

    /// The node is gone or does not answer; our range stays whole.
    pub(super) fn forget_admission(&mut self, node: NodeId) {
        if self.admission.as_ref().is_some_and(|a| a.node == node) {
            self.admission = None;
            self.timers.stop(Timer::Admission);
        }
    }

    pub(super) fn admission_timeout(&mut self) {
        self.admission = None;
    }

    fn hand_over(&mut self, node: NodeId, start: NodeId) {
        let resources: Vec<_> =
            self.storage.resources_between(start.to_u128(), node.to_u128()).collect();
        let waiting = resources.len() + 1;
        self.admission = Some(Admission { node, start, waiting });
        self.timers.set(Timer::Admission, self.now.instant + ADMISSION_MAX);
        for resource in resources {
            self.push_copy(Copy { to: node, resource, number: 1, why: Why::Admission });
        }
        self.pump_copies();
        self.handed_over(node);
    }

    /// The node has everything: it is our predecessor now, and everybody hears of it, it first.
    fn admit(&mut self, node: NodeId) {
        self.forget_admission(node);
        let change = self.chord.insert(node);
        self.send_update(node);
        self.ring_changed(change, Cause::Admitted);
        self.tell_neighbors_except(node);
    }
}

// limits

/// Within this time a node that was sent on finds who has the copies of what will be its own.
const SENT_ON: Duration = Duration::from_secs(10);
/// Within this time it comes back if nobody has.
const COMES_BACK: Duration = Duration::from_secs(180);
/// Nodes remembered that were sent on.
const SENT_ON_MAX: usize = 64;
/// For handing over everything; a node that takes longer may ask again.
const ADMISSION_MAX: Duration = Duration::from_secs(120);
