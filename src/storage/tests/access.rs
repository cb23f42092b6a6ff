//! Who may write what.

use super::*;
use crate::config::{DomainPattern, DomainRestrictions, OverlayConfig};

/// R6940-7.4.1.1-09, R6940-7.4.1.1-17, R6940-6.3.4-15, R6940-7.1-01, R6940-7.1-02: only values
/// with a good signature for this very place, by a certificate valid now.
#[test]
fn badly_signed_values_are_forbidden() {
    let mut world = World::new();
    let good = world.value(0, SINGLE, 1, single("a"));
    let mut flipped = good.clone();
    *flipped.signature.value.last_mut().expect("a signature") ^= 1;
    let unsigned = StoredData { signature: Signature::SYNTHESIZED, ..good.clone() };
    let mut later = good.clone();
    later.storage_time_ms += 1;
    let other_kind = world.value(0, KindId(0xf000_0002), 1, single("a"));
    for value in [flipped, unsigned, later, other_kind] {
        assert_eq!(code(world.store(0, SINGLE, &[value])), ErrorCode::FORBIDDEN);
    }
    world.seconds = 31 * 24 * 3600;
    assert_eq!(code(world.store(0, SINGLE, &[good])), ErrorCode::FORBIDDEN);
    assert_eq!(world.storage.value_count(), 0);
}

/// R6940-7.3-02, R6940-7.3.1-01, R6940-7.4.1.1-10, R6940-7.4.1.1-11, R6940-13.5.1-02: a user's
/// values come from that user, and so does the request.
#[test]
fn user_match_binds_value_and_request() {
    let mut world = World::new();
    let resource = world.alice();
    let by_bob = signed(&world.users[2], &resource, SINGLE, 1, single("a"));
    assert_eq!(code(world.store(2, SINGLE, &[by_bob])), ErrorCode::FORBIDDEN);
    let by_alice = world.value(0, SINGLE, 1, single("a"));
    let sent_by_bob = world.store(2, SINGLE, std::slice::from_ref(&by_alice));
    assert_eq!(code(sent_by_bob), ErrorCode::FORBIDDEN);
    world.store(1, SINGLE, &[by_alice]).expect("alice's other device may send it");
}

/// R6940-7.3.3-01, R7904-3.3-03, R7904-3.3-04, R7904-3.3-05, R7904-A-01: a registration stands at
/// the key of the node that signed it, at the name of its user.
#[test]
fn user_node_match_binds_the_key() {
    let mut world = World::new();
    let other_device = world.value(0, REGISTRATION, 1, at_key(&world.users[1], "a"));
    assert_eq!(code(world.store(0, REGISTRATION, &[other_device])), ErrorCode::FORBIDDEN);
    let resource = world.alice();
    let third_party =
        signed(&world.users[2], &resource, REGISTRATION, 1, at_key(&world.users[2], "a"));
    assert_eq!(code(world.store(2, REGISTRATION, &[third_party])), ErrorCode::FORBIDDEN);
    let own = world.value(0, REGISTRATION, 1, at_key(&world.users[0], "a"));
    assert_eq!(
        code(world.store(1, REGISTRATION, std::slice::from_ref(&own))),
        ErrorCode::FORBIDDEN
    );
    world.store(0, REGISTRATION, &[own]).expect("stored");
}

/// R6940-7.3.2-01, R6940-7.3.4-01, R6940-7.3.4-02: where a node itself may write.
#[test]
fn node_policies_bind_the_node_id() {
    let mut world = World::new();
    let node = world.users[0].node_id;
    let by_node = KindId::CERTIFICATE_BY_NODE;
    let mut try_at = |resource: ResourceId, kind, user: usize, value: StoredDataValue| {
        let data = signed(&world.users[user], &resource, kind, 1, value);
        let kinds = vec![KindData::new(kind, 0, &[data])];
        world.send(user, &StoreReq { resource, replica_number: 0, kinds })
    };
    let own = resource_id(node.as_bytes());
    assert_eq!(code(try_at(own.clone(), by_node, 1, at_index(0, "c"))), ErrorCode::FORBIDDEN);
    assert!(try_at(own, by_node, 0, at_index(0, "c")).is_ok());
    let multiple = |i: &[u8]| resource_id(&[node.as_bytes(), i].concat());
    for (i, permitted) in [(1, true), (20, true), (21, false), (0, false)] {
        for resource in [multiple(&[i]), multiple(&[0, 0, 0, i])] {
            assert_eq!(try_at(resource, TURN, 0, single("t")).is_ok(), permitted, "{i}");
        }
    }
}

/// R6940-7.3-01, R6940-7.3.3-02: policies that make no sense are refused with the Kind.
#[test]
fn kinds_must_make_sense() {
    let single = *kinds().kind(SINGLE).expect("known");
    let made = |kind| KindTable::new([kind]).err();
    let without_keys = Kind { access: AccessControl::UserNodeMatch, ..single };
    assert_eq!(made(without_keys), Some(KindError::NotDictionary(SINGLE.0)));
    let without_max = Kind { access: AccessControl::NodeMultiple { max: 0 }, ..single };
    assert_eq!(made(without_max), Some(KindError::NoMultiple(SINGLE.0)));
    assert_eq!(KindTable::new([single, single]).err(), Some(KindError::Twice(SINGLE.0)));
}

/// R7904-7-02: SIP-REGISTRATION and the certificate Kinds are what their RFCs say, in our table
/// as in a document's.
#[test]
fn registered_kinds_are_as_registered() {
    let config = crate::config::OverlayConfig::self_signed("example.org").expect("a good name");
    let of_document = KindTable::new(config.kinds.iter().map(Kind::from)).expect("consistent");
    let registration = of_document.kind(REGISTRATION).expect("known");
    assert_eq!(
        (registration.id.0, registration.data_model, registration.access),
        (1, DataModel::Dictionary, AccessControl::UserNodeMatch)
    );
    let ours = KindTable::for_calls();
    for id in [REGISTRATION, KindId::CERTIFICATE_BY_NODE, ARRAY] {
        assert_eq!(ours.kind(id), of_document.kind(id));
    }
}

fn restricted(enable: bool, patterns: &[&str]) -> OverlayConfig {
    let patterns = patterns.iter().map(|p| DomainPattern::new(p).expect("a pattern")).collect();
    let domain_restrictions = Some(DomainRestrictions { enable, patterns });
    let config = OverlayConfig::self_signed("example.org").expect("a name");
    OverlayConfig { domain_restrictions, ..config }
}

/// R7904-3.3-02, R7904-3.3-05, R7904-3.4-01, R7904-3.4-02, R7904-3.4-03: a registration is
/// stored if the overlay takes the domain of the name in the certificate that signed it, and a
/// reader believes no other.
#[test]
fn registrations_are_of_domains_that_the_overlay_takes() {
    let names = ["own@example.org", "a@a.my.example", "m@my.example", "evil@example.org.evil"];
    let open = OverlayConfig::self_signed("example.org").expect("a name");
    for (config, taken) in [
        (open, [true; 4]),
        (restricted(false, &[".*"]), [true, false, false, false]),
        (restricted(true, &[r".*\.my\.example"]), [false, true, false, false]),
        (restricted(true, &[r"example\.org", ".*my.*"]), [true, true, true, false]),
        (restricted(true, &[]), [false; 4]),
    ] {
        let mut world = World::new();
        world.users = names.map(identity).into();
        world.storage = Storage::new(kinds().restricted(&config));
        for (user, is_taken) in taken.into_iter().enumerate() {
            let resource = resource_of(&world.users[user]);
            let value = world.value(user, REGISTRATION, 1, at_key(&world.users[user], "a"));
            let kinds = vec![KindData::new(REGISTRATION, 0, &[value])];
            let request = StoreReq { resource: resource.clone(), replica_number: 0, kinds };
            let stored = world.send(user, &request);
            assert_eq!(stored.is_ok(), is_taken, "{} with {config:?}", names[user]);
            assert!(stored.is_ok() || code(stored) == ErrorCode::FORBIDDEN);
            // What is no registration is not restricted.
            let text = world.value(user, SINGLE, 1, single("a"));
            let kinds = vec![KindData::new(SINGLE, 0, &[text])];
            let request = StoreReq { resource, replica_number: 0, kinds };
            assert!(world.send(user, &request).is_ok());
        }
    }
}

/// R7904-3.3-02, R6940-11.1-23: what another peer answers is judged by the same rule, and what is
/// here when a document restricts names goes.
#[test]
fn registrations_of_other_domains_are_not_believed_and_go() {
    let mut world = World::new();
    let value = world.value(0, REGISTRATION, 1, at_key(&world.users[0], "a"));
    world.store(0, REGISTRATION, &[value]).expect("stored");
    let answer = world.fetch(REGISTRATION, &all_keys()).expect("fetched");
    for (config, is_taken) in
        [(restricted(false, &[]), true), (restricted(true, &["other"]), false)]
    {
        let table = kinds().restricted(&config);
        let resolve = |identity: &SignerIdentity| find(&world.users, identity);
        let verifier = Verifier { resolve: &resolve, provider: &provider() };
        let (now, resource) = (world.now(), world.alice());
        let read = table.verify_fetched(now, &resource, &answer, &[REGISTRATION], verifier);
        assert_eq!((read.values.len(), read.partial), (usize::from(is_taken), !is_taken));
        world.storage.reconfigure(table, |_| false);
        assert_eq!(world.storage.value_count(), usize::from(is_taken));
    }
}

/// R7904-3.3-03: a user name that is no Address of Record has no registration.
#[test]
fn only_an_address_of_record_is_registered() {
    for (name, is_aor) in [
        ("carol@example.org", true),
        ("carol@home@example.org", true),
        ("carol", false),
        ("@example.org", false),
        ("carol@", false),
        ("carol@exa_mple", false),
    ] {
        let mut world = World::new();
        world.users = vec![identity(name)];
        let value = world.value(0, REGISTRATION, 1, at_key(&world.users[0], "a"));
        let resource = resource_of(&world.users[0]);
        let kinds = vec![KindData::new(REGISTRATION, 0, &[value])];
        let stored = world.send(0, &StoreReq { resource, replica_number: 0, kinds });
        assert_eq!(stored.is_ok(), is_aor, "{name}");
        assert!(stored.is_ok() || code(stored) == ErrorCode::FORBIDDEN);
    }
}
