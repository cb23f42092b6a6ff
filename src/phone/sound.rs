//! What the user has chosen for the sound of calls.

use serde::{Deserialize, Serialize};

/// Settings of sound, kept with the others in `settings.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SoundSettings {
    /// Whether echo and noise are taken out of what a microphone hears, and quiet voices raised.
    /// Recordings are sent as they are.
    pub voice_processing: bool,
}

impl Default for SoundSettings {
    fn default() -> Self {
        Self { voice_processing: true }
    }
}
