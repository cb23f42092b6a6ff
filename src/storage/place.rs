//! Values of one Kind at one resource, each in its place (RFC 6940 §7.2).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::kind::Kind;
use super::limits;
use crate::base::{Instant, Now};
use crate::crypto::Certificate;
use crate::message::{DataValue, ErrorCode, StoredData, StoredDataValue};

/// Where a value stands within its Kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Single,
    Index(u32),
    Key(Bytes),
}

impl Place {
    pub(super) fn of(value: &StoredDataValue) -> Self {
        match value {
            StoredDataValue::Single(_) => Self::Single,
            StoredDataValue::Array { index, .. } => Self::Index(*index),
            StoredDataValue::Dictionary { key, .. } => Self::Key(key.clone()),
        }
    }

    /// `value` in this place.
    pub(super) fn hold(&self, value: DataValue) -> StoredDataValue {
        match self {
            Self::Single => StoredDataValue::Single(value),
            Self::Index(index) => StoredDataValue::Array { index: *index, value },
            Self::Key(key) => StoredDataValue::Dictionary { key: key.clone(), value },
        }
    }
}

/// A value that somebody stored here, and who signed it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) data: StoredData,
    pub(super) expires: Instant,
    pub(super) signer: Arc<Certificate>,
}

impl Held {
    /// A value whose signature has been verified, received now. It never outlives the
    /// certificate that vouches for it (T-63).
    pub(super) fn new(now: Now, data: StoredData, signer: Arc<Certificate>) -> Self {
        let of_certificate = Duration::from_millis(signer.not_after_ms.saturating_sub(now.unix_ms));
        let lifetime = Duration::from_secs(data.lifetime_s.into()).min(of_certificate);
        Self { data, expires: now.instant + lifetime, signer }
    }

    /// The value as it is handed on: its lifetime is what is left (RFC 6940 §7.4.1.1).
    pub(super) fn aged(&self, now: Instant) -> StoredData {
        let left = self.expires.saturating_since(now).as_secs();
        StoredData { lifetime_s: u32::try_from(left).unwrap_or(u32::MAX), ..self.data.clone() }
    }

    fn exists(&self) -> bool {
        self.data.value.data().exists
    }

    /// Roughly what the value occupies. Its certificate may be shared with other values, but
    /// need not be, so it counts in full.
    fn bytes(&self) -> usize {
        let key = match &self.data.value {
            StoredDataValue::Dictionary { key, .. } => key.len(),
            StoredDataValue::Single(_) | StoredDataValue::Array { .. } => 0,
        };
        let signature = self.data.signature.value.len();
        let value = self.data.value.data().value.len();
        limits::OVERHEAD_BYTES + key + value + signature + self.signer.der.len()
    }

    fn is_same(&self, other: &StoredData) -> bool {
        self.data.storage_time_ms == other.storage_time_ms
            && self.data.value.data() == other.value.data()
            && self.data.signature == other.signature
    }
}

/// The values of one Kind at one resource.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    /// 0 only while nothing is stored (T-61).
    pub(super) generation: u64,
    pub(super) held: BTreeMap<Place, Held>,
}

impl Values {
    /// Puts a value into its place. `Ok(false)` if the very same value is there already, as
    /// after a repeated replica store (T-54).
    pub(super) fn put(&mut self, kind: &Kind, new: Held) -> Result<bool, ErrorCode> {
        let mut new = new;
        let mut place = Place::of(&new.data.value);
        if place == Place::Index(StoredDataValue::APPEND) {
            if self.held.values().any(|held| held.is_same(&new.data)) {
                return Ok(false);
            }
            place = Place::Index(self.end().ok_or(ErrorCode::DATA_TOO_LARGE)?);
            new.data.value = place.hold(new.data.value.data().clone());
        }
        let replaced = self.held.get(&place);
        if let Some(old) = replaced {
            if old.is_same(&new.data) {
                return Ok(false);
            }
            // Strictly increasing, per place (RFC 6940 §13.5.3, T-62).
            if new.data.storage_time_ms <= old.data.storage_time_ms {
                return Err(ErrorCode::DATA_TOO_OLD);
            }
        }
        // Tombstones have a cap of their own, so that they do not block a new device (T-69).
        let exists = new.exists();
        if replaced.is_none_or(|old| old.exists() != exists) {
            let count = self.held.values().filter(|held| held.exists() == exists).count();
            let max = if exists { kind.max_count as usize } else { limits::TOMBSTONES_MAX };
            if count >= max {
                return Err(ErrorCode::DATA_TOO_LARGE);
            }
        }
        self.held.insert(place, new);
        Ok(true)
    }

    /// The index behind the last value of an array, if there is one.
    fn end(&self) -> Option<u32> {
        match self.held.last_key_value() {
            Some((Place::Index(last), _)) => {
                last.checked_add(1).filter(|end| *end != StoredDataValue::APPEND)
            }
            _ => Some(0),
        }
    }

    /// Drops what has expired.
    pub(super) fn expire(&mut self, now: Instant) {
        self.held.retain(|_, held| held.expires > now);
    }

    pub(super) fn bytes(&self) -> usize {
        self.held.values().map(Held::bytes).sum()
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.held.values().map(|held| held.expires).min()
    }
}
