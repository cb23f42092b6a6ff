//! Whether what we published is still there: looked after now and then, and soon when much of the
//! ring has changed at once. Else a name would be gone until the next refresh if all who kept it
//! vanished together.

use std::time::Duration;

use crate::base::Instant;
use crate::message::{ErrorCode, KindId, Method, Places, StoredDataValue};
use crate::storage::VerifiedValue;

use super::Peer;
use super::api::{FetchSpec, RequestError};
use super::fetch::place_of;
use super::publish::{Publication, PublicationKey};
use super::requests::{Failure, Goal, Reply, fetch_body};

impl Peer {
    /// A peer is gone without a word. With two at a time more may be, and what they kept for us.
    pub(super) fn peer_failed(&mut self) {
        let now = self.now.instant;
        let before = self.publications.failed_at.replace(now);
        if before.is_some_and(|before| now.saturating_since(before) < TOGETHER) {
            self.look_soon();
        }
    }

    /// Looks after everything once the ring has settled, unless it has just been done.
    pub(super) fn look_soon(&mut self) {
        let at = self.soon(SETTLED);
        for publication in self.publications.values_mut() {
            let earliest = publication.looked_at.map_or(at, |looked| at.max(looked + LOOK_MIN));
            publication.look = publication.look.map(|look| look.min(earliest));
        }
        self.schedule_publish();
    }

    /// When a value that is stored is looked after. The first time it is soon: another device may
    /// have taken the same place in the same moment.
    pub(super) fn next_look(&mut self, lifetime: Duration, is_first: bool) -> Instant {
        let pause = lifetime.mul_f64(LOOK_FRACTION * (0.75 + self.rng.unit() / 2.0));
        if is_first { self.soon(LOOK_FIRST) } else { self.now.instant + pause.max(LOOK_MIN) }
    }

    /// Fetches a value of ours.
    pub(super) fn look(&mut self, key: &PublicationKey) {
        let now = self.now.instant;
        let Some(publication) = self.publications.get_mut(key) else { return };
        publication.look = None;
        publication.looked_at = Some(now);
        let spec = own_place(publication);
        let (route, body) = (vec![spec.resource.clone().into()], fetch_body(&spec));
        let (body, goal) = (body.unwrap_or_default(), Goal::Look(key.clone()));
        if self.request(route, None, Method::Fetch, body, &[], goal).is_err() {
            self.look_later(key);
        }
    }

    /// What stands in our place. Nothing, or something older, is replaced; what is newer is taken
    /// for what it is (RFC 6940 §7.4.1.2).
    pub(super) fn looked(&mut self, key: &PublicationKey, outcome: Result<Reply, Failure>) {
        let (now, own) = (self.now.instant, self.identity.node_id);
        let Some(spec) = self.publications.get_mut(key).map(|p| own_place(p)) else { return };
        let Ok(verified) = outcome.and_then(|reply| self.verified(&spec, &reply)) else {
            return self.look_later(key);
        };
        let place = key.place();
        let there = verified.values.iter().filter(|value| place_of(value.value()) == place);
        let newest = there.max_by_key(|value| value.data.storage_time_ms);
        let Some(publication) = self.publications.get_mut(key) else { return };
        match newest {
            Some(value) if is_foreign(publication, value, own) => self.yield_place(key, value),
            Some(value) if value.data.storage_time_ms == publication.storage_time_ms => {
                self.look_later(key);
            }
            // It is ours: of before a restart, perhaps, by a clock that was ahead.
            newest => {
                let after = newest.map_or(0, |value| value.data.storage_time_ms);
                publication.storage_time_ms = publication.storage_time_ms.max(after);
                publication.due = Some(now);
                self.schedule_publish();
            }
        }
    }

    /// Another device of the user has stored something in this place.
    fn yield_place(&mut self, key: &PublicationKey, value: &VerifiedValue) {
        if key.kind() == KindId::CERTIFICATE_BY_USER {
            return self.seek_certificate_place(key);
        }
        let Some(publication) = self.publications.get_mut(key) else { return };
        publication.spec.value = value.value().clone();
        publication.storage_time_ms = value.data.storage_time_ms;
        let requests = std::mem::take(&mut publication.requests);
        for request in requests {
            self.done(request, Err(RequestError::Refused(ErrorCode::DATA_TOO_OLD)));
        }
        self.refresh_later(key);
    }

    fn look_later(&mut self, key: &PublicationKey) {
        let Some(lifetime) = self.publications.get_mut(key).map(|p| p.lifetime()) else { return };
        let at = self.next_look(lifetime, false);
        if let Some(publication) = self.publications.get_mut(key) {
            publication.look = Some(at);
        }
        self.schedule_publish();
    }
}

/// Whether a value is another node's: in a place that all devices of the user share.
fn is_foreign(ours: &Publication, value: &VerifiedValue, own: crate::base::NodeId) -> bool {
    // Who is first has a certificate's place; other values are the newest one's.
    let is_first_come = value.kind == KindId::CERTIFICATE_BY_USER;
    let is_newer = value.data.storage_time_ms > ours.storage_time_ms;
    value.signer_node_id != own && value.exists() && (is_first_come || is_newer)
}

/// The place of a publication.
fn own_place(publication: &Publication) -> FetchSpec {
    let spec = &publication.spec;
    let places = match &spec.value {
        StoredDataValue::Single(_) => Places::Single,
        StoredDataValue::Array { index, .. } => Places::Array(vec![(*index, *index)]),
        StoredDataValue::Dictionary { key, .. } => Places::Dictionary(vec![key.clone()]),
    };
    FetchSpec { resource: spec.resource.clone(), kind: spec.kind, places }
}

// limits

/// The part of a lifetime after which a value is looked after: twice between two refreshes. A look
/// of a registration costs some ten kilobytes on all links that it crosses, so 11 bytes a second.
const LOOK_FRACTION: f64 = 0.25;
/// From the first Store to the first look.
const LOOK_FIRST: Duration = Duration::from_secs(60);
/// Between two looks after the same value, whatever happens to the ring.
const LOOK_MIN: Duration = Duration::from_secs(120);
/// Peers that fail within this time have perhaps failed together.
const TOGETHER: Duration = Duration::from_secs(30);
/// Until the ring has healed after a loss, at least.
const SETTLED: Duration = Duration::from_secs(30);
