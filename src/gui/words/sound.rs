//! What is said of the sound of calls.

use std::path::Path;

use crate::phone::{CallRecording, SoundTrouble};

texts! {
    record,
    record_stop,
    hold_music,
    hold_music_hint,
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
