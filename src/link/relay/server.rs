//! A TURN server (RFC 8656) for UDP on one port, without sockets: datagrams and the time go in,
//! what is to be done comes out.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use stun::message::{
    METHOD_ALLOCATE, METHOD_CHANNEL_BIND, METHOD_CREATE_PERMISSION, METHOD_REFRESH,
};

use super::allocation::Allocation;
use super::limits::{
    LIFETIME_DEFAULT, LIFETIME_MAX, NONCE_LIFETIME_MS, PEERS_IN_REQUEST_MAX, REFUSALS_PER_S,
};
use super::message::{Draft, LongTermKey, PROTOCOL_UDP, Received, Refusal};
use super::own::OpenPorts;
use super::peers::is_public;
use super::quota::{Bucket, Exceeded, Quota, Usage};
use super::wire::{CHANNELS, read_channel, read_send};
use crate::base::{Instant, NodeId, Now};
use crate::link::Transport;
use crate::usage::RelaySecret;

/// Who talks to the relay: the other end of the 5-tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    /// Its address as we see it.
    pub remote: SocketAddr,
    /// How it talks to us.
    pub transport: Transport,
}

/// What a relay is made of.
#[derive(Clone, Debug)]
pub struct RelayTerms {
    /// Where passwords come from.
    pub secret: RelaySecret,
    /// The realm of the passwords: the overlay's name.
    pub realm: String,
    /// What is lent.
    pub quota: Quota,
    /// Where relayed addresses are opened: the first of either family.
    pub addresses: Vec<IpAddr>,
    /// This machine's addresses: at them only relayed ports are relayed to, and these.
    pub own: Vec<IpAddr>,
    /// Where our own node awaits strangers.
    pub ports: OpenPorts,
    /// Relays to any address, those of this machine too: for overlays on one machine or of
    /// networks without public addresses, by the user's choice.
    pub anywhere: bool,
}

/// What is to be done.
#[derive(Debug)]
pub enum Outcome<'a, S> {
    /// Nothing.
    Nothing,
    /// This goes back to the client.
    Answer(Vec<u8>),
    /// A socket is to be opened, then [`Relay::opened`] to be called.
    Open(Opening),
    /// This data goes from a relayed address to a peer.
    Send {
        /// From where.
        socket: &'a S,
        /// To whom.
        peer: SocketAddr,
        /// What.
        data: &'a [u8],
    },
}

/// An Allocate that waits for a socket.
#[derive(Debug)]
pub struct Opening {
    client: Client,
    user: NodeId,
    key: LongTermKey,
    lifetime_s: u32,
    ip: IpAddr,
    request: Received,
}

impl Opening {
    /// Whether the port is to be even.
    pub fn is_even(&self) -> bool {
        self.request.wants_even_port()
    }

    /// The address that the socket is to have.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }
}

/// How data of a peer reaches a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// As data of this channel.
    Channel(u16),
    /// In a Data indication.
    Indication,
}

/// A relay. `S` is a socket of a relayed address; dropping it closes it.
#[derive(Debug)]
pub struct Relay<S> {
    terms: RelayTerms,
    allocations: HashMap<Client, Allocation<S>>,
    /// The relayed addresses at present.
    relayed: HashSet<SocketAddr>,
    usage: Usage,
    refusals: Bucket,
}

impl<S> Relay<S> {
    /// A relay that nobody uses yet.
    pub fn new(terms: RelayTerms) -> Self {
        Self {
            usage: Usage::new(terms.quota),
            terms,
            allocations: HashMap::new(),
            relayed: HashSet::new(),
            refusals: Bucket::default(),
        }
    }

    /// How many relayed addresses there are.
    pub fn sessions(&self) -> usize {
        self.allocations.len()
    }

    /// Whether a client has one.
    pub fn serves(&self, client: Client) -> bool {
        self.allocations.contains_key(&client)
    }

    /// Takes in a datagram or a message of a stream. Whatever it is, nothing breaks.
    pub fn from_client<'a>(
        &'a mut self,
        now: Now,
        client: Client,
        message: &'a [u8],
    ) -> Outcome<'a, S> {
        match message.first() {
            Some(64..=127) => self.on_channel(now.instant, client, message),
            Some(0) if message.get(1) == Some(&0x16) => self.on_send(now.instant, client, message),
            Some(0..=3) => self.on_request(now, client, message),
            _ => Outcome::Nothing,
        }
    }

    /// A socket is open for an Allocate at this address, as others reach it; or could not be
    /// opened. What is returned goes to the client.
    pub fn opened(
        &mut self,
        now: Now,
        opening: Opening,
        socket: Option<(SocketAddr, S)>,
    ) -> Vec<u8> {
        let Opening { client, user, key, lifetime_s, request, .. } = opening;
        let Some((relayed, socket)) = socket else {
            return Draft::refusal(&request, Refusal::CAPACITY).proved(&key);
        };
        if let Err(exceeded) = self.usage.begin(user) {
            let refusal = match exceeded {
                Exceeded::ByUser => Refusal::QUOTA_REACHED,
                Exceeded::ByAll => Refusal::CAPACITY,
            };
            return Draft::refusal(&request, refusal).proved(&key);
        }
        let answer = Draft::success(&request)
            .relayed(relayed)
            .mapped(SocketAddr::new(client.remote.ip().to_canonical(), client.remote.port()))
            .lifetime_s(lifetime_s)
            .proved(&key);
        let until = now.instant + Duration::from_secs(lifetime_s.into());
        let made = (request.transaction(), answer.clone());
        self.remove(client);
        self.relayed.insert(relayed);
        let allocation = Allocation::new(user, (relayed, socket), until, made);
        self.allocations.insert(client, allocation);
        answer
    }

    /// How `length` bytes that have come from `peer` to the relayed address of a client reach it;
    /// `None` if they do not.
    pub fn from_peer(
        &mut self,
        now: Instant,
        client: Client,
        peer: SocketAddr,
        length: usize,
    ) -> Option<Framing> {
        let allocation = self.allocations.get(&client)?;
        let passes =
            allocation.permits(now, peer.ip()) && self.usage.passes(now, allocation.user, length);
        let channel = || allocation.channel_of(now, peer);
        passes.then(|| channel().map_or(Framing::Indication, Framing::Channel))
    }

    /// When to call [`Self::expire`].
    pub fn deadline(&self) -> Option<Instant> {
        self.allocations.values().map(|allocation| allocation.until).min()
    }

    /// Ends what is over.
    pub fn expire(&mut self, now: Instant) {
        let over = self.allocations.iter().filter(|(_, allocation)| allocation.until <= now);
        for client in over.map(|(client, _)| *client).collect::<Vec<_>>() {
            self.remove(client);
        }
    }

    /// Ends what a client has, as its connection has ended.
    pub fn remove(&mut self, client: Client) {
        if let Some(allocation) = self.allocations.remove(&client) {
            self.relayed.remove(&allocation.relayed);
            self.usage.end(allocation.user);
        }
    }

    fn on_channel<'a>(
        &'a mut self,
        now: Instant,
        client: Client,
        message: &'a [u8],
    ) -> Outcome<'a, S> {
        let Some((number, data)) = read_channel(message) else { return Outcome::Nothing };
        let peer = self.allocations.get(&client).and_then(|a| a.peer_of(now, number));
        match peer {
            Some(peer) => self.send(now, client, peer, data),
            None => Outcome::Nothing,
        }
    }

    fn on_send<'a>(
        &'a mut self,
        now: Instant,
        client: Client,
        message: &'a [u8],
    ) -> Outcome<'a, S> {
        let Some((peer, data)) = read_send(message) else { return Outcome::Nothing };
        match self.allocations.get(&client) {
            Some(allocation) if allocation.permits(now, peer.ip()) => {
                self.send(now, client, peer, data)
            }
            _ => Outcome::Nothing,
        }
    }

    fn send<'a>(
        &'a mut self,
        now: Instant,
        client: Client,
        peer: SocketAddr,
        data: &'a [u8],
    ) -> Outcome<'a, S> {
        let is_own = !self.terms.anywhere && self.terms.own.contains(&peer.ip());
        let Some(allocation) = self.allocations.get(&client) else { return Outcome::Nothing };
        let is_closed = is_own && !self.relayed.contains(&peer) && !self.terms.ports.has(peer);
        if is_closed || !self.usage.passes(now, allocation.user, data.len()) {
            return Outcome::Nothing;
        }
        Outcome::Send { socket: &allocation.socket, peer, data }
    }

    fn on_request(&mut self, now: Now, client: Client, message: &[u8]) -> Outcome<'_, S> {
        let Some(mut request) = Received::read(message) else { return Outcome::Nothing };
        let methods =
            [METHOD_ALLOCATE, METHOD_REFRESH, METHOD_CREATE_PERMISSION, METHOD_CHANNEL_BIND];
        let Some(method) = request.request().filter(|method| methods.contains(method)) else {
            return Outcome::Nothing;
        };
        let (user, key) = match self.authenticate(now, &mut request) {
            Ok(proved) => proved,
            Err(refusal) => return self.refuse(now, &request, refusal),
        };
        let unknown = request.unknown();
        if !unknown.is_empty() {
            let draft = Draft::refusal(&request, Refusal::UNKNOWN_ATTRIBUTE);
            return Outcome::Answer(draft.unknown(&unknown).proved(&key));
        }
        let answer = if method == METHOD_ALLOCATE {
            match self.allocate(client, (user, &key), &request) {
                Ok(outcome) => return outcome,
                Err(refusal) => Err(refusal),
            }
        } else {
            self.serve(now.instant, client, user, &request)
        };
        let draft = answer.unwrap_or_else(|refusal| Draft::refusal(&request, refusal));
        Outcome::Answer(draft.proved(&key))
    }

    /// RFC 8489 §9.2.4.
    fn authenticate(
        &self,
        now: Now,
        request: &mut Received,
    ) -> Result<(NodeId, LongTermKey), Refusal> {
        if !request.has_integrity() {
            return Err(Refusal::UNAUTHENTICATED);
        }
        let (Some(username), Some(realm), Some(nonce)) =
            (request.username(), request.realm(), request.nonce())
        else {
            return Err(Refusal::BAD_REQUEST);
        };
        if !self.terms.secret.is_fresh(&nonce, now.unix_ms) {
            return Err(Refusal::STALE_NONCE);
        }
        let (node, until_unix_ms, password) =
            self.terms.secret.read(&username).ok_or(Refusal::UNAUTHENTICATED)?;
        let key = LongTermKey::new(&username, &self.terms.realm, &password);
        let is_valid =
            realm == self.terms.realm && until_unix_ms > now.unix_ms && request.is_proved(&key);
        if is_valid { Ok((node, key)) } else { Err(Refusal::UNAUTHENTICATED) }
    }

    /// Refuses who has proved nothing, and not so often that it helps a flood on others.
    fn refuse(&mut self, now: Now, request: &Received, refusal: Refusal) -> Outcome<'_, S> {
        if !self.refusals.has(now.instant, 1, REFUSALS_PER_S) {
            return Outcome::Nothing;
        }
        self.refusals.take(1);
        let mut draft = Draft::refusal(request, refusal);
        if refusal != Refusal::BAD_REQUEST {
            let nonce = self.terms.secret.nonce(now.unix_ms + NONCE_LIFETIME_MS);
            draft = draft.realm(&self.terms.realm).nonce(&nonce);
        }
        Outcome::Answer(draft.plain())
    }

    /// RFC 8656 §7.2.
    fn allocate(
        &mut self,
        client: Client,
        (user, key): (NodeId, &LongTermKey),
        request: &Received,
    ) -> Result<Outcome<'_, S>, Refusal> {
        if let Some(known) = self.allocations.get(&client) {
            return match known.made_by == request.transaction() {
                true => Ok(Outcome::Answer(known.answer.clone())),
                false => Err(Refusal::ALLOCATION_MISMATCH),
            };
        }
        match request.transport() {
            None => return Err(Refusal::BAD_REQUEST),
            Some(PROTOCOL_UDP) => {}
            Some(_) => return Err(Refusal::TRANSPORT_NOT_SUPPORTED),
        }
        let is_ipv6 = request.wants_ipv6()?;
        let of_family = self.terms.addresses.iter().find(|ip| ip.is_ipv6() == is_ipv6);
        let ip = *of_family.ok_or(Refusal::FAMILY_NOT_SUPPORTED)?;
        // Nobody needs two ports in a row any more (RFC 8656 §7.2 allows to refuse).
        if request.wants_reservation() {
            return Err(Refusal::CAPACITY);
        }
        let lifetime_s = request.lifetime_s().unwrap_or(0).clamp(LIFETIME_DEFAULT, LIFETIME_MAX);
        let (key, request) = (key.clone(), request.clone());
        Ok(Outcome::Open(Opening { client, user, key, lifetime_s, ip, request }))
    }

    /// Whatever concerns an allocation that is there.
    fn serve(
        &mut self,
        now: Instant,
        client: Client,
        user: NodeId,
        request: &Received,
    ) -> Result<Draft, Refusal> {
        let allocation = self
            .allocations
            .get_mut(&client)
            .filter(|allocation| allocation.until > now)
            .ok_or(Refusal::ALLOCATION_MISMATCH)?;
        if allocation.user != user {
            return Err(Refusal::WRONG_CREDENTIALS);
        }
        if request.request() == Some(METHOD_REFRESH) {
            return self.refresh(now, client, request);
        }
        let peers = request.peers()?;
        if peers.is_empty() || peers.len() > PEERS_IN_REQUEST_MAX {
            return Err(Refusal::BAD_REQUEST);
        }
        // Either all or none (RFC 8656 §10.2).
        for peer in &peers {
            if peer.is_ipv4() != allocation.relayed.is_ipv4() {
                return Err(Refusal::FAMILY_MISMATCH);
            }
            if !self.terms.anywhere && !is_public(peer.ip()) {
                return Err(Refusal::FORBIDDEN);
            }
        }
        if request.request() == Some(METHOD_CHANNEL_BIND) {
            let number = request.channel().filter(|number| CHANNELS.contains(number));
            let (Some(number), [peer]) = (number, &peers[..]) else {
                return Err(Refusal::BAD_REQUEST);
            };
            allocation.bind(now, number, *peer)?;
        } else {
            peers.iter().try_for_each(|peer| allocation.permit(now, peer.ip()))?;
        }
        Ok(Draft::success(request))
    }

    /// RFC 8656 §8.2.
    fn refresh(
        &mut self,
        now: Instant,
        client: Client,
        request: &Received,
    ) -> Result<Draft, Refusal> {
        let allocation = self.allocations.get_mut(&client).ok_or(Refusal::ALLOCATION_MISMATCH)?;
        if request.wants_ipv6().is_ok_and(|is_ipv6| is_ipv6 && allocation.relayed.is_ipv4()) {
            return Err(Refusal::FAMILY_MISMATCH);
        }
        let lifetime_s = match request.lifetime_s() {
            Some(0) => {
                self.remove(client);
                0
            }
            wanted => {
                let lifetime_s = wanted.unwrap_or(0).clamp(LIFETIME_DEFAULT, LIFETIME_MAX);
                allocation.until = now + Duration::from_secs(lifetime_s.into());
                lifetime_s
            }
        };
        Ok(Draft::success(request).lifetime_s(lifetime_s))
    }
}
