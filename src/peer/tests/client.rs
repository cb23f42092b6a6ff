//! Clients: nodes that use the overlay and do nothing for it.

use std::time::Duration;

use super::net::Net;
use crate::base::{Encode, NodeId};
use crate::message::{
    APPLICATION_SIP, ChordUpdate, ChordUpdateContents, ForwardingHeader, Fragment, MessageContents,
    Method, Packet,
};
use crate::peer::*;

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// A ring of peers at even places, and a client between two of them.
fn ring_with_client() -> (Net, usize) {
    let mut net = Net::new(70);
    for place in 0..8u128 {
        let node = net.add_at(NodeId::from_u128((place << 124) + 0x1000));
        match node {
            0 => {
                net.command(0, Command::Found);
            }
            _ => net.join(node, 0),
        }
        net.run(seconds(3));
    }
    let client = net.add_at(NodeId::from_u128((2 << 124) + 0x8000_0000));
    net.command(client, Command::Connect(vec![Net::address(6)]));
    net.run(seconds(3));
    (net, client)
}

fn served_by(net: &Net, client: usize) -> Vec<NodeId> {
    let connected = net.events.iter().filter_map(|(node, event)| match event {
        Event::Connected(peer) if *node == client => Some(*peer),
        _ => None,
    });
    connected.collect()
}

fn is_reached(net: &mut Net, from: usize, client: usize) -> bool {
    let id = net.id(client);
    let answer = net.ask(from, Command::Ping(id.into()));
    matches!(answer, Ok(Answer::Pinged { node_id, .. }) if node_id == id)
}

/// R6940-4.2.1-01, R6940-6.4.1-01: a client is attached to the peer that is responsible for its
/// Node-ID; that peer's Updates reach it, and when another one becomes responsible it goes over
/// to that one and stays reachable by its Node-ID.
#[test]
fn a_client_follows_the_responsible_peer() {
    let (mut net, client) = ring_with_client();
    assert_eq!(served_by(&net, client), [net.id(3)]);
    assert!(is_reached(&mut net, 6, client) && is_reached(&mut net, 3, client));
    let begin = net.trace.len();
    let between = net.add_at(NodeId::from_u128((2 << 124) + 0x9000_0000));
    net.join(between, 0);
    net.run(seconds(5));
    let update = Some(Method::Update.request());
    let told = net.trace[begin..].iter().any(|t| (t.1, t.2, t.3) == (3, client, update));
    assert!(told, "the peer tells its client that its range has changed");
    assert_eq!(served_by(&net, client), [net.id(3), net.id(between)]);
    assert_eq!(net.peer(client).links(), 1);
    assert!(is_reached(&mut net, 6, client) && is_reached(&mut net, 3, client));
    // And back, when the new one dies without a word.
    net.kill(between);
    net.run(seconds(30));
    assert_eq!(served_by(&net, client).last(), Some(&net.id(3)));
    assert!(is_reached(&mut net, 6, client));
}

/// R6940-4.2.2-01: a client stores, fetches and makes connections like a peer, but it keeps
/// nothing for others, passes nothing on and is in nobody's tables.
#[test]
fn a_client_has_all_uses_and_no_duties() {
    let (mut net, client) = ring_with_client();
    for node in [client, 1, 5] {
        let spec = net.registration(node);
        let stored = net.ask(node, Command::Publish(spec));
        assert!(matches!(stored, Ok(Answer::Stored { .. })), "{node}: {stored:?}");
    }
    for (from, of) in [(client, 1), (client, 5), (client, client), (4, client)] {
        let found = net.fetch(from, of).expect("an answer");
        assert_eq!(found.values.len(), 1, "{from} looks for {of}");
    }
    let (own, other) = (net.id(client), net.id(5));
    for (from, to) in [(client, other), (5, own)] {
        let link = net.ask(from, Command::AppAttach(vec![to.into()], APPLICATION_SIP));
        assert!(matches!(link, Ok(Answer::AppLink { .. })), "{from}: {link:?}");
    }
    net.run(seconds(200));
    let peer = net.peer(client);
    assert_eq!((peer.values_stored(), peer.counters().forwarded), (0, 0));
    assert!(!peer.is_joined());
    for node in net.joined() {
        let (predecessors, successors) = net.peer(node).neighbors();
        let fingers = net.peer(node).fingers();
        let mut known = predecessors.iter().chain(successors).chain(&fingers);
        assert!(known.all(|id| *id != own), "{node} routes through a client");
    }
    net.command(client, Command::Leave);
    net.run(seconds(5));
    assert!(net.events.iter().any(|(n, e)| *n == client && matches!(e, Event::Left)));
    let left = net.fetch(4, client).expect("an answer");
    assert!(left.values.is_empty(), "its registration is taken back");
}

/// R6940-6.5.1-01: messages go through a linked node once it has sent an Update, and not before,
/// however near to their destination it is.
#[test]
fn nobody_routes_through_who_has_sent_no_update() {
    let (mut net, client) = ring_with_client();
    // Just before the client, which is no peer: 3 is responsible.
    let near = NodeId::from_u128(net.id(client).to_u128() - 1);
    let through_client = |net: &mut Net| {
        let begin = net.trace.len();
        let header = ForwardingHeader {
            overlay: net.config.overlay,
            configuration_sequence: net.config.sequence,
            ttl: 100,
            fragment: Fragment::WHOLE,
            transaction_id: crate::base::TransactionId(begin as u64),
            max_response_length: 0,
            via_list: Vec::new(),
            destination_list: vec![crate::base::ResourceId::from_u128(near.to_u128()).into()],
            options: Vec::new(),
        };
        let signer = net.identity(2);
        let contents = MessageContents::new(Method::Ping.request(), vec![0, 0]);
        let packet = Packet::seal(header, &contents, signer, &[]).expect("short");
        net.inject(2, 3, packet.encode().expect("short"));
        net.run(seconds(1));
        net.trace[begin..].iter().any(|t| (t.1, t.2) == (3, client))
    };
    assert!(!through_client(&mut net));
    let header = ForwardingHeader {
        overlay: net.config.overlay,
        configuration_sequence: net.config.sequence,
        ttl: 100,
        fragment: Fragment::WHOLE,
        transaction_id: crate::base::TransactionId(1),
        max_response_length: 0,
        via_list: Vec::new(),
        destination_list: vec![net.id(3).into()],
        options: Vec::new(),
    };
    let update = ChordUpdate { uptime_s: 1, contents: ChordUpdateContents::PeerReady };
    let body = update.to_bytes().expect("short");
    let contents = MessageContents::new(Method::Update.request(), body);
    let packet = Packet::seal(header, &contents, net.identity(client), &[]).expect("short");
    net.inject(client, 3, packet.encode().expect("short"));
    assert!(through_client(&mut net));
}

/// R6940-11.1-10: where the document has no clients, nobody becomes one.
#[test]
fn nobody_is_a_client_where_all_have_to_be_peers() {
    let mut net = Net::new(72);
    net.config.clients_permitted = false;
    net.grow(2);
    let client = net.add();
    net.command(client, Command::Connect(vec![Net::address(0)]));
    net.run(seconds(30));
    let refused = |(node, event): &(usize, Event)| {
        *node == client && matches!(event, Event::JoinFailed(JoinError::ClientsNotPermitted))
    };
    assert!(net.events.iter().any(refused));
    assert!(served_by(&net, client).is_empty());
    assert_eq!(net.peer(client).links(), 0);
    net.join(client, 0);
    net.run(seconds(30));
    net.assert_ring(2);
    assert_eq!(net.joined(), [0, 1, client], "as a peer it comes in");
}
