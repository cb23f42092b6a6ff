//! The softphone without a window: [`Command`] in, [`Snapshot`] and [`Event`] out.

mod account;
mod api;
mod calls;
mod data;
mod dial;
mod document;
mod engine;
mod names;
mod ring;
mod signal;
mod state;
mod talk;
mod words;

pub use api::{
    Backend, Call, CallId, CallReport, CallState, Command, Device, Direction, Event, Handle,
    HistoryEntry, Me, OverlayState, Quality, Settings, Snapshot, Theme, Verified, channel,
};
pub use engine::{PhoneOptions, start};
pub use names::{callee, own_name};
pub use state::{StateError, StateFolder, StoredIdentity};
