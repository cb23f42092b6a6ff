//! The four transaction machines of RFC 3261 §17, on an unreliable transport.
//!
//! A machine knows nothing of headers or flows: it is told which status code came and which bytes
//! to send, and answers with an [`Effect`]. What ties a datagram to its machine (the branch, RFC
//! 3261 §17.1.3 and §17.2.3) is the user agent's business. The machines have the `Accepted` state
//! of RFC 6026, so that a retransmitted INVITE is never taken for a new one and every
//! retransmitted 2xx reaches the core.

mod client;
mod server;

use std::time::Duration;

use bytes::Bytes;

pub use client::{InviteClient, OtherClient};
pub use server::{InviteServer, OtherServer};

/// The estimate of the round-trip time (RFC 3261 §17.1.1.1).
pub const T1: Duration = Duration::from_millis(500);
/// The longest interval between retransmissions, except of an INVITE (RFC 3261 Table 4).
pub const T2: Duration = Duration::from_secs(4);
/// How long a message may stay in the network (RFC 3261 Table 4).
pub const T4: Duration = Duration::from_secs(5);
/// 64·T1, the length of timers B, D, F, H, J, L and M (RFC 3261 Table 4, RFC 6026 §7).
pub const GIVE_UP: Duration = Duration::from_secs(32);

/// What a machine wants done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Effect {
    /// Bytes to send on the transaction's flow.
    pub send: Option<Bytes>,
    /// What the transaction's user must hear.
    pub notice: Option<Notice>,
}

/// What a transaction tells its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The response that has just come is news.
    Response,
    /// No final response, or no ACK for ours, came in time.
    TimedOut,
}

impl Effect {
    fn send(bytes: &Bytes) -> Self {
        Self { send: Some(bytes.clone()), notice: None }
    }

    fn notice(notice: Notice) -> Self {
        Self { send: None, notice: Some(notice) }
    }
}
