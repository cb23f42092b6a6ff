//! Overlays that are run here, as a backup has them.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::backup::Base64;
use super::data::{Data, HostedRow, OverlayUser};
use super::state::{StateError, StateFolder};
use crate::config::OverlayName;
use crate::crypto::SealingKey;
use crate::enroll::server::{Registry, RegistryError, RegistryFolder};

/// An overlay whose names this computer gives out.
#[derive(Serialize, Deserialize)]
pub(super) struct ArchivedHost {
    pub(super) name: String,
    user: String,
    listen: SocketAddr,
    host: Option<String>,
    /// Its authority's certificate.
    root: Base64,
    /// All that its server keeps; private keys in it are sealed under `key`, if there is one.
    database: Base64,
    key: Option<Base64>,
}

impl ArchivedHost {
    /// How it is remembered once it is back. Where it was made it may run still, and two would be
    /// one peer in two places, so it does not run at once.
    pub(super) fn row(&self) -> HostedRow {
        let Self { name, user, listen, host, .. } = self;
        let (overlay, user, host) = (name.clone(), user.clone(), host.clone());
        HostedRow { overlay, user, listen: *listen, host, is_stopped: true }
    }
}

impl StateFolder {
    /// Every overlay that is run here.
    pub(super) fn archived_hosts(&self, data: &Data) -> Result<Vec<ArchivedHost>, StateError> {
        let rows = data.hosted().map_err(|e| StateError::Database(e.to_string()))?;
        let mut hosts = Vec::new();
        for HostedRow { overlay, user, listen, host, .. } in rows {
            let registry = Registry::open(self.hosted_folder(&overlay))?;
            // Only whoever can open the keys has a backup of them.
            registry.authority()?;
            hosts.push(ArchivedHost {
                root: Base64::new(&registry.root_certificate()?),
                database: Base64::new(&registry.copy()?),
                key: self.hosted_key.get().map(|key| Base64::new(key.as_bytes())),
                name: overlay,
                user,
                listen,
                host,
            });
        }
        Ok(hosts)
    }

    /// The overlays to be put back, with their keys; `None` if the archive is damaged.
    pub(super) fn new_hosts(
        &self,
        archived: &[ArchivedHost],
    ) -> Result<Option<Vec<NewHost>>, StateError> {
        if !archived.is_empty() && self.is_locked() {
            return Err(StateError::Locked);
        }
        let mut hosts = Vec::new();
        for host in archived {
            let Ok(name) = OverlayName::new(&host.name) else { return Ok(None) };
            let folder = self.hosted_folder(name.as_str());
            let there = match Registry::open(&folder) {
                Err(RegistryError::NotFounded(_)) => None,
                opened => Some(opened?.root_certificate()?),
            };
            match (there, host.root.bytes()) {
                (Some(there), Some(root)) if there == root => continue,
                (Some(_), _) => return Err(StateError::IdentityThere(host.name.clone())),
                (None, _) => {}
            }
            let key = match &host.key {
                Some(key) => match key.bytes().and_then(|key| SealingKey::from_bytes(&key)) {
                    Some(key) => Some(key),
                    None => return Ok(None),
                },
                None => None,
            };
            let Some(database) = host.database.bytes() else { return Ok(None) };
            hosts.push((folder, database, key));
        }
        Ok(Some(hosts))
    }
}

/// An overlay to be put back: where, what its server keeps, and what opens that.
pub(super) type NewHost = (RegistryFolder, Vec<u8>, Option<SealingKey>);

/// How an overlay that is run here stands among those that are backed up: nobody has no name.
pub(super) fn of_host(overlay: String) -> OverlayUser {
    (overlay, String::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BootstrapAddress, BootstrapNode};
    use crate::crypto::Password;
    use crate::enroll::server::{Foundation, Places, Registration};
    use crate::phone::state::tests::{NOW_MS, folder};

    fn password() -> Password {
        Password::new("correct horse")
    }

    fn data(state: &StateFolder) -> Data {
        state.data(0).expect("opened").0
    }

    fn hosted(state: &StateFolder) -> Registry {
        let address = BootstrapAddress::Name("localhost".into());
        let places = Places {
            enrollment_url: "https://localhost/enroll".into(),
            bootstrap: BootstrapNode { address, port: 6084 },
        };
        let (name, registration) = (OverlayName::new("smith").expect("a name"), Registration::Open);
        let foundation = Foundation { name, registration, places };
        Registry::found(state.hosted_folder("smith"), &foundation, NOW_MS).expect("founded")
    }

    /// An overlay that is run here is in the backup with its authority and its accounts, and does
    /// not run at once where it is brought back; one of the same name is never overwritten.
    #[test]
    fn an_overlay_that_is_run_here_is_backed_up() {
        let (dir, mut state) = folder();
        let data = self::data(&state);
        let mut registry = hosted(&state);
        registry.add_account("bob", "secret", NOW_MS).expect("made");
        let listen = "192.0.2.7:6084".parse().expect("an address");
        let (overlay, user) = ("smith".to_owned(), "alice".to_owned());
        let row = HostedRow { overlay, user, listen, host: None, is_stopped: false };
        data.set_hosted(&row).expect("remembered");
        let root = registry.authority().expect("open").keys().clone();
        state.protect_by_password(&password()).expect("sealed");
        let locked = Registry::open(dir.path().join("hosted/smith").as_path()).expect("opened");
        assert!(matches!(locked.authority(), Err(RegistryError::Locked)), "sealed with the rest");
        assert!(!state.backup_state(&data).is_complete);
        let path = dir.path().join("smith.backup");
        state.back_up(&data, &path, &password(), NOW_MS).expect("backed up");
        assert!(state.backup_state(&data).is_complete);

        let (_there_dir, mut there) = folder();
        let there_data = self::data(&there);
        there.restore(&there_data, &path, &password()).expect("restored");
        let restored = Registry::open(there.hosted_folder("smith")).expect("opened");
        assert_eq!(*restored.authority().expect("open").keys(), root);
        assert_eq!(restored.accounts().expect("read")[0].name, "bob");
        let rows = there_data.hosted().expect("read");
        assert_eq!(rows, [HostedRow { is_stopped: true, ..row }]);
        assert!(there.backup_state(&there_data).is_complete);
        there.restore(&there_data, &path, &password()).expect("nothing more");

        let (_other_dir, mut other) = folder();
        let ours = hosted(&other).root_certificate().expect("read");
        let error = other.restore(&self::data(&other), &path, &password()).expect_err("another");
        assert!(error.to_string().contains("another identity of smith"), "{error}");
        let kept = Registry::open(other.hosted_folder("smith")).expect("opened");
        assert_eq!(kept.root_certificate().expect("read"), ours);
    }
}
