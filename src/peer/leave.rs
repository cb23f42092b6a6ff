//! Leaving (RFC 6940 §6.4.2.2, §10.9): values are taken back, the last copies go out, everybody
//! hears good-bye, and after two seconds at most we are gone.

use std::time::Duration;

use crate::base::{Encode, NodeId};
use crate::message::{ChordLeave, LeaveReq, Method};

use super::api::{Event, LinkAction};
use super::requests::Goal;
use super::serve::Question;
use super::timers::Timer;
use super::upkeep::Cause;
use super::{Peer, Stage};

/// How far leaving is.
#[derive(Debug)]
pub(super) struct Leaving {
    step: Step,
    /// Requests without an answer.
    waiting: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Values are taken back.
    Clearing,
    /// Linked nodes are told.
    Telling,
}

impl Peer {
    pub(super) fn leave(&mut self) {
        match self.stage {
            Stage::Joined { .. } | Stage::Client(_) => {}
            Stage::Leaving(_) => return,
            Stage::Idle | Stage::Joining(_) => return self.left(),
        }
        self.transactions.finish_all(|p| matches!(p.context.goal, Goal::Update(_)));
        self.timers.stop_all();
        self.replicate();
        self.stage = Stage::Leaving(Leaving { step: Step::Clearing, waiting: 0 });
        let waiting = self.withdraw_all();
        if let Stage::Leaving(leaving) = &mut self.stage {
            leaving.waiting = waiting;
        }
        self.timers.set(Timer::Leave, self.now.instant + STEP_MAX);
        if waiting == 0 {
            self.leave_step();
        }
    }

    /// A request of our leaving has ended.
    pub(super) fn leave_answered(&mut self) {
        let Stage::Leaving(leaving) = &mut self.stage else { return };
        leaving.waiting = leaving.waiting.saturating_sub(1);
        if leaving.waiting == 0 {
            self.leave_step();
        }
    }

    pub(super) fn leave_step(&mut self) {
        let Stage::Leaving(leaving) = &mut self.stage else { return };
        if leaving.step == Step::Telling {
            return self.left();
        }
        leaving.step = Step::Telling;
        self.transactions.finish_all(|p| matches!(p.context.goal, Goal::Leave));
        self.timers.set(Timer::Leave, self.now.instant + STEP_MAX);
        let mut told = 0;
        for node in self.links.nodes() {
            let overlay_data = self.leave_data(node);
            let leave = LeaveReq { leaving_peer_id: self.identity.node_id, overlay_data };
            let Ok(body) = leave.to_bytes() else { continue };
            let route = vec![node.into()];
            let sent = self.request(route, None, Method::Leave, body, &[], Goal::Leave);
            told += usize::from(sent.is_ok());
        }
        if let Stage::Leaving(leaving) = &mut self.stage {
            leaving.waiting = told;
        }
        if told == 0 {
            self.left();
        }
    }

    pub(super) fn serve_leave(&mut self, question: &Question) {
        let node = question.signed.node_id;
        let Ok(leave) = question.read::<LeaveReq>() else {
            return self.refuse_invalid(question, "the Leave does not parse");
        };
        if leave.leaving_peer_id != node {
            return self.refuse_forbidden(question, "the signer is not who leaves");
        }
        if !question.is_direct() {
            return self.refuse_forbidden(question, "a Leave comes over a link of its own");
        }
        self.answer(question, Ok(Vec::new()), &[]);
        // Who comes in its place we hear from the neighbours that stay.
        self.chord.forget_start(|start| start == node);
        self.drop_peer(node, Cause::Left);
        self.entrance_lost(node);
    }

    /// What a neighbour should know, seen from its side (T-55).
    fn leave_data(&self, node: NodeId) -> Vec<u8> {
        let (predecessors, successors) = (self.chord.predecessors(), self.chord.successors());
        let data = if predecessors.contains(&node) {
            ChordLeave::FromSuccessor(successors.to_vec())
        } else if successors.contains(&node) {
            ChordLeave::FromPredecessor(predecessors.to_vec())
        } else {
            return Vec::new();
        };
        data.to_bytes().unwrap_or_default()
    }

    fn left(&mut self) {
        for link in self.links.ids() {
            self.act(link, LinkAction::Close);
            self.links.remove(link);
        }
        self.transactions.finish_all(|_| true);
        self.timers.stop_all();
        self.stage = Stage::Idle;
        self.chord = self.config.chord(self.identity.node_id);
        self.copies.reset();
        self.admission = None;
        self.probe = None;
        self.emit(Event::Left);
    }
}

// limits

/// For each of the two steps.
const STEP_MAX: Duration = Duration::from_secs(1);
