//! Which of this machine's addresses are offered to others.

use std::net::IpAddr;

use webrtc_util::vnet::net::Net;

/// Addresses offered at most: each costs a socket and one check for each of the other side's.
const ADDRESSES_MAX: usize = 8;

/// Beginnings of the names of interfaces that lead only to containers and virtual machines here.
const VIRTUAL: [&str; 13] = [
    "docker", "veth", "br-", "virbr", "vmnet", "vboxnet", "lxc", "lxd", "cni", "flannel", "cali",
    "kube", "podman",
];

/// The addresses to offer, the preferred first.
///
/// Loopback addresses come last, and only if `loopback` asks for them or there are no others. An
/// interface that looks virtual counts only where there is no other.
pub(super) async fn offered(net: &Net, loopback: bool) -> Vec<IpAddr> {
    let mut interfaces = Vec::new();
    for interface in net.get_interfaces().await {
        for address in interface.addrs() {
            interfaces.push((interface.name().to_owned(), address.addr()));
        }
    }
    choose(&interfaces, loopback)
}

fn choose(interfaces: &[(String, IpAddr)], loopback: bool) -> Vec<IpAddr> {
    let of_rank = |wanted: Rank| {
        let addresses = interfaces.iter().filter(move |(name, ip)| rank(name, ip) == Some(wanted));
        addresses.map(|(_, ip)| *ip).collect::<Vec<_>>()
    };
    let mut chosen = of_rank(Rank::Real);
    if chosen.is_empty() {
        chosen = of_rank(Rank::Virtual);
    }
    // The order must not depend on the system's: IPv6 first where both work (RFC 8421 §4).
    chosen.sort_by_key(|ip| (ip.is_ipv4(), *ip));
    chosen.dedup();
    chosen.truncate(ADDRESSES_MAX - 2);
    if loopback || chosen.is_empty() {
        let mut local = of_rank(Rank::Loopback);
        local.sort();
        local.truncate(2);
        chosen.extend(local);
    }
    chosen
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rank {
    Real,
    Virtual,
    Loopback,
}

fn rank(name: &str, ip: &IpAddr) -> Option<Rank> {
    if ip.is_loopback() {
        return Some(Rank::Loopback);
    }
    let usable = match ip {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast(),
        // Link-local addresses mean nothing without a zone, which no candidate can carry
        // (RFC 8445 §5.1.1.1 excludes them as well as the deprecated site-local ones).
        IpAddr::V6(ip) => {
            let site_local = ip.segments()[0] & 0xffc0 == 0xfec0;
            !ip.is_unspecified()
                && !ip.is_multicast()
                && !ip.is_unicast_link_local()
                && ip.to_ipv4_mapped().is_none()
                && !site_local
        }
    };
    let is_virtual = VIRTUAL.iter().any(|prefix| name.starts_with(prefix));
    usable.then_some(if is_virtual { Rank::Virtual } else { Rank::Real })
}

/// Whether an address that the other side names may be sent to. Loopback is refused unless we
/// use it ourselves: a stranger must not make us knock at this machine's own ports.
pub(super) fn acceptable(ip: IpAddr, loopback: bool) -> bool {
    match rank("", &ip) {
        Some(Rank::Loopback) => loopback,
        Some(_) => true,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose_from(list: &[(&str, &str)], loopback: bool) -> Vec<String> {
        let list: Vec<_> =
            list.iter().map(|(name, ip)| ((*name).to_owned(), ip.parse().unwrap())).collect();
        choose(&list, loopback).iter().map(ToString::to_string).collect()
    }

    const LAPTOP: [(&str, &str); 7] = [
        ("lo", "127.0.0.1"),
        ("lo", "::1"),
        ("wlan0", "192.0.2.7"),
        ("wlan0", "2001:db8::7"),
        ("wlan0", "fe80::7"),
        ("docker0", "172.17.0.1"),
        ("veth12ab", "fe80::8"),
    ];

    #[test]
    fn only_addresses_that_lead_outside_are_offered() {
        assert_eq!(choose_from(&LAPTOP, false), ["2001:db8::7", "192.0.2.7"]);
        assert_eq!(choose_from(&LAPTOP, true), ["2001:db8::7", "192.0.2.7", "127.0.0.1", "::1"]);
    }

    #[test]
    fn a_machine_without_a_network_offers_loopback() {
        assert_eq!(choose_from(&LAPTOP[..2], false), ["127.0.0.1", "::1"]);
        assert_eq!(choose_from(&LAPTOP[5..6], false), ["172.17.0.1"]);
        assert!(choose_from(&[], true).is_empty());
    }

    #[test]
    fn a_stranger_cannot_point_us_at_ourselves() {
        for (ip, ok) in [
            ("127.0.0.1", false),
            ("::1", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("fe80::1", false),
            ("10.0.0.1", true),
            ("2001:db8::1", true),
        ] {
            assert_eq!(acceptable(ip.parse().unwrap(), false), ok, "{ip}");
        }
        assert!(acceptable("127.0.0.1".parse().unwrap(), true));
    }
}
