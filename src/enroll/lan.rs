//! Peers on the same network, by DNS-SD over multicast DNS (RFC 6762, RFC 6763). RFC 6940 has
//! nothing of the kind, so this is our extension (T-70, T-71), and what it finds are hints: a
//! document has to be proved in another way, and a peer proves itself by its certificate.
//!
//! A peer is an instance of the service `_reload-peer._udp`. Its TXT record has the name of the
//! overlay (`overlay`) and the sequence of its document (`sequence`).

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use mdns_sd::{IfKind, IfPredicate, ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo};
use thiserror::Error;
use tokio::sync::watch;

use super::limits::{LAN_ADDRESSES_MAX, LAN_PEERS_MAX};
use crate::base::NodeId;
use crate::config::OverlayName;

/// Multicast DNS on this computer's networks. Clones share one.
#[derive(Clone)]
pub struct Lan {
    daemon: ServiceDaemon,
    /// Those who are seen, once somebody has asked.
    peers: Arc<OnceLock<LanPeers>>,
}

/// A peer on the same network, as it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanPeer {
    /// The name of its overlay.
    pub overlay: OverlayName,
    /// The sequence of its document.
    pub sequence: u16,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
}

/// Those who are seen on the same network, as they come and go.
pub type LanPeers = watch::Receiver<Vec<LanPeer>>;

/// Why there is no multicast DNS here: a part of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("this network can't be searched: {0}")]
pub struct LanError(String);

/// Tells the network of a peer of ours until it is dropped.
pub struct Advertisement {
    daemon: ServiceDaemon,
    name: String,
}

impl Lan {
    /// Opens multicast DNS on all interfaces that lead to people. One that looks virtual is used
    /// where there is no other.
    ///
    /// # Errors
    ///
    /// Fails if the system gives no socket for it.
    pub fn open() -> Result<Self, LanError> {
        let daemon = ServiceDaemon::new().map_err(|e| LanError(e.to_string()))?;
        let interfaces = webrtc_util::ifaces::ifaces().unwrap_or_default();
        let has_real = interfaces.iter().any(|interface| {
            let ip = interface.addr.map(|address| address.ip());
            ip.is_some_and(|ip| is_usable(&ip)) && !is_virtual(&interface.name)
        });
        let refused = IfPredicate::new(move |interface| {
            interface.is_loopback() || (has_real && is_virtual(&interface.name))
        });
        let disabled = daemon.disable_interface(IfKind::Predicate(refused));
        disabled.map_err(|e| LanError(e.to_string()))?;
        Ok(Self { daemon, peers: Arc::default() })
    }

    /// Those who are seen from now on, as they come and go. Asked for on a tokio runtime.
    ///
    /// # Errors
    ///
    /// Fails if multicast DNS has ended.
    pub fn peers(&self) -> Result<LanPeers, LanError> {
        if let Some(peers) = self.peers.get() {
            return Ok(peers.clone());
        }
        let events = self.daemon.browse(SERVICE).map_err(|e| LanError(e.to_string()))?;
        let (seen, peers) = watch::channel(Vec::new());
        tokio::spawn(async move {
            let mut known = BTreeMap::new();
            while let Ok(event) = events.recv_async().await {
                if see(&mut known, event) {
                    seen.send_replace(known.values().cloned().collect());
                }
            }
        });
        Ok(self.peers.get_or_init(|| peers).clone())
    }

    /// Tells the network of our peer, which listens at `listen`, on all addresses or on one.
    ///
    /// # Errors
    ///
    /// Fails for an overlay whose name is too long for a TXT record, and if multicast DNS has
    /// ended.
    pub fn advertise(
        &self,
        overlay: &OverlayName,
        sequence: u16,
        node_id: NodeId,
        listen: SocketAddr,
    ) -> Result<Advertisement, LanError> {
        let failed = |e: mdns_sd::Error| LanError(e.to_string());
        // A part of the Node-ID tells devices apart; the names of computers are nobody's business.
        let instance: String = node_id.to_string().chars().take(INSTANCE_CHARS).collect();
        let host = format!("{instance}.local.");
        let properties =
            [("overlay", overlay.as_str().to_owned()), ("sequence", sequence.to_string())];
        let on_all = listen.ip().is_unspecified();
        let addresses: &[IpAddr] = if on_all { &[] } else { &[listen.ip()] };
        let info =
            ServiceInfo::new(SERVICE, &instance, &host, addresses, listen.port(), &properties[..]);
        let info = info.map_err(failed)?;
        let mut info = if on_all { info.enable_addr_auto() } else { info };
        if listen.is_ipv4() {
            info.set_interfaces(vec![IfKind::IPv4]);
        }
        let name = info.get_fullname().to_owned();
        self.daemon.register(info).map_err(failed)?;
        Ok(Advertisement { daemon: self.daemon.clone(), name })
    }
}

/// Notes what has changed, and says whether anything has.
fn see(known: &mut BTreeMap<String, LanPeer>, event: ServiceEvent) -> bool {
    match event {
        ServiceEvent::ServiceResolved(service) => {
            let name = service.fullname.clone();
            let has_room = known.len() < LAN_PEERS_MAX || known.contains_key(&name);
            match peer(&service).filter(|_| has_room) {
                Some(peer) => known.insert(name, peer.clone()).as_ref() != Some(&peer),
                None => false,
            }
        }
        ServiceEvent::ServiceRemoved(_, name) => known.remove(&name).is_some(),
        _ => false,
    }
}

/// What a service says of itself, if it makes sense.
fn peer(service: &ResolvedService) -> Option<LanPeer> {
    let overlay = service.get_property_val_str("overlay")?;
    let sequence = service.get_property_val_str("sequence")?;
    let addresses = service.addresses.iter().map(|scoped| scoped.to_ip_addr());
    let mut addresses: Vec<_> =
        addresses.filter(is_usable).map(|ip| SocketAddr::new(ip, service.port)).collect();
    // The order in a set is nobody's wish: IPv6 first where both work (RFC 8421 §4).
    addresses.sort_by_key(|address| (address.is_ipv4(), *address));
    addresses.truncate(LAN_ADDRESSES_MAX);
    if addresses.is_empty() || service.port == 0 {
        return None;
    }
    Some(LanPeer {
        overlay: OverlayName::new(overlay).ok()?,
        sequence: sequence.parse().ok()?,
        addresses,
    })
}

/// Whether an address means something without the interface that it came through, and is not a
/// way to make us knock at our own ports.
fn is_usable(ip: &IpAddr) -> bool {
    let is_local = match ip {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.to_ipv4_mapped().is_some(),
    };
    !is_local && !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast()
}

/// Whether an interface leads only to containers and virtual machines, by its name.
fn is_virtual(name: &str) -> bool {
    const BEGINNINGS: [&str; 9] =
        ["docker", "veth", "br-", "virbr", "vmnet", "vboxnet", "lxc", "cni", "podman"];
    BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

impl fmt::Debug for Lan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lan")
    }
}

impl Drop for Advertisement {
    fn drop(&mut self) {
        // Who does not hear the farewell forgets us when our records run out.
        let _ = self.daemon.unregister(&self.name);
    }
}

impl fmt::Debug for Advertisement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Advertisement({})", self.name)
    }
}

const SERVICE: &str = "_reload-peer._udp.local.";
/// Enough of a Node-ID to tell the peers of one network apart.
const INSTANCE_CHARS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn service(addresses: &str, port: u16, properties: &[(&str, &str)]) -> ServiceEvent {
        let info = ServiceInfo::new(SERVICE, "00ff", "00ff.local.", addresses, port, properties);
        ServiceEvent::ServiceResolved(Box::new(info.expect("good").as_resolved_service()))
    }

    /// R6940-11.4-05: whatever the network says, only what can be an address of a peer of an
    /// overlay is taken for a hint, and it is forgotten when it goes.
    #[test]
    fn only_what_makes_sense_is_a_hint() {
        let good = [("overlay", "example.test"), ("sequence", "7")];
        let mut known = BTreeMap::new();
        let addresses = "192.0.2.7,2001:db8::7,fe80::7,127.0.0.1,224.0.0.1";
        assert!(see(&mut known, service(addresses, 6084, &good)));
        assert!(!see(&mut known, service(addresses, 6084, &good)), "nothing new");
        let peers: Vec<_> = known.values().cloned().collect();
        let expected = ["[2001:db8::7]:6084", "192.0.2.7:6084"];
        assert_eq!(peers[0].addresses, expected.map(|a| a.parse().expect("an address")));
        assert_eq!((peers[0].overlay.as_str(), peers[0].sequence), ("example.test", 7));
        let name = known.keys().next().cloned().expect("one");
        assert!(see(&mut known, ServiceEvent::ServiceRemoved(SERVICE.into(), name)));
        for (addresses, port, properties) in [
            ("127.0.0.1", 6084, &good[..]),
            ("192.0.2.7", 0, &good[..]),
            ("192.0.2.7", 6084, &good[..1]),
            ("192.0.2.7", 6084, &[("overlay", "no name"), ("sequence", "7")][..]),
            ("192.0.2.7", 6084, &[("overlay", "example.test"), ("sequence", "many")][..]),
        ] {
            assert!(!see(&mut known, service(addresses, port, properties)), "{properties:?}");
        }
        assert!(known.is_empty());
    }
}
