//! What nodes of this process tell of their links.

use tokio::time::timeout;

use super::super::restart_tests::{Device, PATIENCE};
use super::super::tests::{LOOPBACK, anyone};
use super::super::transport::limits::IDLE;
use super::super::*;
use super::*;
use crate::peer::Command;

/// What a node tells of its link with another, once it has one of this kind and has measured it.
async fn link(node: &Node, with: &Node, kind: LinkKind) -> LinkFacts {
    let found = async {
        loop {
            let wanted = |facts: &LinkFacts| {
                (facts.node_id, facts.kind) == (with.node_id(), kind) && facts.rtt.is_some()
            };
            match node.links().into_iter().find(wanted) {
                Some(facts) => return facts,
                None => tokio::task::yield_now().await,
            }
        }
    };
    timeout(PATIENCE, found).await.expect("a link of this kind")
}

async fn start(user: &str) -> (Device, Node, tokio::sync::mpsc::Receiver<NodeEvent>) {
    let device = Device::new(user);
    let (node, events) = Node::start(device.options()).await.unwrap();
    (device, node, events)
}

/// Both sides of a link that ICE has found tell the same of it from their ends, and nothing once it
/// is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_tell_the_same_of_a_link() {
    let before = unix_ms();
    let (_a, alice, _alice) = start("alice@example.org").await;
    let (_b, bob, _bob) = start("bob@example.org").await;
    let (_c, carol, _carol) = start("carol@example.org").await;
    alice.tell(Command::Found).await.unwrap();
    assert!(alice.links().is_empty());
    for node in [&bob, &carol] {
        node.tell(Command::Join(vec![alice.listen()])).await.unwrap();
        timeout(PATIENCE, node.status().wait_for(|s| s.joined)).await.expect("joins").unwrap();
    }

    let found = LinkKind::DtlsUdpSr;
    // Until ICE has selected a pair each side uses the one that was valid first for it.
    let agree = async {
        loop {
            let (there, here) = (link(&carol, &bob, found).await, link(&bob, &carol, found).await);
            if (here.local, here.remote) == (there.remote, there.local) {
                return (there, here);
            }
        }
    };
    let (there, here) = timeout(PATIENCE, agree).await.expect("both use one pair");
    for facts in [here, there] {
        let pair = facts.pair.expect("ICE has selected one");
        assert_eq!((pair.local, facts.is_relayed()), (CandidateType::Host, false));
        assert!(facts.rtt.is_some_and(|rtt| rtt < PATIENCE));
        assert!((before..=unix_ms()).contains(&facts.since_unix_ms));
    }

    bob.tell(Command::Leave).await.unwrap();
    let gone = async {
        while alice.links().iter().any(|facts| facts.node_id == bob.node_id()) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.expect("nothing is told of a link that is gone");
}

/// A link to a known port is told as one, over UDP and over TCP.
#[tokio::test]
async fn a_link_to_a_known_port_is_told_as_one() {
    let listener = BootstrapListener::bind(LOOPBACK, anyone("alice"), None).await.unwrap();
    let (at, joiner) = (listener.local_addr(), anyone("bob"));
    let over_udp = bootstrap::dial_udp(at, &joiner, IDLE).await.unwrap();
    let over_tcp = tls::connect(at, &joiner, IDLE).await.unwrap();
    for (flow, name) in [(over_udp, "DTLS-UDP-SR-NO-ICE"), (over_tcp, "TLS-TCP-FH-NO-ICE")] {
        let facts = LinkFacts::new(NodeId::from_u128(1), flow.info());
        assert_eq!((facts.kind.to_string().as_str(), facts.remote), (name, at));
        assert_eq!((facts.pair, facts.is_relayed()), (None, false));
    }
}
