//! Fetching for whoever asked. The responsible peer may have lost what it should have, hide it
//! (RFC 6940 §13.5.4) or give out what has been replaced since (§13.5.3): then the peers behind
//! it, who keep the replicas, are asked one after the other. Values cannot be forged.

use std::collections::{BTreeMap, VecDeque};

use ring::digest::{SHA256, digest};

use crate::base::{Encode, Instant, NodeId, Now, ResourceId, Writer};
use crate::message::{Destination, FetchAns, KindId, Method, StoredDataValue, decode_body};
use crate::routing::chord::COPIES;
use crate::storage::{self, Verified, VerifiedValue};

use super::Peer;
use super::api::{Answer, Event, FetchSpec, Fetched, FetchedValue, RequestError, RequestId};
use super::requests::{Failure, Goal, Reply, fetch_body};

/// A Fetch on its way from peer to peer.
#[derive(Debug)]
pub(super) struct Search {
    request: RequestId,
    spec: FetchSpec,
    /// Peers asked so far.
    asked: usize,
    /// The newest of each place, tombstones included.
    values: Vec<VerifiedValue>,
    partial: bool,
    hops: u32,
    transmissions: u32,
    /// `Ok` once somebody has given an answer.
    outcome: Result<(), Failure>,
}

impl Peer {
    pub(super) fn fetch(&mut self, request: RequestId, spec: FetchSpec) {
        if !self.is_in_overlay() {
            return self.done(request, Err(RequestError::NotJoined));
        }
        let to = spec.resource.clone().into();
        let search = Search {
            request,
            spec,
            asked: 0,
            values: Vec::new(),
            partial: false,
            hops: 0,
            transmissions: 0,
            outcome: Err(Failure::Timeout),
        };
        if let Err(error) = self.ask_for(search, to) {
            self.done(request, Err(error));
        }
    }

    /// The answer of one peer, or none.
    pub(super) fn search_answered(&mut self, mut search: Search, outcome: Result<Reply, Failure>) {
        let verified = |reply: Reply| Ok((self.verified(&search.spec, &reply)?, reply));
        let next = match outcome.and_then(verified) {
            Ok((verified, reply)) => {
                let node = reply.signed.node_id;
                let is_whole = self.take_found(&mut search, verified, &reply);
                // What we have taken over a moment ago may be on its way to us.
                let is_round = node == self.identity.node_id && search.asked > 1;
                let is_enough = is_whole || is_round || search.asked > COPIES;
                let next = ResourceId::from_u128(node.to_u128().wrapping_add(1));
                (!is_enough).then(|| next.into())
            }
            Err(failure) => {
                if search.asked == 1 {
                    search.outcome = Err(failure);
                }
                self.behind(&search, failure)
            }
        };
        match next {
            Some(next) => {
                let (request, so_far) = (search.request, search.result());
                if self.ask_for(search, next).is_err() {
                    self.done(request, so_far);
                }
            }
            None => self.done(search.request, search.result()),
        }
    }

    /// The values of an answer that are their signers' (RFC 6940 §7.4.2.2).
    pub(super) fn verified(&self, spec: &FetchSpec, reply: &Reply) -> Result<Verified, Failure> {
        let answer = decode_body::<FetchAns>(&reply.body, self.identity.node_id)
            .map_err(|_| Failure::Invalid)?;
        let resolve = |identity: &_| self.verifier.find(identity, &reply.certificates);
        let verifier = storage::Verifier { resolve: &resolve, provider: self.verifier.provider() };
        let (kinds, asked) = (self.storage.kinds(), [spec.kind]);
        Ok(kinds.verify_fetched(self.now, &spec.resource, &answer, &asked, verifier))
    }

    /// Asks a peer, or who is responsible for a place, for what the search wants.
    fn ask_for(&mut self, mut search: Search, to: Destination) -> Result<(), RequestError> {
        search.asked += 1;
        let body = fetch_body(&search.spec).ok_or(RequestError::TooLarge)?;
        let goal = Goal::Fetch(search);
        self.request(vec![to], None, Method::Fetch, body, &[], goal).map(|_| ())
    }

    /// Adds what a peer gave to what others gave; whether that is all that can be wished for.
    fn take_found(&mut self, search: &mut Search, verified: Verified, reply: &Reply) -> bool {
        let mut is_whole = !verified.partial && !verified.values.is_empty();
        let mut is_rolled_back = false;
        for value in verified.values {
            if self.newest.take(self.now, &search.spec, &value) {
                search.add(value);
            } else {
                is_rolled_back = true;
            }
        }
        if is_rolled_back {
            is_whole = false;
            let (resource, kind) = (search.spec.resource.clone(), search.spec.kind);
            self.emit(Event::RolledBack { node: reply.signed.node_id, resource, kind });
        }
        search.partial = verified.partial || is_rolled_back;
        search.hops = search.hops.max(reply.hops);
        search.transmissions += reply.transmissions;
        search.outcome = Ok(());
        is_whole
    }

    /// Where a replica is likely behind a responsible peer that gives no answer: the second peer
    /// there that we are linked to, if it is near enough, or else as far away as the ring's size
    /// tells; then nearer, if those there keep none. One more that is silent is enough.
    fn behind(&self, search: &Search, failure: Failure) -> Option<Destination> {
        let is_over = search.outcome.is_ok() || search.asked >= ASKED_MAX;
        if is_over || (search.asked > 1 && failure == Failure::Timeout) {
            return None;
        }
        let steps = STEPS_FIRST / f64::from(1 << (search.asked - 1));
        let start = search.spec.resource.to_u128()?;
        let spacing = u128::MAX as f64 / self.chord.ring_size();
        let is_near = |node: &NodeId| {
            let distance = node.to_u128().wrapping_sub(start) as f64;
            distance < spacing * (COPIES + 1) as f64
        };
        let linked = self.chord.peers_from(start).nth(1).filter(is_near);
        let guess = start.wrapping_add((steps * spacing) as u128);
        Some(match linked.filter(|_| search.asked == 1) {
            Some(node) => node.into(),
            None => ResourceId::from_u128(guess).into(),
        })
    }
}

impl Search {
    /// Adds a value unless a newer one is there.
    fn add(&mut self, value: VerifiedValue) {
        let place = place_of(value.value());
        match self.values.iter_mut().find(|known| place_of(known.value()) == place) {
            Some(known) if known.data.storage_time_ms < value.data.storage_time_ms => {
                *known = value;
            }
            Some(_) => {}
            None => self.values.push(value),
        }
    }

    fn result(&self) -> Result<Answer, RequestError> {
        self.outcome.map_err(RequestError::from)?;
        let existing = self.values.iter().filter(|value| value.exists());
        Ok(Answer::Fetched(Fetched {
            values: existing.map(fetched_value).collect(),
            partial: self.partial,
            hops: self.hops,
            transmissions: self.transmissions,
        }))
    }
}

/// How new the values were that we have seen, so that nobody can give us older ones
/// (RFC 6940 §13.5.3).
#[derive(Debug, Default)]
pub(super) struct Newest {
    seen: BTreeMap<PlaceHash, Seen>,
    order: VecDeque<PlaceHash>,
}

/// A digest of resource, Kind and place.
type PlaceHash = [u8; 16];

#[derive(Clone, Copy, Debug)]
struct Seen {
    storage_time_ms: u64,
    /// When whoever gave it to us would have dropped it, and may have an older one again.
    until: Instant,
}

impl Newest {
    /// Takes note of a value; `false` if we have seen a newer one, which lives.
    fn take(&mut self, now: Now, spec: &FetchSpec, value: &VerifiedValue) -> bool {
        let place = place_hash(&spec.resource, spec.kind, value.value());
        let storage_time_ms = value.data.storage_time_ms;
        let lifetime = std::time::Duration::from_secs(value.data.lifetime_s.into());
        let seen = Seen { storage_time_ms, until: now.instant + lifetime };
        match self.seen.get_mut(&place) {
            Some(known) if known.storage_time_ms > storage_time_ms => {
                let is_over = known.until <= now.instant;
                if is_over {
                    *known = seen;
                }
                return is_over;
            }
            Some(known) => *known = seen,
            None => {
                self.seen.insert(place, seen);
                self.order.push_back(place);
            }
        }
        if self.order.len() > SEEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        true
    }
}

fn place_hash(resource: &ResourceId, kind: KindId, value: &StoredDataValue) -> PlaceHash {
    let mut writer = Writer::default();
    resource.encode(&mut writer);
    writer.u32(kind.0);
    writer.bytes(&place_of(value));
    // Nothing here is longer than in the message that it came in.
    let whole = digest(&SHA256, &writer.finish().unwrap_or_default());
    let mut hash = PlaceHash::default();
    let length = hash.len();
    hash.copy_from_slice(&whole.as_ref()[..length]);
    hash
}

/// The place of a value within its Kind.
pub(super) fn place_of(value: &StoredDataValue) -> Vec<u8> {
    match value {
        StoredDataValue::Single(_) => Vec::new(),
        StoredDataValue::Array { index, .. } => index.to_be_bytes().to_vec(),
        StoredDataValue::Dictionary { key, .. } => key.to_vec(),
    }
}

fn fetched_value(value: &VerifiedValue) -> FetchedValue {
    FetchedValue {
        storage_time_ms: value.data.storage_time_ms,
        value: value.data.value.clone(),
        signer: value.signer.clone(),
        signer_node_id: value.signer_node_id,
    }
}

// limits

/// Peers asked for the same when there is no answer: with each the odds to hit a replica rise.
const ASKED_MAX: usize = 4;
/// Peers to go past on average at first: less often hits the silent one again, more often none
/// that keeps replicas.
const STEPS_FIRST: f64 = 2.5;
/// Places whose newest value is remembered: more than a user looks up within a lifetime.
const SEEN_MAX: usize = 256;
