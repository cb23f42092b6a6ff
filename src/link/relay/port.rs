//! The sockets of a relay: its own are opened here, the one at which clients come is the peer's
//! port.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;

use super::batch::{BatchSocket, Outbox};
use super::limits::{STREAMS_MAX, SWEEP};
use super::server::{Client, Framing, Opening, Outcome, Relay, RelayTerms};
use super::wire::{write_channel, write_data};
use crate::base::{Now, Rng};
use crate::link::clock::{Clock, os_seed, unix_ms};

/// A relay at work. The last handle ends it.
#[derive(Clone, Debug)]
pub struct RelayPort(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    relay: Mutex<Relay<Relayed>>,
    clock: Clock,
    streams: Arc<Semaphore>,
    /// Ends what is over.
    sweeper: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.sweeper.abort();
    }
}

/// A relayed address: closing it ends the task that reads it.
#[derive(Debug)]
struct Relayed {
    socket: Arc<BatchSocket>,
    reader: AbortHandle,
}

impl Drop for Relayed {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// The way to a client.
#[derive(Clone, Debug)]
pub(super) enum Back {
    Udp(Arc<BatchSocket>),
    Tcp(mpsc::Sender<Bytes>),
}

impl RelayPort {
    /// A relay that clients may use from now on, within a runtime.
    pub fn start(terms: RelayTerms) -> Self {
        let clock = Clock::start();
        let shared = Arc::new_cyclic(|weak: &std::sync::Weak<Shared>| {
            let weak = weak.clone();
            let sweeper = tokio::spawn(async move {
                loop {
                    let Some(shared) = weak.upgrade() else { return };
                    let next = {
                        let mut relay = shared.lock();
                        relay.expire(shared.clock.now());
                        relay.deadline()
                    };
                    // New ones live longer than this.
                    let latest = shared.clock.now() + SWEEP;
                    let until = next.map_or(latest, |next| next.min(latest));
                    let clock = shared.clock;
                    drop(shared);
                    clock.sleep_until(Some(until)).await;
                }
            });
            let sweeper = sweeper.abort_handle();
            let streams = Arc::new(Semaphore::new(STREAMS_MAX));
            Shared { relay: Mutex::new(Relay::new(terms)), clock, streams, sweeper }
        });
        Self(shared)
    }

    /// How many relayed addresses there are.
    pub fn sessions(&self) -> usize {
        self.0.lock().sessions()
    }

    /// Takes in what comes from clients, one datagram after the other.
    pub fn batch(&self) -> Batch<'_> {
        let now = Now::new(self.0.clock.now(), unix_ms());
        Batch { port: self, relay: self.0.lock(), out: Outbox::default(), now }
    }

    /// Room for one connection more.
    pub(super) fn stream_place(&self) -> Option<OwnedSemaphorePermit> {
        self.0.streams.clone().try_acquire_owned().ok()
    }

    /// Whether a client has a relayed address.
    pub(super) fn serves(&self, client: Client) -> bool {
        self.0.lock().serves(client)
    }

    /// A connection has ended.
    pub(super) fn gone(&self, client: Client) {
        self.0.lock().remove(client);
    }

    /// Opens a relayed address for a client.
    fn open(&self, client: Client, opening: &Opening, back: Back) -> Option<(SocketAddr, Relayed)> {
        let bind = || std::net::UdpSocket::bind((opening.ip(), 0)).ok();
        let is_fit = |socket: &std::net::UdpSocket| {
            let port = socket.local_addr().map_or(0, |address| address.port());
            !opening.is_even() || port.is_multiple_of(2)
        };
        let socket = (0..PORT_TRIES).find_map(|_| bind().filter(is_fit))?;
        socket.set_nonblocking(true).ok()?;
        let address = socket.local_addr().ok()?;
        let socket = Arc::new(UdpSocket::from_std(socket).ok()?);
        let socket = Arc::new(BatchSocket::new(socket).ok()?);
        let port = Arc::downgrade(&self.0);
        let incoming = socket.clone();
        let reader = tokio::spawn(async move {
            let mut rng = Rng::new(os_seed());
            while incoming.readable().await.is_ok() {
                let Some(shared) = port.upgrade() else { return };
                for _ in 0..ROUNDS {
                    if !shared.take_from_peers(client, &incoming, &back, &mut rng) {
                        break;
                    }
                }
                tokio::task::yield_now().await;
            }
        });
        Some((address, Relayed { socket, reader: reader.abort_handle() }))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Relay<Relayed>> {
        self.relay.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands what has come to a relayed address to its client; whether there may be more.
    fn take_from_peers(
        &self,
        client: Client,
        socket: &BatchSocket,
        back: &Back,
        rng: &mut Rng,
    ) -> bool {
        let now = self.clock.now();
        let mut out = Outbox::default();
        let mut relay = None;
        socket.receive(|peer, data| {
            let relay = relay.get_or_insert_with(|| self.lock());
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            let Some(framing) = relay.from_peer(now, client, peer, data.len()) else { return };
            let mut write = |buffer: &mut Vec<u8>| match framing {
                Framing::Channel(number) => write_channel(buffer, number, data),
                Framing::Indication => write_data(buffer, rng.bytes(), peer, data),
            };
            match back {
                Back::Udp(socket) => out.push(socket, client.remote, write),
                Back::Tcp(writer) => {
                    let mut message = Vec::with_capacity(data.len() + 64);
                    write(&mut message);
                    pad(&mut message);
                    // A full queue is loss like any other.
                    let _ = writer.try_send(message.into());
                }
            }
        })
    }
}

/// Datagrams or messages that come together.
pub struct Batch<'a> {
    port: &'a RelayPort,
    relay: MutexGuard<'a, Relay<Relayed>>,
    out: Outbox,
    now: Now,
}

impl Batch<'_> {
    /// Takes in a datagram that has come at the peer's port.
    pub fn datagram(&mut self, socket: &Arc<BatchSocket>, remote: SocketAddr, datagram: &[u8]) {
        let remote = SocketAddr::new(remote.ip(), remote.port());
        let client = Client { remote, transport: crate::link::Transport::Udp };
        let answer = self.take(client, datagram, || Back::Udp(socket.clone()));
        if let Some(answer) = answer {
            self.out.push(socket, remote, |buffer| buffer.extend_from_slice(&answer));
        }
    }

    /// Takes in a message; what the client is to be answered.
    pub(super) fn take(
        &mut self,
        client: Client,
        message: &[u8],
        back: impl FnOnce() -> Back,
    ) -> Option<Vec<u8>> {
        match self.relay.from_client(self.now, client, message) {
            Outcome::Nothing => None,
            Outcome::Answer(answer) => Some(answer),
            Outcome::Open(opening) => {
                let opened = self.port.open(client, &opening, back());
                Some(self.relay.opened(self.now, opening, opened))
            }
            Outcome::Send { socket, peer, data } => {
                self.out.push(&socket.socket, peer, |buffer| buffer.extend_from_slice(data));
                None
            }
        }
    }
}

/// In a stream, messages begin at multiples of four bytes (RFC 8656 §12.5).
pub(super) fn pad(message: &mut Vec<u8>) {
    message.resize(message.len().next_multiple_of(4), 0);
}

/// Batches of one socket before others have their turn.
const ROUNDS: usize = 4;
/// Ports that are tried for an even one: every second is.
const PORT_TRIES: usize = 24;
