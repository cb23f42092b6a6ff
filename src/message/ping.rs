//! Ping (RFC 6940 §6.5.3).

use crate::base::{Decode, DecodeError, Encode, Reader, Writer};

/// Is somebody there?
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PingReq {
    /// Bytes without meaning, to try a size.
    pub padding: Vec<u8>,
}

impl Encode for PingReq {
    fn encode(&self, writer: &mut Writer) {
        writer.vec16(|w| w.bytes(&self.padding));
    }
}

impl Decode for PingReq {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { padding: reader.opaque16()?.to_vec() })
    }
}

/// Somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PingAns {
    /// Random, so that answers of several peers can be told apart.
    pub response_id: u64,
    /// The answerer's clock, milliseconds since the Unix epoch.
    pub time_ms: u64,
}

impl Encode for PingAns {
    fn encode(&self, writer: &mut Writer) {
        writer.u64(self.response_id);
        writer.u64(self.time_ms);
    }
}

impl Decode for PingAns {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { response_id: reader.u64()?, time_ms: reader.u64()? })
    }
}
