//! The overlay's name, which must be fit for a DNS look-up (RFC 6940 §6.3.2).

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::str::FromStr;

use thiserror::Error;

/// An overlay's name: a DNS name of letters, digits and hyphens (RFC 1035 §2.3.1, RFC 1123 §2.1).
///
/// Two names are equal here if their octets are, because the octets are hashed;
/// [`OverlayName::matches`] compares as a user would.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OverlayName(String);

/// Why a name cannot be an overlay's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("the overlay's name is empty")]
    Empty,
    /// The name is longer than a DNS name can be.
    #[error("the overlay's name is longer than 253 characters")]
    TooLong,
    /// Two dots in a row, or one at the beginning or the end.
    #[error("{0:?} is not an overlay's name: nothing stands before or after one of its dots")]
    EmptyLabel(String),
    /// More than 63 characters between two dots.
    #[error("{0:?} is not an overlay's name: a part of it is longer than 63 characters")]
    LongLabel(String),
    /// A character that no host name has.
    #[error("{0:?} is not an overlay's name: {1:?} is neither a letter, a digit nor a hyphen")]
    Character(String, char),
    /// A hyphen at the edge of a part.
    #[error("{0:?} is not an overlay's name: a part of it begins or ends with a hyphen")]
    Hyphen(String),
    /// Four numbers are an address, which no server can hold a certificate or a zone for.
    #[error("{0:?} is an IP address, where an overlay's name is expected")]
    Address(String),
}

impl OverlayName {
    const LENGTH_MAX: usize = 253;
    const LABEL_LENGTH_MAX: usize = 63;

    /// The name, if it satisfies the grammar of DNS names; it keeps the case it has.
    pub fn new(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > Self::LENGTH_MAX {
            return Err(NameError::TooLong);
        }
        for label in name.split('.') {
            check_label(name, label)?;
        }
        if name.parse::<IpAddr>().is_ok() {
            return Err(NameError::Address(name.to_owned()));
        }
        Ok(Self(name.to_owned()))
    }

    /// The octets of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `typed` means this overlay: case is of no account in DNS.
    pub fn matches(&self, typed: &str) -> bool {
        self.0.eq_ignore_ascii_case(typed)
    }
}

impl Deref for OverlayName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OverlayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for OverlayName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::new(name)
    }
}

fn check_label(name: &str, label: &str) -> Result<(), NameError> {
    let name = || name.to_owned();
    if label.is_empty() {
        return Err(NameError::EmptyLabel(name()));
    }
    if let Some(other) = label.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
        return Err(NameError::Character(name(), other));
    }
    if label.len() > OverlayName::LABEL_LENGTH_MAX {
        return Err(NameError::LongLabel(name()));
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(NameError::Hyphen(name()));
    }
    Ok(())
}
