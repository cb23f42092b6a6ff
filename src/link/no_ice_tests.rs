use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use super::super::dtls::tests::{accept_all, accept_only, certificate};
use super::super::restart_tests::Device;
use super::super::tests::{anyone, credentials, hear};
use super::super::{NodeEvent, OverlayLink, Transport, convert};
use super::*;
use crate::config::{OverlayConfig, SignedConfig};
use crate::message::Destination;
use crate::peer::{Answer, Command, PeerConfig};

const UDP: u8 = OVERLAY_LINK_DTLS_UDP_SR_NO_ICE;
const TCP: u8 = OVERLAY_LINK_TLS_TCP_FH_NO_ICE;
/// The longest wait for one step on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

async fn agent(links: &[u8]) -> NoIceAgent {
    NoIceAgent::gather(links.to_vec(), true).await.unwrap()
}

fn codes(agent: &NoIceAgent) -> Vec<u8> {
    let mut codes: Vec<u8> = agent.candidates().iter().map(|c| c.overlay_link).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// R6940-6.5.1.5-01: without ICE only codes 3 and 4 are offered, with ICE only code 1.
/// R6940-6.6.5-03: what is offered for TLS is an address at which somebody listens.
#[tokio::test]
async fn what_is_offered_listens() {
    assert_eq!((UDP, TCP), (3, 4));
    assert_eq!(codes(&agent(&[UDP]).await), [3]);
    assert_eq!(codes(&agent(&[TCP]).await), [4]);
    let both = agent(&[TCP, UDP]).await;
    assert_eq!(codes(&both), [3, 4]);
    let local = both.candidates().iter().filter(|c| c.address.ip().is_loopback());
    let listening: Vec<_> = local.filter(|c| c.overlay_link == TCP).collect();
    assert!(!listening.is_empty());
    for candidate in listening {
        TcpStream::connect(candidate.address).await.expect("a passive candidate");
    }
    let options = super::super::IceOptions { loopback: true, ..Default::default() };
    let (role, ufrag, pwd) = (super::super::IceRole::Controlled, "ufrag", "p".repeat(24));
    let ice = super::super::IceAgent::gather(role, ufrag.into(), pwd, &options).await.unwrap();
    let with_ice = convert::to_peer(ice.local()).candidates;
    assert!(!with_ice.is_empty() && with_ice.iter().all(|c| c.overlay_link == 1));
}

/// R6940-6.5.1.6-01: TCP comes before DTLS with Simple Reliability on whatever address, and room is
/// left above both for what has neither's disadvantage.
#[test]
fn priorities_are_by_transport_then_by_address() {
    for rank in [0, 7, 70_000] {
        assert!(priority(TCP, 70_000) > priority(UDP, rank));
        assert!(priority(TCP, rank) < 126 << 24 | 3 << 21);
    }
    assert!(priority(UDP, 0) > priority(UDP, 1) && priority(TCP, 0) > priority(TCP, 1));
}

/// R6940-6.5.1.13-01, R6940-6.5.1.14-01: whoever sent the Attach is the server; the handshake may
/// begin before the answer has come to say with whom. Strangers at the port do no harm.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn either_type_connects_before_the_answer_is_there() {
    for (link, transport) in [(UDP, Transport::Udp), (TCP, Transport::Tcp)] {
        let (alice, bob) = (certificate("alice"), certificate("bob"));
        let (requester, answerer) = (agent(&[link]).await, agent(&[link]).await);
        let offered = requester.candidates().to_vec();
        let at_bob = credentials(&bob, accept_only(&alice));
        let dialling =
            tokio::spawn(async move { answerer.connect(&offered, Role::Responder, &at_bob).await });
        let stranger_to = requester.candidates().to_vec();
        let stranger = tokio::spawn(async move {
            let stranger = agent(&[link]).await;
            let mallory = credentials(&certificate("mallory"), accept_all());
            stranger.connect(&stranger_to, Role::Responder, &mallory).await.map(|_| ())
        });
        let at_alice = credentials(&alice, accept_only(&bob));
        let flow = requester.connect(&[], Role::Requester, &at_alice).await.unwrap();
        assert_eq!(flow.info().transport, transport);
        assert_eq!(flow.info().role, super::super::DtlsRole::Server);
        assert_eq!(flow.info().peer_certificate_der, bob.certificate_der);
        let (mut there, mut here) = (
            OverlayLink::new(dialling.await.unwrap().unwrap(), None),
            OverlayLink::new(flow, None),
        );
        for text in ["one", "two"] {
            here.send(text.into()).unwrap();
            hear(&mut there, text.as_bytes()).await;
            there.send(text.into()).unwrap();
            hear(&mut here, text.as_bytes()).await;
        }
        stranger.abort();
    }
}

/// Where TCP does not get through, the other type does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_candidate_is_tried() {
    let (requester, answerer) = (agent(&[TCP, UDP]).await, agent(&[TCP, UDP]).await);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut offered = requester.candidates().to_vec();
    offered.iter_mut().filter(|c| c.overlay_link == TCP).for_each(|c| c.address = closed);
    let (a, b) = (anyone("a"), anyone("b"));
    let (accepted, dialled) = tokio::join!(
        requester.connect(&[], Role::Requester, &a),
        answerer.connect(&offered, Role::Responder, &b),
    );
    assert_eq!(accepted.unwrap().info().transport, Transport::Udp);
    assert_eq!(dialled.unwrap().info().transport, Transport::Udp);
}

async fn start(device: &Device, protocol: &str) -> (super::super::Node, NodeEvents) {
    let mut config = OverlayConfig::self_signed("example.org").unwrap();
    config.no_ice = true;
    config.overlay_link_protocols = vec![protocol.to_owned()];
    assert_eq!(config.check_supported(), Ok(()));
    let mut options = device.options();
    options.config = PeerConfig::of(Arc::new(SignedConfig::unsigned(&config).unwrap()));
    super::super::Node::start(options).await.unwrap()
}

type NodeEvents = tokio::sync::mpsc::Receiver<NodeEvent>;

async fn joined(events: &mut NodeEvents) {
    let wait = async { while !matches!(events.recv().await, Some(NodeEvent::Joined)) {} };
    timeout(PATIENCE, wait).await.expect("joined in time");
}

/// R6940-11.1-11: three nodes of an overlay without ICE join, store and fetch over each of the two
/// types of links, and over both.
/// R6940-5.4-01: a connection for an application is one of its own: its end is not the end of the
/// link with that node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_without_ice_are_an_overlay() {
    for protocol in ["DTLS-UDP-SR-NO-ICE", "TLS-TCP-FH-NO-ICE", "TLS"] {
        let devices = ["alice", "bob", "carol"].map(|n| Device::new(&format!("{n}@example.org")));
        let (alice, mut at_alice) = start(&devices[0], protocol).await;
        alice.tell(Command::Found).await.unwrap();
        joined(&mut at_alice).await;
        let mut others = Vec::new();
        for device in &devices[1..] {
            let (node, mut events) = start(device, protocol).await;
            node.tell(Command::Join(vec![alice.listen()])).await.unwrap();
            joined(&mut events).await;
            others.push((node, events));
        }
        let carol = others[1].0.clone();
        for device in &devices {
            let found = async {
                loop {
                    // Certificates are stored a moment after joining.
                    match carol.request(Command::Fetch(device.publication())).await {
                        Ok(Answer::Fetched(found)) if !found.values.is_empty() => return,
                        _ => tokio::task::yield_now().await,
                    }
                }
            };
            timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{protocol}: a value"));
        }
        for (node, _) in &others {
            node.tell(Command::Applications(vec![5060])).await.unwrap();
        }
        let to = Destination::Node(others[0].0.node_id());
        let mut path = carol.app_attach(vec![to.clone()], 5060).await.unwrap();
        let mut flow = path.up().await.unwrap().flow;
        flow.close();
        while flow.recv().await.is_some() {}
        let answer = carol.request(Command::Ping(to)).await.unwrap();
        assert!(matches!(answer, Answer::Pinged { hops: 1, .. }), "{protocol}: {answer:?}");
    }
}
