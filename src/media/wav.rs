//! WAV files in place of a microphone and a speaker.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use super::codec::{FRAME_SAMPLES, Frame, SAMPLE_RATE, SILENCE};
use super::resample;
use super::source::{AudioSink, AudioSource, SoundError};

/// A recording in memory: one channel at 48 kHz. Clones share it.
#[derive(Clone, Debug)]
pub struct Recording {
    name: String,
    sound: Arc<[f32]>,
}

/// A recording that takes the microphone's place; silence follows it, or itself.
#[derive(Debug)]
pub struct WavSource {
    recording: Recording,
    position: usize,
    is_repeated: bool,
}

/// A recording that takes the speaker's place: 48 kHz, mono, 16 bits.
///
/// The header is brought up to date twice a second, so that a process that is killed leaves a
/// readable file.
pub struct WavSink(Writer);

/// A recording of a call: 48 kHz, 16 bits, what we say left and what we hear right. Its header is
/// kept up to date as that of [`WavSink`] is.
pub struct CallRecorder(Writer);

struct Writer {
    path: PathBuf,
    writer: WavWriter<BufWriter<File>>,
    frames: u64,
    fault: Option<SoundError>,
}

/// Longest recording read, in samples of all channels: an hour of mono at 48 kHz. It is kept in
/// memory, four bytes for each.
const SAMPLES_MAX: u32 = 48_000 * 3600;
/// Frames between two updates of the header: half a second.
const FLUSH_EVERY: u64 = 25;

/// Reads a recording as one channel at 48 kHz.
///
/// # Errors
/// The file can't be read, is no WAV file of a kind we know, or is longer than an hour.
pub fn read_wav(path: &Path) -> Result<Vec<f32>, SoundError> {
    let file = File::open(path).map_err(|error| error.to_string());
    let sound = file.and_then(|file| sound(BufReader::new(file)));
    sound.map_err(|reason| SoundError::Read { path: path.into(), reason })
}

/// How long a recording is, or `None` if it is none.
pub fn wav_length(path: &Path) -> Option<Duration> {
    let reader = WavReader::open(path).ok()?;
    let rate = reader.spec().sample_rate.max(1);
    Some(Duration::from_secs_f64(f64::from(reader.duration()) / f64::from(rate)))
}

/// The sound of a WAV file, or why it has none for us.
pub(super) fn sound(file: impl Read) -> Result<Vec<f32>, String> {
    let mut reader = WavReader::new(file).map_err(|error| error.to_string())?;
    let spec = reader.spec();
    if reader.len() > SAMPLES_MAX {
        return Err("it is longer than an hour".into());
    }
    let samples: Result<Vec<f32>, hound::Error> = match spec.sample_format {
        SampleFormat::Float => reader.samples::<f32>().collect(),
        SampleFormat::Int => {
            let scale = 1.0 / (1i64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
            reader.samples::<i32>().map(|s| s.map(|s| s as f32 * scale)).collect()
        }
    };
    let samples = samples.map_err(|error| error.to_string())?;
    let channels = usize::from(spec.channels.max(1));
    let mono = samples.chunks(channels).map(|frame| {
        let sum: f32 = frame.iter().filter(|s| s.is_finite()).sum();
        (sum / channels as f32).clamp(-1.0, 1.0)
    });
    resample::to_48k(mono.collect(), spec.sample_rate).map_err(|error| error.to_string())
}

impl Recording {
    /// Reads a recording of any rate and number of channels.
    ///
    /// # Errors
    /// As [`read_wav`].
    pub fn read(path: &Path) -> Result<Self, SoundError> {
        Ok(Self { name: path.display().to_string(), sound: read_wav(path)?.into() })
    }

    /// This sound, 48 kHz, under a name.
    pub fn of(name: &str, sound: Vec<f32>) -> Self {
        Self { name: name.to_owned(), sound: sound.into() }
    }

    /// Its length in samples.
    pub fn len(&self) -> usize {
        self.sound.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.sound.is_empty()
    }
}

impl WavSource {
    /// Plays a recording from its beginning.
    pub fn new(recording: Recording) -> Self {
        Self { recording, position: 0, is_repeated: false }
    }

    /// Plays a recording again and again.
    pub fn repeated(recording: Recording) -> Self {
        Self { recording, position: 0, is_repeated: true }
    }
}

impl AudioSource for WavSource {
    fn name(&self) -> &str {
        &self.recording.name
    }

    fn read(&mut self, frame: &mut Frame) {
        *frame = SILENCE;
        if self.is_repeated && self.position >= self.recording.sound.len() {
            self.position = 0;
        }
        let rest = &self.recording.sound[self.position..];
        let length = rest.len().min(FRAME_SAMPLES);
        frame[..length].copy_from_slice(&rest[..length]);
        self.position += length;
    }
}

impl WavSink {
    /// Begins a recording; a file that is there is replaced.
    ///
    /// # Errors
    /// The file can't be made.
    pub fn create(path: &Path) -> Result<Self, SoundError> {
        Writer::create(path, 1).map(Self)
    }
}

impl CallRecorder {
    /// Begins a recording; a file that is there is replaced.
    ///
    /// # Errors
    /// The file can't be made.
    pub fn create(path: &Path) -> Result<Self, SoundError> {
        Writer::create(path, 2).map(Self)
    }

    /// Writes 20 ms of both sides.
    pub fn write(&mut self, said: &Frame, heard: &Frame) {
        self.0.write(said.iter().zip(heard).flat_map(|(said, heard)| [*said, *heard]));
    }

    /// What went wrong since the last call. Nothing is written from then on.
    pub fn take_fault(&mut self) -> Option<SoundError> {
        self.0.fault.take()
    }
}

impl Writer {
    fn create(path: &Path, channels: u16) -> Result<Self, SoundError> {
        let spec = WavSpec {
            channels,
            sample_rate: SAMPLE_RATE,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut writer = WavWriter::create(path, spec).map_err(|e| write_fault(path, &e))?;
        writer.flush().map_err(|e| write_fault(path, &e))?;
        Ok(Self { path: path.into(), writer, frames: 0, fault: None })
    }

    fn write(&mut self, samples: impl Iterator<Item = f32>) {
        if self.fault.is_some() {
            return;
        }
        if let Err(error) = self.append(samples) {
            self.fault = Some(write_fault(&self.path, &error));
        }
    }

    fn append(&mut self, samples: impl Iterator<Item = f32>) -> Result<(), hound::Error> {
        for sample in samples {
            let sample = (sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round();
            self.writer.write_sample(sample as i16)?;
        }
        self.frames += 1;
        if self.frames.is_multiple_of(FLUSH_EVERY) {
            self.writer.flush()?;
        }
        Ok(())
    }
}

impl AudioSink for WavSink {
    fn name(&self) -> &str {
        self.0.path.to_str().unwrap_or("a recording")
    }

    fn write(&mut self, frame: &Frame) {
        self.0.write(frame.iter().copied());
    }

    fn take_fault(&mut self) -> Option<SoundError> {
        self.0.fault.take()
    }
}

impl std::fmt::Debug for WavSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WavSink").field("path", &self.0.path).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for CallRecorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallRecorder").field("path", &self.0.path).finish_non_exhaustive()
    }
}

fn write_fault(path: &Path, error: &hound::Error) -> SoundError {
    SoundError::Write { path: path.into(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stereo_file(path: &Path, rate: u32) {
        let spec = WavSpec {
            channels: 2,
            sample_rate: rate,
            bits_per_sample: 24,
            sample_format: SampleFormat::Int,
        };
        let mut writer = WavWriter::create(path, spec).expect("a file");
        for _ in 0..rate / 10 {
            writer.write_sample(1 << 22).expect("left");
            writer.write_sample(0).expect("right");
        }
        writer.finalize().expect("a header");
    }

    #[test]
    fn any_rate_and_channels_become_frames_and_then_silence() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("stereo.wav");
        stereo_file(&path, 16_000);
        let mut source = WavSource::new(Recording::read(&path).expect("a recording"));
        let mut frame = [1.0; FRAME_SAMPLES];
        source.read(&mut frame);
        source.read(&mut frame);
        assert!(frame.iter().all(|s| (s - 0.25).abs() < 0.01), "half of one channel of two");
        for _ in 0..4 {
            source.read(&mut frame);
        }
        assert_eq!(frame, SILENCE, "0.1 s are five frames");
    }

    #[test]
    fn a_recording_can_be_read_before_it_is_closed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.wav");
        let mut sink = WavSink::create(&path).expect("a file");
        assert_eq!(read_wav(&path).expect("an empty recording"), Vec::<f32>::new());
        for _ in 0..60 {
            sink.write(&[0.5; FRAME_SAMPLES]);
        }
        // As after a kill: the sink is neither dropped nor finished.
        let sound = read_wav(&path).expect("a readable file");
        assert_eq!(sound.len(), 50 * FRAME_SAMPLES);
        assert!((sound[0] - 0.5).abs() < 0.001);
        drop(sink);
        assert_eq!(read_wav(&path).expect("the whole").len(), 60 * FRAME_SAMPLES);
    }

    #[test]
    fn a_bad_path_is_told_in_a_sentence() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = folder.path().join("missing.wav");
        let sentence = Recording::read(&missing).expect_err("no such file").to_string();
        assert!(sentence.contains("missing.wav") && sentence.ends_with('.'), "{sentence}");
        let text = folder.path().join("text.wav");
        std::fs::write(&text, "not a recording").expect("a file");
        assert!(Recording::read(&text).is_err());
        let nowhere = folder.path().join("no/such/folder/out.wav");
        let sentence = WavSink::create(&nowhere).expect_err("no such folder").to_string();
        assert!(sentence.contains("out.wav") && sentence.ends_with('.'), "{sentence}");
    }
}
