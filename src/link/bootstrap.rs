//! Bootstrap links: without ICE on a known port (RFC 6940 §11.4), DTLS on UDP (§6.6.6) and TLS on
//! TCP (§6.6.5), as a document does not say which (T-34). The joiner is the client and tries both.
//! The port answers STUN Binding requests too (RFC 6940 §6.5.1.4), and a relay can (§9).
//!
//! Whoever sends an Attach without ICE is served by the same code on ports of its own (`Ports`).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::clock::Clock;
use super::cookie::{Cookies, Greeting, Proof, is_second};
use super::counters::{LinkCounters, PortCounters};
use super::dtls::{DtlsError, DtlsRole};
use super::error::LinkError;
use super::lend::Lending;
use super::listen::{bind, bind_any, bind_error, listen};
use super::overlay::OverlayLink;
use super::pcap::Pcap;
use super::relay::{Batch, BatchSocket, RelayPort};
use super::stun::{Packet, answer_binding};
use super::tls;
use super::transport::limits::IDLE;
use super::transport::{Credentials, SecureFlow, Timings, Wire};

/// Where bootstrap nodes listen unless their document says otherwise (RFC 6940 §11.1).
pub const PORT_DEFAULT: u16 = 6084;

/// Bounds.
pub mod limits {
    use std::time::Duration;

    /// Sessions on the port, with a handshake behind them or not.
    pub const SESSIONS_MAX: usize = 1024;
    /// Sessions whose handshake is not complete, of UDP and of TCP each; each costs one
    /// association. Who has addresses enough can fill this, and [`PATIENCE`] later there is room
    /// again.
    pub const HANDSHAKES_MAX: usize = 128;
    /// Those among them that come from one address, or from one IPv6 network of 64 bits: more than
    /// the people behind one NAT begin at a time, and room is left for others.
    pub const HANDSHAKES_PER_SOURCE_MAX: usize = 32;
    /// Those among them that come from one network: 24 bits of IPv4, 48 of IPv6, which is what one
    /// customer gets at most.
    pub const HANDSHAKES_PER_NETWORK_MAX: usize = 64;
    /// With more handshakes under way whoever begins one must prove its address first (RFC 6347
    /// §4.2.1), which costs a round trip, and nothing is kept of who does not. Fewer are not worth
    /// forging addresses for.
    pub const HANDSHAKES_UNPROVEN_MAX: usize = 16;
    /// Under a flood, a handshake that has not come through in this time makes room.
    pub const PATIENCE: Duration = Duration::from_secs(2);
    /// Who has opened a TCP connection says within this time what it wants.
    pub const FIRST_BYTE: Duration = Duration::from_secs(5);
    /// By so much UDP goes first when both are tried (RFC 8305 §5): there a lost message holds
    /// back no others.
    pub const HEAD_START: Duration = Duration::from_millis(250);
    /// Until the next connection is taken when the system could not give one.
    pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
    /// Batches of datagrams before others have their turn.
    pub const ROUNDS: usize = 4;
    /// Datagrams waiting for one session.
    pub const INBOX_MAX: usize = 64;
    /// Links that nobody has accepted yet.
    pub const ACCEPTED_MAX: usize = 32;
}

use limits::*;

/// The bootstrap port. Once it is dropped nobody gets in any more.
pub struct BootstrapListener {
    accepted: Accepted,
    local: SocketAddr,
    pcap: Option<Pcap>,
    plain: PlainConnections,
    lending: Lending,
}

impl BootstrapListener {
    /// Opens the port and starts to accept; at `[::]` on IPv4 too. A UDP port that another program
    /// has is [`LinkError::PortInUse`]; without TCP it can do.
    pub async fn bind(
        address: SocketAddr,
        credentials: Credentials,
        pcap: Option<Pcap>,
    ) -> Result<Self, LinkError> {
        let (ports, local) = listen(address).await?;
        let (plain, lending) = (PlainConnections::default(), Lending::default());
        let accepted = ports
            .serve(credentials, IDLE, &plain, &lending)
            .map_err(|error| bind_error(address, &error))?;
        Ok(Self { accepted, local, pcap, plain, lending })
    }

    /// Where the port is; `[::]` is on IPv4 too, and `0.0.0.0` on IPv4 alone.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// TCP connections to the port that begin with something else than TLS.
    pub fn plain(&self) -> &PlainConnections {
        &self.plain
    }

    /// The relay at the port.
    pub fn lending(&self) -> &Lending {
        &self.lending
    }

    /// Adds what came to nothing here so far.
    pub(super) fn add_counters(&self, counters: &mut LinkCounters) {
        self.accepted.counters.add_to(counters);
    }

    /// The next link that somebody has opened.
    pub async fn accept(&mut self) -> Option<OverlayLink> {
        let flow = self.accepted.flow().await?;
        Some(OverlayLink::new(flow, self.pcap.clone()))
    }
}

/// Ports that are open but not served yet: what comes waits in the system.
#[derive(Debug, Default)]
pub(super) struct Ports {
    pub(super) udp: Vec<UdpSocket>,
    pub(super) tcp: Vec<TcpListener>,
}

impl Ports {
    /// Lets in whoever has a certificate that is good. A flow over UDP ends when nothing comes for
    /// the time `idle`.
    pub(super) fn serve(
        self,
        credentials: Credentials,
        idle: Duration,
        plain: &PlainConnections,
        lending: &Lending,
    ) -> std::io::Result<Accepted> {
        let (accepted, flows) = mpsc::channel(ACCEPTED_MAX);
        let (in_use, unused) = watch::channel(());
        let (in_use, credentials) = (Arc::new(in_use), Arc::new(credentials));
        let counters = Arc::<PortCounters>::default();
        let door = Door { credentials, idle, accepted, counters: counters.clone() };
        for listener in self.tcp {
            let (door, plain, lending) = (door.clone(), plain.clone(), lending.clone());
            let port = TcpPort { listener, door, plain, lending, handshakes: HashMap::new() };
            tokio::spawn(port.run());
        }
        for socket in self.udp {
            let (door, lending) = (door.clone(), lending.clone());
            let port = Port::new(socket, door, lending, Arc::downgrade(&in_use))?;
            tokio::spawn(port.run(unused.clone()));
        }
        Ok(Accepted { flows, counters, _in_use: in_use })
    }
}

/// Who has got in. Once it is dropped nobody else does; the flows live on.
pub(super) struct Accepted {
    flows: mpsc::Receiver<SecureFlow>,
    counters: Arc<PortCounters>,
    _in_use: Arc<InUse>,
}

impl Accepted {
    pub(super) async fn flow(&mut self) -> Option<SecureFlow> {
        self.flows.recv().await
    }
}

/// What keeps the task of a UDP port running: it serves those who have got in too.
pub(super) type InUse = watch::Sender<()>;

/// TCP connections to a bootstrap port that are no links. They are closed until somebody takes
/// them.
#[derive(Clone, Debug, Default)]
pub struct PlainConnections(watch::Sender<Option<mpsc::Sender<TcpStream>>>);

impl PlainConnections {
    /// Whatever comes from now on, none of which anything has been read of. Whoever has had them
    /// so far gets no more.
    pub fn take(&self) -> mpsc::Receiver<TcpStream> {
        let (sender, connections) = mpsc::channel(ACCEPTED_MAX);
        self.0.send_replace(Some(sender));
        connections
    }

    /// Hands a connection on; `false` if nobody wants it or too many wait.
    fn hand_on(&self, stream: TcpStream) -> bool {
        self.0.borrow().as_ref().is_some_and(|taker| taker.try_send(stream).is_ok())
    }
}

/// Opens a link to the bootstrap port of another peer, from a port of our own: over UDP, or over
/// TCP if that is up first. If both fail, the error says why UDP did, or whose certificate is bad.
pub async fn dial(
    remote: SocketAddr,
    credentials: &Credentials,
    pcap: Option<Pcap>,
) -> Result<OverlayLink, LinkError> {
    let mut udp = std::pin::pin!(dial_udp(remote, credentials, IDLE));
    let early = timeout(HEAD_START, &mut udp).await;
    let mut tcp = std::pin::pin!(tls::connect(remote, credentials, IDLE));
    let flow = match early {
        Ok(Ok(flow)) => Ok(flow),
        Ok(Err(of_udp)) => tcp.await.map_err(|of_tcp| more_telling(of_udp, of_tcp)),
        Err(_) => tokio::select! {
            flow = &mut udp => match flow {
                Ok(flow) => Ok(flow),
                Err(of_udp) => tcp.await.map_err(|of_tcp| more_telling(of_udp, of_tcp)),
            },
            flow = &mut tcp => match flow {
                Ok(flow) => Ok(flow),
                Err(of_tcp) => udp.await.map_err(|of_udp| more_telling(of_udp, of_tcp)),
            },
        },
    };
    flow.map(|flow| OverlayLink::new(flow, pcap))
}

fn more_telling(of_udp: LinkError, of_tcp: LinkError) -> LinkError {
    match of_tcp {
        LinkError::Dtls(DtlsError::CertificateRefused(_)) => of_tcp,
        _ => of_udp,
    }
}

pub(super) async fn dial_udp(
    remote: SocketAddr,
    credentials: &Credentials,
    idle: Duration,
) -> Result<SecureFlow, LinkError> {
    let any = bind_any(remote);
    let socket = bind(any).await?;
    socket.connect(remote).await.map_err(|e| bind_error(any, &e))?;
    let local = socket.local_addr().map_err(|e| bind_error(any, &e))?;
    let wire = Wire::Connected { socket, local, remote, idle };
    SecureFlow::establish(wire, DtlsRole::Client, None, credentials, Timings::default(), None).await
}

/// One remote address on the port.
struct Session {
    inbox: mpsc::Sender<Bytes>,
    started: tokio::time::Instant,
    /// Turns true when the handshake is complete.
    up: watch::Receiver<bool>,
}

impl Session {
    fn is_over(&self) -> bool {
        self.inbox.is_closed()
    }

    fn in_handshake(&self) -> bool {
        !*self.up.borrow()
    }
}

/// What a link must pass to get in, and where it goes.
#[derive(Clone)]
struct Door {
    credentials: Arc<Credentials>,
    idle: Duration,
    accepted: mpsc::Sender<SecureFlow>,
    counters: Arc<PortCounters>,
}

impl Door {
    async fn enter(&self, flow: Result<SecureFlow, LinkError>) {
        match flow {
            Ok(flow) => {
                let _ = self.accepted.send(flow).await;
            }
            // Whoever fails to show an acceptable certificate is forgotten.
            Err(reason) => self.counters.failed(&reason),
        }
    }
}

/// What counts as one source: an address, or an IPv6 network, of which whoever has one address
/// has all.
fn source_of(address: SocketAddr) -> IpAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into(),
    }
}

/// The network that a source belongs to.
fn network_of(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & (u32::MAX << 8)).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 80)).into(),
    }
}

/// The port on UDP.
struct Port {
    socket: Arc<UdpSocket>,
    incoming: Arc<BatchSocket>,
    door: Door,
    lending: Lending,
    sessions: HashMap<SocketAddr, Session>,
    in_use: Weak<InUse>,
    cookies: Cookies,
    clock: Clock,
}

impl Port {
    fn new(
        socket: UdpSocket,
        door: Door,
        lending: Lending,
        in_use: Weak<InUse>,
    ) -> std::io::Result<Self> {
        let socket = Arc::new(socket);
        let incoming = Arc::new(BatchSocket::new(socket.clone())?);
        let (sessions, cookies, clock) = (HashMap::new(), Cookies::default(), Clock::start());
        Ok(Self { socket, incoming, door, lending, sessions, in_use, cookies, clock })
    }

    async fn run(mut self, mut unused: watch::Receiver<()>) {
        loop {
            tokio::select! {
                readable = self.incoming.readable() => match readable {
                    Ok(()) => self.receive(),
                    Err(_) => return,
                },
                _ = unused.changed() => return,
            }
            tokio::task::yield_now().await;
        }
    }

    /// Takes in what has come, some datagrams at most.
    fn receive(&mut self) {
        let (incoming, relay) = (self.incoming.clone(), self.lending.relay());
        for _ in 0..ROUNDS {
            let mut batch = None;
            let may_be_more = incoming.receive(|source, datagram| {
                self.on_datagram(datagram, source, relay.as_ref(), &mut batch);
            });
            if !may_be_more {
                break;
            }
        }
    }

    /// `batch` is the relay's at work, once there is something for it.
    fn on_datagram<'a>(
        &mut self,
        datagram: &[u8],
        source: SocketAddr,
        relay: Option<&'a RelayPort>,
        batch: &mut Option<Batch<'a>>,
    ) {
        match (Packet::classify(datagram), relay) {
            (Packet::Dtls, _) => {
                if let Some(challenge) = self.on_record(datagram, source) {
                    // A full socket is loss like any other.
                    let _ = self.socket.try_send_to(&challenge, source);
                }
                return;
            }
            (Packet::Stun, _) if let Some(answer) = answer_binding(datagram, source) => {
                self.lending.on_binding(datagram);
                let _ = self.socket.try_send_to(&answer, source);
                return;
            }
            (Packet::Stun | Packet::Channel, Some(relay)) => {
                let batch = batch.get_or_insert_with(|| relay.batch());
                return batch.datagram(&self.incoming, source, datagram);
            }
            _ => {}
        }
        self.door.counters.ignored();
    }

    /// Hands a record to its session. What is to be sent if there is none and whoever begins one
    /// has to prove its address first.
    fn on_record(&mut self, datagram: &[u8], source: SocketAddr) -> Option<Bytes> {
        let known = self.sessions.get(&source).is_some_and(|session| !session.is_over());
        if !known {
            let proof = match self.greet(datagram, source) {
                Some(Greeting::Challenge(challenge)) => return Some(challenge),
                Some(Greeting::Proven(proof)) => Some(proof),
                None => None,
            };
            if !is_client_hello(datagram) || !self.make_room(source) {
                self.door.counters.ignored();
                return None;
            }
            let session = self.start(source, proof)?;
            self.sessions.insert(source, session);
        }
        if let Some(session) = self.sessions.get(&source) {
            // A full inbox is loss like any other.
            let _ = session.inbox.try_send(Bytes::copy_from_slice(datagram));
        }
        None
    }

    /// Under load, and for whoever was asked under load, judges the beginning of a handshake.
    fn greet(&self, datagram: &[u8], source: SocketAddr) -> Option<Greeting> {
        let is_asked = self.handshakes().count() >= HANDSHAKES_UNPROVEN_MAX;
        if !is_client_hello(datagram) || !(is_asked || is_second(datagram)) {
            return None;
        }
        self.cookies.judge(datagram, source, self.clock.now())
    }

    /// Forgets what is over and says whether one more session from there fits.
    fn make_room(&mut self, source: SocketAddr) -> bool {
        self.sessions.retain(|_, session| !session.is_over());
        if self.door.accepted.is_closed() {
            return false;
        }
        if self.has_room(source) {
            return true;
        }
        self.sessions
            .retain(|_, session| !session.in_handshake() || session.started.elapsed() < PATIENCE);
        self.has_room(source)
    }

    fn has_room(&self, source: SocketAddr) -> bool {
        let source = source_of(source);
        let network = network_of(source);
        let others = || self.handshakes().map(source_of);
        others().filter(|other| *other == source).count() < HANDSHAKES_PER_SOURCE_MAX
            && others().filter(|other| network_of(*other) == network).count()
                < HANDSHAKES_PER_NETWORK_MAX
            && self.handshakes().count() < HANDSHAKES_MAX
            && self.sessions.len() < SESSIONS_MAX
    }

    /// With whom a handshake is under way.
    fn handshakes(&self) -> impl Iterator<Item = SocketAddr> {
        let handshakes = self.sessions.iter().filter(|(_, session)| session.in_handshake());
        handshakes.map(|(remote, _)| *remote)
    }

    fn start(&self, remote: SocketAddr, proof: Option<Proof>) -> Option<Session> {
        let in_use = self.in_use.upgrade()?;
        let (inbox, datagrams) = mpsc::channel(INBOX_MAX);
        let (up_out, up) = watch::channel(false);
        let (socket, door) = (self.socket.clone(), self.door.clone());
        tokio::spawn(async move {
            let local = local_towards(&socket, remote).await;
            let idle = door.idle;
            let wire =
                Wire::Shared { socket, local, remote, inbox: datagrams, idle, _in_use: in_use };
            let (role, timings) = (DtlsRole::Server, Timings::default());
            let flow =
                SecureFlow::establish(wire, role, proof.as_ref(), &door.credentials, timings, None)
                    .await;
            up_out.send_replace(flow.is_ok());
            door.enter(flow).await;
        });
        Some(Session { inbox, started: tokio::time::Instant::now(), up })
    }
}

/// The port on TCP.
struct TcpPort {
    listener: TcpListener,
    door: Door,
    plain: PlainConnections,
    lending: Lending,
    /// How many connections of a source are not up yet.
    handshakes: HashMap<IpAddr, usize>,
}

impl TcpPort {
    async fn run(mut self) {
        let mut tasks = JoinSet::new();
        let accepted = self.door.accepted.clone();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, remote)) => self.take(stream, remote, &mut tasks),
                    // The system is out of something; that it comes back at once is not likely.
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
                Some(Ok(source)) = tasks.join_next() => self.forget(source),
                () = accepted.closed() => return,
            }
        }
    }

    /// Sees to a connection, if there are not too many.
    fn take(&mut self, stream: TcpStream, remote: SocketAddr, tasks: &mut JoinSet<IpAddr>) {
        let source = source_of(remote);
        let of_source = self.handshakes.get(&source).copied().unwrap_or_default();
        let network = network_of(source);
        let others = self.handshakes.iter().filter(|(other, _)| network_of(**other) == network);
        if of_source >= HANDSHAKES_PER_SOURCE_MAX
            || others.map(|(_, count)| count).sum::<usize>() >= HANDSHAKES_PER_NETWORK_MAX
            || tasks.len() >= HANDSHAKES_MAX
        {
            return self.door.counters.ignored();
        }
        self.handshakes.insert(source, of_source + 1);
        let (door, plain, relay) = (self.door.clone(), self.plain.clone(), self.lending.relay());
        tasks.spawn(async move {
            let mut first = [0];
            match timeout(FIRST_BYTE, stream.peek(&mut first)).await {
                Ok(Ok(1)) if first[0] == TLS_HANDSHAKE => {
                    let flow = tls::accept(stream, &door.credentials, door.idle).await;
                    door.enter(flow).await;
                }
                Ok(Ok(1))
                    if first[0] == STUN_REQUEST
                        && let Some(relay) = relay =>
                {
                    // It has its own bounds, and is no handshake any more.
                    tokio::spawn(async move { relay.serve(stream, remote).await });
                }
                Ok(Ok(1)) if plain.hand_on(stream) => {}
                _ => door.counters.ignored(),
            }
            source
        });
    }

    fn forget(&mut self, source: IpAddr) {
        if let Some(count) = self.handshakes.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.handshakes.remove(&source);
            }
        }
    }
}

/// What a connection to a relay begins with: a request (RFC 8489 §5).
const STUN_REQUEST: u8 = 0;
/// What a TLS connection begins with (RFC 5246 §6.2.1).
const TLS_HANDSHAKE: u8 = 22;

/// Whether a record is the beginning of a handshake (RFC 6347 §4.2.2), cheaply.
pub(super) fn is_client_hello(datagram: &[u8]) -> bool {
    const HANDSHAKE: u8 = 22;
    const CLIENT_HELLO: u8 = 1;
    const RECORD_HEADER: usize = 13;
    datagram.first() == Some(&HANDSHAKE) && datagram.get(RECORD_HEADER) == Some(&CLIENT_HELLO)
}

/// Our address as the other side sees it: a port open on all addresses does not know by itself.
async fn local_towards(socket: &UdpSocket, remote: SocketAddr) -> SocketAddr {
    let bound = socket.local_addr().unwrap_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    if !bound.ip().is_unspecified() {
        return bound;
    }
    let any: IpAddr = match remote.ip().to_canonical() {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let probe = async {
        let probe = UdpSocket::bind((any, 0)).await?;
        probe.connect((remote.ip().to_canonical(), remote.port())).await?;
        probe.local_addr()
    };
    probe.await.map_or(bound, |addr| SocketAddr::new(addr.ip(), bound.port()))
}

#[cfg(test)]
#[path = "bootstrap_tests.rs"]
mod tests;
