//! The sounds of a phone that rings, here or at the other end, of a call that is
//! recorded, and of an answering machine.

use super::codec::{FRAME_SAMPLES, Frame, SAMPLE_RATE, SILENCE};

/// Which phone rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ringing {
    /// Ours: two notes in turn, twice, then a pause.
    Here,
    /// Ours, while somebody talks on it: two short soft notes, seldom.
    Waiting,
    /// The other side's: the tone that ITU-T E.180 recommends, 425 Hz for a second in five.
    There,
}

/// Makes the sound frame by frame, from its beginning.
#[derive(Clone, Debug)]
pub struct RingTone {
    ringing: Ringing,
    /// Samples so far.
    position: u64,
}

impl RingTone {
    /// A tone about to begin.
    pub fn new(ringing: Ringing) -> Self {
        Self { ringing, position: 0 }
    }

    /// The next 20 ms.
    pub fn frame(&mut self) -> Frame {
        let mut frame = SILENCE;
        for sample in &mut frame {
            let at_s = self.position as f32 / SAMPLE_RATE as f32;
            *sample = match self.ringing {
                Ringing::Here => here(at_s % PERIOD_HERE_S),
                Ringing::Waiting => waiting(at_s % PERIOD_WAITING_S),
                Ringing::There => there(at_s % PERIOD_THERE_S),
            };
            self.position += 1;
        }
        debug_assert_eq!(self.position % FRAME_SAMPLES as u64, 0);
        frame
    }
}

/// A short high tone now and then, for those who are recorded and whose phone does not say so.
#[derive(Clone, Debug, Default)]
pub struct NoticeTone {
    /// Samples so far.
    position: u64,
}

impl NoticeTone {
    /// Adds the next 20 ms to what is said.
    pub fn mix(&mut self, frame: &mut Frame) {
        for sample in frame {
            let at_s = self.position as f32 / SAMPLE_RATE as f32;
            if at_s < NOTICE_S {
                let swell = (at_s / NOTICE_S * std::f32::consts::PI).sin();
                *sample = (*sample + sine(1400.0, at_s) * swell * LOUDNESS / 2.0).clamp(-1.0, 1.0);
            }
            self.position = (self.position + 1) % NOTICE_EVERY;
        }
    }
}

/// What an answering machine says that was taught nothing else: three notes upwards.
pub(super) fn greeting() -> Vec<f32> {
    let notes = [523.3, 659.3, 784.0].into_iter().flat_map(|hertz| note(hertz, 0.35));
    let pause = std::iter::repeat_n(0.0, SAMPLE_RATE as usize / 2);
    notes.chain(pause).collect()
}

/// After this tone an answering machine listens.
pub(super) fn message() -> Vec<f32> {
    note(1000.0, 0.5).collect()
}

/// A note that swells and fades.
fn note(hertz: f32, length_s: f32) -> impl Iterator<Item = f32> {
    let samples = (length_s * SAMPLE_RATE as f32) as u32;
    (0..samples).map(move |at| {
        let at_s = at as f32 / SAMPLE_RATE as f32;
        sine(hertz, at_s) * (at_s / length_s * std::f32::consts::PI).sin() * LOUDNESS
    })
}

/// Four notes of a quarter of a second, each swelling and fading so that nothing clicks.
fn here(at_s: f32) -> f32 {
    const NOTE_S: f32 = 0.25;
    if at_s >= 4.0 * NOTE_S {
        return 0.0;
    }
    let hertz = if ((at_s / NOTE_S) as u32).is_multiple_of(2) { 660.0 } else { 880.0 };
    let swell = (at_s % NOTE_S / NOTE_S * std::f32::consts::PI).sin();
    sine(hertz, at_s) * swell * LOUDNESS
}

/// Two beeps of 150 ms, a quarter as loud as a ring.
fn waiting(at_s: f32) -> f32 {
    const BEEP_S: f32 = 0.15;
    let (beep, within_s) = ((at_s / BEEP_S) as u32, at_s % BEEP_S);
    if beep != 0 && beep != 2 {
        return 0.0;
    }
    let swell = (within_s / BEEP_S * std::f32::consts::PI).sin();
    sine(660.0, at_s) * swell * LOUDNESS / 4.0
}

fn there(at_s: f32) -> f32 {
    const TONE_S: f32 = 1.0;
    if at_s < TONE_S { sine(425.0, at_s) * LOUDNESS / 2.0 } else { 0.0 }
}

fn sine(hertz: f32, at_s: f32) -> f32 {
    (hertz * at_s * std::f32::consts::TAU).sin()
}

/// Length of the tone of a recording, and samples from one to the next: 15 s.
const NOTICE_S: f32 = 0.3;
const NOTICE_EVERY: u64 = 15 * SAMPLE_RATE as u64;
const PERIOD_HERE_S: f32 = 3.0;
const PERIOD_WAITING_S: f32 = 5.0;
const PERIOD_THERE_S: f32 = 5.0;
/// Clear beside speech, far from the limit.
const LOUDNESS: f32 = 0.3;

#[cfg(test)]
mod tests {
    use super::*;

    fn loud_frames(ringing: Ringing, seconds: usize) -> usize {
        let mut tone = RingTone::new(ringing);
        let frames = seconds * SAMPLE_RATE as usize / FRAME_SAMPLES;
        (0..frames)
            .filter(|_| {
                let frame = tone.frame();
                assert!(frame.iter().all(|s| s.abs() <= LOUDNESS));
                frame.iter().any(|s| s.abs() > 0.05)
            })
            .count()
    }

    #[test]
    fn a_ring_is_sound_and_pause() {
        // A second of sound in three, less the quietest frames between notes.
        let here = loud_frames(Ringing::Here, 9);
        assert!((135..=150).contains(&here), "{here}");
        assert_eq!(loud_frames(Ringing::There, 10), 100);
        let waiting = loud_frames(Ringing::Waiting, 10);
        assert!((12..=32).contains(&waiting), "{waiting}");
    }
}
