//! The use of a relay (RFC 8656 §6–12): an address on it, and the way from there to others.
//!
//! `webrtc-ice` takes no candidates from outside. To it, each address that is reached through a
//! relay looks like one on loopback: a socket of ours stands there for it and is connected with
//! the agent's, so that nobody else on this machine can talk to either.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stun::message::{METHOD_ALLOCATE, METHOD_BINDING, METHOD_CHANNEL_BIND, METHOD_REFRESH};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::grant::Grant;
use super::limits::{CHANNEL_REFRESH, KEEPALIVE, LIFETIME_DEFAULT, PEERS_MAX, RETRANSMISSIONS_MS};
use super::line::{Line, LineSender};
use super::message::{Draft, LongTermKey, Received};
use super::wire::{CHANNELS, read_channel, read_data, write_channel, write_send};
use crate::base::Rng;
use crate::link::clock::os_seed;
use crate::link::stun::BindingQuery;
use crate::link::transport::limits::DATAGRAM_MAX;
use crate::link::{LinkError, Transport};

/// A relay that somebody lends us.
#[derive(Clone, Debug)]
pub struct RelayServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// How we get there.
    pub transport: Transport,
    /// What it has given us.
    pub grant: Grant,
    /// Where its address is told when it is missed.
    pub missed: mpsc::Sender<SocketAddr>,
}

impl RelayServer {
    /// Where it is and what it has given us.
    pub fn terms(&self) -> (SocketAddr, Transport, &Grant) {
        (self.address, self.transport, &self.grant)
    }

    /// Tells that it does not answer in time, or is gone.
    pub fn miss(&self) {
        // Whoever is told looks for itself: once is enough.
        let _ = self.missed.try_send(self.address);
    }
}

/// An address on a relay. Dropping it gives it back.
#[derive(Debug)]
pub struct Allocation {
    server: SocketAddr,
    transport: Transport,
    relayed: SocketAddr,
    mapped: SocketAddr,
    orders: mpsc::UnboundedSender<Order>,
}

/// Told of a peer that talks to us through the relay without our having asked it to, and of where
/// it stands.
pub type Announce = Box<dyn Fn(SocketAddr, SocketAddr) + Send + Sync>;

/// What the task of an allocation is told. There are no more of them than candidates.
enum Order {
    Reach(Stand),
    Announce(SocketAddr, Announce),
}

/// What stands for a peer: its socket on loopback.
#[derive(Debug)]
struct Stand {
    peer: SocketAddr,
    socket: Arc<UdpSocket>,
}

impl Allocation {
    /// Asks a relay for an address; of IPv6 if `is_ipv6`. Takes one round trip, over TCP two.
    ///
    /// # Errors
    /// Nobody answers, or the relay refuses.
    pub async fn open(server: &RelayServer, is_ipv6: bool) -> Result<Self, LinkError> {
        let mut line = Line::open(server.address, server.transport).await?;
        let mut session = Session::new(server, line.sender());
        let answer = session.allocate(&mut line, is_ipv6).await?;
        let missing = || LinkError::Relay("it gave no address");
        let relayed = answer.relayed_address().ok_or_else(missing)?;
        let mapped = answer.mapped_address().ok_or_else(missing)?;
        let (orders, inbox) = mpsc::unbounded_channel();
        tokio::spawn(Task::new(line, session, inbox).run());
        let (server, transport) = (server.address, server.transport);
        Ok(Self { server, transport, relayed, mapped, orders })
    }

    /// How long a relay takes to answer, on a way to it.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn round_trip(
        server: SocketAddr,
        transport: Transport,
    ) -> Result<Duration, LinkError> {
        let mut line = Line::open(server, transport).await?;
        let transaction = Rng::new(os_seed()).bytes();
        let query = BindingQuery::awaited(transaction).ok_or(LinkError::NoPath)?;
        let start = Instant::now();
        transact(&mut line, &query.request, transaction).await?;
        Ok(start.elapsed())
    }

    /// Our address on the relay.
    pub fn relayed(&self) -> SocketAddr {
        self.relayed
    }

    /// Our address as the relay sees it.
    pub fn mapped(&self) -> SocketAddr {
        self.mapped
    }

    /// Whether the way to the relay has ended, and with it what was lent.
    pub fn has_ended(&self) -> bool {
        self.orders.is_closed()
    }

    /// The relay, in words.
    pub fn path(&self) -> String {
        let over = match self.transport {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        };
        format!("{} on the relay {} over {over}", self.relayed, self.server)
    }

    /// Opens a way to `peer` and says where on loopback it stands for the agent's socket there.
    pub fn reach(&self, peer: SocketAddr, agent: SocketAddr) -> Option<SocketAddr> {
        let stand = Stand::new(peer, agent)?;
        let at = stand.socket.local_addr().ok()?;
        self.orders.send(Order::Reach(stand)).ok()?;
        Some(at)
    }

    /// From now on `announce` is told of peers whose data comes unasked, once they stand on
    /// loopback for the agent's socket there: the other side's NAT has given it another address
    /// towards the relay than it knows of.
    pub fn announce(&self, agent: SocketAddr, announce: Announce) {
        let _ = self.orders.send(Order::Announce(agent, announce));
    }
}

impl Stand {
    fn new(peer: SocketAddr, agent: SocketAddr) -> Option<Self> {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
        socket.connect(agent).ok()?;
        socket.set_nonblocking(true).ok()?;
        Some(Self { peer, socket: Arc::new(UdpSocket::from_std(socket).ok()?) })
    }
}

/// What we know of a relay while we use it. Dropping it gives back what the relay may have lent us,
/// also when nobody waits for the answer any more or the program ends: others wait for it.
struct Session {
    server: RelayServer,
    key: LongTermKey,
    rng: Rng,
    sender: LineSender,
    /// Whether an address has been asked for and not been refused.
    is_lent: bool,
}

impl Session {
    fn new(server: &RelayServer, sender: LineSender) -> Self {
        let grant = &server.grant;
        let credentials = &grant.credentials;
        let key = LongTermKey::new(&credentials.username, &grant.realm, &credentials.password);
        Self { key, server: server.clone(), rng: Rng::new(os_seed()), sender, is_lent: false }
    }

    fn prove(&self, draft: Draft) -> Vec<u8> {
        let grant = &self.server.grant;
        let draft = draft.username(&grant.credentials.username);
        draft.realm(&grant.realm).nonce(&grant.nonce).proved(&self.key)
    }

    /// Takes over a newer nonce; whether there was one.
    fn renew(&mut self, answer: &Received) -> bool {
        let nonce = answer.nonce().filter(|_| answer.error() == Some(STALE_NONCE));
        let is_new = nonce.is_some();
        if let Some(nonce) = nonce {
            self.server.grant.nonce = nonce;
        }
        is_new
    }

    async fn allocate(&mut self, line: &mut Line, is_ipv6: bool) -> Result<Received, LinkError> {
        for _ in 0..2 {
            let transaction = self.rng.bytes();
            let mut draft = Draft::request(METHOD_ALLOCATE, transaction).udp();
            if is_ipv6 {
                draft = draft.family(true);
            }
            let request = self.prove(draft.lifetime_s(LIFETIME_DEFAULT));
            self.is_lent = true;
            let mut answer = transact(line, &request, transaction).await?;
            self.is_lent = answer.answers(METHOD_ALLOCATE) == Some(true);
            if self.renew(&answer) {
                continue;
            }
            return match answer.answers(METHOD_ALLOCATE) {
                Some(true) if answer.is_proved(&self.key) => Ok(answer),
                Some(true) => Err(LinkError::Relay("its answer is not proved")),
                _ => Err(LinkError::Relay("it refused")),
            };
        }
        Err(LinkError::Relay("it takes no nonce of its own"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.is_lent {
            let draft = Draft::request(METHOD_REFRESH, self.rng.bytes()).lifetime_s(0);
            self.sender.send_now(&self.prove(draft));
        }
    }
}

/// Sends a request until its answer comes.
async fn transact(
    line: &mut Line,
    request: &[u8],
    transaction: [u8; 12],
) -> Result<Received, LinkError> {
    let sender = line.sender();
    let start = Instant::now();
    let mut sends = RETRANSMISSIONS_MS.iter().map(|ms| start + Duration::from_millis(*ms));
    let mut next = sends.next();
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        let Some(at) = next else { return Err(LinkError::NoPath) };
        tokio::select! {
            () = sleep_until(at) => {
                next = sends.next();
                if next.is_some() {
                    sender.send(request).await;
                }
            }
            length = line.recv(&mut buffer) => {
                let answer = Received::read(&buffer[..length?]);
                if let Some(answer) = answer.filter(|a| a.transaction() == transaction) {
                    return Ok(answer);
                }
            }
        }
    }
}

/// A peer that is reached through the relay.
struct Peer {
    at: SocketAddr,
    number: u16,
    socket: Arc<UdpSocket>,
    /// Whether its channel is bound.
    is_bound: Arc<AtomicBool>,
    reader: AbortHandle,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// A request that waits for its answer.
struct Waiting {
    wish: Wish,
    sent: usize,
    since: Instant,
}

/// What is asked of the relay again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// Whether it is there, which keeps the NATs on the way open too.
    KeepAlive,
    /// That the allocation lives.
    Refresh,
    /// That a peer has its channel.
    Bind(u16),
}

/// Keeps an allocation and carries data.
struct Task {
    line: Line,
    session: Session,
    inbox: mpsc::UnboundedReceiver<Order>,
    announce: Option<(SocketAddr, Announce)>,
    peers: BTreeMap<u16, Peer>,
    next_channel: u16,
    waiting: BTreeMap<[u8; 12], Waiting>,
    /// When something is due again.
    due: Vec<(Instant, Wish)>,
    /// The relay has taken back what it has lent.
    has_ended: bool,
}

impl Task {
    fn new(line: Line, session: Session, inbox: mpsc::UnboundedReceiver<Order>) -> Self {
        let now = Instant::now();
        let refresh_at = now + Duration::from_secs((LIFETIME_DEFAULT / 2).into());
        let due = vec![(refresh_at, Wish::Refresh), (now + KEEPALIVE, Wish::KeepAlive)];
        let (peers, waiting) = (BTreeMap::new(), BTreeMap::new());
        let (announce, next_channel, has_ended) = (None, *CHANNELS.start(), false);
        Self { line, session, inbox, announce, peers, next_channel, waiting, due, has_ended }
    }

    async fn run(mut self) {
        let mut buffer = vec![0; DATAGRAM_MAX];
        while !self.has_ended {
            let resend = self.waiting.values().filter_map(Waiting::next);
            let next = self.due.iter().map(|(at, _)| *at).chain(resend).min();
            let next = next.unwrap_or_else(|| Instant::now() + KEEPALIVE);
            tokio::select! {
                order = self.inbox.recv() => match order {
                    Some(Order::Reach(stand)) => self.reach(stand).await,
                    Some(Order::Announce(agent, announce)) => {
                        self.announce = Some((agent, announce));
                    }
                    None => return,
                },
                length = self.line.recv(&mut buffer) => match length {
                    Ok(length) => self.take(&buffer[..length]).await,
                    Err(_) => self.has_ended = true,
                },
                () = sleep_until(next) => self.on_time().await,
            }
        }
        // Whoever hears that it is missed finds it ended.
        self.inbox.close();
        self.session.server.miss();
    }

    async fn reach(&mut self, Stand { peer, socket }: Stand) {
        if self.next_channel >= *CHANNELS.start() + PEERS_MAX {
            return;
        }
        let number = self.next_channel;
        self.next_channel += 1;
        let is_bound = Arc::new(AtomicBool::new(false));
        let (incoming, bound, line) =
            (socket.clone(), is_bound.clone(), self.session.sender.clone());
        let mut rng = Rng::new(self.session.rng.bytes());
        let reader = tokio::spawn(async move {
            let (mut buffer, mut message) = (vec![0; DATAGRAM_MAX], Vec::new());
            loop {
                // An error is that the agent's socket is gone for now.
                let Ok(length) = incoming.recv(&mut buffer).await else { continue };
                message.clear();
                match bound.load(Ordering::Relaxed) {
                    true => write_channel(&mut message, number, &buffer[..length]),
                    false => write_send(&mut message, rng.bytes(), peer, &buffer[..length]),
                }
                line.send(&message).await;
            }
        });
        let reader = reader.abort_handle();
        self.peers.insert(number, Peer { at: peer, number, socket, is_bound, reader });
        self.wish(Wish::Bind(number)).await;
    }

    /// Somebody unknown talks to us: it gets a place, and what it says it will say again.
    async fn meet(&mut self, source: SocketAddr) {
        let Some((agent, announce)) = &self.announce else { return };
        let Some(stand) = Stand::new(source, *agent) else { return };
        if let Ok(at) = stand.socket.local_addr() {
            announce(source, at);
            self.reach(stand).await;
        }
    }

    async fn take(&mut self, message: &[u8]) {
        if let Some((number, data)) = read_channel(message) {
            if let Some(peer) = self.peers.get(&number) {
                let _ = peer.socket.try_send(data);
            }
            return;
        }
        if let Some((source, data)) = read_data(message) {
            match self.peers.values().find(|peer| peer.at == source) {
                Some(peer) => {
                    let _ = peer.socket.try_send(data);
                }
                None => self.meet(source).await,
            }
            return;
        }
        let Some(mut answer) = Received::read(message) else { return };
        let Some(Waiting { wish, .. }) = self.waiting.remove(&answer.transaction()) else { return };
        if self.session.renew(&answer) {
            return self.wish(wish).await;
        }
        let now = Instant::now();
        let method = wish.method();
        let is_done = answer.answers(method) == Some(true) && answer.is_proved(&self.session.key);
        match wish {
            Wish::KeepAlive => self.due.push((now + KEEPALIVE, wish)),
            Wish::Bind(number) if is_done => {
                if let Some(peer) = self.peers.get(&number) {
                    peer.is_bound.store(true, Ordering::Relaxed);
                }
                self.due.push((now + CHANNEL_REFRESH, wish));
            }
            Wish::Bind(number) => {
                self.peers.remove(&number);
            }
            Wish::Refresh if !is_done => self.has_ended = true,
            Wish::Refresh => {
                let half = answer.lifetime_s().unwrap_or(LIFETIME_DEFAULT) / 2;
                self.due.push((now + Duration::from_secs(half.max(1).into()), wish));
            }
        }
    }

    async fn on_time(&mut self) {
        let now = Instant::now();
        let due = self.due.extract_if(.., |(at, _)| *at <= now).collect::<Vec<_>>();
        for (_, wish) in due {
            self.wish(wish).await;
        }
        let mut late = Vec::new();
        for (transaction, waiting) in &mut self.waiting {
            if waiting.next().is_some_and(|at| at <= now) {
                waiting.sent += 1;
                late.push((*transaction, waiting.wish, waiting.next().is_none()));
            }
        }
        for (transaction, wish, is_over) in late {
            if is_over {
                // The way may be cut for a while only, and what was lent live on.
                self.waiting.remove(&transaction);
                self.session.server.miss();
                self.due.push((now + KEEPALIVE, wish));
            } else {
                self.ask(transaction, wish).await;
            }
        }
    }

    async fn wish(&mut self, wish: Wish) {
        let transaction = self.session.rng.bytes();
        let since = Instant::now();
        self.waiting.insert(transaction, Waiting { wish, sent: 1, since });
        self.ask(transaction, wish).await;
    }

    async fn ask(&mut self, transaction: [u8; 12], wish: Wish) {
        let draft = Draft::request(wish.method(), transaction);
        let draft = match wish {
            Wish::KeepAlive => {
                if let Some(query) = BindingQuery::awaited(transaction) {
                    self.session.sender.send(&query.request).await;
                }
                return;
            }
            Wish::Refresh => draft.lifetime_s(LIFETIME_DEFAULT),
            Wish::Bind(number) => match self.peers.get(&number) {
                Some(peer) => draft.channel(peer.number).peer(peer.at),
                None => return,
            },
        };
        self.session.sender.send(&self.session.prove(draft)).await;
    }
}

impl Wish {
    fn method(self) -> stun::message::Method {
        match self {
            Self::KeepAlive => METHOD_BINDING,
            Self::Refresh => METHOD_REFRESH,
            Self::Bind(_) => METHOD_CHANNEL_BIND,
        }
    }
}

impl Waiting {
    /// When it is sent again, or given up; `None` after that.
    fn next(&self) -> Option<Instant> {
        let ms = RETRANSMISSIONS_MS.get(self.sent)?;
        Some(self.since + Duration::from_millis(*ms))
    }
}

/// The number of Stale Nonce.
const STALE_NONCE: u16 = 438;
