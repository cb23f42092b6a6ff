//! Links between simulated peers: what each action of a peer makes happen, where and when.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;

use super::limits;
use super::map::Map;
use super::queue::{Happening, OnLink, Queue};
use crate::base::{Instant, Rng};
use crate::config::PORT_DEFAULT;
use crate::crypto::Certificate;
use crate::message::{CandidateType, IceCandidate, OVERLAY_LINK_DTLS_UDP_SR};
use crate::peer::{IceParameters, LinkAction, LinkError, LinkId};

/// One side of a link.
type End = (usize, LinkId);

/// All links.
#[derive(Debug)]
pub(super) struct Network {
    map: Map,
    rng: Rng,
    certificates: Vec<Arc<Certificate>>,
    is_alive: Vec<bool>,
    ends: BTreeMap<End, Side>,
    by_ufrag: BTreeMap<String, End>,
    links_accepted: u64,
    /// What has been sent, by the layers below included.
    pub(super) bytes_sent: u64,
}

/// What one side of a link knows.
#[derive(Debug, Default)]
struct Side {
    /// The other side, once this one has asked to be connected with it.
    other: Option<End>,
    /// Whom this side accepts; anybody if it dialled or was dialled.
    expected: Option<[u8; 32]>,
    is_up: bool,
    /// Whether the loss of the other side is going to be noticed.
    is_failing: bool,
    ufrag: Option<String>,
}

impl Network {
    /// No links yet between peers with these certificates.
    pub(super) fn new(map: Map, rng: Rng, certificates: Vec<Arc<Certificate>>) -> Self {
        Self {
            map,
            rng,
            is_alive: vec![true; certificates.len()],
            certificates,
            ends: BTreeMap::new(),
            by_ufrag: BTreeMap::new(),
            links_accepted: 0,
            bytes_sent: 0,
        }
    }

    /// Does what a peer wants of one of its links.
    pub(super) fn act(
        &mut self,
        now: Instant,
        peer: usize,
        link: LinkId,
        action: LinkAction,
        queue: &mut Queue,
    ) {
        let end = (peer, link);
        match action {
            LinkAction::Dial(address) => self.dial(now, end, address, queue),
            LinkAction::Gather(_) => {
                let parameters = self.gather(end);
                let what = Happening::Link(link, OnLink::Gathered(parameters));
                queue.push(now + limits::GATHER, peer, what);
            }
            LinkAction::Connect { remote, expected, .. } => {
                self.connect(now, end, &remote.ufrag, &expected, queue);
            }
            LinkAction::Send(bytes) => self.send(now, end, bytes, queue),
            LinkAction::Close => {
                let Some((to, other)) = self.remove(end).and_then(|side| side.other) else {
                    return;
                };
                let what = Happening::Link(other, OnLink::Down(LinkError::Lost));
                queue.push(now + self.map.one_way(peer, to), to, what);
            }
        }
    }

    /// Whether something that was going to happen on a link still does, and as what.
    pub(super) fn arrive(&mut self, peer: usize, link: LinkId, what: OnLink) -> Option<OnLink> {
        let side = self.ends.get_mut(&(peer, link))?;
        match what {
            OnLink::Up(_) => {
                let is_there = side.other.is_some_and(|(other, _)| self.is_alive[other]);
                side.is_up = is_there;
                // Otherwise connecting goes on until it takes too long.
                is_there.then_some(what)
            }
            OnLink::GiveUp if side.is_up => None,
            OnLink::GiveUp => {
                self.remove((peer, link));
                Some(OnLink::Down(LinkError::NoPath))
            }
            OnLink::Down(_) => {
                self.remove((peer, link));
                Some(what)
            }
            OnLink::Gathered(_) => Some(what),
            OnLink::Message(_) => side.is_up.then_some(what),
        }
    }

    /// A peer is gone: nobody is told, but idle links are noticed to be dead after a while.
    pub(super) fn kill(&mut self, now: Instant, peer: usize, queue: &mut Queue) {
        self.is_alive[peer] = false;
        let range = (peer, LinkId(0))..=(peer, LinkId(u64::MAX));
        let ends: Vec<End> = self.ends.range(range).map(|(end, _)| *end).collect();
        for end in ends {
            let Some((to, other)) = self.remove(end).and_then(|side| side.other) else { continue };
            let what = Happening::Link(other, OnLink::Down(LinkError::Lost));
            queue.push(now + limits::CONSENT, to, what);
        }
    }

    fn dial(&mut self, now: Instant, end: End, address: SocketAddr, queue: &mut Queue) {
        let (peer, link) = end;
        self.ends.insert(end, Side::default());
        queue.push(now + limits::CONNECT, peer, Happening::Link(link, OnLink::GiveUp));
        let is_there =
            |target: &usize| *target != peer && self.is_alive.get(*target) == Some(&true);
        let Some(target) = peer_at(address).filter(is_there) else { return };
        // Links that others open to a peer have odd numbers.
        let accepted = (target, LinkId(2 * self.links_accepted + 1));
        self.links_accepted += 1;
        self.ends.insert(accepted, Side { other: Some(end), ..Side::default() });
        self.ends.insert(end, Side { other: Some(accepted), ..Side::default() });
        let at = now + limits::HANDSHAKE_RTTS * self.map.round_trip(peer, target);
        self.come_up(at, end, accepted, queue);
    }

    fn come_up(&self, at: Instant, a: End, b: End, queue: &mut Queue) {
        for ((peer, link), (other, _)) in [(a, b), (b, a)] {
            let certificate = self.certificates[other].clone();
            queue.push(at, peer, Happening::Link(link, OnLink::Up(certificate)));
        }
    }

    /// A host candidate and a reflexive one, as behind a home router.
    fn gather(&mut self, end: End) -> IceParameters {
        let (ufrag, password) = (self.rng.ice_string(8), self.rng.ice_string(24));
        self.by_ufrag.insert(ufrag.clone(), end);
        self.ends.insert(end, Side { ufrag: Some(ufrag.clone()), ..Side::default() });
        let address = address_of(end.0);
        let candidate = |priority, candidate_type, related_address| IceCandidate {
            address,
            overlay_link: OVERLAY_LINK_DTLS_UDP_SR,
            foundation: b"1".to_vec(),
            priority,
            candidate_type,
            related_address,
            extensions: Vec::new(),
        };
        let host = candidate(2_130_706_431, CandidateType::Host, None);
        let reflexive = candidate(1_694_498_815, CandidateType::ServerReflexive, Some(address));
        IceParameters { ufrag, password, candidates: vec![host, reflexive] }
    }

    /// Connects two sides once both want it.
    fn connect(
        &mut self,
        now: Instant,
        end: End,
        ufrag: &str,
        expected: &Certificate,
        queue: &mut Queue,
    ) {
        let (peer, link) = end;
        let other = self.by_ufrag.get(ufrag).copied();
        let Some(side) = self.ends.get_mut(&end) else { return };
        side.other = other;
        side.expected = Some(expected.fingerprint);
        queue.push(now + limits::CONNECT, peer, Happening::Link(link, OnLink::GiveUp));
        let Some(other) = other else { return };
        let Some(side) = self.ends.get(&other).filter(|side| side.other == Some(end)) else {
            return;
        };
        let are_expected = side.expected == Some(self.certificates[peer].fingerprint)
            && expected.fingerprint == self.certificates[other.0].fingerprint;
        let handshake = limits::CHECK_RTTS + limits::HANDSHAKE_RTTS;
        let at = now + handshake * self.map.round_trip(peer, other.0);
        if are_expected {
            self.come_up(at, end, other, queue);
            return;
        }
        for (peer, link) in [end, other] {
            let what = OnLink::Down(LinkError::WrongCertificate);
            queue.push(at, peer, Happening::Link(link, what));
        }
    }

    fn send(&mut self, now: Instant, end: End, bytes: Bytes, queue: &mut Queue) {
        let (peer, link) = end;
        let Some(side) = self.ends.get_mut(&end) else { return };
        let Some((to, other)) = side.other else { return };
        let frames = bytes.len().div_ceil(limits::FRAGMENT_BYTES);
        self.bytes_sent += (bytes.len() + frames * limits::FRAME_BYTES) as u64;
        if self.is_alive[to] {
            let at = now + self.map.one_way(peer, to);
            queue.push(at, to, Happening::Link(other, OnLink::Message(bytes)));
        } else if !side.is_failing {
            side.is_failing = true;
            let what = Happening::Link(link, OnLink::Down(LinkError::Lost));
            queue.push(now + limits::UNACKNOWLEDGED, peer, what);
        }
    }

    fn remove(&mut self, end: End) -> Option<Side> {
        let side = self.ends.remove(&end)?;
        if let Some(ufrag) = &side.ufrag {
            self.by_ufrag.remove(ufrag);
        }
        Some(side)
    }
}

/// Where a peer listens.
pub(super) fn address_of(peer: usize) -> SocketAddr {
    let [_, a, b, c] = (peer as u32).to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(NET, a, b, c), PORT_DEFAULT))
}

/// Who listens there, if it is one of ours.
fn peer_at(address: SocketAddr) -> Option<usize> {
    let SocketAddr::V4(address) = address else { return None };
    let [net, a, b, c] = address.ip().octets();
    (net == NET).then(|| u32::from_be_bytes([0, a, b, c]) as usize)
}

/// The private network 10.0.0.0/8.
const NET: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::NodeId;
    use crate::crypto::CheapProvider;
    use crate::peer::{Purpose, Role};

    struct Lab {
        network: Network,
        queue: Queue,
        now: Instant,
    }

    impl Lab {
        fn new() -> Self {
            let certificate = |n: u128| {
                let identity = CheapProvider.identity(NodeId::from_u128(n), "user@sim.example");
                identity.expect("an identity").certificate
            };
            let certificates = (1..=3).map(certificate).collect();
            let mut rng = Rng::from_number(1);
            let map = Map::new(3, &mut rng);
            let network = Network::new(map, rng, certificates);
            Self { network, queue: Queue::default(), now: Instant::ORIGIN }
        }

        fn act(&mut self, peer: usize, link: u64, action: LinkAction) {
            self.network.act(self.now, peer, LinkId(link), action, &mut self.queue);
        }

        /// What happens until the end of time, in order.
        fn all(&mut self) -> Vec<(usize, u64, OnLink)> {
            let mut seen = Vec::new();
            while let Some((at, peer, what)) = self.queue.pop_until(Instant::from_micros(u64::MAX))
            {
                self.now = at;
                let Happening::Link(link, what) = what else { continue };
                if let Some(what) = self.network.arrive(peer, link, what) {
                    seen.push((peer, link.0, what));
                }
            }
            seen
        }

        fn gather(&mut self, peer: usize, link: u64) -> IceParameters {
            self.act(peer, link, LinkAction::Gather(Role::Requester));
            match self.all().pop() {
                Some((_, _, OnLink::Gathered(parameters))) => parameters,
                other => panic!("{other:?}"),
            }
        }

        fn connect(&mut self, peer: usize, link: u64, remote: &IceParameters, expected: usize) {
            let expected = self.network.certificates[expected].clone();
            let remote = remote.clone();
            let (role, purpose) = (Role::Requester, Purpose::Overlay);
            self.act(peer, link, LinkAction::Connect { remote, role, purpose, expected });
        }
    }

    #[test]
    fn a_dialled_link_carries_messages_both_ways_until_closed() {
        let mut lab = Lab::new();
        lab.act(0, 2, LinkAction::Dial(address_of(1)));
        let up = lab.all();
        let [(0, 2, OnLink::Up(a)), (1, accepted, OnLink::Up(b))] = &up[..] else {
            panic!("{up:?}")
        };
        assert_eq!((a.node_ids[0].to_u128(), b.node_ids[0].to_u128()), (2, 1));
        lab.act(1, *accepted, LinkAction::Send(Bytes::from_static(b"x")));
        lab.act(0, 2, LinkAction::Send(Bytes::from_static(b"y")));
        lab.act(0, 2, LinkAction::Close);
        let seen = lab.all();
        let [(1, _, OnLink::Message(y)), (1, _, OnLink::Down(LinkError::Lost))] = &seen[..] else {
            panic!("{seen:?}")
        };
        assert_eq!(&y[..], b"y");
    }

    #[test]
    fn a_link_comes_up_once_both_sides_want_it() {
        let mut lab = Lab::new();
        let [a, b] = [lab.gather(0, 2), lab.gather(1, 4)];
        lab.connect(0, 2, &b, 1);
        assert!(matches!(lab.all()[..], [(0, 2, OnLink::Down(LinkError::NoPath))]));
        let a = IceParameters { ufrag: lab.gather(0, 6).ufrag, ..a };
        lab.connect(0, 6, &b, 1);
        lab.connect(1, 4, &a, 0);
        let seen = lab.all();
        assert_eq!(seen.iter().filter(|s| matches!(s.2, OnLink::Up(_))).count(), 2, "{seen:?}");
    }

    #[test]
    fn a_wrong_certificate_is_noticed_and_a_dead_peer_late() {
        let mut lab = Lab::new();
        let [a, b] = [lab.gather(0, 2), lab.gather(1, 4)];
        lab.connect(0, 2, &b, 2);
        lab.connect(1, 4, &a, 0);
        let seen = lab.all();
        let is_wrong = |seen: &(usize, u64, OnLink)| {
            matches!(seen.2, OnLink::Down(LinkError::WrongCertificate))
        };
        assert!(seen.len() == 2 && seen.iter().all(is_wrong), "{seen:?}");

        lab.act(2, 2, LinkAction::Dial(address_of(1)));
        lab.all();
        let killed = lab.now;
        lab.network.kill(killed, 1, &mut lab.queue);
        lab.act(2, 2, LinkAction::Send(Bytes::from_static(b"x")));
        assert!(matches!(lab.all()[..], [(2, 2, OnLink::Down(LinkError::Lost))]));
        lab.act(2, 4, LinkAction::Dial(address_of(1)));
        assert!(matches!(lab.all()[..], [(2, 4, OnLink::Down(LinkError::NoPath))]));
    }
}
