//! How well the other side is heard: what is missing and how it is spread (RFC 3611 §4.7.1–2), and
//! what people would say of it, estimated by the E-model (ITU-T G.107, as RFC 3611 §4.7.5 has it).

use std::collections::VecDeque;
use std::time::Duration;

use super::codec::Codec;
use super::jitter::Pull;

/// What was missing of the other side's sound when it was to be played, after all repair.
#[derive(Clone, Debug, Default)]
pub(super) struct Misses {
    expected: u64,
    missed: u64,
    bursts: Bursts,
    /// The last seconds, the newest last, and ticks since the call began.
    seconds: VecDeque<Second>,
    ticks: u64,
    /// Whether the frame before was missed.
    is_run: bool,
    frame: Duration,
}

/// Periods in which much is missing (RFC 3611 §4.7.2).
#[derive(Clone, Copy, Debug, Default)]
struct Bursts {
    count: u64,
    expected: u64,
    missed: u64,
    /// What may become a burst: frames from its first to its last miss, and misses in it.
    open: (u64, u64),
    /// Frames played since the last miss.
    played: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    expected: u32,
    missed: u32,
    /// Misses in a row count as one.
    runs: u32,
}

/// How what is missing is spread over a call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spread {
    /// Share that is missing, of all, in bursts and between them; 0 to 1.
    pub(super) missed: f32,
    pub(super) in_bursts: f32,
    pub(super) in_gaps: f32,
    /// Mean length of bursts, and of the gaps between them.
    pub(super) burst: Duration,
    pub(super) gap: Duration,
}

/// What people would say of a call, on the scales of RFC 3611 §4.7.5.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// From 0 to 100. Above 80 people are satisfied; below 60 nearly all of them are not.
    pub r_factor: f32,
    /// Mean opinion score of a conversation, 1 (bad) to 4.5.
    pub mos: f32,
}

/// What the E-model is told of a call. All else has the defaults of G.107.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Transmission {
    /// Share of the frames that is missing, 0 to 1.
    pub(super) missed: f32,
    /// Mean length of misses in a row against that of misses by chance.
    pub(super) burst_ratio: f32,
    /// From mouth to ear.
    pub(super) delay: Duration,
}

/// Frames played in a row that end a burst (RFC 3611 §4.7.2 recommends 16).
pub(super) const GMIN: u8 = 16;
/// Ticks of a [`Second`].
const SECOND: u64 = 50;
/// Frames from which something can be said of the other side's sound: a second of it.
const FRAMES_MIN: u32 = 50;
/// Seconds that "lately" means: a trouble shows soon, and a single word that is lost does not.
const SECONDS_MAX: usize = 6;
/// R without any impairment but what the default sound of G.107 has.
const R_MAX: f32 = 93.2;
/// Robustness against loss of a codec with concealment (G.113 Appendix I, for G.711). There is no
/// figure for Opus, whose impairment without loss counts as none.
const LOSS_ROBUSTNESS: f32 = 25.1;
/// Lengths of runs beyond which the model says nothing.
const BURST_RATIO_MAX: f32 = 8.0;

impl Misses {
    /// A frame of this length was played.
    pub(super) fn played(&mut self, length: Duration) {
        self.frame = length;
        self.bursts.played += 1;
        self.is_run = false;
        self.count(Second { expected: 1, ..Second::default() });
    }

    /// A frame was not there.
    pub(super) fn missed(&mut self) {
        self.bursts.miss();
        let runs = u32::from(!std::mem::replace(&mut self.is_run, true));
        self.count(Second { expected: 1, missed: 1, runs });
    }

    /// Counts what the jitter buffer gave, and how many frames it had to pass over for that.
    pub(super) fn note(&mut self, pull: &Pull, lost: u64, codec: Codec) {
        let length = match pull {
            Pull::Packet(payload, _) => codec.duration(payload),
            Pull::Recover { samples, .. } => Some(*samples),
            Pull::Conceal(_) | Pull::Silence => None,
        };
        // A frame that is rebuilt from its successor was passed over as well.
        let lost = lost - u64::from(matches!(pull, Pull::Recover { .. })).min(lost);
        (0..lost).for_each(|_| self.missed());
        if let Some(samples) = length {
            self.played(Duration::from_micros(u64::from(samples) * 125 / 6));
        }
    }

    /// Another 20 ms are to be played. What was heard long ago is no verdict on an other side that
    /// has been silent since.
    pub(super) fn tick(&mut self) {
        self.ticks += 1;
        if self.ticks.is_multiple_of(SECOND) {
            self.seconds.push_back(Second::default());
            if self.seconds.len() > SECONDS_MAX {
                self.seconds.pop_front();
            }
        }
    }

    fn count(&mut self, frame: Second) {
        self.expected += 1;
        self.missed += u64::from(frame.missed);
        if self.seconds.is_empty() {
            self.seconds.push_back(Second::default());
        }
        if let Some(second) = self.seconds.back_mut() {
            second.expected += frame.expected;
            second.missed += frame.missed;
            second.runs += frame.runs;
        }
    }

    /// Frames that were not there.
    pub(super) fn count_missed(&self) -> u64 {
        self.missed
    }

    /// Frames that were to be played.
    pub(super) fn count_expected(&self) -> u64 {
        self.expected
    }

    /// The whole call.
    pub(super) fn spread(&self) -> Spread {
        let bursts = self.bursts.closed();
        let share = |missed: u64, expected: u64| missed as f32 / expected.max(1) as f32;
        let (gap_expected, gap_missed) =
            (self.expected - bursts.expected, self.missed - bursts.missed);
        // The ends of a call count as one gap (RFC 3611 A.2).
        let periods = u32::try_from(bursts.count.max(1)).unwrap_or(u32::MAX);
        let length = |frames: u64| self.frame.mul_f64(frames as f64) / periods;
        Spread {
            missed: share(self.missed, self.expected),
            in_bursts: share(bursts.missed, bursts.expected),
            in_gaps: share(gap_missed, gap_expected),
            burst: length(bursts.expected),
            gap: length(gap_expected),
        }
    }

    /// The last seconds, with this delay; `None` if the other side has hardly been heard in them.
    pub(super) fn lately(&self, delay: Duration) -> Option<Transmission> {
        let sum = self.seconds.iter().fold(Second::default(), |sum, second| Second {
            expected: sum.expected + second.expected,
            missed: sum.missed + second.missed,
            runs: sum.runs + second.runs,
        });
        if sum.expected < FRAMES_MIN {
            return None;
        }
        let missed = sum.missed as f32 / sum.expected as f32;
        let run = sum.missed as f32 / sum.runs.max(1) as f32;
        // By chance a run is 1 / (1 - p) long.
        let burst_ratio = (run * (1.0 - missed)).clamp(1.0, BURST_RATIO_MAX);
        Some(Transmission { missed, burst_ratio, delay })
    }
}

impl Bursts {
    fn miss(&mut self) {
        let (frames, misses) = self.open;
        self.open = if misses > 0 && self.played < u64::from(GMIN) {
            (frames + self.played + 1, misses + 1)
        } else {
            *self = self.closed();
            (1, 1)
        };
        self.played = 0;
    }

    /// With what is open now as a burst, if it is one: a miss alone belongs to the gap around it.
    fn closed(self) -> Self {
        let (frames, misses) = self.open;
        let is_burst = u64::from(misses > 1);
        Self {
            count: self.count + is_burst,
            expected: self.expected + is_burst * frames,
            missed: self.missed + is_burst * misses,
            open: (0, 0),
            played: self.played,
        }
    }
}

impl Transmission {
    /// What people would say of a conversation.
    pub(super) fn estimate(&self) -> Estimate {
        Estimate::of(R_MAX - self.impairment_of_loss() - self.impairment_of_delay())
    }

    /// What they would say if they only listened.
    pub(super) fn listening(&self) -> Estimate {
        Estimate::of(R_MAX - self.impairment_of_loss())
    }

    /// Whether delay is what hurts most.
    pub(super) fn is_late(&self) -> bool {
        self.impairment_of_delay() > self.impairment_of_loss()
    }

    /// Ie-eff of G.107.
    fn impairment_of_loss(&self) -> f32 {
        let percent = self.missed.clamp(0.0, 1.0) * 100.0;
        95.0 * percent / (percent / self.burst_ratio.max(1.0) + LOSS_ROBUSTNESS)
    }

    /// Idd of G.107: nothing up to 100 ms.
    fn impairment_of_delay(&self) -> f32 {
        let x = (self.delay.as_secs_f32() / 0.1).max(1.0).log2();
        let sixth = |x: f32| (1.0 + x.powi(6)).powf(1.0 / 6.0);
        25.0 * (sixth(x) - 3.0 * sixth(x / 3.0) + 2.0)
    }
}

impl Estimate {
    /// The estimate of this R factor.
    pub(super) fn of(r_factor: f32) -> Self {
        let r = r_factor.clamp(0.0, 100.0);
        let mos = 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6;
        Self { r_factor: r, mos: mos.max(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(10);

    /// The example of RFC 3611 §4.7.2: 1 is played, anything else missed.
    #[test]
    fn bursts_are_those_of_the_example() {
        let mut misses = Misses::default();
        for frame in "11110111111111111111111X111X1011110111111111111111111X1111111111".chars() {
            match frame {
                '1' => misses.played(FRAME),
                _ => misses.missed(),
            }
        }
        let spread = misses.spread();
        assert_eq!((misses.count_missed(), misses.count_expected()), (6, 64));
        assert_eq!((spread.burst, spread.gap), (12 * FRAME, 52 * FRAME));
        let rounded = |share: f32| (share * 100.0).round();
        assert_eq!((rounded(spread.in_bursts), rounded(spread.in_gaps)), (33.0, 4.0));
    }

    /// Values of G.107's own curves: the default 93.2 is MOS 4.41; 400 ms cost 24; loss costs what
    /// the formula of Ie-eff says, and more if it comes in runs.
    #[test]
    fn the_model_gives_known_values() {
        let at = |missed, burst_ratio, delay_ms| {
            let delay = Duration::from_millis(delay_ms);
            Transmission { missed, burst_ratio, delay }.estimate()
        };
        assert!((at(0.0, 1.0, 100).mos - 4.41).abs() < 0.01);
        assert!((at(0.0, 1.0, 400).r_factor - 69.1).abs() < 0.3);
        assert!((at(0.05, 1.0, 0).r_factor - (93.2 - 15.8)).abs() < 0.1);
        assert!(at(0.05, 3.0, 0).r_factor < at(0.05, 1.0, 0).r_factor);
        assert!((at(1.0, 8.0, 5000).mos - 1.0).abs() < f32::EPSILON);
        let late = Transmission { missed: 0.01, burst_ratio: 1.0, delay: Duration::from_secs(1) };
        assert!(late.is_late() && late.listening().mos > 4.0);
    }

    #[test]
    fn lately_forgets() {
        let mut misses = Misses::default();
        assert!(misses.lately(FRAME).is_none());
        let bad = |misses: &mut Misses| {
            for _ in 0..100 {
                misses.tick();
                misses.missed();
                misses.played(FRAME);
            }
            let bad = misses.lately(FRAME).expect("two seconds");
            assert_eq!((bad.missed, bad.burst_ratio), (0.5, 1.0));
        };
        bad(&mut misses);
        for _ in 0..400 {
            misses.tick();
            misses.played(FRAME);
        }
        assert_eq!(misses.lately(FRAME).map(|lately| lately.missed), Some(0.0));
        assert!(misses.spread().missed > 0.1);

        let mut misses = Misses::default();
        bad(&mut misses);
        for tick in 0..400 {
            misses.tick();
            // Whoever is silent sends a frame now and then.
            if tick % 20 == 0 {
                misses.played(FRAME);
            }
        }
        assert_eq!(misses.lately(FRAME), None, "a verdict on what is not heard");
    }
}
