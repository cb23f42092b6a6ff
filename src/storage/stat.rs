//! What a Stat gets (RFC 6940 §7.4.3).

use std::collections::BTreeMap;

use super::Storage;
use crate::base::{Now, ResourceId};
use crate::message::{
    ErrorResponse, FetchReq, KindData, KindId, MetadataValue, StatAns, StatKindResponse, StoreReq,
    StoredMetadata,
};

impl Storage {
    /// The answer to a request: for each value that a Fetch would get, what is known of it.
    ///
    /// # Errors
    ///
    /// The error to answer with, as for [`Storage::fetch`].
    pub fn stat(&mut self, now: Now, request: &FetchReq) -> Result<StatAns, ErrorResponse> {
        let (fetched, _) = self.fetch(now, request)?;
        let kinds = fetched.kinds.iter().map(|data| {
            let model = self.kinds().kind(data.kind).map(|kind| kind.data_model);
            // What we have just put together can be taken apart.
            let values = model.and_then(|model| data.values(model).ok()).unwrap_or_default();
            let metadata: Vec<StoredMetadata> = values.iter().map(StoredMetadata::of).collect();
            StatKindResponse::new(data.kind, data.generation, &metadata)
        });
        Ok(StatAns { kinds: kinds.collect() })
    }

    /// Whether another peer whose Stat gave this has all that is at a resource here, or newer.
    pub fn is_covered_by(&mut self, now: Now, resource: &ResourceId, there: &StatAns) -> bool {
        let here = self.stat(now, &self.counterpart(resource));
        here.is_ok_and(|here| covers(&self.metadata(there), &self.metadata(&here)))
    }

    /// Whether all that a Store would bring is here, or newer.
    pub fn is_as_new_as(&mut self, now: Now, store: &StoreReq) -> bool {
        let Ok(here) = self.stat(now, &self.counterpart(&store.resource)) else { return false };
        let of_kind = |data: &KindData| {
            let model = self.kinds().kind(data.kind)?.data_model;
            let values = data.values(model).ok()?;
            Some((data.kind, values.iter().map(StoredMetadata::of).collect()))
        };
        covers(&self.metadata(&here), &store.kinds.iter().filter_map(of_kind).collect())
    }

    fn metadata(&self, answer: &StatAns) -> Metadata {
        let of_kind = |response: &StatKindResponse| {
            let model = self.kinds().kind(response.kind)?.data_model;
            Some((response.kind, response.values(model).ok()?))
        };
        answer.kinds.iter().filter_map(of_kind).collect()
    }
}

/// What is known of the values at a resource.
type Metadata = BTreeMap<KindId, Vec<StoredMetadata>>;

/// Whether each of `some` is among `all`, or a newer one in its place.
fn covers(all: &Metadata, some: &Metadata) -> bool {
    some.iter().all(|(kind, values)| {
        values.iter().all(|value| {
            let is_same = |other: &&StoredMetadata| place(&other.value) == place(&value.value);
            let other = all.get(kind).and_then(|others| others.iter().find(is_same));
            other.is_some_and(|other| other.storage_time_ms >= value.storage_time_ms)
        })
    })
}

/// The place within its Kind.
fn place(value: &MetadataValue) -> (u32, &[u8]) {
    match value {
        MetadataValue::Single(_) => (0, &[]),
        MetadataValue::Array { index, .. } => (*index, &[]),
        MetadataValue::Dictionary { key, .. } => (0, key),
    }
}
