//! What can be wrong with a document, each as one sentence for its author.

use thiserror::Error;

use super::domain::PatternError;
use super::limits;
use super::name::NameError;

/// Why a document cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// More than [`limits::DOCUMENT_BYTES_MAX`].
    #[error("the overlay document is larger than {} KiB", limits::DOCUMENT_BYTES_MAX / 1024)]
    TooLarge,
    /// Not UTF-8 (RFC 6940 §11.1).
    #[error("the overlay document is not UTF-8 text")]
    NotUtf8,
    /// Not XML.
    #[error("the overlay document is not well-formed XML at line {line}: {reason}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// The XML reader's own words.
        reason: String,
    },
    /// A DTD, or an entity that only a DTD could define: they are not expanded.
    #[error("the overlay document has a DTD or an entity of its own, which are not allowed")]
    Entity,
    /// The file is XML, but not an overlay document with at least one configuration.
    #[error("the overlay document has no configuration element inside an overlay element")]
    NoConfiguration,
    /// The file describes other overlays only.
    #[error("the overlay document does not describe an overlay named {0:?}")]
    OtherOverlay(String),
    /// A part that must be there is not.
    #[error("the overlay document lacks {part} in {element}")]
    Missing {
        /// Where it is missing.
        element: String,
        /// An element or an attribute.
        part: &'static str,
    },
    /// An element that says one thing occurs several times.
    #[error("the overlay document has more than one {0} element, where only one is allowed")]
    Repeated(&'static str),
    /// A value is not what its element or attribute holds.
    #[error("the overlay document has {found:?} in {element}, where {expected} is expected")]
    Value {
        /// The element or attribute.
        element: &'static str,
        /// The beginning of what stands there.
        found: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// The overlay has no usable name.
    #[error("the overlay document has an instance-name that cannot be used: {0}")]
    Name(#[from] NameError),
    /// A pattern of domains that is none (RFC 7904 §3.4).
    #[error(
        "the overlay document has {pattern:?} as a pattern of domains, which it is not: {reason}"
    )]
    Pattern {
        /// The beginning of what stands there.
        pattern: String,
        /// What is wrong with it.
        reason: PatternError,
    },
    /// The document is in order, but asks for what this program cannot do.
    #[error("the overlay needs the {what} {value:?}, which this program does not have")]
    Unsupported {
        /// Which element asks.
        what: &'static str,
        /// What it asks for.
        value: String,
    },
    /// The overlay is in shared-secret mode (RFC 6940 §13.4).
    #[error(
        "the overlay lets in whoever shows its shared-secret on each connection, which this \
         program cannot do; ask who runs it for an overlay with accounts or with certificates"
    )]
    SharedSecret,
}

/// As much of a foreign value as fits into one line of a message.
pub(super) fn excerpt(value: &str) -> String {
    const CHARS_MAX: usize = 60;
    match value.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}
