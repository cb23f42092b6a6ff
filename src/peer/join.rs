//! Becoming a peer, in the order of RFC 6940 §10.5: bootstrap node, admitting peer, neighbours,
//! Join. What the section does not order goes on at the same time: several bootstrap nodes are
//! dialled at once, candidates are collected meanwhile, and the links to the neighbours come up
//! while we are being admitted (see `entrance`). Each step has a time; a failed attempt is repeated
//! with growing pauses through the next bootstrap nodes, until somebody tells us to leave.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use crate::base::{Encode, NodeId, ResourceId};
use crate::message::{ChordUpdateContents, ErrorCode, JoinReq, Method, PingReq};

use super::api::{Event, JoinError, JoinStep, LinkAction, LinkError, LinkId};
use super::attach::{AttachPlan, Reason};
use super::entrance::{Circle, Entrance};
use super::links::LinkState;
use super::requests::{Failure, Goal, Reply};
use super::timers::Timer;
use super::{Peer, Stage};

/// What we know while joining.
#[derive(Debug)]
pub(super) struct Joining {
    step: Step,
    /// Bootstrap nodes that are being dialled: which of the list, and over which link.
    dialing: Vec<(usize, LinkId)>,
    /// Bootstrap nodes that could not be reached in this round.
    unreached: usize,
    circle: Circle,
    /// Who has sent us its tables, ahead of the link with it or over it.
    told_by: BTreeSet<NodeId>,
    admitting: Option<NodeId>,
    /// Those that should admit us and cannot.
    passed_over: Vec<NodeId>,
    /// Who has last told us that it is not the one to admit us.
    sent_on_by: Option<NodeId>,
    /// All that have answered us and cannot be linked to us.
    out_of_reach: BTreeSet<NodeId>,
    bootstrap_link: Option<LinkId>,
    /// Which bootstrap node is next.
    address: usize,
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Between two attempts.
    Waiting,
    /// Until one of the bootstrap nodes answers.
    Dialing,
    /// Until the admitting peer has sent its Update.
    Attaching,
    /// It has not: our successors are looked for one after the other.
    Discovering,
    /// The admitting peer is busy with somebody else.
    Postponed,
    /// Until the admitting peer names us as its predecessor.
    Asked,
}

impl Step {
    /// Whether the Update of the admitting peer is what we wait for, or have waited for.
    fn is_before_asking(self) -> bool {
        matches!(self, Self::Attaching | Self::Discovering)
    }
}

impl Joining {
    fn new(address: usize, failures: u32) -> Self {
        Self {
            step: Step::Waiting,
            dialing: Vec::new(),
            unreached: 0,
            circle: Circle::default(),
            told_by: BTreeSet::new(),
            admitting: None,
            passed_over: Vec::new(),
            sent_on_by: None,
            out_of_reach: BTreeSet::new(),
            bootstrap_link: None,
            address,
            failures,
        }
    }

    /// A node has answered us and cannot be linked to us.
    pub(super) fn note_out_of_reach(&mut self, node: NodeId) {
        if self.out_of_reach.len() < LIST_MAX {
            self.out_of_reach.insert(node);
        }
    }

    /// Whether this peer is handing us our part of the ring.
    pub(super) fn is_admitted_by(&self, peer: NodeId) -> bool {
        self.step == Step::Asked && self.admitting == Some(peer)
    }
}

impl Peer {
    /// Founds the overlay: we are responsible for all of it (RFC 6940 §6.4.2.1, T-59).
    pub(super) fn found(&mut self) {
        if matches!(self.stage, Stage::Idle | Stage::Joining(_)) {
            self.stage = Stage::Joined { is_founder: true, entrance: None };
            self.begin_peer();
            self.begin_upkeep();
        }
    }

    pub(super) fn join(&mut self, mut addresses: Vec<SocketAddr>) {
        addresses.truncate(ADDRESSES_MAX);
        self.bootstrap = addresses;
        if matches!(self.stage, Stage::Idle | Stage::Joining(_)) {
            self.rejoin();
        }
    }

    /// Starts from the beginning. What we store stays here and is handed over or expires.
    pub(super) fn rejoin(&mut self) {
        self.chord.set_joined(false);
        self.chord.set_start(None);
        self.timers.stop_all();
        self.watch_links();
        self.admission = None;
        self.copies.reset();
        let mut joining = Joining::new(0, 0);
        if let Stage::Joining(before) = &mut self.stage {
            joining.bootstrap_link = before.bootstrap_link;
            joining.dialing = std::mem::take(&mut before.dialing);
        }
        self.stage = Stage::Joining(joining);
        self.dial();
    }

    /// What could not be reached may be from here and now.
    pub(super) fn moved(&mut self) {
        self.unreachable.clear();
        match &self.stage {
            Stage::Joining(joining) if joining.step == Step::Waiting => self.rejoin(),
            Stage::Client(_) => self.client_moved(),
            _ => {}
        }
    }

    /// A link to a bootstrap node is up. The first of those that were dialled is the one.
    pub(super) fn dialed(&mut self, link: LinkId, node: NodeId) {
        let Stage::Joining(joining) = &mut self.stage else {
            return match self.probe == Some(link) {
                true => self.probe_linked(link, node),
                false => self.client_dialed(link, node),
            };
        };
        let Some((index, _)) = joining.dialing.iter().find(|(_, id)| *id == link).copied() else {
            return self.close(link);
        };
        joining.bootstrap_link = Some(link);
        joining.address = index;
        joining.step = Step::Attaching;
        for (_, slower) in std::mem::take(&mut joining.dialing) {
            if slower != link {
                self.close(slower);
            }
        }
        self.seek_admitting_peer(node);
    }

    pub(super) fn dial_failed(&mut self, link: LinkId, error: &LinkError) {
        if self.probe == Some(link) {
            self.probe = None;
        }
        let addresses = self.bootstrap.len();
        let Stage::Joining(joining) = &mut self.stage else {
            return self.client_dial_failed(link, error);
        };
        let before = joining.dialing.len();
        joining.dialing.retain(|(_, id)| *id != link);
        if joining.dialing.len() == before {
            return;
        }
        joining.unreached += 1;
        if !joining.dialing.is_empty() {
            return;
        }
        joining.address += before.max(RACE_MAX);
        if joining.unreached >= addresses {
            self.join_failed(JoinError::Unreachable(error.clone()));
        } else {
            self.dial();
        }
    }

    /// The peer that is to admit us has answered: candidates for the links that come after the
    /// one to it are collected while that one comes up.
    pub(super) fn join_answerer_known(&mut self) {
        if matches!(self.stage, Stage::Joining(_)) {
            self.prepare_links(2 * self.chord.side() - 1);
        }
    }

    /// A link is up while we are joining.
    pub(super) fn join_attached(&mut self, node: NodeId, reason: Option<Reason>) {
        let Stage::Joining(joining) = &mut self.stage else { return };
        if joining.step == Step::Attaching && reason == Some(Reason::Admitting) {
            joining.admitting = Some(node);
            if joining.told_by.contains(&node) {
                return self.ask(node);
            }
            self.timers.set(Timer::Join, self.now.instant + UPDATE_MAX);
        }
    }

    /// Whether this peer has answered our Attach as the one to admit us, and the link with it is
    /// not up.
    pub(super) fn is_to_be_admitted_by(&self, peer: NodeId) -> bool {
        let is_admitting = |state: &LinkState| match state {
            LinkState::Connecting(c) => {
                c.node == peer && c.plan.as_ref().is_some_and(|p| p.reason == Reason::Admitting)
            }
            _ => false,
        };
        matches!(&self.stage, Stage::Joining(joining) if joining.step == Step::Attaching)
            && self.links.pending().any(|(_, link)| is_admitting(&link.state))
    }

    /// The tables of the peer that is to admit us have come along with its answer to our Attach
    /// (RFC 6940 §12): we attach to our neighbours while the link with it comes up.
    pub(super) fn join_tables(&mut self, from: NodeId, contents: ChordUpdateContents) {
        let own = self.identity.node_id;
        let Stage::Joining(joining) = &mut self.stage else { return };
        let (predecessors, successors) = contents.into_neighbors();
        joining.circle.learn(from, predecessors.into_iter().chain(successors), own);
        joining.told_by.insert(from);
        self.emit(Event::Joining(JoinStep::Neighbors));
        self.attach_circle();
    }

    /// A link could not be made.
    pub(super) fn join_attach_failed(&mut self, plan: &AttachPlan) {
        let is_sought = plan.reason == Reason::Admitting;
        match &mut self.stage {
            Stage::Joining(joining) if is_sought && joining.step == Step::Attaching => {
                self.pass_over(plan.node);
            }
            Stage::Joining(joining) if plan.reason == Reason::Neighbor => {
                if let Some(node) = plan.node {
                    joining.circle.give_up(node);
                }
            }
            _ => {
                if let Some(node) = plan.node {
                    self.entrance_lost(node);
                }
            }
        }
    }

    /// The peer that was to admit us wants no link.
    pub(super) fn join_refused(&mut self, code: ErrorCode) {
        if matches!(&self.stage, Stage::Joining(joining) if joining.step == Step::Attaching) {
            self.join_failed(JoinError::Refused(code));
        }
    }

    /// An Update has come while we are joining.
    pub(super) fn join_update(&mut self, from: NodeId, contents: ChordUpdateContents) {
        let own = self.identity.node_id;
        let Stage::Joining(joining) = &mut self.stage else { return };
        let is_admitting = joining.admitting == Some(from);
        joining.told_by.insert(from);
        let (predecessors, successors) = contents.into_neighbors();
        let us = predecessors.iter().position(|node| *node == own);
        let handed_from = us.map(|at| *predecessors.get(at + 1).unwrap_or(&from));
        joining.circle.learn(from, predecessors.into_iter().chain(successors), own);
        if joining.step == Step::Asked
            && is_admitting
            && let Some(handed_from) = handed_from
        {
            return self.joined(handed_from);
        }
        if joining.step.is_before_asking() && is_admitting {
            self.emit(Event::Joining(JoinStep::Neighbors));
            self.attach_circle();
            return self.ask(from);
        }
        if joining.step == Step::Asked {
            self.attach_circle();
        }
    }

    /// Asks for the successor of `node` through the admitting peer, which has not told us its own
    /// (RFC 6940 §10.5).
    fn discover(&mut self, node: NodeId) {
        let Stage::Joining(joining) = &mut self.stage else { return };
        joining.step = Step::Discovering;
        let through = joining.admitting;
        self.timers.set(Timer::Join, self.now.instant + STEP_MAX);
        let next = ResourceId::from_u128(node.to_u128().wrapping_add(1));
        let body = PingReq::default().to_bytes().unwrap_or_default();
        let goal = Goal::Discover;
        if self.request(vec![next.into()], through, Method::Ping, body, &[], goal).is_err() {
            self.join_failed(JoinError::NoAdmittingPeer);
        }
    }

    /// One more successor is known, or we have come around, or nobody answers any more. What is
    /// behind us the admitting peer tells us when it admits us.
    pub(super) fn discovered(&mut self, outcome: Result<Reply, Failure>) {
        let own = self.identity.node_id;
        let Stage::Joining(joining) = &mut self.stage else { return };
        let Some(admitting) = joining.admitting.filter(|_| joining.step == Step::Discovering)
        else {
            return;
        };
        let found = outcome.ok().map(|reply| reply.signed.node_id).filter(|node| *node != own);
        if let Some(node) = found.filter(|node| joining.circle.meet(admitting, *node))
            && joining.circle.len() < self.chord.side()
        {
            return self.discover(node);
        }
        self.attach_circle();
        self.ask(admitting);
    }

    /// The admitting peer has answered our Join, or not.
    pub(super) fn join_answered(&mut self, outcome: Result<Reply, Failure>) {
        let Stage::Joining(joining) = &mut self.stage else { return };
        if joining.step != Step::Asked {
            return;
        }
        match outcome {
            // What counts is the Update that follows (T-50).
            Ok(_) => self.timers.set(Timer::Join, self.now.instant + HAND_OVER_MAX),
            Err(Failure::Refused(ErrorCode::IN_PROGRESS)) => {
                joining.step = Step::Postponed;
                let at = self.soon(POSTPONED);
                self.timers.set(Timer::Join, at);
            }
            Err(Failure::Refused(ErrorCode::NOT_FOUND)) => self.join_sent_on(),
            Err(Failure::Refused(code)) => self.join_failed(JoinError::Refused(code)),
            Err(Failure::Timeout | Failure::Invalid) => {
                self.join_failed(JoinError::NoAdmittingPeer);
            }
        }
    }

    /// The peer that we have asked is not the one to admit us: another one has come between us and
    /// it, or we are far enough from it for others to know more of what will be ours.
    fn join_sent_on(&mut self) {
        let Stage::Joining(joining) = &mut self.stage else { return };
        let before = std::mem::replace(&mut joining.sent_on_by, joining.admitting);
        joining.step = Step::Attaching;
        match joining.admitting.take() {
            Some(through) if joining.passed_over.is_empty() && before != Some(through) => {
                self.seek_admitting_peer(through);
            }
            Some(node) if !joining.passed_over.is_empty() => self.pass_over(Some(node)),
            // The two of us see the ring differently, and asking at once would lead here again.
            _ => self.join_failed(JoinError::NoAdmittingPeer),
        }
    }

    /// A Store of our admitting peer has come: it is still at work.
    pub(super) fn join_goes_on(&mut self) {
        if matches!(&self.stage, Stage::Joining(joining) if joining.step == Step::Asked) {
            self.timers.set(Timer::Join, self.now.instant + HAND_OVER_MAX);
        }
    }

    pub(super) fn join_timeout(&mut self) {
        match &mut self.stage {
            Stage::Joining(joining) => match joining.step {
                Step::Waiting => self.dial(),
                Step::Dialing => {
                    for (_, link) in joining.dialing.clone() {
                        self.act(link, LinkAction::Close);
                        self.links.remove(link);
                        self.dial_failed(link, &LinkError::NoPath);
                    }
                }
                Step::Attaching => match joining.admitting {
                    Some(_) => {
                        self.emit(Event::Joining(JoinStep::Neighbors));
                        self.discover(self.identity.node_id);
                    }
                    None => self.join_failed(JoinError::NoAdmittingPeer),
                },
                Step::Discovering | Step::Asked => self.join_failed(JoinError::NoAdmittingPeer),
                Step::Postponed => match joining.admitting {
                    Some(admitting) => self.ask(admitting),
                    None => self.join_failed(JoinError::NoAdmittingPeer),
                },
            },
            Stage::Joined { .. } => self.entrance_timeout(),
            Stage::Client(_) => self.client_timeout(),
            Stage::Idle | Stage::Leaving(_) => {}
        }
    }

    /// A node that we counted on is gone.
    pub(super) fn join_lost(&mut self, node: NodeId) {
        match &self.stage {
            Stage::Joining(joining) => {
                let is_admitting = joining.admitting == Some(node);
                if is_admitting && !matches!(joining.step, Step::Waiting | Step::Dialing) {
                    self.join_failed(JoinError::NoAdmittingPeer);
                }
            }
            _ => self.entrance_lost(node),
        }
    }

    fn dial(&mut self) {
        let Stage::Joining(joining) = &mut self.stage else { return };
        let dialed_before = std::mem::take(&mut joining.dialing).into_iter().map(|(_, link)| link);
        let before: Vec<LinkId> =
            joining.bootstrap_link.take().into_iter().chain(dialed_before).collect();
        let count = self.bootstrap.len();
        let next: Vec<usize> =
            (0..count.min(RACE_MAX)).map(|i| (joining.address + i) % count).collect();
        joining.step = Step::Dialing;
        let begun: Vec<(usize, LinkId)> = next
            .into_iter()
            .map(|index| (index, self.links.add(self.now.instant, LinkState::Dialing)))
            .collect();
        joining.dialing.clone_from(&begun);
        before.into_iter().for_each(|link| self.close(link));
        if begun.is_empty() {
            return self.join_failed(JoinError::NoBootstrap);
        }
        self.emit(Event::Joining(JoinStep::Bootstrap));
        for (index, link) in begun {
            let Some(address) = self.bootstrap.get(index).copied() else { continue };
            self.act(link, LinkAction::Dial(address));
        }
        self.drop_spares();
        self.prepare_links(1);
        self.timers.set(Timer::Join, self.now.instant + STEP_MAX);
    }

    /// The peer that should admit us has answered and cannot be linked to us, or to the one behind
    /// us: the next one behind it will do.
    fn pass_over(&mut self, node: Option<NodeId>) {
        let Stage::Joining(joining) = &mut self.stage else { return };
        let through = joining.bootstrap_link.and_then(|link| self.links.open(link));
        match (node, through.map(|open| open.node)) {
            (Some(node), Some(through)) if joining.passed_over.len() < PASSED_OVER_MAX => {
                joining.passed_over.push(node);
                // What it has told us cannot be asked of it.
                joining.circle.forget(node);
                self.seek_admitting_peer(through);
            }
            _ => self.join_failed(JoinError::NoAdmittingPeer),
        }
    }

    /// Attaches to whoever is responsible for the place behind ours (RFC 6940 §10.5, §11.4), or
    /// behind the last one that we had to pass over.
    fn seek_admitting_peer(&mut self, through: NodeId) {
        let Stage::Joining(joining) = &self.stage else { return };
        let before = joining.passed_over.last().copied().unwrap_or(self.identity.node_id);
        let next = before.to_u128().wrapping_add(1);
        let mut plan = AttachPlan::to_resource(ResourceId::from_u128(next), Reason::Admitting);
        plan.first_hop = Some(through);
        self.emit(Event::Joining(JoinStep::Attach));
        self.timers.set(Timer::Join, self.now.instant + STEP_MAX);
        if !self.start_attach(plan) {
            self.join_failed(JoinError::NoAdmittingPeer);
        }
    }

    /// Begins to attach to those that are going to be our neighbours. The Attaches are on their
    /// way when we ask to be admitted, and need not be done until then.
    fn attach_circle(&mut self) {
        let Stage::Joining(joining) = &self.stage else { return };
        let bootstrap = joining.bootstrap_link.and_then(|link| self.links.open(link));
        let bootstrap = bootstrap.map(|open| open.node);
        for (node, teacher) in joining.circle.missing(&self.chord, &self.links) {
            let mut plan = AttachPlan::to_neighbor(teacher, node);
            plan.first_hop = bootstrap.filter(|_| !self.links.has(teacher));
            self.start_attach(plan);
        }
    }

    fn ask(&mut self, admitting: NodeId) {
        let Stage::Joining(joining) = &mut self.stage else { return };
        joining.step = Step::Asked;
        self.emit(Event::Joining(JoinStep::Join));
        self.timers.set(Timer::Join, self.now.instant + HAND_OVER_MAX);
        let join =
            JoinReq { joining_peer_id: self.identity.node_id, overlay_data: Vec::new() }.to_bytes();
        let route = vec![admitting.into()];
        let body = join.unwrap_or_default();
        if self.request(route, None, Method::Join, body, &[], Goal::Join).is_err() {
            self.join_failed(JoinError::NoAdmittingPeer);
        }
    }

    fn join_failed(&mut self, error: JoinError) {
        let Stage::Joining(joining) = &mut self.stage else { return };
        let (address, failures) = (joining.address, joining.failures);
        // A round over all addresses has ended already when none can be reached.
        let skip = usize::from(!matches!(error, JoinError::Unreachable(_)));
        let bootstrap_link = joining.bootstrap_link;
        *joining = Joining::new(address + skip, failures.saturating_add(1));
        joining.bootstrap_link = bootstrap_link;
        // Whoever was not reached is still a neighbour: without it our range would be wrong.
        self.unreachable.clear();
        self.drop_spares();
        self.transactions.finish_all(|p| matches!(p.context.goal, Goal::Join | Goal::Discover));
        self.emit(Event::JoinFailed(error));
        let at = self.soon(PAUSE_MIN.saturating_mul(1 << failures.min(5)));
        self.timers.set(Timer::Join, at);
    }

    /// We are responsible for our part of the ring from now on (T-50). What begins at
    /// `handed_from` we have been handed, and some of it may be others' who joined meanwhile.
    fn joined(&mut self, handed_from: NodeId) {
        let Stage::Joining(joining) = &mut self.stage else { return };
        for node in std::mem::take(&mut joining.out_of_reach) {
            if let Some(teacher) = joining.circle.teacher_of(node) {
                self.chord.note_unlinked(node, teacher);
            }
        }
        let entrance = Entrance {
            circle: std::mem::take(&mut joining.circle),
            bootstrap_link: joining.bootstrap_link,
            has_asked_around: false,
        };
        self.stage = Stage::Joined { is_founder: false, entrance: Some(entrance) };
        self.copies.shed_from = Some(handed_from);
        self.begin_peer();
        self.await_neighbors();
        self.check_entrance();
    }
}

// limits

/// Bootstrap nodes tried.
pub(super) const ADDRESSES_MAX: usize = 64;
/// Bootstrap nodes dialled at once. The nearest of four answers in half the time that one takes,
/// and one that is gone delays nobody.
const RACE_MAX: usize = 4;
/// Peers that cannot be linked to us and that we look behind for one to admit us; behind more of
/// them we would be out of sight.
const PASSED_OVER_MAX: usize = 3;
/// Neighbours believed of one Update.
pub(super) const LIST_MAX: usize = 64;
/// A step is five transmissions of a request, and some time for ICE and DTLS.
const STEP_MAX: Duration = Duration::from_secs(25);
/// From the link with the admitting peer to its Update, which is sent as soon as the link is up.
const UPDATE_MAX: Duration = Duration::from_secs(5);
/// From one Store of the admitting peer to the next.
const HAND_OVER_MAX: Duration = Duration::from_secs(30);
/// Until the admitting peer is asked again.
const POSTPONED: Duration = Duration::from_millis(500);
/// Between the first two attempts; doubles up to 32 times that.
const PAUSE_MIN: Duration = Duration::from_secs(1);
