//! Whether a document that somebody hands us may take the place of what we have.

use thiserror::Error;

use crate::config::{ConfigError, Judge, OverlayName, SignedConfig, is_newer};

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
         sequence {kept} that is kept here, so it is not taken"
    )]
    Older {
        /// The sequence of ours.
        kept: u16,
        /// The sequence of the other one.
        found: u16,
    },
    /// It is another overlay's of the same name, or a forgery.
    #[error(
        "the document handed out there is not the one that the invitation is for; ask for a new \
         invitation"
    )]
    NotInvited,
    /// Nobody who may change the kept document has signed it.
    #[error(
        "the document handed out there is not signed by those who may change the one that is \
         kept here, so it is not believed"
    )]
    WronglySigned,
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

/// Checks that a document which nobody vouches for is the kept one, or is signed by those who may
/// change it and newer (RFC 6940 §11.1).
pub(super) fn follows(
    found: &SignedConfig,
    kept: &SignedConfig,
    unix_ms: u64,
) -> Result<(), DocumentError> {
    if found.bytes == kept.bytes {
        return Ok(());
    }
    let provider = kept.config.provider();
    let judge = Judge { provider: &provider, unix_ms: Some(unix_ms) };
    if found.signer(&kept.config.configuration_signers, judge).is_none() {
        return Err(DocumentError::WronglySigned);
    }
    let (found, kept) = (found.config.sequence, kept.config.sequence);
    match is_newer(found, kept) {
        true => Ok(()),
        false => Err(DocumentError::Older { kept, found }),
    }
}
