//! Between our 20 ms ticks and a device's own clock.

/// How much waits for a device at each tick, and how much has to, so that it does not run dry when
/// a tick is late: as much as it has fallen below its mean lately, and a little.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    /// In seconds, over about a second; `None` where it begins anew.
    mean: Option<f64>,
    /// How far it has fallen below the mean, in seconds; half of that is forgotten in half a
    /// minute.
    dip: f64,
}

impl Level {
    /// A surplus or lack that is left, in seconds.
    const LEFT: f64 = 0.002;
    /// Kept beside the dips, in seconds.
    const LEAST: f64 = 0.003;
    /// What comes later than this is better lost than waited for, in seconds.
    const MOST: f64 = 0.060;
    /// Dips presumed at the beginning, in seconds.
    const FIRST: f64 = 0.007;
    /// Added each time that the ring runs dry, in seconds.
    const STEP: f64 = 0.010;
    /// Share of a new measurement in the mean, at 50 a second.
    const SMOOTHING: f64 = 0.02;
    /// Share of a dip that is remembered from tick to tick.
    const MEMORY: f64 = 0.999_54;

    /// Notes what waits in this tick, in seconds; negative if that is too little.
    pub(super) fn note(&mut self, level: f64) {
        let mean = self.mean.unwrap_or(level);
        let mean = mean + (level - mean) * Self::SMOOTHING;
        self.mean = Some(mean);
        self.dip = (self.dip * Self::MEMORY).max(mean - level).min(Self::MOST);
    }

    /// The ring has run dry.
    pub(super) fn starved(&mut self) {
        self.dip = (self.dip + Self::STEP).min(Self::MOST);
        self.mean = None;
    }

    /// What should wait at a tick, in seconds.
    pub(super) fn wanted(&self) -> f64 {
        Self::LEAST + self.dip
    }

    /// By how much what waits is above that in the mean, in seconds; what differs little is left as
    /// it is, for nothing is gained by a voice that is always a little too high or too low.
    pub(super) fn surplus(&self) -> f64 {
        let surplus = self.mean.map_or(0.0, |mean| mean - self.wanted());
        surplus - surplus.clamp(-Self::LEFT, Self::LEFT)
    }

    /// Sound has been put in or thrown away: the mean begins anew.
    pub(super) fn begin(&mut self) {
        self.mean = None;
    }
}

impl Default for Level {
    fn default() -> Self {
        Self { mean: None, dip: Self::FIRST }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::resample::Stream;

    /// What has fallen 20 ms below its mean is kept that much fuller at once, and after some
    /// minutes of quiet no more; who ran dry keeps more still.
    #[test]
    fn more_waits_where_the_other_end_was_late() {
        let mut level = Level::default();
        let quiet = |level: &mut Level, seconds: usize| {
            (0..50 * seconds).for_each(|_| level.note(0.030));
        };
        quiet(&mut level, 5);
        assert!(level.wanted() < 0.011 && level.surplus() > 0.017, "{level:?}");
        level.note(0.010);
        assert!((0.022..0.024).contains(&level.wanted()), "{level:?}");
        quiet(&mut level, 10);
        assert!(level.wanted() > 0.018, "{level:?}");
        quiet(&mut level, 300);
        assert!(level.wanted() < 0.004, "{level:?}");
        level.starved();
        assert!(level.wanted() > 0.012 && level.surplus() == 0.0, "{level:?}");
        (0..50).for_each(|_| level.starved());
        assert!(level.wanted() < 0.064, "{level:?}");
    }

    #[test]
    fn a_ring_is_steered_to_its_target() {
        // A device that plays 300 ppm slower than our ticks. Both count in samples.
        let mut stream = Stream::from_48k(48_000).expect("a stream");
        let mut ring = 2_000.0f64;
        let mut level = Level::default();
        let mut worst_late = 0.0f64;
        for tick in 0..50 * 120 {
            ring += stream.process(&[0.0; 960]).expect("a frame").len() as f64;
            ring -= 960.0 * (1.0 - 300e-6);
            level.note(ring / 48_000.0);
            stream.steer(level.surplus()).expect("within bounds");
            if tick > 50 * 60 {
                worst_late = worst_late.max(level.surplus().abs());
            }
        }
        assert!(worst_late < 0.005, "{worst_late} s off");
    }
}
