//! The cases of RFC 6940 §6.1 on a node 50 that is linked to the peers 40, 60 and 80, and to the
//! client 45.

use super::*;
use crate::base::ResourceId;
use crate::message::Method;
use crate::routing::chord::{Chord, Table};

fn id(number: u128) -> NodeId {
    NodeId::from_u128(number)
}

fn node(number: u128) -> Destination {
    id(number).into()
}

fn resource(number: u128) -> Destination {
    ResourceId::from_u128(number).into()
}

fn packet(destination_list: Vec<Destination>, code: MessageCode) -> Packet {
    let header = ForwardingHeader {
        overlay: 7,
        configuration_sequence: 1,
        ttl: 90,
        fragment: Fragment::WHOLE,
        transaction_id: TransactionId(9),
        max_response_length: 0,
        via_list: vec![node(1), node(2)],
        destination_list,
        options: Vec::new(),
    };
    Packet { header, payload: code.0.to_be_bytes().to_vec().into() }
}

fn request(destination_list: Vec<Destination>) -> Packet {
    packet(destination_list, Method::Ping.request())
}

fn verdict(packet: Packet) -> Verdict {
    let gate = Gate { own: id(50), overlay: 7, ttl_max: 100, payload_max: 5000 };
    let mut chord = Chord::new(id(50), Table::Wide, 64);
    chord.set_joined(true);
    for peer in [40, 60, 80] {
        chord.insert(id(peer));
    }
    let linked = [40, 45, 60, 80].map(id);
    examine(packet, id(3), &gate, |n| linked.contains(&n), &chord)
}

fn drops(packet: Packet, reason: DropReason) {
    assert_eq!(verdict(packet), Verdict::Drop(reason));
}

fn refuses(packet: Packet, code: ErrorCode) {
    assert_eq!(verdict(packet.clone()), Verdict::Refuse(packet.header, code));
}

fn next(packet: Packet) -> (NodeId, Packet) {
    match verdict(packet) {
        Verdict::Forward(next, packet) => (next, packet),
        other => panic!("not forwarded: {other:?}"),
    }
}

/// R6940-6.1.1-03, R6940-6.1.2-04, R6940-6.3.2-05: our own Node-ID comes off, the previous hop
/// is added, and the TTL goes down by one.
#[test]
fn a_source_route_goes_on_with_the_next_entry() {
    let (to, sent) = next(request(vec![node(50), node(60)]));
    assert_eq!(to, id(60));
    assert_eq!(sent.header.destination_list, [node(60)]);
    assert_eq!(sent.header.via_list, [node(1), node(2), node(3)]);
    assert_eq!(sent.header.ttl, 89);
}

/// R6940-6.1.1-01, R6940-6.3.2.2-04: a resource of ours must be alone.
#[test]
fn a_resource_is_the_last_entry() {
    assert!(matches!(verdict(request(vec![resource(47)])), Verdict::Deliver(_)));
    drops(request(vec![resource(47), node(60)]), DropReason::DestinationList);
    drops(request(vec![]), DropReason::DestinationList);
}

/// R6940-6.1.1-04: the wildcard is always for whoever receives it.
#[test]
fn the_wildcard_is_ours() {
    let wildcard = || Destination::from(NodeId::wildcard(16));
    assert!(matches!(verdict(request(vec![wildcard()])), Verdict::Deliver(_)));
    assert!(matches!(verdict(request(vec![node(50), wildcard()])), Verdict::Deliver(_)));
    assert!(matches!(verdict(request(vec![wildcard(), node(60)])), Verdict::Deliver(_)));
}

/// R6940-6.1.1-05, R6940-6.1.1-06: a Node-ID in our range is a client's or nobody's.
#[test]
fn a_node_in_our_range_is_linked_or_nobody() {
    drops(request(vec![node(47)]), DropReason::NoSuchNode);
    assert_eq!(next(request(vec![node(45)])).0, id(45));
}

/// R6940-6.2.1-02, R6940-6.1.2-02, R6940-10.3-01: a linked node gets its messages directly, even
/// if its ID is asked for as a resource.
#[test]
fn a_linked_node_is_reached_directly() {
    assert_eq!(next(request(vec![node(80)])).0, id(80));
    assert_eq!(next(request(vec![resource(80)])).0, id(80));
    assert_eq!(next(request(vec![resource(75)])).0, id(80));
    assert_eq!(next(request(vec![node(75)])).0, id(80));
}

/// R6940-6.3.2-06, R6940-6.3.2-09: a TTL of 0 is enough for the destination only, and one above
/// the limit is no TTL. T-10: errors answer requests only.
#[test]
fn the_ttl_has_bounds() {
    let with_ttl = |mut packet: Packet, ttl| {
        packet.header.ttl = ttl;
        packet
    };
    refuses(with_ttl(request(vec![node(60)]), 0), ErrorCode::TTL_EXCEEDED);
    assert!(matches!(verdict(with_ttl(request(vec![node(50)]), 0)), Verdict::Deliver(_)));
    refuses(with_ttl(request(vec![node(50)]), 101), ErrorCode::TTL_EXCEEDED);
    let answer = packet(vec![node(60)], Method::Ping.answer());
    drops(with_ttl(answer, 0), DropReason::NotRefusable);
    drops(with_ttl(packet(vec![node(60)], MessageCode::ERROR), 0), DropReason::NotRefusable);
    let mut later = with_ttl(request(vec![node(60)]), 0);
    later.header.fragment.offset = 600;
    drops(later, DropReason::NotRefusable);
}

/// R6940-6.1-01: a message of another overlay goes nowhere.
#[test]
fn other_overlays_are_not_ours() {
    let mut other = request(vec![node(60)]);
    other.header.overlay = 8;
    drops(other, DropReason::Overlay);
}

/// R6940-6.3.2.3-01, R6940-6.3.2.3-02: a critical option that we do not know stops a request on
/// its way, and no answer carries flags.
#[test]
fn unknown_critical_options_stop_requests() {
    let with = |mut packet: Packet, flags| {
        packet.header.options = vec![ForwardingOption { option_type: 200, flags, data: vec![1] }];
        packet
    };
    let error = ErrorCode::UNSUPPORTED_FORWARDING_OPTION;
    refuses(with(request(vec![node(60)]), ForwardingOption::FORWARD_CRITICAL), error);
    next(with(request(vec![node(60)]), ForwardingOption::DESTINATION_CRITICAL));
    let answer = packet(vec![node(60)], Method::Ping.answer());
    next(with(answer.clone(), 0));
    for flag in [1, 2, 4] {
        drops(with(answer.clone(), flag), DropReason::AnswerFlags);
    }
}

/// R6940-13.6.5-01: a request that comes by twice is refused, an answer is not.
#[test]
fn destinations_come_once() {
    refuses(request(vec![node(60), node(80), node(60)]), ErrorCode::INVALID_MESSAGE);
    next(packet(vec![node(60), node(80), node(60)], Method::Ping.answer()));
}

/// R6940-6.1.2-07, R6940-6.2.2-01, R6940-6.3.2.3-04, R6940-6.3.2-12: the header of an answer.
#[test]
fn an_answer_goes_back_the_same_way() {
    let mut packet = request(vec![node(50)]);
    packet.header.max_response_length = 900;
    let option = |flags, data| ForwardingOption { option_type: 200, flags, data: vec![data; 5] };
    packet.header.options = vec![option(4, 1), option(0, 2), option(6, 3)];
    let header = answer_header(&packet.header, id(3), 5, 100);
    assert_eq!(header.destination_list, [node(3), node(2), node(1)]);
    assert_eq!(header.options, [option(0, 1), option(0, 3)]);
    assert!(header.via_list.is_empty() && header.max_response_length == 0);
    assert_eq!(header.transaction_id, packet.header.transaction_id);
}

/// Nobody can make us expand an opaque ID: we hand out none.
#[test]
fn opaque_ids_are_not_ours() {
    drops(request(vec![Destination::Opaque(vec![0x81, 2])]), DropReason::Opaque);
    drops(request(vec![node(50), Destination::Opaque(vec![1])]), DropReason::Opaque);
}
