//! ICE (RFC 8445, RFC 6940 §6.5.1.3) on `webrtc-ice`: host, server-reflexive and relayed candidates
//! over IPv4 and IPv6, all gathered before the exchange, as RELOAD has no trickle.
//!
//! A server-reflexive candidate is learnt on the socket of its host candidate, so that there is
//! one port for each address and the checks that arrive at either land in the same place. What a
//! relay reaches stands on loopback for the agent: `through` has that.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use webrtc_ice::agent::Agent;
use webrtc_ice::agent::agent_config::AgentConfig;
use webrtc_ice::candidate::CandidateType;
use webrtc_ice::mdns::MulticastDnsMode;
use webrtc_ice::network_type::NetworkType;
use webrtc_ice::state::ConnectionState;
use webrtc_util::Conn;
use webrtc_util::vnet::net::Net;

use super::addresses;
use super::candidate::{Candidate, CandidateKind, IceParameters};
use super::described::{AgentCandidate, at_port, describe, pair, path};
use super::error::LinkError;
use super::facts::CandidatePair;
use super::ports::{MappedPort, MappedPorts};
use super::reflexive::{Hosts, reflexive};
use super::relay::{OpenPort, OpenPorts, RelayServer};
use super::servers::StunServers;
use super::settled::Settled;
pub use super::settled::Upkeep;
use super::stun::binding_indication;
use super::surroundings::{Network, Surroundings};
use super::through::{RelayedPair, Relays};
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
    relays: Relays,
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
        let order: BTreeMap<_, _> = offered.iter().copied().zip(0u16..).collect();
        let mut allowed = order.clone();
        let has_relays = !options.relays.is_empty();
        if has_relays {
            allowed.insert(Ipv4Addr::LOCALHOST.into(), u16::MAX);
        }
        let config = AgentConfig {
            local_ufrag: ufrag.clone(),
            local_pwd: pwd.clone(),
            multicast_dns_mode: MulticastDnsMode::Disabled,
            network_types: vec![NetworkType::Udp4, NetworkType::Udp6],
            candidate_types: vec![CandidateType::Host],
            check_interval: CHECK_INTERVAL * (offered.len().div_ceil(2).max(1) as u32),
            max_binding_requests: Some(CHECKS_MAX),
            is_controlling: role == IceRole::Controlling,
            net: Some(net),
            ip_filter: Arc::new(Some(Box::new(move |ip| allowed.contains_key(&ip)))),
            include_loopback: loopback || has_relays,
            udp_network: at_port(mapped.as_ref()),
            ..paced(options.upkeep)
        };
        let agent = Agent::new(config).await.map_err(|e| LinkError::Gather(e.to_string()))?;
        let state = watch_state(&agent);
        let local = IceParameters { ufrag, pwd, candidates: Vec::new() };
        let (agent, addresses, options) = (Some(Arc::new(agent)), offered, options.clone());
        let (relays, ports, gather_ms) = (Relays::default(), Vec::new(), 0);
        let mut this = Self {
            agent,
            role,
            local,
            addresses,
            options,
            loopback,
            relays,
            ports,
            mapped,
            answers: 0,
            state,
            gather_ms,
        };
        let mut hosts = this.gather_hosts(&order).await?;
        let stand = hosts.iter().find(|(host, _)| host.addr.ip() == Ipv4Addr::LOCALHOST);
        let agent_at = stand.map(|(host, _)| host.addr).filter(|_| has_relays);
        hosts.retain(|(host, _)| order.contains_key(&host.addr.ip()));
        if hosts.is_empty() {
            return Err(LinkError::NoAddress);
        }
        this.learn(&hosts, agent_at).await;
        this.gather_ms = start.elapsed().as_millis() as u64;
        Ok(this)
    }

    /// Adds our candidates: the sockets, and what routers, servers and relays make of them.
    async fn learn(&mut self, hosts: &Hosts, agent_at: Option<SocketAddr>) {
        self.local.candidates = hosts.iter().map(|(candidate, _)| candidate.clone()).collect();
        self.ports = hosts.iter().map(|(host, _)| self.options.ports.open(host.addr)).collect();
        self.mapped.take_if(|port| !hosts.iter().any(|(host, _)| host.addr == port.inside));
        let has_ipv4 = hosts.iter().any(|(host, _)| host.addr.is_ipv4());
        let ((reflexive, answers), relays) = tokio::join!(
            reflexive(hosts, &self.options.stun.addresses),
            Relays::open(&self.options.relays, agent_at, has_ipv4),
        );
        self.local.candidates.extend(self.mapped.as_ref().map(MappedPort::candidate));
        let is_new = |candidate: &Candidate| {
            self.mapped.as_ref().is_none_or(|port| port.outside != candidate.addr)
        };
        self.local.candidates.extend(reflexive.into_iter().filter(is_new));
        self.local.candidates.extend(relays.candidates());
        self.relays = relays;
        self.answers = answers;
    }

    /// What the other side must be told.
    pub fn local(&self) -> &IceParameters {
        &self.local
    }

    /// Whether the machine still has the addresses that were gathered.
    pub async fn is_current(&self) -> bool {
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
        self.relays = Relays::default();
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

    /// Runs connectivity checks until a pair is selected, for at most [`limits::CONNECT`], or
    /// [`limits::CONNECT_ANSWERED`] if we control.
    pub async fn connect(mut self, remote: &IceParameters) -> Result<IceConn, LinkError> {
        if remote.ufrag.len() < IceParameters::UFRAG_MIN
            || remote.pwd.len() < IceParameters::PWD_MIN
        {
            return Err(LinkError::IceParameters("its credentials are too short"));
        }
        let Some(agent) = self.agent.clone() else { return Err(LinkError::Closed) };
        let usable = self.usable(remote)?;
        self.meet_others(&agent);
        // Dropping this would cancel the checks.
        let (_keep, cancel) = mpsc::channel(1);
        let (ufrag, pwd) = (remote.ufrag.clone(), remote.pwd.clone());
        let checks = async {
            let conn: Result<Arc<dyn Conn + Send + Sync>, webrtc_ice::Error> = match self.role {
                IceRole::Controlling => agent.dial(cancel, ufrag, pwd).await.map(|c| c as Arc<_>),
                IceRole::Controlled => agent.accept(cancel, ufrag, pwd).await.map(|c| c as Arc<_>),
            };
            conn
        };
        let longest = match self.role {
            IceRole::Controlling => CONNECT_ANSWERED,
            IceRole::Controlled => CONNECT,
        };
        // The agent knows its part only when it checks, and pairs are ranked by that (RFC 8445
        // §6.1.2.3). What can't be added is not checked.
        let added = async {
            for candidate in &usable {
                let _ = agent.add_remote_candidate(candidate);
            }
            std::future::pending().await
        };
        let checks = async {
            tokio::select! {
                biased;
                conn = checks => conn,
                conn = added => conn,
            }
        };
        let conn = timeout(longest, checks)
            .await
            .map_err(|_| LinkError::NoPath)?
            .map_err(|e| LinkError::Ice(e.to_string()))?;
        let selected = agent.get_selected_candidate_pair().ok_or(LinkError::NoPath)?;
        let (local, stand) = (selected.local.addr(), selected.remote.addr());
        let relayed = std::mem::take(&mut self.relays).keep(stand);
        Ok(IceConn {
            conn: Some(conn),
            socket: selected.local.get_conn().cloned(),
            upkeep: self.options.upkeep,
            credentials: (self.local.ufrag.clone(), self.local.pwd.clone()),
            settled: None,
            settles_at: Instant::now() + SETTLE,
            local: relayed.as_ref().map_or(local, RelayedPair::local),
            remote: relayed.as_ref().map_or(stand, RelayedPair::remote),
            stand,
            path: relayed
                .as_ref()
                .map_or_else(|| path(&*selected.local, &*selected.remote), RelayedPair::path),
            pair: relayed
                .as_ref()
                .map_or_else(|| pair(&*selected.local, &*selected.remote), RelayedPair::pair),
            _relayed: relayed,
            _ports: std::mem::take(&mut self.ports),
            _mapped: self.mapped.take(),
            agent: self.agent.take(),
            state: self.state.clone(),
        })
    }

    /// The other side's candidates for the agent, those that stand for it behind relays included.
    fn usable(&self, remote: &IceParameters) -> Result<Vec<AgentCandidate>, LinkError> {
        let mut usable = Vec::new();
        for candidate in remote.candidates.iter().take(CANDIDATES_MAX) {
            if !addresses::acceptable(candidate.addr.ip(), self.loopback) {
                continue;
            }
            usable.push(describe(candidate).map_err(|e| LinkError::Ice(e.to_string()))?);
            for stand in self.relays.reach(candidate) {
                usable.push(describe(&stand).map_err(|e| LinkError::Ice(e.to_string()))?);
            }
        }
        if usable.is_empty() {
            return Err(LinkError::IceParameters("it named no address that we may use"));
        }
        Ok(usable)
    }

    /// Whoever talks to us through a relay from an address that nobody has named is a candidate
    /// of the other side too.
    fn meet_others(&self, agent: &Arc<Agent>) {
        let agent = Arc::downgrade(agent);
        self.relays.announce(Arc::new(move |stand| {
            if let (Some(agent), Ok(described)) = (agent.upgrade(), describe(stand)) {
                let _ = agent.add_remote_candidate(&described);
            }
        }));
    }

    async fn gather_hosts(
        &self,
        order: &BTreeMap<std::net::IpAddr, u16>,
    ) -> Result<Hosts, LinkError> {
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
        let gathered =
            agent.get_local_candidates().await.map_err(|e| LinkError::Gather(e.to_string()))?;
        let mut hosts: Hosts = Vec::new();
        for described in gathered {
            let Some(conn) = described.get_conn().cloned() else { continue };
            let addr = described.addr();
            let rank = order.get(&addr.ip()).copied().unwrap_or(u16::MAX);
            let foundation = format!("{}", rank.saturating_add(1));
            let preference = u16::MAX - rank;
            let candidate = Candidate::new(CandidateKind::Host, addr, None, foundation, preference);
            hosts.push((candidate, conn));
        }
        hosts.sort_by_key(|(candidate, _)| std::cmp::Reverse(candidate.priority));
        Ok(hosts)
    }
}

impl Drop for IceAgent {
    fn drop(&mut self) {
        close(self.agent.take());
    }
}

/// A path to the other side: datagrams in and out, kept alive and watched.
pub struct IceConn {
    /// None once the path is settled: it holds all that the agent has.
    conn: Option<Arc<dyn Conn + Send + Sync>>,
    /// What is below, as `conn` takes no STUN.
    socket: Option<Arc<dyn Conn + Send + Sync>>,
    upkeep: Upkeep,
    /// Our user name fragment and password.
    credentials: (String, String),
    /// Takes its place.
    settled: Option<Settled>,
    settles_at: Instant,
    agent: Option<Arc<Agent>>,
    state: watch::Receiver<ConnectionState>,
    local: SocketAddr,
    remote: SocketAddr,
    /// Where the other end is for the agent: on loopback, if it is reached through a relay.
    stand: SocketAddr,
    path: String,
    pair: CandidatePair,
    _relayed: Option<RelayedPair>,
    _ports: Vec<OpenPort>,
    _mapped: Option<MappedPort>,
}

impl IceConn {
    /// Our end of the selected pair.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The other end of the selected pair.
    pub fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    /// The selected pair in words, for people.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The types of the selected pair.
    pub fn pair(&self) -> CandidatePair {
        self.pair
    }

    /// Sends one datagram. What the network loses is not an error.
    pub async fn send(&self, datagram: &[u8]) {
        if let Some(settled) = &self.settled {
            settled.send(datagram).await;
        } else if let Some(conn) = &self.conn {
            let _ = conn.send(datagram).await;
        }
    }

    /// After how much silence of our own [`Self::keep_alive`] is to be called, if at all.
    pub fn keep_alive_every(&self) -> Option<Duration> {
        match self.upkeep {
            Upkeep::Consent => None,
            Upkeep::KeepAlive { every, .. } => Some(every),
        }
    }

    /// Sends a Binding indication: 28 bytes, 56 with IPv4 and UDP.
    pub async fn keep_alive(&mut self) {
        self.settle();
        if let (Some(socket), Some(indication)) = (&self.socket, binding_indication()) {
            let _ = socket.send_to(&indication, self.stand).await;
        }
    }

    /// Waits for the next datagram that is not STUN and says how much of `buffer` it fills; an
    /// error once the other side is lost.
    pub async fn recv(&mut self, buffer: &mut [u8]) -> Result<usize, LinkError> {
        if let Some(settled) = &mut self.settled {
            return settled.recv(buffer).await;
        }
        let Some(conn) = &self.conn else { return Err(LinkError::Closed) };
        let may_settle = self.keep_alive_every().is_some() && self.socket.is_some();
        tokio::select! {
            received = conn.recv(buffer) => return received.map_err(|_| LinkError::Lost),
            _ = self.state.wait_for(|state| {
                matches!(state, ConnectionState::Failed | ConnectionState::Closed)
            }) => return Err(LinkError::Lost),
            () = sleep_until(self.settles_at), if may_settle => {}
        }
        self.settle();
        match &mut self.settled {
            Some(settled) => settled.recv(buffer).await,
            None => Err(LinkError::Closed),
        }
    }

    fn settle(&mut self) {
        if let (None, Some(socket)) = (&self.settled, &self.socket) {
            let (socket, remote) = (socket.clone(), self.stand);
            let (credentials, lost) = (self.credentials.clone(), self.upkeep.lost());
            self.settled = Some(Settled::new(socket, remote, credentials, lost));
            self.conn = None;
            close(self.agent.take());
        }
    }
}

impl Drop for IceConn {
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

fn watch_state(agent: &Agent) -> watch::Receiver<ConnectionState> {
    let (sender, state) = watch::channel(ConnectionState::New);
    let sender = Arc::new(sender);
    agent.on_connection_state_change(Box::new(move |new| {
        sender.send_replace(new);
        Box::pin(async {})
    }));
    state
}

/// An agent's tasks end only when it is told so.
fn close(agent: Option<Arc<Agent>>) {
    if let (Some(agent), Ok(runtime)) = (agent, tokio::runtime::Handle::try_current()) {
        runtime.spawn(async move { timeout(CLOSE, agent.close()).await });
    }
}
