//! A node: a peer of an overlay on this machine, and the handle that faces have on it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};

use super::agent::ice_options;
use super::bootstrap::{BootstrapListener, PlainConnections};
use super::borrow::Borrow;
use super::clock::unix_ms;
use super::counters::NodeCounters;
use super::driver::Driver;
use super::dtls::LocalCertificate;
use super::error::LinkError;
use super::facts::{LinkFacts, LinkTable};
use super::ice::limits::CONNECT_ANSWERED;
use super::lend::{Lend, Lending, Reach};
use super::pcap::Pcap;
use super::pool::AgentPool;
use super::ports::{MappedPorts, PortMapper, PortMapping};
use super::relay::{OpenPorts, Quota, RelayServer};
use super::servers::Collect;
use super::store::StoreProblem;
use super::surroundings::Surroundings;
use super::transport::{Credentials, SecureFlow};
use crate::base::NodeId;
use crate::config::SignedConfig;
use crate::crypto::{Certificate, Identity, Keys, Provider};
use crate::message::Destination;
use crate::peer::{Answer, Command, ConfigEffect, JoinError, JoinStep, PeerConfig, RequestError};
use crate::storage::KindTable;

/// What a node is made of.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// What the overlay's document says.
    pub config: PeerConfig,
    /// What it stores.
    pub kinds: KindTable,
    /// Who we are.
    pub identity: Identity,
    /// The same for DTLS.
    pub keys: Keys,
    /// Judges certificates.
    pub provider: Arc<dyn Provider>,
    /// Where our bootstrap port listens.
    pub listen: SocketAddr,
    /// Candidates on the loopback interface too, for several peers on one machine.
    pub loopback: bool,
    /// Peers that tell us our address behind a NAT.
    pub stun_servers: Vec<SocketAddr>,
    /// What is lent to others and borrowed from them.
    pub relays: RelayOptions,
    /// Whether the router in front of us is asked to open ports.
    pub opens_ports: bool,
    /// The file that keeps the values over a restart; its folder exists.
    pub values: Option<PathBuf>,
    /// Where messages are written for Wireshark.
    pub pcap: Option<Pcap>,
    /// Seed of all randomness; from the operating system.
    pub seed: [u8; 32],
}

/// Relays, lent and borrowed (RFC 6940 §9).
#[derive(Clone, Debug)]
pub struct RelayOptions {
    /// What is lent, if others reach us; `None` to lend nothing.
    pub lend: Option<Quota>,
    /// Lends without being asked whether others reach us, and relays to any address, those of
    /// this machine and its network too: for overlays that have no other.
    pub anywhere: bool,
    /// Whether relays of others are used.
    pub borrow: bool,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self { lend: Some(Quota::default()), anywhere: false, borrow: true }
    }
}

/// A handle on a running node. The node leaves its links when the last handle is dropped.
#[derive(Clone)]
pub struct Node {
    commands: mpsc::Sender<(Command, Reply)>,
    status: watch::Receiver<NodeStatus>,
    counters: watch::Receiver<NodeCounters>,
    node_id: NodeId,
    listen: SocketAddr,
    plain: PlainConnections,
    agents: AgentPool,
    lending: Lending,
    reach: watch::Receiver<Reach>,
    relays: watch::Receiver<Vec<RelayServer>>,
    links: watch::Receiver<LinkTable>,
    mapping: watch::Receiver<PortMapping>,
    opens_ports: watch::Sender<bool>,
}

/// What a node reports unasked.
#[derive(Debug)]
pub enum NodeEvent {
    /// A step of joining has begun.
    Joining(JoinStep),
    /// We are a peer.
    Joined,
    /// Joining failed for now.
    JoinFailed(JoinError),
    /// The machine has moved, and these addresses of it are gone; we join again if our links went
    /// with them.
    Moved(BTreeSet<IpAddr>),
    /// We have left.
    Left,
    /// A newer document is to be kept.
    Configured(Arc<SignedConfig>, ConfigEffect),
    /// Somebody else's connection for an application is up.
    AppFlow(AppFlow),
    /// Where we can join the next time: peers that we have been directly connected with, the
    /// latest first (RFC 6940 §11.4).
    BootstrapNodes(Vec<SocketAddr>),
    /// The values that we keep will not all survive a restart, or have not.
    StoreProblem(StoreProblem),
}

/// A connection for an application, with the proven identity of the other side.
pub struct AppFlow {
    /// The Application-ID.
    pub application: u16,
    /// Who is on the other side.
    pub certificate: Arc<Certificate>,
    /// The secure flow.
    pub flow: SecureFlow,
    /// How long our AppAttach took to be answered; zero if the other side sent it.
    pub attached: Duration,
}

/// A connection for an application that the other side has agreed to, on its way up.
pub struct AppPath {
    /// Our network.
    pub here: Surroundings,
    /// The other side's.
    pub there: Surroundings,
    pub(super) since: tokio::time::Instant,
    pub(super) flow: oneshot::Receiver<Result<AppFlow, NodeError>>,
}

impl AppPath {
    /// Waits until ICE and DTLS have done their work.
    pub async fn up(&mut self) -> Result<AppFlow, NodeError> {
        (&mut self.flow).await.map_err(|_| NodeError::Ended)?
    }

    /// Whether ICE must have ended by now, so that what is missing is DTLS.
    pub fn is_securing(&self) -> bool {
        self.since.elapsed() > CONNECT_ANSWERED
    }
}

impl std::fmt::Debug for AppFlow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AppFlow({} to {})", self.application, self.certificate.user_name)
    }
}

/// What faces show of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NodeStatus {
    /// Whether we are a peer.
    pub joined: bool,
    /// Nodes with a link to us.
    pub links: usize,
    /// Values that we keep.
    pub values_stored: usize,
}

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// The overlay did not do it.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The connection could not be made.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The node has ended.
    #[error("the node has ended")]
    Ended,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({} at {})", self.node_id, self.listen)
    }
}

impl Node {
    /// Opens the bootstrap port and starts the node with the values that it had before; it does
    /// nothing until told to join or found. Once its events have ended all is written.
    pub async fn start(
        options: NodeOptions,
    ) -> Result<(Self, mpsc::Receiver<NodeEvent>), LinkError> {
        let credentials = credentials(&options);
        let listener =
            BootstrapListener::bind(options.listen, credentials.clone(), options.pcap.clone())
                .await?;
        let plain = listener.plain().clone();
        let realm = options.config.document.as_ref().map(|d| d.config.instance_name.to_string());
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let (events, events_out) = mpsc::channel(EVENTS_MAX);
        let (status_in, status) = watch::channel(NodeStatus::default());
        let node_id = options.identity.node_id;
        let listen = listener.local_addr();
        let (counters_in, counters) = watch::channel(NodeCounters::default());
        let asker = Asker(commands.downgrade());
        let ports = OpenPorts::default();
        let lending = listener.lending().clone();
        lending.want(options.relays.lend);
        let (told, mapping) = watch::channel(PortMapping::default());
        let (opens_ports, wanted) = watch::channel(options.opens_ports);
        let lend = Lend {
            asker: asker.clone(),
            status: status.clone(),
            lending: lending.clone(),
            listen,
            node_id,
            options: options.relays.clone(),
            realm: realm.unwrap_or_default(),
            density: options.config.turn_density(),
            ports: ports.clone(),
            mapping: mapping.clone(),
        };
        let reach = lend.start();
        let (dialed, met) = mpsc::channel(DIALED_MAX);
        let relays = borrow(&options, asker, status.clone(), reach.clone(), met);
        let (links_in, links) = watch::channel(LinkTable::default());
        let news =
            News { events, status: status_in, counters: counters_in, links: links_in, dialed };
        let mapped = MappedPorts::default();
        let servers = Collect::start(options.stun_servers.clone(), links.clone());
        let ice = ice_options(&options, &ports, &mapped);
        let agents = AgentPool::new(ice, relays.clone(), servers);
        let mapper = PortMapper::start(listen, mapped, agents.clone(), told, wanted);
        let driver =
            Driver::new(options, credentials, listener, inbox, news, agents.clone(), mapper);
        tokio::spawn(driver.run());
        let node = Self {
            commands,
            status,
            counters,
            node_id,
            listen,
            plain,
            agents,
            lending,
            reach,
            relays,
            links,
            mapping,
            opens_ports,
        };
        Ok((node, events_out))
    }

    /// Our Node-ID.
    pub fn node_id(&self) -> NodeId {
        self.node_id
    }

    /// Where the bootstrap port listens.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Whether others reach us at our port, as far as we know; changes can be waited for.
    pub fn reach(&self) -> watch::Receiver<Reach> {
        self.reach.clone()
    }

    /// Whether the router in front of us has opened our port; changes can be waited for.
    pub fn port_mapping(&self) -> watch::Receiver<PortMapping> {
        self.mapping.clone()
    }

    /// Whether the router in front of us is asked to open ports from now on. What it has opened is
    /// closed if not.
    pub fn open_ports(&self, opens: bool) {
        self.opens_ports.send_if_modified(|before| std::mem::replace(before, opens) != opens);
    }

    /// Lends this much of a relay from now on if others reach us, or nothing. Who is relayed when
    /// that changes has to look for another relay.
    pub fn lend(&self, quota: Option<Quota>) {
        self.lending.want(quota);
    }

    /// How many relayed addresses others have of us now; `None` while no relay is lent.
    pub fn lent(&self) -> Option<usize> {
        self.lending.relay().map(|relay| relay.sessions())
    }

    /// Each link that is up, the oldest first. When one comes or goes [`NodeStatus::links`] may
    /// change; round-trip times are those of this moment.
    pub fn links(&self) -> Vec<LinkFacts> {
        self.links.borrow().facts()
    }

    /// Relays that lend us addresses at present, the nearest first.
    pub fn relays(&self) -> Vec<RelayServer> {
        self.relays.borrow().clone()
    }

    /// TCP connections to the port that are no links, such as those of who asks for the overlay's
    /// document; from now on for this caller. Until somebody calls they are closed.
    pub fn plain_connections(&self) -> mpsc::Receiver<TcpStream> {
        self.plain.take()
    }

    /// Candidates for what else is to be connected, such as sound. Some are ready while the node
    /// serves applications.
    pub fn agents(&self) -> &AgentPool {
        &self.agents
    }

    /// What faces show; changes can be waited for.
    pub fn status(&self) -> watch::Receiver<NodeStatus> {
        self.status.clone()
    }

    /// What the node has counted so far.
    pub fn counters(&self) -> NodeCounters {
        *self.counters.borrow()
    }

    /// Gives a command and waits for its answer. [`Command::Found`], [`Command::Join`],
    /// [`Command::Leave`] and [`Command::Applications`] have none.
    pub async fn request(&self, command: Command) -> Result<Answer, NodeError> {
        match self.send(command).await? {
            Done::Answer(answer) => Ok(*answer),
            Done::Path(_) => Err(NodeError::Ended),
        }
    }

    /// Asks for a connection for an application by AppAttach; the answer comes before the
    /// connection.
    pub async fn app_attach(
        &self,
        to: Vec<Destination>,
        application: u16,
    ) -> Result<AppPath, NodeError> {
        match self.send(Command::AppAttach(to, application)).await? {
            Done::Path(path) => Ok(path),
            Done::Answer(_) => Err(NodeError::Ended),
        }
    }

    /// Gives a command that has no answer.
    pub async fn tell(&self, command: Command) -> Result<(), NodeError> {
        let (reply, _) = oneshot::channel();
        self.commands.send((command, reply)).await.map_err(|_| NodeError::Ended)
    }

    async fn send(&self, command: Command) -> Result<Done, NodeError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send((command, reply)).await.map_err(|_| NodeError::Ended)?;
        answer.await.map_err(|_| NodeError::Ended)?
    }
}

/// Gives commands to a node without keeping it running.
#[derive(Clone, Debug)]
pub(super) struct Asker(mpsc::WeakSender<(Command, Reply)>);

impl Asker {
    pub(super) async fn request(&self, command: Command) -> Result<Answer, NodeError> {
        let (reply, answer) = oneshot::channel();
        let commands = self.0.upgrade().ok_or(NodeError::Ended)?;
        commands.send((command, reply)).await.map_err(|_| NodeError::Ended)?;
        drop(commands);
        match answer.await.map_err(|_| NodeError::Ended)?? {
            Done::Answer(answer) => Ok(*answer),
            Done::Path(_) => Err(NodeError::Ended),
        }
    }

    pub(super) async fn tell(&self, command: Command) {
        let (reply, _) = oneshot::channel();
        if let Some(commands) = self.0.upgrade() {
            let _ = commands.send((command, reply)).await;
        }
    }
}

/// Relays of others, if they are used.
fn borrow(
    options: &NodeOptions,
    asker: Asker,
    status: watch::Receiver<NodeStatus>,
    reach: watch::Receiver<Reach>,
    met: mpsc::Receiver<(NodeId, SocketAddr)>,
) -> watch::Receiver<Vec<RelayServer>> {
    let (ready, relays) = watch::channel(Vec::new());
    if options.relays.borrow {
        let anywhere = options.relays.anywhere || options.loopback;
        let node_id = options.identity.node_id;
        let (missed, missing) = mpsc::channel(MISSED_MAX);
        let borrow =
            Borrow { asker, status, met, ready, missed, missing, node_id, reach, anywhere };
        tokio::spawn(borrow.run());
    }
    relays
}

/// Where a driver reports to.
pub(super) struct News {
    pub(super) events: mpsc::Sender<NodeEvent>,
    pub(super) status: watch::Sender<NodeStatus>,
    pub(super) counters: watch::Sender<NodeCounters>,
    pub(super) links: watch::Sender<LinkTable>,
    /// Peers that take links at an address.
    pub(super) dialed: mpsc::Sender<(NodeId, SocketAddr)>,
}

/// The result of a command.
pub(super) enum Done {
    Answer(Box<Answer>),
    Path(AppPath),
}

/// Where the result of a command goes.
pub(super) type Reply = oneshot::Sender<Result<Done, NodeError>>;

/// What we show on links, and how we judge what others show.
fn credentials(options: &NodeOptions) -> Credentials {
    let provider = options.provider.clone();
    Credentials {
        local: LocalCertificate {
            certificate_der: options.keys.certificate_der.clone(),
            private_key_pkcs8_der: options.keys.private_key_der.clone(),
        },
        verify: Arc::new(move |der| {
            let certificate = provider.certificate(der).map_err(|e| e.to_string())?;
            if !certificate.is_valid_at(unix_ms()) {
                return Err("the certificate is not valid at this time".to_owned());
            }
            Ok(())
        }),
    }
}

// limits

/// Commands waiting for the driver.
const COMMANDS_MAX: usize = 64;
/// Peers that may lend relays, waiting to be asked.
const DIALED_MAX: usize = 4;
/// Relays that are missed, waiting to be looked for.
const MISSED_MAX: usize = 4;
/// Events waiting for whoever started the node.
const EVENTS_MAX: usize = 64;
