//! The way into an overlay: from a document to a node that joins.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::account::{Account, AccountId, AccountReport, Leaving, facts, sip_aor, tell};
use super::api::{Me, Membership, OverlayState};
use super::certify::has_authority;
use super::document::{DocumentFacts, founded, kinds};
use super::engine::Engine;
use super::hosting::OverlayKind;
use super::identity::{Standing, StoredIdentity};
use super::names::own_name;
use crate::config::{BootstrapAddress, BootstrapNode, Digest, OverlayConfig, SignedConfig};
use crate::crypto::{Certificate, NodeIdDigest, X509Provider};
use crate::link::{LinkError, LocalCertificate, Node, NodeEvent, NodeOptions, os_seed};
use crate::peer::{Command, PeerConfig};
use crate::sip::{UaConfig, UserAgent};
use crate::usage::{Aor, Gruu};

/// How we enter an overlay.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// As its founder, which signs its first document and listens here.
    Start(SocketAddr),
    /// As its first peer.
    Found,
    /// Through these bootstrap nodes and those of the document.
    Join(Vec<SocketAddr>),
}

/// A membership that begins when the one before it has ended.
#[derive(Clone, Debug)]
pub(super) struct Again {
    pub(super) document: SignedConfig,
    pub(super) user: String,
    pub(super) entry: Entry,
}

/// A membership whose port is being opened; it is given up when this is dropped.
pub(super) struct Entering {
    pub(super) me: Me,
    document: DocumentFacts,
    /// The port that was asked for.
    pub(super) port: u16,
    task: AbortHandle,
}

impl Entering {
    pub(super) fn new(me: Me, document: DocumentFacts, port: u16, task: AbortHandle) -> Self {
        Self { me, document, port, task }
    }
}

impl Drop for Entering {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a node is started with.
struct Opening {
    document: Arc<SignedConfig>,
    aor: Aor,
    options: NodeOptions,
    /// Whether the port was chosen, so that no other will do.
    is_chosen: bool,
    tries: u32,
    entry: Entry,
    /// Peers that we have been connected with before.
    cached: Vec<SocketAddr>,
}

/// A node that has its port and does nothing yet.
pub(super) struct Opened {
    document: Arc<SignedConfig>,
    aor: Aor,
    certificate: Arc<Certificate>,
    local: LocalCertificate,
    bootstrap: Vec<SocketAddr>,
    /// The address that was asked for.
    listen: SocketAddr,
    entry: Entry,
    node: Node,
    events: mpsc::Receiver<NodeEvent>,
}

impl Engine {
    /// Makes a new overlay, founds it here and joins it.
    pub(super) fn start_overlay(
        &mut self,
        name: &str,
        user: &str,
        listen: SocketAddr,
        kind: OverlayKind,
    ) -> Result<(), String> {
        if let OverlayKind::Accounts { host } = kind {
            return self.host_overlay(name, user, listen, host);
        }
        let name = name.trim().to_ascii_lowercase();
        let mut config = OverlayConfig::self_signed(&name).map_err(|e| format!("{e}."))?;
        let address = SocketAddr::new(reachable_address(listen).ip(), listen.port());
        config.bootstrap_nodes = vec![BootstrapNode {
            address: BootstrapAddress::Ip(address.ip()),
            port: address.port(),
        }];
        let document = SignedConfig::unsigned(&config).map_err(|e| format!("{e}."))?;
        self.enter(document, user, Entry::Start(listen))
    }

    /// Joins the overlay of a document, or the one joined last.
    pub(super) fn join(
        &mut self,
        document: Option<&Path>,
        user: &str,
        bootstrap: &[SocketAddr],
    ) -> Result<(), String> {
        let document = self.document(document)?;
        self.enter(document, user, Entry::Join(bootstrap.to_vec()))
    }

    /// Founds the overlay of a document, or the one chosen before, as its first peer.
    pub(super) fn found(&mut self, document: Option<&Path>, user: &str) -> Result<(), String> {
        let document = self.document(document)?;
        self.enter(document, user, Entry::Found)
    }

    /// Joins every overlay that we were in when the program ended. What stands in the way of one
    /// is nothing to the others.
    pub(super) fn rejoin(&mut self) -> Result<(), String> {
        let joined = self.data.joined();
        let joined = joined.map_err(|e| format!("No overlay is joined again: {e}."))?;
        for me in joined {
            if self.waits_for_host(&me.overlay) {
                continue;
            }
            let document = self.options.state.document(&me.overlay).map_err(|e| e.to_string());
            let entered = document.and_then(|d| self.enter(d, &me.user, Entry::Join(Vec::new())));
            if let Err(reason) = entered {
                self.notice(reason);
            }
        }
        Ok(())
    }

    /// Enters an overlay beside those that we are in. A membership in the same overlay that has
    /// not come in makes way.
    pub(super) fn enter(
        &mut self,
        document: SignedConfig,
        user: &str,
        entry: Entry,
    ) -> Result<(), String> {
        let overlay = document.config.instance_name.as_str().to_owned();
        self.accounts.entering.retain(|_, entering| entering.me.overlay != overlay);
        if let Some(id) = self.accounts.named(&overlay) {
            if self.accounts.get(id).is_some_and(Account::is_joined) {
                return Err(format!("You are in {overlay} already; leave it first."));
            }
            let again = Again { document, user: user.to_owned(), entry };
            self.begin_leaving(id, Some(again));
            return Ok(());
        }
        let identity = match self.standing(&document, user) {
            Ok(Standing::Enroll(request)) => {
                return self.certify(Again { document, user: user.to_owned(), entry }, request);
            }
            Ok(Standing::Ready(identity)) => Ok(identity),
            Err(reason) => Err(reason),
        };
        let facts = facts(&document.config);
        let mut me = Me { user: user.trim().to_owned(), overlay, node_id: String::new() };
        let step = "Starting".to_owned();
        let opening = identity.and_then(|identity| self.prepare(document, user, identity, entry));
        let (state, result) = match opening {
            Ok(opening) => {
                me.user.clone_from(&opening.aor.user);
                self.open(me.clone(), facts, opening);
                (OverlayState::Joining { step }, Ok(()))
            }
            Err(reason) => (OverlayState::Failed { reason: reason.clone() }, Err(reason)),
        };
        self.show_membership(Membership { me, state, document: facts });
        result
    }

    /// All that is to be known before the port is opened.
    fn prepare(
        &self,
        mut document: SignedConfig,
        user: &str,
        identity: StoredIdentity,
        entry: Entry,
    ) -> Result<Opening, String> {
        let provider = provider(&document.config)?;
        let overlay = provider.overlay.clone();
        let aor = own_name(&document.config, user)?;
        if document.config.bad_nodes.contains(&identity.identity.node_id) {
            return Err(put_out_words(&overlay));
        }
        let values = self.options.state.values(&overlay, &aor.user);
        if matches!(entry, Entry::Start(_)) {
            document = founded(document.config, &identity.identity)?;
        }
        let document = Arc::new(document);
        let listen = self.listen(&overlay, &entry);
        let is_chosen = listen.is_some();
        let listen = listen.unwrap_or(self.listen_default());
        let options = NodeOptions {
            config: PeerConfig {
                is_name_ours: has_authority(&document.config),
                ..PeerConfig::of(document.clone())
            },
            kinds: kinds(&document, &provider)?,
            identity: identity.identity,
            keys: identity.keys,
            provider: Arc::new(provider),
            listen,
            loopback: listen.ip().is_loopback(),
            stun_servers: Vec::new(),
            relays: self.settings.relay.options(),
            opens_ports: !self.settings.router_left_alone,
            values: Some(values),
            pcap: self.options.pcap.clone(),
            seed: os_seed(),
        };
        let tries = if self.has_left { PORT_TRIES } else { 1 };
        let cached = self.options.state.bootstrap_cache(&overlay);
        Ok(Opening { document, aor, options, is_chosen, tries, entry, cached })
    }

    /// Opens the port in a task of its own: names are looked up, and a port may be in use for a
    /// while.
    fn open(&mut self, me: Me, document: DocumentFacts, opening: Opening) {
        let id = self.accounts.next_id();
        let port = opening.options.listen.port();
        let reports = self.reports.clone();
        let task = tokio::spawn(async move {
            let result = opening.open().await;
            tell(&reports, id, AccountReport::Opened(Box::new(result))).await;
        });
        let entering = Entering::new(me, document, port, task.abort_handle());
        self.accounts.entering.insert(id, entering);
    }

    /// The port is open: the node goes its way in.
    pub(super) async fn opened(&mut self, id: AccountId, result: Result<Opened, String>) {
        // Without an entry it has been given up.
        let Some(entering) = self.accounts.entering.remove(&id) else { return };
        let result = match result {
            Ok(opened) => self.begin(id, opened).await,
            Err(reason) => Err(reason),
        };
        if let Err(reason) = result {
            let state = OverlayState::Failed { reason: reason.clone() };
            let (me, document) = (entering.me.clone(), entering.document);
            self.show_membership(Membership { me, state, document });
            self.notice(reason);
        }
    }

    async fn begin(&mut self, id: AccountId, opened: Opened) -> Result<(), String> {
        let Opened { document, aor, node, bootstrap, entry, mut events, .. } = opened;
        let state = &self.options.state;
        // One that is kept has its mark, if nothing proves it.
        let overlay = document.config.instance_name.as_str();
        if state.document(overlay).map_or(true, |kept| kept.document != document.document) {
            state.save_document(&document).map_err(|e| e.to_string())?;
        }
        let agent = user_agent(&document.config, &aor, &node)?;
        if !matches!(entry, Entry::Join(_)) {
            node.tell(Command::Found).await.map_err(|e| e.to_string())?;
            self.remember_founded(document.config.instance_name.as_str(), opened.listen);
        }
        // A founder keeps these addresses to look for another ring of the same overlay.
        let ourselves = [node.listen(), reachable_address(node.listen())];
        let others: Vec<_> = bootstrap.into_iter().filter(|a| !ourselves.contains(a)).collect();
        node.tell(Command::Join(others.clone())).await.map_err(|e| e.to_string())?;
        let mut tasks = JoinSet::new();
        let (reports, mut status, mut reach) = (self.reports.clone(), node.status(), node.reach());
        tasks.spawn(async move {
            while tokio::select! {
                changed = status.changed() => changed.is_ok(),
                changed = reach.changed() => changed.is_ok(),
            } {
                tell(&reports, id, AccountReport::Status).await;
            }
        });
        let reports = self.reports.clone();
        tasks.spawn(async move {
            while let Some(event) = events.recv().await {
                tell(&reports, id, AccountReport::Node(event)).await;
            }
        });
        let account = Account {
            document,
            again: None,
            aor,
            certificate: opened.certificate,
            local: opened.local,
            node,
            agent,
            bootstrap: others,
            looked_anew: None,
            registered: false,
            presence: None,
            uses_name: false,
            watches_devices: false,
            refusal: None,
            is_renewed: false,
            leaving: Leaving::No,
            lookout: None,
            tasks,
        };
        self.accounts.running.insert(id, account);
        self.look_out(id);
        self.watch_certificate(id);
        self.account_state(id, OverlayState::Joining { step: "Starting".into() });
        Ok(())
    }

    /// Where our port is: as chosen, or where the document that we handed out says. What was
    /// chosen for all overlays can be had by one.
    fn listen(&self, overlay: &str, entry: &Entry) -> Option<SocketAddr> {
        let chosen = match entry {
            Entry::Start(chosen) => Some(*chosen),
            Entry::Found | Entry::Join(_) => None,
        };
        let for_all = || {
            let listen = self.options.listen?;
            let is_taken = self.accounts.has_port(listen.port());
            Some(SocketAddr::new(listen.ip(), if is_taken { 0 } else { listen.port() }))
        };
        let before = || self.data.founded_listen(overlay).ok().flatten();
        chosen.or_else(for_all).or_else(before)
    }

    /// The usual port, or any if one of our own peers or hosts has it.
    fn listen_default(&self) -> SocketAddr {
        let usual = LISTEN_DEFAULT.port();
        let is_taken = self.accounts.has_port(usual) || self.hosting.has_port(usual);
        let port = if is_taken { 0 } else { usual };
        SocketAddr::new(LISTEN_DEFAULT.ip(), port)
    }

    fn remember_founded(&mut self, overlay: &str, listen: SocketAddr) {
        if let Err(error) = self.data.set_founded(overlay, listen) {
            self.notice(format!("That {overlay} was founded here was not remembered: {error}."));
        }
        self.snapshot.founded = self.data.founded().unwrap_or_default();
    }
}

impl Opening {
    async fn open(self) -> Result<Opened, String> {
        let Self { document, aor, mut options, is_chosen, tries, entry, cached } = self;
        let bootstrap = bootstrap_addresses(&document.config, &entry, &cached).await;
        options.loopback |= bootstrap.iter().any(|a| a.ip().is_loopback());
        options.stun_servers =
            bootstrap.iter().copied().filter(|a| !a.ip().is_loopback()).collect();
        let (certificate, listen) = (options.identity.certificate.clone(), options.listen);
        let local = LocalCertificate {
            certificate_der: options.keys.certificate_der.clone(),
            private_key_pkcs8_der: options.keys.private_key_der.clone(),
        };
        let (node, events) = start_node(options, is_chosen, tries).await?;
        Ok(Opened { document, aor, certificate, local, bootstrap, listen, entry, node, events })
    }
}

/// Why we are in an overlay no more whose document has us among its bad nodes (RFC 6940 §11.1).
pub(super) fn put_out_words(overlay: &str) -> String {
    format!(
        "{overlay} does not accept this device any more: whoever runs it, or you at another \
         device of yours, has put it out. Ask them if that is a mistake."
    )
}

/// Who judges the certificates of an overlay.
pub(super) fn provider(config: &OverlayConfig) -> Result<X509Provider, String> {
    config.check_supported().map_err(|e| format!("This overlay can't be joined: {e}."))?;
    let self_signed = config.self_signed_permitted.map(|digest| match digest {
        Digest::Sha1 => NodeIdDigest::Sha1,
        Digest::Sha256 => NodeIdDigest::Sha256,
    });
    if self_signed.is_none() && config.root_certs.is_empty() {
        return Err("This overlay can't be joined: its document names no authority that gives \
                    out names, and does not permit self-signed certificates."
            .into());
    }
    Ok(X509Provider {
        overlay: config.instance_name.as_str().to_owned(),
        node_id_length: config.node_id_length,
        self_signed,
        roots: config.root_certs.clone(),
    })
}

/// Our SIP side.
fn user_agent(config: &OverlayConfig, aor: &Aor, node: &Node) -> Result<UserAgent, String> {
    let overlay = config.instance_name.as_str();
    let contact = Gruu::of_node(aor.clone(), node.node_id());
    Ok(UserAgent::new(UaConfig {
        overlay: overlay.parse().map_err(|_| format!("{overlay} is no host name."))?,
        users: vec![sip_aor(aor)?],
        contact: format!("sip:{contact}")
            .parse()
            .map_err(|e| format!("Our own contact can't be written: {e}."))?,
        line: None,
        seed: os_seed(),
    }))
}

/// Opens the overlay's port: the chosen one, or without a choice the usual one, or any if another
/// program has it. A port that we have just left is free a moment later: hence the `tries`.
async fn start_node(
    options: NodeOptions,
    is_chosen: bool,
    mut tries: u32,
) -> Result<(Node, mpsc::Receiver<NodeEvent>), String> {
    let any = NodeOptions { listen: SocketAddr::new(options.listen.ip(), 0), ..options.clone() };
    let result = loop {
        match Node::start(options.clone()).await {
            Err(LinkError::PortInUse(_)) if tries > 1 => {
                tries -= 1;
                tokio::time::sleep(PORT_PAUSE).await;
            }
            Err(LinkError::PortInUse(_)) if !is_chosen => break Node::start(any).await,
            result => break result,
        }
    };
    result.map_err(|e| format!("The overlay's port can't be opened: {e}; choose another."))
}

/// The user's bootstrap nodes first, then by turns the document's and those that we have been
/// connected with (RFC 6940 §11.4); names are looked up.
async fn bootstrap_addresses(
    config: &OverlayConfig,
    entry: &Entry,
    cached: &[SocketAddr],
) -> Vec<SocketAddr> {
    let mut named = Vec::new();
    for node in config.bootstrap_nodes.iter().take(BOOTSTRAP_MAX) {
        match &node.address {
            BootstrapAddress::Ip(ip) => named.push(SocketAddr::new(*ip, node.port)),
            BootstrapAddress::Name(host) => {
                let found = tokio::net::lookup_host((host.as_str(), node.port));
                if let Ok(Ok(found)) = timeout(LOOKUP_MAX, found).await {
                    named.extend(found);
                }
            }
        }
    }
    let mut addresses = match entry {
        Entry::Start(_) | Entry::Found => Vec::new(),
        Entry::Join(bootstrap) => bootstrap.clone(),
    };
    let turns = (0..named.len().max(cached.len())).flat_map(|n| [named.get(n), cached.get(n)]);
    for address in turns.flatten() {
        if !addresses.contains(address) {
            addresses.push(*address);
        }
    }
    addresses.truncate(2 * BOOTSTRAP_MAX);
    addresses
}

/// The address under which others on the network know us, if we listen on all.
pub(super) fn reachable_address(listen: SocketAddr) -> SocketAddr {
    if !listen.ip().is_unspecified() {
        return listen;
    }
    // Nothing is sent: connecting a UDP socket only asks the system which address it would use.
    let towards = |any: IpAddr, somewhere: IpAddr| {
        let socket = std::net::UdpSocket::bind((any, 0)).ok()?;
        socket.connect((somewhere, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    let (any4, any6) = (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into());
    let somewhere6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let ip = towards(any4, Ipv4Addr::new(192, 0, 2, 1).into())
        .or_else(|| towards(any6, somewhere6.into()))
        .unwrap_or(Ipv4Addr::LOCALHOST.into());
    SocketAddr::new(ip, listen.port())
}

/// Where we listen unless told otherwise.
const LISTEN_DEFAULT: SocketAddr =
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), crate::config::PORT_DEFAULT);

// limits

/// Bootstrap nodes of a document that are tried, and as many that we have been connected with.
const BOOTSTRAP_MAX: usize = 10;
/// Longest look-up of a bootstrap node's name.
const LOOKUP_MAX: Duration = Duration::from_secs(5);
/// How often a port that we may have had ourselves is tried, and the time between.
const PORT_TRIES: u32 = 20;
const PORT_PAUSE: Duration = Duration::from_millis(100);
