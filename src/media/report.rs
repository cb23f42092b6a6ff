//! RTCP: what we tell the other side about its packets, and learn about ours (RFC 3550 §6, A).

use std::time::Duration;

use bytes::Bytes;
use rtcp::extended_report::{ExtendedReport, LossRLEReportBlock};
use rtcp::goodbye::Goodbye;
use rtcp::packet::Packet;
use rtcp::receiver_report::ReceiverReport;
use rtcp::reception_report::ReceptionReport;
use rtcp::sender_report::SenderReport;
use rtcp::source_description::{
    SdesType, SourceDescription, SourceDescriptionChunk, SourceDescriptionItem,
};

use super::codec::Codec;
use super::losses::{self, Arrivals};
use super::metrics::{self, Heard, HeardThere};
use super::session::SessionSettings;
use crate::base::{Instant, Now, Rng};

/// Counts the packets of one source as they come in (RFC 3550 A.1, A.3, A.8).
#[derive(Clone, Debug)]
pub(super) struct Reception {
    pub(super) source: u32,
    codec: Codec,
    first: i64,
    highest: i64,
    received: u64,
    expected_before: i64,
    received_before: u64,
    arrivals: Arrivals,
    /// What was expected and received when loss was looked at last.
    looked_at: (i64, u64),
    transit: Option<i64>,
    /// In samples at 48 kHz.
    jitter: f64,
    last_sender_report: Option<(u32, Instant)>,
}

impl Reception {
    pub(super) fn new(source: u32, sequence: u16, codec: Codec) -> Self {
        // One round up, so that packets from before the first one have numbers too.
        let first = 0x1_0000 + i64::from(sequence);
        Self {
            source,
            codec,
            first,
            highest: first - 1,
            received: 0,
            expected_before: 0,
            received_before: 0,
            arrivals: Arrivals::new(first),
            looked_at: (0, 0),
            transit: None,
            jitter: 0.0,
            last_sender_report: None,
        }
    }

    /// Counts a packet; `timestamp` is in samples at 48 kHz, whatever the codec's clock is.
    pub(super) fn count(&mut self, now: Instant, sequence: u16, timestamp: u32) {
        self.count_event(sequence);
        let arrival = (u128::from(now.as_micros()) * 6 / 125) as u32;
        let transit = i64::from(arrival.wrapping_sub(timestamp));
        if let Some(before) = self.transit.replace(transit) {
            let difference = (transit - before) as i32;
            self.jitter += (f64::from(difference).abs() - self.jitter) / 16.0;
        }
    }

    /// Counts a packet whose timestamp says nothing of when it was sent (RFC 4733 §2.6.1.1).
    pub(super) fn count_event(&mut self, sequence: u16) {
        let ahead = i64::from(sequence.wrapping_sub(self.highest as u16) as i16);
        if ahead > -MISORDER_MAX {
            self.first = self.first.min(self.highest + ahead);
        }
        self.arrivals.note(self.highest + ahead);
        self.highest = self.highest.max(self.highest + ahead);
        self.received += 1;
    }

    /// Notes a sender report, for the round trip time that its sender wants to know.
    pub(super) fn note_sender_report(&mut self, now: Instant, ntp_time: u64) {
        self.last_sender_report = Some((ntp_middle(ntp_time), now));
    }

    /// Packets that came.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Packets that should have come and did not; duplicates count against it.
    pub(super) fn lost(&self) -> i64 {
        self.expected() - i64::try_from(self.received).unwrap_or(i64::MAX)
    }

    /// Share lost of the last packets, once there are enough since it was asked for last.
    pub(super) fn loss_lately(&mut self) -> Option<f32> {
        let expected = self.expected() - self.looked_at.0;
        if expected < LOOK_EVERY {
            return None;
        }
        let received = (self.received - self.looked_at.1) as i64;
        self.looked_at = (self.expected(), self.received);
        Some((expected - received).max(0) as f32 / expected as f32)
    }

    /// Interarrival jitter (RFC 3550 §6.4.1).
    pub(super) fn jitter(&self) -> Duration {
        Duration::from_secs_f64((self.jitter / 48_000.0).clamp(0.0, 3600.0))
    }

    fn expected(&self) -> i64 {
        self.highest - self.first + 1
    }

    /// The report block; begins a new interval for the fraction.
    fn block(&mut self, now: Instant) -> ReceptionReport {
        let expected = self.expected() - self.expected_before;
        let received = i64::try_from(self.received - self.received_before).unwrap_or(i64::MAX);
        self.expected_before = self.expected();
        self.received_before = self.received;
        let lost = (expected - received).max(0);
        let fraction = if expected > 0 { (lost * 256 / expected).min(255) } else { 0 };
        let (last_sender_report, delay) = match self.last_sender_report {
            Some((report, at)) => (report, to_ntp_short(now.saturating_since(at))),
            None => (0, 0),
        };
        ReceptionReport {
            ssrc: self.source,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            // 24 bits, signed on the wire; the library knows only the positive half.
            total_lost: u32::try_from(self.lost().clamp(0, 0x7f_ffff)).unwrap_or(0),
            last_sequence_number: (self.highest - 0x1_0000) as u32,
            jitter: self.jitter as u32 / self.codec.samples_per_tick(),
            last_sender_report,
            delay,
        }
    }
}

/// What we have sent, for sender reports.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    pub(super) packets: u64,
    pub(super) octets: u64,
    /// RTP timestamp of the last packet and when it was sent.
    pub(super) last: Option<(u32, Instant)>,
}

/// When reports go out, and what is in them.
#[derive(Debug)]
pub(super) struct Reporter {
    source: u32,
    /// What we send, whose clock our timestamps are in.
    codec: Codec,
    cname: String,
    /// Unix time in µs at the driver's origin: one wall clock for a whole call, because a jump
    /// would spoil round trip times.
    unix_us_at_origin: u128,
    next: Instant,
    sent_before: u64,
    /// Whether the other side sends copies, for which it should know what they have to survive.
    tells_losses: bool,
}

/// What a compound packet of the other side says that matters to us.
#[derive(Clone, Debug, Default)]
pub(super) struct Feedback {
    /// Share of our packets lost since its last report, 0 to 1.
    pub(super) fraction_lost: Option<f32>,
    /// Whether each of our packets since then was lost, if it says.
    pub(super) lost: Vec<bool>,
    /// How long a packet takes to it and back.
    pub(super) round_trip: Option<Duration>,
    /// Variation of our packets' transit (RFC 3550 §6.4.1).
    pub(super) jitter: Option<Duration>,
    /// How well it hears us.
    pub(super) heard: Option<HeardThere>,
    /// Its sender report: who, and its NTP time.
    pub(super) sender_report: Option<(u32, u64)>,
    /// It has said goodbye.
    pub(super) goodbye: bool,
}

/// Between reports on average, once a call runs (RFC 3550 §6.2): with two parties the bandwidth
/// rule gives less.
const INTERVAL: Duration = Duration::from_secs(5);
/// RFC 3550 §6.3.1: e - 3/2, which makes up for timer reconsideration.
const COMPENSATION: f64 = 1.218_28;
/// A packet this far behind the others is no sign that more from before the first are to come
/// (RFC 3550 A.1).
const MISORDER_MAX: i64 = 100;
/// Packets after which loss is looked at: a second of sound.
const LOOK_EVERY: i64 = 50;
/// Packets in one compound that are looked at; ours have two or three.
const PACKETS_MAX: usize = 16;
/// Seconds from 1900, where NTP begins, to 1970.
const NTP_TO_UNIX: u64 = 2_208_988_800;

impl Reporter {
    pub(super) fn new(now: Now, source: u32, settings: &SessionSettings, rng: &mut Rng) -> Self {
        let origin = u128::from(now.unix_ms) * 1000;
        Self {
            source,
            codec: settings.send.codec,
            cname: settings.cname.clone(),
            unix_us_at_origin: origin.saturating_sub(u128::from(now.instant.as_micros())),
            // Between two parties the first one need not wait (RFC 3550 §6.2), but it is to have
            // something to tell.
            next: now.instant + interval(rng) / 4,
            sent_before: 0,
            tells_losses: settings.copies.is_some(),
        }
    }

    /// Our timestamps are in another codec's clock from now on.
    pub(super) fn set_codec(&mut self, codec: Codec) {
        self.codec = codec;
    }

    /// When the next report is due.
    pub(super) fn deadline(&self) -> Instant {
        self.next
    }

    /// The compound that is due now: SR or RR, SDES with the CNAME, VoIP metrics and losses.
    pub(super) fn report(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        sent: &Sent,
        reception: Option<(&mut Reception, Heard<'_>)>,
    ) -> Option<Bytes> {
        self.next = now + interval(rng);
        let packets = self.compound(now, sent, reception);
        rtcp::packet::marshal(&packets).ok()
    }

    /// The last compound of a call, with BYE (RFC 3550 §6.6).
    pub(super) fn goodbye(
        &mut self,
        now: Instant,
        sent: &Sent,
        reception: Option<(&mut Reception, Heard<'_>)>,
    ) -> Option<Bytes> {
        let mut packets = self.compound(now, sent, reception);
        packets.push(Box::new(Goodbye { sources: vec![self.source], reason: Bytes::new() }));
        rtcp::packet::marshal(&packets).ok()
    }

    /// Reads a decrypted compound.
    pub(super) fn read(&self, now: Instant, compound: &[u8]) -> Feedback {
        let mut feedback = Feedback::default();
        for packet in packets(compound).take(PACKETS_MAX) {
            // What is broken or unknown spoils nothing else (RFC 3550 §6.1).
            let Ok(read) = rtcp::packet::unmarshal(&mut &packet[..]) else { continue };
            let Some(packet) = read.first().map(|packet| packet.as_any()) else { continue };
            if let Some(report) = packet.downcast_ref::<SenderReport>() {
                feedback.sender_report = Some((report.ssrc, report.ntp_time));
                self.read_blocks(now, &report.reports, &mut feedback);
            } else if let Some(report) = packet.downcast_ref::<ReceiverReport>() {
                self.read_blocks(now, &report.reports, &mut feedback);
            } else if let Some(report) = packet.downcast_ref::<ExtendedReport>() {
                feedback.heard = metrics::read(report, self.source).or(feedback.heard);
                feedback.lost = losses_of(report, self.source);
            } else if packet.is::<Goodbye>() {
                feedback.goodbye = true;
            }
        }
        feedback
    }

    fn read_blocks(&self, now: Instant, blocks: &[ReceptionReport], feedback: &mut Feedback) {
        let Some(block) = blocks.iter().find(|b| b.ssrc == self.source) else { return };
        feedback.fraction_lost = Some(f32::from(block.fraction_lost) / 256.0);
        feedback.jitter = Some(Duration::from_secs_f64(
            f64::from(block.jitter) / f64::from(self.codec.clock_rate()),
        ));
        if block.last_sender_report == 0 {
            return;
        }
        // RFC 3550 §6.4.1: A - LSR - DLSR, in 1/65536 s. More than a minute is nonsense.
        let arrived = ntp_middle(self.ntp(now));
        let round_trip = arrived.wrapping_sub(block.last_sender_report).wrapping_sub(block.delay);
        if (round_trip as i32) < 0 {
            feedback.round_trip = Some(Duration::ZERO);
        } else if round_trip < 60 << 16 {
            feedback.round_trip = Some(Duration::from_secs_f64(f64::from(round_trip) / 65_536.0));
        }
    }

    fn compound(
        &mut self,
        now: Instant,
        sent: &Sent,
        reception: Option<(&mut Reception, Heard<'_>)>,
    ) -> Vec<Box<dyn Packet + Send + Sync>> {
        let (block, metrics) = reception.map_or((None, None), |(reception, heard)| {
            let mut metrics = metrics::write(self.source, reception.source, &heard);
            if self.tells_losses
                && let Some(losses) = reception.arrivals.report(reception.source)
            {
                metrics.reports.push(Box::new(losses));
            }
            (Some(reception.block(now)), Some(metrics))
        });
        let reports: Vec<_> = block.into_iter().collect();
        let has_sent = sent.packets > self.sent_before;
        self.sent_before = sent.packets;
        let first: Box<dyn Packet + Send + Sync> = match sent.last {
            Some((timestamp, at)) if has_sent => Box::new(SenderReport {
                ssrc: self.source,
                ntp_time: self.ntp(now),
                // The timestamp that a packet sent now would have.
                rtp_time: timestamp.wrapping_add(self.ticks(now.saturating_since(at))),
                packet_count: sent.packets as u32,
                octet_count: sent.octets as u32,
                reports,
                profile_extensions: Bytes::new(),
            }),
            _ => Box::new(ReceiverReport {
                ssrc: self.source,
                reports,
                profile_extensions: Bytes::new(),
            }),
        };
        let name = SourceDescriptionItem {
            sdes_type: SdesType::SdesCname,
            text: Bytes::copy_from_slice(self.cname.as_bytes()),
        };
        let chunk = SourceDescriptionChunk { source: self.source, items: vec![name] };
        let mut packets = vec![first, Box::new(SourceDescription { chunks: vec![chunk] })];
        packets.extend(metrics.map(|m| Box::new(m) as Box<dyn Packet + Send + Sync>));
        packets
    }

    fn ticks(&self, duration: Duration) -> u32 {
        (duration.as_micros() * u128::from(self.codec.clock_rate()) / 1_000_000) as u32
    }

    /// 64-bit NTP time.
    fn ntp(&self, now: Instant) -> u64 {
        let unix_us = self.unix_us_at_origin + u128::from(now.as_micros());
        let seconds = (unix_us / 1_000_000) as u64 + NTP_TO_UNIX;
        let fraction = (unix_us % 1_000_000) as u64 * (1 << 32) / 1_000_000;
        (seconds << 32) | fraction
    }
}

/// Whether each of the packets of `source` was lost, as far as a report tells.
fn losses_of(report: &ExtendedReport, source: u32) -> Vec<bool> {
    let blocks = report.reports.iter().map(|block| block.as_any());
    let mut about_us = blocks
        .filter_map(|block| block.downcast_ref::<LossRLEReportBlock>())
        .filter(|block| block.ssrc == source);
    about_us.next().map(losses::read).unwrap_or_default()
}

/// The packets of a compound, as far as their lengths fit (RFC 3550 §6.1).
fn packets(compound: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = compound;
    std::iter::from_fn(move || {
        let words = u16::from_be_bytes(rest.get(2..4)?.try_into().ok()?);
        let (packet, behind) = rest.split_at_checked(4 * (usize::from(words) + 1))?;
        rest = behind;
        Some(packet)
    })
}

/// Half to one and a half times the interval, so that parties do not fall into step
/// (RFC 3550 §6.2).
fn interval(rng: &mut Rng) -> Duration {
    INTERVAL.mul_f64((0.5 + rng.unit()) / COMPENSATION)
}

fn ntp_middle(ntp_time: u64) -> u32 {
    (ntp_time >> 16) as u32
}

fn to_ntp_short(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros() * 65_536 / 1_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Format;
    use crate::media::sdp::Direction;

    fn settings() -> SessionSettings {
        SessionSettings {
            send: Format::opus(111),
            receive: vec![Format::opus(111)],
            in_band_fec: false,
            copies: None,
            dtx: false,
            bitrate_max: None,
            digits: None,
            direction: Direction::SendRecv,
            cname: "alice".into(),
        }
    }

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    #[test]
    fn loss_is_counted_across_the_wrap() {
        let mut reception = Reception::new(7, 65_530, Codec::Opus);
        for number in 65_530u32..65_630 {
            if number % 10 != 0 {
                reception.count(at(u64::from(number) * 20), number as u16, number * 960);
            }
        }
        assert_eq!((reception.received(), reception.lost()), (90, 10));
        let block = reception.block(at(0));
        assert_eq!(block.last_sequence_number, (1 << 16) | 93);
        assert_eq!(u32::from(block.fraction_lost), 10 * 256 / 100);
        assert_eq!(reception.block(at(0)).fraction_lost, 0, "nothing since");
    }

    #[test]
    fn a_duplicate_is_not_a_negative_loss_on_the_wire() {
        let mut reception = Reception::new(7, 1, Codec::Opus);
        reception.count(at(0), 1, 0);
        reception.count(at(0), 1, 0);
        assert_eq!(reception.lost(), -1);
        assert_eq!(reception.block(at(0)).total_lost, 0);
    }

    #[test]
    fn jitter_converges_to_the_mean_difference() {
        let mut reception = Reception::new(7, 0, Codec::Opus);
        for number in 0..1000u16 {
            // Transit alternates by 10 ms.
            let ms = u64::from(number) * 20 + u64::from(number % 2) * 10;
            reception.count(at(ms), number, u32::from(number) * 960);
        }
        let jitter = reception.jitter().as_secs_f64() * 1000.0;
        assert!((9.5..10.5).contains(&jitter), "{jitter} ms");
    }

    #[test]
    fn reports_come_every_five_seconds_or_so() {
        let mut rng = Rng::from_number(5);
        let now = Now::new(at(0), 1_700_000_000_000);
        let mut reporter = Reporter::new(now, 1, &settings(), &mut rng);
        let mut times = vec![reporter.deadline()];
        for _ in 0..200 {
            let now = reporter.deadline();
            reporter.report(now, &mut rng, &Sent::default(), None).expect("a report");
            times.push(reporter.deadline());
        }
        assert!(times[0] <= at(3_100), "the first is early");
        for pair in times.windows(2) {
            let between = pair[1].saturating_since(pair[0]).as_millis();
            assert!((2_050..=6_160).contains(&between), "{between} ms");
        }
    }

    /// RFC 3550 §6.1: whatever stands before or behind a report in its compound, it is read.
    #[test]
    fn a_broken_packet_hides_no_other() {
        let mut rng = Rng::from_number(5);
        let reporter = Reporter::new(Now::new(at(0), 0), 1, &settings(), &mut rng);
        let goodbye = Goodbye { sources: vec![2], reason: Bytes::new() };
        let goodbye = rtcp::packet::marshal(&[Box::new(goodbye)]).expect("a packet");
        // An extended report with a block that is longer than the packet.
        let broken = [0x80, 207, 0, 2, 0, 0, 0, 2, 7, 0, 0, 8];
        let compound = [&broken[..], &goodbye].concat();
        assert!(reporter.read(at(0), &compound).goodbye);
    }

    #[test]
    fn garbage_says_nothing() {
        let mut rng = Rng::from_number(5);
        let now = Now::new(at(0), 0);
        let reporter = Reporter::new(now, 1, &settings(), &mut rng);
        for length in 0..64 {
            for first in [0x80, 0x81, 0x9f] {
                let mut bytes = vec![0xff; length];
                bytes.splice(..length.min(4), [first, 200, 0, 6].into_iter().take(length.min(4)));
                assert!(!reporter.read(at(0), &bytes).goodbye);
            }
        }
    }
}
