//! An overlay's document by its name. All roads are tried side by side: the first one that proves
//! what it brings wins.
//!
//! | road | what proves the document |
//! |---|---|
//! | [`Road::Dns`] | the certificate of the web server that hands it out (RFC 6940 §11.2) |
//! | [`Road::Invitation`] | the fingerprint in the invitation |
//! | [`Road::Cache`] | it was proved when it was kept |
//! | [`Road::Peers`], [`Road::Lan`] | the signature of somebody who may change the kept one |
//!
//! Where none is kept, nothing proves what peers on the same network hand out, and so it is taken
//! only after all other roads have failed, and said to be without proof ([`Finding::is_proved`]).
//! Once kept it proves nothing either: whatever is proved takes its place, whatever its sequence.
//! With an invitation at hand, what does not have its fingerprint is not taken on any road.

mod peers;
mod search;
mod web;

use std::fmt;
use std::net::SocketAddr;

use serde::{Serialize, Serializer};
use thiserror::Error;

use super::dns::{DnsError, Resolver};
use super::document::DocumentError;
use super::https::HttpsError;
use super::invitation::Invitation;
use super::lan::{LanError, LanPeers};
use super::share::PeerError;
use super::trust::Trust;
use crate::config::{OverlayName, SignedConfig};

pub use search::find;

/// What is looked for, and what we know already.
#[derive(Clone, Debug)]
pub struct Query {
    /// The overlay's name, which the user gave (RFC 6940 §11.2).
    pub overlay: OverlayName,
    /// What the user was invited with.
    pub invitation: Option<Invitation>,
    /// The document that was kept when we were last in the overlay.
    pub kept: Option<SignedConfig>,
    /// Whether anything has proved the kept document.
    pub is_kept_proved: bool,
    /// Peers that are asked for what follows the kept document.
    pub peers: Vec<SocketAddr>,
    /// The time, in milliseconds since the Unix epoch.
    pub unix_ms: u64,
    /// Who is asked about names.
    pub resolver: Result<Resolver, DnsError>,
    /// Whose web certificates are believed.
    pub trust: Trust,
    /// Who is seen on the same network ([`Lan::peers`](super::Lan::peers)); `None` where it is not
    /// to be searched.
    pub lan: Option<Result<LanPeers, LanError>>,
}

impl Query {
    /// A search with what the system offers, but not on the same network.
    pub fn new(overlay: OverlayName, unix_ms: u64) -> Self {
        Self {
            overlay,
            invitation: None,
            kept: None,
            is_kept_proved: true,
            peers: Vec::new(),
            unix_ms,
            resolver: Resolver::system(),
            trust: Trust::system(),
            lan: None,
        }
    }

    /// The kept document, if nothing that is older may take its place.
    fn proved(&self) -> Option<&SignedConfig> {
        self.kept.as_ref().filter(|_| self.is_kept_proved)
    }
}

/// A document that can be joined with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The document.
    pub document: SignedConfig,
    /// How it came.
    pub road: Road,
    /// Whether anything proves that it is the overlay's. If not, the user has to know that
    /// whoever is on the same network could have made it.
    pub is_proved: bool,
    /// The peer that has handed it out, if one has.
    pub from: Option<SocketAddr>,
    /// Peers to join through, beside those of the document, at most ten. They are hints: whoever
    /// is there has to show a certificate of the overlay.
    pub bootstrap: Vec<SocketAddr>,
}

/// How a document comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Road {
    /// DNS and HTTPS (RFC 6940 §11.2).
    Dns,
    /// The peers that an invitation names.
    Invitation,
    /// Peers that were linked with us.
    Peers,
    /// Peers on the same network.
    Lan,
    /// It was kept from the last time.
    Cache,
}

/// How far a road has come, for a face that shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoadNews {
    /// Which road.
    #[serde(serialize_with = "displayed")]
    pub road: Road,
    /// How far.
    #[serde(serialize_with = "displayed")]
    pub state: RoadState,
}

/// How far a road has come. Displayed it is a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoadState {
    /// DNS is asked where the overlay's web server is.
    AskingDns,
    /// The document is fetched from the overlay's web server.
    AskingWeb,
    /// Peers on the same network are looked for.
    Searching,
    /// A peer is asked for the document.
    AskingPeer(SocketAddr),
    /// The road led to a document.
    Found,
    /// The road led to a document that nothing proves.
    FoundUnproved,
    /// The road leads nowhere.
    Failed(RoadFailure),
}

/// Why a road leads nowhere: a part of a sentence each.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RoadFailure {
    /// DNS does not say where the web server is.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// The web server hands out no document.
    #[error(transparent)]
    Https(#[from] HttpsError),
    /// What is handed out is not taken.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The network cannot be searched.
    #[error(transparent)]
    Lan(#[from] LanError),
    /// A peer hands out no document.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// Nobody answers on the same network.
    #[error("nobody on this network is in it")]
    NobodyHere,
    /// The invitation has no addresses.
    #[error("the invitation names no peer to ask")]
    NoAddress,
    /// The document kept here is no longer valid.
    #[error("the document kept here has expired")]
    KeptExpired,
    /// It takes too long.
    #[error("there was no answer in time")]
    Late,
}

/// No road led to a document.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct FindFailure {
    /// The overlay that was looked for.
    pub overlay: OverlayName,
    /// Why, for each road that was tried.
    pub roads: Vec<(Road, RoadFailure)>,
}

/// As it is displayed.
fn displayed<T, S>(value: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    T: fmt::Display,
    S: Serializer,
{
    serializer.collect_str(value)
}

impl fmt::Display for RoadState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AskingDns => f.write_str("Asking DNS…"),
            Self::AskingWeb => f.write_str("Asking the overlay's web server…"),
            Self::Searching => f.write_str("Looking around on this network…"),
            Self::AskingPeer(address) => write!(f, "Asking the peer at {address}…"),
            Self::Found => f.write_str("Found."),
            Self::FoundUnproved => f.write_str("Found, but nothing proves that it is the one."),
            Self::Failed(failure) => write!(f, "{}.", capitalized(&failure.to_string())),
        }
    }
}

impl fmt::Display for Road {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "DNS and web",
            Self::Invitation => "Invitation",
            Self::Peers => "Known peers",
            Self::Lan => "This network",
            Self::Cache => "Last time",
        })
    }
}

impl fmt::Display for FindFailure {
    /// One sentence without its stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the overlay {} was not found", self.overlay)?;
        for (at, (_, failure)) in self.roads.iter().enumerate() {
            write!(f, "{} {failure}", if at == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

fn capitalized(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}
