//! Stands in for `device` in a program built without sound devices.

use super::source::{AudioSink, AudioSource, SoundDevice, SoundError};

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
pub fn open_microphone(_id: Option<&str>) -> Result<Box<dyn AudioSource>, SoundError> {
    Err(SoundError::NotBuilt)
}

/// Opens no speaker.
///
/// # Errors
/// Always [`SoundError::NotBuilt`].
pub fn open_speaker(_id: Option<&str>) -> Result<Box<dyn AudioSink>, SoundError> {
    Err(SoundError::NotBuilt)
}
