//! What is said of overlays: the Network page, invitations and those who host accounts.

texts! {
    // Network page
    overlays,
    join_another,
    default,
    default_hint,
    make_default,
    node_id,
    node_id_unknown,
    state,
    registered,
    not_registered,
    links,
    values,
    listens,
    listens_nowhere,
    copy_node_id,
    copy_listen,
    // Invitation
    invite,
    invite_link_hint,
    invite_file_hint,
    copy_link,
    copied,
    qr,
    save_path,
    save,
    saved,
    as_a_file,
    fault_save_empty,
    // What an overlay protects
    protects,
    protects_not,
    self_signed_protects,
    self_signed_protects_not,
    // What nothing proves
    unproved_password,
    unproved_refuse,
    unproved_join,
    unproved_mark,
    // The network around
    around,
    hidden_on_lan,
    hidden_on_lan_hint,
}

/// The name of a row of the list of overlays.
pub fn overlay_row(aor: &str, state: &str) -> String {
    format!("{aor}, {state}")
}

/// The button that leaves one overlay.
pub fn leave_which(overlay: &str) -> String {
    say!(leave_which, overlay = overlay)
}

/// The heading of the question about an overlay that nothing proves.
pub fn unproved_title(overlay: &str) -> String {
    say!(unproved_title, overlay = overlay)
}

/// Who has announced it.
pub fn unproved_from(overlay: &str, from: Option<String>) -> String {
    match from {
        Some(from) => say!(unproved_from, overlay = overlay, address = from.as_str()),
        None => say!(unproved_from_somebody, overlay = overlay),
    }
}

/// What it means to join it.
pub fn unproved_hint(overlay: &str) -> String {
    say!(unproved_hint, overlay = overlay)
}
