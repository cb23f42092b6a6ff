//! Node-IDs, Resource-IDs and transaction IDs (RFC 6940 §6.3.1.1, §6.3.2).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::wire::{Decode, DecodeError, Encode, Reader, Writer};

/// The identifier of a node: 16 to 20 bytes, one length for a whole overlay (RFC 6940 §6.3.1.1).
// Of three whole words: each message is routed by several of them, and copying an odd number of
// bytes would stall on what has just been written.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(align(8))]
pub struct NodeId {
    bytes: [u8; Self::LENGTH_MAX],
    length: u32,
}

impl NodeId {
    /// Length in bytes unless the overlay document says otherwise (RFC 6940 §11.1).
    pub const LENGTH_DEFAULT: usize = 16;
    /// The longest Node-ID in bytes.
    pub const LENGTH_MAX: usize = 20;

    /// The Node-ID of these bytes, or `None` if there are fewer than 16 or more than 20.
    #[inline]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let (head, tail) = bytes.split_first_chunk::<{ Self::LENGTH_DEFAULT }>()?;
        let mut id = Self::from_u128(u128::from_be_bytes(*head));
        if !tail.is_empty() {
            id.bytes[Self::LENGTH_DEFAULT..].get_mut(..tail.len())?.copy_from_slice(tail);
            id.length = bytes.len() as u32;
        }
        Some(id)
    }

    /// A Node-ID of 16 bytes from its number, big-endian.
    #[inline]
    pub fn from_u128(number: u128) -> Self {
        let mut bytes = [0; Self::LENGTH_MAX];
        bytes[..16].copy_from_slice(&number.to_be_bytes());
        Self { bytes, length: 16 }
    }

    /// The first 16 bytes as a number: the position on CHORD-RELOAD's ring.
    #[inline]
    pub fn to_u128(self) -> u128 {
        let mut high = [0; 16];
        high.copy_from_slice(&self.bytes[..16]);
        u128::from_be_bytes(high)
    }

    /// The wildcard Node-ID: all ones, whoever receives it (RFC 6940 §3).
    pub fn wildcard(length: usize) -> Self {
        let length = length.clamp(Self::LENGTH_DEFAULT, Self::LENGTH_MAX);
        let mut bytes = [0; Self::LENGTH_MAX];
        bytes[..length].fill(0xff);
        Self { bytes, length: length as u32 }
    }

    /// Whether this is the wildcard.
    pub fn is_wildcard(&self) -> bool {
        self.to_u128() == u128::MAX && self.as_bytes()[16..].iter().all(|b| *b == 0xff)
    }

    /// Whether this can name a node: neither all zeros nor the wildcard (RFC 6940 §6.1.1).
    pub fn is_valid(&self) -> bool {
        !self.is_wildcard() && self.as_bytes().iter().any(|b| *b != 0)
    }

    /// The bytes as they stand on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length as usize]
    }
}

impl Ord for NodeId {
    /// The order of the bytes. The way of each message is looked up by it, so it is that of two
    /// numbers, which takes no loop.
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        let number = |id: &Self| {
            let [.., a, b, c, d] = id.bytes;
            (id.to_u128(), u32::from_be_bytes([a, b, c, d]), id.length)
        };
        number(self).cmp(&number(other))
    }
}

impl PartialOrd for NodeId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Encode for NodeId {
    fn encode(&self, writer: &mut Writer) {
        writer.bytes(self.as_bytes());
    }
}

impl Decode for NodeId {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = reader.node_id_length();
        Self::new(reader.take(length)?).ok_or(DecodeError::Invalid("Node-ID"))
    }
}

/// In hexadecimal, as people see it.
impl serde::Serialize for NodeId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for NodeId {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let bytes = hex::decode(text).map_err(|_| DecodeError::Invalid("Node-ID"))?;
        Self::new(&bytes).ok_or(DecodeError::Invalid("Node-ID"))
    }
}

/// The identifier of a resource: a hash of its Resource Name, up to 255 bytes long
/// (RFC 6940 §6.3.1.1).
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(Vec<u8>);

impl ResourceId {
    /// The Resource-ID of these bytes, or `None` if there are more than 255.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() <= 255).then(|| Self(bytes.to_vec()))
    }

    /// A Resource-ID of 16 bytes from its number, big-endian.
    pub fn from_u128(number: u128) -> Self {
        Self(number.to_be_bytes().to_vec())
    }

    /// The position on CHORD-RELOAD's ring, or `None` unless it has 16 bytes.
    pub fn to_u128(&self) -> Option<u128> {
        <[u8; 16]>::try_from(self.0.as_slice()).ok().map(u128::from_be_bytes)
    }

    /// The bytes, without the length byte that the wire puts before them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Encode for ResourceId {
    fn encode(&self, writer: &mut Writer) {
        writer.vec8(|w| w.bytes(&self.0));
    }
}

impl Decode for ResourceId {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(reader.opaque8()?.to_vec()))
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// 64 random bits that a request and its answer share (RFC 6940 §6.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub u64);

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
