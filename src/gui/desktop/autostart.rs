//! The start with the session (Desktop Application Autostart Specification): an entry in the
//! user's folder, there or not.

use std::fs;
use std::path::PathBuf;

use crate::phone::{Command, Handle, Settings};

/// Who has removed the entry by other means wants no start with the session any more.
pub(super) fn look(phone: &Handle, settings: &Settings) {
    if settings.desktop.start_at_login && entry().is_some_and(|entry| !entry.exists()) {
        let mut settings = settings.clone();
        settings.desktop.start_at_login = false;
        phone.send(Command::Configure(Box::new(settings)));
    }
}

/// Makes or removes the entry when the setting changes.
pub(super) fn follow(before: &Settings, now: &Settings) {
    if before.desktop.start_at_login == now.desktop.start_at_login {
        return;
    }
    let Some(entry) = entry() else { return };
    // What can't be written shows at the next start: the setting is off again.
    let _ = match now.desktop.start_at_login {
        true => write(&entry),
        false => fs::remove_file(&entry),
    };
}

fn write(entry: &PathBuf) -> std::io::Result<()> {
    if let Some(folder) = entry.parent() {
        fs::create_dir_all(folder)?;
    }
    let program = std::env::var_os("APPIMAGE").map(PathBuf::from);
    let program = program.map_or_else(std::env::current_exe, Ok)?;
    // The characters that Exec wants escaped (Desktop Entry Specification 1.5, "The Exec key").
    let program = program.display().to_string();
    let escaped: String = program
        .chars()
        .flat_map(|c| matches!(c, '"' | '`' | '$' | '\\').then_some('\\').into_iter().chain([c]))
        .collect();
    let text = format!(
        "[Desktop Entry]\nType=Application\nName=Chordial\nIcon=chordial\n\
         Exec=\"{}\" --hidden\nX-GNOME-Autostart-enabled=true\n",
        escaped.replace('\\', "\\\\").replace('%', "%%")
    );
    fs::write(entry, text)
}

fn entry() -> Option<PathBuf> {
    let folders = directories::BaseDirs::new()?;
    Some(folders.config_dir().join("autostart/chordial.desktop"))
}
