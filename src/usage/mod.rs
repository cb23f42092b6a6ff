//! What an overlay is used for: certificates that can be looked up (RFC 6940 §8), and SIP users
//! who can be found by name (RFC 7904).
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
mod sip_registration;

pub use aor::{Aor, AorError, parse_aor};
pub use gruu::{Gruu, GruuError, reload_uri};
pub use sip_registration::{Contact, Route, SipRegistration, contacts, registration};

/// What bounds the usages.
pub mod limits {
    /// Contacts of one user that are taken into account: who calls somebody with more is not to
    /// ring half the overlay (RFC 7904 §8.2.1).
    pub const CONTACTS_MAX: usize = 16;
    /// Entries of a destination list that are taken into account; ours have one, and a peer that
    /// hides its Node-ID needs two (RFC 7904 §6).
    pub const DESTINATIONS_MAX: usize = 8;
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
