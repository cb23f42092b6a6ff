//! Values of header fields that extensions of SIP have brought: RAck (RFC 3262 §7.2) and
//! Session-Expires (RFC 4028 §4).

use std::fmt;
use std::str::FromStr;

use super::text::{Params, split};
use super::{CSeq, HeaderError};

/// Which provisional response a PRACK acknowledges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RAck {
    /// The number in the response's RSeq.
    pub rseq: u32,
    /// The CSeq of the response.
    pub cseq: CSeq,
}

impl FromStr for RAck {
    type Err = HeaderError;

    fn from_str(text: &str) -> Result<Self, HeaderError> {
        const INVALID: HeaderError = HeaderError::Invalid("RAck");
        let (rseq, cseq) = text.trim().split_once(char::is_whitespace).ok_or(INVALID)?;
        let cseq = cseq.parse().map_err(|_| INVALID)?;
        Ok(Self { rseq: number(rseq).ok_or(INVALID)?, cseq })
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rseq, self.cseq)
    }
}

/// How long a session lives without a refresh, and who refreshes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionExpires {
    /// The interval in seconds.
    pub seconds: u32,
    /// Who refreshes the session, once that is settled.
    pub refresher: Option<Refresher>,
}

/// The side of a request that refreshes a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    /// Who has sent the request.
    Uac,
    /// Who has answered it.
    Uas,
}

impl FromStr for SessionExpires {
    type Err = HeaderError;

    fn from_str(text: &str) -> Result<Self, HeaderError> {
        const INVALID: HeaderError = HeaderError::Invalid("Session-Expires");
        let pieces = split(text, ';');
        let (seconds, pieces) = pieces.split_first().ok_or(INVALID)?;
        let params = Params::from_pieces(pieces)?;
        let refresher = match params.value("refresher") {
            Some(side) if side.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(side) if side.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            Some(_) => return Err(INVALID),
            None => None,
        };
        Ok(Self { seconds: number(seconds).ok_or(INVALID)?, refresher })
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refresher = match self.refresher {
            Some(Refresher::Uac) => ";refresher=uac",
            Some(Refresher::Uas) => ";refresher=uas",
            None => "",
        };
        write!(f, "{}{refresher}", self.seconds)
    }
}

/// A number of digits alone.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}
