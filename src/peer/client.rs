//! Being a client (RFC 6940 §4.2): a node that neither routes nor stores. It keeps a link with the
//! peer that is responsible for its Node-ID, sends everything through that peer and is reached
//! through it. When that peer's Updates say that another one has become responsible, it attaches
//! to that one (§4.2.1).

use std::net::SocketAddr;
use std::time::Duration;

use crate::base::{NodeId, ResourceId};
use crate::message::ChordUpdateContents;
use crate::routing::chord::ring;

use super::api::{Event, JoinError, JoinStep, LinkAction, LinkError, LinkId};
use super::attach::{AttachPlan, Reason};
use super::join::ADDRESSES_MAX;
use super::links::LinkState;
use super::timers::Timer;
use super::{Peer, Stage};

/// What a client knows.
#[derive(Debug)]
pub(super) struct Client {
    step: Step,
    /// The peer that we are attached to.
    peer: Option<NodeId>,
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
    /// Until the link with the responsible peer is up; while there is an older one, through it.
    Attaching,
    Attached,
}

impl Peer {
    /// Becomes a client, unless we are a peer or on the way to be one.
    pub(super) fn connect(&mut self, mut addresses: Vec<SocketAddr>) {
        if !matches!(self.stage, Stage::Idle) {
            return;
        }
        if !self.config.clients_permitted {
            return self.emit(Event::JoinFailed(JoinError::ClientsNotPermitted));
        }
        addresses.truncate(ADDRESSES_MAX);
        self.bootstrap = addresses;
        let step = Step::Waiting;
        let client = Client { step, peer: None, bootstrap_link: None, address: 0, failures: 0 };
        self.stage = Stage::Client(client);
        self.client_dial();
    }

    /// Whether we can send requests into the overlay, as a peer or as a client.
    pub(super) fn is_in_overlay(&self) -> bool {
        self.chord.is_joined() || self.client_hop().is_some()
    }

    /// The peer to which a client sends everything.
    pub(super) fn client_hop(&self) -> Option<NodeId> {
        match &self.stage {
            Stage::Client(client) => client.peer,
            // A client that leaves has no other links.
            Stage::Leaving(_) if !self.chord.is_joined() => self.links.nodes().first().copied(),
            _ => None,
        }
    }

    /// A link to a bootstrap node is up.
    pub(super) fn client_dialed(&mut self, link: LinkId, node: NodeId) {
        match &mut self.stage {
            Stage::Client(client) if client.step == Step::Dialing(link) => {
                client.bootstrap_link = Some(link);
                self.seek_responsible(node);
            }
            _ => self.close(link),
        }
    }

    pub(super) fn client_dial_failed(&mut self, link: LinkId, error: &LinkError) {
        let addresses = self.bootstrap.len().max(1);
        let Stage::Client(client) = &mut self.stage else { return };
        if client.step != Step::Dialing(link) {
            return;
        }
        client.address += 1;
        match client.address % addresses {
            0 => self.client_failed(JoinError::Unreachable(error.clone())),
            _ => self.client_dial(),
        }
    }

    /// The link with the peer that we sought is up.
    pub(super) fn client_attached(&mut self, node: NodeId) {
        let Stage::Client(client) = &mut self.stage else { return };
        if client.step != Step::Attaching {
            return;
        }
        let before = client.peer.replace(node);
        let bootstrap_link = client.bootstrap_link.take();
        (client.step, client.failures) = (Step::Attached, 0);
        self.timers.stop(Timer::Join);
        let former = before.filter(|before| *before != node);
        let former_link = former.and_then(|before| self.links.best(before));
        for link in bootstrap_link.into_iter().chain(former_link) {
            self.retire(link);
        }
        self.emit(Event::Connected(node));
        if before.is_none() {
            self.publish_again();
            self.timers.set(Timer::Certificates, self.now.instant + CERTIFICATES_DELAY);
        }
    }

    /// The responsible peer could not be attached to.
    pub(super) fn client_attach_failed(&mut self, error: JoinError) {
        if matches!(&self.stage, Stage::Client(client) if client.step == Step::Attaching) {
            self.client_failed(error);
        }
    }

    /// An Update of a linked peer: it may not be responsible for us any more.
    pub(super) fn client_update(&mut self, from: NodeId, contents: &ChordUpdateContents) {
        let (ChordUpdateContents::Neighbors { predecessors, .. }
        | ChordUpdateContents::Full { predecessors, .. }) = contents
        else {
            return;
        };
        let Stage::Client(client) = &self.stage else { return };
        if client.peer != Some(from) || client.step != Step::Attached {
            return;
        }
        let (own, to) = (self.identity.node_id.to_u128(), from.to_u128());
        let before = predecessors.iter().map(|p| p.to_u128()).filter(|p| *p != own);
        let nearest = before.min_by_key(|p| ring::distance(*p, to)).unwrap_or(to);
        if !ring::in_range(own, nearest, to) {
            self.seek_responsible(from);
        }
    }

    /// A node that we were linked with is gone.
    pub(super) fn client_lost(&mut self, node: NodeId) {
        let Stage::Client(client) = &mut self.stage else { return };
        if client.peer == Some(node) {
            client.peer = None;
            client.step = Step::Waiting;
            self.timers.set(Timer::Join, self.now.instant);
        }
    }

    /// Does not wait any longer.
    pub(super) fn client_moved(&mut self) {
        let Stage::Client(client) = &mut self.stage else { return };
        client.failures = 0;
        if client.step == Step::Waiting {
            self.timers.set(Timer::Join, self.now.instant);
        }
    }

    pub(super) fn client_timeout(&mut self) {
        let Stage::Client(client) = &mut self.stage else { return };
        match (client.step, client.peer) {
            (Step::Waiting, Some(peer)) => self.seek_responsible(peer),
            (Step::Waiting, None) => self.client_dial(),
            (Step::Dialing(link), _) => {
                self.act(link, LinkAction::Close);
                self.links.remove(link);
                self.client_dial_failed(link, &LinkError::NoPath);
            }
            (Step::Attaching, _) => self.client_failed(JoinError::NoAdmittingPeer),
            (Step::Attached, _) => {}
        }
    }

    fn client_dial(&mut self) {
        let Stage::Client(client) = &mut self.stage else { return };
        let before = client.bootstrap_link.take();
        let index = client.address % self.bootstrap.len().max(1);
        let Some(address) = self.bootstrap.get(index).copied() else {
            return self.client_failed(JoinError::NoBootstrap);
        };
        let link = self.links.add(self.now.instant, LinkState::Dialing);
        client.step = Step::Dialing(link);
        if let Some(before) = before {
            self.close(before);
        }
        self.emit(Event::Joining(JoinStep::Bootstrap));
        self.act(link, LinkAction::Dial(address));
        self.timers.set(Timer::Join, self.now.instant + STEP_MAX);
    }

    /// Attaches to whoever is responsible for our Node-ID, and so for the place behind it; the
    /// place itself is us to everybody who is linked to us (RFC 6940 §10.3).
    fn seek_responsible(&mut self, through: NodeId) {
        let Stage::Client(client) = &mut self.stage else { return };
        client.step = Step::Attaching;
        let behind = self.identity.node_id.to_u128().wrapping_add(1);
        let place = ResourceId::from_u128(behind);
        let mut plan = AttachPlan::to_resource(place, Reason::Serving);
        plan.first_hop = Some(through);
        self.emit(Event::Joining(JoinStep::Attach));
        self.timers.set(Timer::Join, self.now.instant + STEP_MAX);
        if !self.start_attach(plan) {
            self.client_failed(JoinError::NoAdmittingPeer);
        }
    }

    /// Tries again later; through the peer that we have, if there is one.
    fn client_failed(&mut self, error: JoinError) {
        let Stage::Client(client) = &mut self.stage else { return };
        client.step = Step::Waiting;
        client.address += usize::from(!matches!(error, JoinError::Unreachable(_)));
        let pause = PAUSE_MIN.saturating_mul(1 << client.failures.min(5));
        client.failures = client.failures.saturating_add(1);
        self.emit(Event::JoinFailed(error));
        let at = self.soon(pause);
        self.timers.set(Timer::Join, at);
    }
}

// limits

/// A step is five transmissions of a request, and some time for ICE and DTLS.
const STEP_MAX: Duration = Duration::from_secs(25);
/// Between the first two attempts; doubles up to 32 times that.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Until our own certificate is stored: registrations go first.
const CERTIFICATES_DELAY: Duration = Duration::from_secs(1);
