//! What is said of keys: how they are kept, backed up, and told from others.

texts! {
    // Keys and their backup
    keys,
    backup_offer,
    backup_offer_hint,
    back_up,
    backup_title,
    backup_hint,
    backup_path,
    backup_go,
    backup_saving,
    backup_saved,
    backup_none,
    backup_incomplete,
    new_password,
    new_password_hint,
    password_again,
    fault_password_short,
    fault_passwords_differ,
    encrypt,
    change_password,
    encrypt_title,
    encrypt_hint,
    encrypt_go,
    encrypting,
    unlock_title,
    unlock_hint,
    unlock,
    ask_key_store,
    later,
    // A changed key
    key_changed,
    key_before,
    key_now,
    key_accept,
    key_beside,
    key_refuse,
    key_words,
    forget_keys,
    ask_forget,
    yes_forget,
    // An account
    account_name,
    password_of_account_hint,
    fault_account_empty,
    account_go,
    account_hint,
    // Devices
    devices,
    devices_hint,
    this_device,
    other_device,
    unproven_device,
    remove_device,
    ask_remove,
    ask_remove_body,
    yes_remove,
    // One's own name, taken
    name_taken,
    name_taken_hint,
    name_mine,
    name_not_mine,
    enter_beside,
}

/// When the last backup was made.
pub fn backup_made(ago: &str) -> String {
    say!(backup_made, ago = ago)
}

/// The button that forgets the key of one person.
pub fn forget_whose(aor: &str) -> String {
    say!(forget_whose, name = super::short_name(aor))
}

/// What forgetting a key means, said before it is done.
pub fn ask_forget_body(aor: &str) -> String {
    say!(ask_forget_body, name = super::short_name(aor))
}

/// What a changed key means, and how to find out.
pub fn key_changed_hint(aor: &str) -> String {
    say!(key_changed_hint, name = super::short_name(aor))
}

/// Hexadecimal digits in groups of four.
pub fn in_groups(hex: &str) -> String {
    let digits: Vec<char> = hex.chars().collect();
    let groups: Vec<String> = digits.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join(" ")
}

/// The heading of the question for an account.
pub fn account_title(overlay: &str) -> String {
    say!(account_title, overlay = overlay)
}

/// When a certificate ends, seen from `now_ms`; both in milliseconds since the Unix epoch.
pub fn certificate_ends(now_ms: u64, ends_ms: u64) -> String {
    const DAY_MS: u64 = 86_400_000;
    if ends_ms <= now_ms {
        return say!(certificate_ended);
    }
    say!(certificate_ends, days = (ends_ms - now_ms) / DAY_MS)
}

/// When another device was seen last.
pub fn device_seen(ago: &str) -> String {
    say!(device_seen, ago = ago)
}

/// The button that removes one device.
pub fn remove_which(words: &str) -> String {
    say!(remove_which, words = words)
}
