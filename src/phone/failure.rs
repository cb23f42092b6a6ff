//! Why a call did not come about: the step that failed, and the one sentence about it.

use std::time::Duration;

use super::dial::nobody;
use super::trace::CallStep;
use super::trust::unproven_words;
use super::words;
use crate::link::{DtlsError, LinkError, NodeError, Surroundings};
use crate::media::sdp::SdpError;
use crate::message::ErrorCode;
use crate::peer::RequestError;
use crate::sip;
use crate::usage::Resolved;

/// The step of a call that failed, from the name to the sound; a later one got further.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The overlay did not say who has the name.
    LookUp(NodeError),
    /// There is nobody to call.
    Nobody(Box<Resolved>),
    /// The device did not agree to a connection.
    Asking(NodeError),
    /// It agreed, and no path was found between our network and its.
    NoPath(Surroundings, Surroundings),
    /// A path was found, and no secure connection on it.
    Securing(LinkError),
    /// Somebody else's device has answered.
    Impostor,
    /// Its key is not the one that its name had before; whether the user has refused it.
    Unproven(bool),
    /// Its phone has sent the call on to where it can't go.
    Redirected(Box<Resolved>),
    /// The device is connected, and its phone says nothing to our call.
    Mute,
    /// Its phone has said no, or stopped answering.
    Ended(sip::End),
    /// Whoever is outside of the overlays was not reached: one sentence.
    Outside(String),
}

impl Failure {
    /// How far the call came.
    fn step(&self) -> u8 {
        match self {
            Self::LookUp(_) => 0,
            Self::Nobody(_) => 1,
            Self::Asking(_) => 2,
            Self::NoPath(..) => 3,
            Self::Securing(_) => 4,
            Self::Impostor | Self::Unproven(_) => 5,
            Self::Mute => 6,
            Self::Ended(_) | Self::Outside(_) => 7,
            Self::Redirected(_) => 8,
        }
    }

    /// The same as people are shown it.
    fn call_step(&self) -> CallStep {
        match self {
            Self::LookUp(_) | Self::Nobody(_) => CallStep::LookUp,
            Self::Asking(_) => CallStep::Ask,
            Self::NoPath(..) => CallStep::Path,
            Self::Securing(_) | Self::Impostor | Self::Unproven(_) => CallStep::Secure,
            Self::Mute | Self::Ended(_) | Self::Outside(_) | Self::Redirected(_) => CallStep::Ring,
        }
    }

    /// What went wrong with the connection to a device that was asked for one.
    pub(super) fn connecting(error: NodeError, here: Surroundings, there: Surroundings) -> Self {
        match error {
            NodeError::Link(LinkError::NoPath) => Self::NoPath(here, there),
            NodeError::Link(error) => Self::Securing(error),
            error => Self::Asking(error),
        }
    }

    fn words(&self, peer: &str) -> String {
        match self {
            Self::LookUp(NodeError::Request(RequestError::Timeout)) => format!(
                "{peer} was not found: the computer that keeps this name for the overlay does not \
                 answer."
            ),
            Self::LookUp(error) => format!("{peer} could not be looked up: {error}."),
            Self::Nobody(resolved) | Self::Redirected(resolved) => nobody(peer, resolved),
            Self::Asking(NodeError::Request(RequestError::Timeout)) => format!(
                "{peer} can't be reached: the device that is registered does not answer; \
                 it may have been switched off."
            ),
            Self::Asking(NodeError::Request(RequestError::Refused(ErrorCode::NOT_FOUND))) => {
                format!(
                    "{peer} can't be reached: the device that is registered has left the overlay \
                     or takes no calls."
                )
            }
            Self::Asking(NodeError::Request(RequestError::Refused(ErrorCode::FORBIDDEN))) => {
                format!("{peer} can't be reached: the device refuses further connections.")
            }
            Self::Asking(error) => format!("{peer} can't be reached: {error}."),
            Self::NoPath(here, there) => format!("{peer} can't be reached: {}", path(here, there)),
            Self::Securing(LinkError::Dtls(DtlsError::CertificateRefused(reason))) => {
                format!("{peer} can't be reached: the device could not prove who it is ({reason}).")
            }
            Self::Securing(error) => format!(
                "{peer} can't be reached: the device was found, but no secure connection was made \
                 ({error})."
            ),
            Self::Impostor => {
                format!("{peer} can't be reached: another name answered in its place.")
            }
            Self::Unproven(is_refused) => unproven_words(peer, *is_refused),
            Self::Mute => format!(
                "{peer} can't be reached: the device is connected, but its phone does not react \
                 to the call."
            ),
            Self::Ended(end) => words::end(end, peer, false),
            Self::Outside(sentence) => sentence.clone(),
        }
    }
}

/// Why the sound of a call that was answered did not begin, or ended.
#[derive(Debug)]
pub(super) enum SoundFailure {
    /// The session descriptions have nothing in common.
    Description(SdpError),
    /// No path was found between our network and theirs.
    NoPath(Surroundings, Surroundings),
    /// No secure connection was made in this time.
    TooSlow(Duration),
    /// The path, or the secure connection on it, failed.
    Link(LinkError),
    /// Something of ours failed: one sentence.
    Here(String),
    /// Sound flowed until this happened.
    Lost(LinkError),
}

impl SoundFailure {
    /// One sentence.
    pub(super) fn sentence(&self, peer: &str) -> String {
        match self {
            Self::Description(SdpError::NoCommonCodec | SdpError::NoAudio) => words::no_codec(peer),
            Self::Description(error) => format!("No sound: {}", uncapitalized(&error.to_string())),
            Self::NoPath(here, there) => format!("No sound: {}", path(here, there)),
            Self::TooSlow(within) => {
                let seconds = within.as_secs();
                format!("No sound: no secure connection was made within {seconds} s.")
            }
            Self::Link(error) => format!("No sound: {error}."),
            Self::Here(sentence) => sentence.clone(),
            Self::Lost(error) => format!("The sound was lost: {error}."),
        }
    }
}

/// The failure that tells most of an attempt: that of the device that got furthest.
#[derive(Clone, Debug, Default)]
pub(super) struct Worst(Option<(String, Failure)>);

impl Worst {
    /// A device of this name, or the name itself, failed.
    pub(super) fn add(&mut self, peer: String, failure: Failure) {
        let got_further = |(_, known): &(String, Failure)| known.step() > failure.step();
        if !self.0.as_ref().is_some_and(got_further) {
            self.0 = Some((peer, failure));
        }
    }

    /// The step that failed.
    pub(super) fn step(&self) -> Option<CallStep> {
        self.0.as_ref().map(|(_, failure)| failure.call_step())
    }

    /// One sentence about a call to this name.
    pub(super) fn sentence(&self, peer: &str) -> String {
        match &self.0 {
            Some((peer, failure)) => failure.words(peer),
            None => format!("{peer} can't be reached."),
        }
    }
}

/// The networks between which no path was found.
fn path(here: &Surroundings, there: &Surroundings) -> String {
    let relay = match here.has_relay || there.has_relay {
        true => "not even through a relay",
        false => "and no relay was there to help",
    };
    let (here, there) = (here.network, there.network);
    format!("no network path leads from this computer, {here}, to a computer {there}, {relay}.")
}

fn uncapitalized(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// Every failure of a call to this name: the step that failed, and the sentence.
#[cfg(test)]
pub(crate) fn every_failure(peer: &str) -> Vec<(CallStep, String)> {
    tests::all().iter().map(|failure| (failure.call_step(), failure.words(peer))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Network;

    const BOB: &str = "bob@one.example";

    pub(super) fn all() -> Vec<Failure> {
        let at = |network| Surroundings { network, has_relay: false };
        let refused = |code| NodeError::Request(RequestError::Refused(code));
        vec![
            Failure::LookUp(RequestError::Timeout.into()),
            Failure::LookUp(refused(ErrorCode::FORBIDDEN)),
            Failure::Nobody(Box::default()),
            Failure::Asking(RequestError::Timeout.into()),
            Failure::Asking(refused(ErrorCode::NOT_FOUND)),
            Failure::Asking(refused(ErrorCode::FORBIDDEN)),
            Failure::Asking(RequestError::NoCandidates.into()),
            Failure::NoPath(at(Network::Nat), at(Network::ChangingNat)),
            Failure::Securing(DtlsError::Timeout.into()),
            Failure::Securing(DtlsError::CertificateRefused("it is not valid".into()).into()),
            Failure::Impostor,
            Failure::Unproven(false),
            Failure::Mute,
            Failure::Ended(sip::End::Failed(sip::Failure::FlowLost)),
        ]
    }

    /// Each step has a sentence of its own about whom it is about.
    #[test]
    fn every_step_has_a_sentence_of_its_own() {
        let sentences: Vec<_> = all().iter().map(|failure| failure.words(BOB)).collect();
        for (place, sentence) in sentences.iter().enumerate() {
            assert!(sentence.contains(BOB) && sentence.ends_with('.'), "{sentence}");
            assert_eq!(sentence.matches(". ").count(), 0, "{sentence}");
            assert!(!sentences[..place].contains(sentence), "{sentence}");
        }
        let no_path = &sentences[7];
        for words in ["behind a NAT,", "behind a NAT that changes its ports,", "no relay"] {
            assert!(no_path.contains(words), "{no_path}");
        }
    }

    /// Of several devices the one that got furthest is told of, whichever failed last.
    #[test]
    fn the_device_that_got_furthest_is_told_of() {
        for order in [[0, 13], [13, 0]] {
            let mut worst = Worst::default();
            for place in order {
                worst.add(BOB.to_owned(), all()[place].clone());
            }
            assert_eq!(worst.sentence("alice"), all()[13].words(BOB));
        }
        assert!(Worst::default().sentence(BOB).contains(BOB));
    }

    #[test]
    fn what_is_wrong_with_sound_is_one_sentence() {
        let at = Surroundings { network: Network::Private, has_relay: true };
        for failure in [
            SoundFailure::Description(SdpError::NoCommonCodec),
            SoundFailure::Description(SdpError::NoIce),
            SoundFailure::NoPath(at, at),
            SoundFailure::TooSlow(Duration::from_secs(5)),
            SoundFailure::Link(LinkError::Lost),
            SoundFailure::Here("The sound system failed.".into()),
            SoundFailure::Lost(LinkError::Lost),
        ] {
            let sentence = failure.sentence(BOB);
            assert!(sentence.ends_with('.') && !sentence.ends_with(".."), "{sentence}");
            assert_eq!(sentence.matches(". ").count(), 0, "{sentence}");
        }
    }
}
