//! Joins step by step, joins that are disturbed, and who hears of what.

use std::time::Duration;

use super::net::{Delivered, Net};
use crate::base::{NodeId, ResourceId, Rng};
use crate::crypto::CheapProvider;
use crate::message::{
    Attach, ChordUpdate, ChordUpdateContents, Destination, ForwardingHeader, Fragment, MessageCode,
    MessageContents, Method, Packet, decode_body,
};
use crate::peer::*;
use crate::routing::Topology;
use crate::storage::resource_id;

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn is(delivered: &Delivered, from: usize, code: MessageCode) -> bool {
    delivered.1 == from && delivered.3 == Some(code)
}

fn has_joined(net: &Net, node: usize) -> bool {
    net.events.iter().any(|(n, event)| *n == node && matches!(event, Event::Joined))
}

fn has_failed(net: &Net, node: usize) -> bool {
    net.events.iter().any(|(n, event)| *n == node && matches!(event, Event::JoinFailed(_)))
}

/// Lets time pass until something is so.
fn run_until(net: &mut Net, is_so: impl Fn(&Net) -> bool) {
    for _ in 0..20_000 {
        if is_so(net) {
            return;
        }
        net.run(Duration::from_millis(1));
    }
    panic!("it has not happened in 20 s");
}

/// What an Update says.
fn told(net: &Net, update: &Delivered) -> ChordUpdateContents {
    let body = update.4.open(16).expect("whole").contents.body;
    let update: ChordUpdate = decode_body(&body, net.id(update.1)).expect("an Update");
    update.contents
}

/// The peers that an Update tells of.
fn listed(net: &Net, update: &Delivered) -> Vec<NodeId> {
    match told(net, update) {
        ChordUpdateContents::PeerReady => Vec::new(),
        ChordUpdateContents::Neighbors { predecessors, successors }
        | ChordUpdateContents::Full { predecessors, successors, .. } => {
            predecessors.into_iter().chain(successors).collect()
        }
    }
}

/// R6940-10.5-02, R6940-10.5-03, R6940-10.5-04, R6940-10.5-05, R6940-10.5-08, R6940-11.4-01: the
/// joining node attaches through a bootstrap node to the place behind its own and asks for an
/// Update; it has sent an Attach to every neighbour before its Join, which is answered; all of
/// them become its neighbours, and those of the admitting peer hear of it from that one.
#[test]
fn a_join_step_by_step() {
    let mut net = Net::ring(4, 8);
    let joiner = net.add();
    let begin = net.trace.len();
    net.join(joiner, 0);
    net.run(seconds(10));
    let trace = &net.trace[begin..];
    let first = trace.iter().find(|t| t.1 == joiner).expect("a message");
    assert!(is(first, joiner, Method::Attach.request()) && first.2 == 0);
    let next = ResourceId::from_u128(net.id(joiner).to_u128().wrapping_add(1));
    assert_eq!(first.4.header.destination_list, [next.into()]);
    let body = first.4.open(16).expect("whole").contents.body;
    assert!(decode_body::<Attach>(&body, net.id(joiner)).expect("an Attach").send_update);

    let join = trace.iter().position(|t| is(t, joiner, Method::Join.request())).expect("a Join");
    let admitting = trace[join].2;
    let attached: Vec<Destination> = trace[..join]
        .iter()
        .filter(|t| is(t, joiner, Method::Attach.request()))
        .filter_map(|t| t.4.header.destination_list.last().cloned())
        .collect();
    let (predecessors, successors) = net.peer(joiner).neighbors();
    for neighbor in predecessors.iter().chain(successors).filter(|n| **n != net.id(admitting)) {
        assert!(attached.contains(&(*neighbor).into()), "{neighbor}");
    }
    for contacted in attached.iter().filter_map(Destination::node) {
        assert!(predecessors.contains(&contacted) || successors.contains(&contacted));
    }
    assert!(trace[join..].iter().any(|t| is(t, admitting, Method::Join.answer()) && t.2 == joiner));
    let told: Vec<NodeId> = trace[join..]
        .iter()
        .filter(|t| is(t, admitting, Method::Update.request()))
        .filter(|t| t.2 == joiner || listed(&net, t).contains(&net.id(joiner)))
        .map(|t| net.id(t.2))
        .collect();
    let (predecessors, successors) = net.peer(admitting).neighbors();
    assert!(predecessors.iter().chain(successors).all(|n| told.contains(n)));
}

/// R6940-10.5-11: who does not get the admitting peer's tables finds its successors by Pings to the
/// place behind its own, the place behind whoever answers, and so on, and joins all the same.
#[test]
fn a_join_without_the_admitting_peers_tables() {
    for count in [1, 2, 8] {
        let mut net = Net::ring(4, count);
        let joiner = net.add();
        let own = net.id(joiner).to_u128();
        let mut ring: Vec<NodeId> = (0..count).map(|node| net.id(node)).collect();
        ring.sort_by_key(|id| id.to_u128().wrapping_sub(own));
        net.unheard.insert((joiner, Method::Update));
        let begin = net.trace.len();
        net.join(joiner, 0);
        let sent = |net: &Net, method: Method| -> Vec<Option<Destination>> {
            let requests = net.trace[begin..].iter().filter(|t| is(t, joiner, method.request()));
            requests.map(|t| t.4.header.destination_list.last().cloned()).collect()
        };
        run_until(&mut net, |net| !sent(net, Method::Join).is_empty());
        let behind = |id: u128| Some(ResourceId::from_u128(id.wrapping_add(1)).into());
        let places = [own].into_iter().chain(ring.iter().map(|id| id.to_u128()));
        let expected: Vec<_> = places.take(net.peer(joiner).chord.side()).map(behind).collect();
        assert_eq!(sent(&net, Method::Ping), expected, "{count} peers");
        for successor in ring.iter().skip(1).take(3) {
            assert!(sent(&net, Method::Attach).contains(&Some((*successor).into())), "{successor}");
        }
        assert!(!has_joined(&net, joiner));
        net.unheard.clear();
        net.run(seconds(10));
        assert!(has_joined(&net, joiner) && !has_failed(&net, joiner));
        net.assert_ring(3);
    }
}

/// R6940-6.4.2.1-05: at the moment at which it becomes responsible it has everything.
#[test]
fn a_new_peer_has_everything_from_the_first_moment() {
    let mut net = Net::ring(4, 8);
    for node in net.joined() {
        let spec = net.registration(node);
        net.ask(node, Command::Publish(spec)).expect("stored");
    }
    net.run(seconds(5));
    let resources: Vec<ResourceId> =
        (0..8).map(|node| resource_id(net.user(node).as_bytes())).collect();
    let last = resources[3].to_u128().expect("16 bytes");
    let joiner = net.add_at(NodeId::from_u128(last.wrapping_add(1)));
    net.join(joiner, 0);
    run_until(&mut net, |net| has_joined(net, joiner));
    let owner = |resource: &ResourceId| {
        let k = resource.to_u128().expect("16 bytes");
        (0..9).min_by_key(|node| net.id(*node).to_u128().wrapping_sub(k))
    };
    let own: Vec<_> = resources.iter().filter(|r| owner(r) == Some(joiner)).collect();
    assert!(!own.is_empty());
    assert!(own.iter().all(|resource| net.peer(joiner).storage().holds(resource)));
}

/// R6940-10.5-06, R6940-10.5-07: the Update that makes it responsible comes right behind the Stores
/// and waits for no answers to them.
#[test]
fn a_new_peer_waits_for_no_answers_to_stores() {
    let mut net = Net::ring(4, 8);
    for node in net.joined() {
        let spec = net.registration(node);
        net.ask(node, Command::Publish(spec)).expect("stored");
    }
    net.run(seconds(5));
    let place = resource_id(net.user(3).as_bytes()).to_u128().expect("16 bytes");
    let joiner = net.add_at(NodeId::from_u128(place.wrapping_add(1)));
    let begin = net.trace.len();
    net.join(joiner, 0);
    run_until(&mut net, |net| has_joined(net, joiner));
    let trace = &net.trace[begin..];
    let to_it = |method: Method| {
        trace.iter().filter(move |t| t.2 == joiner && t.3 == Some(method.request()))
    };
    let last_store = to_it(Method::Store).next_back().expect("a Store");
    let update = to_it(Method::Update).next_back().expect("an Update");
    assert_eq!(last_store.0, update.0);
}

/// Who admits a node passes nothing on: it finds its neighbours all the same and takes no more of
/// the ring than its own part.
#[test]
fn an_admitting_peer_that_passes_nothing_on_is_gone_around() {
    let mut net = Net::ring(4, 12);
    let joiner = net.add();
    let own = net.id(joiner).to_u128();
    let mut line: Vec<usize> = (0..12).collect();
    line.sort_by_key(|node| net.id(*node).to_u128().wrapping_sub(own));
    net.mute.insert(line[0]);
    net.join(joiner, line[6]);
    net.run(seconds(20));
    assert!(has_joined(&net, joiner));
    let (predecessors, successors) = net.peer(joiner).neighbors();
    assert_eq!(predecessors[..2], [net.id(line[11]), net.id(line[10])]);
    assert_eq!(successors[0], net.id(line[0]));
}

/// R6940-6.4.2.1-06: an answer to the Join that somebody else has signed is no answer.
#[test]
fn a_forged_answer_to_a_join_is_ignored() {
    let mut net = Net::ring(4, 8);
    let joiner = net.add();
    let behind = |node: &usize| net.id(*node).to_u128().wrapping_sub(net.id(joiner).to_u128());
    let successor = (0..8).min_by_key(behind).expect("a peer");
    let other = usize::from(successor == 0);
    let begin = net.trace.len();
    net.join(joiner, other);
    let join = Method::Join.request();
    run_until(&mut net, |net| net.trace[begin..].iter().any(|t| is(t, joiner, join)));
    let sent = net.trace[begin..].iter().find(|t| is(t, joiner, join)).expect("a Join");
    let (admitting, transaction_id) = (sent.2, sent.4.header.transaction_id);
    assert_ne!(admitting, other, "the forger is another one");
    let forger = CheapProvider.identity(net.id(other), net.user(other)).expect("an identity");
    let ignored = net.peer(joiner).counters().dropped();
    for (code, body) in
        [(MessageCode::ERROR, vec![0, 2, 0, 0]), (Method::Join.answer(), vec![0; 2])]
    {
        let header = ForwardingHeader {
            overlay: net.config.overlay,
            configuration_sequence: net.config.sequence,
            ttl: 100,
            fragment: Fragment::WHOLE,
            transaction_id,
            max_response_length: 0,
            via_list: Vec::new(),
            destination_list: vec![net.id(joiner).into()],
            options: Vec::new(),
        };
        let contents = MessageContents::new(code, body);
        let packet = Packet::seal(header, &contents, &forger, &[]).expect("short");
        net.inject(other, joiner, packet.encode().expect("short"));
    }
    assert_eq!(net.peer(joiner).counters().dropped() - ignored, 2);
    assert!(!has_joined(&net, joiner));
    net.run(seconds(5));
    assert!(has_joined(&net, joiner) && !has_failed(&net, joiner));
}

/// R6940-10.5-13: who cannot be attached to is waited for before others hear of the new peer, and
/// then left out.
#[test]
fn no_update_before_the_neighbors_are_attached() {
    for is_blocked in [false, true] {
        let mut net = Net::ring(4, 8);
        let joiner = net.add();
        let behind = |node: &usize| net.id(joiner).to_u128().wrapping_sub(net.id(*node).to_u128());
        let predecessor = (0..8).min_by_key(behind).expect("a peer");
        if is_blocked {
            net.walls.insert((joiner, predecessor));
        }
        let begin = net.trace.len();
        net.join(joiner, usize::from(predecessor == 0));
        run_until(&mut net, |net| has_joined(net, joiner));
        net.run(seconds(4));
        let has_told =
            |net: &Net| net.trace[begin..].iter().any(|t| is(t, joiner, Method::Update.request()));
        assert_eq!(has_told(&net), !is_blocked);
        net.run(seconds(3));
        assert!(has_told(&net));
    }
}

/// The admitting peer dies, or the link to it breaks, at any moment of a join: the node joins in
/// the end, and the ring is whole.
#[test]
fn a_disturbed_join_succeeds_later() {
    for (at_ms, is_killed) in [60, 110, 130, 150, 170, 200].into_iter().zip([true, false].repeat(3))
    {
        let mut net = Net::ring(4, 9);
        let joiner = net.add();
        let ahead = |node: &usize| net.id(*node).to_u128().wrapping_sub(net.id(joiner).to_u128());
        let admitting = (0..9).min_by_key(ahead).expect("a peer");
        let through = usize::from(admitting == 0);
        net.join(joiner, through);
        net.run(Duration::from_millis(at_ms));
        match is_killed {
            true => net.kill(admitting),
            false => net.cut_between(joiner, admitting),
        }
        // Two that have lost each other hear of each other by the next periodic Updates.
        net.run(seconds(1000));
        assert_eq!(net.joined().len(), 10 - usize::from(is_killed), "after {at_ms} ms");
        net.assert_ring(3);
    }
}

/// R6940-10.7.1-04, R6940-10.7.3-08: whose range changes tells everybody that it is linked to.
#[test]
fn all_links_hear_of_a_new_range() {
    let mut net = Net::ring(90, 24);
    net.run(seconds(120));
    let node = 7;
    let lost = net.peer(node).neighbors().0[0];
    let victim = (0..24).find(|n| net.id(*n) == lost).expect("a peer");
    net.kill(victim);
    let begin = net.trace.len();
    net.run(seconds(130));
    let told: Vec<NodeId> = net.trace[begin..]
        .iter()
        .filter(|t| is(t, node, Method::Update.request()))
        .map(|t| net.id(t.2))
        .collect();
    let linked = net.peer(node).links.nodes();
    assert!(linked.len() > net.peer(node).chord.neighbors().len(), "fingers too");
    assert!(linked.iter().all(|linked| told.contains(linked)));
}

/// R6940-10.7.1-05: a lost neighbour is none until it can be reached again.
#[test]
fn a_lost_neighbor_comes_back() {
    let mut net = Net::ring(91, 10);
    let lost = net.peer(2).neighbors().1[0];
    let other = (0..10).find(|n| net.id(*n) == lost).expect("a peer");
    net.walls.insert((2, other));
    net.cut_between(2, other);
    for _ in 0..10 {
        net.run(seconds(30));
        let (predecessors, successors) = net.peer(2).neighbors();
        assert!(!predecessors.contains(&lost) && !successors.contains(&lost));
    }
    net.walls.clear();
    net.run(seconds(1500));
    assert_eq!(net.peer(2).neighbors().1[0], lost);
    net.assert_ring(3);
}

/// R6940-10.7.4.1-02: the periodic Updates of a peer come one by one, at irregular times.
#[test]
fn periodic_updates_are_spread() {
    let mut net = Net::ring(12, 10);
    net.run(seconds(900));
    let begin = net.trace.len();
    net.run(seconds(3000));
    let updates = net.trace[begin..].iter().filter(|t| is(t, 0, Method::Update.request()));
    // Whoever asks for all our tables gets them at once.
    let unasked = updates.filter(|t| !matches!(told(&net, t), ChordUpdateContents::Full { .. }));
    let times: Vec<_> = unasked.map(|t| t.0).collect();
    let gaps: Vec<_> = times.windows(2).map(|t| t[1].saturating_since(t[0])).collect();
    let (least, most) = (gaps.iter().min().expect("some"), gaps.iter().max().expect("some"));
    assert!(gaps.len() > 20 && *least > seconds(10) && *most > least.mul_f64(1.3));
}

/// R6940-10.5-01: several join at once, also in one peer's range, and each finds everything as soon
/// as it is a peer.
#[test]
fn those_who_join_at_once_find_everything() {
    for seed in (560..580).chain([644]) {
        let mut net = Net::ring(seed, 8);
        for node in 0..8 {
            let spec = net.registration(node);
            net.ask(node, Command::Publish(spec)).expect("stored");
        }
        net.run(seconds(5));
        let mut joining: Vec<usize> = (0..5).map(|_| net.add()).collect();
        for node in &joining {
            net.join(*node, 0);
        }
        let end = net.now + seconds(30);
        while !joining.is_empty() && net.now < end {
            net.run(Duration::from_millis(1));
            let joined: Vec<usize> = joining.extract_if(.., |n| net.peer(*n).is_joined()).collect();
            for node in joined {
                for of in 0..8 {
                    let found = net.fetch(node, of).map(|fetched| fetched.values.len());
                    assert_eq!(found, Ok(1), "{node} looks {of} up, seed {seed}");
                }
            }
        }
        assert!(joining.is_empty(), "{joining:?} of seed {seed}");
    }
}

/// R6940-10.5-01, R6940-6.4.2.3-02: a ring comes up all at once, and each of it registers as soon
/// as it is a peer, perhaps with somebody who is not responsible any more. Who joins then finds
/// everybody.
#[test]
fn those_who_come_up_together_are_found() {
    for seed in [6, 146, 148, 161, 187] {
        let mut net = Net::new(seed);
        let nodes: Vec<usize> = (0..8).map(|_| net.add()).collect();
        net.command(nodes[0], Command::Found);
        let spec = net.registration(nodes[0]);
        net.command(nodes[0], Command::Publish(spec));
        let mut moments = Rng::from_number(seed);
        for node in &nodes[1..] {
            net.run(Duration::from_millis(moments.below(60)));
            net.join(*node, 0);
        }
        let mut silent = nodes[1..].to_vec();
        while !silent.is_empty() {
            run_until(&mut net, |net| silent.iter().any(|node| net.peer(*node).is_joined()));
            let at = silent.iter().position(|node| net.peer(*node).is_joined()).expect("one");
            let node = silent.remove(at);
            let spec = net.registration(node);
            net.ask(node, Command::Publish(spec)).expect("stored");
        }
        let mut late = vec![net.add(), net.add()];
        for node in &late {
            net.join(*node, 0);
        }
        while !late.is_empty() {
            run_until(&mut net, |net| late.iter().any(|node| net.peer(*node).is_joined()));
            let at = late.iter().position(|node| net.peer(*node).is_joined()).expect("one");
            let node = late.remove(at);
            for of in &nodes {
                let found = net.fetch(node, *of).map(|fetched| fetched.values.len());
                assert_eq!(found, Ok(1), "{node} looks {of} up, seed {seed}");
            }
        }
    }
}

/// Who is told to join again while it dials dials anew, and gives up what it dialled before; the
/// last way that it is told leads in.
#[test]
fn a_join_that_is_asked_for_again_dials_anew() {
    let mut net = Net::ring(51, 3);
    let node = net.add();
    for nobody in 100..300 {
        net.join(node, nobody);
    }
    assert!(net.peer(node).links.len() <= 8, "{} links", net.peer(node).links.len());
    net.join(node, 0);
    run_until(&mut net, |net| has_joined(net, node));
}
