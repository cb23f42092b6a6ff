//! Becoming a peer, in the order of RFC 6940 §10.5: bootstrap node, admitting peer, neighbours,
//! Join. Each step has a time; a failed attempt is repeated with growing pauses through the next
//! bootstrap node, until somebody tells us to leave.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use crate::base::{Encode, NodeId, ResourceId};
use crate::message::{ChordUpdateContents, ErrorCode, JoinReq, Method};

use super::api::{Event, JoinError, JoinStep, LinkAction, LinkError, LinkId};
use super::attach::{AttachPlan, Reason};
use super::links::LinkState;
use super::requests::{Failure, Goal, Reply};
use super::timers::Timer;
use super::{Peer, Stage};

/// What we know while joining.
#[derive(Debug)]
pub(super) struct Joining {
    step: Step,
    /// Peers that Updates told us of.
    known: BTreeSet<NodeId>,
    /// Those of them that could not be attached to.
    given_up: BTreeSet<NodeId>,
    admitting: Option<NodeId>,
    bootstrap_link: Option<LinkId>,
    /// Which bootstrap node is next.
    address: usize,
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Between two attempts.
    Waiting,
    Dialing(LinkId),
    /// Until the admitting peer has sent its Update.
    Attaching,
    /// Until all neighbours have sent theirs.
    Neighbors,
    /// The admitting peer is busy with somebody else.
    Postponed,
    /// Until the admitting peer names us as its predecessor.
    Asked,
}

impl Joining {
    fn new(address: usize, failures: u32) -> Self {
        Self {
            step: Step::Waiting,
            known: BTreeSet::new(),
            given_up: BTreeSet::new(),
            admitting: None,
            bootstrap_link: None,
            address,
            failures,
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
            self.stage = Stage::Joined { is_founder: true };
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
        self.timers.stop_all();
        self.watch_links();
        self.admission = None;
        self.copies = super::copies::Copies::default();
        let mut joining = Joining::new(0, 0);
        if let Stage::Joining(before) = &self.stage {
            joining.bootstrap_link = before.bootstrap_link;
        }
        self.stage = Stage::Joining(joining);
        self.dial();
    }

    /// A link to a bootstrap node is up.
    pub(super) fn dialed(&mut self, link: LinkId, node: NodeId) {
        match &mut self.stage {
            Stage::Joining(joining) if joining.step == Step::Dialing(link) => {
                joining.bootstrap_link = Some(link);
                joining.step = Step::Attaching;
                self.seek_admitting_peer(node);
            }
            _ if self.probe == Some(link) => self.probe_linked(link, node),
            _ => self.close(link),
        }
    }

    pub(super) fn dial_failed(&mut self, link: LinkId, error: &LinkError) {
        if self.probe == Some(link) {
            self.probe = None;
        }
        let addresses = self.bootstrap.len();
        let Stage::Joining(joining) = &mut self.stage else { return };
        if joining.step != Step::Dialing(link) {
            return;
        }
        joining.address += 1;
        if joining.address.is_multiple_of(addresses.max(1)) {
            self.join_failed(JoinError::Unreachable(error.clone()));
        } else {
            self.dial();
        }
    }

    /// A link is up while we are joining.
    pub(super) fn join_attached(&mut self, node: NodeId, reason: Option<Reason>) {
        let Stage::Joining(joining) = &mut self.stage else { return };
        if joining.step == Step::Attaching && reason == Some(Reason::Admitting) {
            joining.admitting = Some(node);
            self.timers.set(Timer::Join, self.now.instant + STEP_MAX);
        }
    }

    pub(super) fn join_attach_failed(&mut self, plan: &AttachPlan) {
        let Stage::Joining(joining) = &mut self.stage else { return };
        match plan.reason {
            Reason::Admitting if joining.step == Step::Attaching => {
                self.join_failed(JoinError::NoAdmittingPeer);
            }
            Reason::Neighbor => {
                joining.given_up.extend(plan.node);
                self.check_neighbors();
            }
            Reason::Admitting | Reason::Finger | Reason::Repair => {}
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
        let (predecessors, successors) = match contents {
            ChordUpdateContents::PeerReady => (Vec::new(), Vec::new()),
            ChordUpdateContents::Neighbors { predecessors, successors }
            | ChordUpdateContents::Full { predecessors, successors, .. } => {
                (predecessors, successors)
            }
        };
        if joining.step == Step::Asked && is_admitting && predecessors.contains(&own) {
            return self.joined();
        }
        joining.known.extend(predecessors.into_iter().chain(successors).take(LIST_MAX));
        joining.known.insert(from);
        joining.known.remove(&own);
        if joining.step == Step::Attaching && is_admitting {
            joining.step = Step::Neighbors;
            let patience = self.config.reliability_timer + NEIGHBOR_GRACE;
            self.timers.set(Timer::Join, self.now.instant + patience);
            self.emit(Event::Joining(JoinStep::Neighbors));
        }
        self.check_neighbors();
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
            // Another peer has come between us and it.
            Err(Failure::Refused(ErrorCode::NOT_FOUND)) => {
                if let Some(admitting) = joining.admitting {
                    joining.step = Step::Attaching;
                    self.seek_admitting_peer(admitting);
                }
            }
            Err(Failure::Refused(code)) => self.join_failed(JoinError::Refused(code)),
            Err(Failure::Timeout | Failure::Invalid) => {
                self.join_failed(JoinError::NoAdmittingPeer);
            }
        }
    }

    /// A Store of our admitting peer has come: it is still at work.
    pub(super) fn join_goes_on(&mut self) {
        if matches!(&self.stage, Stage::Joining(joining) if joining.step == Step::Asked) {
            self.timers.set(Timer::Join, self.now.instant + HAND_OVER_MAX);
        }
    }

    pub(super) fn join_timeout(&mut self) {
        let Stage::Joining(joining) = &mut self.stage else { return };
        match joining.step {
            Step::Waiting => self.dial(),
            Step::Dialing(link) => {
                self.act(link, LinkAction::Close);
                self.links.remove(link);
                self.dial_failed(link, &LinkError::NoPath);
            }
            Step::Attaching | Step::Asked => self.join_failed(JoinError::NoAdmittingPeer),
            Step::Neighbors => {
                let missing = self.missing_neighbors();
                if let Stage::Joining(joining) = &mut self.stage {
                    joining.given_up.extend(missing);
                }
                self.check_neighbors();
            }
            Step::Postponed => {
                joining.step = Step::Neighbors;
                self.check_neighbors();
            }
        }
    }

    /// A node that we counted on is gone.
    pub(super) fn join_lost(&mut self, node: NodeId) {
        let Stage::Joining(joining) = &self.stage else { return };
        let is_admitting = joining.admitting == Some(node);
        if is_admitting && !matches!(joining.step, Step::Waiting | Step::Dialing(_)) {
            self.join_failed(JoinError::NoAdmittingPeer);
        } else {
            self.check_neighbors();
        }
    }

    fn dial(&mut self) {
        let Stage::Joining(joining) = &mut self.stage else { return };
        let before = joining.bootstrap_link.take();
        let index = joining.address % self.bootstrap.len().max(1);
        let Some(address) = self.bootstrap.get(index).copied() else {
            return self.join_failed(JoinError::NoBootstrap);
        };
        let link = self.links.add(self.now.instant, LinkState::Dialing);
        joining.step = Step::Dialing(link);
        if let Some(before) = before {
            self.close(before);
        }
        self.emit(Event::Joining(JoinStep::Bootstrap));
        self.act(link, LinkAction::Dial(address));
        self.timers.set(Timer::Join, self.now.instant + STEP_MAX);
    }

    /// Attaches to whoever is responsible for the place behind ours (RFC 6940 §10.5, §11.4).
    fn seek_admitting_peer(&mut self, through: NodeId) {
        let next = self.identity.node_id.to_u128().wrapping_add(1);
        let mut plan = AttachPlan::to_resource(ResourceId::from_u128(next), Reason::Admitting);
        plan.first_hop = Some(through);
        self.emit(Event::Joining(JoinStep::Attach));
        self.timers.set(Timer::Join, self.now.instant + STEP_MAX);
        if !self.start_attach(plan) {
            self.join_failed(JoinError::NoAdmittingPeer);
        }
    }

    /// Attaches to those of our neighbours that we have no link with; asks to be admitted once
    /// there is none left.
    fn check_neighbors(&mut self) {
        if !matches!(&self.stage, Stage::Joining(joining) if joining.step == Step::Neighbors) {
            return;
        }
        let missing = self.missing_neighbors();
        let Stage::Joining(joining) = &mut self.stage else { return };
        let Some(admitting) = joining.admitting else { return };
        if missing.is_empty() {
            joining.step = Step::Asked;
            return self.ask(admitting);
        }
        for node in missing {
            self.start_attach(AttachPlan::to_neighbor(admitting, node));
        }
    }

    fn missing_neighbors(&self) -> Vec<NodeId> {
        let Stage::Joining(joining) = &self.stage else { return Vec::new() };
        let known = joining.known.difference(&joining.given_up).copied().collect();
        let expected = self.chord.expected(&known).into_iter();
        expected.filter(|node| !self.chord.contains(*node)).collect()
    }

    fn ask(&mut self, admitting: NodeId) {
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
        self.transactions.finish_all(|p| matches!(p.context.goal, Goal::Join));
        self.emit(Event::JoinFailed(error));
        let at = self.soon(PAUSE_MIN.saturating_mul(1 << failures.min(5)));
        self.timers.set(Timer::Join, at);
    }

    /// We are responsible for our part of the ring from now on (T-50).
    fn joined(&mut self) {
        let Stage::Joining(joining) = &self.stage else { return };
        let bootstrap_link = joining.bootstrap_link;
        self.stage = Stage::Joined { is_founder: false };
        if let Some(link) = bootstrap_link {
            self.close(link);
        }
        self.begin_upkeep();
    }
}

// limits

/// Bootstrap nodes tried.
const ADDRESSES_MAX: usize = 64;
/// Neighbours believed of one Update.
pub(super) const LIST_MAX: usize = 64;
/// A step is five transmissions of a request, and some time for ICE and DTLS.
const STEP_MAX: Duration = Duration::from_secs(25);
/// What a neighbour has to answer one retransmission of our Attach, and for ICE and DTLS. Who needs
/// longer is taken for lost, as a peer that has just died would be, and met after the join.
const NEIGHBOR_GRACE: Duration = Duration::from_secs(2);
/// From one Store of the admitting peer to the next.
const HAND_OVER_MAX: Duration = Duration::from_secs(30);
/// Until the admitting peer is asked again.
const POSTPONED: Duration = Duration::from_millis(500);
/// Between the first two attempts; doubles up to 32 times that.
const PAUSE_MIN: Duration = Duration::from_secs(1);
