//! Secrets at rest: sealed under a password, which Argon2id (RFC 9106) makes slow to guess, or
//! under a key that somebody else keeps; ChaCha20-Poly1305 (RFC 8439) does the sealing.
//!
//! ```text
//! "chordial" version method [memory passes lanes salt] nonce | sealed bytes and tag | SHA-256
//! ```
//!
//! The costs of Argon2id stand in the header, so that later versions may raise them; a reader
//! bounds them. Header and place go into the authentication: what was sealed for one place does
//! not open in another. The digest at the end tells a damaged file from a wrong password; whoever
//! wants to guess passwords learns nothing from it that the tag would not say.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;
use thiserror::Error;
use zeroize::Zeroizing;

/// A secret in plain, overwritten when it is dropped.
pub type Secret = Zeroizing<Vec<u8>>;

/// What a person types to open something. It is overwritten when dropped and never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Password(Zeroizing<String>);

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl Password {
    /// The fewest characters of a password that protects something new: NIST SP 800-63B §5.1.1
    /// has no shorter one.
    pub const CHARS_MIN: usize = 8;

    /// A password, to the letter.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is long enough to protect something new.
    pub fn is_long_enough(&self) -> bool {
        self.0.chars().count() >= Self::CHARS_MIN
    }

    /// Seals `secret` for `place`. Slow on purpose: a fifth of a second and 64 MiB.
    pub fn seal(&self, place: &str, secret: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut salt = [0; SALT_LENGTH];
        SystemRandom::new().fill(&mut salt).map_err(|_| VaultError::Random)?;
        let costs = Costs::OURS;
        let mut header = header(METHOD_PASSWORD);
        for cost in [costs.memory_kib, costs.passes, costs.lanes] {
            header.extend(cost.to_be_bytes());
        }
        header.extend(salt);
        self.key(costs, &salt)?.seal_after(header, place, secret)
    }

    /// Opens what [`Self::seal`] made for the same place.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Secret, VaultError> {
        let (header, rest) = unwrap(sealed, METHOD_PASSWORD)?;
        let (costs, rest) = rest.split_at_checked(COSTS_LENGTH).ok_or(VaultError::Damaged)?;
        let (salt, rest) = rest.split_at_checked(SALT_LENGTH).ok_or(VaultError::Damaged)?;
        let header = &sealed[..header.len() + COSTS_LENGTH + SALT_LENGTH];
        self.key(Costs::read(costs)?, salt)?.open_after(header, rest, place)
    }

    fn key(&self, costs: Costs, salt: &[u8]) -> Result<SealingKey, VaultError> {
        let length = Some(SealingKey::LENGTH);
        let params = Params::new(costs.memory_kib, costs.passes, costs.lanes, length)
            .map_err(|_| VaultError::Costs)?;
        let mut key = Zeroizing::new([0; SealingKey::LENGTH]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(self.0.as_bytes(), salt, &mut key[..])
            .map_err(|_| VaultError::Costs)?;
        Ok(SealingKey(key))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// A random key that seals. It is overwritten when dropped and never printed.
#[derive(Clone)]
pub struct SealingKey(Zeroizing<[u8; SealingKey::LENGTH]>);

impl SealingKey {
    /// Length in bytes.
    pub const LENGTH: usize = 32;

    /// A fresh key.
    pub fn generate() -> Result<Self, VaultError> {
        let mut key = Zeroizing::new([0; Self::LENGTH]);
        SystemRandom::new().fill(&mut key[..]).map_err(|_| VaultError::Random)?;
        Ok(Self(key))
    }

    /// The key of these bytes; `None` if there are too many or too few.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|key| Self(Zeroizing::new(key)))
    }

    /// The bytes, for whoever keeps the key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0[..]
    }

    /// Seals `secret` for `place`.
    pub fn seal(&self, place: &str, secret: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.seal_after(header(METHOD_KEY), place, secret)
    }

    /// Opens what [`Self::seal`] made for the same place.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Secret, VaultError> {
        let (header, rest) = unwrap(sealed, METHOD_KEY)?;
        self.open_after(header, rest, place)
    }

    fn seal_after(
        &self,
        mut header: Vec<u8>,
        place: &str,
        secret: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| VaultError::Random)?;
        let mut sealed = Zeroizing::new(secret.to_vec());
        let aad = Aad::from([&header, place.as_bytes()].concat());
        self.cipher()?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut *sealed)
            .map_err(|_| VaultError::TooLong)?;
        header.extend(nonce);
        header.extend_from_slice(&sealed);
        let digest = digest(&SHA256, &header);
        header.extend_from_slice(digest.as_ref());
        Ok(header)
    }

    fn open_after(&self, header: &[u8], rest: &[u8], place: &str) -> Result<Secret, VaultError> {
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN).ok_or(VaultError::Damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::Damaged)?;
        let mut opened = Zeroizing::new(sealed.to_vec());
        let aad = Aad::from([header, place.as_bytes()].concat());
        let length = self.cipher()?.open_in_place(nonce, aad, &mut opened);
        let length = length.map_err(|_| VaultError::WrongKey)?.len();
        opened.truncate(length);
        Ok(opened)
    }

    fn cipher(&self) -> Result<LessSafeKey, VaultError> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &self.0[..]);
        key.map(LessSafeKey::new).map_err(|_| VaultError::WrongKey)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey")
    }
}

/// Whether bytes are something sealed, opened by whatever, rather than something in plain.
pub fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Why something cannot be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum VaultError {
    /// Nothing of this kind was ever sealed.
    #[error("it is not a file of the right kind")]
    Foreign,
    /// It was made by a later version.
    #[error("it was made by a newer version of Chordial")]
    Version,
    /// The digest does not fit, or the end is missing.
    #[error("it is damaged")]
    Damaged,
    /// The header asks for more work than an honest one would.
    #[error("it asks for more memory or time than is sensible")]
    Costs,
    /// Another password, key or place.
    #[error("the password is wrong")]
    WrongKey,
    /// More than the cipher takes.
    #[error("it is too long")]
    TooLong,
    /// The system has no randomness to give.
    #[error("this computer has no random numbers to give")]
    Random,
}

/// What a guess at a password costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Costs {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Costs {
    /// The second recommendation of RFC 9106 §4, for machines with little memory to spare.
    const OURS: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 };

    /// The costs in a header, if an honest one could have them.
    fn read(bytes: &[u8]) -> Result<Self, VaultError> {
        let number = |at: usize| {
            let bytes = bytes.get(4 * at..4 * at + 4).and_then(|b| b.try_into().ok());
            bytes.map(u32::from_be_bytes).ok_or(VaultError::Damaged)
        };
        let costs = Self { memory_kib: number(0)?, passes: number(1)?, lanes: number(2)? };
        let is_sensible = costs.memory_kib <= MEMORY_KIB_MAX
            && costs.passes <= PASSES_MAX
            && costs.lanes <= LANES_MAX;
        is_sensible.then_some(costs).ok_or(VaultError::Costs)
    }
}

fn header(method: u8) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend([VERSION, method]);
    header
}

/// The header's fixed part, and what is between it and the digest, which fits.
fn unwrap(sealed: &[u8], method: u8) -> Result<(&[u8], &[u8]), VaultError> {
    if !is_sealed(sealed) {
        return Err(VaultError::Foreign);
    }
    let length = sealed.len().checked_sub(SHA256_OUTPUT_LEN).ok_or(VaultError::Damaged)?;
    let (body, mark) = sealed.split_at(length);
    let (header, rest) = body.split_at_checked(HEADER_LENGTH).ok_or(VaultError::Damaged)?;
    match &header[MAGIC.len()..] {
        [version, _] if *version > VERSION => Err(VaultError::Version),
        _ if digest(&SHA256, body).as_ref() != mark => Err(VaultError::Damaged),
        [VERSION, found] if *found == method => Ok((header, rest)),
        _ => Err(VaultError::Foreign),
    }
}

const MAGIC: &[u8] = b"chordial";
const VERSION: u8 = 1;
const METHOD_KEY: u8 = 0;
const METHOD_PASSWORD: u8 = 1;
const HEADER_LENGTH: usize = MAGIC.len() + 2;
const COSTS_LENGTH: usize = 12;
const SALT_LENGTH: usize = 16;

// limits: a sealed file may come from somebody else

/// Four times our own memory: room to raise it, and what any computer can spare.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
/// With that memory, a few seconds.
const PASSES_MAX: u32 = 10;
/// RFC 9106 §4 recommends four.
const LANES_MAX: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = "example.org/alice/key";

    #[test]
    fn what_is_sealed_opens_by_the_same_password_in_the_same_place_only() {
        let password = Password::new("correct horse");
        let sealed = password.seal(PLACE, b"secret").expect("sealed");
        assert!(is_sealed(&sealed) && !sealed.windows(6).any(|w| w == b"secret"));
        assert_eq!(password.open(PLACE, &sealed).expect("opened").as_slice(), b"secret");
        let wrong = Err(VaultError::WrongKey);
        assert_eq!(Password::new("correct house").open(PLACE, &sealed), wrong);
        assert_eq!(password.open("example.org/bob/key", &sealed), wrong);
        let again = password.seal(PLACE, b"secret").expect("sealed");
        assert_ne!(again, sealed, "salt and nonce are fresh");
    }

    #[test]
    fn what_is_sealed_opens_by_the_same_key_in_the_same_place_only() {
        let key = SealingKey::generate().expect("random");
        let sealed = key.seal(PLACE, b"secret").expect("sealed");
        let same = SealingKey::from_bytes(key.as_bytes()).expect("a key");
        assert_eq!(same.open(PLACE, &sealed).expect("opened").as_slice(), b"secret");
        let other = SealingKey::generate().expect("random");
        assert_eq!(other.open(PLACE, &sealed), Err(VaultError::WrongKey));
        assert_eq!(same.open("elsewhere", &sealed), Err(VaultError::WrongKey));
        // A key is no password.
        assert_eq!(Password::new("secret").open(PLACE, &sealed), Err(VaultError::Foreign));
        assert_eq!(SealingKey::from_bytes(&[0; 31]).map(|_| ()), None);
    }

    /// Every changed byte and every length is an error, and none of them is a wrong password:
    /// the user is told what to do about it.
    #[test]
    fn a_damaged_file_is_told_from_a_wrong_password() {
        let key = SealingKey::generate().expect("random");
        let sealed = key.seal(PLACE, b"secret").expect("sealed");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            let error = key.open(PLACE, &changed).expect_err("changed");
            assert_ne!(error, VaultError::WrongKey, "byte {at}");
            assert!(key.open(PLACE, &sealed[..at]).is_err_and(|e| e != VaultError::WrongKey));
        }
    }

    /// A file that asks for four gigabytes, or for a day, is refused before anything is done.
    #[test]
    fn costs_of_a_stranger_are_bounded() {
        let password = Password::new("correct horse");
        let costs = |memory_kib: u32, passes: u32, lanes: u32| {
            let mut file = header(METHOD_PASSWORD);
            for cost in [memory_kib, passes, lanes] {
                file.extend(cost.to_be_bytes());
            }
            file.extend([0; SALT_LENGTH + NONCE_LEN + 16]);
            let digest = digest(&SHA256, &file);
            file.extend_from_slice(digest.as_ref());
            password.open(PLACE, &file).expect_err("refused")
        };
        assert_eq!(costs(4 * 1024 * 1024, 3, 4), VaultError::Costs);
        assert_eq!(costs(64, 1_000_000, 1), VaultError::Costs);
        assert_eq!(costs(1024, 1, 100), VaultError::Costs);
        assert_eq!(costs(0, 0, 0), VaultError::Costs);
        assert_eq!(costs(64, 1, 1), VaultError::WrongKey);
    }

    #[test]
    fn a_later_version_is_said_to_be_one() {
        let key = SealingKey::generate().expect("random");
        let mut sealed = key.seal(PLACE, b"secret").expect("sealed");
        sealed[MAGIC.len()] = VERSION + 1;
        assert_eq!(key.open(PLACE, &sealed), Err(VaultError::Version));
    }

    /// The reference implementation's own vector: that of RFC 9106 §5.3 needs inputs which do not
    /// occur here.
    #[test]
    fn the_key_is_that_of_argon2id() {
        let costs = Costs { memory_kib: 64 * 1024, passes: 2, lanes: 1 };
        let key = Password::new("password").key(costs, b"somesalt").expect("made");
        assert_eq!(
            hex::encode(key.as_bytes()),
            "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"
        );
    }

    #[test]
    fn secrets_are_not_printed() {
        let printed = format!("{:?}", Password::new("correct horse"));
        assert!(!printed.contains("correct"));
        let key = SealingKey::from_bytes(&[0xab; 32]).expect("a key");
        assert!(!format!("{key:?}").contains("ab"), "{key:?}");
    }
}
