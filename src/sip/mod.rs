//! The SIP user agent (RFC 3261): messages, transactions and dialogs. It knows nothing of RELOAD,
//! sockets or clocks.
//!
//! # The way of a datagram
//!
//! Each SIP peer is reached over a DTLS flow of its own, one SIP message for each record, with the
//! timers of an unreliable transport (spec trap T-87). A flow is a number that the room above
//! picks, with the user names that the peer's certificate proves.
//!
//! [`message`] turns bytes into requests and responses and back. [`UserAgent`] finds the
//! [`transaction`] that a message belongs to, or opens one; what is news goes on to its `dialog`
//! and comes out as an [`Event`] about a [`LegId`]: one INVITE on one flow. A call that rings at
//! several devices is several legs, and the room above ends the losing ones with
//! [`Reason::completed_elsewhere`].
//!
//! # Who may call
//!
//! In an overlay no SIP credential is ever asked for or given. A request is believed because the
//! user name in its From is one of those that its flow's certificate proves; any other is answered
//! 403 and told to the room above. A dialog lives on its flow: the same request on another flow is
//! refused, but a re-INVITE moves the dialog to a flow that proves the same name.
//! Texts outside of calls (RFC 3428) are believed in the same way.
//!
//! A user agent with a [`Line`] is the phone of an ordinary registrar's user instead: its one flow
//! leads to the registrar, whose word is taken for who calls, and who asks for the password.

mod dialog;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod message;
pub mod transaction;
mod ua;

#[cfg(test)]
mod tests;

pub use message::{Aor, Credentials, Host, Reason, Replaces, Uri};
pub use ua::{
    Command, End, Event, Failure, FlowId, Input, LegId, Line, Output, Receipt, Side, Text,
    UaConfig, UserAgent,
};

/// Bounds of this room, each with its reason.
pub mod limits {
    use std::time::Duration;

    /// The longest message in bytes: what a UDP datagram can carry.
    pub const MESSAGE_BYTES_MAX: usize = 65_535;
    /// Header lines in a message, without Content-Length; RFC 4475's worst has 30.
    pub const HEADERS_MAX: usize = 128;
    /// Elements of a comma-separated list, or parameters of one value.
    pub const LIST_MAX: usize = 128;
    /// The longest URI in bytes; a GRUU with 20 destinations has 600.
    pub const URI_BYTES_MAX: usize = 4096;
    /// Messages above this size get compact header names: what a path of 1280 bytes (IPv6's
    /// minimum) leaves after IP, UDP and DTLS.
    pub const COMPACT_ABOVE_BYTES: usize = 1180;
    /// Record-Route entries that a dialog remembers; our own flows have none.
    pub const ROUTES_MAX: usize = 16;
    /// Flows at once: several devices for each of a handful of calls.
    pub const FLOWS_MAX: usize = 256;
    /// Legs at once; a forked call has one for each device of the callee.
    pub const LEGS_MAX: usize = 64;
    /// Incoming calls that may ring or talk at once, so that outgoing legs are always left.
    pub const INCOMING_LEGS_MAX: usize = 16;
    /// Server transactions at once, each alive for up to 32 s.
    pub const SERVER_TRANSACTIONS_MAX: usize = 512;
    /// Server transactions of one flow, so that one peer cannot take all of them.
    pub const FLOW_SERVER_TRANSACTIONS_MAX: usize = 64;
    /// Client transactions at once: an INVITE, a CANCEL and a BYE for each leg, and texts.
    pub const CLIENT_TRANSACTIONS_MAX: usize = 3 * LEGS_MAX + MESSAGES_MAX;
    /// Texts on their way at once, and as many that come in: one for each device of some names.
    pub const MESSAGES_MAX: usize = 64;
    /// The longest MESSAGE that we send, with all that is around the text: our flows know no
    /// congestion, and RFC 3428 §8 permits no more there.
    pub const MESSAGE_REQUEST_BYTES_MAX: usize = 1300;
    /// The longest text in bytes that fits into a MESSAGE whatever names are around it, as long as
    /// these have no more than 80 bytes each.
    pub const MESSAGE_TEXT_BYTES_MAX: usize = 640;
    /// The longest text in bytes that is read; other programs may send more than we do.
    pub const MESSAGE_TEXT_READ_MAX: usize = 16_384;
    /// How long an outgoing call may take to be answered before it is cancelled. RFC 3261 gives a
    /// proxy's timer C more than 180 s; a person has hung up by then.
    pub const RING_MAX: Duration = Duration::from_secs(180);
    /// How long an incoming call may ring: longer than [`RING_MAX`], so that the caller decides.
    pub const RING_INCOMING_MAX: Duration = Duration::from_secs(200);
    /// How often a 180 is repeated, since it is lost unnoticed otherwise. RFC 3261 §13.3.1.1 asks
    /// for once a minute.
    pub const RING_REPEAT: Duration = Duration::from_secs(4);
    /// How often a 180 is said once more that the caller has confirmed (RFC 3261 §13.3.1.1).
    pub const RELIABLE_RING_REPEAT: Duration = Duration::from_secs(60);
    /// Early dialogs of one call: devices behind a proxy that rings several.
    pub const EARLY_DIALOGS_MAX: usize = 8;
    /// How long a session lives without a refresh (RFC 4028 §4 recommends it).
    pub const SESSION_INTERVAL: Duration = Duration::from_secs(1800);
    /// How often one request is sent again because a password or a longer time was asked for.
    pub const ASKED_AGAIN_MAX: u8 = 4;
    /// Registrars and proxies whose challenges are remembered.
    pub const REALMS_MAX: usize = 4;
    /// The shortest and the longest registration in seconds, whatever a registrar says: more
    /// often is no use, and more seldom would lose calls after a restart of it.
    pub const REGISTRATION_S_MIN: u32 = 20;
    /// See [`REGISTRATION_S_MIN`].
    pub const REGISTRATION_S_MAX: u32 = 7200;
    /// When a registrar is asked again that has refused, or said nothing.
    pub const REGISTER_AGAIN: Duration = Duration::from_secs(60);
    /// How often the registrar is asked where it sees us if a router is between: the router's
    /// address may be another one tomorrow.
    pub const REGISTER_BEHIND_ROUTER: Duration = Duration::from_secs(120);
    /// Contacts taken back in one registration.
    pub const OUTDATED_CONTACTS_MAX: usize = 4;
    /// How long a call outlives its flow until it must have been moved to another one.
    pub const REBIND_MAX: Duration = Duration::from_secs(30);
}
