//! The error response (RFC 6940 §6.3.3.1).

use crate::base::{Decode, DecodeError, Encode, Reader, Writer};

/// Body of an answer that reports a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorResponse {
    /// What went wrong.
    pub code: ErrorCode,
    /// UTF-8 text, unless the code defines a structure.
    pub info: Vec<u8>,
}

impl ErrorResponse {
    /// An error without further information.
    pub fn new(code: ErrorCode) -> Self {
        Self { code, info: Vec::new() }
    }

    /// An error with a sentence for people.
    pub fn with_text(code: ErrorCode, text: &str) -> Self {
        Self { code, info: text.as_bytes().to_vec() }
    }
}

impl Encode for ErrorResponse {
    fn encode(&self, writer: &mut Writer) {
        writer.u16(self.code.0);
        writer.vec16(|w| w.bytes(&self.info));
    }
}

impl Decode for ErrorResponse {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { code: ErrorCode(reader.u16()?), info: reader.opaque16()?.to_vec() })
    }
}

/// A registered error code (RFC 6940 §14.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub u16);

impl ErrorCode {
    /// The signer may not do this.
    pub const FORBIDDEN: Self = Self(0x2);
    /// No such resource, or we are not responsible for it.
    pub const NOT_FOUND: Self = Self(0x3);
    /// An answer did not come in time.
    pub const REQUEST_TIMEOUT: Self = Self(0x4);
    /// The generation counter is not the current one; the information is a StoreAns.
    pub const GENERATION_COUNTER_TOO_LOW: Self = Self(0x5);
    /// The message is of another overlay or breaks its rules.
    pub const INCOMPATIBLE_WITH_OVERLAY: Self = Self(0x6);
    /// A critical forwarding option is unknown.
    pub const UNSUPPORTED_FORWARDING_OPTION: Self = Self(0x7);
    /// More or larger values than the Kind allows.
    pub const DATA_TOO_LARGE: Self = Self(0x8);
    /// A newer value is stored already.
    pub const DATA_TOO_OLD: Self = Self(0x9);
    /// The message has crossed too many links.
    pub const TTL_EXCEEDED: Self = Self(0xa);
    /// The message is larger than the overlay allows.
    pub const MESSAGE_TOO_LARGE: Self = Self(0xb);
    /// A Kind is unknown; the information lists which.
    pub const UNKNOWN_KIND: Self = Self(0xc);
    /// A critical extension is unknown.
    pub const UNKNOWN_EXTENSION: Self = Self(0xd);
    /// The answer would be larger than the requester takes.
    pub const RESPONSE_TOO_LARGE: Self = Self(0xe);
    /// The sender's configuration is older than ours.
    pub const CONFIG_TOO_OLD: Self = Self(0xf);
    /// The sender's configuration is newer than ours.
    pub const CONFIG_TOO_NEW: Self = Self(0x10);
    /// What is asked for is being done already.
    pub const IN_PROGRESS: Self = Self(0x11);
    /// The message does not parse or contradicts itself.
    pub const INVALID_MESSAGE: Self = Self(0x14);
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match *self {
            Self::FORBIDDEN => "forbidden",
            Self::NOT_FOUND => "not found",
            Self::REQUEST_TIMEOUT => "request timeout",
            Self::GENERATION_COUNTER_TOO_LOW => "generation counter too low",
            Self::INCOMPATIBLE_WITH_OVERLAY => "incompatible with overlay",
            Self::UNSUPPORTED_FORWARDING_OPTION => "unsupported forwarding option",
            Self::DATA_TOO_LARGE => "data too large",
            Self::DATA_TOO_OLD => "data too old",
            Self::TTL_EXCEEDED => "TTL exceeded",
            Self::MESSAGE_TOO_LARGE => "message too large",
            Self::UNKNOWN_KIND => "unknown kind",
            Self::UNKNOWN_EXTENSION => "unknown extension",
            Self::RESPONSE_TOO_LARGE => "response too large",
            Self::CONFIG_TOO_OLD => "configuration too old",
            Self::CONFIG_TOO_NEW => "configuration too new",
            Self::IN_PROGRESS => "in progress",
            Self::INVALID_MESSAGE => "invalid message",
            Self(code) => return write!(f, "error {code:#x}"),
        };
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::{MessageCode, MessageContents};

    proptest! {
        /// R6940-6.3.3.1-04: the information is text for people, but any bytes are taken as they
        /// are, and whatever comes is an error or none.
        #[test]
        fn information_may_be_anything(code: u16, info: Vec<u8>, wild: Vec<u8>) {
            let error = ErrorResponse { code: ErrorCode(code), info };
            let bytes = error.to_bytes().expect("short");
            prop_assert_eq!(ErrorResponse::from_bytes(&bytes), Ok(error));
            let text = "Kind \u{1f4de} is unknown";
            let info = ErrorResponse::with_text(ErrorCode(code), text).info;
            prop_assert_eq!(std::str::from_utf8(&info), Ok(text));
            if let Ok(read) = ErrorResponse::from_bytes(&wild) {
                prop_assert_eq!(read.to_bytes(), Ok(wild));
            }
        }
    }

    /// R6940-6.3.3.1-02: a bare Error_Forbidden.
    #[test]
    fn an_error_is_a_code_and_information() {
        let body = ErrorResponse::new(ErrorCode::FORBIDDEN).to_bytes().expect("short");
        assert_eq!(body, [0, 2, 0, 0]);
        let contents = MessageContents::new(MessageCode::ERROR, body).to_bytes().expect("short");
        assert_eq!(hex::encode(contents), "ffff000000040002000000000000");
    }
}
