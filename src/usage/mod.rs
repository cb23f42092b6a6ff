//! What an overlay is used for: certificates that can be looked up (RFC 6940 §8), relays that peers
//! lend (§9), and SIP users who can be found by name (RFC 7904).
//!
//! A usage says where its values stand and what is in them. Signing, storing and fetching is the
//! peer's work.

use crate::base::ResourceId;
use crate::message::{KindId, StoredDataValue};

mod aor;
pub mod certificate_store;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod gruu;
mod preferences;
mod resolution;
mod sip_registration;
mod turn;
mod way;

pub use aor::{Aor, AorError, parse_aor};
pub use gruu::{Gruu, GruuError, reload_uri};
pub use preferences::{SIPS_ONLY, wants_sips};
pub use resolution::{Device, Resolution, Resolved};
pub use sip_registration::{Contact, Route, SipRegistration, contacts, publication, registration};
pub use turn::{Lender, RelayCredentials, RelaySecret, TurnServer, turn_records, turn_server};
pub use way::{Overlays, Way, WayError};

/// What bounds the usages.
pub mod limits {
    /// Contacts of one name that are taken into account: who calls somebody with more is not to
    /// ring half the overlay (RFC 7904 §8.2.1).
    pub const CONTACTS_MAX: usize = 16;
    /// Devices called at once; a person has few, and each costs a connection.
    pub const DEVICES_MAX: usize = 8;
    /// From one name to the next, at most: SIP has a limit of its own for the same reason
    /// (RFC 3261 §8.1.1.6), and people forward to a colleague who forwards home.
    pub const FORWARDS_MAX: usize = 5;
    /// Names looked up for one call; each costs a Fetch.
    pub const NAMES_MAX: usize = 16;
    /// How deep a predicate of preferences may nest; people write one level.
    pub const PREFERENCES_DEPTH_MAX: usize = 16;
    /// Entries of a destination list that are taken into account; ours have one, and a peer that
    /// hides its Node-ID needs two (RFC 7904 §6).
    pub const DESTINATIONS_MAX: usize = 8;
    /// Records of one relay: what its Kind allows (RFC 6940 §9).
    pub const TURN_DENSITY_MAX: u8 = 20;
    /// Characters of a name; local part and domain together are bounded so by RFC 5321 §4.5.3.1.
    pub const AOR_LENGTH_MAX: usize = 254;
}

/// A value to be signed and stored, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// The resource.
    pub resource: ResourceId,
    /// The Kind.
    pub kind: KindId,
    /// The value in its place.
    pub value: StoredDataValue,
}
