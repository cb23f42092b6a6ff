//! The user's folder: settings, overlay documents, keys, and the database of calls.
//!
//! ```text
//! settings.toml                      what the user chose
//! vault.toml                         how private keys are sealed, if they are
//! chordial.db                        calls, contacts, messages, keys seen, overlays joined
//! recordings/                        calls that were recorded
//! voice/                             messages that the answering machine has taken
//! sip/NAME.toml                      an ordinary account, by which calls leave the overlays; it is
//!                                    sealed like private keys
//! overlays/NAME/document.xml         the overlay's configuration document
//! overlays/NAME/bootstrap.txt        where it was entered or can be, one address a line
//! overlays/NAME/USER/certificate.der our certificate there
//! overlays/NAME/USER/key.der         its private key: sealed, or readable by the user alone
//! overlays/NAME/USER/account         what the enrollment server knows us by, with the password
//!                                    only if it is sealed
//! overlays/NAME/USER/values.db       what our peer keeps for the overlay
//! hosted/NAME/                       all of an overlay whose names this computer gives out; its
//!                                    private keys are sealed like our own
//! ```

use std::fs;
use std::io::{self, Read as _, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ring::digest::{SHA256, digest};
use thiserror::Error;

use super::api::Settings;
use super::damage::SETTINGS;
use super::keystore::KeyStore;
use super::protection::Guard;
use crate::config::{ConfigError, SignedConfig};
use crate::crypto::{IdentityError, Password, SealingKey, VaultError};
use crate::enroll::server::{RegistryError, RegistryFolder};

/// The user's folder, open.
#[derive(Debug)]
pub struct StateFolder {
    pub(super) root: PathBuf,
    /// Who has the key to what is secret in the folder.
    pub(super) guard: Guard,
    /// The same key once we have it, for overlays that are run here.
    pub(super) hosted_key: Arc<OnceLock<SealingKey>>,
    /// What may keep that key.
    pub(super) key_store: Option<Arc<dyn KeyStore>>,
    /// Held for as long as the folder is open: two programs with one identity would be one node
    /// in two places.
    _lock: fs::File,
}

impl StateFolder {
    /// Opens the folder, making it if it does not exist.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StateError> {
        let root = root.into();
        create_private_folder(&root).map_err(|e| StateError::folder(&root, &e))?;
        // A folder that cannot be written to shows now, not after a call.
        let lock = fs::File::create(root.join(LOCK)).map_err(|e| StateError::folder(&root, &e))?;
        match lock.try_lock() {
            Ok(()) => {
                let (guard, hosted_key) = (Self::read_guard(&root)?, Arc::default());
                Ok(Self { guard, hosted_key, key_store: None, root, _lock: lock })
            }
            Err(fs::TryLockError::WouldBlock) => Err(StateError::InUse(root)),
            Err(fs::TryLockError::Error(error)) => Err(StateError::folder(&root, &error)),
        }
    }

    /// The folder with a key store that may keep the key to its secrets.
    pub fn with_key_store(self, key_store: Option<Arc<dyn KeyStore>>) -> Self {
        Self { key_store, ..self }
    }

    /// The folder that the platform has for such data.
    pub fn default_path() -> Option<PathBuf> {
        directories::ProjectDirs::from("", "", "chordial").map(|d| d.data_dir().to_path_buf())
    }

    /// Whether settings were ever kept.
    pub(super) fn has_settings(&self) -> bool {
        self.root.join(SETTINGS).exists()
    }

    /// Keeps the settings.
    pub fn save_settings(&self, settings: &Settings) -> Result<(), StateError> {
        let text = toml::to_string_pretty(settings).unwrap_or_default();
        self.write(Path::new(SETTINGS), text.as_bytes())
    }

    /// The document of an overlay that was joined before.
    pub fn document(&self, overlay: &str) -> Result<SignedConfig, StateError> {
        read_document(&self.overlay(overlay).join(DOCUMENT), Some(overlay))
    }

    /// The document in any file.
    pub fn read_document(&self, path: &Path) -> Result<SignedConfig, StateError> {
        read_document(path, None)
    }

    /// Keeps an overlay's document that something proves, to the byte: its signatures cover what it
    /// looks like.
    pub fn save_document(&self, document: &SignedConfig) -> Result<(), StateError> {
        let [path, mark] = document_places(&document.config.instance_name);
        self.write(&path, &document.document)?;
        match fs::remove_file(self.root.join(&mark)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StateError::file(&mark, &error))
            }
            _ => Ok(()),
        }
    }

    /// Keeps an overlay's document that nothing proves, in the place of one of its kind alone.
    pub fn save_unproved_document(&self, document: &SignedConfig) -> Result<(), StateError> {
        let [path, mark] = document_places(&document.config.instance_name);
        let present = self.read(&path)?.map(|document| fingerprint(&document));
        let is_proved = self.is_document_proved(&document.config.instance_name);
        // First the mark: whatever stops us, no document counts for more than before.
        let before = present.filter(|_| !is_proved).unwrap_or_default();
        let marks = format!("{before}\n{}\n", fingerprint(&document.document));
        self.write(&mark, marks.as_bytes())?;
        self.write(&path, &document.document)
    }

    /// Whether something has proved the document that is kept of an overlay.
    pub fn is_document_proved(&self, overlay: &str) -> bool {
        let [path, mark] = document_places(overlay);
        let Some(marks) = self.read(&mark).ok().flatten() else { return true };
        let document = self.read(&path).ok().flatten().unwrap_or_default();
        let fingerprint = fingerprint(&document);
        !String::from_utf8_lossy(&marks).lines().any(|line| line == fingerprint)
    }

    /// Where we can join an overlay beside its bootstrap nodes, the latest first: peers that we
    /// have been directly connected with (RFC 6940 §11.4). What is not an address is left out.
    pub fn bootstrap_cache(&self, overlay: &str) -> Vec<SocketAddr> {
        let path = self.overlay(overlay).join(BOOTSTRAP);
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).take(BOOTSTRAP_MAX).collect()
    }

    /// Puts these addresses before those that are kept; the oldest beyond ten are forgotten.
    pub fn save_bootstrap_cache(
        &self,
        overlay: &str,
        addresses: &[SocketAddr],
    ) -> Result<(), StateError> {
        let before = self.bootstrap_cache(overlay);
        let older = before.iter().filter(|address| !addresses.contains(address));
        let all: Vec<SocketAddr> =
            addresses.iter().chain(older).take(BOOTSTRAP_MAX).copied().collect();
        if all == before {
            return Ok(());
        }
        let text: String = all.iter().map(|address| format!("{address}\n")).collect();
        self.write(&Path::new(OVERLAYS).join(overlay).join(BOOTSTRAP), text.as_bytes())
    }

    /// Where the values are that our peer as `user` keeps for the overlay.
    pub fn values(&self, overlay: &str, user: &str) -> PathBuf {
        self.overlay(overlay).join(folder_name(user)).join(VALUES)
    }

    /// Where all of an overlay is whose names this computer gives out.
    pub(super) fn hosted(&self, overlay: &str) -> PathBuf {
        self.root.join(HOSTED).join(overlay)
    }

    /// The same with what opens its private keys.
    pub(super) fn hosted_folder(&self, overlay: &str) -> RegistryFolder {
        RegistryFolder::sealed_by(self.hosted(overlay), self.hosted_key.clone())
    }

    /// The overlays whose names this computer gives out, by name.
    pub(super) fn hosted_overlays(&self) -> Vec<String> {
        folders_in(&self.root.join(HOSTED))
    }

    /// Every user in every overlay that we have been, as the names of their folders.
    pub(super) fn user_folders(&self) -> Vec<(String, String)> {
        let root = self.root.join(OVERLAYS);
        let overlays = folders_in(&root).into_iter();
        let users = overlays.flat_map(|overlay| {
            let users = folders_in(&root.join(&overlay)).into_iter();
            users.map(move |user| (overlay.clone(), user))
        });
        users.collect()
    }

    /// The bytes of a file; `None` if there is none.
    pub(super) fn read(&self, place: &Path) -> Result<Option<Vec<u8>>, StateError> {
        let path = self.root.join(place);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StateError::file(&path, &error)),
        }
    }

    fn overlay(&self, overlay: &str) -> PathBuf {
        self.root.join(OVERLAYS).join(overlay)
    }

    /// Writes a file so that after a crash either the old or the new one is there.
    pub(super) fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), StateError> {
        let path = self.root.join(path);
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(|e| StateError::file(folder, &e))?;
        let mut temporary = path.clone().into_os_string();
        temporary.push(".new");
        let temporary = PathBuf::from(temporary);
        write_private(&temporary, bytes)
            .and_then(|()| fs::rename(&temporary, &path))
            .and_then(|()| sync_folder(folder))
            .map_err(|e| StateError::file(&path, &e))
    }
}

/// Where an overlay's document is, and the mark of one that nothing proves.
fn document_places(overlay: &str) -> [PathBuf; 2] {
    [DOCUMENT, UNPROVED].map(|name| Path::new(OVERLAYS).join(overlay).join(name))
}

fn fingerprint(document: &[u8]) -> String {
    hex::encode(digest(&SHA256, document))
}

/// Why the user's folder cannot be used: one sentence each.
#[derive(Debug, Error)]
pub enum StateError {
    /// The folder cannot be made or written to.
    #[error("The folder {path} cannot be used: {reason}; choose another with --state.")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Another program has the folder open.
    #[error(
        "The folder {0} is in use by another Chordial; close that one or choose another folder."
    )]
    InUse(PathBuf),
    /// A file cannot be read or written.
    #[error("The file {path} cannot be used: {reason}.")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// An overlay document does not parse.
    #[error("The overlay document {path} cannot be used: {error}.")]
    Document {
        /// The document's file.
        path: PathBuf,
        /// What is wrong with it.
        error: ConfigError,
    },
    /// The database cannot be opened.
    #[error("The list of calls cannot be opened: {0}.")]
    Database(String),
    /// Certificate without key, or key without certificate.
    #[error("The file {0} is missing beside its companion; restore it, or move the folder away.")]
    HalfIdentity(PathBuf),
    /// Our certificate is no longer, or not yet, valid.
    #[error("The certificate {0} is not valid at this computer's date; check the date.")]
    Expired(PathBuf),
    /// Private keys are sealed, and nobody has given the key.
    #[error("The private keys in this folder are encrypted; unlock them first.")]
    Locked,
    /// There is nothing that a password would open.
    #[error("No password opens the private keys in this folder: this computer's key store does.")]
    NoPassword,
    /// The password is not the one that was chosen.
    #[error("The password is wrong.")]
    PasswordWrong,
    /// A password that would protect little.
    #[error("Choose a password of at least {} characters.", Password::CHARS_MIN)]
    PasswordShort,
    /// A sealed file does not open.
    #[error("The file {path} cannot be used: {error}.")]
    Vault {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: VaultError,
    },
    /// There are sealed files, and nothing says how they open.
    #[error("The private keys are encrypted and {0} is missing; put it back or restore a backup.")]
    VaultMissing(PathBuf),
    /// The key store has a key that is not the folder's.
    #[error(
        "This computer's key store has another key than this folder's; \
         restore a backup into another folder."
    )]
    KeyOfAnother,
    /// A backup cannot be made or read.
    #[error("The backup {path} cannot be used: {reason}.")]
    Backup {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, as part of a sentence.
        reason: String,
    },
    /// There is another identity of this name.
    #[error(
        "This computer already has another identity of {0}, which is not overwritten; \
         nothing was restored."
    )]
    IdentityThere(String),
    /// The system has no randomness.
    #[error("This computer has no random numbers to give; try again.")]
    Random,
    /// A certificate that was just made is not valid now.
    #[error(
        "The certificate from the enrollment server is not valid at this computer's date; \
         check the date."
    )]
    Clock,
    /// A certificate would make another node of us.
    #[error(
        "The enrollment server gave a certificate for another peer than this one was; \
         the one from before is kept. Ask whoever runs the server."
    )]
    OtherNode,
    /// An overlay that is run here can't be used.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Our identity does not work in this overlay.
    #[error("Our identity cannot be used in this overlay: {0}.")]
    Identity(#[from] IdentityError),
}

impl StateError {
    fn folder(path: &Path, error: &io::Error) -> Self {
        Self::Folder { path: path.to_path_buf(), reason: error.to_string() }
    }

    pub(super) fn file(path: &Path, error: &io::Error) -> Self {
        Self::File { path: path.to_path_buf(), reason: error.to_string() }
    }
}

fn read_document(path: &Path, overlay: Option<&str>) -> Result<SignedConfig, StateError> {
    let bytes = fs::read(path).map_err(|e| StateError::file(path, &e))?;
    SignedConfig::parse(&bytes, overlay)
        .map_err(|error| StateError::Document { path: path.to_path_buf(), error })
}

/// A folder for any user name: what could mean something else to a file system is escaped.
pub(super) fn folder_name(user: &str) -> String {
    let mut name = String::new();
    for (at, byte) in user.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if is_plain || (byte == b'.' && at > 0) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    name
}

/// The user whose folder this is; `None` if it is nobody's.
pub(super) fn user_of_folder(name: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = name.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte == b'%' {
            let (digits, tail) = rest.split_at_checked(2)?;
            bytes.extend(hex::decode(digits).ok()?);
            rest = tail;
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).ok().filter(|user| folder_name(user) == name)
}

/// The names of the folders in a folder, in order; none if it cannot be read.
fn folders_in(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> = folders.filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Makes a folder that only the user can look into; one that is there stays as it is.
fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes sure that a new name in a folder is there after a power failure.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    // Windows does not open folders as files, and writes names through.
    if cfg!(unix) { fs::File::open(path)?.sync_all() } else { Ok(()) }
}

#[cfg(unix)]
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;

    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(not(unix))]
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A file's bytes; an error if there are more than a good file of this kind could have.
pub(super) fn read_bounded(path: &Path, bytes_max: u64, kind: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    match read as u64 > bytes_max {
        true => Err(io::Error::other(format!("it is too large for {kind}"))),
        false => Ok(bytes),
    }
}

const LOCK: &str = "lock";
pub(super) const OVERLAYS: &str = "overlays";
const HOSTED: &str = "hosted";
pub(super) const DOCUMENT: &str = "document.xml";
const UNPROVED: &str = "document.unproved";
pub(super) const CERTIFICATE: &str = "certificate.der";
pub(super) const KEY: &str = "key.der";
pub(super) const ACCOUNT: &str = "account";
const VALUES: &str = "values.db";
const BOOTSTRAP: &str = "bootstrap.txt";
/// Peers remembered for the next join, as RFC 6940 §11.4 suggests.
const BOOTSTRAP_MAX: usize = 10;

#[cfg(test)]
#[path = "state_tests.rs"]
pub(super) mod tests;
