//! Where a message goes and where it has been: the entries of destination and via lists
//! (RFC 6940 §6.3.2.2).

use crate::base::{Decode, DecodeError, Encode, NodeId, Reader, ResourceId, Writer};

/// One entry of a destination or via list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// A node, directly or by routing.
    Node(NodeId),
    /// Whoever is responsible for a resource; only as the last entry of a destination list.
    Resource(ResourceId),
    /// A list that some node on the way compressed; only that node can expand it.
    Opaque(Vec<u8>),
}

impl Destination {
    /// The Node-ID, if this entry names a node.
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Self::Node(id) => Some(*id),
            Self::Resource(_) | Self::Opaque(_) => None,
        }
    }

    /// Where a topology looks for this entry; `None` for opaque IDs and for Resource-IDs of
    /// another length than its positions have.
    pub fn position(&self) -> Option<u128> {
        match self {
            Self::Node(id) => Some(id.to_u128()),
            Self::Resource(id) => id.to_u128(),
            Self::Opaque(_) => None,
        }
    }

    /// This entry as a message has it.
    pub fn view(&self) -> DestinationView<'_> {
        match self {
            Self::Node(id) => DestinationView::Node(*id),
            Self::Resource(id) => DestinationView::Resource(id.as_bytes()),
            Self::Opaque(id) => DestinationView::Opaque(id),
        }
    }
}

impl From<NodeId> for Destination {
    fn from(id: NodeId) -> Self {
        Self::Node(id)
    }
}

impl From<ResourceId> for Destination {
    fn from(id: ResourceId) -> Self {
        Self::Resource(id)
    }
}

impl Encode for Destination {
    fn encode(&self, writer: &mut Writer) {
        match self {
            // The short form is the same entry in fewer bytes (T-03).
            Self::Opaque(id) if id.len() == 2 && id[0] & SHORT != 0 => writer.bytes(id),
            Self::Node(id) => {
                writer.u8(TYPE_NODE);
                writer.vec8(|w| id.encode(w));
            }
            Self::Resource(id) => {
                writer.u8(TYPE_RESOURCE);
                writer.vec8(|w| id.encode(w));
            }
            Self::Opaque(id) => {
                writer.u8(TYPE_OPAQUE);
                writer.vec8(|w| w.vec8(|w| w.bytes(id)));
            }
        }
    }
}

impl Decode for Destination {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = reader.rest();
        let (entry, rest) = entry(bytes, reader.node_id_length())?;
        reader.take(bytes.len() - rest.len())?;
        Ok(entry.to_destination())
    }
}

/// An entry of a list where it stands. The two forms of an opaque ID are the same (T-03).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DestinationView<'a> {
    /// A node.
    Node(NodeId),
    /// Whoever is responsible for the Resource-ID with these bytes.
    Resource(&'a [u8]),
    /// A list that the node before it in the list has compressed.
    Opaque(&'a [u8]),
}

impl DestinationView<'_> {
    /// The entry by itself.
    pub fn to_destination(self) -> Destination {
        match self {
            Self::Node(id) => Destination::Node(id),
            Self::Resource(bytes) => {
                Destination::Resource(ResourceId::new(bytes).unwrap_or_default())
            }
            Self::Opaque(bytes) => Destination::Opaque(bytes.to_vec()),
        }
    }

    /// Whether this is a Resource-ID.
    pub fn is_resource(self) -> bool {
        matches!(self, Self::Resource(_))
    }

    /// As [`Destination::position`].
    pub fn position(self) -> Option<u128> {
        match self {
            Self::Node(id) => Some(id.to_u128()),
            Self::Resource(bytes) => bytes.try_into().ok().map(u128::from_be_bytes),
            Self::Opaque(_) => None,
        }
    }
}

/// A destination or via list where it stands, every entry of which parses.
#[derive(Clone, Copy, Debug)]
pub struct ListView<'a> {
    bytes: &'a [u8],
    node_id_length: usize,
}

impl<'a> ListView<'a> {
    /// The list that these bytes encode.
    pub fn new(bytes: &'a [u8], node_id_length: usize) -> Result<Self, DecodeError> {
        Self::of(bytes, node_id_length, true)
    }

    /// The via list that these bytes encode, in which no message has been at a Resource-ID.
    pub fn via_list(bytes: &'a [u8], node_id_length: usize) -> Result<Self, DecodeError> {
        Self::of(bytes, node_id_length, false)
    }

    fn of(
        bytes: &'a [u8],
        node_id_length: usize,
        has_resources: bool,
    ) -> Result<Self, DecodeError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let first;
            (first, rest) = entry(rest, node_id_length)?;
            if !has_resources && first.is_resource() {
                return Err(DecodeError::Invalid("via list"));
            }
        }
        Ok(Self { bytes, node_id_length })
    }

    /// The list as it is encoded.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Whether nothing is in the list.
    pub fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }

    /// The first entry, and the list without it.
    #[inline]
    pub fn split_first(self) -> Option<(DestinationView<'a>, Self)> {
        let (first, rest) = entry(self.bytes, self.node_id_length).ok()?;
        Some((first, Self { bytes: rest, ..self }))
    }

    /// The entries.
    pub fn iter(self) -> impl Iterator<Item = DestinationView<'a>> + Clone + use<'a> {
        self.entries().map(|(entry, _)| entry)
    }

    /// The entries, each with the bytes that encode it.
    pub fn entries(
        self,
    ) -> impl Iterator<Item = (DestinationView<'a>, &'a [u8])> + Clone + use<'a> {
        let mut list = self;
        std::iter::from_fn(move || {
            let (first, rest) = list.split_first()?;
            let length = list.bytes.len() - rest.bytes.len();
            let bytes = &list.bytes[..length];
            list = rest;
            Some((first, bytes))
        })
    }

    /// The entries by themselves.
    pub fn to_vec(self) -> Vec<Destination> {
        self.iter().map(DestinationView::to_destination).collect()
    }
}

/// The first entry of an encoded list, and the rest of the list.
#[inline]
fn entry(bytes: &[u8], node_id_length: usize) -> Result<(DestinationView<'_>, &[u8]), DecodeError> {
    let ([first, second], rest) = bytes.split_first_chunk().ok_or(DecodeError::Truncated)?;
    if first & SHORT != 0 {
        return Ok((DestinationView::Opaque(&bytes[..2]), rest));
    }
    let data = rest.split_at_checked(usize::from(*second));
    let (data, rest) = data.ok_or(DecodeError::Truncated)?;
    let opaque = || match data.split_first() {
        Some((length, id)) if usize::from(*length) == id.len() => Ok(id),
        _ => Err(DecodeError::Invalid("destination")),
    };
    let node = || NodeId::new(data).filter(|_| data.len() == node_id_length);
    let view = match *first {
        TYPE_NODE => DestinationView::Node(node().ok_or(DecodeError::Invalid("Node-ID"))?),
        TYPE_RESOURCE => DestinationView::Resource(opaque()?),
        TYPE_OPAQUE => DestinationView::Opaque(opaque()?),
        _ => return Err(DecodeError::Invalid("destination type")),
    };
    Ok((view, rest))
}

/// The top bit marks the 16-bit form.
const SHORT: u8 = 0x80;
const TYPE_NODE: u8 = 1;
const TYPE_RESOURCE: u8 = 2;
const TYPE_OPAQUE: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> NodeId {
        "00112233445566778899aabbccddeeff".parse().expect("16 bytes")
    }

    /// R6940-6.3.2.2-03: a resource entry holds the Resource-ID's own length byte too.
    #[test]
    fn the_length_byte_covers_the_data() {
        let bytes = Destination::Node(node()).to_bytes().expect("short");
        assert_eq!(hex::encode(bytes), "011000112233445566778899aabbccddeeff");
        let alice = hex::decode("0c51a942f50c828aef82a5af83e8ed59").expect("hex");
        let resource = ResourceId::new(&alice).expect("short");
        let bytes = Destination::Resource(resource).to_bytes().expect("short");
        assert_eq!(hex::encode(bytes), "0211100c51a942f50c828aef82a5af83e8ed59");
    }

    /// R6940-6.3.2.2-01: the short form equals the full opaque entry.
    #[test]
    fn a_short_opaque_id_equals_the_full_form() {
        let short = Destination::from_bytes(&[0x81, 0x23]);
        assert_eq!(short, Destination::from_bytes(&[3, 3, 2, 0x81, 0x23]));
        assert_eq!(short, Ok(Destination::Opaque(vec![0x81, 0x23])));
    }

    /// R6940-6.3.2.2-02: types from 128 up are never read as type, length and data.
    #[test]
    fn the_first_bit_decides_the_form() {
        for first in 0x80..=0xff {
            assert_eq!(
                Destination::from_bytes(&[first, 1]),
                Ok(Destination::Opaque(vec![first, 1]))
            );
        }
        assert!(Destination::from_bytes(&[4, 1, 0]).is_err());
    }
}
