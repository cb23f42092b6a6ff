//! Texts on the user's desktop: notifications, the tray, and the settings about them.

texts! {
    desktop,
    close_to_tray,
    close_to_tray_hint,
    start_at_login,
    pause_players,
    open_window,
    quit,
    call_back,
    a_call_goes_on,
    tray_out,
    tray_joining,
    tray_joined,
    tray_problem,
}

/// Somebody calls.
pub fn is_calling(name: &str) -> String {
    say!(doing_incoming, name = name)
}

/// Somebody has called in vain.
pub fn missed_from(name: &str) -> String {
    say!(missed_from, name = name)
}
