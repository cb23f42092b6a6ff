//! A secure flow: DTLS on a path that ICE found, or on the bootstrap port. One task for each flow
//! owns the path and the association; handles talk to it through bounded channels.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot, watch};

use super::bootstrap::InUse;
use super::candidate::IceParameters;
use super::clock::{Clock, TICK};
use super::cookie::Proof;
use super::dtls::{Dtls, DtlsOutput, DtlsRole, LocalCertificate, SrtpKeys, Verify};
use super::error::{LinkError, SendError};
use super::facts::{CandidatePair, CandidateType};
use super::ice::{IceAgent, IceConn};
use super::pairs::Route;
use super::stun::Packet;
use crate::base::Instant;
use crate::crypto::Certificate;

/// Bounds of the channels and timers.
pub mod limits {
    use std::time::Duration;

    /// Records waiting to be sent.
    pub const OUTGOING_MAX: usize = 256;
    /// Records received that nobody has fetched; more are dropped, as a full socket would.
    pub const INCOMING_MAX: usize = 512;
    /// A bootstrap link that is silent for longer is given up: the interval of
    /// chord-update-interval (RFC 6940 §10.7.4.1).
    pub const IDLE: Duration = Duration::from_secs(600);
    /// Longest datagram read from a socket; `webrtc-ice` reads no longer ones.
    pub const DATAGRAM_MAX: usize = 8192;
    /// Longest record sent on a plain flow, such that its datagram can be read. SIP messages are
    /// not cut, so above the path's MTU it is IP that fragments them.
    pub const RECORD_MAX: usize = 8000;
}

use limits::*;

/// How long each step of setting up took, in milliseconds; 0 for a step that was not needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Finding out our own addresses.
    pub gather_ms: u64,
    /// Connectivity checks.
    pub ice_ms: u64,
    /// The DTLS handshake.
    pub dtls_ms: u64,
}

/// What carries a secure flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// DTLS over UDP: each record is a datagram and may get lost.
    Udp,
    /// TLS over TCP: a stream of frames (RFC 6940 §6.6.2), none of which gets lost.
    Tcp,
}

/// What is known of a flow once it is up.
#[derive(Clone, Debug)]
pub struct FlowInfo {
    /// The other side's certificate, which [`Verify`] has accepted.
    pub peer_certificate_der: Bytes,
    /// Keys for media, if the handshake made any (RFC 5764).
    pub srtp: Option<SrtpKeys>,
    /// Our role in the handshake.
    pub role: DtlsRole,
    /// What is below.
    pub transport: Transport,
    /// The path: ICE may select another pair than that which was valid first.
    pub(super) route: watch::Receiver<Route>,
    /// How long setting up took.
    pub timings: Timings,
}

impl FlowInfo {
    /// Our address.
    pub fn local(&self) -> SocketAddr {
        self.route.borrow().local
    }

    /// The other side's address.
    pub fn remote(&self) -> SocketAddr {
        self.route.borrow().remote
    }

    /// The path in words, for people.
    pub fn path(&self) -> String {
        self.route.borrow().words.clone()
    }

    /// The types of the pair that ICE has found; none without ICE.
    pub fn pair(&self) -> Option<CandidatePair> {
        self.route.borrow().pair
    }

    /// Whether the path leads nowhere once the machine has lost these addresses: one through a
    /// relay of ours began at whichever of them led there.
    pub fn is_lost_with(&self, gone: &BTreeSet<IpAddr>) -> bool {
        !gone.is_empty() && self.home().is_none_or(|home| gone.contains(&home))
    }

    /// The machine's address that the path begins at, if that is known.
    fn home(&self) -> Option<IpAddr> {
        let is_relayed = self.pair().is_some_and(|pair| pair.local == CandidateType::Relay);
        (!is_relayed).then(|| self.local().ip().to_canonical())
    }
}

/// What both sides need to know of us to accept each other.
#[derive(Clone)]
pub struct Credentials {
    /// What we show.
    pub local: LocalCertificate,
    /// What we accept.
    pub verify: Verify,
}

impl Credentials {
    /// The same for a link with one node alone, which has to show this very certificate.
    pub fn only(&self, expected: &Certificate) -> Self {
        let (der, verify) = (expected.der.clone(), self.verify.clone());
        Self {
            local: self.local.clone(),
            verify: Arc::new(move |shown| {
                if shown != der {
                    return Err("another certificate than the expected one".to_owned());
                }
                verify(shown)
            }),
        }
    }
}

/// DTLS records in and out, such as SIP messages (RFC 7904 §5). Dropping it closes the flow.
pub struct SecureFlow {
    info: Arc<FlowInfo>,
    commands: mpsc::Sender<Command>,
    data: mpsc::Receiver<Bytes>,
    ended: Arc<OnceLock<LinkError>>,
}

impl SecureFlow {
    /// Runs ICE with the other side's parameters, then DTLS on the path found.
    ///
    /// The certificate is judged before anything is delivered. Dropping the future gives up.
    pub async fn over_ice(
        agent: IceAgent,
        remote: &IceParameters,
        role: DtlsRole,
        credentials: &Credentials,
    ) -> Result<Self, LinkError> {
        let (wire, timings) = Wire::by_ice(agent, remote).await?;
        Self::establish(wire, role, None, credentials, timings, None).await
    }

    /// What is known of the flow.
    pub fn info(&self) -> &FlowInfo {
        &self.info
    }

    /// Sends `record`; returns before it is on the wire.
    pub fn send(&self, record: Bytes) -> Result<(), SendError> {
        self.sender().send(record)
    }

    /// A handle for sending from elsewhere.
    pub fn sender(&self) -> FlowSender {
        FlowSender { commands: self.commands.clone() }
    }

    /// The next record, or `None` once the flow has ended.
    pub async fn recv(&mut self) -> Option<Bytes> {
        self.data.recv().await
    }

    /// Why the flow ended, after [`Self::recv`] gave `None`.
    pub fn reason(&self) -> LinkError {
        self.ended.get().cloned().unwrap_or(LinkError::Closed)
    }

    /// Tells the other side and ends the flow; records sent before go out first.
    pub fn close(&self) {
        let _ = self.commands.try_send(Command::Close);
    }

    pub(super) async fn establish(
        wire: Wire,
        role: DtlsRole,
        proof: Option<&Proof>,
        credentials: &Credentials,
        timings: Timings,
        raw: Option<mpsc::Sender<Bytes>>,
    ) -> Result<Self, LinkError> {
        let clock = Clock::start();
        let verify = credentials.verify.clone();
        let dtls = Dtls::new(role, &credentials.local, proof, verify, clock.now())?;
        let (commands, inbox) = mpsc::channel(OUTGOING_MAX);
        let (data_out, data) = mpsc::channel(INCOMING_MAX);
        let (up, when_up) = oneshot::channel();
        let ended = Arc::new(OnceLock::new());
        let route = wire.route();
        let task = Box::new(FlowTask {
            wire,
            dtls,
            clock,
            inbox,
            data: data_out,
            raw,
            up: Some(up),
            ended: ended.clone(),
            last_heard: clock.now(),
            last_sent: clock.now(),
        });
        tokio::spawn(task.run());
        let up = when_up.await.map_err(|_| LinkError::Closed)??;
        let timings = Timings { dtls_ms: clock.now().as_millis(), ..timings };
        let Up { peer_certificate_der, srtp } = up;
        let transport = Transport::Udp;
        let info = FlowInfo { peer_certificate_der, srtp, role, transport, route, timings };
        Ok(Self::of_parts(info, commands, data, ended))
    }

    /// A flow that a task serves elsewhere.
    pub(super) fn of_parts(
        info: FlowInfo,
        commands: mpsc::Sender<Command>,
        data: mpsc::Receiver<Bytes>,
        ended: Arc<OnceLock<LinkError>>,
    ) -> Self {
        Self { info: Arc::new(info), commands, data, ended }
    }
}

/// Sends records on a [`SecureFlow`].
#[derive(Clone, Debug)]
pub struct FlowSender {
    commands: mpsc::Sender<Command>,
}

impl FlowSender {
    /// Sends `record`; returns before it is on the wire.
    pub fn send(&self, record: Bytes) -> Result<(), SendError> {
        let length = record.len();
        if length > RECORD_MAX {
            return Err(SendError::TooLong { length, mtu: RECORD_MAX });
        }
        send(&self.commands, Command::Send(record))
    }
}

/// A flow for media: after the handshake its packets, SRTP and SRTCP, pass as they are, beside
/// the DTLS records (RFC 5764 §5.1.2). Dropping both halves closes it.
pub struct MediaFlow {
    flow: SecureFlow,
    raw: mpsc::Receiver<Bytes>,
}

impl MediaFlow {
    /// Runs ICE with the other side's parameters, then DTLS on the path found.
    pub async fn over_ice(
        agent: IceAgent,
        remote: &IceParameters,
        role: DtlsRole,
        credentials: &Credentials,
    ) -> Result<Self, LinkError> {
        let (wire, timings) = Wire::by_ice(agent, remote).await?;
        let (raw_out, raw) = mpsc::channel(INCOMING_MAX);
        let flow =
            SecureFlow::establish(wire, role, None, credentials, timings, Some(raw_out)).await?;
        Ok(Self { flow, raw })
    }

    /// What is known of the flow; [`FlowInfo::srtp`] has the keys.
    pub fn info(&self) -> &FlowInfo {
        self.flow.info()
    }

    /// Sends a protected packet as it is.
    pub fn send_raw(&self, packet: Bytes) -> Result<(), SendError> {
        self.sender().send(packet)
    }

    /// A handle for sending from elsewhere.
    pub fn sender(&self) -> MediaSender {
        MediaSender { commands: self.flow.commands.clone() }
    }

    /// The next protected packet, or `None` once the flow has ended.
    pub async fn recv_raw(&mut self) -> Option<Bytes> {
        loop {
            tokio::select! {
                packet = self.raw.recv() => return packet,
                // Records are not expected; they are drained so that the end is noticed.
                record = self.flow.recv() => {
                    record?;
                }
            }
        }
    }

    /// Why the flow ended, after [`Self::recv_raw`] gave `None`.
    pub fn reason(&self) -> LinkError {
        self.flow.reason()
    }

    /// Tells the other side and ends the flow.
    pub fn close(&self) {
        self.flow.close();
    }
}

/// Sends packets on a [`MediaFlow`].
#[derive(Clone, Debug)]
pub struct MediaSender {
    commands: mpsc::Sender<Command>,
}

impl MediaSender {
    /// Sends a protected packet as it is.
    pub fn send(&self, packet: Bytes) -> Result<(), SendError> {
        send(&self.commands, Command::Raw(packet))
    }

    /// Lets the flow go on between other candidates, with the keys that it has: an ICE restart
    /// (RFC 8445 §2.4). The path in words, once it is in use.
    pub async fn move_to(
        &self,
        agent: IceAgent,
        remote: &IceParameters,
    ) -> Result<String, LinkError> {
        let (wire, _) = Wire::by_ice(agent, remote).await?;
        let path = wire.route().borrow().words.clone();
        let command = Command::Move(Box::new(wire));
        self.commands.send(command).await.map_err(|_| LinkError::Closed)?;
        Ok(path)
    }
}

/// How datagrams reach the other side.
pub(super) enum Wire {
    /// A pair that ICE selected.
    Ice(Box<IceConn>),
    /// A socket of its own, connected, as a joiner has.
    Connected { socket: UdpSocket, local: SocketAddr, remote: SocketAddr, idle: Duration },
    /// A port that is shared with other sessions.
    Shared {
        socket: Arc<UdpSocket>,
        local: SocketAddr,
        remote: SocketAddr,
        inbox: mpsc::Receiver<Bytes>,
        idle: Duration,
        /// Held so that the port is served.
        _in_use: Arc<InUse>,
    },
}

impl Wire {
    async fn by_ice(agent: IceAgent, remote: &IceParameters) -> Result<(Self, Timings), LinkError> {
        let clock = Clock::start();
        let gather_ms = agent.gather_ms();
        let conn = agent.connect(remote).await?;
        let timings = Timings { gather_ms, ice_ms: clock.now().as_millis(), dtls_ms: 0 };
        Ok((Self::Ice(Box::new(conn)), timings))
    }

    /// The path, as it is from now on.
    fn route(&self) -> watch::Receiver<Route> {
        match self {
            Self::Ice(conn) => conn.route(),
            Self::Connected { local, remote, .. } | Self::Shared { local, remote, .. } => {
                Route::without_ice(*local, *remote, Transport::Udp)
            }
        }
    }

    /// After how long a silence the other side is gone, if the path itself does not notice.
    fn idle(&self) -> Option<Duration> {
        match self {
            Self::Ice(_) => None,
            Self::Connected { idle, .. } | Self::Shared { idle, .. } => Some(*idle),
        }
    }

    /// After how much silence of our own the path wants to be kept open.
    fn keep_alive_every(&self) -> Option<Duration> {
        match self {
            Self::Ice(conn) => conn.keep_alive_every(),
            Self::Connected { .. } | Self::Shared { .. } => None,
        }
    }

    async fn keep_alive(&mut self) {
        if let Self::Ice(conn) = self {
            conn.keep_alive().await;
        }
    }

    async fn send(&self, datagram: &[u8]) {
        // What the network loses is not an error: timers notice.
        match self {
            Self::Ice(conn) => conn.send(datagram).await,
            Self::Connected { socket, .. } => {
                let _ = socket.send(datagram).await;
            }
            Self::Shared { socket, remote, .. } => {
                let _ = socket.send_to(datagram, *remote).await;
            }
        }
    }

    /// Waits for a datagram. Nothing is lost when the future is dropped.
    async fn recv(&mut self) -> Result<Bytes, LinkError> {
        match self {
            Self::Ice(conn) => conn.recv().await,
            Self::Connected { socket, remote, .. } => {
                let mut buffer = vec![0; DATAGRAM_MAX];
                let length =
                    socket.recv(&mut buffer).await.map_err(|error| match error.kind() {
                        // A hard ICMP error (RFC 6940 §6.6.3.1).
                        std::io::ErrorKind::ConnectionRefused => LinkError::Refused(*remote),
                        _ => LinkError::Lost,
                    })?;
                Ok(Bytes::copy_from_slice(&buffer[..length]))
            }
            Self::Shared { inbox, .. } => inbox.recv().await.ok_or(LinkError::Closed),
        }
    }
}

/// What the task of a flow is told.
pub(super) enum Command {
    /// Send a record.
    Send(Bytes),
    /// Send a packet as it is.
    Raw(Bytes),
    /// Go on by another way.
    Move(Box<Wire>),
    /// Close the flow.
    Close,
}

fn send(commands: &mpsc::Sender<Command>, command: Command) -> Result<(), SendError> {
    commands.try_send(command).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => SendError::Full,
        mpsc::error::TrySendError::Closed(_) => SendError::Down,
    })
}

struct Up {
    peer_certificate_der: Bytes,
    srtp: Option<SrtpKeys>,
}

struct FlowTask {
    wire: Wire,
    dtls: Dtls,
    clock: Clock,
    inbox: mpsc::Receiver<Command>,
    data: mpsc::Sender<Bytes>,
    raw: Option<mpsc::Sender<Bytes>>,
    up: Option<oneshot::Sender<Result<Up, LinkError>>>,
    ended: Arc<OnceLock<LinkError>>,
    last_heard: Instant,
    last_sent: Instant,
}

impl FlowTask {
    /// Boxed, as an async function keeps the value that it is given and the one that it works with,
    /// and each link has such a task.
    async fn run(mut self: Box<Self>) {
        let reason = loop {
            if let Err(reason) = self.flush().await {
                break reason;
            }
            if let Err(reason) = self.wait().await {
                break reason;
            }
        };
        let _ = self.ended.set(reason.clone());
        if let Some(up) = self.up.take() {
            let _ = up.send(Err(reason));
        }
        self.dtls.close(self.clock.now());
        let _ = self.flush().await;
    }

    /// Does what the association wants.
    async fn flush(&mut self) -> Result<(), LinkError> {
        while let Some(output) = self.dtls.poll() {
            match output {
                DtlsOutput::Datagram(datagram) => self.transmit(&datagram).await,
                DtlsOutput::Connected { peer_certificate_der, srtp } => {
                    if let Some(up) = self.up.take() {
                        // Whoever waited may be gone; then the closed inbox ends the task.
                        let _ = up.send(Ok(Up { peer_certificate_der, srtp }));
                    }
                }
                DtlsOutput::Data(data) => {
                    let _ = self.data.try_send(data);
                }
                DtlsOutput::Failed(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn wait(&mut self) -> Result<(), LinkError> {
        let idle = self.wire.idle().map(|idle| self.last_heard + idle);
        let quiet = self.wire.keep_alive_every().map(|every| {
            let due = self.last_sent + every;
            // Those of many links are sent at one time, so that the machine wakes up once.
            if every < TICK { due } else { self.clock.tick_after(due) }
        });
        let deadline = [self.dtls.deadline(), idle, quiet].into_iter().flatten().min();
        tokio::select! {
            datagram = self.wire.recv() => self.on_datagram(datagram?),
            command = self.inbox.recv() => match command {
                Some(Command::Send(record)) => self.dtls.send(self.clock.now(), &record)?,
                Some(Command::Raw(packet)) => self.transmit(&packet).await,
                Some(Command::Move(wire)) => {
                    self.wire = *wire;
                    self.last_heard = self.clock.now();
                }
                Some(Command::Close) | None => return Err(LinkError::Closed),
            },
            () = self.clock.sleep_until(deadline) => {
                let now = self.clock.now();
                if idle.is_some_and(|idle| idle <= now) {
                    return Err(LinkError::Idle);
                }
                if quiet.is_some_and(|quiet| quiet <= now) {
                    self.last_sent = now;
                    self.wire.keep_alive().await;
                }
                self.dtls.handle_timeout(now);
            }
        }
        Ok(())
    }

    async fn transmit(&mut self, datagram: &[u8]) {
        self.last_sent = self.clock.now();
        self.wire.send(datagram).await;
    }

    fn on_datagram(&mut self, datagram: Bytes) {
        self.last_heard = self.clock.now();
        match Packet::classify(&datagram) {
            Packet::Dtls => self.dtls.handle_datagram(self.last_heard, &datagram),
            // Before the handshake is done nobody can have protected a packet for us.
            Packet::Media if self.up.is_none() => {
                if let Some(raw) = &self.raw {
                    let _ = raw.try_send(datagram);
                }
            }
            _ => {}
        }
    }
}
