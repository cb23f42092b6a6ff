//! Joining, storing, leaving, and what is left after losses.

use std::collections::BTreeMap;
use std::time::Duration;

use super::net::Net;
use crate::base::NodeId;
use crate::message::{Destination, ErrorCode, Method};
use crate::peer::*;
use crate::storage::resource_id;

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn publish_all(net: &mut Net) {
    for node in net.joined() {
        let spec = net.registration(node);
        let stored = net.ask(node, Command::Publish(spec));
        assert!(matches!(stored, Ok(Answer::Stored { .. })), "{node}: {stored:?}");
    }
}

fn assert_all_found(net: &mut Net, owners: &[usize]) {
    for from in net.joined() {
        for of in owners {
            let fetched = net.fetch(from, *of).expect("an answer");
            assert_eq!(fetched.values.len(), 1, "{from} looks for {of}");
            assert_eq!(fetched.values[0].signer_node_id, net.id(*of));
            assert!(!fetched.partial);
        }
    }
}

/// How many living peers keep the registration of a node's user.
fn copies(net: &Net, of: usize) -> usize {
    let resource = resource_id(net.user(of).as_bytes());
    let alive = net.peers.iter().flatten();
    alive.filter(|peer| peer.storage().holds(&resource)).count()
}

/// R6940-10.1-01: two peers share the ring.
#[test]
fn two_peers_are_a_ring() {
    let mut net = Net::ring(1, 2);
    assert_eq!(net.joined(), [0, 1]);
    net.assert_ring(3);
    publish_all(&mut net);
    assert_all_found(&mut net, &[0, 1]);
}

#[test]
fn three_peers_are_a_ring() {
    let mut net = Net::ring(11, 3);
    net.assert_ring(3);
    publish_all(&mut net);
    assert_all_found(&mut net, &[0, 1, 2]);
}

/// R6940-10.7-02, R6940-10.7-03, R6940-10.1-02, R6940-10.4-02, R6940-10.4-04: a full ring of
/// neighbours, and three copies of everything.
#[test]
fn eight_peers_find_each_other() {
    let mut net = Net::ring(2, 8);
    assert_eq!(net.joined().len(), 8);
    net.assert_ring(3);
    publish_all(&mut net);
    net.run(seconds(30));
    for of in 0..8 {
        assert_eq!(copies(&net, of), 3);
    }
    assert_all_found(&mut net, &[0, 1, 2, 3, 4, 5, 6, 7]);
}

/// R6940-10.5-01 to R6940-10.5-10 in order, as seen on the wire; R6940-11.4-02, R6940-11.4-03,
/// R6940-10.5-13.
#[test]
fn a_join_has_the_order_of_the_rfc() {
    let mut net = Net::ring(4, 8);
    publish_all(&mut net);
    net.run(seconds(5));
    let registered = resource_id(net.user(3).as_bytes()).to_u128().expect("16 bytes");
    let joiner = net.add_at(NodeId::from_u128(registered.wrapping_add(1)));
    let begin = net.trace.len();
    net.join(joiner, 0);
    net.run(seconds(10));
    net.assert_ring(3);
    let trace = &net.trace[begin..];
    let first = |from: Option<usize>, to: Option<usize>, method: Method| {
        trace.iter().position(|(_, f, t, code, _)| {
            from.is_none_or(|n| n == *f)
                && to.is_none_or(|n| n == *t)
                && *code == Some(method.request())
        })
    };
    let own = net.id(joiner).to_u128();
    let joiner = Some(joiner);
    let attach = first(joiner, Some(0), Method::Attach).expect("an Attach through the bootstrap");
    let target = &trace[attach].4.header.destination_list;
    let next = crate::base::ResourceId::from_u128(own.wrapping_add(1));
    assert_eq!(target[..], [next.into()]);
    let join = first(joiner, None, Method::Join).expect("a Join");
    let admitting = trace[join].2;
    // It comes along with the answer to the Attach, by the way of the bootstrap node.
    let told = first(Some(0), joiner, Method::Update).expect("the routing table");
    let handed = trace[join..]
        .iter()
        .position(|(_, f, t, code, _)| {
            *f == admitting && Some(*t) == joiner && *code == Some(Method::Update.request())
        })
        .map(|at| at + join)
        .expect("the Update that makes it a peer");
    let ours = first(joiner, None, Method::Update).expect("Updates of the new peer");
    assert!(attach < told && told < join && join < handed && handed < ours);
    let stores: Vec<usize> = (0..trace.len())
        .filter(|at| {
            let (_, f, t, code, _) = &trace[*at];
            *f == admitting && Some(*t) == joiner && *code == Some(Method::Store.request())
        })
        .collect();
    assert!(stores.iter().any(|at| join < *at && *at < handed), "data come before the range");
    let teachers = trace[..join].iter().filter(|(_, f, _, code, packet)| {
        Some(*f) == joiner
            && *code == Some(Method::Attach.request())
            && packet.header.destination_list.len() == 2
    });
    // R6940-10.6-01: neighbours are asked through whom we learned of them from.
    let mut neighbors = 0;
    for (.., packet) in teachers {
        neighbors += 1;
        assert_eq!(packet.header.destination_list[0], net.id(admitting).into());
    }
    assert!(neighbors >= 6, "{neighbors} neighbours");
    let owners: Vec<usize> = (0..8).collect();
    assert_all_found(&mut net, &owners);
}

/// R6940-10.5-06, R6940-10.5-07, R6940-10.5-09: nothing is lost while many join.
#[test]
fn thirty_two_peers_keep_everything() {
    let mut net = Net::ring(3, 8);
    publish_all(&mut net);
    while net.peers.len() < 32 {
        let node = net.add();
        net.join(node, node % 5);
        net.run(seconds(2));
    }
    net.run(seconds(120));
    assert_eq!(net.joined().len(), 32);
    net.assert_ring(3);
    for of in 0..8 {
        assert_eq!(copies(&net, of), 3);
    }
    assert_all_found(&mut net, &[0, 3, 7]);
    let fingers: usize = (0..32).map(|n| net.peer(n).fingers().len()).sum();
    assert!(fingers > 32 * 4, "{fingers} fingers");
}

/// Nodes that join in the same moment, some next to each other.
#[test]
fn simultaneous_joins_all_succeed() {
    for seed in 0..6 {
        let mut net = Net::ring(100 + seed, 4);
        let far = net.id(1).to_u128();
        for offset in 1..=3u128 {
            let near = net.add_at(NodeId::from_u128(far.wrapping_add(offset << 64)));
            let other = net.add();
            net.join(near, 0);
            net.join(other, 2);
        }
        net.run(seconds(60));
        assert_eq!(net.joined().len(), 10, "seed {seed}");
        net.assert_ring(3);
    }
}

/// R6940-10.9-01, R6940-10.9-02, R6940-10.9-03, R6940-6.4.2.2-01, R6940-6.4.2.2-04: who leaves
/// is gone at once, with its registration and without the data that it kept.
#[test]
fn a_leaver_leaves_nothing_behind() {
    let mut net = Net::ring(5, 8);
    publish_all(&mut net);
    let links = net.peer(3).links();
    let begin = net.trace.len();
    net.command(3, Command::Leave);
    net.run(seconds(3));
    assert!(net.events.iter().any(|(n, e)| *n == 3 && matches!(e, Event::Left)));
    assert_eq!((net.peer(3).links(), net.peer(3).is_joined()), (0, false));
    let leaves = net.trace[begin..].iter().filter(|t| t.3 == Some(Method::Leave.request()));
    assert_eq!(leaves.count(), links, "one for each link");
    net.assert_ring(3);
    assert_all_found(&mut net, &[0, 1, 2, 4, 5, 6, 7]);
    assert!(net.fetch(0, 3).expect("an answer").values.is_empty());
    // And comes back.
    net.join(3, 0);
    net.run(seconds(10));
    net.assert_ring(3);
    assert_all_found(&mut net, &[3, 6]);
}

/// R6940-10.7.1-01, R6940-10.7.1-02, R6940-10.7.1-04, R6940-10.7.3-05: two dead peers leave a
/// whole ring with whole data.
#[test]
fn the_ring_heals_after_failures() {
    let mut net = Net::ring(6, 12);
    publish_all(&mut net);
    net.run(seconds(5));
    let (_, successors) = net.peer(4).neighbors();
    let victims: Vec<usize> = (0..12).filter(|n| successors[..2].contains(&net.id(*n))).collect();
    for victim in &victims {
        net.kill(*victim);
    }
    net.run(seconds(8));
    net.assert_ring(3);
    let left: Vec<usize> = net.joined();
    assert_all_found(&mut net, &left);
    assert_all_found(&mut net, &victims);
    net.run(seconds(60));
    for of in 0..12 {
        assert_eq!(copies(&net, of), 3, "of {of}");
    }
}

/// R6940-10.7.1-03: a replacement successor gets no copies within the hold-down time.
#[test]
fn replicas_wait_for_the_hold_down() {
    let mut net = Net::ring(6, 12);
    publish_all(&mut net);
    net.run(seconds(100));
    let registered = resource_id(net.user(0).as_bytes()).to_u128().expect("16 bytes");
    let behind = |node: &usize| net.id(*node).to_u128().wrapping_sub(registered);
    let owner = (0..12).min_by_key(behind).expect("a peer");
    let (_, successors) = net.peer(owner).neighbors();
    let (first, third) = (successors[0], successors[2]);
    let index = |id: NodeId| (0..12).find(|n| net.id(*n) == id).expect("a peer");
    let (first, third) = (index(first), index(third));
    let begin = net.trace.len();
    net.kill(first);
    net.run(seconds(5 + 29));
    let stores = |net: &Net| {
        let stores = net.trace[begin..].iter().filter(|(_, from, to, code, _)| {
            (*from, *to) == (owner, third) && *code == Some(Method::Store.request())
        });
        stores.count()
    };
    assert_eq!(stores(&net), 0);
    net.run(seconds(5));
    assert!(stores(&net) > 0);
}

/// R6940-6.1.2-10: what is lost on the way is sent again.
#[test]
fn lost_messages_are_sent_again() {
    let mut net = Net::ring(7, 6);
    net.loss_permille = 100;
    let node = net.add();
    net.join(node, 2);
    net.run(seconds(90));
    assert_eq!(net.joined().len(), 7);
    publish_all(&mut net);
    let mut again = 0;
    for (from, of) in (0..7).flat_map(|from| [(from, 6), (from, 1), (from, 3)]) {
        let fetched = net.fetch(from, of).expect("an answer");
        assert_eq!(fetched.values.len(), 1);
        again += fetched.transmissions - 1;
    }
    assert!(again > 0, "some had to be sent again");
    net.loss_permille = 0;
    net.run(seconds(60));
    net.assert_ring(3);
}

/// R6940-6.5.1.2-03, R6940-6.5.1.2-04: two Attaches that cross make one link.
#[test]
fn crossed_attaches_make_one_link() {
    for seed in 0..4 {
        let mut net = Net::ring(20 + seed, 2);
        for _ in 0..2 {
            let node = net.add();
            net.join(node, 0);
        }
        net.run(seconds(60));
        net.assert_ring(3);
        for node in 0..4 {
            assert_eq!(net.peer(node).links(), 3, "node {node} of seed {seed}");
        }
    }
}

/// R6940-6.4.2.1-07, R6940-6.4.2.1-08: without a bootstrap node there is no overlay, and nobody
/// founds one by accident; later it may work.
#[test]
fn joining_is_tried_until_it_works() {
    let mut net = Net::new(8);
    let founder = net.add();
    let node = net.add();
    net.walls.insert((founder, node));
    net.join(node, founder);
    net.run(seconds(20));
    assert!(net.joined().is_empty());
    let failed = net
        .events
        .iter()
        .filter(|(_, e)| matches!(e, Event::JoinFailed(JoinError::Unreachable(LinkError::NoPath))));
    assert!(failed.count() >= 3);
    net.walls.clear();
    net.command(founder, Command::Found);
    net.run(seconds(60));
    assert_eq!(net.joined().len(), 2);
    net.assert_ring(3);
}

/// R6940-10.7.1-06, R6940-10.7.1-07, R6940-10.7.1-08: who has lost everybody tries to join again
/// and again and is no ring of its own meanwhile; its values come back.
#[test]
fn who_is_cut_off_joins_again() {
    let mut net = Net::ring(9, 6);
    publish_all(&mut net);
    net.cut(4);
    net.run(seconds(40));
    assert!(!net.peer(4).is_joined());
    let tried = net.events.iter().filter(|(n, e)| *n == 4 && matches!(e, Event::JoinFailed(_)));
    assert!(tried.count() >= 3);
    net.walls.clear();
    net.run(seconds(120));
    assert_eq!(net.joined().len(), 6);
    net.assert_ring(3);
    assert_all_found(&mut net, &[4]);
}

/// R6940-10.7.4.4-01, R6940-10.7.4.4-02: two rings that know a common bootstrap node merge.
#[test]
fn partitions_heal() {
    let mut net = Net::new(10);
    for node in 0..8 {
        net.add();
        match node {
            0 | 4 => {
                net.command(node, Command::Found);
            }
            _ => net.join(node, node & 4),
        }
        net.run(seconds(3));
    }
    // Those of the second ring learn of the first.
    for node in 5..8 {
        net.join(node, 0);
    }
    publish_all(&mut net);
    net.run(seconds(4000));
    assert_eq!(net.joined().len(), 8);
    net.assert_ring(3);
    assert_all_found(&mut net, &[0, 1, 2, 3, 4, 5, 6, 7]);
}

/// Two that are alone, such as a founder that came back and the last one it left behind, find each
/// other within a minute.
#[test]
fn two_lone_founders_meet() {
    let mut net = Net::new(15);
    for node in 0..2 {
        net.add();
        net.command(node, Command::Found);
    }
    publish_all(&mut net);
    net.run(seconds(2));
    net.join(1, 0);
    net.run(seconds(60));
    net.assert_ring(1);
    assert_all_found(&mut net, &[0, 1]);
}

/// R6940-10.7.4.1-01, R6940-10.7.3-03: a ring at rest exchanges its periodic Updates and no
/// more.
#[test]
fn a_stable_ring_is_quiet() {
    let mut net = Net::ring(12, 10);
    net.run(seconds(200));
    let begin = net.trace.len();
    net.run(seconds(3000));
    let updates: Vec<_> =
        net.trace[begin..].iter().filter(|t| t.3 == Some(Method::Update.request())).collect();
    for (from, to) in [(0, 1), (5, 9)] {
        let neighbors = net.peer(from).neighbors();
        let is_neighbor = neighbors.0.contains(&net.id(to)) || neighbors.1.contains(&net.id(to));
        let count = updates.iter().filter(|t| (t.1, t.2) == (from, to)).count();
        assert!(!is_neighbor || (3..=7).contains(&count), "{count} Updates in 3000 s");
    }
    assert!(updates.len() < 10 * 8 * 7, "{} Updates", updates.len());
}

/// R6940-10.7.4.2-04: who lacks fingers looks for one of them in each chord-ping-interval, and no
/// more often.
#[test]
fn missing_fingers_are_searched_seldom() {
    let mut net = Net::ring(15, 24);
    let begin = net.trace.len();
    net.run(seconds(4 * 3600));
    let mut last = BTreeMap::new();
    let mut searches = 0;
    for (at, from, _, code, packet) in &net.trace[begin..] {
        let header = &packet.header;
        let is_ping = *code == Some(Method::Ping.request()) && header.via_list.is_empty();
        let is_search = matches!(header.destination_list[..], [Destination::Resource(_)]);
        if is_ping && is_search {
            searches += 1;
            if let Some(before) = last.insert(*from, *at) {
                assert!(at.saturating_since(before) >= seconds(3600), "{from} at {at:?}");
            }
        }
    }
    assert!(searches > 24, "{searches}");
}

/// R6940-6.3.2-07, R6940-6.1.2-01: each answer tells how far its request went.
#[test]
fn hops_are_counted() {
    let mut net = Net::ring(13, 8);
    let pinged = |net: &mut Net, from, to: crate::message::Destination| match net
        .ask(from, Command::Ping(to))
    {
        Ok(Answer::Pinged { node_id, hops }) => (node_id, hops),
        other => panic!("{other:?}"),
    };
    let (own, neighbor) = (net.id(2), net.peer(2).neighbors().1[0]);
    assert_eq!(pinged(&mut net, 2, own.into()), (own, 0));
    assert_eq!(pinged(&mut net, 2, neighbor.into()), (neighbor, 1));
    let position = crate::base::ResourceId::from_u128(neighbor.to_u128().wrapping_sub(1));
    assert_eq!(pinged(&mut net, 2, position.into()).0, neighbor);
}

/// R6940-6.1.2-01, R6940-10.7.4.3-01: in a larger ring lookups stay short.
#[test]
fn lookups_are_short_in_a_larger_ring() {
    let count = 96;
    let mut net = Net::new(14);
    net.is_traced = false;
    for node in 0..count {
        net.add();
        match node {
            0 => {
                net.command(0, Command::Found);
            }
            _ => net.join(node, node / 2),
        }
        net.run(Duration::from_millis(200));
    }
    net.run(seconds(30));
    assert_eq!(net.joined().len(), count);
    net.assert_ring(3);
    let mut hops = 0;
    for i in 0..200usize {
        let from = (i * 7) % count;
        let to = crate::storage::resource_id(&i.to_be_bytes());
        match net.ask(from, Command::Ping(to.into())) {
            Ok(Answer::Pinged { hops: h, .. }) => hops += h,
            other => panic!("{other:?}"),
        }
    }
    let mean = f64::from(hops) / 200.0;
    assert!(mean <= 0.6 * (count as f64).log2(), "{mean} hops on average");
}

/// R6940-6.3.2.1-01: who has another configuration is told so, and does not join.
#[test]
fn another_configuration_does_not_join() {
    let mut net = Net::ring(15, 3);
    net.config.sequence += 1;
    let node = net.add();
    net.join(node, 0);
    net.run(seconds(3));
    let refused = JoinError::Refused(ErrorCode::CONFIG_TOO_NEW);
    assert!(net.events.iter().any(|(n, e)| {
        *n == node && matches!(e, Event::JoinFailed(error) if *error == refused)
    }));
    assert!(!net.peer(node).is_joined());
}

/// A value that is taken back stays away; the others outlive their first lifetime.
#[test]
fn values_can_be_taken_back() {
    let mut net = Net::ring(16, 6);
    publish_all(&mut net);
    let spec = net.registration(2);
    assert!(net.ask(2, Command::Unpublish(spec)).is_ok());
    assert!(net.fetch(4, 2).expect("an answer").values.is_empty());
    net.run(seconds(4000));
    assert!(net.fetch(4, 2).expect("an answer").values.is_empty());
    // The others have refreshed theirs, whose lifetime was an hour.
    assert_all_found(&mut net, &[0, 1, 3, 4, 5]);
}

/// Whoever a neighbour does not name any more hears from the others, so that a death is known to
/// all soon after one has noticed it.
#[test]
fn who_is_not_named_any_more_is_asked() {
    let mut net = Net::ring(19, 12);
    net.run(seconds(60));
    let mut nodes = net.joined();
    nodes.sort_by_key(|node| net.id(*node));
    let [a, between, b] = nodes[3..6] else { panic!("{nodes:?}") };
    let begin = net.trace.len();
    net.cut_between(a, b);
    net.run(seconds(6));
    let told: Vec<usize> = net.trace[begin..]
        .iter()
        .filter(|(_, from, _, code, _)| *from == between && *code == Some(Method::Update.request()))
        .map(|(_, _, to, _, _)| *to)
        .collect();
    assert!(told.contains(&a) && told.contains(&b), "{told:?}");
}
