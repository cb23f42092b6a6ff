//! What is said to whoever gives out the names of an overlay, and to those who are invited.

texts! {
    // Starting an overlay: who gives out its names
    names_by,
    names_by_me,
    names_by_me_hint,
    names_by_themselves,
    names_by_themselves_hint,
    host,
    host_hint,
    fault_host,
    // The page
    people,
    no_people,
    no_people_hint,
    server_down,
    server_starting,
    server_ending,
    server_stopped,
    stop_server,
    start_server,
    reached_at,
    kept_in,
    kept_in_hint,
    copy_folder,
    copy_url,
    // Inviting one person
    invite_one,
    invite_one_hint,
    invite_one_use,
    make_invitation,
    another_invitation,
    account_needed,
    // Who may join
    registration,
    invited_only,
    everybody,
    // Accounts
    accounts,
    you_yourself,
    pause,
    let_in,
    put_out,
    not_joined_yet,
    is_put_out,
    ask_put_out,
    keep_them,
    yes_put_out,
    // An account with a password
    add_account,
    add_name,
    add_name_hint,
    add_password,
    add_go,
    // Who is invited
    choose_password,
    choose_password_hint,
}

/// The page's heading.
pub fn people_of(overlay: &str) -> String {
    say!(people_of, overlay = overlay)
}

/// What this computer does for an overlay.
pub fn gives_out(overlay: &str) -> String {
    say!(gives_out, overlay = overlay)
}

/// What putting somebody out means, said before it is done.
pub fn ask_put_out_body(name: &str, overlay: &str) -> String {
    say!(ask_put_out_body, name = name, overlay = overlay)
}

/// The names of the buttons of one person.
pub fn pause_whom(name: &str) -> String {
    say!(pause_whom, name = name)
}

/// See [`pause_whom`].
pub fn let_in_whom(name: &str) -> String {
    say!(let_in_whom, name = name)
}

/// See [`pause_whom`].
pub fn put_out_whom(name: &str) -> String {
    say!(put_out_whom, name = name)
}

/// An account that gets no new certificate, and when its last one ends.
pub fn paused(now_ms: u64, ends_ms: Option<u64>) -> String {
    const DAY_MS: u64 = 86_400_000;
    match ends_ms.map(|ends_ms| ends_ms.saturating_sub(now_ms) / DAY_MS) {
        None => say!(paused_out),
        Some(days) => say!(paused_days, days = days),
    }
}

/// How many devices an account has, and when the last of them got its certificate.
pub fn confirmed(devices: usize, ago: &str) -> String {
    say!(confirmed, devices = devices, ago = ago)
}

/// What to do once there is an account.
pub fn added(name: &str) -> String {
    say!(added, name = name)
}

/// The heading of the question for the password of a new account.
pub fn choose_title(overlay: &str) -> String {
    say!(choose_title, overlay = overlay)
}
