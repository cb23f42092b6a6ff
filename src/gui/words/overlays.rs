//! What is said of overlays: the Network page, invitations and those who host accounts.

// Network page
pub const OVERLAYS: &str = "Your overlays";
pub const JOIN_ANOTHER: &str = "Join or start another";
pub const DEFAULT: &str = "Default";
pub const DEFAULT_HINT: &str = "Names without an @ are called here.";
pub const MAKE_DEFAULT: &str = "Make it the default";
pub const NODE_ID: &str = "Node-ID";
pub const NODE_ID_UNKNOWN: &str = "Not known yet";
pub const STATE: &str = "State";
pub const REGISTERED: &str = "Joined, and our Address of Record is stored";
pub const NOT_REGISTERED: &str = "Joined, our Address of Record is not stored yet";
pub const LINKS: &str = "Links to other peers";
pub const VALUES: &str = "Values kept for the overlay";
pub const LISTENS: &str = "Listens on";
pub const LISTENS_NOWHERE: &str = "Nowhere: links go out only";
pub const COPY_NODE_ID: &str = "Copy Node-ID";
pub const COPY_LISTEN: &str = "Copy listen address";

// Invitation
pub const INVITE: &str = "Invite others";
pub const INVITE_LINK_HINT: &str =
    "Send this link to the people you want to call, or let them scan the code. They choose Join.";
pub const INVITE_FILE_HINT: &str =
    "Save the overlay document and hand it to them. They choose Join.";
pub const COPY_LINK: &str = "Copy the link";
pub const COPIED: &str = "Copied";
pub const QR: &str = "The invitation as a QR code";
pub const SAVE_PATH: &str = "Save to";
pub const SAVE: &str = "Save document";
pub const SAVED: &str = "Saved. Send this file to the people you want to call.";
pub const AS_A_FILE: &str = "Hand it over as a file";

pub const FAULT_SAVE_EMPTY: &str = "Type where the file should go.";

// What an overlay protects
pub const PROTECTS: &str = "What it protects";
pub const PROTECTS_NOT: &str = "What it does not";
pub const SELF_SIGNED_PROTECTS: &str = "Calls are encrypted between the two of you. A name belongs \
     to whoever took it first; if its key ever changes, you are told before you talk.";
pub const SELF_SIGNED_PROTECTS_NOT: &str = "Nobody checks who is behind a new name, and nobody can \
     be put out again. On a first call, make sure by the voice that it is the right person.";

// The network around
pub const AROUND: &str = "The network around you";
pub const HIDDEN_ON_LAN: &str = "Stay hidden on it";
pub const HIDDEN_ON_LAN_HINT: &str =
    "Others here don't see your overlays, and you don't see theirs. Invitations still work.";

/// The name of a row of the list of overlays.
pub fn overlay_row(aor: &str, state: &str) -> String {
    format!("{aor}, {state}")
}

/// The button that leaves one overlay.
pub fn leave_which(overlay: &str) -> String {
    format!("Leave {overlay}")
}
