//! Our identity in an overlay, as the user's folder keeps it.

use std::path::Path;

use super::state::{CERTIFICATE, KEY, OVERLAYS, StateError, StateFolder, folder_name};
use crate::crypto::{Identity, Keys, X509Provider};

/// Our identity in an overlay, with the bytes that DTLS shows and signs with.
#[derive(Clone, Debug)]
pub struct StoredIdentity {
    /// For signatures of RELOAD.
    pub identity: Identity,
    /// For DTLS.
    pub keys: Keys,
}

impl StateFolder {
    /// Our identity as `user` in the provider's overlay: the one kept, or a new self-signed one.
    /// A kept one that does not work is never replaced silently: the name would change hands. The
    /// key is kept first, and whoever has only that is certified again with the same Node-ID.
    pub fn identity(
        &self,
        provider: &X509Provider,
        user: &str,
        unix_ms: u64,
    ) -> Result<StoredIdentity, StateError> {
        let aor = format!("{user}@{}", provider.overlay);
        let folder = Path::new(OVERLAYS).join(&provider.overlay).join(folder_name(user));
        let paths = (folder.join(CERTIFICATE), folder.join(KEY));
        let absolute = (self.root.join(&paths.0), self.root.join(&paths.1));
        let keys = match (self.read(&paths.0)?, self.read(&paths.1)?) {
            (Some(certificate_der), Some(key)) => {
                let private_key_der = self.unseal(&paths.1, key)?.to_vec();
                Keys { certificate_der, private_key_der }
            }
            (None, None) => {
                let keys = Keys::self_signed(provider, &aor, unix_ms, VALIDITY_DAYS)?;
                self.write(&paths.1, &self.seal(&paths.1, &keys.private_key_der)?)?;
                self.write(&paths.0, &keys.certificate_der)?;
                keys
            }
            (None, Some(key)) => {
                let key = self.unseal(&paths.1, key)?;
                let keys = Keys::self_signed_again(provider, &aor, &key, unix_ms, VALIDITY_DAYS)?;
                self.write(&paths.0, &keys.certificate_der)?;
                keys
            }
            (Some(_), None) => return Err(StateError::HalfIdentity(absolute.1)),
        };
        let identity = keys.identity(provider)?;
        if !identity.certificate.is_valid_at(unix_ms) {
            return Err(StateError::Expired(absolute.0));
        }
        Ok(StoredIdentity { identity, keys })
    }
}

/// A self-signed identity is its key: it should outlive the computer.
const VALIDITY_DAYS: u32 = 3650;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::phone::state::tests::{NOW_MS, folder, provider};

    #[test]
    fn an_identity_is_made_once_and_kept() {
        let (dir, state) = folder();
        let first = state.identity(&provider(), "alice", NOW_MS).expect("made");
        let second = state.identity(&provider(), "alice", NOW_MS).expect("kept");
        assert_eq!(first.identity.node_id, second.identity.node_id);
        let other = state.identity(&provider(), "bob", NOW_MS).expect("made");
        assert_ne!(first.identity.node_id, other.identity.node_id);
        // The computer stopped after the key.
        let certificate = dir.path().join("overlays/example.org/alice/certificate.der");
        fs::remove_file(certificate).expect("there");
        let again = state.identity(&provider(), "alice", NOW_MS).expect("certified again");
        assert_eq!(first.identity.node_id, again.identity.node_id);
        let key = dir.path().join("overlays/example.org/alice/key.der");
        fs::remove_file(key).expect("there");
        let error = state.identity(&provider(), "alice", NOW_MS).expect_err("half");
        assert!(matches!(error, StateError::HalfIdentity(_)));
    }

    #[cfg(unix)]
    #[test]
    fn the_private_key_is_for_the_user_alone() {
        use std::os::unix::fs::PermissionsExt;

        let (dir, state) = folder();
        state.identity(&provider(), "alice", NOW_MS).expect("made");
        let key = dir.path().join("overlays/example.org/alice/key.der");
        let mode = fs::metadata(key).expect("there").permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
}
