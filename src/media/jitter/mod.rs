//! The jitter buffer: holds sound back just long enough that late packets are still in time.
//!
//! It knows no clock and decodes nothing. Packets go in as they arrive; whenever the decoder
//! needs sound, [`JitterBuffer::pull`] says what to make it from.
//!
//! A packet's *transit* is its arrival minus its RTP timestamp, up to an unknown constant. The
//! smallest transit of the last ten seconds is the *base*: what a packet takes without any
//! queueing. A packet's *age* is the time since it would have arrived with base transit. Sound
//! is played at the age `target`, which a high percentile of the transits above the base sets:
//! it grows within a few late packets and shrinks as they leave the history. Where the age and
//! the target have drifted apart, frames are put in (concealment stretches the sound) or merged.
//! Because ages are measured against arrivals, the sender's clock may drift.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::base::Instant;

/// Packets of one source on their way from the network to the decoder.
#[derive(Debug, Default)]
pub struct JitterBuffer {
    packets: BTreeMap<i64, Stored>,
    /// Reference for unwrapping sequence numbers and timestamps.
    newest: Option<Position>,
    /// What is played next, once playing.
    next: Option<Position>,
    history: History,
    /// Duration of the last packet played, in samples.
    frame: i64,
    /// Pulls since a frame was put in or merged.
    pulls_since_adjusted: u32,
    /// Pulls in a row that found more delay than wanted.
    pulls_in_excess: u32,
    /// Pulls in a row that found nothing.
    pulls_starved: u32,
    /// Pulls for which a loss is remembered, during which FEC is waited for.
    loss_memory: u32,
    delay: Duration,
    counters: JitterCounters,
}

/// A packet as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp, 48 kHz.
    pub timestamp: u32,
    /// Samples at 48 kHz that the payload decodes to.
    pub duration: u32,
    /// The codec's bytes.
    pub payload: Bytes,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insertion {
    /// It waits to be played.
    Stored,
    /// Its turn is over.
    Late,
    /// It is here already.
    Duplicate,
    /// It is so far from all others that the stream begins anew with it.
    Restarted,
}

/// What the decoder makes the next piece of sound from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pull {
    /// Decode this.
    Packet(Bytes),
    /// The packet is lost; decode the redundancy for it in its successor, given here.
    Recover {
        /// The successor's payload; it comes again as [`Pull::Packet`].
        successor: Bytes,
        /// Samples to make.
        samples: u32,
    },
    /// Let the decoder invent this many samples.
    Conceal(u32),
    /// Decode both and blend the first into the second, to save the time of one.
    Merge(Bytes, Bytes),
    /// Nothing is playing: silence.
    Silence,
}

/// What has happened so far, in packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterCounters {
    /// Came after their turn.
    pub late: u64,
    /// Came twice.
    pub duplicate: u64,
    /// Never came in time.
    pub lost: u64,
    /// Of the lost, rebuilt from their successor.
    pub recovered: u64,
    /// Pieces invented, for lost packets and to gain delay.
    pub concealed: u64,
    /// Merged or thrown away to lose delay.
    pub shortened: u64,
}

/// Bounds and tuning.
pub mod limits {
    /// Packets held: 5 s at 20 ms, far above any sensible delay.
    pub const PACKETS_MAX: usize = 250;
    /// A sequence number further ahead than this begins the stream anew.
    pub const SEQUENCE_JUMP_MAX: i64 = 200;
    /// A transit further than this from the base begins the stream anew, in µs: the sender's
    /// timestamps jumped, or nothing got through for so long that old ages mean nothing.
    pub const TRANSIT_JUMP_MAX: i64 = 2_000_000;
    /// Transits remembered: 10 s at 20 ms.
    pub const HISTORY: usize = 500;
    /// Least and greatest target, in µs. Below 20 ms scheduling alone breaks sound up; above
    /// 500 ms people talk over each other.
    pub const TARGET: (i64, i64) = (20_000, 500_000);
    /// Target until [`LEARNT`] packets have been seen, in µs.
    pub const TARGET_FIRST: i64 = 40_000;
    /// Packets after which the history is trusted.
    pub const LEARNT: usize = 25;
    /// Of a hundred packets, this many shall be in time.
    pub const PERCENTILE: usize = 97;
    /// Added to the percentile, in µs: the tick that pulls is not exact either.
    pub const MARGIN: i64 = 10_000;
    /// Deviation from the target that is left alone, in µs.
    pub const SLACK: i64 = 5_000;
    /// Delay above the target that is thrown away at once, in µs: merging would take seconds.
    pub const EXCESS_MAX: i64 = 240_000;
    /// Excess above which merging hurries, in µs.
    pub const EXCESS_HIGH: i64 = 60_000;
    /// Pulls in excess before frames are merged; one late tick is no reason.
    pub const EXCESS_PULLS: u32 = 5;
    /// Pulls between two merged frames: while quiet, with high excess, else.
    pub const MERGE_EVERY: (u32, u32, u32) = (2, 5, 25);
    /// Pulls between two frames put in to gain delay.
    pub const STRETCH_EVERY: u32 = 3;
    /// Pulls without any packet after which playing stops, until the target is reached again:
    /// 2 s, when concealment has long faded to silence.
    pub const STARVED_MAX: u32 = 100;
    /// Pulls for which a loss makes the buffer wait one frame longer, so that the packet with
    /// the redundancy is there: 10 s.
    pub const LOSS_MEMORY: u32 = 500;
}

#[derive(Clone, Debug)]
struct Stored {
    media: i64,
    duration: i64,
    payload: Bytes,
}

/// Sequence number and timestamp without wrapping.
#[derive(Clone, Copy, Debug)]
struct Position {
    sequence: i64,
    /// In samples.
    media: i64,
}

impl JitterBuffer {
    /// Takes a packet in.
    pub fn insert(&mut self, now: Instant, arrival: Arrival) -> Insertion {
        let mut position = self.unwrap(&arrival);
        let mut transit = micros(now) - samples_to_micros(position.media);
        let is_restart = self.newest.is_some_and(|newest| {
            position.sequence - newest.sequence > limits::SEQUENCE_JUMP_MAX
                || (transit - self.history.base).abs() > limits::TRANSIT_JUMP_MAX
        });
        if is_restart {
            self.restart();
            position = self.unwrap(&arrival);
            transit = micros(now) - samples_to_micros(position.media);
        }
        if self.packets.contains_key(&position.sequence) {
            self.counters.duplicate += 1;
            return Insertion::Duplicate;
        }
        let frame = i64::from(arrival.duration);
        self.history.learn(transit, if self.loss_memory > 0 { frame } else { 0 });
        if self.next.is_some_and(|next| position.sequence < next.sequence) {
            self.counters.late += 1;
            return Insertion::Late;
        }
        if self.newest.is_none_or(|newest| position.sequence > newest.sequence) {
            self.newest = Some(position);
        }
        let stored = Stored { media: position.media, duration: frame, payload: arrival.payload };
        self.packets.insert(position.sequence, stored);
        while self.packets.len() > limits::PACKETS_MAX {
            self.drop_first();
        }
        if is_restart { Insertion::Restarted } else { Insertion::Stored }
    }

    /// Says what to play now. `quiet` tells that the last piece was near silence, where lost
    /// time is hardly heard.
    pub fn pull(&mut self, now: Instant, quiet: bool) -> Pull {
        self.pulls_since_adjusted = self.pulls_since_adjusted.saturating_add(1);
        self.loss_memory = self.loss_memory.saturating_sub(1);
        loop {
            let Some(next) = self.next else {
                if !self.start(now) {
                    return Pull::Silence;
                }
                continue;
            };
            if self.packets.is_empty() {
                return self.starve();
            }
            self.pulls_starved = 0;
            let stored = self.packets.get(&next.sequence);
            let gap = stored.map_or(0, |stored| stored.media - next.media);
            let excess = self.age(now, next.media + gap) - self.history.target;
            let step = match stored {
                Some(_) => self.play(next, excess, gap, quiet),
                None => self.miss(next, excess),
            };
            if let Some(pull) = step {
                self.note_delay(excess);
                return pull;
            }
        }
    }

    /// Forgets the stream, for a new source; counters stay.
    pub fn restart(&mut self) {
        let counters = self.counters;
        *self = Self { counters, ..Self::default() };
    }

    /// How long packets wait here beyond the least that the network needs, smoothed.
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// The delay that the buffer is steering for.
    pub fn target(&self) -> Duration {
        Duration::from_micros(self.history.target.unsigned_abs())
    }

    /// What has happened so far.
    pub fn counters(&self) -> JitterCounters {
        self.counters
    }

    /// Packets waiting.
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    fn unwrap(&self, arrival: &Arrival) -> Position {
        let Some(newest) = self.newest else {
            let (sequence, media) = (i64::from(arrival.sequence), i64::from(arrival.timestamp));
            return Position { sequence, media };
        };
        let sequence = arrival.sequence.wrapping_sub(newest.sequence as u16) as i16;
        let media = arrival.timestamp.wrapping_sub(newest.media as u32) as i32;
        Position {
            sequence: newest.sequence + i64::from(sequence),
            media: newest.media + i64::from(media),
        }
    }

    /// Time since a packet of this timestamp would have come with base transit, in µs.
    fn age(&self, now: Instant, media: i64) -> i64 {
        micros(now) - samples_to_micros(media) - self.history.base
    }

    /// Begins playing once the first packet has reached the target age.
    fn start(&mut self, now: Instant) -> bool {
        let Some((sequence, first)) = self.packets.first_key_value() else { return false };
        if self.age(now, first.media) < self.history.target {
            return false;
        }
        self.next = Some(Position { sequence: *sequence, media: first.media });
        self.frame = first.duration;
        self.pulls_in_excess = 0;
        true
    }

    /// No packet at all: time stands still, which is how delay grows when packets are late.
    fn starve(&mut self) -> Pull {
        self.pulls_starved += 1;
        if self.pulls_starved > limits::STARVED_MAX {
            self.next = None;
            self.pulls_starved = 0;
            return Pull::Silence;
        }
        self.conceal()
    }

    /// The next packet is here. `gap` is by how many samples its timestamp is ahead of the end
    /// of the last one: a sender that stops in silence leaves one.
    fn play(&mut self, next: Position, excess: i64, gap: i64, quiet: bool) -> Option<Pull> {
        let is_before_pause = gap > self.frame / 2;
        let may_stretch = is_before_pause || self.pulls_since_adjusted >= limits::STRETCH_EVERY;
        if excess < -limits::SLACK && may_stretch {
            self.pulls_since_adjusted = 0;
            return Some(self.conceal());
        }
        if excess > limits::EXCESS_MAX {
            self.drop_first();
            return None;
        }
        let is_mergeable = self.may_merge(excess, quiet);
        let first = self.take(next)?;
        let then = self.next.filter(|_| is_mergeable);
        if let Some(second) = then.and_then(|then| self.take(then)) {
            self.pulls_since_adjusted = 0;
            self.counters.shortened += 1;
            return Some(Pull::Merge(first, second));
        }
        Some(Pull::Packet(first))
    }

    /// The next packet is not here, but later ones are.
    fn miss(&mut self, next: Position, excess: i64) -> Option<Pull> {
        if excess < -limits::SLACK {
            // Not due yet: it may have been overtaken.
            return Some(self.conceal());
        }
        self.counters.lost += 1;
        self.loss_memory = limits::LOSS_MEMORY;
        let frame = self.frame.max(1);
        self.next = Some(Position { sequence: next.sequence + 1, media: next.media + frame });
        if excess >= samples_to_micros(frame) {
            // Its time was concealed already, while nothing was here.
            return None;
        }
        let samples = u32::try_from(frame).unwrap_or(0);
        if let Some(successor) = self.packets.get(&(next.sequence + 1)) {
            self.counters.recovered += 1;
            return Some(Pull::Recover { successor: successor.payload.clone(), samples });
        }
        Some(self.conceal())
    }

    fn may_merge(&mut self, excess: i64, quiet: bool) -> bool {
        if excess <= samples_to_micros(self.frame) + limits::SLACK {
            self.pulls_in_excess = 0;
            return false;
        }
        self.pulls_in_excess += 1;
        let (while_quiet, hurried, ordinary) = limits::MERGE_EVERY;
        let every = match quiet {
            true => while_quiet,
            false if excess > limits::EXCESS_HIGH => hurried,
            false => ordinary,
        };
        self.pulls_in_excess >= limits::EXCESS_PULLS && self.pulls_since_adjusted >= every
    }

    fn take(&mut self, position: Position) -> Option<Bytes> {
        let stored = self.packets.remove(&position.sequence)?;
        self.frame = stored.duration;
        let media = stored.media + stored.duration;
        self.next = Some(Position { sequence: position.sequence + 1, media });
        Some(stored.payload)
    }

    /// Throws the oldest packet away.
    fn drop_first(&mut self) {
        let Some((sequence, stored)) = self.packets.pop_first() else { return };
        self.counters.shortened += 1;
        if self.next.is_some() {
            let media = stored.media + stored.duration;
            self.next = Some(Position { sequence: sequence + 1, media });
        }
    }

    fn conceal(&mut self) -> Pull {
        self.counters.concealed += 1;
        Pull::Conceal(u32::try_from(self.frame).unwrap_or(0))
    }

    /// Smooths over about a second.
    fn note_delay(&mut self, excess: i64) {
        let delay = Duration::from_micros((excess + self.history.target).max(0).unsigned_abs());
        self.delay = if self.delay.is_zero() { delay } else { (self.delay * 49 + delay) / 50 };
    }
}

/// The transits of the last packets and what follows from them.
#[derive(Debug)]
struct History {
    transits: VecDeque<i64>,
    /// The smallest of them, in µs.
    base: i64,
    /// The age to play at, in µs.
    target: i64,
    scratch: Vec<i64>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            transits: VecDeque::new(),
            base: 0,
            target: limits::TARGET_FIRST,
            scratch: Vec::new(),
        }
    }
}

impl History {
    /// Takes a transit in; `reserve` samples are added to the target.
    fn learn(&mut self, transit: i64, reserve: i64) {
        if self.transits.len() >= limits::HISTORY {
            self.transits.pop_front();
        }
        self.transits.push_back(transit);
        self.base = self.transits.iter().copied().min().unwrap_or(transit);
        self.scratch.clear();
        self.scratch.extend(&self.transits);
        let index = (self.scratch.len() * limits::PERCENTILE / 100).min(self.scratch.len() - 1);
        let (_, high, _) = self.scratch.select_nth_unstable(index);
        let wanted = *high - self.base + limits::MARGIN + samples_to_micros(reserve);
        let (least, most) = limits::TARGET;
        let is_new = self.transits.len() < limits::LEARNT;
        let least = if is_new { limits::TARGET_FIRST } else { least };
        self.target = wanted.clamp(least, most);
    }
}

fn micros(instant: Instant) -> i64 {
    i64::try_from(instant.as_micros()).unwrap_or(i64::MAX)
}

/// At 48 kHz.
fn samples_to_micros(samples: i64) -> i64 {
    samples * 125 / 6
}
