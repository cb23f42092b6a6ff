//! Links between simulated peers: what each action of a peer makes happen, where and when.
//!
//! Both sides of each link stand in one table; a peer's own names for its links are in a short
//! sorted list beside it. Nothing is looked up by text: the user fragment that ICE hands from one
//! side to the other says which row of the table it came from.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::limits;
use super::map::Map;
use super::queue::{Happening, OnLink, Queue};
use crate::base::{Instant, Rng};
use crate::config::PORT_DEFAULT;
use crate::crypto::Certificate;
use crate::link::bootstrap::limits::HANDSHAKES_UNPROVEN_MAX;
use crate::message::{CandidateType, IceCandidate, OVERLAY_LINK_DTLS_UDP_SR};
use crate::peer::{IceParameters, LinkAction, LinkError, LinkId, Role};

/// One side of a link: a row of the table, and how often the row had been used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    row: u32,
    generation: u32,
}

/// What links do to messages; all zero means that every frame arrives, once and in order.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// The share of frames that are lost and cost a retransmission timeout.
    pub loss: f64,
    /// The share of messages that come twice.
    pub duplication: f64,
    /// The share of messages that others overtake.
    pub reordering: f64,
}

/// Something that happens to a peer on one of its links.
#[derive(Debug)]
pub(super) enum Arrival {
    Gathered(IceParameters),
    Up(Arc<Certificate>),
    Message(Bytes),
    Undelivered(Bytes),
    Down(LinkError),
}

/// All links.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) map: Map,
    pub(super) faults: Faults,
    rng: Rng,
    /// Whether east and west cannot reach each other.
    is_split: bool,
    /// The share of pairs that can never reach each other, and how many of the first peers can be
    /// reached by everybody.
    walls: (f64, u32),
    members: Vec<Member>,
    rows: Vec<Side>,
    free: Vec<u32>,
    accepted: u32,
    bytes_sent: u64,
}

/// A peer as the network sees it.
#[derive(Debug)]
struct Member {
    certificate: Arc<Certificate>,
    is_alive: bool,
    /// Its links and their rows, sorted.
    links: Vec<(u32, u32)>,
}

/// What one side of a link knows.
#[derive(Debug, Default)]
struct Side {
    generation: u32,
    peer: u32,
    link: u32,
    is_up: bool,
    /// Whether it is the server of the handshake.
    is_server: bool,
    /// The other side, once this one has asked to be connected with it.
    other: Option<End>,
    /// Whom this side accepts; anybody if it dialled or was dialled.
    expected: Option<Arc<Certificate>>,
    /// When what is sent now will be known not to have arrived, if the other side is gone; the
    /// origin if it is there.
    failing: Instant,
    /// When the last of what was sent arrives.
    arrived: Instant,
    /// Since when nothing has been sent.
    quiet: Instant,
}

impl Network {
    /// No links and nobody to have any.
    pub(super) fn new(rng: Rng) -> Self {
        Self {
            map: Map::default(),
            faults: Faults::default(),
            rng,
            is_split: false,
            walls: (0.0, 0),
            members: Vec::new(),
            rows: Vec::new(),
            free: Vec::new(),
            accepted: 0,
            bytes_sent: 0,
        }
    }

    /// Puts walls between this share of all pairs; the first peers are reached by everybody.
    pub(super) fn wall_off(&mut self, share: f64, public: u32) {
        self.walls = (share, public);
    }

    /// Whether there is a wall between two peers.
    pub(super) fn is_walled(&self, a: u32, b: u32) -> bool {
        let (share, public) = self.walls;
        if share <= 0.0 || a.min(b) < public {
            return false;
        }
        let pair = u64::from(a.min(b)) << 32 | u64::from(a.max(b));
        Rng::from_number(pair).unit() < share
    }

    /// The next peer, whose place is on the map already.
    pub(super) fn add(&mut self, certificate: Arc<Certificate>) {
        self.members.push(Member { certificate, is_alive: true, links: Vec::new() });
    }

    /// Does what a peer wants of one of its links.
    pub(super) fn act(
        &mut self,
        now: Instant,
        peer: u32,
        link: LinkId,
        action: LinkAction,
        queue: &mut Queue,
    ) {
        match action {
            LinkAction::Dial(address) => {
                let end = self.insert(now, peer, link);
                self.dial(now, end, address, queue);
            }
            LinkAction::Gather(..) => {
                let end = self.insert(now, peer, link);
                queue.push(now + limits::GATHER, Happening::Link(end, OnLink::Gathered));
            }
            LinkAction::Connect { remote, expected, role, .. } => {
                if let Some(end) = self.end(peer, link) {
                    self.rows[end.row as usize].is_server = role == Role::Requester;
                    self.connect(now, end, &remote.ufrag, expected, queue);
                }
            }
            LinkAction::Send(bytes) => {
                if let Some(end) = self.end(peer, link) {
                    self.send(now, end, bytes, queue);
                }
            }
            LinkAction::Retire => {}
            LinkAction::Close => {
                if let Some(end) = self.end(peer, link) {
                    self.close(now, end, queue);
                }
            }
        }
    }

    /// Whether something that was going to happen on a link still does: to whom, on which of its
    /// links, and what.
    pub(super) fn arrive(
        &mut self,
        now: Instant,
        end: End,
        what: OnLink,
        queue: &mut Queue,
    ) -> Option<(u32, LinkId, Arrival)> {
        let side = self.side(end)?;
        let (peer, link, is_up) = (side.peer, LinkId(side.link.into()), side.is_up);
        let arrival = match what {
            OnLink::Gathered => Arrival::Gathered(parameters(end, peer)),
            OnLink::Up => {
                // Otherwise connecting goes on until it takes too long.
                let other = self.other(end).filter(|_| self.is_connected(end))?;
                let certificate = self.members[other as usize].certificate.clone();
                let side = self.side_mut(end)?;
                (side.is_up, side.expected, side.quiet) = (true, None, now);
                Arrival::Up(certificate)
            }
            OnLink::GiveUp if is_up => return None,
            OnLink::GiveUp => {
                self.remove(now, end);
                Arrival::Down(LinkError::NoPath)
            }
            OnLink::Down(error) => {
                self.remove(now, end);
                Arrival::Down(error)
            }
            OnLink::Message(_) if !is_up => return None,
            OnLink::Message(bytes) => {
                self.keep_alive(now, end);
                Arrival::Message(bytes)
            }
            OnLink::Unacknowledged(bytes) => {
                if self.is_connected(end) {
                    let side = self.side_mut(end)?;
                    side.failing = Instant::ORIGIN;
                    let other = side.other?;
                    return self.arrive(now, other, OnLink::Message(bytes), queue);
                }
                let failing = &mut self.side_mut(end)?.failing;
                if std::mem::take(failing) > Instant::ORIGIN {
                    queue.push(now, Happening::Link(end, OnLink::Down(LinkError::Lost)));
                }
                Arrival::Undelivered(bytes)
            }
        };
        Some((peer, link, arrival))
    }

    /// A peer is gone: nobody is told, but idle links are noticed to be dead after a while.
    pub(super) fn kill(&mut self, now: Instant, peer: u32, queue: &mut Queue) {
        let member = &mut self.members[peer as usize];
        member.is_alive = false;
        let rows: Vec<u32> = member.links.iter().map(|(_, row)| *row).collect();
        for row in rows {
            let end = End { row, generation: self.rows[row as usize].generation };
            if let Some(other) = self.remove(now, end) {
                self.notice_loss(now, other, queue);
            }
        }
    }

    /// Cuts east and west off from each other, or connects them again.
    pub(super) fn split(&mut self, now: Instant, is_split: bool, queue: &mut Queue) {
        self.is_split = is_split;
        for row in 0..self.rows.len() as u32 {
            let end = End { row, generation: self.rows[row as usize].generation };
            if is_split && self.rows[row as usize].is_up && !self.is_connected(end) {
                self.notice_loss(now, end, queue);
            }
        }
    }

    /// What has been sent until now, by the layers below and to keep links alive included.
    pub(super) fn bytes_sent(&mut self, now: Instant) -> u64 {
        for row in 0..self.rows.len() as u32 {
            self.count_keep_alives(now, row);
        }
        self.bytes_sent
    }

    fn dial(&mut self, now: Instant, end: End, address: SocketAddr, queue: &mut Queue) {
        queue.push(now + limits::CONNECT, Happening::Link(end, OnLink::GiveUp));
        let Some(peer) = self.side(end).map(|side| side.peer) else { return };
        let Some(target) = peer_at(address).filter(|t| *t != peer && self.reaches(peer, *t)) else {
            return;
        };
        let cookie = match self.handshakes(target) < HANDSHAKES_UNPROVEN_MAX {
            true => 0,
            false => limits::COOKIE_RTTS,
        };
        // Links that others open to a peer have odd numbers.
        let link = LinkId(u64::from(2 * self.accepted + 1));
        self.accepted += 1;
        let accepted = self.insert(now, target, link);
        self.rows[accepted.row as usize].other = Some(end);
        self.rows[end.row as usize].other = Some(accepted);
        queue.push(now + limits::CONNECT, Happening::Link(accepted, OnLink::GiveUp));
        let at = now + (cookie + limits::HANDSHAKE_RTTS) * self.map.round_trip(peer, target);
        queue.push(at, Happening::Link(end, OnLink::Up));
        queue.push(at, Happening::Link(accepted, OnLink::Up));
    }

    /// Links that others are opening to a peer.
    fn handshakes(&self, peer: u32) -> usize {
        let links = &self.members[peer as usize].links;
        let is_opening =
            |(link, row): &&(u32, u32)| link % 2 == 1 && !self.rows[*row as usize].is_up;
        links.iter().filter(is_opening).count()
    }

    /// Connects two sides once both want it.
    fn connect(
        &mut self,
        now: Instant,
        end: End,
        ufrag: &str,
        expected: Arc<Certificate>,
        queue: &mut Queue,
    ) {
        queue.push(now + limits::CONNECT, Happening::Link(end, OnLink::GiveUp));
        let other = end_of(ufrag);
        let Some(side) = self.side_mut(end) else { return };
        side.other = other;
        side.expected = Some(expected);
        let wants_us = |other: &End| self.side(*other).is_some_and(|s| s.other == Some(end));
        let Some(other) = other.filter(wants_us) else { return };
        if !self.is_connected(end) {
            return;
        }
        let (here, there) = (&self.rows[end.row as usize], &self.rows[other.row as usize]);
        let handshake = limits::CHECK_RTTS + limits::HANDSHAKE_RTTS;
        let round_trip = self.map.round_trip(here.peer, there.peer);
        let are_expected = [(here, there.peer), (there, here.peer)].iter().all(|(side, peer)| {
            let shown = self.members[*peer as usize].certificate.fingerprint;
            side.expected.as_ref().is_some_and(|c| c.fingerprint == shown)
        });
        for end in [end, other] {
            let is_server = self.rows[end.row as usize].is_server;
            let last_flight = if is_server { round_trip / 2 } else { Duration::ZERO };
            let at = now + handshake * round_trip - last_flight;
            let what = match are_expected {
                true => OnLink::Up,
                false => OnLink::Down(LinkError::WrongCertificate),
            };
            queue.push(at, Happening::Link(end, what));
        }
    }

    fn send(&mut self, now: Instant, end: End, bytes: Bytes, queue: &mut Queue) {
        let Some(side) = self.side(end).filter(|side| side.is_up) else { return };
        let (peer, Some(other)) = (side.peer, side.other) else { return };
        self.keep_alive(now, end);
        let frames = bytes.len().div_ceil(limits::FRAGMENT_BYTES);
        let cost = (bytes.len() + frames * limits::FRAME_BYTES) as u64;
        self.bytes_sent += cost;
        let to = self.side(other).map(|side| side.peer);
        let way = to.filter(|_| self.is_connected(end)).and_then(|to| self.way(peer, to, cost));
        let Some(way) = way else {
            let round_trip = to.map_or(limits::RTT_MEAN, |to| self.map.round_trip(peer, to));
            let silence = limits::SUSPECT_TIMEOUTS * round_trip.max(limits::RETRANSMISSION_MIN);
            let row = &mut self.rows[end.row as usize];
            if row.failing == Instant::ORIGIN {
                row.failing = now + silence;
            }
            let at = row.failing;
            return queue.push(at, Happening::Link(end, OnLink::Unacknowledged(bytes)));
        };
        let row = &mut self.rows[end.row as usize];
        row.arrived = row.arrived.max(now + way);
        if self.faults.duplication > 0.0 && self.rng.unit() < self.faults.duplication {
            let again = now + way + limits::REORDERED_MAX.mul_f64(self.rng.unit());
            queue.push(again, Happening::Link(other, OnLink::Message(bytes.clone())));
        }
        queue.push(now + way, Happening::Link(other, OnLink::Message(bytes)));
    }

    /// How long a message takes, retransmissions included; `None` if they are used up first.
    fn way(&mut self, from: u32, to: u32, cost: u64) -> Option<Duration> {
        let one_way = self.map.one_way(from, to);
        let Faults { loss, reordering, .. } = self.faults;
        let mut way = one_way;
        if reordering > 0.0 && self.rng.unit() < reordering {
            way += limits::REORDERED_MAX.mul_f64(self.rng.unit());
        }
        if loss > 0.0 {
            let mut timeout = (2 * one_way).max(limits::RETRANSMISSION_MIN);
            let mut transmissions = 1;
            while self.rng.unit() < loss {
                if transmissions == limits::TRANSMISSIONS_MAX {
                    return None;
                }
                transmissions += 1;
                self.bytes_sent += cost;
                way += timeout;
                timeout *= 2;
            }
        }
        Some(way)
    }

    fn close(&mut self, now: Instant, end: End, queue: &mut Queue) {
        let Some(side) = self.side(end) else { return };
        let (peer, arrived) = (side.peer, side.arrived);
        let is_connected = self.is_connected(end);
        let Some(other) = self.remove(now, end) else { return };
        let Some(to) = self.side(other).map(|side| side.peer) else { return };
        if is_connected {
            let at = arrived.max(now + self.map.one_way(peer, to));
            queue.push(at, Happening::Link(other, OnLink::Down(LinkError::Lost)));
        } else {
            self.notice_loss(now, other, queue);
        }
    }

    /// The loss of an idle link is noticed when nothing has been heard for long enough.
    fn notice_loss(&mut self, now: Instant, end: End, queue: &mut Queue) {
        let since = limits::KEEPALIVE.mul_f64(self.rng.unit());
        let at = now + limits::KEEPALIVE_LOST - since;
        queue.push(at, Happening::Link(end, OnLink::Down(LinkError::Lost)));
    }

    /// Something is sent on this side now, so that no frame is needed to keep the link alive.
    fn keep_alive(&mut self, now: Instant, end: End) {
        self.count_keep_alives(now, end.row);
        self.rows[end.row as usize].quiet = now;
    }

    fn count_keep_alives(&mut self, now: Instant, row: u32) {
        let side = &mut self.rows[row as usize];
        if side.is_up {
            let interval = limits::KEEPALIVE.as_micros() as u64;
            let sent = now.saturating_since(side.quiet).as_micros() as u64 / interval;
            side.quiet = side.quiet + limits::KEEPALIVE * sent as u32;
            self.bytes_sent += sent * limits::KEEPALIVE_BYTES;
        }
    }

    fn insert(&mut self, now: Instant, peer: u32, link: LinkId) -> End {
        let row = self.free.pop().unwrap_or_else(|| {
            self.rows.push(Side::default());
            self.rows.len() as u32 - 1
        });
        let link = link.0 as u32;
        let generation = self.rows[row as usize].generation;
        let side = Side { generation, peer, link, quiet: now, ..Side::default() };
        self.rows[row as usize] = side;
        let links = &mut self.members[peer as usize].links;
        let place = links.partition_point(|(other, _)| *other < link);
        links.insert(place, (link, row));
        End { row, generation }
    }

    /// Forgets a side; the other one, if it knew one.
    fn remove(&mut self, now: Instant, end: End) -> Option<End> {
        self.side(end)?;
        self.count_keep_alives(now, end.row);
        let side = &mut self.rows[end.row as usize];
        side.generation = side.generation.wrapping_add(1);
        side.is_up = false;
        side.expected = None;
        let (peer, link, other) = (side.peer, side.link, side.other.take());
        self.free.push(end.row);
        self.members[peer as usize].links.retain(|(other, _)| *other != link);
        other
    }

    fn end(&self, peer: u32, link: LinkId) -> Option<End> {
        let links = &self.members[peer as usize].links;
        let place = links.binary_search_by_key(&(link.0 as u32), |(link, _)| *link).ok()?;
        let row = links[place].1;
        Some(End { row, generation: self.rows[row as usize].generation })
    }

    fn side(&self, end: End) -> Option<&Side> {
        let side = self.rows.get(end.row as usize)?;
        (side.generation == end.generation).then_some(side)
    }

    fn side_mut(&mut self, end: End) -> Option<&mut Side> {
        let side = self.rows.get_mut(end.row as usize)?;
        (side.generation == end.generation).then_some(side)
    }

    fn other(&self, end: End) -> Option<u32> {
        self.side(self.side(end)?.other?).map(|side| side.peer)
    }

    /// Whether the other side is there and can be reached.
    fn is_connected(&self, end: End) -> bool {
        let peers = self.side(end).zip(self.other(end));
        peers.is_some_and(|(side, other)| self.reaches(side.peer, other))
    }

    fn reaches(&self, from: u32, to: u32) -> bool {
        let is_alive = self.members.get(to as usize).is_some_and(|member| member.is_alive);
        let is_cut = self.is_split && self.map.is_west(from) != self.map.is_west(to);
        is_alive && !is_cut && !self.is_walled(from, to)
    }
}

/// A host candidate and a reflexive one, as behind a home router, under a user fragment that
/// names the row.
fn parameters(end: End, peer: u32) -> IceParameters {
    let address = address_of(peer);
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
    let number = u64::from(end.generation) << 32 | u64::from(end.row);
    let ufrag = format!("{number:x}");
    IceParameters { password: format!("{number:024x}"), ufrag, candidates: vec![host, reflexive] }
}

/// The row that a user fragment names.
fn end_of(ufrag: &str) -> Option<End> {
    let number = u64::from_str_radix(ufrag, 16).ok()?;
    Some(End { row: number as u32, generation: (number >> 32) as u32 })
}

/// Where a peer listens.
pub(super) fn address_of(peer: u32) -> SocketAddr {
    let [_, a, b, c] = peer.to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(NET, a, b, c), PORT_DEFAULT))
}

/// Who listens there, if it is one of ours.
fn peer_at(address: SocketAddr) -> Option<u32> {
    let SocketAddr::V4(address) = address else { return None };
    let [net, a, b, c] = address.ip().octets();
    (net == NET).then(|| u32::from_be_bytes([0, a, b, c]))
}

/// The private network 10.0.0.0/8.
const NET: u8 = 10;

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;
