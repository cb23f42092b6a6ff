//! RouteQuery (RFC 6940 §6.4.2.4) and CHORD-RELOAD's answer to it (§10.8).

use super::destination::Destination;
use crate::base::{Decode, DecodeError, Encode, NodeId, Reader, Writer};

/// Where would you send a message for this destination?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteQueryReq {
    /// Whether the requester wants an Update with the whole Routing Table.
    pub send_update: bool,
    /// The destination.
    pub destination: Destination,
    /// Nothing in CHORD-RELOAD.
    pub overlay_data: Vec<u8>,
}

impl RouteQueryReq {
    /// A question that asks for no Update.
    pub fn new(destination: Destination) -> Self {
        Self { send_update: false, destination, overlay_data: Vec::new() }
    }
}

impl Encode for RouteQueryReq {
    fn encode(&self, writer: &mut Writer) {
        writer.bool(self.send_update);
        self.destination.encode(writer);
        writer.vec16(|w| w.bytes(&self.overlay_data));
    }
}

impl Decode for RouteQueryReq {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            send_update: reader.bool("send_update")?,
            destination: Destination::decode(reader)?,
            overlay_data: reader.opaque16()?.to_vec(),
        })
    }
}

/// CHORD-RELOAD's answer to a RouteQueryReq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChordRouteQueryAns {
    /// To whom the answerer would send the message: itself if it is the destination.
    pub next_peer: NodeId,
}

impl Encode for ChordRouteQueryAns {
    fn encode(&self, writer: &mut Writer) {
        self.next_peer.encode(writer);
    }
}

impl Decode for ChordRouteQueryAns {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { next_peer: NodeId::decode(reader)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ResourceId;

    /// R6940-6.4.2.4.1-01: no Update unless it is asked for.
    #[test]
    fn a_route_query_has_the_printed_layout() {
        let resource = ResourceId::new(&[0xab; 2]).expect("short");
        let request = RouteQueryReq::new(resource.into());
        let bytes = request.to_bytes().expect("short");
        assert_eq!(hex::encode(&bytes), "00020302abab0000");
        assert_eq!(RouteQueryReq::from_bytes(&bytes), Ok(request));
        assert!(RouteQueryReq::from_bytes(&[&[2], &bytes[1..]].concat()).is_err());
    }

    #[test]
    fn the_answer_is_a_bare_node_id() {
        let answer = ChordRouteQueryAns { next_peer: NodeId::from_u128(7) };
        assert_eq!(answer.to_bytes(), Ok(7u128.to_be_bytes().to_vec()));
    }
}
