//! A network in memory: links without ICE and DTLS, a clock that jumps, and faults on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::base::{Instant, NodeId, Now, Rng};
use crate::crypto::{CheapProvider, Identity, Provider};
use crate::message::{KindId, MessageCode, Method, Packet, Places, StoredDataValue};
use crate::peer::*;
use crate::routing::message_code;
use crate::storage::KindTable;

/// A moment in 2026.
pub const EPOCH_MS: u64 = 1_790_000_000_000;

/// When, from, to, code of the first part, and the message or part itself.
pub type Delivered = (Instant, usize, usize, Option<MessageCode>, Packet);

/// One end of a link.
type End = (usize, LinkId);

#[derive(Debug)]
enum Happening {
    Gathered(End, IceParameters),
    Up(End, usize),
    /// From one end to the other.
    Message(End, End, Bytes),
    /// Nobody has acknowledged what this end sent.
    Undelivered(End, Bytes),
    Down(End, LinkError),
    /// The other side of this end has had time enough to connect.
    Late(End),
}

/// Peers and what is between them.
#[derive(Debug)]
pub struct Net {
    pub now: Instant,
    pub peers: Vec<Option<Peer>>,
    identities: Vec<Identity>,
    provider: Arc<dyn Provider>,
    queue: BTreeMap<(Instant, u64), Happening>,
    made: u64,
    /// Both ends of links that are up or coming up.
    wires: BTreeMap<End, End>,
    waiting: BTreeSet<End>,
    pub events: Vec<(usize, Event)>,
    rng: Rng,
    /// Messages that get lost, of a thousand.
    pub loss_permille: u64,
    /// Requests that do not reach a node.
    pub unheard: BTreeSet<(usize, Method)>,
    /// Nodes between which no link comes up.
    pub walls: BTreeSet<(usize, usize)>,
    /// How long an end tries to connect through a wall.
    pub no_path_after: Duration,
    /// Nodes that pass on no requests.
    pub mute: BTreeSet<usize>,
    /// What peers have wanted of links, without what they have sent.
    pub actions: Vec<(Instant, usize, LinkId, LinkAction)>,
    /// Every message that was delivered.
    pub trace: Vec<Delivered>,
    pub config: PeerConfig,
    requests: u64,
    timers: BTreeSet<(Instant, usize)>,
    timer: BTreeMap<usize, Instant>,
    /// Whether messages are noted in the trace.
    pub is_traced: bool,
    sent: BTreeMap<usize, crate::base::TransactionId>,
    last: BTreeMap<usize, Bytes>,
}

impl Net {
    pub fn new(seed: u64) -> Self {
        Self {
            now: Instant::ORIGIN + Duration::from_secs(1),
            peers: Vec::new(),
            identities: Vec::new(),
            provider: Arc::new(CheapProvider),
            queue: BTreeMap::new(),
            made: 0,
            wires: BTreeMap::new(),
            waiting: BTreeSet::new(),
            events: Vec::new(),
            rng: Rng::from_number(seed),
            loss_permille: 0,
            unheard: BTreeSet::new(),
            walls: BTreeSet::new(),
            no_path_after: Duration::from_secs(5),
            mute: BTreeSet::new(),
            actions: Vec::new(),
            trace: Vec::new(),
            config: PeerConfig::new("example.org"),
            requests: 0,
            timers: BTreeSet::new(),
            timer: BTreeMap::new(),
            is_traced: true,
            sent: BTreeMap::new(),
            last: BTreeMap::new(),
        }
    }

    pub fn with_provider(mut self, provider: Arc<dyn Provider>) -> Self {
        self.provider = provider;
        self
    }

    /// A new node at a random place.
    pub fn add(&mut self) -> usize {
        let id = NodeId::new(&self.rng.bytes::<16>()).expect("16 bytes");
        self.add_at(id)
    }

    pub fn add_at(&mut self, id: NodeId) -> usize {
        let user = format!("user{}@example.org", self.peers.len());
        let identity = CheapProvider.identity(id, &user).expect("an identity");
        self.add_identity(identity)
    }

    pub fn add_identity(&mut self, identity: Identity) -> usize {
        let provider = self.provider.clone();
        let kinds = KindTable::for_calls();
        let seed = self.rng.bytes();
        let now = self.clock();
        let peer = Peer::new(now, self.config.clone(), identity.clone(), provider, kinds, seed);
        self.peers.push(Some(peer));
        self.identities.push(identity);
        self.peers.len() - 1
    }

    /// A ring of `count` peers, joined one after the other.
    pub fn ring(seed: u64, count: usize) -> Self {
        let mut net = Self::new(seed);
        net.grow(count);
        net
    }

    /// Makes the first peers of a ring, joined one after the other.
    pub fn grow(&mut self, count: usize) {
        for node in 0..count {
            self.add();
            if node == 0 {
                self.command(0, Command::Found);
            } else {
                self.join(node, 0);
            }
            self.run(Duration::from_secs(3));
        }
        self.run(Duration::from_secs(70));
    }

    pub fn clock(&self) -> Now {
        Now::new(self.now, EPOCH_MS + self.now.as_millis())
    }

    pub fn address(node: usize) -> SocketAddr {
        SocketAddr::from(([10, 0, (node / 256) as u8, (node % 256) as u8], 6084))
    }

    pub fn join(&mut self, node: usize, through: usize) {
        self.command(node, Command::Join(vec![Self::address(through)]));
    }

    pub fn command(&mut self, node: usize, command: Command) -> RequestId {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.input(node, Input::Command(request, command));
        request
    }

    /// Runs a command and waits for its answer.
    pub fn ask(&mut self, node: usize, command: Command) -> Result<Answer, RequestError> {
        let request = self.command(node, command);
        for _ in 0..500 {
            let done = self.events.iter().find_map(|(_, event)| match event {
                Event::Done(id, result) if *id == request => Some(result.clone()),
                _ => None,
            });
            if let Some(done) = done {
                return done;
            }
            self.run(Duration::from_millis(100));
        }
        panic!("command {request:?} has no answer after 50 s");
    }

    pub fn peer(&self, node: usize) -> &Peer {
        self.peers[node].as_ref().expect("alive")
    }

    pub fn id(&self, node: usize) -> NodeId {
        self.identities[node].node_id
    }

    pub fn identity(&self, node: usize) -> &Identity {
        &self.identities[node]
    }

    pub fn user(&self, node: usize) -> &str {
        &self.identities[node].certificate.user_name
    }

    /// Living peers that have joined.
    pub fn joined(&self) -> Vec<usize> {
        let joined = |p: &Option<Peer>| p.as_ref().is_some_and(Peer::is_joined);
        (0..self.peers.len()).filter(|n| joined(&self.peers[*n])).collect()
    }

    /// Takes a node away without a word; the others notice after five seconds.
    pub fn kill(&mut self, node: usize) {
        self.peers[node] = None;
        let ends: Vec<(End, End)> = self.wires.iter().map(|(a, b)| (*a, *b)).collect();
        for (end, other) in ends.into_iter().filter(|(end, _)| end.0 == node) {
            self.wires.remove(&end);
            self.wires.remove(&other);
            self.later(Duration::from_secs(5), Happening::Down(other, LinkError::Lost));
        }
    }

    /// Cuts a living node off from all others.
    pub fn cut(&mut self, node: usize) {
        for other in 0..self.peers.len() {
            self.walls.insert((node, other));
        }
        let ends: Vec<(End, End)> = self.wires.iter().map(|(a, b)| (*a, *b)).collect();
        for (end, other) in ends.into_iter().filter(|(end, _)| end.0 == node) {
            self.wires.remove(&end);
            self.wires.remove(&other);
            self.later(Duration::from_secs(5), Happening::Down(end, LinkError::Lost));
            self.later(Duration::from_secs(5), Happening::Down(other, LinkError::Lost));
        }
    }

    /// Breaks the links between two living nodes, which notice after five seconds.
    pub fn cut_between(&mut self, a: usize, b: usize) {
        let ends: Vec<(End, End)> = self.wires.iter().map(|(a, b)| (*a, *b)).collect();
        for (end, other) in ends.into_iter().filter(|(e, o)| (e.0, o.0) == (a, b)) {
            self.wires.remove(&end);
            self.wires.remove(&other);
            self.later(Duration::from_secs(5), Happening::Down(end, LinkError::Lost));
            self.later(Duration::from_secs(5), Happening::Down(other, LinkError::Lost));
        }
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let timer = self.timers.first().map(|(at, node)| ((*at).max(self.now), *node));
            let message = self.queue.first_key_value().map(|(key, _)| *key);
            match (message, timer) {
                (Some((at, _)), timer) if at <= end && timer.is_none_or(|(t, _)| at <= t) => {
                    self.now = at;
                    let (_, happening) = self.queue.pop_first().expect("not empty");
                    self.happen(happening);
                }
                (_, Some((at, node))) if at <= end => {
                    self.now = at;
                    self.input(node, Input::Timeout);
                }
                _ => break,
            }
        }
        self.now = end;
    }

    pub fn input(&mut self, node: usize, input: Input<'_>) {
        let now = self.clock();
        let Some(peer) = self.peers[node].as_mut() else {
            self.timer.remove(&node).map(|before| self.timers.remove(&(before, node)));
            return;
        };
        peer.handle(now, input);
        let outputs: Vec<Output> = std::iter::from_fn(|| peer.poll()).collect();
        if let Some(before) = self.timer.remove(&node) {
            self.timers.remove(&(before, node));
        }
        if let Some((at, _)) = peer.deadline() {
            self.timers.insert((at, node));
            self.timer.insert(node, at);
        }
        for output in outputs {
            match output {
                Output::Event(event) => self.events.push((node, event)),
                Output::Link(link, action) => self.act((node, link), action),
            }
        }
    }

    /// The transaction of what a node sent last, even if it got lost.
    pub fn last_transaction(&self, node: usize) -> crate::base::TransactionId {
        self.sent[&node]
    }

    /// Tells a node that the link to `to` has swallowed what it sent last.
    pub fn undelivered(&mut self, from: usize, to: NodeId) {
        let to = (0..self.peers.len()).find(|node| self.id(*node) == to).expect("a node");
        let link = self.link(from, to).expect("a link");
        self.undelivered_on(from, link);
    }

    /// Tells a node that this link has swallowed what it sent last.
    pub fn undelivered_on(&mut self, from: usize, link: LinkId) {
        let bytes = self.last[&from].clone();
        self.input(from, Input::Link(link, LinkEvent::Undelivered(&bytes)));
    }

    /// The link of a node to another, if there is one.
    pub fn link(&self, from: usize, to: usize) -> Option<LinkId> {
        self.wires.iter().find(|(a, b)| (a.0, b.0) == (from, to)).map(|(a, _)| a.1)
    }

    /// Whether a link of a node is not closed.
    pub fn has(&self, node: usize, link: LinkId) -> bool {
        self.wires.contains_key(&(node, link))
    }

    /// Gives a node a message as if `from` had sent it over their link.
    pub fn inject(&mut self, from: usize, to: usize, bytes: Bytes) {
        let end = self.wires.iter().find(|(a, b)| a.0 == to && b.0 == from).map(|(a, _)| *a);
        let end = end.expect("a link");
        self.input(to, Input::Link(end.1, LinkEvent::Message(&bytes)));
    }

    fn act(&mut self, end: End, action: LinkAction) {
        if self.is_traced && !matches!(action, LinkAction::Send(_)) {
            self.actions.push((self.now, end.0, end.1, action.clone()));
        }
        match action {
            LinkAction::Dial(address) => self.dial(end, address),
            LinkAction::Gather(..) => {
                let ice = IceParameters {
                    ufrag: format!("{}:{}", end.0, end.1.0),
                    password: "no checks are made here".into(),
                    candidates: Vec::new(),
                };
                self.later(Duration::from_millis(2), Happening::Gathered(end, ice));
            }
            LinkAction::Connect { remote, expected, .. } => {
                let mut parts = remote.ufrag.split(':').map(|n| n.parse::<u64>().expect("number"));
                let (node, link) = (parts.next().expect("node"), parts.next().expect("link"));
                let other = (node as usize, LinkId(link));
                assert!(expected.node_ids.contains(&self.id(other.0)), "the wrong certificate");
                self.connect(end, other);
            }
            LinkAction::Send(bytes) => {
                let Some(other) = self.wires.get(&end).copied() else {
                    return self.later(SUSPECT, Happening::Undelivered(end, bytes));
                };
                if let Some(packet) = self.decode(&bytes) {
                    self.sent.insert(end.0, packet.header.transaction_id);
                    self.last.insert(end.0, bytes.clone());
                }
                let is_passed_on = |p: Packet| !p.header.via_list.is_empty();
                if self.mute.contains(&end.0) && self.decode(&bytes).is_some_and(is_passed_on) {
                    return;
                }
                if self.rng.below(1000) >= self.loss_permille {
                    self.later(LATENCY, Happening::Message(end, other, bytes));
                }
            }
            LinkAction::Retire => {}
            LinkAction::Close => {
                self.waiting.remove(&end);
                // What was sent before arrives before.
                if let Some(other) = self.wires.remove(&end) {
                    self.later(LATENCY, Happening::Down(other, LinkError::Lost));
                }
            }
        }
    }

    fn dial(&mut self, end: End, address: SocketAddr) {
        let node = (0..self.peers.len()).find(|n| Self::address(*n) == address);
        match node.filter(|n| self.peers[*n].is_some() && !self.is_walled(end.0, *n)) {
            Some(node) => {
                self.made += 1;
                let other = (node, LinkId(self.made * 2 + 1));
                self.wires.insert(end, other);
                self.wires.insert(other, end);
                self.later(LATENCY, Happening::Up(other, end.0));
                self.later(LATENCY, Happening::Up(end, node));
            }
            None => {
                let error = LinkError::NoPath;
                self.later(Duration::from_secs(1), Happening::Down(end, error));
            }
        }
    }

    fn connect(&mut self, end: End, other: End) {
        if self.is_walled(end.0, other.0) {
            return self.later(self.no_path_after, Happening::Down(end, LinkError::NoPath));
        }
        self.waiting.insert(end);
        if self.waiting.remove(&other) {
            self.waiting.remove(&end);
            self.wires.insert(end, other);
            self.wires.insert(other, end);
            self.later(LATENCY, Happening::Up(other, end.0));
            self.later(LATENCY, Happening::Up(end, other.0));
        } else {
            self.later(Duration::from_secs(8), Happening::Late(end));
        }
    }

    fn is_walled(&self, a: usize, b: usize) -> bool {
        self.walls.contains(&(a, b)) || self.walls.contains(&(b, a))
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Gathered((node, link), ice) => {
                self.input(node, Input::Link(link, LinkEvent::Gathered(ice)));
            }
            Happening::Up(end, other) => {
                if self.wires.contains_key(&end) {
                    let certificate = self.identities[other].certificate.clone();
                    self.input(end.0, Input::Link(end.1, LinkEvent::Up(certificate)));
                }
            }
            Happening::Message(from, end, bytes) => {
                if !self.wires.contains_key(&end) {
                    return self.later(SUSPECT, Happening::Undelivered(from, bytes));
                }
                if let Some(packet) = self.decode(&bytes) {
                    let code = message_code(&packet);
                    let method = code.and_then(Method::of_request);
                    if method.is_some_and(|method| self.unheard.contains(&(end.0, method))) {
                        return;
                    }
                    self.trace.push((self.now, from.0, end.0, code, packet));
                }
                self.input(end.0, Input::Link(end.1, LinkEvent::Message(&bytes)));
            }
            Happening::Undelivered((node, link), bytes) => {
                self.input(node, Input::Link(link, LinkEvent::Undelivered(&bytes)));
            }
            Happening::Down((node, link), error) => {
                self.wires.remove(&(node, link));
                self.input(node, Input::Link(link, LinkEvent::Down(error)));
            }
            Happening::Late(end) => {
                if self.waiting.remove(&end) {
                    let down = LinkEvent::Down(LinkError::NoPath);
                    self.input(end.0, Input::Link(end.1, down));
                }
            }
        }
    }

    fn decode(&self, bytes: &Bytes) -> Option<Packet> {
        Packet::decode(bytes, 16).ok().filter(|_| self.is_traced)
    }

    fn later(&mut self, delay: Duration, happening: Happening) {
        self.made += 1;
        self.queue.insert((self.now + delay, self.made), happening);
    }

    /// Fails unless the joined peers form the ring that their Node-IDs make, each with the
    /// nearest `count` on both sides.
    pub fn assert_ring(&self, count: usize) {
        let mut ring: Vec<NodeId> = self.joined().into_iter().map(|n| self.id(n)).collect();
        ring.sort();
        for node in self.joined() {
            let at = ring.iter().position(|id| *id == self.id(node)).expect("in the ring");
            let expected = |step: usize| -> Vec<NodeId> {
                (1..ring.len().min(count + 1)).map(|i| ring[(at + i * step) % ring.len()]).collect()
            };
            let (predecessors, successors) = self.peer(node).neighbors();
            let near = |list: &[NodeId]| list[..list.len().min(count)].to_vec();
            assert_eq!(near(successors), expected(1), "successors of {node}");
            assert_eq!(near(predecessors), expected(ring.len() - 1), "predecessors of {node}");
        }
    }

    /// A registration of a node's user.
    pub fn registration(&self, node: usize) -> StoreSpec {
        let key = Bytes::copy_from_slice(self.id(node).as_bytes());
        let value = crate::message::DataValue::existing(format!("at {node}").into_bytes());
        StoreSpec {
            resource: crate::storage::resource_id(self.user(node).as_bytes()),
            kind: KindId::SIP_REGISTRATION,
            value: StoredDataValue::Dictionary { key, value },
            lifetime_s: 3600,
        }
    }

    /// What asks for the registration of a node's user.
    pub fn fetch_spec(&self, of: usize) -> FetchSpec {
        FetchSpec {
            resource: crate::storage::resource_id(self.user(of).as_bytes()),
            kind: KindId::SIP_REGISTRATION,
            places: Places::Dictionary(Vec::new()),
        }
    }

    pub fn fetch(&mut self, from: usize, of: usize) -> Result<Fetched, RequestError> {
        let spec = self.fetch_spec(of);
        self.ask(from, Command::Fetch(spec)).map(|answer| match answer {
            Answer::Fetched(fetched) => fetched,
            other => panic!("not fetched: {other:?}"),
        })
    }
}

/// Until a message into the void is noticed.
const SUSPECT: Duration = Duration::from_millis(500);
/// From any node to any other.
pub const LATENCY: Duration = Duration::from_millis(20);
