//! Our certificate in the overlay (RFC 6940 §8), where others find it by Node-ID and by user
//! name.

use crate::message::{Method, Places};
use crate::storage::VerifiedValue;
use crate::usage::{self, certificate_store};

use super::Peer;
use super::api::{FetchSpec, StoreSpec};
use super::publish::PublicationKey;
use super::requests::{Failure, Goal, Reply, fetch_body};
use super::timers::Timer;

impl Peer {
    /// Publishes our certificate once we are a peer. Under the user's name other devices may
    /// have theirs, so we look for our place first (T-69).
    pub(super) fn publish_certificates(&mut self) {
        let certificate = self.identity.certificate.clone();
        self.publish_own(certificate_store::by_node(&certificate, self.identity.node_id, 0), 0);
        let by_user = certificate_store::by_user(&certificate, 0);
        let is_known = self.storage.kinds().kind(by_user.kind).is_some();
        if !is_known || self.has_user_certificate || !self.config.is_name_ours {
            return;
        }
        let spec = self.certificates_of_user(&by_user);
        let route = vec![spec.resource.clone().into()];
        let body = fetch_body(&spec).unwrap_or_default();
        let goal = Goal::FindCertificate;
        if self.request(route, None, Method::Fetch, body, &[], goal).is_err() {
            self.look_for_certificates_later();
        }
    }

    /// Whoever drives us has found that our user's name is ours to use (RFC 6940 §11.3.1).
    pub(super) fn claim_name(&mut self) {
        if !self.config.is_name_ours {
            self.config.is_name_ours = true;
            self.publish_certificates();
        }
    }

    /// The certificates under our user's name, ours perhaps among them.
    pub(super) fn certificates_found(&mut self, outcome: Result<Reply, Failure>) {
        let certificate = self.identity.certificate.clone();
        let by_user = certificate_store::by_user(&certificate, 0);
        let spec = self.certificates_of_user(&by_user);
        let Ok(found) = outcome.and_then(|reply| self.verified(&spec, &reply)) else {
            return self.look_for_certificates_later();
        };
        let existing = found.values.iter().filter(|value| value.exists());
        let entries = existing.map(VerifiedValue::value);
        let index = certificate_store::index_for(&certificate, entries);
        self.has_user_certificate = true;
        // Another device may look for a place in the same moment.
        let generation = found.values.first().map_or(0, |value| value.generation);
        self.publish_own(certificate_store::by_user(&certificate, index), generation);
    }

    fn certificates_of_user(&self, by_user: &usage::Publication) -> FetchSpec {
        let (resource, kind) = (by_user.resource.clone(), by_user.kind);
        FetchSpec { resource, kind, places: Places::Array(Vec::new()) }
    }

    /// Another device has the place that we thought was ours.
    pub(super) fn seek_certificate_place(&mut self, key: &PublicationKey) {
        self.publications.remove(key);
        self.has_user_certificate = false;
        let at = self.soon(AGAIN);
        self.timers.set(Timer::Certificates, at);
    }

    fn publish_own(&mut self, publication: usage::Publication, generation: u64) {
        let usage::Publication { resource, kind, value } = publication;
        if self.storage.kinds().kind(kind).is_some() {
            let spec = StoreSpec { resource, kind, value, lifetime_s: LIFETIME_S };
            self.publish_for_us(spec, generation);
        }
    }

    fn look_for_certificates_later(&mut self) {
        let at = self.soon(RETRY);
        self.timers.set(Timer::Certificates, at);
    }
}

// limits

/// A day: who leaves without a word is not found for long.
const LIFETIME_S: u32 = 86_400;
/// Until we look for another place; different for two devices that took the same one.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(1);
/// Until we look again for our place under the user's name.
const RETRY: std::time::Duration = std::time::Duration::from_secs(20);
