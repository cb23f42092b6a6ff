//! Storage as its peers see it: requests in, answers and copies out.

mod access;
mod merge;
mod methods;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::base::{Decode, NodeId, Now};
use crate::crypto::{
    Certificate, Identity, Keys, NodeIdDigest, Signature, SignerIdentity, X509Provider,
};
use crate::message::{
    DataModel, DataValue, ErrorCode, ErrorResponse, FetchAns, FetchReq, KindData, Places, StoreAns,
    StoreReq, StoredData, StoredDataSpecifier, StoredDataValue,
};

const UNIX_MS: u64 = 1_790_000_000_000;
const SINGLE: KindId = KindId(0xf000_0001);
const TURN: KindId = KindId(0x2);
const HOUR_S: u32 = 3600;

fn provider() -> X509Provider {
    X509Provider {
        overlay: "example.org".into(),
        node_id_length: 16,
        self_signed: Some(NodeIdDigest::Sha256),
        roots: Vec::new(),
    }
}

/// A peer's storage in a world of a few users.
struct World {
    storage: Storage,
    users: Vec<Identity>,
    seconds: u64,
}

fn kinds() -> KindTable {
    let single = Kind {
        id: SINGLE,
        data_model: DataModel::Single,
        access: AccessControl::UserMatch,
        max_count: 1,
        max_size: 100,
    };
    let turn = Kind { id: TURN, access: AccessControl::NodeMultiple { max: 20 }, ..single };
    let registered = KindTable::for_calls();
    let of = |id| *registered.kind(id).expect("registered");
    let array = Kind { max_count: 3, ..of(KindId::CERTIFICATE_BY_USER) };
    let dictionary = Kind { max_count: 2, max_size: 20, ..of(KindId::SIP_REGISTRATION) };
    KindTable::new([single, turn, array, dictionary, of(KindId::CERTIFICATE_BY_NODE)])
        .expect("consistent")
}

fn identity(user: &str) -> Identity {
    let made = Keys::self_signed(&provider(), user, UNIX_MS, 30).expect("generated");
    made.identity(&provider()).expect("accepted")
}

fn resource_of(identity: &Identity) -> ResourceId {
    resource_id(identity.certificate.user_name.as_bytes())
}

fn signed(
    identity: &Identity,
    resource: &ResourceId,
    kind: KindId,
    time: u64,
    value: StoredDataValue,
) -> StoredData {
    let signature =
        identity.sign(|signer| StoredData::signature_input(resource, kind, time, &value, signer));
    StoredData { storage_time_ms: time, lifetime_s: HOUR_S, value, signature }
}

fn at_key(identity: &Identity, text: &str) -> StoredDataValue {
    let key = Bytes::copy_from_slice(identity.node_id.as_bytes());
    StoredDataValue::Dictionary { key, value: DataValue::existing(text.to_owned()) }
}

fn at_index(index: u32, text: &str) -> StoredDataValue {
    StoredDataValue::Array { index, value: DataValue::existing(text.to_owned()) }
}

fn single(text: &str) -> StoredDataValue {
    StoredDataValue::Single(DataValue::existing(text.to_owned()))
}

fn code<T: std::fmt::Debug>(result: Result<T, ErrorResponse>) -> ErrorCode {
    result.expect_err("refused").code
}

impl World {
    /// Users 0 and 1 are two devices of alice, user 2 is bob.
    fn new() -> Self {
        let users = ["alice@example.org", "alice@example.org", "bob@example.org"].map(identity);
        Self { storage: Storage::new(kinds()), users: users.into(), seconds: 0 }
    }

    fn now(&self) -> Now {
        let instant = Instant::ORIGIN + Duration::from_secs(self.seconds);
        Now::new(instant, UNIX_MS + 1000 * self.seconds)
    }

    fn alice(&self) -> ResourceId {
        resource_of(&self.users[0])
    }

    /// A value of one user at their own resource.
    fn value(&self, user: usize, kind: KindId, time: u64, value: StoredDataValue) -> StoredData {
        signed(&self.users[user], &resource_of(&self.users[user]), kind, time, value)
    }

    fn request(&self, kinds: Vec<KindData>) -> StoreReq {
        StoreReq { resource: self.alice(), replica_number: 0, kinds }
    }

    fn send(&mut self, user: usize, request: &StoreReq) -> Result<Stored, ErrorResponse> {
        let now = self.now();
        let users = &self.users;
        let resolve = |identity: &SignerIdentity| find(users, identity);
        let provider = provider();
        let verifier = Verifier { resolve: &resolve, provider: &provider };
        let Identity { certificate, node_id, .. } = &users[user];
        let requester = Requester { certificate, node_id: *node_id };
        self.storage.store(now, request, requester, verifier)
    }

    /// Stores values of one Kind at alice's resource.
    fn store(
        &mut self,
        user: usize,
        kind: KindId,
        values: &[StoredData],
    ) -> Result<Stored, ErrorResponse> {
        let request = self.request(vec![KindData::new(kind, 0, values)]);
        self.send(user, &request)
    }

    fn fetch(&mut self, kind: KindId, places: &Places) -> Result<FetchAns, ErrorResponse> {
        let specifiers = vec![StoredDataSpecifier::new(kind, places)];
        let request = FetchReq { resource: self.alice(), specifiers };
        self.storage.fetch(self.now(), &request).map(|(answer, _)| answer)
    }

    fn values(&mut self, kind: KindId, places: &Places) -> Vec<StoredData> {
        let model = kinds().kind(kind).expect("known").data_model;
        let answer = self.fetch(kind, places).expect("fetched");
        answer.kinds[0].values(model).expect("parses")
    }

    fn verify(&self, answer: &FetchAns, kind: KindId) -> Verified {
        let resolve = |identity: &SignerIdentity| find(&self.users, identity);
        let provider = provider();
        let verifier = Verifier { resolve: &resolve, provider: &provider };
        kinds().verify_fetched(self.now(), &self.alice(), answer, &[kind], verifier)
    }
}

fn find(users: &[Identity], identity: &SignerIdentity) -> Option<Arc<Certificate>> {
    let found = users.iter().find(|user| user.certificate.named_by(identity).is_some());
    found.map(|user| user.certificate.clone())
}

const REGISTRATION: KindId = KindId::SIP_REGISTRATION;
const ARRAY: KindId = KindId::CERTIFICATE_BY_USER;

fn all_keys() -> Places {
    Places::Dictionary(Vec::new())
}

fn texts(values: &[StoredData]) -> Vec<&[u8]> {
    values.iter().map(|v| &v.value.data().value[..]).collect()
}

/// R6940-7.4.1.1-18, R6940-7.4.1.1-19, R6940-7.4.1.2-04, R6940-7.4.2.1-05, R6940-7.4.2.2-06:
/// what two devices store is found by a wildcard, with counters from 1 and the certificates that
/// verify it.
#[test]
fn stored_values_are_found_and_verify() {
    let mut world = World::new();
    let first = world.value(0, REGISTRATION, 5, at_key(&world.users[0], "one"));
    let second = world.value(1, REGISTRATION, 5, at_key(&world.users[1], "two"));
    let stored = world.store(0, REGISTRATION, &[first]).expect("stored");
    assert_eq!((stored.changed, stored.generations), (true, vec![(REGISTRATION, 1)]));
    let stored = world.store(1, REGISTRATION, &[second]).expect("stored");
    assert_eq!(stored.generations, [(REGISTRATION, 2)]);
    let replicas = [NodeId::from_u128(8), NodeId::from_u128(9)];
    assert_eq!(stored.answer(&replicas).kinds[0].replicas, replicas);

    let specifiers = vec![StoredDataSpecifier::new(REGISTRATION, &all_keys())];
    let request = FetchReq { resource: world.alice(), specifiers };
    let (answer, mut certificates) = world.storage.fetch(world.now(), &request).expect("fetched");
    certificates.sort();
    let mut expected: Vec<_> = world.users[..2].iter().map(|u| u.certificate.der.clone()).collect();
    expected.sort();
    assert_eq!(certificates, expected);
    let verified = world.verify(&answer, REGISTRATION);
    assert!(!verified.partial);
    assert_eq!(verified.values.len(), 2);
    assert!(verified.values.iter().all(|v| v.generation == 2 && v.exists()));
    world.seconds = 31 * 24 * 3600;
    let expired = world.verify(&answer, REGISTRATION);
    assert!(expired.values.is_empty() && expired.partial);
}

/// R6940-7.4.2.2-05, R6940-7.4.2.2-07, R6940-7-03: an answer with one changed value keeps the
/// other and says that it is partial; the owner's clock does not matter.
#[test]
fn changed_values_are_left_out() {
    let mut world = World::new();
    let day_ahead = UNIX_MS + 86_400_000;
    for user in [0, 1] {
        let value = at_key(&world.users[user], "here");
        let value = world.value(user, REGISTRATION, day_ahead, value);
        world.store(user, REGISTRATION, &[value]).expect("stored");
    }
    let mut values = world.values(REGISTRATION, &all_keys());
    let untouched = values[1].clone();
    values[0].value = StoredDataValue::Dictionary {
        key: Bytes::copy_from_slice(world.users[0].node_id.as_bytes()),
        value: DataValue::existing("gone"),
    };
    let answer = FetchAns { kinds: vec![KindData::new(REGISTRATION, 2, &values)] };
    let verified = world.verify(&answer, REGISTRATION);
    assert!(verified.partial);
    assert_eq!(verified.values.len(), 1);
    assert_eq!(verified.values[0].data, untouched);
}

/// R6940-7-02, R6940-13.5.3-01, R6940-7.4.1.1-16: storage times rise strictly, for each key alone.
#[test]
fn older_and_equally_old_values_are_refused() {
    let mut world = World::new();
    let value = |w: &World, user, time, text: &str| {
        w.value(user, REGISTRATION, time, at_key(&w.users[user], text))
    };
    world.store(0, REGISTRATION, &[value(&world, 0, 10, "a")]).expect("stored");
    for time in [9, 10] {
        let refused = world.store(0, REGISTRATION, &[value(&world, 0, time, "b")]);
        assert_eq!(code(refused), ErrorCode::DATA_TOO_OLD);
    }
    world.store(1, REGISTRATION, &[value(&world, 1, 3, "c")]).expect("another key");
    world.store(0, REGISTRATION, &[value(&world, 0, 11, "b")]).expect("newer");
    let mut found = world.values(REGISTRATION, &all_keys());
    found.sort_by_key(|v| v.storage_time_ms);
    assert_eq!(texts(&found), [b"c", b"b"]);
}

/// The same value again, byte for byte, is success and no change.
#[test]
fn repeating_a_store_changes_nothing() {
    let mut world = World::new();
    let value = world.value(0, REGISTRATION, 10, at_key(&world.users[0], "a"));
    world.store(0, REGISTRATION, std::slice::from_ref(&value)).expect("stored");
    let again = world.store(0, REGISTRATION, std::slice::from_ref(&value)).expect("stored");
    assert_eq!((again.changed, again.generations), (false, vec![(REGISTRATION, 1)]));
    let mut replica = world.request(vec![KindData::new(REGISTRATION, 7, &[value])]);
    replica.replica_number = 1;
    assert!(!world.send(2, &replica).expect("from any replica's owner").changed);
}

/// R6940-7-04, R6940-7.4.1.1-20, R6940-7.4.1.3-02: lifetimes count from receipt, what is given
/// out has what is left, and tombstones age like any value.
#[test]
fn values_and_tombstones_expire_from_receipt() {
    let mut world = World::new();
    world.seconds = 1000;
    let value = world.value(0, SINGLE, 1, single("a"));
    world.store(0, SINGLE, &[value]).expect("stored");
    world.seconds += 100;
    assert_eq!(world.values(SINGLE, &Places::Single)[0].lifetime_s, HOUR_S - 100);
    let copies = world.storage.copies(world.now(), &world.alice(), 1, 10_000);
    let copied = copies[0].request.kinds[0].values(DataModel::Single).expect("parses");
    assert_eq!(copied[0].lifetime_s, HOUR_S - 100);

    let tombstone = world.value(0, SINGLE, 2, StoredDataValue::Single(DataValue::absent()));
    world.store(0, SINGLE, &[tombstone]).expect("stored");
    let answer = world.fetch(SINGLE, &Places::Single).expect("fetched");
    let verified = world.verify(&answer, SINGLE);
    assert!(!verified.values[0].exists(), "a signed tombstone");
    let end = Instant::ORIGIN + Duration::from_secs(1100 + u64::from(HOUR_S));
    assert_eq!(world.storage.deadline(), Some(end));
    world.storage.expire(end - Duration::from_micros(1));
    assert_eq!(world.storage.value_count(), 1);
    world.storage.expire(end);
    assert_eq!((world.storage.value_count(), world.storage.bytes()), (0, 0));
    assert_eq!(world.storage.deadline(), None);
}

/// A value does not outlive the certificate that vouches for it.
#[test]
fn a_lifetime_ends_with_the_certificate() {
    let mut world = World::new();
    let mut value = world.value(0, SINGLE, 1, single("a"));
    value.lifetime_s = u32::MAX;
    world.store(0, SINGLE, &[value]).expect("stored");
    let left = world.values(SINGLE, &Places::Single)[0].lifetime_s;
    assert!(left <= 31 * 24 * 3600, "{left} s is longer than the certificate lives");
}

/// R6940-7.2.2-01, R6940-7.4.1.1-01, R6940-7.4.2.2-01, R6940-7.4.2.2-04: arrays have gaps, ends
/// and signatures that do not cover the index.
#[test]
fn arrays_are_sparse_and_can_be_appended_to() {
    let mut world = World::new();
    let store = |world: &mut World, time, index, text: &str| {
        let value = world.value(0, ARRAY, time, at_index(index, text));
        world.store(0, ARRAY, &[value])
    };
    store(&mut world, 1, 2, "c").expect("stored");
    store(&mut world, 2, StoredDataValue::APPEND, "d").expect("appended");
    let found = world.values(ARRAY, &Places::Array(vec![(0, 2)]));
    assert_eq!(texts(&found), [b"".as_slice(), b"", b"c"]);
    assert_eq!(found[0].value, StoredDataValue::Array { index: 0, value: DataValue::absent() });
    assert_eq!(found[0].signature, Signature::SYNTHESIZED);
    let last = Places::Array(vec![(StoredDataValue::APPEND, StoredDataValue::APPEND)]);
    let found = world.values(ARRAY, &last);
    assert_eq!(found[0].value, at_index(3, "d"));
    let answer = world.fetch(ARRAY, &last).expect("fetched");
    assert_eq!(world.verify(&answer, ARRAY).values.len(), 1);

    // A range without an end gets no more made-up values than the Kind has places.
    let far = 4_000_000_000;
    store(&mut world, 3, far, "z").expect("stored");
    let found = world.values(ARRAY, &Places::Array(vec![(0, StoredDataValue::APPEND)]));
    assert_eq!(found.iter().filter(|v| v.value.data().exists).count(), 3);
    assert!(found.len() <= 6, "{} values", found.len());
    assert_eq!(code(store(&mut world, 4, 9, "e")), ErrorCode::DATA_TOO_LARGE);
}

/// R6940-7.4.2.1-02, R6940-7.4.2.1-03: ranges go forward and apart.
#[test]
fn senseless_ranges_are_refused() {
    let mut world = World::new();
    for ranges in [vec![(5, 4)], vec![(0, 4), (4, 6)], vec![(4, 6), (0, 4)]] {
        let refused = world.fetch(ARRAY, &Places::Array(ranges));
        assert_eq!(code(refused), ErrorCode::INVALID_MESSAGE);
    }
    assert!(world.fetch(ARRAY, &Places::Array(vec![(5, 6), (0, 4)])).is_ok());
}

/// R6940-7.4.2.1-06, R6940-7.4.2.2-02, R6940-7.4.2.2-03: one response for each Kind; no values
/// for who has the current generation already.
#[test]
fn each_kind_is_answered_and_known_generations_are_not_repeated() {
    let mut world = World::new();
    let value = world.value(0, SINGLE, 1, single("a"));
    world.store(0, SINGLE, &[value]).expect("stored");
    let specifier = |kind, places: &Places, generation| {
        let mut specifier = StoredDataSpecifier::new(kind, places);
        specifier.generation = generation;
        specifier
    };
    let key = Places::Dictionary(vec![Bytes::from_static(b"key")]);
    let mut ask = |generation| {
        let specifiers = vec![
            specifier(SINGLE, &Places::Single, generation),
            specifier(REGISTRATION, &key, 0),
            specifier(ARRAY, &Places::Array(Vec::new()), 0),
        ];
        let request = FetchReq { resource: world.alice(), specifiers };
        world.storage.fetch(world.now(), &request).expect("fetched").0.kinds
    };
    let kinds = ask(9);
    assert_eq!(kinds.iter().map(|k| k.generation).collect::<Vec<_>>(), [1, 0, 0]);
    let count = |kinds: &[KindData], i: usize, model| kinds[i].values(model).expect("parses").len();
    assert_eq!(count(&kinds, 0, DataModel::Single), 1);
    assert_eq!(count(&kinds, 1, DataModel::Dictionary), 1, "absent, but answered");
    assert_eq!(count(&kinds, 2, DataModel::Array), 0);
    assert_eq!(count(&ask(1), 0, DataModel::Single), 0);
}

/// R6940-7.4.1.2-02, R6940-7.4.1.1-08, R6940-7.4.2.1-01: unknown Kinds are listed.
#[test]
fn unknown_kinds_are_listed() {
    let mut world = World::new();
    let unknown = KindId(0xf000_0010);
    let kinds = vec![KindData::new(REGISTRATION, 0, &[]), KindData::new(unknown, 0, &[])];
    let error = world.send(0, &world.request(kinds)).expect_err("refused");
    assert_eq!(error.code, ErrorCode::UNKNOWN_KIND);
    assert_eq!(hex::encode(error.info), "04f0000010");
    assert_eq!(code(world.fetch(unknown, &Places::Single)), ErrorCode::UNKNOWN_KIND);
}

/// R6940-7.4.1.1-03: a Kind comes once.
#[test]
fn a_kind_that_comes_twice_is_refused() {
    let mut world = World::new();
    let value = world.value(0, SINGLE, 1, single("a"));
    let data = KindData::new(SINGLE, 0, &[value]);
    let refused = world.send(0, &world.request(vec![data.clone(), data]));
    assert_eq!(code(refused), ErrorCode::INVALID_MESSAGE);
    assert_eq!(world.storage.value_count(), 0);
}

/// R6940-7.4.1.1-05: all or nothing, counters included.
#[test]
fn a_store_is_atomic() {
    let mut world = World::new();
    let old = world.value(0, REGISTRATION, 10, at_key(&world.users[0], "a"));
    world.store(0, REGISTRATION, &[old]).expect("stored");
    let bytes = world.storage.bytes();
    let good = world.value(0, SINGLE, 1, single("a"));
    let stale = world.value(0, REGISTRATION, 9, at_key(&world.users[0], "b"));
    let kinds = vec![KindData::new(SINGLE, 0, &[good]), KindData::new(REGISTRATION, 0, &[stale])];
    let refused = world.send(0, &world.request(kinds));
    assert_eq!(code(refused), ErrorCode::DATA_TOO_OLD);
    assert_eq!((world.storage.value_count(), world.storage.bytes()), (1, bytes));
    assert_eq!(world.fetch(SINGLE, &Places::Single).expect("fetched").kinds[0].generation, 0);
    let answer = world.fetch(REGISTRATION, &all_keys()).expect("fetched");
    assert_eq!(answer.kinds[0].generation, 1);
}

/// R6940-7.4.1.1-13, R6940-7.4.1.2-01, R6940-7.4.1.2-05: compare and swap, and what the loser is
/// told.
#[test]
fn an_original_store_names_the_current_generation_or_none() {
    let mut world = World::new();
    let value = world.value(0, REGISTRATION, 1, at_key(&world.users[0], "a"));
    world.store(0, REGISTRATION, &[value]).expect("stored");
    let next = |world: &World, generation, time| {
        let value = world.value(1, REGISTRATION, time, at_key(&world.users[1], "b"));
        world.request(vec![KindData::new(REGISTRATION, generation, &[value])])
    };
    for wrong in [2, u64::MAX] {
        let error = world.send(1, &next(&world, wrong, 1)).expect_err("refused");
        assert_eq!(error.code, ErrorCode::GENERATION_COUNTER_TOO_LOW);
        let answer = StoreAns::from_bytes(&error.info).expect("a StoreAns");
        assert_eq!(answer.kinds[0].generation, 1);
        assert!(answer.kinds[0].replicas.is_empty());
    }
    assert_eq!(
        world.send(1, &next(&world, 1, 1)).expect("current").generations,
        [(REGISTRATION, 2)]
    );
}

/// R6940-7.4.1.1-14, R6940-7.4.1.1-15, R6940-7.3-03: a replica's counter is taken over as it is,
/// its requester needs no right to write, its values do.
#[test]
fn replicas_bring_their_counter() {
    let mut world = World::new();
    let replica = |world: &World, generation, value| StoreReq {
        replica_number: 1,
        ..world.request(vec![KindData::new(REGISTRATION, generation, &[value])])
    };
    let value =
        |w: &World, time, text: &str| w.value(0, REGISTRATION, time, at_key(&w.users[0], text));
    let stored = world.send(2, &replica(&world, 9, value(&world, 1, "a"))).expect("stored");
    assert_eq!(stored.generations, [(REGISTRATION, 9)]);
    let stored = world.send(2, &replica(&world, 4, value(&world, 2, "b"))).expect("stored");
    assert_eq!(stored.generations, [(REGISTRATION, 4)]);
    let refused = world.send(2, &replica(&world, 0, value(&world, 3, "c")));
    assert_eq!(code(refused), ErrorCode::INVALID_MESSAGE);
    let resource = world.alice();
    let forged = signed(&world.users[2], &resource, REGISTRATION, 5, at_key(&world.users[2], "x"));
    assert_eq!(code(world.send(2, &replica(&world, 5, forged))), ErrorCode::FORBIDDEN);
}

/// R6940-13.5.2-01, R6940-7.4.1.1-02, R6940-7.4.1.2-07: sizes and counts; a tombstone makes room.
#[test]
fn limits_hold_and_tombstones_make_room() {
    let mut world = World::new();
    world.users.push(identity("alice@example.org"));
    let value = |w: &World, user, time, text: &str| {
        w.value(user, REGISTRATION, time, at_key(&w.users[user], text))
    };
    let long = "x".repeat(21);
    let refused = world.store(0, REGISTRATION, &[value(&world, 0, 1, &long)]);
    assert_eq!(code(refused), ErrorCode::DATA_TOO_LARGE);
    for user in [0, 1] {
        let fits = value(&world, user, 1, &long[1..]);
        world.store(user, REGISTRATION, &[fits]).expect("stored");
    }
    let refused = world.store(3, REGISTRATION, &[value(&world, 3, 1, "c")]);
    assert_eq!(code(refused), ErrorCode::DATA_TOO_LARGE);
    world.store(0, REGISTRATION, &[value(&world, 0, 2, "d")]).expect("a key that is there");
    let key = Bytes::copy_from_slice(world.users[0].node_id.as_bytes());
    let gone = StoredDataValue::Dictionary { key, value: DataValue::absent() };
    let gone = world.value(0, REGISTRATION, 3, gone);
    world.store(0, REGISTRATION, &[gone]).expect("removed");
    world.store(3, REGISTRATION, &[value(&world, 3, 1, "c")]).expect("now there is room");
    assert_eq!(
        code(world.store(0, REGISTRATION, &[value(&world, 0, 4, "e")])),
        ErrorCode::DATA_TOO_LARGE
    );
}

/// Full storage refuses what is new and keeps what it has.
#[test]
fn full_storage_refuses_more() {
    let mut world = World::new();
    world.storage = Storage::with_bytes_max(kinds(), 1500);
    let value = world.value(0, REGISTRATION, 1, at_key(&world.users[0], "a"));
    world.store(0, REGISTRATION, &[value]).expect("stored");
    let value = world.value(1, REGISTRATION, 1, at_key(&world.users[1], "b"));
    assert_eq!(code(world.store(1, REGISTRATION, &[value])), ErrorCode::DATA_TOO_LARGE);
    let value = world.value(0, REGISTRATION, 2, at_key(&world.users[0], "c"));
    world.store(0, REGISTRATION, &[value]).expect("replaced");
    assert_eq!(texts(&world.values(REGISTRATION, &all_keys())), [b"c"]);
}

/// R6940-6.3.4-11, R6940-7.4.1.3-03: copies carry counters, certificates and no made-up values,
/// fit into messages, and can be stored by others.
#[test]
fn copies_move_everything_to_another_peer() {
    let mut world = World::new();
    for user in [0, 1] {
        let value = world.value(user, REGISTRATION, 1, at_key(&world.users[user], "here"));
        world.store(user, REGISTRATION, &[value]).expect("stored");
    }
    let value = world.value(0, ARRAY, 1, at_index(2, "c"));
    world.store(0, ARRAY, &[value]).expect("stored");
    let position = world.alice().to_u128().expect("16 bytes");
    let now = world.now();
    let whole: Vec<_> =
        world.storage.copies_between(now, position - 1, position, 2, 9000).collect();
    assert_eq!(whole.len(), 1);
    assert_eq!((whole[0].request.replica_number, whole[0].certificates.len()), (2, 2));
    assert!(world.storage.copies_between(now, position, position - 1, 2, 9000).next().is_none());

    let batches: Vec<_> = world.storage.copies_between(now, 7, 7, 1, 700).collect();
    assert_eq!(batches.len(), 3, "each value with its certificate fills a message");
    let fetched = world.values(REGISTRATION, &all_keys());
    world.storage = Storage::new(kinds());
    for batch in &batches {
        world.send(2, &batch.request).expect("stored");
    }
    assert_eq!(world.values(REGISTRATION, &all_keys()), fetched);
    assert_eq!(world.values(ARRAY, &Places::Array(Vec::new())).len(), 1);
    let answer = world.fetch(REGISTRATION, &all_keys()).expect("fetched");
    assert_eq!(answer.kinds[0].generation, 2);
    world.storage.remove(&world.alice());
    assert_eq!((world.storage.resource_count(), world.storage.bytes()), (0, 0));
}

/// Ranges of the ring are open at their start, closed at their end, and wrap.
#[test]
fn ring_ranges_wrap() {
    let mut storage = Storage::new(kinds());
    let mut value = World::new();
    let held = value.value(0, SINGLE, 1, single("a"));
    value.store(0, SINGLE, &[held]).expect("stored");
    let resource = value.storage.resources.values().next().cloned().expect("one");
    for position in [10, 20, 30] {
        storage.put(position, resource.clone());
    }
    let between = |after, to| {
        let found = storage.resources_between(after, to);
        found.filter_map(|r| r.to_u128()).collect::<Vec<_>>()
    };
    assert_eq!(between(10, 30), [20, 30]);
    assert_eq!(between(20, 10), [30, 10]);
    assert_eq!(between(20, 20), [30, 10, 20]);
    assert_eq!(between(30, 9), []);
    assert_eq!(between(u128::MAX, 10), [10]);
}
