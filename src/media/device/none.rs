//! Stands in for `device` in a program built without sound devices.

use super::source::{AudioSink, AudioSource, Silence, SoundDevice, SoundError};

/// None.
///
/// # Errors
/// Never here.
pub fn microphones() -> Result<Vec<SoundDevice>, SoundError> {
    Ok(Vec::new())
}

/// None.
///
/// # Errors
/// Never here.
pub fn speakers() -> Result<Vec<SoundDevice>, SoundError> {
    Ok(Vec::new())
}

/// Opens no microphone.
///
/// # Errors
/// Always [`SoundError::NotBuilt`].
pub fn open_microphone(_wishes: &[String]) -> Result<Box<dyn AudioSource>, SoundError> {
    Err(SoundError::NotBuilt)
}

/// Opens no speaker.
///
/// # Errors
/// Always [`SoundError::NotBuilt`].
pub fn open_speaker(_wishes: &[String]) -> Result<Box<dyn AudioSink>, SoundError> {
    Err(SoundError::NotBuilt)
}

/// Silence for ever.
pub fn wait_for_microphone(_wishes: &[String]) -> Box<dyn AudioSource> {
    Box::new(Silence)
}

/// Swallows sound for ever.
pub fn wait_for_speaker(_wishes: &[String]) -> Box<dyn AudioSink> {
    Box::new(Silence)
}
