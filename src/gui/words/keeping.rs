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
