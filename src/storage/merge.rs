//! Values that come neither from their owner nor as a replica: newer ones that another peer has
//! (RFC 6940 §7.4.1.1), and our own of before a restart.

use std::time::Duration;

use super::kind::Kind;
use super::place::Held;
use super::verify::Verifier;
use super::{Resource, Storage, StoreCopy};
use crate::base::{Now, ResourceId};
use crate::message::{
    DataModel, FetchReq, KindData, KindId, Places, StoredData, StoredDataSpecifier,
};

impl Storage {
    /// Acts as if these values and those that are here had all been stored in the order of their
    /// storage times (RFC 6940 §7.4.1.1), each for itself. Values that would be refused in a Store
    /// are left out. Whether anything has changed here.
    pub fn merge(
        &mut self,
        now: Now,
        resource: &ResourceId,
        kinds: &[KindData],
        verifier: Verifier<'_>,
    ) -> bool {
        self.merge_aged(now, Duration::ZERO, resource, kinds, verifier)
    }

    /// Asks for all that another peer has of the Kinds that are at this resource.
    pub fn counterpart(&self, resource: &ResourceId) -> FetchReq {
        let position = resource.to_u128();
        let stored = position.and_then(|position| self.resources.get(&position));
        let kinds = stored.into_iter().flat_map(|stored| &stored.kinds);
        self.all_of(resource, kinds.map(|values| values.kind))
    }

    /// Asks for all that is at a resource of these Kinds, but for those that are unknown here.
    pub fn all_of(&self, resource: &ResourceId, kinds: impl Iterator<Item = KindId>) -> FetchReq {
        let specifier = |kind: &Kind| {
            let all = match kind.data_model {
                DataModel::Single => Places::Single,
                DataModel::Array => Places::Array(Vec::new()),
                DataModel::Dictionary => Places::Dictionary(Vec::new()),
            };
            StoredDataSpecifier::new(kind.id, &all)
        };
        let known = kinds.filter_map(|kind| self.kinds().kind(kind));
        FetchReq { resource: resource.clone(), specifiers: known.map(specifier).collect() }
    }

    /// Puts back what [`Storage::changes`] told of at `saved_unix_ms`, checked as if it came from
    /// the network. Lifetimes went on meanwhile (T-63); a clock that was set back does not
    /// lengthen them beyond what they were. Whether anything was taken.
    pub fn restore(
        &mut self,
        now: Now,
        saved_unix_ms: u64,
        copy: &StoreCopy,
        verifier: Verifier<'_>,
    ) -> bool {
        let age = Duration::from_millis(now.unix_ms.saturating_sub(saved_unix_ms));
        self.merge_aged(now, age, &copy.request.resource, &copy.request.kinds, verifier)
    }

    fn merge_aged(
        &mut self,
        now: Now,
        age: Duration,
        resource: &ResourceId,
        kinds: &[KindData],
        verifier: Verifier<'_>,
    ) -> bool {
        self.expire(now.instant);
        let Some(position) = resource.to_u128() else { return false };
        let mut draft = self.resources.get(&position).cloned().unwrap_or_default();
        let mut changed = false;
        for data in kinds {
            let Some(kind) = self.kinds().kind(data.kind) else { continue };
            let Ok(values) = data.values(kind.data_model) else { continue };
            let admit = |value| {
                let value = aged(value, age)?;
                self.admit_value(now, resource, kind, &value, verifier).ok()
            };
            let admitted: Vec<Held> = values.into_iter().filter_map(admit).collect();
            changed |= draft.merge(kind, data.generation, admitted);
        }
        changed &= self.has_room(position, &draft);
        if changed {
            self.put(position, draft);
        }
        changed
    }
}

impl Resource {
    fn merge(&mut self, kind: &Kind, generation: u64, new: Vec<Held>) -> bool {
        let mut changed = false;
        for mut held in new {
            self.share_signer(&mut held);
            changed |= self.values_mut(kind.id).merge(kind, held);
        }
        if changed {
            self.values_mut(kind.id).merge_generation(generation);
        }
        changed
    }
}

/// The value with the lifetime that is left to it after `age`, if any is.
fn aged(value: StoredData, age: Duration) -> Option<StoredData> {
    let left = Duration::from_secs(value.lifetime_s.into()).checked_sub(age)?;
    let lifetime_s = u32::try_from(left.as_secs()).ok().filter(|left| *left > 0)?;
    Some(StoredData { lifetime_s, ..value })
}
