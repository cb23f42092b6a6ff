//! What the candidates of one side tell of the network that it is in, so that whoever finds no
//! path can say what stood in the way.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::candidate::{Candidate, CandidateKind};

/// The network of one side, as far as its candidates show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// An address of the machine is one of the internet's; a firewall may still be in front.
    Open,
    /// Behind a NAT that gives a socket one address, whoever it sends to (RFC 4787 §4.1).
    Nat,
    /// Behind a NAT that gives a socket another address for each whom it sends to, so that
    /// nobody can be told where to send.
    ChangingNat,
    /// Private addresses, and nobody has told what a NAT would show for them.
    Private,
}

/// The network of one side, and whether it has help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// The network.
    pub network: Network,
    /// Whether a relay stood ready.
    pub has_relay: bool,
}

impl Surroundings {
    /// As in an overlay without ICE, which has no NATs (RFC 6940 §6.5.1.5).
    pub const OPEN: Self = Self { network: Network::Open, has_relay: false };

    /// What these candidates tell.
    pub fn of(candidates: &[Candidate]) -> Self {
        let of_kind = |kind| candidates.iter().filter(move |c| c.kind == kind);
        let reflexive: Vec<_> = of_kind(CandidateKind::ServerReflexive).collect();
        let changes = reflexive.iter().enumerate().any(|(place, one)| {
            reflexive[..place].iter().any(|other| is_other_mapping(one, other))
        });
        let is_open = of_kind(CandidateKind::Host).any(|c| is_global(c.addr.ip()));
        let network = match (is_open, changes, reflexive.is_empty()) {
            (true, ..) => Network::Open,
            (false, true, _) => Network::ChangingNat,
            (false, false, false) => Network::Nat,
            (false, false, true) => Network::Private,
        };
        Self { network, has_relay: of_kind(CandidateKind::Relay).next().is_some() }
    }
}

/// Whether two addresses that servers saw belong to one socket.
fn is_other_mapping(one: &Candidate, other: &Candidate) -> bool {
    let is_known = |base: &SocketAddr| base.port() != 0;
    one.related.filter(is_known).is_some_and(|base| other.related == Some(base))
        && one.addr != other.addr
}

/// Whether an address is one of the internet's (RFC 6890).
fn is_global(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            // 100.64.0.0/10 is between a provider's NAT and its customers (RFC 6598).
            let is_shared = a == 100 && b & 0xc0 == 64;
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || is_shared)
        }
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()),
    }
}

/// Where that is, in words that follow "a computer".
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "with an address of its own",
            Self::Nat => "behind a NAT",
            Self::ChangingNat => "behind a NAT that changes its ports",
            Self::Private => "on a closed network",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(candidates: &[&str]) -> Surroundings {
        let parsed: Vec<Candidate> = candidates.iter().map(|c| c.parse().unwrap()).collect();
        Surroundings::of(&parsed)
    }

    const PRIVATE: &str = "1 1 UDP 2130706431 192.168.1.2 4000 typ host";
    const SEEN: &str =
        "s1x0 1 UDP 1694498815 203.0.113.1 7000 typ srflx raddr 192.168.1.2 rport 4000";

    #[test]
    fn candidates_tell_of_the_nat() {
        assert_eq!(of(&[PRIVATE]).network, Network::Private);
        assert_eq!(of(&[PRIVATE, SEEN]).network, Network::Nat);
        let elsewhere = SEEN.replace("7000", "7001");
        assert_eq!(of(&[PRIVATE, SEEN, &elsewhere]).network, Network::ChangingNat);
        let other_socket = elsewhere.replace("rport 4000", "rport 4001");
        assert_eq!(of(&[PRIVATE, SEEN, &other_socket]).network, Network::Nat);
        let open = PRIVATE.replace("192.168.1.2", "198.51.100.2");
        assert_eq!(of(&[&open, SEEN]).network, Network::Open);
        assert_eq!(of(&["1 1 UDP 1 2001:db8::1 4000 typ host"]).network, Network::Open);
        assert_eq!(of(&["1 1 UDP 1 100.64.0.7 4000 typ host"]).network, Network::Private);
    }

    #[test]
    fn a_relay_is_help() {
        let relay = "r1 1 UDP 16777215 203.0.113.9 5000 typ relay raddr 203.0.113.1 rport 7000";
        assert!(of(&[PRIVATE, relay]).has_relay && !of(&[PRIVATE]).has_relay);
    }
}
