//! Bootstrap links: DTLS without ICE on a known UDP port (RFC 6940 §6.6.6, §11.4), which answers
//! STUN Binding requests too (RFC 6940 §6.5.1.4). The joiner is the DTLS client.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};

use super::counters::{LinkCounters, PortCounters};
use super::dtls::DtlsRole;
use super::error::LinkError;
use super::overlay::OverlayLink;
use super::pcap::Pcap;
use super::stun::{Packet, answer_binding};
use super::transport::limits::DATAGRAM_MAX;
use super::transport::{Credentials, SecureFlow, Timings, Wire};

/// Where bootstrap nodes listen unless their document says otherwise (RFC 6940 §11.1).
pub const PORT_DEFAULT: u16 = 6084;

/// Bounds.
pub mod limits {
    use std::time::Duration;

    /// Sessions on the port, with a handshake behind them or not.
    pub const SESSIONS_MAX: usize = 1024;
    /// Sessions whose handshake is not complete; each costs one association. A flood of forged
    /// ClientHellos can fill this, and [`PATIENCE`] later there is room again.
    pub const HANDSHAKES_MAX: usize = 128;
    /// Under a flood, a handshake that has not come through in this time makes room.
    pub const PATIENCE: Duration = Duration::from_secs(2);
    /// Datagrams waiting for one session.
    pub const INBOX_MAX: usize = 64;
    /// Links that nobody has accepted yet.
    pub const ACCEPTED_MAX: usize = 32;
}

use limits::*;

/// The bootstrap port. Dropping it ends its links.
pub struct BootstrapListener {
    accepted: mpsc::Receiver<OverlayLink>,
    local: SocketAddr,
    counters: Arc<PortCounters>,
    /// Ends the task when dropped.
    _stop: watch::Sender<()>,
}

impl BootstrapListener {
    /// Opens the port and starts to accept. A port that another program has is
    /// [`LinkError::PortInUse`].
    pub async fn bind(
        address: SocketAddr,
        credentials: Credentials,
        pcap: Option<Pcap>,
    ) -> Result<Self, LinkError> {
        let socket = bind(address).await?;
        let local = socket.local_addr().map_err(|e| bind_error(address, &e))?;
        let (accepted_out, accepted) = mpsc::channel(ACCEPTED_MAX);
        let (stop, stopped) = watch::channel(());
        let counters = Arc::new(PortCounters::default());
        let port = Port {
            socket: Arc::new(socket),
            credentials: Arc::new(credentials),
            pcap,
            sessions: HashMap::new(),
            accepted: accepted_out,
            counters: counters.clone(),
        };
        tokio::spawn(port.run(stopped));
        Ok(Self { accepted, local, counters, _stop: stop })
    }

    /// Where the port is.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Adds what came to nothing here so far.
    pub(super) fn add_counters(&self, counters: &mut LinkCounters) {
        self.counters.add_to(counters);
    }

    /// The next link that somebody has opened.
    pub async fn accept(&mut self) -> Option<OverlayLink> {
        self.accepted.recv().await
    }
}

/// Opens a link to the bootstrap port of another peer, from a port of our own.
pub async fn dial(
    remote: SocketAddr,
    credentials: &Credentials,
    pcap: Option<Pcap>,
) -> Result<OverlayLink, LinkError> {
    let any = match remote {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = bind(any).await?;
    socket.connect(remote).await.map_err(|e| bind_error(any, &e))?;
    let local = socket.local_addr().map_err(|e| bind_error(any, &e))?;
    let wire = Wire::Connected { socket, local, remote };
    let flow =
        SecureFlow::establish(wire, DtlsRole::Client, true, credentials, Timings::default(), None)
            .await?;
    Ok(OverlayLink::new(flow, pcap))
}

async fn bind(address: SocketAddr) -> Result<UdpSocket, LinkError> {
    UdpSocket::bind(address).await.map_err(|e| bind_error(address, &e))
}

fn bind_error(address: SocketAddr, error: &std::io::Error) -> LinkError {
    match error.kind() {
        ErrorKind::AddrInUse => LinkError::PortInUse(address.port()),
        _ => LinkError::Bind { address, reason: error.to_string() },
    }
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

struct Port {
    socket: Arc<UdpSocket>,
    credentials: Arc<Credentials>,
    pcap: Option<Pcap>,
    sessions: HashMap<SocketAddr, Session>,
    accepted: mpsc::Sender<OverlayLink>,
    counters: Arc<PortCounters>,
}

impl Port {
    async fn run(mut self, mut stopped: watch::Receiver<()>) {
        let mut buffer = vec![0; DATAGRAM_MAX];
        loop {
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    // Errors here are ICMP messages about single remote addresses.
                    let Ok((length, source)) = received else { continue };
                    self.on_datagram(&buffer[..length], source).await;
                }
                _ = stopped.changed() => return,
            }
        }
    }

    async fn on_datagram(&mut self, datagram: &[u8], source: SocketAddr) {
        match Packet::classify(datagram) {
            Packet::Stun => {
                if let Some(answer) = answer_binding(datagram, source) {
                    let _ = self.socket.send_to(&answer, source).await;
                } else {
                    self.counters.ignored();
                }
            }
            Packet::Dtls => self.on_record(datagram, source),
            Packet::Media | Packet::Other => self.counters.ignored(),
        }
    }

    fn on_record(&mut self, datagram: &[u8], source: SocketAddr) {
        let known = self.sessions.get(&source).is_some_and(|session| !session.is_over());
        if !known {
            if !is_client_hello(datagram) || !self.make_room() {
                return self.counters.ignored();
            }
            let session = self.start(source);
            self.sessions.insert(source, session);
        }
        if let Some(session) = self.sessions.get(&source) {
            // A full inbox is loss like any other.
            let _ = session.inbox.try_send(Bytes::copy_from_slice(datagram));
        }
    }

    /// Forgets what is over and says whether one more session fits.
    fn make_room(&mut self) -> bool {
        self.sessions.retain(|_, session| !session.is_over());
        let handshakes = self.sessions.values().filter(|session| session.in_handshake());
        if handshakes.count() >= HANDSHAKES_MAX {
            self.sessions.retain(|_, session| {
                !session.in_handshake() || session.started.elapsed() < PATIENCE
            });
        }
        let handshakes = self.sessions.values().filter(|session| session.in_handshake()).count();
        handshakes < HANDSHAKES_MAX && self.sessions.len() < SESSIONS_MAX
    }

    fn start(&self, remote: SocketAddr) -> Session {
        let (inbox, datagrams) = mpsc::channel(INBOX_MAX);
        let (up_out, up) = watch::channel(false);
        let socket = self.socket.clone();
        let (credentials, pcap) = (self.credentials.clone(), self.pcap.clone());
        let (accepted, counters) = (self.accepted.clone(), self.counters.clone());
        tokio::spawn(async move {
            let local = local_towards(&socket, remote).await;
            let wire = Wire::Shared { socket, local, remote, inbox: datagrams };
            let role = DtlsRole::Server;
            let flow =
                SecureFlow::establish(wire, role, true, &credentials, Timings::default(), None)
                    .await;
            match flow {
                Ok(flow) => {
                    up_out.send_replace(true);
                    let _ = accepted.send(OverlayLink::new(flow, pcap)).await;
                }
                // Whoever fails to show an acceptable certificate is forgotten with the inbox.
                Err(reason) => counters.failed(&reason),
            }
        });
        Session { inbox, started: tokio::time::Instant::now(), up }
    }
}

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
