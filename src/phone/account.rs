//! Our membership in an overlay: from a document to a registered Address of Record.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::api::{Event, Me, OverlayState};
use super::document::{founded, kinds};
use super::engine::{Engine, Report};
use super::names::own_name;
use crate::config::{BootstrapAddress, BootstrapNode, Digest, OverlayConfig, SignedConfig};
use crate::crypto::{NodeIdDigest, X509Provider};
use crate::link::{
    IceOptions, LinkError, LocalCertificate, Node, NodeEvent, NodeOptions, Upkeep, os_seed, unix_ms,
};
use crate::peer::{Command, JoinError, JoinStep, PeerConfig, StoreSpec};
use crate::sip::{UaConfig, UserAgent};
use crate::usage::{self, Aor, Gruu};

/// A running membership.
pub(super) struct Account {
    /// The overlay's document.
    pub(super) document: Arc<SignedConfig>,
    /// Whether we come back when we have left.
    pub(super) joins_again: bool,
    /// Who we are.
    pub(super) aor: Aor,
    /// Our certificate's fingerprint goes into session descriptions.
    pub(super) certificate: Arc<crate::crypto::Certificate>,
    /// What we show in DTLS.
    pub(super) local: LocalCertificate,
    /// The peer.
    pub(super) node: Node,
    /// What it reports.
    pub(super) events: mpsc::Receiver<NodeEvent>,
    /// Our SIP side.
    pub(super) agent: UserAgent,
    /// Candidates on the loopback interface too.
    pub(super) loopback: bool,
    /// Peers that tell us our address behind a NAT.
    pub(super) stun_servers: Vec<SocketAddr>,
    /// Whether our Address of Record is stored.
    pub(super) registered: bool,
}

impl Account {
    /// Which candidates media has.
    pub(super) fn ice_options(&self) -> IceOptions {
        let stun_servers = self.stun_servers.clone();
        IceOptions { loopback: self.loopback, stun_servers, upkeep: Upkeep::Consent }
    }
}

/// News from tasks of the membership.
pub(super) enum AccountReport {
    /// Our registration was stored, or not, and why.
    Registered(Result<(), String>),
    /// The node's figures have changed.
    Status,
}

impl Engine {
    /// Makes a new overlay, founds it here and joins it.
    pub(super) async fn start_overlay(
        &mut self,
        name: &str,
        user: &str,
        listen: SocketAddr,
    ) -> Result<(), String> {
        let name = name.trim().to_ascii_lowercase();
        let mut config = OverlayConfig::self_signed(&name).map_err(|e| format!("{e}."))?;
        let address = SocketAddr::new(reachable_address(listen).ip(), listen.port());
        config.bootstrap_nodes = vec![BootstrapNode {
            address: BootstrapAddress::Ip(address.ip()),
            port: address.port(),
        }];
        let document = SignedConfig::unsigned(&config).map_err(|e| format!("{e}."))?;
        self.enter(document, user, Entry::Start(listen)).await
    }

    /// Joins the overlay of a document, or the one joined last.
    pub(super) async fn join(
        &mut self,
        document: Option<&Path>,
        user: &str,
        bootstrap: &[SocketAddr],
    ) -> Result<(), String> {
        let document = self.document(document)?;
        self.enter(document, user, Entry::Join(bootstrap.to_vec())).await
    }

    /// Founds the overlay of a document, or the one chosen before, as its first peer.
    pub(super) async fn found(
        &mut self,
        document: Option<&Path>,
        user: &str,
    ) -> Result<(), String> {
        let document = self.document(document)?;
        self.enter(document, user, Entry::Found).await
    }

    pub(super) async fn enter(
        &mut self,
        document: SignedConfig,
        user: &str,
        entry: Entry,
    ) -> Result<(), String> {
        if let Some(account) = &self.account {
            if account.node.status().borrow().joined {
                return Err("Leave the present overlay first.".into());
            }
            // An attempt that has not come in makes way for the next.
            self.leave(ABANDON_MAX).await;
        }
        let result = self.try_enter(document, user, entry).await;
        if let Err(reason) = &result {
            self.overlay_state(OverlayState::Failed { reason: reason.clone() });
        }
        result
    }

    async fn try_enter(
        &mut self,
        mut document: SignedConfig,
        user: &str,
        entry: Entry,
    ) -> Result<(), String> {
        let provider = provider(&document.config)?;
        let overlay = provider.overlay.clone();
        let aor = own_name(&document.config, user)?;
        let state = &self.options.state;
        let values = state.values(&overlay, &aor.user);
        let identity = state.identity(&provider, &aor.user, unix_ms());
        let identity = identity.map_err(|e| e.to_string())?;
        if matches!(entry, Entry::Start(_)) {
            document = founded(document.config, &identity.identity)?;
        }
        let document = Arc::new(document);
        let listen = self.listen(&overlay, &entry);
        let bootstrap = bootstrap_addresses(&document.config, &entry).await;
        let loopback = bootstrap.iter().any(|a| a.ip().is_loopback())
            || listen.is_some_and(|a| a.ip().is_loopback());
        let stun_servers: Vec<_> =
            bootstrap.iter().copied().filter(|a| !a.ip().is_loopback()).collect();
        let options = NodeOptions {
            config: PeerConfig::of(document.clone()),
            kinds: kinds(&document, &provider)?,
            identity: identity.identity.clone(),
            keys: identity.keys.clone(),
            provider: Arc::new(provider),
            listen: listen.unwrap_or(LISTEN_DEFAULT),
            loopback,
            stun_servers: stun_servers.clone(),
            values: Some(values),
            pcap: self.options.pcap.clone(),
            seed: os_seed(),
        };
        let tries = if self.has_left { PORT_TRIES } else { 1 };
        let (node, events) = start_node(options, listen.is_some(), tries).await?;
        self.options.state.save_document(&document).map_err(|e| e.to_string())?;
        let agent = user_agent(&overlay, &aor, &node)?;
        let me = Me { user: aor.user.clone(), overlay, node_id: node.node_id().to_string() };
        self.watch_status(&node);
        if !matches!(entry, Entry::Join(_)) {
            node.tell(Command::Found).await.map_err(|e| e.to_string())?;
            self.remember_founded(&me.overlay, listen.unwrap_or(LISTEN_DEFAULT));
        }
        // A founder keeps these addresses to look for another ring of the same overlay.
        let ourselves = [node.listen(), reachable_address(node.listen())];
        let others = bootstrap.into_iter().filter(|a| !ourselves.contains(a)).collect();
        node.tell(Command::Join(others)).await.map_err(|e| e.to_string())?;
        self.account = Some(Account {
            document,
            joins_again: false,
            aor,
            certificate: identity.identity.certificate.clone(),
            local: LocalCertificate {
                certificate_der: identity.keys.certificate_der,
                private_key_pkcs8_der: identity.keys.private_key_der,
            },
            node,
            events,
            agent,
            loopback,
            stun_servers,
            registered: false,
        });
        self.overlay_state(OverlayState::Joining { step: "Starting".into() });
        self.snapshot.me = Some(me);
        Ok(())
    }

    /// Where our port is: as chosen, or where the document that we handed out says.
    fn listen(&self, overlay: &str, entry: &Entry) -> Option<SocketAddr> {
        let chosen = match entry {
            Entry::Start(chosen) => Some(*chosen),
            Entry::Found | Entry::Join(_) => None,
        };
        let before = || self.data.founded_listen(overlay).ok().flatten();
        chosen.or(self.options.listen).or_else(before)
    }

    fn remember_founded(&mut self, overlay: &str, listen: SocketAddr) {
        if let Err(error) = self.data.set_founded(overlay, listen) {
            self.notice(format!("That {overlay} was founded here was not remembered: {error}."));
        }
        self.snapshot.founded = self.data.founded().unwrap_or_default();
    }

    /// Wakes the engine whenever the node's figures change, until the node has ended.
    fn watch_status(&self, node: &Node) {
        let mut status = node.status();
        let reports = self.reports.clone();
        tokio::spawn(async move {
            while status.changed().await.is_ok() {
                if reports.send(Report::Account(AccountReport::Status)).await.is_err() {
                    return;
                }
            }
        });
    }

    pub(super) async fn node_event(&mut self, event: NodeEvent) {
        match event {
            NodeEvent::Joining(step) => {
                let step = joining_words(step).to_owned();
                self.overlay_state(OverlayState::Joining { step });
            }
            NodeEvent::Joined => self.joined(),
            NodeEvent::JoinFailed(error) => {
                let reason = join_failed_words(&error);
                self.event(Event::Error { message: reason.clone() });
                self.overlay_state(OverlayState::Failed { reason });
            }
            NodeEvent::Left => self.node_left().await,
            NodeEvent::Configured(document, effect) => self.configured(document, &effect),
            NodeEvent::AppFlow(flow) if self.flows.has_room() => {
                self.sip_flow_up(flow);
            }
            NodeEvent::StoreProblem(problem) => self.notice(problem.to_string()),
            // Dropping a flow closes it.
            NodeEvent::AppFlow(_) => {}
        }
    }

    fn joined(&mut self) {
        let Some(account) = &mut self.account else { return };
        account.registered = false;
        let node = account.node.clone();
        let usage::Publication { resource, kind, value } =
            usage::registration(&account.aor, node.node_id());
        let spec = StoreSpec { resource, kind, value, lifetime_s: REGISTRATION_LIFETIME_S };
        let (overlay, user) =
            (account.document.config.instance_name.clone(), account.aor.user.clone());
        self.event(Event::Joined {
            node_id: node.node_id().to_string(),
            listen: Some(node.listen()),
        });
        // A list of calls that cannot be written to has been reported already.
        let _ = self.data.set_last(overlay.as_str(), &user);
        self.snapshot.last = self.data.last().ok().flatten();
        self.show_status();
        let reports = self.reports.clone();
        tokio::spawn(async move {
            let result = node.request(Command::Publish(spec)).await;
            let result = result.map(|_| ()).map_err(|e| e.to_string());
            let _ = reports.send(Report::Account(AccountReport::Registered(result))).await;
        });
    }

    pub(super) fn account_report(&mut self, report: AccountReport) {
        match report {
            AccountReport::Status => self.show_status(),
            AccountReport::Registered(Ok(())) => {
                let Some(account) = &mut self.account else { return };
                account.registered = true;
                let aor = account.aor.to_string();
                self.event(Event::Registered { aor });
                self.show_status();
            }
            AccountReport::Registered(Err(reason)) => {
                if self.account.is_some() {
                    self.notice(format!("Our name could not be stored in the overlay: {reason}."));
                }
            }
        }
    }

    fn show_status(&mut self) {
        let Some(account) = &self.account else { return };
        let status = *account.node.status().borrow();
        if status.joined {
            self.snapshot.overlay = OverlayState::Joined {
                registered: account.registered,
                links: status.links,
                values_stored: status.values_stored,
                listen: Some(account.node.listen()),
            };
        }
    }

    pub(super) fn tell_counters(&mut self) {
        let Some(account) = &self.account else { return };
        let status = *account.node.status().borrow();
        let counters = Box::new(account.node.counters());
        self.event(Event::Counted { status, counters });
    }

    /// Ends every call and leaves the overlay, taking at most `patience`.
    pub(super) async fn leave(&mut self, patience: Duration) {
        self.end_calls();
        self.finish_signalling().await;
        let Some(account) = &mut self.account else { return };
        if account.node.tell(Command::Leave).await.is_ok() {
            let left = async {
                while let Some(event) = account.events.recv().await {
                    if matches!(event, NodeEvent::Left) {
                        break;
                    }
                }
            };
            // A peer that does not manage to leave in order is missed by its neighbours anyway.
            let _ = timeout(patience, left).await;
        }
        self.left();
    }

    pub(super) fn left(&mut self) {
        if self.account.take().is_some() {
            self.has_left = true;
            self.event(Event::Left);
        }
        self.flows.close_all();
        self.snapshot.me = None;
        self.overlay_state(OverlayState::Out);
    }
}

/// Who judges the certificates of an overlay.
fn provider(config: &OverlayConfig) -> Result<X509Provider, String> {
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
fn user_agent(overlay: &str, aor: &Aor, node: &Node) -> Result<UserAgent, String> {
    let contact = Gruu::of_node(aor.clone(), node.node_id());
    Ok(UserAgent::new(UaConfig {
        overlay: overlay.parse().map_err(|_| format!("{overlay} is no host name."))?,
        users: vec![sip_aor(aor)?],
        contact: format!("sip:{contact}")
            .parse()
            .map_err(|e| format!("Our own contact can't be written: {e}."))?,
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

/// How we enter an overlay.
pub(super) enum Entry {
    /// As its founder, which signs its first document and listens here.
    Start(SocketAddr),
    /// As its first peer.
    Found,
    /// Through these bootstrap nodes and those of the document.
    Join(Vec<SocketAddr>),
}

/// The user's bootstrap nodes first, then the document's; names are looked up.
async fn bootstrap_addresses(config: &OverlayConfig, entry: &Entry) -> Vec<SocketAddr> {
    let mut addresses = match entry {
        Entry::Start(_) | Entry::Found => Vec::new(),
        Entry::Join(bootstrap) => bootstrap.clone(),
    };
    for node in config.bootstrap_nodes.iter().take(BOOTSTRAP_MAX) {
        match &node.address {
            BootstrapAddress::Ip(ip) => addresses.push(SocketAddr::new(*ip, node.port)),
            BootstrapAddress::Name(host) => {
                let found = tokio::net::lookup_host((host.as_str(), node.port));
                if let Ok(Ok(found)) = timeout(LOOKUP_MAX, found).await {
                    addresses.extend(found);
                }
            }
        }
    }
    addresses.dedup();
    addresses.truncate(BOOTSTRAP_MAX);
    addresses
}

/// The address under which others on the network know us, if we listen on all.
fn reachable_address(listen: SocketAddr) -> SocketAddr {
    if !listen.ip().is_unspecified() {
        return listen;
    }
    // Nothing is sent: connecting a UDP socket only asks the system which address it would use.
    let probe = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    probe.unwrap_or_else(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, listen.port())))
}

/// An Address of Record as the SIP room wants it.
pub(super) fn sip_aor(aor: &Aor) -> Result<crate::sip::Aor, String> {
    aor.to_sip_uri().parse().map_err(|_| format!("{aor} can't be written as a SIP address."))
}

fn joining_words(step: JoinStep) -> &'static str {
    match step {
        JoinStep::Bootstrap => "Connecting to the overlay",
        JoinStep::Attach => "Finding our place",
        JoinStep::Neighbors => "Meeting our neighbours",
        JoinStep::Join => "Taking over our part",
    }
}

fn join_failed_words(error: &JoinError) -> String {
    match error {
        JoinError::NoBootstrap => {
            "Not joined because no other peer of the overlay is known.".into()
        }
        JoinError::Unreachable(_) => {
            "Not joined because no peer of the overlay answered; trying again.".into()
        }
        JoinError::NoAdmittingPeer => {
            "Not joined because the peer next to our place did not answer; trying again.".into()
        }
        JoinError::ClientsNotPermitted => "Not joined because the overlay has no clients.".into(),
        JoinError::Refused(code) => {
            format!("Not joined because the overlay refused us ({code}); trying again.")
        }
    }
}

/// Where we listen unless told otherwise.
const LISTEN_DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), crate::config::PORT_DEFAULT);

/// How long our registration lives without being refreshed: a device that vanished is looked for
/// in vain no longer than this, and refreshing costs little.
const REGISTRATION_LIFETIME_S: u32 = 3600;

// limits

/// Bootstrap nodes tried; RFC 6940 §11.4 suggests remembering ten.
const BOOTSTRAP_MAX: usize = 10;
/// Longest look-up of a bootstrap node's name.
const LOOKUP_MAX: Duration = Duration::from_secs(5);
/// How often a port that we may have had ourselves is tried, and the time between.
const PORT_TRIES: u32 = 20;
const PORT_PAUSE: Duration = Duration::from_millis(100);
/// How long an attempt to join may take to make way for the next.
const ABANDON_MAX: Duration = Duration::from_secs(2);
