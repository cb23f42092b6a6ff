//! Every text of the window, in one place: names for those in `assets/*.ftl`. Plain words; terms of
//! the protocol only on the Network page.

/// A function for each text with nothing in it; it has the text's name.
macro_rules! texts {
    ($($key:ident),* $(,)?) => {
        $(pub fn $key() -> &'static str {
            $crate::gui::words::language::text(stringify!($key))
        })*
    };
}

/// A text with something in it.
macro_rules! say {
    ($key:ident $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::gui::words::language::say(
            stringify!($key),
            &[$((stringify!($name), $value.into())),*],
        )
    };
}

mod book;
mod conversations;
mod desktop;
mod first;
mod keeping;
mod language;
mod links;
mod overlays;
mod people;
mod reach;
mod said;
mod sound;
mod telephone;
#[cfg(test)]
mod tests;

pub use book::*;
pub use conversations::*;
pub use desktop::*;
pub use first::*;
pub use keeping::*;
pub use language::{choose as choose_language, find_system_language};
pub use links::*;
pub use overlays::*;
pub use people::*;
pub use reach::*;
pub use said::said;
pub use sound::*;
pub use telephone::*;

use std::time::Duration;

use crate::phone::{Call, CallState, OverlayState, Quality, Snapshot, Verified};

texts! {
    app,
    // Rail
    calls,
    network,
    settings,
    // Calls
    dial,
    dial_hint,
    fault_dial_space,
    fault_dial_at,
    fault_dial_out,
    call,
    recent,
    clear,
    clear_name,
    no_recent,
    no_recent_hint,
    alone,
    alone_hint,
    no_match,
    no_match_hint,
    nobody,
    nobody_hint,
    history_together,
    calls_running,
    // One call
    mute,
    unmute,
    muted,
    hold,
    resume,
    on_hold,
    keypad,
    hand_over,
    hand_over_to,
    hand_over_hint,
    hand_over_go,
    hang_up,
    answer,
    decline,
    call_again,
    dismiss,
    dismiss_notice,
    you,
    ringing,
    calls_you,
    answer_keys,
    ended,
    sound_coming,
    // Settings page
    sound_title,
    microphone,
    speaker,
    ringer,
    ringer_as_speaker,
    voice_processing,
    callers,
    do_not_disturb,
    do_not_disturb_hint,
    strangers_ring,
    strangers_ring_hint,
    going_on,
    going_on_hint,
    going_on_all,
    going_on_busy,
    going_on_unanswered,
    going_on_after,
    nobody_else,
    answer_at_once,
    answer_at_once_hint,
    system_choice,
    look,
    theme,
    theme_system,
    theme_light,
    theme_dark,
    start,
    join_at_start,
    language,
    language_english,
    language_german,
    account,
    leave,
    leave_hint,
    // Questions
    ask_leave,
    ask_clear,
    ask_clear_body,
    ask_close,
    yes_leave,
    yes_clear,
    yes_close,
    stay,
    keep,
    // Faults of the window itself
    phone_busy,
    phone_gone,
    // States
    offline,
    joined,
    not_reachable_yet,
    not_joined_because,
    domain_unverified,
}

/// What leaving costs, said before it is done.
pub fn ask_leave_body(overlay: &str, calls: usize) -> String {
    match calls {
        0 => say!(ask_leave_nobody, overlay = overlay),
        _ => lost_calls(calls),
    }
}

/// What closing the window costs, said before it is done.
pub fn lost_calls(calls: usize) -> String {
    say!(lost_calls, count = calls)
}

/// The window's title: the program, who one is, and what goes on, for the task bar.
pub fn title(snapshot: Option<&Snapshot>, suffix: Option<&str>) -> String {
    let mut title = app().to_owned();
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

/// A stranger calls.
pub fn knocks(name: &str) -> String {
    say!(knocks, name = name)
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
            CallState::Incoming => say!(doing_incoming, name = name),
            CallState::Talking { .. } => say!(doing_talking, name = name),
            _ => say!(doing_calling, name = name),
        });
    }
    match snapshot.overlay() {
        OverlayState::Joined { .. } if snapshot.settings.is_unlisted => None,
        OverlayState::Joining { .. } | OverlayState::Joined { registered: false, .. } => {
            Some(say!(doing_joining))
        }
        OverlayState::Failed { .. } => Some(say!(doing_not_joined)),
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
        (true, _) => Some(say!(held_by_us, name = name)),
        (false, true) => Some(say!(held_by_them, name = name)),
        (false, false) => None,
    }
}

/// The name of a key of a telephone.
pub fn press(digit: char) -> String {
    say!(press, key = digit.to_string())
}

/// The button that connects the other side of a call with that of another one.
pub fn connect_with(name: &str) -> String {
    say!(connect_with, name = name)
}

/// The other side is being connected to somebody else.
pub fn transferring(name: &str, to: &str) -> String {
    say!(transferring, name = name, to = to)
}

/// Who has brought a call about.
pub fn transferred_by(by: &str) -> String {
    say!(transferred_by, by = by)
}

/// The name of a level meter.
pub fn level_of(whom: &str) -> String {
    say!(level_of, whom = whom)
}

/// The part of an Address of Record that people say.
pub fn short_name(peer: &str) -> &str {
    let peer = peer.strip_prefix("sip:").unwrap_or(peer);
    peer.split('@').next().filter(|name| !name.is_empty()).unwrap_or(peer)
}

/// A sentence of the phone about `peer` with the name that the user knows.
pub fn with_name(sentence: &str, peer: &str, name: &str) -> String {
    said(&sentence.replace(peer, name))
}

/// Up to two capital letters for a picture.
pub fn initials(peer: &str) -> String {
    let name = short_name(peer);
    let mut parts = name.split(['.', '-', '_', ' ']).filter_map(|part| part.chars().next());
    let first = parts.next().unwrap_or('?');
    let second = parts.next();
    [Some(first), second].into_iter().flatten().flat_map(char::to_uppercase).collect()
}

/// Who has answered in the place of the one who was called.
pub fn forwarded(to: &str) -> String {
    say!(forwarded, to = to)
}

/// How sure we are of a name, in words.
pub fn verified(verified: Verified, peer: &str) -> String {
    match verified {
        Verified::Unknown => say!(verified_unknown),
        Verified::Authority => match peer.split_once('@') {
            Some((_, overlay)) => say!(verified_by, by = overlay),
            None => say!(verified_by_overlay),
        },
        Verified::SelfSignedNew => say!(verified_new),
        Verified::SelfSignedKnown => say!(verified_known),
        Verified::SelfSignedChanged => say!(verified_changed),
        Verified::Ordinary => say!(verified_ordinary),
    }
}

/// The reason behind a quality, in one line.
pub fn quality_details(quality: &Quality) -> String {
    let percent = format!("{:.0}", quality.loss.clamp(0.0, 1.0) * 100.0);
    let mut parts = vec![say!(quality_lost, percent = percent)];
    if let Some(rtt) = quality.rtt {
        parts.push(say!(quality_rtt, ms = rtt.as_millis().to_string()));
    }
    if let Some(score) = quality.score {
        parts.push(say!(quality_score, score = format!("{score:.1}")));
    }
    parts.push(say!(quality_buffered, ms = quality.buffer.as_millis().to_string()));
    match quality.path.as_str() {
        "" => {}
        "direct" => parts.push(direct().to_owned()),
        "through a relay" => parts.push(through_relay().to_owned()),
        path => parts.push(path.to_owned()),
    }
    parts.join(" \u{b7} ")
}

/// The heading of the sound's quality.
pub fn sound(word: &str) -> String {
    match word {
        "Connected" => say!(sound_connected),
        "Good" => say!(sound_good),
        "Fair" => say!(sound_fair),
        _ => say!(sound_poor),
    }
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
        0 => say!(ago_now),
        1..60 => say!(ago_minutes, count = minutes),
        60..1440 => say!(ago_hours, count = minutes / 60),
        1440..2880 => say!(ago_yesterday),
        _ => say!(ago_days, count = minutes / 1440),
    }
}

/// The name of one row of the recent calls.
pub fn history_row(name: &str, outcome: &str, ago: &str) -> String {
    format!("{name}, {outcome}, {ago}")
}

/// The button that calls one person.
pub fn call_name(name: &str) -> String {
    say!(call_name, name = name)
}

/// How many others call at the same time.
pub fn also_calling(names: &[&str]) -> String {
    say!(also_calling, names = names.join(", "))
}
