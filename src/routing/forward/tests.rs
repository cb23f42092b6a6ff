//! The cases of RFC 6940 §6.1 on a node 50 that is linked to the peers 40, 60 and 80, and to the
//! clients 45 and 70.

use std::time::Duration;

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

/// What becomes of a message, by itself.
#[derive(Debug, PartialEq)]
enum Outcome {
    Deliver(Vec<Destination>),
    Forward(NodeId, Packet),
    Refuse(ErrorCode),
    Drop(DropReason),
}

/// Node 50.
struct Node {
    gate: Gate,
    chord: Chord,
    paths: ReturnPaths,
    rng: Rng,
}

impl Node {
    fn new() -> Self {
        let gate = Gate {
            now: Instant::ORIGIN,
            own: id(50),
            alias: id(50),
            forwards: true,
            is_verbose: false,
            overlay: 7,
            ttl_max: 100,
            payload_max: 5000,
        };
        let mut chord = Chord::new(id(50), Table::Wide, 64);
        chord.set_joined(true);
        for peer in [40, 60, 80] {
            chord.insert(id(peer));
        }
        let paths = ReturnPaths::new(Duration::from_secs(3));
        Self { gate, chord, paths, rng: Rng::from_number(1) }
    }

    /// A message from node 3.
    fn take(&mut self, packet: &Packet) -> Outcome {
        let bytes = packet.encode().expect("short");
        let message = HeaderView::parse(&bytes, 16).expect("parses");
        let linked = [40, 45, 60, 70, 80].map(id);
        let is_linked = |n| linked.contains(&n);
        match examine(&message, &self.gate, &self.paths, is_linked, &self.chord) {
            Verdict::Deliver(route) => Outcome::Deliver(route.to_vec(16)),
            Verdict::Forward(next, route) => {
                let (now, paths) = (self.gate.now, &mut self.paths);
                let sent = pass_on(&message, id(3), &route, now, paths, &mut self.rng);
                let sent = Packet::decode(&sent.expect("room"), 16).expect("parses");
                Outcome::Forward(next, sent)
            }
            Verdict::Refuse(code) => Outcome::Refuse(code),
            Verdict::Drop(reason) => Outcome::Drop(reason),
        }
    }
}

fn verdict(packet: Packet) -> Outcome {
    Node::new().take(&packet)
}

fn drops(packet: Packet, reason: DropReason) {
    assert_eq!(verdict(packet), Outcome::Drop(reason));
}

fn refuses(packet: Packet, code: ErrorCode) {
    assert_eq!(verdict(packet), Outcome::Refuse(code));
}

fn next(packet: Packet) -> (NodeId, Packet) {
    match verdict(packet) {
        Outcome::Forward(next, packet) => (next, packet),
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
    assert!(matches!(verdict(request(vec![resource(47)])), Outcome::Deliver(_)));
    drops(request(vec![resource(47), node(60)]), DropReason::DestinationList);
    drops(request(vec![]), DropReason::DestinationList);
}

/// R6940-6.1.1-04: the wildcard is always for whoever receives it.
#[test]
fn the_wildcard_is_ours() {
    let wildcard = || Destination::from(NodeId::wildcard(16));
    assert!(matches!(verdict(request(vec![wildcard()])), Outcome::Deliver(_)));
    assert!(matches!(verdict(request(vec![node(50), wildcard()])), Outcome::Deliver(_)));
    assert!(matches!(verdict(request(vec![wildcard(), node(60)])), Outcome::Deliver(_)));
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
    assert_eq!(next(request(vec![resource(70)])).0, id(70));
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
    assert!(matches!(verdict(with_ttl(request(vec![node(50)]), 0)), Outcome::Deliver(_)));
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

/// An opaque ID that is not ours means nothing.
#[test]
fn unknown_opaque_ids_are_dropped() {
    drops(request(vec![Destination::Opaque(vec![0x81, 2])]), DropReason::Opaque);
    drops(request(vec![node(50), Destination::Opaque(vec![1])]), DropReason::Opaque);
}

/// A request that has come to us over `hops` nodes, and what we send on.
fn after(node: &mut Node, hops: u128, options: Vec<ForwardingOption>) -> Packet {
    let mut packet = request(vec![self::node(60)]);
    packet.header.via_list = (100..100 + hops).map(self::node).collect();
    packet.header.options = options;
    match node.take(&packet) {
        Outcome::Forward(_, sent) => sent,
        other => panic!("not forwarded: {other:?}"),
    }
}

/// R6940-6.1.2-05, R6940-6.1.3-01, R6940-6.1.2-03: a long via list goes on as an ID of two bytes;
/// the answer comes with our Node-ID and that ID, and goes on with the nodes in their order.
#[test]
fn a_long_via_list_is_compressed_and_restored() {
    let mut fifty = Node::new();
    assert_eq!(after(&mut fifty, 7, vec![]).header.via_list.len(), 8);
    let sent = after(&mut fifty, 8, vec![]);
    let [id] = &sent.header.via_list[..] else { panic!("{:?}", sent.header.via_list) };
    assert!(matches!(id, Destination::Opaque(bytes) if bytes.len() == 2));
    let back = answer_header(&sent.header, self::id(50), 1, 100).destination_list;
    assert_eq!(back, [node(50), id.clone()]);
    let answer = packet([back, vec![node(9)]].concat(), Method::Ping.answer());
    // Node 3 is the previous hop, and in these tests not linked.
    let Outcome::Forward(_, restored) = fifty.take(&answer) else { panic!("not forwarded") };
    let mut way = vec![node(3)];
    way.extend((100..108).rev().map(node));
    way.push(node(9));
    assert_eq!(restored.header.destination_list, way);
    assert_eq!(restored.header.via_list, answer.header.via_list, "an answer is not noted");
    fifty.gate.now = Instant::ORIGIN + Duration::from_secs(60);
    assert_eq!(fifty.take(&answer), Outcome::Drop(DropReason::Opaque), "long over");
}

/// R6940-6.3.2.2-07: an answer that comes after its place in the table was used anew goes nowhere,
/// and nobody is told.
#[test]
fn an_answer_that_is_too_late_goes_nowhere() {
    let mut fifty = Node::new();
    let old = after(&mut fifty, 9, vec![]).header.via_list.remove(0);
    fifty.gate.now = Instant::ORIGIN + Duration::from_secs(20);
    let new = after(&mut fifty, 10, vec![]).header.via_list.remove(0);
    let answer = |id| packet(vec![node(50), id], Method::Ping.answer());
    assert_eq!(fifty.take(&answer(old.clone())), Outcome::Drop(DropReason::Opaque));
    assert_eq!(fifty.take(&request(vec![node(50), old])), Outcome::Drop(DropReason::Opaque));
    assert!(matches!(fifty.take(&answer(new)), Outcome::Forward(..)));
}

/// R6940-6.1.2-06: an option can ask that no state is kept; then the via list grows.
#[test]
fn no_state_is_kept_if_an_option_says_so() {
    let option = |flags| vec![ForwardingOption { option_type: 200, flags, data: vec![] }];
    let mut fifty = Node::new();
    let stateless = option(ForwardingOption::IGNORE_STATE_KEEPING);
    assert_eq!(after(&mut fifty, 12, stateless).header.via_list.len(), 13);
    assert_eq!(after(&mut fifty, 12, option(0)).header.via_list.len(), 1);
}

/// R6940-6.1-02: a message of another overlay is answered with an error if we are verbose, but
/// never an answer or a later fragment.
#[test]
fn who_is_verbose_explains() {
    let mut fifty = Node::new();
    fifty.gate.is_verbose = true;
    let mut other = request(vec![node(60)]);
    other.header.overlay = 8;
    let error = ErrorCode::INCOMPATIBLE_WITH_OVERLAY;
    assert_eq!(fifty.take(&other), Outcome::Refuse(error));
    let mut later = other.clone();
    later.header.fragment.offset = 600;
    assert_eq!(fifty.take(&later), Outcome::Drop(DropReason::NotRefusable));
    fifty.gate.is_verbose = false;
    assert_eq!(fifty.take(&other), Outcome::Drop(DropReason::Overlay));
}

/// R6940-6.2.1-03: the topology is asked for what is not linked, and for nothing else.
#[test]
fn the_topology_chooses_the_next_hop() {
    struct Mock(std::cell::RefCell<Vec<u128>>);
    impl Topology for Mock {
        fn is_responsible(&self, _position: u128) -> bool {
            false
        }
        fn next_hop(&self, position: u128) -> Option<NodeId> {
            self.0.borrow_mut().push(position);
            Some(id(77))
        }
        fn detour(&self, _position: u128, _lost: NodeId) -> Option<NodeId> {
            None
        }
        fn replicas(&self) -> Vec<NodeId> {
            Vec::new()
        }
        fn neighbors(&self) -> Vec<NodeId> {
            Vec::new()
        }
        fn may_answer(&self, _resource: &ResourceId, _node: NodeId, _lost: &[NodeId]) -> bool {
            true
        }
    }
    let mock = Mock(Default::default());
    let ask = |entry: Destination| next_node(entry.view(), id(50), |n| n == id(40), &mock);
    assert_eq!(ask(node(40)), Ok(id(40)));
    assert!(mock.0.borrow().is_empty());
    assert_eq!((ask(node(41)), ask(resource(42))), (Ok(id(77)), Ok(id(77))));
    assert_eq!(*mock.0.borrow(), [41, 42]);
}

/// A client passes nothing on, not even to a node that it has a link with.
#[test]
fn who_does_not_forward_drops() {
    let mut fifty = Node::new();
    fifty.gate.forwards = false;
    assert_eq!(fifty.take(&request(vec![node(60)])), Outcome::Drop(DropReason::NoRoute));
    assert_eq!(fifty.take(&request(vec![node(50)])), Outcome::Deliver(vec![node(50)]));
}

/// R6940-6.1.2-09: before an Attach others may know us by another Node-ID of our certificate.
#[test]
fn an_alias_is_ours() {
    let mut fifty = Node::new();
    fifty.gate.alias = id(51);
    let answer = packet(vec![node(51)], Method::Attach.answer());
    assert_eq!(fifty.take(&answer), Outcome::Deliver(vec![node(51)]));
}

/// Lists are bounded, so that nobody makes us compare all with all.
#[test]
fn long_lists_are_refused() {
    let many = |count: u128| (1000..1000 + count).map(node).collect::<Vec<_>>();
    refuses(request(many(65)), ErrorCode::INVALID_MESSAGE);
    next(request(many(64)));
    refuses(request(many(600)), ErrorCode::MESSAGE_TOO_LARGE);
}
