//! ConfigUpdate (RFC 6940 §6.5.4). Its answer has no body.

use bytes::Bytes;

use crate::base::{Decode, DecodeError, Encode, Reader, Writer};

/// Newer configuration data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigUpdateReq {
    /// A configuration document.
    Config(Bytes),
    /// `kind-block` elements in UTF-8, each with config-base as its default namespace.
    Kinds(Vec<Bytes>),
    /// A type that is not known here.
    Other {
        /// The type.
        update_type: u8,
        /// What follows its length.
        data: Bytes,
    },
}

impl ConfigUpdateReq {
    /// The configuration sequence in the headers of these requests, which says nothing about the
    /// sender's configuration (RFC 6940 §6.3.2.1).
    pub const SEQUENCE: u16 = 65535;
}

impl Encode for ConfigUpdateReq {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Config(document) => {
                writer.u8(CONFIG);
                writer.vec32(|w| w.vec24(|w| w.bytes(document)));
            }
            Self::Kinds(kinds) => {
                writer.u8(KIND);
                writer.vec32(|w| w.vec24(|w| kinds.iter().for_each(|k| w.vec16(|w| w.bytes(k)))));
            }
            Self::Other { update_type, data } => {
                writer.u8(*update_type);
                writer.vec32(|w| w.bytes(data));
            }
        }
    }
}

impl Decode for ConfigUpdateReq {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let update_type = reader.u8()?;
        let data = reader.opaque32()?;
        let mut rest = reader.nested(data);
        let update = match update_type {
            CONFIG => Self::Config(Bytes::copy_from_slice(rest.opaque24()?)),
            KIND => {
                let list = rest.opaque24()?;
                let mut list = rest.nested(list);
                let mut kinds = Vec::new();
                while !list.is_empty() {
                    kinds.push(Bytes::copy_from_slice(list.opaque16()?));
                }
                Self::Kinds(kinds)
            }
            update_type => {
                return Ok(Self::Other { update_type, data: Bytes::copy_from_slice(data) });
            }
        };
        rest.end("configuration update")?;
        Ok(update)
    }
}

const CONFIG: u8 = 1;
const KIND: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    /// R6940-6.5.4.1-02: type, length, then a body with a length of three bytes.
    #[test]
    fn an_update_has_the_printed_layout() {
        let update = ConfigUpdateReq::Config(Bytes::from_static(b"0123456789"));
        let bytes = update.to_bytes().expect("short");
        assert_eq!(hex::encode(&bytes), "010000000d00000a30313233343536373839");
        assert_eq!(ConfigUpdateReq::from_bytes(&bytes), Ok(update));
        let update = ConfigUpdateReq::Kinds(vec![Bytes::from_static(b"<k/>"), Bytes::new()]);
        let bytes = update.to_bytes().expect("short");
        assert_eq!(hex::encode(&bytes), "020000000b00000800043c6b2f3e0000");
        assert_eq!(ConfigUpdateReq::from_bytes(&bytes), Ok(update));
    }

    /// R6940-6.5.4.1-02: a type of later times can be skipped by its length.
    #[test]
    fn an_unknown_type_survives() {
        let bytes = hex::decode("090000000201ff").expect("hexadecimal");
        let update = ConfigUpdateReq::from_bytes(&bytes).expect("parses");
        let data = Bytes::from_static(&[1, 0xff]);
        assert_eq!(update, ConfigUpdateReq::Other { update_type: 9, data });
        assert_eq!(update.to_bytes(), Ok(bytes));
        assert!(ConfigUpdateReq::from_bytes(&[1, 0, 0, 0, 2, 0, 0]).is_err());
    }
}
