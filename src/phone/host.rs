//! An overlay of one's own: its configuration and enrollment server and its first peer, in one
//! program and one folder.
//!
//! The peer's identity is the configuration-signer, so a new document, by which an account is
//! revoked, goes out through it as a ConfigUpdate (RFC 6940 §6.5.4). While all this is down
//! nobody gets or renews a certificate; whoever has one goes on as before.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::document::kinds;
use super::enter::reachable_address;
use crate::config::{BootstrapAddress, BootstrapNode, OverlayName, PORT_DEFAULT, SignedConfig};
use crate::enroll::server::{
    FolderLock, Foundation, Places, Registration, Registry, RegistryError, RegistryFolder, Server,
    ServerCertificate, ServerEvent, ServerOptions, enrollment_url,
};
use crate::enroll::{HttpsUrl, Invitation, Share};
use crate::link::{LinkError, Node, NodeEvent, NodeOptions, RelayOptions, os_seed, unix_ms};
use crate::peer::{Command, ConfigEffect, PeerConfig};

/// How an overlay of one's own is started.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// The folder in which all of it is, and what opens the private keys there.
    pub folder: RegistryFolder,
    /// The overlay's name, which is needed the first time.
    pub name: Option<OverlayName>,
    /// Who may make an account, from now on; at first only who is invited.
    pub registration: Option<Registration>,
    /// Where the HTTPS server listens. Port 0 is any port the first time, and that one afterwards.
    pub https: SocketAddr,
    /// Where the peer listens, with the same rule; by default on port 6084 beside the server.
    pub peer: Option<SocketAddr>,
    /// The host name or address by which others reach both, where it is not the address of
    /// [`HostOptions::https`].
    pub host: Option<String>,
    /// Where others of the overlay may be, beside those that are remembered in the folder.
    pub peers: Vec<SocketAddr>,
    /// A certificate of a web authority with its key, in PEM, in the place of one that the
    /// overlay's own authority issues.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// What a host reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostEvent {
    /// The peer is a peer.
    Joined,
    /// An account has got a certificate.
    Enrolled(String),
    /// The document with this sequence is in force and on its way to all peers.
    Document(u16),
    /// Something is wrong, as a sentence; the host goes on.
    Problem(String),
}

/// A running host.
#[derive(Debug)]
pub struct Host {
    document: Arc<SignedConfig>,
    url: String,
    local_url: String,
    peer: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Host {
    /// Starts server and peer, and the overlay itself if the folder has none.
    ///
    /// # Errors
    ///
    /// One sentence: a folder, a port, a name or a certificate that cannot be used.
    pub async fn start(options: HostOptions) -> Result<(Self, mpsc::Receiver<HostEvent>), String> {
        let (lock, known) = take_folder(&options).await?;
        let https = with_port(options.https, known.map(|(https, _)| https));
        let listener = TcpListener::bind(https).await.map_err(|e| no_port("HTTPS", https, &e))?;
        let https = listener.local_addr().map_err(|e| no_port("HTTPS", https, &e))?;
        let beside = SocketAddr::new(https.ip(), PORT_DEFAULT);
        let peer = with_port(options.peer.unwrap_or(beside), known.map(|(_, peer)| peer));
        let peer = free_port(peer).await?;
        let (places, certificate) = surroundings(&options, https, peer).await;
        let (folder, known) = (options.folder.clone(), options.peers.clone());
        let url = places.enrollment_url.clone();
        let local_url = enrollment_url(&reachable_address(https).ip().to_string(), https.port());
        blocking(move || prepare(&options, &places)).await?;
        let server = ServerOptions { folder: lock, certificate };
        let (server, server_events) =
            Server::start(listener, server).await.map_err(|error| error.to_string())?;
        let (node, node_events) = start_node(&folder, peer, known.clone()).await?;
        let document = server.document().borrow().clone();
        // Who has been told of the peer gets the document from it.
        let share = Share::on(node.plain_connections(), peer, &document);
        let (events, events_out) = mpsc::channel(EVENTS_MAX);
        let (stop, stopped) = oneshot::channel();
        let run = Run { folder, server, share, peer, known, node, events };
        let task = tokio::spawn(run.run(node_events, server_events, stopped));
        Ok((Self { document, url, local_url, peer, stop, task }, events_out))
    }

    /// The document that it has started with.
    pub fn document(&self) -> &Arc<SignedConfig> {
        &self.document
    }

    /// URL of the enrollment server.
    pub fn enrollment_url(&self) -> &str {
        &self.url
    }

    /// The same server's URL for this computer, whatever name others reach it by.
    pub fn local_enrollment_url(&self) -> &str {
        &self.local_url
    }

    /// Where the peer listens.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// A link by which others find the overlay and know that it is this one.
    pub fn invitation(&self) -> Invitation {
        let nodes = self.document.config.bootstrap_nodes.iter();
        let addresses = nodes.filter_map(|node| match node.address {
            BootstrapAddress::Ip(ip) => Some(SocketAddr::new(ip, node.port)),
            BootstrapAddress::Name(_) => None,
        });
        Invitation::new(&self.document, addresses.collect(), unix_ms())
    }

    /// Leaves the overlay in order and ends.
    pub async fn stop(self) {
        // A task that has ended already needs no word.
        let _ = self.stop.send(());
        let task = self.task.abort_handle();
        if timeout(LEAVE_MAX, self.task).await.is_err() {
            task.abort();
        }
    }
}

/// What runs until it is stopped.
struct Run {
    folder: RegistryFolder,
    server: Server,
    share: Share,
    peer: SocketAddr,
    known: Vec<SocketAddr>,
    node: Node,
    events: mpsc::Sender<HostEvent>,
}

impl Run {
    async fn run(
        mut self,
        mut node_events: mpsc::Receiver<NodeEvent>,
        mut server_events: mpsc::Receiver<ServerEvent>,
        mut stopped: oneshot::Receiver<()>,
    ) {
        let mut documents = self.server.document();
        let mut effect = ConfigEffect::InForce;
        let mut is_leaving = false;
        let mut search_ends = Some(Instant::now() + SEARCH_MAX);
        loop {
            tokio::select! {
                () = at(search_ends), if !is_leaving => {
                    // Nobody of the ring is where it was; those who are left look for us here.
                    search_ends = None;
                    let _ = self.node.tell(Command::Found).await;
                }
                Ok(()) = documents.changed() => {
                    let document = documents.borrow_and_update().clone();
                    self.share.replace(&document);
                    // A node that has ended says so by its events.
                    let _ = self.node.tell(Command::Configure(document)).await;
                }
                Some(event) = server_events.recv() => self.tell(match event {
                    ServerEvent::Enrolled(account) => HostEvent::Enrolled(account),
                    ServerEvent::Problem(sentence) => HostEvent::Problem(sentence),
                }),
                event = node_events.recv() => match event {
                    Some(NodeEvent::Joined) => {
                        search_ends = None;
                        self.tell(HostEvent::Joined);
                    }
                    Some(NodeEvent::Configured(document, what)) => {
                        effect = what;
                        self.tell(HostEvent::Document(document.config.sequence));
                    }
                    Some(NodeEvent::BootstrapNodes(addresses)) => self.remember(addresses).await,
                    Some(NodeEvent::StoreProblem(problem)) => {
                        self.tell(HostEvent::Problem(problem.to_string()));
                    }
                    Some(NodeEvent::Left) | None if is_leaving => return,
                    Some(NodeEvent::Left) | None => match self.again(&effect).await {
                        Some(events) => {
                            node_events = events;
                            search_ends = Some(Instant::now() + SEARCH_MAX);
                        }
                        None => return,
                    },
                    Some(_) => {}
                },
                _ = &mut stopped, if !is_leaving => {
                    is_leaving = true;
                    if self.node.tell(Command::Leave).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Makes the peer anew under a document with which the old one could not go on.
    async fn again(&mut self, effect: &ConfigEffect) -> Option<mpsc::Receiver<NodeEvent>> {
        if let ConfigEffect::Unsupported(error) = effect {
            self.tell(HostEvent::Problem(format!("The peer has left: {error}.")));
            return None;
        }
        match start_node(&self.folder, self.peer, self.known.clone()).await {
            Ok((node, events)) => {
                let document = self.server.document().borrow().clone();
                self.share = Share::on(node.plain_connections(), self.peer, &document);
                self.node = node;
                Some(events)
            }
            Err(sentence) => {
                self.tell(HostEvent::Problem(sentence));
                None
            }
        }
    }

    async fn remember(&self, addresses: Vec<SocketAddr>) {
        let folder = self.folder.clone();
        let remembered = blocking(move || {
            let sentence = |error: RegistryError| error.to_string();
            Registry::open(&folder).map_err(sentence)?.remember_peers(&addresses).map_err(sentence)
        });
        if let Err(sentence) = remembered.await {
            self.tell(HostEvent::Problem(sentence));
        }
    }

    fn tell(&self, event: HostEvent) {
        // Nobody may be listening, or not fast enough.
        let _ = self.events.try_send(event);
    }
}

/// Takes the folder; with the ports of server and peer if the overlay was started before.
async fn take_folder(options: &HostOptions) -> Result<(FolderLock, Option<(u16, u16)>), String> {
    let (folder, name) = (options.folder.clone(), options.name.clone());
    let taken = blocking(move || {
        let sentence = |error: RegistryError| error.to_string();
        let registry = Registry::open_named(&folder, name.as_ref()).map_err(sentence)?;
        if registry.is_none() {
            let path = folder.path();
            std::fs::create_dir_all(path)
                .map_err(|e| format!("The folder {} can't be made: {e}.", path.display()))?;
        }
        let lock = FolderLock::take(&folder).map_err(sentence)?;
        let Some(registry) = registry else { return Ok((lock, None)) };
        let config = registry.document().map_err(sentence)?.config;
        let url = config.enrollment_servers.first().and_then(|url| url.parse::<HttpsUrl>().ok());
        let peer = config.bootstrap_nodes.first().map(|node| node.port);
        Ok((lock, url.map(|url| url.port()).zip(peer)))
    });
    taken.await
}

/// Sees to it that the folder has the overlay, whose document says where everything is now.
fn prepare(options: &HostOptions, places: &Places) -> Result<(), String> {
    let sentence = |error: RegistryError| error.to_string();
    let mut registry = match &options.name {
        Some(name) => {
            let name = OverlayName::new(&name.to_ascii_lowercase()).map_err(|e| format!("{e}."))?;
            let foundation = Foundation {
                name,
                registration: Registration::InvitationOnly,
                places: places.clone(),
            };
            Registry::found(&options.folder, &foundation, unix_ms()).map_err(sentence)?
        }
        None => Registry::open(&options.folder).map_err(sentence)?,
    };
    if let Some(registration) = options.registration {
        registry.set_registration(registration).map_err(sentence)?;
    }
    registry.set_places(places, unix_ms()).map_err(sentence)
}

/// Where others find server and peer, and the certificate that the server shows them.
async fn surroundings(
    options: &HostOptions,
    https: SocketAddr,
    peer: SocketAddr,
) -> (Places, ServerCertificate) {
    let own = reachable_address(https).ip();
    let host = options.host.clone().unwrap_or_else(|| own.to_string());
    let (address, hosts): (IpAddr, Vec<String>) = match host.parse() {
        Ok(address) => (address, Vec::new()),
        Err(_) => {
            let found = tokio::net::lookup_host((host.as_str(), peer.port())).await;
            let found = found.ok().and_then(|mut found| found.next());
            (found.map_or(own, |found| found.ip()), vec![host.clone()])
        }
    };
    let certificate = match options.certificate.clone() {
        Some((certificates, key)) => ServerCertificate::Files { certificates, key },
        None => {
            let mut addresses = vec![address, own, IpAddr::from([127, 0, 0, 1])];
            addresses.sort();
            addresses.dedup();
            ServerCertificate::Own { hosts, addresses }
        }
    };
    let bootstrap = BootstrapNode { address: BootstrapAddress::Ip(address), port: peer.port() };
    let places = Places { enrollment_url: enrollment_url(&host, https.port()), bootstrap };
    (places, certificate)
}

/// The first peer of the overlay. Where others may have its ring already, among the peers that it
/// remembers and those that are `known`, it joins that one; otherwise it founds one.
async fn start_node(
    folder: &RegistryFolder,
    listen: SocketAddr,
    known: Vec<SocketAddr>,
) -> Result<(Node, mpsc::Receiver<NodeEvent>), String> {
    let folder = folder.clone();
    let (options, mut peers) = blocking(move || node_options(&folder, listen)).await?;
    peers.extend(known);
    peers.retain(|peer| *peer != listen && *peer != reachable_address(listen));
    let mut tries = PORT_TRIES;
    let started = loop {
        match Node::start(options.clone()).await {
            // One that we have just left is free a moment later.
            Err(LinkError::PortInUse(_)) if tries > 1 => {
                tries -= 1;
                sleep(PORT_PAUSE).await;
            }
            result => break result,
        }
    };
    let (node, events) = started
        .map_err(|error| format!("The peer's port can't be opened: {error}; choose another."))?;
    let entry = if peers.is_empty() { Command::Found } else { Command::Join(peers) };
    node.tell(entry).await.map_err(|error| error.to_string())?;
    Ok((node, events))
}

fn node_options(
    folder: &RegistryFolder,
    listen: SocketAddr,
) -> Result<(NodeOptions, Vec<SocketAddr>), String> {
    let sentence = |error: RegistryError| error.to_string();
    let registry = Registry::open(folder).map_err(sentence)?;
    let document = Arc::new(registry.document().map_err(sentence)?);
    let provider = registry.provider().map_err(sentence)?;
    let (keys, identity) = registry.identity().map_err(sentence)?;
    let options = NodeOptions {
        config: PeerConfig::of(document.clone()),
        kinds: kinds(&document, &provider)?,
        identity,
        keys,
        provider: Arc::new(provider),
        listen,
        loopback: listen.ip().is_loopback(),
        stun_servers: Vec::new(),
        relays: RelayOptions::default(),
        opens_ports: true,
        values: Some(folder.path().join(VALUES)),
        pcap: None,
        seed: os_seed(),
    };
    Ok((options, registry.peers().map_err(sentence)?))
}

/// Waits until a moment, or for ever without one.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

fn with_port(mut address: SocketAddr, known: Option<u16>) -> SocketAddr {
    if address.port() == 0 {
        address.set_port(known.unwrap_or(0));
    }
    address
}

/// The document says where the peer is before the peer is there: port 0 becomes one that is free.
async fn free_port(address: SocketAddr) -> Result<SocketAddr, String> {
    if address.port() != 0 {
        return Ok(address);
    }
    let probe = TcpListener::bind(address).await.map_err(|e| no_port("peer", address, &e))?;
    probe.local_addr().map_err(|e| no_port("peer", address, &e))
}

fn no_port(whose: &str, address: SocketAddr, error: &std::io::Error) -> String {
    format!("The {whose} port {address} can't be opened: {error}; choose another.")
}

/// Runs what waits for disk or processor beside the tasks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let ending = |_| Err("The program is ending.".to_owned());
    tokio::task::spawn_blocking(work).await.unwrap_or_else(ending)
}

const VALUES: &str = "values.db";

// limits

/// Reports that nobody has read yet; further ones are lost.
const EVENTS_MAX: usize = 64;
/// How long a ring of the overlay is looked for before one is founded.
const SEARCH_MAX: Duration = Duration::from_secs(5);
/// How often a port that we may have had ourselves is tried, and the time between.
const PORT_TRIES: u32 = 100;
const PORT_PAUSE: Duration = Duration::from_millis(100);
/// How long leaving the overlay in order may take.
const LEAVE_MAX: Duration = Duration::from_secs(3);
