//! Tables of rings that are known completely.

use std::collections::BTreeMap;

use super::*;
use crate::base::Rng;

fn id(number: u128) -> NodeId {
    NodeId::from_u128(number)
}

fn chord(own: u128, peers: &[u128]) -> Chord {
    let mut chord = Chord::new(id(own), Table::Wide, 36);
    chord.set_joined(true);
    for peer in peers {
        chord.insert(id(*peer));
    }
    chord
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
    assert!(alone.neighbors().is_empty() && alone.is_responsible(7));
}

/// R6940-10.7.1-01, R6940-10.7.2-01: a lost peer's place is taken at once by the next best one.
#[test]
fn a_lost_neighbor_is_replaced() {
    let mut chord = chord(50, &[40, 60, 70, 80, 90, 1000]);
    let change = chord.remove(id(60));
    assert!(change.neighbors && !change.range);
    assert_eq!(chord.successors(), [id(70), id(80), id(90), id(1000)]);
    assert!(chord.remove(id(40)).range);
    assert_eq!(chord.next_hop(55), Some(id(70)));
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
        if chord.is_responsible(k) {
            continue;
        }
        let between = peers.iter().filter(|p| **p != k && ring::in_range(**p, own, k));
        let largest = between.max_by_key(|p| ring::distance(own, **p));
        let smallest = peers.iter().min_by_key(|p| ring::distance(k, **p));
        let rule = largest.or(smallest).map(|p| id(*p));
        let owner = smallest.map(|p| id(*p));
        let hop = chord.next_hop(k);
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
    assert!(chord.may_answer(&at(55), id(60), &[]) && chord.may_answer(&at(55), id(57), &[]));
    assert!(!chord.may_answer(&at(55), id(61), &[]) && !chord.may_answer(&at(55), id(40), &[]));
    assert!(chord.may_answer(&at(55), id(61), &[id(60)]), "it could not be reached");
}

/// A peer leaves out whom it should name, and not whom its lists do not reach.
#[test]
fn who_is_left_out() {
    let chord = chord(50, &[10, 20, 30, 40, 60, 70, 80, 90]);
    let left_out = |predecessors: &[u128], successors: &[u128]| {
        let [predecessors, successors] =
            [predecessors, successors].map(|list| list.iter().map(|n| id(*n)).collect::<Vec<_>>());
        chord.left_out(id(60), &predecessors, &successors)
    };
    assert_eq!(left_out(&[50, 40, 30, 20], &[70, 80, 90]), []);
    assert_eq!(left_out(&[50, 30, 20], &[80, 90]), [id(40), id(70)]);
    assert_eq!(left_out(&[50], &[70]), []);
}

/// Whom a peer has always left out it leaves out for good; whoever it named meanwhile, or was lost
/// meanwhile, is news again.
#[test]
fn who_is_left_out_is_news_once() {
    let mut chord = chord(50, &[10, 20, 30, 40, 60, 70, 80, 90]);
    assert_eq!(chord.newly_left_out(id(60), &[id(40)]), [id(40)]);
    assert_eq!(chord.newly_left_out(id(60), &[id(40), id(70)]), [id(70)]);
    assert_eq!(chord.newly_left_out(id(70), &[id(40)]), [id(40)], "another one says so");
    assert_eq!(chord.newly_left_out(id(60), &[id(70)]), []);
    assert_eq!(chord.newly_left_out(id(60), &[id(40), id(70)]), [id(40)]);
    chord.remove(id(40));
    chord.insert(id(40));
    assert_eq!(chord.newly_left_out(id(60), &[id(40), id(70)]), [id(40)]);
    assert_eq!(chord.newly_left_out(id(65), &[id(40)]), [], "it is not linked to us");
}

/// The range of a node that comes before us, or before a predecessor of ours.
#[test]
fn ranges_between_predecessors() {
    let ranges = |chord: &Chord, nodes: &[u128]| -> Vec<_> {
        let ends = |(start, owner): (NodeId, NodeId)| (start.to_u128(), owner.to_u128());
        nodes.iter().map(|node| chord.range_for(id(*node)).map(ends)).collect()
    };
    let many = chord(50, &[10, 20, 30, 40, 60, 70, 80, 90]);
    let known = [Some((40, 50)), Some((30, 40)), Some((10, 20)), None, None, None];
    assert_eq!(ranges(&many, &[45, 35, 15, 40, 5, 55]), known);
    let known = [Some((10, 50)), Some((50, 10)), Some((50, 10)), None];
    assert_eq!(ranges(&chord(50, &[10]), &[45, 5, 55, 10]), known);
}

/// The responsible peer among those before us, as far as we know them.
#[test]
fn predecessors_are_responsible() {
    let chord = chord(50, &[10, 20, 30, 40, 60, 70, 80, 90]);
    let owner = |k| chord.responsible_predecessor(&ResourceId::from_u128(k));
    assert_eq!([25, 30, 11].map(owner), [Some(id(30)), Some(id(30)), Some(id(20))]);
    assert_eq!([10, 95, 45].map(owner), [None; 3]);
}

/// R6940-10.5-12, R6940-10.7.4.3-01: fingers are sought from the opposite point on, as far in as
/// the last successor, up to 128 of them.
#[test]
fn fingers_reach_from_the_opposite_point_to_the_last_successor() {
    let mut rng = Rng::from_number(1);
    let mut ring = chord(0, &[1, 2, 3, 4, u128::MAX]);
    assert_eq!(ring.new_finger(&mut rng), Some((ResourceId::from_u128(1 << 126), true)));
    let sought = std::iter::from_fn(|| ring.new_finger(&mut rng)).count();
    assert_eq!(sought, 128 - 5);
    let mut small = chord(0, &[1 << 20, 1 << 90]);
    assert_eq!(small.new_finger(&mut rng), None);
}

/// R6940-10.7.2-02: a finger that was lost, or whose place gives no link, is looked for somewhere
/// else in its range, the latter not for ever.
#[test]
fn a_finger_is_sought_elsewhere() {
    let mut rng = Rng::from_number(4);
    let mut ring = chord(0, &[1, 2, 3, 4, 1 << 127, 3 << 126]);
    let (first, _) = ring.new_finger(&mut rng).expect("missing");
    assert_eq!(first, ResourceId::from_u128(1 << 126));
    let in_range =
        |place: &ResourceId| place.to_u128().is_some_and(|p| p > 1 << 126 && p < 1 << 127);
    ring.seek_elsewhere(&first);
    let (mut place, _) = ring.new_finger(&mut rng).expect("again");
    assert!(in_range(&place), "{place:?}");
    for _ in 0..3 {
        ring.seek_elsewhere(&place);
        place = ring.new_finger(&mut rng).expect("again").0;
        assert!(in_range(&place), "{place:?}");
    }
    ring.seek_elsewhere(&place);
    let next = ring.new_finger(&mut rng).expect("the next finger").0;
    assert_eq!(next, ResourceId::from_u128(1 << 125));
    ring.insert(id(3 << 125));
    ring.remove(id(3 << 125));
    ring.forget_finger(id(3 << 125));
    assert!(in_range(&ring.new_finger(&mut rng).expect("lost").0));
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

/// A ring whose members know everything that their tables have room for, with the owner of each
/// place: round trips are those of random points in a square with a side of 200 ms.
struct Ring {
    tables: BTreeMap<u128, Chord>,
    places: BTreeMap<u128, (f64, f64)>,
}

impl Ring {
    /// Neighbours only.
    fn new(count: usize, table: Table, links_max: usize) -> Self {
        let mut rng = Rng::from_number(1);
        let places: BTreeMap<u128, (f64, f64)> = (0..count)
            .map(|_| (u128::from_be_bytes(rng.bytes()), (rng.unit(), rng.unit())))
            .collect();
        let nodes: Vec<u128> = places.keys().copied().collect();
        let new = |own: &u128| {
            let mut chord = Chord::new(id(*own), table, links_max);
            chord.set_joined(true);
            (*own, chord)
        };
        let mut ring = Self { tables: nodes.iter().map(new).collect(), places };
        for (index, node) in nodes.iter().enumerate() {
            (1..=8).for_each(|step| ring.link(*node, nodes[(index + step) % count]));
        }
        ring
    }

    fn with_fingers(count: usize, table: Table, links_max: usize) -> Self {
        let mut rng = Rng::from_number(3);
        let mut ring = Self::new(count, table, links_max);
        let nodes: Vec<u128> = ring.tables.keys().copied().collect();
        for node in nodes {
            while let Some((target, _)) =
                ring.tables.get_mut(&node).and_then(|t| t.new_finger(&mut rng))
            {
                ring.link(node, ring.owner(target.to_u128().expect("16 bytes")));
            }
        }
        ring
    }

    fn link(&mut self, a: u128, b: u128) {
        let rtt = self.rtt(a, b);
        for (own, other) in [(a, b), (b, a)] {
            let table = self.tables.get_mut(&own).expect("a member");
            table.insert(id(other));
            table.set_rtt(id(other), rtt);
        }
    }

    fn rtt(&self, a: u128, b: u128) -> Duration {
        let ((x, y), (v, w)) = (self.places[&a], self.places[&b]);
        Duration::from_millis(200).mul_f64((x - v).hypot(y - w))
    }

    fn owner(&self, k: u128) -> u128 {
        let next = self.tables.range(k..).next().or(self.tables.first_key_value());
        *next.expect("not empty").0
    }

    /// Everybody tells all linked peers of its tables.
    fn tell(&mut self) {
        let nodes: Vec<u128> = self.tables.keys().copied().collect();
        for from in nodes {
            let to: Vec<NodeId> = self.tables[&from].peers().collect();
            for to in to {
                let update = self.tables[&from].full_update(to);
                let table = self.tables.get_mut(&to.to_u128()).expect("a member");
                table.hear(id(from), &update);
            }
        }
    }

    /// Mean hops and mean seconds of look-ups.
    fn look_up(&self) -> (f64, f64) {
        self.look_up_by(|table, k| table.next_hop(k))
    }

    /// The same where the first hop is another.
    fn look_up_by(&self, first: impl Fn(&Chord, u128) -> Option<NodeId>) -> (f64, f64) {
        let mut rng = Rng::from_number(2);
        let nodes: Vec<u128> = self.tables.keys().copied().collect();
        let (mut hops, mut time) = (0.0, Duration::ZERO);
        for _ in 0..2000 {
            let k = u128::from_be_bytes(rng.bytes());
            let mut at = nodes[rng.below(nodes.len() as u64) as usize];
            for step in 0.. {
                assert!(step <= 18, "twice the logarithm");
                if self.tables[&at].is_responsible(k) {
                    break;
                }
                let table = &self.tables[&at];
                let next = if step == 0 { first(table, k) } else { table.next_hop(k) };
                let next = next.expect("a peer").to_u128();
                time += self.rtt(at, next);
                (at, hops) = (next, hops + 1.0);
            }
            assert_eq!(at, self.owner(k));
        }
        (hops / 2000.0, time.as_secs_f64() / 2000.0)
    }
}

/// R6940-6.1.2-01: with full tables every resource is reached in few hops, also by the rule of
/// the RFC alone.
#[test]
fn lookups_are_short() {
    let (hops, _) = Ring::with_fingers(400, Table::Plain, 64).look_up();
    assert!(hops < 0.6 * 400f64.log2(), "{hops} hops");
    let (hops, _) = Ring::with_fingers(400, Table::Wide, 36).look_up();
    assert!(hops < 0.5 * 400f64.log2(), "{hops} hops");
    let (hops, _) = Ring::with_fingers(400, Table::Wide, 128).look_up();
    assert!(hops < 0.33 * 400f64.log2(), "{hops} hops");
}

/// A wide table is worth its links in time too.
#[test]
fn near_peers_make_lookups_fast() {
    let (_, plain) = Ring::with_fingers(400, Table::Plain, 64).look_up();
    let (_, wide) = Ring::with_fingers(400, Table::Wide, 128).look_up();
    assert!(wide * 2.0 < plain, "{wide} s against {plain} s");
}

/// R6940-6.1.2-01: whose range is known is asked at once, wherever it is, but not who claims more
/// than anybody can have.
#[test]
fn who_has_told_its_range_is_asked_at_once() {
    let unit = 1u128 << 120;
    let near = (1..=8).flat_map(|n| [n * unit, (n * unit).wrapping_neg()]);
    let mut chord = chord(0, &near.chain([64 * unit, 128 * unit]).collect::<Vec<_>>());
    let tell = |before: u128| ChordUpdateContents::Neighbors {
        predecessors: vec![id(before * unit), id((before - 5) * unit)],
        successors: vec![id(130 * unit)],
    };
    let hop = |chord: &Chord, place: u128| chord.next_hop(place * unit + 5);
    assert_eq!(hop(&chord, 126), Some(id(64 * unit)));
    chord.hear(id(128 * unit), &tell(126));
    assert_eq!(hop(&chord, 126), Some(id(128 * unit)));
    assert_eq!(hop(&chord, 125), Some(id(64 * unit)));
    chord.hear(id(128 * unit), &tell(100));
    assert_eq!(hop(&chord, 126), Some(id(64 * unit)));
    let mut plain = Chord { table: Table::Plain, ..chord };
    plain.hear(id(128 * unit), &tell(126));
    assert_eq!(hop(&plain, 126), Some(id(64 * unit)));
}

/// The first hop is chosen by the links behind it: by whom the responsible peer can be reached.
#[test]
fn who_is_linked_to_the_responsible_peer_is_named_first() {
    let unit = 1u128 << 120;
    let near = (1..=8).flat_map(|n| [n * unit, (n * unit).wrapping_neg()]);
    let mut chord = chord(0, &near.chain([64 * unit, 200 * unit]).collect::<Vec<_>>());
    let peers: Vec<NodeId> = chord.peers().collect();
    peers.iter().for_each(|peer| chord.set_rtt(*peer, Duration::from_millis(50)));
    let k = 100 * unit;
    assert_eq!((chord.next_hop(k), chord.first_hop(k)), (Some(id(64 * unit)), None));
    let tell = |fingers: &[u128]| ChordUpdateContents::Full {
        predecessors: Vec::new(),
        successors: Vec::new(),
        fingers: fingers.iter().map(|n| id(*n)).collect(),
    };
    chord.hear(id(200 * unit), &tell(&[20 * unit, 100 * unit + 1]));
    assert_eq!(chord.first_hop(k), Some(id(200 * unit)));
    chord.hear(id(64 * unit), &tell(&[20 * unit, 100 * unit + 1]));
    chord.set_rtt(id(64 * unit), Duration::from_millis(20));
    assert_eq!(chord.first_hop(k), None, "it is the next hop");
    for known in [3 * unit, 64 * unit] {
        assert_eq!(chord.first_hop(known), None, "linked to us");
    }
    chord.remove(id(64 * unit));
    assert_eq!(chord.first_hop(k), Some(id(200 * unit)));
    chord.remove(id(200 * unit));
    assert_eq!(chord.first_hop(k), None);
}

/// Looking ahead saves hops and time.
#[test]
fn looking_ahead_makes_lookups_short() {
    let mut ring = Ring::with_fingers(400, Table::Wide, 36);
    let (hops, time) = ring.look_up();
    ring.tell();
    let (hops_told, time_told) = ring.look_up();
    let named = |table: &Chord, k| table.first_hop(k).or_else(|| table.next_hop(k));
    let (hops_ahead, time_ahead) = ring.look_up_by(named);
    assert!(hops_told < hops - 0.3 && hops_ahead < hops_told - 0.3, "{hops_told} {hops_ahead}");
    assert!(time_told < time && time_ahead < time_told, "{time_told} s, {time_ahead} s");
}

/// R6940-10.7-04: neighbours grow with the logarithm of the ring, within the links there are.
#[test]
fn neighbors_grow_with_the_ring() {
    let side = |count, links_max| {
        let ring = Ring::new(count, Table::Wide, links_max);
        let sides = ring.tables.values().map(|t| t.successors().len() as f64);
        sides.sum::<f64>() / count as f64
    };
    assert_eq!(side(30, 128), 4.0);
    let larger = side(2000, 128);
    assert!(larger > 4.8 && larger < 6.5, "{larger}");
    assert_eq!(side(2000, 32), 4.0);
}

/// A peer that is slow to reach is passed by if one just before it is fast; it stays linked.
#[test]
fn slow_peers_are_passed_by() {
    let far = 1u128 << 100;
    let mut near: Vec<u128> = (1..=8).collect();
    near.extend((1..=8).map(|n| u128::MAX - n));
    let mut chord = chord(0, &near);
    for (peer, rtt_ms) in [(8 * far, 20), (8 * far + 1000, 200), (800 * far, 100)] {
        chord.insert(id(peer));
        chord.set_rtt(id(peer), Duration::from_millis(rtt_ms));
    }
    assert_eq!(chord.next_hop(100 * far), Some(id(8 * far)));
    assert!(chord.contains(id(8 * far + 1000)));
    chord.set_rtt(id(8 * far + 1000), Duration::from_millis(15));
    assert_eq!(chord.next_hop(100 * far), Some(id(8 * far + 1000)));
    assert_eq!(chord.close_friends()[0], id(8 * far + 1000));
}

/// Of two fingers in one slot the slower is given up, if it is ours and no neighbour; with too
/// many links those go first that no message takes.
#[test]
fn the_least_needed_link_goes_first() {
    let far = 1u128 << 100;
    let mut near: Vec<u128> = (1..=8).collect();
    near.extend((1..=8).map(|n| u128::MAX - n));
    let mut chord = chord(0, &near);
    let peers = [(8 * far, 20), (9 * far, 300), (800 * far, 400)];
    for (peer, rtt_ms) in peers {
        chord.insert(id(peer));
        chord.set_rtt(id(peer), Duration::from_millis(rtt_ms));
    }
    assert_eq!(chord.outdone(id(8 * far), |_| true), Some(id(9 * far)));
    assert_eq!(chord.outdone(id(8 * far), |_| false), None);
    assert_eq!(chord.outdone(id(800 * far), |_| true), None);
    assert_eq!(chord.least_needed(|_| false), Some(id(9 * far)));
    chord.remove(id(9 * far));
    assert_eq!(chord.least_needed(|_| false), Some(id(800 * far)));
    assert_eq!(chord.least_needed(|n| n == id(800 * far)), Some(id(8 * far)));
    assert!(chord.wants(id(700 * far), id(8 * far)), "its informant is nearer");
    assert!(!chord.wants(id(9 * far), id(800 * far)) && !chord.wants(id(8 * far), id(1)));
}
