//! What is said of keys: how they are kept, backed up, and told from others.

// Keys and their backup
pub const KEYS: &str = "Your keys";
pub const BACKUP_OFFER: &str = "Keep your name safe";
pub const BACKUP_OFFER_HINT: &str = "Your name is a key on this computer. If the computer is lost, \
     so is the name. A backup brings it back on another one.";
pub const BACK_UP: &str = "Make a backup";
pub const BACKUP_LATER: &str = "Later";
pub const BACKUP_TITLE: &str = "Make a backup";
pub const BACKUP_HINT: &str =
    "One file with your names, keys, settings and calls. It opens with the password only.";
pub const BACKUP_PATH: &str = "Save to";
pub const BACKUP_GO: &str = "Save the backup";
pub const BACKUP_SAVING: &str = "Saving the backup";
pub const BACKUP_SAVED: &str = "The backup is saved. Keep it somewhere else than this computer.";
pub const BACKUP_NONE: &str = "There is no backup yet.";
pub const BACKUP_INCOMPLETE: &str = "The last backup lacks a name that you took since then.";
pub const NEW_PASSWORD: &str = "New password";
pub const NEW_PASSWORD_HINT: &str = "At least 8 characters";
pub const PASSWORD_AGAIN: &str = "The same password again";
pub const FAULT_PASSWORD_SHORT: &str = "Use at least 8 characters.";
pub const FAULT_PASSWORDS_DIFFER: &str = "The two passwords are not the same.";
pub const ENCRYPT: &str = "Encrypt with a password";
pub const CHANGE_PASSWORD: &str = "Change the password";
pub const ENCRYPT_TITLE: &str = "Encrypt your keys";
pub const ENCRYPT_HINT: &str =
    "From the next start on, Chordial asks for this password. Nobody can recover it for you.";
pub const ENCRYPT_GO: &str = "Encrypt them";
pub const ENCRYPTING: &str = "Encrypting your keys";
pub const UNLOCK_TITLE: &str = "Your keys are locked";
pub const UNLOCK_HINT: &str = "Without them nobody can call you.";
pub const UNLOCK: &str = "Unlock";
pub const ASK_KEY_STORE: &str = "Ask the key store";
pub const LATER: &str = "Later";

/// When the last backup was made.
pub fn backup_made(ago: &str) -> String {
    format!("Last backup: {ago}.")
}

// A changed key
pub const KEY_CHANGED: &str = "The key has changed";
pub const KEY_BEFORE: &str = "Key until now";
pub const KEY_NOW: &str = "New key";
pub const KEY_ACCEPT: &str = "Accept the new key";
pub const KEY_BESIDE: &str = "It is another device of theirs";
pub const KEY_REFUSE: &str = "Keep refusing";
pub const KEY_WORDS: &str = "My key in words";

pub const FORGET_KEYS: &str = "Forget the key";
pub const ASK_FORGET: &str = "Forget this key?";
pub const YES_FORGET: &str = "Forget it";

/// The button that forgets the key of one person.
pub fn forget_whose(aor: &str) -> String {
    format!("Forget the key of {}", super::short_name(aor))
}

/// What forgetting a key means, said before it is done.
pub fn ask_forget_body(aor: &str) -> String {
    let name = super::short_name(aor);
    format!("The next key that comes as {name} is taken for theirs without a question.")
}

/// What a changed key means, and how to find out.
pub fn key_changed_hint(aor: &str) -> String {
    let name = super::short_name(aor);
    format!(
        "It may be a new phone of {name}, or somebody who pretends to be {name}. Ask {name} in \
         another way to read you the words of their key. Until you decide, nothing is heard."
    )
}

/// Hexadecimal digits in groups of four.
pub fn in_groups(hex: &str) -> String {
    let digits: Vec<char> = hex.chars().collect();
    let groups: Vec<String> = digits.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join(" ")
}

// An account
pub const ACCOUNT_NAME: &str = "Account";
pub const PASSWORD_OF_ACCOUNT_HINT: &str = "The one from whoever runs the overlay";
pub const FAULT_ACCOUNT_EMPTY: &str = "Type the name of your account.";
pub const ACCOUNT_GO: &str = "Continue";
pub const ACCOUNT_HINT: &str =
    "Its server confirms your name by a certificate. Your calls do not go through it.";

/// The heading of the question for an account.
pub fn account_title(overlay: &str) -> String {
    format!("{overlay} asks for your account")
}

/// When a certificate ends, seen from `now_ms`; both in milliseconds since the Unix epoch.
pub fn certificate_ends(now_ms: u64, ends_ms: u64) -> String {
    const DAY_MS: u64 = 86_400_000;
    let when = match ends_ms.saturating_sub(now_ms) / DAY_MS {
        _ if ends_ms <= now_ms => return "Your certificate has ended; renew it.".to_owned(),
        0 => "today".to_owned(),
        1 => "in a day".to_owned(),
        days => format!("in {days} days"),
    };
    format!("Your certificate ends {when}. It is renewed with your password.")
}

// Devices
pub const DEVICES: &str = "Your devices";
pub const DEVICES_HINT: &str = "All of them ring when somebody calls you.";
pub const THIS_DEVICE: &str = "This device";
pub const OTHER_DEVICE: &str = "Another device";
pub const UNPROVEN_DEVICE: &str = "A device that is not confirmed";
pub const REMOVE_DEVICE: &str = "Remove";
pub const ASK_REMOVE: &str = "Remove this device?";
pub const ASK_REMOVE_BODY: &str = "This phone refuses it from then on. Where your name \
     comes from an account, everybody does.";
pub const YES_REMOVE: &str = "Remove it";

// One's own name, taken
pub const NAME_TAKEN: &str = "Another key has your name";
pub const NAME_TAKEN_HINT: &str = "It may be another device of yours, or somebody else who took \
     the name. Compare these words with those on the Network page of your other device.";
pub const NAME_MINE: &str = "It is my device";
pub const NAME_NOT_MINE: &str = "It is not mine";
pub const ENTER_BESIDE: &str = "It is another device of mine";

/// When another device was seen last.
pub fn device_seen(ago: &str) -> String {
    format!("Last seen {ago}")
}

/// The button that removes one device.
pub fn remove_which(words: &str) -> String {
    format!("{REMOVE_DEVICE} {words}")
}
