//! Other sample rates than 48 kHz.

#[cfg(feature = "sound")]
use rubato::Adjustable as _;
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, FixedAsync, PolynomialDegree, Resampler as _, SincInterpolationParameters,
    WindowFunction,
};

use super::codec::{FRAME_SAMPLES, SAMPLE_RATE};

/// Why sound can't be brought to another rate.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResampleError {
    /// A rate that no sound has.
    #[error("a rate of {0} samples a second is not supported")]
    Rate(u32),
    /// The library refused; a defect.
    #[error("resampling failed: {0}")]
    Construction(#[from] rubato::ResamplerConstructionError),
    /// The library refused; a defect.
    #[error("resampling failed: {0}")]
    Process(#[from] rubato::ResampleError),
    /// The library refused; a defect.
    #[error("resampling failed: {0}")]
    Size(#[from] rubato::audioadapter_buffers::SizeError),
}

/// A stream of one channel between 48 kHz and the rate of a device or file. One to a device is
/// steered by how much waits there.
pub(super) struct Stream {
    resampler: Async<f32>,
    output: Vec<f32>,
}

/// Rates that are taken: from telephone sound to studio sound.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;
/// How far a ratio may be steered: 1 %, a sixth of a semitone. Real clocks differ by 0.02 %;
/// the rest is for making up an interruption.
const STEER_MAX: f64 = 1.01;
/// Share of a surplus that is worked off in a second.
#[cfg(feature = "sound")]
const GAIN: f64 = 0.5;
/// Length of the filter in samples: flat to 7 kHz at 16 kHz and 1 ms of delay at 48.
const FILTER: usize = 64;

/// A whole recording of one channel, brought to 48 kHz.
pub(super) fn to_48k(sound: Vec<f32>, rate: u32) -> Result<Vec<f32>, ResampleError> {
    if rate == SAMPLE_RATE || sound.is_empty() {
        return Ok(sound);
    }
    let mut resampler = resampler(rate, SAMPLE_RATE, FixedAsync::Input, 1024)?;
    let input = InterleavedSlice::new(&sound, 1, sound.len())?;
    Ok(resampler.process_all(&input, sound.len(), None)?.take_data())
}

impl Stream {
    /// A frame of 20 ms at 48 kHz comes out each time.
    pub(super) fn to_48k(rate: u32) -> Result<Self, ResampleError> {
        Self::new(resampler(rate, SAMPLE_RATE, FixedAsync::Output, FRAME_SAMPLES)?)
    }

    /// A frame of 20 ms at 48 kHz goes in each time.
    #[cfg(feature = "sound")]
    pub(super) fn from_48k(rate: u32) -> Result<Self, ResampleError> {
        Self::new(resampler(SAMPLE_RATE, rate, FixedAsync::Input, FRAME_SAMPLES)?)
    }

    fn new(resampler: Async<f32>) -> Result<Self, ResampleError> {
        let output = vec![0.0; resampler.output_frames_max()];
        Ok(Self { resampler, output })
    }

    /// Samples that the next [`process`](Self::process) takes.
    pub(super) fn wanted(&self) -> usize {
        self.resampler.input_frames_next()
    }

    /// The most that it ever takes.
    #[cfg(feature = "sound")]
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

    /// Makes the stream yield more or less for what it takes. `surplus_s` is how many seconds more
    /// wait behind it than should: then it yields less.
    #[cfg(feature = "sound")]
    pub(super) fn steer(&mut self, surplus_s: f64) -> Result<(), ResampleError> {
        let relative = (1.0 - surplus_s * GAIN).clamp(1.0 / STEER_MAX, STEER_MAX);
        Ok(self.resampler.set_resample_ratio_relative(relative, true)?)
    }
}

/// A resampler whose ratio can be steered by up to [`STEER_MAX`].
fn resampler(
    from: u32,
    to: u32,
    fixed: FixedAsync,
    chunk: usize,
) -> Result<Async<f32>, ResampleError> {
    for rate in [from, to] {
        if !RATES.contains(&rate) {
            return Err(ResampleError::Rate(rate));
        }
    }
    if from == to {
        // A little faster or slower leaves no images to be filtered, and this takes a tenth.
        let degree = PolynomialDegree::Septic;
        return Ok(Async::new_poly(1.0, STEER_MAX, degree, chunk, 1, fixed)?);
    }
    let parameters = SincInterpolationParameters::new(FILTER, WindowFunction::Blackman2);
    let ratio = f64::from(to) / f64::from(from);
    Ok(Async::new_sinc(ratio, STEER_MAX, &parameters, chunk, 1, fixed)?)
}

#[cfg(test)]
mod tests {
    use rubato::Adjustable;

    use super::*;

    fn tone(rate: u32, seconds: f32) -> Vec<f32> {
        let samples = (rate as f32 * seconds) as usize;
        let step = 440.0 * std::f32::consts::TAU / rate as f32;
        (0..samples).map(|at| (at as f32 * step).sin()).collect()
    }

    /// What is only steered keeps its treble: half of it lost would be 3 dB.
    #[test]
    fn a_steered_tone_keeps_its_strength() {
        for hertz in [440.0f32, 4_000.0, 12_000.0] {
            let mut steered = resampler(48_000, 48_000, FixedAsync::Input, 960).expect("a rate");
            steered.set_resample_ratio_relative(1.005, false).expect("within bounds");
            let step = hertz * std::f32::consts::TAU / 48_000.0;
            let sound: Vec<f32> = (0..48_000).map(|at| (at as f32 * step).sin()).collect();
            let input = InterleavedSlice::new(&sound, 1, sound.len()).expect("a slice");
            let out = steered.process_all(&input, sound.len(), None).expect("sound").take_data();
            let middle = &out[10_000..30_000];
            let power = middle.iter().map(|x| x * x).sum::<f32>() / middle.len() as f32;
            assert!((0.4..0.6).contains(&power), "{hertz} Hz: {power}");
        }
    }

    #[test]
    fn a_tone_keeps_pitch_and_length() {
        for rate in [8_000, 16_000, 44_100, 96_000] {
            let out = to_48k(tone(rate, 0.5), rate).expect("a common rate");
            assert!(out.len().abs_diff(24_000) <= 8, "{rate}: {}", out.len());
            let expected = tone(48_000, 0.5);
            let middle = 4_000..20_000;
            let worst = out[middle.clone()].iter().zip(&expected[middle]);
            let worst = worst.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // One sample early or late makes 0.058.
            assert!(worst < 0.08, "{rate}: {worst}");
        }
        assert!(to_48k(vec![0.0; 9], 1).is_err());
    }
}
