//! Our end of a link that an Attach is to make: with ICE or, where the overlay has none, without
//! (RFC 6940 §6.5.1.5 has no third way).

use super::convert;
use super::dtls::DtlsRole;
use super::error::LinkError;
use super::ice::{IceAgent, IceOptions, IceRole, Upkeep};
use super::no_ice::NoIceAgent;
use super::node::NodeOptions;
use super::pool::AgentPool;
use super::ports::MappedPorts;
use super::relay::OpenPorts;
use super::servers::StunServers;
use super::surroundings::Surroundings;
use super::transport::{Credentials, SecureFlow};
use crate::peer::{IceParameters, Role};

/// Our end.
pub(super) enum Agent {
    /// With candidates that are checked.
    Ice(Box<IceAgent>),
    /// With ports that listen.
    NoIce(NoIceAgent),
}

impl Agent {
    /// Gathers candidates for an overlay link.
    pub(super) async fn with_ice(pool: AgentPool, role: Role) -> Result<Self, LinkError> {
        let agent = pool.gather_for_link(ice_role(role)).await?;
        Ok(Self::Ice(Box::new(agent)))
    }

    /// Takes one from a pool of those that have gathered for applications.
    pub(super) async fn ready(pool: AgentPool, role: Role) -> Result<Self, LinkError> {
        let agent = pool.take(ice_role(role)).await?;
        Ok(Self::Ice(Box::new(agent)))
    }

    /// Opens ports for links of these OverlayLinkTypes.
    pub(super) async fn without_ice(links: Vec<u8>, loopback: bool) -> Result<Self, LinkError> {
        NoIceAgent::gather(links, loopback).await.map(Self::NoIce)
    }

    /// What the other side must be told.
    pub(super) fn parameters(&self) -> IceParameters {
        match self {
            Self::Ice(agent) => convert::to_peer(agent.local()),
            Self::NoIce(agent) => IceParameters {
                candidates: agent.candidates().to_vec(),
                ..IceParameters::default()
            },
        }
    }

    /// Our network and the other side's, as far as candidates tell.
    pub(super) fn surroundings(&self, remote: &IceParameters) -> (Surroundings, Surroundings) {
        match self {
            Self::Ice(agent) => (
                Surroundings::of(&agent.local().candidates),
                Surroundings::of(&convert::from_peer(remote).candidates),
            ),
            Self::NoIce(_) => (Surroundings::OPEN, Surroundings::OPEN),
        }
    }

    /// Makes a path to the other side and secures it.
    pub(super) async fn connect(
        self,
        remote: &IceParameters,
        role: Role,
        credentials: &Credentials,
    ) -> Result<SecureFlow, LinkError> {
        match self {
            Self::Ice(agent) => {
                // The sender of the Attach is the DTLS server (RFC 6940 §6.5.1.13).
                let role = match role {
                    Role::Requester => DtlsRole::Server,
                    Role::Responder => DtlsRole::Client,
                };
                let remote = convert::from_peer(remote);
                SecureFlow::over_ice(*agent, &remote, role, credentials).await
            }
            Self::NoIce(agent) => agent.connect(&remote.candidates, role, credentials).await,
        }
    }
}

/// What is gathered for applications.
pub(super) fn ice_options(
    options: &NodeOptions,
    ports: &OpenPorts,
    mapped: &MappedPorts,
) -> IceOptions {
    IceOptions {
        loopback: options.loopback,
        stun: StunServers::default(),
        relays: Vec::new(),
        ports: ports.clone(),
        mapped: mapped.clone(),
        upkeep: Upkeep::Consent,
    }
}

/// Who sends an Attach controls (RFC 6940 §6.5.1.13).
fn ice_role(role: Role) -> IceRole {
    match role {
        Role::Requester => IceRole::Controlling,
        Role::Responder => IceRole::Controlled,
    }
}
