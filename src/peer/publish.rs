//! Values of ours in the overlay: signed, stored, refreshed before they expire, stored again
//! after every join, and taken back.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::{Encode, Instant, ResourceId};
use crate::message::{
    DataValue, Destination, ErrorCode, KindData, KindId, Method, StoreAns, StoreReq, StoredData,
    StoredDataValue, decode_body,
};

use super::Peer;
use super::api::{Answer, RequestError, RequestId, StoreSpec};
use super::fetch::place_of;
use super::requests::{Failure, Goal, Reply};
use super::timers::Timer;

/// The place of a value in the overlay.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PublicationKey {
    resource: ResourceId,
    kind: KindId,
    place: Vec<u8>,
}

impl PublicationKey {
    fn of(spec: &StoreSpec) -> Self {
        Self { resource: spec.resource.clone(), kind: spec.kind, place: place_of(&spec.value) }
    }

    pub(super) fn kind(&self) -> KindId {
        self.kind
    }

    /// As [`place_of`] gives it.
    pub(super) fn place(&self) -> &[u8] {
        &self.place
    }
}

/// Everything that we publish.
#[derive(Debug, Default)]
pub(super) struct Publications {
    by_place: BTreeMap<PublicationKey, Box<Publication>>,
    /// When a peer failed last.
    pub(super) failed_at: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Publication {
    pub(super) spec: StoreSpec,
    /// Commands that wait for the first success.
    pub(super) requests: Vec<RequestId>,
    pub(super) storage_time_ms: u64,
    /// The generation counter that the first Store relies on; 0 for any (RFC 6940 §7.4.1.1).
    generation: u64,
    failures: u32,
    /// When it is to be stored next; `None` while it is on its way.
    pub(super) due: Option<Instant>,
    /// When it is to be looked after; `None` before it is stored and while that is on its way.
    pub(super) look: Option<Instant>,
    pub(super) looked_at: Option<Instant>,
    /// Whether it is taken back on leaving.
    is_withdrawn: bool,
}

impl Publications {
    /// How many values we publish, and at most.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.by_place.len(), PUBLICATIONS_MAX)
    }

    pub(super) fn get_mut(&mut self, key: &PublicationKey) -> Option<&mut Publication> {
        self.by_place.get_mut(key).map(Box::as_mut)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Publication> {
        self.by_place.values_mut().map(Box::as_mut)
    }

    pub(super) fn remove(&mut self, key: &PublicationKey) -> Option<Publication> {
        self.by_place.remove(key).map(|publication| *publication)
    }
}

impl Publication {
    /// How long the value lives without a refresh.
    pub(super) fn lifetime(&self) -> Duration {
        Duration::from_secs(self.spec.lifetime_s.into())
    }
}

impl Peer {
    pub(super) fn publish(&mut self, request: RequestId, spec: StoreSpec) {
        let key = PublicationKey::of(&spec);
        let is_new = !self.publications.by_place.contains_key(&key);
        if is_new && self.publications.by_place.len() >= PUBLICATIONS_MAX {
            return self.done(request, Err(RequestError::Busy));
        }
        let before = self.publications.by_place.remove(&key);
        let storage_time_ms = before.as_ref().map_or(0, |p| p.storage_time_ms);
        let mut requests = before.map_or_else(Vec::new, |p| p.requests);
        requests.push(request);
        if requests.len() > REQUESTS_MAX {
            let oldest = requests.remove(0);
            self.done(oldest, Err(RequestError::Busy));
        }
        self.put_publication(key, spec, requests, storage_time_ms, true);
        self.schedule_publish();
    }

    /// Publishes what nobody waits for and what stays when we leave; nothing changes if it is
    /// published already. The first Store fails if the Kind's counter is not `generation` any
    /// more, unless that is 0.
    pub(super) fn publish_for_us(&mut self, spec: StoreSpec, generation: u64) {
        let key = PublicationKey::of(&spec);
        if !self.publications.by_place.contains_key(&key) {
            self.put_publication(key.clone(), spec, Vec::new(), 0, false);
            if let Some(publication) = self.publications.get_mut(&key) {
                publication.generation = generation;
            }
            self.schedule_publish();
        }
    }

    pub(super) fn unpublish(&mut self, request: RequestId, spec: StoreSpec) {
        let published = self.publications.by_place.remove(&PublicationKey::of(&spec));
        let after = published.as_ref().map_or(0, |p| p.storage_time_ms);
        for waiting in published.into_iter().flat_map(|p| p.requests) {
            self.done(waiting, Err(RequestError::Busy));
        }
        if !self.is_in_overlay() {
            return self.done(request, Err(RequestError::NotJoined));
        }
        let goal = Goal::Unpublish(request);
        if let Err(error) = self.store_value(&removal(&spec), after, 0, goal) {
            self.done(request, Err(error));
        }
    }

    /// After a join everything is stored anew: the ring may be another one.
    pub(super) fn publish_again(&mut self) {
        let keys: Vec<PublicationKey> = self.publications.by_place.keys().cloned().collect();
        for key in keys {
            let at = self.soon(AGAIN_DELAY);
            if let Some(publication) = self.publications.by_place.get_mut(&key) {
                publication.due = Some(at);
                publication.look = None;
                publication.failures = 0;
            }
        }
        self.schedule_publish();
    }

    pub(super) fn publish_due(&mut self) {
        if !self.is_in_overlay() {
            return;
        }
        let now = self.now.instant;
        let due: Vec<PublicationKey> = self
            .publications
            .by_place
            .iter()
            .filter(|(_, p)| p.due.is_some_and(|due| due <= now))
            .map(|(key, _)| key.clone())
            .collect();
        for key in due {
            let Some(publication) = self.publications.by_place.get_mut(&key) else { continue };
            publication.due = None;
            publication.look = None;
            let generation = publication.generation;
            let (spec, after) = (publication.spec.clone(), publication.storage_time_ms);
            match self.store_value(&spec, after, generation, Goal::Publish(key.clone())) {
                Ok(storage_time_ms) => {
                    if let Some(publication) = self.publications.by_place.get_mut(&key) {
                        publication.storage_time_ms = storage_time_ms;
                    }
                }
                Err(RequestError::Busy) => self.publish_failed(&key, None),
                Err(error) => self.publish_failed(&key, Some(error)),
            }
        }
        let by_place = self.publications.by_place.iter();
        let looks = by_place.filter(|(_, p)| p.look.is_some_and(|look| look <= now));
        for key in looks.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.look(&key);
        }
        self.schedule_publish();
    }

    pub(super) fn publish_answered(
        &mut self,
        key: &PublicationKey,
        outcome: Result<Reply, Failure>,
    ) {
        match outcome.and_then(|reply| self.stored(&reply)) {
            Ok(answer) => {
                let Some(publication) = self.publications.by_place.get_mut(key) else { return };
                publication.failures = 0;
                publication.generation = 0;
                let requests = std::mem::take(&mut publication.requests);
                for request in requests {
                    self.done(request, Ok(answer.clone()));
                }
                self.refresh_later(key);
            }
            // Something newer is there, or we relied on what is not so any more.
            Err(Failure::Refused(
                ErrorCode::GENERATION_COUNTER_TOO_LOW | ErrorCode::DATA_TOO_OLD,
            )) => {
                self.publish_failed(key, None);
                match self.publications.get_mut(key) {
                    Some(p) if p.generation != 0 => self.seek_certificate_place(key),
                    _ => self.look(key),
                }
            }
            Err(Failure::Refused(code)) if is_final(code) => {
                self.publish_failed(key, Some(RequestError::Refused(code)));
            }
            Err(_) => self.publish_failed(key, None),
        }
        self.schedule_publish();
    }

    /// What is stored now is refreshed before its lifetime ends, and looked after meanwhile.
    pub(super) fn refresh_later(&mut self, key: &PublicationKey) {
        let Some(publication) = self.publications.get_mut(key) else { return };
        let (lifetime, is_first) = (publication.lifetime(), publication.looked_at.is_none());
        let refresh = lifetime.mul_f64(0.5 + self.rng.unit() / 4.0).max(REFRESH_MIN);
        let (due, look) = (self.now.instant + refresh, self.next_look(lifetime, is_first));
        if let Some(publication) = self.publications.get_mut(key) {
            publication.due = Some(due);
            publication.look = Some(look);
        }
        self.schedule_publish();
    }

    pub(super) fn unpublish_answered(
        &mut self,
        request: RequestId,
        outcome: Result<Reply, Failure>,
    ) {
        let result = outcome.and_then(|reply| self.stored(&reply)).map_err(Into::into);
        self.done(request, result);
    }

    /// Takes back what is to be taken back; how many requests that makes. It will be published
    /// again after the next join.
    pub(super) fn withdraw_all(&mut self) -> usize {
        let withdrawn: Vec<(StoreSpec, u64)> = self
            .publications
            .by_place
            .values()
            .filter(|p| p.is_withdrawn && p.storage_time_ms > 0)
            .map(|p| (removal(&p.spec), p.storage_time_ms))
            .collect();
        let sent = withdrawn
            .iter()
            .filter(|(spec, after)| self.store_value(spec, *after, 0, Goal::Leave).is_ok());
        sent.count()
    }

    fn put_publication(
        &mut self,
        key: PublicationKey,
        spec: StoreSpec,
        requests: Vec<RequestId>,
        storage_time_ms: u64,
        is_withdrawn: bool,
    ) {
        let publication = Publication {
            spec,
            requests,
            storage_time_ms,
            generation: 0,
            failures: 0,
            due: Some(self.now.instant),
            look: None,
            looked_at: None,
            is_withdrawn,
        };
        self.publications.by_place.insert(key, Box::new(publication));
    }

    /// Tries again later. A refusal that will stay one is reported all the same.
    fn publish_failed(&mut self, key: &PublicationKey, error: Option<RequestError>) {
        let Some(publication) = self.publications.by_place.get_mut(key) else { return };
        let pause = PAUSE_MIN.saturating_mul(1 << publication.failures.min(6));
        publication.failures = publication.failures.saturating_add(1);
        let requests = match error {
            Some(_) => std::mem::take(&mut publication.requests),
            None => Vec::new(),
        };
        let at = self.soon(pause);
        if let Some(publication) = self.publications.by_place.get_mut(key) {
            publication.due = Some(at);
        }
        for request in requests {
            self.done(request, Err(error.clone().unwrap_or(RequestError::Timeout)));
        }
    }

    /// Signs a value, newer than `after_ms`, and sends it to be stored; its storage time.
    fn store_value(
        &mut self,
        spec: &StoreSpec,
        after_ms: u64,
        generation: u64,
        goal: Goal,
    ) -> Result<u64, RequestError> {
        let storage_time_ms = self.now.unix_ms.max(after_ms.saturating_add(1));
        let signature = self.identity.sign(|signer| {
            StoredData::signature_input(
                &spec.resource,
                spec.kind,
                storage_time_ms,
                &spec.value,
                signer,
            )
        });
        let (value, lifetime_s) = (spec.value.clone(), spec.lifetime_s);
        let data = StoredData { storage_time_ms, lifetime_s, value, signature };
        let request = StoreReq {
            resource: spec.resource.clone(),
            replica_number: 0,
            kinds: vec![KindData::new(spec.kind, generation, &[data])],
        };
        let body = request.to_bytes().map_err(|_| RequestError::TooLarge)?;
        let route = vec![Destination::from(spec.resource.clone())];
        self.request(route, None, Method::Store, body, &[], goal)?;
        Ok(storage_time_ms)
    }

    fn stored(&self, reply: &Reply) -> Result<Answer, Failure> {
        let answer = decode_body::<StoreAns>(&reply.body, self.identity.node_id)
            .map_err(|_| Failure::Invalid)?;
        let replicas = answer.kinds.into_iter().flat_map(|kind| kind.replicas).collect();
        Ok(Answer::Stored { replicas })
    }

    pub(super) fn schedule_publish(&mut self) {
        let next =
            self.publications.by_place.values().flat_map(|p| [p.due, p.look]).flatten().min();
        match next.filter(|_| self.is_in_overlay()) {
            Some(at) => self.timers.set(Timer::Publish, at),
            None => self.timers.stop(Timer::Publish),
        }
    }
}

/// The tombstone in a value's place (RFC 6940 §7.4.1.3). It lives long, so that nobody can put
/// the value back as long as anybody may have kept it.
fn removal(spec: &StoreSpec) -> StoreSpec {
    let value = match &spec.value {
        StoredDataValue::Single(_) => StoredDataValue::Single(DataValue::absent()),
        StoredDataValue::Array { index, .. } => {
            StoredDataValue::Array { index: *index, value: DataValue::absent() }
        }
        StoredDataValue::Dictionary { key, .. } => {
            StoredDataValue::Dictionary { key: key.clone(), value: DataValue::absent() }
        }
    };
    let lifetime_s = spec.lifetime_s.max(TOMBSTONE_LIFETIME_S);
    StoreSpec { value, lifetime_s, ..spec.clone() }
}

/// Whether trying again will hardly help.
fn is_final(code: ErrorCode) -> bool {
    [ErrorCode::FORBIDDEN, ErrorCode::DATA_TOO_LARGE, ErrorCode::UNKNOWN_KIND].contains(&code)
}

// limits

/// Of a tombstone, in seconds, unless its value lived longer: a day.
const TOMBSTONE_LIFETIME_S: u32 = 86_400;
/// Values of one node: registrations, certificates, and what later usages add.
const PUBLICATIONS_MAX: usize = 64;
/// Commands that wait for the same value.
const REQUESTS_MAX: usize = 16;
/// Between two refreshes, at least.
const REFRESH_MIN: Duration = Duration::from_secs(10);
/// Between a join and the first Store, so that the ring has settled.
const AGAIN_DELAY: Duration = Duration::from_millis(200);
/// Between the first two attempts; doubles up to 64 times that.
const PAUSE_MIN: Duration = Duration::from_secs(1);
