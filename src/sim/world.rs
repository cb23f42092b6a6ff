//! The loop: peers, what is going to happen to them, and what they make happen.
//!
//! Whoever runs the world asks it for the next [`Occurrence`] and has the whole world in hand
//! while looking at it.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use super::hostile::Mask;
use super::limits;
use super::network::{Arrival, Network, address_of};
use super::queue::{Happening, Queue, Task};
use super::scenario::Scenario;
use super::truth::Ring;
use crate::base::{Instant, NodeId, Now, Rng};
use crate::config::{NameError, OverlayConfig};
use crate::crypto::{
    Certificate, CertificateError, CheapProvider, Identity, IdentityError, Provider,
    SignatureAlgorithm,
};
use crate::peer::{Command, Event, Input, LinkEvent, LinkId, Output, Peer, PeerConfig, RequestId};
use crate::storage::{Kind, KindError, KindTable};

/// All peers and their clock.
#[derive(Debug)]
pub(super) struct World {
    pub(super) clock: Instant,
    pub(super) network: Network,
    /// The living peers that have joined, by their place on the ring.
    pub(super) ring: Ring,
    /// Whether hostile peers do what they can.
    pub(super) is_hostile: bool,
    config: PeerConfig,
    kinds: KindTable,
    provider: Arc<Directory>,
    rng: Rng,
    inhabitants: Vec<Inhabitant>,
    queue: Queue,
    occurred: VecDeque<Occurrence>,
    is_traced: bool,
    requests: u64,
}

/// Something that the world cannot deal with by itself.
#[derive(Debug)]
pub(super) enum Occurrence {
    /// The time of a task has come.
    Due(Task),
    /// A peer reports something.
    Event(u32, Event),
    /// A link came up or went down, as one side saw it. Told only if somebody wants to know.
    Linked { peer: u32, link: LinkId, is_up: bool },
}

/// A peer in the world.
#[derive(Debug)]
struct Inhabitant {
    identity: Identity,
    /// `None` once it is gone.
    peer: Option<Box<Peer>>,
    /// When it is to be woken.
    wake: Option<Instant>,
    mask: Option<Box<Mask>>,
    born: Instant,
    died: Option<Instant>,
}

impl World {
    /// A world without anybody.
    pub(super) fn new(scenario: &Scenario, rng: &mut Rng) -> Result<Self, WorldError> {
        let document = OverlayConfig::self_signed(OVERLAY)?;
        Ok(Self {
            clock: Instant::ORIGIN,
            network: Network::new(Rng::new(rng.bytes())),
            ring: Ring::default(),
            is_hostile: false,
            config: PeerConfig {
                table: scenario.table,
                links_max: scenario.links,
                ..PeerConfig::from(&document)
            },
            kinds: KindTable::new(document.kinds.iter().map(Kind::from))?,
            provider: Arc::default(),
            rng: Rng::new(rng.bytes()),
            inhabitants: Vec::new(),
            queue: Queue::default(),
            occurred: VecDeque::new(),
            is_traced: scenario.is_traced,
            requests: 0,
        })
    }

    /// A new peer at this place on the ring, or anywhere; it has done nothing yet.
    pub(super) fn add(
        &mut self,
        place: Option<NodeId>,
        is_bootstrap: bool,
    ) -> Result<u32, WorldError> {
        let number = self.inhabitants.len() as u32;
        let anywhere = NodeId::from_u128(u128::from_be_bytes(self.rng.bytes()));
        let node_id = place.unwrap_or(anywhere);
        let identity = CheapProvider.identity(node_id, &format!("user{number}@{OVERLAY}"))?;
        self.provider.remember(&identity.certificate);
        let peer = Peer::new(
            now_at(self.clock),
            self.config.clone(),
            identity.clone(),
            self.provider.clone(),
            self.kinds.clone(),
            self.rng.bytes(),
        );
        match is_bootstrap {
            // So that each half of a partition has some.
            true => self.network.map.add_in_half(number.is_multiple_of(2), &mut self.rng),
            false => self.network.map.add(&mut self.rng),
        }
        self.network.add(identity.certificate.clone());
        self.inhabitants.push(Inhabitant {
            identity,
            peer: Some(Box::new(peer)),
            wake: None,
            mask: None,
            born: self.clock,
            died: None,
        });
        Ok(number)
    }

    /// How many peers there have been.
    pub(super) fn len(&self) -> u32 {
        self.inhabitants.len() as u32
    }

    /// Who a peer is or was.
    pub(super) fn identity(&self, peer: u32) -> &Identity {
        &self.inhabitants[peer as usize].identity
    }

    /// A peer, unless it is gone.
    pub(super) fn peer(&self, peer: u32) -> Option<&Peer> {
        self.inhabitants.get(peer as usize)?.peer.as_deref()
    }

    /// All peers that are not gone.
    pub(super) fn peers(&self) -> impl Iterator<Item = (u32, &Peer)> {
        (0..).zip(&self.inhabitants).filter_map(|(n, i)| Some((n, i.peer.as_deref()?)))
    }

    /// Whether a peer is hostile.
    pub(super) fn is_masked(&self, peer: u32) -> bool {
        self.inhabitants[peer as usize].mask.is_some()
    }

    /// Makes a peer hostile.
    pub(super) fn put_on(&mut self, peer: u32, mask: Mask) {
        self.inhabitants[peer as usize].mask = Some(Box::new(mask));
    }

    /// Lets a hostile peer do what it does by itself.
    pub(super) fn tick(&mut self, peer: u32) {
        let Some(mut mask) = self.inhabitants[peer as usize].mask.take() else { return };
        for command in mask.commands() {
            let _ = self.command(peer, command);
        }
        for (link, bytes) in mask.repeats() {
            let action = crate::peer::LinkAction::Send(bytes);
            self.network.act(self.clock, peer, link, action, &mut self.queue);
        }
        self.inhabitants[peer as usize].mask = Some(mask);
    }

    /// Asks a peer for something now.
    pub(super) fn command(&mut self, peer: u32, command: Command) -> RequestId {
        self.requests += 1;
        let request = RequestId(self.requests);
        if let Some(asked) = &mut self.inhabitants[peer as usize].peer {
            asked.handle(now_at(self.clock), Input::Command(request, command));
            self.drain(peer);
        }
        request
    }

    /// Plans something.
    pub(super) fn plan(&mut self, at: Instant, task: Task) {
        self.queue.push(at, Happening::Due(task));
    }

    /// A peer stops in the middle of everything; what it was.
    pub(super) fn kill(&mut self, peer: u32) -> Option<Box<Peer>> {
        let inhabitant = &mut self.inhabitants[peer as usize];
        let dead = inhabitant.peer.take()?;
        inhabitant.died = Some(self.clock);
        self.ring.remove(inhabitant.identity.node_id);
        self.network.kill(self.clock, peer, &mut self.queue);
        Some(dead)
    }

    /// Cuts east and west off from each other, or connects them again.
    pub(super) fn split(&mut self, is_split: bool) {
        self.network.split(self.clock, is_split, &mut self.queue);
    }

    /// What all peers have sent until now.
    pub(super) fn bytes_sent(&mut self) -> u64 {
        self.network.bytes_sent(self.clock)
    }

    /// For how long peers have been there, all together, in seconds.
    pub(super) fn peer_seconds(&self) -> f64 {
        let lived = |inhabitant: &Inhabitant| {
            let end = inhabitant.died.unwrap_or(self.clock);
            end.saturating_since(inhabitant.born).as_secs_f64()
        };
        self.inhabitants.iter().map(lived).sum()
    }

    /// Lets things happen until one of them is to be looked at; `None` when it is `end`.
    pub(super) fn next(&mut self, end: Instant) -> Option<Occurrence> {
        loop {
            if let Some(occurrence) = self.occurred.pop_front() {
                return Some(occurrence);
            }
            let Some((at, what)) = self.queue.pop_until(end) else {
                self.clock = end;
                return None;
            };
            self.clock = at;
            match what {
                Happening::Due(task) => return Some(Occurrence::Due(task)),
                Happening::Wake(peer) => self.wake(peer),
                Happening::Link(end, what) => {
                    let arrival = self.network.arrive(at, end, what, &mut self.queue);
                    if let Some((peer, link, arrival)) = arrival {
                        self.tell(peer, link, arrival);
                    }
                }
            }
        }
    }

    fn wake(&mut self, number: u32) {
        let inhabitant = &mut self.inhabitants[number as usize];
        let Some(peer) = &mut inhabitant.peer else { return };
        inhabitant.wake = inhabitant.wake.filter(|wake| *wake > self.clock);
        if peer.deadline().is_some_and(|(due, _)| due <= self.clock) {
            peer.handle(now_at(self.clock), Input::Timeout);
        }
        self.drain(number);
    }

    fn tell(&mut self, number: u32, link: LinkId, arrival: Arrival) {
        let inhabitant = &mut self.inhabitants[number as usize];
        let Some(peer) = &mut inhabitant.peer else { return };
        let mut message = None;
        let event = match arrival {
            Arrival::Gathered(parameters) => LinkEvent::Gathered(parameters),
            Arrival::Up(certificate) => LinkEvent::Up(certificate),
            Arrival::Undelivered(bytes) => LinkEvent::Undelivered(message.insert(bytes)),
            Arrival::Down(error) => LinkEvent::Down(error),
            Arrival::Message(bytes) => {
                let mask = inhabitant.mask.as_mut().filter(|_| self.is_hostile);
                if mask.is_some_and(|mask| mask.swallows(&bytes)) {
                    return;
                }
                LinkEvent::Message(message.insert(bytes))
            }
        };
        let is_up = match event {
            LinkEvent::Up(_) => Some(true),
            LinkEvent::Down(_) => Some(false),
            _ => None,
        };
        if let Some(is_up) = is_up.filter(|_| self.is_traced) {
            self.occurred.push_back(Occurrence::Linked { peer: number, link, is_up });
        }
        peer.handle(now_at(self.clock), Input::Link(link, event));
        self.drain(number);
    }

    /// Carries out what a peer wants after something has happened to it.
    fn drain(&mut self, number: u32) {
        let inhabitant = &mut self.inhabitants[number as usize];
        let Some(peer) = &mut inhabitant.peer else { return };
        let mut mask = inhabitant.mask.as_mut().filter(|_| self.is_hostile);
        while let Some(output) = peer.poll() {
            match output {
                Output::Link(link, action) => {
                    let action = match &mut mask {
                        Some(mask) => mask.tamper(link, action),
                        None => Some((link, action)),
                    };
                    if let Some((link, action)) = action {
                        self.network.act(self.clock, number, link, action, &mut self.queue);
                    }
                }
                Output::Event(event) => {
                    match event {
                        Event::Joined => self.ring.insert(inhabitant.identity.node_id, number),
                        Event::Left => self.ring.remove(inhabitant.identity.node_id),
                        _ => {}
                    }
                    self.occurred.push_back(Occurrence::Event(number, event));
                }
            }
        }
        if let Some((due, _)) = peer.deadline() {
            let due = due.max(self.clock);
            if inhabitant.wake.is_none_or(|wake| due < wake) {
                inhabitant.wake = Some(due);
                self.queue.push(due, Happening::Wake(number));
            }
        }
    }
}

/// Reads the certificates of the world's users, each of which is in memory once.
#[derive(Debug, Default)]
struct Directory(RwLock<Vec<Arc<Certificate>>>);

impl Directory {
    fn remember(&self, certificate: &Arc<Certificate>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(certificate.clone());
    }
}

impl Provider for Directory {
    fn certificate(&self, der: &[u8]) -> Result<Arc<Certificate>, CertificateError> {
        let name = CheapProvider::user_name(der).and_then(|name| name.split('@').next());
        let number = name.and_then(|name| name.strip_prefix("user")?.parse::<usize>().ok());
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match number.and_then(|number| all.get(number)).filter(|known| known.der == der) {
            Some(known) => Ok(known.clone()),
            None => CheapProvider.certificate(der),
        }
    }

    fn verify(
        &self,
        certificate: &Certificate,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        value: &[u8],
    ) -> bool {
        CheapProvider.verify(certificate, algorithm, message, value)
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

/// Through whom a peer may join: some of the first ones, beginning with any of them.
pub(super) fn bootstrap_nodes(count: u32, rng: &mut Rng) -> Vec<std::net::SocketAddr> {
    let first = rng.below(count.into()) as u32;
    let some = count.min(limits::BOOTSTRAP_NODES_KNOWN);
    (0..some).map(|n| address_of((first + n) % count)).collect()
}

pub(super) fn now_at(instant: Instant) -> Now {
    Now::new(instant, limits::UNIX_MS_START + instant.as_millis())
}

/// The overlay's name, and its users' domain.
pub(super) const OVERLAY: &str = "sim.example";
