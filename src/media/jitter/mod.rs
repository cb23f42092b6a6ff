//! The jitter buffer: holds sound back just long enough that late packets are still in time.
//!
//! It knows no clock and decodes nothing. Packets go in as they arrive; whenever the decoder
//! needs sound, [`JitterBuffer::pull`] says what to make it from, and whether the sound is to be
//! made shorter or longer, so that the delay changes without a gap.
//!
//! A frame's *transit* is when it was first there, minus its RTP timestamp, up to an unknown
//! constant. It may have come in a packet of its own, as a copy in a later packet (RFC 2198), or
//! as the redundancy that the codec puts into the next one: a frame that is lost and comes as a
//! copy counts as one that comes late. So the transits of the last ten seconds tell for each
//! delay which share of the frames would be missed, and `Delays` finds the delay at which delay
//! and misses together cost least. As sound leaves in ticks, a delay can only change by whole
//! ticks, unless who pulls moves [the next tick](JitterBuffer::interval) and all after it. Because
//! transits are measured against arrivals, the sender's clock may drift.

mod delays;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::base::Instant;
use delays::Delays;

/// Packets of one source on their way from the network to the decoder.
#[derive(Debug, Default)]
pub struct JitterBuffer {
    /// By when they are played, in samples.
    packets: BTreeMap<i64, Stored>,
    /// Reference for unwrapping sequence numbers and timestamps.
    newest: Option<Position>,
    /// When the sound that is played next was made, in samples, once playing.
    next: Option<i64>,
    /// Sequence number of the last packet played.
    played: i64,
    delays: Delays,
    /// Duration of the last packet played, in samples.
    frame: i64,
    /// Samples invented while nothing was here to be played.
    stood_still: i64,
    /// Frames that were not here in time, the oldest first.
    missed: VecDeque<i64>,
    /// By how much more than a tick after the last pull the next one is best, in µs.
    part: i64,
    delay: Duration,
    counters: JitterCounters,
}

/// A packet, or a copy of one, as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// RTP sequence number; `None` for a copy that a later packet has brought.
    pub sequence: Option<u16>,
    /// RTP timestamp, 48 kHz.
    pub timestamp: u32,
    /// Samples at 48 kHz that the payload decodes to.
    pub duration: u32,
    /// Whether the codec has put redundancy for the frame before into it.
    pub has_fec: bool,
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
    Packet(Bytes, Pace),
    /// The packet is lost; decode the redundancy for it in its successor, given here.
    Recover {
        /// The successor's payload; it comes again as [`Pull::Packet`].
        successor: Bytes,
        /// Samples to make.
        samples: u32,
    },
    /// Let the decoder invent this many samples.
    Conceal(u32),
    /// Nothing is playing: silence.
    Silence,
}

/// What is to become of a packet's sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// It is played as it is.
    Natural,
    /// It should be shorter.
    Shorter {
        /// By at most this many samples.
        most: u32,
        /// Even if that is heard.
        hurry: bool,
    },
    /// It should be longer.
    Longer,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterCounters {
    /// Packets that came after their turn.
    pub late: u64,
    /// Packets that came twice.
    pub duplicate: u64,
    /// Frames of which nothing came in time.
    pub lost: u64,
    /// Frames rebuilt from the codec's redundancy.
    pub recovered: u64,
    /// Frames played from a copy.
    pub copied: u64,
    /// Pieces invented, for lost packets and to gain delay.
    pub concealed: u64,
    /// Packets to be played faster, and those thrown away, to lose delay.
    pub shortened: u64,
    /// Packets to be played slower, to gain delay.
    pub lengthened: u64,
}

/// Bounds and tuning.
pub mod limits {
    /// Packets held: 5 s at 20 ms, far above any sensible delay.
    pub const PACKETS_MAX: usize = 250;
    /// A sequence number further ahead than this begins the stream anew.
    pub const SEQUENCE_JUMP_MAX: i64 = 200;
    /// A transit further than this from the others begins the stream anew, in µs: the sender's
    /// timestamps jumped, or nothing got through for so long that old transits mean nothing.
    pub const TRANSIT_JUMP_MAX: i64 = 2_000_000;
    /// Length of a tick, the step in which delay changes, in µs.
    pub const TICK: i64 = 20_000;
    /// Steps of delay above what is wanted at which packets are thrown away: 240 ms, because
    /// playing faster would take seconds.
    pub const STEPS_MAX: i64 = 12;
    /// Steps above what is wanted that are worth sounding odd for.
    pub const STEPS_HURRY: i64 = 3;
    /// Samples left over from the last packet that are worth being saved: 2.5 ms.
    pub const LEFT_OVER_MIN: u32 = 120;
    /// Samples of difference to a timestamp that are no gap: 2.5 ms, the codec's least.
    pub const GAP_MIN: i64 = 120;
    /// Samples invented in a row after which playing stops, until there is something to play
    /// again: 2 s, when invention has long faded to silence.
    pub const STOOD_STILL_MAX: i64 = 96_000;
    /// Missed frames that are remembered, to learn how late they were.
    pub const MISSED_MAX: usize = 64;
}

#[derive(Clone, Debug)]
struct Stored {
    /// `None` for a copy.
    sequence: Option<i64>,
    duration: i64,
    has_fec: bool,
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
        let Some(sequence) = arrival.sequence else { return self.insert_copy(now, arrival) };
        let mut position = self.unwrap(sequence, arrival.timestamp);
        let is_restart = self.newest.is_some_and(|newest| {
            let transit = micros(now) - to_micros(position.media);
            position.sequence - newest.sequence > limits::SEQUENCE_JUMP_MAX
                || (transit - self.delays.base()).abs() > limits::TRANSIT_JUMP_MAX
        });
        if is_restart {
            self.restart();
            position = self.unwrap(sequence, arrival.timestamp);
        }
        let Position { sequence, media } = position;
        let duration = i64::from(arrival.duration);
        if arrival.has_fec {
            // The frame before can be had from now on, if it has not come yet.
            self.learn(now, media - duration);
        }
        if let Some(present) = self.packets.get_mut(&media) {
            if present.sequence.replace(sequence).is_some() {
                self.counters.duplicate += 1;
            }
            return Insertion::Duplicate;
        }
        let is_late = self.next.is_some_and(|next| media < next - limits::GAP_MIN);
        if is_late {
            self.learn(now, media);
            self.counters.late += 1;
            return Insertion::Late;
        }
        self.delays.learn(micros(now) - to_micros(media));
        if self.newest.is_none_or(|newest| sequence > newest.sequence) {
            self.newest = Some(position);
        }
        self.store(media, Some(sequence), duration, arrival);
        if is_restart { Insertion::Restarted } else { Insertion::Stored }
    }

    /// Says what to play now. `held` is how many samples the decoder has left over from before,
    /// less than a tick.
    pub fn pull(&mut self, now: Instant, held: u32) -> Pull {
        self.part = 0;
        loop {
            let Some(next) = self.next else {
                if !self.start(now) {
                    return Pull::Silence;
                }
                continue;
            };
            let Some((media, stored)) = self.packets.first_key_value() else {
                return self.stand_still();
            };
            let (gap, is_pause) = (media - next, self.is_pause(stored));
            let age = micros(now) - to_micros(next);
            let stood_still = std::mem::take(&mut self.stood_still);
            if stood_still.min(gap) > 0 {
                self.pass(next, stood_still.min(gap), is_pause);
                continue;
            }
            if stood_still > 0 && !self.is_worth(stood_still, age) {
                self.leave_late();
                continue;
            }
            let change = self.delays.change(age);
            self.note_delay(age, held);
            let pull = match gap > limits::GAP_MIN {
                true => self.bridge(next, gap, is_pause, change.steps),
                false => {
                    self.part = change.part;
                    self.play(change.steps, held)
                }
            };
            if let Some(pull) = pull {
                return pull;
            }
        }
    }

    /// How long after the last pull the next one is best, and each a tick after the one before
    /// from then on: a tick, unless all is here a part of it sooner, or not before a part later.
    pub fn interval(&self) -> Duration {
        Duration::from_micros((limits::TICK + self.part).unsigned_abs())
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

    fn insert_copy(&mut self, now: Instant, arrival: Arrival) -> Insertion {
        let Some(newest) = self.newest else { return Insertion::Late };
        let media =
            newest.media + i64::from(arrival.timestamp.wrapping_sub(newest.media as u32) as i32);
        if media >= newest.media {
            // No copy is of what is yet to be sent.
            return Insertion::Duplicate;
        }
        let is_late = self.next.is_none_or(|next| media < next - limits::GAP_MIN);
        if !is_late && !self.packets.contains_key(&media) {
            self.delays.learn(micros(now) - to_micros(media));
            let duration = i64::from(arrival.duration);
            self.store(media, None, duration, arrival);
            return Insertion::Stored;
        }
        self.learn(now, media);
        if is_late { Insertion::Late } else { Insertion::Duplicate }
    }

    fn store(&mut self, media: i64, sequence: Option<i64>, duration: i64, arrival: Arrival) {
        let Arrival { has_fec, payload, .. } = arrival;
        self.packets.insert(media, Stored { sequence, duration, has_fec, payload });
        while self.packets.len() > limits::PACKETS_MAX {
            self.drop_first();
        }
    }

    /// Learns that a frame could only be had now: one that was missed, or is not here yet.
    fn learn(&mut self, now: Instant, media: i64) {
        let is_awaited = self.next.is_some_and(|next| media >= next - limits::GAP_MIN)
            && !self.packets.contains_key(&media);
        let missed = self.missed.iter().position(|missed| *missed == media);
        if let Some(index) = missed {
            self.missed.remove(index);
        }
        if is_awaited || missed.is_some() {
            self.delays.learn(micros(now) - to_micros(media));
        }
    }

    fn unwrap(&self, sequence: u16, timestamp: u32) -> Position {
        let Some(newest) = self.newest else {
            return Position { sequence: sequence.into(), media: timestamp.into() };
        };
        let ahead = sequence.wrapping_sub(newest.sequence as u16) as i16;
        let later = timestamp.wrapping_sub(newest.media as u32) as i32;
        Position {
            sequence: newest.sequence + i64::from(ahead),
            media: newest.media + i64::from(later),
        }
    }

    /// Begins playing once the first packet is as old as it should be.
    fn start(&mut self, now: Instant) -> bool {
        let Some((media, first)) = self.packets.first_key_value() else { return false };
        let wait = self.delays.wait(micros(now) - to_micros(*media));
        if wait > 0 {
            self.part = (wait - limits::TICK).min(0);
            return false;
        }
        self.next = Some(*media);
        self.frame = first.duration;
        self.played = first.sequence.unwrap_or(self.played) - 1;
        self.stood_still = 0;
        true
    }

    /// No packet at all: time stands still, which is how delay grows when packets are late.
    fn stand_still(&mut self) -> Pull {
        if self.stood_still >= limits::STOOD_STILL_MAX {
            self.next = None;
            self.stood_still = 0;
            return Pull::Silence;
        }
        self.stood_still += self.frame;
        self.conceal(self.frame)
    }

    /// Whether the delay that was gained by standing still is to be kept. That of a single frame
    /// may not be; more is too much to leave out.
    fn is_worth(&self, stood_still: i64, age: i64) -> bool {
        stood_still > self.frame || self.delays.change(age - to_micros(stood_still)).steps > 0
    }

    /// Leaves out what has come after something else was played for it.
    fn leave_late(&mut self) {
        let Some((media, stored)) = self.packets.pop_first() else { return };
        self.counters.late += 1;
        self.counters.lost += 1;
        self.next = Some(media + stored.duration);
        self.played = stored.sequence.unwrap_or(self.played + 1);
    }

    /// Whether nothing was sent between what was played last and this.
    fn is_pause(&self, stored: &Stored) -> bool {
        stored.sequence.is_some_and(|sequence| sequence == self.played + 1)
    }

    /// The next frame is not here, but a later one is.
    fn bridge(&mut self, next: i64, gap: i64, is_pause: bool, steps: i64) -> Option<Pull> {
        let samples = gap.min(self.frame.max(1));
        if steps > 0 {
            // It may still come; and a pause is the best place to gain delay.
            if !is_pause {
                self.stood_still += samples;
            }
            return Some(self.conceal(samples));
        }
        if steps < 0 {
            // All at once: how far it is to the next frame is for the sender to say.
            self.pass(next, gap.min(-steps * to_samples(limits::TICK)), is_pause);
            return None;
        }
        let successor = self.packets.get(&(next + samples)).filter(|stored| stored.has_fec);
        let successor = successor.map(|stored| stored.payload.clone());
        self.pass(next, samples, is_pause);
        if let Some(successor) = successor.filter(|_| !is_pause) {
            self.counters.recovered += 1;
            return Some(Pull::Recover { successor, samples: unsigned(samples) });
        }
        Some(self.conceal(samples))
    }

    /// Goes on without what should have been played.
    fn pass(&mut self, next: i64, samples: i64, is_pause: bool) {
        self.next = Some(next + samples);
        if is_pause {
            return;
        }
        let frame = self.frame.max(limits::GAP_MIN);
        // A gap is as long as the sender says it is.
        let frames = (samples / frame).clamp(1, limits::PACKETS_MAX as i64);
        self.counters.lost += frames.unsigned_abs();
        for index in 0..frames {
            self.played += 1;
            self.missed.push_back(next + index * frame);
        }
        while self.missed.len() > limits::MISSED_MAX {
            self.missed.pop_front();
        }
    }

    /// The next frame is here.
    fn play(&mut self, steps: i64, held: u32) -> Option<Pull> {
        if steps < -limits::STEPS_MAX {
            self.drop_first();
            return None;
        }
        let pace = match steps {
            1.. => Pace::Longer,
            // What is left over from before is delay that helps nobody.
            0 if held < limits::LEFT_OVER_MIN => Pace::Natural,
            0 => Pace::Shorter { most: held, hurry: false },
            _ => Pace::Shorter { most: u32::MAX, hurry: steps <= -limits::STEPS_HURRY },
        };
        let (media, stored) = self.packets.pop_first()?;
        self.frame = stored.duration;
        self.next = Some(media + stored.duration);
        self.counters.copied += u64::from(stored.sequence.is_none());
        self.played = stored.sequence.unwrap_or(self.played + 1);
        self.counters.shortened += u64::from(matches!(pace, Pace::Shorter { .. }));
        self.counters.lengthened += u64::from(pace == Pace::Longer);
        Some(Pull::Packet(stored.payload, pace))
    }

    /// Throws the oldest packet away.
    fn drop_first(&mut self) {
        let Some((media, stored)) = self.packets.pop_first() else { return };
        self.counters.shortened += 1;
        if self.next.is_some() {
            self.next = Some(media + stored.duration);
            self.played = stored.sequence.unwrap_or(self.played + 1);
        }
    }

    fn conceal(&mut self, samples: i64) -> Pull {
        self.counters.concealed += 1;
        Pull::Conceal(unsigned(samples))
    }

    /// Smooths over about a second.
    fn note_delay(&mut self, age: i64, held: u32) {
        let delay = age - self.delays.base() + to_micros(held.into());
        let delay = Duration::from_micros(delay.max(0).unsigned_abs());
        self.delay = if self.delay.is_zero() { delay } else { (self.delay * 49 + delay) / 50 };
    }
}

fn micros(instant: Instant) -> i64 {
    i64::try_from(instant.as_micros()).unwrap_or(i64::MAX)
}

/// At 48 kHz.
fn to_micros(samples: i64) -> i64 {
    samples * 125 / 6
}

/// At 48 kHz.
fn to_samples(micros: i64) -> i64 {
    micros * 6 / 125
}

fn unsigned(samples: i64) -> u32 {
    u32::try_from(samples).unwrap_or(0)
}
