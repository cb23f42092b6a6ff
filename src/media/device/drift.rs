//! Between our 20 ms ticks and a device's own clock.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Adjustable, Async, FixedAsync, Resampler as _};

use crate::media::codec::SAMPLE_RATE;
use crate::media::resample::{ResampleError, STEER_MAX, resampler};

/// A stream of one channel between 48 kHz and a device's rate, steered by how full a ring is.
pub(super) struct Stream {
    resampler: Async<f32>,
    output: Vec<f32>,
    steering: Steering,
}

impl Stream {
    /// From a device: `frame` samples at 48 kHz come out each time.
    pub(super) fn from_device(rate: u32, frame: usize) -> Result<Self, ResampleError> {
        Self::new(resampler(rate, SAMPLE_RATE, FixedAsync::Output, frame)?)
    }

    /// To a device: `frame` samples at 48 kHz go in each time.
    pub(super) fn to_device(rate: u32, frame: usize) -> Result<Self, ResampleError> {
        Self::new(resampler(SAMPLE_RATE, rate, FixedAsync::Input, frame)?)
    }

    fn new(resampler: Async<f32>) -> Result<Self, ResampleError> {
        let output = vec![0.0; resampler.output_frames_max()];
        Ok(Self { resampler, output, steering: Steering::default() })
    }

    /// Samples that the next [`process`](Self::process) takes.
    pub(super) fn wanted(&self) -> usize {
        self.resampler.input_frames_next()
    }

    /// The most that it ever takes.
    pub(super) fn wanted_max(&self) -> usize {
        self.resampler.input_frames_max()
    }

    /// Converts exactly the samples that it wants.
    pub(super) fn process(&mut self, input: &[f32]) -> Result<&[f32], ResampleError> {
        let source = InterleavedSlice::new(input, 1, input.len())?;
        let room = self.output.len();
        let mut sink = InterleavedSlice::new_mut(&mut self.output, 1, room)?;
        let (_, written) = self.resampler.process_into_buffer(&source, &mut sink, None)?;
        Ok(&self.output[..written])
    }

    /// Makes the stream yield more or less for what it takes. `surplus_s` is by how many seconds
    /// the ring is fuller than it should be, be it before this stream or behind it: either way a
    /// surplus makes the stream yield less for what it takes.
    pub(super) fn steer(&mut self, surplus_s: f64) -> Result<(), ResampleError> {
        let relative = self.steering.ratio(surplus_s);
        Ok(self.resampler.set_resample_ratio_relative(relative, true)?)
    }
}

/// What a ring keeps for the case that the other end is late: little on a machine with time, more
/// where it has run dry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Margin {
    micros: usize,
}

impl Margin {
    /// 15 ms: a device that works in blocks of 10 ms may be late by one and a half.
    const LEAST: usize = 15_000;
    /// 60 ms: what comes later than that is better lost than waited for.
    const MOST: usize = 60_000;
    /// Gained each time that the ring runs dry.
    const STEP: usize = 10_000;
    /// Lost in a tick in which it does not: 10 ms in 20 s.
    const RELAX: usize = 10;

    /// The margin in milliseconds.
    pub(super) fn ms(&self) -> usize {
        self.micros / 1000
    }

    /// The ring has run dry.
    pub(super) fn grow(&mut self) {
        self.micros = (self.micros + Self::STEP).min(Self::MOST);
    }

    /// It has not, for a tick.
    pub(super) fn relax(&mut self) {
        self.micros = self.micros.saturating_sub(Self::RELAX).max(Self::LEAST);
    }
}

impl Default for Margin {
    fn default() -> Self {
        Self { micros: Self::LEAST }
    }
}

/// From how full a ring is to a ratio: proportional and slow, because a ring that a device
/// fills in blocks jumps up and down by a block all the time.
#[derive(Debug, Default)]
struct Steering {
    surplus_s: f64,
}

impl Steering {
    /// Share of the surplus worked off in a second.
    const GAIN: f64 = 0.2;
    /// Share of a new measurement in the mean: about a second of memory at 50 a second.
    const SMOOTHING: f64 = 0.02;

    fn ratio(&mut self, surplus_s: f64) -> f64 {
        self.surplus_s += (surplus_s - self.surplus_s) * Self::SMOOTHING;
        (1.0 - self.surplus_s * Self::GAIN).clamp(1.0 / STEER_MAX, STEER_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_margin_grows_at_once_and_relaxes_slowly() {
        let mut margin = Margin::default();
        for _ in 0..10 {
            margin.grow();
        }
        assert_eq!(margin.ms(), 60);
        for _ in 0..50 * 20 {
            margin.relax();
        }
        assert_eq!(margin.ms(), 50, "after 20 s");
        for _ in 0..50 * 600 {
            margin.relax();
        }
        assert_eq!(margin.ms(), 15);
    }

    #[test]
    fn a_ring_is_steered_to_its_target() {
        // A device that plays 300 ppm slower than our ticks. Both count in samples.
        let mut stream = Stream::to_device(48_000, 960).expect("a stream");
        let (mut ring, target) = (2_000.0f64, 1_000.0);
        let mut worst_late = 0.0f64;
        for tick in 0..50 * 120 {
            ring += stream.process(&[0.0; 960]).expect("a frame").len() as f64;
            ring -= 960.0 * (1.0 - 300e-6);
            let surplus = ring - target;
            stream.steer(surplus / 48_000.0).expect("within bounds");
            if tick > 50 * 60 {
                worst_late = worst_late.max(surplus.abs());
            }
        }
        assert!(worst_late < 250.0, "{worst_late} samples off");
    }
}
