//! Who keeps what, and what happens if some of them do not.

use std::time::Duration;

use bytes::Bytes;

use super::net::Net;
use crate::base::{Encode, NodeId, ResourceId, TransactionId};
use crate::crypto::{CheapProvider, Identity};
use crate::message::{
    DataValue, Destination, ErrorCode, ErrorResponse, ForwardingHeader, Fragment, KindData, KindId,
    MessageCode, MessageContents, Method, Packet, StoreReq, StoredData, StoredDataValue,
    decode_body,
};
use crate::peer::*;
use crate::storage::{StoreCopy, Verifier, resource_id};

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// A ring in which everybody has registered.
fn registered(seed: u64, count: usize) -> Net {
    let mut net = Net::ring(seed, count);
    for node in 0..count {
        let spec = net.registration(node);
        net.ask(node, Command::Publish(spec)).expect("stored");
    }
    net.run(seconds(5));
    net
}

fn resource_of(net: &Net, node: usize) -> ResourceId {
    resource_id(net.user(node).as_bytes())
}

/// The nodes clockwise from a resource, the responsible one first.
fn line(net: &Net, resource: &ResourceId) -> Vec<usize> {
    let k = resource.to_u128().expect("16 bytes");
    let mut nodes = net.joined();
    nodes.sort_by_key(|node| net.id(*node).to_u128().wrapping_sub(k));
    nodes
}

fn identity(net: &Net, node: usize) -> Identity {
    CheapProvider.identity(net.id(node), net.user(node)).expect("an identity")
}

fn peer(net: &mut Net, node: usize) -> &mut Peer {
    net.peers[node].as_mut().expect("alive")
}

/// What a node keeps at a resource.
fn copy_at(net: &mut Net, node: usize, resource: &ResourceId) -> Option<StoreCopy> {
    let now = net.clock();
    peer(net, node).storage.copies(now, resource, 1, usize::MAX).pop()
}

/// Puts back what a node kept before.
fn put_back(net: &mut Net, node: usize, copy: &StoreCopy) {
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
    for (from, to) in [(0, 1), (0, 2), (1, 2), (2, 1), (1, 0), (2, 0)] {
        let signer = of(&net, from);
        assert_eq!(store(&mut net, &signer, to), stored, "from {from} to {to}");
    }
    assert_eq!(store(&mut net, &newcomer, 1), stored, "a responsible peer that is new");
    // From farther than those that are known to keep it, and to who does not.
    for (from, to) in [(3, 1), (10, 1), (3, 0), (10, 2), (0, 3), (2, 4), (0, 9)] {
        let signer = of(&net, from);
        let refused = store(&mut net, &signer, to);
        assert_eq!(refused, Err(ErrorCode::FORBIDDEN), "from {from} to {to}");
    }
}

/// R6940-13.5.4-01: what one peer in ten hides or lost is found at those behind it.
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
        for from in net.joined().into_iter().filter(|n| !liars.contains(n)) {
            let fetched = net.fetch(from, of).expect("an answer");
            assert_eq!(fetched.values.len(), 1, "{from} looks for {of}");
        }
    }
    // Who does not exist is not found, and soon.
    let nobody = FetchSpec {
        resource: resource_id(b"nobody@example.org"),
        kind: KindId::SIP_REGISTRATION,
        places: crate::message::Places::Dictionary(Vec::new()),
    };
    let begin = net.now;
    let answer = net.ask(1, Command::Fetch(nobody));
    assert!(matches!(answer, Ok(Answer::Fetched(f)) if f.values.is_empty() && !f.partial));
    let took = net.now.saturating_since(begin);
    assert!(took < seconds(2), "{took:?}");
}

/// R6940-13.5.4-01: a responsible peer that does not answer a Fetch at all is passed by.
#[test]
fn a_silent_peer_is_passed_by() {
    let mut found = 0;
    for seed in 0..6 {
        let mut net = registered(60 + seed, 12);
        let resource = resource_of(&net, 5);
        let holders = line(&net, &resource);
        net.deaf.insert(holders[0]);
        let from = holders[7];
        found += net.fetch(from, 5).map_or(0, |fetched| fetched.values.len());
    }
    assert!(found >= 4, "{found} of 6");
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
