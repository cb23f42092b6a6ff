//! What the first pages say.

texts! {
    // The choices
    welcome,
    welcome_hint,
    adding,
    adding_hint,
    join_choice,
    join_choice_hint,
    start_choice,
    start_choice_hint,
    restore_choice,
    restore_choice_hint,
    // Steps
    back,
    cancel,
    done,
    try_again,
    change,
    more,
    preparing,
    in_progress,
    drop_here,
    // Join
    join_title,
    join_go,
    entrance,
    entrance_hint,
    nearby,
    nearby_none,
    user,
    user_hint,
    bootstrap,
    bootstrap_hint,
    roads,
    found_again_button,
    found_again_hint,
    // Start
    start_title,
    start_go,
    network_name,
    network_name_hint,
    listen,
    listen_hint,
    // Restore
    restore_title,
    restore_go,
    restoring,
    restored_title,
    restored_hint,
    backup_file,
    backup_file_hint,
    password,
    password_of_backup_hint,
    // Faults of what was typed: one sentence each
    fault_entrance_empty,
    fault_document_missing,
    fault_file_empty,
    fault_user_empty,
    fault_user_signs,
    fault_user_long,
    fault_network_empty,
    fault_network_signs,
    fault_listen,
    fault_password_empty,
}

/// The fault of one address in a list.
pub fn fault_address(part: &str) -> String {
    say!(fault_address, part = part)
}

/// Which step this is.
pub fn step(step: usize, of: usize) -> String {
    say!(step, step = step, of = of)
}

/// The button that joins as somebody again.
pub fn join_again(aor: &str) -> String {
    say!(join_again, aor = aor)
}

/// The button that founds an overlay again.
pub fn found_again(overlay: &str) -> String {
    say!(found_again, overlay = overlay)
}

/// What one is on the way to, on the progress page.
pub fn going_title(overlay: Option<&str>, is_new: bool) -> String {
    match (overlay, is_new) {
        (Some(overlay), true) => say!(going_start, overlay = overlay),
        (Some(overlay), false) => say!(going_join, overlay = overlay),
        (None, true) => say!(going_start_unnamed),
        (None, false) => say!(going_join_unnamed),
    }
}

/// The heading of the page that hands out an invitation.
pub fn share_title(overlay: &str) -> String {
    say!(share_title, overlay = overlay)
}
