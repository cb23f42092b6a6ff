//! What is said of the sound of calls.

use crate::phone::SoundTrouble;

/// What is wrong with the sound of a call with `name`.
pub fn sound_trouble(trouble: SoundTrouble, name: &str) -> String {
    match trouble {
        SoundTrouble::Gaps => say!(trouble_gaps, name = name),
        SoundTrouble::Late => say!(trouble_late, name = name),
        SoundTrouble::GapsThere => say!(trouble_gaps_there, name = name),
    }
}
