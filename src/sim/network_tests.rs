use super::*;
use crate::base::NodeId;
use crate::crypto::CheapProvider;
use crate::peer::{Purpose, Role};

struct Lab {
    network: Network,
    queue: Queue,
    now: Instant,
}

impl Lab {
    /// Peers 0 and 2 in the west, 1 in the east.
    fn new() -> Self {
        let mut rng = Rng::from_number(1);
        let mut network = Network::new(Rng::from_number(2));
        for n in 0..3 {
            network.map.add_in_half(n != 1, &mut rng);
            let node_id = NodeId::from_u128(n + 1);
            let identity = CheapProvider.identity(node_id, "user@sim.example");
            network.add(identity.expect("an identity").certificate);
        }
        Self { network, queue: Queue::default(), now: Instant::ORIGIN }
    }

    fn act(&mut self, peer: u32, link: u64, action: LinkAction) {
        self.network.act(self.now, peer, LinkId(link), action, &mut self.queue);
    }

    /// What happens until the end of time, in order.
    fn all(&mut self) -> Vec<(u32, u64, Arrival)> {
        let mut seen = Vec::new();
        while let Some((at, what)) = self.queue.pop_until(Instant::from_micros(u64::MAX)) {
            self.now = at;
            let Happening::Link(end, what) = what else { continue };
            if let Some((peer, link, what)) = self.network.arrive(at, end, what, &mut self.queue) {
                seen.push((peer, link.0, what));
            }
        }
        seen
    }

    fn gather(&mut self, peer: u32, link: u64) -> IceParameters {
        self.act(peer, link, LinkAction::Gather(Role::Requester, Purpose::Overlay));
        match self.all().pop() {
            Some((_, _, Arrival::Gathered(parameters))) => parameters,
            other => panic!("{other:?}"),
        }
    }

    fn connect(&mut self, peer: u32, link: u64, remote: &IceParameters, expected: usize) {
        let expected = self.network.members[expected].certificate.clone();
        let remote = remote.clone();
        let (role, purpose) = (Role::Requester, Purpose::Overlay);
        self.act(peer, link, LinkAction::Connect { remote, role, purpose, expected });
    }

    /// Dials from one peer to another; the number of the link there.
    fn dial(&mut self, peer: u32, link: u64, to: u32) -> u64 {
        self.act(peer, link, LinkAction::Dial(address_of(to)));
        match self.all()[..] {
            [(_, _, Arrival::Up(_)), (_, accepted, Arrival::Up(_))] => accepted,
            ref other => panic!("{other:?}"),
        }
    }

    fn send(&mut self, peer: u32, link: u64) {
        self.act(peer, link, LinkAction::Send(Bytes::from_static(b"x")));
    }
}

#[test]
fn a_dialled_link_carries_messages_both_ways_until_closed() {
    let mut lab = Lab::new();
    lab.act(0, 2, LinkAction::Dial(address_of(1)));
    let up = lab.all();
    let [(0, 2, Arrival::Up(a)), (1, accepted, Arrival::Up(b))] = &up[..] else { panic!("{up:?}") };
    assert_eq!((a.node_ids[0].to_u128(), b.node_ids[0].to_u128()), (2, 1));
    lab.send(1, *accepted);
    lab.act(0, 2, LinkAction::Send(Bytes::from_static(b"y")));
    lab.act(0, 2, LinkAction::Close);
    let seen = lab.all();
    let [(1, _, Arrival::Message(y)), (1, _, Arrival::Down(LinkError::Lost))] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!(&y[..], b"y");
}

/// RFC 6347 §4.2.1: a cookie costs a round trip, and is asked for under load only.
#[test]
fn who_dials_among_many_shows_a_cookie() {
    let mut lab = Lab::new();
    let dials = HANDSHAKES_UNPROVEN_MAX as u64 + 1;
    (1..=dials).for_each(|n| lab.act(0, 2 * n, LinkAction::Dial(address_of(1))));
    let round_trip = lab.network.map.round_trip(0, 1);
    for (cookies, among) in [(0, dials - 1), (limits::COOKIE_RTTS, 1)] {
        let at = Instant::ORIGIN + (cookies + limits::HANDSHAKE_RTTS) * round_trip;
        let happens = std::iter::from_fn(|| lab.queue.pop_until(at)).count();
        assert_eq!(happens as u64, 2 * among, "{cookies} cookies");
    }
}

#[test]
fn a_link_comes_up_once_both_sides_want_it() {
    let mut lab = Lab::new();
    let [a, b] = [lab.gather(0, 2), lab.gather(1, 4)];
    lab.connect(0, 2, &b, 1);
    assert!(matches!(lab.all()[..], [(0, 2, Arrival::Down(LinkError::NoPath))]));
    let a = IceParameters { ufrag: lab.gather(0, 6).ufrag, ..a };
    lab.connect(0, 6, &b, 1);
    lab.connect(1, 4, &a, 0);
    let seen = lab.all();
    assert_eq!(seen.iter().filter(|s| matches!(s.2, Arrival::Up(_))).count(), 2, "{seen:?}");
}

#[test]
fn a_wrong_certificate_is_noticed_and_a_dead_peer_late() {
    let mut lab = Lab::new();
    let [a, b] = [lab.gather(0, 2), lab.gather(1, 4)];
    lab.connect(0, 2, &b, 2);
    lab.connect(1, 4, &a, 0);
    let seen = lab.all();
    let is_wrong =
        |seen: &(u32, u64, Arrival)| matches!(seen.2, Arrival::Down(LinkError::WrongCertificate));
    assert!(seen.len() == 2 && seen.iter().all(is_wrong), "{seen:?}");

    lab.dial(2, 2, 1);
    let killed = lab.now;
    lab.network.kill(killed, 1, &mut lab.queue);
    lab.send(2, 2);
    let seen = lab.all();
    let [(2, 2, Arrival::Undelivered(_)), (2, 2, Arrival::Down(LinkError::Lost))] = &seen[..]
    else {
        panic!("{seen:?}")
    };
    lab.act(2, 4, LinkAction::Dial(address_of(1)));
    assert!(matches!(lab.all()[..], [(2, 4, Arrival::Down(LinkError::NoPath))]));
}

#[test]
fn a_partition_cuts_links_between_east_and_west_only() {
    let mut lab = Lab::new();
    let across = lab.dial(0, 2, 1);
    lab.dial(0, 4, 2);
    let now = lab.now;
    lab.network.split(now, true, &mut lab.queue);
    lab.send(0, 4);
    let seen = lab.all();
    let [(2, _, Arrival::Message(_)), (a, _, Arrival::Down(_)), (b, _, Arrival::Down(_))] =
        &seen[..]
    else {
        panic!("{seen:?}")
    };
    assert_eq!((a + b, across % 2), (1, 1));
    lab.act(0, 6, LinkAction::Dial(address_of(1)));
    assert!(matches!(lab.all()[..], [(0, 6, Arrival::Down(LinkError::NoPath))]));
    let now = lab.now;
    lab.network.split(now, false, &mut lab.queue);
    lab.dial(0, 8, 1);
}

#[test]
fn lost_frames_cost_time_and_some_messages_come_twice() {
    let mut lab = Lab::new();
    lab.dial(0, 2, 1);
    let one_way = lab.network.map.one_way(0, 1);
    lab.network.faults = Faults { loss: 0.2, duplication: 0.1, reordering: 0.1 };
    let (mut late, mut twice) = (0, 0);
    for _ in 0..1000 {
        let sent = lab.now;
        lab.send(0, 2);
        let seen = lab.all();
        assert!(seen.iter().all(|s| matches!(s.2, Arrival::Message(_))), "{seen:?}");
        late += u32::from(lab.now.saturating_since(sent) > one_way + limits::REORDERED_MAX);
        twice += u32::from(seen.len() == 2);
    }
    assert!((100..300).contains(&late) && (50..200).contains(&twice), "{late} {twice}");
}

#[test]
fn an_idle_link_is_kept_alive_by_both_sides() {
    let mut lab = Lab::new();
    lab.dial(0, 2, 1);
    let before = lab.network.bytes_sent(lab.now);
    let later = lab.now + limits::KEEPALIVE * 4;
    assert_eq!(lab.network.bytes_sent(later) - before, 2 * 4 * limits::KEEPALIVE_BYTES);
    lab.now = later;
    lab.send(0, 2);
    let cost = (1 + limits::FRAME_BYTES) as u64;
    assert_eq!(lab.network.bytes_sent(later) - before, 8 * limits::KEEPALIVE_BYTES + cost);
}
