//! What a microphone in a room needs before others like to hear it: the echo of the speaker
//! taken out, noise lowered, and quiet voices raised. The crate `sonora` does the work.

use sonora::config::{
    AdaptiveDigital, EchoCanceller, GainController2, HighPassFilter, NoiseSuppression,
};
use sonora::{AudioProcessing, Config, StreamConfig};

use super::codec::{Frame, SAMPLE_RATE};

/// Takes out of a microphone's sound what is not the voice in front of it.
pub struct VoiceProcessor {
    pipeline: AudioProcessing,
    output: [f32; STEP],
}

/// The library works in steps of 10 ms.
const STEP: usize = SAMPLE_RATE as usize / 100;
/// Gain to begin with and most of it, in dB: a voice across the room is 20 dB below one at the
/// desk, and more than that would raise what is no voice.
const GAIN_DB: (f32, f32) = (3.0, 20.0);

impl VoiceProcessor {
    /// A processor that knows nothing of the room yet; it learns within a second or two of sound.
    pub fn new() -> Self {
        let gain = AdaptiveDigital {
            initial_gain_db: GAIN_DB.0,
            max_gain_db: GAIN_DB.1,
            ..AdaptiveDigital::default()
        };
        let config = Config {
            high_pass_filter: Some(HighPassFilter::default()),
            echo_canceller: Some(EchoCanceller::default()),
            noise_suppression: Some(NoiseSuppression::default()),
            gain_controller2: Some(GainController2 {
                adaptive_digital: Some(gain),
                ..GainController2::default()
            }),
            ..Config::default()
        };
        let stream = StreamConfig::new(SAMPLE_RATE, 1);
        let pipeline = AudioProcessing::builder()
            .config(config)
            .capture_config(stream)
            .render_config(stream)
            .build();
        Self { pipeline, output: [0.0; STEP] }
    }

    /// Cleans 20 ms from the microphone. `played` is what was given to the speaker last; how long
    /// that takes until it is heard is found out, and may change.
    pub fn clean(&mut self, played: &Frame, captured: &mut Frame) {
        for (played, captured) in played.chunks_exact(STEP).zip(captured.chunks_exact_mut(STEP)) {
            let Self { pipeline, output } = self;
            // Both refuse only another number of channels or samples; then the sound stays as it
            // is.
            let heard = pipeline.process_render_f32(&[played], &mut [output]).is_ok();
            if heard && pipeline.process_capture_f32(&[captured], &mut [output]).is_ok() {
                captured.copy_from_slice(output);
            }
        }
    }
}

impl Default for VoiceProcessor {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for VoiceProcessor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VoiceProcessor").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;
    use crate::media::codec::{FRAME_SAMPLES, SILENCE};
    use crate::media::compare::intelligibility;
    use crate::media::wav::read_wav;

    /// A room: what the speaker plays comes back from the desk, 14 dB softer, later from the
    /// walls, ever fainter and with a hiss below it.
    struct Room {
        /// Delays in samples and gains.
        reflections: Vec<(usize, f32)>,
        noise: f32,
    }

    impl Room {
        fn new(delay_ms: usize, rng: &mut Rng) -> Self {
            let mut reflections = vec![(delay_ms * 48, 0.2)];
            for _ in 0..24 {
                let later = rng.below(80 * 48) as usize;
                let gain = 0.08 * (-(later as f32) / 960.0).exp();
                let sign = if rng.below(2) == 0 { 1.0 } else { -1.0 };
                reflections.push((delay_ms * 48 + later, gain * sign));
            }
            Self { reflections, noise: 0.0002 }
        }

        fn echo(&self, played: &[f32]) -> Vec<f32> {
            let mut echo = vec![0.0; played.len()];
            for (delay, gain) in &self.reflections {
                for (echo, played) in echo.iter_mut().skip(*delay).zip(played) {
                    *echo += played * gain;
                }
            }
            echo
        }
    }

    fn speech(name: &str, samples: usize) -> Vec<f32> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let sound = read_wav(&folder.join(name)).expect("speech that ships with the program");
        sound.into_iter().cycle().take(samples).collect()
    }

    fn frame(sound: &[f32], at: usize) -> Frame {
        let from = sound.get(at * FRAME_SAMPLES..(at + 1) * FRAME_SAMPLES);
        from.and_then(|frame| frame.try_into().ok()).unwrap_or(SILENCE)
    }

    /// What is sent while `far` is played in the room and `near` is said in it.
    fn sent(room: &Room, far: &[f32], near: &[f32], rng: &mut Rng) -> (Vec<f32>, Vec<f32>) {
        let echo = room.echo(far);
        let mut processor = VoiceProcessor::new();
        let mut out = Vec::new();
        for at in 0..far.len() / FRAME_SAMPLES {
            let (echo, near) = (frame(&echo, at), frame(near, at));
            let mut captured: Frame = std::array::from_fn(|index| {
                echo[index] + near[index] + room.noise * (rng.unit() as f32 - 0.5) * 3.46
            });
            processor.clean(&frame(far, at), &mut captured);
            out.extend(captured);
        }
        (echo, out)
    }

    fn power(sound: &[f32]) -> f32 {
        sound.iter().map(|s| s * s).sum::<f32>() / sound.len() as f32
    }

    /// Echo return loss enhancement (ITU-T G.168 §3.1): what comes back of the speaker's sound.
    #[test]
    fn the_echo_of_the_speaker_is_35_db_lower() {
        const SECOND: usize = SAMPLE_RATE as usize;
        for delay_ms in [40, 60, 80] {
            let mut rng = Rng::from_number(delay_ms as u64);
            let room = Room::new(delay_ms, &mut rng);
            let far = speech("speech-alice.wav", 16 * SECOND);
            let (echo, out) = sent(&room, &far, &[], &mut rng);
            let measured = 4 * SECOND..16 * SECOND;
            let erle = 10.0 * (power(&echo[measured.clone()]) / power(&out[measured])).log10();
            eprintln!("{delay_ms} ms: echo return loss enhancement {erle:.1} dB");
            assert!(erle >= 35.0, "{delay_ms} ms: {erle:.1} dB");
        }
    }

    #[test]
    fn who_speaks_at_the_same_time_is_understood() {
        const SECOND: usize = SAMPLE_RATE as usize;
        let mut rng = Rng::from_number(9);
        let room = Room::new(60, &mut rng);
        let far = speech("speech-alice.wav", 16 * SECOND);
        let mut near = vec![0.0; 6 * SECOND];
        near.extend(speech("speech-bob.wav", 10 * SECOND));
        let (_, out) = sent(&room, &far, &near, &mut rng);
        let said = &near[6 * SECOND..];
        let near_mark = intelligibility(said, &out[6 * SECOND..], SECOND / 10);
        let far_mark = intelligibility(&far[6 * SECOND..], &out[6 * SECOND..], SECOND / 5);
        eprintln!("double talk: near {near_mark:.2}, far {far_mark:.2}");
        assert!(near_mark > 0.7, "{near_mark}");
        assert!(far_mark < 0.4, "{far_mark}");
    }

    #[test]
    fn a_voice_alone_goes_through_and_a_quiet_one_is_raised() {
        const SECOND: usize = SAMPLE_RATE as usize;
        let mut rng = Rng::from_number(10);
        let room = Room { reflections: Vec::new(), noise: 0.0001 };
        let near: Vec<f32> =
            speech("speech-bob.wav", 12 * SECOND).into_iter().map(|s| s * 0.1).collect();
        let (_, out) = sent(&room, &vec![0.0; near.len()], &near, &mut rng);
        let mark = intelligibility(&near, &out, SECOND / 10);
        assert!(mark > 0.85, "{mark}");
        let late = 8 * SECOND..12 * SECOND;
        let gain = 10.0 * (power(&out[late.clone()]) / power(&near[late])).log10();
        assert!(gain > 6.0, "raised by {gain:.1} dB");
    }
}
