//! ICE candidates and parameters (RFC 8445 §5), and their text in SDP (RFC 8839 §5.1).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

/// Where a candidate comes from (RFC 8445 §5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CandidateKind {
    /// An address of this machine.
    Host,
    /// What a STUN server sees of a host address behind a NAT.
    ServerReflexive,
    /// An address on a TURN server.
    Relay,
}

impl CandidateKind {
    /// The type preference of RFC 8445 §5.1.2.2.
    pub(super) const fn preference(self) -> u32 {
        match self {
            Self::Host => 126,
            Self::ServerReflexive => 100,
            Self::Relay => 0,
        }
    }
}

impl fmt::Display for CandidateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::Relay => "relay",
        })
    }
}

/// A UDP address at which one side may be reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// The same for candidates of one kind, base and server.
    pub foundation: String,
    /// Higher is tried first.
    pub priority: u32,
    /// The address to send to.
    pub addr: SocketAddr,
    /// Where it comes from.
    pub kind: CandidateKind,
    /// The base of a reflexive candidate; of a relay, what its server saw.
    pub related: Option<SocketAddr>,
}

impl Candidate {
    /// A candidate whose priority follows from its kind and `local_preference`
    /// (RFC 8445 §5.1.2.1), for the only component that RELOAD and multiplexed media have.
    pub fn new(
        kind: CandidateKind,
        addr: SocketAddr,
        related: Option<SocketAddr>,
        foundation: String,
        local_preference: u16,
    ) -> Self {
        let priority = kind.preference() << 24 | u32::from(local_preference) << 8 | 255;
        Self { foundation, priority, addr, kind, related }
    }
}

/// The text after `candidate:` in an SDP attribute.
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { foundation, priority, addr, kind, related } = self;
        let (ip, port) = (addr.ip(), addr.port());
        write!(f, "{foundation} 1 UDP {priority} {ip} {port} typ {kind}")?;
        if let Some(related) = related {
            write!(f, " raddr {} rport {}", related.ip(), related.port())?;
        }
        Ok(())
    }
}

/// Why an SDP candidate cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CandidateError {
    /// It does not follow the grammar; which part.
    #[error("a candidate's {0} is not valid")]
    Invalid(&'static str),
    /// It is for TCP, another component, a name or a type that we do not use; RFC 8839 §5.1 says
    /// to skip it.
    #[error("a candidate's {0} is not one we use")]
    Unsupported(&'static str),
}

impl FromStr for Candidate {
    type Err = CandidateError;

    /// Reads the text with or without the leading `candidate:`; unknown extensions are skipped.
    fn from_str(text: &str) -> Result<Self, CandidateError> {
        use CandidateError::{Invalid, Unsupported};
        let text = text.trim().strip_prefix("candidate:").unwrap_or(text.trim());
        let mut words = text.split_ascii_whitespace();
        let mut next = |what| words.next().ok_or(Invalid(what));
        let foundation = next("foundation")?;
        let is_ice_char = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
        if foundation.len() > 32 || !foundation.bytes().all(is_ice_char) {
            return Err(Invalid("foundation"));
        }
        if next("component")? != "1" {
            return Err(Unsupported("component"));
        }
        if !next("transport")?.eq_ignore_ascii_case("UDP") {
            return Err(Unsupported("transport"));
        }
        let priority = next("priority")?.parse().map_err(|_| Invalid("priority"))?;
        // A name, such as browsers make up for mDNS, is not an address to us.
        let ip: IpAddr = next("address")?.parse().map_err(|_| Unsupported("address"))?;
        let port = next("port")?.parse().map_err(|_| Invalid("port"))?;
        if !next("typ")?.eq_ignore_ascii_case("typ") {
            return Err(Invalid("typ"));
        }
        let kind = match next("type")?.to_ascii_lowercase().as_str() {
            "host" => CandidateKind::Host,
            "srflx" => CandidateKind::ServerReflexive,
            "relay" => CandidateKind::Relay,
            _ => return Err(Unsupported("type")),
        };
        let (mut related_ip, mut related_port) = (None, None);
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            match name.to_ascii_lowercase().as_str() {
                "raddr" => related_ip = value.parse::<IpAddr>().ok(),
                "rport" => related_port = value.parse::<u16>().ok(),
                _ => {}
            }
        }
        let related = related_ip.zip(related_port).map(SocketAddr::from);
        let (foundation, addr) = (foundation.to_owned(), SocketAddr::new(ip, port));
        Ok(Self { foundation, priority, addr, kind, related })
    }
}

/// What one side tells the other so that they can connect.
#[derive(Clone, PartialEq, Eq)]
pub struct IceParameters {
    /// The user name fragment, at least 4 characters (RFC 8445 §5.3).
    pub ufrag: String,
    /// The password, at least 22 characters.
    pub pwd: String,
    /// Where to reach this side.
    pub candidates: Vec<Candidate>,
}

impl IceParameters {
    /// Shortest user name fragment allowed (RFC 8445 §5.3).
    pub const UFRAG_MIN: usize = 4;
    /// Shortest password allowed.
    pub const PWD_MIN: usize = 22;
}

impl fmt::Debug for IceParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let candidates: Vec<_> = self.candidates.iter().map(ToString::to_string).collect();
        write!(f, "IceParameters({}, {candidates:?})", self.ufrag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for text in [
            "1 1 UDP 2130706431 192.0.2.1 4000 typ host",
            "a+/9 1 UDP 1694498815 203.0.113.7 40000 typ srflx raddr 192.0.2.1 rport 4000",
            "3 1 UDP 2130706175 2001:db8::1 4000 typ host",
        ] {
            assert_eq!(text.parse::<Candidate>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_peoples_text_is_understood() {
        let text = "candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr 0.0.0.0 \
                    rport 0 generation 0 ufrag EsAw network-cost 999";
        let candidate: Candidate = text.parse().unwrap();
        assert_eq!(candidate.kind, CandidateKind::ServerReflexive);
        assert_eq!(candidate.related, Some("0.0.0.0:0".parse().unwrap()));
    }

    #[test]
    fn what_we_do_not_use_is_told_from_what_is_broken() {
        use CandidateError::{Invalid, Unsupported};
        for (text, error) in [
            ("1 2 UDP 1 192.0.2.1 4000 typ host", Unsupported("component")),
            ("1 1 TCP 1 192.0.2.1 9 typ host tcptype active", Unsupported("transport")),
            ("1 1 UDP 1 4f0a.local 4000 typ host", Unsupported("address")),
            ("1 1 UDP 1 192.0.2.1 4000 typ prflx", Unsupported("type")),
            ("1 1 UDP -1 192.0.2.1 4000 typ host", Invalid("priority")),
            ("1 1 UDP 1 192.0.2.1 70000 typ host", Invalid("port")),
            ("ä 1 UDP 1 192.0.2.1 4000 typ host", Invalid("foundation")),
            ("", Invalid("foundation")),
        ] {
            assert_eq!(text.parse::<Candidate>(), Err(error), "{text}");
        }
    }

    #[test]
    fn priorities_are_those_of_the_formula() {
        let addr = "192.0.2.1:4000".parse().unwrap();
        let host = Candidate::new(CandidateKind::Host, addr, None, "1".to_owned(), 65535);
        assert_eq!(host.priority, 0x7eff_ffff);
        let reflexive =
            Candidate::new(CandidateKind::ServerReflexive, addr, None, "2".to_owned(), 65535);
        assert_eq!(reflexive.priority, 0x64ff_ffff);
    }
}
