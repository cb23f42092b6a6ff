//! Lending a relay (RFC 6940 §9): a node that others reach runs one at its port, publishes where,
//! and stops when they do not any more.
//!
//! An address that looks public may be behind a firewall (T-43), so a peer that we need not know
//! is asked to knock first, from a port that we have never sent anything to. That the knock
//! arrives proves it: nobody has to be believed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use webrtc_util::vnet::net::Net;

use super::addresses;
use super::clock::os_seed;
use super::ice::limits::STUN_RETRANSMISSIONS_MS;
use super::listen::bind_any;
use super::node::{Asker, NodeStatus, RelayOptions};
use super::ports::PortMapping;
use super::relay::{Granter, OpenPorts, Quota, RelayPort, RelayTerms, is_public};
use super::stun::BindingQuery;
use crate::base::{NodeId, ResourceId, Rng};
use crate::peer::{Answer, Command, StoreSpec};
use crate::usage::{Publication, RelaySecret, turn_records};

/// Whether others reach a node at its port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Not tried yet.
    #[default]
    Unknown,
    /// It has no public address: it is behind a NAT, or not on the Internet.
    Hidden,
    /// It has a public address, and no knock there arrives.
    Blocked(SocketAddr),
    /// Others reach it there.
    Reached(SocketAddr),
    /// Others reach it at this port of its router, which has opened it.
    Opened(SocketAddr),
}

/// The relay that answers at a bootstrap port, if one is lent, and who is awaited there.
#[derive(Clone, Debug, Default)]
pub struct Lending {
    relay: watch::Sender<Option<RelayPort>>,
    awaited: watch::Sender<Option<[u8; 12]>>,
    wanted: watch::Sender<Option<Quota>>,
}

impl Lending {
    /// Lends this relay from now on, or none.
    pub fn set(&self, relay: Option<RelayPort>) {
        self.relay.send_replace(relay);
    }

    /// Lends this much from now on if others reach us, or nothing.
    pub(super) fn want(&self, quota: Option<Quota>) {
        self.wanted.send_if_modified(|wanted| std::mem::replace(wanted, quota) != quota);
    }

    /// What is lent.
    pub fn relay(&self) -> Option<RelayPort> {
        self.relay.borrow().clone()
    }

    /// Awaits a Binding request with this transaction from now on.
    fn await_knock(&self, transaction: [u8; 12]) {
        self.awaited.send_replace(Some(transaction));
    }

    /// Waits until the awaited request has come.
    async fn knocked(&self) {
        // The sender is this one, so it does not end.
        let _ = self.awaited.subscribe().wait_for(Option::is_none).await;
    }

    /// A Binding request has come; it may be the awaited one.
    pub(super) fn on_binding(&self, request: &[u8]) {
        self.awaited.send_if_modified(|awaited| {
            let is_awaited = awaited.is_some_and(|t| request.get(8..20) == Some(&t[..]));
            if is_awaited {
                *awaited = None;
            }
            is_awaited
        });
    }
}

/// What lends.
pub(super) struct Lend {
    pub(super) asker: Asker,
    pub(super) status: watch::Receiver<NodeStatus>,
    pub(super) lending: Lending,
    pub(super) listen: SocketAddr,
    pub(super) node_id: NodeId,
    pub(super) options: RelayOptions,
    pub(super) realm: String,
    pub(super) density: u8,
    pub(super) ports: OpenPorts,
    pub(super) mapping: watch::Receiver<PortMapping>,
}

impl Lend {
    /// Goes to work; what it finds out of how others reach us.
    pub(super) fn start(self) -> watch::Receiver<Reach> {
        let (reach_in, reach) = watch::channel(Reach::Unknown);
        tokio::spawn(self.run(reach_in));
        reach
    }

    async fn run(mut self, reach: watch::Sender<Reach>) {
        let mut rng = Rng::new(os_seed());
        let mut lent: Option<(SocketAddr, Quota)> = None;
        let mut wanted = self.lending.wanted.subscribe();
        while self.status.wait_for(|status| status.joined).await.is_ok() {
            let own = addresses::offered(&Net::new(None), self.options.anywhere).await;
            let mapping = self.mapping.borrow_and_update().clone();
            let found = self.look(&own, &mapping, &mut rng).await;
            reach.send_replace(found);
            let quota = *wanted.borrow_and_update();
            let lendable = match (found, quota) {
                (Reach::Reached(address), Some(quota)) => Some((address, quota)),
                _ => None,
            };
            if lent != lendable {
                if let Some((before, _)) = lent.take() {
                    self.stop(before).await;
                }
                if let Some((address, quota)) = lendable {
                    self.lend(address, &own, quota, &mut rng).await;
                    lent = lendable;
                }
            }
            if self.pause(found, &mut wanted).await.is_err() {
                break;
            }
        }
        // The node has ended, and what is left of it lends nothing.
        self.lending.set(None);
    }

    /// Waits until it is worth looking again; an error once the node has ended.
    async fn pause(
        &mut self,
        found: Reach,
        wanted: &mut watch::Receiver<Option<Quota>>,
    ) -> Result<(), watch::error::RecvError> {
        let links = self.status.borrow().links;
        let (pause, awaits_links) = match found {
            Reach::Unknown => (LOOK_AGAIN, true),
            _ => (LOOK_LATER, false),
        };
        tokio::select! {
            () = sleep(pause) => {}
            // The sender is ours, so it does not end.
            _ = wanted.changed() => {}
            Ok(()) = self.mapping.changed() => {}
            // Somebody has come who may knock.
            changed = self.status.wait_for(|s| !s.joined || (awaits_links && s.links > links)) => {
                changed?;
            }
        }
        Ok(())
    }

    /// Whether others reach us, and where.
    async fn look(&self, own: &[IpAddr], mapping: &PortMapping, rng: &mut Rng) -> Reach {
        let is_ours = |ip: &&IpAddr| {
            let (any, listens) = (self.listen.ip().is_unspecified(), self.listen.ip() == **ip);
            (any || listens) && (self.options.anywhere || is_public(**ip))
        };
        // More users have IPv4 alone than IPv6 alone.
        let mut lendable: Vec<&IpAddr> = own.iter().filter(is_ours).collect();
        lendable.sort_by_key(|ip| (!is_public(**ip), ip.is_ipv6()));
        let (address, reached): (_, fn(SocketAddr) -> Reach) = match (lendable.first(), mapping) {
            (Some(ip), _) => (SocketAddr::new(**ip, self.listen.port()), Reach::Reached),
            (None, PortMapping::Open(address, _)) => (*address, Reach::Opened),
            (None, _) => return Reach::Hidden,
        };
        if self.options.anywhere {
            return reached(address);
        }
        let mut asked = 0;
        for _ in 0..ASKED_MAX {
            match self.have_knocked(address, rng).await {
                Some(true) => return reached(address),
                Some(false) => asked += 1,
                // Whoever it was cannot help us.
                None => {}
            }
            if asked == SILENT_MAX {
                return Reach::Blocked(address);
            }
        }
        Reach::Unknown
    }

    /// Asks somebody to knock; whether the knock has come, or `None` if nobody else was asked.
    async fn have_knocked(&self, address: SocketAddr, rng: &mut Rng) -> Option<bool> {
        let transaction = rng.bytes();
        let place = ResourceId::from_u128(u128::from_be_bytes(rng.bytes()));
        self.lending.await_knock(transaction);
        let ask = Command::AskKnock(place.into(), address, transaction);
        match self.asker.request(ask).await {
            Ok(Answer::Favored { node_id, .. }) if node_id != self.node_id => {}
            _ => return None,
        }
        Some(timeout(KNOCK, self.lending.knocked()).await.is_ok())
    }

    async fn lend(&self, address: SocketAddr, own: &[IpAddr], quota: Quota, rng: &mut Rng) {
        let secret = RelaySecret::new(&rng.bytes());
        let is_lendable = |ip: &&IpAddr| self.options.anywhere || is_public(**ip);
        let mut addresses: Vec<IpAddr> = own.iter().filter(is_lendable).copied().collect();
        addresses.sort_by_key(|ip| *ip != address.ip());
        let terms = RelayTerms {
            secret: secret.clone(),
            realm: self.realm.clone(),
            quota,
            addresses,
            own: own.to_vec(),
            ports: self.ports.clone(),
            anywhere: self.options.anywhere,
        };
        self.lending.set(Some(RelayPort::start(terms)));
        let granter = Granter { secret, realm: self.realm.clone() };
        self.asker.tell(Command::Lend(Some(Arc::new(granter)))).await;
        for spec in self.records(address) {
            let asker = self.asker.clone();
            // The peer tries until it is stored.
            tokio::spawn(async move { asker.request(Command::Publish(spec)).await });
        }
    }

    async fn stop(&self, address: SocketAddr) {
        self.lending.set(None);
        self.asker.tell(Command::Lend(None)).await;
        for spec in self.records(address) {
            let _ = self.asker.request(Command::Unpublish(spec)).await;
        }
    }

    fn records(&self, address: SocketAddr) -> impl Iterator<Item = StoreSpec> {
        let records = turn_records(self.node_id, address, self.density);
        records.into_iter().map(|Publication { resource, kind, value }| StoreSpec {
            resource,
            kind,
            value,
            lifetime_s: RECORD_LIFETIME_S,
        })
    }
}

/// Knocks at somebody's address, from a port that it does not know.
pub(super) fn knock(address: SocketAddr, transaction: [u8; 12], anywhere: bool) {
    if !anywhere && !is_public(address.ip()) {
        return;
    }
    tokio::spawn(async move {
        let Some(query) = BindingQuery::awaited(transaction) else { return };
        let Ok(socket) = UdpSocket::bind(bind_any(address)).await else { return };
        let mut waited = 0;
        for ms in STUN_RETRANSMISSIONS_MS {
            sleep(Duration::from_millis(ms - waited)).await;
            waited = ms;
            let _ = socket.send_to(&query.request, address).await;
        }
    });
}

// limits

/// Asked to knock at most, for a place of the ring is ours, or of somebody who does not knock.
const ASKED_MAX: usize = 8;
/// So many whose knock does not come are enough.
const SILENT_MAX: usize = 2;
/// How long a knock may take: some retransmissions and a way there.
const KNOCK: Duration = Duration::from_secs(2);
/// Until the next try if nobody was there to knock.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// And else: a laptop moves, a firewall is changed.
const LOOK_LATER: Duration = Duration::from_secs(300);
/// A relay that is gone is found for no longer, in seconds.
const RECORD_LIFETIME_S: u32 = 3600;
