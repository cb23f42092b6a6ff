//! What the user has chosen for the sound of calls.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::api::Settings;
use crate::media::{SinkChoice, SourceChoice};

/// Settings of sound, kept with the others in `settings.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SoundSettings {
    /// Whether echo and noise are taken out of what a microphone hears, and quiet voices raised.
    /// Recordings are sent as they are.
    pub voice_processing: bool,
    /// Names of microphones to use, the best first, where the one that was chosen is not there.
    /// Without any of them the system chooses.
    pub microphones: Vec<String>,
    /// The same for speakers.
    pub speakers: Vec<String>,
    /// The same for where it rings; without any name that is the speaker of calls.
    pub ringers: Vec<String>,
    /// What the other side hears while we hold a call, a WAV file; without one it is silence.
    pub hold_music: Option<PathBuf>,
}

impl Default for SoundSettings {
    fn default() -> Self {
        Self {
            voice_processing: true,
            microphones: Vec::new(),
            speakers: Vec::new(),
            ringers: Vec::new(),
            hold_music: None,
        }
    }
}

impl Settings {
    /// The microphones to try, the best first.
    pub(super) fn microphones(&self) -> SourceChoice {
        SourceChoice::Device(wishes(self.microphone.as_ref(), &self.sound.microphones))
    }

    /// The speakers to try, the best first.
    pub(super) fn speakers(&self) -> SinkChoice {
        SinkChoice::Device(wishes(self.speaker.as_ref(), &self.sound.speakers))
    }

    /// Where it may ring, the best first.
    pub(super) fn ringers(&self) -> SinkChoice {
        match &self.sound.ringers[..] {
            [] => self.speakers(),
            names => SinkChoice::Device(names.to_vec()),
        }
    }
}

fn wishes(chosen: Option<&String>, names: &[String]) -> Vec<String> {
    chosen.into_iter().chain(names).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_device_is_tried_first_and_ringing_has_its_own() {
        let text = r#"
            speaker = "id:7"
            speakers = ["Headset", "Desk"]
        "#;
        let settings: Settings = toml::from_str(text).expect("settings");
        assert!(settings.sound.voice_processing, "on unless it is switched off");
        let speakers = SinkChoice::Device(["id:7", "Headset", "Desk"].map(String::from).to_vec());
        assert_eq!((settings.speakers(), settings.ringers()), (speakers.clone(), speakers));
        let text = format!("ringers = [\"Desk\"]\nvoice_processing = false\n{text}");
        let settings: Settings = toml::from_str(&text).expect("settings");
        assert_eq!(settings.ringers(), SinkChoice::Device(vec!["Desk".into()]));
        assert!(!settings.sound.voice_processing);
    }
}
