//! What a peer keeps for the overlay: values by resource and Kind, who may write them, for how
//! long they live, and the copies that other peers get (RFC 6940 §7, §10.4).
//!
//! [`Storage`] decides whether a Store is allowed by its *content*: Kinds, signatures, access
//! control, generations, times and limits. Whether this peer is responsible for the resource, or
//! is to keep a replica of it, depends on the ring; that is asked before, elsewhere.
//!
//! Values are verified once, when they come in, and kept with the certificates that verify them,
//! so that everything given out later can be verified by its reader (RFC 6940 §6.3.4).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::{Instant, ResourceId};
use crate::crypto::Certificate;
use crate::message::KindId;

mod copies;
mod fetch;
mod find;
mod inspect;
mod journal;
mod kind;
mod merge;
mod name;
mod place;
mod reconfigure;
mod stat;
mod store;
mod verify;

#[cfg(test)]
mod tests;

pub use copies::StoreCopy;
pub use inspect::Kept;
pub use journal::Change;
pub use kind::{AccessControl, Kind, KindError, KindTable};
pub use name::resource_id;
pub use store::{Requester, Stored};
pub use verify::{Verified, VerifiedValue, Verifier};

use journal::Journal;
use place::Values;

/// What bounds the storage.
pub mod limits {
    /// A peer of an overlay of 10,000 users with three devices each keeps a few dozen values;
    /// this holds thousands of times as many and is still no burden to a desktop.
    pub const BYTES_MAX: usize = 64 * 1024 * 1024;
    /// Removed values of one Kind at one resource that are remembered beside those that exist.
    pub const TOMBSTONES_MAX: usize = 32;
    /// What a value costs beside its bytes and its certificate: places in tables and times.
    pub const OVERHEAD_BYTES: usize = 256;
    /// Resources that have changed and have not been told of: more than change in the seconds
    /// between two times.
    pub const CHANGES_MAX: usize = 64 * 1024;
    /// More unknown Kinds than this cannot be listed in an error (RFC 6940 §7.4.1.2).
    pub const UNKNOWN_KINDS_MAX: usize = 63;
}

/// The values that a peer keeps.
#[derive(Debug)]
pub struct Storage {
    kinds: KindTable,
    bytes: usize,
    bytes_max: usize,
    /// By position on the ring, so that hand-overs are ranges (RFC 6940 §10.5).
    resources: BTreeMap<u128, Resource>,
    /// When each resource has something to expire next.
    expiries: BTreeSet<(Instant, u128)>,
    journal: Journal,
}

impl Storage {
    /// Empty storage for these Kinds.
    pub fn new(kinds: KindTable) -> Self {
        Self::with_bytes_max(kinds, limits::BYTES_MAX)
    }

    /// Empty storage that takes no more than about `bytes_max` bytes of values.
    pub fn with_bytes_max(kinds: KindTable, bytes_max: usize) -> Self {
        Self {
            kinds,
            bytes: 0,
            bytes_max,
            resources: BTreeMap::new(),
            expiries: BTreeSet::new(),
            journal: Journal::default(),
        }
    }

    /// The Kinds.
    pub fn kinds(&self) -> &KindTable {
        &self.kinds
    }

    /// How many resources have values here.
    pub fn resource_count(&self) -> usize {
        self.resources.len()
    }

    /// How many values are here, tombstones included.
    pub fn value_count(&self) -> usize {
        self.resources.values().flat_map(|r| &r.kinds).map(Values::len).sum()
    }

    /// About how many bytes they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether anything is stored at a resource.
    pub fn holds(&self, resource: &ResourceId) -> bool {
        resource.to_u128().is_some_and(|position| self.resources.contains_key(&position))
    }

    /// Whether anything of a Kind is stored at a resource.
    pub fn holds_kind(&self, resource: &ResourceId, kind: KindId) -> bool {
        let there = resource.to_u128().and_then(|position| self.resources.get(&position));
        there.is_some_and(|there| {
            there.kinds.iter().any(|values| values.kind == kind && !values.is_empty())
        })
    }

    /// The resources with values in the half-open range `(after, to]` of the ring, clockwise;
    /// all of them if both ends are the same.
    pub fn resources_between(
        &self,
        after: u128,
        to: u128,
    ) -> impl Iterator<Item = ResourceId> + use<'_> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let (first, second) = if after < to {
            ((Excluded(after), Included(to)), None)
        } else {
            ((Excluded(after), Unbounded), Some((Unbounded, Included(to))))
        };
        let second = second.into_iter().flat_map(|range| self.resources.range(range));
        self.resources.range(first).chain(second).map(|(p, _)| ResourceId::from_u128(*p))
    }

    /// Forgets everything at a resource, which others are responsible for now.
    pub fn remove(&mut self, resource: &ResourceId) {
        if let Some(position) = resource.to_u128() {
            self.take(position);
        }
    }

    /// When [`Storage::expire`] next has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// Drops values whose lifetime has passed.
    pub fn expire(&mut self, now: Instant) {
        while let Some((at, position)) = self.expiries.first().copied() {
            if at > now {
                return;
            }
            let mut resource = self.take(position);
            for values in &mut resource.kinds {
                values.expire(now);
            }
            self.put(position, resource);
        }
    }

    /// Takes out what is at `position` and keeps the books.
    fn take(&mut self, position: u128) -> Resource {
        let Some(resource) = self.resources.remove(&position) else { return Resource::default() };
        self.journal.note(position);
        self.bytes -= resource.size();
        if let Some(at) = resource.next_expiry() {
            self.expiries.remove(&(at, position));
        }
        resource
    }

    /// Puts `resource` in place of what is at `position` and keeps the books.
    fn put(&mut self, position: u128, mut resource: Resource) {
        self.take(position);
        resource.kinds.retain(|values| !values.is_empty());
        if let Some(at) = resource.next_expiry() {
            self.journal.note(position);
            self.bytes += resource.size();
            self.expiries.insert((at, position));
            self.resources.insert(position, resource);
        }
    }

    fn values(&self, resource: &ResourceId, kind: KindId) -> Option<&Values> {
        let stored = self.resources.get(&resource.to_u128()?)?;
        stored.kinds.iter().find(|values| values.kind == kind)
    }
}

/// What is stored at one resource.
#[derive(Clone, Debug, Default)]
struct Resource {
    /// In the order of their Kind-IDs.
    kinds: Vec<Values>,
}

impl Resource {
    /// The values of a Kind, which may be none yet.
    fn values_mut(&mut self, kind: KindId) -> &mut Values {
        let at = match self.kinds.binary_search_by_key(&kind, |values| values.kind) {
            Ok(at) => at,
            Err(at) => {
                self.kinds.reserve_exact(1);
                self.kinds.insert(at, Values::new(kind));
                at
            }
        };
        &mut self.kinds[at]
    }

    fn signers(&self) -> impl Iterator<Item = &Arc<Certificate>> {
        self.kinds.iter().flat_map(Values::iter).map(|held| &held.signer)
    }

    fn size(&self) -> usize {
        self.kinds.iter().map(Values::size).sum()
    }

    fn next_expiry(&self) -> Option<Instant> {
        self.kinds.iter().filter_map(Values::next_expiry).min()
    }
}
