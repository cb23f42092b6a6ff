//! What is said of contacts and of past calls.

use crate::phone::{Contact, Direction, Ending, HistoryEntry, Imported};

// The list
pub const CONTACTS: &str = "Contacts";
pub const NO_CONTACTS: &str = "No contacts yet.";
pub const NO_CONTACTS_HINT: &str = "Add somebody here or from your recent calls, or bring a file.";
pub const NO_CONTACT_MATCH: &str = "Nobody of this name.";
pub const NOBODY_CHOSEN_HINT: &str = "Pick somebody on the left.";
pub const ADD_CONTACT: &str = "Add a contact";
pub const FILES: &str = "Bring or hand out a file";
pub const FILE_PATH: &str = "vCard file";
pub const FILE_PATH_HINT: &str = "Type its path, or drop the file on this window";
pub const IMPORT: &str = "Bring in";
pub const EXPORT: &str = "Write all";
pub const EXPORTED: &str = "All contacts are written to this file.";
pub const FAULT_VCARD_MISSING: &str = "There is no file at this path.";
pub const UNDO: &str = "Undo";

// One contact
pub const NEW_CONTACT: &str = "New contact";
pub const CONTACT_AOR: &str = "Their name in the overlay";
pub const CONTACT_AOR_HINT: &str = "For example bob, or bob@smith-family";
pub const CONTACT_NAME: &str = "What you call them";
pub const CONTACT_NAME_HINT: &str = "Only you see it";
pub const CONTACT_NOTE: &str = "Note";
pub const CONTACT_SAVE: &str = "Save the contact";
pub const KEEP_CONTACT: &str = "Add to contacts";
pub const FAVOURITE: &str = "Favourite";
pub const FAVOURITE_HINT: &str = "Favourites come first, and their phones ring sooner.";
pub const BLOCK: &str = "Block";
pub const UNBLOCK: &str = "Unblock";
pub const BLOCKED: &str = "Blocked";
pub const BLOCKED_HINT: &str = "Blocked: calls from this name are refused and don't ring.";
pub const REMOVE_CONTACT: &str = "Remove";

/// The name of a row of the contacts.
pub fn contact_row(name: &str, contact: &Contact) -> String {
    let marks = [(contact.is_favourite, FAVOURITE), (contact.is_blocked, BLOCKED)];
    let marks = marks.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word);
    [name, &contact.aor].into_iter().chain(marks).collect::<Vec<_>>().join(", ")
}

/// What is said until a removal is taken back or forgotten.
pub fn removed(name: &str) -> String {
    format!("{name} was removed.")
}

/// What a file of contacts has brought.
pub fn imported(imported: Imported) -> String {
    let Imported { added, known, unusable, is_cut } = imported;
    let people =
        |count: usize| if count == 1 { "1 contact".into() } else { format!("{count} contacts") };
    let mut parts = vec![match added {
        0 => "No new contact was in the file.".to_owned(),
        1 => "1 contact was added.".to_owned(),
        n => format!("{n} contacts were added."),
    }];
    if known > 0 {
        parts.push(format!("You had {} of it already.", people(known)));
    }
    if unusable > 0 {
        parts.push(format!("{} had no address to call.", people(unusable)));
    }
    if is_cut {
        parts.push("The rest of the file could not be read.".to_owned());
    }
    parts.join(" ")
}

// Past calls
pub const SHOW_ALL: &str = "All";
pub const SHOW_MISSED: &str = "Missed";
pub const NO_MISSED: &str = "No missed calls.";
pub const NO_MISSED_HINT: &str = "Calls that nobody here answered are listed here.";

/// The button of the calls in the rail, with how many were missed.
pub fn calls_missed(count: usize) -> String {
    format!("{}, {count} missed", super::CALLS)
}

/// How a past call went, in a few words; one that failed says why.
pub fn outcome(entry: &HistoryEntry, name: &str) -> String {
    let talked = super::clock(entry.duration);
    match (entry.ending(), entry.direction) {
        (Ending::Talked, Direction::Incoming) => format!("Incoming, {talked}"),
        (Ending::Talked, Direction::Outgoing) => format!("Outgoing, {talked}"),
        (Ending::Missed, _) => SHOW_MISSED.to_owned(),
        (Ending::Elsewhere, _) => "Answered on another device".to_owned(),
        (Ending::Declined, _) => "Declined".to_owned(),
        (Ending::Refused, _) => "Refused".to_owned(),
        (Ending::GaveUp, _) => "You gave up".to_owned(),
        (Ending::Unanswered, _) => "Not answered".to_owned(),
        (Ending::Failed, _) => super::with_name(&entry.outcome, &entry.peer, name),
    }
}
