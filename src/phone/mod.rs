//! The softphone without a window: [`Command`] in, [`Snapshot`] and [`Event`] out. A [`Host`] runs
//! an overlay of one's own beside it.

mod account;
mod api;
mod backup;
mod calls;
mod certify;
mod data;
mod devices;
mod dial;
mod document;
mod engine;
mod enter;
mod failure;
mod handle;
mod host;
mod identity;
mod keeping;
mod keystore;
mod names;
mod outgoing;
mod pins;
mod presence;
mod protection;
mod refresh;
mod revocation;
mod ring;
mod search;
mod signal;
mod state;
mod talk;
#[cfg(test)]
mod tests;
mod trust;
mod words;

pub use api::{
    Call, CallId, CallReport, CallState, Command, Credentials, Device, Direction, DocumentFacts,
    Event, HistoryEntry, Me, Membership, OverlayState, Quality, Settings, Snapshot, Theme,
    Verified,
};
pub use backup::{Backup, Restored};
pub use certify::{CertificateFacts, CredentialsWanted};
pub use devices::OwnDevice;
pub use document::{first_document, next_document};
pub use engine::{PhoneOptions, start};
pub use handle::{Backend, Handle, channel};
pub use host::{Host, HostEvent, HostOptions};
pub use identity::{Standing, StoredIdentity};
pub use keystore::{KeyStore, platform_key_store};
pub use names::{callee, forwarding, own_name};
pub use pins::{KeyAlarm, KeyAnswer, SeenKey, key_words};
pub use protection::{KeyStoreJob, Protection, StoreKey};
pub use search::{Entrance, OverlaySearch};
pub use state::{StateError, StateFolder};
