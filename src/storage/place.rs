//! Values of one Kind at one resource, each in its place (RFC 6940 §7.2), in as little memory as
//! they need: a peer of a large overlay keeps few values, and a simulator thousands of peers.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::kind::Kind;
use super::limits;
use crate::base::{Encode, Instant, Now, Writer};
use crate::crypto::Certificate;
use crate::message::{DataValue, ErrorCode, KindId, StoredData, StoredDataValue};

/// Where a value stands within its Kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Single,
    Index(u32),
    Key(Box<[u8]>),
}

impl Place {
    pub(super) fn of(value: &StoredDataValue) -> Self {
        match value {
            StoredDataValue::Single(_) => Self::Single,
            StoredDataValue::Array { index, .. } => Self::Index(*index),
            StoredDataValue::Dictionary { key, .. } => Self::Key(key[..].into()),
        }
    }

    /// `value` in this place.
    pub(super) fn hold(&self, value: DataValue) -> StoredDataValue {
        match self {
            Self::Single => StoredDataValue::Single(value),
            Self::Index(index) => StoredDataValue::Array { index: *index, value },
            Self::Key(key) => {
                StoredDataValue::Dictionary { key: Bytes::copy_from_slice(key), value }
            }
        }
    }
}

/// A value that somebody stored here, and who signed it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) place: Place,
    pub(super) storage_time_ms: u64,
    pub(super) expires: Instant,
    pub(super) signer: Arc<Certificate>,
    content: Content,
    /// Encoded, as it goes out again.
    signature: Box<[u8]>,
}

/// What is in a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Content {
    /// Word that there is nothing, and the bytes that came with it: none as a rule.
    Absent(Box<[u8]>),
    Bytes(Box<[u8]>),
    /// The very certificate that signed it (RFC 6940 §8), which is here anyway.
    Certificate,
}

impl Held {
    /// A value whose signature has been verified, received now. It never outlives the
    /// certificate that vouches for it (T-63).
    pub(super) fn new(now: Now, data: &StoredData, signer: Arc<Certificate>) -> Self {
        let of_certificate = Duration::from_millis(signer.not_after_ms.saturating_sub(now.unix_ms));
        let lifetime = Duration::from_secs(data.lifetime_s.into()).min(of_certificate);
        let content = match data.value.data() {
            DataValue { exists: false, value } => Content::Absent(value[..].into()),
            DataValue { value, .. } if *value == signer.der => Content::Certificate,
            DataValue { value, .. } => Content::Bytes(value[..].into()),
        };
        Self {
            place: Place::of(&data.value),
            storage_time_ms: data.storage_time_ms,
            expires: now.instant + lifetime,
            signer,
            content,
            // It was decoded once, so it can be encoded.
            signature: data.signature.to_bytes().unwrap_or_default().into(),
        }
    }

    /// What is left of its lifetime, in seconds (RFC 6940 §7.4.1.1).
    pub(super) fn lifetime_s(&self, now: Instant) -> u32 {
        let left = self.expires.saturating_since(now).as_secs();
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// Appends the StoredData that is handed on.
    pub(super) fn encode(&self, now: Instant, writer: &mut Writer) {
        writer.vec32(|w| {
            w.u64(self.storage_time_ms);
            w.u32(self.lifetime_s(now));
            match &self.place {
                Place::Single => {}
                Place::Index(index) => w.u32(*index),
                Place::Key(key) => w.vec16(|w| w.bytes(key)),
            }
            w.bool(self.exists());
            w.vec32(|w| w.bytes(self.bytes()));
            w.bytes(&self.signature);
        });
    }

    /// Whether there is a value, and not word that it has been removed.
    pub(super) fn exists(&self) -> bool {
        !matches!(self.content, Content::Absent(_))
    }

    /// The value itself.
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Absent(bytes) | Content::Bytes(bytes) => bytes,
            Content::Certificate => &self.signer.der,
        }
    }

    /// Its owner's signature, encoded.
    pub(super) fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Roughly what the value occupies. Its certificate may be shared with other values, but
    /// need not be, so it counts in full.
    fn size(&self) -> usize {
        let key = match &self.place {
            Place::Key(key) => key.len(),
            Place::Single | Place::Index(_) => 0,
        };
        let value = match &self.content {
            Content::Absent(bytes) | Content::Bytes(bytes) => bytes.len(),
            Content::Certificate => 0,
        };
        limits::OVERHEAD_BYTES + key + value + self.signature.len() + self.signer.der.len()
    }

    /// Order by age; what has the same age has an order too, so that all who merge agree.
    fn age_order(&self, other: &Self) -> Ordering {
        self.storage_time_ms
            .cmp(&other.storage_time_ms)
            .then_with(|| self.content.cmp(&other.content))
            .then_with(|| self.signature.cmp(&other.signature))
    }
}

/// The values of one Kind at one resource.
#[derive(Clone, Debug)]
pub(super) struct Values {
    pub(super) kind: KindId,
    /// 0 only while nothing is stored (T-61).
    pub(super) generation: u64,
    /// In the order of their places.
    held: Vec<Held>,
}

impl Values {
    pub(super) fn new(kind: KindId) -> Self {
        Self { kind, generation: 0, held: Vec::new() }
    }

    /// Puts a value into its place. `Ok(false)` if the very same value is there already, as
    /// after a repeated replica store (T-54).
    pub(super) fn put(&mut self, kind: &Kind, mut new: Held) -> Result<bool, ErrorCode> {
        if new.place == Place::Index(StoredDataValue::APPEND) {
            if self.held.iter().any(|held| held.age_order(&new) == Ordering::Equal) {
                return Ok(false);
            }
            new.place = Place::Index(self.end().ok_or(ErrorCode::DATA_TOO_LARGE)?);
        }
        let found = self.find(&new.place);
        if let Ok(at) = found {
            let old = &self.held[at];
            if old.age_order(&new) == Ordering::Equal {
                return Ok(false);
            }
            // Strictly increasing, per place (RFC 6940 §13.5.3, T-62).
            if new.storage_time_ms <= old.storage_time_ms {
                return Err(ErrorCode::DATA_TOO_OLD);
            }
        }
        // Tombstones have a cap of their own, so that they do not block a new device (T-69).
        let exists = new.exists();
        if found.is_err() || found.is_ok_and(|at| self.held[at].exists() != exists) {
            let count = self.held.iter().filter(|held| held.exists() == exists).count();
            let max = if exists { kind.max_count as usize } else { limits::TOMBSTONES_MAX };
            if count >= max {
                return Err(ErrorCode::DATA_TOO_LARGE);
            }
        }
        match found {
            Ok(at) => self.held[at] = new,
            Err(at) => {
                self.held.reserve_exact(1);
                self.held.insert(at, new);
            }
        }
        Ok(true)
    }

    /// Puts a value into its place if it is newer than what is there; whether it was.
    pub(super) fn merge(&mut self, kind: &Kind, new: Held) -> bool {
        match self.find(&new.place) {
            // Two values of the same moment: all who merge them choose the same one.
            Ok(at) if self.held[at].storage_time_ms == new.storage_time_ms => {
                let is_newer = self.held[at].age_order(&new) == Ordering::Less;
                if is_newer {
                    self.held[at] = new;
                }
                is_newer
            }
            _ => self.put(kind, new) == Ok(true),
        }
    }

    /// The counter after values with another one have been merged in: a new one, unless these
    /// are the first (T-61).
    pub(super) fn merge_generation(&mut self, other: u64) {
        self.generation = match self.generation {
            0 => other.max(1),
            own => own.max(other).saturating_add(1),
        };
    }

    /// All values in the order of their places, tombstones included.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Held> {
        self.held.iter()
    }

    /// The value in a place.
    pub(super) fn at(&self, place: &Place) -> Option<&Held> {
        self.find(place).ok().map(|at| &self.held[at])
    }

    /// The values of an array from `first` to `last`, both included, with their indexes.
    pub(super) fn range(&self, first: u32, last: u32) -> impl Iterator<Item = (u32, &Held)> {
        let start = self.held.partition_point(|held| held.place < Place::Index(first));
        self.held[start..].iter().map_while(move |held| match held.place {
            Place::Index(index) if index <= last => Some((index, held)),
            _ => None,
        })
    }

    /// The last index of an array that has values.
    pub(super) fn last_index(&self) -> Option<u32> {
        match self.held.last()?.place {
            Place::Index(last) => Some(last),
            Place::Single | Place::Key(_) => None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Drops what is not wanted any more.
    pub(super) fn retain(&mut self, keeps: impl Fn(&Held) -> bool) {
        self.held.retain(keeps);
    }

    /// Drops what has expired.
    pub(super) fn expire(&mut self, now: Instant) {
        self.held.retain(|held| held.expires > now);
        self.held.shrink_to_fit();
    }

    pub(super) fn size(&self) -> usize {
        self.held.iter().map(Held::size).sum()
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.held.iter().map(|held| held.expires).min()
    }

    fn find(&self, place: &Place) -> Result<usize, usize> {
        self.held.binary_search_by(|held| held.place.cmp(place))
    }

    /// The index behind the last value of an array, if there is one.
    fn end(&self) -> Option<u32> {
        match self.last_index() {
            Some(last) => last.checked_add(1).filter(|end| *end != StoredDataValue::APPEND),
            None => Some(0),
        }
    }
}
