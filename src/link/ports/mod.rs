//! Ports that the router in front of us opens on request, so that others reach us there unasked:
//! the port where we listen, and some for calls.
//!
//! Nobody waits for this. It is tried where we have private addresses alone, looked after as long
//! as the node runs, and undone when it ends. A router that is silent or refuses costs nothing; the
//! reason is told.

mod pool;
mod router;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use webrtc_util::vnet::net::Net;

pub use self::pool::{MappedPort, MappedPorts};
use self::router::{Mapping, Over, Router};
use super::addresses;
use super::pool::AgentPool;
use super::relay::is_public;

/// Bounds and times.
pub mod limits {
    use std::time::Duration;

    /// Ports kept open for calls: for the agents that stand ready, and a call to each of two.
    pub const FOR_CALLS: usize = 6;
    /// How long a port is asked for.
    pub const LIFETIME: Duration = Duration::from_secs(3600);
    /// No router is asked more often, whatever lifetime it gives.
    pub const RENEWAL_MIN: Duration = Duration::from_secs(60);
    /// Finding a router takes no longer.
    pub const FIND: Duration = Duration::from_secs(4);
    /// One request takes no longer.
    pub const REQUEST: Duration = Duration::from_secs(3);
    /// Until a router is looked for again where there was none: somebody may allow it meanwhile.
    pub const LOOK_LATER: Duration = Duration::from_secs(1800);
    /// Undoing everything takes no longer: what is left ends by itself.
    pub const UNDO: Duration = Duration::from_secs(2);
}

use limits::*;

/// How a port was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MappingProtocol {
    /// UPnP Internet Gateway Device.
    Upnp,
    /// RFC 6886.
    NatPmp,
    /// RFC 6887.
    Pcp,
}

impl fmt::Display for MappingProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Upnp => "UPnP",
            Self::NatPmp => "NAT-PMP",
            Self::Pcp => "PCP",
        })
    }
}

/// What the router has done for us.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PortMapping {
    /// It is not needed: we have a public address, or listen on loopback alone.
    #[default]
    Unneeded,
    /// The user does not want it.
    Unwanted,
    /// It is being asked.
    Trying,
    /// What comes to this address reaches the port where we listen.
    Open(SocketAddr, MappingProtocol),
    /// It has opened none.
    Closed(PortProblem),
}

/// Why a router has opened no port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PortProblem {
    /// Nobody answers.
    #[error("The router does not open ports: it answers neither UPnP nor NAT-PMP nor PCP.")]
    Silent,
    /// It does not want to.
    #[error("The router refuses to open a port: {0}.")]
    Refused(String),
    /// It is behind a NAT itself.
    #[error("The router is behind another one: its own address {0} is not one of the Internet.")]
    Behind(IpAddr),
}

/// What asks the router, and looks after what it has opened.
pub(super) struct PortMapper {
    again: Arc<Notify>,
    end: Arc<Notify>,
    task: Option<JoinHandle<()>>,
}

impl PortMapper {
    /// Asks for the port at `listen` and for some for calls, which get into `ports`, while that is
    /// `wanted`; the spare agents of a pool are replaced when there are any, or none any more.
    pub(super) fn start(
        listen: SocketAddr,
        ports: MappedPorts,
        agents: AgentPool,
        told: watch::Sender<PortMapping>,
        wanted: watch::Receiver<bool>,
    ) -> Self {
        let (again, end) = <(Arc<Notify>, Arc<Notify>)>::default();
        let keeper = Keeper { listen, ports, agents, told, wanted };
        let task = tokio::spawn(keeper.run(again.clone(), end.clone()));
        Self { again, end, task: Some(task) }
    }

    /// Another router may be in front of us now.
    pub(super) fn moved(&self) {
        self.again.notify_one();
    }

    /// Closes what was opened; what is returned waits until that is done.
    pub(super) fn end(&mut self) -> impl Future<Output = ()> + Send + use<> {
        self.end.notify_one();
        let task = self.task.take();
        async move {
            let Some(mut task) = task else { return };
            if timeout(UNDO, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

struct Keeper {
    listen: SocketAddr,
    ports: MappedPorts,
    agents: AgentPool,
    told: watch::Sender<PortMapping>,
    wanted: watch::Receiver<bool>,
}

impl Keeper {
    async fn run(self, again: Arc<Notify>, end: Arc<Notify>) {
        let mut opened: Option<Opened> = None;
        let mut wanted = self.wanted.clone();
        loop {
            if !*wanted.borrow_and_update() {
                self.undo(opened.take()).await;
                self.told.send_replace(PortMapping::Unwanted);
                tokio::select! {
                    Ok(()) = wanted.changed() => continue,
                    () = end.notified() => return,
                }
            }
            let pause = tokio::select! {
                pause = self.look(&mut opened) => pause,
                () = again.notified() => {
                    // What the other router has opened can't be closed from here.
                    self.forget(&mut opened);
                    continue;
                }
                () = end.notified() => return self.undo(opened).await,
            };
            tokio::select! {
                () = sleep(pause) => {}
                Ok(()) = wanted.changed() => {}
                () = again.notified() => self.forget(&mut opened),
                () = end.notified() => return self.undo(opened).await,
            }
        }
    }

    fn forget(&self, opened: &mut Option<Opened>) {
        *opened = None;
        self.ports.set(Vec::new());
    }

    async fn undo(&self, opened: Option<Opened>) {
        self.ports.set(Vec::new());
        let Some(Opened { router, mappings, .. }) = opened else { return };
        self.agents.forget();
        for mapping in mappings {
            router.unmap(mapping).await;
        }
    }

    /// Opens what is not open, or renews it; when to look again.
    async fn look(&self, opened: &mut Option<Opened>) -> Duration {
        if let Some(before) = opened {
            if before.renew(&self.ports).await {
                return before.renewal();
            }
            self.forget(opened);
        }
        let Some(client) = client(self.listen).await else {
            self.told.send_replace(PortMapping::Unneeded);
            return LOOK_LATER;
        };
        self.told.send_replace(PortMapping::Trying);
        match timeout(FIND, self.open(client)).await.unwrap_or(Err(PortProblem::Silent)) {
            Ok(found) => {
                let pause = found.renewal();
                let told = PortMapping::Open(found.outside(), found.router.protocol());
                self.told.send_replace(told);
                let found = opened.insert(found);
                found.open_for_calls(client, &self.ports).await;
                self.agents.forget();
                pause
            }
            Err(problem) => {
                self.told.send_replace(PortMapping::Closed(problem));
                LOOK_LATER
            }
        }
    }

    /// Finds a router and has it open the port where we listen.
    async fn open(&self, client: Client) -> Result<Opened, PortProblem> {
        let port = self.listen.port();
        let (router, first) = Router::find(client.address, client.gateway, port).await?;
        let outside = first.outside;
        let mut opened = Opened { router, mappings: vec![first] };
        if !is_public(outside.ip()) {
            for mapping in std::mem::take(&mut opened.mappings) {
                opened.router.unmap(mapping).await;
            }
            return Err(PortProblem::Behind(outside.ip()));
        }
        // Whoever gets no UDP through comes by TCP, if it is the same port.
        if let Ok(tcp) = opened.router.map(Over::Tcp, port, outside.port()).await {
            match tcp.outside == outside {
                true => opened.mappings.push(tcp),
                false => opened.router.unmap(tcp).await,
            }
        }
        Ok(opened)
    }
}

/// What a router has opened; the port where we listen is the first.
struct Opened {
    router: Router,
    mappings: Vec<Mapping>,
}

impl Opened {
    fn outside(&self) -> SocketAddr {
        self.mappings[0].outside
    }

    /// Half of the shortest lifetime.
    fn renewal(&self) -> Duration {
        let shortest = self.mappings.iter().map(|mapping| mapping.lifetime).min();
        (shortest.unwrap_or(LIFETIME) / 2).max(RENEWAL_MIN)
    }

    async fn open_for_calls(&mut self, client: Client, ports: &MappedPorts) {
        let mut held = Vec::new();
        for _ in 0..FOR_CALLS {
            let Ok(socket) = UdpSocket::bind((client.address, 0)) else { break };
            let Ok(inside) = socket.local_addr() else { break };
            let Ok(mapping) = self.router.map(Over::Udp, inside.port(), inside.port()).await else {
                break;
            };
            held.push((socket, inside, mapping.outside));
            self.mappings.push(mapping);
        }
        ports.set(held);
    }

    /// Whether everything is open as before.
    async fn renew(&mut self, ports: &MappedPorts) -> bool {
        for mapping in &mut self.mappings {
            let outside = mapping.outside;
            if self.router.renew(mapping).await.is_err() || mapping.outside != outside {
                return false;
            }
        }
        ports.hold();
        true
    }
}

/// Where we are on our network.
#[derive(Clone, Copy)]
struct Client {
    address: Ipv4Addr,
    gateway: Option<Ipv4Addr>,
}

/// Who we are to the router, if one is needed.
async fn client(listen: SocketAddr) -> Option<Client> {
    let own = addresses::offered(&Net::new(None), false).await;
    let own: Vec<Ipv4Addr> = own
        .into_iter()
        .filter_map(|ip| match ip {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        })
        .collect();
    if own.iter().any(|ip| is_public((*ip).into())) {
        return None;
    }
    let gateway = gateway();
    let towards = gateway.and_then(|gateway| {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        socket.connect((gateway, router::PORT)).ok()?;
        match socket.local_addr().ok()?.ip() {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        }
    });
    let address = towards.or_else(|| own.iter().find(|ip| ip.is_private()).copied())?;
    let listens = listen.ip().is_unspecified() || listen.ip() == address;
    (listens && address.is_private()).then_some(Client { address, gateway })
}

/// The router that leads to everywhere, where the system shows it in a file (proc(5)); elsewhere
/// UPnP is left, which needs no address.
fn gateway() -> Option<Ipv4Addr> {
    parse_routes(&std::fs::read_to_string("/proc/net/route").ok()?)
}

fn parse_routes(text: &str) -> Option<Ipv4Addr> {
    const VIA_GATEWAY: u32 = 2;
    let hex = |word: &str| u32::from_str_radix(word, 16).ok();
    let route = |line: &str| {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        let [_, destination, gateway, flags, _, _, metric, mask, ..] = words[..] else {
            return None;
        };
        let is_default = hex(destination)? == 0 && hex(mask)? == 0;
        let is_via = hex(flags)? & VIA_GATEWAY != 0;
        // As it is in memory.
        let gateway = Ipv4Addr::from(hex(gateway)?.to_ne_bytes());
        (is_default && is_via).then_some((metric.parse::<u32>().ok()?, gateway))
    };
    text.lines().filter_map(route).min().map(|(_, gateway)| gateway)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_router_is_read() {
        let text = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\n\
                    wlan0\t00000000\t0102A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
                    eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
                    eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
        if cfg!(target_endian = "little") {
            assert_eq!(parse_routes(text), Some(Ipv4Addr::new(192, 168, 1, 1)));
        }
        assert_eq!(parse_routes("Iface\nnonsense\n"), None);
    }

    /// Whoever listens on this machine alone asks no router.
    #[tokio::test]
    async fn loopback_needs_no_router() {
        assert!(client(SocketAddr::from((Ipv4Addr::LOCALHOST, 6084))).await.is_none());
    }
}
