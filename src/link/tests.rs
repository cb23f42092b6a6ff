//! Links between nodes of this process, over real sockets on loopback.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::dtls::tests::{accept_all, accept_only, certificate};
use super::transport::limits::IDLE;
use super::*;
use crate::base::Rng;

pub(super) const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

pub(super) fn credentials(local: &LocalCertificate, verify: Verify) -> Credentials {
    Credentials { local: local.clone(), verify }
}

pub(super) fn anyone(name: &str) -> Credentials {
    credentials(&certificate(name), accept_all())
}

async fn gather(role: IceRole, seed: u64, stun_servers: Vec<SocketAddr>) -> IceAgent {
    let stun = StunServers::configured(stun_servers);
    let options = IceOptions { loopback: true, stun, ..IceOptions::default() };
    gather_with(role, seed, options).await
}

pub(super) async fn gather_with(role: IceRole, seed: u64, options: IceOptions) -> IceAgent {
    let mut rng = Rng::from_number(seed);
    IceAgent::gather(role, rng.ice_string(8), rng.ice_string(24), &options).await.unwrap()
}

async fn agents() -> (IceAgent, IceAgent) {
    let controlling = gather(IceRole::Controlling, 1, Vec::new()).await;
    let controlled = gather(IceRole::Controlled, 2, Vec::new()).await;
    (controlling, controlled)
}

/// Two flows as an Attach sets them up: its sender controls ICE and is DTLS server.
async fn flows(
    sender: &Credentials,
    answerer: &Credentials,
) -> (Result<SecureFlow, LinkError>, Result<SecureFlow, LinkError>) {
    let (controlling, controlled) = agents().await;
    let (to_sender, to_answerer) = (controlled.local().clone(), controlling.local().clone());
    tokio::join!(
        SecureFlow::over_ice(controlling, &to_sender, DtlsRole::Server, sender),
        SecureFlow::over_ice(controlled, &to_answerer, DtlsRole::Client, answerer),
    )
}

pub(super) async fn message(link: &mut OverlayLink) -> Bytes {
    let wait = timeout(Duration::from_secs(10), async {
        loop {
            match link.recv().await {
                Some(OverlayEvent::Message(message)) => return message,
                Some(OverlayEvent::Down(reason)) => panic!("down: {reason}"),
                None => panic!("no more events"),
                Some(_) => {}
            }
        }
    });
    wait.await.expect("a message in time")
}

/// Waits for `expected`. What came before it may come again: on a machine that stood still for
/// longer than the receiver remembers, a retransmission looks like another message.
pub(super) async fn hear(link: &mut OverlayLink, expected: &[u8]) {
    while message(link).await != expected {}
}

pub(super) async fn down(link: &mut OverlayLink) -> LinkError {
    let wait = timeout(Duration::from_secs(20), async {
        loop {
            match link.recv().await {
                Some(OverlayEvent::Down(reason)) => return reason,
                None => panic!("no reason given"),
                Some(_) => {}
            }
        }
    });
    wait.await.expect("the end in time")
}

/// R6940-6.5.1.13-01: ICE, DTLS with both certificates checked, messages both
/// ways, and a message above the MTU refused before it is sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_over_ice_carries_messages_both_ways() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    let (at_alice, at_bob) =
        flows(&credentials(&alice, accept_only(&bob)), &credentials(&bob, accept_only(&alice)))
            .await;
    let (at_alice, at_bob) = (at_alice.unwrap(), at_bob.unwrap());
    assert_eq!(at_alice.info().peer_certificate_der, bob.certificate_der);
    let (mut at_alice, mut at_bob) =
        (OverlayLink::new(at_alice, None), OverlayLink::new(at_bob, None));
    // Each begins with the first pair that it finds valid; in the end it is the same one.
    let agreed = async {
        while at_alice.info().remote().port() != at_bob.info().local().port() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), agreed).await.expect("one path in time");

    let longest = Bytes::from(vec![7; at_alice.mtu()]);
    let too_long = at_alice.send(vec![0; 8000].into());
    assert_eq!(too_long, Err(SendError::TooLong { length: 8000, mtu: at_alice.mtu() }));
    for number in 0..200u32 {
        let text = Bytes::from(format!("message {number}"));
        at_bob.send(text.clone()).unwrap();
        hear(&mut at_alice, &text).await;
    }
    at_alice.send(longest.clone()).unwrap();
    hear(&mut at_bob, &longest).await;

    at_alice.close();
    assert_eq!(down(&mut at_bob).await, LinkError::Dtls(DtlsError::Closed));
    assert_eq!(down(&mut at_alice).await, LinkError::Closed);
    assert_eq!(at_alice.send(longest), Err(SendError::Down));
}

/// R6940-6.5.1.13-03, R7904-5.1-03: the certificate must be that of the signer of the Attach or
/// AppAttach; a connection with another one is closed and never used.
#[tokio::test]
async fn the_wrong_node_on_the_path_is_refused() {
    let (alice, bob, mallory) = (certificate("alice"), certificate("bob"), certificate("mallory"));
    let attempt = async {
        let (controlling, controlled) = agents().await;
        let (to_sender, to_answerer) = (controlled.local().clone(), controlling.local().clone());
        let sender = credentials(&alice, accept_only(&bob));
        let answerer = credentials(&mallory, accept_only(&alice));
        tokio::select! {
            refused = SecureFlow::over_ice(controlling, &to_sender, DtlsRole::Server, &sender) => {
                refused.err()
            }
            _ = SecureFlow::over_ice(controlled, &to_answerer, DtlsRole::Client, &answerer) => {
                panic!("the impostor got through or gave up first")
            }
        }
    };
    let refused = timeout(Duration::from_secs(10), attempt).await.unwrap();
    let reason = "not who we expect".to_owned();
    assert_eq!(refused, Some(LinkError::Dtls(DtlsError::CertificateRefused(reason))));
}

#[tokio::test]
async fn unusable_parameters_are_named() {
    let (agent, other) = agents().await;
    let mut remote = other.local().clone();
    remote.pwd.truncate(21);
    let error = agent.connect(&remote).await.err();
    assert_eq!(error, Some(LinkError::IceParameters("its credentials are too short")));

    let (agent, other) = agents().await;
    let mut remote = other.local().clone();
    remote.candidates.clear();
    let error = agent.connect(&remote).await.err();
    assert_eq!(error, Some(LinkError::IceParameters("it named no address that we may use")));
}

/// Many joiners at one port, each with a link of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_joiners_at_one_port() {
    let server = anyone("bootstrap");
    let mut listener = BootstrapListener::bind(LOOPBACK, server, None).await.unwrap();
    let address = listener.local_addr();
    let joiners: Vec<_> = (0..20u8)
        .map(|number| {
            tokio::spawn(async move {
                let credentials = anyone(&format!("joiner{number}"));
                let mut link = dial(address, &credentials, None).await.unwrap();
                link.send(vec![number; 100].into()).unwrap();
                hear(&mut link, &[number; 50]).await;
            })
        })
        .collect();
    // A joiner that has had to try TCP too may leave a link behind that says nothing.
    let port = tokio::spawn(async move {
        while let Some(mut link) = listener.accept().await {
            assert_eq!(link.info().local(), address);
            tokio::spawn(async move {
                while let Some(event) = link.recv().await {
                    if let OverlayEvent::Message(message) = event {
                        link.send(message.slice(..50)).unwrap();
                    }
                }
            });
        }
    });
    for joiner in joiners {
        joiner.await.unwrap();
    }
    assert!(!port.is_finished());
    port.abort();
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let first = BootstrapListener::bind(LOOPBACK, anyone("a"), None).await.unwrap();
    let address = first.local_addr();
    let second = BootstrapListener::bind(address, anyone("b"), None).await;
    let error = second.err().unwrap();
    assert_eq!(error, LinkError::PortInUse(address.port()));
    assert!(error.to_string().contains(&address.port().to_string()));
}

/// R6940-6.6.3.1-07: a hard ICMP error ends the attempt at once.
#[tokio::test]
async fn dialling_a_closed_port_fails_at_once() {
    let socket = std::net::UdpSocket::bind(LOOPBACK).unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let credentials = anyone("a");
    let attempt = timeout(Duration::from_secs(5), dial(address, &credentials, None));
    assert_eq!(attempt.await.unwrap().err(), Some(LinkError::Refused(address)));
}

#[tokio::test]
async fn a_joiner_with_the_wrong_certificate_gets_no_link() {
    let (alice, mallory) = (certificate("alice"), certificate("mallory"));
    let server = credentials(&certificate("bootstrap"), accept_only(&alice));
    let mut listener = BootstrapListener::bind(LOOPBACK, server, None).await.unwrap();
    let address = listener.local_addr();
    let refused = credentials(&mallory, accept_all());
    let attempt = tokio::spawn(async move { bootstrap::dial_udp(address, &refused, IDLE).await });
    let accepted = credentials(&alice, accept_all());
    let _link = bootstrap::dial_udp(address, &accepted, IDLE).await.unwrap();
    let link = listener.accept().await.unwrap();
    assert_eq!(link.info().peer_certificate_der, alice.certificate_der);
    assert!(!attempt.is_finished(), "the refused one is still waiting for an answer");
    attempt.abort();
}

/// R6940-6.5.1.4-03: the gatherer learns its address from a bootstrap port. On loopback it equals
/// the host's, so it is no candidate of its own; a server with another view gives one.
#[tokio::test]
async fn a_reflexive_address_becomes_a_candidate() {
    let listener = BootstrapListener::bind(LOOPBACK, anyone("b"), None).await.unwrap();
    let agent = gather(IceRole::Controlled, 5, vec![listener.local_addr()]).await;
    let kinds: Vec<_> = agent.local().candidates.iter().map(|c| c.kind).collect();
    assert!(!kinds.is_empty() && kinds.iter().all(|kind| *kind == CandidateKind::Host));

    // A server that sees everyone as a NAT would show them.
    let nat = tokio::net::UdpSocket::bind(LOOPBACK).await.unwrap();
    let address = nat.local_addr().unwrap();
    let mapped: SocketAddr = "203.0.113.7:40000".parse().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((length, source)) = nat.recv_from(&mut buffer).await {
            if let Some(answer) = stun::answer_binding(&buffer[..length], mapped) {
                nat.send_to(&answer, source).await.unwrap();
            }
        }
    });
    let silent = tokio::net::UdpSocket::bind(LOOPBACK).await.unwrap();
    let servers = vec![silent.local_addr().unwrap(), address];
    let agent = gather(IceRole::Controlled, 6, servers).await;
    let candidates = &agent.local().candidates;
    let reflexive: Vec<_> =
        candidates.iter().filter(|c| c.kind == CandidateKind::ServerReflexive).collect();
    assert_eq!(reflexive.len(), 1, "{candidates:?}");
    assert_eq!(reflexive[0].addr, mapped);
    let base = reflexive[0].related.unwrap();
    assert!(candidates.iter().any(|c| c.kind == CandidateKind::Host && c.addr == base));
}

/// Keys for media equal on both sides; protected packets pass as they are, both ways.
#[tokio::test]
async fn a_media_flow_has_keys_and_passes_packets() {
    let (controlling, controlled) = agents().await;
    let (to_caller, to_callee) = (controlled.local().clone(), controlling.local().clone());
    let (caller, callee) = (anyone("caller"), anyone("callee"));
    let (caller, callee) = tokio::join!(
        MediaFlow::over_ice(controlling, &to_caller, DtlsRole::Server, &caller),
        MediaFlow::over_ice(controlled, &to_callee, DtlsRole::Client, &callee),
    );
    let (mut caller, mut callee) = (caller.unwrap(), callee.unwrap());
    let keys = caller.info().srtp.clone().unwrap();
    assert_eq!(callee.info().srtp, Some(keys.clone()));
    let (send, _) = keys.send_receive(caller.info().role);
    let (_, receive) = keys.send_receive(callee.info().role);
    assert!(send == receive);
    for number in 0..50u8 {
        let packet = Bytes::from(vec![0x80, 111, 0, number]);
        caller.send_raw(packet.clone()).unwrap();
        assert_eq!(callee.recv_raw().await, Some(packet.clone()));
        callee.send_raw(packet.clone()).unwrap();
        assert_eq!(caller.recv_raw().await, Some(packet));
    }
    caller.close();
    assert_eq!(callee.recv_raw().await, None);
    assert_eq!(callee.reason(), LinkError::Dtls(DtlsError::Closed));
}

#[tokio::test]
async fn dropping_a_link_tells_the_other_side() {
    let (at_alice, at_bob) = flows(&anyone("alice"), &anyone("bob")).await;
    let mut at_bob = OverlayLink::new(at_bob.unwrap(), None);
    drop(OverlayLink::new(at_alice.unwrap(), None));
    assert_eq!(down(&mut at_bob).await, LinkError::Dtls(DtlsError::Closed));
}

/// A flood of ClientHellos that nobody follows up fills the places for handshakes of its source for
/// a moment and does not keep an honest joiner of the same source out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_handshakes_does_not_close_the_port() {
    let mut listener = BootstrapListener::bind(LOOPBACK, anyone("b"), None).await.unwrap();
    let address = listener.local_addr();
    let hello = client_hello();
    let mut sockets = Vec::new();
    for _ in 0..bootstrap::limits::HANDSHAKES_MAX + 20 {
        let socket = tokio::net::UdpSocket::bind(LOOPBACK).await.unwrap();
        socket.send_to(&hello, address).await.unwrap();
        sockets.push(socket);
    }
    let honest = anyone("honest");
    let both =
        async { tokio::join!(bootstrap::dial_udp(address, &honest, IDLE), listener.accept()) };
    // Before the handshakes of the flood end by themselves.
    let (flow, accepted) = timeout(dtls::limits::HANDSHAKE * 2 / 3, both).await.unwrap();
    assert_eq!(accepted.unwrap().info().remote(), flow.unwrap().info().local());
}

/// The first datagram of a DTLS client.
pub(super) fn client_hello() -> Bytes {
    let now = crate::base::Instant::ORIGIN;
    let local = certificate("flooder");
    let mut hello = dtls::Dtls::new(DtlsRole::Client, &local, None, accept_all(), now).unwrap();
    let Some(dtls::DtlsOutput::Datagram(hello)) = hello.poll() else { panic!("no ClientHello") };
    hello
}

/// R6940-6.5.1.10.2-02: when a link ends its sockets are freed.
#[tokio::test]
async fn a_closed_link_frees_its_socket() {
    let (at_alice, at_bob) = flows(&anyone("alice"), &anyone("bob")).await;
    let address = at_alice.as_ref().unwrap().info().local();
    assert!(std::net::UdpSocket::bind(address).is_err(), "the link has the port");
    drop((at_alice, at_bob));
    let freed = timeout(Duration::from_secs(10), async {
        while std::net::UdpSocket::bind(address).is_err() {
            tokio::task::yield_now().await;
        }
    });
    freed.await.expect("the port is free again");
}

/// What a whole link sends and receives can be read back from its capture.
#[tokio::test]
async fn a_capture_holds_both_directions_with_their_frames() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("link.pcap");
    let capture = Pcap::create(&file).unwrap();
    let mut listener = BootstrapListener::bind(LOOPBACK, anyone("b"), None).await.unwrap();
    let address = listener.local_addr();
    let joiner = anyone("joiner");
    let (link, accepted) =
        tokio::join!(bootstrap::dial_udp(address, &joiner, IDLE), listener.accept());
    let mut link = OverlayLink::new(link.unwrap(), Some(capture.clone()));
    let mut accepted = accepted.unwrap();
    link.send(Bytes::from_static(b"there")).unwrap();
    message(&mut accepted).await;
    accepted.send(Bytes::from_static(b"back")).unwrap();
    message(&mut link).await;

    let there = hex::decode("8000000000000005").unwrap();
    let back = hex::decode("8000000000000004").unwrap();
    let wanted = [[&there[..], b"there"].concat(), [&back[..], b"back"].concat()];
    let holds = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    let written = timeout(Duration::from_secs(10), async {
        loop {
            let bytes = std::fs::read(&file).unwrap();
            if wanted.iter().all(|part| holds(&bytes, part)) {
                return;
            }
            tokio::task::yield_now().await;
        }
    });
    written.await.expect("both frames are in the capture");
    assert_eq!(capture.left_out(), 0);
}

/// R6940-13.2-01: what is no DTLS gets no answer at the bootstrap port and opens no link; STUN,
/// which is no message of RELOAD, is all that is answered in the clear.
#[tokio::test]
async fn a_message_in_the_clear_is_not_taken() {
    let mut listener = BootstrapListener::bind(LOOPBACK, anyone("b"), None).await.unwrap();
    let socket = tokio::net::UdpSocket::bind(LOOPBACK).await.unwrap();
    socket.connect(listener.local_addr()).await.unwrap();
    let message = [&hex::decode("d2454c4f").unwrap()[..], &[0; 60]].concat();
    let frame = [&hex::decode("8000000000000040").unwrap()[..], &message].concat();
    for plain in [message, frame, b"INVITE sip:b@o SIP/2.0\r\n\r\n".to_vec()] {
        socket.send(&plain).await.unwrap();
    }
    let query = stun::BindingQuery::new().unwrap();
    socket.send(&query.request).await.unwrap();
    let mut answer = [0; 1500];
    let length = timeout(Duration::from_secs(10), socket.recv(&mut answer)).await.unwrap();
    let mapped = query.mapped_address(&answer[..length.unwrap()]);
    assert_eq!(mapped, Some(socket.local_addr().unwrap()), "the first answer is to the last");
    let nobody = timeout(Duration::ZERO, listener.accept()).await;
    assert!(nobody.is_err(), "no link");
}

/// What is wrong at the bootstrap port is counted: datagrams that belong to nothing, and nodes
/// whose certificate we refuse.
#[tokio::test]
async fn what_is_wrong_at_the_port_is_counted() {
    let (server, good, bad) = (certificate("server"), certificate("good"), certificate("bad"));
    let mut listener =
        BootstrapListener::bind(LOOPBACK, credentials(&server, accept_only(&good)), None)
            .await
            .unwrap();
    let address = listener.local_addr();
    let socket = tokio::net::UdpSocket::bind(LOOPBACK).await.unwrap();
    for noise in [&b"\x16no handshake"[..], b"\x80sound", b"\x00\x01", b"INVITE"] {
        socket.send_to(noise, address).await.unwrap();
    }
    let refused = credentials(&bad, accept_all());
    let counted = |listener: &BootstrapListener| {
        let mut counters = LinkCounters::default();
        listener.add_counters(&mut counters);
        counters
    };
    let attempt = async {
        tokio::select! {
            link = bootstrap::dial_udp(address, &refused, IDLE) => {
                panic!("{:?}", link.map(|_| ()).err())
            }
            () = async {
                while counted(&listener).certificates_refused == 0 {
                    tokio::task::yield_now().await;
                }
            } => {}
        }
    };
    timeout(Duration::from_secs(10), attempt).await.expect("the refusal is counted");
    let before = counted(&listener);
    // What was still on its way from whom we have refused belongs to nothing either.
    assert!(before.datagrams_ignored >= 4);
    assert_eq!((before.certificates_refused, before.handshakes_failed), (1, 0));
    let good = credentials(&good, accept_all());
    let (link, accepted) =
        tokio::join!(bootstrap::dial_udp(address, &good, IDLE), listener.accept());
    assert!(link.is_ok() && accepted.is_some());
    let after = counted(&listener);
    assert_eq!((after.certificates_refused, after.handshakes_failed), (1, 0));
}
