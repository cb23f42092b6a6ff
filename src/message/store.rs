//! Store (RFC 6940 §7.4.1).

use super::stored_data::{KindData, KindId};
use crate::base::{Decode, DecodeError, Encode, NodeId, Reader, ResourceId, Writer};

/// Request to store values at one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreReq {
    /// Where.
    pub resource: ResourceId,
    /// 0 from the owner of the data, 1 and up from a peer that passes a copy on.
    pub replica_number: u8,
    /// The values by Kind.
    pub kinds: Vec<KindData>,
}

impl Encode for StoreReq {
    fn encode(&self, writer: &mut Writer) {
        self.resource.encode(writer);
        writer.u8(self.replica_number);
        writer.vec32(|w| w.list(&self.kinds));
    }
}

impl Decode for StoreReq {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let resource = ResourceId::decode(reader)?;
        let replica_number = reader.u8()?;
        let kinds = reader.opaque32()?;
        Ok(Self { resource, replica_number, kinds: reader.list(kinds)? })
    }
}

/// Answer to a StoreReq.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreAns {
    /// What became of each Kind.
    pub kinds: Vec<StoreKindResponse>,
}

/// What became of one Kind of a Store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreKindResponse {
    /// The Kind.
    pub kind: KindId,
    /// Its generation counter now.
    pub generation: u64,
    /// Who keeps copies.
    pub replicas: Vec<NodeId>,
}

impl Encode for StoreAns {
    fn encode(&self, writer: &mut Writer) {
        writer.vec16(|w| w.list(&self.kinds));
    }
}

impl Decode for StoreAns {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kinds = reader.opaque16()?;
        Ok(Self { kinds: reader.list(kinds)? })
    }
}

impl Encode for StoreKindResponse {
    fn encode(&self, writer: &mut Writer) {
        writer.u32(self.kind.0);
        writer.u64(self.generation);
        writer.vec16(|w| w.list(&self.replicas));
    }
}

impl Decode for StoreKindResponse {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = KindId(reader.u32()?);
        let generation = reader.u64()?;
        let replicas = reader.opaque16()?;
        Ok(Self { kind, generation, replicas: reader.list(replicas)? })
    }
}
