//! Where sound comes from and goes to. Who reads and writes sets the pace: one frame every
//! 20 ms of a monotonic clock, or when a microphone has one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::codec::{Frame, SILENCE};
use super::device;
use super::wav::{Recording, WavSink, WavSource};

/// Gives 20 ms of sound at a time.
pub trait AudioSource: Send {
    /// The name that people know it by.
    fn name(&self) -> &str;

    /// Fills the frame; with silence if there is no sound. Never blocks for long.
    fn read(&mut self, frame: &mut Frame);

    /// Whether the next frame is there.
    fn readiness(&self) -> Readiness {
        Readiness::Always
    }

    /// What went wrong since the last call, such as a device that was pulled out. The source
    /// gives silence from then on.
    fn take_fault(&mut self) -> Option<SoundError> {
        None
    }
}

/// Whether a source has its next frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It has no clock of its own.
    Always,
    /// It has none yet.
    NotYet,
    /// It has had one for so long.
    Since(Duration),
}

/// Takes 20 ms of sound at a time.
pub trait AudioSink: Send {
    /// The name that people know it by.
    fn name(&self) -> &str;

    /// Plays or records the frame. Never blocks for long.
    fn write(&mut self, frame: &Frame);

    /// What went wrong since the last call. The sink swallows sound from then on.
    fn take_fault(&mut self) -> Option<SoundError> {
        None
    }
}

/// A microphone or speaker that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundDevice {
    /// Stays the same over restarts; settings keep it.
    pub id: String,
    /// The name that people read.
    pub name: String,
}

/// Why there is no sound: one sentence that names the device or file, and what can be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SoundError {
    /// A recording can't be read.
    #[error("The recording {} can't be played: {reason}.", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        reason: String,
    },
    /// A recording can't be written.
    #[error("The sound can't be recorded to {}: {reason}.", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The program was built without the feature `sound`.
    #[error(
        "This program was built without sound devices; use recordings with --play and --record."
    )]
    NotBuilt,
    /// There is no device.
    #[error("No {0} was found: {consequence}.", consequence = .0.consequence())]
    NoDevice(DeviceKind),
    /// A device does not open.
    #[error("The {kind} “{name}” can't be opened ({reason}); choose another one in the settings.")]
    Open {
        /// What it is for.
        kind: DeviceKind,
        /// The device's name.
        name: String,
        /// What the system says.
        reason: String,
    },
    /// A device stopped during use.
    #[error("The {kind} “{name}” stopped working; plug it in again or choose another one.")]
    Lost {
        /// What it is for.
        kind: DeviceKind,
        /// The device's name.
        name: String,
    },
}

/// What a device is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// It hears.
    Microphone,
    /// It is heard.
    Speaker,
}

impl DeviceKind {
    /// What a call is like without it.
    fn consequence(self) -> &'static str {
        match self {
            Self::Microphone => "the other side can't hear you",
            Self::Speaker => "you can't hear the other side",
        }
    }
}

impl std::fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Microphone => "microphone",
            Self::Speaker => "speaker",
        })
    }
}

/// What is heard from us.
#[derive(Clone, Debug)]
pub enum SourceChoice {
    /// The first of these microphones, by stable id or name, that is there, or the system's own
    /// choice.
    Device(Vec<String>),
    /// A recording.
    Recording(Recording),
}

impl SourceChoice {
    /// Opens it.
    ///
    /// # Errors
    /// There is no microphone.
    pub fn open(&self) -> Result<Box<dyn AudioSource>, SoundError> {
        Ok(match self {
            Self::Device(wishes) => device::open_microphone(wishes)?,
            Self::Recording(recording) => Box::new(WavSource::new(recording.clone())),
        })
    }

    /// What takes its place when it does not open: silence until there is a microphone.
    pub fn wait(&self) -> Box<dyn AudioSource> {
        match self {
            Self::Device(wishes) => device::wait_for_microphone(wishes),
            Self::Recording(_) => Box::new(Silence),
        }
    }
}

/// Where we hear the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkChoice {
    /// The first of these speakers, by stable id or name, that is there, or the system's own
    /// choice.
    Device(Vec<String>),
    /// A WAV file.
    File(PathBuf),
}

impl SinkChoice {
    /// Opens it.
    ///
    /// # Errors
    /// There is no speaker, or the file can't be made.
    pub fn open(&self) -> Result<Box<dyn AudioSink>, SoundError> {
        Ok(match self {
            Self::Device(wishes) => device::open_speaker(wishes)?,
            Self::File(path) => Box::new(WavSink::create(path)?),
        })
    }

    /// What takes its place when it does not open: nothing is heard until there is a speaker.
    pub fn wait(&self) -> Box<dyn AudioSink> {
        match self {
            Self::Device(wishes) => device::wait_for_speaker(wishes),
            Self::File(_) => Box::new(Silence),
        }
    }

    /// Tells before a call whether a recording could be made, without touching a file that is
    /// there already.
    ///
    /// # Errors
    /// The file's folder is not there, or the file can't be written.
    pub fn check(&self) -> Result<(), SoundError> {
        let Self::File(path) = self else { return Ok(()) };
        let is_new = !path.exists();
        let opened = std::fs::OpenOptions::new().append(true).create(true).open(path);
        opened
            .map_err(|error| SoundError::Write { path: path.clone(), reason: error.to_string() })?;
        if is_new {
            remove_probe(path);
        }
        Ok(())
    }
}

/// Hears nothing and is not heard.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silence;

impl AudioSource for Silence {
    fn name(&self) -> &str {
        "silence"
    }

    fn read(&mut self, frame: &mut Frame) {
        *frame = SILENCE;
    }
}

impl AudioSink for Silence {
    fn name(&self) -> &str {
        "nowhere"
    }

    fn write(&mut self, _frame: &Frame) {}
}

/// Takes away the empty file that a check has made.
fn remove_probe(path: &Path) {
    // Left behind it does no harm: the recording will replace it.
    let _ = std::fs::remove_file(path);
}
