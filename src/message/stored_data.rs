//! Stored values as they travel (RFC 6940 §7): the same in Store, Fetch and on disk.

use bytes::Bytes;

use crate::base::{Decode, DecodeError, Encode, Reader, ResourceId, Writer};
use crate::crypto::{Signature, SignerIdentity};

/// A registered or private Kind of data (RFC 6940 §14.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindId(pub u32);

impl KindId {
    /// SIP-REGISTRATION (RFC 7904 §7).
    pub const SIP_REGISTRATION: Self = Self(0x1);
    /// TURN-SERVICE (RFC 6940 §9).
    pub const TURN_SERVICE: Self = Self(0x2);
    /// CERTIFICATE_BY_NODE (RFC 6940 §8).
    pub const CERTIFICATE_BY_NODE: Self = Self(0x3);
    /// CERTIFICATE_BY_USER (RFC 6940 §8).
    pub const CERTIFICATE_BY_USER: Self = Self(0x10);
}

/// How the values of a Kind are arranged (RFC 6940 §7.2). The wire does not say; the Kind does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataModel {
    /// One value.
    Single,
    /// Values by index, with gaps.
    Array,
    /// Values by key.
    Dictionary,
}

/// A value with its place, its times and its owner's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredData {
    /// When its owner made it, milliseconds since the Unix epoch.
    pub storage_time_ms: u64,
    /// For how long it lives from its receipt by a storing peer, in seconds.
    pub lifetime_s: u32,
    /// The value in its place.
    pub value: StoredDataValue,
    /// The owner's signature over [`StoredData::signature_input`].
    pub signature: Signature,
}

impl StoredData {
    /// Appends the value with its length.
    pub fn encode(&self, writer: &mut Writer) {
        writer.vec32(|w| {
            w.u64(self.storage_time_ms);
            w.u32(self.lifetime_s);
            self.value.encode(w);
            self.signature.encode(w);
        });
    }

    /// Reads a value of a Kind with this data model.
    pub fn decode(reader: &mut Reader<'_>, model: DataModel) -> Result<Self, DecodeError> {
        let data = reader.opaque32()?;
        let mut data = reader.nested(data);
        let stored = Self {
            storage_time_ms: data.u64()?,
            lifetime_s: data.u32()?,
            value: StoredDataValue::decode(&mut data, model)?,
            signature: Signature::decode(&mut data)?,
        };
        data.end("stored data")?;
        Ok(stored)
    }

    /// The bytes that the owner signs: Resource-ID with its length byte (T-17), Kind-ID, storage
    /// time, the value with an array index of zero (T-18), and the signer identity
    /// (RFC 6940 §7.1).
    pub fn signature_input(
        resource: &ResourceId,
        kind: KindId,
        storage_time_ms: u64,
        value: &StoredDataValue,
        identity: &SignerIdentity,
    ) -> Vec<u8> {
        let mut writer = Writer::default();
        resource.encode(&mut writer);
        writer.u32(kind.0);
        writer.u64(storage_time_ms);
        match value {
            StoredDataValue::Array { value, .. } => {
                StoredDataValue::Array { index: 0, value: value.clone() }.encode(&mut writer);
            }
            value => value.encode(&mut writer),
        }
        identity.encode(&mut writer);
        // A value too long for its prefix could not have been stored or decoded.
        writer.finish().unwrap_or_default()
    }
}

/// A value in its place in the Kind's data model (RFC 6940 §7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredDataValue {
    /// The only value.
    Single(DataValue),
    /// The value at an index.
    Array {
        /// [`StoredDataValue::APPEND`] stores behind the last one.
        index: u32,
        /// The value.
        value: DataValue,
    },
    /// The value at a key.
    Dictionary {
        /// The key.
        key: Bytes,
        /// The value.
        value: DataValue,
    },
}

impl StoredDataValue {
    /// The index that means "behind the last value" in a Store and "the last value" in a Fetch.
    pub const APPEND: u32 = 0xffff_ffff;

    /// The value without its place.
    pub fn data(&self) -> &DataValue {
        match self {
            Self::Single(value) | Self::Array { value, .. } | Self::Dictionary { value, .. } => {
                value
            }
        }
    }

    /// The data model that this value fits.
    pub fn model(&self) -> DataModel {
        match self {
            Self::Single(_) => DataModel::Single,
            Self::Array { .. } => DataModel::Array,
            Self::Dictionary { .. } => DataModel::Dictionary,
        }
    }

    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Single(_) => {}
            Self::Array { index, .. } => writer.u32(*index),
            Self::Dictionary { key, .. } => writer.vec16(|w| w.bytes(key)),
        }
        self.data().encode(writer);
    }

    fn decode(reader: &mut Reader<'_>, model: DataModel) -> Result<Self, DecodeError> {
        Ok(match model {
            DataModel::Single => Self::Single(DataValue::decode(reader)?),
            DataModel::Array => {
                Self::Array { index: reader.u32()?, value: DataValue::decode(reader)? }
            }
            DataModel::Dictionary => Self::Dictionary {
                key: Bytes::copy_from_slice(reader.opaque16()?),
                value: DataValue::decode(reader)?,
            },
        })
    }
}

/// Bytes, or word that there are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataValue {
    /// `false` removes a value: a tombstone (RFC 6940 §7.4.1.3).
    pub exists: bool,
    /// The bytes.
    pub value: Bytes,
}

impl DataValue {
    /// A value that exists.
    pub fn existing(value: impl Into<Bytes>) -> Self {
        Self { exists: true, value: value.into() }
    }

    /// Word that there is no value.
    pub fn absent() -> Self {
        Self { exists: false, value: Bytes::new() }
    }
}

impl Encode for DataValue {
    fn encode(&self, writer: &mut Writer) {
        writer.bool(self.exists);
        writer.vec32(|w| w.bytes(&self.value));
    }
}

impl Decode for DataValue {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            exists: reader.bool("exists")?,
            value: Bytes::copy_from_slice(reader.opaque32()?),
        })
    }
}

/// Values of one Kind with their generation counter, as Store and Fetch carry them. The values
/// stay encoded: only somebody who knows the Kind's data model can read them (T-08).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindData {
    /// The Kind.
    pub kind: KindId,
    /// The generation counter.
    pub generation: u64,
    values: Bytes,
}

impl KindData {
    /// Puts values together.
    pub fn new(kind: KindId, generation: u64, values: &[StoredData]) -> Self {
        let mut writer = Writer::default();
        for value in values {
            value.encode(&mut writer);
        }
        // Each value has been bounded by max-size or by the message that it came in.
        Self { kind, generation, values: writer.finish().unwrap_or_default().into() }
    }

    /// Puts values together that are encoded already, one after the other.
    pub fn encoded(kind: KindId, generation: u64, values: Bytes) -> Self {
        Self { kind, generation, values }
    }

    /// The values, read with the Kind's data model.
    pub fn values(&self, model: DataModel) -> Result<Vec<StoredData>, DecodeError> {
        let mut reader = Reader::new(&self.values);
        let mut values = Vec::new();
        while !reader.is_empty() {
            values.push(StoredData::decode(&mut reader, model)?);
        }
        Ok(values)
    }
}

impl Encode for KindData {
    fn encode(&self, writer: &mut Writer) {
        writer.u32(self.kind.0);
        writer.u64(self.generation);
        writer.vec32(|w| w.bytes(&self.values));
    }
}

impl Decode for KindData {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            kind: KindId(reader.u32()?),
            generation: reader.u64()?,
            values: Bytes::copy_from_slice(reader.opaque32()?),
        })
    }
}
