//! Tables of rings that are known completely.

use super::*;
use crate::base::Rng;

fn id(number: u128) -> NodeId {
    NodeId::from_u128(number)
}

fn chord(own: u128, peers: &[u128]) -> Chord {
    let mut chord = Chord::new(id(own));
    chord.set_joined(true);
    for peer in peers {
        chord.insert(id(*peer));
    }
    chord
}

fn resource(number: u128) -> Destination {
    ResourceId::from_u128(number).into()
}

/// R6940-10.1-02, R6940-10.7.3-04: neighbours on both sides, nearest first, never ourselves.
#[test]
fn neighbors_are_the_nearest_on_each_side() {
    let chord = chord(50, &[10, 20, 30, 40, 60, 70, 80, 90, 95]);
    assert_eq!(chord.predecessors(), [id(40), id(30), id(20), id(10)]);
    assert_eq!(chord.successors(), [id(60), id(70), id(80), id(90)]);
    let small = self::chord(50, &[50, 60]);
    assert_eq!((small.predecessors(), small.successors()), (&[id(60)][..], &[id(60)][..]));
    let alone = self::chord(50, &[]);
    assert!(alone.neighbors().is_empty() && alone.is_responsible(&resource(7)));
}

/// R6940-10.7.1-01, R6940-10.7.2-01: a lost peer's place is taken at once by the next best one.
#[test]
fn a_lost_neighbor_is_replaced() {
    let mut chord = chord(50, &[40, 60, 70, 80, 90, 1000]);
    let change = chord.remove(id(60));
    assert!(change.neighbors && !change.range);
    assert_eq!(chord.successors(), [id(70), id(80), id(90), id(1000)]);
    assert!(chord.remove(id(40)).range);
    assert_eq!(chord.next_hop(&resource(55)), Some(id(70)));
}

/// R6940-10.3-01, R6940-10.3-02, R6940-10.3-03: outside the Neighbor Table the next hop is that
/// of the RFC's rule; inside, it is the responsible peer itself.
#[test]
fn next_hops_follow_the_rule() {
    let mut rng = Rng::from_number(5);
    for _ in 0..300 {
        let mut random = || u128::from_be_bytes(rng.bytes());
        let own = random();
        let peers: Vec<u128> = (0..12).map(|_| random()).collect();
        let chord = chord(own, &peers);
        let k = random();
        if chord.is_responsible(&resource(k)) {
            continue;
        }
        let between = peers.iter().filter(|p| **p != k && ring::in_range(**p, own, k));
        let largest = between.max_by_key(|p| ring::distance(own, **p));
        let smallest = peers.iter().min_by_key(|p| ring::distance(k, **p));
        let rule = largest.or(smallest).map(|p| id(*p));
        let owner = smallest.map(|p| id(*p));
        let hop = chord.next_hop(&resource(k));
        let neighbor = owner.filter(|o| {
            let last = chord.predecessors().last().copied();
            chord.neighbors().contains(o) && Some(*o) != last
        });
        assert_eq!(hop, neighbor.or(rule));
    }
}

/// R6940-6.3.4-02: who is farther from a resource than one of our neighbours may not answer.
#[test]
fn answers_come_from_the_nearest() {
    let chord = chord(50, &[40, 60]);
    let at = |k| ResourceId::from_u128(k);
    assert!(chord.may_answer(&at(55), id(60)) && chord.may_answer(&at(55), id(57)));
    assert!(!chord.may_answer(&at(55), id(61)) && !chord.may_answer(&at(55), id(40)));
}

/// R6940-10.5-12, R6940-10.7.4.3-01: fingers are sought from the opposite point on, as far in as
/// the last successor, up to 128 of them.
#[test]
fn fingers_reach_from_the_opposite_point_to_the_last_successor() {
    let mut ring = chord(0, &[1, 2, 3, 4, u128::MAX]);
    assert_eq!(ring.new_finger(), Some(ResourceId::from_u128(1 << 126)));
    let sought = std::iter::from_fn(|| ring.new_finger()).count();
    assert_eq!(sought, 128 - 5);
    let mut small = chord(0, &[1 << 20, 1 << 90]);
    assert_eq!(small.new_finger(), None);
}

/// R6940-10.7.4.2-01, R6940-10.7.4.2-02, R6940-10.7.4.2-03: a missing finger is searched at a
/// random place of its range, far ones twice as often as the next.
#[test]
fn stale_fingers_are_searched_at_random() {
    let chord = chord(0, &[1 << 100, 2 << 100, 3 << 100, 4 << 100, u128::MAX]);
    let mut rng = Rng::from_number(9);
    let mut found = [0u32; 129];
    let mut places = BTreeSet::new();
    for _ in 0..4000 {
        let place = chord.stale_finger(&mut rng).and_then(|r| r.to_u128()).expect("missing");
        found[place.leading_zeros() as usize + 1] += 1;
        places.insert(place);
    }
    assert_eq!(found[1], 0, "the opposite half has a peer");
    assert!(found[2] > 1600 && found[2] < 2400 && found[3] > 700 && found[3] < 1300);
    assert!(places.len() > 3990);
}

/// R6940-6.1.2-01: with full tables every resource is reached in few hops.
#[test]
fn lookups_are_short() {
    let mut rng = Rng::from_number(1);
    let count = 512;
    let all: BTreeSet<u128> = (0..count).map(|_| u128::from_be_bytes(rng.bytes())).collect();
    let nodes: Vec<u128> = all.iter().copied().collect();
    let owner = |k: u128| ring::clockwise(&all, k.wrapping_sub(1)).next().expect("not empty");
    let mut tables: std::collections::BTreeMap<NodeId, Chord> =
        nodes.iter().map(|n| (id(*n), chord(*n, &[]))).collect();
    for node in &nodes {
        let mut near: Vec<u128> = ring::clockwise(&all, *node).take(NEIGHBORS).collect();
        near.extend(ring::anticlockwise(&all, *node).take(NEIGHBORS));
        let table = tables.get_mut(&id(*node)).expect("known");
        near.iter().for_each(|n| {
            table.insert(id(*n));
        });
        while let Some(target) = tables.get_mut(&id(*node)).and_then(Chord::new_finger) {
            let finger = owner(target.to_u128().expect("16 bytes"));
            tables.get_mut(&id(*node)).expect("known").insert(id(finger));
            tables.get_mut(&id(finger)).expect("known").insert(id(*node));
        }
    }
    let mut hops = 0;
    for _ in 0..2000 {
        let k = u128::from_be_bytes(rng.bytes());
        let mut at = id(nodes[rng.below(count) as usize]);
        for step in 0.. {
            assert!(step <= 18, "twice the logarithm");
            if tables[&at].is_responsible(&resource(k)) {
                break;
            }
            at = tables[&at].next_hop(&resource(k)).expect("a peer");
            hops += 1;
        }
        assert_eq!(at, id(owner(k)));
    }
    assert!(f64::from(hops) / 2000.0 < 0.6 * 9.0, "{hops} hops in 2000 lookups");
}
