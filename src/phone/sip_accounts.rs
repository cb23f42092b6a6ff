//! The user's ordinary accounts, by which calls leave the overlays and come in: each is a file of
//! its own in the user's folder, sealed like private keys.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::backup::{Base64, NewFile};
use super::engine::Engine;
use super::sip_account::{AccountFile, SipAccount, SipTransport};
use super::state::{
    StateError, StateFolder, folder_name, read_bounded, sync_folder, user_of_folder,
};
use super::telephone::SipReach;
use crate::crypto::{Password, Secret, is_sealed};
use crate::sip::Aor;

/// Work on the user's ordinary accounts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SipAccountJob {
    /// Add an account, or change the one of the same address.
    Keep {
        /// The user's address, such as `alice@example.org`.
        address: String,
        /// The provider's password; without one, or with an empty one, that from before.
        password: Option<Password>,
        /// The provider's server, if it does not follow from the address.
        server: Option<String>,
        /// How the server is reached, if DNS does not say so.
        transport: Option<SipTransport>,
    },
    /// Remove the account of an address.
    Remove {
        /// The address.
        address: String,
    },
}

/// What is shown of an ordinary account of the user's: all but its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum SipAccountFacts {
    /// Calls can go by it.
    Account {
        /// The user's address.
        address: String,
        /// The provider's server, if it does not follow from the address.
        server: Option<String>,
        /// How the server is reached, if that was said.
        transport: Option<SipTransport>,
        /// Whether there is a password.
        has_password: bool,
        /// Whether calls to the address ring here.
        reach: SipReach,
    },
    /// A file is there that can't be read as an account.
    Unreadable {
        /// The address, if the file's name says it; it can be removed by that.
        address: Option<String>,
        /// Why: one sentence.
        problem: String,
    },
}

impl SipAccountFacts {
    /// The user's address, if it is known.
    pub fn address(&self) -> Option<&str> {
        match self {
            Self::Account { address, .. } => Some(address),
            Self::Unreadable { address, .. } => address.as_deref(),
        }
    }
}

impl Engine {
    /// Works on the user's ordinary accounts.
    pub(super) fn sip_account_job(&mut self, job: SipAccountJob) -> Result<(), String> {
        let state = &self.options.state;
        let done = match job {
            SipAccountJob::Keep { address, password, server, transport } => {
                let password = password.filter(|password| !password.as_str().is_empty());
                let server = server.map(|server| server.trim().to_owned());
                state.keep_sip_account(AccountFile {
                    address: address.trim().to_owned(),
                    user: None,
                    password: password.map(|password| password.as_str().to_owned()),
                    server: server.filter(|server| !server.is_empty()),
                    transport,
                    register: true,
                    certificates: None,
                })
            }
            SipAccountJob::Remove { address } => state.remove_sip_account(address.trim()),
        };
        self.show_sip_accounts();
        done
    }

    /// Shows the faces which accounts there are, and lets those be reached that are to be.
    pub(super) fn show_sip_accounts(&mut self) {
        self.snapshot.sip_accounts = self.options.state.sip_account_facts();
        self.tend_telephones();
    }
}

/// A file that can be read as an account.
struct Kept {
    file: AccountFile,
    account: SipAccount,
}

impl Kept {
    fn read(text: &[u8]) -> Result<Self, String> {
        let text = str::from_utf8(text).map_err(|_| "it is no text")?;
        let file = AccountFile::parse(text)?;
        Ok(Self { account: file.account()?, file })
    }
}

impl StateFolder {
    /// The accounts, by the names of their files.
    pub(super) fn sip_accounts(&self) -> Vec<SipAccount> {
        self.sip_files().into_iter().filter_map(|(_, kept)| Some(kept.ok()?.account)).collect()
    }

    /// What is shown of each file.
    pub(super) fn sip_account_facts(&self) -> Vec<SipAccountFacts> {
        let facts = self.sip_files().into_iter().map(|(place, kept)| match kept {
            Ok(Kept { file, account }) => SipAccountFacts::Account {
                address: account.address.to_string(),
                server: file.server,
                transport: account.transport,
                has_password: account.credentials.is_some(),
                reach: if account.registers { SipReach::Pending } else { SipReach::Unwanted },
            },
            Err(problem) => SipAccountFacts::Unreadable { address: address_in(&place), problem },
        });
        facts.collect()
    }

    /// Where the accounts are, under the folder's root. A file that can't be read as one stays as
    /// it is, so that its owner can mend it.
    pub(super) fn sip_account_places(&self) -> Vec<PathBuf> {
        let files = self.sip_files().into_iter();
        files.filter(|(_, kept)| kept.is_ok()).map(|(place, _)| place).collect()
    }

    /// Whether there are accounts to which nobody has given the key yet.
    fn has_closed_sip_accounts(&self) -> bool {
        let is_sealed_file = |place: &PathBuf| {
            read_bounded(&self.root.join(place), FILE_BYTES_MAX, "an account")
                .is_ok_and(|bytes| is_sealed(&bytes))
        };
        self.is_locked() && self.sip_places().iter().any(is_sealed_file)
    }

    /// Adds an account, or changes the one of the same address: its password if there is another,
    /// and where and how its server is reached. The rest of its file stays.
    fn keep_sip_account(&self, new: AccountFile) -> Result<(), String> {
        if self.is_locked() {
            return Err(StateError::Locked.to_string());
        }
        let address = new.account().map_err(|why| format!("{why}."))?.address;
        let files = self.sip_files();
        let is_full = files.len() >= ACCOUNTS_MAX;
        let before = files.into_iter().find_map(|(place, kept)| {
            Some((place, kept.ok().filter(|kept| kept.account.address == address)?))
        });
        let (place, file) = match before {
            Some((place, Kept { file: before, .. })) => {
                let password = new.password.or(before.password);
                let (server, transport) = (new.server, new.transport);
                (place, AccountFile { password, server, transport, ..before })
            }
            None if is_full => {
                return Err(format!(
                    "There is room for {ACCOUNTS_MAX} accounts; remove one first."
                ));
            }
            None => {
                let place = place_of(&address);
                self.clear_for(&place, &address)?;
                (place, AccountFile { address: address.to_string(), ..new })
            }
        };
        let text = written(&file);
        let name = place.file_name().unwrap_or_default();
        if text.len() > TEXT_BYTES_MAX || name.len() > NAME_BYTES_MAX {
            return Err("The account is too long to be kept; check what was typed.".to_owned());
        }
        let sealed = self.seal(&place, &text).map_err(|e| e.to_string())?;
        self.write(&place, &sealed).map_err(|e| e.to_string())
    }

    /// Makes room for a new account's file: one that can't be read is set aside.
    fn clear_for(&self, place: &Path, address: &Aor) -> Result<(), String> {
        let path = self.root.join(place);
        if !path.exists() {
            return Ok(());
        }
        if let Ok(Kept { account: other, .. }) = self.read_sip_file(place) {
            let other = other.address;
            return Err(format!(
                "The file {} has the account {other}: rename it, and keep {address} then.",
                path.display()
            ));
        }
        fs::rename(&path, path.with_extension("toml.bad"))
            .map_err(|e| StateError::file(&path, &e).to_string())
    }

    /// Removes every file of an account.
    fn remove_sip_account(&self, address: &str) -> Result<(), String> {
        if self.is_locked() {
            return Err(StateError::Locked.to_string());
        }
        let none = || format!("There is no account {address}.");
        let wanted: Aor = address.parse().map_err(|_| none())?;
        let is_its = |place: &Path, kept: &Result<Kept, String>| match kept {
            Ok(kept) => kept.account.address == wanted,
            Err(_) => *place == place_of(&wanted),
        };
        let mut found = self.sip_files();
        found.retain(|(place, kept)| is_its(place, kept));
        if found.is_empty() {
            return Err(none());
        }
        for (place, _) in found {
            let path = self.root.join(place);
            fs::remove_file(&path)
                .and_then(|()| sync_folder(path.parent().unwrap_or(&self.root)))
                .map_err(|e| StateError::file(&path, &e).to_string())?;
        }
        Ok(())
    }

    /// Every file by its place, in order, and what it says or why nothing: one sentence.
    fn sip_files(&self) -> Vec<(PathBuf, Result<Kept, String>)> {
        let read = |place: PathBuf| {
            let kept = self.read_sip_file(&place);
            (place, kept)
        };
        self.sip_places().into_iter().map(read).collect()
    }

    fn sip_places(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.root.join(SIP)).into_iter().flatten().flatten();
        let names = entries.map(|entry| PathBuf::from(entry.file_name()));
        let files = names.filter(|name| name.extension().is_some_and(|suffix| suffix == "toml"));
        let mut places: Vec<_> = files.map(|name| Path::new(SIP).join(name)).collect();
        places.sort();
        places.truncate(ACCOUNTS_MAX);
        places
    }

    fn read_sip_file(&self, place: &Path) -> Result<Kept, String> {
        let path = self.root.join(place);
        let bytes = read_bounded(&path, FILE_BYTES_MAX, "an account")
            .map_err(|e| StateError::file(&path, &e).to_string())?;
        if is_sealed(&bytes) && self.is_locked() {
            let name = address_in(place).unwrap_or_else(|| path.display().to_string());
            return Err(format!(
                "The account {name} is encrypted; unlock your private keys first."
            ));
        }
        let text = self.unseal(place, bytes).map_err(|e| e.to_string())?;
        Kept::read(&text).map_err(|why| {
            format!("{} is no SIP account: {why}; mend or delete this file.", path.display())
        })
    }
}

/// What a backup has of the accounts.
impl StateFolder {
    /// Every account that can be read.
    pub(super) fn archived_sip_accounts(&self) -> Result<Vec<Base64>, StateError> {
        if self.has_closed_sip_accounts() {
            return Err(StateError::Locked);
        }
        let kept = self.sip_files().into_iter().filter_map(|(_, kept)| kept.ok());
        Ok(kept.map(|kept| Base64::new(&written(&kept.file))).collect())
    }

    /// The files to be written for what a backup has and the folder lacks; `None` if the backup is
    /// damaged.
    pub(super) fn new_sip_accounts(
        &self,
        archived: &[Base64],
    ) -> Result<Option<Vec<NewFile>>, StateError> {
        if !archived.is_empty() && self.is_locked() {
            return Err(StateError::Locked);
        }
        let there = self.sip_files();
        let mut files: Vec<NewFile> = Vec::new();
        for bytes in archived {
            let text = bytes.bytes().map(Secret::new).unwrap_or_default();
            let Ok(Kept { mut file, account }) = Kept::read(&text) else { return Ok(None) };
            if !self.is_sealing() {
                // Where nothing is sealed, no password is kept.
                file.password = None;
            }
            let place = place_of(&account.address);
            let is_there = |(at, kept): &(PathBuf, Result<Kept, String>)| {
                *at == place || kept.as_ref().is_ok_and(|k| k.account.address == account.address)
            };
            if !there.iter().any(is_there) {
                files.push(NewFile { place, bytes: written(&file), is_secret: true });
            }
        }
        Ok(Some(files))
    }
}

/// Where the file of a new account is, under the folder's root.
fn place_of(address: &Aor) -> PathBuf {
    Path::new(SIP).join(format!("{}.toml", folder_name(&address.to_string())))
}

/// The address that a file's name says.
fn address_in(place: &Path) -> Option<String> {
    let name = user_of_folder(place.file_stem()?.to_str()?)?;
    name.parse::<Aor>().is_ok().then_some(name)
}

fn written(file: &AccountFile) -> Secret {
    Secret::new(toml::to_string_pretty(file).unwrap_or_default().into_bytes())
}

const SIP: &str = "sip";

// limits

/// Accounts in use; each is read for a call that leaves the overlays, and may have a phone.
const ACCOUNTS_MAX: usize = 32;
/// What is kept of an account, which with a seal around it is still read.
const TEXT_BYTES_MAX: usize = 16 << 10;
const FILE_BYTES_MAX: u64 = 64 << 10;
/// File systems have no longer names; another suffix follows while a file is written.
const NAME_BYTES_MAX: usize = 240;

#[cfg(test)]
#[path = "sip_accounts_tests.rs"]
mod tests;
