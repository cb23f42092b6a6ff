//! The deterministic simulator: thousands of real [`Peer`](crate::peer::Peer)s under one virtual
//! clock, on links that are no more than delays.
//!
//! A [`Scenario`] joins peers one after the other, lets every user register and everybody look
//! others up, kills some peers without a word, waits until the ring has healed, and looks up
//! again. [`run`] tells of each phase in one line and sums everything up. The same scenario gives
//! the same lines and the same [`Summary`], but for what the machine itself took.
//!
//! Links stand for ICE, DTLS and simple reliability: they cost the round trips that those cost,
//! deliver in order, and notice a dead neighbour as late as those would (see [`limits`]).
//! Certificates and signatures are [`CheapProvider`](crate::crypto::CheapProvider)'s, which have
//! the size of real ones.

use std::time::Duration;

use serde::Serialize;

mod map;
mod network;
mod phases;
mod queue;
mod world;

pub use phases::run;

/// What happens in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// How many peers join.
    pub peers: usize,
    /// Everything that is left to chance follows from this number.
    pub seed: u64,
    /// Time between two arrivals.
    pub arrival_spacing: Duration,
    /// How long the ring may settle after the last arrival.
    pub settle: Duration,
    /// How many users each peer looks up, before the kills and again after them.
    pub fetches_per_peer: usize,
    /// How many peers are killed.
    pub kills: usize,
    /// Time between two kills.
    pub kill_spacing: Duration,
    /// How long the ring may heal after the last kill.
    pub repair: Duration,
}

impl Scenario {
    /// The usual run with this many peers: one in twenty is killed, each some seconds after the
    /// other, so that the copies of a value are not all lost before one of them is replaced.
    pub fn new(peers: usize, seed: u64) -> Self {
        Self {
            peers,
            seed,
            arrival_spacing: Duration::from_millis(500),
            settle: Duration::from_secs(60),
            fetches_per_peer: 3,
            kills: peers / 20,
            kill_spacing: Duration::from_secs(3),
            repair: Duration::from_secs(120),
        }
    }
}

/// What came of a run. Apart from the last two fields it depends on the scenario alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// How many peers were to join.
    pub peers: usize,
    /// How many did.
    pub joined: usize,
    /// Look-ups of users whose registration had been stored.
    pub fetches: usize,
    /// How many of them found what the user had registered.
    pub found: usize,
    /// How many of them found something else.
    pub wrong: usize,
    /// How many found it by the first transmission of the request.
    pub first_try: usize,
    /// Links that a request crossed, on average over what was found.
    pub hops_mean: f64,
    /// 19 of 20 requests crossed at most so many.
    pub hops_p95: u32,
    /// How long a look-up took, in round trips between two average peers.
    pub fetch_rtt_mean: f64,
    /// What a peer sends, acknowledgements and the headers of all layers included.
    pub bytes_per_peer_s: f64,
    /// Virtual time from first to last, in seconds.
    pub virtual_s: f64,
    /// What the run took, in seconds.
    pub real_s: f64,
    /// The most memory that the process had, in KiB; 0 where the system does not tell.
    pub peak_rss_kb: u64,
}

/// What links cost, and how much of a run is remembered.
pub mod limits {
    use std::time::Duration;

    /// The round trip between two average peers: what homes of one continent see.
    pub const RTT_MEAN: Duration = Duration::from_millis(100);
    /// The part of a one-way trip that does not depend on distance: access lines.
    pub const DELAY_MIN: Duration = Duration::from_millis(5);
    /// Asking a STUN server for our address.
    pub const GATHER: Duration = Duration::from_millis(60);
    /// Round trips of a DTLS handshake with cookie.
    pub const HANDSHAKE_RTTS: u32 = 3;
    /// One more for a check of ICE before it.
    pub const CHECK_RTTS: u32 = 1;
    /// When ICE gives up.
    pub const CONNECT: Duration = Duration::from_secs(10);
    /// When consent to send runs out on an idle link (RFC 7675 §5.1).
    pub const CONSENT: Duration = Duration::from_secs(30);
    /// When the retransmissions of a message are used up (RFC 6940 §6.6.3.1).
    pub const UNACKNOWLEDGED: Duration = Duration::from_millis(7500);
    /// What a datagram carries of a message.
    pub const FRAGMENT_BYTES: usize = 1200;
    /// IP and UDP, DTLS record, frame; then the same for its acknowledgement.
    pub const FRAME_BYTES: usize = 28 + 29 + 8 + 28 + 29 + 9;
    /// Virtual time in which all peers must have joined after the last arrival, or all answers
    /// must have come: several times a request's longest life.
    pub const PATIENCE: Duration = Duration::from_secs(180);
    /// Over so long the look-ups of a phase are spread.
    pub const FETCH_WINDOW: Duration = Duration::from_secs(60);
    /// Peers through which others join.
    pub const BOOTSTRAP_NODES: usize = 8;
    /// Wall time at the virtual clock's origin, in milliseconds since the Unix epoch.
    pub const UNIX_MS_START: u64 = 1_790_000_000_000;
}
