//! How long frames take to be there, and which delay costs least.

use std::collections::VecDeque;

use super::limits::TICK;

/// The transits of the last frames.
#[derive(Debug, Default)]
pub(super) struct Delays {
    /// In the order of their coming, in µs.
    recent: VecDeque<i64>,
    /// The same from the smallest to the greatest.
    sorted: Vec<i64>,
}

/// Transits remembered: 10 s at 20 ms.
const HISTORY: usize = 500;
/// What it costs to miss one of a hundred frames, in µs of delay: nobody minds 60 ms more, and
/// everybody hears one frame in a hundred.
const MISS_COST: i64 = 60_000;
/// Transits from which shares are reckoned, however few there are: at the beginning one late
/// frame says little.
const HISTORY_MIN: usize = 100;
/// Delay above the smallest transit to begin with, in µs, and the number of transits after which
/// they speak for themselves.
const FIRST: (i64, usize) = (20_000, 25);
/// What the greatest transit counted is exceeded by, in µs: clocks are read late now and then.
const MARGIN: i64 = 3_000;
/// What a change costs, and each of its steps beside, in µs of delay: it is heard a little.
const CHANGE_COST: (i64, i64) = (2_000, 3_000);
/// Frames that count as missed beside those that would be, to whom misses none now: what is seldom
/// is to be missing by chance for a while before it is taken to be over.
const DOUBT: i64 = 2;
/// Parts of a tick that are looked at, in µs.
const FINEST: usize = 1_000;
/// What has to be saved by playing a part of a tick sooner, in µs of delay.
const SOONER_MIN: i64 = 4_000;
/// What is kept then, in µs, so that a little more jitter takes no step back.
const RESERVE: i64 = 4_000;
/// Steps that are looked at upwards; further ones come in the next ticks.
const STEPS_UP: i64 = 15;
/// Greatest delay above the smallest transit, in µs: above it people talk over each other.
const DELAY_MAX: i64 = 500_000;

impl Delays {
    /// Takes a transit in.
    pub(super) fn learn(&mut self, transit: i64) {
        if self.recent.len() >= HISTORY
            && let Some(old) = self.recent.pop_front()
            && let Ok(index) = self.sorted.binary_search(&old)
        {
            self.sorted.remove(index);
        }
        self.recent.push_back(transit);
        let index = self.sorted.partition_point(|other| *other < transit);
        self.sorted.insert(index, transit);
    }

    /// The smallest transit: what a packet takes without any queue.
    pub(super) fn base(&self) -> i64 {
        self.sorted.first().copied().unwrap_or(0)
    }

    /// By how many ticks a frame that is played at the age `age` should be played later; earlier
    /// if negative.
    pub(super) fn steps(&self, age: i64) -> i64 {
        let excess = age - self.base();
        let least = if self.recent.len() < FIRST.1 { FIRST.0 } else { 0 };
        if excess < least {
            return (least - excess + TICK - 1) / TICK;
        }
        let misses_none = self.miss_cost(age, 0) == 0;
        let cost = |step: i64| {
            let change = if step == 0 { 0 } else { CHANGE_COST.0 + step.abs() * CHANGE_COST.1 };
            let doubt = if step < 0 && misses_none { DOUBT } else { 0 };
            excess + step * TICK + self.miss_cost(age + step * TICK, doubt) + change
        };
        // Whoever sends says how old a frame is, so it may be hours: only what leads to an allowed
        // delay is looked at.
        let down = -((excess - least) / TICK);
        let up = STEPS_UP.min((DELAY_MAX - excess).div_euclid(TICK));
        (down..=up).chain([0]).min_by_key(|step| (cost(*step), *step)).unwrap_or(0)
    }

    /// By how much sooner than at the age `age` the next frame could be played, less than a tick,
    /// in µs; nothing if that saves little.
    pub(super) fn sooner(&self, age: i64) -> i64 {
        let excess = age - self.base();
        if self.recent.len() < FIRST.1 || !(0..=DELAY_MAX).contains(&excess) {
            return 0;
        }
        let cost = |sooner: i64| self.miss_cost(age - sooner - RESERVE, 0) - sooner;
        let finest = (0..TICK).step_by(FINEST).min_by_key(|sooner| (cost(*sooner), *sooner));
        finest.filter(|sooner| cost(0) - cost(*sooner) >= SOONER_MIN).unwrap_or(0)
    }

    /// What the frames cost that are not there at this age, and if there are any, `doubt` more.
    fn miss_cost(&self, age: i64, doubt: i64) -> i64 {
        let in_time = self.sorted.partition_point(|transit| transit + MARGIN <= age);
        let missed = match (self.sorted.len() - in_time) as i64 {
            0 => 0,
            missed => missed + doubt,
        };
        missed * MISS_COST * 100 / self.sorted.len().max(HISTORY_MIN) as i64
    }
}
