//! The deterministic simulator: thousands of real [`Peer`](crate::peer::Peer)s under one virtual
//! clock, on links that are no more than delays.
//!
//! [`run`] takes a [`Scenario`] through phases and gives a [`Summary`]:
//!
//! 1. *join*, *settle*, *register*, *fetch*, *idle*: peers join through others, each second a
//!    constant part of those that are there; every user registers; everybody looks others up; then
//!    nobody does anything, which is what upkeep costs.
//! 2. *safety*, with whatever faults the scenario has: users come and go, links lose, double and
//!    reorder messages, some peers are hostile, a part dies at one moment, east and west are cut
//!    off from each other. All the while some look others up.
//! 3. *liveness*, without faults: the ring must heal, and every registration that somebody still
//!    holds must be found.
//!
//! Checks look at the peers from outside, all the time or at the end, and count what must not be
//! in [`Findings`]. The same scenario gives the same lines and the same summary, but for what the
//! machine itself took.
//!
//! # The model
//!
//! Peers sit on a square, and delay grows with distance. Links stand for ICE, DTLS and simple
//! reliability: they cost the round trips that those cost, deliver a lost frame later than what
//! was sent after it, and notice a dead neighbour as late as those would (see [`limits`]).
//! Certificates and signatures are [`CheapProvider`](crate::crypto::CheapProvider)'s, which have
//! the size of real ones. A session ends by [`Command::Leave`](crate::peer::Command::Leave) or, as
//! often, without a word; a new user comes in the same moment. Hostile peers are real ones behind
//! a mask that drops, misroutes, forges, replays or floods, or sits next to a victim's key. What
//! one of them is responsible for may be lost with it: nobody else makes copies of that. Some first
//! peers last for ever, like the bootstrap nodes that a document names. Between some pairs of the
//! others there may be walls: they can never be linked, though others reach both.
//!
//! # The trace
//!
//! With [`Scenario::is_traced`] each event is a line: seconds, a verb, `name=value` pairs.
//!
//! | verb | what happened |
//! |---|---|
//! | `phase` | a phase has ended; the rest is for people |
//! | `arrive` | `peer` begins to join, as `node` |
//! | `joined`, `failed` | it is a peer after `ms`; an attempt failed, for `why` |
//! | `leave`, `left` | `peer` begins to leave; it has left |
//! | `crash`, `kill` | `peer` vanishes: by itself, or in the mass kill |
//! | `hostile` | `peer` turns hostile, with this `behavior` |
//! | `partition`, `heal` | east and west are cut off; they are connected again |
//! | `up`, `down` | a `link` of `peer` came up or went down, as it saw it |
//! | `store`, `stored`, `refused` | `user` publishes a `version`; it is acknowledged, or not |
//! | `fetch` | `peer` looks `user` up, for the so-manieth time (`attempt`) |
//! | `fetched` | it found `version`, after so many `hops`, `ms` and `transmissions` |
//! | `missed` | it did not find what it should, for `why` |
//! | `lost` | nobody holds `user`'s registration any more, and nothing could be done |
//! | `finding` | `check` found what must not be |

mod checks;
mod figures;
mod hostile;
mod map;
mod network;
mod phases;
mod queue;
mod run;
mod scenario;
mod truth;
mod world;

pub use figures::{Findings, Summary};
pub use network::Faults;
pub use phases::run;
pub use scenario::Scenario;

/// What links cost, how a run goes, and how much of it is remembered.
pub mod limits {
    use std::time::Duration;

    /// The round trip between two average peers: what homes of one continent see.
    pub const RTT_MEAN: Duration = Duration::from_millis(100);
    /// The part of a one-way trip that does not depend on distance: access lines.
    pub const DELAY_MIN: Duration = Duration::from_millis(5);
    /// By how much a message can be late that others overtake.
    pub const REORDERED_MAX: Duration = Duration::from_millis(100);
    /// Asking a STUN server for our address.
    pub const GATHER: Duration = Duration::from_millis(60);
    /// Round trips of a DTLS handshake. Its server is done when it sends the last flight, half a
    /// round trip before the client has it (RFC 6347 §4.2.4).
    pub const HANDSHAKE_RTTS: u32 = 2;
    /// One more for the cookie, where no check of ICE has shown that the client is there and
    /// others are at it already.
    pub const COOKIE_RTTS: u32 = 1;
    /// One more for a check of ICE before it.
    pub const CHECK_RTTS: u32 = 1;
    /// When ICE gives up.
    pub const CONNECT: Duration = Duration::from_secs(10);
    /// When an idle link is lost because the other side's keep-alives are missing, as real ones.
    pub const KEEPALIVE_LOST: Duration = crate::link::ice::limits::KEEPALIVE_LOST;
    /// A link is given up when the fourth transmission finds no answer to the first three: one,
    /// two and four retransmission timeouts.
    pub const SUSPECT_TIMEOUTS: u32 = 7;
    /// The shortest time until a frame is sent again (RFC 6940 §6.6.3.1).
    pub const RETRANSMISSION_MIN: Duration = Duration::from_millis(200);
    /// How often a frame is sent at most.
    pub const TRANSMISSIONS_MAX: u32 = 5;
    /// How often a side sends something that has nothing else to send: the mean of real links.
    pub const KEEPALIVE: Duration = Duration::from_secs(20);
    /// What that takes: IP and UDP, and a STUN indication.
    pub const KEEPALIVE_BYTES: u64 = 56;
    /// What a datagram carries of a message.
    pub const FRAGMENT_BYTES: usize = 1200;
    /// IP and UDP, DTLS record, frame; then the same for its acknowledgement.
    pub const FRAME_BYTES: usize = 28 + 29 + 8 + 28 + 29 + 9;

    /// Of those that are there, so many more come each second.
    pub const GROWTH: f64 = 0.01;
    /// And at least so many.
    pub const ARRIVALS_MIN: f64 = 2.0;
    /// Virtual time in which all peers must have joined after the last arrival, or all answers
    /// must have come: several times a request's longest life.
    pub const PATIENCE: Duration = Duration::from_secs(180);
    /// Over so long the look-ups of a phase are spread.
    pub const FETCH_WINDOW: Duration = Duration::from_secs(60);
    /// Each peer looks somebody up so often while there are faults.
    pub const FETCH_INTERVAL: Duration = Duration::from_secs(300);
    /// How often a user asks for the same name before giving up.
    pub const ATTEMPTS_MAX: u8 = 3;
    /// Until a user asks again.
    pub const RETRY: Duration = Duration::from_secs(2);
    /// From the last look-up to the idle stretch.
    pub const CALM_DOWN: Duration = Duration::from_secs(30);
    /// From the first fault to a mass kill or a partition.
    pub const BEFORE: Duration = Duration::from_secs(60);
    /// In this time copies that were lost with a peer are made again: a dead neighbour is noticed,
    /// the successor replacement hold-down passes (RFC 6940 §10.7.1), and the copies travel.
    pub const REPAIR: Duration = Duration::from_secs(135);
    /// What a peer that goes hands over has arrived by then.
    pub const MOURNING: Duration = Duration::from_secs(15);
    /// In so long a ring without faults must have healed. Two halves look for each other every
    /// ten minutes (chord-update-interval), and several times until they are one.
    pub const LIVENESS_MAX: Duration = Duration::from_secs(3600);
    /// How often it is looked whether it has.
    pub const HEAL_CHECK: Duration = Duration::from_secs(5);
    /// How often all tables and queues are looked at.
    pub const CHECK_INTERVAL: Duration = Duration::from_secs(1);
    /// How often a hostile peer does something by itself.
    pub const TICK: Duration = Duration::from_secs(1);
    /// How many users a hostile peer is after.
    pub const VICTIMS: usize = 4;
    /// The share of sessions that end in order; the others just end.
    pub const LEAVE_SHARE: f64 = 0.5;
    /// Long enough for any run, so that what is found does not depend on refreshes.
    pub const LIFETIME_S: u32 = 86_400;

    /// Links of a peer, unless the scenario says otherwise.
    pub const LINKS: usize = 64;
    /// Neighbours that a peer must know on each side (RFC 6940 §10.1).
    pub const NEIGHBORS_MIN: usize = 3;
    /// Peers behind a joining one that can admit it.
    pub const ADMITTING: usize = 4;
    /// Peers on each side of a place that may hold what is there: responsible peer and copies,
    /// whoever was before, and as many again for the other half of a partition.
    pub const NEAR: usize = 12;
    /// Peers through which others join, in a small overlay.
    pub const BOOTSTRAP_NODES: u32 = 8;
    /// And one more for so many peers.
    pub const PEERS_PER_BOOTSTRAP_NODE: u32 = 1000;
    /// How many of them a peer knows.
    pub const BOOTSTRAP_NODES_KNOWN: u32 = 8;
    /// Findings that are told one by one without a trace.
    pub const FINDINGS_TOLD: usize = 20;
    /// Wall time at the virtual clock's origin, in milliseconds since the Unix epoch.
    pub const UNIX_MS_START: u64 = 1_790_000_000_000;
}
