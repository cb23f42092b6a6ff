//! Why messages vanish, told apart so that an operator can see what is going on.

use std::fmt;

/// Why a message vanishes without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// It came over a link that is not up.
    UnknownLink,
    /// Its forwarding header is none (RFC 6940 §6.3.2).
    Header,
    /// It is of another overlay.
    Overlay,
    /// It has no destination, or a Resource-ID that is not the last one (§6.1.1).
    DestinationList,
    /// An opaque ID that is not ours, or not any more (§6.3.2.2).
    Opaque,
    /// It is for a Node-ID in our range that nobody linked to us has (§6.1.1).
    NoSuchNode,
    /// We know no peer to send it to, or are none ourselves.
    NoRoute,
    /// An answer or a later fragment that would have been refused as a request (T-10).
    NotRefusable,
    /// An answer with option flags set (§6.3.2.3).
    AnswerFlags,
    /// A whole message for us that does not parse.
    Contents,
    /// Its signature or certificate does not hold (§6.3.4).
    Signature,
    /// The overlay's configuration excludes its signer.
    BadNode,
    /// An answer to nothing that we asked, or not any more.
    Unasked,
    /// An answer from somebody who was not asked (§6.3.4), or of another kind than asked for.
    WrongAnswer,
    /// An Update whose type is unknown (§6.3.1.1).
    UnknownUpdate,
    /// It would have been refused, but that linked node has caused too many errors already.
    RateLimited,
    /// Too many messages to ourselves wait already.
    Loopback,
    /// It cannot be encoded, or the link for it is gone.
    Unsendable,
    /// The other side of a link has not acknowledged it, and there is no other way.
    Undelivered,
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All reasons, in the order of their declaration.
    pub const ALL: [Self; 19] = [
        Self::UnknownLink,
        Self::Header,
        Self::Overlay,
        Self::DestinationList,
        Self::Opaque,
        Self::NoSuchNode,
        Self::NoRoute,
        Self::NotRefusable,
        Self::AnswerFlags,
        Self::Contents,
        Self::Signature,
        Self::BadNode,
        Self::Unasked,
        Self::WrongAnswer,
        Self::UnknownUpdate,
        Self::RateLimited,
        Self::Loopback,
        Self::Unsendable,
        Self::Undelivered,
    ];
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownLink => "link not up",
            Self::Header => "bad header",
            Self::Overlay => "other overlay",
            Self::DestinationList => "bad destination list",
            Self::Opaque => "unknown opaque id",
            Self::NoSuchNode => "no such node",
            Self::NoRoute => "no route",
            Self::NotRefusable => "not refusable",
            Self::AnswerFlags => "flags in an answer",
            Self::Contents => "bad contents",
            Self::Signature => "bad signature",
            Self::BadNode => "excluded node",
            Self::Unasked => "answer to nothing",
            Self::WrongAnswer => "wrong answer",
            Self::UnknownUpdate => "unknown update",
            Self::RateLimited => "rate limited",
            Self::Loopback => "too many to ourselves",
            Self::Unsendable => "unsendable",
            Self::Undelivered => "undelivered",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_place() {
        for (place, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
        }
    }
}
