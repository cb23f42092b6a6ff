//! What is said of contacts and of past calls.

use crate::phone::{Contact, Direction, Ending, HistoryEntry, Imported};

texts! {
    // The list
    contacts,
    no_contacts,
    no_contacts_hint,
    no_contact_match,
    nobody_chosen_hint,
    add_contact,
    files,
    file_path,
    file_path_hint,
    import,
    export,
    exported,
    fault_vcard_missing,
    undo,
    // One contact
    new_contact,
    contact_aor,
    contact_aor_hint,
    contact_name,
    contact_name_hint,
    contact_note,
    contact_save,
    keep_contact,
    favourite,
    favourite_hint,
    block,
    unblock,
    blocked,
    blocked_hint,
    remove_contact,
    // Past calls
    show_all,
    show_missed,
    no_missed,
    no_missed_hint,
}

/// The name of a row of the contacts.
pub fn contact_row(name: &str, contact: &Contact) -> String {
    let marks = [(contact.is_favourite, favourite()), (contact.is_blocked, blocked())];
    let marks = marks.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word);
    [name, &contact.aor].into_iter().chain(marks).collect::<Vec<_>>().join(", ")
}

/// What is said until a removal is taken back or forgotten.
pub fn removed(name: &str) -> String {
    say!(removed, name = name)
}

/// What a file of contacts has brought.
pub fn imported(imported: Imported) -> String {
    let Imported { added, known, unusable, is_cut } = imported;
    let mut parts = vec![say!(imported_added, count = added)];
    if known > 0 {
        parts.push(say!(imported_known, count = known));
    }
    if unusable > 0 {
        parts.push(say!(imported_unusable, count = unusable));
    }
    if is_cut {
        parts.push(say!(imported_cut));
    }
    parts.join(" ")
}

/// The button of the calls in the rail, with how many were missed.
pub fn calls_missed(count: usize) -> String {
    say!(calls_missed, count = count)
}

/// How a past call went, in a few words; one that failed says why.
pub fn outcome(entry: &HistoryEntry, name: &str) -> String {
    let clock = super::clock(entry.duration);
    match (entry.ending(), entry.direction) {
        (Ending::Talked, Direction::Incoming) => say!(outcome_incoming, clock = clock),
        (Ending::Talked, Direction::Outgoing) => say!(outcome_outgoing, clock = clock),
        (Ending::Missed, _) => show_missed().to_owned(),
        (Ending::Elsewhere, _) => say!(outcome_elsewhere),
        (Ending::Declined, _) => say!(outcome_declined),
        (Ending::Refused, _) => say!(outcome_refused),
        (Ending::GaveUp, _) => say!(outcome_gave_up),
        (Ending::Unanswered, _) => say!(outcome_unanswered),
        (Ending::Failed, _) => super::with_name(&entry.outcome, &entry.peer, name),
    }
}
