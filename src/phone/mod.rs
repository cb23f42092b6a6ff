//! The softphone without a window: [`Command`] in, [`Snapshot`] and [`Event`] out.

mod api;

pub use api::{
    Backend, Call, CallId, CallReport, CallState, Command, Device, Direction, Event, Handle,
    HistoryEntry, Me, OverlayState, Quality, Settings, Snapshot, Theme, Verified, channel,
};
