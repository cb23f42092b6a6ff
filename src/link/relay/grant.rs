//! How a relay's credentials come to a user: asked for and given in signed messages of the
//! overlay, sealed so that those who pass them on cannot read them (T-42, our extension).
//!
//! Both sides make a key for X25519 (RFC 7748) for this one exchange; the signatures of the
//! messages vouch for them. One round trip, and the relay remembers nothing.

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::SystemRandom;

use super::limits::{CREDENTIALS_LIFETIME_MS, NONCE_LIFETIME_MS};
use crate::base::{Decode, DecodeError, Encode, NodeId, Reader, Writer};
use crate::usage::{Lender, RelayCredentials, RelaySecret};

/// What a user needs to know of a relay, beside its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// User name and password.
    pub credentials: RelayCredentials,
    /// The realm of both.
    pub realm: String,
    /// The first nonce, which saves a round trip.
    pub nonce: String,
    /// For how long all this counts, in seconds.
    pub lifetime_s: u32,
}

impl Encode for Grant {
    fn encode(&self, writer: &mut Writer) {
        let RelayCredentials { username, password } = &self.credentials;
        for text in [username, password, &self.realm, &self.nonce] {
            writer.vec8(|w| w.bytes(text.as_bytes()));
        }
        writer.u32(self.lifetime_s);
    }
}

impl Decode for Grant {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut text = |field| {
            let text = String::from_utf8(reader.opaque8()?.to_vec());
            text.map_err(|_| DecodeError::Invalid(field))
        };
        let (username, password) = (text("username")?, text("password")?);
        let credentials = RelayCredentials { username, password };
        let (realm, nonce) = (text("realm")?, text("nonce")?);
        Ok(Self { credentials, realm, nonce, lifetime_s: reader.u32()? })
    }
}

/// A question for credentials that has been asked.
#[derive(Debug)]
pub struct Asking(EphemeralPrivateKey);

impl Asking {
    /// A question and its bytes; nothing if the system has no randomness.
    pub fn new() -> Option<(Self, Vec<u8>)> {
        let key = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).ok()?;
        let question = key.compute_public_key().ok()?.as_ref().to_vec();
        Some((Self(key), question))
    }

    /// Reads the answer.
    pub fn read(self, answer: &[u8]) -> Option<Grant> {
        let (public, sealed) = answer.split_at_checked(PUBLIC_KEY_LENGTH)?;
        let mut sealed = sealed.to_vec();
        let key = shared_key(self.0, public)?;
        let opened = key.open_in_place(nonce(), Aad::empty(), &mut sealed).ok()?;
        Grant::from_bytes(opened).ok()
    }
}

/// Gives out the credentials of one relay.
#[derive(Debug)]
pub struct Granter {
    /// Where they come from.
    pub secret: RelaySecret,
    /// Their realm.
    pub realm: String,
}

impl Lender for Granter {
    fn grant(&self, node_id: NodeId, now_unix_ms: u64, question: &[u8]) -> Option<Vec<u8>> {
        let own = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).ok()?;
        let mut answer = own.compute_public_key().ok()?.as_ref().to_vec();
        let grant = Grant {
            credentials: self.secret.credentials(node_id, now_unix_ms + CREDENTIALS_LIFETIME_MS),
            realm: self.realm.clone(),
            nonce: self.secret.nonce(now_unix_ms + NONCE_LIFETIME_MS),
            lifetime_s: (CREDENTIALS_LIFETIME_MS / 1000) as u32,
        };
        let mut sealed = grant.to_bytes().ok()?;
        let key = shared_key(own, question)?;
        key.seal_in_place_append_tag(nonce(), Aad::empty(), &mut sealed).ok()?;
        answer.append(&mut sealed);
        Some(answer)
    }
}

/// The key of one exchange.
fn shared_key(own: EphemeralPrivateKey, theirs: &[u8]) -> Option<LessSafeKey> {
    let theirs = UnparsedPublicKey::new(&X25519, theirs);
    let key = agree_ephemeral(own, &theirs, |secret| {
        let derived = Salt::new(HKDF_SHA256, &[]).extract(secret);
        let okm = derived.expand(&[LABEL], &AES_128_GCM).ok()?;
        Some(LessSafeKey::new(UnboundKey::from(okm)))
    });
    key.ok()?
}

/// Each key seals one thing.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

const LABEL: &[u8] = b"chordial relay credentials";
const PUBLIC_KEY_LENGTH: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// T-42: the credentials are those of who has asked, and nobody else can read the answer.
    #[test]
    fn only_who_asks_can_read_the_credentials() {
        let granter = Granter { secret: RelaySecret::new(&[1; 32]), realm: "example.org".into() };
        let node = NodeId::from_u128(5);
        let (asking, question) = Asking::new().unwrap();
        let answer = granter.grant(node, 1000, &question).unwrap();
        let (eavesdropper, _) = Asking::new().unwrap();
        assert_eq!(eavesdropper.read(&answer), None);
        let grant = asking.read(&answer).unwrap();
        let (whose, _, password) = granter.secret.read(&grant.credentials.username).unwrap();
        assert_eq!((whose, password), (node, grant.credentials.password));
        assert!(granter.secret.is_fresh(&grant.nonce, 1000));

        for broken in [&[][..], &[0; 31], &[0; 32], &question[1..]] {
            assert!(granter.grant(node, 1000, broken).is_none());
            assert!(Asking::new().unwrap().0.read(broken).is_none());
        }
    }
}
