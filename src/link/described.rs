//! Sockets and candidates as `webrtc-ice` has them.

use std::sync::Arc;

use webrtc_ice::candidate::candidate_base::CandidateBaseConfig;
use webrtc_ice::candidate::candidate_host::CandidateHostConfig;
use webrtc_ice::candidate::candidate_relay::CandidateRelayConfig;
use webrtc_ice::candidate::candidate_server_reflexive::CandidateServerReflexiveConfig;
use webrtc_ice::candidate::{Candidate as Described, CandidateType as DescribedType};
use webrtc_ice::udp_network::{EphemeralUDP, UDPNetwork};

use super::candidate::{Candidate, CandidateKind};
use super::facts::{CandidatePair, CandidateType};
use super::ports::MappedPort;

/// A candidate of the other side as the agent wants it.
pub(super) type AgentCandidate = Arc<dyn Described + Send + Sync>;

pub(super) fn describe(candidate: &Candidate) -> Result<AgentCandidate, webrtc_ice::Error> {
    let base_config = CandidateBaseConfig {
        network: "udp".to_owned(),
        address: candidate.addr.ip().to_canonical().to_string(),
        port: candidate.addr.port(),
        component: 1,
        priority: candidate.priority,
        foundation: candidate.foundation.clone(),
        ..CandidateBaseConfig::default()
    };
    let related = candidate.related.unwrap_or(candidate.addr);
    let (rel_addr, rel_port) = (related.ip().to_string(), related.port());
    Ok(match candidate.kind {
        CandidateKind::Host => {
            let config = CandidateHostConfig { base_config, ..CandidateHostConfig::default() };
            Arc::new(config.new_candidate_host()?)
        }
        CandidateKind::ServerReflexive => {
            let config = CandidateServerReflexiveConfig { base_config, rel_addr, rel_port };
            Arc::new(config.new_candidate_server_reflexive()?)
        }
        CandidateKind::Relay => {
            let config =
                CandidateRelayConfig { base_config, rel_addr, rel_port, relay_client: None };
            Arc::new(config.new_candidate_relay()?)
        }
    })
}

/// The types of a pair that no relay of ours is in.
pub(super) fn pair(local: &dyn Described, remote: &dyn Described) -> CandidatePair {
    let of = |described: &dyn Described| match described.candidate_type() {
        DescribedType::Host | DescribedType::Unspecified => CandidateType::Host,
        DescribedType::ServerReflexive => CandidateType::ServerReflexive,
        DescribedType::PeerReflexive => CandidateType::PeerReflexive,
        DescribedType::Relay => CandidateType::Relay,
    };
    CandidatePair { local: of(local), remote: of(remote) }
}

/// The pair in words, for people.
pub(super) fn path(local: &dyn Described, remote: &dyn Described) -> String {
    let version = if local.addr().is_ipv4() { "IPv4" } else { "IPv6" };
    format!(
        "{} {} to {} {} over UDP, {version}",
        local.candidate_type(),
        local.addr(),
        remote.candidate_type(),
        remote.addr(),
    )
}

/// Where the agent's sockets are.
pub(super) fn at_port(mapped: Option<&MappedPort>) -> UDPNetwork {
    let at = mapped.and_then(|port| {
        let port = port.inside.port();
        EphemeralUDP::new(port, port).ok()
    });
    at.map_or_else(UDPNetwork::default, UDPNetwork::Ephemeral)
}
