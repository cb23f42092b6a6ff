//! Neighbours that answer our Attach through others and that no link comes up with, as not every
//! pair of nodes can reach each other. They are there, so their part of the ring is not ours, and
//! what is for them goes through a neighbour that is linked to them.

use crate::base::NodeId;

use super::attach::{AttachPlan, Reason};
use super::links::LinkState;
use super::upkeep::Cause;
use super::{Peer, Stage};

impl Peer {
    /// No link has come up with a node that has answered us, or asked for one itself.
    pub(super) fn unlinked(&mut self, node: NodeId, plan: Option<&AttachPlan>) {
        if let Stage::Joining(joining) = &mut self.stage {
            return joining.note_out_of_reach(node);
        }
        let Some(teacher) = self.teacher_of(node, plan) else { return };
        let start = self.chord.range_start();
        let change = self.chord.note_unlinked(node, teacher);
        self.ring_changed(change, Cause::Arrived);
        if change.range && self.chord.range_start() == node {
            // While we took it for lost we may have been given what is its own (§6.4.2.3).
            self.pass_on(start, node, node);
        }
    }

    /// A node does not answer: if it is one that we cannot be linked to, it is gone.
    pub(super) fn unlinked_lost(&mut self, node: NodeId) {
        let change = self.chord.forget_unlinked(node);
        self.ring_changed(change, Cause::Failed);
    }

    /// Takes those for present that a link is coming up with, as they have answered us.
    pub(super) fn note_answered(&mut self) {
        let answered = |state: &LinkState| match state {
            LinkState::Connecting(c) => Some((c.node, self.teacher_of(c.node, c.plan.as_ref())?)),
            _ => None,
        };
        let pending = self.links.pending();
        let answered: Vec<_> = pending.filter_map(|(_, link)| answered(&link.state)).collect();
        for (node, teacher) in answered {
            self.chord.note_unlinked(node, teacher);
        }
    }

    /// Tries again to be linked to those: they may have moved, or be gone.
    pub(super) fn retry_unlinked(&mut self) {
        for (node, through) in self.chord.unlinked().collect::<Vec<_>>() {
            self.start_attach(AttachPlan::to_neighbor(through, node));
        }
    }

    /// Who told us of a neighbour: the plan for a link with it says so, or whoever we have heard of
    /// it from while we take our place.
    fn teacher_of(&self, node: NodeId, plan: Option<&AttachPlan>) -> Option<NodeId> {
        let plan = plan.filter(|plan| plan.reason == Reason::Neighbor);
        let planned = plan.and_then(|plan| plan.route.first()?.node());
        let is_linked = |teacher: &NodeId| *teacher != node && self.chord.contains(*teacher);
        planned.filter(is_linked).or_else(|| self.entrance_teacher(node))
    }
}
