//! How private keys are kept in the user's folder.
//!
//! One random key seals all that is secret in the folder. It is not in the folder: the platform's
//! key store has it, or a password opens it, or either of both. `vault.toml` says which. Without
//! that file private keys are as they are, in files that only the user's account can read; that
//! is said to the user in words. What is in plain is sealed as soon as there is a key for it.
//!
//! Each step is one file written whole, so that a computer that stops between two steps has lost
//! nothing: first the key is kept, then `vault.toml` says where, then each private key is replaced.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::keystore::KeyStore;
use super::state::{ACCOUNT, KEY, OVERLAYS, StateError, StateFolder};
use crate::crypto::{Password, SealingKey, Secret, VaultError, is_sealed};
use crate::enroll::server::Registry;

/// How private keys are kept in the user's folder, and whether we can read them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// As they are: whoever can read the user's files has them.
    #[default]
    Plain,
    /// Sealed under a key that the platform's key store has given us.
    KeyStore,
    /// Sealed under a password that has been given.
    Password,
    /// Sealed, and the platform's key store has been asked for the key.
    Opening,
    /// Sealed, and nobody has given the key yet.
    Locked {
        /// Whether a password would open them.
        by_password: bool,
        /// Why the last try failed: one sentence.
        problem: Option<String>,
    },
}

impl Protection {
    /// What that means for the user: one sentence.
    pub fn sentence(&self) -> &'static str {
        match self {
            Self::Plain => {
                "Your private keys are not encrypted: whoever can read your files can be you."
            }
            Self::KeyStore => {
                "Your private keys are encrypted; this computer's key store opens them."
            }
            Self::Password => "Your private keys are encrypted under your password.",
            Self::Opening => "This computer's key store has been asked to open your private keys.",
            Self::Locked { by_password: true, .. } => {
                "Your private keys are encrypted: give the password."
            }
            Self::Locked { by_password: false, .. } => {
                "Your private keys are encrypted; this computer's key store has not opened them."
            }
        }
    }
}

/// What `vault.toml` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct VaultFile {
    /// Opens under the right key: tells it from others before anything is sealed under it.
    check: String,
    /// The key, sealed under the user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    /// Under what name the platform's key store has the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_store: Option<String>,
}

/// The folder's secrets as far as we can read them.
#[derive(Clone, Debug)]
pub(super) enum Guard {
    /// Nothing is sealed.
    Plain,
    /// Nobody has given the key.
    Locked(VaultFile),
    /// We have the key, and may have it by the user's password.
    Open { file: VaultFile, key: SealingKey, by_password: bool },
}

impl StateFolder {
    /// How private keys are kept.
    pub fn protection(&self) -> Protection {
        match &self.guard {
            Guard::Plain => Protection::Plain,
            Guard::Open { by_password: true, .. } => Protection::Password,
            Guard::Open { .. } => Protection::KeyStore,
            Guard::Locked(file) => {
                Protection::Locked { by_password: file.password.is_some(), problem: None }
            }
        }
    }

    /// Seals private keys under a password, or gives them another one. A fifth of a second.
    ///
    /// # Errors
    /// The password is too short, the folder is locked, or a file cannot be written.
    pub fn protect_by_password(&mut self, password: &Password) -> Result<(), StateError> {
        if !password.is_long_enough() {
            return Err(StateError::PasswordShort);
        }
        let (mut file, key) = match &self.guard {
            Guard::Plain => new_vault()?,
            Guard::Open { file, key, .. } => (file.clone(), key.clone()),
            Guard::Locked(_) => return Err(StateError::Locked),
        };
        let sealed = password.seal(PASSWORD_PLACE, key.as_bytes()).map_err(|e| self.vault(e))?;
        file.password = Some(BASE64_STANDARD.encode(sealed));
        self.keep_vault(file, key, true)
    }

    /// Opens private keys by the user's password. A fifth of a second.
    ///
    /// # Errors
    /// The password is wrong, or nothing here is under a password.
    pub fn unlock_by_password(&mut self, password: &Password) -> Result<(), StateError> {
        let Guard::Locked(file) = &self.guard else { return Ok(()) };
        let sealed = file.password.as_ref().ok_or(StateError::NoPassword)?;
        let sealed = BASE64_STANDARD.decode(sealed).map_err(|_| self.vault(VaultError::Damaged))?;
        let key = match password.open(PASSWORD_PLACE, &sealed) {
            Err(VaultError::WrongKey) => return Err(StateError::PasswordWrong),
            opened => opened.map_err(|e| self.vault(e))?,
        };
        let key = SealingKey::from_bytes(&key).ok_or_else(|| self.vault(VaultError::Damaged))?;
        self.opened(file.clone(), key, true)
    }

    /// What the key store has to do for this folder; `None` if nothing, or if there is none. It
    /// may take long, so it is done by [`KeyStoreJob::run`] wherever there is time.
    pub fn key_store_job(&self) -> Option<KeyStoreJob> {
        let store = self.key_store.clone()?;
        match &self.guard {
            Guard::Plain => Some(KeyStoreJob { store, name: None }),
            Guard::Locked(file) => Some(KeyStoreJob { store, name: Some(file.key_store.clone()?) }),
            Guard::Open { .. } => None,
        }
    }

    /// Opens private keys by what the platform's key store has given, or seals them under it.
    ///
    /// # Errors
    /// The key is another one than the folder's, or a file cannot be written.
    pub fn use_key_store(&mut self, StoreKey { name, key }: StoreKey) -> Result<(), StateError> {
        match &self.guard {
            Guard::Plain => {
                let file = VaultFile { check: check(&key)?, password: None, key_store: Some(name) };
                self.keep_vault(file, key, false)
            }
            Guard::Locked(file) => self.opened(file.clone(), key, false),
            Guard::Open { .. } => Ok(()),
        }
    }

    /// Whether nobody has given the key to what is sealed here.
    pub(super) fn is_locked(&self) -> bool {
        matches!(self.guard, Guard::Locked(_))
    }

    /// Whether a secret that is kept now would be sealed.
    pub(super) fn is_sealing(&self) -> bool {
        matches!(self.guard, Guard::Open { .. })
    }

    /// What a file at `place` should hold, for a secret.
    pub(super) fn seal(&self, place: &Path, secret: &[u8]) -> Result<Vec<u8>, StateError> {
        match &self.guard {
            Guard::Plain => Ok(secret.to_vec()),
            Guard::Locked(_) => Err(StateError::Locked),
            Guard::Open { key, .. } => key
                .seal(&place_name(place), secret)
                .map_err(|error| StateError::Vault { path: self.root.join(place), error }),
        }
    }

    /// The secret that a file at `place` holds, sealed or not.
    pub(super) fn unseal(&self, place: &Path, bytes: Vec<u8>) -> Result<Secret, StateError> {
        if !is_sealed(&bytes) {
            return Ok(bytes.into());
        }
        let damaged = |error| StateError::Vault { path: self.root.join(place), error };
        match &self.guard {
            Guard::Plain => Err(StateError::VaultMissing(self.root.join(VAULT))),
            Guard::Locked(_) => Err(StateError::Locked),
            Guard::Open { key, .. } => match key.open(&place_name(place), &bytes) {
                // The folder's key is the right one, so the file is from elsewhere.
                Err(VaultError::WrongKey) => Err(damaged(VaultError::Damaged)),
                opened => opened.map_err(damaged),
            },
        }
    }

    /// Reads `vault.toml` of a folder that has just been opened.
    pub(super) fn read_guard(root: &Path) -> Result<Guard, StateError> {
        let path = root.join(VAULT);
        match std::fs::read_to_string(&path) {
            Ok(text) => match toml::from_str(&text) {
                Ok(file) => Ok(Guard::Locked(file)),
                Err(_) => Err(StateError::Vault { path, error: VaultError::Damaged }),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Guard::Plain),
            Err(error) => Err(StateError::file(&path, &error)),
        }
    }

    fn keep_vault(
        &mut self,
        file: VaultFile,
        key: SealingKey,
        by_password: bool,
    ) -> Result<(), StateError> {
        let text = toml::to_string_pretty(&file).unwrap_or_default();
        self.write(Path::new(VAULT), text.as_bytes())?;
        self.opened(file, key, by_password)
    }

    /// We have the key: what is still in plain is sealed under it.
    fn opened(
        &mut self,
        file: VaultFile,
        key: SealingKey,
        by_password: bool,
    ) -> Result<(), StateError> {
        let sealed = BASE64_STANDARD.decode(&file.check).unwrap_or_default();
        match key.open(CHECK_PLACE, &sealed) {
            Ok(_) => {}
            Err(VaultError::WrongKey) => return Err(StateError::KeyOfAnother),
            Err(error) => return Err(self.vault(error)),
        }
        // A running server has it from now on.
        let _ = self.hosted_key.set(key.clone());
        self.guard = Guard::Open { file, key, by_password };
        for overlay in self.hosted_overlays() {
            // Opening seals; one that is damaged or being made is looked at when it runs.
            let _ = Registry::open(self.hosted_folder(&overlay));
        }
        for place in self.secret_places() {
            let path = self.root.join(&place);
            let bytes = std::fs::read(&path).map_err(|e| StateError::file(&path, &e))?;
            if !is_sealed(&bytes) {
                let secret = Secret::new(bytes);
                self.write(&place, &self.seal(&place, &secret)?)?;
            }
        }
        Ok(())
    }

    /// Every file with a secret in it.
    fn secret_places(&self) -> Vec<PathBuf> {
        let users = self.user_folders().into_iter();
        let secrets = users.flat_map(|(overlay, user)| {
            let folder = Path::new(OVERLAYS).join(overlay).join(user);
            [folder.join(KEY), folder.join(ACCOUNT)]
        });
        let keys = secrets.filter(|place| self.root.join(place).is_file());
        keys.chain(self.sip_account_places()).collect()
    }

    fn vault(&self, error: VaultError) -> StateError {
        StateError::Vault { path: self.root.join(VAULT), error }
    }
}

/// What the platform's key store has to do for a folder.
#[derive(Clone, Debug)]
pub struct KeyStoreJob {
    store: Arc<dyn KeyStore>,
    /// Under what name it has the key; `None` if it is to be given one.
    name: Option<String>,
}

/// A key that the platform's key store has.
#[derive(Clone, Debug)]
pub struct StoreKey {
    name: String,
    key: SealingKey,
}

impl KeyStoreJob {
    /// Does it; the user may be asked, and it takes as long as they do.
    ///
    /// # Errors
    /// One sentence.
    pub fn run(self) -> Result<StoreKey, String> {
        let store = self.store;
        let sentence = |reason| format!("This computer's key store can't be used: {reason}.");
        if let Some(name) = self.name {
            let key = store.read(&name).map_err(sentence)?;
            let key = key.ok_or(
                "This computer's key store does not have the key to this folder any more; \
                 restore a backup into another folder.",
            )?;
            return Ok(StoreKey { name, key });
        }
        let random = |e: VaultError| sentence(e.to_string());
        let key = SealingKey::generate().map_err(random)?;
        let name = hex::encode(&SealingKey::generate().map_err(random)?.as_bytes()[..NAME_LENGTH]);
        store.write(&name, &key).map_err(sentence)?;
        // Nothing is sealed under a key that the store does not give back.
        match store.read(&name).map_err(sentence)? {
            Some(kept) if kept.as_bytes() == key.as_bytes() => Ok(StoreKey { name, key }),
            _ => Err(sentence("it forgets what it is given".to_owned())),
        }
    }
}

fn new_vault() -> Result<(VaultFile, SealingKey), StateError> {
    let key = SealingKey::generate().map_err(|_| StateError::Random)?;
    Ok((VaultFile { check: check(&key)?, password: None, key_store: None }, key))
}

fn check(key: &SealingKey) -> Result<String, StateError> {
    let sealed = key.seal(CHECK_PLACE, b"").map_err(|_| StateError::Random)?;
    Ok(BASE64_STANDARD.encode(sealed))
}

/// The same on every platform.
fn place_name(place: &Path) -> String {
    let parts = place.components().map(|part| part.as_os_str().to_string_lossy());
    parts.collect::<Vec<_>>().join("/")
}

const VAULT: &str = "vault.toml";
const CHECK_PLACE: &str = "check";
const PASSWORD_PLACE: &str = "password";
/// Enough that no two folders have the same name in a key store.
const NAME_LENGTH: usize = 8;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::sync::Mutex;

    use super::*;
    use crate::phone::state::tests::{NOW_MS, folder, provider};

    /// A key store in memory.
    #[derive(Debug, Default)]
    struct Memory {
        keys: Mutex<BTreeMap<String, SealingKey>>,
        forgets: bool,
    }

    impl KeyStore for Memory {
        fn read(&self, name: &str) -> Result<Option<SealingKey>, String> {
            Ok(self.keys.lock().expect("free").get(name).cloned())
        }

        fn write(&self, name: &str, key: &SealingKey) -> Result<(), String> {
            if !self.forgets {
                self.keys.lock().expect("free").insert(name.to_owned(), key.clone());
            }
            Ok(())
        }
    }

    fn password(text: &str) -> Password {
        Password::new(text)
    }

    /// The bytes of alice's key file.
    fn key_file(dir: &tempfile::TempDir) -> Vec<u8> {
        fs::read(dir.path().join("overlays/example.org/alice/key.der")).expect("there")
    }

    fn reopened(dir: &tempfile::TempDir, state: StateFolder) -> StateFolder {
        let store = state.key_store.clone();
        drop(state);
        StateFolder::open(dir.path()).expect("usable").with_key_store(store)
    }

    /// A folder with a key store.
    fn with_store(store: Memory) -> (tempfile::TempDir, StateFolder, Arc<Memory>) {
        let (dir, state) = folder();
        let store = Arc::new(store);
        (dir, state.with_key_store(Some(store.clone())), store)
    }

    /// A key that was kept in plain is sealed when a password is chosen; after a restart it opens
    /// by that password alone and is the same.
    #[test]
    fn a_password_seals_what_is_there_and_what_comes() {
        let (dir, mut state) = folder();
        let alice = state.identity(&provider(), "alice", NOW_MS).expect("made");
        assert!(!is_sealed(&key_file(&dir)));
        assert_eq!(state.protection(), Protection::Plain);
        let short = state.protect_by_password(&password("short"));
        assert!(matches!(short, Err(StateError::PasswordShort)));
        state.protect_by_password(&password("correct horse")).expect("sealed");
        assert!(is_sealed(&key_file(&dir)));
        let again = state.identity(&provider(), "alice", NOW_MS).expect("open");
        assert_eq!(again.keys.private_key_der, alice.keys.private_key_der);
        let bob = state.identity(&provider(), "bob", NOW_MS).expect("made");

        let mut state = reopened(&dir, state);
        let locked = Protection::Locked { by_password: true, problem: None };
        assert_eq!(state.protection(), locked);
        for user in ["alice", "carol"] {
            let error = state.identity(&provider(), user, NOW_MS).expect_err("locked");
            assert!(matches!(error, StateError::Locked), "{error}");
        }
        let wrong = state.unlock_by_password(&password("correct house")).expect_err("wrong");
        assert!(matches!(wrong, StateError::PasswordWrong));
        assert_eq!(state.protection(), locked);
        state.unlock_by_password(&password("correct horse")).expect("open");
        assert_eq!(state.protection(), Protection::Password);
        let again = state.identity(&provider(), "bob", NOW_MS).expect("open");
        assert_eq!(again.identity.node_id, bob.identity.node_id);
    }

    #[test]
    fn a_password_can_be_changed() {
        let (dir, mut state) = folder();
        let alice = state.identity(&provider(), "alice", NOW_MS).expect("made");
        state.protect_by_password(&password("correct horse")).expect("sealed");
        state.protect_by_password(&password("battery staple")).expect("sealed");
        let mut state = reopened(&dir, state);
        assert!(state.unlock_by_password(&password("correct horse")).is_err());
        state.unlock_by_password(&password("battery staple")).expect("open");
        let again = state.identity(&provider(), "alice", NOW_MS).expect("open");
        assert_eq!(again.identity.node_id, alice.identity.node_id);
    }

    /// The key store opens without a question; a password beside it opens too, on a machine
    /// whose store is gone.
    #[test]
    fn a_key_store_seals_and_opens() {
        let (dir, mut state, store) = with_store(Memory::default());
        let alice = state.identity(&provider(), "alice", NOW_MS).expect("made");
        let key = state.key_store_job().expect("wanted").run().expect("kept");
        state.use_key_store(key).expect("sealed");
        assert!(is_sealed(&key_file(&dir)));
        assert_eq!(state.protection(), Protection::KeyStore);
        state.protect_by_password(&password("correct horse")).expect("sealed");

        let mut state = reopened(&dir, state);
        let key = state.key_store_job().expect("wanted").run().expect("given");
        state.use_key_store(key).expect("open");
        let again = state.identity(&provider(), "alice", NOW_MS).expect("open");
        assert_eq!(again.identity.node_id, alice.identity.node_id);

        let mut state = reopened(&dir, state);
        store.keys.lock().expect("free").clear();
        let error = state.key_store_job().expect("wanted").run().expect_err("gone");
        assert!(error.contains("backup") && !error.contains('\n'), "{error}");
        state.unlock_by_password(&password("correct horse")).expect("open");
    }

    /// Nothing is sealed under a key that the store does not give back, nor opened by another.
    #[test]
    fn a_key_store_that_forgets_is_not_used() {
        let (_dir, state, _) = with_store(Memory { forgets: true, ..Memory::default() });
        let error = state.key_store_job().expect("wanted").run().expect_err("forgotten");
        assert!(error.contains("forgets"), "{error}");
        assert_eq!(state.protection(), Protection::Plain);

        let (dir, mut state, store) = with_store(Memory::default());
        let key = state.key_store_job().expect("wanted").run().expect("kept");
        state.use_key_store(key).expect("sealed");
        let other = SealingKey::generate().expect("random");
        for key in store.keys.lock().expect("free").values_mut() {
            *key = other.clone();
        }
        let mut state = reopened(&dir, state);
        let key = state.key_store_job().expect("wanted").run().expect("given");
        assert!(matches!(state.use_key_store(key), Err(StateError::KeyOfAnother)));
    }

    /// The computer stopped after `vault.toml` and before the private key: it is sealed when the
    /// folder is opened next. A key file that a power failure left half written is no danger,
    /// because the old one stays until the new one is whole.
    #[test]
    fn what_was_left_in_plain_is_sealed_at_the_next_chance() {
        let (dir, mut state) = folder();
        let alice = state.identity(&provider(), "alice", NOW_MS).expect("made");
        let plain = key_file(&dir);
        state.protect_by_password(&password("correct horse")).expect("sealed");
        let path = dir.path().join("overlays/example.org/alice/key.der");
        fs::write(&path, plain).expect("written");
        fs::write(path.with_extension("der.new"), b"chord").expect("written");
        let mut state = reopened(&dir, state);
        state.unlock_by_password(&password("correct horse")).expect("open");
        assert!(is_sealed(&key_file(&dir)));
        let again = state.identity(&provider(), "alice", NOW_MS).expect("open");
        assert_eq!(again.identity.node_id, alice.identity.node_id);
    }

    /// Files that were exchanged, damaged or left without `vault.toml` are one sentence each, and
    /// no new key takes their place.
    #[test]
    fn a_sealed_key_that_does_not_open_is_not_replaced() {
        let (dir, mut state) = folder();
        for user in ["alice", "bob"] {
            state.identity(&provider(), user, NOW_MS).expect("made");
        }
        state.protect_by_password(&password("correct horse")).expect("sealed");
        let overlay = dir.path().join("overlays/example.org");
        let (alice, bob) = (overlay.join("alice/key.der"), overlay.join("bob/key.der"));
        fs::copy(&alice, &bob).expect("copied");
        let mut damaged = fs::read(&alice).expect("there");
        damaged.truncate(40);
        fs::write(&alice, &damaged).expect("written");
        for user in ["alice", "bob"] {
            let error =
                state.identity(&provider(), user, NOW_MS).expect_err("not open").to_string();
            assert!(error.contains("damaged") && error.contains(user), "{error}");
        }
        assert_eq!(fs::read(&alice).expect("there"), damaged);
        fs::remove_file(dir.path().join(VAULT)).expect("there");
        let state = reopened(&dir, state);
        let error = state.identity(&provider(), "alice", NOW_MS).expect_err("sealed").to_string();
        assert!(error.contains(VAULT), "{error}");
    }
}
