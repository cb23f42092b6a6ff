//! What the first pages say.

// The choices
pub const WELCOME: &str = "Welcome to Chordial";
pub const WELCOME_HINT: &str = "Call people by name. No server is in the call.";
pub const ADDING: &str = "Another overlay";
pub const ADDING_HINT: &str = "You stay in those that you are in.";
pub const JOIN_CHOICE: &str = "Join";
pub const JOIN_CHOICE_HINT: &str = "By its name, an invitation or a file that somebody gave you.";
pub const START_CHOICE: &str = "Start a new one";
pub const START_CHOICE_HINT: &str = "A circle of people who can call each other. It begins here.";
pub const RESTORE_CHOICE: &str = "Restore from a backup";
pub const RESTORE_CHOICE_HINT: &str = "Your names and keys, as they were on another computer.";
pub const LAST_CHOICE: &str = "Join again as";

// Steps
pub const BACK: &str = "Back";
pub const CANCEL: &str = "Cancel";
pub const DONE: &str = "Done";
pub const TRY_AGAIN: &str = "Try again";
pub const CHANGE: &str = "Change the details";
pub const MORE: &str = "More choices";
pub const PREPARING: &str = "Getting ready";
pub const IN_PROGRESS: &str = "In progress";
pub const DROP_HERE: &str = "Drop the overlay file to join";

// Join
pub const JOIN_TITLE: &str = "Join an overlay";
pub const JOIN_GO: &str = "Join now";
pub const ENTRANCE: &str = "Overlay";
pub const ENTRANCE_HINT: &str = "Its name, an invitation, or a file";
pub const NEARBY: &str = "Seen on this network";
pub const NEARBY_NONE: &str = "None yet. It is looked for as long as this page is open.";
pub const USER: &str = "Your name";
pub const USER_HINT: &str = "Others call you by it, for example alice";
pub const BOOTSTRAP: &str = "Addresses to try first (optional)";
pub const BOOTSTRAP_HINT: &str = "For example 192.0.2.7:6084";
pub const ROADS: &str = "Ways to it";
pub const FOUND_AGAIN: &str = "Start it again";
pub const FOUND_AGAIN_HINT: &str =
    "You started this overlay on this computer. If nobody is in it now, start it again.";

// Start
pub const START_TITLE: &str = "Start a new overlay";
pub const START_GO: &str = "Start now";
pub const NETWORK_NAME: &str = "Name of the overlay";
pub const NETWORK_NAME_HINT: &str = "For example smith-family";
pub const LISTEN: &str = "Where others reach this computer";
pub const LISTEN_HINT: &str = "Address and port, for example 0.0.0.0:6084";

// Restore
pub const RESTORE_TITLE: &str = "Restore from a backup";
pub const RESTORE_GO: &str = "Restore now";
pub const RESTORING: &str = "Reading the backup";
pub const RESTORED_TITLE: &str = "Your backup is restored";
pub const RESTORED_HINT: &str = "You have the same names and the same keys as before.";
pub const BACKUP_FILE: &str = "Backup file";
pub const BACKUP_FILE_HINT: &str = "Type its path, or drop the file on this window";
pub const PASSWORD: &str = "Password";
pub const PASSWORD_OF_BACKUP_HINT: &str = "The one that you chose for the backup";

// Faults of what was typed: one sentence each
pub const FAULT_ENTRANCE_EMPTY: &str = "Type the overlay's name, an invitation or a file.";
pub const FAULT_DOCUMENT_MISSING: &str = "There is no file at this path.";
pub const FAULT_FILE_EMPTY: &str = "Type the path of the file.";
pub const FAULT_USER_EMPTY: &str = "Type the name that others call you by.";
pub const FAULT_USER_SIGNS: &str = "Use letters, digits, dots, dashes and underscores only.";
pub const FAULT_USER_LONG: &str = "This name is too long.";
pub const FAULT_NETWORK_EMPTY: &str = "Type a name for the overlay.";
pub const FAULT_NETWORK_SIGNS: &str = "Use letters, digits and dashes, with dots between parts.";
pub const FAULT_LISTEN: &str = "Type an address and a port, such as 0.0.0.0:6084.";
pub const FAULT_PASSWORD_EMPTY: &str = "Type the password.";

/// The fault of one address in a list.
pub fn fault_address(part: &str) -> String {
    format!("\u{201c}{part}\u{201d} is not an address such as 192.0.2.7:6084.")
}

/// Which step this is.
pub fn step(step: usize, of: usize) -> String {
    format!("Step {step} of {of}")
}

/// The button that joins as somebody again.
pub fn join_again(aor: &str) -> String {
    format!("{LAST_CHOICE} {aor}")
}

/// The button that founds an overlay again.
pub fn found_again(overlay: &str) -> String {
    format!("Start {overlay} again")
}

/// What one is on the way to, on the progress page.
pub fn going_title(overlay: Option<&str>, is_new: bool) -> String {
    let doing = if is_new { "Starting" } else { "Joining" };
    match overlay {
        Some(overlay) => format!("{doing} {overlay}"),
        None => doing.to_owned(),
    }
}

/// The heading of the page that hands out an invitation.
pub fn share_title(overlay: &str) -> String {
    format!("{overlay} is there")
}
