//! Relays that peers lend each other (RFC 8656, RFC 6940 §9), and their use.
//!
//! | file | what |
//! |---|---|
//! | `server` | the relay, without sockets: what a datagram leads to |
//! | `allocation`, `quota` | what it keeps for a client, what it lends |
//! | `peers`, `own` | to whom it sends |
//! | `message`, `wire` | requests and answers; the form of relayed data |
//! | `port`, `batch`, `stream` | its sockets, many datagrams at a time, and clients over TCP |
//! | `grant` | how credentials are asked for and given |
//! | `client`, `line` | the use of a relay, and the way to it |
//!
//! A relay answers at the peer's own port, beside STUN, DTLS and TLS, over UDP and TCP. It serves
//! those who hold a valid certificate of the overlay (T-42): see [`crate::usage::RelaySecret`].

mod allocation;
mod batch;
mod client;
mod grant;
mod line;
pub mod message;
mod own;
#[cfg(test)]
mod path_tests;
mod peers;
mod port;
mod quota;
mod server;
mod stream;
#[cfg(test)]
mod tests;
pub mod wire;

pub use batch::{BatchSocket, Outbox};
pub use client::{Allocation, Announce, RelayServer};
pub use grant::{Asking, Grant, Granter};
pub use own::{OpenPort, OpenPorts};
pub use peers::is_public;
pub use port::{Batch, RelayPort};
pub use quota::Quota;
pub use server::{Client, Framing, Opening, Outcome, Relay, RelayTerms};

/// Bounds and timers.
pub mod limits {
    use std::time::Duration;

    /// Relayed addresses, whatever a user lends: each has a socket.
    pub const SESSIONS_MAX: usize = 1024;
    /// One user gets this part of everything.
    pub const SHARE: usize = 4;
    /// How long an allocation lives without a refresh, in seconds (RFC 8656 §3.2).
    pub const LIFETIME_DEFAULT: u32 = 600;
    /// And at most.
    pub const LIFETIME_MAX: u32 = 3600;
    /// How long a permission lives (RFC 8656 §9).
    pub const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
    /// How long a channel lives (RFC 8656 §12).
    pub const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
    /// Addresses that one client may reach: those of one other side's candidates, some times.
    pub const PERMISSIONS_MAX: usize = 32;
    /// Channels of one client.
    pub const CHANNELS_MAX: usize = 32;
    /// Peers in one request; a link has no more candidates.
    pub const PEERS_IN_REQUEST_MAX: usize = 16;
    /// How long a nonce counts: RFC 8656 §5 recommends at most an hour.
    pub const NONCE_LIFETIME_MS: u64 = 3_600_000;
    /// Requests without proof that are answered in a second: whoever forges addresses is to gain
    /// nothing by us (RFC 8656 §21.1.4).
    pub const REFUSALS_PER_S: u64 = 100;
    /// What is over is ended so often at least.
    pub const SWEEP: Duration = Duration::from_secs(60);
    /// Datagrams received with one call.
    pub const RECEIVED_AT_ONCE: usize = 32;
    /// Bytes sent with one call: less than a datagram of IPv4 has room for.
    pub const SENT_AT_ONCE: usize = 60_000;
    /// A connection on which nothing comes for so long is over: its client would refresh.
    pub const STREAM_IDLE: Duration = Duration::from_secs(LIFETIME_MAX as u64);
    /// And without a relayed address sooner.
    pub const STREAM_UNUSED: Duration = Duration::from_secs(10);
    /// Connections at a time, with a relayed address or without.
    pub const STREAMS_MAX: usize = 256;
    /// A connection that takes nothing for so long is over.
    pub const STREAM_WRITE: Duration = Duration::from_secs(20);
    /// Messages waiting for a connection; a second of two voices.
    pub const STREAM_OUTGOING_MAX: usize = 128;
    /// Bytes read at a time.
    pub const STREAM_READ: usize = 4096;
    /// How long credentials count: a phone that is away for a night asks again.
    pub const CREDENTIALS_LIFETIME_MS: u64 = 6 * 3_600_000;
    /// When a request to a relay is sent, and at last given up.
    pub const RETRANSMISSIONS_MS: [u64; 6] = [0, 150, 400, 900, 1900, 3900];
    /// A channel is bound again within the life of its permission.
    pub const CHANNEL_REFRESH: Duration = Duration::from_secs(240);
    /// Keeps the NAT between us and a relay open, and shows whether it is there.
    pub const KEEPALIVE: Duration = Duration::from_secs(20);
    /// Peers reached through one relayed address.
    pub const PEERS_MAX: u16 = 24;
    /// No message of TURN that is not relayed data is longer.
    pub const MESSAGE_MAX: usize = 1280;
}
