//! The relays of one ICE agent: their addresses are candidates of ours, and whatever candidate of
//! the other side is reached through them is one more for the agent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::candidate::{Candidate, CandidateKind};
use super::facts::{CandidatePair, CandidateType};
use super::ice::limits::{GATHER_RELAYED, RELAY_SLOW};
use super::relay::{Allocation, RelayServer, is_public};

/// Relayed addresses that are ours for one attempt to connect.
#[derive(Default)]
pub(super) struct Relays {
    /// The agent's socket on loopback.
    agent: Option<SocketAddr>,
    allocations: Vec<Allocation>,
    stands: Arc<Mutex<Stands>>,
}

/// What stands where on loopback.
type Stands = BTreeMap<SocketAddr, Stand>;

/// Which relay, by its place in the list, and which address of the other side.
#[derive(Clone, Copy)]
struct Stand {
    index: usize,
    remote: SocketAddr,
    remote_type: CandidateType,
}

/// The first address that is given, of the family that is IPv6 or not: whoever is slow goes on
/// while the next one is asked.
async fn first(attempts: Vec<(RelayServer, bool)>) -> Option<Allocation> {
    let end = Instant::now() + GATHER_RELAYED;
    let mut attempts = attempts.into_iter();
    let mut running = JoinSet::new();
    loop {
        if let Some((server, is_ipv6)) = attempts.next() {
            running.spawn(async move { Allocation::open(&server, is_ipv6).await });
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

/// Adds a candidate of the other side to the agent.
pub(super) type AddRemote = Arc<dyn Fn(&Candidate) + Send + Sync>;

impl Relays {
    /// Asks the first relay for an address, and the second one too if the first gives none or is
    /// slow: one of the family that the relay is at, but of IPv4 if we have none, as others may
    /// have nothing else.
    pub(super) async fn open(
        servers: &[RelayServer],
        agent: Option<SocketAddr>,
        has_ipv4: bool,
    ) -> Self {
        let servers = &servers[..servers.len().min(if agent.is_some() { SERVERS_MAX } else { 0 })];
        let mut attempts: Vec<_> =
            servers.iter().map(|server| (server.clone(), server.address.is_ipv6())).collect();
        if !has_ipv4 {
            attempts.splice(0..0, servers.iter().map(|server| (server.clone(), false)));
        }
        let allocations = first(attempts).await.into_iter().collect();
        Self { agent, allocations, stands: Arc::default() }
    }

    /// Our candidates.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let candidate = |(index, allocation): (usize, &Allocation)| {
            let (foundation, preference) = (format!("r{index}"), u16::MAX - index as u16);
            let (relayed, mapped) = (allocation.relayed(), Some(allocation.mapped()));
            Candidate::new(CandidateKind::Relay, relayed, mapped, foundation, preference)
        };
        self.allocations.iter().enumerate().map(candidate).collect()
    }

    /// What a candidate of the other side looks like to the agent through each relay.
    pub(super) fn reach(&self, candidate: &Candidate) -> Vec<Candidate> {
        let Some(agent) = self.agent else { return Vec::new() };
        let mut seen = Vec::new();
        for (index, allocation) in self.allocations.iter().enumerate() {
            let relayed = allocation.relayed();
            // A relay on the Internet serves nobody elsewhere.
            let is_served = is_public(candidate.addr.ip()) || !is_public(relayed.ip());
            if relayed.is_ipv4() != candidate.addr.is_ipv4() || !is_served {
                continue;
            }
            if let Some(stand) = allocation.reach(candidate.addr, agent) {
                let (remote, remote_type) = (candidate.addr, candidate.kind.into());
                self.note(stand, Stand { index, remote, remote_type });
                seen.push(through(index, stand, candidate.kind));
            }
        }
        seen
    }

    /// Has the agent told of whoever else talks to us.
    pub(super) fn announce(&self, add: AddRemote) {
        let Some(agent) = self.agent else { return };
        for (index, allocation) in self.allocations.iter().enumerate() {
            let (stands, add) = (self.stands.clone(), add.clone());
            allocation.announce(
                agent,
                Box::new(move |remote, stand| {
                    let remote_type = CandidateType::PeerReflexive;
                    stands
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(stand, Stand { index, remote, remote_type });
                    add(&through(index, stand, CandidateKind::ServerReflexive));
                }),
            );
        }
    }

    /// Keeps the relay that the selected pair goes through, if it does; the others are given back.
    pub(super) fn keep(mut self, stand: SocketAddr) -> Option<RelayedPair> {
        let stands = self.stands.lock().unwrap_or_else(PoisonError::into_inner);
        let stand = *stands.get(&stand)?;
        drop(stands);
        let allocation = self.allocations.swap_remove(stand.index);
        Some(RelayedPair { allocation, stand })
    }

    fn note(&self, stand: SocketAddr, reached: Stand) {
        self.stands.lock().unwrap_or_else(PoisonError::into_inner).insert(stand, reached);
    }
}

/// A pair whose local candidate is on a relay.
pub(super) struct RelayedPair {
    allocation: Allocation,
    stand: Stand,
}

impl RelayedPair {
    /// Our address on the relay.
    pub(super) fn local(&self) -> SocketAddr {
        self.allocation.relayed()
    }

    /// The other side's address.
    pub(super) fn remote(&self) -> SocketAddr {
        self.stand.remote
    }

    /// The types of both ends.
    pub(super) fn pair(&self) -> CandidatePair {
        CandidatePair { local: CandidateType::Relay, remote: self.stand.remote_type }
    }

    /// The pair in words, for people.
    pub(super) fn path(&self) -> String {
        format!("relay {} to {}", self.allocation.path(), self.stand.remote)
    }
}

/// The candidate that stands on loopback. It comes after all that are reached without a relay, and
/// one that is on a relay of its own comes last.
fn through(index: usize, stand: SocketAddr, kind: CandidateKind) -> Candidate {
    let rank = if kind == CandidateKind::Relay { 64 } else { 0 } + index as u16;
    let foundation = format!("t{index}");
    Candidate::new(CandidateKind::Relay, stand, None, foundation, u16::MAX / 2 - rank)
}

// limits

/// Relays that are asked: a dead one costs time.
const SERVERS_MAX: usize = 2;
