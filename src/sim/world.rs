//! The loop: peers, what is going to happen to them, and what they make happen.

use std::sync::Arc;

use super::limits;
use super::map::Map;
use super::network::Network;
use super::queue::{Happening, OnLink, Queue};
use crate::base::{Instant, NodeId, Now, Rng};
use crate::config::{NameError, OverlayConfig};
use crate::crypto::{CheapProvider, Identity, IdentityError};
use crate::peer::{Command, Event, Input, LinkEvent, LinkId, Output, Peer, PeerConfig, RequestId};
use crate::storage::{Kind, KindError, KindTable};

/// All peers and their clock.
#[derive(Debug)]
pub(super) struct World {
    pub(super) clock: Instant,
    pub(super) network: Network,
    identities: Vec<Identity>,
    peers: Vec<Inhabitant>,
    queue: Queue,
    requests: u64,
}

/// A peer in the world.
#[derive(Debug)]
struct Inhabitant {
    /// `None` once it has been killed.
    peer: Option<Peer>,
    /// When it is to be woken.
    wake: Option<Instant>,
    /// From its first command on.
    born: Option<Instant>,
    died: Option<Instant>,
}

impl World {
    /// Peers with random Node-IDs and users of their own; none has done anything yet.
    pub(super) fn new(peers: usize, rng: &mut Rng) -> Result<Self, WorldError> {
        let config = OverlayConfig::self_signed(OVERLAY)?;
        let kinds = KindTable::new(config.kinds.iter().map(Kind::from))?;
        let mut identities = Vec::new();
        let mut inhabitants = Vec::new();
        for number in 0..peers {
            let node_id = NodeId::from_u128(u128::from_be_bytes(rng.bytes()));
            let identity = CheapProvider.identity(node_id, &format!("user{number}@{OVERLAY}"))?;
            let peer = Peer::new(
                now_at(Instant::ORIGIN),
                PeerConfig::from(&config),
                identity.clone(),
                Arc::new(CheapProvider),
                kinds.clone(),
                rng.bytes(),
            );
            inhabitants.push(Inhabitant { peer: Some(peer), wake: None, born: None, died: None });
            identities.push(identity);
        }
        let map = Map::new(peers, rng);
        let certificates = identities.iter().map(|i| i.certificate.clone()).collect();
        let network = Network::new(map, Rng::new(rng.bytes()), certificates);
        let queue = Queue::default();
        let clock = Instant::ORIGIN;
        Ok(Self { clock, network, identities, peers: inhabitants, queue, requests: 0 })
    }

    /// Who a peer is.
    pub(super) fn identity(&self, peer: usize) -> &Identity {
        &self.identities[peer]
    }

    /// Whether a peer has not been killed.
    pub(super) fn is_alive(&self, peer: usize) -> bool {
        self.peers[peer].peer.is_some()
    }

    /// Asks a peer for something at some time from now on.
    pub(super) fn command(&mut self, at: Instant, peer: usize, command: Command) -> RequestId {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.queue.push(at, peer, Happening::Command(request, command));
        request
    }

    /// Kills a peer at some time from now on.
    pub(super) fn kill(&mut self, at: Instant, peer: usize) {
        self.queue.push(at, peer, Happening::Kill);
    }

    /// Lets things happen until `end`, or until `on_event` has seen enough and returns `true`.
    pub(super) fn run_until(
        &mut self,
        end: Instant,
        on_event: &mut dyn FnMut(Instant, usize, Event) -> bool,
    ) {
        while let Some((at, peer, what)) = self.queue.pop_until(end) {
            self.clock = at;
            self.happen(peer, what);
            if self.drain(peer, on_event) {
                return;
            }
        }
        self.clock = end;
    }

    /// For how long peers have been there, all together, in seconds.
    pub(super) fn peer_seconds(&self) -> f64 {
        let lived = |p: &Inhabitant| {
            let end = p.died.unwrap_or(self.clock);
            p.born.map_or(0.0, |born| end.saturating_since(born).as_secs_f64())
        };
        self.peers.iter().map(lived).sum()
    }

    fn happen(&mut self, number: usize, what: Happening) {
        let at = self.clock;
        let inhabitant = &mut self.peers[number];
        let Some(peer) = &mut inhabitant.peer else { return };
        let now = now_at(at);
        match what {
            Happening::Wake => {
                inhabitant.wake = inhabitant.wake.filter(|wake| *wake > at);
                if peer.deadline().is_some_and(|(due, _)| due <= at) {
                    peer.handle(now, Input::Timeout);
                }
            }
            Happening::Command(request, command) => {
                inhabitant.born.get_or_insert(at);
                peer.handle(now, Input::Command(request, command));
            }
            Happening::Link(link, what) => {
                if let Some(what) = self.network.arrive(number, link, what) {
                    tell(peer, now, link, what);
                }
            }
            Happening::Kill => {
                inhabitant.peer = None;
                inhabitant.died = Some(at);
                self.network.kill(at, number, &mut self.queue);
            }
        }
    }

    /// Carries out what a peer wants after something has happened to it.
    fn drain(
        &mut self,
        number: usize,
        on_event: &mut dyn FnMut(Instant, usize, Event) -> bool,
    ) -> bool {
        let inhabitant = &mut self.peers[number];
        let Some(peer) = &mut inhabitant.peer else { return false };
        let mut enough = false;
        while let Some(output) = peer.poll() {
            match output {
                Output::Link(link, action) => {
                    self.network.act(self.clock, number, link, action, &mut self.queue);
                }
                Output::Event(event) => enough |= on_event(self.clock, number, event),
            }
        }
        if let Some((due, _)) = peer.deadline() {
            let due = due.max(self.clock);
            if inhabitant.wake.is_none_or(|wake| due < wake) {
                inhabitant.wake = Some(due);
                self.queue.push(due, number, Happening::Wake);
            }
        }
        enough
    }
}

/// Why there is no world.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorldError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Kind(#[from] KindError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

fn tell(peer: &mut Peer, now: Now, link: LinkId, what: OnLink) {
    let message;
    let event = match what {
        OnLink::Gathered(parameters) => LinkEvent::Gathered(parameters),
        OnLink::Up(certificate) => LinkEvent::Up(certificate),
        OnLink::Message(bytes) => {
            message = bytes;
            LinkEvent::Message(&message)
        }
        OnLink::Down(error) => LinkEvent::Down(error),
        // The network has made a failure of it or nothing at all.
        OnLink::GiveUp => return,
    };
    peer.handle(now, Input::Link(link, event));
}

fn now_at(instant: Instant) -> Now {
    Now::new(instant, limits::UNIX_MS_START + instant.as_millis())
}

/// The overlay's name, and its users' domain.
pub(super) const OVERLAY: &str = "sim.example";
