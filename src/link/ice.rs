//! ICE (RFC 8445, RFC 6940 §6.5.1.3) on `webrtc-ice`: host, server-reflexive and relayed candidates
//! over IPv4 and IPv6, all gathered before the exchange, as RELOAD has no trickle.
//!
//! A server-reflexive candidate is learnt on the socket of its host candidate, so that there is
//! one port for each address and the checks that arrive at either land in the same place. Data
//! flows on the first pair that proves valid (RFC 8445 §12.1), while the agent goes on to nominate
//! one: `pairs` has the sockets and what passes on them. What a relay reaches stands on loopback:
//! `through` has that.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use webrtc_ice::agent::Agent;
use webrtc_ice::agent::agent_config::AgentConfig;
use webrtc_ice::candidate::candidate_base::CandidateBaseConfig;
use webrtc_ice::candidate::candidate_host::CandidateHostConfig;
use webrtc_ice::candidate::candidate_relay::CandidateRelayConfig;
use webrtc_ice::candidate::{Candidate as Described, CandidateType};
use webrtc_ice::mdns::MulticastDnsMode;
use webrtc_ice::network_type::NetworkType;
use webrtc_ice::state::ConnectionState;
use webrtc_ice::udp_network::UDPNetwork;
use webrtc_util::vnet::net::Net;

use super::addresses;
use super::candidate::{Candidate, CandidateKind, IceParameters};
pub use super::conn::IceConn;
use super::conn::{Checked, Path};
use super::error::LinkError;
use super::listen::bind;
use super::pairs::{self, Pairs, Readers};
use super::ports::{MappedPort, MappedPorts};
use super::reflexive::{Hosts, reflexive};
use super::relay::{OpenPort, OpenPorts, RelayServer};
use super::servers::StunServers;
pub use super::settled::Upkeep;
use super::surroundings::{Network, Surroundings};
use super::through::{self, RelayedBase};
use crate::base::Rng;

/// Bounds and timers.
pub mod limits {
    use std::time::Duration;

    /// Between rounds of checks for each two addresses of ours. RFC 8445 §14.2 paces single
    /// checks 50 ms apart; links have few pairs, and a lost first check costs one of these.
    pub const CHECK_INTERVAL: Duration = Duration::from_millis(50);
    /// Checks sent on a pair at most, so that none is given up before [`CONNECT`]: the other
    /// side may start that much later.
    pub const CHECKS_MAX: u16 = 400;
    /// Finding out our own addresses takes no longer, however silent the STUN servers are.
    pub const GATHER: Duration = Duration::from_secs(1);
    /// When a Binding request is sent again; a shorter version of RFC 8489 §6.2.1.
    pub const STUN_RETRANSMISSIONS_MS: [u64; 4] = [0, 100, 300, 600];
    /// STUN servers asked; more give no more.
    pub const STUN_SERVERS_MAX: usize = 4;
    /// Once one server has answered, the others get this long.
    pub const STUN_LATE: Duration = Duration::from_millis(100);
    /// After this long the next relay is asked for an address too: this one has answered faster
    /// before.
    pub const RELAY_SLOW: Duration = Duration::from_millis(500);
    /// Relays get no longer than this together. Without them there may be no path at all.
    pub const GATHER_RELAYED: Duration = Duration::from_secs(2);
    /// For so long a pair without a relay is waited for: a check there and back, and once more.
    pub const PREFER_DIRECT: Duration = Duration::from_millis(400);
    /// Connectivity checks take no longer: the lifetime of a request (RFC 6940 §3), as our answer
    /// to it may have to be sent again.
    pub const CONNECT: Duration = Duration::from_secs(15);
    /// The same for who has got the answer: the other side has begun to check already.
    pub const CONNECT_ANSWERED: Duration = Duration::from_secs(6);
    /// Candidates taken from the other side: a liar must not make us flood others with checks
    /// (RFC 8445 §19.5.1).
    pub const CANDIDATES_MAX: usize = 12;
    /// Between consent checks (RFC 7675 §5.1), which also keep NAT bindings open.
    pub const CONSENT: Duration = Duration::from_secs(4);
    /// A side that gives no consent for longer is lost; RFC 7675 §5.1 allows up to 30 s.
    pub const CONSENT_LOST: Duration = Duration::from_secs(15);
    /// Least time between keep-alives; RFC 8445 §11 asks for 15 s or more. With the wait for those
    /// of other links it is 25 s at most: RFC 4787 §4.3 asks NATs to remember for 120 s, but some
    /// forget after 30.
    pub const KEEPALIVE: Duration = Duration::from_secs(20);
    /// A side of which three keep-alives in a row are missing is lost.
    pub const KEEPALIVE_LOST: Duration = Duration::from_secs(75);
    /// After so long on a path that is kept by keep-alives the agent has done its work: the other
    /// side has chosen the path too, and the handshake is through.
    pub const SETTLE: Duration = Duration::from_secs(2);
    /// Closing the agent takes no longer.
    pub const CLOSE: Duration = Duration::from_secs(2);
}

use limits::*;

/// Who decides on the pair (RFC 8445 §6.1.1). RELOAD fixes it: the sender of the Attach controls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IceRole {
    /// Nominates.
    Controlling,
    /// Follows.
    Controlled,
}

/// What to gather.
#[derive(Clone, Debug, Default)]
pub struct IceOptions {
    /// Offer and accept loopback addresses too, for several peers on one machine. Without any
    /// other address they are used anyway.
    pub loopback: bool,
    /// STUN servers, usually peers, that tell our address behind a NAT.
    pub stun: StunServers,
    /// Relays that lend us addresses, the preferred first.
    pub relays: Vec<RelayServer>,
    /// Where the ports of our candidates are noted, so that our own relay reaches them.
    pub ports: OpenPorts,
    /// Ports that the router has opened for us.
    pub mapped: MappedPorts,
    /// How the path is kept.
    pub upkeep: Upkeep,
}

/// One attempt to connect to one other side.
pub struct IceAgent {
    agent: Option<Arc<Agent>>,
    role: IceRole,
    local: IceParameters,
    /// The machine's addresses when they were gathered.
    addresses: Vec<IpAddr>,
    options: IceOptions,
    loopback: bool,
    pairs: Arc<Pairs>,
    data: mpsc::Receiver<Bytes>,
    readers: Option<Readers>,
    relayed: Option<RelayedBase>,
    ports: Vec<OpenPort>,
    /// The port that the router has opened, if this is on one.
    mapped: Option<MappedPort>,
    /// STUN servers that have answered at each socket at least, if any has there.
    answers: usize,
    state: watch::Receiver<ConnectionState>,
    gather_ms: u64,
}

impl IceAgent {
    /// Opens a socket on each address and finds out what STUN servers see of it.
    ///
    /// `ufrag` and `pwd` are for this attempt alone and unguessable (RFC 8445 §5.3). Takes at most
    /// [`limits::GATHER`].
    pub async fn gather(
        role: IceRole,
        ufrag: String,
        pwd: String,
        options: &IceOptions,
    ) -> Result<Self, LinkError> {
        if let Some(port) = options.mapped.take() {
            let (ufrag, pwd) = (ufrag.clone(), pwd.clone());
            let agent = Self::gather_at(role, ufrag, pwd, options, Some(port)).await;
            // Another program may have been faster.
            if let Ok(agent) = agent
                && agent.mapped.is_some()
            {
                return Ok(agent);
            }
        }
        Self::gather_at(role, ufrag, pwd, options, None).await
    }

    async fn gather_at(
        role: IceRole,
        ufrag: String,
        pwd: String,
        options: &IceOptions,
        mapped: Option<MappedPort>,
    ) -> Result<Self, LinkError> {
        let start = Instant::now();
        let net = Arc::new(Net::new(None));
        let offered = addresses::offered(&net, options.loopback).await;
        let loopback = options.loopback || offered.iter().all(|ip| ip.is_loopback());
        let hosts = hosts(&offered, mapped.as_ref()).await?;
        let mut bases: Vec<_> = hosts.iter().map(|(_, socket)| socket.clone()).collect();
        let to_relay = match options.relays.is_empty() {
            true => None,
            false => UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.ok().map(Arc::new),
        };
        let relayed_base = to_relay.as_ref().map(|_| bases.len());
        let relay_to = to_relay.as_ref().and_then(|socket| socket.local_addr().ok());
        bases.extend(to_relay);
        let (pairs, network, data) = Pairs::new(bases, relayed_base, (ufrag.clone(), pwd.clone()));
        let config = AgentConfig {
            local_ufrag: ufrag.clone(),
            local_pwd: pwd.clone(),
            multicast_dns_mode: MulticastDnsMode::Disabled,
            network_types: vec![NetworkType::Udp4],
            candidate_types: vec![CandidateType::Host],
            check_interval: CHECK_INTERVAL * (offered.len().div_ceil(2).max(1) as u32),
            max_binding_requests: Some(CHECKS_MAX),
            is_controlling: role == IceRole::Controlling,
            net: Some(net),
            ip_filter: Arc::new(Some(Box::new(|ip| ip == pairs::AGENT))),
            include_loopback: true,
            udp_network: UDPNetwork::Muxed(network),
            ..paced(options.upkeep)
        };
        let agent = Agent::new(config).await.map_err(|e| LinkError::Gather(e.to_string()))?;
        let state = watch_agent(&agent, &pairs);
        let local = IceParameters { ufrag, pwd, candidates: Vec::new() };
        let mut this = Self {
            agent: Some(Arc::new(agent)),
            role,
            local,
            addresses: offered,
            options: options.clone(),
            loopback,
            pairs,
            data,
            readers: None,
            relayed: None,
            ports: Vec::new(),
            mapped,
            answers: 0,
            state,
            gather_ms: 0,
        };
        this.open_agent().await?;
        this.learn(&hosts, relay_to).await;
        this.readers = Some(this.pairs.read());
        this.gather_ms = start.elapsed().as_millis() as u64;
        Ok(this)
    }

    /// Adds our candidates: the sockets, and what routers, servers and relays make of them.
    async fn learn(&mut self, hosts: &Hosts, relay_to: Option<SocketAddr>) {
        self.local.candidates = hosts.iter().map(|(candidate, _)| candidate.clone()).collect();
        self.ports = hosts.iter().map(|(host, _)| self.options.ports.open(host.addr)).collect();
        self.mapped.take_if(|port| !hosts.iter().any(|(host, _)| host.addr == port.inside));
        let has_ipv4 = hosts.iter().any(|(host, _)| host.addr.is_ipv4());
        let ((reflexive, answers), relayed) = tokio::join!(
            reflexive(hosts, &self.options.stun.addresses),
            RelayedBase::open(&self.options.relays, relay_to, has_ipv4),
        );
        self.local.candidates.extend(self.mapped.as_ref().map(MappedPort::candidate));
        let is_new = |candidate: &Candidate| {
            self.mapped.as_ref().is_none_or(|port| port.outside != candidate.addr)
        };
        self.local.candidates.extend(reflexive.into_iter().filter(is_new));
        self.local.candidates.extend(relayed.as_ref().map(RelayedBase::candidate));
        self.relayed = relayed;
        self.answers = answers;
    }

    /// Has the agent open its only socket.
    async fn open_agent(&self) -> Result<(), LinkError> {
        let Some(agent) = &self.agent else { return Err(LinkError::Closed) };
        let (done_tx, mut done) = mpsc::channel(1);
        agent.on_candidate(Box::new(move |candidate| {
            let done_tx = done_tx.clone();
            Box::pin(async move {
                if candidate.is_none() {
                    let _ = done_tx.try_send(());
                }
            })
        }));
        agent.gather_candidates().map_err(|e| LinkError::Gather(e.to_string()))?;
        let _ = timeout(GATHER, done.recv()).await;
        Ok(())
    }

    /// What the other side must be told.
    pub fn local(&self) -> &IceParameters {
        &self.local
    }

    /// Whether what was gathered is still ours: the machine's addresses, and the one on a relay.
    pub async fn is_current(&self) -> bool {
        if self.relayed.as_ref().is_some_and(RelayedBase::has_ended) {
            return false;
        }
        let net = Net::new(None);
        addresses::offered(&net, self.options.loopback).await == self.addresses
    }

    /// Whether a NAT may be in front, which forgets after a while: some server was to be asked,
    /// and no address is one of the internet's.
    pub fn expects_nat(&self) -> bool {
        !self.options.stun.addresses.is_empty()
            && Surroundings::of(&self.local.candidates).network != Network::Open
    }

    /// Whether there is little hope without a relay, and none: UDP seems to reach nobody, or each
    /// place through another port.
    pub fn lacks_relay(&self) -> bool {
        let is_closed_in = !self.options.stun.addresses.is_empty() && self.answers == 0;
        let here = Surroundings::of(&self.local.candidates).network;
        !self.has_help() && (is_closed_in || here == Network::ChangingNat)
    }

    /// The same, or a single server has told what a NAT makes of us: for everybody else that may
    /// be another address.
    pub fn may_lack_relay(&self) -> bool {
        let here = Surroundings::of(&self.local.candidates).network;
        let is_told_once =
            here == Network::Nat && self.answers.max(self.options.stun.witnesses) < 2;
        self.lacks_relay() || (!self.has_help() && is_told_once)
    }

    fn has_help(&self) -> bool {
        Surroundings::of(&self.local.candidates).has_relay || self.mapped.is_some()
    }

    /// Does without relays of ours.
    pub fn forgo_relays(&mut self) {
        self.relayed = None;
        self.local.candidates.retain(|candidate| candidate.kind != CandidateKind::Relay);
    }

    /// Takes this part in the checks that are still to come.
    pub fn play(&mut self, role: IceRole) {
        self.role = role;
    }

    /// How long gathering took, in milliseconds.
    pub fn gather_ms(&self) -> u64 {
        self.gather_ms
    }

    /// Runs connectivity checks until a pair is valid, for at most [`limits::CONNECT`], or
    /// [`limits::CONNECT_ANSWERED`] if we control.
    pub async fn connect(self, remote: &IceParameters) -> Result<IceConn, LinkError> {
        if remote.ufrag.len() < IceParameters::UFRAG_MIN
            || remote.pwd.len() < IceParameters::PWD_MIN
        {
            return Err(LinkError::IceParameters("its credentials are too short"));
        }
        let Some(agent) = self.agent.clone() else { return Err(LinkError::Closed) };
        let usable = self.usable(remote)?;
        self.pairs.meet(remote.pwd.clone());
        self.meet_others(&agent);
        // Dropping this would cancel the checks.
        let (_keep, cancel) = mpsc::channel(1);
        let (ufrag, pwd) = (remote.ufrag.clone(), remote.pwd.clone());
        let checks = async {
            match self.role {
                IceRole::Controlling => agent.dial(cancel, ufrag, pwd).await.map(drop),
                IceRole::Controlled => agent.accept(cancel, ufrag, pwd).await.map(drop),
            }
        };
        let longest = match self.role {
            IceRole::Controlling => CONNECT_ANSWERED,
            IceRole::Controlled => CONNECT,
        };
        // The agent knows its part only when it checks, and pairs are ranked by that (RFC 8445
        // §6.1.2.3). What can't be added is not checked.
        let valid = async {
            for candidate in &usable {
                let _ = agent.add_remote_candidate(candidate);
            }
            tokio::select! {
                pair = self.pairs.first_valid() => pair,
                never = self.meet_unnamed(&agent) => match never {},
            }
        };
        let failed = async {
            match checks.await {
                Ok(()) => std::future::pending().await,
                Err(error) => LinkError::Ice(error.to_string()),
            }
        };
        let first = async {
            tokio::select! {
                biased;
                error = failed => Err(error),
                pair = valid => Ok(pair),
            }
        };
        let first = timeout(longest, first).await.map_err(|_| LinkError::NoPath)??;
        Ok(self.connected(first))
    }

    /// The path, on its first valid pair.
    fn connected(mut self, first: pairs::Pair) -> IceConn {
        let (_, none) = mpsc::channel(1);
        let checked = Checked {
            first,
            selection: self.pairs.selection(),
            data: std::mem::replace(&mut self.data, none),
            _readers: self.readers.take(),
            credentials: (self.local.ufrag.clone(), self.local.pwd.clone()),
            settles_at: Some(Instant::now() + SETTLE),
            agent: self.agent.take(),
            state: self.state.clone(),
            pairs: self.pairs.clone(),
        };
        let conn = IceConn {
            route: watch::Sender::new(checked.pairs.route(first)),
            path: Path::Checked(Box::new(checked)),
            relayed: self.relayed.take(),
            upkeep: self.options.upkeep,
            ports: std::mem::take(&mut self.ports),
            _mapped: self.mapped.take(),
        };
        conn.tell();
        conn
    }

    /// What the agent is shown of the other side's candidates.
    fn usable(&self, remote: &IceParameters) -> Result<Vec<AgentCandidate>, LinkError> {
        let mut usable = Vec::new();
        for candidate in remote.candidates.iter().take(CANDIDATES_MAX) {
            let &Candidate { addr, kind, priority, .. } = candidate;
            if !addresses::acceptable(addr.ip(), self.loopback) {
                continue;
            }
            let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
            for (rank, stand) in (0..).zip(self.pairs.add(addr, kind.into())) {
                // Our preferred address first.
                let is_relayed = kind == CandidateKind::Relay;
                usable.push(shown(stand, priority.saturating_sub(rank), is_relayed)?);
            }
            let at = self.relayed.as_ref().and_then(|relayed| relayed.reach(candidate));
            let stand = at.and_then(|at| self.pairs.add_relayed(at, kind.into()));
            if let (Some(at), Some(stand)) = (at, stand) {
                usable.push(shown(stand, through::priority(kind, at), true)?);
            }
        }
        if usable.is_empty() {
            return Err(LinkError::IceParameters("it named no address that we may use"));
        }
        Ok(usable)
    }

    /// Has the agent check what the other side checks from addresses that it has not named.
    async fn meet_unnamed(&self, agent: &Agent) -> Infallible {
        let (mut unnamed, mut met) = (self.pairs.unnamed(), 0);
        loop {
            let new = unnamed.borrow_and_update()[met..].to_vec();
            met += new.len();
            // A relay named meanwhile is to stay behind the addresses that do without.
            for stand in new.into_iter().filter(|stand| !self.pairs.is_named(*stand)) {
                if let Ok(candidate) = shown(stand, PEER_REFLEXIVE, false) {
                    let _ = agent.add_remote_candidate(&candidate);
                }
            }
            if unnamed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Whoever talks to us through a relay from an address that nobody has named is a candidate
    /// of the other side too.
    fn meet_others(&self, agent: &Arc<Agent>) {
        let Some(relayed) = &self.relayed else { return };
        let (agent, pairs) = (Arc::downgrade(agent), Arc::downgrade(&self.pairs));
        relayed.announce(Box::new(move |at| {
            let (Some(agent), Some(pairs)) = (agent.upgrade(), pairs.upgrade()) else { return };
            let kind = CandidateKind::ServerReflexive;
            let stand = pairs.add_relayed(at, super::facts::CandidateType::PeerReflexive);
            let shown = stand.map(|stand| shown(stand, through::priority(kind, at), true));
            if let Some(Ok(candidate)) = shown {
                let _ = agent.add_remote_candidate(&candidate);
            }
        }));
    }
}

/// The priority of an address that the other side has not named (RFC 8445 §5.1.2.1).
const PEER_REFLEXIVE: u32 = 110 << 24 | 0xffff << 8 | 255;

/// A candidate of the other side as the agent has it.
type AgentCandidate = Arc<dyn Described + Send + Sync>;

/// What the agent is shown of the other end of a pair.
fn shown(stand: SocketAddr, priority: u32, is_relayed: bool) -> Result<AgentCandidate, LinkError> {
    let base_config = CandidateBaseConfig {
        network: "udp".to_owned(),
        address: stand.ip().to_string(),
        port: stand.port(),
        component: 1,
        priority,
        ..CandidateBaseConfig::default()
    };
    let described: Result<AgentCandidate, webrtc_ice::Error> = match is_relayed {
        // The agent waits before it nominates one of these.
        true => CandidateRelayConfig {
            base_config,
            rel_addr: stand.ip().to_string(),
            rel_port: stand.port(),
            relay_client: None,
        }
        .new_candidate_relay()
        .map(|candidate| Arc::new(candidate) as _),
        false => CandidateHostConfig { base_config, ..CandidateHostConfig::default() }
            .new_candidate_host()
            .map(|candidate| Arc::new(candidate) as _),
    };
    described.map_err(|e| LinkError::Ice(e.to_string()))
}

/// A socket on each of these addresses, at the port that the router has opened on the one that it
/// knows, and their candidates, the preferred first.
async fn hosts(offered: &[IpAddr], mapped: Option<&MappedPort>) -> Result<Hosts, LinkError> {
    let mut hosts = Hosts::new();
    for (rank, ip) in (0..).zip(offered) {
        let inside = mapped.map(|port| port.inside).filter(|inside| inside.ip() == *ip);
        let at = inside.unwrap_or(SocketAddr::new(*ip, 0));
        // An address may be gone already, and a port taken.
        let Ok(socket) = bind(at).await else { continue };
        let Ok(addr) = socket.local_addr() else { continue };
        let (foundation, preference) = (format!("{}", rank + 1), u16::MAX - rank);
        let candidate = Candidate::new(CandidateKind::Host, addr, None, foundation, preference);
        hosts.push((candidate, Arc::new(socket)));
    }
    if hosts.is_empty() { Err(LinkError::NoAddress) } else { Ok(hosts) }
}

impl Drop for IceAgent {
    fn drop(&mut self) {
        close(self.agent.take());
    }
}

/// A user name fragment and a password for one attempt: more than the 24 and 128 bits of randomness
/// that RFC 8445 §5.3 asks for.
pub(super) fn credentials(rng: &mut Rng) -> (String, String) {
    (rng.ice_string(8), rng.ice_string(24))
}

/// How long an agent waits for what.
fn paced(upkeep: Upkeep) -> AgentConfig {
    AgentConfig {
        // The agent gives up after both together, also before it has found a path.
        disconnected_timeout: Some(upkeep.lost() / 2),
        failed_timeout: Some(upkeep.lost() / 2),
        // Zero is never.
        keepalive_interval: Some(match upkeep {
            Upkeep::Consent => CONSENT,
            Upkeep::KeepAlive { .. } => Duration::ZERO,
        }),
        host_acceptance_min_wait: Some(Duration::ZERO),
        srflx_acceptance_min_wait: Some(Duration::ZERO),
        prflx_acceptance_min_wait: Some(Duration::ZERO),
        relay_acceptance_min_wait: Some(PREFER_DIRECT),
        ..AgentConfig::default()
    }
}

/// Notes what the agent selects, and tells its state.
fn watch_agent(agent: &Agent, pairs: &Arc<Pairs>) -> watch::Receiver<ConnectionState> {
    let selecting = Arc::downgrade(pairs);
    agent.on_selected_candidate_pair_change(Box::new(move |_, remote| {
        if let Some(pairs) = selecting.upgrade() {
            pairs.select(remote.addr());
        }
        Box::pin(async {})
    }));
    let (sender, state) = watch::channel(ConnectionState::New);
    let sender = Arc::new(sender);
    agent.on_connection_state_change(Box::new(move |new| {
        sender.send_replace(new);
        Box::pin(async {})
    }));
    state
}

/// An agent's tasks end only when it is told so.
pub(super) fn close(agent: Option<Arc<Agent>>) {
    if let (Some(agent), Ok(runtime)) = (agent, tokio::runtime::Handle::try_current()) {
        runtime.spawn(async move { timeout(CLOSE, agent.close()).await });
    }
}
