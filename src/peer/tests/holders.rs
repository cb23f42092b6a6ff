//! Who keeps what, and what happens if some of them do not.

use std::time::Duration;

use bytes::Bytes;

use super::net::Net;
use crate::base::{Encode, NodeId, ResourceId, TransactionId};
use crate::crypto::{CheapProvider, Identity, Provider};
use crate::message::{
    DataModel, DataValue, Destination, ErrorCode, ErrorResponse, ForwardingHeader, Fragment,
    KindData, KindId, MessageCode, MessageContents, Method, Packet, Places, StoreReq, StoredData,
    StoredDataValue, decode_body,
};
use crate::peer::*;
use crate::storage::{StoreCopy, Verifier, resource_id};

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// A ring in which everybody has registered.
pub(super) fn registered(seed: u64, count: usize) -> Net {
    let mut net = Net::ring(seed, count);
    for node in 0..count {
        let spec = net.registration(node);
        net.ask(node, Command::Publish(spec)).expect("stored");
    }
    net.run(seconds(5));
    net
}

pub(super) fn resource_of(net: &Net, node: usize) -> ResourceId {
    resource_id(net.user(node).as_bytes())
}

/// The nodes clockwise from a resource, the responsible one first.
pub(super) fn line(net: &Net, resource: &ResourceId) -> Vec<usize> {
    let k = resource.to_u128().expect("16 bytes");
    let mut nodes = net.joined();
    nodes.sort_by_key(|node| net.id(*node).to_u128().wrapping_sub(k));
    nodes
}

fn identity(net: &Net, node: usize) -> Identity {
    CheapProvider.identity(net.id(node), net.user(node)).expect("an identity")
}

pub(super) fn peer(net: &mut Net, node: usize) -> &mut Peer {
    net.peers[node].as_mut().expect("alive")
}

/// What a node keeps at a resource.
pub(super) fn copy_at(net: &mut Net, node: usize, resource: &ResourceId) -> Option<StoreCopy> {
    let now = net.clock();
    peer(net, node).storage.copies(now, resource, 1, usize::MAX).pop()
}

/// Puts back what a node kept before.
pub(super) fn put_back(net: &mut Net, node: usize, copy: &StoreCopy) {
    let now = net.clock();
    let identities: Vec<Identity> = (0..net.peers.len()).map(|n| identity(net, n)).collect();
    let storage = &mut peer(net, node).storage;
    storage.remove(&copy.request.resource);
    let resolve = |signer: &_| {
        let found = identities.iter().find(|i| i.certificate.named_by(signer).is_some());
        found.map(|i| i.certificate.clone())
    };
    let verifier = Verifier { resolve: &resolve, provider: &CheapProvider };
    assert!(storage.merge(now, &copy.request.resource, &copy.request.kinds, verifier));
}

/// A registration that its owner has signed.
fn signed(net: &Net, owner: usize, storage_time_ms: u64, text: &str) -> StoredData {
    let key = Bytes::copy_from_slice(net.id(owner).as_bytes());
    let value = DataValue::existing(text.as_bytes().to_vec());
    let value = StoredDataValue::Dictionary { key, value };
    let (resource, kind) = (resource_of(net, owner), KindId::SIP_REGISTRATION);
    let signature = identity(net, owner).sign(|signer| {
        StoredData::signature_input(&resource, kind, storage_time_ms, &value, signer)
    });
    StoredData { storage_time_ms, lifetime_s: 3600, value, signature }
}

/// Sends a Store as `signer` would and gives the code of what comes back, and an error's.
struct Sent<'a> {
    signer: &'a Identity,
    to: usize,
    destination: Destination,
    replica_number: u8,
    certificates: &'a [Bytes],
}

impl Sent<'_> {
    fn store(
        self,
        net: &mut Net,
        resource: &ResourceId,
        data: &StoredData,
    ) -> Result<MessageCode, ErrorCode> {
        let transaction_id = TransactionId(data.storage_time_ms);
        let header = ForwardingHeader {
            overlay: net.config.overlay,
            configuration_sequence: net.config.sequence,
            ttl: 100,
            fragment: Fragment::WHOLE,
            transaction_id,
            max_response_length: 0,
            via_list: Vec::new(),
            destination_list: vec![self.destination],
            options: Vec::new(),
        };
        let kinds = vec![KindData::new(KindId::SIP_REGISTRATION, 1, std::slice::from_ref(data))];
        let replica_number = self.replica_number;
        let body = StoreReq { resource: resource.clone(), replica_number, kinds }.to_bytes();
        let contents = MessageContents::new(Method::Store.request(), body.expect("short"));
        let packet = Packet::seal(header, &contents, self.signer, self.certificates);
        let bytes = packet.expect("short").encode().expect("short");
        let begin = net.trace.len();
        let neighbors = net.peer(self.to).neighbors();
        let from = neighbors.0[0];
        let from = (0..net.peers.len()).find(|n| net.id(*n) == from).expect("a neighbour");
        net.inject(from, self.to, bytes);
        net.run(seconds(1));
        let answer = net.trace[begin..].iter().find(|(_, from, _, _, answer)| {
            *from == self.to && answer.header.transaction_id == transaction_id
        });
        let contents = answer.expect("an answer").4.open(16).expect("parses").contents;
        match contents.code {
            MessageCode::ERROR => {
                Err(decode_body::<ErrorResponse>(&contents.body, net.id(0)).expect("an error").code)
            }
            code => Ok(code),
        }
    }
}

/// R6940-7.4.1.1-06: an original Store is refused by everybody but the responsible peer, whatever
/// the header says (T-96).
#[test]
fn only_the_responsible_peer_takes_an_original() {
    let mut net = registered(50, 8);
    let resource = resource_of(&net, 2);
    let data = signed(&net, 2, net.clock().unix_ms + 1000, "elsewhere");
    let line = line(&net, &resource);
    let signer = identity(&net, 2);
    for wrong in [line[1], line[5]] {
        let before = copy_at(&mut net, wrong, &resource);
        for destination in [
            Destination::from(net.id(wrong)),
            ResourceId::from_u128(net.id(wrong).to_u128()).into(),
        ] {
            let sent = Sent {
                signer: &signer,
                to: wrong,
                destination,
                replica_number: 0,
                certificates: &[],
            };
            assert_eq!(sent.store(&mut net, &resource, &data), Err(ErrorCode::NOT_FOUND));
        }
        let kept = |copy: Option<StoreCopy>| copy.map(|c| c.certificates.len());
        assert_eq!(kept(copy_at(&mut net, wrong, &resource)), kept(before));
    }
}

/// R6940-7.4.1.1-07, R6940-7.4.1.1-12, R6940-10.4-03, R6940-7.3-03: copies come from those who
/// keep them and go to those who keep them; a node between the resource and the last of them may
/// be new.
#[test]
fn copies_come_from_near_by() {
    let mut net = registered(51, 14);
    let resource = resource_of(&net, 3);
    let line = line(&net, &resource);
    let k = resource.to_u128().expect("16 bytes");
    let newcomer = CheapProvider.identity(NodeId::from_u128(k.wrapping_add(1)), "new@example.org");
    let newcomer = newcomer.expect("an identity");
    let owner = identity(&net, 3).certificate.der.clone();
    let mut time = net.clock().unix_ms;
    let mut store = |net: &mut Net, signer: &Identity, to: usize| {
        time += 1;
        let data = signed(net, 3, time, "again");
        let (to, destination) = (line[to], net.id(line[to]).into());
        let certificates = std::slice::from_ref(&owner);
        Sent { signer, to, destination, replica_number: 1, certificates }
            .store(net, &resource, &data)
    };
    let of = |net: &Net, at: usize| identity(net, line[at]);
    let stored = Ok(Method::Store.answer());
    for (from, to) in [(0, 1), (0, 2), (1, 2), (2, 1), (1, 0), (2, 0), (3, 0)] {
        let signer = of(&net, from);
        assert_eq!(store(&mut net, &signer, to), stored, "from {from} to {to}");
    }
    assert_eq!(store(&mut net, &newcomer, 1), stored, "a responsible peer that is new");
    // From farther than those that are known to keep it, and to who does not.
    for (from, to) in [(3, 1), (10, 1), (8, 0), (10, 2), (0, 3), (2, 4), (0, 9)] {
        let signer = of(&net, from);
        let refused = store(&mut net, &signer, to);
        assert_eq!(refused, Err(ErrorCode::FORBIDDEN), "from {from} to {to}");
    }
}

/// R6940-13.5.4-01: what one peer in ten hides or lost is found at those behind it, also by itself.
#[test]
fn omissions_are_made_good_by_replicas() {
    let mut net = registered(52, 20);
    let liars = [4, 11].map(|of| line(&net, &resource_of(&net, of))[0]);
    for liar in liars {
        for of in 0..20 {
            let resource = resource_of(&net, of);
            peer(&mut net, liar).storage.remove(&resource);
        }
    }
    for of in [4, 11] {
        for from in net.joined() {
            let fetched = net.fetch(from, of).expect("an answer");
            assert_eq!(fetched.values.len(), 1, "{from} looks for {of}");
        }
    }
    // Who does not exist is not found, and soon.
    let nobody = FetchSpec {
        resource: resource_id(b"nobody@example.org"),
        kind: KindId::SIP_REGISTRATION,
        places: Places::Dictionary(Vec::new()),
    };
    let begin = net.now;
    let answer = net.ask(1, Command::Fetch(nobody));
    assert!(matches!(answer, Ok(Answer::Fetched(f)) if f.values.is_empty() && !f.partial));
    let took = net.now.saturating_since(begin);
    assert!(took < seconds(2), "{took:?}");
}

/// A responsible peer that swallows every Fetch, also those on their way through it, is passed by
/// if the ways allow it; without another try nothing would be found.
#[test]
fn a_silent_peer_is_passed_by() {
    let mut found = 0;
    for seed in 0..12 {
        let mut net = registered(600 + seed, 12);
        let resource = resource_of(&net, 5);
        let holders = line(&net, &resource);
        net.unheard.insert((holders[0], Method::Fetch));
        let from = holders[7];
        found += net.fetch(from, 5).map_or(0, |fetched| fetched.values.len());
    }
    assert!(found >= 2, "{found} of 12");
}

/// R6940-13.5.3-02: who gives out what has been replaced is found out, and others are asked.
#[test]
fn a_rollback_is_noticed() {
    let mut net = registered(53, 10);
    let resource = resource_of(&net, 6);
    let holders = line(&net, &resource);
    let old = copy_at(&mut net, holders[0], &resource).expect("kept");
    let spec = net.registration(6);
    let StoredDataValue::Dictionary { key, .. } = spec.value.clone() else { panic!("{spec:?}") };
    let value = StoredDataValue::Dictionary { key, value: DataValue::existing("moved") };
    let moved = StoreSpec { value: value.clone(), ..spec };
    net.ask(6, Command::Publish(moved)).expect("stored");
    net.run(seconds(2));
    let (witness, newcomer) = (holders[6], holders[7]);
    assert_eq!(net.fetch(witness, 6).expect("an answer").values[0].value, value);
    put_back(&mut net, holders[0], &old);
    let fetched = net.fetch(witness, 6).expect("an answer");
    assert_eq!(fetched.values.len(), 1);
    assert_eq!((&fetched.values[0].value, fetched.partial), (&value, false));
    let events = net.events.iter().filter(|(node, event)| {
        *node == witness
            && matches!(event, Event::RolledBack { node, .. } if *node == net.id(holders[0]))
    });
    assert_eq!(events.count(), 1);
    // If all holders agree on what is old, it is still not taken for what is there.
    for holder in &holders[1..3] {
        put_back(&mut net, *holder, &old);
    }
    let fetched = net.fetch(witness, 6).expect("an answer");
    assert!(fetched.values.is_empty() && fetched.partial);
    let fetched = net.fetch(newcomer, 6).expect("an answer");
    assert_eq!(fetched.values.len(), 1, "who has seen nothing newer cannot know");
}

/// R6940-7.4.1.1-21: a copy that is refused as too old makes its sender take over what is newer,
/// and pass that on.
#[test]
fn an_outdated_holder_catches_up() {
    let mut net = registered(54, 10);
    let resource = resource_of(&net, 2);
    let holders = line(&net, &resource);
    let old = copy_at(&mut net, holders[0], &resource).expect("kept");
    let spec = net.registration(2);
    net.ask(2, Command::Publish(spec)).expect("stored");
    net.run(seconds(2));
    let times = |net: &mut Net| {
        holders[..3].iter().map(|holder| stored_at(net, *holder, &resource)).collect::<Vec<_>>()
    };
    let new = times(&mut net)[0];
    // The responsible peer and one replica are of before.
    for outdated in [0, 2] {
        put_back(&mut net, holders[outdated], &old);
    }
    assert_ne!(times(&mut net), [new; 3]);
    peer(&mut net, holders[0]).copy_to_replicas(&resource);
    net.input(holders[0], Input::Timeout);
    net.run(seconds(2));
    assert_eq!(times(&mut net), [new; 3]);
}

/// The storage time of what a node keeps there; 0 for nothing.
fn stored_at(net: &mut Net, node: usize, resource: &ResourceId) -> u64 {
    let Some(copy) = copy_at(net, node, resource) else { return 0 };
    let kinds = copy.request.kinds.iter();
    let registrations = kinds.filter(|data| data.kind == KindId::SIP_REGISTRATION);
    let values = registrations.flat_map(|data| data.values(DataModel::Dictionary).expect("parses"));
    values.map(|value| value.storage_time_ms).max().unwrap_or(0)
}

/// All who kept a name vanish in one moment; its owner notices long before it would have refreshed
/// it.
#[test]
fn an_owner_misses_what_is_gone() {
    for seed in [55, 56] {
        let mut net = registered(seed, 16);
        net.run(seconds(200));
        let keeps = |of: &usize| line(&net, &resource_of(&net, *of))[..3].contains(of);
        let owner = (1..16).find(|of| !keeps(of)).expect("most do not keep their own");
        let holders = line(&net, &resource_of(&net, owner));
        for holder in &holders[..3] {
            net.kill(*holder);
        }
        net.run(seconds(20));
        assert!(net.fetch(owner, owner).expect("an answer").values.is_empty());
        net.run(seconds(160));
        assert_eq!(net.fetch(holders[8], owner).expect("an answer").values.len(), 1);
    }
}

/// What a peer has kept over a restart, and others are responsible for when it comes back, it hands
/// to them; what is forged or has expired it does not even take.
#[test]
fn what_was_kept_over_a_restart_goes_where_it_belongs() {
    let mut net = registered(58, 12);
    let keeps = |of: &usize| line(&net, &resource_of(&net, *of))[..3].contains(of);
    let owner = (1..12).find(|of| !keeps(of)).expect("most do not keep their own");
    let resource = resource_of(&net, owner);
    let holders = line(&net, &resource);
    let kept = copy_at(&mut net, holders[0], &resource).expect("kept");
    net.kill(owner);
    for holder in &holders[..3] {
        peer(&mut net, *holder).storage.remove(&resource);
    }
    let behind = NodeId::from_u128(net.id(holders[0]).to_u128().wrapping_add(1));
    let back = net.add_at(behind);
    let now = net.clock();
    let elsewhere = StoreReq { resource: resource_of(&net, back), ..kept.request.clone() };
    let forged = StoreCopy { request: elsewhere, ..kept.clone() };
    assert!(!peer(&mut net, back).restore(now, now.unix_ms, &forged));
    assert!(!peer(&mut net, back).restore(now, now.unix_ms - 86_400_000, &kept));
    assert!(peer(&mut net, back).restore(now, now.unix_ms, &kept));
    let living = holders[5..].iter().find(|holder| **holder != owner).expect("more than one");
    net.join(back, *living);
    net.run(seconds(30));
    assert!(net.joined().contains(&back));
    assert_ne!(stored_at(&mut net, holders[0], &resource), 0);
}

/// Who drops a copy, as three others are nearer to it, gives it first to whoever is responsible:
/// that one may have been admitted and handed nothing.
#[test]
fn what_is_dropped_is_not_lost() {
    let mut net = registered(61, 12);
    let keeps = |of: &usize| line(&net, &resource_of(&net, *of))[..4].contains(of);
    let owner = (1..12).find(|of| !keeps(of)).expect("most do not keep their own");
    let resource = resource_of(&net, owner);
    net.kill(owner);
    net.run(seconds(200));
    let holders = line(&net, &resource);
    let k = resource.to_u128().expect("16 bytes");
    let joiner = net.add_at(NodeId::from_u128(k.wrapping_add(1)));
    net.join(joiner, 0);
    net.run(seconds(30));
    let nearest = [joiner, holders[0], holders[1]];
    for node in nearest {
        peer(&mut net, node).storage.remove(&resource);
    }
    net.run(seconds(120));
    assert!(!net.peer(holders[2]).storage().holds(&resource), "it is the fourth");
    for node in nearest {
        assert_ne!(stored_at(&mut net, node, &resource), 0, "{node}");
    }
}

/// Whoever need not keep something hands it over at once, and not only before it is dropped: where
/// peers come and go all the time that never happens.
#[test]
fn what_need_not_be_kept_is_handed_over_at_once() {
    let mut net = registered(62, 12);
    let resource = resource_of(&net, 5);
    let holders = line(&net, &resource);
    let k = resource.to_u128().expect("16 bytes");
    let joiner = net.add_at(NodeId::from_u128(k.wrapping_add(1)));
    net.join(joiner, 0);
    while !net.joined().contains(&joiner) {
        net.run(std::time::Duration::from_millis(100));
    }
    let nearest = [joiner, holders[0], holders[1]];
    for node in nearest {
        peer(&mut net, node).storage.remove(&resource);
    }
    net.run(seconds(20));
    for node in nearest {
        assert_ne!(stored_at(&mut net, node, &resource), 0, "{node}");
    }
    assert!(net.peer(holders[2]).storage().holds(&resource), "nothing is dropped at once");
}

/// R6940-7.4.1.2-06: who is refused because something newer is there looks at it: what is its own,
/// by a clock that was ahead, is replaced all the same.
#[test]
fn a_storer_learns_what_is_newer() {
    let mut net = registered(57, 8);
    let resource = resource_of(&net, 3);
    let holders = line(&net, &resource);
    let hour_ahead = net.clock().unix_ms + 3_600_000;
    let data = signed(&net, 3, hour_ahead, "of before");
    let to = holders[0];
    let copy = StoreCopy {
        request: StoreReq {
            resource: resource.clone(),
            replica_number: 1,
            kinds: vec![KindData::new(KindId::SIP_REGISTRATION, 9, &[data])],
        },
        certificates: Vec::new(),
    };
    put_back(&mut net, to, &copy);
    let spec = net.registration(3);
    let stored = net.ask(3, Command::Publish(spec.clone()));
    assert!(matches!(stored, Ok(Answer::Stored { .. })), "{stored:?}");
    let fetched = net.fetch(holders[6], 3).expect("an answer");
    assert_eq!(fetched.values[0].value, spec.value);
    assert!(fetched.values[0].storage_time_ms > hour_ahead);
}

/// R6940-7.4.1.2-06: two devices that choose the same place for their certificates in the same
/// moment find out, and each gets one.
#[test]
fn two_devices_do_not_share_a_place() {
    for seed in 0..4 {
        let mut net = Net::ring(70 + seed, 6);
        let user = "twice@example.org";
        let near = |n: u128| NodeId::from_u128((0x1234_5678_9abc_def0 << 64) + (n << 90));
        for n in 1..=2 {
            let device = CheapProvider.identity(near(n), user).expect("an identity");
            let node = net.add_identity(device);
            net.join(node, 0);
        }
        net.run(seconds(400));
        let spec = FetchSpec {
            resource: resource_id(user.as_bytes()),
            kind: KindId::CERTIFICATE_BY_USER,
            places: Places::Array(Vec::new()),
        };
        let Ok(Answer::Fetched(fetched)) = net.ask(0, Command::Fetch(spec)) else {
            panic!("no certificates");
        };
        let mut signers: Vec<NodeId> = fetched.values.iter().map(|v| v.signer_node_id).collect();
        signers.sort();
        assert_eq!(signers, [near(1), near(2)], "seed {seed}");
    }
}

/// R6940-6.4.2.3-02: two rings merge, and what was stored in either is found in the one, although
/// the owners are gone and nobody stores it anew.
#[test]
fn a_merged_ring_loses_nothing() {
    for seed in 80..84 {
        let mut net = Net::new(seed);
        for node in 0..16 {
            net.add();
            match node {
                0 | 8 => {
                    net.command(node, Command::Found);
                }
                _ => net.join(node, node & 8),
            }
            net.run(seconds(3));
        }
        let owners = [3, 5, 11, 13];
        for owner in owners {
            let spec = StoreSpec { lifetime_s: 86_400, ..net.registration(owner) };
            net.ask(owner, Command::Publish(spec)).expect("stored");
        }
        net.run(seconds(70));
        for owner in owners {
            net.kill(owner);
            net.run(seconds(120));
        }
        for node in [9, 10, 12] {
            net.join(node, 0);
        }
        net.run(seconds(6000));
        assert_eq!(net.joined().len(), 12);
        net.assert_ring(3);
        for from in net.joined() {
            for owner in owners {
                let found = net.fetch(from, owner).expect("an answer").values.len();
                assert_eq!(found, 1, "{from} looks for {owner}, seed {seed}");
            }
        }
    }
}

/// R6940-10.7.3-06: who leaves the replica set keeps its copy until it drops it by itself; no
/// owner of the range tells it to.
#[test]
fn nobody_deletes_at_others() {
    let mut net = registered(58, 10);
    let resource = resource_of(&net, 4);
    let holders = line(&net, &resource);
    let begin = net.trace.len();
    let between = resource.to_u128().expect("16 bytes").wrapping_add(1);
    let joiner = net.add_at(NodeId::from_u128(between));
    net.join(joiner, 0);
    net.run(seconds(30));
    assert!(net.peer(joiner).is_joined() && net.peer(joiner).storage().holds(&resource));
    assert!(net.peer(holders[2]).storage().holds(&resource), "it is the fourth now");
    net.run(seconds(90));
    assert!(!net.peer(holders[2]).storage().holds(&resource), "dropped by itself");
    let parts = |t: &&super::net::Delivered| t.3 == Some(Method::Store.request());
    for store in net.trace[begin..].iter().filter(parts) {
        let Ok(opened) = store.4.open(16) else { continue };
        let request: StoreReq = decode_body(&opened.contents.body, net.id(0)).expect("a Store");
        let kinds = request.kinds.iter().filter(|k| k.kind == KindId::SIP_REGISTRATION);
        for value in kinds.flat_map(|k| k.values(DataModel::Dictionary).expect("parses")) {
            assert!(value.value.data().exists, "no word of removal goes out");
        }
    }
}

/// R6940-13.5.1-01: whatever is published carries its storer's signature when it leaves it.
/// R6940-7.4.1.3-01: what takes its place on removal lives as long at least as it would have.
#[test]
fn what_is_stored_is_signed_by_its_storer() {
    let mut net = registered(59, 8);
    let spec = net.registration(5);
    net.ask(5, Command::Unpublish(spec.clone())).expect("removed");
    let mut seen = Vec::new();
    let certificate = identity(&net, 5).certificate;
    for (_, from, _, code, packet) in &net.trace {
        if *from != 5 || *code != Some(Method::Store.request()) {
            continue;
        }
        let Ok(opened) = packet.open(16) else { continue };
        let request: StoreReq = decode_body(&opened.contents.body, net.id(0)).expect("a Store");
        if request.replica_number != 0 || request.resource != spec.resource {
            continue;
        }
        for data in request.kinds.iter().filter(|data| data.kind == spec.kind) {
            for value in data.values(DataModel::Dictionary).expect("parses") {
                let identity = &value.signature.identity;
                assert_eq!(certificate.named_by(identity), Some(net.id(5)));
                let input = StoredData::signature_input(
                    &request.resource,
                    data.kind,
                    value.storage_time_ms,
                    &value.value,
                    identity,
                );
                let algorithm = value.signature.algorithm;
                let signature = &value.signature.value;
                assert!(CheapProvider.verify(&certificate, algorithm, &input, signature));
                seen.push((value.value.data().exists, value.lifetime_s));
            }
        }
    }
    let (removals, values): (Vec<_>, Vec<_>) = seen.into_iter().partition(|(exists, _)| !exists);
    assert!(!values.is_empty() && !removals.is_empty());
    assert!(removals[0].1 >= values[0].1);
}
