//! Values that come from elsewhere than their owner's Store: merged, restored, replayed.

use super::*;
use crate::base::{Encode, Rng};

impl World {
    fn merge(&mut self, values: &[StoredData], generation: u64) -> bool {
        let kinds = [KindData::new(REGISTRATION, generation, values)];
        let (now, resource) = (self.now(), self.alice());
        let users = &self.users;
        let resolve = |identity: &SignerIdentity| find(users, identity);
        let provider = provider();
        let verifier = Verifier { resolve: &resolve, provider: &provider };
        self.storage.merge(now, &resource, &kinds, verifier)
    }

    fn restore(&mut self, saved_unix_ms: u64, copy: &StoreCopy) -> bool {
        let now = self.now();
        let users = &self.users;
        let resolve = |identity: &SignerIdentity| find(users, identity);
        let provider = provider();
        let verifier = Verifier { resolve: &resolve, provider: &provider };
        self.storage.restore(now, saved_unix_ms, copy, verifier)
    }

    fn registered(&self, user: usize, time: u64, text: &str) -> StoredData {
        self.value(user, REGISTRATION, time, at_key(&self.users[user], text))
    }

    fn all(&mut self) -> Vec<StoredData> {
        self.values(REGISTRATION, &all_keys())
    }

    fn put(copies: Vec<Change>) -> StoreCopy {
        match copies.into_iter().next() {
            Some(Change::Put(copy)) => copy,
            other => panic!("{other:?}"),
        }
    }
}

/// R6940-7.4.1.1-22: in whatever order and however often values are merged, each place ends with
/// the newest one.
#[test]
fn merging_is_commutative_and_idempotent() {
    let mut rng = Rng::from_number(7);
    let mut world = World::new();
    let pool: Vec<StoredData> =
        (0..24).map(|n| world.registered(n % 2, 1 + rng.below(6), &format!("text {n}"))).collect();
    for _ in 0..40 {
        let mut parts = [Vec::new(), Vec::new(), Vec::new()];
        for value in &pool {
            for part in &mut parts {
                if rng.below(4) == 0 {
                    part.push(value.clone());
                }
            }
        }
        let mut merged = |order: &[usize]| {
            world.storage = Storage::new(kinds());
            for part in order {
                world.merge(&parts[*part], 3);
            }
            world.all()
        };
        let expected = merged(&[0, 1, 2]);
        for order in [&[2, 1, 0][..], &[1, 0, 2, 0, 1], &[2, 2, 0, 1, 2]] {
            assert_eq!(merged(order), expected);
        }
        for user in [0, 1] {
            let key = Bytes::copy_from_slice(world.users[user].node_id.as_bytes());
            let of_user = |v: &&StoredData| match &v.value {
                StoredDataValue::Dictionary { key: k, .. } => *k == key,
                _ => false,
            };
            let newest = parts.iter().flatten().filter(of_user).map(|v| v.storage_time_ms).max();
            let kept = expected.iter().find(of_user).map(|v| v.storage_time_ms);
            assert_eq!(kept, newest);
        }
    }
}

/// What is merged is checked like what is stored, and gets a counter that nobody had before.
#[test]
fn merged_values_are_checked() {
    let mut world = World::new();
    let own = world.registered(0, 5, "own");
    world.store(0, REGISTRATION, &[own]).expect("stored");
    let mut forged = world.registered(1, 9, "forged");
    forged.signature.value[10] ^= 1;
    let too_large = world.registered(1, 9, &"x".repeat(21));
    assert!(!world.merge(&[forged, too_large], 8));
    assert_eq!(world.all().len(), 1);
    let newer = world.registered(1, 9, "newer");
    assert!(world.merge(&[newer], 8));
    let answer = world.fetch(REGISTRATION, &all_keys()).expect("fetched");
    assert_eq!(answer.kinds[0].generation, 9);
}

/// R6940-7.4.1.3-04, R6940-7.4.1.3-01: while a tombstone lives, what it removed cannot be put
/// back; afterwards it can, which is why tombstones live long.
#[test]
fn a_removed_value_is_back_only_after_its_tombstone() {
    let mut world = World::new();
    let value = world.registered(0, 5, "here");
    world.store(0, REGISTRATION, std::slice::from_ref(&value)).expect("stored");
    let key = Bytes::copy_from_slice(world.users[0].node_id.as_bytes());
    let gone = StoredDataValue::Dictionary { key, value: DataValue::absent() };
    let mut gone = world.value(0, REGISTRATION, 6, gone);
    gone.lifetime_s = 3 * HOUR_S;
    world.store(0, REGISTRATION, &[gone]).expect("removed");
    let mut replay = world.request(vec![KindData::new(REGISTRATION, 4, &[value])]);
    replay.replica_number = 1;
    for hour in 0..3 {
        world.seconds = u64::from(hour * HOUR_S);
        assert_eq!(code(world.send(2, &replay)), ErrorCode::DATA_TOO_OLD);
    }
    world.seconds = u64::from(3 * HOUR_S);
    assert!(world.send(2, &replay).is_ok(), "nobody remembers any more");
}

/// A journal tells of each resource once, as it is then, and a restart has what it told: with the
/// counter, the lifetimes that are left, and nothing that has expired or been changed on disk.
#[test]
fn what_was_told_can_be_restored() {
    let mut world = World::new();
    let now = world.now();
    assert!(world.storage.changes(now, 9).is_empty() && !world.storage.has_changes());
    let value = world.registered(0, 5, "here");
    world.store(0, REGISTRATION, &[value]).expect("stored");
    assert!(!world.storage.has_changes(), "nobody wanted to know");
    world.storage.keep_journal();
    for time in 6..9 {
        let value = world.registered(0, time, "here");
        world.store(0, REGISTRATION, &[value]).expect("stored");
    }
    let mut short = world.registered(1, 5, "short");
    short.lifetime_s = 60;
    world.store(1, REGISTRATION, &[short]).expect("stored");
    let told = world.storage.changes(now, 9);
    assert_eq!(told.len(), 1);
    let copy = World::put(told);
    assert_eq!(copy.certificates.len(), 2);
    assert!(!world.storage.has_changes());

    let before = world.storage.resource_count();
    world.storage = Storage::new(kinds());
    world.seconds = 100;
    // The machine's clock is what both runs have in common.
    assert!(world.restore(UNIX_MS, &copy));
    assert_eq!(world.storage.resource_count(), before);
    let restored = world.all();
    assert_eq!(restored.len(), 1, "the other one has expired");
    assert_eq!((restored[0].storage_time_ms, restored[0].lifetime_s), (8, HOUR_S - 100));
    let answer = world.fetch(REGISTRATION, &all_keys()).expect("fetched");
    assert_eq!(answer.kinds[0].generation, copy.request.kinds[0].generation);

    world.storage = Storage::new(kinds());
    assert!(world.restore(UNIX_MS + 500_000, &copy), "a clock that was set back");
    assert!(world.all().iter().all(|value| value.lifetime_s <= HOUR_S));
    world.storage = Storage::new(kinds());
    let mut bytes = copy.request.to_bytes().expect("short");
    let at = bytes.windows(4).position(|w| w == b"here").expect("the text");
    bytes[at] ^= 1;
    let request = StoreReq::from_bytes(&bytes).expect("parses");
    world.restore(UNIX_MS, &StoreCopy { request, ..copy });
    assert!(world.all().iter().all(|value| value.value.data().value != "here"));
}

/// What is gone is told of as gone.
#[test]
fn removals_are_told() {
    let mut world = World::new();
    world.storage.keep_journal();
    let value = world.registered(0, 5, "here");
    world.store(0, REGISTRATION, &[value]).expect("stored");
    let resource = world.alice();
    world.storage.remove(&resource);
    let now = world.now();
    assert_eq!(world.storage.changes(now, 9), [Change::Removed(resource)]);
}

/// R6940-7.2-01: the same value in each data model, as its Kind says and not the wire; a Kind
/// that nobody knows has no data model.
#[test]
fn the_kind_gives_the_data_model() {
    let world = World::new();
    let encoded = |value: StoredDataValue| {
        let signature = Signature::SYNTHESIZED;
        let data = StoredData { storage_time_ms: 1, lifetime_s: 2, value, signature };
        let bytes = KindData::new(SINGLE, 3, &[data]).to_bytes().expect("short");
        hex::encode(&bytes[16 + 4 + 12..])
    };
    let signature = "00000300000000";
    assert_eq!(encoded(single("a")), format!("010000000161{signature}"));
    assert_eq!(encoded(at_index(7, "a")), format!("00000007010000000161{signature}"));
    let key = StoredDataValue::Dictionary {
        key: Bytes::from_static(b"k"),
        value: DataValue::existing("a"),
    };
    assert_eq!(encoded(key), format!("00016b010000000161{signature}"));

    let value = world.value(0, SINGLE, 1, single("abcd"));
    let data = KindData::new(SINGLE, 0, std::slice::from_ref(&value));
    assert_eq!(data.values(DataModel::Single), Ok(vec![value]));
    for other in [DataModel::Array, DataModel::Dictionary] {
        assert!(data.values(other).is_err(), "{other:?}");
    }
    assert!(kinds().kind(KindId(0xf000_0055)).is_none());
}
