//! What passes on a path that ICE has found, seen and disturbed from the middle.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::relay::OpenPorts;
use super::tests::{LOOPBACK, anyone, gather_with};
use super::*;

/// From which side, and what.
type Passed = (usize, Vec<u8>);

/// A relay between two sides that notes and may swallow what passes.
struct Tap {
    ends: [std::sync::Arc<tokio::net::UdpSocket>; 2],
    seen: std::sync::Arc<std::sync::Mutex<Vec<Passed>>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Tap {
    /// Lies between these two; each is to take the tap's end for the other side.
    async fn between(sides: [SocketAddr; 2]) -> Self {
        Self::that_lets(sides, |_, _| true).await
    }

    /// The same; only what `passes` says, by the side that it comes from, gets through.
    async fn that_lets(
        sides: [SocketAddr; 2],
        passes: impl FnMut(usize, &[u8]) -> bool + Send + 'static,
    ) -> Self {
        let passes = std::sync::Arc::new(std::sync::Mutex::new(passes));
        let mut ends = Vec::new();
        for _ in 0..2 {
            ends.push(std::sync::Arc::new(tokio::net::UdpSocket::bind(LOOPBACK).await.unwrap()));
        }
        let ends: [_; 2] = ends.try_into().unwrap();
        let seen = std::sync::Arc::<std::sync::Mutex<Vec<_>>>::default();
        // What comes to one end leaves by the other.
        let tasks = (0..2).map(|from| {
            let (inlet, outlet, seen) = (ends[from].clone(), ends[1 - from].clone(), seen.clone());
            let passes = passes.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 2048];
                while let Ok((length, _)) = inlet.recv_from(&mut buffer).await {
                    if !passes.lock().unwrap()(from, &buffer[..length]) {
                        continue;
                    }
                    seen.lock().unwrap().push((from, buffer[..length].to_vec()));
                    let _ = outlet.send_to(&buffer[..length], sides[1 - from]).await;
                }
            })
        });
        let tasks = tasks.collect();
        Self { ends, seen, tasks }
    }

    /// What passes from now on, as soon as it is as much.
    async fn next(&self, count: usize) -> Vec<Passed> {
        self.seen.lock().unwrap().clear();
        let enough = timeout(Duration::from_secs(20), async {
            while self.seen.lock().unwrap().len() < count {
                tokio::task::yield_now().await;
            }
        });
        enough.await.expect("more datagrams");
        self.seen.lock().unwrap().clone()
    }

    fn cut(&self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }

    /// Connects the two sides, who see each other at the tap.
    async fn connect(
        &self,
        agents: [IceAgent; 2],
        homes: [Candidate; 2],
    ) -> (Result<SecureFlow, LinkError>, Result<SecureFlow, LinkError>) {
        let through = |side: usize| {
            let addr = self.ends[1 - side].local_addr().unwrap();
            let candidates = vec![Candidate { addr, ..homes[side].clone() }];
            IceParameters { candidates, ..agents[side].local().clone() }
        };
        let (to_sender, to_answerer) = (through(1), through(0));
        let [controlling, controlled] = agents;
        let (sender, answerer) = (anyone("sender"), anyone("answerer"));
        tokio::join!(
            SecureFlow::over_ice(controlling, &to_sender, DtlsRole::Server, &sender),
            SecureFlow::over_ice(controlled, &to_answerer, DtlsRole::Client, &answerer),
        )
    }
}

/// The candidate of an agent on the loopback address.
fn home(agent: &IceAgent) -> Candidate {
    let ours = |c: &&Candidate| c.addr.ip() == LOOPBACK.ip();
    agent.local().candidates.iter().find(ours).unwrap().clone()
}

/// A STUN message: its type, its transaction and its attributes' types.
fn stun_parts(datagram: &[u8]) -> Option<(u16, Vec<u8>, Vec<u16>)> {
    if stun::Packet::classify(datagram) != stun::Packet::Stun {
        return None;
    }
    let number = |at: usize| u16::from_be_bytes([datagram[at], datagram[at + 1]]);
    let (mut at, mut attributes) = (20, Vec::new());
    while at + 4 <= datagram.len() {
        attributes.push(number(at));
        at += 4 + usize::from(number(at + 2)).next_multiple_of(4);
    }
    Some((number(0), datagram[4..20].to_vec(), attributes))
}

/// R6940-6.5.1.9-01: who sent the Attach controls, and the checks of both sides say who they are.
/// R6940-6.5.1.14-01: a ClientHello that comes before we have chosen the pair is taken: here the
/// answer to the check that nominates is held back until then, and no other ClientHello passes.
/// R6940-6.5.1.8-01: nothing is exchanged but fragments, passwords and candidates.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_hello_may_come_before_the_pair_is_chosen() {
    const REQUEST: u16 = 0x0001;
    const SUCCESS: u16 = 0x0101;
    const USE_CANDIDATE: u16 = 0x0025;
    const CONTROLLED: u16 = 0x8029;
    const CONTROLLING: u16 = 0x802a;
    let options = IceOptions { loopback: true, ..IceOptions::default() };
    let agents = [
        gather_with(IceRole::Controlling, 1, options.clone()).await,
        gather_with(IceRole::Controlled, 2, options).await,
    ];
    let homes = agents.each_ref().map(home);
    let (mut nominating, mut is_greeted) = (Vec::new(), false);
    let passes = move |from: usize, datagram: &[u8]| {
        if bootstrap::is_client_hello(datagram) {
            return !std::mem::replace(&mut is_greeted, true);
        }
        let Some((kind, transaction, attributes)) = stun_parts(datagram) else { return true };
        if (from, kind) == (0, REQUEST) && attributes.contains(&USE_CANDIDATE) {
            nominating.push(transaction.clone());
        }
        is_greeted || (from, kind) != (1, SUCCESS) || !nominating.contains(&transaction)
    };
    let tap = Tap::that_lets(homes.each_ref().map(|home| home.addr), passes).await;
    let (at_sender, at_answerer) = tap.connect(agents, homes).await;
    let (at_sender, mut at_answerer) = (at_sender.unwrap(), at_answerer.unwrap());
    at_sender.send(Bytes::from_static(b"welcome")).unwrap();
    assert_eq!(at_answerer.recv().await.as_deref(), Some(&b"welcome"[..]));

    let mut checks = [0, 0];
    for (from, datagram) in tap.seen.lock().unwrap().iter() {
        if let Some((REQUEST, _, attributes)) = stun_parts(datagram) {
            let (own, other) = [(CONTROLLING, CONTROLLED), (CONTROLLED, CONTROLLING)][*from];
            assert!(attributes.contains(&own) && !attributes.contains(&other));
            checks[*from] += 1;
        }
    }
    assert!(checks[0] > 0 && checks[1] > 0, "{checks:?}");
}

/// A check that comes to a NAT a moment too early is lost there, and the first one comes once more:
/// here nothing gets through but what is sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_check_is_sent_again() {
    const REQUEST: u16 = 0x0001;
    let options = IceOptions { loopback: true, ..IceOptions::default() };
    let agents = [
        gather_with(IceRole::Controlling, 1, options.clone()).await,
        gather_with(IceRole::Controlled, 2, options).await,
    ];
    let homes = agents.each_ref().map(home);
    let mut known = std::collections::HashSet::new();
    let passes = move |_: usize, datagram: &[u8]| match stun_parts(datagram) {
        Some((REQUEST, transaction, _)) => !known.insert(transaction),
        _ => true,
    };
    let tap = Tap::that_lets(homes.each_ref().map(|home| home.addr), passes).await;
    let (at_sender, at_answerer) = tap.connect(agents, homes).await;
    let (at_sender, mut at_answerer) = (at_sender.unwrap(), at_answerer.unwrap());
    at_sender.send(Bytes::from_static(b"welcome")).unwrap();
    assert_eq!(at_answerer.recv().await.as_deref(), Some(&b"welcome"[..]));
}

/// R6940-6.5.2.1-01: a connection for an application that has nothing to say keeps its binding in
/// a NAT open by itself: before the 25 s are over something has passed in both directions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_application_keeps_its_binding_open() {
    assert!(ice::limits::CONSENT * 2 < Duration::from_secs(25), "two of them, one may be lost");
    let options = IceOptions { loopback: true, ..IceOptions::default() };
    let agents = [
        gather_with(IceRole::Controlling, 1, options.clone()).await,
        gather_with(IceRole::Controlled, 2, options).await,
    ];
    let homes = agents.each_ref().map(home);
    let tap = Tap::between(homes.each_ref().map(|home| home.addr)).await;
    let (at_sender, at_answerer) = tap.connect(agents, homes).await;
    let (_at_sender, _at_answerer) = (at_sender.unwrap(), at_answerer.unwrap());
    // The last of the handshake is over after some.
    tap.next(6).await;
    let idle = tap.next(4).await;
    for side in 0..2 {
        assert!(idle.iter().any(|(from, _)| *from == side), "{idle:?}");
    }
}

/// R6940-6.5.1.10.3-01: an idle overlay link is kept open by STUN Binding indications and by
/// nothing else, which also tell that the other side is there; without them it is lost. The sockets
/// of other pairs are given back (RFC 8445 §8.3).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_link_is_kept_open_by_indications_alone() {
    let (every, lost) = (Duration::from_millis(40), Duration::from_secs(2));
    let upkeep = Upkeep::KeepAlive { every, lost };
    let ports = OpenPorts::default();
    let options =
        IceOptions { loopback: true, upkeep, ports: ports.clone(), ..IceOptions::default() };
    let agents = [
        gather_with(IceRole::Controlling, 1, options.clone()).await,
        gather_with(IceRole::Controlled, 2, options).await,
    ];
    let homes = agents.each_ref().map(home);
    let all = agents.iter().flat_map(|agent| &agent.local().candidates);
    let (used, others): (Vec<_>, Vec<_>) =
        all.map(|c| c.addr).partition(|at| homes.iter().any(|home| home.addr == *at));
    let tap = Tap::between(homes.each_ref().map(|home| home.addr)).await;
    let (at_sender, at_answerer) = tap.connect(agents, homes).await;
    let (mut at_sender, mut at_answerer) = (at_sender.unwrap(), at_answerer.unwrap());

    // The last of the handshake is over after some; then far more than `lost` would allow.
    tap.next(10).await;
    let idle = tap.next(2 * 75).await;
    let indication = |(_, datagram): &&Passed| datagram[..2] == [0, 0x11] && datagram.len() == 28;
    assert_eq!(idle.iter().filter(indication).count(), idle.len(), "{idle:?}");
    at_sender.send(Bytes::from_static(b"still here")).unwrap();
    assert_eq!(at_answerer.recv().await.as_deref(), Some(&b"still here"[..]));

    assert!(used.iter().all(|at| ports.has(*at)) && !others.iter().any(|at| ports.has(*at)));
    let are_given_back = async {
        for other in others {
            while tokio::net::UdpSocket::bind(other).await.is_err() {
                tokio::task::yield_now().await;
            }
        }
    };
    timeout(Duration::from_secs(20), are_given_back).await.expect("closed sockets");

    tap.cut();
    let ends = async { (at_sender.recv().await, at_answerer.recv().await) };
    assert_eq!(timeout(lost * 5, ends).await.unwrap(), (None, None));
    assert_eq!((at_sender.reason(), at_answerer.reason()), (LinkError::Lost, LinkError::Lost));
}

/// RFC 8445 §7.3.1.4: the other side's checks have been answered before its candidates came, and
/// none of these is where it checks from, as behind a NAT that changes ports. It is checked there
/// all the same.
#[tokio::test]
async fn who_has_checked_early_from_elsewhere_is_met() {
    let options = IceOptions { loopback: true, ..IceOptions::default() };
    let controlling = gather_with(IceRole::Controlling, 61, options.clone()).await;
    let controlled = gather_with(IceRole::Controlled, 62, options).await;
    let nowhere = tokio::net::UdpSocket::bind(LOOPBACK).await.unwrap();
    let named = Candidate { addr: nowhere.local_addr().unwrap(), ..home(&controlled) };
    let named = IceParameters { candidates: vec![named], ..controlled.local().clone() };
    let to_controlling = controlling.local().clone();
    let mut early = controlled.connect(&to_controlling).await.expect("its checks are answered");
    let late = controlling.connect(&named).await.expect("a path");
    late.send(b"hello").await;
    let datagram = early.recv().await.expect("a datagram");
    assert_eq!(*datagram, *b"hello");
}

/// An address that has been checked from and is named as a relay's later is one of a relay.
#[tokio::test]
async fn a_relay_that_is_named_late_stays_behind() {
    let socket = std::sync::Arc::new(tokio::net::UdpSocket::bind(LOOPBACK).await.unwrap());
    let to = socket.local_addr().unwrap();
    let (pairs, _network, _data) = pairs::Pairs::new(
        vec![socket],
        None,
        ("usernamefragment".into(), "a password that is long enough".into()),
    );
    let _readers = pairs.read();
    let options = IceOptions { loopback: true, ..IceOptions::default() };
    let other = gather_with(IceRole::Controlled, 63, options).await;
    let from = home(&other).addr;
    let remote = IceParameters {
        ufrag: "usernamefragment".into(),
        pwd: "a password that is long enough".into(),
        candidates: vec![Candidate { addr: to, ..home(&other) }],
    };
    let mut unnamed = pairs.unnamed();
    let checks = other.connect(&remote);
    let stands = async { unnamed.wait_for(|stands| !stands.is_empty()).await.unwrap().clone() };
    let stands = tokio::select! { stands = stands => stands, _ = checks => panic!("no path") };
    assert!(!pairs.is_named(stands[0]), "it has only been checked from");
    assert_eq!(pairs.add(from, CandidateType::Relay), stands);
    assert!(pairs.is_named(stands[0]));
}
