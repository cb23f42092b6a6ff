//! Synthetic traces with a seed: what a network does, what the listener gets.

use super::*;
use crate::base::Rng;

const FRAME: u32 = 960;
const FRAME_US: u64 = 20_000;

/// A network and a sender.
struct Trace {
    seed: u64,
    packets: u32,
    loss: f64,
    /// Greatest random delay in µs.
    jitter_us: u64,
    /// The sender's clock is faster by this many millionths.
    drift_ppm: i64,
    /// When the first packet is sent, in µs.
    sent_us: u64,
    /// Every so many packets one spike of so many µs, during which all wait.
    spike: Option<(u32, u64)>,
    has_fec: bool,
    /// Each packet brings a copy of the one so many before.
    copies: Option<u32>,
    first_sequence: u16,
    first_timestamp: u32,
    /// Whether who pulls does so when the buffer says that it is best.
    is_followed: bool,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            seed: 1,
            packets: 1500,
            loss: 0.0,
            jitter_us: 0,
            drift_ppm: 0,
            sent_us: 100_000,
            spike: None,
            has_fec: true,
            copies: None,
            first_sequence: 65_000,
            first_timestamp: u32::MAX - 100_000,
            is_followed: false,
        }
    }
}

/// What came out.
#[derive(Debug, Default)]
struct Heard {
    /// The indices of packets decoded, in order.
    played: Vec<u32>,
    recovered: u32,
    concealed: u32,
    delay_ms_end: u64,
    delay_ms_max: u64,
    held_max: usize,
    /// How often pulls came sooner or later from then on.
    moves: u32,
    counters: JitterCounters,
}

fn index_of(payload: &Bytes) -> u32 {
    u32::from_be_bytes(payload[..4].try_into().expect("four bytes"))
}

impl Trace {
    fn arrivals(&self) -> Vec<(u64, u32)> {
        let mut rng = Rng::from_number(self.seed);
        let mut arrivals = Vec::new();
        let mut blocked_until = 0;
        for index in 0..self.packets {
            let sent =
                i64::from(index) * FRAME_US as i64 * (1_000_000 - self.drift_ppm) / 1_000_000;
            let sent = self.sent_us + sent as u64;
            if let Some((every, length)) = self.spike
                && index % every == every / 2
            {
                blocked_until = sent + length;
            }
            let delay = 10_000 + rng.below(self.jitter_us + 1);
            if rng.unit() >= self.loss {
                arrivals.push(((sent + delay).max(blocked_until), index));
            }
        }
        arrivals.sort_unstable();
        arrivals
    }

    fn arrival(&self, index: u32) -> Arrival {
        Arrival {
            sequence: Some(self.first_sequence.wrapping_add(index as u16)),
            timestamp: self.first_timestamp.wrapping_add(index * FRAME),
            duration: FRAME,
            has_fec: self.has_fec,
            payload: Bytes::copy_from_slice(&index.to_be_bytes()),
        }
    }

    fn run(&self) -> Heard {
        let mut buffer = JitterBuffer::default();
        let mut arrivals = self.arrivals().into_iter().peekable();
        let mut heard = Heard::default();
        // Samples that a decoder has left over.
        let (mut left, mut moved_us) = (0u32, 0);
        for tick in 0..u64::from(self.packets) + 20 {
            let now = (103_000 + tick * FRAME_US).saturating_add_signed(moved_us);
            while let Some((at, index)) = arrivals.next_if(|(at, _)| *at <= now) {
                let at = Instant::from_micros(at);
                buffer.insert(at, self.arrival(index));
                let copied = self.copies.and_then(|distance| index.checked_sub(distance));
                if let Some(earlier) = copied {
                    let copy = self.arrival(earlier);
                    buffer.insert(at, Arrival { sequence: None, has_fec: false, ..copy });
                }
            }
            heard.held_max = heard.held_max.max(buffer.len());
            while left < FRAME {
                left += self.pull(&mut buffer, now, left, tick, &mut heard);
            }
            left -= FRAME;
            let interval = buffer.interval().as_micros() as i64;
            if self.is_followed && interval != FRAME_US as i64 {
                moved_us += interval - FRAME_US as i64;
                heard.moves += 1;
            }
            let delay = buffer.delay().as_millis() as u64;
            heard.delay_ms_max = heard.delay_ms_max.max(delay);
            if tick == u64::from(self.packets) - 5 {
                heard.delay_ms_end = delay;
            }
        }
        assert!(heard.played.is_sorted_by(|a, b| a < b), "out of order or twice");
        heard.counters = buffer.counters();
        heard
    }

    /// Samples that a pull gives; a decoder finds a period of 5 ms wherever it looks for one.
    fn pull(
        &self,
        buffer: &mut JitterBuffer,
        now: u64,
        left: u32,
        tick: u64,
        heard: &mut Heard,
    ) -> u32 {
        match buffer.pull(Instant::from_micros(now), left) {
            Pull::Packet(payload, pace) => {
                heard.played.push(index_of(&payload));
                match pace {
                    Pace::Natural => FRAME,
                    Pace::Shorter { most, .. } => FRAME - most.min(240),
                    Pace::Longer => FRAME + 240,
                }
            }
            Pull::Recover { samples, .. } => {
                heard.recovered += 1;
                samples
            }
            Pull::Conceal(samples) => {
                // The last ticks find the stream over.
                heard.concealed += u32::from(tick < u64::from(self.packets));
                samples
            }
            Pull::Silence => FRAME,
        }
    }
}

#[test]
fn a_perfect_network_costs_little_delay_and_no_packet() {
    let heard = Trace::default().run();
    assert_eq!(heard.played.len(), 1500, "{heard:?}");
    assert!(heard.concealed <= 1, "{heard:?}");
    assert!(heard.delay_ms_end <= 20, "less than a tick: {}", heard.delay_ms_end);
}

/// Packets come 13 ms before the tick that plays them. Who pulls when they come hears them 5 ms
/// sooner, and what little jitter there is leads to no gap and to no moving to and fro.
#[test]
fn who_pulls_when_packets_come_hears_them_sooner() {
    let trace = Trace { jitter_us: 1_000, ..Trace::default() };
    let at_ticks = trace.run();
    let followed = Trace { is_followed: true, ..trace }.run();
    assert!(followed.delay_ms_end + 4 <= at_ticks.delay_ms_end, "{at_ticks:?} {followed:?}");
    assert!((1..=3).contains(&followed.moves), "{followed:?}");
    assert_eq!(followed.played.len(), 1500, "{followed:?}");
    assert!(followed.concealed <= 2, "{followed:?}");
}

/// A path without jitter is played with what little is in reserve, whenever ticks come: nothing is
/// stretched, and what was kept at the beginning is lost by pulling sooner.
#[test]
fn a_call_begins_when_it_is_best() {
    for sent_us in (100_000..120_000).step_by(1_000) {
        let heard = Trace { sent_us, is_followed: true, ..Trace::default() }.run();
        let JitterCounters { shortened, lengthened, .. } = heard.counters;
        assert_eq!((shortened, lengthened, heard.concealed), (0, 0, 0), "{sent_us}: {heard:?}");
        assert!(heard.delay_ms_end <= 8, "{sent_us}: {heard:?}");
    }
}

/// One frame in fourteen seconds is 15 ms too late: nobody waits longer for that, and nothing after
/// it is heard later. Of those that come twice a second nearly all are waited for.
#[test]
fn a_seldom_late_frame_is_left_out() {
    let run = |every| {
        let spike = Some((every, 32_000));
        Trace { spike, packets: 3_500, is_followed: true, ..Trace::default() }.run()
    };
    let (seldom, often) = (run(700), run(25));
    assert_eq!(seldom.counters.lost, 5, "{seldom:?}");
    assert_eq!(seldom.counters.shortened + seldom.counters.lengthened, 0, "{seldom:?}");
    assert!(seldom.delay_ms_max <= 20 && seldom.delay_ms_end <= 8, "{seldom:?}");
    assert!(often.counters.lost <= 4 && often.delay_ms_end >= 22, "{often:?}");
}

/// Where copies are waited for, whole ticks of delay are gained step by step; that who pulls could
/// do so sooner in between undoes none of it.
#[test]
fn pulling_sooner_does_not_undo_what_waiting_gains() {
    for seed in 1..6 {
        let trace =
            Trace { seed, loss: 0.1, copies: Some(3), jitter_us: 1_000, ..Trace::default() };
        let at_ticks = trace.run();
        let followed = Trace { is_followed: true, ..trace }.run();
        assert!(followed.moves <= 3, "{followed:?}");
        assert!(followed.counters.lost <= at_ticks.counters.lost, "{at_ticks:?} {followed:?}");
        // Who begins when it is best has a tick less to begin with, which is four periods.
        assert!(followed.counters.lengthened <= at_ticks.counters.lengthened + 4, "{followed:?}");
    }
}

#[test]
fn reordering_within_the_jitter_loses_nothing() {
    let heard = Trace { jitter_us: 50_000, ..Trace::default() }.run();
    let late = heard.counters.late;
    assert!(late <= 15, "{late} of 1500 came too late");
    assert!(heard.played.len() >= 1480, "{}", heard.played.len());
    assert!((45..=75).contains(&heard.delay_ms_end), "{}", heard.delay_ms_end);
}

#[test]
fn single_losses_are_recovered_from_the_successor() {
    let heard = Trace { loss: 0.05, ..Trace::default() }.run();
    let lost = heard.counters.lost;
    assert!((50..=110).contains(&lost), "{lost}");
    // Of two lost in a row only the second can be recovered.
    assert!(u64::from(heard.recovered) * 100 >= lost * 85, "{heard:?}");
    assert_eq!(heard.counters.late, 0);
}

/// Three lost in a row come as copies, once it has been seen that waiting for them pays.
#[test]
fn copies_far_enough_behind_fill_bursts() {
    let lossy = Trace { loss: 0.05, has_fec: false, ..Trace::default() };
    let without = lossy.run();
    let with = Trace { copies: Some(3), ..lossy }.run();
    assert!(without.counters.lost > 50 && without.counters.copied == 0, "{without:?}");
    assert!(with.counters.copied > 50, "{with:?}");
    assert!(with.counters.lost * 4 < without.counters.lost, "{with:?}");
    assert!(with.played.len() > without.played.len() + 50);
    assert!((60..=85).contains(&with.delay_ms_end), "three frames more: {}", with.delay_ms_end);
    assert!(without.delay_ms_end <= 20, "nothing to wait for: {}", without.delay_ms_end);
}

/// Fifteen of a thousand come as copies three frames late: that there are fewer of them for some
/// seconds is chance, and no reason to stop waiting for them.
#[test]
fn what_is_seldom_is_not_over_when_it_is_missing_for_a_while() {
    let changes = |seed| {
        let few = Trace { seed, packets: 6000, loss: 0.015, has_fec: false, ..Trace::default() };
        let counters = Trace { copies: Some(3), ..few }.run().counters;
        (counters.shortened, counters.lost)
    };
    let (shortened, lost) =
        (1..11).map(changes).fold((0, 0), |(a, b), (shortened, lost)| (a + shortened, b + lost));
    assert!(shortened <= 200 && lost <= 120, "{shortened} shortened, {lost} of 900 lost");
}

#[test]
fn delay_grows_quickly_and_shrinks_slowly() {
    // A quarter of the way quiet, then 80 ms of jitter, then quiet again.
    let mut buffer = JitterBuffer::default();
    let mut rng = Rng::from_number(3);
    let trace = Trace { first_sequence: 0, first_timestamp: 0, ..Trace::default() };
    let (mut ages, mut left) = (Vec::new(), 0);
    let mut arrivals: Vec<(u64, u32)> = (0..2400u32)
        .map(|index| {
            let jitter = if (600..900).contains(&index) { rng.below(80_001) } else { 0 };
            (u64::from(index) * FRAME_US + 10_000 + jitter, index)
        })
        .collect();
    arrivals.sort_unstable();
    let mut arrivals = arrivals.into_iter().peekable();
    for tick in 0..2400u64 {
        let now = tick * FRAME_US + 13_000;
        while let Some((at, index)) = arrivals.next_if(|(at, _)| *at <= now) {
            buffer.insert(Instant::from_micros(at), trace.arrival(index));
        }
        let mut heard = Heard::default();
        while left < FRAME {
            left += trace.pull(&mut buffer, now, left, tick, &mut heard);
        }
        left -= FRAME;
        ages.push(buffer.delay().as_millis());
    }
    assert!(ages[590] <= 25, "{}", ages[590]);
    assert!(ages[700] >= 50, "within two seconds: {}", ages[700]);
    assert!(ages[1100] >= 60, "still there four seconds later: {}", ages[1100]);
    assert!(ages[2390] <= 25, "and forgotten in the end: {}", ages[2390]);
}

#[test]
fn a_spike_is_bridged_and_the_delay_comes_back() {
    let heard = Trace { spike: Some((500, 200_000)), ..Trace::default() }.run();
    assert!((20..=45).contains(&heard.concealed), "{}", heard.concealed);
    assert!(heard.counters.shortened >= 15, "{heard:?}");
    assert!(heard.delay_ms_end <= 60, "{}", heard.delay_ms_end);
    assert!(heard.played.len() >= 1490, "{}", heard.played.len());
}

#[test]
fn clock_drift_is_followed_both_ways() {
    for drift_ppm in [-500, 500] {
        let heard = Trace { drift_ppm, packets: 6000, ..Trace::default() }.run();
        // 120 s at 500 ppm are 60 ms, so three ticks, each of some periods.
        let JitterCounters { shortened, lengthened, .. } = heard.counters;
        let adjusted = if drift_ppm > 0 { shortened } else { lengthened };
        assert!((6..=60).contains(&adjusted), "{drift_ppm}: {heard:?}");
        assert!(heard.concealed <= 4, "{drift_ppm}: {}", heard.concealed);
        assert!(heard.delay_ms_max <= 60, "{drift_ppm}: {}", heard.delay_ms_max);
        assert!(heard.played.len() >= 5999, "{drift_ppm}: {}", heard.played.len());
    }
}

#[test]
fn everything_at_once_stays_bounded() {
    for seed in 0..20 {
        let trace = Trace {
            seed,
            loss: 0.1,
            jitter_us: 60_000,
            drift_ppm: 200,
            spike: Some((300, 400_000)),
            ..Trace::default()
        };
        let heard = trace.run();
        assert!(heard.held_max <= 40, "seed {seed}: {}", heard.held_max);
        assert!(heard.played.len() >= 1150, "seed {seed}: {}", heard.played.len());
        assert!(heard.delay_ms_max <= 550, "seed {seed}: {}", heard.delay_ms_max);
    }
}

#[test]
fn a_flood_is_bounded_and_duplicates_are_counted() {
    let mut buffer = JitterBuffer::default();
    let trace = Trace::default();
    for index in 0..2_000 {
        buffer.insert(Instant::from_micros(1), trace.arrival(index));
        assert!(buffer.len() <= limits::PACKETS_MAX);
    }
    let last = trace.arrival(1_999);
    assert_eq!(buffer.insert(Instant::from_micros(2), last), Insertion::Duplicate);
    assert_eq!(buffer.counters().duplicate, 1);
}

#[test]
fn a_jump_in_sequence_or_time_begins_anew() {
    let mut buffer = JitterBuffer::default();
    let at = |buffer: &mut JitterBuffer, ms: u64, sequence, timestamp| {
        let payload = Bytes::from_static(&[0; 4]);
        let arrival = Trace::default().arrival(0);
        let arrival = Arrival { sequence: Some(sequence), timestamp, payload, ..arrival };
        buffer.insert(Instant::from_micros(ms * 1000), arrival)
    };
    assert_eq!(at(&mut buffer, 0, 10, 0), Insertion::Stored);
    assert_eq!(at(&mut buffer, 20, 11, FRAME), Insertion::Stored);
    assert_eq!(at(&mut buffer, 40, 5000, 2 * FRAME), Insertion::Restarted);
    assert_eq!(at(&mut buffer, 60, 5001, 0x5000_0000), Insertion::Restarted);
    assert_eq!(buffer.len(), 1);
}

/// Copies are of what was sent before. One that says otherwise must not make us believe that all
/// else comes hours late.
#[test]
fn a_copy_of_the_future_changes_nothing() {
    let mut buffer = JitterBuffer::default();
    let trace = Trace::default();
    for index in 0..100 {
        let now = Instant::from_micros(u64::from(index) * FRAME_US);
        assert_eq!(buffer.insert(now, trace.arrival(index)), Insertion::Stored);
        let future = Arrival { sequence: None, ..trace.arrival(index + 1_000_000) };
        assert_eq!(buffer.insert(now, future), Insertion::Duplicate);
        buffer.pull(now, 0);
    }
    assert_eq!(buffer.counters().lost, 0);
    assert!(buffer.delay() < Duration::from_millis(50), "{:?}", buffer.delay());
}

#[test]
fn a_pause_of_the_sender_is_kept_and_then_left() {
    let mut buffer = JitterBuffer::default();
    let mut pulls = Vec::new();
    for tick in 0..300u64 {
        // 20 packets, a pause of 1 s without any, 20 packets with the next sequence numbers.
        let sent = match tick {
            0..20 => Some(tick),
            70..90 => Some(tick - 50),
            _ => None,
        };
        let now = Instant::from_micros(tick * FRAME_US);
        if let Some(sequence) = sent {
            let payload = Bytes::copy_from_slice(&(sequence as u32).to_be_bytes());
            let timestamp = tick as u32 * FRAME;
            let arrival = Arrival {
                sequence: Some(sequence as u16),
                timestamp,
                payload,
                ..Trace::default().arrival(0)
            };
            buffer.insert(now, arrival);
        }
        pulls.push(buffer.pull(now, 0));
    }
    let played = pulls.iter().filter(|p| matches!(p, Pull::Packet(..))).count();
    assert_eq!(played, 40);
    let resumed = pulls[60..].iter().position(|p| matches!(p, Pull::Packet(..))).expect("resumed");
    assert!((71..=74).contains(&(resumed + 60)), "resumed at {}", resumed + 60);
    assert_eq!(buffer.counters().lost, 0);
    assert_eq!(pulls[299], Pull::Silence, "after two seconds without a packet");
}
