//! Between what the peer says of links, in RELOAD's words, and what ICE needs.

use super::candidate::{Candidate, CandidateKind, IceParameters};
use super::error::LinkError;
use crate::message::{CandidateType, IceCandidate, OVERLAY_LINK_DTLS_UDP_SR};
use crate::peer;

/// Our own parameters for an Attach (RFC 6940 §6.5.1.1).
pub(super) fn to_peer(parameters: &IceParameters) -> peer::IceParameters {
    peer::IceParameters {
        ufrag: parameters.ufrag.clone(),
        password: parameters.pwd.clone(),
        candidates: parameters.candidates.iter().map(candidate_to_peer).collect(),
    }
}

/// The other side's parameters; candidates that are not for DTLS over UDP, or of a type that is
/// unknown, are left out (T-14).
pub(super) fn from_peer(parameters: &peer::IceParameters) -> IceParameters {
    IceParameters {
        ufrag: parameters.ufrag.clone(),
        pwd: parameters.password.clone(),
        candidates: parameters.candidates.iter().filter_map(candidate_from_peer).collect(),
    }
}

/// Why a link failed, as far as the peer cares.
pub(super) fn error_to_peer(error: &LinkError) -> peer::LinkError {
    match error {
        LinkError::NoAddress
        | LinkError::Gather(_)
        | LinkError::IceParameters(_)
        | LinkError::NoPath
        | LinkError::Ice(_)
        | LinkError::Relay(_)
        | LinkError::PortInUse(_)
        | LinkError::Bind { .. }
        | LinkError::Refused(_) => peer::LinkError::NoPath,
        LinkError::Dtls(_) => peer::LinkError::Handshake,
        LinkError::Lost
        | LinkError::Silent
        | LinkError::Idle
        | LinkError::Unframed
        | LinkError::Closed => peer::LinkError::Lost,
    }
}

fn candidate_to_peer(candidate: &Candidate) -> IceCandidate {
    IceCandidate {
        address: candidate.addr,
        overlay_link: OVERLAY_LINK_DTLS_UDP_SR,
        foundation: candidate.foundation.clone().into_bytes(),
        priority: candidate.priority,
        candidate_type: match candidate.kind {
            CandidateKind::Host => CandidateType::Host,
            CandidateKind::ServerReflexive => CandidateType::ServerReflexive,
            CandidateKind::Relay => CandidateType::Relay,
        },
        related_address: candidate.related,
        extensions: Vec::new(),
    }
}

fn candidate_from_peer(candidate: &IceCandidate) -> Option<Candidate> {
    if candidate.overlay_link != OVERLAY_LINK_DTLS_UDP_SR {
        return None;
    }
    Some(Candidate {
        foundation: String::from_utf8(candidate.foundation.clone()).ok()?,
        priority: candidate.priority,
        addr: candidate.address,
        kind: match candidate.candidate_type {
            CandidateType::Host => CandidateKind::Host,
            CandidateType::ServerReflexive => CandidateKind::ServerReflexive,
            CandidateType::Relay => CandidateKind::Relay,
            CandidateType::Unknown(_) => return None,
        },
        related: candidate.related_address,
    })
}
