//! Passwords as they are kept: never themselves, but what Argon2id (RFC 9106) makes of them.

use argon2::{Algorithm, Argon2, Params, Version};
use ring::rand::{SecureRandom, SystemRandom};

use super::error::RegistryError;
use super::limits;

/// What is kept of a password. It names its own cost, so that the cost can be raised later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PasswordHash {
    memory_kib: u32,
    passes: u32,
    salt: [u8; SALT_LENGTH],
    hash: [u8; HASH_LENGTH],
}

impl PasswordHash {
    /// The hash of a prepared password under a salt of its own. Takes some ten milliseconds.
    pub(super) fn of(password: &str) -> Result<Self, RegistryError> {
        let mut salt = [0; SALT_LENGTH];
        SystemRandom::new().fill(&mut salt).map_err(|_| RegistryError::NoRandomness)?;
        let (memory_kib, passes) = (limits::HASH_MEMORY_KIB, limits::HASH_PASSES);
        let hash = argon2id(password, &salt, memory_kib, passes).ok_or(RegistryError::Password)?;
        Ok(Self { memory_kib, passes, salt, hash })
    }

    /// Whether this is the hash of `password`. Takes as long as making it.
    pub(super) fn verifies(&self, password: &str) -> bool {
        let hash = argon2id(password, &self.salt, self.memory_kib, self.passes);
        // Every byte is looked at, however early one differs.
        let differ = |other: [u8; HASH_LENGTH]| {
            self.hash.iter().zip(other).fold(0, |all, (ours, theirs)| all | (ours ^ theirs))
        };
        hash.is_some_and(|other| differ(other) == 0)
    }

    /// As the database keeps it.
    pub(super) fn write(&self) -> String {
        let Self { memory_kib, passes, salt, hash } = self;
        format!("argon2id:{memory_kib}:{passes}:{}:{}", hex::encode(salt), hex::encode(hash))
    }

    /// From what the database has kept.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("argon2id:")?.split(':');
        let memory_kib = parts.next()?.parse().ok()?;
        let passes = parts.next()?.parse().ok()?;
        let salt = hex::decode(parts.next()?).ok()?.try_into().ok()?;
        let hash = hex::decode(parts.next()?).ok()?.try_into().ok()?;
        Some(Self { memory_kib, passes, salt, hash })
    }
}

fn argon2id(
    password: &str,
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
) -> Option<[u8; HASH_LENGTH]> {
    let params = Params::new(memory_kib, passes, 1, Some(HASH_LENGTH)).ok()?;
    let mut hash = [0; HASH_LENGTH];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, &mut hash)
        .ok()?;
    Some(hash)
}

const SALT_LENGTH: usize = 16;
const HASH_LENGTH: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_verifies_its_password_alone_and_survives_the_database() {
        let hash = PasswordHash::of("correct horse").expect("hashed");
        assert_ne!(hash, PasswordHash::of("correct horse").expect("hashed"), "salted");
        let text = hash.write();
        assert!(!text.contains("correct"), "{text}");
        let kept = PasswordHash::read(&text).expect("kept");
        assert_eq!(kept, hash);
        assert!(kept.verifies("correct horse") && !kept.verifies("correct hors"));
        assert_eq!(PasswordHash::read("argon2id:1:1:00"), None);
        assert_eq!(PasswordHash::read("plain:secret"), None);
    }
}
