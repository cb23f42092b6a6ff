//! What we need not keep and whose owner is out of our sight: before it is dropped we ask whoever
//! is responsible for it what is there (Stat, RFC 6940 §7.4.3). Somebody who is asked for what
//! should be there and is not, as whoever was to hand it over has not, fetches it from the node
//! that asks: from far away a Store would be refused (§7.4.1.1).

use crate::base::{Encode, ResourceId};
use crate::message::{FetchAns, FetchReq, Method, StatAns, decode_body};
use crate::storage;

use super::Peer;
use super::requests::{Failure, Goal, Reply};
use super::serve::Question;
use super::timers::Timer;
use super::updates::HAND_OVER_DELAY;

impl Peer {
    /// Asks whether what we keep at a resource is where it belongs.
    pub(super) fn ask_after(&mut self, resource: ResourceId) {
        if self.copies.asked.len() >= ASKED_MAX || self.copies.asked.contains(&resource) {
            return;
        }
        let Ok(body) = self.storage.counterpart(&resource).to_bytes() else { return };
        let (route, goal) = (vec![resource.clone().into()], Goal::AskAfter(resource.clone()));
        if self.request(route, None, Method::Stat, body, &[], goal).is_ok() {
            self.copies.asked.insert(resource);
        }
    }

    /// What the responsible peer says. What it has need not stay here; the rest may be fetched now.
    pub(super) fn asked_after(&mut self, resource: ResourceId, outcome: Result<Reply, Failure>) {
        if self.copies.asked.len() >= ASKED_MAX {
            let at = self.soon(HAND_OVER_DELAY);
            self.timers.set_earlier(Timer::HandOver, at);
        }
        self.copies.asked.remove(&resource);
        let own = self.identity.node_id;
        let reply = outcome.ok().filter(|reply| reply.signed.node_id != own);
        let there = reply.and_then(|reply| decode_body::<StatAns>(&reply.body, own).ok());
        let is_there =
            there.is_some_and(|there| self.storage.is_covered_by(self.now, &resource, &there));
        if is_there {
            self.copies.handed_over.insert(resource);
        }
    }

    /// Somebody asks for what should be here: if a Kind of it is not, the node that asks may have
    /// it.
    pub(super) fn fetch_missing(&mut self, question: &Question, asked: &FetchReq) {
        let (from, resource) = (question.signed.node_id, &asked.resource);
        let is_here = |kind| self.storage.holds_kind(resource, kind);
        let is_missing = self.is_in_place()
            && self.chord.keeps(resource)
            && !asked.specifiers.iter().all(|specifier| is_here(specifier.kind))
            && from != self.identity.node_id;
        if !is_missing || self.copies.fetching >= FETCHING_MAX {
            return;
        }
        // The body of a Stat is that of a Fetch.
        let (route, body) = (vec![from.into()], question.body.to_vec());
        let goal = Goal::Missing(resource.clone());
        if self.request(route, None, Method::Fetch, body, &[], goal).is_ok() {
            self.copies.fetching += 1;
        }
    }

    /// What we lacked has come, or not.
    pub(super) fn missing_fetched(
        &mut self,
        resource: &ResourceId,
        outcome: Result<Reply, Failure>,
    ) {
        self.copies.fetching = self.copies.fetching.saturating_sub(1);
        if self.merge_fetched(resource, outcome) == Some(true) {
            self.copy_to_replicas(resource);
        }
    }

    /// Takes over what another peer has at a resource; whether that changed anything here, or
    /// `None` without a good answer.
    pub(super) fn merge_fetched(
        &mut self,
        resource: &ResourceId,
        outcome: Result<Reply, Failure>,
    ) -> Option<bool> {
        let reply = outcome.ok()?;
        let answer = decode_body::<FetchAns>(&reply.body, self.identity.node_id).ok()?;
        let verifier = &self.verifier;
        let resolve = |identity: &_| verifier.find(identity, &reply.certificates);
        let values = storage::Verifier { resolve: &resolve, provider: verifier.provider() };
        Some(self.storage.merge(self.now, resource, &answer.kinds, values))
    }
}

// limits

/// Resources that we ask after at a time.
const ASKED_MAX: usize = 16;
/// What we lack and fetch at a time, so that nobody can make us busy by asking.
pub(super) const FETCHING_MAX: usize = 4;
