//! Attaches step by step: whose is processed, whose is refused, and what a link that comes up
//! changes.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::net::{LATENCY, Net};
use crate::base::{Encode, NodeId, TransactionId};
use crate::message::{
    Attach, CandidateType, ErrorCode, ErrorResponse, ForwardingHeader, Fragment, IceCandidate,
    MessageCode, MessageContents, Method, OVERLAY_LINK_DTLS_UDP_SR,
    OVERLAY_LINK_DTLS_UDP_SR_NO_ICE, OVERLAY_LINK_TLS_TCP_FH_NO_ICE, Packet, ROLE_ACTIVE,
    ROLE_PASSIVE, decode_body,
};
use crate::peer::*;

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// Candidates with these OverlayLinkTypes.
fn candidates(link_types: &[u8]) -> Vec<IceCandidate> {
    let candidate = |overlay_link: &u8| IceCandidate {
        address: "192.0.2.1:6084".parse().expect("an address"),
        overlay_link: *overlay_link,
        foundation: b"1".to_vec(),
        priority: 1,
        candidate_type: CandidateType::Host,
        related_address: None,
        extensions: Vec::new(),
    };
    link_types.iter().map(candidate).collect()
}

/// An offer whose fragment the net takes for a link of a node.
fn offer(node: usize, link: u64, role: &[u8], link_types: &[u8]) -> Attach {
    Attach {
        ufrag: format!("{node}:{link}").into_bytes(),
        password: b"no checks are made here".to_vec(),
        role: role.to_vec(),
        candidates: candidates(link_types),
        send_update: false,
    }
}

/// A request of `signer` to `to`.
fn sealed(net: &Net, signer: usize, to: usize, id: u64, method: Method, body: Vec<u8>) -> Packet {
    let header = ForwardingHeader {
        overlay: net.config.overlay,
        configuration_sequence: net.config.sequence,
        ttl: 100,
        fragment: Fragment::WHOLE,
        transaction_id: TransactionId(id),
        max_response_length: 0,
        via_list: Vec::new(),
        destination_list: vec![net.id(to).into()],
        options: Vec::new(),
    };
    let contents = MessageContents::new(method.request(), body);
    Packet::seal(header, &contents, net.identity(signer), &[]).expect("short")
}

/// Gives `to` a request of `signer` over its link with `through`: code and body of what comes back
/// there within a second.
fn ask(net: &mut Net, ends: (usize, usize), packet: &Packet) -> Option<(MessageCode, Bytes)> {
    let (through, to) = ends;
    let begin = net.trace.len();
    net.inject(through, to, packet.encode().expect("short"));
    net.run(seconds(1));
    let id = packet.header.transaction_id;
    let back = net.trace[begin..].iter().find(|t| t.1 == to && t.4.header.transaction_id == id);
    back.map(|t| t.4.open(16).expect("whole").contents).map(|c| (c.code, c.body))
}

fn attach(net: &mut Net, id: u64, offer: &Attach) -> (MessageCode, Bytes) {
    let body = offer.to_bytes().expect("short");
    let packet = sealed(net, 1, 0, id, Method::Attach, body);
    ask(net, (1, 0), &packet).expect("an answer")
}

fn error(answer: &(MessageCode, Bytes), net: &Net) -> ErrorCode {
    assert_eq!(answer.0, MessageCode::ERROR);
    decode_body::<ErrorResponse>(&answer.1, net.id(1)).expect("an error").code
}

/// R6940-6.5.1.2-01, R6940-6.5.1.12-01: an Attach is answered and ICE begins if none of ours is
/// on its way to its sender; that a link exists makes it neither an error nor a restart: another
/// link is made, and the old one stays as it is until then.
/// R6940-6.5.1.1-01: "passive" is answered with "active"; nothing else is an offer.
#[test]
fn an_attach_is_answered_and_ice_begins() {
    let mut net = Net::ring(31, 2);
    let links = net.peer(0).links();
    let begin = net.actions.len();
    let (code, body) = attach(&mut net, 1, &offer(1, 9998, ROLE_PASSIVE, &[1]));
    assert_eq!(code, Method::Attach.answer());
    let bytes = hex::encode(&body);
    assert!(bytes.contains("06616374697665"), "active: {bytes}");
    let actions = &net.actions[begin..];
    let [(_, 0, new, LinkAction::Gather(..)), (_, 0, connected, LinkAction::Connect { .. })] =
        actions
    else {
        panic!("{actions:?}")
    };
    assert_eq!(new, connected);
    let LinkAction::Connect { remote, role, purpose, .. } = &actions[1].3 else { panic!() };
    assert_eq!(
        (remote.ufrag.as_str(), *role, *purpose),
        ("1:9998", Role::Responder, Purpose::Overlay)
    );
    assert_eq!(net.peer(0).links(), links, "what was up stays up");

    let passive = offer(1, 9996, ROLE_PASSIVE, &[]).to_bytes().expect("short");
    assert!(hex::encode(passive).contains("0770617373697665"));
    for role in [ROLE_ACTIVE, b"actpass", b"Passive", b""] {
        let begin = net.actions.len();
        let answer = attach(&mut net, 2, &offer(1, 9996, role, &[1]));
        assert_eq!(error(&answer, &net), ErrorCode::INVALID_MESSAGE);
        assert_eq!(net.actions.len(), begin, "no candidates are collected");
    }
}

/// R6940-6.5.1.1-03: candidates with and without ICE in one Attach are refused.
/// So is an Attach that is all of the kind that the overlay does not have.
/// R6940-6.6-01: a type that we do not know does no harm.
#[test]
fn an_overlay_is_all_ice_or_all_no_ice() {
    const ICE: u8 = OVERLAY_LINK_DTLS_UDP_SR;
    const UDP: u8 = OVERLAY_LINK_DTLS_UDP_SR_NO_ICE;
    const TCP: u8 = OVERLAY_LINK_TLS_TCP_FH_NO_ICE;
    assert_eq!((ICE, UDP, TCP), (1, 3, 4));
    let kinds: [(&[u8], [bool; 2]); 6] = [
        (&[ICE, ICE], [true, false]),
        (&[UDP, TCP], [false, true]),
        (&[ICE, UDP], [false, false]),
        (&[TCP, ICE], [false, false]),
        (&[ICE, 2, 77], [true, false]),
        (&[TCP, 2, 255], [false, true]),
    ];
    for (place, no_ice) in [false, true].into_iter().enumerate() {
        let mut net = Net::new(31);
        net.config.no_ice = no_ice;
        net.grow(2);
        for (number, (link_types, good)) in (0..).zip(&kinds) {
            let offer = offer(1, 9000 + 2 * number, ROLE_PASSIVE, link_types);
            let answer = attach(&mut net, number, &offer);
            if good[place] {
                assert_eq!(answer.0, Method::Attach.answer(), "{link_types:?}");
            } else {
                assert_eq!(error(&answer, &net), ErrorCode::INVALID_MESSAGE, "{link_types:?}");
            }
            // The link that nobody makes is given up meanwhile.
            net.run(seconds(20));
        }
    }
}

/// R6940-6.5.1.2-05: an answer is taken as it comes: ICE begins with what it says.
/// R6940-6.5.1.2-02: while that is under way, an Attach from the other side is refused with
/// Error_In_Progress.
#[test]
fn an_attach_during_ice_is_refused() {
    let mut net = Net::ring(4, 8);
    let answerer = 3;
    let joiner = net.add_at(NodeId::from_u128(net.id(answerer).to_u128() - 1000));
    // Nothing gets through, so that ICE takes its time.
    for other in 1..8 {
        net.walls.insert((joiner, other));
    }
    let (trace, actions) = (net.trace.len(), net.actions.len());
    net.join(joiner, 0);
    net.run(LATENCY * 12);
    let answer = net.trace[trace..]
        .iter()
        .find(|t| t.2 == joiner && t.3 == Some(Method::Attach.answer()))
        .expect("an answer");
    let body = answer.4.open(16).expect("whole").contents.body;
    let said = decode_body::<Attach>(&body, net.id(joiner)).expect("an Attach");
    let begun = net.actions[actions..].iter().find_map(|(at, node, _, action)| match action {
        LinkAction::Connect { remote, role: Role::Requester, .. } if *node == joiner => {
            Some((*at, remote.ufrag.clone().into_bytes()))
        }
        _ => None,
    });
    assert_eq!(begun, Some((answer.0, said.ufrag)));

    let crossed = offer(answerer, 9998, ROLE_PASSIVE, &[1]).to_bytes().expect("short");
    let packet = sealed(&net, answerer, joiner, 5, Method::Attach, crossed);
    let refused = ask(&mut net, (0, joiner), &packet).expect("an answer");
    assert_eq!(error(&refused, &net), ErrorCode::IN_PROGRESS);
}

/// R6940-6.4.2.3-01: who asked for an Update gets one before anything else over the new link,
/// though it has not joined.
/// R6940-6.5.1.10.2-01: no link is offered twice.
#[test]
fn the_first_message_on_a_link_is_the_update_asked_for() {
    let mut net = Net::ring(4, 8);
    let joiner = net.add();
    let (begin, actions) = (net.trace.len(), net.actions.len());
    net.join(joiner, 0);
    net.run(seconds(1));
    let linked: Vec<usize> = net.actions[actions..]
        .iter()
        .filter_map(|(_, node, _, action)| match action {
            LinkAction::Connect { role: Role::Responder, expected, .. } => {
                expected.node_ids.contains(&net.id(joiner)).then_some(*node)
            }
            _ => None,
        })
        .filter(|node| *node != 0)
        .collect();
    assert!(!linked.is_empty());
    for node in linked {
        let first = net.trace[begin..].iter().find(|t| (t.1, t.2) == (node, joiner));
        assert_eq!(first.expect("a message").3, Some(Method::Update.request()), "from {node}");
    }
    net.run(seconds(60));
    let mut offers = BTreeMap::new();
    for t in net.trace.iter().filter(|t| t.3 == Some(Method::Attach.request())) {
        let body = t.4.open(16).expect("whole").contents.body;
        let ufrag = decode_body::<Attach>(&body, net.id(t.2)).expect("an Attach").ufrag;
        let id = t.4.header.transaction_id;
        assert_eq!(*offers.entry(ufrag).or_insert(id), id, "one offer for each link");
    }
}

/// R6940-6.5.1-02: an Attach changes whom a peer is connected with, and not whom it routes through.
#[test]
fn an_attach_alone_changes_no_routing_table() {
    let mut net = Net::ring(31, 8);
    let tables = |net: &Net| {
        let tables = (0..8).map(|node| {
            let (predecessors, successors) = net.peer(node).neighbors();
            (predecessors.to_vec(), successors.to_vec(), net.peer(node).fingers())
        });
        tables.collect::<Vec<_>>()
    };
    let links = |net: &Net| (0..8).map(|node| net.peer(node).links()).sum::<usize>();
    let before = (tables(&net), links(&net));
    let client = net.add();
    net.command(client, Command::Connect(vec![Net::address(6)]));
    net.run(seconds(10));
    assert_eq!(tables(&net), before.0);
    assert!(links(&net) > before.1);
}

/// R6940-6.6-02: a message that is too large is refused, and the link that brought it is closed;
/// so it is if the message is an answer or a later part, which nobody refuses.
#[test]
fn too_large_a_message_closes_the_link() {
    for (code, is_refused) in [(Method::Ping.request(), true), (Method::Ping.answer(), false)] {
        let mut net = Net::ring(31, 2);
        let mut packet = sealed(&net, 1, 0, 7, Method::Ping, vec![0; 100]);
        let size = net.config.message_size_max + 1;
        packet.payload = [&code.0.to_be_bytes()[..], &vec![0; size - 2]].concat().into();
        let before = net.actions.len();
        let answer = ask(&mut net, (1, 0), &packet);
        let refusal = answer.as_ref().map(|answer| error(answer, &net));
        assert_eq!(refusal, is_refused.then_some(ErrorCode::MESSAGE_TOO_LARGE));
        let closed = |a: &(_, usize, _, LinkAction)| a.1 == 0 && matches!(a.3, LinkAction::Close);
        assert!(net.actions[before..].iter().any(closed));
    }
    // One byte less is no reason.
    let mut net = Net::ring(31, 2);
    let mut packet = sealed(&net, 1, 0, 7, Method::Ping, vec![0; 100]);
    packet.payload = vec![0; net.config.message_size_max].into();
    let before = net.actions.len();
    assert_eq!(ask(&mut net, (1, 0), &packet), None);
    assert_eq!(net.actions.len(), before);
}

/// R6940-6.6-03: a forwarding header that alone is larger than a message may be closes the link
/// without a word, though the rest of it has not come.
#[test]
fn too_large_a_header_closes_the_link() {
    let mut net = Net::ring(31, 2);
    let packet = sealed(&net, 1, 0, 7, Method::Ping, vec![0; 100]);
    let mut bytes = packet.encode().expect("short").to_vec();
    bytes[32..34].copy_from_slice(&[0xff, 0xff]);
    let (actions, trace) = (net.actions.len(), net.trace.len());
    net.inject(1, 0, bytes.into());
    net.run(Duration::from_millis(1));
    assert!(matches!(net.actions[actions..], [(_, 0, _, LinkAction::Close), ..]));
    net.run(seconds(1));
    let is_error = |t: &super::net::Delivered| t.1 == 0 && t.3 == Some(MessageCode::ERROR);
    assert!(!net.trace[trace..].iter().any(is_error));
}
