//! Every text of the window, in one place. Plain words; terms of the protocol only on the Network
//! page.

mod book;
mod first;
mod keeping;
mod links;
mod overlays;
mod people;
mod reach;

pub use book::*;
pub use first::*;
pub use keeping::*;
pub use links::*;
pub use overlays::*;
pub use people::*;
pub use reach::*;

use std::time::Duration;

use crate::phone::{Call, CallState, OverlayState, Quality, Snapshot, Verified};

/// The program's name.
pub const APP: &str = "Chordial";

// Rail
pub const CALLS: &str = "Calls";
pub const NETWORK: &str = "Network";
pub const SETTINGS: &str = "Settings";

// Calls
pub const DIAL: &str = "Search or call a name";
pub const DIAL_HINT: &str = "Type a name, Enter calls";
pub const FAULT_DIAL_SPACE: &str = "A name has no spaces.";
pub const FAULT_DIAL_AT: &str = "Type a name, or name@overlay.";
pub const FAULT_DIAL_OUT: &str = "Calls work once you have joined.";
pub const CALL: &str = "Call";
pub const RECENT: &str = "Recent calls";
pub const CLEAR: &str = "Clear";
pub const CLEAR_NAME: &str = "Clear recent calls";
pub const NO_RECENT: &str = "No calls yet.";
pub const NO_RECENT_HINT: &str = "Type a name above and press Enter.";
pub const ALONE: &str = "Nobody else is here yet.";
pub const ALONE_HINT: &str = "Send others an invitation.";
pub const NO_MATCH: &str = "Not among your recent calls.";
pub const NO_MATCH_HINT: &str = "Press Enter to call this name.";
pub const NOBODY: &str = "Nobody chosen";
pub const NOBODY_HINT: &str = "Type a name on the left and press Enter, or pick a recent call.";
pub const HISTORY_TOGETHER: &str = "Your calls together";
pub const CALLS_RUNNING: &str = "Back to the call";

// One call
pub const MUTE: &str = "Mute";
pub const UNMUTE: &str = "Unmute";
pub const MUTED: &str = "Muted: the other side doesn't hear you";
pub const HOLD: &str = "Hold";
pub const RESUME: &str = "Go on";
pub const ON_HOLD: &str = "On hold";
pub const HANG_UP: &str = "Hang up";
pub const ANSWER: &str = "Answer";
pub const DECLINE: &str = "Decline";
pub const CALL_AGAIN: &str = "Call again";
pub const DISMISS: &str = "Dismiss";
pub const DISMISS_NOTICE: &str = "Take the notice away";
pub const YOU: &str = "You";
pub const RINGING: &str = "Ringing";
pub const CALLS_YOU: &str = "is calling you";
pub const ANSWER_KEYS: &str = "Enter answers, Esc declines";
pub const ENDED: &str = "Call ended";
pub const SOUND_COMING: &str = "Connecting the sound";

// Settings page
pub const SOUND: &str = "Sound";
pub const MICROPHONE: &str = "Microphone";
pub const SPEAKER: &str = "Speaker";
pub const VOICE_PROCESSING: &str = "Take out echo and noise, and raise quiet voices";
pub const SYSTEM_CHOICE: &str = "The system's choice";
pub const NOT_PLUGGED_IN: &str = "Not plugged in";
pub const LOOK: &str = "Look";
pub const THEME: &str = "Colours";
pub const THEME_SYSTEM: &str = "Like the system";
pub const THEME_LIGHT: &str = "Light";
pub const THEME_DARK: &str = "Dark";
pub const START: &str = "Start";
pub const JOIN_AT_START: &str = "Join when the program starts";
pub const ACCOUNT: &str = "You";
pub const LEAVE: &str = "Leave the overlay";
pub const LEAVE_HINT: &str = "Nobody can call you until you join again.";

// Questions
pub const ASK_LEAVE: &str = "Leave the overlay?";
pub const ASK_CLEAR: &str = "Clear recent calls?";
pub const ASK_CLEAR_BODY: &str = "The list is forgotten for good.";
pub const ASK_CLOSE: &str = "Close the window?";
pub const YES_LEAVE: &str = "Leave";
pub const YES_CLEAR: &str = "Clear the list";
pub const YES_CLOSE: &str = "Close";
pub const STAY: &str = "Stay";
pub const KEEP: &str = "Keep it";

/// What leaving costs, said before it is done.
pub fn ask_leave_body(overlay: &str, calls: usize) -> String {
    match calls {
        0 => format!("Nobody in {overlay} can call you until you join again."),
        _ => lost_calls(calls),
    }
}

/// What closing the window costs, said before it is done.
pub fn lost_calls(calls: usize) -> String {
    match calls {
        1 => "The running call ends.".to_owned(),
        n => format!("{n} running calls end."),
    }
}

// Faults of the window itself
pub const PHONE_BUSY: &str = "The phone is busy. Try again.";
pub const PHONE_GONE: &str = "The phone has stopped. Close the window and start it again.";

// States
pub const OFFLINE: &str = "Not joined";
pub const JOINED: &str = "Ready";
pub const NOT_REACHABLE_YET: &str = "Joined, soon others can call you";
pub const NOT_JOINED_BECAUSE: &str = "Not joined";

/// The window's title: the program, who one is, and what goes on, for the task bar.
pub fn title(snapshot: Option<&Snapshot>, suffix: Option<&str>) -> String {
    let mut title = APP.to_owned();
    if let Some(me) = snapshot.and_then(Snapshot::me) {
        title.push_str(" \u{b7} ");
        title.push_str(&me.aor());
    }
    if let Some(doing) = snapshot.and_then(doing) {
        title.push_str(" \u{2014} ");
        title.push_str(&doing);
    }
    if let Some(suffix) = suffix {
        title.push(' ');
        title.push_str(suffix);
    }
    title
}

/// What goes on, the most urgent first; nothing while all is well and quiet.
fn doing(snapshot: &Snapshot) -> Option<String> {
    let urgency = |call: &&Call| match call.state {
        CallState::Incoming => 3,
        CallState::Talking { .. } => 2,
        CallState::Dialling { .. } | CallState::Ringing => 1,
        CallState::Ended { .. } => 0,
    };
    if let Some(call) = snapshot.calls.iter().max_by_key(urgency).filter(|c| urgency(c) > 0) {
        let name = crate::gui::book::name(snapshot, &call.peer);
        return Some(match call.state {
            CallState::Incoming => format!("{name} {CALLS_YOU}"),
            CallState::Talking { .. } => format!("in a call with {name}"),
            _ => format!("calling {name}"),
        });
    }
    match snapshot.overlay() {
        OverlayState::Joining { .. } | OverlayState::Joined { registered: false, .. } => {
            Some("joining".to_owned())
        }
        OverlayState::Failed { .. } => Some("not joined".to_owned()),
        OverlayState::Joined { .. } | OverlayState::Out => None,
    }
}

/// A part of a sentence as a sentence of its own.
pub fn as_sentence(part: &str) -> String {
    let mut letters = part.chars();
    let first = letters.next().map(char::to_uppercase).into_iter().flatten();
    let end = if part.ends_with('.') { "" } else { "." };
    first.chain(letters).chain(end.chars()).collect()
}

/// Why nobody is heard in a call that is on hold.
pub fn held(call: &Call, name: &str) -> Option<String> {
    match (call.held_by_us, call.held_by_them) {
        (true, _) => Some(format!("{name} doesn't hear you, and you don't hear {name}")),
        (false, true) => Some(format!("{name} has put you on hold")),
        (false, false) => None,
    }
}

/// The name of a level meter.
pub fn level_of(whom: &str) -> String {
    format!("Sound level: {whom}")
}

/// The part of an Address of Record that people say.
pub fn short_name(peer: &str) -> &str {
    let peer = peer.strip_prefix("sip:").unwrap_or(peer);
    peer.split('@').next().filter(|name| !name.is_empty()).unwrap_or(peer)
}

/// A sentence about `peer` with the name that the user knows.
pub fn with_name(sentence: &str, peer: &str, name: &str) -> String {
    sentence.replace(peer, name)
}

/// Up to two capital letters for a picture.
pub fn initials(peer: &str) -> String {
    let name = short_name(peer);
    let mut parts = name.split(['.', '-', '_', ' ']).filter_map(|part| part.chars().next());
    let first = parts.next().unwrap_or('?');
    let second = parts.next();
    [Some(first), second].into_iter().flatten().flat_map(char::to_uppercase).collect()
}

/// Beside a name whose domain is not its overlay's.
pub const DOMAIN_UNVERIFIED: &str = "Unverified domain: this overlay can't know whose it is";

/// Who has answered in the place of the one who was called.
pub fn forwarded(to: &str) -> String {
    format!("Forwarded to {to}")
}

/// How sure we are of a name, in words.
pub fn verified(verified: Verified, peer: &str) -> String {
    match verified {
        Verified::Unknown => "Not checked yet".to_owned(),
        Verified::Authority => {
            let by = peer.split_once('@').map_or("the overlay", |(_, overlay)| overlay);
            format!("Verified by {by}")
        }
        Verified::SelfSignedNew => "First call: this key is remembered from now on".to_owned(),
        Verified::SelfSignedKnown => "Same key as last time".to_owned(),
        Verified::SelfSignedChanged => "The key has changed: make sure who is speaking".to_owned(),
    }
}

/// The reason behind a quality, in one line.
pub fn quality_details(quality: &Quality) -> String {
    let mut parts = vec![format!("{:.0} % lost", quality.loss.clamp(0.0, 1.0) * 100.0)];
    if let Some(rtt) = quality.rtt {
        parts.push(format!("{} ms there and back", rtt.as_millis()));
    }
    parts.push(format!("{} ms buffered", quality.buffer.as_millis()));
    if !quality.path.is_empty() {
        parts.push(quality.path.clone());
    }
    parts.join(" \u{b7} ")
}

/// The heading of the sound's quality.
pub fn sound(word: &str) -> String {
    format!("Sound: {}", word.to_lowercase())
}

/// A clock such as 0:07, 12:30 or 1:02:03.
pub fn clock(duration: Duration) -> String {
    let s = duration.as_secs();
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, m, s) => format!("{m}:{s:02}"),
        (h, m, s) => format!("{h}:{m:02}:{s:02}"),
    }
}

/// When something was, seen from `now_ms`; both in milliseconds since the Unix epoch.
pub fn ago(now_ms: u64, then_ms: u64) -> String {
    let minutes = now_ms.saturating_sub(then_ms) / 60_000;
    match minutes {
        0 => "just now".to_owned(),
        1..60 => format!("{minutes} min ago"),
        60..1440 => format!("{} h ago", minutes / 60),
        1440..2880 => "yesterday".to_owned(),
        _ => format!("{} days ago", minutes / 1440),
    }
}

/// The name of one row of the recent calls.
pub fn history_row(name: &str, outcome: &str, ago: &str) -> String {
    format!("{name}, {outcome}, {ago}")
}

/// The button that calls one person.
pub fn call_name(name: &str) -> String {
    format!("Call {name}")
}

/// How many others call at the same time.
pub fn also_calling(names: &[&str]) -> String {
    format!("Also calling: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_hours_only_when_there_are_some() {
        assert_eq!(clock(Duration::from_secs(7)), "0:07");
        assert_eq!(clock(Duration::from_secs(750)), "12:30");
        assert_eq!(clock(Duration::from_secs(3723)), "1:02:03");
    }

    #[test]
    fn a_picture_has_at_most_two_letters() {
        assert_eq!(initials("alice@smith-family"), "A");
        assert_eq!(initials("sip:bob.van-dyk@smith"), "BV");
        assert_eq!(initials(""), "?");
    }

    #[test]
    fn times_are_told_from_now() {
        let day = 86_400_000;
        assert_eq!(ago(10 * day, 10 * day + 5), "just now");
        assert_eq!(ago(10 * day, 10 * day - 300_000), "5 min ago");
        assert_eq!(ago(10 * day, 10 * day - 7_200_000), "2 h ago");
        assert_eq!(ago(10 * day, 9 * day), "yesterday");
        assert_eq!(ago(10 * day, 6 * day), "4 days ago");
    }

    #[test]
    fn an_authority_is_named_after_the_overlay() {
        let said = verified(Verified::Authority, "bob@smith-family");
        assert_eq!(said, "Verified by smith-family");
    }
}
