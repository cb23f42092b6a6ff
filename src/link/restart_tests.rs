//! Nodes of this process that are stopped and started again with the file of their values.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::base::ResourceId;
use crate::config::{OverlayConfig, SignedConfig};
use crate::crypto::{Keys, NodeIdDigest, X509Provider};
use crate::message::Places;
use crate::peer::{Answer, Command, FetchSpec, PeerConfig};
use crate::storage::KindTable;
use crate::usage::certificate_store;

/// A device that can be switched off and on again.
pub(super) struct Device {
    keys: Keys,
    folder: tempfile::TempDir,
}

struct Running {
    node: Node,
    events: mpsc::Receiver<NodeEvent>,
}

fn provider() -> X509Provider {
    let overlay = "example.org".into();
    X509Provider {
        overlay,
        node_id_length: 16,
        self_signed: Some(NodeIdDigest::Sha256),
        roots: Vec::new(),
    }
}

impl Device {
    pub(super) fn new(user: &str) -> Self {
        let keys = Keys::self_signed(&provider(), user, unix_ms(), 2).unwrap();
        Self { keys, folder: tempfile::tempdir().unwrap() }
    }

    fn values(&self) -> PathBuf {
        self.folder.path().join("values.db")
    }

    /// Where this device's certificate is in the overlay.
    pub(super) fn publication(&self) -> FetchSpec {
        let identity = self.keys.identity(&provider()).unwrap();
        let found = certificate_store::by_node(&identity.certificate, identity.node_id, 0);
        FetchSpec { resource: found.resource, kind: found.kind, places: Places::Array(Vec::new()) }
    }

    pub(super) fn options(&self) -> NodeOptions {
        let config = OverlayConfig::self_signed("example.org").unwrap();
        let document = Arc::new(SignedConfig::unsigned(&config).unwrap());
        NodeOptions {
            config: PeerConfig::of(document.clone()),
            kinds: KindTable::of_document(&document, &provider()).unwrap(),
            identity: self.keys.identity(&provider()).unwrap(),
            keys: self.keys.clone(),
            provider: Arc::new(provider()),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            loopback: true,
            stun_servers: Vec::new(),
            relays: RelayOptions::default(),
            opens_ports: false,
            values: Some(self.values()),
            pcap: None,
            seed: os_seed(),
        }
    }

    async fn start(&self) -> Running {
        let (node, events) = Node::start(self.options()).await.unwrap();
        Running { node, events }
    }
}

impl Running {
    /// The first status with values.
    async fn values(&self, wanted: impl Fn(usize) -> bool) -> NodeStatus {
        let mut status = self.node.status();
        let wait = status.wait_for(|status| wanted(status.values_stored));
        *timeout(PATIENCE, wait).await.expect("values in time").unwrap()
    }

    async fn event(&mut self) -> NodeEvent {
        timeout(PATIENCE, self.events.recv()).await.expect("an event in time").unwrap()
    }

    /// Ends without a word to the others.
    async fn stop(self) {
        let Self { node, mut events } = self;
        drop(node);
        let end = async { while events.recv().await.is_some() {} };
        timeout(PATIENCE, end).await.expect("the node ends");
    }
}

/// Whether a resource is in the file of a node that runs.
async fn is_written(path: &Path, resource: &ResourceId) {
    let file = rusqlite::Connection::open(path).unwrap();
    let count = "SELECT count(*) FROM resources WHERE resource = ?1";
    let written = async {
        while file.query_row(count, [resource.as_bytes()], |row| row.get::<_, i64>(0)) != Ok(1) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, written).await.expect("the value is written while the node runs");
}

/// A node that was stopped has the values of others before it joins again, and they can still be
/// verified when nobody else is there. If its file is damaged it says so and gets them back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stored_values_survive_a_restart() {
    let (alice, bob) = (Device::new("alice@example.org"), Device::new("bob@example.org"));
    let of_alice = alice.publication();
    let at_alice = alice.start().await;
    at_alice.node.tell(Command::Found).await.unwrap();
    let through_alice = Command::Join(vec![at_alice.node.listen()]);
    let at_bob = bob.start().await;
    at_bob.node.tell(through_alice.clone()).await.unwrap();
    at_bob.values(|count| count == VALUES).await;
    is_written(&bob.values(), &of_alice.resource).await;
    at_bob.stop().await;

    let at_bob = bob.start().await;
    let status = at_bob.values(|count| count > 0).await;
    assert_eq!(status, NodeStatus { joined: false, links: 0, values_stored: VALUES });
    at_bob.stop().await;

    std::fs::write(bob.values(), b"this is no database, and long enough to be seen").unwrap();
    let mut at_bob = bob.start().await;
    let event = at_bob.event().await;
    let NodeEvent::StoreProblem(StoreProblem::SetAside(aside)) = event else { panic!("{event:?}") };
    assert!(aside.exists());
    assert_eq!(at_bob.node.status().borrow().values_stored, 0);
    at_bob.node.tell(through_alice).await.unwrap();
    at_bob.values(|count| count == VALUES).await;
    at_alice.stop().await;
    at_bob.stop().await;

    let mut at_bob = bob.start().await;
    at_bob.values(|count| count == VALUES).await;
    at_bob.node.tell(Command::Found).await.unwrap();
    let event = at_bob.event().await;
    assert!(matches!(event, NodeEvent::Joined), "no problem any more: {event:?}");
    let answer = at_bob.node.request(Command::Fetch(of_alice)).await.unwrap();
    let Answer::Fetched(fetched) = answer else { panic!("{answer:?}") };
    assert_eq!(fetched.values.len(), 1);
    assert_eq!(fetched.values[0].signer.user_name, "alice@example.org");
}

/// The certificates of two nodes, each by Node-ID and by user.
const VALUES: usize = 4;
/// The longest wait for one step on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
