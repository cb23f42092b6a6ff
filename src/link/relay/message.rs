//! Requests of TURN and their answers (RFC 8656 §5, RFC 8489 §9.2), for both ends.

use std::net::SocketAddr;

use stun::attributes::{
    ATTR_CHANNEL_NUMBER, ATTR_DATA, ATTR_ERROR_CODE, ATTR_EVEN_PORT, ATTR_FINGERPRINT,
    ATTR_LIFETIME, ATTR_MESSAGE_INTEGRITY, ATTR_NONCE, ATTR_REALM, ATTR_REQUESTED_ADDRESS_FAMILY,
    ATTR_REQUESTED_TRANSPORT, ATTR_RESERVATION_TOKEN, ATTR_UNKNOWN_ATTRIBUTES, ATTR_USERNAME,
    ATTR_XOR_PEER_ADDRESS, ATTR_XOR_RELAYED_ADDRESS, ATTR_XORMAPPED_ADDRESS, AttrType,
};
use stun::integrity::MessageIntegrity;
use stun::message::{
    CLASS_ERROR_RESPONSE, CLASS_REQUEST, CLASS_SUCCESS_RESPONSE, Message, MessageClass,
    MessageType, Method, Setter,
};

use super::limits::MESSAGE_MAX;
use super::wire::{XOR_PEER_ADDRESS, read_address, write_address};

/// Why a request is refused (RFC 8656 §19, RFC 8489 §14.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub u16, pub &'static str);

impl Refusal {
    /// Something is missing or makes no sense.
    pub const BAD_REQUEST: Self = Self(400, "Bad Request");
    /// No proof, or none that holds.
    pub const UNAUTHENTICATED: Self = Self(401, "Unauthenticated");
    /// Nothing is relayed to that address.
    pub const FORBIDDEN: Self = Self(403, "Forbidden");
    /// An attribute that has to be understood is not.
    pub const UNKNOWN_ATTRIBUTE: Self = Self(420, "Unknown Attribute");
    /// There is an allocation already, or none.
    pub const ALLOCATION_MISMATCH: Self = Self(437, "Allocation Mismatch");
    /// The nonce is over; a new one comes along.
    pub const STALE_NONCE: Self = Self(438, "Stale Nonce");
    /// The relay has no address of that family.
    pub const FAMILY_NOT_SUPPORTED: Self = Self(440, "Address Family not Supported");
    /// The allocation is somebody else's.
    pub const WRONG_CREDENTIALS: Self = Self(441, "Wrong Credentials");
    /// Only UDP is relayed.
    pub const TRANSPORT_NOT_SUPPORTED: Self = Self(442, "Unsupported Transport Protocol");
    /// The peer's address is of another family than the relayed one.
    pub const FAMILY_MISMATCH: Self = Self(443, "Peer Address Family Mismatch");
    /// This user has enough.
    pub const QUOTA_REACHED: Self = Self(486, "Allocation Quota Reached");
    /// All users together have enough.
    pub const CAPACITY: Self = Self(508, "Insufficient Capacity");
}

/// The key of long-term credentials (RFC 8489 §9.2.2).
#[derive(Clone)]
pub struct LongTermKey(MessageIntegrity);

impl LongTermKey {
    /// The key of these three.
    pub fn new(username: &str, realm: &str, password: &str) -> Self {
        let (username, realm, password) = (username.into(), realm.into(), password.into());
        Self(MessageIntegrity::new_long_term_integrity(username, realm, password))
    }
}

impl std::fmt::Debug for LongTermKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LongTermKey")
    }
}

/// A message that somebody has sent, still without proof.
#[derive(Clone, Debug)]
pub struct Received(Message);

impl Received {
    /// Reads a datagram.
    pub fn read(datagram: &[u8]) -> Option<Self> {
        if datagram.len() > MESSAGE_MAX || !stun::message::is_message(datagram) {
            return None;
        }
        let mut message = Message::new();
        message.raw = datagram.to_vec();
        message.decode().ok()?;
        Some(Self(message))
    }

    /// The method, if it is a request.
    pub fn request(&self) -> Option<Method> {
        (self.0.typ.class == CLASS_REQUEST).then_some(self.0.typ.method)
    }

    /// Whether it is the good answer to a method; `None` if it is no answer to it at all.
    pub fn answers(&self, method: Method) -> Option<bool> {
        let class = self.0.typ.class;
        let is_answer = class == CLASS_SUCCESS_RESPONSE || class == CLASS_ERROR_RESPONSE;
        (is_answer && self.0.typ.method == method).then_some(class == CLASS_SUCCESS_RESPONSE)
    }

    /// What tells this transaction from others.
    pub fn transaction(&self) -> [u8; 12] {
        self.0.transaction_id.0
    }

    /// Whether it is proved with a key.
    pub fn is_proved(&mut self, key: &LongTermKey) -> bool {
        key.0.check(&mut self.0).is_ok()
    }

    /// Whether there is a proof at all.
    pub fn has_integrity(&self) -> bool {
        self.0.contains(ATTR_MESSAGE_INTEGRITY)
    }

    /// For whom it claims to be.
    pub fn username(&self) -> Option<String> {
        self.text(ATTR_USERNAME)
    }

    /// The realm.
    pub fn realm(&self) -> Option<String> {
        self.text(ATTR_REALM)
    }

    /// The nonce.
    pub fn nonce(&self) -> Option<String> {
        self.text(ATTR_NONCE)
    }

    /// The number of an error.
    pub fn error(&self) -> Option<u16> {
        let value = self.value(ATTR_ERROR_CODE)?;
        Some(u16::from(value.get(2)? & 7) * 100 + u16::from(*value.get(3)?))
    }

    /// Seconds.
    pub fn lifetime_s(&self) -> Option<u32> {
        Some(u32::from_be_bytes(*self.value(ATTR_LIFETIME)?.first_chunk()?))
    }

    /// The number of IP's protocol that is to be relayed.
    pub fn transport(&self) -> Option<u8> {
        self.value(ATTR_REQUESTED_TRANSPORT)?.first().copied()
    }

    /// Whether an address of IPv6 is asked for; an error if it is neither that nor IPv4.
    pub fn wants_ipv6(&self) -> Result<bool, Refusal> {
        match self.value(ATTR_REQUESTED_ADDRESS_FAMILY).map(|value| value.first().copied()) {
            None | Some(Some(1)) => Ok(false),
            Some(Some(2)) => Ok(true),
            Some(_) => Err(Refusal::FAMILY_NOT_SUPPORTED),
        }
    }

    /// The number of a channel.
    pub fn channel(&self) -> Option<u16> {
        Some(u16::from_be_bytes(*self.value(ATTR_CHANNEL_NUMBER)?.first_chunk()?))
    }

    /// Whether an even port is asked for.
    pub fn wants_even_port(&self) -> bool {
        self.0.contains(ATTR_EVEN_PORT)
    }

    /// Whether a port is to be set aside for later, or one that was.
    pub fn wants_reservation(&self) -> bool {
        let reserves = |value: &[u8]| value.first().is_some_and(|first| first & 0x80 != 0);
        self.0.contains(ATTR_RESERVATION_TOKEN) || self.value(ATTR_EVEN_PORT).is_some_and(reserves)
    }

    /// All peers; an error if one does not parse.
    pub fn peers(&self) -> Result<Vec<SocketAddr>, Refusal> {
        let peers = self.0.attributes.0.iter().filter(|a| a.typ.value() == XOR_PEER_ADDRESS);
        peers
            .map(|a| read_address(&a.value, &self.0.transaction_id.0).ok_or(Refusal::BAD_REQUEST))
            .collect()
    }

    /// Our address on the relay.
    pub fn relayed_address(&self) -> Option<SocketAddr> {
        read_address(self.value(ATTR_XOR_RELAYED_ADDRESS)?, &self.0.transaction_id.0)
    }

    /// Our address as the relay sees it.
    pub fn mapped_address(&self) -> Option<SocketAddr> {
        read_address(self.value(ATTR_XORMAPPED_ADDRESS)?, &self.0.transaction_id.0)
    }

    /// Attributes that have to be understood and are not (RFC 8489 §6.3.1).
    pub fn unknown(&self) -> Vec<AttrType> {
        let all = self.0.attributes.0.iter().map(|attribute| attribute.typ);
        all.filter(|typ| typ.required() && !KNOWN.contains(typ)).collect()
    }

    fn text(&self, typ: AttrType) -> Option<String> {
        String::from_utf8(self.value(typ)?.to_vec()).ok()
    }

    fn value(&self, typ: AttrType) -> Option<&[u8]> {
        let all = &self.0.attributes.0;
        all.iter().find(|attribute| attribute.typ == typ).map(|attribute| &attribute.value[..])
    }
}

/// A message on its way out.
#[derive(Debug)]
pub struct Draft(Message);

impl Draft {
    /// A request.
    pub fn request(method: Method, transaction: [u8; 12]) -> Self {
        Self::new(method, CLASS_REQUEST, transaction)
    }

    /// The good answer to a request.
    pub fn success(to: &Received) -> Self {
        Self::new(to.0.typ.method, CLASS_SUCCESS_RESPONSE, to.transaction())
    }

    /// The answer to a request that is refused.
    pub fn refusal(to: &Received, refusal: Refusal) -> Self {
        let draft = Self::new(to.0.typ.method, CLASS_ERROR_RESPONSE, to.transaction());
        let Refusal(code, reason) = refusal;
        let mut value = vec![0, 0, (code / 100) as u8, (code % 100) as u8];
        value.extend_from_slice(reason.as_bytes());
        draft.with(ATTR_ERROR_CODE, &value)
    }

    /// With a realm.
    pub fn realm(self, realm: &str) -> Self {
        self.with(ATTR_REALM, realm.as_bytes())
    }

    /// With a nonce.
    pub fn nonce(self, nonce: &str) -> Self {
        self.with(ATTR_NONCE, nonce.as_bytes())
    }

    /// With a user name.
    pub fn username(self, username: &str) -> Self {
        self.with(ATTR_USERNAME, username.as_bytes())
    }

    /// With a lifetime in seconds.
    pub fn lifetime_s(self, lifetime_s: u32) -> Self {
        self.with(ATTR_LIFETIME, &lifetime_s.to_be_bytes())
    }

    /// UDP is to be relayed.
    pub fn udp(self) -> Self {
        self.with(ATTR_REQUESTED_TRANSPORT, &[PROTOCOL_UDP, 0, 0, 0])
    }

    /// An address of IPv6 is asked for, or one of IPv4.
    pub fn family(self, is_ipv6: bool) -> Self {
        self.with(ATTR_REQUESTED_ADDRESS_FAMILY, &[1 + u8::from(is_ipv6), 0, 0, 0])
    }

    /// With the number of a channel.
    pub fn channel(self, number: u16) -> Self {
        let [high, low] = number.to_be_bytes();
        self.with(ATTR_CHANNEL_NUMBER, &[high, low, 0, 0])
    }

    /// With a peer.
    pub fn peer(self, peer: SocketAddr) -> Self {
        self.address(ATTR_XOR_PEER_ADDRESS, peer)
    }

    /// With a relayed address.
    pub fn relayed(self, address: SocketAddr) -> Self {
        self.address(ATTR_XOR_RELAYED_ADDRESS, address)
    }

    /// With the address that the client comes from.
    pub fn mapped(self, address: SocketAddr) -> Self {
        self.address(ATTR_XORMAPPED_ADDRESS, address)
    }

    /// With the attributes that are not understood.
    pub fn unknown(self, unknown: &[AttrType]) -> Self {
        let value: Vec<u8> = unknown.iter().flat_map(|typ| typ.value().to_be_bytes()).collect();
        self.with(ATTR_UNKNOWN_ATTRIBUTES, &value)
    }

    /// The bytes, proved with a key.
    pub fn proved(mut self, key: &LongTermKey) -> Vec<u8> {
        // It fails only behind a FINGERPRINT, of which there is none.
        let _ = key.0.add_to(&mut self.0);
        self.0.raw
    }

    /// The bytes, without proof.
    pub fn plain(self) -> Vec<u8> {
        self.0.raw
    }

    fn new(method: Method, class: MessageClass, transaction: [u8; 12]) -> Self {
        let mut message = Message::new();
        message.set_type(MessageType::new(method, class));
        message.transaction_id = stun::agent::TransactionId(transaction);
        message.write_header();
        Self(message)
    }

    fn address(self, typ: AttrType, address: SocketAddr) -> Self {
        let mut value = Vec::with_capacity(20);
        write_address(&mut value, address, &self.0.transaction_id.0);
        self.with(typ, &value)
    }

    fn with(mut self, typ: AttrType, value: &[u8]) -> Self {
        self.0.add(typ, value);
        self
    }
}

/// Number of UDP in IP.
pub const PROTOCOL_UDP: u8 = 17;

/// DONT-FRAGMENT is not among them: what the system does with the bit is its own affair.
const KNOWN: [AttrType; 14] = [
    ATTR_USERNAME,
    ATTR_REALM,
    ATTR_NONCE,
    ATTR_MESSAGE_INTEGRITY,
    ATTR_FINGERPRINT,
    ATTR_LIFETIME,
    ATTR_REQUESTED_TRANSPORT,
    ATTR_REQUESTED_ADDRESS_FAMILY,
    ATTR_EVEN_PORT,
    ATTR_RESERVATION_TOKEN,
    ATTR_CHANNEL_NUMBER,
    ATTR_XOR_PEER_ADDRESS,
    ATTR_DATA,
    ATTR_XORMAPPED_ADDRESS,
];
