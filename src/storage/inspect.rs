//! What lies here, for whoever looks in from outside: an operator, a simulation's checks.

use std::sync::Arc;

use super::Storage;
use super::place::{Held, Place};
use crate::base::{Decode, ResourceId};
use crate::crypto::{Certificate, Signature};
use crate::message::{DataValue, KindId, StoredDataValue};

/// A value as it lies here, or the tombstone in its place.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// The Kind.
    pub kind: KindId,
    held: &'a Held,
}

impl<'a> Kept<'a> {
    /// Who signed it.
    pub fn signer(&self) -> &'a Arc<Certificate> {
        &self.held.signer
    }

    /// When its owner made it, milliseconds since the Unix epoch.
    pub fn storage_time_ms(&self) -> u64 {
        self.held.storage_time_ms
    }

    /// The key of a dictionary under which it lies.
    pub fn key(&self) -> Option<&'a [u8]> {
        match &self.held.place {
            Place::Key(key) => Some(key),
            Place::Single | Place::Index(_) => None,
        }
    }

    /// The bytes of a value that exists.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        self.held.exists().then(|| self.held.bytes())
    }

    /// The value in its place, as it travels.
    pub fn value(&self) -> StoredDataValue {
        let value = self.held.bytes().to_vec().into();
        self.held.place.hold(DataValue { exists: self.held.exists(), value })
    }

    /// Its owner's signature.
    pub fn signature(&self) -> Option<Signature> {
        Signature::from_bytes(self.held.signature()).ok()
    }
}

impl Storage {
    /// All values, by resource.
    pub fn kept(&self) -> impl Iterator<Item = (ResourceId, Kept<'_>)> {
        self.resources.iter().flat_map(|(position, resource)| {
            let resource_id = ResourceId::from_u128(*position);
            let all = resource.kinds.iter().flat_map(|v| v.iter().map(|held| (v.kind, held)));
            all.map(move |(kind, held)| (resource_id.clone(), Kept { kind, held }))
        })
    }

    /// The values of one Kind at one resource.
    pub fn kept_at(&self, resource: &ResourceId, kind: KindId) -> impl Iterator<Item = Kept<'_>> {
        let values = self.values(resource, kind).into_iter().flat_map(|values| values.iter());
        values.map(move |held| Kept { kind, held })
    }
}
