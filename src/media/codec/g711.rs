//! The sound of a telephone: 8 kHz, a byte for each sample (ITU-T G.711, RFC 3551 §4.5.14), brought
//! from and to 48 kHz. What is lost is filled with the last period of the voice, which fades.

use std::f32::consts::PI;

use super::{FRAME_SAMPLES, Frame, PACKET_SAMPLES_MAX};

/// Samples per second on the wire.
pub(super) const RATE: u32 = 8_000;

/// How a sample becomes a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Law {
    /// Table 2a of G.711.
    Mu,
    /// Table 1a of G.711.
    A,
}

/// Makes packets of frames.
#[derive(Debug)]
pub struct G711Encoder {
    law: Law,
    filter: Vec<f32>,
    /// The end of the sound before, then the frame.
    sound: Vec<f32>,
    packet: [u8; FRAME_SAMPLES / STEP],
}

/// Makes sound of packets, and of their absence.
#[derive(Debug)]
pub struct G711Decoder {
    law: Law,
    filter: Vec<f32>,
    /// What was last heard, at 8 kHz.
    heard: Vec<f32>,
    /// What was last played, at 8 kHz.
    played: Vec<f32>,
    /// Samples invented since something was heard.
    invented: usize,
    /// The length after which what was heard repeats itself.
    period: usize,
    buffer: Vec<f32>,
}

/// Samples at 48 kHz for one at 8 kHz.
const STEP: usize = 6;
/// Length of the filter at 48 kHz: 2.5 ms of delay, flat to 3.4 kHz and silent from 4 kHz on.
const TAPS: usize = 240;
/// Where the filter ends, in Hz.
const CUT_OFF: f32 = 3_700.0;
/// Samples at 8 kHz that one of 48 kHz is made of.
const REACH: usize = TAPS / STEP;
/// Sound kept to be said again: 60 ms.
const HEARD: usize = 480;
/// The shortest and longest period of a voice: 400 Hz and 66 Hz.
const PERIODS: std::ops::RangeInclusive<usize> = 20..=120;
/// What is compared to find it: 20 ms.
const COMPARED: usize = 160;
/// Invented sound is loud for 10 ms and gone after 60.
const FADE: (usize, usize) = (80, 480);
/// How long it goes on, fading, into what is heard again: 4 ms.
const BLEND: usize = 32;

impl G711Encoder {
    pub(super) fn new(law: Law) -> Self {
        let sound = vec![0.0; TAPS + FRAME_SAMPLES];
        Self { law, filter: low_pass(), sound, packet: [0; FRAME_SAMPLES / STEP] }
    }

    /// The packet for a frame.
    pub(super) fn encode(&mut self, frame: &Frame) -> &[u8] {
        let Self { law, filter, sound, packet } = self;
        sound.copy_within(FRAME_SAMPLES.., 0);
        sound[TAPS..].copy_from_slice(frame);
        for (index, byte) in packet.iter_mut().enumerate() {
            let window = &sound[index * STEP + STEP..][..TAPS];
            let sample: f32 = window.iter().zip(&*filter).map(|(s, h)| s * h).sum();
            *byte = law.compress((sample * 32_767.0) as i16);
        }
        packet
    }
}

impl G711Decoder {
    pub(super) fn new(law: Law) -> Self {
        Self {
            law,
            filter: low_pass(),
            heard: vec![0.0; HEARD],
            played: vec![0.0; REACH],
            invented: 0,
            period: *PERIODS.end(),
            buffer: Vec::with_capacity(PACKET_SAMPLES_MAX),
        }
    }

    pub(super) fn law(&self) -> Law {
        self.law
    }

    /// The packet's sound.
    pub(super) fn decode(&mut self, packet: &[u8]) -> &[f32] {
        let law = self.law;
        let mut sound: Vec<f32> =
            packet.iter().map(|byte| f32::from(law.expand(*byte)) / 32_768.0).collect();
        if self.invented > 0 {
            for (index, sample) in sound.iter_mut().take(BLEND).enumerate() {
                let share = (index as f32 + 0.5) / BLEND as f32;
                *sample = *sample * share + self.invent(index) * (1.0 - share);
            }
        }
        self.invented = 0;
        self.heard.extend_from_slice(&sound);
        self.heard.drain(..self.heard.len() - HEARD);
        self.play(&sound)
    }

    /// `samples` (48 kHz) of invented sound.
    pub(super) fn conceal(&mut self, samples: u32) -> &[f32] {
        let samples = usize::try_from(samples).unwrap_or(PACKET_SAMPLES_MAX);
        let samples = samples.clamp(STEP, PACKET_SAMPLES_MAX) / STEP;
        if self.invented == 0 {
            self.period = period(&self.heard);
        }
        let sound: Vec<f32> = (0..samples).map(|index| self.invent(index)).collect();
        self.invented = (self.invented + samples).min(FADE.1);
        self.play(&sound)
    }

    /// The sample this far behind those that are invented already.
    fn invent(&self, index: usize) -> f32 {
        let at = self.invented + index;
        let left = FADE.1.saturating_sub(at) as f32 / (FADE.1 - FADE.0) as f32;
        self.heard[HEARD - self.period + at % self.period] * left.min(1.0)
    }

    /// Brings sound to 48 kHz.
    fn play(&mut self, sound: &[f32]) -> &[f32] {
        let Self { filter, played, buffer, .. } = self;
        buffer.clear();
        played.extend_from_slice(sound);
        for window in played.windows(REACH).skip(1) {
            for phase in 0..STEP {
                let taps = filter[phase..].iter().step_by(STEP);
                let sum: f32 = window.iter().rev().zip(taps).map(|(s, h)| s * h).sum();
                buffer.push(sum * STEP as f32);
            }
        }
        played.drain(..sound.len());
        buffer
    }
}

impl Law {
    /// The byte nearest to a sample.
    fn compress(self, sample: i16) -> u8 {
        let sign = if sample < 0 { 0 } else { 0x80 };
        match self {
            Self::Mu => {
                let magnitude = u32::from(sample.unsigned_abs()).min(CLIP) + BIAS;
                let segment = magnitude.ilog2() - BIAS.ilog2();
                let step = (magnitude >> (segment + 3)) & 0x0f;
                // All bits of the magnitude are inverted.
                sign | (!(((segment << 4) | step) as u8) & 0x7f)
            }
            Self::A => {
                let magnitude = u32::from(if sample < 0 { !sample } else { sample } as u16) >> 4;
                let segment = magnitude.max(16).ilog2() - 3 - u32::from(magnitude < 16);
                let step = (magnitude >> (segment.max(1) - 1)) & 0x0f;
                // Every other bit is inverted.
                (sign | ((segment << 4) | step) as u8) ^ 0x55
            }
        }
    }

    /// The sample that a byte stands for.
    fn expand(self, byte: u8) -> i16 {
        let bits = match self {
            Self::Mu => byte ^ 0x7f,
            Self::A => byte ^ 0x55,
        };
        let (segment, step) = (i16::from((bits >> 4) & 7), i16::from(bits & 0x0f));
        let magnitude = match self {
            Self::Mu => ((step * 8 + BIAS as i16) << segment) - BIAS as i16,
            Self::A if segment == 0 => step * 16 + 8,
            Self::A => (step * 16 + 264) << (segment - 1),
        };
        if bits & 0x80 == 0 { -magnitude } else { magnitude }
    }
}

/// What µ-law adds to a magnitude so that segments begin at powers of two, and the most that it
/// can have before that.
const BIAS: u32 = 132;
const CLIP: u32 = 32_635;

/// A sinc in a Hamming window.
fn low_pass() -> Vec<f32> {
    let middle = (TAPS as f32 - 1.0) / 2.0;
    let tap = |index: usize| {
        let x = index as f32 - middle;
        let sinc = (2.0 * PI * CUT_OFF / 48_000.0 * x).sin() / (PI * x);
        sinc * (0.54 + 0.46 * (PI * x / middle).cos())
    };
    let taps: Vec<f32> = (0..TAPS).map(tap).collect();
    let sum: f32 = taps.iter().sum();
    taps.into_iter().map(|tap| tap / sum).collect()
}

/// After how many samples the end of what was heard repeats itself best.
fn period(heard: &[f32]) -> usize {
    let end = &heard[HEARD - COMPARED..];
    let likeness = |period: usize| {
        let before = &heard[HEARD - COMPARED - period..HEARD - period];
        let product: f32 = end.iter().zip(before).map(|(a, b)| a * b).sum();
        let power: f32 = before.iter().map(|b| b * b).sum();
        product / (power + 1e-6).sqrt()
    };
    let better = |a: (usize, f32), b: (usize, f32)| if b.1 > a.1 { b } else { a };
    PERIODS.map(|period| (period, likeness(period))).reduce(better).map_or(COMPARED, |best| best.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hertz: f32, seconds: f32) -> Vec<f32> {
        let step = hertz * std::f32::consts::TAU / 48_000.0;
        (0..(48_000.0 * seconds) as usize).map(|at| (at as f32 * step).sin() * 0.3).collect()
    }

    fn power(samples: &[f32]) -> f32 {
        samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32
    }

    /// The ends and the middle of tables 1a to 2b of G.711, in 16 bits.
    #[test]
    fn the_tables_of_the_standard() {
        for (sample, mu, a) in [(0, 0xff, 0xd5), (i16::MAX, 0x80, 0xaa), (i16::MIN, 0x00, 0x2a)] {
            assert_eq!((Law::Mu.compress(sample), Law::A.compress(sample)), (mu, a), "{sample}");
        }
        assert_eq!((Law::Mu.expand(0x80), Law::Mu.expand(0x00)), (32_124, -32_124));
        assert_eq!((Law::A.expand(0xaa), Law::A.expand(0x2a)), (32_256, -32_256));
        assert_eq!((Law::Mu.expand(0xf0), Law::A.expand(0xf4)), (120, 560));
    }

    /// Each byte stands for a sample that it is the nearest byte to.
    #[test]
    fn each_byte_is_its_own() {
        for law in [Law::Mu, Law::A] {
            for byte in 0..=u8::MAX {
                let again = law.compress(law.expand(byte));
                // µ-law has a negative zero.
                assert!(again == byte || (law, byte) == (Law::Mu, 0x7f), "{law:?} {byte:#x}");
            }
            let error = |sample: i16| {
                let back = i32::from(law.expand(law.compress(sample)));
                (back - i32::from(sample)).abs()
            };
            for sample in (-32_000..32_000).step_by(7) {
                let most = (i32::from(sample).abs() / 24).max(8);
                assert!(error(sample) <= most, "{law:?} {sample}: {}", error(sample));
            }
        }
    }

    /// A telephone's band comes through as loud as it was, and nothing above it does, which would
    /// come back as another tone.
    #[test]
    fn the_band_of_a_telephone() {
        let through = |hertz: f32| {
            let (mut encoder, mut decoder) = (G711Encoder::new(Law::A), G711Decoder::new(Law::A));
            let mut heard = Vec::new();
            for frame in tone(hertz, 0.4).chunks_exact(FRAME_SAMPLES) {
                let packet = encoder.encode(frame.try_into().expect("a frame")).to_vec();
                assert_eq!(packet.len(), 160);
                heard.extend_from_slice(decoder.decode(&packet));
            }
            power(&heard[9_600..]) / 0.045
        };
        for hertz in [150.0, 1_000.0, 3_300.0] {
            let share = through(hertz);
            assert!((0.9..1.1).contains(&share), "{hertz} Hz: {share}");
        }
        for hertz in [4_200.0, 7_000.0, 15_000.0] {
            let share = through(hertz);
            assert!(share < 0.001, "{hertz} Hz: {share}");
        }
    }

    /// A lost packet in a tone is not heard as a hole or a click; a long loss is silence.
    #[test]
    fn what_is_lost_is_filled() {
        let (mut encoder, mut decoder) = (G711Encoder::new(Law::Mu), G711Decoder::new(Law::Mu));
        let mut heard = Vec::new();
        for (index, frame) in tone(210.0, 0.6).chunks_exact(FRAME_SAMPLES).enumerate() {
            let packet = encoder.encode(frame.try_into().expect("a frame")).to_vec();
            match index {
                10 | 15.. => heard.extend_from_slice(decoder.conceal(960)),
                _ => heard.extend_from_slice(decoder.decode(&packet)),
            }
        }
        assert!(power(&heard[9_600..10_560]) > 0.03, "{}", power(&heard[9_600..10_560]));
        let step = |sound: &[f32]| {
            sound.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
        };
        let ratio = step(&heard[9_000..13_000]) / step(&heard[4_000..9_000]);
        assert!(ratio < 1.6, "a click of {ratio}");
        assert_eq!(power(&heard[20_000..]), 0.0);
    }

    #[test]
    fn odd_lengths_are_survived() {
        let mut decoder = G711Decoder::new(Law::Mu);
        for length in [0, 1, 159, 960] {
            assert_eq!(decoder.decode(&vec![0x55; length]).len(), length * STEP);
            assert!(!decoder.conceal(length as u32).is_empty());
        }
    }
}
