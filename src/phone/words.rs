//! How calls end and how they sound, in one sentence or word for people.

use crate::sip::{End, Side};

/// How an incoming call ends that the user does not want.
pub(super) const DECLINED: &str = "You declined.";

/// How a call ends that nobody has answered when we want no longer.
pub(super) const GAVE_UP: &str = "You gave up.";

/// How sentences end about somebody whose phone has rung, or would have.
const BUSY: &str = "is busy.";
const DECLINES: &str = "declined.";
const NO_ANSWER: &str = "did not answer.";

/// A call that is refused before it rings, and why: a part of a sentence.
pub(super) fn refused(peer: &str, why: &str) -> String {
    format!("A call from {peer} was refused: {why}.")
}

/// Whether a call was refused before it rang.
pub(super) fn is_refused(outcome: &str, peer: &str) -> bool {
    let start = refused(peer, "");
    outcome.starts_with(start.trim_end_matches('.'))
}

/// Whether the other side's phone was reached, and nobody there wanted to talk.
pub(super) fn is_unanswered(outcome: &str) -> bool {
    [BUSY, DECLINES, NO_ANSWER].iter().any(|end| outcome.ends_with(end))
}

/// How a call ends for a device when another one of the same user has taken it.
pub(super) const ELSEWHERE: &str = "Answered on another device.";

/// How a leg with `peer` ended. `talked` is whether both sides had talked.
pub(super) fn end(end: &End, peer: &str, talked: bool) -> String {
    match end {
        End::Rejected { by: Side::Us, .. } => DECLINED.to_owned(),
        End::Rejected { by: Side::Them, status, phrase } => match status.code() {
            486 | 600 => format!("{peer} {BUSY}"),
            603 => format!("{peer} {DECLINES}"),
            404 | 604 => format!("{peer} was not found on the device that answered."),
            403 => format!("{peer}'s phone refused the call because it can't verify your name."),
            488 | 606 => no_codec(peer),
            480 | 408 => format!("{peer} {NO_ANSWER}"),
            code => format!("{peer}'s phone refused the call ({code} {phrase})."),
        },
        End::Redirected { to } => format!("{peer} sends calls on to {to}."),
        End::Cancelled { by: Side::Us, .. } => GAVE_UP.to_owned(),
        End::Cancelled { by: Side::Them, reason } => {
            if reason.as_ref().is_some_and(crate::sip::Reason::is_completed_elsewhere) {
                ELSEWHERE.to_owned()
            } else {
                format!("You missed a call from {peer}.")
            }
        }
        End::HungUp { by: Side::Us, .. } => "You hung up.".to_owned(),
        End::HungUp { reason: Some(reason), .. } if reason.is_completed_elsewhere() => {
            ELSEWHERE.to_owned()
        }
        End::HungUp { by: Side::Them, .. } => format!("{peer} hung up."),
        End::Failed(failure) if talked => failure.to_string(),
        End::Failed(failure) => format!("{peer} can't be reached: {failure}"),
    }
}

/// Why two phones that have found each other can't talk.
pub(super) fn no_codec(peer: &str) -> String {
    format!("{peer}'s phone and this one have no way to encode sound in common.")
}

/// The path of a call's sound: whether another computer passes it on.
pub(super) fn path(path: &str) -> &'static str {
    if is_relayed(path) { "through a relay" } else { "direct" }
}

pub(super) fn transferred(peer: &str, to: &str) -> String {
    format!("You connected {peer} to {to}.")
}

pub(super) fn is_relayed(path: &str) -> bool {
    path.split(' ').any(|word| word == "relay")
}

/// Sentences with which calls with somebody of this name end.
#[cfg(test)]
pub(crate) fn every_word(peer: &str) -> Vec<String> {
    let rejected = |code: u16| End::Rejected {
        by: Side::Them,
        status: code.into(),
        phrase: "Unavailable".into(),
    };
    let codes = [486, 603, 404, 403, 488, 480, 503].map(rejected);
    let reason = Some(crate::sip::Reason::completed_elsewhere());
    let others = [
        End::Cancelled { by: Side::Us, reason: None },
        End::Cancelled { by: Side::Them, reason: None },
        End::Cancelled { by: Side::Them, reason },
        End::HungUp { by: Side::Us, reason: None },
        End::HungUp { by: Side::Them, reason: None },
    ];
    let ends = codes.into_iter().chain(others).map(|end| self::end(&end, peer, true));
    let own = [DECLINED.to_owned(), refused(peer, "you have blocked this name")];
    ends.chain(own).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::phone::{Direction, Ending, HistoryEntry};

    #[test]
    fn every_refusal_is_a_sentence_about_the_other_side() {
        for (code, word) in [(486, "busy"), (603, "declined"), (404, "found"), (500, "500")] {
            let status = rsip::StatusCode::from(code);
            let rejected =
                End::Rejected { by: Side::Them, status, phrase: "Server Error".to_owned() };
            let sentence = end(&rejected, "bob@example.org", false);
            assert!(sentence.starts_with("bob@example.org") && sentence.contains(word));
            assert!(sentence.ends_with('.'));
        }
    }

    #[test]
    fn a_path_is_told_without_addresses() {
        assert_eq!(path("host 192.0.2.7:1 to srflx 192.0.2.8:2 over UDP, IPv4"), "direct");
        assert_eq!(path("relay 192.0.2.7:1 to host 192.0.2.8:2 over UDP"), "through a relay");
    }

    /// What the list of calls tells apart is what is said of calls here.
    #[test]
    fn endings_are_told_apart() {
        let entry = |direction, outcome: String| HistoryEntry {
            direction,
            peer: "bob@example.org".into(),
            unix_ms: 0,
            duration: Duration::ZERO,
            outcome,
            answered: false,
        };
        let said = |end: &End| self::end(end, "bob@example.org", false);
        let rejected = |code: u16| End::Rejected {
            by: Side::Them,
            status: code.into(),
            phrase: String::new(),
        };
        for (code, ending) in [
            (486, Ending::Unanswered),
            (603, Ending::Unanswered),
            (408, Ending::Unanswered),
            (404, Ending::Failed),
            (488, Ending::Failed),
        ] {
            let entry = entry(Direction::Outgoing, said(&rejected(code)));
            assert_eq!(entry.ending(), ending, "{code}");
        }
        let ours = End::Cancelled { by: Side::Us, reason: None };
        assert_eq!(entry(Direction::Outgoing, said(&ours)).ending(), Ending::GaveUp);
        let theirs = End::Cancelled { by: Side::Them, reason: None };
        assert_eq!(entry(Direction::Incoming, said(&theirs)).ending(), Ending::Missed);
        let reason = Some(crate::sip::Reason::completed_elsewhere());
        let elsewhere = End::Cancelled { by: Side::Them, reason };
        assert_eq!(entry(Direction::Incoming, said(&elsewhere)).ending(), Ending::Elsewhere);
        let refused = refused("bob@example.org", "you have blocked this name");
        assert_eq!(entry(Direction::Incoming, refused).ending(), Ending::Refused);
    }
}
