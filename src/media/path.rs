//! What is known of the path to the other side, and how our sound is sent on it.
//!
//! Loss alone is answered with copies of earlier frames, or with redundancy inside the codec
//! where the other side knows no copies; both cost bits. A call begins with a little of it, before
//! anything is known. How far behind copies are sent is what saves most of what was lost lately
//! for the delay that it costs. Loss or delay that comes with a longer round trip is a queue that
//! we help to fill: then fewer bits are sent. The way up is slow, and slower after each attempt
//! that has failed, so that the bitrate comes to rest.

use std::time::Duration;

use super::losses::Losses;

/// The path to the other side.
#[derive(Debug)]
pub(super) struct Path {
    /// The most that the other side wants, in bits per second.
    bitrate_max: u32,
    /// Whether the other side takes copies.
    takes_copies: bool,
    /// Index into [`BITRATES`].
    step: usize,
    /// Share of our packets that is taken to get lost.
    loss: f32,
    /// The same as far as the other side has reported.
    told: Option<f32>,
    losses: Losses,
    round_trip_least: Option<Duration>,
    is_congested: bool,
    /// Reports in a row without a fault.
    calm: u32,
    /// How many of them it takes to go up.
    patience: u32,
    /// Reports since the last step up.
    since_up: u32,
}

/// How to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Bits per second of the codec, without copies.
    pub(super) bitrate: u32,
    /// What the codec's own redundancy is to be made for.
    pub(super) loss_percent: u8,
    /// How many packets ago the copies in a packet were sent first.
    pub(super) distances: &'static [usize],
}

/// Bits per second, from barely good to hardly told from the original.
const BITRATES: [u32; 6] = [12_000, 16_000, 24_000, 32_000, 40_000, 48_000];
/// Where a call begins in them.
const STEP_FIRST: usize = 4;
/// Distances of which one is chosen.
type Choices = [&'static [usize]; 3];

/// Loss from which one copy is worth its bits, and from which two are.
const LOSS_COPIES: (f32, f32) = (0.012, 0.04);
/// Distances of one copy and of two, of which the first is taken while nothing is known of how
/// losses are spread: for single ones.
const DISTANCES: (Choices, Choices) = ([&[1], &[2], &[4]], [&[2, 1], &[4, 2], &[6, 3]]);
/// What it costs to lose one of a hundred frames, in packets of delay: a little more than to the
/// jitter buffer at the other side, which finds copies worth waiting for if they are sent.
const LOSS_COST: f32 = 4.0;
/// Loss that is reckoned with before anything is known, so that a call begins with two copies: for
/// 25 kB nobody who loses packets misses the first words. One report without loss ends one of them,
/// the next one the other.
const LOSS_PRESUMED: f32 = 0.04;
/// Loss at which the bitrate is not raised.
const LOSS_CALM: f32 = 0.02;
/// A round trip longer than the least by this much is a queue.
const QUEUE: Duration = Duration::from_millis(80);
/// Reports without a fault before the bitrate is raised: 15 s to begin with, and two minutes at
/// most.
const PATIENCE: (u32, u32) = (3, 24);

impl Path {
    /// A path of which nothing is known.
    pub(super) fn new(bitrate_max: Option<u32>, takes_copies: bool) -> Self {
        Self {
            bitrate_max: bitrate_max.unwrap_or(u32::MAX),
            takes_copies,
            step: STEP_FIRST,
            loss: LOSS_PRESUMED,
            told: None,
            losses: Losses::default(),
            round_trip_least: None,
            is_congested: false,
            calm: 0,
            patience: PATIENCE.0,
            since_up: u32::MAX,
        }
    }

    /// Share of our packets that the other side lost lately, 0 to 1.
    pub(super) fn loss(&self) -> f32 {
        self.told.unwrap_or(0.0)
    }

    /// What we lost of the other side's packets lately. Until it has reported, the path is taken
    /// to be the same both ways.
    pub(super) fn presume(&mut self, loss: f32) {
        if self.told.is_none() {
            self.loss = self.loss.max(loss);
        }
    }

    /// Takes a report of the other side, which may tell whether each packet was lost.
    pub(super) fn report(&mut self, loss: f32, round_trip: Option<Duration>, lost: &[bool]) {
        self.losses.learn(lost);
        // A report covers five seconds: bad news at once, good news when it lasts.
        let after = |before: f32| if loss > before { loss } else { (before + loss) / 2.0 };
        (self.loss, self.told) = match self.told {
            Some(told) => (after(self.loss), Some(after(told))),
            None => (after(LOSS_PRESUMED), Some(loss)),
        };
        if let Some(round_trip) = round_trip {
            let least = self.round_trip_least.map_or(round_trip, |least| least.min(round_trip));
            self.round_trip_least = Some(least);
            self.is_congested = round_trip > least + QUEUE.max(least / 2);
        }
        self.since_up = self.since_up.saturating_add(1);
        if self.is_congested {
            self.calm = 0;
            self.step = self.step.saturating_sub(1);
            if self.since_up <= PATIENCE.0 {
                self.patience = (self.patience * 2).min(PATIENCE.1);
            }
        } else if loss > LOSS_CALM {
            self.calm = 0;
        } else {
            self.calm += 1;
        }
        if self.calm >= self.patience && self.step + 1 < BITRATES.len() {
            self.step += 1;
            self.calm = 0;
            self.since_up = 0;
        }
    }

    /// How to send now.
    pub(super) fn plan(&self) -> Plan {
        let distances = match self.loss {
            _ if !self.takes_copies || self.is_congested => &[][..],
            loss if loss >= LOSS_COPIES.1 => self.best(DISTANCES.1),
            loss if loss >= LOSS_COPIES.0 => self.best(DISTANCES.0),
            _ => &[],
        };
        // Redundancy twice would cost quality for nothing.
        let loss = if distances.is_empty() { self.loss } else { 0.0 };
        Plan {
            bitrate: BITRATES[self.step].min(self.bitrate_max),
            loss_percent: (loss * 100.0).ceil() as u8,
            distances,
        }
    }

    /// Those distances that cost least in losses that are left and in delay.
    fn best(&self, choices: Choices) -> &'static [usize] {
        let cost = |distances: &&[usize]| {
            let left = self.losses.left(distances)?;
            Some(left * 100.0 * LOSS_COST + *distances.iter().max()? as f32)
        };
        let priced = choices.iter().filter_map(|choice| Some((cost(choice)?, *choice)));
        priced.min_by(|(one, _), (other, _)| one.total_cmp(other)).map_or(choices[0], |(_, it)| it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Option<Duration> {
        Some(Duration::from_millis(ms))
    }

    #[test]
    fn loss_is_answered_with_copies_and_not_with_fewer_bits() {
        let mut path = Path::new(None, true);
        path.report(0.1, ms(50), &[]);
        let plan = Plan { bitrate: 40_000, loss_percent: 0, distances: &[2, 1] };
        assert_eq!(path.plan(), plan);
        path.report(0.0, ms(50), &[]);
        assert_eq!(path.plan().distances, [2, 1], "not at the first good news");
        path.report(0.0, ms(50), &[]);
        assert_eq!(path.plan().distances, [1]);
        let mut without = Path::new(None, false);
        without.report(0.095, ms(50), &[]);
        assert_eq!((without.plan().loss_percent, without.plan().distances.len()), (10, 0));
    }

    /// Ten of a hundred packets are lost: one by one, in threes, or in sixes.
    #[test]
    fn copies_are_as_far_behind_as_losses_are_long() {
        let told = |in_a_row: usize, share: usize| {
            let mut path = Path::new(None, true);
            let every = in_a_row * share;
            let lost: Vec<bool> = (0..600).map(|index| index % every < in_a_row).collect();
            path.report(1.0 / share as f32, ms(50), &lost);
            path.plan().distances
        };
        assert_eq!(
            (told(1, 10), told(3, 10), told(6, 10)),
            (&[2, 1][..], &[4, 2][..], &[6, 3][..])
        );
        assert_eq!((told(1, 30), told(2, 30), told(3, 30)), (&[1][..], &[2][..], &[4][..]));
    }

    #[test]
    fn a_call_begins_with_copies_that_two_good_reports_end() {
        let mut path = Path::new(None, true);
        assert_eq!(path.plan(), Plan { bitrate: 40_000, loss_percent: 0, distances: &[2, 1] });
        path.report(0.0, ms(50), &[]);
        assert_eq!((path.plan().distances, path.loss()), (&[1][..], 0.0));
        path.report(0.0, ms(50), &[]);
        assert!(path.plan().distances.is_empty());
        assert_eq!(Path::new(None, false).plan().loss_percent, 4);
    }

    #[test]
    fn before_the_first_report_the_way_back_is_like_the_way_here() {
        let mut path = Path::new(None, true);
        path.presume(0.08);
        assert_eq!(path.plan().distances, [2, 1]);
        assert_eq!(path.loss(), 0.0, "nobody has said so");
        path.report(0.0, None, &[]);
        assert_eq!(path.plan().distances, [1]);
        path.presume(0.5);
        assert_eq!(path.plan().distances, [1], "told is told");
    }

    /// A queue that holds whatever is above 30 kbit/s.
    #[test]
    fn the_bitrate_comes_to_rest_below_what_the_path_carries() {
        let mut path = Path::new(None, true);
        let mut bitrates = Vec::new();
        for _ in 0..200 {
            let bitrate = path.plan().bitrate;
            bitrates.push(bitrate);
            let is_full = bitrate > 30_000 && bitrates.len() > 2;
            path.report(0.0, ms(if is_full { 400 } else { 50 }), &[]);
            assert!(bitrates.len() < 2 || path.plan().distances.is_empty());
        }
        let late = &bitrates[100..];
        let changes = late.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(changes <= 12, "{changes} changes in 500 s");
        assert!(late.iter().all(|bitrate| (24_000..=32_000).contains(bitrate)), "{late:?}");
    }

    #[test]
    fn a_good_path_is_used_up_to_the_wish_of_the_other_side() {
        let (mut free, mut bounded) = (Path::new(None, true), Path::new(Some(20_000), true));
        for _ in 0..30 {
            free.report(0.0, ms(20), &[]);
            bounded.report(0.0, ms(20), &[]);
        }
        assert_eq!((free.plan().bitrate, bounded.plan().bitrate), (48_000, 20_000));
    }
}
