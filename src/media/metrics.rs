//! The VoIP metrics of RTCP extended reports: what each side says of the sound that it hears
//! (RFC 3611 §4.7).

use std::time::Duration;

use rtcp::extended_report::{ExtendedReport, VoIPMetricsReportBlock};

use super::jitter::JitterBuffer;
use super::jitter::limits::PACKETS_MAX;
use super::quality::{Estimate, GMIN, Misses, Transmission};

/// What we know of the sound that we hear.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard<'a> {
    pub(super) misses: &'a Misses,
    /// Frames that came, but too late.
    pub(super) late: u64,
    pub(super) round_trip: Option<Duration>,
    /// From our mouth to the network and from the network to our ear, together.
    pub(super) here: Duration,
    /// How long the jitter buffer holds sound.
    pub(super) buffer: Duration,
    pub(super) lately: Option<Transmission>,
}

/// What the other side says of the sound that it hears from us.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct HeardThere {
    /// Share of our frames that it lacks, over the whole call.
    pub(super) missed: f32,
    pub(super) estimate: Option<Estimate>,
    /// Its part in the delay both ways, if it says.
    pub(super) there: Option<Duration>,
}

impl<'a> Heard<'a> {
    /// What is known now, with what the other side says that it adds to the delay.
    pub(super) fn of(
        misses: &'a Misses,
        jitter: &JitterBuffer,
        round_trip: Option<Duration>,
        there: Option<Duration>,
    ) -> Self {
        let buffer = jitter.delay();
        let here = SENDING + buffer;
        // §4.7.3; a side that does not say is taken to be like ours.
        let delay = (round_trip.unwrap_or_default() + here + there.unwrap_or(here)) / 2;
        let late = jitter.counters().late;
        Self { misses, late, round_trip, here, buffer, lately: misses.lately(delay) }
    }
}

/// A frame and what Opus looks ahead (RFC 6716 §2). What devices add is not known here.
const SENDING: Duration = Duration::from_micros(26_500);
/// What "not known" is in fields of one byte.
const UNKNOWN: u8 = 127;
/// Concealment "standard", a jitter buffer that adapts, at no rate that we know (§4.7.6).
const RECEIVER: u8 = 0b1111_0000;
/// Length of the longest delay that the jitter buffer has.
const BUFFER_MAX_MS: u16 = 20 * PACKETS_MAX as u16;

/// The report about the source of what we hear.
pub(super) fn write(sender: u32, source: u32, heard: &Heard<'_>) -> ExtendedReport {
    let Heard { misses, lately, .. } = heard;
    let spread = misses.spread();
    let expected = misses.count_expected().max(1);
    let late = heard.late.min(misses.count_missed());
    let share = |count: u64| fraction(count as f32 / expected as f32);
    let estimate = lately.map(|lately| lately.estimate());
    let block = VoIPMetricsReportBlock {
        ssrc: source,
        loss_rate: share(misses.count_missed() - late),
        discard_rate: share(late),
        burst_density: fraction(spread.in_bursts),
        gap_density: fraction(spread.in_gaps),
        burst_duration: ms(spread.burst),
        gap_duration: ms(spread.gap),
        round_trip_delay: heard.round_trip.map_or(0, ms),
        end_system_delay: ms(heard.here),
        signal_level: UNKNOWN,
        noise_level: UNKNOWN,
        rerl: UNKNOWN,
        gmin: GMIN,
        rfactor: estimate.map_or(UNKNOWN, |estimate| estimate.r_factor.round() as u8),
        ext_rfactor: UNKNOWN,
        mos_lq: lately.map_or(UNKNOWN, |lately| tenths(lately.listening().mos)),
        mos_cq: estimate.map_or(UNKNOWN, |estimate| tenths(estimate.mos)),
        rx_config: RECEIVER,
        reserved: 0,
        jb_nominal: ms(heard.buffer),
        jb_maximum: ms(heard.buffer).max(BUFFER_MAX_MS),
        jb_abs_max: BUFFER_MAX_MS,
    };
    ExtendedReport { sender_ssrc: sender, reports: vec![Box::new(block)] }
}

/// What a report says of our `source`, if anything. Values out of range count as not known, as
/// §4.7.5 wants it.
pub(super) fn read(report: &ExtendedReport, source: u32) -> Option<HeardThere> {
    let blocks = report.reports.iter().map(|block| block.as_any());
    let block = blocks
        .filter_map(|block| block.downcast_ref::<VoIPMetricsReportBlock>())
        .find(|block| block.ssrc == source)?;
    let missed = (f32::from(block.loss_rate) + f32::from(block.discard_rate)) / 256.0;
    let estimate = (block.rfactor <= 100).then(|| Estimate::of(block.rfactor.into()));
    let estimate = estimate.map(|estimate| match block.mos_cq {
        tenths @ 10..=50 => Estimate { mos: f32::from(tenths) / 10.0, ..estimate },
        _ => estimate,
    });
    let there =
        (block.end_system_delay > 0).then(|| Duration::from_millis(block.end_system_delay.into()));
    Some(HeardThere { missed: missed.min(1.0), estimate, there })
}

/// A share as a fixed-point number with the point at the left (§4.7.1).
fn fraction(share: f32) -> u8 {
    (share * 256.0).clamp(0.0, 255.0) as u8
}

fn tenths(mos: f32) -> u8 {
    (mos * 10.0).round().clamp(10.0, 50.0) as u8
}

fn ms(duration: Duration) -> u16 {
    u16::try_from(duration.as_millis()).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn misses(frames: &str) -> Misses {
        let mut misses = Misses::default();
        for frame in frames.chars() {
            match frame {
                '1' => misses.played(Duration::from_millis(10)),
                _ => misses.missed(),
            }
        }
        misses
    }

    fn heard(misses: &Misses) -> Heard<'_> {
        let delay = Duration::from_millis(400);
        Heard {
            misses,
            late: 3,
            round_trip: Some(Duration::from_millis(310)),
            here: Duration::from_millis(70),
            buffer: Duration::from_millis(50),
            lately: misses.lately(delay),
        }
    }

    /// The example of RFC 3611 §4.7.2; two of its values are given rounded.
    #[test]
    fn a_report_says_what_the_example_does() {
        let misses = misses("11110111111111111111111X111X1011110111111111111111111X1111111111");
        let report = write(1, 2, &heard(&misses));
        let block = report.reports[0].as_any().downcast_ref::<VoIPMetricsReportBlock>();
        let block = block.expect("a block");
        assert_eq!((block.loss_rate, block.discard_rate), (12, 12));
        assert!(block.burst_density.abs_diff(84) <= 1 && block.gap_density.abs_diff(10) <= 1);
        assert_eq!((block.burst_duration, block.gap_duration), (120, 520));
        assert_eq!((block.round_trip_delay, block.end_system_delay, block.gmin), (310, 70, 16));
        assert!(block.mos_lq > block.mos_cq, "a delay is not heard by who only listens");
    }

    #[test]
    fn what_is_written_is_read_and_nonsense_is_not_known() {
        let misses = misses(&"1".repeat(60));
        let report = write(1, 2, &heard(&misses));
        assert_eq!(read(&report, 3), None, "about somebody else");
        let there = read(&report, 2).expect("about us");
        assert!(there.estimate.is_some_and(|estimate| estimate.r_factor < 80.0), "{there:?}");
        assert_eq!(there.there, Some(Duration::from_millis(70)));
        let block = VoIPMetricsReportBlock {
            ssrc: 2,
            rfactor: 101,
            mos_cq: 200,
            ..VoIPMetricsReportBlock::default()
        };
        let report = ExtendedReport { sender_ssrc: 1, reports: vec![Box::new(block)] };
        assert_eq!(read(&report, 2), Some(HeardThere::default()));
    }
}
