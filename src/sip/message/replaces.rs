//! The Replaces header field (RFC 3891 §6.1): a dialog that a new call takes the place of.

use std::fmt;
use std::str::FromStr;

use super::HeaderError;
use super::text::{Params, is_token, split};

/// Names a dialog as the one who is asked to give it up knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaces {
    /// The dialog's Call-ID.
    pub call_id: String,
    /// The tag of whoever is asked.
    pub to_tag: String,
    /// The tag of the one whose place is taken.
    pub from_tag: String,
    /// Whether only a phone that still rings is meant.
    pub early_only: bool,
}

impl FromStr for Replaces {
    type Err = HeaderError;

    fn from_str(text: &str) -> Result<Self, HeaderError> {
        const INVALID: HeaderError = HeaderError::Invalid("Replaces");
        let pieces = split(text, ';');
        let (call_id, pieces) = pieces.split_first().ok_or(INVALID)?;
        let params = Params::from_pieces(pieces)?;
        let tag = |name| params.value(name).filter(|tag| is_token(tag)).map(str::to_owned);
        let is_word = |c: char| c.is_ascii_graphic() && !",;".contains(c);
        if call_id.is_empty() || !call_id.chars().all(is_word) {
            return Err(INVALID);
        }
        Ok(Self {
            call_id: (*call_id).to_owned(),
            to_tag: tag("to-tag").ok_or(INVALID)?,
            from_tag: tag("from-tag").ok_or(INVALID)?,
            early_only: params.value("early-only").is_some(),
        })
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};to-tag={};from-tag={}", self.call_id, self.to_tag, self.from_tag)?;
        if self.early_only { f.write_str(";early-only") } else { Ok(()) }
    }
}
