//! A microphone: a ring that its device fills. Whoever reads follows the device's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rtrb::{Consumer, Producer, RingBuffer};

use super::card;
use super::follow::Device;
#[cfg(target_os = "linux")]
use super::pulse;
use super::{Found, Opened, RING_MS, Running, SURPLUS_MAX_MS, Way, samples};
use crate::media::codec::{FRAME_SAMPLES, Frame, SAMPLE_RATE, SILENCE};
use crate::media::resample::Stream;
use crate::media::source::{AudioSource, DeviceKind, Readiness, SoundError};

/// A microphone in use.
pub(super) struct Microphone {
    device: Opened,
    ring: Consumer<f32>,
    last: Arc<LastBlock>,
    /// For a device with another rate than ours.
    resampler: Option<Stream>,
    input: Vec<f32>,
    /// Whether the last frame was one.
    is_begun: bool,
    stalled: u32,
}

/// Where a device puts what it hears.
pub(super) struct Inlet {
    ring: Producer<f32>,
    last: Arc<LastBlock>,
}

/// What comes within 2 ms, in pieces, is one block.
const SAME_BLOCK_US: u64 = 2_000;

/// What came in last.
struct LastBlock {
    begin: Instant,
    /// In µs since the beginning.
    came: AtomicU64,
    /// In samples.
    length: AtomicUsize,
}

impl LastBlock {
    fn age(&self) -> Duration {
        let came = Duration::from_micros(self.came.load(Ordering::Relaxed));
        self.begin.elapsed().saturating_sub(came)
    }
}

impl Inlet {
    /// Takes a block in; neither locks nor allocates.
    pub(super) fn put(&mut self, samples: impl ExactSizeIterator<Item = f32>) {
        let now = u64::try_from(self.last.begin.elapsed().as_micros()).unwrap_or(u64::MAX);
        let before = self.last.came.swap(now, Ordering::Relaxed);
        let is_more = now - before < SAME_BLOCK_US;
        let length = if is_more { self.last.length.load(Ordering::Relaxed) } else { 0 };
        self.last.length.store(length + samples.len(), Ordering::Relaxed);
        // A full ring means that nobody reads: sound is lost either way.
        samples.for_each(|sample| self.ring.push(sample).unwrap_or(()));
    }
}

impl Device for Microphone {
    const KIND: DeviceKind = DeviceKind::Microphone;

    fn open(found: Found) -> Result<Self, SoundError> {
        found.open(Self::KIND, |way, device, has_failed| {
            let rate = way.rate();
            let (producer, ring) = RingBuffer::new(samples(rate, RING_MS));
            let last = Arc::new(LastBlock {
                begin: Instant::now(),
                came: AtomicU64::new(0),
                length: AtomicUsize::new(0),
            });
            let inlet = Inlet { ring: producer, last: Arc::clone(&last) };
            let stream: Running = match way {
                #[cfg(target_os = "linux")]
                Way::Pulse(source) => Box::new(pulse::record(source, inlet, has_failed)?),
                Way::Card(config, format) => {
                    Box::new(card::hear(device, *config, *format, inlet, has_failed)?)
                }
            };
            let resampler = (rate != SAMPLE_RATE).then(|| Stream::to_48k(rate));
            let resampler = resampler.transpose().map_err(|error| error.to_string())?;
            let input = vec![0.0; resampler.as_ref().map_or(FRAME_SAMPLES, Stream::wanted_max)];
            let begin =
                |device| Self { device, ring, last, resampler, input, is_begun: false, stalled: 0 };
            Ok((stream, begin))
        })
    }
}

impl Microphone {
    /// Samples of the device that make the next frame.
    fn wanted(&self) -> usize {
        self.resampler.as_ref().map_or(FRAME_SAMPLES, Stream::wanted)
    }

    /// Takes 20 ms from the ring; `None` if it does not hold them.
    fn take(&mut self) -> Option<&[f32]> {
        let wanted = self.wanted();
        let held = self.ring.slots();
        // What has come in before the first frame is taken, or after a pause, is old.
        let surplus_max = if self.is_begun { samples(self.device.rate, SURPLUS_MAX_MS) } else { 0 };
        if held > wanted + surplus_max {
            self.ring.read_chunk(held - wanted).ok()?.commit_all();
        }
        let input = &mut self.input[..wanted];
        self.is_begun = self.ring.pop_entire_slice(input).is_ok();
        if !self.is_begun {
            return None;
        }
        match &mut self.resampler {
            Some(resampler) => resampler.process(input).ok(),
            None => Some(input),
        }
    }
}

impl AudioSource for Microphone {
    fn name(&self) -> &str {
        &self.device.name
    }

    fn read(&mut self, frame: &mut Frame) {
        let is_empty = self.ring.is_empty();
        self.stalled = if is_empty { self.stalled.saturating_add(1) } else { 0 };
        let heard = self.take().unwrap_or_default();
        *frame = SILENCE;
        for (sample, heard) in frame.iter_mut().zip(heard) {
            *sample = heard.clamp(-1.0, 1.0);
        }
    }

    fn readiness(&self) -> Readiness {
        let Some(beyond) = self.ring.slots().checked_sub(self.wanted()) else {
            return Readiness::NotYet;
        };
        let block = self.last.length.load(Ordering::Relaxed).max(1);
        // What is beyond the last block was there before it came.
        let earlier = Duration::from_secs(1) * (beyond / block * block) as u32 / self.device.rate;
        Readiness::Since(self.last.age() + earlier)
    }

    fn take_fault(&mut self) -> Option<SoundError> {
        self.device.take_fault(self.stalled)
    }
}
