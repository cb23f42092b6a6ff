//! Fetch (RFC 6940 §7.4.2).

use bytes::Bytes;

use super::stored_data::{DataModel, KindData, KindId};
use crate::base::{Decode, DecodeError, Encode, Reader, ResourceId, Writer};

/// Request for values at one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchReq {
    /// Where.
    pub resource: ResourceId,
    /// Which.
    pub specifiers: Vec<StoredDataSpecifier>,
}

impl Encode for FetchReq {
    fn encode(&self, writer: &mut Writer) {
        self.resource.encode(writer);
        writer.vec16(|w| w.list(&self.specifiers));
    }
}

impl Decode for FetchReq {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let resource = ResourceId::decode(reader)?;
        let specifiers = reader.opaque16()?;
        Ok(Self { resource, specifiers: reader.list(specifiers)? })
    }
}

/// Which values of one Kind. The places stay encoded: their form is the data model's (T-08).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDataSpecifier {
    /// The Kind.
    pub kind: KindId,
    /// The generation that the requester has; values come only if the current one differs.
    pub generation: u64,
    places: Bytes,
}

/// Which places of a data model are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Places {
    /// The single value.
    Single,
    /// Ranges of an array, both ends included; none means all.
    Array(Vec<(u32, u32)>),
    /// Keys of a dictionary; none means all.
    Dictionary(Vec<Bytes>),
}

impl StoredDataSpecifier {
    /// A specifier for these places, whatever the generation.
    pub fn new(kind: KindId, places: &Places) -> Self {
        let mut writer = Writer::default();
        match places {
            Places::Single => {}
            Places::Array(ranges) => writer.vec16(|w| {
                for (first, last) in ranges {
                    w.u32(*first);
                    w.u32(*last);
                }
            }),
            Places::Dictionary(keys) => writer.vec16(|w| {
                for key in keys {
                    w.vec16(|w| w.bytes(key));
                }
            }),
        }
        // A request for more places than 64 KiB can name is one for none.
        Self { kind, generation: 0, places: writer.finish().unwrap_or_default().into() }
    }

    /// The places, read with the Kind's data model; nothing at all is read as "all" (T-66).
    pub fn places(&self, model: DataModel) -> Result<Places, DecodeError> {
        let mut reader = Reader::new(&self.places);
        let list: &[u8] = if reader.is_empty() { &[] } else { reader.opaque16()? };
        reader.end("specifier")?;
        let mut list = Reader::new(list);
        Ok(match model {
            DataModel::Single => {
                list.end("specifier")?;
                Places::Single
            }
            DataModel::Array => {
                let mut ranges = Vec::new();
                while !list.is_empty() {
                    ranges.push((list.u32()?, list.u32()?));
                }
                Places::Array(ranges)
            }
            DataModel::Dictionary => {
                let mut keys = Vec::new();
                while !list.is_empty() {
                    keys.push(Bytes::copy_from_slice(list.opaque16()?));
                }
                Places::Dictionary(keys)
            }
        })
    }
}

impl Encode for StoredDataSpecifier {
    fn encode(&self, writer: &mut Writer) {
        writer.u32(self.kind.0);
        writer.u64(self.generation);
        writer.vec16(|w| w.bytes(&self.places));
    }
}

impl Decode for StoredDataSpecifier {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            kind: KindId(reader.u32()?),
            generation: reader.u64()?,
            places: Bytes::copy_from_slice(reader.opaque16()?),
        })
    }
}

/// Answer to a FetchReq.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchAns {
    /// One entry for each Kind asked for.
    pub kinds: Vec<KindData>,
}

impl Encode for FetchAns {
    fn encode(&self, writer: &mut Writer) {
        writer.vec32(|w| w.list(&self.kinds));
    }
}

impl Decode for FetchAns {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kinds = reader.opaque32()?;
        Ok(Self { kinds: reader.list(kinds)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(places: &Places) -> String {
        let bytes =
            StoredDataSpecifier::new(KindId::SIP_REGISTRATION, places).to_bytes().expect("short");
        hex::encode(&bytes[12..])
    }

    /// R6940-7.4.2.1-04: the three forms of a specifier.
    #[test]
    fn specifiers_have_the_printed_layout() {
        assert_eq!(tail(&Places::Single), "0000");
        assert_eq!(tail(&Places::Dictionary(Vec::new())), "00020000");
        assert_eq!(tail(&Places::Array(vec![(0, 4)])), "000a00080000000000000004");
        let keys = Places::Dictionary(vec![Bytes::from_static(b"k")]);
        assert_eq!(tail(&keys), "0005000300016b");
    }
}
