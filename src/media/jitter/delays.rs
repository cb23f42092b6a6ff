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
const FINEST: i64 = 1_000;
/// What has to be saved by playing a part of a tick sooner or later, in µs of delay.
const PART_MIN: i64 = 3_000;
/// What is kept then, in µs, so that a little more jitter takes no step back.
const RESERVE: i64 = 3_000;
/// The greatest part of a tick by which is played later, in µs: a speaker has as much in hand.
const LATER_MAX: i64 = 5_000;
/// Steps that are looked at upwards; further ones come in the next ticks.
const STEPS_UP: i64 = 15;
/// Greatest delay above the smallest transit, in µs: above it people talk over each other.
const DELAY_MAX: i64 = 500_000;

/// How the next frames should be played otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// By how many ticks later; sooner if negative.
    pub(super) steps: i64,
    /// By which part of a tick later, in µs; sooner if negative. Never beside steps.
    pub(super) part: i64,
}

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

    /// How long the first frame, of the age `age`, is best waited with, in µs.
    pub(super) fn wait(&self, age: i64) -> i64 {
        if self.recent.len() < FIRST.1 {
            return (FIRST.0 - (age - self.base())).max(0);
        }
        self.change(age).steps.max(0) * TICK
    }

    /// How a frame that is played at the age `age` should be played otherwise.
    pub(super) fn change(&self, age: i64) -> Change {
        let excess = age - self.base();
        let is_young = self.recent.len() < FIRST.1;
        let least = if is_young { FIRST.0 } else { 0 };
        if excess < least {
            return Change { steps: (least - excess + TICK - 1) / TICK, part: 0 };
        }
        let misses_none = self.miss_cost(age, 0) == 0;
        let cost = |step: i64| {
            let change = if step == 0 { 0 } else { CHANGE_COST.0 + step.abs() * CHANGE_COST.1 };
            let doubt = if step < 0 && misses_none { DOUBT } else { 0 };
            step * TICK + self.miss_cost(age + step * TICK, doubt) + change
        };
        // Whoever sends says how old a frame is, so it may be hours: only what leads to an allowed
        // delay is looked at.
        let down = -((excess - least) / TICK);
        let up = STEPS_UP.min((DELAY_MAX - excess).div_euclid(TICK));
        let steps = (down..=up).chain([0]).min_by_key(|step| (cost(*step), *step)).unwrap_or(0);
        let (part, part_cost) = self.part(age);
        if is_young || excess > DELAY_MAX || !(0..=1).contains(&steps) || part_cost > cost(steps) {
            return Change { steps, part: 0 };
        }
        Change { steps: 0, part }
    }

    /// By which part of a tick later than at the age `age` frames are best played, in µs, and what
    /// they cost then; not at all if that saves little.
    fn part(&self, age: i64) -> (i64, i64) {
        let cost = |part: i64| part + self.miss_cost(age + part - RESERVE, 0);
        let parts = (1 - TICK / FINEST..=LATER_MAX / FINEST).map(|part| part * FINEST);
        let best = parts.min_by_key(|part| (cost(*part), -part)).unwrap_or(0);
        // What is only almost late is no reason to play later.
        let now = if best > 0 { self.miss_cost(age, 0) } else { cost(0) };
        if now - cost(best) < PART_MIN { (0, now) } else { (best, cost(best)) }
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
