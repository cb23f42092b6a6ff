//! The relay as its clients see it.

use std::net::SocketAddr;
use std::time::Duration;

use stun::message::{
    METHOD_ALLOCATE, METHOD_CHANNEL_BIND, METHOD_CREATE_PERMISSION, METHOD_REFRESH, Method,
};

use super::limits::{NONCE_LIFETIME_MS, PERMISSION_LIFETIME};
use super::message::{Draft, LongTermKey, Received};
use super::wire::{write_channel, write_send};
use super::{Client, Framing, OpenPorts, Outcome, Quota, Relay, RelayTerms};
use crate::base::{Instant, NodeId, Now};
use crate::link::Transport;
use crate::usage::{RelayCredentials, RelaySecret};

const REALM: &str = "example.org";

fn ip(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn now(seconds: u64) -> Now {
    Now::new(Instant::from_micros(seconds * 1_000_000), seconds * 1000)
}

/// A relay whose sockets are numbers, at 203.0.113.1 and 2001:db8::1.
struct Bench {
    relay: Relay<u16>,
    secret: RelaySecret,
    ports: OpenPorts,
    next_port: u16,
    next_transaction: u8,
    now: Now,
}

/// Somebody with credentials.
struct User {
    client: Client,
    credentials: RelayCredentials,
}

impl Bench {
    fn new(quota: Quota) -> Self {
        let secret = RelaySecret::new(&[7; 32]);
        let terms = RelayTerms {
            secret: secret.clone(),
            realm: REALM.into(),
            quota,
            addresses: vec![ip("203.0.113.1:0").ip(), ip("[2001:db8::1]:0").ip()],
            own: vec![ip("203.0.113.1:0").ip(), ip("[2001:db8::1]:0").ip()],
            ports: OpenPorts::default(),
            anywhere: false,
        };
        let ports = terms.ports.clone();
        let relay = Relay::new(terms);
        Self { relay, secret, ports, next_port: 50_000, next_transaction: 0, now: now(100) }
    }

    fn user(&self, number: u8) -> User {
        let remote = SocketAddr::from(([198, 51, 100, number], 4000));
        let client = Client { remote, transport: Transport::Udp };
        let node = NodeId::from_u128(number.into());
        User { client, credentials: self.secret.credentials(node, 10_000_000) }
    }

    fn draft(&mut self, method: Method) -> Draft {
        self.next_transaction += 1;
        Draft::request(method, [self.next_transaction; 12])
    }

    fn prove(&self, user: &User, draft: Draft) -> Vec<u8> {
        let RelayCredentials { username, password } = &user.credentials;
        let nonce = self.secret.nonce(self.now.unix_ms + NONCE_LIFETIME_MS);
        let key = LongTermKey::new(username, REALM, password);
        draft.username(username).realm(REALM).nonce(&nonce).proved(&key)
    }

    /// What the relay answers; sockets are opened as it asks.
    fn exchange(&mut self, client: Client, message: &[u8]) -> Option<Received> {
        let answer = match self.relay.from_client(self.now, client, message) {
            Outcome::Answer(answer) => answer,
            Outcome::Open(opening) => {
                self.next_port += 1;
                let address = SocketAddr::new(opening.ip(), self.next_port);
                self.relay.opened(self.now, opening, Some((address, self.next_port)))
            }
            Outcome::Nothing => return None,
            Outcome::Send { .. } => panic!("no request is relayed"),
        };
        Received::read(&answer)
    }

    fn request(&mut self, user: &User, draft: Draft) -> Received {
        let message = self.prove(user, draft);
        self.exchange(user.client, &message).expect("an answer")
    }

    fn allocate(&mut self, user: &User) -> Received {
        let draft = self.draft(METHOD_ALLOCATE).udp();
        self.request(user, draft)
    }

    fn permit(&mut self, user: &User, peer: &str) -> Received {
        let draft = self.draft(METHOD_CREATE_PERMISSION).peer(ip(peer));
        self.request(user, draft)
    }

    /// Socket, peer and data of what is relayed for a message of a client.
    fn relayed(&mut self, user: &User, message: &[u8]) -> Option<(u16, SocketAddr, Vec<u8>)> {
        match self.relay.from_client(self.now, user.client, message) {
            Outcome::Send { socket, peer, data } => Some((*socket, peer, data.to_vec())),
            Outcome::Nothing => None,
            outcome => panic!("{outcome:?}"),
        }
    }

    fn send(&mut self, user: &User, peer: &str, data: &[u8]) -> Option<(u16, SocketAddr, Vec<u8>)> {
        let mut message = Vec::new();
        write_send(&mut message, [9; 12], ip(peer), data);
        self.relayed(user, &message)
    }

    fn back(&mut self, user: &User, peer: &str) -> Option<Framing> {
        self.relay.from_peer(self.now.instant, user.client, ip(peer), 100)
    }
}

const PEER: &str = "198.51.100.200:5000";

/// R6940-9-04: Allocate, CreatePermission and Send through a relay, and back.
#[test]
fn data_passes_both_ways() {
    let mut bench = Bench::new(Quota::default());
    let user = bench.user(1);
    let answer = bench.allocate(&user);
    assert_eq!(answer.answers(METHOD_ALLOCATE), Some(true));
    assert_eq!(answer.relayed_address(), Some(ip("203.0.113.1:50001")));
    assert_eq!(answer.mapped_address(), Some(user.client.remote));
    assert_eq!(answer.lifetime_s(), Some(600));

    assert_eq!(bench.send(&user, PEER, b"early"), None, "without a permission");
    assert_eq!(bench.back(&user, PEER), None);
    assert_eq!(bench.permit(&user, PEER).answers(METHOD_CREATE_PERMISSION), Some(true));
    assert_eq!(bench.send(&user, PEER, b"hello"), Some((50_001, ip(PEER), b"hello".to_vec())));
    // A permission is for an address, whatever the port (RFC 8656 §9).
    assert_eq!(bench.back(&user, "198.51.100.200:6000"), Some(Framing::Indication));
    assert_eq!(bench.back(&user, "198.51.100.201:5000"), None);

    let draft = bench.draft(METHOD_CHANNEL_BIND).channel(0x4001).peer(ip(PEER));
    assert_eq!(bench.request(&user, draft).answers(METHOD_CHANNEL_BIND), Some(true));
    let mut message = Vec::new();
    write_channel(&mut message, 0x4001, b"voice");
    assert_eq!(bench.relayed(&user, &message), Some((50_001, ip(PEER), b"voice".to_vec())));
    assert_eq!(bench.back(&user, PEER), Some(Framing::Channel(0x4001)));
    let stranger = bench.user(2);
    assert_eq!(bench.relayed(&stranger, &message), None, "not its channel");

    bench.now = now(100 + PERMISSION_LIFETIME.as_secs());
    assert_eq!(bench.back(&user, PEER), None, "the permission is over");
}

/// T-42: who has no credentials, or another's or old ones, gets nothing relayed.
#[test]
fn only_holders_of_credentials_are_served() {
    let mut bench = Bench::new(Quota::default());
    let user = bench.user(1);
    let draft = bench.draft(METHOD_ALLOCATE).udp();
    let answer = bench.exchange(user.client, &draft.plain()).expect("an answer");
    assert_eq!(answer.error(), Some(401));
    assert_eq!(answer.realm().as_deref(), Some(REALM));
    assert!(bench.secret.is_fresh(&answer.nonce().expect("a nonce"), bench.now.unix_ms));

    let guessed = RelayCredentials { password: "guessed".into(), ..user.credentials.clone() };
    let other_relay = RelaySecret::new(&[8; 32]);
    let elsewhere = other_relay.credentials(NodeId::from_u128(1), 10_000_000);
    let over = bench.secret.credentials(NodeId::from_u128(1), 99_000);
    for credentials in [guessed, elsewhere, over] {
        let answer = bench.allocate(&User { client: user.client, credentials });
        assert_eq!(answer.error(), Some(401));
    }
    assert_eq!(bench.relay.sessions(), 0);

    // A nonce that is over is no reason to ask for other credentials (RFC 8489 §9.2.5).
    let draft = bench.draft(METHOD_ALLOCATE).udp();
    let message = bench.prove(&user, draft);
    bench.now = now(101 + NONCE_LIFETIME_MS / 1000);
    assert_eq!(bench.exchange(user.client, &message).expect("an answer").error(), Some(438));

    // One user's allocation is not another's to change.
    assert_eq!(bench.allocate(&user).error(), None);
    let thief = User { client: user.client, ..bench.user(2) };
    assert_eq!(bench.permit(&thief, PEER).error(), Some(441));
}

/// What a stranger must not reach through us (RFC 8656 §21.4.3).
#[test]
fn nothing_inside_is_reached_through_a_relay() {
    let mut bench = Bench::new(Quota::default());
    let user = bench.user(1);
    bench.allocate(&user);
    for inside in ["127.0.0.1:80", "10.0.0.1:80", "192.168.1.1:80", "169.254.169.254:80"] {
        assert_eq!(bench.permit(&user, inside).error(), Some(403), "{inside}");
        let draft = bench.draft(METHOD_CHANNEL_BIND).channel(0x4001).peer(ip(inside));
        assert_eq!(bench.request(&user, draft).error(), Some(403), "{inside}");
    }
    assert_eq!(bench.permit(&user, "[2001:db8::9]:1").error(), Some(443));

    // Of this machine only what is relayed, and where it awaits strangers itself.
    assert_eq!(bench.permit(&user, "203.0.113.1:1").error(), None);
    assert_eq!(bench.send(&user, "203.0.113.1:6084", b"x"), None);
    let awaited = bench.ports.open(ip("203.0.113.1:6085"));
    assert!(bench.send(&user, "203.0.113.1:6085", b"x").is_some());
    drop(awaited);
    assert_eq!(bench.send(&user, "203.0.113.1:6085", b"x"), None);
    let other = bench.user(2);
    bench.allocate(&other);
    let sent = bench.send(&user, "203.0.113.1:50002", b"x");
    assert_eq!(sent.map(|(_, peer, _)| peer), Some(ip("203.0.113.1:50002")));
}

/// RFC 8656 §7.2 and §8.2: lifetimes, families, retransmissions and errors.
#[test]
fn allocations_follow_the_rules() {
    let mut bench = Bench::new(Quota::default());
    let user = bench.user(1);
    let draft = bench.draft(METHOD_ALLOCATE);
    assert_eq!(bench.request(&user, draft).error(), Some(400), "no transport");
    let draft = bench.draft(METHOD_REFRESH);
    assert_eq!(bench.request(&user, draft).error(), Some(437), "nothing to refresh");

    let draft = bench.draft(METHOD_ALLOCATE).udp().family(true).lifetime_s(100_000);
    let message = bench.prove(&user, draft);
    let first = bench.exchange(user.client, &message).expect("an answer");
    assert_eq!(first.relayed_address(), Some(ip("[2001:db8::1]:50001")));
    assert_eq!(first.lifetime_s(), Some(3600));
    let again = bench.exchange(user.client, &message).expect("an answer");
    assert_eq!(again.relayed_address(), first.relayed_address(), "a retransmission");
    assert_eq!(bench.allocate(&user).error(), Some(437));

    let draft = bench.draft(METHOD_REFRESH).lifetime_s(700);
    assert_eq!(bench.request(&user, draft).lifetime_s(), Some(700));
    assert_eq!(bench.relay.deadline(), Some(bench.now.instant + Duration::from_secs(700)));
    let draft = bench.draft(METHOD_REFRESH).lifetime_s(0);
    assert_eq!(bench.request(&user, draft).lifetime_s(), Some(0));
    assert_eq!(bench.relay.sessions(), 0);

    bench.allocate(&user);
    bench.relay.expire(bench.now.instant + Duration::from_secs(599));
    assert_eq!(bench.relay.sessions(), 1);
    bench.relay.expire(bench.now.instant + Duration::from_secs(600));
    assert_eq!(bench.relay.sessions(), 0);
}

/// RFC 8656 §12.2: a channel is one peer's, and a peer has one channel.
#[test]
fn channels_are_bound_once() {
    let mut bench = Bench::new(Quota::default());
    let user = bench.user(1);
    bench.allocate(&user);
    let mut bind = |number, peer: &str| {
        let draft = bench.draft(METHOD_CHANNEL_BIND).channel(number).peer(ip(peer));
        bench.request(&user, draft).error()
    };
    assert_eq!(bind(0x4000, PEER), None);
    assert_eq!(bind(0x4000, PEER), None);
    assert_eq!(bind(0x4001, PEER), Some(400));
    assert_eq!(bind(0x4000, "198.51.100.200:5001"), Some(400));
    assert_eq!(bind(0x3fff, "198.51.100.200:5001"), Some(400));
    assert_eq!(bind(0x8000, "198.51.100.200:5001"), Some(400));
}

#[test]
fn what_is_lent_is_a_bound() {
    let mut bench = Bench::new(Quota { sessions: 5, bytes_per_s: 4000 });
    for number in 1..=3 {
        for port in 1..=2 {
            let mut user = bench.user(number);
            user.client.remote.set_port(port);
            let error = bench.allocate(&user).error();
            let expected = match (number, port) {
                (3, 2) => Some(508),
                _ => None,
            };
            assert_eq!(error, expected, "{number} {port}");
        }
    }
    let mut user = bench.user(1);
    user.client.remote.set_port(1);
    bench.permit(&user, PEER);
    assert!(bench.send(&user, PEER, &[0; 600]).is_some());
    assert!(bench.back(&user, PEER).is_some());
    assert!(bench.send(&user, PEER, &[0; 600]).is_none(), "a second's share is used up");
    bench.now = now(101);
    assert!(bench.send(&user, PEER, &[0; 600]).is_some());
}

/// Who forges addresses gets no more answers than a bound.
#[test]
fn floods_are_not_passed_on() {
    let mut bench = Bench::new(Quota::default());
    let user = bench.user(1);
    let flood = Draft::request(METHOD_ALLOCATE, [1; 12]).udp().plain();
    let answers = (0..10_000).filter(|_| bench.exchange(user.client, &flood).is_some()).count();
    assert!(answers <= 100, "{answers}");
}
