//! One overlay peer: routing, storage and usages behind one API (RFC 6940 §1.2).
//!
//! A [`Peer`] is pure: [`Peer::handle`] takes what happened and the time, [`Peer::poll`] gives
//! what is to be done, [`Peer::deadline`] says when to call with [`Input::Timeout`]. The same
//! inputs with the same seed give the same outputs. `handle` never fails: what comes from the
//! network is answered, counted or cut off.
//!
//! The files follow a message: `links` and `attach` make and lose links, `suspect` doubts them,
//! `traffic` moves messages, `reroute` those that a link has swallowed, `serve` answers requests,
//! `requests` takes answers; `join`, `entrance`, `admit`, `leave`, `upkeep`, `updates`, `fingers`,
//! `unlinked` and `partition` keep the ring together (RFC 6940 §10), `copies`, `surplus` and
//! `publish` the data, which `look` looks after and `fetch` finds; `explore` asks about both,
//! `configure` changes the rules (§11.1), `saved` keeps values over a restart, and `client` uses
//! the ring without being part of it. `lend` is what peers do for each other beside.

mod admit;
mod api;
mod attach;
mod certificates;
mod client;
mod config;
mod configure;
mod copies;
mod counters;
mod entrance;
mod explore;
mod fetch;
mod fingers;
#[cfg(all(any(test, fuzzing), feature = "sim"))]
pub mod fuzz;
mod inspect;
mod join;
mod leave;
mod lend;
mod links;
mod look;
mod partition;
mod publish;
mod requests;
mod reroute;
mod saved;
mod serve;
mod surplus;
mod suspect;
#[cfg(all(test, feature = "sim"))]
mod tests;
mod timers;
mod traffic;
mod unlinked;
mod updates;
mod upkeep;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{Instant, NodeId, Now, Rng};
use crate::crypto::{Identity, Provider};
use crate::message::{APPLICATION_SIP, APPLICATION_SIPS, Packet, Reassembly};
use crate::routing::chord::Chord;
use crate::routing::{AnswerCache, ReturnPaths, Transactions, Verifier};
use crate::storage::{KindTable, Storage};

pub use api::*;
pub use config::PeerConfig;
pub use counters::Counters;
pub use inspect::Load;
pub use timers::Deadline;

use admit::Admission;
use attach::Unreachable;
use client::Client;
use configure::Configuration;
use copies::Copies;
use entrance::Entrance;
use fetch::Newest;
use fingers::Fingers;
use join::Joining;
use leave::Leaving;
use lend::Lending;
use links::Links;
use publish::Publications;
use requests::Context;
use reroute::Detours;
use timers::{Timer, Timers};
use updates::News;

/// One overlay peer.
#[derive(Debug)]
pub struct Peer {
    now: Now,
    started: Instant,
    config: PeerConfig,
    identity: Identity,
    rng: Rng,
    verifier: Verifier,
    storage: Storage,
    chord: Chord,
    links: Links,
    transactions: Transactions<Context>,
    answers: AnswerCache,
    paths: ReturnPaths,
    requests_in_parts: Reassembly,
    answers_in_parts: Reassembly,
    timers: Timers,
    stage: Stage,
    bootstrap: Vec<SocketAddr>,
    /// The link to a bootstrap node that looks for other partitions.
    probe: Option<LinkId>,
    admission: Option<Admission>,
    /// Who was told to be admitted by somebody who has what will be its own, and when.
    sent_on: BTreeMap<NodeId, Instant>,
    /// Who is to hear of the latest changes at once.
    news: News,
    copies: Copies,
    publications: Publications,
    /// What we have fetched.
    newest: Newest,
    configuration: Configuration,
    /// The neighbour that got its periodic Update last.
    stabilized: NodeId,
    /// Whether our place under the user's name is found.
    has_user_certificate: bool,
    fingers: Fingers,
    /// Nodes that could not be attached to.
    unreachable: BTreeMap<NodeId, Unreachable>,
    /// For which there are connections when somebody asks.
    applications: Vec<u16>,
    /// Messages from us to us.
    loopback: VecDeque<Packet>,
    detours: Detours,
    lending: Lending,
    outputs: VecDeque<Output>,
    counters: Counters,
}

/// Where a peer is in its life.
#[derive(Debug)]
enum Stage {
    /// Nothing has been asked of it yet, or it has left.
    Idle,
    Joining(Joining),
    Joined {
        /// Whether it may be alone: it founded the overlay.
        is_founder: bool,
        /// Until others may hear that it is a peer.
        entrance: Option<Entrance>,
    },
    Leaving(Leaving),
    Client(Client),
}

impl Peer {
    /// A peer that does nothing yet. `provider` reads the overlay's certificates, `kinds` are
    /// what it stores, and `seed` must come from the operating system outside simulations.
    pub fn new(
        now: Now,
        config: PeerConfig,
        identity: Identity,
        provider: Arc<dyn Provider>,
        kinds: KindTable,
        seed: [u8; 32],
    ) -> Self {
        let own = identity.node_id;
        let mut verifier = Verifier::new(provider, KNOWN_PER_LINK * config.links_max);
        verifier.set_bad_nodes(&config.bad_nodes);
        verifier.remember(&identity.certificate);
        Self {
            now,
            started: now.instant,
            transactions: Transactions::new(config.reliability_timer),
            identity,
            rng: Rng::new(seed),
            verifier,
            storage: Storage::new(kinds),
            chord: config.chord(own),
            links: Links::default(),
            answers: AnswerCache::default(),
            paths: ReturnPaths::new(config.reliability_timer),
            requests_in_parts: Reassembly::default(),
            answers_in_parts: Reassembly::default(),
            timers: Timers::default(),
            stage: Stage::Idle,
            bootstrap: Vec::new(),
            probe: None,
            admission: None,
            sent_on: BTreeMap::new(),
            news: News::default(),
            copies: Copies::default(),
            publications: Publications::default(),
            newest: Newest::default(),
            configuration: Configuration::default(),
            stabilized: own,
            has_user_certificate: false,
            fingers: Fingers::default(),
            unreachable: BTreeMap::new(),
            applications: vec![APPLICATION_SIP, APPLICATION_SIPS],
            loopback: VecDeque::new(),
            detours: Detours::default(),
            lending: Lending::default(),
            outputs: VecDeque::new(),
            counters: Counters::default(),
            config,
        }
    }

    /// Takes in what happened at `now`. Afterwards [`Peer::poll`] is to be drained.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        self.now = now;
        self.answers.expire(now.instant);
        match input {
            Input::Timeout => self.timeout(),
            Input::Link(link, event) => self.link_event(link, event),
            Input::Command(request, command) => self.command(request, command),
        }
        for _ in 0..LOOPBACK_MAX {
            let Some(packet) = self.loopback.pop_front() else { break };
            self.deliver(packet, self.identity.node_id);
        }
    }

    /// The next thing to do, until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front();
        // What a burst needed is not kept for quieter times.
        if output.is_none() && self.outputs.capacity() > OUTPUTS_KEPT {
            self.outputs = VecDeque::new();
        }
        output
    }

    /// When to call [`Peer::handle`] with [`Input::Timeout`], and which timer wants it.
    pub fn deadline(&self) -> Option<Deadline> {
        let transactions = self.transactions.deadline().map(|at| (at, "transaction"));
        let storage = self.storage.deadline().map(|at| (at, "storage"));
        let loopback = (!self.loopback.is_empty()).then_some((self.now.instant, "loopback"));
        [self.timers.deadline(), transactions, storage, loopback].into_iter().flatten().min()
    }

    /// Our Node-ID.
    pub fn node_id(&self) -> NodeId {
        self.identity.node_id
    }

    /// Whether we are a peer, responsible for our part of the ring.
    pub fn is_joined(&self) -> bool {
        self.chord.is_joined()
    }

    /// How many links are up.
    pub fn links(&self) -> usize {
        self.links.open_count()
    }

    /// How many values are stored here, for others and for ourselves.
    pub fn values_stored(&self) -> usize {
        self.storage.value_count()
    }

    /// Our predecessors and successors, nearest first.
    pub fn neighbors(&self) -> (&[NodeId], &[NodeId]) {
        (self.chord.predecessors(), self.chord.successors())
    }

    /// Our fingers, farthest range first.
    pub fn fingers(&self) -> Vec<NodeId> {
        self.chord.fingers()
    }

    /// What we keep for the overlay.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// What we have done so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn timeout(&mut self) {
        self.expire_requests();
        self.requests_in_parts.expire(self.now.instant);
        self.answers_in_parts.expire(self.now.instant);
        self.storage.expire(self.now.instant);
        while let Some(timer) = self.timers.pop(self.now.instant) {
            match timer {
                Timer::Join => self.join_timeout(),
                Timer::Admission => self.admission_timeout(),
                Timer::TellNeighbors => self.tell_news(),
                Timer::TellOthers => self.tell_others(),
                Timer::Replicate => self.replicate(),
                Timer::HandOver => self.hand_over_surplus(),
                Timer::Discard => self.discard(),
                Timer::Stabilize => self.stabilize(),
                Timer::Fingers => self.search_finger(),
                Timer::Partition => self.probe_partition(),
                Timer::Certificates => self.publish_certificates(),
                Timer::Republish => self.publish_again(),
                Timer::Publish => self.publish_due(),
                Timer::Sweep => self.sweep_links(),
                Timer::Leave => self.leave_step(),
            }
        }
    }

    fn command(&mut self, request: RequestId, command: Command) {
        match command {
            Command::Found => self.found(),
            Command::Join(addresses) => self.join(addresses),
            Command::Connect(addresses) => self.connect(addresses),
            Command::Moved => self.moved(),
            Command::Leave => self.leave(),
            Command::ClaimName => self.claim_name(),
            Command::Publish(spec) => self.publish(request, spec),
            Command::Unpublish(spec) => self.unpublish(request, spec),
            Command::Fetch(spec) => self.fetch(request, spec),
            Command::AppAttach(to, application) => self.app_attach(request, to, application),
            Command::Applications(applications) => self.applications = applications,
            Command::Lend(lender) => self.lend(lender),
            Command::AskRelay(of, question) => self.ask_relay(request, of, question),
            Command::AskKnock(of, address, transaction) => {
                self.ask_knock(request, of, address, transaction);
            }
            Command::Ping(destination) => self.ping(request, destination),
            Command::Probe(of, requested) => self.probe(request, of, requested),
            Command::RouteQuery(of, query) => self.route_query(request, of, &query),
            Command::Stat(spec) => self.stat(request, &spec),
            Command::Find(query) => self.find(request, &query),
            Command::Configure(document) => self.configure(request, document),
        }
    }

    fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn act(&mut self, link: LinkId, action: LinkAction) {
        self.outputs.push_back(Output::Link(link, action));
    }

    fn done(&mut self, request: RequestId, result: Result<Answer, RequestError>) {
        self.emit(Event::Done(request, result));
    }

    /// The moment between `least` and twice that from now, at random.
    fn soon(&mut self, least: Duration) -> Instant {
        self.now.instant + least + least.mul_f64(self.rng.unit())
    }
}

// limits

/// Messages to ourselves handled in one call, so that two of our own answers cannot chase each
/// other for ever.
const LOOPBACK_MAX: usize = 64;
/// Certificates remembered: those of all linked nodes, and as many others.
const KNOWN_PER_LINK: usize = 2;
/// Places for outputs that are kept when there are none.
const OUTPUTS_KEPT: usize = 4;
