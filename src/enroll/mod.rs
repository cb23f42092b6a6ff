//! The way into an overlay (RFC 6940 §11): its document is found by the overlay's name, and a
//! certificate is got from its enrollment server.
//!
//! | module | what | source |
//! |---|---|---|
//! | `find` | all roads to a document side by side: [`find()`] | RFC 6940 §11.2 |
//! | `invitation` | a link that names an overlay and proves its document | |
//! | `lan` | peers on the same network, by DNS-SD over mDNS | RFC 6762, 6763 |
//! | `share` | a peer hands out its document | |
//! | `document` | whether a document may take the place of another | RFC 6940 §11.2, T-81 |
//! | `dns` | which addresses serve `https://NAME/` | RFC 2782 |
//! | `https` | one request over HTTPS, with what the two above need and no more | RFC 2818 |
//! | `trust` | whose word on a web server's name is taken | RFC 6940 §11.2, §11.3 |
//! | `client` | a certificate for a key of ours: [`enroll`] | RFC 6940 §11.3 |
//! | `revoke` | a lost device of one's own is put out: [`revoke()`] | |
//! | `form` | how both are asked for | RFC 2388 |
//! | `prepare` | account names and passwords as the octets that are compared | RFC 8265 |
//! | [`server`] | the other side of all this: document, accounts, certificates | RFC 6940 §11.3 |

mod client;
mod dns;
mod document;
mod find;
mod form;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod https;
mod invitation;
mod lan;
mod prepare;
mod revoke;
pub mod server;
mod share;
#[cfg(test)]
pub(crate) mod tests;
mod trust;

pub use client::{EnrollError, Enrollment, enroll};
pub(crate) use dns::in_order;
pub use dns::{DnsError, Resolver};
pub use document::DocumentError;
pub use find::{FindFailure, Finding, Query, Road, RoadFailure, RoadNews, RoadState, find};
pub use https::{HttpsError, HttpsUrl, UrlError};
pub use invitation::{Fingerprint, INVITATION_SCHEME, Invitation, InvitationError};
pub use lan::{Advertisement, Lan, LanError, LanPeer, LanPeers};
pub use prepare::{prepared_account, prepared_password};
pub use revoke::{Revocation, RevokeError, revoke};
pub use share::{PeerError, Share};
pub use trust::Trust;

/// What bounds servers that we know nothing about yet.
pub mod limits {
    use std::time::Duration;

    /// The path of an overlay's document (RFC 6940 §11.2).
    pub(super) const WELL_KNOWN: &str = "/.well-known/reload-config";

    /// Addresses tried for one name; more than that is no help to anybody.
    pub const ADDRESSES_MAX: usize = 8;
    /// A TCP connection and its TLS handshake: three round trips and two lost packets.
    pub const CONNECT_MAX: Duration = Duration::from_secs(5);
    /// One HTTPS request with all that belongs to it, addresses that do not answer included.
    pub const REQUEST_MAX: Duration = Duration::from_secs(20);
    /// What comes before the body of an HTTP answer.
    pub const HEAD_BYTES_MAX: usize = 32 * 1024;
    /// Redirects within one server.
    pub const REDIRECTS_MAX: usize = 3;
    /// A certificate or an error token; both are short.
    pub const ENROLL_BYTES_MAX: usize = 64 * 1024;
    /// One question to DNS, asked twice at most.
    pub const DNS_WAIT: Duration = Duration::from_secs(2);
    /// Records of a service that are looked at.
    pub const SRV_RECORDS_MAX: usize = 16;
    /// A document from a peer: one of many, of which another will do.
    pub const PEER_MAX: Duration = Duration::from_secs(5);
    /// Those who are handed our document at one time.
    pub const SHARE_CONNECTIONS_MAX: usize = 16;
    /// How long one of them may take.
    pub const SHARE_CONNECTION_MAX: Duration = Duration::from_secs(10);
    /// Peers on the same network that are looked at.
    pub const LAN_PEERS_MAX: usize = 64;
    /// Addresses of one of them.
    pub const LAN_ADDRESSES_MAX: usize = 4;
}
