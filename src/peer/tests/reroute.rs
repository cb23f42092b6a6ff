//! A node on the way has just died and nobody knows: messages go around it.

use std::time::Duration;

use super::net::{LATENCY, Net};
use crate::message::Method;
use crate::peer::*;

fn ring(seed: u64) -> Net {
    let mut net = Net::ring(seed, 20);
    for node in net.joined() {
        let spec = net.registration(node);
        net.ask(node, Command::Publish(spec)).expect("stored");
    }
    net.run(Duration::from_secs(5));
    net
}

fn fetch_all(net: &mut Net, victim: usize) -> Vec<RequestId> {
    let (from, of) = (net.joined(), net.joined());
    let mut requests = Vec::new();
    // Its last predecessor's range is not known to a node, but that it is nearer than the next one
    // is: of that node it believes only the dead one itself (§6.3.4).
    let is_judge = |n: &usize| net.peer(*n).neighbors().0.last() == Some(&net.id(victim));
    let from: Vec<usize> = from.into_iter().filter(|n| *n != victim && !is_judge(n)).collect();
    for from in from {
        for of in of.iter().copied() {
            requests.push(net.command(from, Command::Fetch(net.fetch_spec(of))));
        }
    }
    requests
}

fn assert_found_at_once(net: &Net, requests: &[RequestId]) {
    for request in requests {
        let done = net.events.iter().find_map(|(_, event)| match event {
            Event::Done(id, Ok(Answer::Fetched(found))) if id == request => Some(found),
            _ => None,
        });
        let found = done.unwrap_or_else(|| panic!("{request:?} has no good answer"));
        assert_eq!((found.values.len(), found.transmissions), (1, 1));
    }
}

/// Requests do: to a dead node that is only on the way, and to the one that keeps the value, whose
/// copies then answer for it.
#[test]
fn requests_go_around_a_dead_node() {
    let mut rerouted = 0;
    for victim in [3, 11] {
        let mut net = ring(60 + victim as u64);
        net.kill(victim);
        let requests = fetch_all(&mut net, victim);
        net.run(Duration::from_millis(2900));
        assert_found_at_once(&net, &requests);
        rerouted += net.peers.iter().flatten().map(|p| p.counters().rerouted).sum::<u64>();
    }
    assert!(rerouted > 0, "somebody had to go around the dead node");
}

/// Answers do: the node dies after it has passed the request on.
#[test]
fn answers_go_around_a_dead_node() {
    assert!((50..60).any(goes_around), "in none of the rings did it pass a request on");
}

fn goes_around(seed: u64) -> bool {
    let mut net = ring(seed);
    let (victim, start) = (7, net.trace.len());
    let requests = fetch_all(&mut net, victim);
    net.run(LATENCY * 2 + Duration::from_millis(1));
    net.kill(victim);
    let passed_on = net.trace[start..]
        .iter()
        .filter(|t| t.2 == victim && t.3 == Some(Method::Fetch.request()))
        .map(|t| t.4.header.transaction_id)
        .collect::<std::collections::BTreeSet<_>>();
    net.run(Duration::from_millis(2900));
    let answered_around = net.trace[start..]
        .iter()
        .filter(|t| t.3 == Some(Method::Fetch.answer()))
        .any(|t| passed_on.contains(&t.4.header.transaction_id));
    if answered_around {
        let known: Vec<RequestId> = requests.into_iter().filter(|r| is_done(&net, *r)).collect();
        assert_found_at_once(&net, &known);
    }
    answered_around
}

fn is_done(net: &Net, request: RequestId) -> bool {
    net.events.iter().any(|(_, e)| matches!(e, Event::Done(id, _) if *id == request))
}

/// The node that a request names on its way was chosen for what lies behind it; the request goes
/// on without it.
#[test]
fn a_request_goes_around_the_node_that_it_names_first() {
    let mut net = Net::new(70);
    net.config.links_max = 12;
    net.grow(40);
    for node in net.joined() {
        let spec = net.registration(node);
        net.ask(node, Command::Publish(spec)).expect("stored");
    }
    net.run(Duration::from_secs(400));
    let pairs = net.joined().into_iter().flat_map(|from| (0..40).map(move |of| (from, of)));
    let (from, of, named) = pairs
        .filter_map(|(from, of)| {
            let begin = net.trace.len();
            net.fetch(from, of).expect("an answer");
            let fetches = net.trace[begin..].iter();
            let hops: Vec<&super::net::Delivered> =
                fetches.filter(|t| t.3 == Some(Method::Fetch.request())).collect();
            let is_named = hops.first()?.4.header.destination_list.len() == 2;
            (is_named && hops.len() > 1).then(|| (from, of, hops[0].2))
        })
        .next()
        .expect("a request that names a node");
    net.kill(named);
    let request = net.command(from, Command::Fetch(net.fetch_spec(of)));
    net.run(Duration::from_millis(2900));
    assert_found_at_once(&net, &[request]);
    assert!(net.peer(from).counters().rerouted > 0);
}

/// Nobody sends a message around for ever: two other ways, and it is gone.
#[test]
fn a_message_goes_around_twice_at_most() {
    let mut net = Net::ring(60, 6);
    net.command(0, Command::Ping(net.id(3).into()));
    net.run(Duration::from_millis(1));
    let dead = net.id(3);
    let begin = net.peer(0).counters();
    for _ in 0..5 {
        net.undelivered(0, dead);
    }
    let end = net.peer(0).counters();
    assert_eq!(end.rerouted - begin.rerouted, 2);
    let reason = crate::routing::DropReason::Undelivered;
    assert_eq!(end.dropped_for(reason) - begin.dropped_for(reason), 3);
}

/// R6940-6.6-04: a node takes a request to its grave; its links are given up, and the second
/// transmission goes another way and is answered.
#[test]
fn a_request_that_dies_on_the_way_is_sent_another_way() {
    let mut seen = 0;
    for seed in 60..70 {
        let mut net = ring(seed);
        // Somebody whose request for 9's registration passes through a third node.
        let hop = net.joined().into_iter().find_map(|from| {
            let begin = net.trace.len();
            net.fetch(from, 9).expect("an answer");
            let fetches: Vec<_> = net.trace[begin..]
                .iter()
                .filter(|t| t.3 == Some(Method::Fetch.request()))
                .map(|t| t.2)
                .collect();
            (fetches.len() > 1).then(|| (from, fetches[0]))
        });
        let Some((from, hop)) = hop else { continue };
        let begin = net.trace.len();
        let request = net.command(from, Command::Fetch(net.fetch_spec(9)));
        net.run(LATENCY + Duration::from_millis(1));
        let is_first =
            |t: &&super::net::Delivered| (t.1, t.3) == (from, Some(Method::Fetch.request()));
        if net.trace[begin..].iter().find(is_first).expect("a Fetch").2 != hop {
            // What the first Fetch measured has led to another way.
            continue;
        }
        net.kill(hop);
        net.run(Duration::from_secs(10));
        let done = net.events.iter().find_map(|(_, event)| match event {
            Event::Done(id, Ok(Answer::Fetched(found))) if *id == request => Some(found),
            _ => None,
        });
        let found = done.unwrap_or_else(|| panic!("seed {seed}: no good answer"));
        assert_eq!((found.values.len(), found.transmissions), (1, 2));
        seen += 1;
    }
    assert!(seen > 0, "in some ring a request has more than one hop");
}

/// R6940-6.6.5-02: a link whose other side acknowledges nothing leaves the Routing Table at once
/// and is kept; when the other side comes back after 20 s, the same link is used again.
#[test]
fn a_suspect_link_is_out_of_the_table_and_comes_back() {
    let mut net = ring(62);
    let id = net.peer(4).neighbors().1[0];
    let other = net.joined().into_iter().find(|node| net.id(*node) == id).expect("a neighbour");
    let link = net.link(4, other).expect("a link");
    let is_neighbor = |net: &Net| net.peer(4).neighbors().1.contains(&id);
    // No other link can be made meanwhile.
    net.walls.insert((4, other));
    net.actions.clear();
    net.input(4, Input::Link(link, LinkEvent::Suspect));
    assert!(!is_neighbor(&net));
    let spec = net.registration(other);
    net.ask(4, Command::Ping(id.into())).expect("reached by another way");
    net.run(Duration::from_secs(20));
    assert!(!is_neighbor(&net) && net.link(4, other) == Some(link));
    net.input(4, Input::Link(link, LinkEvent::Restored));
    assert!(is_neighbor(&net), "{:?}", net.peer(4).neighbors());
    net.trace.clear();
    net.ask(4, Command::Ping(id.into())).expect("reached");
    let hops: Vec<_> = net.trace.iter().map(|(_, from, to, ..)| (*from, *to)).collect();
    assert!(hops.contains(&(4, other)), "{hops:?}");
    let is_closed = |(_, node, id, action): &(_, usize, LinkId, LinkAction)| {
        (*node, *id) == (4, link) && matches!(action, LinkAction::Close)
    };
    assert!(!net.actions.iter().any(is_closed));
    net.run(Duration::from_secs(60));
    net.assert_ring(3);
    net.ask(other, Command::Publish(spec)).expect("stored");
}

/// Of two links to a node one is gone: what it has swallowed goes over the other one.
#[test]
fn what_one_link_swallows_goes_over_the_other() {
    for seed in 70..74 {
        let mut net = Net::ring(seed, 6);
        let new = net.add();
        net.join(new, 0);
        let retired = (0..400).find_map(|_| {
            net.run(LATENCY / 4);
            let ours = net.actions.iter().filter(|(_, node, ..)| *node == new);
            let mut retired = ours.filter(|(.., action)| matches!(action, LinkAction::Retire));
            retired.next().map(|(_, _, link, _)| *link)
        });
        let retired = retired.expect("the link that it dialled is not needed any more");
        net.run(LATENCY * 2);
        net.loss_permille = 1000;
        let request = net.command(new, Command::Ping(net.id(0).into()));
        net.loss_permille = 0;
        net.undelivered_on(new, retired);
        net.run(LATENCY * 2 + Duration::from_millis(1));
        assert!(is_done(&net, request), "seed {seed}: not answered before it is asked again");
    }
}

/// Who has just joined gives up its link to the bootstrap node, and who becomes a client too; what
/// was asked over it is answered all the same.
#[test]
fn answers_come_over_a_link_that_is_not_needed_any_more() {
    for seed in 70..74 {
        for command in [Command::Join, Command::Connect] {
            let mut net = ring(seed);
            let bootstrap = net.joined()[0];
            let of = net.joined();
            let new = net.add();
            net.command(new, command(vec![Net::address(bootstrap)]));
            let mut requests = Vec::new();
            for round in 0..400 {
                if net.peer(new).is_in_overlay() {
                    let spec = net.fetch_spec(of[round % of.len()]);
                    requests.push(net.command(new, Command::Fetch(spec)));
                }
                net.run(LATENCY / 4);
            }
            net.run(Duration::from_secs(30));
            assert!(!requests.is_empty());
            assert_found_at_once(&net, &requests);
            let before = net.now - Duration::from_secs(3);
            let retired = net
                .actions
                .iter()
                .filter(|(at, _, _, action)| *at < before && matches!(action, LinkAction::Retire));
            let is_kept: Vec<bool> = retired.map(|(_, node, id, _)| net.has(*node, *id)).collect();
            assert!(!is_kept.is_empty() && !is_kept.contains(&true), "seed {seed}");
        }
    }
}
