//! Stat, Find, and what another configuration leaves.

use super::*;
use crate::message::{FindAns, FindReq, Metadata, StatAns, StoredMetadata};

fn stat(world: &mut World, kind: KindId, places: &Places) -> Result<StatAns, ErrorResponse> {
    let now = world.now();
    let request = FetchReq {
        resource: world.alice(),
        specifiers: vec![StoredDataSpecifier::new(kind, places)],
    };
    world.storage.stat(now, &request)
}

/// R6940-7.4.3-01: a Stat tells of the same values as a Fetch, with length and digest in place of
/// their bytes and signatures.
#[test]
fn a_stat_mirrors_a_fetch() {
    let mut world = World::new();
    let values = [0, 2].map(|index| {
        let text = format!("certificate {index}");
        world.value(0, ARRAY, 5, at_index(index, &text))
    });
    world.store(0, ARRAY, &values).expect("stored");
    world.seconds = 60;
    let ranges = Places::Array(vec![(0, 9)]);
    let answer = stat(&mut world, ARRAY, &ranges).expect("answered");
    assert_eq!((answer.kinds[0].kind, answer.kinds[0].generation), (ARRAY, 1));
    let metadata = answer.kinds[0].values(DataModel::Array).expect("arrays");
    let known: Vec<(bool, u32, u32)> = metadata
        .iter()
        .map(|m| (m.value.metadata().exists, m.value.metadata().value_length, m.lifetime_s))
        .collect();
    assert_eq!(known, [(true, 13, HOUR_S - 60), (false, 0, 0), (true, 13, HOUR_S - 60)]);
    assert_eq!(metadata[0].storage_time_ms, 5);
    let of_value = Metadata::of(&DataValue::existing(&b"certificate 0"[..]));
    assert_eq!(metadata[0].value.metadata(), &of_value);
    let request = FetchReq {
        resource: world.alice(),
        specifiers: vec![StoredDataSpecifier::new(ARRAY, &ranges)],
    };
    let (fetched, _) = world.storage.fetch(world.now(), &request).expect("fetched");
    let fetched = fetched.kinds[0].values(DataModel::Array).expect("arrays");
    assert_eq!(metadata, fetched.iter().map(StoredMetadata::of).collect::<Vec<_>>());
    assert_eq!(code(stat(&mut world, KindId(99), &ranges)), ErrorCode::UNKNOWN_KIND);
    let keys = Places::Dictionary(vec![Bytes::from_static(b"a key")]);
    assert_eq!(code(stat(&mut world, ARRAY, &keys)), ErrorCode::INVALID_MESSAGE);
}

const BY_NODE: KindId = KindId::CERTIFICATE_BY_NODE;

/// A storage in which each user has a certificate under their Node-ID, and where these are.
fn with_certificates() -> (World, Vec<u128>) {
    let mut world = World::new();
    let mut positions = Vec::new();
    for user in 0..3 {
        let resource = resource_id(world.users[user].node_id.as_bytes());
        positions.extend(resource.to_u128());
        let data = signed(&world.users[user], &resource, BY_NODE, 1, at_index(0, "c"));
        let kinds = vec![KindData::new(BY_NODE, 0, &[data])];
        world.send(user, &StoreReq { resource, replica_number: 0, kinds }).expect("stored");
    }
    let registration = world.value(0, REGISTRATION, 1, at_key(&world.users[0], "r"));
    world.store(0, REGISTRATION, &[registration]).expect("stored");
    positions.sort_unstable();
    (world, positions)
}

fn find(world: &mut World, from: u128, kinds: &[KindId], end: u128) -> FindAns {
    let request = FindReq { resource: ResourceId::from_u128(from), kinds: kinds.to_vec() };
    let now = world.now();
    world.storage.find(now, &request, end).expect("answered")
}

/// R6940-7.4.4.2-02, T-57: the first resource from the one asked for on, for each Kind that may
/// be found; a Kind of users' names may not.
#[test]
fn a_find_gets_the_next_resource() {
    let (mut world, positions) = with_certificates();
    let mut next = |from: u128, end: u128| {
        let answer = find(&mut world, from, &[REGISTRATION, BY_NODE], end);
        assert_eq!(answer.results.len(), 1, "registrations are not listed");
        assert_eq!(answer.results[0].kind, BY_NODE);
        answer.results[0].closest().and_then(ResourceId::to_u128)
    };
    let [first, second, third] = positions[..] else { panic!("three nodes") };
    assert_eq!(next(first, third), Some(first));
    assert_eq!(next(first + 1, third), Some(second));
    assert_eq!(next(second + 1, third - 1), None, "beyond the responsible peer's range");
    assert_eq!(next(third + 1, first), Some(first), "past zero");
    assert_eq!(next(third + 1, third), Some(first), "all of a ring of one");
}

/// R6940-7.4.4.2-03: 0 for a Kind that is unknown, and where nothing is stored or left.
#[test]
fn what_is_not_found_is_zero() {
    let (mut world, positions) = with_certificates();
    let unknown = KindId(99);
    let answer = find(&mut world, positions[0], &[unknown, TURN, BY_NODE], positions[2]);
    let found: Vec<(KindId, bool)> =
        answer.results.iter().map(|r| (r.kind, r.closest().is_some())).collect();
    assert_eq!(found, [(unknown, false), (TURN, false), (BY_NODE, true)]);
    // A certificate that was taken back is none.
    let user = (0..3)
        .find(|user| {
            resource_id(world.users[*user].node_id.as_bytes()).to_u128() == Some(positions[0])
        })
        .expect("a user");
    let resource = ResourceId::from_u128(positions[0]);
    let nothing = StoredDataValue::Array { index: 0, value: DataValue::absent() };
    let data = signed(&world.users[user], &resource, BY_NODE, 2, nothing);
    let kinds = vec![KindData::new(BY_NODE, 0, &[data])];
    world.send(user, &StoreReq { resource, replica_number: 0, kinds }).expect("stored");
    let answer = find(&mut world, positions[0], &[BY_NODE], positions[2]);
    let found = answer.results[0].closest().and_then(ResourceId::to_u128);
    assert_eq!(found, Some(positions[1]));
}

/// R6940-7.4.4.1-01: a Kind that comes twice makes the request wrong.
#[test]
fn a_find_names_each_kind_once() {
    let mut world = World::new();
    let request = FindReq { resource: world.alice(), kinds: vec![BY_NODE, TURN, BY_NODE] };
    let now = world.now();
    assert_eq!(code(world.storage.find(now, &request, 0)), ErrorCode::INVALID_MESSAGE);
}

/// R6940-11.1-24: a Kind that is gone takes its data with it; the others' data stay.
#[test]
fn a_kind_that_is_gone_takes_its_data_with_it() {
    let (mut world, _) = with_certificates();
    assert_eq!(world.storage.value_count(), 4);
    let bytes = world.storage.bytes();
    let known = kinds();
    let kind = |id| *known.kind(id).expect("known");
    let left = KindTable::new([kind(BY_NODE), kind(ARRAY)]).expect("consistent");
    world.storage.reconfigure(left, |_| false);
    assert_eq!(world.storage.value_count(), 3);
    assert!(world.storage.bytes() < bytes);
    assert!(!world.storage.holds(&world.alice()));
    let other_model = Kind { data_model: DataModel::Single, ..kind(BY_NODE) };
    world.storage.reconfigure(KindTable::new([other_model]).expect("consistent"), |_| false);
    assert_eq!((world.storage.value_count(), world.storage.bytes()), (0, 0));
}

/// R6940-11.1-01: values under a revoked certificate go, and only those.
#[test]
fn values_of_bad_nodes_are_discarded() {
    let (mut world, _) = with_certificates();
    let bad = world.users[0].node_id;
    world.storage.reconfigure(kinds(), |certificate| certificate.node_ids.contains(&bad));
    assert_eq!(world.storage.value_count(), 2);
    assert!(!world.storage.holds(&resource_id(bad.as_bytes())));
    assert!(!world.storage.holds(&world.alice()));
    assert!(world.storage.holds(&resource_id(world.users[1].node_id.as_bytes())));
}
