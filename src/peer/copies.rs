//! Copies of values for other peers (RFC 6940 §10.4, §10.5, §10.7.3), a few at a time. What is
//! queued is only a name: the values are taken when their turn comes.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use crate::base::{Encode, NodeId, ResourceId};
use crate::message::{ErrorCode, Method};
use crate::routing::Topology;
use crate::routing::chord::COPIES;
use crate::routing::chord::ring::in_range;

use super::requests::{Failure, Goal, Reply};
use super::timers::Timer;
use super::updates::{HAND_OVER_DELAY, HOLD_DOWN};
use super::{Peer, Stage};

/// What is at one resource, for one peer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Copy {
    pub(super) to: NodeId,
    pub(super) resource: ResourceId,
    pub(super) number: u8,
    pub(super) why: Why,
}

/// Why a peer gets a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// It joins and will be responsible.
    Admission,
    /// It is one of our replicas, or responsible in our place.
    Replica,
    /// It had newer values, which we have taken over, and gets what it lacks.
    Merged,
    /// It is responsible for what we need not keep, and may lack it.
    Surplus,
}

/// Copies to be sent.
#[derive(Debug, Default)]
pub(super) struct Copies {
    queue: VecDeque<Copy>,
    queued: BTreeSet<Copy>,
    in_flight: usize,
    /// Replica peers that have got everything of ours.
    members: Vec<NodeId>,
    /// Whether we have become responsible for more, so that all members need it.
    pub(super) is_range_new: bool,
    /// Where our range began before peers came into it that did not join through us.
    pub(super) shed_from: Option<NodeId>,
    /// What we need not keep, and whoever is responsible for it has, or has got from us.
    pub(super) handed_over: BTreeSet<ResourceId>,
    /// What we need not keep, and whoever is responsible for it takes no copies of from us: it has
    /// been told that we have it, and is asked whether it has it by now.
    refused: BTreeSet<ResourceId>,
    /// What we have asked after, without an answer yet.
    pub(super) asked: BTreeSet<ResourceId>,
    /// How much of what we lack is being fetched.
    pub(super) fetching: usize,
    /// Whether it has got it for the last time: what is handed over is dropped next, if the ring
    /// stays as it is.
    pub(super) is_dropping: bool,
    /// Whether we hold values of before a restart.
    pub(super) is_restored: bool,
}

impl Copies {
    /// How many copies wait, and at most.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.queue.len().max(self.queued.len()), QUEUE_MAX)
    }

    /// Forgets what a place on the ring needed that is no longer ours.
    pub(super) fn reset(&mut self) {
        *self = Self { is_restored: self.is_restored, ..Self::default() };
    }

    /// Whether all replica peers have been served.
    pub(super) fn is_settled(&self, replicas: &[NodeId]) -> bool {
        !self.is_range_new && replicas.iter().all(|r| self.members.contains(r))
    }
}

impl Peer {
    /// A value of ours has changed: our replicas get it.
    pub(super) fn copy_to_replicas(&mut self, resource: &ResourceId) {
        let replicas = self.chord.replicas();
        for (to, number) in replicas.into_iter().zip(1..) {
            self.push_copy(Copy { to, resource: resource.clone(), number, why: Why::Replica });
        }
        self.also_for_admitted(resource);
        self.pump_copies();
    }

    /// Gives new replica peers everything that we are responsible for (RFC 6940 §10.7.3).
    pub(super) fn replicate(&mut self) {
        if matches!(self.stage, Stage::Idle | Stage::Joining(_)) {
            return;
        }
        let replicas = self.chord.replicas();
        let to_all = std::mem::take(&mut self.copies.is_range_new);
        let (start, own) = (self.chord.range_start().to_u128(), self.identity.node_id.to_u128());
        let ours: Vec<ResourceId> = self.storage.resources_between(start, own).collect();
        for (to, number) in replicas.iter().copied().zip(1..) {
            if to_all || !self.copies.members.contains(&to) {
                for resource in ours.iter().cloned() {
                    self.push_copy(Copy { to, resource, number, why: Why::Replica });
                }
            }
        }
        self.copies.members = replicas;
        if std::mem::take(&mut self.copies.is_restored) {
            self.return_restored();
        }
        self.pump_copies();
    }

    /// A peer has come into our range, or into what was our range a moment ago, and has not
    /// joined through us: it may lack what we have (RFC 6940 §6.4.2.3).
    pub(super) fn range_shed(&mut self, start_before: NodeId, to: NodeId) {
        let own = self.identity.node_id.to_u128();
        if self.chord.range_start() == to {
            self.copies.shed_from.get_or_insert(start_before);
            self.look_soon();
        }
        let Some(shed_from) = self.copies.shed_from.map(NodeId::to_u128) else { return };
        let mut predecessors = self.chord.predecessors().iter().copied();
        if !in_range(to.to_u128(), shed_from, own) || !predecessors.any(|p| p == to) {
            return;
        }
        let before = predecessors.next().map(NodeId::to_u128);
        let after = before.filter(|p| in_range(*p, shed_from, to.to_u128())).unwrap_or(shed_from);
        self.pass_on(NodeId::from_u128(after), to, to);
    }

    /// Of what we held before a restart, others may be responsible now.
    fn return_restored(&mut self) {
        let predecessors = self.chord.predecessors().to_vec();
        for pair in predecessors.windows(2).take(COPIES) {
            self.pass_on(pair[1], pair[0], pair[0]);
        }
    }

    /// Three others are nearer to some of what we have, and keep it (RFC 6940 §10.7.3). Whether
    /// they do only they know: whoever admitted the responsible peer may have given it nothing, so
    /// it gets a copy while we know who it is, and is asked what it has when we do not.
    pub(super) fn hand_over_surplus(&mut self) {
        if !matches!(self.stage, Stage::Joined { .. }) {
            return;
        }
        let surplus = self.surplus();
        self.copies.handed_over.retain(|resource| surplus.contains(resource));
        self.copies.refused.retain(|resource| surplus.contains(resource));
        for resource in surplus {
            if self.copies.handed_over.contains(&resource) {
                continue;
            }
            let responsible = self.chord.responsible_predecessor(&resource);
            match responsible.filter(|_| !self.copies.refused.contains(&resource)) {
                Some(to) => self.push_surplus(to, resource),
                None => self.ask_after(resource),
            }
        }
        self.pump_copies();
    }

    /// Gives what we need not keep to who is responsible for it.
    pub(super) fn push_surplus(&mut self, to: NodeId, resource: ResourceId) {
        self.copies.handed_over.insert(resource.clone());
        self.push_copy(Copy { to, resource, number: 1, why: Why::Surplus });
    }

    /// It takes nothing from us, who are too far behind it, and fetches what it lacks (§7.4.1.1):
    /// it is asked soon whether it has. If it has not then, the next change of the ring will do.
    fn surplus_refused(&mut self, copy: &Copy) {
        self.keep_surplus(copy);
        if self.copies.refused.insert(copy.resource.clone()) {
            let at = self.soon(HAND_OVER_DELAY);
            self.timers.set_earlier(Timer::HandOver, at);
        }
    }

    /// Drops what we need not keep, after it has been handed over once more. What nobody took stays
    /// here until the ring changes next, or its lifetime ends.
    pub(super) fn discard(&mut self) {
        if !matches!(self.stage, Stage::Joined { .. }) {
            return;
        }
        self.copies.shed_from = None;
        let handed_over = std::mem::take(&mut self.copies.handed_over);
        if std::mem::take(&mut self.copies.is_dropping) {
            for resource in self.surplus().intersection(&handed_over) {
                self.storage.remove(resource);
            }
            return;
        }
        self.hand_over_surplus();
        self.copies.is_dropping =
            !self.copies.handed_over.is_empty() || !self.copies.asked.is_empty();
        if self.copies.is_dropping {
            self.timers.set(Timer::Discard, self.now.instant + SURPLUS_DELAY);
        }
    }

    /// What we need not keep.
    fn surplus(&self) -> BTreeSet<ResourceId> {
        let own = self.identity.node_id.to_u128();
        let all = self.storage.resources_between(own, own);
        all.filter(|resource| !self.chord.keeps(resource)).collect()
    }

    /// Passes on what is stored in the range `(after, upto]` to its responsible peer, which may
    /// lack it (RFC 6940 §6.4.2.3).
    pub(super) fn pass_on(&mut self, after: NodeId, upto: NodeId, to: NodeId) {
        let range = self.storage.resources_between(after.to_u128(), upto.to_u128());
        for resource in range.collect::<Vec<_>>() {
            self.push_copy(Copy { to, resource, number: 1, why: Why::Replica });
        }
        self.pump_copies();
    }

    pub(super) fn push_copy(&mut self, copy: Copy) {
        if self.copies.queue.len() >= QUEUE_MAX {
            self.keep_surplus(&copy);
            return self.copy_over(&copy);
        }
        if !self.copies.queued.insert(copy.clone()) {
            return self.copy_over(&copy);
        }
        self.copies.queue.push_back(copy);
    }

    /// Sends what may be sent now.
    pub(super) fn pump_copies(&mut self) {
        while self.copies.in_flight < IN_FLIGHT_MAX {
            let Some(copy) = self.copies.queue.pop_front() else {
                // What a hand-over needed is not kept for quieter times.
                (self.copies.queue, self.copies.queued) = (VecDeque::new(), BTreeSet::new());
                return;
            };
            self.copies.queued.remove(&copy);
            let bytes_max = self.config.message_size_max.saturating_sub(FRAME_BYTES);
            let (resource, number) = (&copy.resource, copy.number);
            let is_there = self.links.has(copy.to)
                || self.chord.is_unlinked(copy.to)
                || copy.why == Why::Surplus;
            let stores = match is_there {
                true => self.storage.copies(self.now, resource, number, bytes_max),
                false => Vec::new(),
            };
            if stores.is_empty() {
                self.keep_surplus(&copy);
            }
            for store in stores {
                let Ok(body) = store.request.to_bytes() else { continue };
                let (route, goal) = (vec![copy.to.into()], Goal::Copy(copy.clone()));
                let method = Method::Store;
                if self.request(route, None, method, body, &store.certificates, goal).is_err() {
                    self.keep_surplus(&copy);
                    continue;
                }
                self.copies.in_flight += 1;
            }
            self.copy_over(&copy);
        }
    }

    pub(super) fn copy_answered(&mut self, copy: &Copy, failure: Option<Failure>) {
        self.copies.in_flight = self.copies.in_flight.saturating_sub(1);
        match (failure, copy.why) {
            (Some(Failure::Refused(code)), Why::Admission | Why::Replica) if is_behind(code) => {
                self.fetch_newer(copy);
            }
            (Some(Failure::Refused(code)), Why::Surplus) if is_behind(code) => {}
            (Some(Failure::Refused(_)), Why::Surplus) => self.surplus_refused(copy),
            (Some(_), Why::Surplus) => self.keep_surplus(copy),
            (Some(Failure::Timeout), Why::Admission) => self.forget_admission(copy.to),
            (Some(_), Why::Replica | Why::Merged) => {
                // It may see the ring otherwise for now.
                self.copies.members.retain(|member| *member != copy.to);
                let at = self.soon(HOLD_DOWN);
                self.timers.set_earlier(Timer::Replicate, at);
            }
            _ => {}
        }
        self.pump_copies();
    }

    /// A peer has newer values than the copy that it got: we take them over from it
    /// (RFC 6940 §7.4.1.1).
    fn fetch_newer(&mut self, copy: &Copy) {
        let Ok(body) = self.storage.counterpart(&copy.resource).to_bytes() else { return };
        let (route, goal) = (vec![copy.to.into()], Goal::Newer(copy.clone()));
        // Without room for the request the next change will do.
        let _ = self.request(route, None, Method::Fetch, body, &[], goal);
    }

    pub(super) fn newer_fetched(&mut self, copy: Copy, outcome: Result<Reply, Failure>) {
        let Some(is_changed) = self.merge_fetched(&copy.resource, outcome) else { return };
        if is_changed && self.chord.owns(&copy.resource) {
            let others = self.chord.replicas().into_iter().zip(1..);
            for (to, number) in others.filter(|(to, _)| *to != copy.to) {
                let resource = copy.resource.clone();
                self.push_copy(Copy { to, resource, number, why: Why::Replica });
            }
        }
        self.push_copy(Copy { why: Why::Merged, ..copy });
        self.pump_copies();
    }

    /// Who should have something that we need not keep may not have it.
    fn keep_surplus(&mut self, copy: &Copy) {
        if copy.why == Why::Surplus {
            self.copies.handed_over.remove(&copy.resource);
        }
    }

    /// A copy has been sent, or need not be.
    fn copy_over(&mut self, copy: &Copy) {
        if copy.why == Why::Admission {
            self.handed_over(copy.to);
        }
    }
}

/// Whether a copy was refused because it is not the newest.
fn is_behind(code: ErrorCode) -> bool {
    [ErrorCode::DATA_TOO_OLD, ErrorCode::GENERATION_COUNTER_TOO_LOW].contains(&code)
}

// limits

/// From the copies of what is about to be dropped until it is: longer than a request lives.
const SURPLUS_DELAY: Duration = Duration::from_secs(20);
/// Stores on their way at a time.
const IN_FLIGHT_MAX: usize = 16;
/// Copies that wait. What does not fit is passed on when the ring changes next.
const QUEUE_MAX: usize = 16 * 1024;
/// Header, contents and our own certificate and signature around a StoreReq's values.
const FRAME_BYTES: usize = 2048;
