//! Nodes of this process that lend each other relays.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::relay::{Allocation, RelayServer};
use super::*;
use crate::config::{OverlayConfig, SignedConfig};
use crate::crypto::{Keys, NodeIdDigest, X509Provider};
use crate::message::{KindId, Places};
use crate::peer::{Answer, Command, FetchSpec, PeerConfig};
use crate::storage::KindTable;
use crate::usage::{turn_records, turn_server};

/// The longest wait for one step on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// On one machine, where no address is public.
async fn start(user: &str, relays: RelayOptions) -> (Node, mpsc::Receiver<NodeEvent>) {
    let provider = X509Provider {
        overlay: "example.org".into(),
        node_id_length: 16,
        self_signed: Some(NodeIdDigest::Sha256),
        roots: Vec::new(),
    };
    let keys = Keys::self_signed(&provider, user, unix_ms(), 2).unwrap();
    let config = OverlayConfig::self_signed("example.org").unwrap();
    let config = OverlayConfig { turn_density: 3, ..config };
    let document = Arc::new(SignedConfig::unsigned(&config).unwrap());
    let options = NodeOptions {
        config: PeerConfig::of(document.clone()),
        kinds: KindTable::of_document(&document, &provider).unwrap(),
        identity: keys.identity(&provider).unwrap(),
        keys,
        provider: Arc::new(provider),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        loopback: true,
        stun_servers: Vec::new(),
        relays,
        opens_ports: false,
        values: None,
        pcap: None,
        seed: os_seed(),
    };
    Node::start(options).await.unwrap()
}

/// Lends on this machine.
fn lending() -> RelayOptions {
    RelayOptions { anywhere: true, ..RelayOptions::default() }
}

async fn joined(node: &Node) {
    let mut status = node.status();
    let wait = status.wait_for(|status| status.joined);
    timeout(PATIENCE, wait).await.expect("joins in time").unwrap();
}

async fn join(node: &Node, through: &Node) {
    node.tell(Command::Join(vec![through.listen()])).await.unwrap();
    joined(node).await;
}

/// The address in a record, once it is there.
async fn record(asker: &Node, of: &Node, iteration: usize) -> SocketAddr {
    let resource = turn_records(of.node_id(), of.listen(), 20)[iteration - 1].resource.clone();
    let spec = FetchSpec { resource, kind: KindId::TURN_SERVICE, places: Places::Single };
    let found = async {
        loop {
            let answer = asker.request(Command::Fetch(spec.clone())).await;
            if let Ok(Answer::Fetched(fetched)) = answer
                && let Some(value) = fetched.values.first()
            {
                let server = turn_server(&value.value).unwrap();
                assert_eq!(usize::from(server.iteration), iteration);
                assert_eq!(value.signer_node_id, of.node_id());
                return server.address;
            }
        }
    };
    timeout(PATIENCE, found).await.expect("the record is there in time")
}

/// The relays at hand, once they are as awaited.
async fn relays(node: &Node, are_such: impl Fn(&[RelayServer]) -> bool) -> Vec<RelayServer> {
    let awaited = async {
        while !are_such(&node.relays()) {
            tokio::task::yield_now().await;
        }
        node.relays()
    };
    timeout(PATIENCE, awaited).await.expect("the relays at hand in time")
}

/// R6940-9-02, R6940-9-03: a node that is reached records itself turn-density times.
/// R6940-9-05: others find it by Find at random places and Fetch, also those that have joined
/// through somebody else, get credentials of it, and are relayed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_is_lent_found_and_used() {
    let (alice, _a) = start("alice@example.org", lending()).await;
    alice.tell(Command::Found).await.unwrap();
    joined(&alice).await;
    let mut reach = alice.reach();
    let reached = Reach::Reached(alice.listen());
    timeout(PATIENCE, reach.wait_for(|reach| *reach == reached)).await.expect("is lent").unwrap();

    let nothing = RelayOptions { lend: None, ..RelayOptions::default() };
    let (bob, _b) = start("bob@example.org", nothing.clone()).await;
    join(&bob, &alice).await;
    for iteration in 1..=3 {
        assert_eq!(record(&bob, &alice, iteration).await, alice.listen());
    }
    let (carol, _c) = start("carol@example.org", nothing).await;
    join(&carol, &bob).await;
    for node in [&bob, &carol] {
        let relays = relays(node, |relays| !relays.is_empty()).await;
        assert_eq!(relays[0].address, alice.listen());
        let allocation = Allocation::open(&relays[0], false).await.expect("an address");
        assert_eq!(allocation.relayed().ip(), alice.listen().ip());
    }
}

/// A relay that is gone is not offered to anybody, long before it would have been asked again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_is_gone_is_forgotten() {
    let elsewhere = tokio::runtime::Runtime::new().unwrap();
    let (alice, _a) = elsewhere.spawn(start("alice@example.org", lending())).await.unwrap();
    alice.tell(Command::Found).await.unwrap();
    joined(&alice).await;
    let nothing = RelayOptions { lend: None, ..RelayOptions::default() };
    let (bob, _b) = start("bob@example.org", nothing).await;
    join(&bob, &alice).await;
    relays(&bob, |relays| !relays.is_empty()).await;
    drop(alice);
    elsewhere.shutdown_background();
    let agent = bob.agents().take(IceRole::Controlled).await.expect("bob's own addresses");
    assert!(
        agent.local().candidates.iter().all(|candidate| candidate.kind != CandidateKind::Relay)
    );
    relays(&bob, <[RelayServer]>::is_empty).await;
}

/// What is lent is the user's to change while the node runs: nothing more, and something again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lent_is_changed_while_it_runs() {
    let (alice, _a) = start("alice@example.org", lending()).await;
    alice.tell(Command::Found).await.unwrap();
    let becomes = async |lent: Option<usize>| {
        let waited = async {
            while alice.lent() != lent {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, waited).await.expect("what is lent changes");
    };
    becomes(Some(0)).await;
    alice.lend(None);
    becomes(None).await;
    alice.lend(Some(RelayQuota { sessions: 4, bytes_per_s: 50_000 }));
    becomes(Some(0)).await;
}

/// R6940-9-01: a node without a public address offers nothing, though it would lend.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_public_address_lends_nothing() {
    let (alice, _a) = start("alice@example.org", RelayOptions::default()).await;
    alice.tell(Command::Found).await.unwrap();
    let mut reach = alice.reach();
    let known = timeout(PATIENCE, reach.wait_for(|reach| *reach != Reach::Unknown));
    assert_eq!(*known.await.expect("it is known").unwrap(), Reach::Hidden);
    let resource = turn_records(alice.node_id(), alice.listen(), 1)[0].resource.clone();
    let spec = FetchSpec { resource, kind: KindId::TURN_SERVICE, places: Places::Single };
    let Answer::Fetched(fetched) = alice.request(Command::Fetch(spec)).await.unwrap() else {
        panic!("no values")
    };
    assert!(fetched.values.is_empty());
}
