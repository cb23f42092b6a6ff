//! To which addresses a relay sends (RFC 8656 §21.4.3): a stranger must not reach through it what
//! only its owner may: this machine, the network at home, and whatever no stranger has an address
//! of.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address can be somebody's on the Internet, as those of relays (RFC 6940 §9, T-43)
/// and of whom they serve have to be. Those for documentation count: nobody has them but networks
/// made for tests.
pub fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_public_ipv4(ip),
        IpAddr::V6(ip) => is_public_ipv6(ip),
    }
}

fn is_public_ipv4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_special = match a {
        // This network (RFC 1122 §3.2.1.3), multicast, reserved and broadcast.
        0 | 224.. => true,
        // Behind carriers' NATs (RFC 6598).
        100 => b & 0xc0 == 64,
        // For protocols (RFC 6890), and 6to4 relays.
        192 => (b, c) == (0, 0) || (b, c) == (88, 99),
        // Benchmarks (RFC 2544).
        198 => b & 0xfe == 18,
        _ => false,
    };
    !(is_special || ip.is_loopback() || ip.is_private() || ip.is_link_local())
}

fn is_public_ipv6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    let ipv4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match segments {
        // 6to4 (RFC 3056) and NAT64 (RFC 6052) lead to an address of IPv4.
        [0x2002, high, low, ..] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_public_ipv4(ipv4(high, low))
        }
        // Teredo (RFC 4380) hides one, and the rest of this block is for protocols.
        [0x2001, 0..0x200, ..] => false,
        // Global unicast (RFC 4291 §2.4): neither loopback nor link-local nor unique local.
        [0x2000..0x4000, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_on_the_internet_is_not_public() {
        for ip in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.1.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
            "64:ff9b::a00:1",
            "2001::1",
            "100::1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "203.0.113.9",
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "192.0.2.1",
            "192.1.0.1",
            "2001:db8::1",
            "2a01:4f8::1",
            "::ffff:203.0.113.9",
            "64:ff9b::cb00:7109",
            "2002:cb00:7109::1",
        ] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
    }
}
