//! The router: PCP (RFC 6887) and NAT-PMP (RFC 6886) by `crab_nat`, UPnP-IGD by `igd-next`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use crab_nat::{
    InternetProtocol, MappingFailure, PortMapping, PortMappingOptions, PortMappingType,
    TimeoutConfig, natpmp, pcp,
};
use igd_next::aio::Gateway;
use igd_next::aio::tokio::{Tokio, search_gateway};
use igd_next::{AddPortError, GatewayIpVersion, PortMappingProtocol, SearchOptions};
use tokio::time::timeout;

use super::limits::{FIND, LIFETIME, REQUEST};
use super::{MappingProtocol, PortProblem};

/// Where routers listen for PCP and NAT-PMP (RFC 6887 §19.1).
pub(super) const PORT: u16 = 5351;

/// What a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Udp,
    Tcp,
}

/// A router that opens ports.
pub(super) enum Router {
    /// By PCP or NAT-PMP.
    Asked { gateway: Ipv4Addr, client: Ipv4Addr, protocol: MappingProtocol },
    /// By UPnP.
    Upnp { gateway: Gateway<Tokio>, client: Ipv4Addr, outside: IpAddr },
}

/// An open port.
pub(super) struct Mapping {
    /// What others send to.
    pub(super) outside: SocketAddr,
    /// For how long; none of a router that knows no lifetimes is told from one that is longest.
    pub(super) lifetime: Duration,
    over: Over,
    inside: u16,
    asked: Option<PortMapping>,
}

impl Router {
    /// Looks for a router in all three ways at once, and has it open this port over UDP. UPnP,
    /// which costs more, is left alone if another way leads there.
    pub(super) async fn find(
        client: Ipv4Addr,
        gateway: Option<Ipv4Addr>,
        port: u16,
    ) -> Result<(Self, Mapping), PortProblem> {
        let mut asked = std::pin::pin!(ask(client, gateway, port));
        let mut upnp = std::pin::pin!(search(client));
        let (of_asked, upnp) = tokio::select! {
            biased;
            answer = &mut asked => match answer {
                Ok(found) => return Ok(found),
                Err(problem) => (problem, upnp.await),
            },
            found = &mut upnp => match asked.await {
                Ok(found) => return Ok(found),
                Err(problem) => (problem, found),
            },
        };
        let Some(router) = upnp else { return Err(of_asked) };
        let mapping = router.map(Over::Udp, port, port).await?;
        Ok((router, mapping))
    }

    /// How it is asked.
    pub(super) fn protocol(&self) -> MappingProtocol {
        match self {
            Self::Asked { protocol, .. } => *protocol,
            Self::Upnp { .. } => MappingProtocol::Upnp,
        }
    }

    /// Opens a port, with this number outside if it is free.
    pub(super) async fn map(
        &self,
        over: Over,
        inside: u16,
        wanted: u16,
    ) -> Result<Mapping, PortProblem> {
        match self {
            Self::Asked { gateway, client, protocol } => {
                let (inside, wanted) = (nonzero(inside)?, NonZeroU16::new(wanted));
                let options = options(wanted);
                let gateway = IpAddr::from(*gateway).into();
                let mapping = match protocol {
                    MappingProtocol::Pcp => {
                        let client = IpAddr::from(*client);
                        let base = pcp::BaseMapRequest::new(gateway, client, over.into(), inside);
                        pcp::port_mapping(base, None, None, options).await.map_err(refused)?
                    }
                    _ => natpmp::port_mapping(gateway, over.into(), inside, options)
                        .await
                        .map_err(refused)?,
                };
                opened(mapping, over, inside.get()).await
            }
            Self::Upnp { gateway, client, outside } => {
                let (port, lifetime) = add(gateway, *client, over, inside, wanted).await?;
                let outside = SocketAddr::new(*outside, port);
                Ok(Mapping { outside, lifetime, over, inside, asked: None })
            }
        }
    }

    /// Keeps a port open, perhaps with another number outside.
    pub(super) async fn renew(&self, mapping: &mut Mapping) -> Result<(), PortProblem> {
        let renewed = match (self, mapping.asked.take()) {
            (Self::Asked { .. }, Some(mut asked)) => {
                asked.renew().await.map_err(refused)?;
                opened(asked, mapping.over, mapping.inside).await?
            }
            _ => self.map(mapping.over, mapping.inside, mapping.outside.port()).await?,
        };
        *mapping = renewed;
        Ok(())
    }

    /// Closes a port. Whether it is closed nobody cares: it closes by itself later.
    pub(super) async fn unmap(&self, mapping: Mapping) {
        match (self, mapping.asked) {
            (Self::Upnp { gateway, .. }, _) => {
                let _ = gateway.remove_port(mapping.over.into(), mapping.outside.port()).await;
            }
            (Self::Asked { .. }, Some(asked)) => {
                let _ = asked.try_drop().await;
            }
            (Self::Asked { .. }, None) => {}
        }
    }
}

/// By PCP, and by NAT-PMP if the router knows only that.
async fn ask(
    client: Ipv4Addr,
    gateway: Option<Ipv4Addr>,
    port: u16,
) -> Result<(Router, Mapping), PortProblem> {
    let Some(gateway) = gateway else { return Err(PortProblem::Silent) };
    let (at, inside) = (IpAddr::from(gateway).into(), nonzero(port)?);
    let (over, options) = (Over::Udp, options(Some(inside)));
    let tried = PortMapping::new(at, client.into(), over.into(), inside, options).await;
    let mapping = match tried {
        Ok(mapping) => mapping,
        // Some that are older than PCP say nothing to it.
        Err(MappingFailure::Pcp(pcp::Failure::Timeout)) => {
            natpmp::port_mapping(at, over.into(), inside, options).await.map_err(refused)?
        }
        Err(failure) => return Err(refused(failure)),
    };
    let protocol = match mapping.mapping_type() {
        PortMappingType::NatPmp => MappingProtocol::NatPmp,
        PortMappingType::Pcp { .. } => MappingProtocol::Pcp,
    };
    let mapping = opened(mapping, over, port).await?;
    Ok((Router::Asked { gateway, client, protocol }, mapping))
}

async fn opened(asked: PortMapping, over: Over, inside: u16) -> Result<Mapping, PortProblem> {
    let ip = match asked.mapping_type() {
        PortMappingType::Pcp { external_ip, .. } => external_ip.to_canonical(),
        PortMappingType::NatPmp => {
            natpmp::external_address(asked.gateway(), Some(PACE)).await.map_err(refused)?.into()
        }
    };
    let outside = SocketAddr::new(ip, asked.external_port().get());
    let lifetime = Duration::from_secs(asked.lifetime().into());
    Ok(Mapping { outside, lifetime, over, inside, asked: Some(asked) })
}

/// By UPnP; nothing is opened yet.
async fn search(client: Ipv4Addr) -> Option<Router> {
    let mut options = SearchOptions::default();
    options.bind_addr = (client, 0).into();
    options.timeout = Some(FIND * 3 / 4);
    options.gateway_ip_version = GatewayIpVersion::V4;
    let gateway = search_gateway(options).await.ok()?;
    let outside = timeout(REQUEST, gateway.get_external_ip()).await.ok()?.ok()?;
    Some(Router::Upnp { gateway, client, outside })
}

/// The port outside, and for how long it is open.
async fn add(
    gateway: &Gateway<Tokio>,
    client: Ipv4Addr,
    over: Over,
    inside: u16,
    wanted: u16,
) -> Result<(u16, Duration), PortProblem> {
    let inside = SocketAddr::from((client, inside));
    let seconds = LIFETIME.as_secs() as u32;
    let requests = async {
        let add = |lifetime| gateway.add_port(over.into(), wanted, inside, lifetime, NAME);
        match add(seconds).await {
            Err(AddPortError::OnlyPermanentLeasesSupported) => add(0).await,
            answer => answer,
        }
    };
    match timeout(REQUEST, requests).await.map_err(|_| PortProblem::Silent)? {
        Ok(()) => Ok((wanted, LIFETIME)),
        Err(AddPortError::PortInUse) => {
            let any = gateway.add_any_port(over.into(), inside, seconds, NAME);
            let port = timeout(REQUEST, any).await.map_err(|_| PortProblem::Silent)?;
            port.map(|port| (port, LIFETIME)).map_err(|e| PortProblem::Refused(e.to_string()))
        }
        Err(error) => Err(PortProblem::Refused(error.to_string())),
    }
}

fn options(wanted: Option<NonZeroU16>) -> PortMappingOptions {
    PortMappingOptions {
        external_port: wanted,
        lifetime_seconds: Some(LIFETIME.as_secs() as u32),
        timeout_config: Some(PACE),
    }
}

fn nonzero(port: u16) -> Result<NonZeroU16, PortProblem> {
    NonZeroU16::new(port).ok_or(PortProblem::Silent)
}

/// Nobody there, or a refusal.
fn refused(failure: impl Into<MappingFailure>) -> PortProblem {
    use MappingFailure::{NatPmp, Pcp};
    match failure.into() {
        NatPmp(natpmp::Failure::Timeout | natpmp::Failure::Socket(_))
        | Pcp(pcp::Failure::Timeout | pcp::Failure::Socket(_)) => PortProblem::Silent,
        NatPmp(natpmp::Failure::NotAuthorized) | Pcp(pcp::Failure::NotAuthorized(_)) => {
            PortProblem::Refused("it is not allowed to".to_owned())
        }
        failure => PortProblem::Refused(failure.to_string()),
    }
}

impl From<Over> for InternetProtocol {
    fn from(over: Over) -> Self {
        match over {
            Over::Udp => Self::Udp,
            Over::Tcp => Self::Tcp,
        }
    }
}

impl From<Over> for PortMappingProtocol {
    fn from(over: Over) -> Self {
        match over {
            Over::Udp => Self::UDP,
            Over::Tcp => Self::TCP,
        }
    }
}

/// What the router's owner reads in its list.
const NAME: &str = "Chordial";
/// Requests over UDP: three in 1.4 s, where RFC 6886 §3.1 would go on for a minute.
const PACE: TimeoutConfig = TimeoutConfig {
    initial_timeout: Duration::from_millis(200),
    max_retries: 2,
    max_retry_timeout: None,
};
