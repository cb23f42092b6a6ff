//! Relays at work: links and media of two sides that reach each other in no other way, over real
//! sockets on loopback, and another program's client.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use stun::message::{METHOD_ALLOCATE, METHOD_REFRESH};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::message::Received;
use super::{Allocation, Asking, Granter, OpenPorts, Quota, RelayPort, RelayServer, RelayTerms};
use crate::base::NodeId;
use crate::link::tests::{LOOPBACK, anyone, gather_with, hear};
use crate::link::{
    BootstrapListener, CandidateKind, DtlsRole, IceAgent, IceOptions, IceRole, MediaFlow,
    OverlayLink, SecureFlow, Transport, unix_ms,
};
use crate::usage::{Lender, RelaySecret};

const REALM: &str = "example.org";
const PATIENCE: Duration = Duration::from_secs(20);

/// A bootstrap port on loopback with a relay that relays anywhere.
struct Lent {
    listener: BootstrapListener,
    relay: RelayPort,
    granter: Granter,
}

impl Lent {
    async fn start(quota: Quota) -> Self {
        let listener = BootstrapListener::bind(LOOPBACK, anyone("relay"), None).await.unwrap();
        let (secret, realm) = (RelaySecret::new(&[3; 32]), REALM.to_owned());
        let addresses = vec![LOOPBACK.ip()];
        let terms = RelayTerms {
            secret: secret.clone(),
            realm: realm.clone(),
            quota,
            own: addresses.clone(),
            ports: OpenPorts::default(),
            addresses,
            anywhere: true,
        };
        let relay = RelayPort::start(terms);
        listener.lending().set(Some(relay.clone()));
        Self { listener, relay, granter: Granter { secret, realm } }
    }

    fn server(&self, user: u128, transport: Transport) -> RelayServer {
        let (asking, question) = Asking::new().unwrap();
        let answer = self.granter.grant(NodeId::from_u128(user), unix_ms(), &question).unwrap();
        let grant = asking.read(&answer).unwrap();
        let (missed, _) = mpsc::channel(1);
        RelayServer { address: self.listener.local_addr(), transport, grant, missed }
    }

    async fn all_is_given_back(&self) {
        let empty = async {
            while self.relay.sessions() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, empty).await.expect("all is given back");
    }

    /// An agent that knows the relay, and what the other side is told: its relayed address only,
    /// or nothing that anybody can reach.
    async fn agent(&self, role: IceRole, user: u128, transport: Transport) -> IceAgent {
        let relays = vec![self.server(user, transport)];
        let options = IceOptions { loopback: true, relays, ..IceOptions::default() };
        gather_with(role, user as u64, options).await
    }
}

/// Two agents, and for each what it is told of the other: relayed addresses alone.
async fn pair(lent: &Lent, transport: Transport) -> [(IceAgent, crate::link::IceParameters); 2] {
    let one = lent.agent(IceRole::Controlling, 1, transport).await;
    let two = lent.agent(IceRole::Controlled, 2, transport).await;
    let told = [&two, &one].map(|agent| {
        let mut told = agent.local().clone();
        told.candidates.retain(|candidate| candidate.kind == CandidateKind::Relay);
        assert_eq!(told.candidates.len(), 1, "{told:?}");
        told
    });
    let [of_two, of_one] = told;
    [(one, of_two), (two, of_one)]
}

/// R6940-9-04: DTLS and RTP pass through a peer, over UDP and over TCP; once nobody needs them
/// the addresses are given back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_and_media_pass_through_a_relay() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let lent = Lent::start(Quota::default()).await;
        let (alice, bob) = (anyone("alice"), anyone("bob"));
        let [(one, of_two), (two, of_one)] = pair(&lent, transport).await;
        assert_eq!(lent.relay.sessions(), 2);
        let (one, two) = tokio::join!(
            SecureFlow::over_ice(one, &of_two, DtlsRole::Server, &alice),
            SecureFlow::over_ice(two, &of_one, DtlsRole::Client, &bob),
        );
        let (one, two) = (one.unwrap(), two.unwrap());
        for info in [one.info(), two.info()] {
            assert!(info.path().contains("relay"), "{info:?}");
            assert!(info.pair().is_some_and(|pair| pair.is_relayed()), "{info:?}");
        }
        let (mut one, mut two) = (OverlayLink::new(one, None), OverlayLink::new(two, None));
        for number in 0..100u32 {
            let text = Bytes::from(format!("message {number}"));
            one.send(text.clone()).unwrap();
            hear(&mut two, &text).await;
            two.send(text.clone()).unwrap();
            hear(&mut one, &text).await;
        }
        drop((one, two));

        let [(one, of_two), (two, of_one)] = pair(&lent, transport).await;
        let (one, two) = tokio::join!(
            MediaFlow::over_ice(one, &of_two, DtlsRole::Server, &alice),
            MediaFlow::over_ice(two, &of_one, DtlsRole::Client, &bob),
        );
        let (one, mut two) = (one.unwrap(), two.unwrap());
        let packet = Bytes::from(vec![0x80; 172]);
        let heard = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            loop {
                tokio::select! {
                    _ = ticks.tick() => one.send_raw(packet.clone()).unwrap(),
                    heard = two.recv_raw() => return heard,
                }
            }
        };
        assert_eq!(timeout(PATIENCE, heard).await.expect("in time"), Some(packet.clone()));
        drop((one, two));
        lent.all_is_given_back().await;
    }
}

/// A program that ends gives back what it has kept ready.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_ends_gives_back() {
    let lent = Lent::start(Quota::default()).await;
    for transport in [Transport::Udp, Transport::Tcp] {
        let server = lent.server(1, transport);
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let allocation = runtime.block_on(Allocation::open(&server, false)).unwrap();
            drop(runtime);
            drop(allocation);
        });
        tokio::task::spawn_blocking(|| ended.join().unwrap()).await.unwrap();
        lent.all_is_given_back().await;
    }
}

/// Whoever does not wait for the answer gives back what the relay may have lent meanwhile.
#[tokio::test]
async fn an_address_that_nobody_waits_for_is_given_back() {
    let lent = Lent::start(Quota::default()).await;
    let mut server = lent.server(1, Transport::Udp);
    let slow = tokio::net::UdpSocket::bind(LOOPBACK).await.unwrap();
    server.address = slow.local_addr().unwrap();
    let opening = tokio::spawn(async move { Allocation::open(&server, false).await.map(drop) });
    let mut buffer = [0; 2048];
    let mut next = async || {
        let received = timeout(PATIENCE, slow.recv_from(&mut buffer)).await.expect("in time");
        let request = Received::read(&buffer[..received.unwrap().0]).expect("a request");
        (request.request(), request.lifetime_s())
    };
    assert_eq!(next().await.0, Some(METHOD_ALLOCATE));
    opening.abort();
    let mut last = next().await;
    while last.0 == Some(METHOD_ALLOCATE) {
        last = next().await;
    }
    assert_eq!(last, (Some(METHOD_REFRESH), Some(0)));
}

/// A direct path is taken where there is one, though relays were at hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_direct_path_is_preferred() {
    let lent = Lent::start(Quota::default()).await;
    let one = lent.agent(IceRole::Controlling, 1, Transport::Udp).await;
    let two = lent.agent(IceRole::Controlled, 2, Transport::Udp).await;
    let (of_one, of_two) = (one.local().clone(), two.local().clone());
    let (one, two) = tokio::join!(one.connect(&of_two), two.connect(&of_one));
    for conn in [one.unwrap(), two.unwrap()] {
        let route = conn.route().borrow().clone();
        assert!(route.words.starts_with("host"), "{route:?}");
        assert!(route.pair.is_some_and(|pair| !pair.is_relayed()), "{route:?}");
    }
}

/// A relay that ends is missed: what it had lent is no longer offered to anybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_ends_is_missed() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let elsewhere = tokio::runtime::Runtime::new().unwrap();
        let lent = elsewhere.spawn(Lent::start(Quota::default())).await.unwrap();
        let (missed, mut missing) = mpsc::channel(1);
        let server = RelayServer { missed, ..lent.server(1, transport) };
        let address = server.address;
        let options = IceOptions { loopback: true, relays: vec![server], ..IceOptions::default() };
        let agent = gather_with(IceRole::Controlled, 1, options).await;
        assert!(agent.is_current().await);
        drop(lent);
        elsewhere.shutdown_background();
        let missed = timeout(2 * PATIENCE, missing.recv()).await;
        assert_eq!(missed.expect("is missed in time"), Some(address), "{transport:?}");
        // Nothing tells over UDP whether it has ended, or the way to it is cut for a while.
        assert_eq!(agent.is_current().await, transport == Transport::Udp);
    }
}

/// A relay that nobody answers at costs a bounded time and nothing else.
#[tokio::test]
async fn a_dead_relay_does_no_harm() {
    let lent = Lent::start(Quota::default()).await;
    let (missed, mut missing) = mpsc::channel(1);
    let mut dead = RelayServer { missed, ..lent.server(1, Transport::Udp) };
    let silent = tokio::net::UdpSocket::bind(LOOPBACK).await.unwrap();
    let address = silent.local_addr().unwrap();
    dead.address = address;
    let relays = vec![dead, lent.server(1, Transport::Udp)];
    let options = IceOptions { loopback: true, relays, ..IceOptions::default() };
    let agent = gather_with(IceRole::Controlling, 1, options).await;
    let relayed = agent.local().candidates.iter().filter(|c| c.kind == CandidateKind::Relay);
    assert_eq!(relayed.count(), 1, "the second one's");
    assert_eq!(missing.try_recv(), Ok(address));
}

/// coturn's client is served: Allocate, CreatePermission, ChannelBind and data, over UDP and TCP.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_programs_client_is_served() {
    let lent = Lent::start(Quota { sessions: 64, bytes_per_s: 10_000_000 }).await;
    let echo = tokio::net::UdpSocket::bind(LOOPBACK).await.unwrap();
    let echo_at: SocketAddr = echo.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = echo.recv_from(&mut buffer).await {
            let _ = echo.send_to(&buffer[..length], from).await;
        }
    });
    for extra in [&[][..], &["-s"], &["-t"]] {
        let mut run = uclient(&lent, echo_at, extra).await;
        // It draws a channel's number for each of two peers, the same one now and then, which has
        // to be refused (RFC 8656 §12.2).
        if run.1.contains("channel bind: error 400") {
            run = uclient(&lent, echo_at, extra).await;
        }
        let (is_content, said) = run;
        assert!(is_content, "{extra:?}: {said}");
        let total = "Total lost packets 0 (0.000000%)";
        assert!(said.contains(total), "{extra:?}: {said}");
    }
}

/// Lets coturn's client talk with a peer through a relay; whether it is content, and what it says.
async fn uclient(lent: &Lent, peer: SocketAddr, extra: &[&str]) -> (bool, String) {
    let server = lent.server(7, Transport::Udp);
    let credentials = &server.grant.credentials;
    let (port, peer_port) = (server.address.port().to_string(), peer.port().to_string());
    let mut client = tokio::process::Command::new("turnutils_uclient")
        .args(["-c", "-n", "20", "-m", "2", "-l", "100", "-e", "127.0.0.1", "-r", &peer_port])
        .args(["-u", &credentials.username, "-w", &credentials.password, "-p", &port])
        .args(extra)
        .arg("127.0.0.1")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("turnutils_uclient, of Debian's package coturn");
    let mut said = String::new();
    let mut out = client.stdout.take().unwrap();
    timeout(PATIENCE, out.read_to_string(&mut said)).await.expect("in time").unwrap();
    (client.wait().await.unwrap().success(), said)
}
