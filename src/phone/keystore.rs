//! The platform's key store, where there is one: Keychain Services, the Credential Manager, or
//! what speaks the Secret Service protocol on D-Bus.

use std::fmt;
use std::sync::Arc;

use crate::crypto::SealingKey;

/// Keeps keys for the user who is logged in.
pub trait KeyStore: fmt::Debug + Send + Sync {
    /// The key of this name, if there is one. May ask the user and take as long as they do.
    ///
    /// # Errors
    /// What the platform says, as part of a sentence.
    fn read(&self, name: &str) -> Result<Option<SealingKey>, String>;

    /// Keeps a key under a name.
    ///
    /// # Errors
    /// What the platform says, as part of a sentence.
    fn write(&self, name: &str, key: &SealingKey) -> Result<(), String>;
}

/// The key store of this platform; `None` if the program was built without one.
pub fn platform_key_store() -> Option<Arc<dyn KeyStore>> {
    #[cfg(feature = "gui")]
    return Some(Arc::new(platform::Platform));
    #[cfg(not(feature = "gui"))]
    None
}

#[cfg(feature = "gui")]
mod platform {
    use keyring::{Entry, Error};

    use super::{KeyStore, SealingKey};

    #[derive(Debug)]
    pub(super) struct Platform;

    impl KeyStore for Platform {
        fn read(&self, name: &str) -> Result<Option<SealingKey>, String> {
            match entry(name)?.get_secret() {
                Ok(bytes) => match SealingKey::from_bytes(&zeroize::Zeroizing::new(bytes)) {
                    Some(key) => Ok(Some(key)),
                    None => Err("it holds no key of ours under our name".to_owned()),
                },
                Err(Error::NoEntry) => Ok(None),
                Err(error) => Err(words(&error)),
            }
        }

        fn write(&self, name: &str, key: &SealingKey) -> Result<(), String> {
            entry(name)?.set_secret(key.as_bytes()).map_err(|e| words(&e))
        }
    }

    fn entry(name: &str) -> Result<Entry, String> {
        if !has_bus() {
            return Err(words(&Error::NoDefaultStore));
        }
        Entry::new(SERVICE, name).map_err(|e| words(&e))
    }

    /// Whether there is a D-Bus session to ask. The library would find out with a thread that
    /// stays, in every peer on a machine where nobody is logged in.
    #[cfg(all(unix, not(target_os = "macos")))]
    fn has_bus() -> bool {
        use zbus::address::transport::{Transport, UnixSocket};

        let Ok(address) = zbus::Address::session() else { return false };
        match address.transport() {
            Transport::Unix(unix) => match unix.path() {
                UnixSocket::File(path) => std::os::unix::net::UnixStream::connect(path).is_ok(),
                _ => true,
            },
            _ => true,
        }
    }

    #[cfg(not(all(unix, not(target_os = "macos"))))]
    fn has_bus() -> bool {
        true
    }

    /// An error of the library may hold the secret that it could not read.
    fn words(error: &Error) -> String {
        match error {
            Error::NoDefaultStore => "this computer has none that is running".to_owned(),
            Error::NoStorageAccess(_) => "it is locked".to_owned(),
            Error::PlatformFailure(reason) => reason.to_string(),
            _ => "it does not give what it was given".to_owned(),
        }
    }

    /// Under what name users find our keys in their key store.
    const SERVICE: &str = "chordial";
}
