//! Peers next to each other that cannot be linked, though others can with both.

use std::time::Duration;

use super::net::Net;
use crate::base::NodeId;
use crate::peer::*;
use crate::storage::resource_id;

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// A ring of ten in which everybody has registered, a node that joins and cannot reach these of
/// its neighbours, and the ring's nodes in their order behind it.
fn joined_behind_walls(seed: u64, walls: &[isize]) -> (Net, usize, Vec<usize>) {
    joined_behind_walls_within(seed, walls, seconds(4))
}

fn joined_behind_walls_within(
    seed: u64,
    walls: &[isize],
    time: Duration,
) -> (Net, usize, Vec<usize>) {
    let mut net = Net::ring(seed, 10);
    for node in 0..10 {
        let spec = net.registration(node);
        net.ask(node, Command::Publish(spec)).expect("stored");
    }
    let joiner = net.add();
    let own = net.id(joiner).to_u128();
    let mut line: Vec<usize> = (0..10).collect();
    line.sort_by_key(|node| net.id(*node).to_u128().wrapping_sub(own));
    let walled: Vec<usize> = walls.iter().map(|place| at(&line, *place)).collect();
    net.walls.extend(walled.iter().map(|node| (joiner, *node)));
    let through = line.iter().find(|node| !walled.contains(node)).copied().expect("one is left");
    net.join(joiner, through);
    net.run(time);
    let spec = net.registration(joiner);
    net.ask(joiner, Command::Publish(spec)).expect("stored");
    (net, joiner, line)
}

/// The first successor is 1, the first predecessor -1.
fn at(line: &[usize], place: isize) -> usize {
    let from = if place > 0 { place - 1 } else { place };
    line[from.rem_euclid(line.len() as isize) as usize]
}

fn assert_all_found(net: &mut Net, what: &str) {
    for from in net.joined() {
        for of in net.joined() {
            let found = net.fetch(from, of).map(|fetched| fetched.values.len());
            assert_eq!(found, Ok(1), "{what}: {from} looks {of} up");
        }
    }
}

/// The value of a node's user as the node that is responsible for it has it.
fn is_at_its_owner(net: &Net, of: usize) -> bool {
    let resource = resource_id(net.user(of).as_bytes());
    let k = resource.to_u128().expect("16 bytes");
    let ahead = |node: &usize| net.id(*node).to_u128().wrapping_sub(k);
    let owner = net.joined().into_iter().min_by_key(ahead).expect("a peer");
    net.peer(owner).storage().holds(&resource)
}

/// R6940-10.1-01: who cannot be linked to a neighbour that is there does not take that one's part
/// of the ring for its own, and whatever either of them keeps is found by everybody.
#[test]
fn a_neighbor_that_cannot_be_linked_to_keeps_its_range() {
    for (seed, walls) in
        [(21, &[-1][..]), (22, &[-1, -2]), (23, &[2]), (24, &[-1, -2, -3, -4, -5]), (25, &[-1, 2])]
    {
        let what = format!("walls to {walls:?}");
        let (mut net, joiner, line) = joined_behind_walls(seed, walls);
        let before: NodeId = net.id(at(&line, -1));
        for wait in [0, 30, 400] {
            net.run(seconds(wait));
            assert_eq!(net.peer(joiner).chord.range_start(), before, "{what} after {wait} s");
            let lost: Vec<usize> =
                net.joined().into_iter().filter(|n| !is_at_its_owner(&net, *n)).collect();
            assert!(lost.is_empty(), "{what}: {lost:?} are not at who is responsible");
            assert_all_found(&mut net, &what);
        }
    }
}

/// R6940-10.1-01: who cannot be linked to the peer that should admit it is admitted by the next one
/// behind that, and what belongs to either of the two is found.
#[test]
fn who_cannot_be_linked_to_its_admitting_peer_joins_behind_it() {
    for (seed, walls) in [(41, &[1][..]), (42, &[1, 2]), (43, &[1, -1]), (44, &[1, 2, 3])] {
        let what = format!("walls to {walls:?}");
        let (mut net, joiner, line) = joined_behind_walls_within(seed, walls, seconds(60));
        for wait in [0, 60, 400] {
            net.run(seconds(wait));
            let before = net.id(at(&line, -1));
            assert_eq!(net.peer(joiner).chord.range_start(), before, "{what} after {wait} s");
            let admitting = net.peer(at(&line, 1)).chord.range_start();
            assert_eq!(admitting, net.id(joiner), "{what} after {wait} s");
            assert_all_found(&mut net, &what);
        }
    }
}

/// R6940-10.7.1-01: such a neighbour dies, and its part of the ring is taken over as any other.
#[test]
fn a_neighbor_that_could_not_be_linked_to_dies() {
    let (mut net, joiner, line) = joined_behind_walls(31, &[-1]);
    net.run(seconds(60));
    net.kill(at(&line, -1));
    net.run(seconds(60));
    assert_eq!(net.peer(joiner).chord.range_start(), net.id(at(&line, -2)));
    assert_all_found(&mut net, "after the death");
}

/// The wall falls, and the two are linked in the end.
#[test]
fn who_can_be_reached_later_is_linked_to() {
    let (mut net, joiner, line) = joined_behind_walls(32, &[-1, 2]);
    net.run(seconds(60));
    net.walls.clear();
    net.run(seconds(900));
    net.assert_ring(3);
    let before = net.id(at(&line, -1));
    assert!(net.peer(joiner).neighbors().0.contains(&before));
    assert_eq!(net.peer(joiner).chord.unlinked().count(), 0);
}

/// R6940-10.1-01: two families of addresses, and one peer that has both. Whoever is admitted by a
/// peer that cannot be linked to the one before it learns of that one, leaves it its range, and
/// finds at once what is kept there. Whoever cannot be linked to the only other peer than that one
/// joins too.
#[test]
fn two_families_meet_at_one_peer() {
    for (seed, no_path_after) in (80..120).zip([1, 4, 7, 20].into_iter().cycle()) {
        let mut net = Net::new(seed);
        net.no_path_after = seconds(no_path_after);
        let both = net.add();
        net.command(both, Command::Found);
        let spec = net.registration(both);
        net.ask(both, Command::Publish(spec)).expect("stored");
        for (is_other, stays) in [(false, true), (false, false), (true, true), (true, true)] {
            let node = net.add();
            net.walls.extend([1, 2].map(|old| (node, old)).into_iter().filter(|_| is_other));
            net.join(node, both);
            let end = net.now + seconds(60);
            while !net.peer(node).is_in_place() && net.now < end {
                net.run(Duration::from_millis(1));
            }
            assert!(net.peer(node).is_joined(), "{node} of seed {seed}");
            let found = net.fetch(node, both).map(|fetched| fetched.values.len());
            assert_eq!(found, Ok(1), "{node} of seed {seed}");
            if !stays {
                net.command(node, Command::Leave);
            }
            net.run(seconds(3));
        }
    }
}
