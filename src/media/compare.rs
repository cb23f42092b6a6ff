//! Whether what was heard is what was said.
//!
//! Opus keeps the wave form of speech below 1.2 kHz well, but a jitter buffer puts in and leaves
//! out frames, and clocks drift, so a whole recording never lines up with its source. Therefore
//! the source is cut into segments of half a second, each is looked for near the place where
//! the loudness curves of the whole fit best, and the segments' coefficients are averaged by
//! their energy.
//!
//! What to expect: the same recording gives 1, a call without loss 0.9 and more (the codec takes
//! the lowest tones away), one with 5 % loss 0.8 and more, other speech less than 0.4. Whoever
//! gets 0.7 has heard what was said.

use super::codec::SAMPLE_RATE;

/// How well a recording fits its source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// By how many samples (48 kHz) the recording is behind its source.
    pub lag_samples: usize,
    /// 1 for the same wave form, about 0.3 for other speech, 0 for silence.
    pub coefficient: f32,
}

/// Looks for `reference` in `recording` (both one channel at 48 kHz), which may begin up to
/// `lag_samples_max` later.
pub fn correlation(reference: &[f32], recording: &[f32], lag_samples_max: usize) -> Match {
    let coarse = coarse_lag(reference, recording, lag_samples_max);
    let reference = Wave::new(reference);
    let recording = Wave::new(recording);
    let coarse = coarse / DECIMATION;
    let mut sum = 0.0;
    let mut energy_sum = 0.0;
    let mut lags = Vec::new();
    let energy_total: f32 = reference.0.iter().map(|s| s * s).sum();
    let segments = reference.0.chunks_exact(SEGMENT).enumerate();
    let energy_mean = energy_total / (reference.0.len() / SEGMENT).max(1) as f32;
    for (index, segment) in segments {
        let energy: f32 = segment.iter().map(|s| s * s).sum();
        // A pause between words has nothing that could be found again.
        if energy < energy_mean * 0.1 {
            continue;
        }
        let from = (index * SEGMENT + coarse).saturating_sub(REACH);
        let to = index * SEGMENT + coarse + REACH;
        let (at, coefficient) = recording.find(segment, from, to);
        sum += coefficient * energy;
        energy_sum += energy;
        lags.push(at.saturating_sub(index * SEGMENT));
    }
    lags.sort_unstable();
    let lag_samples = lags.get(lags.len() / 2).map_or(0, |lag| lag * DECIMATION);
    let coefficient = if energy_sum > 0.0 { sum / energy_sum } else { 0.0 };
    Match { lag_samples, coefficient }
}

/// How well the better half of the seconds of a recording fits its source, as
/// [`Match::coefficient`]: where a machine is taken away for moments, frames are late then by more
/// than a listener would bear, and the rest is as it was said.
pub fn better_half(reference: &[f32], recording: &[f32], lag_samples_max: usize) -> f32 {
    let second = SAMPLE_RATE as usize;
    let seconds = reference.chunks_exact(second).enumerate().map(|(number, piece)| {
        let rest = recording.get(number * second..).unwrap_or_default();
        correlation(piece, rest, lag_samples_max).coefficient
    });
    let mut seconds: Vec<f32> = seconds.collect();
    seconds.sort_by(f32::total_cmp);
    let better = &seconds[seconds.len() / 2..];
    if better.is_empty() { 0.0 } else { better.iter().sum::<f32>() / better.len() as f32 }
}

/// How much of the speech is understood in a recording of it, 0 to 1: whether the loudness of each
/// band of hearing rises and falls as it did, whatever became of the waves. It follows the idea
/// of STOI (Taal and others, 2011): 0.9 is clear, 0.5 hard work. The recording may begin up to
/// `lag_samples_max` later.
pub fn intelligibility(reference: &[f32], recording: &[f32], lag_samples_max: usize) -> f32 {
    let lag = coarse_lag(reference, recording, lag_samples_max);
    let recording = recording.get(lag..).unwrap_or_default();
    let loud = loudness(reference);
    let (mut sum, mut count) = (0.0, 0.0f32);
    for band in 0..BANDS {
        let hertz = 200.0 * 2f32.powf(band as f32 / 2.0);
        let (said, heard) = (envelope(reference, hertz), envelope(recording, hertz));
        let segments = loud.chunks_exact(SYLLABLES).zip(said.chunks_exact(SYLLABLES));
        for (index, (loud, said)) in segments.enumerate() {
            // A pause is the same in every recording.
            if loud.iter().sum::<f32>() < 0.0 {
                continue;
            }
            let from = index * SYLLABLES;
            let heard = heard.get(from..from + SYLLABLES);
            sum += heard.map_or(0.0, |heard| likeness(&centred(said), &centred(heard)));
            count += 1.0;
        }
    }
    if count > 0.0 { (sum / count).max(0.0) } else { 0.0 }
}

/// Bands half an octave apart, from 200 Hz to 4.5 kHz.
const BANDS: usize = 10;
/// Points of a loudness curve that are compared: 380 ms, the length of a short word.
const SYLLABLES: usize = 38;

/// Loudness every 10 ms of the half octave around a frequency.
fn envelope(sound: &[f32], hertz: f32) -> Vec<f32> {
    let angle = std::f32::consts::TAU * hertz / SAMPLE_RATE as f32;
    // A resonator of second order with a gain of 1 in the middle.
    let width = angle.sin() / (2.0 * 2.87);
    let (b, a1, a2) =
        (width / (1.0 + width), -2.0 * angle.cos() / (1.0 + width), (1.0 - width) / (1.0 + width));
    let (mut x, mut y) = ([0.0; 2], [0.0; 2]);
    let mut pass = |sample: f32| {
        let out = b * (sample - x[1]) - a1 * y[0] - a2 * y[1];
        (x, y) = ([sample, x[0]], [out, y[0]]);
        out * out
    };
    let rms = |point: &[f32]| {
        let power: f32 = point.iter().map(|sample| pass(*sample)).sum();
        (power / POINT as f32).sqrt()
    };
    sound.chunks(POINT).map(rms).collect()
}

fn centred(points: &[f32]) -> Vec<f32> {
    let mean = points.iter().sum::<f32>() / points.len().max(1) as f32;
    points.iter().map(|point| point - mean).collect()
}

/// 4 kHz: speech below 1.2 kHz, where its vowels are, in few enough samples to try every lag and
/// enough that none falls between two.
const DECIMATION: usize = 12;
/// Half a second after decimation.
const SEGMENT: usize = SAMPLE_RATE as usize / DECIMATION / 2;
/// How far a segment may be from the common lag: 150 ms, what a jitter buffer moves at most in a
/// call worth hearing.
const REACH: usize = SAMPLE_RATE as usize / DECIMATION * 3 / 20;
/// Samples at 48 kHz of one point of the loudness curve: 10 ms.
const POINT: usize = 480;

/// Sound at 4 kHz.
struct Wave(Vec<f32>);

impl Wave {
    fn new(sound: &[f32]) -> Self {
        let filter = low_pass();
        let at = |center: usize| {
            let taps = filter.iter().enumerate();
            let sample = |(tap, weight): (usize, &f32)| {
                let index = (center + tap).checked_sub(filter.len() / 2);
                weight * index.and_then(|index| sound.get(index)).copied().unwrap_or(0.0)
            };
            taps.map(sample).sum()
        };
        Self((0..sound.len()).step_by(DECIMATION).map(at).collect())
    }

    /// Where in `from..=to` the segment fits best, and how well.
    fn find(&self, segment: &[f32], from: usize, to: usize) -> (usize, f32) {
        let last = self.0.len().checked_sub(segment.len());
        let Some(to) = last.map(|last| to.min(last)).filter(|to| *to >= from) else {
            return (from, 0.0);
        };
        let fits = (from..=to).map(|at| (at, likeness(segment, &self.0[at..at + segment.len()])));
        fits.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((from, 0.0))
    }
}

/// The lag at 48 kHz where the loudness curves fit best.
fn coarse_lag(reference: &[f32], recording: &[f32], lag_samples_max: usize) -> usize {
    let reference = loudness(reference);
    let recording = loudness(recording);
    let fit = |lag: usize| {
        let rest = recording.get(lag..).unwrap_or_default();
        // What the recording lacks counts as silence, or a short end would fit best.
        let product: f32 = reference.iter().zip(rest).map(|(a, b)| a * b).sum();
        let power: f32 = rest.iter().take(reference.len()).map(|b| b * b).sum();
        product / (power + 1e-6).sqrt()
    };
    let lags = 0..=lag_samples_max / POINT;
    lags.max_by(|a, b| fit(*a).total_cmp(&fit(*b))).unwrap_or(0) * POINT
}

/// Loudness every 10 ms, without its mean.
fn loudness(sound: &[f32]) -> Vec<f32> {
    let rms = |point: &[f32]| (point.iter().map(|s| s * s).sum::<f32>() / POINT as f32).sqrt();
    let curve: Vec<f32> = sound.chunks(POINT).map(rms).collect();
    let mean = curve.iter().sum::<f32>() / curve.len().max(1) as f32;
    curve.into_iter().map(|point| point - mean).collect()
}

/// A windowed sinc that passes what is below 1.2 kHz.
fn low_pass() -> Vec<f32> {
    const TAPS: usize = 121;
    let cutoff = 1_200.0 / SAMPLE_RATE as f32;
    let tap = |index: usize| {
        let x = index as f32 - (TAPS / 2) as f32;
        let sinc = if x == 0.0 {
            2.0 * cutoff
        } else {
            (std::f32::consts::TAU * cutoff * x).sin() / (std::f32::consts::PI * x)
        };
        let phase = std::f32::consts::TAU * index as f32 / (TAPS - 1) as f32;
        sinc * (0.54 - 0.46 * phase.cos())
    };
    (0..TAPS).map(tap).collect()
}

/// Normalized correlation.
fn likeness(a: &[f32], b: &[f32]) -> f32 {
    let (mut product, mut power_a, mut power_b) = (0.0f32, 0.0f32, 0.0f32);
    for (a, b) in a.iter().zip(b) {
        product += a * b;
        power_a += a * a;
        power_b += b * b;
    }
    // The floor is -90 dB: what is quieter than that in a recording fits nothing.
    product / ((power_a * power_b).sqrt() + 1e-9 * a.len() as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::wav::read_wav;

    fn speech(name: &str) -> Vec<f32> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        read_wav(&folder.join(name)).expect("speech that ships with the program")
    }

    #[test]
    fn the_same_speech_later_and_softer_is_found() {
        let said = speech("speech-alice.wav");
        let mut heard = vec![0.0; 70_000];
        heard.extend(said.iter().map(|s| s * 0.2));
        // A jitter buffer leaves out a frame in the middle.
        heard.drain(180_000..180_960);
        let found = correlation(&said, &heard, 96_000);
        assert!(found.lag_samples.abs_diff(70_000) < 1000, "{found:?}");
        assert!(found.coefficient > 0.9, "{found:?}");
    }

    #[test]
    fn noise_makes_speech_hard_to_understand() {
        let said = speech("speech-alice.wav");
        let mut rng = crate::base::Rng::from_number(1);
        let mut with_noise = |amount: f32| {
            let noise = |sample: &f32| sample + amount * (rng.unit() as f32 - 0.5);
            let heard: Vec<f32> = said.iter().map(noise).collect();
            intelligibility(&said, &heard, 4_800)
        };
        let marks = [with_noise(0.0), with_noise(0.3), with_noise(10.0)];
        assert!(marks[0] > 0.99 && marks[1] > 0.7 && marks[2] < 0.5, "{marks:?}");
        let other = intelligibility(&said, &speech("speech-bob.wav"), 4_800);
        assert!(other < 0.35, "{other}");
        assert_eq!(intelligibility(&said, &[], 4_800), 0.0);
    }

    #[test]
    fn other_speech_silence_and_nothing_are_not_it() {
        let (alice, bob) = (speech("speech-alice.wav"), speech("speech-bob.wav"));
        let found = correlation(&alice, &bob, 96_000);
        assert!(found.coefficient < 0.5, "{found:?}");
        let found = better_half(&alice, &bob, 96_000);
        assert!(found < 0.5, "{found}");
        for nothing in [vec![0.0; 240_000], Vec::new()] {
            assert_eq!(correlation(&alice, &nothing, 96_000).coefficient, 0.0);
            assert_eq!(correlation(&nothing, &alice, 96_000).coefficient, 0.0);
        }
    }

    #[test]
    fn what_is_broken_for_a_while_is_the_same_speech() {
        let said = speech("speech-alice.wav");
        let mut heard = said.clone();
        heard[48_000..144_000].fill(0.0);
        assert!(correlation(&said, &heard, 96_000).coefficient < 0.8);
        assert!(better_half(&said, &heard, 96_000) > 0.9);
        heard[48_000..].fill(0.0);
        assert!(better_half(&said, &heard, 96_000) < 0.6);
        assert_eq!(better_half(&said, &[], 96_000), 0.0);
    }

    #[test]
    fn half_of_the_speech_is_half_a_match() {
        let said = speech("speech-alice.wav");
        let found = correlation(&said, &said[..said.len() / 2], 96_000);
        assert!((0.25..0.75).contains(&found.coefficient), "{found:?}");
    }
}
