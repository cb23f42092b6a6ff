//! Probe, RouteQuery, Stat and Find between peers.

use std::collections::BTreeSet;
use std::time::Duration;

use super::messages::Pair;
use super::net::{Delivered, Net};
use crate::base::{Encode, NodeId, ResourceId};
use crate::message::{
    ChordUpdate, ChordUpdateContents, Destination, ErrorCode, FindReq, KindId, MessageContents,
    Metadata, Method, Places, ProbeInformationType, RouteQueryReq, decode_body,
};
use crate::peer::*;
use crate::routing::chord::Table;
use crate::storage::resource_id;

fn probe(net: &mut Net, from: usize, of: usize, types: &[ProbeInformationType]) -> Vec<(u8, u32)> {
    let of = net.id(of).into();
    match net.ask(from, Command::Probe(of, types.to_vec())) {
        Ok(Answer::Probed { information, .. }) => information
            .iter()
            .map(|i| (i.information_type.0, i.number().expect("a number")))
            .collect(),
        other => panic!("not probed: {other:?}"),
    }
}

/// R6940-6.4.2.5.2-01, R6940-6.4.2.5.2-02: what was asked and is known, in that order, and no more.
#[test]
fn a_probe_is_answered_as_asked() {
    let mut net = Net::ring(51, 2);
    let (uptime, set) = (ProbeInformationType::UPTIME, ProbeInformationType::RESPONSIBLE_SET);
    let types = |list: Vec<(u8, u32)>| list.iter().map(|(t, _)| *t).collect::<Vec<_>>();
    let unknown = ProbeInformationType(200);
    assert_eq!(types(probe(&mut net, 0, 1, &[uptime, unknown, set])), [uptime.0, set.0]);
    assert_eq!(types(probe(&mut net, 0, 1, &[set, uptime])), [set.0, uptime.0]);
    assert_eq!(probe(&mut net, 0, 1, &[]), []);
}

/// R6940-6.4.2.5.2-03: parts per billion, resources however many Kinds they have, and seconds.
#[test]
fn a_probe_has_the_units_of_the_rfc() {
    let all = [
        ProbeInformationType::RESPONSIBLE_SET,
        ProbeInformationType::NUM_RESOURCES,
        ProbeInformationType::UPTIME,
    ];
    let mut net = Net::ring(52, 1);
    let registration = net.registration(0);
    net.ask(0, Command::Publish(registration)).expect("stored");
    assert_eq!(net.peer(0).values_stored(), 3, "certificates by node and user, a registration");
    let since = net.now.as_millis() / 1000 - 1;
    let known = probe(&mut net, 0, 0, &all);
    assert_eq!(known[..2], [(1, 1_000_000_000), (2, 2)]);
    assert_eq!(u64::from(known[2].1), since);

    let mut net = Net::ring(53, 4);
    let fractions: Vec<u32> = (0..4).map(|of| probe(&mut net, 1, of, &all[..1])[0].1).collect();
    let sum: u32 = fractions.iter().sum();
    assert!((999_999_990..=1_000_000_000).contains(&sum), "{fractions:?}");
    let ids: Vec<u128> = (0..4).map(|node| net.id(node).to_u128()).collect();
    for (node, fraction) in fractions.iter().enumerate() {
        let before = net.peer(node).neighbors().0[0].to_u128();
        let expected = ids[node].wrapping_sub(before) as f64 / 2f64.powi(128) * 1e9;
        assert!((f64::from(*fraction) - expected).abs() < 2.0, "{fraction} for {expected}");
    }
}

/// R6940-10.8-01: asking hop by hop leads along the nodes that a message crosses.
#[test]
fn a_walk_by_route_query_is_the_way_of_a_message() {
    let mut net = Net::new(54);
    net.config.table = Table::Plain;
    net.grow(24);
    let mut longest = 0;
    for target in 1..24u128 {
        let resource = ResourceId::from_u128(target.wrapping_mul(u128::MAX / 24));
        let begin = net.trace.len();
        let ping = net.ask(0, Command::Ping(resource.clone().into())).expect("answered");
        let Answer::Pinged { node_id: owner, .. } = ping else { panic!("not pinged") };
        let code = Some(Method::Ping.request());
        let is_ours = |t: &&Delivered| {
            t.3 == code && t.4.header.destination_list.last() == Some(&resource.clone().into())
        };
        let passed = net.trace[begin..].iter().filter(is_ours);
        let way: Vec<NodeId> = passed.map(|t| net.id(t.2)).collect();
        let mut walk = vec![net.id(0)];
        loop {
            let at = *walk.last().expect("begun");
            let query = RouteQueryReq::new(resource.clone().into());
            match net.ask(0, Command::RouteQuery(at.into(), query)) {
                Ok(Answer::NextPeer { node_id, next_peer }) if node_id == at => {
                    if next_peer == at {
                        break;
                    }
                    walk.push(next_peer);
                }
                other => panic!("no next peer: {other:?}"),
            }
        }
        assert_eq!(walk[1..], way[..], "to {resource}");
        assert_eq!(walk.last(), Some(&owner));
        longest = longest.max(way.len());
    }
    assert!(longest > 2, "some ways have several hops");
}

/// R6940-10.8-02, T-53: the answer, then an Update with all tables, and none unless asked for.
#[test]
fn an_update_follows_if_it_is_wanted() {
    let mut net = Net::ring(55, 3);
    for send_update in [true, false] {
        let begin = net.trace.len();
        let query = RouteQueryReq { send_update, ..RouteQueryReq::new(net.id(0).into()) };
        let asked = net.id(1);
        net.ask(0, Command::RouteQuery(asked.into(), query)).expect("answered");
        net.run(Duration::from_millis(200));
        let from_there: Vec<&Delivered> =
            net.trace[begin..].iter().filter(|t| (t.1, t.2) == (1, 0)).collect();
        assert_eq!(from_there[0].3, Some(Method::RouteQuery.answer()));
        let updates = from_there.iter().filter(|t| t.3 == Some(Method::Update.request()));
        let bodies: Vec<ChordUpdateContents> = updates
            .map(|t| {
                let body = t.4.open(16).expect("whole").contents.body;
                decode_body::<ChordUpdate>(&body, net.id(0)).expect("an Update").contents
            })
            .collect();
        match send_update {
            true => assert!(matches!(&bodies[..], [ChordUpdateContents::Full { .. }])),
            false => assert_eq!(bodies, []),
        }
    }
}

/// A client is asked like anybody else, but it is no peer and sends no Update.
#[test]
fn a_client_sends_no_update() {
    let mut net = Net::ring(60, 1);
    let client = net.add();
    net.command(client, Command::Connect(vec![Net::address(0)]));
    net.run(Duration::from_secs(10));
    let asked = net.id(client);
    let query = RouteQueryReq { send_update: true, ..RouteQueryReq::new(asked.into()) };
    match net.ask(0, Command::RouteQuery(asked.into(), query)) {
        Ok(Answer::NextPeer { next_peer, .. }) => assert_eq!(next_peer, asked),
        other => panic!("no answer: {other:?}"),
    }
    net.run(Duration::from_secs(1));
    let update = Some(Method::Update.request());
    assert!(net.trace.iter().all(|t| (t.1, t.3) != (client, update)));
}

/// R6940-6.4.2.4.1-02: nobody learns who is behind an opaque ID; and where no message could go
/// there is no next peer.
#[test]
fn opaque_ids_are_not_translated() {
    let mut net = Net::ring(56, 2);
    let to = Destination::from(net.id(1));
    let query = RouteQueryReq::new(Destination::Opaque(vec![0x80, 1]));
    let refused = net.ask(0, Command::RouteQuery(to.clone(), query)).expect_err("refused");
    assert_eq!(refused, RequestError::Refused(ErrorCode::FORBIDDEN));
    let nobody = NodeId::from_u128(net.id(1).to_u128().wrapping_sub(1));
    let query = RouteQueryReq::new(nobody.into());
    let refused = net.ask(0, Command::RouteQuery(to, query)).expect_err("refused");
    assert_eq!(refused, RequestError::Refused(ErrorCode::NOT_FOUND));
}

/// R6940-7.4.3-01: length and digest of what another peer stores.
#[test]
fn a_stat_tells_of_a_stored_value() {
    let mut net = Net::ring(57, 5);
    let spec = net.registration(2);
    let metadata = Metadata::of(spec.value.data());
    net.ask(2, Command::Publish(spec.clone())).expect("stored");
    let (resource, kind) = (spec.resource, spec.kind);
    let places = Places::Dictionary(Vec::new());
    for from in 0..5 {
        let spec = FetchSpec { resource: resource.clone(), kind, places: places.clone() };
        match net.ask(from, Command::Stat(spec)) {
            Ok(Answer::Stated { generation, values, .. }) => {
                assert_eq!((generation, values.len()), (1, 1));
                assert_eq!(values[0].value.metadata(), &metadata);
            }
            other => panic!("no metadata: {other:?}"),
        }
    }
}

/// R6940-7.4.4.2-01: who is not responsible says so.
#[test]
fn a_find_is_for_the_responsible_peer() {
    let mut pair = Pair::new();
    // Just behind node 0 begins the range of node 1.
    let resource = ResourceId::from_u128(pair.net.id(0).to_u128().wrapping_add(1));
    let kind = KindId::CERTIFICATE_BY_NODE;
    let body = FindReq { resource, kinds: vec![kind] }.to_bytes().expect("short");
    let contents = MessageContents::new(Method::Find.request(), body);
    let header = pair.header();
    assert_eq!(pair.error(header, &contents).code, ErrorCode::NOT_FOUND);
}

/// R6940-7.4.4.1-01: a Find that names a Kind twice is refused.
#[test]
fn a_find_with_a_kind_twice_is_refused() {
    let mut net = Net::ring(58, 2);
    let kinds = vec![KindId::CERTIFICATE_BY_NODE; 2];
    let query = FindReq { resource: ResourceId::from_u128(7), kinds };
    let refused = net.ask(0, Command::Find(query)).expect_err("refused");
    assert_eq!(refused, RequestError::Refused(ErrorCode::INVALID_MESSAGE));
}

/// R6940-7.4.4.2-03, R6940-7.4.4.2-02: a walk by Find meets every certificate once and comes to
/// an end; registrations are not shown.
#[test]
fn a_walk_by_find_ends() {
    let mut net = Net::ring(59, 6);
    let stored: BTreeSet<u128> =
        (0..6).filter_map(|node| resource_id(net.id(node).as_bytes()).to_u128()).collect();
    let kind = KindId::CERTIFICATE_BY_NODE;
    let (mut found, mut at, mut questions) = (Vec::new(), 0u128, 0);
    loop {
        questions += 1;
        assert!(questions <= 20, "the walk goes on for ever");
        let kinds = vec![KindId::SIP_REGISTRATION, kind];
        let query = FindReq { resource: ResourceId::from_u128(at), kinds };
        let answer = net.ask(2, Command::Find(query)).expect("answered");
        let Answer::Found { node_id, results } = answer else { panic!("not found: {answer:?}") };
        assert_eq!(results.len(), 1);
        let closest = results[0].closest().and_then(ResourceId::to_u128);
        // Past the end of the peer's range the next one is asked.
        let next = closest.unwrap_or(node_id.to_u128()).wrapping_add(1);
        if next <= at {
            break;
        }
        found.extend(closest);
        at = next;
    }
    assert_eq!(found, stored.into_iter().collect::<Vec<_>>());
}
