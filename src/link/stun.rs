//! STUN Binding (RFC 8489): asking which address we appear under, and answering others who ask
//! at our bootstrap port (RFC 6940 §6.5.1.4). Pure; ICE's own checks are in `webrtc-ice`.

use std::net::SocketAddr;

use stun::agent::TransactionId;
use stun::attributes::{ATTR_MESSAGE_INTEGRITY, ATTR_USERNAME};
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::{
    BINDING_REQUEST, BINDING_SUCCESS, CLASS_INDICATION, Getter, METHOD_BINDING, Message,
    MessageType,
};
use stun::textattrs::TextAttribute;
use stun::xoraddr::XorMappedAddress;

/// No STUN message that concerns us is longer (RFC 8489 §6.1: the path MTU is unknown).
const MESSAGE_MAX: usize = 1280;

/// What the first byte of a datagram says about it (RFC 7983 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// STUN.
    Stun,
    /// A DTLS record.
    Dtls,
    /// TURN channel data.
    Channel,
    /// RTP or RTCP, protected or not.
    Media,
    /// ZRTP or noise.
    Other,
}

impl Packet {
    /// Tells the protocols of one port apart.
    pub fn classify(datagram: &[u8]) -> Self {
        match datagram.first() {
            Some(0..=3) => Self::Stun,
            Some(20..=63) => Self::Dtls,
            // RFC 7983 leaves 64..=79 of these; RFC 5766 §11.4 had them all.
            Some(64..=127) => Self::Channel,
            Some(128..=191) => Self::Media,
            _ => Self::Other,
        }
    }
}

/// A Binding request and what recognises its answer.
#[derive(Clone, Debug)]
pub struct BindingQuery {
    /// The datagram to send; the same for each retransmission (RFC 8489 §6.2.1).
    pub request: Vec<u8>,
    transaction: TransactionId,
}

impl BindingQuery {
    /// A request with a fresh transaction ID.
    pub fn new() -> Option<Self> {
        Self::of(TransactionId::new())
    }

    /// A request with the transaction ID that somebody awaits.
    pub fn awaited(transaction: [u8; 12]) -> Option<Self> {
        Self::of(TransactionId(transaction))
    }

    fn of(transaction: TransactionId) -> Option<Self> {
        let mut message = Message::new();
        let parts: [Box<dyn stun::message::Setter>; 3] =
            [Box::new(BINDING_REQUEST), Box::new(transaction), Box::new(FINGERPRINT)];
        message.build(&parts).ok()?;
        Some(Self { request: message.raw, transaction })
    }

    /// The address that `datagram` tells, if it is the answer to this query.
    pub fn mapped_address(&self, datagram: &[u8]) -> Option<SocketAddr> {
        let message = decode(datagram)?;
        if message.typ != BINDING_SUCCESS || message.transaction_id != self.transaction {
            return None;
        }
        let mut mapped = XorMappedAddress::default();
        mapped.get_from(&message).ok()?;
        Some(SocketAddr::new(mapped.ip.to_canonical(), mapped.port))
    }
}

/// The answer to a Binding request from `source`, or `None` if `datagram` is not one that a plain
/// STUN server answers. ICE checks, which carry credentials, are not for the bootstrap port.
pub fn answer_binding(datagram: &[u8], source: SocketAddr) -> Option<Vec<u8>> {
    let request = decode(datagram)?;
    if request.typ != BINDING_REQUEST
        || request.contains(ATTR_MESSAGE_INTEGRITY)
        || request.contains(ATTR_USERNAME)
    {
        return None;
    }
    let mapped = XorMappedAddress { ip: source.ip().to_canonical(), port: source.port() };
    let mut answer = Message::new();
    let parts: [Box<dyn stun::message::Setter>; 4] = [
        Box::new(BINDING_SUCCESS),
        Box::new(request.transaction_id),
        Box::new(mapped),
        Box::new(FINGERPRINT),
    ];
    answer.build(&parts).ok()?;
    Some(answer.raw)
}

/// The answer to a check that the other side of a link goes on with after ICE is done, or `None` if
/// `datagram` is not one that it can have sent. `credentials` are our user name fragment and our
/// password (RFC 8445 §7.3).
pub fn answer_check(
    datagram: &[u8],
    source: SocketAddr,
    (ufrag, password): (&str, &str),
) -> Option<Vec<u8>> {
    let mut request = decode(datagram)?;
    if request.typ != BINDING_REQUEST {
        return None;
    }
    let username = TextAttribute::get_from_as(&request, ATTR_USERNAME).ok()?;
    if !username.text.strip_prefix(ufrag)?.starts_with(':') {
        return None;
    }
    let integrity = MessageIntegrity::new_short_term_integrity(password.to_owned());
    integrity.check(&mut request).ok()?;
    let mapped = XorMappedAddress { ip: source.ip().to_canonical(), port: source.port() };
    let mut answer = Message::new();
    let parts: [Box<dyn stun::message::Setter>; 5] = [
        Box::new(BINDING_SUCCESS),
        Box::new(request.transaction_id),
        Box::new(mapped),
        Box::new(integrity),
        Box::new(FINGERPRINT),
    ];
    answer.build(&parts).ok()?;
    Some(answer.raw)
}

/// The transaction that `datagram` answers with success, if whoever sent it knows `password`
/// (RFC 8445 §7.2.5.3).
pub fn proven_answer(datagram: &[u8], password: &str) -> Option<[u8; 12]> {
    let mut answer = decode(datagram).filter(|answer| answer.typ == BINDING_SUCCESS)?;
    let integrity = MessageIntegrity::new_short_term_integrity(password.to_owned());
    integrity.check(&mut answer).ok()?;
    Some(answer.transaction_id.0)
}

/// A Binding message that an agent is about to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// A check, by its transaction.
    Request([u8; 12]),
    /// The answer to one.
    Success,
}

impl Binding {
    /// What `datagram` is, if it is one of these.
    pub fn of(datagram: &[u8]) -> Option<Self> {
        let message = decode(datagram)?;
        match message.typ {
            BINDING_REQUEST => Some(Self::Request(message.transaction_id.0)),
            BINDING_SUCCESS => Some(Self::Success),
            _ => None,
        }
    }
}

/// A Binding indication, which keeps the bindings of NATs open and is never answered (RFC 8445
/// §11, RFC 6940 §6.5.1.10.3).
pub fn binding_indication() -> Option<Vec<u8>> {
    let mut message = Message::new();
    let parts: [Box<dyn stun::message::Setter>; 3] = [
        Box::new(MessageType::new(METHOD_BINDING, CLASS_INDICATION)),
        Box::new(TransactionId::new()),
        Box::new(FINGERPRINT),
    ];
    message.build(&parts).ok()?;
    Some(message.raw)
}

fn decode(datagram: &[u8]) -> Option<Message> {
    if datagram.len() > MESSAGE_MAX || !stun::message::is_message(datagram) {
        return None;
    }
    let mut message = Message::new();
    message.raw = datagram.to_vec();
    message.decode().ok()?;
    Some(message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// R6940-6.5.1.4-03: a Binding request is answered with XOR-MAPPED-ADDRESS.
    #[test]
    fn the_answer_tells_the_source() {
        for source in ["203.0.113.7:40000", "[2001:db8::7]:40000"] {
            let source: SocketAddr = source.parse().unwrap();
            let query = BindingQuery::new().unwrap();
            let answer = answer_binding(&query.request, source).unwrap();
            assert_eq!(Packet::classify(&answer), Packet::Stun);
            assert_eq!(query.mapped_address(&answer), Some(source));
            let other = BindingQuery::new().unwrap();
            assert_eq!(other.mapped_address(&answer), None, "not its transaction");
            assert_eq!(answer_binding(&answer, source), None, "an answer is no request");
        }
    }

    #[test]
    fn only_checks_with_our_password_are_answered() {
        let source = "203.0.113.7:40000".parse().unwrap();
        let check = |username: &str, password: &str| {
            let mut message = Message::new();
            let parts: [Box<dyn stun::message::Setter>; 5] = [
                Box::new(BINDING_REQUEST),
                Box::new(TransactionId::new()),
                Box::new(TextAttribute::new(ATTR_USERNAME, username.to_owned())),
                Box::new(MessageIntegrity::new_short_term_integrity(password.to_owned())),
                Box::new(FINGERPRINT),
            ];
            message.build(&parts).unwrap();
            let query =
                BindingQuery { request: message.raw.clone(), transaction: message.transaction_id };
            let answer = answer_check(&message.raw, source, ("ours", "secret"));
            answer.map(|answer| query.mapped_address(&answer))
        };
        assert_eq!(check("ours:theirs", "secret"), Some(Some(source)));
        for (username, password) in
            [("ours:theirs", "guess"), ("ourselves:theirs", "secret"), ("theirs:ours", "secret")]
        {
            assert_eq!(check(username, password), None, "{username} {password}");
        }
        let plain = BindingQuery::new().unwrap().request;
        assert_eq!(answer_check(&plain, source, ("ours", "secret")), None);
    }

    #[test]
    fn protocols_of_one_port_are_told_apart() {
        for (byte, packet) in [
            (0, Packet::Stun),
            (3, Packet::Stun),
            (22, Packet::Dtls),
            (64, Packet::Channel),
            (127, Packet::Channel),
            (19, Packet::Other),
            (128, Packet::Media),
            (191, Packet::Media),
            (255, Packet::Other),
        ] {
            assert_eq!(Packet::classify(&[byte]), packet);
        }
        assert_eq!(Packet::classify(&[]), Packet::Other);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(noise: Vec<u8>, cut in 0usize..40) {
            let source = "192.0.2.1:1".parse().unwrap();
            let _ = answer_binding(&noise, source);
            let mut request = BindingQuery::new().unwrap().request;
            request.truncate(cut);
            request.extend(noise);
            let _ = answer_binding(&request, source);
        }
    }
}
