//! What there is to tell of each link of a node, for people who want to see their links.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Serialize, Serializer};
use tokio::sync::watch;

use super::candidate::CandidateKind;
use super::clock::unix_ms;
use super::hop::Stats;
use super::overlay::OverlaySender;
use super::transport::{FlowInfo, Transport};
use crate::base::NodeId;
use crate::peer::LinkId;

/// Where an address of a selected pair comes from (RFC 8445 §5.1.1, §7.3.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CandidateType {
    /// An interface of that machine.
    Host,
    /// A STUN server has seen it.
    ServerReflexive,
    /// A check came from it.
    PeerReflexive,
    /// A relay has lent it.
    Relay,
}

/// As in SDP (RFC 8839 §5.1).
impl fmt::Display for CandidateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relay => "relay",
        })
    }
}

impl From<CandidateKind> for CandidateType {
    fn from(kind: CandidateKind) -> Self {
        match kind {
            CandidateKind::Host => Self::Host,
            CandidateKind::ServerReflexive => Self::ServerReflexive,
            CandidateKind::Relay => Self::Relay,
        }
    }
}

/// The types of both ends of the pair that ICE has selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CandidatePair {
    /// Our end. Behind a NAT without a relay it is [`CandidateType::Host`], as a check is sent
    /// from the base of a candidate (RFC 8445 §6.1.2.4).
    pub local: CandidateType,
    /// The other end.
    pub remote: CandidateType,
}

impl CandidatePair {
    /// Whether it goes through a relay, ours or theirs.
    pub fn is_relayed(self) -> bool {
        [self.local, self.remote].contains(&CandidateType::Relay)
    }
}

/// A link as OverlayLinkType names it (RFC 6940 §6.5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// DTLS on a path that ICE has found.
    DtlsUdpSr,
    /// DTLS to a known port.
    DtlsUdpSrNoIce,
    /// TLS to a known port.
    TlsTcpFhNoIce,
}

/// The name in the registry of OverlayLinkTypes (RFC 6940 §14.10).
impl fmt::Display for LinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DtlsUdpSr => "DTLS-UDP-SR",
            Self::DtlsUdpSrNoIce => "DTLS-UDP-SR-NO-ICE",
            Self::TlsTcpFhNoIce => "TLS-TCP-FH-NO-ICE",
        })
    }
}

/// As it is displayed.
fn displayed<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// One link that is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkFacts {
    /// Who is on the other side.
    pub node_id: NodeId,
    /// What carries it.
    #[serde(serialize_with = "displayed")]
    pub kind: LinkKind,
    /// Our address.
    pub local: SocketAddr,
    /// The other side's.
    pub remote: SocketAddr,
    /// What ICE has selected; none without ICE.
    pub pair: Option<CandidatePair>,
    /// The smoothed round-trip time (RFC 6298), once a message has been acknowledged.
    pub rtt: Option<Duration>,
    /// When it came up, in milliseconds since 1970.
    pub since_unix_ms: u64,
}

impl LinkFacts {
    fn new(node_id: NodeId, info: &FlowInfo) -> Self {
        let kind = match (info.transport, info.pair()) {
            (Transport::Tcp, _) => LinkKind::TlsTcpFhNoIce,
            (Transport::Udp, None) => LinkKind::DtlsUdpSrNoIce,
            (Transport::Udp, Some(_)) => LinkKind::DtlsUdpSr,
        };
        let (local, remote, pair) = (info.local(), info.remote(), info.pair());
        Self { node_id, kind, local, remote, pair, rtt: None, since_unix_ms: unix_ms() }
    }

    /// Whether it goes through a relay, ours or theirs.
    pub fn is_relayed(&self) -> bool {
        self.pair.is_some_and(CandidatePair::is_relayed)
    }
}

/// The links of a node: its driver writes, its handles read.
#[derive(Debug, Default)]
pub(super) struct LinkTable(BTreeMap<LinkId, Known>);

/// What is known of a link that is up.
#[derive(Debug)]
struct Known {
    node_id: NodeId,
    info: FlowInfo,
    stats: watch::Receiver<Stats>,
    since_unix_ms: u64,
}

impl LinkTable {
    /// A link is up.
    pub(super) fn add(
        &mut self,
        id: LinkId,
        node_id: NodeId,
        info: &FlowInfo,
        link: &OverlaySender,
    ) {
        let (info, stats, since_unix_ms) = (info.clone(), link.watch_stats(), unix_ms());
        self.0.insert(id, Known { node_id, info, stats, since_unix_ms });
    }

    /// A link is gone.
    pub(super) fn remove(&mut self, id: LinkId) {
        self.0.remove(&id);
    }

    /// What there is to tell now, the oldest link first.
    pub(super) fn facts(&self) -> Vec<LinkFacts> {
        let facts = |known: &Known| {
            let rtt = known.stats.borrow().rtt_ms.map(Duration::from_millis);
            let since_unix_ms = known.since_unix_ms;
            LinkFacts { rtt, since_unix_ms, ..LinkFacts::new(known.node_id, &known.info) }
        };
        let mut facts: Vec<_> = self.0.values().map(facts).collect();
        facts.sort_by_key(|facts| facts.since_unix_ms);
        facts
    }
}

#[cfg(test)]
#[path = "facts_tests.rs"]
mod tests;
