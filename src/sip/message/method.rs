//! Methods (RFC 3261 §7.1).

use std::fmt;
use std::str::FromStr;

use super::HeaderError;
use super::text::is_token;

/// A method: one that the SIP family of RFCs defines, or any other token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// A method with a name in the vocabulary.
    Known(rsip::Method),
    /// A token that names no method we have heard of; it is answered 501.
    Unknown(UnknownMethod),
}

/// The token of a method that the vocabulary lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownMethod(String);

impl Method {
    /// Whether this is that method.
    pub fn is(&self, method: rsip::Method) -> bool {
        *self == Self::Known(method)
    }
}

impl FromStr for Method {
    type Err = HeaderError;

    fn from_str(text: &str) -> Result<Self, HeaderError> {
        // The vocabulary reads "invite" as INVITE, but methods are case-sensitive.
        match text.parse::<rsip::Method>() {
            Ok(method) if method.to_string() == text => Ok(Self::Known(method)),
            _ if is_token(text) => Ok(Self::Unknown(UnknownMethod(text.to_owned()))),
            _ => Err(HeaderError::Invalid("method")),
        }
    }
}

impl From<rsip::Method> for Method {
    fn from(method: rsip::Method) -> Self {
        Self::Known(method)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(method) => method.fmt(f),
            Self::Unknown(UnknownMethod(token)) => f.write_str(token),
        }
    }
}
