//! WAV files in place of a microphone and a speaker.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use super::codec::{FRAME_SAMPLES, Frame, SAMPLE_RATE, SILENCE};
use super::resample::{self, Stream};
use super::source::{AudioSink, AudioSource, SoundError};

/// A recording: one channel at 48 kHz. Clones share it.
#[derive(Clone, Debug)]
pub struct Recording {
    name: String,
    sound: Sound,
}

#[derive(Clone, Debug)]
enum Sound {
    /// At 48 kHz.
    Memory(Arc<[f32]>),
    /// Read while it is played: hours of music take no memory. It stays open, since it may be
    /// renamed or deleted meanwhile.
    File { path: PathBuf, file: Arc<File>, samples: usize },
}

/// A recording that takes the microphone's place; silence follows it, or itself.
pub struct WavSource {
    recording: Recording,
    place: Place,
    is_repeated: bool,
    fault: Option<SoundError>,
}

/// How far a recording has been played.
enum Place {
    /// In memory, in samples.
    Sample(usize),
    /// In a file.
    File(Box<Playing<BufReader<SharedFile>>>),
    /// Its file is over, or can't be read.
    Over,
}

/// A WAV file that is brought to one channel and 48 kHz while it is read.
pub(super) struct Playing<R> {
    reader: WavReader<R>,
    /// `None` if its rate is ours.
    resampler: Option<Stream>,
    input: Vec<f32>,
}

/// A file that several read, each from a place of its own.
struct SharedFile {
    file: Arc<File>,
    at: u64,
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

/// Longest recording read as a whole, in samples of all channels: an hour of mono at 48 kHz. It is
/// kept in memory, four bytes for each.
const SAMPLES_MAX: u32 = 48_000 * 3600;
/// Read at once from a file that is played, in bytes: 0.7 s at 48 kHz, so that a disk is seldom
/// waited for.
const READ_AT_ONCE: usize = 1 << 16;
/// Frames between two updates of the header: half a second.
const FLUSH_EVERY: u64 = 25;

/// Reads a whole recording as one channel at 48 kHz.
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
    let mut sound = Vec::new();
    mono(&mut reader, usize::MAX, &mut sound).map_err(|error| error.to_string())?;
    resample::to_48k(sound, spec.sample_rate).map_err(|error| error.to_string())
}

/// Appends up to `count` samples of what all channels say together.
fn mono(
    reader: &mut WavReader<impl Read>,
    count: usize,
    sound: &mut Vec<f32>,
) -> Result<(), hound::Error> {
    let spec = reader.spec();
    let channels = usize::from(spec.channels.max(1));
    let (mut sum, mut summed) = (0.0, 0);
    let mut add = |sample: Result<f32, hound::Error>| {
        let sample = sample?;
        sum += if sample.is_finite() { sample } else { 0.0 };
        summed += 1;
        if summed == channels {
            sound.push((sum / channels as f32).clamp(-1.0, 1.0));
            (sum, summed) = (0.0, 0);
        }
        Ok(())
    };
    let samples = count.saturating_mul(channels);
    match spec.sample_format {
        SampleFormat::Float => reader.samples::<f32>().take(samples).try_for_each(&mut add),
        SampleFormat::Int => {
            let scale = 1.0 / (1i64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
            let floats = reader.samples::<i32>().map(|sample| sample.map(|s| s as f32 * scale));
            floats.take(samples).try_for_each(&mut add)
        }
    }
}

impl Recording {
    /// Opens a recording of any rate and number of channels.
    ///
    /// # Errors
    /// The file can't be read, is no WAV file of a kind we know, or is shorter than it says.
    pub fn read(path: &Path) -> Result<Self, SoundError> {
        let fault = |reason| SoundError::Read { path: path.into(), reason };
        let file = Arc::new(File::open(path).map_err(|error| fault(error.to_string()))?);
        let playing = Playing::new(SharedFile::new(&file)).map_err(fault)?;
        // Who goes by its length would wait for what is not there.
        let length = file.metadata().map_err(|error| fault(error.to_string()))?.len();
        if playing.bytes() > length {
            return Err(fault("it is cut off".into()));
        }
        let samples = playing.samples();
        let sound = Sound::File { path: path.into(), file, samples };
        Ok(Self { name: path.display().to_string(), sound })
    }

    /// This sound, 48 kHz, under a name.
    pub fn of(name: &str, sound: Vec<f32>) -> Self {
        Self { name: name.to_owned(), sound: Sound::Memory(sound.into()) }
    }

    /// Its length in samples at 48 kHz.
    pub fn len(&self) -> usize {
        match &self.sound {
            Sound::Memory(sound) => sound.len(),
            Sound::File { samples, .. } => *samples,
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its beginning.
    fn begin(&self) -> Result<Place, SoundError> {
        match &self.sound {
            Sound::Memory(_) => Ok(Place::Sample(0)),
            Sound::File { path, file, .. } => match Playing::new(SharedFile::new(file)) {
                Ok(playing) => Ok(Place::File(Box::new(playing))),
                Err(reason) => Err(SoundError::Read { path: path.clone(), reason }),
            },
        }
    }
}

impl<R: Read> Playing<R> {
    pub(super) fn new(file: R) -> Result<Self, String> {
        let reader = WavReader::new(file).map_err(|error| error.to_string())?;
        let rate = reader.spec().sample_rate;
        let resampler = (rate != SAMPLE_RATE).then(|| Stream::to_48k(rate)).transpose();
        let resampler = resampler.map_err(|error| error.to_string())?;
        Ok(Self { reader, resampler, input: Vec::new() })
    }

    /// How long the sound in the file is at least, as its header says.
    fn bytes(&self) -> u64 {
        let bits = self.reader.spec().bits_per_sample;
        u64::from(self.reader.len()) * u64::from(bits.div_ceil(8))
    }

    /// How many there are in all, at 48 kHz.
    fn samples(&self) -> usize {
        let (count, rate) = (self.reader.duration(), self.reader.spec().sample_rate.max(1));
        (u64::from(count) * u64::from(SAMPLE_RATE) / u64::from(rate)) as usize
    }

    /// Fills the frame, with silence behind the end; whether there was any sound.
    pub(super) fn read(&mut self, frame: &mut Frame) -> Result<bool, String> {
        let wanted = self.resampler.as_ref().map_or(FRAME_SAMPLES, Stream::wanted);
        self.input.clear();
        mono(&mut self.reader, wanted, &mut self.input).map_err(|error| error.to_string())?;
        let is_sound = !self.input.is_empty();
        self.input.resize(wanted, 0.0);
        let sound = match &mut self.resampler {
            None => &self.input[..],
            Some(resampler) => resampler.process(&self.input).map_err(|e| e.to_string())?,
        };
        frame.copy_from_slice(sound);
        Ok(is_sound)
    }
}

impl SharedFile {
    fn new(file: &Arc<File>) -> BufReader<Self> {
        BufReader::with_capacity(READ_AT_ONCE, Self { file: file.clone(), at: 0 })
    }
}

impl Read for SharedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        let length = std::os::unix::fs::FileExt::read_at(&*self.file, buffer, self.at)?;
        #[cfg(windows)]
        let length = std::os::windows::fs::FileExt::seek_read(&*self.file, buffer, self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}

impl WavSource {
    /// Plays a recording from its beginning.
    pub fn new(recording: Recording) -> Self {
        let mut source = Self { recording, place: Place::Over, is_repeated: false, fault: None };
        source.begin();
        source
    }

    /// Plays a recording again and again.
    pub fn repeated(recording: Recording) -> Self {
        Self { is_repeated: true, ..Self::new(recording) }
    }

    fn begin(&mut self) {
        let begun = self.recording.begin();
        self.place = begun.unwrap_or_else(|fault| {
            self.fault = Some(fault);
            Place::Over
        });
    }

    /// Fills the frame with what is next, or with silence; whether there was any sound.
    fn fill(&mut self, frame: &mut Frame) -> bool {
        *frame = SILENCE;
        let is_sound = match (&mut self.place, &self.recording.sound) {
            (Place::Sample(at), Sound::Memory(sound)) => {
                let rest = &sound[*at..];
                let length = rest.len().min(FRAME_SAMPLES);
                frame[..length].copy_from_slice(&rest[..length]);
                *at += length;
                length > 0
            }
            (Place::File(playing), Sound::File { path, .. }) => {
                playing.read(frame).unwrap_or_else(|reason| {
                    self.fault = Some(SoundError::Read { path: path.clone(), reason });
                    self.is_repeated = false;
                    false
                })
            }
            _ => false,
        };
        if !is_sound && matches!(self.place, Place::File(_)) {
            self.place = Place::Over;
        }
        is_sound
    }
}

impl AudioSource for WavSource {
    fn name(&self) -> &str {
        &self.recording.name
    }

    fn read(&mut self, frame: &mut Frame) {
        if !self.fill(frame) && self.is_repeated && !self.recording.is_empty() {
            self.begin();
            self.fill(frame);
        }
    }

    fn take_fault(&mut self) -> Option<SoundError> {
        self.fault.take()
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

impl std::fmt::Debug for WavSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WavSource").field("recording", &self.recording).finish_non_exhaustive()
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
        for _ in 0..5 {
            source.read(&mut frame);
        }
        assert_eq!(frame, SILENCE, "0.1 s are five frames, and the filter's delay");
    }

    /// What is played from a file is what reading it as a whole gives, at our rate and at others,
    /// though the file is deleted meanwhile; and it begins again.
    #[test]
    fn a_file_is_played_as_it_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("music.wav");
        for (rate, delay) in [(48_000, 0), (16_000, 96)] {
            stereo_file(&path, rate);
            let whole = read_wav(&path).expect("a recording");
            let recording = Recording::read(&path).expect("a recording");
            std::fs::remove_file(&path).expect("a file");
            assert!(recording.len().abs_diff(whole.len()) <= 8 && recording.len() == 4_800);
            let mut source = WavSource::repeated(recording);
            for _ in 0..3 {
                let mut played = Vec::new();
                for _ in 0..5 {
                    let mut frame = SILENCE;
                    source.read(&mut frame);
                    played.extend(frame);
                }
                let middle = 2 * delay..4_800 - 2 * delay;
                let worst = middle.map(|at| (played[at] - whole[at]).abs()).fold(0.0, f32::max);
                assert!(worst < 0.01, "{rate}: {worst}");
            }
            assert!(source.take_fault().is_none());
        }
    }

    /// A file that ends before it should is not taken; one that is cut off later is played
    /// up to there, and said to be broken once.
    #[test]
    fn a_file_that_is_cut_off_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cut.wav");
        stereo_file(&path, 48_000);
        let recording = Recording::read(&path).expect("a recording");
        let file = File::options().write(true).open(&path).expect("a file");
        file.set_len(6 * 2 * 960).expect("a shorter file");
        let sentence = Recording::read(&path).expect_err("half a file").to_string();
        assert!(sentence.contains("cut.wav") && sentence.contains("cut off"), "{sentence}");
        let mut source = WavSource::repeated(recording);
        let mut heard = 0;
        let faults = (0..10).filter_map(|_| {
            let mut frame = SILENCE;
            source.read(&mut frame);
            heard += usize::from(frame[0] != 0.0);
            source.take_fault()
        });
        let faults: Vec<SoundError> = faults.collect();
        assert_eq!(heard, 1);
        assert!(matches!(&faults[..], [fault] if fault.to_string().contains("cut.wav")));
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
