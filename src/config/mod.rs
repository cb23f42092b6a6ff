//! The overlay configuration document: what all nodes of one overlay agree on (RFC 6940 §11.1).
//!
//! [`OverlayConfig`] is what a document says; [`OverlayConfig::parse`] and
//! [`OverlayConfig::write`] turn it from and into XML. [`SignedConfig`] keeps beside it the very
//! bytes that signatures cover, because a configuration is never re-serialised on its way from
//! its signer to a reader.
//!
//! Reading is lenient where the RFC's text, grammar and example disagree: elements are found by
//! name, unknown ones are passed over whatever their namespace, white space around values goes,
//! and a missing sequence is 0. Writing is strict: what [`OverlayConfig::write`] returns follows
//! the grammar of RFC 6940 §11.1.1.

mod domain;
mod element;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod kind;
mod name;
mod parse;
mod refresh;
mod sequence;
mod signature;
#[cfg(test)]
mod tests;
mod time;
mod write;

use std::fmt;
use std::net::IpAddr;

use sha1::{Digest as _, Sha1};

use crate::base::NodeId;
use crate::crypto::{NodeIdDigest, X509Provider};

pub use domain::{DomainPattern, DomainRestrictions, PatternError};
pub use error::ConfigError;
pub use kind::{AccessControl, DataModel, KindDefinition, kind_id};
pub use name::{NameError, OverlayName};
pub use parse::{KindBlock, SignedConfig};
pub use refresh::Refresh;
pub use sequence::{is_newer, next_sequence};
pub use signature::Judge;

/// What bounds a document that somebody else wrote.
pub mod limits {
    /// A document with ten root certificates has 20 KiB, so this leaves an order of magnitude.
    pub const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
    /// The grammar needs five levels; extensions may nest a few more.
    pub const DEPTH_MAX: usize = 32;
    /// Attributes of one element; the grammar has three, the rest are namespaces and extensions.
    pub const ATTRIBUTES_MAX: usize = 64;
    /// Patterns of domains: each is a program that is run for each registration.
    pub const PATTERNS_MAX: usize = 64;
}

/// The namespace of the document's own elements.
pub const NAMESPACE_BASE: &str = "urn:ietf:params:xml:ns:p2p:config-base";
/// The namespace of CHORD-RELOAD's elements.
pub const NAMESPACE_CHORD: &str = "urn:ietf:params:xml:ns:p2p:config-chord";
/// The namespace of the SIP usage's elements (RFC 7904 §9.2).
pub const NAMESPACE_SIP: &str = "urn:ietf:params:xml:ns:p2p:config-base:sip";
/// The media type of a document (RFC 6940 §14.16).
pub const MEDIA_TYPE: &str = "application/p2p-overlay+xml";
/// The topology plug-in that every implementation has (RFC 6940 §10).
pub const CHORD_RELOAD: &str = "CHORD-RELOAD";
/// The port of a bootstrap node that names none (RFC 6940 §11.1).
pub const PORT_DEFAULT: u16 = 6084;
/// The highest sequence number of a document (RFC 6940 §11.1).
pub const SEQUENCE_MAX: u16 = 65534;

/// What one `configuration` element says. Absent elements have the default of RFC 6940 §11.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverlayConfig {
    /// The overlay's name, in the very octets of the document: they are hashed.
    pub instance_name: OverlayName,
    /// Grows with each version of the document, up to [`SEQUENCE_MAX`]; 0 if absent.
    pub sequence: u16,
    /// When this version stops being valid, in milliseconds since the Unix epoch.
    pub expiration_unix_ms: Option<u64>,
    /// The overlay algorithm; [`CHORD_RELOAD`] unless said otherwise.
    pub topology_plugin: String,
    /// Length of a Node-ID in bytes, 16 to 20.
    pub node_id_length: usize,
    /// Trust anchors, in DER, as they stand in the document: nothing has checked them.
    pub root_certs: Vec<Vec<u8>>,
    /// `https:` URLs of the servers that give out certificates.
    pub enrollment_servers: Vec<String>,
    /// Whether nodes may sign their own certificates, and which digest then gives the Node-ID.
    pub self_signed_permitted: Option<Digest>,
    /// Nodes through which to join.
    pub bootstrap_nodes: Vec<BootstrapNode>,
    /// One in this many nodes is a TURN server; 0 if none is.
    pub turn_density: u8,
    /// Whether a node may stay a client.
    pub clients_permitted: bool,
    /// Whether links must not use ICE.
    pub no_ice: bool,
    /// The secret of an overlay in shared-secret mode.
    pub shared_secret: Option<SharedSecret>,
    /// The largest message in bytes.
    pub max_message_size: u32,
    /// The TTL that a message starts with.
    pub initial_ttl: u8,
    /// How long a node waits for an answer before it sends a request again, in milliseconds.
    pub overlay_reliability_timer_ms: u32,
    /// Link protocols that may be used; empty means "TLS", which stands for TLS and DTLS.
    pub overlay_link_protocols: Vec<String>,
    /// Who may sign Kinds.
    pub kind_signers: Vec<NodeId>,
    /// Who may sign the next version of this document.
    pub configuration_signers: Vec<NodeId>,
    /// Whose certificates are not valid.
    pub bad_nodes: Vec<NodeId>,
    /// Namespaces that a node must support to join.
    pub mandatory_extensions: Vec<String>,
    /// How CHORD-RELOAD keeps itself in shape.
    pub chord: ChordConfig,
    /// The Kinds that a node must support; each Kind-ID occurs once.
    pub kinds: Vec<KindDefinition>,
    /// Which domains the names of SIP users may have (RFC 7904 §3.4); `None` for any.
    pub domain_restrictions: Option<DomainRestrictions>,
}

impl OverlayConfig {
    /// The largest message of an overlay of ours, in bytes. The default of 5000 does not hold
    /// the registrations of a user with four devices, each with its signature and certificate.
    pub const MESSAGE_SIZE_OURS: u32 = 16384;

    /// An overlay with every value at its default: no certificates, no Kinds, nobody to join.
    pub fn with_defaults(instance_name: OverlayName) -> Self {
        Self {
            instance_name,
            sequence: 0,
            expiration_unix_ms: None,
            topology_plugin: CHORD_RELOAD.to_owned(),
            node_id_length: NodeId::LENGTH_DEFAULT,
            root_certs: Vec::new(),
            enrollment_servers: Vec::new(),
            self_signed_permitted: None,
            bootstrap_nodes: Vec::new(),
            turn_density: 1,
            clients_permitted: true,
            no_ice: false,
            shared_secret: None,
            max_message_size: 5000,
            initial_ttl: 100,
            overlay_reliability_timer_ms: 3000,
            overlay_link_protocols: Vec::new(),
            kind_signers: Vec::new(),
            configuration_signers: Vec::new(),
            bad_nodes: Vec::new(),
            mandatory_extensions: Vec::new(),
            chord: ChordConfig::default(),
            kinds: Vec::new(),
            domain_restrictions: None,
        }
    }

    /// A new overlay in which everybody signs their own certificate, with the Kinds that calls
    /// need. The name is written in lower case.
    pub fn self_signed(name: &str) -> Result<Self, NameError> {
        let name = OverlayName::new(&name.to_ascii_lowercase())?;
        Ok(Self {
            sequence: 1,
            self_signed_permitted: Some(Digest::Sha256),
            max_message_size: Self::MESSAGE_SIZE_OURS,
            kinds: KindDefinition::for_calls(),
            ..Self::with_defaults(name)
        })
    }

    /// Reads the first configuration of a document.
    pub fn parse(document: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        SignedConfig::parse(document.as_ref(), None).map(|signed| signed.config)
    }

    /// This configuration as a document of its own, without signatures. Values at their default
    /// are left out, so the result depends on nothing but the configuration.
    pub fn write(&self) -> String {
        write::document(self, None, None)
    }

    /// The `overlay` field of every message: the last four bytes of the SHA-1 of the name
    /// (RFC 6940 §6.3.2).
    pub fn overlay_hash(&self) -> u32 {
        let digest = Sha1::digest(self.instance_name.as_str());
        digest[16..].iter().fold(0, |hash, byte| hash << 8 | u32::from(*byte))
    }

    /// What the overlay knows about a Kind.
    pub fn kind(&self, id: u32) -> Option<&KindDefinition> {
        self.kinds.iter().find(|kind| kind.id == id)
    }

    /// Whether SIP users of the overlay may have names with this domain (RFC 7904 §3.3).
    pub fn admits_domain(&self, domain: &str) -> bool {
        let restrictions = self.domain_restrictions.as_ref();
        restrictions.is_none_or(|restrictions| restrictions.admit(&self.instance_name, domain))
    }

    /// Whether a name with this domain is to be looked up in this overlay (RFC 7904 §4.1). An
    /// overlay that takes any name serves its own.
    pub fn serves_domain(&self, domain: &str) -> bool {
        match &self.domain_restrictions {
            Some(restrictions) => restrictions.admit(&self.instance_name, domain),
            None => self.instance_name.matches(domain),
        }
    }

    /// Whether the document has stopped being valid at `unix_ms`.
    pub fn is_expired(&self, unix_ms: u64) -> bool {
        self.expiration_unix_ms.is_some_and(|end| unix_ms >= end)
    }

    /// Whether this program can be a node of the overlay: its topology, its links and each
    /// extension that it makes mandatory.
    pub fn check_supported(&self) -> Result<(), ConfigError> {
        let unsupported = |what, value: &str| {
            Err(ConfigError::Unsupported { what, value: error::excerpt(value) })
        };
        if self.topology_plugin != CHORD_RELOAD {
            return unsupported("topology plug-in", &self.topology_plugin);
        }
        // RFC 6940 §10.2 gives CHORD-RELOAD a ring of 128 bits.
        if self.node_id_length != NodeId::LENGTH_DEFAULT {
            return unsupported("Node-ID length", &self.node_id_length.to_string());
        }
        let known = [NAMESPACE_BASE, NAMESPACE_CHORD, NAMESPACE_SIP];
        if let Some(extension) =
            self.mandatory_extensions.iter().find(|e| !known.contains(&e.as_str()))
        {
            return unsupported("mandatory extension", extension);
        }
        // It is the key of every link (RFC 6940 §13.4). But of the suites with such a key in
        // (D)TLS 1.2 only RSA_PSK shows a certificate, and that the server's alone, while links
        // prove the Node-IDs of both sides (§6.6.1); and `rustls` has neither these nor TLS-SRP.
        if self.shared_secret.is_some() {
            return Err(ConfigError::SharedSecret);
        }
        // In documents "TLS" stands for DTLS too (T-34).
        let links: &[&str] = match self.no_ice {
            true => &["TLS", "DTLS-UDP-SR-NO-ICE", "TLS-TCP-FH-NO-ICE"],
            false => &["TLS", "DTLS-UDP-SR"],
        };
        if !links.iter().any(|link| self.permits_link(link)) {
            return unsupported("overlay link protocol", &self.overlay_link_protocols.join(", "));
        }
        Ok(())
    }

    /// Who judges the certificates of the overlay's nodes: its trust anchors, and the rule for
    /// self-signed ones where they are permitted (RFC 6940 §11.3).
    pub fn provider(&self) -> X509Provider {
        X509Provider {
            overlay: self.instance_name.as_str().to_owned(),
            node_id_length: self.node_id_length,
            self_signed: self.self_signed_permitted.map(|digest| match digest {
                Digest::Sha1 => NodeIdDigest::Sha1,
                Digest::Sha256 => NodeIdDigest::Sha256,
            }),
            roots: self.root_certs.clone(),
        }
    }

    /// Whether the overlay permits a link protocol.
    pub fn permits_link(&self, protocol: &str) -> bool {
        match self.overlay_link_protocols.as_slice() {
            [] => protocol == "TLS",
            some => some.iter().any(|p| p == protocol),
        }
    }
}

/// The digest that makes a Node-ID of the public key in a self-signed certificate
/// (RFC 6940 §11.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

/// Where a node listens for those that want to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapNode {
    /// Its address.
    pub address: BootstrapAddress,
    /// Its port, for UDP and TCP alike.
    pub port: u16,
}

/// The address of a bootstrap node. The RFC speaks of IP addresses only; documents written by
/// hand hold host names too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootstrapAddress {
    /// IPv4 or IPv6.
    Ip(IpAddr),
    /// A host name, to be looked up by whoever connects.
    Name(String),
}

impl fmt::Display for BootstrapAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => write!(f, "{ip}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// The parameters of CHORD-RELOAD (RFC 6940 §10.7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChordConfig {
    /// How often a peer sends an Update to its neighbours, in seconds.
    pub update_interval_s: u32,
    /// How often a peer looks for better fingers, in seconds.
    pub ping_interval_s: u32,
    /// Whether a peer sends Updates when its neighbours change, and not only from time to time.
    pub reactive: bool,
}

impl Default for ChordConfig {
    fn default() -> Self {
        Self { update_interval_s: 600, ping_interval_s: 3600, reactive: true }
    }
}

/// A secret that stays out of logs (RFC 6940 §14.16).
#[derive(Clone, PartialEq, Eq)]
pub struct SharedSecret(String);

impl SharedSecret {
    /// A secret; white space around it is dropped, as a document's reader would do.
    pub fn new(secret: &str) -> Self {
        Self(secret.trim().to_owned())
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(hidden)")
    }
}
