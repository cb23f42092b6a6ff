//! Whether and how a Store changes what is here (RFC 6940 §7.4.1).

use std::collections::BTreeSet;

use super::kind::Kind;
use super::place::{Held, Place};
use super::verify::Verifier;
use super::{Resource, Storage, limits};
use crate::base::{Encode, NodeId, Now, ResourceId, Writer};
use crate::crypto::Certificate;
use crate::message::{
    ErrorCode, ErrorResponse, KindData, KindId, StoreAns, StoreKindResponse, StoreReq, StoredData,
};

/// Who signed a request.
#[derive(Clone, Copy, Debug)]
pub struct Requester<'a> {
    /// The certificate.
    pub certificate: &'a Certificate,
    /// Which Node-ID of it.
    pub node_id: NodeId,
}

/// What a Store did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The Kinds of the request with their generation counters now.
    pub generations: Vec<(KindId, u64)>,
    /// Whether any value is new. If not, replicas need no copies either.
    pub changed: bool,
}

impl Stored {
    /// The answer to the request (RFC 6940 §7.4.1.2).
    pub fn answer(&self, replicas: &[NodeId]) -> StoreAns {
        let response = |&(kind, generation)| StoreKindResponse {
            kind,
            generation,
            replicas: replicas.to_vec(),
        };
        StoreAns { kinds: self.generations.iter().map(response).collect() }
    }
}

impl Storage {
    /// Stores all values of a request or none (RFC 6940 §7.4.1.1). With replica number 0 the
    /// requester itself has to have the right to write.
    ///
    /// # Errors
    ///
    /// The error to answer with.
    pub fn store(
        &mut self,
        now: Now,
        request: &StoreReq,
        requester: Requester<'_>,
        verifier: Verifier<'_>,
    ) -> Result<Stored, ErrorResponse> {
        self.expire(now.instant);
        let kinds = self.known_kinds(request.kinds.iter().map(|k| k.kind))?;
        // No name hashes to anything but 16 bytes, so nobody may write there.
        let position = request.resource.to_u128().ok_or(FORBIDDEN)?;
        let is_original = request.replica_number == 0;
        self.check_generations(request, is_original)?;
        let mut draft = self.resources.get(&position).cloned().unwrap_or_default();
        let mut stored = Stored::default();
        for (data, kind) in request.kinds.iter().zip(kinds) {
            let requester = is_original.then_some(requester);
            let new = self.admit(now, request, data, &kind, requester, verifier)?;
            let changed = draft.put(&kind, new)?;
            stored.changed |= changed;
            let values = draft.values_mut(data.kind);
            if !is_original {
                values.generation = data.generation;
            } else if changed {
                values.generation = values.generation.saturating_add(1);
            }
            stored.generations.push((data.kind, values.generation));
        }
        if !self.has_room(position, &draft) {
            return Err(ErrorResponse::new(ErrorCode::DATA_TOO_LARGE));
        }
        self.put(position, draft);
        Ok(stored)
    }

    /// Whether `draft` may take the place of what is at `position`: full storage only shrinks.
    pub(super) fn has_room(&self, position: u128, draft: &Resource) -> bool {
        let before = self.resources.get(&position).map_or(0, Resource::size);
        self.bytes - before + draft.size() <= self.bytes_max.max(self.bytes)
    }

    /// The Kinds of a request, each of which must be known and come once.
    pub(super) fn known_kinds(
        &self,
        kinds: impl Iterator<Item = KindId> + Clone,
    ) -> Result<Vec<Kind>, ErrorResponse> {
        let unknown: BTreeSet<_> =
            kinds.clone().filter(|id| self.kinds.kind(*id).is_none()).collect();
        if !unknown.is_empty() {
            let mut writer = Writer::default();
            writer.vec8(|w| {
                for kind in unknown.iter().take(limits::UNKNOWN_KINDS_MAX) {
                    w.u32(kind.0);
                }
            });
            let info = writer.finish().unwrap_or_default();
            return Err(ErrorResponse { code: ErrorCode::UNKNOWN_KIND, info });
        }
        let mut seen = BTreeSet::new();
        if !kinds.clone().all(|id| seen.insert(id)) {
            let text = "a Kind comes twice";
            return Err(ErrorResponse::with_text(ErrorCode::INVALID_MESSAGE, text));
        }
        Ok(kinds.filter_map(|id| self.kinds.kind(id).copied()).collect())
    }

    /// The counters of an original Store are 0 or the current ones (T-61); those of a replica
    /// are never 0.
    fn check_generations(
        &self,
        request: &StoreReq,
        is_original: bool,
    ) -> Result<(), ErrorResponse> {
        let current = |id| self.values(&request.resource, id).map_or(0, |v| v.generation);
        let sent = || request.kinds.iter().map(|k| (k.kind, k.generation));
        if !is_original {
            let text = "a replica needs a generation counter";
            return match sent().all(|(_, generation)| generation != 0) {
                true => Ok(()),
                false => Err(ErrorResponse::with_text(ErrorCode::INVALID_MESSAGE, text)),
            };
        }
        if sent().all(|(kind, generation)| generation == 0 || generation == current(kind)) {
            return Ok(());
        }
        let generations = sent().map(|(kind, _)| (kind, current(kind))).collect();
        let answer = Stored { generations, changed: false }.answer(&[]);
        let info = answer.to_bytes().unwrap_or_default();
        Err(ErrorResponse { code: ErrorCode::GENERATION_COUNTER_TOO_LOW, info })
    }

    /// The values of one Kind, each verified and with the right to be here. `requester` is the
    /// signer of an original request, who needs that right too (RFC 6940 §7.3).
    fn admit(
        &self,
        now: Now,
        request: &StoreReq,
        data: &KindData,
        kind: &Kind,
        requester: Option<Requester<'_>>,
        verifier: Verifier<'_>,
    ) -> Result<Vec<Held>, ErrorResponse> {
        let values = data
            .values(kind.data_model)
            .map_err(|e| ErrorResponse::with_text(ErrorCode::INVALID_MESSAGE, &e.to_string()))?;
        let admit = |value: StoredData| {
            let held = self.admit_value(now, &request.resource, kind, &value, verifier)?;
            let may = |r: Requester<'_>| {
                let (certificate, node_id) = (r.certificate, r.node_id);
                self.kinds.permits(kind, &request.resource, &held.place, certificate, node_id)
            };
            if requester.is_some_and(|r| !may(r)) { Err(FORBIDDEN) } else { Ok(held) }
        };
        values.into_iter().map(admit).collect()
    }

    /// A value whose signature holds, whose signer may write it, and that is not too large.
    pub(super) fn admit_value(
        &self,
        now: Now,
        resource: &ResourceId,
        kind: &Kind,
        value: &StoredData,
        verifier: Verifier<'_>,
    ) -> Result<Held, ErrorResponse> {
        let (signer, node_id) = verifier.signer(now, resource, kind.id, value).ok_or(FORBIDDEN)?;
        let place = Place::of(&value.value);
        if !self.kinds.permits(kind, resource, &place, &signer, node_id) {
            return Err(FORBIDDEN);
        }
        if value.value.data().value.len() > kind.max_size as usize {
            return Err(ErrorResponse::new(ErrorCode::DATA_TOO_LARGE));
        }
        Ok(Held::new(now, value, signer))
    }
}

impl Resource {
    /// Whether any of the values is new.
    fn put(&mut self, kind: &Kind, new: Vec<Held>) -> Result<bool, ErrorResponse> {
        let mut changed = false;
        for mut held in new {
            self.share_signer(&mut held);
            changed |= self.values_mut(kind.id).put(kind, held).map_err(ErrorResponse::new)?;
        }
        Ok(changed)
    }

    /// Who signs several values here needs one certificate.
    pub(super) fn share_signer(&self, held: &mut Held) {
        let known = self.signers().find(|known| known.fingerprint == held.signer.fingerprint);
        if let Some(known) = known {
            held.signer = known.clone();
        }
    }
}

const FORBIDDEN: ErrorResponse = ErrorResponse { code: ErrorCode::FORBIDDEN, info: Vec::new() };
