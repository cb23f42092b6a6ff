//! The softphone without a window: [`Command`] in, [`Snapshot`] and [`Event`] out.

mod api;
mod data;
mod state;

pub use api::{
    Backend, Call, CallId, CallReport, CallState, Command, Device, Direction, Event, Handle,
    HistoryEntry, Me, OverlayState, Quality, Settings, Snapshot, Theme, Verified, channel,
};
pub use state::{StateError, StateFolder, StoredIdentity};
