//! What we need not keep and whose owner is out of our sight: before it is dropped we ask whoever
//! is responsible for it what is there (Stat, RFC 6940 §7.4.3), and offer it what is older there.
//! Somebody who is asked for what should be here and is not, as whoever was to hand it over has
//! not, fetches it from the node that asks; and so does who is offered something newer and has to
//! refuse it, as a Store from so far away is not to be taken (§7.4.1.1).

use crate::base::{Encode, NodeId, ResourceId};
use crate::message::{FetchAns, FetchReq, Method, StatAns, StoreReq, decode_body};
use crate::routing::Topology;
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
        let Some(reply) = reply else { return };
        let Ok(there) = decode_body::<StatAns>(&reply.body, own) else { return };
        if self.storage.is_covered_by(self.now, &resource, &there) {
            self.copies.handed_over.insert(resource);
        } else {
            self.push_surplus(reply.signed.node_id, resource);
            self.pump_copies();
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
        if is_missing {
            // The body of a Stat is that of a Fetch.
            self.fetch_from(from, resource, question.body.to_vec());
        }
    }

    /// A copy of what is ours to keep was refused: what is newer in it is fetched from its sender.
    pub(super) fn fetch_refused(&mut self, from: NodeId, refused: &StoreReq) {
        let resource = &refused.resource;
        let is_ours = self.is_in_place() && self.chord.owns(resource);
        if !is_ours || self.storage.is_as_new_as(self.now, refused) {
            return;
        }
        let kinds = refused.kinds.iter().map(|data| data.kind);
        if let Ok(body) = self.storage.all_of(resource, kinds).to_bytes() {
            self.fetch_from(from, resource, body);
        }
    }

    fn fetch_from(&mut self, from: NodeId, resource: &ResourceId, body: Vec<u8>) {
        if self.copies.fetching >= FETCHING_MAX {
            return;
        }
        let (route, goal) = (vec![from.into()], Goal::Missing(resource.clone()));
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
