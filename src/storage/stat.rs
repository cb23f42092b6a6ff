//! What a Stat gets (RFC 6940 §7.4.3).

use super::Storage;
use crate::base::Now;
use crate::message::{ErrorResponse, FetchReq, StatAns, StatKindResponse, StoredMetadata};

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
}
