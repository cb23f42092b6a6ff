//! The jitter buffer against the clairvoyant best, on made networks: the mean delay of a packet's
//! sound from its making to its playing, and the same of a buffer that knows the whole trace, may
//! choose another delay every ten seconds, and misses no more frames. Once both let sound out in
//! ticks of 20 ms, once whenever they like. `cargo bench --bench jitter`; the last column should
//! not be above 1.15.

use std::collections::BTreeMap;

use bytes::Bytes;
use chordial::base::{Instant, Rng};
use chordial::media::jitter::{Arrival, JitterBuffer, Pace, Pull};

/// When packets arrive, in µs, and which.
struct Trace {
    name: &'static str,
    arrivals: Vec<(i64, u32)>,
}

const FRAME_US: i64 = 20_000;
const FRAME: i64 = 960;
/// Two minutes.
const FRAMES: u32 = 6_000;
/// Frames after which the clairvoyant may choose again.
const WINDOW: usize = 500;
/// Missed frames of one window that the clairvoyant thinks about.
const MISSED_MAX: usize = 80;

/// What a network does to the packet sent at a time: its transit, or `None` if it is lost.
type Network = fn(&mut Rng, i64) -> Option<i64>;

const NETWORKS: [(&str, Network, bool); 7] = [
    ("constant", |_, _| Some(40_000), true),
    ("normal, 10 ms", |rng, _| Some(40_000 + (normal(rng).abs() * 10_000.0) as i64), true),
    ("30 ± 30 ms, reordered", |rng, _| Some(rng.below(60_000) as i64), false),
    ("loss 10 %", |rng, _| (rng.unit() >= 0.1).then(|| 40_000 + rng.below(4_000) as i64), false),
    (
        "loss in bursts of three",
        |rng, sent| {
            // The same chance for each three frames.
            let mut burst = Rng::from_number((sent / FRAME_US / 3) as u64);
            (burst.unit() >= 0.1).then(|| 40_000 + rng.below(4_000) as i64)
        },
        false,
    ),
    (
        "route change",
        |rng, sent| {
            let is_other = (40_000_000..80_000_000).contains(&sent);
            Some(if is_other { 85_000 } else { 40_000 } + rng.below(6_000) as i64)
        },
        true,
    ),
    (
        "spikes of a radio",
        |rng, sent| {
            // Now and then nothing gets through for 40 to 160 ms.
            let mut spike = Rng::from_number((sent / 3_000_000) as u64);
            let begins = sent / 3_000_000 * 3_000_000 + spike.below(2_800_000) as i64;
            let ends = begins + 40_000 + spike.below(120_000) as i64;
            let wait = if (begins..ends).contains(&sent) { ends - sent } else { 0 };
            Some(40_000 + wait + (-rng.unit().max(1e-9).ln() * 4_000.0) as i64)
        },
        true,
    ),
];

fn normal(rng: &mut Rng) -> f64 {
    let (radius, angle) = (rng.unit().max(1e-12), rng.unit());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

fn trace(name: &'static str, network: Network, in_order: bool) -> Trace {
    let mut rng = Rng::from_number(1);
    let mut last = 0;
    let mut arrivals = Vec::new();
    for index in 0..FRAMES {
        let sent = i64::from(index) * FRAME_US;
        let Some(transit) = network(&mut rng, sent) else { continue };
        let at = if in_order { (sent + transit).max(last) } else { sent + transit };
        last = at;
        arrivals.push((at, index));
    }
    arrivals.sort_unstable();
    Trace { name, arrivals }
}

/// When sound is let out.
#[derive(Clone, Copy)]
struct Ticks {
    /// The part of each 20 ms at which they come, in µs.
    phase: i64,
    /// Whether they may be moved.
    are_free: bool,
}

impl Ticks {
    /// When something of this moment can be let out.
    fn after(self, at: i64) -> i64 {
        if self.are_free {
            return at;
        }
        (at - self.phase + FRAME_US - 1).div_euclid(FRAME_US) * FRAME_US + self.phase
    }
}

/// The mean delay in µs and how many frames were invented.
fn play(trace: &Trace, ticks: Ticks) -> (f64, usize) {
    let mut buffer = JitterBuffer::default();
    let mut arrivals = trace.arrivals.iter().peekable();
    let (mut left, mut delay, mut played, mut invented) = (0, 0.0, 0u32, 0);
    let mut now = 60_000 + ticks.phase;
    for _ in 0..FRAMES {
        while let Some((at, index)) = arrivals.next_if(|(at, _)| *at <= now) {
            let arrival = Arrival {
                sequence: Some(*index as u16),
                timestamp: index * FRAME as u32,
                duration: FRAME as u32,
                has_fec: false,
                payload: Bytes::copy_from_slice(&index.to_be_bytes()),
            };
            buffer.insert(Instant::from_micros(at.unsigned_abs()), arrival);
        }
        while left < FRAME {
            left += match buffer.pull(Instant::from_micros(now.unsigned_abs()), left as u32) {
                Pull::Packet(payload, pace) => {
                    let index = payload.iter().fold(0, |index, byte| index << 8 | i64::from(*byte));
                    delay += (now - index * FRAME_US) as f64 + left as f64 * 125.0 / 6.0;
                    played += 1;
                    match pace {
                        Pace::Natural => FRAME,
                        // A voice of 160 Hz.
                        Pace::Shorter { most, .. } => FRAME - i64::from(most).min(300),
                        Pace::Longer => FRAME + 300,
                    }
                }
                Pull::Recover { samples, .. } | Pull::Conceal(samples) => {
                    invented += 1;
                    samples.into()
                }
                Pull::Silence => FRAME,
            };
        }
        left -= FRAME;
        now += if ticks.are_free { buffer.interval().as_micros() as i64 } else { FRAME_US };
    }
    (delay / f64::from(played), invented)
}

/// The least mean delay in µs that misses at most `missed` frames.
fn clairvoyant(trace: &Trace, ticks: Ticks, missed: usize) -> f64 {
    let first: BTreeMap<u32, i64> =
        trace.arrivals.iter().map(|(at, index)| (*index, *at)).collect();
    let lost = FRAMES as usize - first.len();
    let budget = missed.saturating_sub(lost);
    // The least sum of delays for each number of frames missed so far.
    let mut best = vec![0.0; budget + 1];
    for window in (0..FRAMES).collect::<Vec<_>>().chunks(WINDOW) {
        let age = |index: &u32| {
            first.get(index).map(|at| ticks.after(*at) - i64::from(*index) * FRAME_US)
        };
        let mut ages: Vec<i64> = window.iter().filter_map(age).collect();
        ages.sort_unstable_by(|a, b| b.cmp(a));
        let sum = |missed: usize| ages.get(missed).map(|age| *age as f64 * window.len() as f64);
        let cheapest = |used: usize| {
            let choices = (0..=used.min(MISSED_MAX))
                .filter_map(|missed| sum(missed).map(|delay| best[used - missed] + delay));
            choices.fold(f64::INFINITY, f64::min)
        };
        best = (0..=budget).map(cheapest).collect();
    }
    best[budget] / f64::from(FRAMES)
}

fn main() {
    println!(
        "{:24} {:>5} {:>6} {:>9} {:>8} {:>12} {:>6}",
        "network", "phase", "ticks", "delay ms", "missed", "clairvoyant", "ratio"
    );
    for (are_free, word) in [(false, "fixed"), (true, "free")] {
        let mut ratios = Vec::new();
        for (name, network, in_order) in NETWORKS {
            let trace = trace(name, network, in_order);
            for phase in [3_000, 13_000] {
                let ticks = Ticks { phase, are_free };
                let (delay, invented) = play(&trace, ticks);
                let best = clairvoyant(&trace, ticks, invented);
                println!(
                    "{:24} {:>5} {word:>6} {:>9.1} {:>6.2} % {:>12.1} {:>6.2}",
                    trace.name,
                    phase / 1000,
                    delay / 1000.0,
                    invented as f64 / f64::from(FRAMES) * 100.0,
                    best / 1000.0,
                    delay / best
                );
                ratios.push(delay / best);
            }
        }
        println!("mean ratio {:.3}", ratios.iter().sum::<f64>() / ratios.len() as f64);
    }
}
