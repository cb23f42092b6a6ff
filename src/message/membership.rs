//! Join and Leave (RFC 6940 §6.4.2.1, §6.4.2.2), with CHORD-RELOAD's data for Leave (§10.9).

use crate::base::{Decode, DecodeError, Encode, NodeId, Reader, Writer};

/// Request to become a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinReq {
    /// Who wants to join: the signer.
    pub joining_peer_id: NodeId,
    /// Data of the topology plug-in; empty in CHORD-RELOAD.
    pub overlay_data: Vec<u8>,
}

impl Encode for JoinReq {
    fn encode(&self, writer: &mut Writer) {
        self.joining_peer_id.encode(writer);
        writer.vec16(|w| w.bytes(&self.overlay_data));
    }
}

impl Decode for JoinReq {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            joining_peer_id: NodeId::decode(reader)?,
            overlay_data: reader.opaque16()?.to_vec(),
        })
    }
}

/// Answer to a JoinReq.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JoinAns {
    /// Data of the topology plug-in; empty in CHORD-RELOAD.
    pub overlay_data: Vec<u8>,
}

impl Encode for JoinAns {
    fn encode(&self, writer: &mut Writer) {
        writer.vec16(|w| w.bytes(&self.overlay_data));
    }
}

impl Decode for JoinAns {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { overlay_data: reader.opaque16()?.to_vec() })
    }
}

/// Word that a peer leaves. Its answer has no body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveReq {
    /// Who leaves: the signer.
    pub leaving_peer_id: NodeId,
    /// Data of the topology plug-in: an encoded [`ChordLeave`], or empty.
    pub overlay_data: Vec<u8>,
}

impl Encode for LeaveReq {
    fn encode(&self, writer: &mut Writer) {
        self.leaving_peer_id.encode(writer);
        writer.vec16(|w| w.bytes(&self.overlay_data));
    }
}

impl Decode for LeaveReq {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            leaving_peer_id: NodeId::decode(reader)?,
            overlay_data: reader.opaque16()?.to_vec(),
        })
    }
}

/// Who stands on the leaver's far side (§10.9, T-55).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChordLeave {
    /// The leaver is a successor of the receiver; these are the leaver's successors.
    FromSuccessor(Vec<NodeId>),
    /// The leaver is a predecessor of the receiver; these are the leaver's predecessors.
    FromPredecessor(Vec<NodeId>),
}

impl Encode for ChordLeave {
    fn encode(&self, writer: &mut Writer) {
        let (leave_type, list) = match self {
            Self::FromSuccessor(list) => (FROM_SUCCESSOR, list),
            Self::FromPredecessor(list) => (FROM_PREDECESSOR, list),
        };
        writer.u8(leave_type);
        writer.vec16(|w| w.list(list));
    }
}

impl Decode for ChordLeave {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let leave_type = reader.u8()?;
        let list = reader.opaque16()?;
        let list = reader.list(list)?;
        match leave_type {
            FROM_SUCCESSOR => Ok(Self::FromSuccessor(list)),
            FROM_PREDECESSOR => Ok(Self::FromPredecessor(list)),
            _ => Err(DecodeError::Invalid("leave type")),
        }
    }
}

const FROM_SUCCESSOR: u8 = 1;
const FROM_PREDECESSOR: u8 = 2;
