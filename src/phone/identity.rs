//! Our identity in an overlay, as the user's folder keeps it.
//!
//! The private key is kept first, before anybody is asked for a certificate. So whatever stops us
//! at whatever moment, of the first enrollment or of a renewal, leaves a key for which a
//! certificate can be got, and the certificate from before for as long as there is no new one.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::state::{ACCOUNT, CERTIFICATE, KEY, OVERLAYS, StateError, StateFolder, folder_name};
use crate::crypto::{
    Certificate, CertificateRequest, Identity, Keys, Password, Provider, Secret, X509Provider,
};

/// What an enrollment server knows a user by (RFC 6940 §11.3).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The account's name, which need not be the user name.
    pub account: String,
    /// The account's password.
    pub password: Password,
}

/// Our identity in an overlay, with the bytes that DTLS shows and signs with.
#[derive(Clone, Debug)]
pub struct StoredIdentity {
    /// For signatures of RELOAD.
    pub identity: Identity,
    /// For DTLS.
    pub keys: Keys,
}

/// How far our identity in an overlay with an enrollment server is.
#[derive(Clone, Debug)]
pub enum Standing {
    /// The certificate is there and valid.
    Ready(StoredIdentity),
    /// The key is kept, and the authority has to be asked for a certificate.
    Enroll(CertificateRequest),
}

impl StateFolder {
    /// Our identity as `user` in the provider's overlay: the one kept, or a new self-signed one.
    /// A kept one that does not work is never replaced silently: the name would change hands.
    /// Whoever has only a key is certified again with the same Node-ID.
    pub fn identity(
        &self,
        provider: &X509Provider,
        user: &str,
        unix_ms: u64,
    ) -> Result<StoredIdentity, StateError> {
        let places = Places::of(&provider.overlay, user);
        let aor = aor(provider, user);
        let keys = match (self.read(&places.certificate)?, self.private_key(&places)?) {
            (Some(certificate_der), Some(key)) => {
                Keys { certificate_der, private_key_der: key.to_vec() }
            }
            (None, None) => {
                let keys = Keys::self_signed(provider, &aor, unix_ms, VALIDITY_DAYS)?;
                self.keep_key(&places, &keys.private_key_der)?;
                self.write(&places.certificate, &keys.certificate_der)?;
                keys
            }
            (None, Some(key)) => {
                let keys = Keys::self_signed_again(provider, &aor, &key, unix_ms, VALIDITY_DAYS)?;
                self.write(&places.certificate, &keys.certificate_der)?;
                keys
            }
            (Some(_), None) => return Err(StateError::HalfIdentity(self.root.join(places.key))),
        };
        let identity = keys.identity(provider)?;
        if !identity.certificate.is_valid_at(unix_ms) {
            return Err(StateError::Expired(self.root.join(places.certificate)));
        }
        Ok(StoredIdentity { identity, keys })
    }

    /// How far we are as `user` in the provider's overlay, whose authority gives out
    /// certificates. A key is made and kept if there is none. A certificate that has ended, or
    /// that the overlay does not accept any more, has to be got anew for the key that it was for.
    pub fn standing(
        &self,
        provider: &X509Provider,
        user: &str,
        unix_ms: u64,
    ) -> Result<Standing, StateError> {
        let places = Places::of(&provider.overlay, user);
        let certificate = self.read(&places.certificate)?;
        let Some(key) = self.private_key(&places)? else {
            if certificate.is_some() {
                return Err(StateError::HalfIdentity(self.root.join(places.key)));
            }
            let request = CertificateRequest::generate(&aor(provider, user))?;
            self.keep_key(&places, &request.private_key_der)?;
            return Ok(Standing::Enroll(request));
        };
        if let Some(certificate_der) = certificate {
            let keys = Keys { certificate_der, private_key_der: key.to_vec() };
            match keys.identity(provider) {
                Ok(identity) if identity.certificate.not_before_ms > unix_ms => {
                    return Err(StateError::Expired(self.root.join(places.certificate)));
                }
                Ok(identity) if is_ours(&identity.certificate, unix_ms) => {
                    return Ok(Standing::Ready(StoredIdentity { identity, keys }));
                }
                Ok(_) | Err(_) => {}
            }
        }
        Ok(Standing::Enroll(CertificateRequest::with_key(&aor(provider, user), &key)?))
    }

    /// A request for a certificate that takes the place of the one that we have, for the same key.
    pub fn renewal(
        &self,
        provider: &X509Provider,
        user: &str,
    ) -> Result<CertificateRequest, StateError> {
        let places = Places::of(&provider.overlay, user);
        let key = self.private_key(&places)?;
        let key = key.ok_or_else(|| StateError::HalfIdentity(self.root.join(&places.key)))?;
        Ok(CertificateRequest::with_key(&aor(provider, user), &key)?)
    }

    /// Keeps the certificate that an authority has given for a request of ours. Nothing is kept
    /// of one that does not work, or that would make another node of us than we were.
    pub fn keep_certificate(
        &self,
        provider: &X509Provider,
        user: &str,
        certificate_der: Vec<u8>,
        unix_ms: u64,
    ) -> Result<StoredIdentity, StateError> {
        let places = Places::of(&provider.overlay, user);
        let key = self.private_key(&places)?;
        let key = key.ok_or_else(|| StateError::HalfIdentity(self.root.join(&places.key)))?;
        let keys = Keys { certificate_der, private_key_der: key.to_vec() };
        let identity = keys.identity(provider)?;
        if !identity.certificate.is_valid_at(unix_ms) {
            return Err(StateError::Clock);
        }
        let before = self.read(&places.certificate)?;
        let before = before.and_then(|der| provider.certificate(&der).ok());
        let is_another = |before: &Certificate| {
            !before.self_signed && !before.node_ids.contains(&identity.node_id)
        };
        if before.is_some_and(|before| is_another(&before)) {
            return Err(StateError::OtherNode);
        }
        self.write(&places.certificate, &keys.certificate_der)?;
        Ok(StoredIdentity { identity, keys })
    }

    /// Keeps what the enrollment server knows us by, so that certificates renew themselves. The
    /// password is kept only where it is encrypted, since people use one in several places; one
    /// that `save_own_credentials` has kept stays.
    pub fn save_credentials(
        &self,
        overlay: &str,
        user: &str,
        credentials: &Credentials,
    ) -> Result<(), StateError> {
        let is_kept = self.is_sealing()
            || self.credentials(overlay, user)?.and_then(|(_, kept)| kept).as_ref()
                == Some(credentials);
        self.keep_credentials(overlay, user, credentials, is_kept)
    }

    /// Keeps what our own enrollment server knows us by. Nobody has chosen that password, and
    /// whoever can read this folder can read that server's too.
    pub(super) fn save_own_credentials(
        &self,
        overlay: &str,
        user: &str,
        credentials: &Credentials,
    ) -> Result<(), StateError> {
        self.keep_credentials(overlay, user, credentials, true)
    }

    fn keep_credentials(
        &self,
        overlay: &str,
        user: &str,
        credentials: &Credentials,
        with_password: bool,
    ) -> Result<(), StateError> {
        let password = with_password.then(|| credentials.password.as_str().to_owned());
        let kept = KeptCredentials { account: credentials.account.clone(), password };
        let text = Secret::new(serde_json::to_vec(&kept).unwrap_or_default());
        let place = Places::of(overlay, user).account;
        self.write(&place, &self.seal(&place, &text)?)
    }

    /// The account that the enrollment server knows us by, and its password if that was kept.
    pub fn credentials(
        &self,
        overlay: &str,
        user: &str,
    ) -> Result<Option<(String, Option<Credentials>)>, StateError> {
        let place = Places::of(overlay, user).account;
        let Some(bytes) = self.read(&place)? else { return Ok(None) };
        let text = self.unseal(&place, bytes)?;
        // What does not parse is asked for again.
        let Ok(kept) = serde_json::from_slice::<KeptCredentials>(&text) else { return Ok(None) };
        let KeptCredentials { account, password } = kept;
        let credentials = password.map(|password| Credentials {
            account: account.clone(),
            password: Password::new(password),
        });
        Ok(Some((account, credentials)))
    }

    fn private_key(&self, places: &Places) -> Result<Option<Secret>, StateError> {
        let bytes = self.read(&places.key)?;
        bytes.map(|bytes| self.unseal(&places.key, bytes)).transpose()
    }

    fn keep_key(&self, places: &Places, key: &[u8]) -> Result<(), StateError> {
        self.write(&places.key, &self.seal(&places.key, key)?)
    }
}

/// Where the files of an identity are, under the folder's root.
struct Places {
    certificate: PathBuf,
    key: PathBuf,
    account: PathBuf,
}

impl Places {
    fn of(overlay: &str, user: &str) -> Self {
        let folder = Path::new(OVERLAYS).join(overlay).join(folder_name(user));
        let [certificate, key, account] = [CERTIFICATE, KEY, ACCOUNT].map(|name| folder.join(name));
        Self { certificate, key, account }
    }
}

#[derive(Serialize, Deserialize)]
struct KeptCredentials {
    account: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

fn aor(provider: &X509Provider, user: &str) -> String {
    format!("{user}@{}", provider.overlay)
}

/// Whether an authority's certificate can be used now: a self-signed one cannot, where there is an
/// authority (RFC 6940 §11.3).
fn is_ours(certificate: &Certificate, unix_ms: u64) -> bool {
    !certificate.self_signed && certificate.is_valid_at(unix_ms)
}

/// A self-signed identity is its key: it should outlive the computer.
const VALIDITY_DAYS: u32 = 3650;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::base::NodeId;
    use crate::crypto::{Authority, RequestedCertificate, is_sealed};
    use crate::phone::state::tests::{NOW_MS, folder, provider};

    const DAY_MS: u64 = 24 * 60 * 60 * 1000;

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

    /// An overlay with an authority, and what it gives for a request.
    struct Issuing {
        authority: Authority,
        provider: X509Provider,
    }

    impl Issuing {
        fn new() -> Self {
            let authority = Authority::generate("example.org", NOW_MS).expect("made");
            let roots = vec![authority.certificate_der().to_vec()];
            let provider = X509Provider { self_signed: None, roots, ..provider() };
            Self { authority, provider }
        }

        fn issue(&self, request: &CertificateRequest, node: u128, days: u64) -> Vec<u8> {
            let requested = RequestedCertificate::read(&request.csr_der).expect("a request");
            let user = requested.user_name().expect("a name").to_owned();
            let validity = NOW_MS - DAY_MS..NOW_MS + days * DAY_MS;
            let issued =
                self.authority.issue(&requested, &user, &[NodeId::from_u128(node)], validity);
            issued.expect("issued")
        }

        fn standing(&self, state: &StateFolder, unix_ms: u64) -> Standing {
            state.standing(&self.provider, "alice", unix_ms).expect("usable")
        }

        fn request(&self, state: &StateFolder, unix_ms: u64) -> CertificateRequest {
            match self.standing(state, unix_ms) {
                Standing::Enroll(request) => request,
                Standing::Ready(_) => panic!("there is a certificate"),
            }
        }
    }

    /// R6940-11.3-01: where there is an enrollment server, a node without a certificate of the
    /// authority enrolls. Whatever stops it between two steps, it goes on with the same key.
    #[test]
    fn an_enrollment_that_was_cut_short_goes_on() {
        let (dir, state) = folder();
        let issuing = Issuing::new();
        let first = issuing.request(&state, NOW_MS);
        // Stopped before anybody was asked.
        drop(state);
        let state = StateFolder::open(dir.path()).expect("usable");
        let second = issuing.request(&state, NOW_MS);
        assert_eq!(first.private_key_der, second.private_key_der);
        // Stopped after the authority had given a certificate, which was lost or is half there.
        let certificate = issuing.issue(&second, 7, 30);
        let half = dir.path().join("overlays/example.org/alice/certificate.der.new");
        fs::write(half, &certificate[..40]).expect("written");
        drop(state);
        let state = StateFolder::open(dir.path()).expect("usable");
        let third = issuing.request(&state, NOW_MS);
        assert_eq!(first.private_key_der, third.private_key_der);
        let kept = state.keep_certificate(&issuing.provider, "alice", certificate, NOW_MS);
        assert_eq!(kept.expect("kept").identity.node_id, NodeId::from_u128(7));
        let Standing::Ready(ready) = issuing.standing(&state, NOW_MS) else { panic!("kept") };
        assert_eq!(ready.identity.node_id, NodeId::from_u128(7));
        // A month later it has ended, and the key is the same.
        let fourth = issuing.request(&state, NOW_MS + 31 * DAY_MS);
        assert_eq!(first.private_key_der, fourth.private_key_der);
    }

    /// What an authority gives in place of the certificate that we have must leave us who we are;
    /// otherwise what we have stays.
    #[test]
    fn a_renewal_that_does_not_fit_changes_nothing() {
        let (_dir, state) = folder();
        let issuing = Issuing::new();
        let request = issuing.request(&state, NOW_MS);
        let keep = |der| state.keep_certificate(&issuing.provider, "alice", der, NOW_MS);
        keep(issuing.issue(&request, 7, 30)).expect("kept");
        let renewal = state.renewal(&issuing.provider, "alice").expect("a request");
        assert_eq!(renewal.private_key_der, request.private_key_der);
        let other_node = keep(issuing.issue(&renewal, 8, 60)).expect_err("another node");
        assert!(matches!(other_node, StateError::OtherNode), "{other_node}");
        let foreign = keep(Issuing::new().issue(&renewal, 7, 60)).expect_err("another authority");
        assert!(matches!(foreign, StateError::Identity(_)), "{foreign}");
        let later = issuing.issue(&renewal, 7, 60);
        let wrong_clock = state.keep_certificate(&issuing.provider, "alice", later.clone(), 0);
        assert!(matches!(wrong_clock, Err(StateError::Clock)));
        let end = |standing| match standing {
            Standing::Ready(ready) => ready.identity.certificate.not_after_ms,
            Standing::Enroll(_) => 0,
        };
        assert_eq!(end(issuing.standing(&state, NOW_MS)), NOW_MS + 30 * DAY_MS);
        keep(later).expect("kept");
        assert_eq!(end(issuing.standing(&state, NOW_MS)), NOW_MS + 60 * DAY_MS);
    }

    /// A clock that is wrong by more than the certificate's slack is said to be, and the
    /// certificate stays.
    #[test]
    fn a_clock_that_is_behind_is_no_reason_to_enroll() {
        let (_dir, state) = folder();
        let issuing = Issuing::new();
        let request = issuing.request(&state, NOW_MS);
        let certificate = issuing.issue(&request, 7, 30);
        state.keep_certificate(&issuing.provider, "alice", certificate, NOW_MS).expect("kept");
        let error = state.standing(&issuing.provider, "alice", NOW_MS - 2 * DAY_MS);
        let error = error.expect_err("not yet valid").to_string();
        assert!(error.contains("check the date"), "{error}");
    }

    /// A self-signed certificate counts for nothing where there is an authority, but its key does.
    #[test]
    fn a_self_signed_identity_enrolls_with_its_key() {
        let (_dir, state) = folder();
        let before = state.identity(&provider(), "alice", NOW_MS).expect("made");
        let issuing = Issuing::new();
        let both = X509Provider { self_signed: provider().self_signed, ..issuing.provider.clone() };
        let Standing::Enroll(request) = state.standing(&both, "alice", NOW_MS).expect("usable")
        else {
            panic!("self-signed");
        };
        assert_eq!(request.private_key_der, before.keys.private_key_der);
        let certificate = issuing.issue(&request, 7, 30);
        let kept = state.keep_certificate(&both, "alice", certificate, NOW_MS).expect("kept");
        assert!(!kept.identity.certificate.self_signed);
    }

    /// The password is kept where it is encrypted, and nowhere else.
    #[test]
    fn a_password_is_kept_only_if_it_is_sealed() {
        let (dir, mut state) = folder();
        let credentials =
            Credentials { account: "alice.smith".into(), password: Password::new("open sesame") };
        let path = dir.path().join("overlays/example.org/alice/account");
        let save = |state: &StateFolder| {
            state.save_credentials("example.org", "alice", &credentials).expect("saved");
            state.credentials("example.org", "alice").expect("read").expect("there")
        };
        assert_eq!(save(&state), ("alice.smith".into(), None));
        let text = fs::read_to_string(&path).expect("there");
        assert!(text.contains("alice.smith") && !text.contains("sesame"), "{text}");
        state.save_own_credentials("example.org", "alice", &credentials).expect("saved");
        let own = save(&state);
        assert_eq!(own, ("alice.smith".into(), Some(credentials.clone())), "nobody has chosen it");
        state.protect_by_password(&Password::new("correct horse")).expect("sealed");
        assert!(is_sealed(&fs::read(&path).expect("there")));
        assert_eq!(save(&state), ("alice.smith".into(), Some(credentials.clone())));
        let sealed = fs::read(&path).expect("there");
        assert!(!sealed.windows(6).any(|window| window == b"sesame"));
    }
}
