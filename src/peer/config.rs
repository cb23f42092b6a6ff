//! What a peer has to know of its overlay.

use std::sync::Arc;
use std::time::Duration;

use crate::base::NodeId;
use crate::config::{OverlayConfig, SignedConfig};
use crate::message::{
    OVERLAY_LINK_DTLS_UDP_SR_NO_ICE, OVERLAY_LINK_TLS_TCP_FH_NO_ICE, overlay_hash,
};
use crate::routing::chord::{Chord, Table};

/// The part of an overlay's configuration that a peer works with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerConfig {
    /// The overlay field of every message.
    pub overlay: u32,
    /// The sequence of the configuration document.
    pub sequence: u16,
    /// Length of a Node-ID in bytes.
    pub node_id_length: usize,
    /// The TTL that a message starts with, and the highest that one may arrive with.
    pub initial_ttl: u8,
    /// How long an answer may take before the request is sent again: overlay-reliability-timer.
    pub reliability_timer: Duration,
    /// Whether links are made without ICE: no-ice.
    pub no_ice: bool,
    /// Of links without ICE, the OverlayLinkTypes that there may be (RFC 6940 §6.5.1.1).
    pub links_without_ice: Vec<u8>,
    /// The largest message in bytes.
    pub message_size_max: usize,
    /// The largest message or fragment in bytes that a link carries well.
    pub link_mtu: usize,
    /// chord-update-interval.
    pub update_interval: Duration,
    /// chord-ping-interval.
    pub ping_interval: Duration,
    /// chord-reactive: whether neighbours hear of changes at once.
    pub is_reactive: bool,
    /// Whether messages of other overlays are answered with an error (RFC 6940 §6.1), and not with
    /// silence: local policy.
    pub is_verbose: bool,
    /// Whether a node may stay a client.
    pub clients_permitted: bool,
    /// Nodes whose certificates do not count.
    pub bad_nodes: Vec<NodeId>,
    /// How much the peer wants to know of the ring; its own choice.
    pub table: Table,
    /// How many links it may have, those that others open to it among them; its own choice.
    pub links_max: usize,
    /// Whether our certificate is published under our user's name at once, and not after
    /// [`Command::ClaimName`](super::Command::ClaimName): where an authority gives names out,
    /// nobody else can have it.
    pub is_name_ours: bool,
    /// The document that all this is from. Without one nobody gets a ConfigUpdate from us, and we
    /// believe none, for it says who may sign the next.
    pub document: Option<Arc<SignedConfig>>,
}

impl PeerConfig {
    /// The defaults of RFC 6940 for an overlay of this name, with messages of up to 16 KiB.
    pub fn new(overlay_name: &str) -> Self {
        Self {
            overlay: overlay_hash(overlay_name),
            sequence: 1,
            node_id_length: NodeId::LENGTH_DEFAULT,
            initial_ttl: 100,
            reliability_timer: Duration::from_millis(3000),
            no_ice: false,
            links_without_ice: LINKS_WITHOUT_ICE.iter().map(|(code, _)| *code).collect(),
            message_size_max: OverlayConfig::MESSAGE_SIZE_OURS as usize,
            link_mtu: LINK_MTU_DEFAULT,
            update_interval: Duration::from_secs(600),
            ping_interval: Duration::from_secs(3600),
            is_reactive: true,
            is_verbose: true,
            clients_permitted: true,
            bad_nodes: Vec::new(),
            table: Table::Wide,
            links_max: LINKS_MAX_DEFAULT,
            is_name_ours: true,
            document: None,
        }
    }

    /// The tables of a node that knows nobody yet.
    pub(super) fn chord(&self, own: NodeId) -> Chord {
        Chord::new(own, self.table, self.links_max)
    }

    /// The configuration of a document, which the peer then hands to those whose document is
    /// older.
    pub fn of(document: Arc<SignedConfig>) -> Self {
        Self { document: Some(document.clone()), ..Self::from(&document.config) }
    }

    /// Records of each relay: turn-density. Without a document, the default.
    pub fn turn_density(&self) -> u8 {
        self.document.as_ref().map_or(1, |document| document.config.turn_density)
    }

    /// Takes over what a newer document says. What is fixed for the life of a peer stays.
    pub(super) fn take(&mut self, config: &OverlayConfig) {
        self.sequence = config.sequence;
        self.initial_ttl = config.initial_ttl;
        self.reliability_timer = Duration::from_millis(config.overlay_reliability_timer_ms.into());
        self.message_size_max = config.max_message_size as usize;
        self.update_interval = Duration::from_secs(config.chord.update_interval_s.into());
        self.ping_interval = Duration::from_secs(config.chord.ping_interval_s.into());
        self.is_reactive = config.chord.reactive;
        self.clients_permitted = config.clients_permitted;
        self.bad_nodes = config.bad_nodes.clone();
    }
}

impl From<&OverlayConfig> for PeerConfig {
    fn from(config: &OverlayConfig) -> Self {
        let mut peer_config = Self::new(&config.instance_name);
        peer_config.node_id_length = config.node_id_length;
        peer_config.no_ice = config.no_ice;
        let permitted = |name: &str| config.permits_link("TLS") || config.permits_link(name);
        let links = LINKS_WITHOUT_ICE.iter().filter(|(_, name)| permitted(name));
        peer_config.links_without_ice = links.map(|(code, _)| *code).collect();
        peer_config.take(config);
        peer_config
    }
}

/// The OverlayLinkTypes without ICE and their names (RFC 6940 §14.10).
const LINKS_WITHOUT_ICE: [(u8, &str); 2] = [
    (OVERLAY_LINK_TLS_TCP_FH_NO_ICE, "TLS-TCP-FH-NO-ICE"),
    (OVERLAY_LINK_DTLS_UDP_SR_NO_ICE, "DTLS-UDP-SR-NO-ICE"),
];

/// What is left of an IPv6 path of 1280 bytes under IP, UDP, DTLS and the framing header.
const LINK_MTU_DEFAULT: usize = 1100;
/// Keeping so many links costs some 250 bytes a second each way, and look-ups in a ring of ten
/// thousand take four to five hops.
const LINKS_MAX_DEFAULT: usize = 64;
