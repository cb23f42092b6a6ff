//! What is said of the sound of calls.

use std::path::Path;

use crate::phone::{CallRecording, SoundTrouble, VoiceMessage};

texts! {
    record,
    record_stop,
    hold_music,
    hold_music_hint,
    // The answering machine
    machine,
    machine_on,
    machine_hint,
    machine_after,
    machine_minutes,
    machine_undisturbed,
    machine_busy,
    greeting,
    greeting_hint,
    voice_messages,
    takes_message,
    take_over,
    in_conference,
    // Devices
    add_device,
    try_sound,
    try_speaker,
    try_ringer,
    try_microphone,
    try_stop,
    try_delay,
    try_loss,
    hear_myself,
    hear_myself_hint,
    level_now,
    wizard_offer,
    wizard_offer_hint,
    wizard_open,
    wizard_next,
    wizard_speaker,
    wizard_speaker_hint,
    wizard_ringer,
    wizard_ringer_hint,
    wizard_microphone,
    wizard_microphone_hint,
    wizard_loopback,
    wizard_speak,
    wizard_heard,
    // Files
    no_dialog,
    sound_files,
}

/// How a call is that is heard in the others.
pub fn state_in_conference(state: &str) -> String {
    say!(state_in_conference, state = state)
}

/// The button that opens a dialog in which a file is chosen.
pub fn choose_file(label: &str) -> String {
    say!(choose_file, label = label)
}

/// What is wrong with the sound of a call with `name`.
pub fn sound_trouble(trouble: SoundTrouble, name: &str) -> String {
    match trouble {
        SoundTrouble::Gaps => say!(trouble_gaps, name = name),
        SoundTrouble::Late => say!(trouble_late, name = name),
        SoundTrouble::GapsThere => say!(trouble_gaps_there, name = name),
    }
}

/// Who records a call with `name`, if anybody does.
pub fn recorded(recording: &CallRecording, name: &str) -> Option<String> {
    match (recording.by_us, recording.by_them) {
        (_, true) => Some(say!(recorded_by_them, name = name)),
        (true, false) => Some(say!(recorded_by_us, name = name)),
        (false, false) => None,
    }
}

/// Where a recording is.
pub fn recorded_to(file: &Path) -> String {
    say!(recorded_to, file = file.display().to_string())
}

/// How many messages are not shown.
pub fn more_voice_messages(count: usize) -> String {
    say!(more_voice_messages, count = count)
}

/// What is said of a message below its caller's name.
pub fn voice_message(message: &VoiceMessage, now_ms: u64) -> String {
    let (ago, length) = (super::ago(now_ms, message.unix_ms), super::clock(message.duration));
    match message.is_new {
        true => say!(voice_message_new, ago = ago, length = length),
        false => say!(voice_message, ago = ago, length = length),
    }
}

/// The button that plays a message.
pub fn play_message_of(name: &str) -> String {
    say!(play_message_of, name = name)
}

/// The button that plays a message no more.
pub fn stop_message_of(name: &str) -> String {
    say!(stop_message_of, name = name)
}

/// The button that deletes a message.
pub fn delete_message_of(name: &str) -> String {
    say!(delete_message_of, name = name)
}

/// The button that lets the other side and `name` hear each other.
pub fn merge_with(name: &str) -> String {
    say!(merge_with, name = name)
}

/// The button that takes a call out of its conference.
pub fn talk_alone_with(name: &str) -> String {
    say!(talk_alone_with, name = name)
}

/// A device that is wished for and not there.
pub fn not_plugged_in_now(name: &str) -> String {
    format!("{name} ({})", say!(not_plugged_in))
}

/// The button that moves a device forward among those of its kind.
pub fn move_up(name: &str, kind: &str) -> String {
    say!(move_up, name = name, kind = kind)
}

/// The button that takes a device from those of its kind.
pub fn take_away(name: &str, kind: &str) -> String {
    say!(take_away, name = name, kind = kind)
}
