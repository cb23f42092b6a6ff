//! An overlay's private keys at rest: those of its authority and of its own peer. They are sealed
//! under a key that somebody else keeps, or that a password opens; without one they are as they
//! are, in a file that only its owner can read.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rusqlite::{Connection, OptionalExtension, params};

use super::error::RegistryError;
use super::registry::{DATABASE, Registry, begin, create_private};
use crate::crypto::{Password, SealingKey, VaultError, is_sealed};

/// An overlay's folder, and the key that its private keys are sealed under. Clones share the key,
/// which may be given later.
#[derive(Clone, Debug)]
pub struct RegistryFolder {
    path: PathBuf,
    key: Arc<OnceLock<SealingKey>>,
}

impl RegistryFolder {
    /// A folder whose private keys are sealed as soon as `key` is there.
    pub fn sealed_by(path: PathBuf, key: Arc<OnceLock<SealingKey>>) -> Self {
        Self { path, key }
    }

    /// A folder whose private keys a password opens. Where they were in plain they are sealed from
    /// now on. A fifth of a second.
    ///
    /// # Errors
    ///
    /// Fails for a wrong password, or a new one that is too short, and if the keys are sealed
    /// under something else.
    pub fn with_password(path: &Path, password: &Password) -> Result<Self, RegistryError> {
        fs::create_dir_all(path).map_err(|error| RegistryError::file(path, &error))?;
        let mut connection = Registry::connect(path.into())?.connection;
        let change = begin(&mut connection)?;
        let query = "SELECT sealed_key FROM vault";
        let kept: Option<Vec<u8>> = change.query_row(query, [], |row| row.get(0)).optional()?;
        let key = match kept {
            Some(sealed) => match password.open(PASSWORD_PLACE, &sealed) {
                Err(VaultError::WrongKey) => return Err(RegistryError::PasswordWrong),
                opened => SealingKey::from_bytes(&opened?).ok_or(VaultError::Damaged)?,
            },
            None if !password.is_long_enough() => return Err(RegistryError::PasswordShort),
            None if stored(&change)?.is_some_and(|keys| keys.iter().any(|k| is_sealed(k))) => {
                return Err(RegistryError::Locked);
            }
            None => {
                let key = SealingKey::generate()?;
                let sealed = password.seal(PASSWORD_PLACE, key.as_bytes())?;
                change.execute("INSERT INTO vault (id, sealed_key) VALUES (1, ?1)", [sealed])?;
                key
            }
        };
        change.commit()?;
        Ok(Self { path: path.to_path_buf(), key: Arc::new(key.into()) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn key(&self) -> Option<&SealingKey> {
        self.key.get()
    }

    /// Puts a copy of an overlay here that [`Registry::copy`] has made elsewhere, whose private
    /// keys were sealed under `key` if they were. Here they are sealed as all others.
    ///
    /// # Errors
    ///
    /// Fails for a copy that is damaged or sealed under another key, and if it can't be written.
    pub fn put_back(&self, copy: &[u8], key: Option<&SealingKey>) -> Result<(), RegistryError> {
        let refused = |error| RegistryError::file(&self.path, &error);
        fs::create_dir_all(&self.path).map_err(refused)?;
        let path = self.path.join(NEW_DATABASE);
        create_private(&path).map_err(refused)?;
        fs::write(&path, copy).map_err(refused)?;
        let mut connection = Connection::open(&path)?;
        connection.pragma_update(None, "secure_delete", true)?;
        let change = begin(&mut connection)?;
        let keys = stored(&change)?.ok_or(RegistryError::Damaged("a copy"))?;
        for ((place, column), bytes) in PLACES.iter().zip(keys) {
            let plain = unseal(key, place, bytes)?;
            let bytes = seal(self.key(), place, plain)?;
            change.execute(&format!("UPDATE overlay SET {column} = ?1"), [bytes])?;
        }
        // It opens what is not in use any more.
        change.execute("DELETE FROM vault", [])?;
        change.commit()?;
        connection.execute_batch("VACUUM")?;
        drop(connection);
        fs::rename(&path, self.path.join(DATABASE)).map_err(refused)
    }
}

impl From<&Path> for RegistryFolder {
    fn from(path: &Path) -> Self {
        Self { path: path.to_path_buf(), key: Arc::default() }
    }
}

impl From<&PathBuf> for RegistryFolder {
    fn from(path: &PathBuf) -> Self {
        path.as_path().into()
    }
}

impl From<&Self> for RegistryFolder {
    fn from(folder: &Self) -> Self {
        folder.clone()
    }
}

/// What is kept of a secret.
pub(super) fn seal(
    key: Option<&SealingKey>,
    place: &str,
    secret: Vec<u8>,
) -> Result<Vec<u8>, RegistryError> {
    match key {
        Some(key) => Ok(key.seal(place, &secret)?),
        None => Ok(secret),
    }
}

/// The secret of which this is kept.
pub(super) fn unseal(
    key: Option<&SealingKey>,
    place: &str,
    bytes: Vec<u8>,
) -> Result<Vec<u8>, RegistryError> {
    match key {
        _ if !is_sealed(&bytes) => Ok(bytes),
        Some(key) => Ok(key.open(place, &bytes)?.to_vec()),
        None => Err(RegistryError::Locked),
    }
}

/// Seals what is in plain, and leaves nothing of it in the file.
pub(super) fn seal_all(connection: &mut Connection, key: &SealingKey) -> Result<(), RegistryError> {
    let is_open = |keys: &[Vec<u8>; 2]| keys.iter().any(|key| !is_sealed(key));
    if !stored(connection)?.as_ref().is_some_and(is_open) {
        return Ok(());
    }
    connection.pragma_update(None, "secure_delete", true)?;
    let change = begin(connection)?;
    // Somebody else may have been faster.
    let Some(keys) = stored(&change)?.filter(is_open) else { return Ok(()) };
    for ((place, column), bytes) in PLACES.iter().zip(keys) {
        let sealed = if is_sealed(&bytes) { bytes } else { key.seal(place, &bytes)? };
        change.execute(&format!("UPDATE overlay SET {column} = ?1"), params![sealed])?;
    }
    change.commit()?;
    // The write-ahead log has the old pages until nobody reads them.
    let truncate = "PRAGMA wal_checkpoint(TRUNCATE)";
    Ok(connection.query_row(truncate, [], |_| Ok(()))?)
}

/// The private keys as they are kept; `None` before the overlay is founded.
fn stored(connection: &Connection) -> Result<Option<[Vec<u8>; 2]>, RegistryError> {
    let query = "SELECT root_key, own_key FROM overlay";
    let keys = connection.query_row(query, [], |row| Ok([row.get(0)?, row.get(1)?]));
    Ok(keys.optional()?)
}

/// What private keys are sealed for, so that none opens as the other.
pub(super) const ROOT_PLACE: &str = "overlay/root";
pub(super) const OWN_PLACE: &str = "overlay/own";
const PASSWORD_PLACE: &str = "overlay/password";
const PLACES: [(&str, &str); 2] = [(ROOT_PLACE, "root_key"), (OWN_PLACE, "own_key")];
const NEW_DATABASE: &str = "overlay.db.new";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BootstrapAddress, BootstrapNode, OverlayName};
    use crate::enroll::server::{Foundation, Places, Registration};

    const NOW_MS: u64 = 1_790_000_000_000;
    /// What is secret in a key of P-256 (RFC 5208, RFC 5915); the rest is in its certificate too.
    const SCALAR: std::ops::Range<usize> = 36..68;

    fn founded(folder: impl Into<RegistryFolder>) -> Registry {
        let address = BootstrapAddress::Name("localhost".into());
        let foundation = Foundation {
            name: OverlayName::new("example.test").expect("a name"),
            registration: Registration::Open,
            places: Places {
                enrollment_url: "https://localhost/enroll".into(),
                bootstrap: BootstrapNode { address, port: 6084 },
            },
        };
        Registry::found(folder, &foundation, NOW_MS).expect("founded")
    }

    fn sealed(path: &Path, key: &SealingKey) -> RegistryFolder {
        RegistryFolder::sealed_by(path.to_path_buf(), Arc::new(key.clone().into()))
    }

    /// Whether any file of a folder has a part of a private key in it, which SQLite may have cut.
    fn holds(path: &Path, pkcs8_der: &[u8]) -> bool {
        let files = fs::read_dir(path).expect("a folder").flatten();
        files.filter_map(|file| fs::read(file.path()).ok()).any(|file| {
            let mut parts = pkcs8_der[SCALAR].chunks(8);
            parts.any(|part| file.windows(part.len()).any(|there| there == part))
        })
    }

    fn root_key(registry: &Registry) -> Vec<u8> {
        registry.authority().expect("open").keys().private_key_der.clone()
    }

    /// Keys that were in plain are sealed once there is a key for them, and nothing is left of them
    /// in the folder; without the key nobody issues anything, and accounts can be looked at.
    #[test]
    fn private_keys_are_sealed_where_there_is_a_key() {
        let dir = tempfile::tempdir().expect("a folder");
        let registry = founded(dir.path());
        let (root, own) = (root_key(&registry), registry.identity().expect("open").0);
        drop(registry);
        assert!(holds(dir.path(), &root), "in plain at first");
        let key = SealingKey::generate().expect("random");
        let registry = Registry::open(sealed(dir.path(), &key)).expect("opened");
        assert_eq!(root_key(&registry), root);
        assert_eq!(registry.identity().expect("open").0, own);
        drop(registry);
        assert!(!holds(dir.path(), &root) && !holds(dir.path(), &own.private_key_der));

        let mut locked = Registry::open(dir.path()).expect("opened");
        assert!(matches!(locked.authority(), Err(RegistryError::Locked)));
        assert!(matches!(locked.identity(), Err(RegistryError::Locked)));
        locked.add_account("alice", "secret", NOW_MS).expect("no key is needed");
        let amended = locked.amend(NOW_MS, |config| config.initial_ttl += 1);
        assert!(matches!(amended, Err(RegistryError::Locked)));
        let other = SealingKey::generate().expect("random");
        let wrong = Registry::open(sealed(dir.path(), &other)).expect("opened");
        assert!(matches!(wrong.authority(), Err(RegistryError::Vault(VaultError::WrongKey))));
    }

    /// A new overlay under a password has no key in plain from the first moment.
    #[test]
    fn a_password_opens_private_keys() {
        let dir = tempfile::tempdir().expect("a folder");
        let open =
            |password: &str| RegistryFolder::with_password(dir.path(), &Password::new(password));
        assert!(matches!(open("short"), Err(RegistryError::PasswordShort)));
        let root = root_key(&founded(open("correct horse").expect("new")));
        assert!(!holds(dir.path(), &root));
        assert!(matches!(open("correct house"), Err(RegistryError::PasswordWrong)));
        let again = Registry::open(open("correct horse").expect("right")).expect("opened");
        assert_eq!(root_key(&again), root);
        let in_plain = Registry::open(dir.path()).expect("opened");
        assert!(matches!(in_plain.authority(), Err(RegistryError::Locked)));
    }

    /// A copy is put back under another key, or under none.
    #[test]
    fn a_copy_is_put_back() {
        let key = || SealingKey::generate().expect("random");
        let (before, after) = (key(), key());
        let dir = tempfile::tempdir().expect("a folder");
        let mut registry = founded(sealed(dir.path(), &before));
        registry.add_account("alice", "secret", NOW_MS).expect("made");
        let (root, copy) = (root_key(&registry), registry.copy().expect("copied"));
        let back = tempfile::tempdir().expect("a folder");
        let folder = sealed(&back.path().join("there"), &after);
        let refused = folder.put_back(&copy, None);
        assert!(matches!(refused, Err(RegistryError::Locked)), "{refused:?}");
        folder.put_back(&copy, Some(&before)).expect("put back");
        assert!(!holds(folder.path(), &root));
        let there = Registry::open(&folder).expect("opened");
        assert_eq!(root_key(&there), root);
        assert_eq!(there.accounts().expect("read")[0].name, "alice");
        let plain = RegistryFolder::from(&back.path().join("plain"));
        plain.put_back(&copy, Some(&before)).expect("put back");
        assert_eq!(root_key(&Registry::open(&plain).expect("opened")), root);
        assert!(plain.put_back(b"no copy", None).is_err());
        assert_eq!(root_key(&Registry::open(&plain).expect("as before")), root);
    }
}
