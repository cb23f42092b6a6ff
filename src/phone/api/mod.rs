//! What a face sees of the phone: [`Command`] in, [`Snapshot`] and [`Event`] out.

mod call;
mod command;
mod event;
mod settings;
mod snapshot;

pub use call::{
    Call, CallId, CallReport, CallState, Direction, Ending, HistoryEntry, Quality, Verified,
};
pub use command::Command;
pub use event::Event;
pub use settings::{DesktopSettings, Language, Settings, Theme};
pub use snapshot::{Device, Me, Membership, OverlayState, Snapshot};
