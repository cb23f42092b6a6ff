//! A relay of ours below one ICE agent: our address on it is a candidate, and whatever candidate of
//! the other side is reached through it stands on loopback for one of our sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::candidate::{Candidate, CandidateKind};
use super::error::LinkError;
use super::facts::{CandidatePair, CandidateType};
use super::ice::limits::{GATHER_RELAYED, RELAY_SLOW};
use super::pairs::Route;
use super::relay::{Allocation, RelayServer, is_public};

/// A relayed address that is ours for one attempt to connect.
pub(super) struct RelayedBase {
    /// Our socket on loopback.
    socket: SocketAddr,
    allocation: Allocation,
    stands: Arc<Mutex<Stands>>,
}

/// Which address of the other side stands where on loopback, and where it comes from.
type Stands = BTreeMap<SocketAddr, (SocketAddr, CandidateType)>;

/// The first address that is given, of the family that is IPv6 or not: whoever is slow goes on
/// while the next one is asked.
async fn first(attempts: Vec<(RelayServer, bool)>) -> Option<Allocation> {
    let end = Instant::now() + GATHER_RELAYED;
    let mut attempts = attempts.into_iter();
    let mut running = JoinSet::new();
    loop {
        if let Some((server, is_ipv6)) = attempts.next() {
            running.spawn(open(server, is_ipv6));
        }
        let until = match attempts.len() {
            0 => end,
            _ => end.min(Instant::now() + RELAY_SLOW),
        };
        match timeout_at(until, running.join_next()).await {
            Ok(Some(Ok(Ok(allocation)))) => return Some(allocation),
            Ok(None) => return None,
            Err(_) if Instant::now() >= end => return None,
            Ok(Some(_)) | Err(_) => {}
        }
    }
}

/// Asks one relay, which is missed if it is slow or not there.
async fn open(server: RelayServer, is_ipv6: bool) -> Result<Allocation, LinkError> {
    let mut opening = pin!(Allocation::open(&server, is_ipv6));
    let opened = match timeout(RELAY_SLOW, &mut opening).await {
        Ok(opened) => opened,
        Err(_) => {
            server.miss();
            opening.await
        }
    };
    // Whoever refuses is there.
    if matches!(opened, Err(LinkError::NoPath | LinkError::Lost)) {
        server.miss();
    }
    opened
}

/// Told of another address of the other side, by where it stands.
pub(super) type Announced = Box<dyn Fn(SocketAddr) + Send + Sync>;

impl RelayedBase {
    /// Asks the first relay for an address, and the second one too if the first gives none or is
    /// slow: one of the family that the relay is at, but of IPv4 if we have none, as others may
    /// have nothing else. What comes there goes to `socket`.
    pub(super) async fn open(
        servers: &[RelayServer],
        socket: Option<SocketAddr>,
        has_ipv4: bool,
    ) -> Option<Self> {
        let socket = socket?;
        let servers = &servers[..servers.len().min(SERVERS_MAX)];
        let mut attempts: Vec<_> =
            servers.iter().map(|server| (server.clone(), server.address.is_ipv6())).collect();
        if !has_ipv4 {
            attempts.splice(0..0, servers.iter().map(|server| (server.clone(), false)));
        }
        let allocation = first(attempts).await?;
        Some(Self { socket, allocation, stands: Arc::default() })
    }

    /// Whether our address is no longer lent.
    pub(super) fn has_ended(&self) -> bool {
        self.allocation.has_ended()
    }

    /// Our candidate.
    pub(super) fn candidate(&self) -> Candidate {
        let (relayed, mapped) = (self.allocation.relayed(), Some(self.allocation.mapped()));
        Candidate::new(CandidateKind::Relay, relayed, mapped, "r".to_owned(), u16::MAX)
    }

    /// Where a candidate of the other side stands that is reached through the relay.
    pub(super) fn reach(&self, candidate: &Candidate) -> Option<SocketAddr> {
        let relayed = self.allocation.relayed();
        // A relay on the Internet serves nobody elsewhere.
        let is_served = is_public(candidate.addr.ip()) || !is_public(relayed.ip());
        if relayed.is_ipv4() != candidate.addr.is_ipv4() || !is_served {
            return None;
        }
        let stand = self.allocation.reach(candidate.addr, self.socket)?;
        lock(&self.stands).insert(stand, (candidate.addr, candidate.kind.into()));
        Some(stand)
    }

    /// Tells of whoever else talks to us through the relay.
    pub(super) fn announce(&self, announced: Announced) {
        let stands = self.stands.clone();
        let announce = move |remote, stand| {
            lock(&stands).insert(stand, (remote, CandidateType::PeerReflexive));
            announced(stand);
        };
        self.allocation.announce(self.socket, Box::new(announce));
    }

    /// The way to what stands there.
    pub(super) fn route(&self, stand: SocketAddr) -> Option<Route> {
        let (remote, remote_type) = *lock(&self.stands).get(&stand)?;
        Some(Route {
            local: self.allocation.relayed(),
            remote,
            pair: Some(CandidatePair { local: CandidateType::Relay, remote: remote_type }),
            words: format!("relay {} to {remote}", self.allocation.path()),
        })
    }
}

fn lock(stands: &Mutex<Stands>) -> MutexGuard<'_, Stands> {
    stands.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The priority of a candidate that is reached through a relay: after all that are reached without,
/// and one that is on a relay of its own comes last.
pub(super) fn priority(kind: CandidateKind, stand: SocketAddr) -> u32 {
    let rank = if kind == CandidateKind::Relay { 64 } else { 0 };
    let preference = u16::MAX / 2 - rank;
    Candidate::new(CandidateKind::Relay, stand, None, String::new(), preference).priority
}

// limits

/// Relays that are asked: a dead one costs time.
const SERVERS_MAX: usize = 2;
