//! The TURN usage (RFC 6940 §9): peers that can be reached lend relays, and others find them.
//!
//! RFC 6940 names no credentials, which TURN servers ask for (T-42). Ours are an extension: each
//! relay makes passwords of its own, one for each Node-ID and time, and hands them out in signed
//! answers to holders of valid certificates. It remembers none of them: the user name says whose
//! it is and until when, and the password follows from that and a secret.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::hmac;

use super::Publication;
use super::limits::TURN_DENSITY_MAX;
use crate::base::{Decode, DecodeError, Encode, NodeId, Reader, ResourceId, Writer};
use crate::message::{DataValue, KindId, StoredDataValue, decode_address, encode_address};
use crate::storage::resource_id;

/// A relay that a node lends: the TurnServer of RFC 6940 §9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnServer {
    /// Which of the node's records this is, from 1.
    pub iteration: u8,
    /// Where the relay listens.
    pub address: SocketAddr,
}

impl Encode for TurnServer {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(self.iteration);
        encode_address(self.address, writer);
    }
}

impl Decode for TurnServer {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let iteration = reader.u8()?;
        let address = decode_address(reader)?.ok_or(DecodeError::Invalid("server_address"))?;
        Ok(Self { iteration, address })
    }
}

/// The records of a relay: one for each iteration up to the overlay's turn-density, so that
/// there are as many in the ring as there are relays times that.
pub fn turn_records(node_id: NodeId, address: SocketAddr, density: u8) -> Vec<Publication> {
    let record = |iteration| {
        let server = TurnServer { iteration, address };
        // An address is never too long.
        let value = DataValue::existing(server.to_bytes().unwrap_or_default());
        Publication {
            resource: turn_resource(node_id, iteration),
            kind: KindId::TURN_SERVICE,
            value: StoredDataValue::Single(value),
        }
    };
    (1..=density.min(TURN_DENSITY_MAX)).map(record).collect()
}

/// The relay that a stored value speaks of.
pub fn turn_server(value: &StoredDataValue) -> Option<TurnServer> {
    let DataValue { exists: true, value } = value.data() else { return None };
    TurnServer::from_bytes(value).ok()
}

/// Where a node's record stands: at H(Node-ID || iteration), one byte wide (T-68).
fn turn_resource(node_id: NodeId, iteration: u8) -> ResourceId {
    resource_id(&[node_id.as_bytes(), &[iteration]].concat())
}

/// What a relay makes its passwords of. It lives as long as the relay.
#[derive(Clone)]
pub struct RelaySecret(hmac::Key);

impl RelaySecret {
    /// A secret of these random bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// Credentials for a node, until a moment in milliseconds since the Unix epoch.
    pub fn credentials(&self, node_id: NodeId, until_unix_ms: u64) -> RelayCredentials {
        let username = format!("{}:{}", until_unix_ms / 1000, hex::encode(node_id.as_bytes()));
        let password = self.password(&username);
        RelayCredentials { username, password }
    }

    /// Whose user name this is and until when, in milliseconds since the Unix epoch, and its
    /// password. Whether it is over is for the caller to see.
    pub fn read(&self, username: &str) -> Option<(NodeId, u64, String)> {
        let (until_s, node) = username.split_once(':')?;
        let until_s: u64 = until_s.parse().ok()?;
        let node_id = NodeId::new(&hex::decode(node).ok()?)?;
        Some((node_id, until_s.saturating_mul(1000), self.password(username)))
    }

    /// A nonce of TURN that the relay recognises again; until when it counts is in it.
    pub fn nonce(&self, until_unix_ms: u64) -> String {
        let until = format!("{:x}", until_unix_ms / 1000);
        let tag = hmac::sign(&self.0, format!("nonce {until}").as_bytes());
        format!("{until}-{}", hex::encode(&tag.as_ref()[..NONCE_TAG_LENGTH]))
    }

    /// Whether a nonce is one of ours and still counts.
    pub fn is_fresh(&self, nonce: &str, now_unix_ms: u64) -> bool {
        let until = nonce.split_once('-').and_then(|(s, _)| u64::from_str_radix(s, 16).ok());
        let Some(until_ms) = until.and_then(|s| s.checked_mul(1000)) else { return false };
        until_ms >= now_unix_ms && self.nonce(until_ms) == nonce
    }

    fn password(&self, username: &str) -> String {
        let tag = hmac::sign(&self.0, format!("password {username}").as_bytes());
        STANDARD_NO_PAD.encode(tag.as_ref())
    }
}

impl std::fmt::Debug for RelaySecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RelaySecret")
    }
}

/// Who gives out a relay's credentials, for a peer that is asked for them.
pub trait Lender: std::fmt::Debug + Send + Sync {
    /// The answer for a node that has asked, to be read by nobody else; `None` for a question
    /// that does not parse.
    fn grant(&self, node_id: NodeId, now_unix_ms: u64, question: &[u8]) -> Option<Vec<u8>>;
}

/// User name and password for a relay (RFC 8489 §9.2).
#[derive(Clone, PartialEq, Eq)]
pub struct RelayCredentials {
    /// Says for whom and until when.
    pub username: String,
    /// Follows from it.
    pub password: String,
}

impl std::fmt::Debug for RelayCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RelayCredentials({})", self.username)
    }
}

/// Bytes of the tag in a nonce: too many to guess within its life.
const NONCE_TAG_LENGTH: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    /// R6940-9-03: as many records as turn-density says, with iterations from 1, each at the hash
    /// of Node-ID and iteration; none without.
    #[test]
    fn a_relay_has_turn_density_records() {
        let (node, address) = (NodeId::from_u128(7), "203.0.113.5:6084".parse().expect("address"));
        let records = turn_records(node, address, 3);
        assert_eq!(records.len(), 3);
        for (record, iteration) in records.iter().zip(1u8..) {
            assert_eq!(turn_server(&record.value), Some(TurnServer { iteration, address }));
            let mut place = node.as_bytes().to_vec();
            place.push(iteration);
            assert_eq!(record.resource, resource_id(&place));
            assert_eq!(record.kind, KindId(2));
        }
        assert!(turn_records(node, address, 0).is_empty());
        // T-68: the Kind ends at 20.
        assert_eq!(turn_records(node, address, 200).len(), 20);
    }

    #[test]
    fn a_record_has_the_printed_layout() {
        let server = TurnServer { iteration: 2, address: "192.0.2.1:6084".parse().expect("it is") };
        let bytes = server.to_bytes().expect("short");
        assert_eq!(hex::encode(&bytes), "020106c000020117c4");
        assert_eq!(TurnServer::from_bytes(&bytes), Ok(server));
        assert!(turn_server(&StoredDataValue::Single(DataValue::absent())).is_none());
    }

    /// T-42: a password is one node's, for a time, and one relay's.
    #[test]
    fn a_password_follows_from_the_user_name() {
        let [one, other] = [RelaySecret::new(&[1; 32]), RelaySecret::new(&[2; 32])];
        let node = NodeId::from_u128(9);
        let RelayCredentials { username, password } = one.credentials(node, 5_000);
        assert_eq!(one.read(&username), Some((node, 5_000, password.clone())));
        assert_ne!(other.read(&username).expect("the same form").2, password);
        let later = username.replace("5:", "6:");
        assert_ne!(one.read(&later).expect("the same form").2, password);
        for broken in ["", "5", ":", "5:zz", "x:00", "5:"] {
            assert_eq!(one.read(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_nonce_is_recognised_until_it_is_over() {
        let [one, other] = [RelaySecret::new(&[1; 32]), RelaySecret::new(&[2; 32])];
        let nonce = one.nonce(10_000);
        assert!(one.is_fresh(&nonce, 10_000));
        assert!(!one.is_fresh(&nonce, 11_000));
        assert!(!other.is_fresh(&nonce, 10_000));
        assert!(!one.is_fresh("ffffffff-00", 0));
        assert!(!one.is_fresh("", 0));
    }
}
