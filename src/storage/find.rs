//! What a Find gets (RFC 6940 §7.4.4).

use std::collections::BTreeSet;

use super::Storage;
use super::kind::AccessControl;
use super::place::{Held, Values};
use crate::base::{Now, ResourceId};
use crate::message::{ErrorCode, ErrorResponse, FindAns, FindKindData, FindReq, KindId};

impl AccessControl {
    /// Whether Kinds with this policy may be used with Find, which the RFC leaves to the Kind.
    /// Those that are stored under users' names may not: a walk would list everybody who can be
    /// called, while a Fetch takes a name that one knows.
    pub fn is_findable(self) -> bool {
        match self {
            Self::NodeMatch | Self::NodeMultiple { .. } => true,
            Self::UserMatch | Self::UserNodeMatch => false,
        }
    }
}

impl Storage {
    /// The answer to a request from a peer that is responsible for the ring up to `end`: for each
    /// Kind the first resource with values of it from the one named on (T-57).
    ///
    /// # Errors
    ///
    /// The error to answer with: a Kind comes twice, or the resource can be nowhere.
    pub fn find(
        &mut self,
        now: Now,
        request: &FindReq,
        end: u128,
    ) -> Result<FindAns, ErrorResponse> {
        self.expire(now.instant);
        let mut seen = BTreeSet::new();
        if !request.kinds.iter().all(|kind| seen.insert(*kind)) {
            let text = "a Kind comes twice";
            return Err(ErrorResponse::with_text(ErrorCode::INVALID_MESSAGE, text));
        }
        let not_found = || ErrorResponse::new(ErrorCode::NOT_FOUND);
        let start = request.resource.to_u128().ok_or_else(not_found)?;
        let result = |id: &KindId| match self.kinds.kind(*id) {
            Some(kind) if !kind.access.is_findable() => None,
            Some(_) => Some(FindKindData::new(*id, self.next_with(*id, start, end))),
            None => Some(FindKindData::new(*id, None)),
        };
        Ok(FindAns { results: request.kinds.iter().filter_map(result).collect() })
    }

    /// The first resource from `start` to `end` where values of a Kind exist.
    fn next_with(&self, kind: KindId, start: u128, end: u128) -> Option<ResourceId> {
        let exists = |values: &Values| values.iter().any(Held::exists);
        self.resources_between(start.wrapping_sub(1), end)
            .find(|resource| self.values(resource, kind).is_some_and(exists))
    }
}
