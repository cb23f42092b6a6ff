//! What can be wrong on the server's side, each as one sentence for its owner.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::config::{ConfigError, OverlayName};
use crate::crypto::{IdentityError, IssueError, Password, VaultError};

/// Why an overlay's folder cannot be used as asked.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// The folder or a file in it cannot be made or written.
    #[error("{path} cannot be used: {reason}; choose another folder with --state.")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The database does not do what it should.
    #[error("The overlay's database cannot be used: {0}.")]
    Database(#[from] rusqlite::Error),
    /// What the database holds is not what this program has written.
    #[error("The overlay's database is damaged ({0}); put a copy of it back.")]
    Damaged(&'static str),
    /// Nobody has started an overlay there.
    #[error("There is no overlay in {0}; start one there with `chordial overlay serve --name`.")]
    NotFounded(PathBuf),
    /// The folder is another overlay's.
    #[error("The overlay in this folder is {found}, not {wanted}; choose another folder.")]
    OtherOverlay {
        /// What was asked for.
        wanted: OverlayName,
        /// What is there.
        found: OverlayName,
    },
    /// A server runs in this folder.
    #[error("Another server of this overlay runs in {0}; end that one first.")]
    InUse(PathBuf),
    /// A name that no account can have.
    #[error(
        "{0:?} is no account name: it must have up to 64 letters a to z, digits, and . - _ + \
         between them."
    )]
    Name(String),
    /// A name that an account has.
    #[error("The name {0} is taken; choose another.")]
    Taken(String),
    /// A name that no account has.
    #[error("There is no account named {0}.")]
    NoAccount(String),
    /// A Node-ID that the account does not have.
    #[error("The account {account} has no Node-ID {node_id}.")]
    NoNodeId {
        /// The account.
        account: String,
        /// The Node-ID as it was typed.
        node_id: String,
    },
    /// A password that Argon2 does not take.
    #[error("This password cannot be used: it is empty or too long.")]
    Password,
    /// Private keys are sealed, and nobody has given the key.
    #[error(
        "The overlay's private keys are encrypted; give the file with their password, or \
         unlock Chordial if it runs the overlay."
    )]
    Locked,
    /// Another password than the one that was chosen for the private keys.
    #[error("The password of the overlay's private keys is wrong.")]
    PasswordWrong,
    /// A password that would protect little.
    #[error("Choose a password of at least {} characters.", Password::CHARS_MIN)]
    PasswordShort,
    /// A sealed private key does not open.
    #[error("The overlay's private keys cannot be used: {0}.")]
    Vault(#[from] VaultError),
    /// The operating system gives no randomness.
    #[error("The operating system gives no randomness.")]
    NoRandomness,
    /// The authority does not issue a certificate.
    #[error("A certificate cannot be issued: {0}.")]
    Issue(#[from] IssueError),
    /// The document cannot be written.
    #[error("The overlay's document cannot be written: {0}.")]
    Document(#[from] ConfigError),
    /// The server's own certificate and key do not fit.
    #[error("The server's own identity cannot be used: {0}.")]
    Identity(#[from] IdentityError),
}

impl RegistryError {
    pub(super) fn file(path: &Path, error: &std::io::Error) -> Self {
        Self::File { path: path.to_path_buf(), reason: error.to_string() }
    }
}
