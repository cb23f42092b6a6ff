//! How loud sound is, for meters and for "was anything heard?".

/// Watches the loudness of a stream of frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct LevelMeter {
    level: f32,
    loud_frames: u32,
    is_quiet: bool,
}

/// What counts as silence, in dB below full scale: room noise of an ordinary microphone.
const SILENCE_DB: f32 = -50.0;
/// The lower end of the meter.
const METER_FLOOR_DB: f32 = -60.0;
/// Frames above silence after which sound was heard: 100 ms, longer than a click.
const LOUD_FRAMES_MIN: u32 = 5;
/// Share of the way down that the meter falls in a frame: about 200 ms to silence.
const FALL: f32 = 0.15;

impl LevelMeter {
    /// Takes a piece of sound in.
    pub fn watch(&mut self, samples: &[f32]) {
        let db = decibels(samples);
        self.is_quiet = db < SILENCE_DB;
        if !self.is_quiet {
            self.loud_frames = self.loud_frames.saturating_add(1);
        }
        let level = ((db - METER_FLOOR_DB) / -METER_FLOOR_DB).clamp(0.0, 1.0);
        self.level =
            if level > self.level { level } else { self.level + (level - self.level) * FALL };
    }

    /// The meter's position: 0 is -60 dB and less, 1 full scale; rises at once, falls slowly.
    pub fn level(&self) -> f32 {
        self.level
    }

    /// Whether the last piece was near silence.
    pub fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    /// Whether anything but silence has been watched.
    pub fn has_heard_sound(&self) -> bool {
        self.loud_frames >= LOUD_FRAMES_MIN
    }
}

/// Loudness in dB below full scale.
fn decibels(samples: &[f32]) -> f32 {
    if samples.is_empty() {
        return METER_FLOOR_DB;
    }
    let power = samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32;
    10.0 * power.max(1e-12).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_not_sound_and_speech_is() {
        let mut meter = LevelMeter::default();
        for _ in 0..100 {
            meter.watch(&[0.001; 960]);
        }
        assert!(meter.is_quiet() && !meter.has_heard_sound());
        assert!(meter.level() <= 0.01);
        for _ in 0..5 {
            meter.watch(&[0.1; 960]);
        }
        assert!(meter.has_heard_sound() && !meter.is_quiet());
        assert!((meter.level() - 2.0 / 3.0).abs() < 0.01, "-20 dB: {}", meter.level());
        meter.watch(&[0.0; 960]);
        assert!(meter.level() > 0.5, "falls slowly");
    }
}
