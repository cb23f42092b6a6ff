//! What a Stat gets (RFC 6940 §7.4.3).

use super::Storage;
use crate::base::{Now, ResourceId};
use crate::message::{
    ErrorResponse, FetchReq, KindId, MetadataValue, StatAns, StatKindResponse, StoredMetadata,
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
        let Ok(here) = self.stat(now, &self.counterpart(resource)) else { return false };
        let values = |answer: &StatAns, kind: KindId| -> Vec<StoredMetadata> {
            let model = self.kinds().kind(kind).map(|kind| kind.data_model);
            let of_kind = answer.kinds.iter().find(|response| response.kind == kind);
            let values = of_kind.zip(model).and_then(|(of, model)| of.values(model).ok());
            values.unwrap_or_default()
        };
        here.kinds.iter().all(|response| {
            let theirs = values(there, response.kind);
            values(&here, response.kind).iter().all(|ours| {
                let is_same = |other: &&StoredMetadata| place(&other.value) == place(&ours.value);
                let other = theirs.iter().find(is_same);
                other.is_some_and(|other| other.storage_time_ms >= ours.storage_time_ms)
            })
        })
    }
}

/// The place within its Kind.
fn place(value: &MetadataValue) -> (u32, &[u8]) {
    match value {
        MetadataValue::Single(_) => (0, &[]),
        MetadataValue::Array { index, .. } => (*index, &[]),
        MetadataValue::Dictionary { key, .. } => (0, key),
    }
}
