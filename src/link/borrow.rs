//! Borrowing relays (RFC 6940 §9): one or two are always at hand, the nearest first, before
//! anybody dials.
//!
//! Whoever has let us in at its port is asked first. Once we are in the overlay, records are
//! looked for at random places, so that those who lend share the work.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::Transport;
use super::clock::os_seed;
use super::lend::Reach;
use super::node::{Asker, NodeStatus};
use super::relay::{Allocation, Asking, Grant, RelayServer, is_public};
use crate::base::{NodeId, ResourceId, Rng};
use crate::message::{Destination, FindReq, KindId, Places};
use crate::peer::{Answer, Command, FetchSpec};
use crate::usage::turn_server;

/// What borrows.
pub(super) struct Borrow {
    pub(super) asker: Asker,
    pub(super) status: watch::Receiver<NodeStatus>,
    /// Peers that take links at an address.
    pub(super) met: mpsc::Receiver<(NodeId, SocketAddr)>,
    pub(super) ready: watch::Sender<Vec<RelayServer>>,
    /// What relays at hand are given to tell that they are missed.
    pub(super) missed: mpsc::Sender<SocketAddr>,
    /// Addresses of those that are.
    pub(super) missing: mpsc::Receiver<SocketAddr>,
    pub(super) node_id: NodeId,
    /// Whoever is reached needs no relay.
    pub(super) reach: watch::Receiver<Reach>,
    /// Relays without public addresses are used too.
    pub(super) anywhere: bool,
}

/// A relay that answers us.
struct Known {
    node: NodeId,
    server: RelayServer,
    round_trip: Duration,
    renew_at: Instant,
}

impl Borrow {
    pub(super) async fn run(mut self) {
        let mut rng = Rng::new(os_seed());
        let mut known: Vec<Known> = Vec::new();
        let mut search_at = None;
        let mut pause = SEARCH_AGAIN_MIN;
        loop {
            if matches!(*self.reach.borrow_and_update(), Reach::Reached(_)) {
                known.clear();
                self.publish(&known);
                if self.reach.wait_for(|reach| !matches!(reach, Reach::Reached(_))).await.is_err() {
                    return;
                }
            }
            let is_joined = self.status.borrow_and_update().joined;
            if !is_joined {
                (search_at, pause) = (None, SEARCH_AGAIN_MIN);
            } else if search_at.is_none() {
                search_at = Some(Instant::now());
            }
            let due = known.iter().map(|relay| relay.renew_at).chain(search_at).min();
            let due = due.unwrap_or_else(|| Instant::now() + CHECK);
            let before = known.len();
            tokio::select! {
                met = self.met.recv() => match met {
                    Some((node, address)) => self.try_out(node, address, &mut known).await,
                    None => return,
                },
                Some(address) = self.missing.recv() => self.look_for(address, &mut known).await,
                changed = self.status.changed() => if changed.is_err() {
                    return;
                },
                changed = self.reach.changed() => if changed.is_err() {
                    return;
                },
                () = sleep_until(due) => {
                    self.check(&mut known).await;
                    if search_at.is_some_and(|at| at <= Instant::now()) {
                        self.search(&mut known, &mut rng).await;
                        // In an overlay without relays nobody is to look for them all the time.
                        pause = if known.len() < READY { pause * 2 } else { SEARCH_AGAIN_MAX };
                        pause = pause.min(SEARCH_AGAIN_MAX);
                        search_at = Some(Instant::now() + pause);
                    }
                }
            }
            if is_joined && known.len() < before {
                (search_at, pause) = (Some(Instant::now()), SEARCH_AGAIN_MIN);
            }
        }
    }

    /// Looks for relays until there are enough (RFC 6940 §9).
    async fn search(&mut self, known: &mut Vec<Known>, rng: &mut Rng) {
        for _ in 0..TRIES {
            if known.len() >= READY {
                return;
            }
            let Some((node, address)) = self.find(rng).await else { continue };
            if node != self.node_id && known.iter().all(|relay| relay.node != node) {
                self.try_out(node, address, known).await;
            }
        }
    }

    /// The record that is next to a random place.
    async fn find(&self, rng: &mut Rng) -> Option<(NodeId, SocketAddr)> {
        let resource = ResourceId::from_u128(u128::from_be_bytes(rng.bytes()));
        let query = FindReq { resource, kinds: vec![KindId::TURN_SERVICE] };
        let answer = self.asker.request(Command::Find(query)).await.ok()?;
        let Answer::Found { results, .. } = answer else { return None };
        let resource = results.first()?.closest()?.clone();
        let spec = FetchSpec { resource, kind: KindId::TURN_SERVICE, places: Places::Single };
        let answer = self.asker.request(Command::Fetch(spec)).await.ok()?;
        let Answer::Fetched(fetched) = answer else { return None };
        let value = fetched.values.first()?;
        Some((value.signer_node_id, turn_server(&value.value)?.address))
    }

    /// Asks a node for credentials and measures how far its relay is.
    async fn try_out(&self, node: NodeId, address: SocketAddr, known: &mut Vec<Known>) {
        if !self.anywhere && !is_public(address.ip()) {
            return;
        }
        let Some(grant) = self.ask(node).await else { return };
        let Some((round_trip, transport)) = measure(address).await else { return };
        let renew_at = Instant::now() + RENEW.min(Duration::from_secs(grant.lifetime_s.into()) / 2);
        let server = RelayServer { address, transport, grant, missed: self.missed.clone() };
        known.retain(|relay| relay.node != node);
        known.push(Known { node, server, round_trip, renew_at });
        known.sort_by_key(|relay| relay.round_trip);
        known.truncate(KNOWN_MAX);
        self.publish(known);
    }

    async fn ask(&self, node: NodeId) -> Option<Grant> {
        let (asking, question) = Asking::new()?;
        let ask = Command::AskRelay(Destination::from(node), question);
        match self.asker.request(ask).await.ok()? {
            Answer::Favored { answer, .. } => asking.read(&answer),
            _ => None,
        }
    }

    /// Asks again those whose credentials are getting old, and forgets who is gone.
    async fn check(&self, known: &mut Vec<Known>) {
        let now = Instant::now();
        let (due, mut kept): (Vec<Known>, Vec<Known>) =
            std::mem::take(known).into_iter().partition(|relay| relay.renew_at <= now);
        for relay in due {
            self.try_out(relay.node, relay.server.address, &mut kept).await;
        }
        *known = kept;
        self.publish(known);
    }

    /// Forgets a relay that is missed, if we do not find it either, or it lends no longer.
    async fn look_for(&self, address: SocketAddr, known: &mut Vec<Known>) {
        let found = known.iter().find(|relay| relay.server.address == address);
        let Some(relay) = found else { return };
        let is_there = answers(address, relay.server.transport).await.is_some();
        if !is_there || self.ask(relay.node).await.is_none() {
            known.retain(|relay| relay.server.address != address);
            self.publish(known);
        }
    }

    fn publish(&self, known: &[Known]) {
        let servers: Vec<RelayServer> = known.iter().map(|relay| relay.server.clone()).collect();
        self.ready.send_if_modified(|ready| {
            let is_new =
                !ready.iter().map(RelayServer::terms).eq(servers.iter().map(RelayServer::terms));
            *ready = servers;
            is_new
        });
    }
}

/// How far a relay is, and on which way: by TCP only if UDP does not come through.
async fn measure(address: SocketAddr) -> Option<(Duration, Transport)> {
    for transport in [Transport::Udp, Transport::Tcp] {
        if let Some(round_trip) = answers(address, transport).await {
            return Some((round_trip, transport));
        }
    }
    None
}

/// How long a relay takes to answer, if it does.
async fn answers(address: SocketAddr, transport: Transport) -> Option<Duration> {
    timeout(MEASURE, Allocation::round_trip(address, transport)).await.ok()?.ok()
}

// limits

/// Relays at hand: if one goes, or has lent all it lends, there is another.
const READY: usize = 2;
/// Relays that are remembered.
const KNOWN_MAX: usize = 4;
/// Places looked at in one search: with few relays most have the same one next to them.
const TRIES: usize = 6;
/// A relay that takes longer is of no use for a call.
const MEASURE: Duration = Duration::from_secs(1);
/// A relay is asked again after this time at most, which shows whether it is there.
const RENEW: Duration = Duration::from_secs(300);
/// Until the second search if the first has found too few, or one is gone; each time it is twice
/// as long.
const SEARCH_AGAIN_MIN: Duration = Duration::from_secs(1);
const SEARCH_AGAIN_MAX: Duration = Duration::from_secs(1800);
/// Between two looks when there is nothing to do.
const CHECK: Duration = Duration::from_secs(3600);
