//! Calls between people with no server in the middle.
//!
//! Chordial is a SIP softphone with a full RELOAD peer inside. A user types a name; the peer
//! fetches that name's registration from the overlay (RFC 7904 §4), opens a direct path to the
//! callee's device by AppAttach and ICE (RFC 6940 §6.5.2), and SIP and Opus run on that path.
//!
//! # The way of a call
//!
//! ```text
//! join     document ─► identity ─► bootstrap link ─► Attach, Join ─► Update: we are a peer
//! publish  AoR ─SHA-1─► Resource-ID ─► Store SIP-REGISTRATION, signed ─► copies on two successors
//! dial     name ─► Fetch ─► Node-IDs ─► AppAttach, routed ─► ICE ─► DTLS ─► INVITE
//! talk     offer and answer ─► ICE ─► DTLS-SRTP ─► Opus in RTP
//! packet   socket ─► link (ICE, DTLS, framing) ─► message ─► routing ─► storage, usage ─► phone
//! ```
//!
//! RFC 6940 §1.2 draws two boundaries. The Overlay Link Service Boundary is what [`peer::Input`]
//! and [`peer::Output`] say of links; the Messaging Service Boundary is [`peer::Command`] and
//! [`peer::Event`]. Between them a [`peer::Peer`] is pure: no socket, no task, no clock. The same
//! code runs behind [`link::Node`] in the product and, by the thousand, in `sim`.
//!
//! # The map
//!
//! A room imports only from rooms of a lower rank, never from a sibling; `tests/tidy.rs` holds
//! this. Comments cite sections of RFCs, tests rows of `tests/conformance.md`; T-nn is a point
//! where an RFC leaves room, and `tests/spec-traps.md` has the reading that we take.
//!
//! | rank | room | what lives there | source |
//! |---|---|---|---|
//! | 0 | [`base`] | time without a clock, ids, randomness, the presentation language | RFC 6940 §6.3.1 |
//! | 1 | [`crypto`] | identity, certificates, signatures | RFC 6940 §6.3.4, §11.3 |
//! | 2 | [`message`] | forwarding header, destinations, contents, security block | RFC 6940 §6.3–6.7 |
//! | 2 | [`config`] | the overlay configuration document | RFC 6940 §11.1 |
//! | 2 | [`sip`] | user agent: messages, transactions, dialogs | RFC 3261 |
//! | 2 | [`media`] | SDP, RTP, SRTP, Opus, jitter buffer, devices | RFC 3550, 7587 |
//! | 3 | [`routing`] | forwarding, via lists, transactions, the topology trait and `chord` | RFC 6940 §6.1–6.2, §10 |
//! | 3 | [`storage`] | kinds, data models, access control, replicas, expiry | RFC 6940 §7 |
//! | 4 | [`usage`] | certificate store, relays, SIP registration, a name's devices | RFC 6940 §8–9, 7904 |
//! | 5 | [`peer`] | one overlay peer: routing, storage and usages behind one API | RFC 6940 §1.2 |
//! | 6 | [`link`] | links on real sockets, relays, the node that drives a peer | RFC 6940 §6.5–6.6, §9 |
//! | 6 | [`enroll`] | an overlay's document by its name, a certificate from its server, and that server | RFC 6940 §11.2–3 |
//! | 7 | [`phone`] | the softphone without a window | |
//! | 8 | `gui`, [`cli`], `sim` | faces: the window, the command line, the simulator | |
//!
//! Each room with decoders has a file `fuzz`; the module `fuzz` lists them all for tests.

#![forbid(unsafe_code)]

pub mod base;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod enroll;
#[cfg(all(any(test, fuzzing), feature = "sim"))]
pub mod fuzz;
#[cfg(feature = "gui")]
pub mod gui;
pub mod link;
pub mod media;
pub mod message;
pub mod peer;
pub mod phone;
pub mod routing;
#[cfg(feature = "sim")]
pub mod sim;
pub mod sip;
pub mod storage;
pub mod usage;
