//! Whether a document that somebody hands us may take the place of what we have.

use thiserror::Error;

use crate::config::{ConfigError, OverlayName, SignedConfig, is_newer};

/// Why a document is not taken: a part of a sentence each.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DocumentError {
    /// It cannot be used, or describes other overlays (RFC 6940 §11.2).
    #[error("what is handed out there can't be used: {0}")]
    Invalid(#[from] ConfigError),
    /// Its time is over.
    #[error("the document handed out there has expired; its owner has to renew it")]
    Expired,
    /// It has been replaced by the one that we have (T-81).
    #[error(
        "the document handed out there has sequence {found} and is older than the one with \
         sequence {kept} that is kept here; if the overlay was made anew, join with its file"
    )]
    Older {
        /// The sequence of ours.
        kept: u16,
        /// The sequence of the other one.
        found: u16,
    },
}

/// The configuration of `overlay` in a document that was handed to us, if it still holds.
pub(super) fn read(
    document: &[u8],
    overlay: &OverlayName,
    unix_ms: u64,
) -> Result<SignedConfig, DocumentError> {
    let document = SignedConfig::parse(document, Some(overlay))?;
    match document.config.is_expired(unix_ms) {
        true => Err(DocumentError::Expired),
        false => Ok(document),
    }
}

/// Checks that a document is not older than the kept one. HTTPS vouches for a document without a
/// signature, but a lower sequence is not taken without a word (T-81).
pub(super) fn not_older(
    found: &SignedConfig,
    kept: Option<&SignedConfig>,
) -> Result<(), DocumentError> {
    let found = found.config.sequence;
    match kept.map(|kept| kept.config.sequence) {
        Some(kept) if is_newer(kept, found) => Err(DocumentError::Older { kept, found }),
        _ => Ok(()),
    }
}
