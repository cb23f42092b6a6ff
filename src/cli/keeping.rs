//! Private keys on the command line: opened by a password from a file, backed up and brought back.
//! A password is never an argument, where other users of the computer could read it.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::Path;

use super::arguments::KeyArguments;
use super::{DONE, bad_input};
use crate::crypto::Password;
use crate::enroll::server::RegistryFolder;
use crate::link::unix_ms;
use crate::phone::{Protection, StateFolder, platform_key_store};

/// The user's folder with its private keys open. With a password file, keys that were in plain
/// are encrypted from now on; without one they stay as they are, and sealed ones need the key
/// store of this computer.
pub(super) fn open_keys(arguments: &KeyArguments) -> Result<StateFolder, String> {
    let state = StateFolder::open(&arguments.state).map_err(|e| e.to_string())?;
    let mut state = state.with_key_store(platform_key_store());
    let is_plain = state.protection() == Protection::Plain;
    match &arguments.password_file {
        Some(path) => {
            let password = password_in(path)?;
            let result = match is_plain {
                true => state.protect_by_password(&password),
                false => state.unlock_by_password(&password),
            };
            result.map_err(|e| e.to_string())?;
        }
        None if is_plain => {}
        None => {
            let place = arguments.state.display();
            let job = state.key_store_job().ok_or_else(|| {
                format!("The private keys in {place} are encrypted; give --password-file.")
            })?;
            state.use_key_store(job.run()?).map_err(|e| e.to_string())?;
        }
    }
    Ok(state)
}

/// The folder of an overlay's server with its private keys open, if a password file is given that
/// opens them. Keys that were in plain are encrypted from now on.
pub(super) fn registry_folder(
    state: &Path,
    password_file: Option<&Path>,
) -> Result<RegistryFolder, String> {
    let Some(file) = password_file else { return Ok(state.into()) };
    RegistryFolder::with_password(state, &password_in(file)?).map_err(|e| e.to_string())
}

/// Writes a backup.
pub(super) fn back_up(keys: &KeyArguments, out: &Path, password_file: Option<&Path>) -> u8 {
    let made = open_keys(keys).and_then(|state| {
        let password = backup_password(password_file)?;
        let (data, _) = state.data(unix_ms()).map_err(|e| e.to_string())?;
        state.back_up(&data, out, &password, unix_ms()).map_err(|e| e.to_string())?;
        let identities = match state.users().len() {
            1 => "one identity with what belongs to it".to_owned(),
            count => format!("{count} identities with what belongs to them"),
        };
        Ok(format!("Wrote {identities} to {}.", out.display()))
    });
    tell(made)
}

/// Brings back what is in a backup.
pub(super) fn restore(keys: &KeyArguments, file: &Path, password_file: Option<&Path>) -> u8 {
    let restored = open_keys(keys).and_then(|mut state| {
        let password = backup_password(password_file)?;
        let (data, _) = state.data(unix_ms()).map_err(|e| e.to_string())?;
        let restored = state.restore(&data, file, &password).map_err(|e| e.to_string())?;
        Ok(match restored.aors() {
            aors if aors.is_empty() => "The backup has no identity.".to_owned(),
            aors => format!("Here is now {}.", aors.join(", ")),
        })
    });
    tell(restored)
}

/// Prints a sentence, or why there is none.
pub(super) fn tell(result: Result<String, String>) -> u8 {
    match result {
        Ok(sentence) => {
            println!("{sentence}");
            DONE
        }
        Err(sentence) => bad_input(&sentence),
    }
}

fn backup_password(file: Option<&Path>) -> Result<Password, String> {
    if let Some(path) = file {
        return password_in(path);
    }
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprintln!("Password of the backup (what you type is shown):");
    }
    first_line(stdin.lock())
        .ok_or_else(|| "Give the backup's password on stdin, or --backup-password-file.".to_owned())
}

/// The password on the first line of a file.
pub(super) fn password_in(path: &Path) -> Result<Password, String> {
    let file = File::open(path)
        .map_err(|e| format!("The password file {} can't be read: {e}.", path.display()))?;
    first_line(BufReader::new(file))
        .ok_or_else(|| format!("The password file {} has no password.", path.display()))
}

/// The first line without its end, if there is anything on it.
fn first_line(input: impl BufRead) -> Option<Password> {
    let mut line = zeroize::Zeroizing::new(String::new());
    input.take(PASSWORD_BYTES_MAX).read_line(&mut line).ok()?;
    let line = line.trim_end_matches(['\r', '\n']);
    (!line.is_empty()).then(|| Password::new(line))
}

/// No password is longer.
const PASSWORD_BYTES_MAX: u64 = 4096;
