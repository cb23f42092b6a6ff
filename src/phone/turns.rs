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
}

/// Between looks whether the microphone has a frame.
const LOOK: Duration = Duration::from_millis(1);
/// The longest that a microphone is waited for: its blocks are not longer.
const PATIENCE: Duration = Duration::from_millis(20);
/// How long a frame is best there when it is due: blocks come a little irregularly.
const BEST: Duration = Duration::from_millis(1);
/// Which part of the difference to that is made up for at each frame.
const PART: u32 = 8;

impl Turns {
    /// Both are due now.
    pub(super) fn start() -> Self {
        let now = Instant::now();
        Self { hear: now, say: now, patience: Duration::ZERO }
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
                self.say -= since.saturating_sub(BEST).min(FRAME) / PART;
                self.say += BEST.saturating_sub(since) / PART;
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

    /// The speaker's next frame, and all after it, are due sooner by this.
    pub(super) fn hear_sooner(&mut self, by: Duration) {
        self.hear -= by.min(FRAME);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_for_the_speaker_can_come_sooner() {
        let mut turns = Turns::start();
        let start = turns.say;
        let mut taken = Vec::new();
        for turn in 0..6 {
            let (due, what) = turns.first();
            turns.pass(what);
            if turn == 0 {
                turns.hear_sooner(Duration::from_millis(15));
            }
            taken.push((what, (due - start).as_millis()));
        }
        use Turn::{Hear, Say};
        assert_eq!(taken, [(Hear, 0), (Say, 0), (Hear, 5), (Say, 20), (Hear, 25), (Say, 40)]);
    }

    /// A microphone whose clock is slower or faster than ours by 1 % is read as its blocks of 10 ms
    /// come; one that stops is waited for once, and not again until it goes on.
    #[test]
    fn the_microphone_sets_the_pace() {
        for block_us in [9_900, 10_000, 10_100] {
            let mut turns = Turns::start();
            let start = turns.say - Duration::from_millis(3);
            let block = Duration::from_micros(block_us);
            let (mut taken, mut silent) = (0, 0);
            for _ in 0..5_000 {
                let due = turns.say;
                turns.pass(Turn::Say);
                let there = start + block * 2 * (taken + 1);
                let since = due.checked_duration_since(there);
                let readiness = since.map_or(Readiness::NotYet, Readiness::Since);
                if turns.can_say(readiness) {
                    taken += u32::from(since.is_some());
                    silent += u32::from(since.is_none());
                    assert!(taken < 100 || since < Some(3 * BEST), "{since:?}");
                }
            }
            assert!(taken > 4_000 && silent < 2, "{taken} frames, {silent} times silence");
            let stopped = turns.say;
            let looks = (0..40).filter(|_| {
                turns.pass(Turn::Say);
                !turns.can_say(Readiness::NotYet)
            });
            assert_eq!(looks.count(), 20);
            assert_eq!(turns.say - stopped, PATIENCE + 20 * FRAME);
        }
    }
}
