//! Links on real sockets (RFC 6940 §6.5.1, §6.6), from the wire up:
//!
//! | file | what | |
//! |---|---|---|
//! | `addresses`, [`candidate`], [`stun`], [`ice`] | a path through NATs | RFC 8445, 8489 |
//! | `pairs` | candidate pairs: sockets, checks and answers | RFC 8445 |
//! | `reflexive`, `servers` | addresses seen from outside, and who is asked for them | RFC 8445 |
//! | `through` | addresses lent by relays | RFC 8656 |
//! | [`pool`] | sockets that stand ready | |
//! | [`ports`] | what the router opens for us | RFC 6886, 6887 |
//! | [`surroundings`] | what stood in the way of one | RFC 4787 |
//! | `conn` | the path that was found | |
//! | `settled` | what is left of it once it is found | RFC 8445 §11 |
//! | `datagram` | the next one of a socket | |
//! | [`cookie`] | proof of an address | RFC 6347 §4.2.1 |
//! | [`dtls`] | mutual certificates, keys for media | RFC 6347, 5764 |
//! | [`tls`] | the same over TCP | RFC 5246, 8446 |
//! | [`transport`] | a task for each path: [`SecureFlow`], [`MediaFlow`] | |
//! | [`framing`], [`reliability`], [`pace`] | each hop acknowledges | RFC 6940 §6.6.2–3 |
//! | [`watched`] | what is left of that to do over TCP | RFC 6940 §6.6.5 |
//! | [`hop`] | what both owe the other side | RFC 6940 §6.6.2 |
//! | [`overlay`] | the two together: [`OverlayLink`] | RFC 6940 §6.6.4 |
//! | [`bootstrap`] | links without ICE on a known port | RFC 6940 §6.6.6 |
//! | `listen` | the sockets of a port, of both families | |
//! | `no_ice` | links of overlays that do without ICE | RFC 6940 §6.5.1.11 |
//! | [`relay`], `lend`, `borrow` | data of those who find no path, for them | RFC 8656, 6940 §9 |
//! | `clock` | the machine's clocks and randomness | |
//! | `agent`, `convert` | our end of an Attach, in RELOAD's words | RFC 6940 §6.5.1 |
//! | `node`, `driver`, `counters` | what runs a [`Peer`](crate::peer::Peer) | |
//! | `facts` | what is told of its links | |
//! | `store` | values that survive a restart | |
//! | `moving`, `interfaces` | another network, or sleep | |
//! | `cache` | where we can join the next time | RFC 6940 §11.4 |
//! | [`pcap`] | what passed, for Wireshark | |
//!
//! The sender of an Attach is ICE controlling and DTLS server (RFC 6940 §6.5.1.13); on a
//! bootstrap link the joiner is the client.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod addresses;
mod agent;
pub mod bootstrap;
mod borrow;
mod cache;
pub mod candidate;
mod clock;
mod conn;
mod convert;
pub mod cookie;
mod counters;
mod datagram;
mod driver;
pub mod dtls;
mod error;
mod facts;
pub mod framing;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod hop;
pub mod ice;
mod interfaces;
mod lend;
mod listen;
mod moving;
mod no_ice;
mod node;
pub mod overlay;
pub mod pace;
mod pairs;
pub mod pcap;
pub mod pool;
pub mod ports;
mod reflexive;
pub mod relay;
pub mod reliability;
mod servers;
mod settled;
mod store;
pub mod stun;
pub mod surroundings;
mod through;
pub mod tls;
pub mod transport;
pub mod watched;

pub use bootstrap::{BootstrapListener, PlainConnections, dial};
pub use candidate::{Candidate, CandidateKind, IceParameters};
pub use clock::{Clock, os_seed, unix_ms};
pub use counters::{LinkCounters, NodeCounters};
pub use dtls::{DtlsError, DtlsRole, LocalCertificate, SrtpKeys, SrtpProfile, Verify};
pub use error::{LinkError, SendError};
pub use facts::{CandidatePair, CandidateType, LinkFacts, LinkKind};
pub use ice::{IceAgent, IceOptions, IceRole, Upkeep};
pub use lend::{Lending, Reach};
pub use node::{
    AppFlow, AppPath, Node, NodeError, NodeEvent, NodeOptions, NodeStatus, RelayOptions,
};
pub use overlay::{OverlayEvent, OverlayLink, OverlaySender};
pub use pace::SenderKind;
pub use pcap::{Direction as PcapDirection, Pcap, Protocol as PcapProtocol};
pub use pool::AgentPool;
pub use ports::{MappingProtocol, PortMapping, PortProblem};
pub use relay::{Quota as RelayQuota, RelayServer};
pub use servers::StunServers;
pub use store::StoreProblem;
pub use surroundings::{Network, Surroundings};
pub use transport::{
    Credentials, FlowInfo, FlowSender, MediaFlow, MediaSender, SecureFlow, Timings, Transport,
};

#[cfg(test)]
mod lend_tests;
#[cfg(test)]
mod path_tests;
#[cfg(test)]
mod restart_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
