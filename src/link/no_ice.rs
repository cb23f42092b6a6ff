//! Links without ICE (RFC 6940 §6.5.1.11): there are no checks but the handshake.
//!
//! Who sends an Attach is the server (§6.5.1.13), so each Attach has ports of its own that listen.
//! What comes there waits in the system until the answer tells which certificate to expect. The
//! answerer tries one candidate after the other: of two handshakes at a time each side might take
//! another one.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpListener;
use tokio::time::timeout;
use webrtc_util::vnet::net::Net;

use super::addresses;
use super::bootstrap::{PlainConnections, Ports, dial_udp};
use super::candidate::CandidateKind;
use super::error::LinkError;
use super::ice::limits::{CANDIDATES_MAX, CONNECT};
use super::lend::Lending;
use super::listen::bind;
use super::tls;
use super::transport::{Credentials, SecureFlow};
use crate::message::{
    CandidateType, IceCandidate, OVERLAY_LINK_DTLS_UDP_SR_NO_ICE, OVERLAY_LINK_TLS_TCP_FH_NO_ICE,
};
use crate::peer::Role;

/// Timers.
pub mod limits {
    use std::time::Duration;

    /// How long one candidate is tried while there are others.
    pub const ATTEMPT: Duration = Duration::from_secs(3);
    /// A link that is silent for longer is given up: twice chord-ping-interval (RFC 6940
    /// §10.7.4.2), as nothing else may pass on a link with a finger.
    pub const IDLE: Duration = Duration::from_secs(7200);
}

use limits::*;

/// One end of a link that is to be made.
#[derive(Debug)]
pub(super) struct NoIceAgent {
    ports: Ports,
    candidates: Vec<IceCandidate>,
    links: Vec<u8>,
    loopback: bool,
}

impl NoIceAgent {
    /// Opens ports for links of these OverlayLinkTypes, on loopback addresses too if `loopback`
    /// says so.
    pub(super) async fn gather(links: Vec<u8>, loopback: bool) -> Result<Self, LinkError> {
        let offered = addresses::offered(&Net::new(None), loopback).await;
        let loopback = loopback || offered.iter().all(IpAddr::is_loopback);
        let mut agent = Self { ports: Ports::default(), candidates: Vec::new(), links, loopback };
        for any in [IpAddr::from(Ipv6Addr::UNSPECIFIED), Ipv4Addr::UNSPECIFIED.into()] {
            let is_of_family = |ip: &IpAddr| ip.is_ipv6() == any.is_ipv6();
            let addresses: Vec<_> =
                offered.iter().enumerate().filter(|(_, ip)| is_of_family(ip)).collect();
            if !addresses.is_empty() {
                agent.open(SocketAddr::new(any, 0), &addresses).await;
            }
        }
        if agent.candidates.is_empty() { Err(LinkError::NoAddress) } else { Ok(agent) }
    }

    /// Opens ports on all addresses of one family. A machine may lack one of the two.
    async fn open(&mut self, any: SocketAddr, addresses: &[(usize, &IpAddr)]) {
        if self.links.contains(&OVERLAY_LINK_TLS_TCP_FH_NO_ICE)
            && let Ok(listener) = TcpListener::bind(any).await
            && let Ok(at) = listener.local_addr()
        {
            self.offer(OVERLAY_LINK_TLS_TCP_FH_NO_ICE, at.port(), addresses);
            self.ports.tcp.push(listener);
        }
        if self.links.contains(&OVERLAY_LINK_DTLS_UDP_SR_NO_ICE)
            && let Ok(socket) = bind(any).await
            && let Ok(at) = socket.local_addr()
        {
            self.offer(OVERLAY_LINK_DTLS_UDP_SR_NO_ICE, at.port(), addresses);
            self.ports.udp.push(socket);
        }
    }

    fn offer(&mut self, overlay_link: u8, port: u16, addresses: &[(usize, &IpAddr)]) {
        self.candidates.extend(addresses.iter().map(|(rank, ip)| IceCandidate {
            address: SocketAddr::new(**ip, port),
            overlay_link,
            foundation: rank.to_string().into_bytes(),
            priority: priority(overlay_link, *rank),
            candidate_type: CandidateType::Host,
            related_address: None,
            extensions: Vec::new(),
        }));
    }

    /// What the other side must be told.
    pub(super) fn candidates(&self) -> &[IceCandidate] {
        &self.candidates
    }

    /// Makes the connection: waits for it, or opens it to one of the other side's candidates.
    /// Takes no longer than ICE may.
    pub(super) async fn connect(
        self,
        remote: &[IceCandidate],
        role: Role,
        credentials: &Credentials,
    ) -> Result<SecureFlow, LinkError> {
        let flow = async {
            match role {
                Role::Requester => self.accept(credentials).await,
                Role::Responder => self.dial(remote, credentials).await,
            }
        };
        timeout(CONNECT, flow).await.map_err(|_| LinkError::NoPath)?
    }

    async fn accept(self, credentials: &Credentials) -> Result<SecureFlow, LinkError> {
        let nobody = PlainConnections::default();
        let mut accepted = self
            .ports
            .serve(credentials.clone(), IDLE, &nobody, &Lending::default())
            .map_err(|_| LinkError::Closed)?;
        accepted.flow().await.ok_or(LinkError::Closed)
    }

    async fn dial(
        self,
        remote: &[IceCandidate],
        credentials: &Credentials,
    ) -> Result<SecureFlow, LinkError> {
        let mut usable: Vec<_> = remote
            .iter()
            .filter(|candidate| self.links.contains(&candidate.overlay_link))
            .filter(|candidate| addresses::acceptable(candidate.address.ip(), self.loopback))
            .take(CANDIDATES_MAX)
            .collect();
        usable.sort_by_key(|candidate| Reverse(candidate.priority));
        let mut error = LinkError::IceParameters("it named no address that we may use");
        let count = usable.len();
        for (place, candidate) in usable.into_iter().enumerate() {
            let flow = async {
                match candidate.overlay_link {
                    OVERLAY_LINK_TLS_TCP_FH_NO_ICE => {
                        tls::connect(candidate.address, credentials, IDLE).await
                    }
                    _ => dial_udp(candidate.address, credentials, IDLE).await,
                }
            };
            let patience = if place + 1 < count { ATTEMPT } else { CONNECT };
            match timeout(patience, flow).await {
                Ok(Ok(flow)) => return Ok(flow),
                Ok(Err(failure)) => error = failure,
                Err(_) => error = LinkError::NoPath,
            }
        }
        Err(error)
    }
}

/// The priority of a candidate: connections whose congestion control is well understood first
/// (RFC 6940 §6.5.1.6), then by the rank of the address. As with ICE-TCP the kind of transport is
/// in the upper bits of the local preference (RFC 6544 §4.2), of which the highest are left to
/// transports that do not hold up one message for another.
fn priority(overlay_link: u8, rank: usize) -> u32 {
    const RANK_MAX: u32 = (1 << 13) - 1;
    let transport = match overlay_link {
        OVERLAY_LINK_TLS_TCP_FH_NO_ICE => 2,
        _ => 1,
    };
    let rank = u32::try_from(rank).unwrap_or(RANK_MAX).min(RANK_MAX);
    let local_preference = transport << 13 | (RANK_MAX - rank);
    CandidateKind::Host.preference() << 24 | local_preference << 8 | 255
}

#[cfg(test)]
#[path = "no_ice_tests.rs"]
mod tests;
