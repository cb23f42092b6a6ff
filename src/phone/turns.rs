//! When a call's frames are due: one from the microphone every 20 ms of its clock, and one for the
//! speaker every 20 ms of ours, which may move to when the other side's frames come.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::media::{FRAME_SAMPLES, Readiness, SAMPLE_RATE};

/// Length of a frame.
pub(super) const FRAME: Duration =
    Duration::from_millis(1000 * FRAME_SAMPLES as u64 / SAMPLE_RATE as u64);

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// A frame for the speaker.
    Hear,
    /// A frame from the microphone.
    Say,
}

/// When the next frame is due each way. What is late is made up for.
#[derive(Debug)]
pub(super) struct Turns {
    hear: Instant,
    say: Instant,
    /// How long the microphone's next frame may still be waited for: nothing before the first one.
    patience: Duration,
    /// How long the youngest of the microphone's frames was there, of so many.
    youngest: (Duration, u32),
}

/// Between looks whether the microphone has a frame.
const LOOK: Duration = Duration::from_millis(1);
/// The longest that a microphone is waited for; then there is silence.
const PATIENCE: Duration = Duration::from_millis(20);
/// How long a frame is best there when it is due: blocks come a little irregularly.
const BEST: Duration = Duration::from_millis(1);
/// Frames after which it is seen how long even the youngest of them was there: a microphone may
/// give several at once. Half of what that was too long is made up for.
const SEEN: u32 = 16;

impl Turns {
    /// Both are due now.
    pub(super) fn start() -> Self {
        let now = Instant::now();
        Self { hear: now, say: now, patience: Duration::ZERO, youngest: (Duration::MAX, 0) }
    }

    /// Waits for what is due next. Nothing is lost if nobody waits to the end.
    pub(super) async fn next(&mut self) -> Turn {
        let (due, turn) = self.first();
        sleep_until(due).await;
        self.pass(turn);
        turn
    }

    /// Whether the frame that is due from the microphone can be taken. If it is not there, it is
    /// due again a little later, and all after it as well.
    pub(super) fn can_say(&mut self, readiness: Readiness) -> bool {
        match readiness {
            Readiness::Always => true,
            Readiness::Since(since) => {
                self.patience = PATIENCE;
                let (youngest, seen) = self.youngest;
                self.youngest = (youngest.min(since), seen + 1);
                if seen + 1 == SEEN {
                    self.say -= self.youngest.0.saturating_sub(BEST).min(FRAME) / 2;
                    self.youngest = (Duration::MAX, 0);
                }
                true
            }
            Readiness::NotYet if self.patience.is_zero() => true,
            Readiness::NotYet => {
                self.patience -= LOOK;
                self.say = self.say - FRAME + LOOK;
                false
            }
        }
    }

    fn first(&self) -> (Instant, Turn) {
        if self.hear <= self.say { (self.hear, Turn::Hear) } else { (self.say, Turn::Say) }
    }

    fn pass(&mut self, turn: Turn) {
        match turn {
            Turn::Hear => self.hear += FRAME,
            Turn::Say => self.say += FRAME,
        }
    }

    /// The speaker's next frame is due this long after the last one, which was taken at `taken`,
    /// and all after it in the same pace. A frame that was taken late sets no new pace.
    pub(super) fn hear_after(&mut self, taken: Instant, interval: Duration) {
        self.hear = match interval.checked_sub(FRAME) {
            None => self.hear.min(taken + interval),
            Some(later) => self.hear + later,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_for_the_speaker_can_come_sooner_or_later() {
        let mut turns = Turns::start();
        let start = turns.say;
        let mut taken = Vec::new();
        for turn in 0..9 {
            let (due, what) = turns.first();
            turns.pass(what);
            // How late each was taken, and what is wanted then, in ms.
            let (late, interval) = match turn {
                0 => (0, 5),
                4 => (12, 8),
                6 => (2, 23),
                _ => (0, 20),
            };
            if what == Turn::Hear {
                let ms = Duration::from_millis;
                turns.hear_after(due + ms(late), ms(interval));
            }
            taken.push((what, (due - start).as_millis()));
        }
        use Turn::{Hear, Say};
        let first = [(Hear, 0), (Say, 0), (Hear, 5), (Say, 20), (Hear, 25)];
        assert_eq!(taken[..5], first);
        assert_eq!(taken[5..7], [(Say, 40), (Hear, 45)], "late is not sooner");
        assert_eq!(taken[7..], [(Say, 60), (Hear, 68)]);
    }

    /// A microphone whose clock is slower or faster than ours by 1 % is read as its blocks come,
    /// without a gap, be they shorter than a frame or much longer.
    #[test]
    fn the_microphone_sets_the_pace() {
        // Length of a block by its own clock and by ours, in µs.
        let blocks = [(10_000, 9_900), (10_000, 10_100), (21_333, 21_333), (64_000, 64_000)];
        for (own_us, block_us) in blocks {
            let mut turns = Turns::start();
            let start = turns.say - Duration::from_millis(3);
            let block = Duration::from_micros(block_us);
            let (mut taken, mut silent) = (0, 0);
            for _ in 0..5_000 {
                let due = turns.say;
                turns.pass(Turn::Say);
                let count = (FRAME * (taken + 1)).as_micros().div_ceil(own_us);
                let since = due.checked_duration_since(start + block * count as u32);
                let readiness = since.map_or(Readiness::NotYet, Readiness::Since);
                if turns.can_say(readiness) {
                    taken += u32::from(since.is_some());
                    silent += u32::from(since.is_none() && taken > 0);
                    let late = Duration::from_millis(12).max(block);
                    assert!(taken < 100 || since < Some(late), "{block:?}: {since:?}");
                }
            }
            assert!(taken > 3_000 && silent == 0, "{block:?}: {taken} frames, {silent} of silence");
        }
    }

    /// One that stops is waited for once, and not again until it goes on.
    #[test]
    fn a_microphone_that_stops_is_not_waited_for() {
        let mut turns = Turns::start();
        assert!(turns.can_say(Readiness::NotYet), "nobody knows when it begins");
        assert!(turns.can_say(Readiness::Since(BEST)));
        let stopped = turns.say;
        let looks = (0..40).filter(|_| {
            turns.pass(Turn::Say);
            !turns.can_say(Readiness::NotYet)
        });
        assert_eq!(looks.count(), 20);
        assert_eq!(turns.say - stopped, PATIENCE + 20 * FRAME);
    }
}
