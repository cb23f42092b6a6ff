//! Stat (RFC 6940 §7.4.3). Its request is a [`FetchReq`](super::FetchReq).

use bytes::Bytes;
use ring::digest::{SHA256, digest};

use super::stored_data::{DataModel, DataValue, KindId, StoredData, StoredDataValue};
use crate::base::{Decode, DecodeError, Encode, Reader, Writer};

/// What is known of a value without the value (StoredMetaData).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMetadata {
    /// When its owner made it, milliseconds since the Unix epoch.
    pub storage_time_ms: u64,
    /// For how long it lives on, in seconds.
    pub lifetime_s: u32,
    /// What is known of the value, in its place.
    pub value: MetadataValue,
}

impl StoredMetadata {
    /// What there is to know of a stored value.
    pub fn of(data: &StoredData) -> Self {
        let value = Metadata::of(data.value.data());
        let value = match &data.value {
            StoredDataValue::Single(_) => MetadataValue::Single(value),
            StoredDataValue::Array { index, .. } => MetadataValue::Array { index: *index, value },
            StoredDataValue::Dictionary { key, .. } => {
                MetadataValue::Dictionary { key: key.clone(), value }
            }
        };
        Self { storage_time_ms: data.storage_time_ms, lifetime_s: data.lifetime_s, value }
    }

    /// Appends the metadata; their first field is the length of what follows it (T-67).
    fn encode(&self, writer: &mut Writer) {
        writer.vec32(|w| {
            w.u64(self.storage_time_ms);
            w.u32(self.lifetime_s);
            self.value.encode(w);
        });
    }

    fn decode(reader: &mut Reader<'_>, model: DataModel) -> Result<Self, DecodeError> {
        let data = reader.opaque32()?;
        let mut data = reader.nested(data);
        let stored = Self {
            storage_time_ms: data.u64()?,
            lifetime_s: data.u32()?,
            value: MetadataValue::decode(&mut data, model)?,
        };
        data.end("stored metadata")?;
        Ok(stored)
    }
}

/// Metadata in their place in the Kind's data model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataValue {
    /// Of the only value.
    Single(Metadata),
    /// Of the value at an index.
    Array {
        /// The index.
        index: u32,
        /// The metadata.
        value: Metadata,
    },
    /// Of the value at a key.
    Dictionary {
        /// The key.
        key: Bytes,
        /// The metadata.
        value: Metadata,
    },
}

impl MetadataValue {
    /// The metadata without their place.
    pub fn metadata(&self) -> &Metadata {
        match self {
            Self::Single(value) | Self::Array { value, .. } | Self::Dictionary { value, .. } => {
                value
            }
        }
    }

    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Single(_) => {}
            Self::Array { index, .. } => writer.u32(*index),
            Self::Dictionary { key, .. } => writer.vec16(|w| w.bytes(key)),
        }
        self.metadata().encode(writer);
    }

    fn decode(reader: &mut Reader<'_>, model: DataModel) -> Result<Self, DecodeError> {
        Ok(match model {
            DataModel::Single => Self::Single(Metadata::decode(reader)?),
            DataModel::Array => {
                Self::Array { index: reader.u32()?, value: Metadata::decode(reader)? }
            }
            DataModel::Dictionary => Self::Dictionary {
                key: Bytes::copy_from_slice(reader.opaque16()?),
                value: Metadata::decode(reader)?,
            },
        })
    }
}

/// Length and digest of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Whether the value exists.
    pub exists: bool,
    /// Its length in bytes.
    pub value_length: u32,
    /// TLS HashAlgorithm of the digest.
    pub hash_algorithm: u8,
    /// Digest of the value with the four bytes of its length before it.
    pub hash: Vec<u8>,
}

impl Metadata {
    /// TLS HashAlgorithm of SHA-256, which [`Metadata::of`] uses.
    pub const SHA256: u8 = 4;

    /// Length and digest of a value.
    pub fn of(value: &DataValue) -> Self {
        let mut writer = Writer::default();
        writer.vec32(|w| w.bytes(&value.value));
        // A value that has been stored is shorter than its prefix can say.
        let hashed = writer.finish().unwrap_or_default();
        Self {
            exists: value.exists,
            value_length: u32::try_from(value.value.len()).unwrap_or(u32::MAX),
            hash_algorithm: Self::SHA256,
            hash: digest(&SHA256, &hashed).as_ref().to_vec(),
        }
    }
}

impl Encode for Metadata {
    fn encode(&self, writer: &mut Writer) {
        writer.bool(self.exists);
        writer.u32(self.value_length);
        writer.u8(self.hash_algorithm);
        writer.vec8(|w| w.bytes(&self.hash));
    }
}

impl Decode for Metadata {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            exists: reader.bool("exists")?,
            value_length: reader.u32()?,
            hash_algorithm: reader.u8()?,
            hash: reader.opaque8()?.to_vec(),
        })
    }
}

/// Metadata of one Kind. They stay encoded: only somebody who knows the Kind's data model can
/// read them (T-08).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatKindResponse {
    /// The Kind.
    pub kind: KindId,
    /// The generation counter.
    pub generation: u64,
    values: Bytes,
}

impl StatKindResponse {
    /// Puts metadata together.
    pub fn new(kind: KindId, generation: u64, values: &[StoredMetadata]) -> Self {
        let mut writer = Writer::default();
        values.iter().for_each(|value| value.encode(&mut writer));
        // Keys have come in a message, and all else has a fixed length.
        Self { kind, generation, values: writer.finish().unwrap_or_default().into() }
    }

    /// The metadata, read with the Kind's data model.
    pub fn values(&self, model: DataModel) -> Result<Vec<StoredMetadata>, DecodeError> {
        let mut reader = Reader::new(&self.values);
        let mut values = Vec::new();
        while !reader.is_empty() {
            values.push(StoredMetadata::decode(&mut reader, model)?);
        }
        Ok(values)
    }
}

impl Encode for StatKindResponse {
    fn encode(&self, writer: &mut Writer) {
        writer.u32(self.kind.0);
        writer.u64(self.generation);
        writer.vec32(|w| w.bytes(&self.values));
    }
}

impl Decode for StatKindResponse {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            kind: KindId(reader.u32()?),
            generation: reader.u64()?,
            values: Bytes::copy_from_slice(reader.opaque32()?),
        })
    }
}

/// Answer to a Stat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatAns {
    /// One entry for each Kind asked for.
    pub kinds: Vec<StatKindResponse>,
}

impl Encode for StatAns {
    fn encode(&self, writer: &mut Writer) {
        writer.vec32(|w| w.list(&self.kinds));
    }
}

impl Decode for StatAns {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kinds = reader.opaque32()?;
        Ok(Self { kinds: reader.list(kinds)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R6940-7.4.3-01, T-67: the digest covers the value with its length, and the first field of
    /// an entry is the length of the rest of it.
    #[test]
    fn metadata_have_the_printed_layout() {
        let metadata = Metadata::of(&DataValue::existing(&b"hello"[..]));
        let of_value = digest(&SHA256, b"\0\0\0\x05hello");
        assert_eq!(metadata.hash, of_value.as_ref());
        let value = MetadataValue::Array { index: 2, value: metadata };
        let stored = StoredMetadata { storage_time_ms: 7, lifetime_s: 60, value };
        let response = StatKindResponse::new(KindId(3), 1, std::slice::from_ref(&stored));
        let bytes = StatAns { kinds: vec![response] }.to_bytes().expect("short");
        let expected = "0000004b000000030000000000000001\
                        0000003b\
                        00000037\
                        00000000000000070000003c00000002\
                        01000000050420";
        assert_eq!(hex::encode(&bytes[..bytes.len() - 32]), expected);
        let answer = StatAns::from_bytes(&bytes).expect("parses");
        assert_eq!(answer.kinds[0].values(DataModel::Array), Ok(vec![stored]));
        assert!(answer.kinds[0].values(DataModel::Dictionary).is_err());
    }
}
