//! Figures of a call's sound.

use std::time::Duration;

use super::AudioSession;
use crate::media::jitter::JitterCounters;
use crate::media::metrics::Heard;
use crate::media::quality::Estimate;

/// Figures of a call's sound.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AudioStatistics {
    /// RTP packets sent.
    pub packets_sent: u64,
    /// RTP packets received, late ones too.
    pub packets_received: u64,
    /// RTP packets to us that never came.
    pub packets_lost: u64,
    /// Datagrams thrown away: forged, replayed, not media, or of no codec that was agreed on.
    pub packets_refused: u64,
    /// Share of the packets to us that were lost, 0 to 1, over the whole call.
    pub loss_received: f32,
    /// Share of our packets that the other side lost lately, 0 to 1, as it reports.
    pub loss_sent: f32,
    /// Variation of the packets' transit (RFC 3550 §6.4.1).
    pub jitter: Duration,
    /// The same of our packets, as the other side reports.
    pub jitter_sent: Option<Duration>,
    /// How well we hear the other side lately; `None` while it says nothing.
    pub heard: Option<Estimate>,
    /// How well the other side hears us, if it says.
    pub heard_there: Option<Estimate>,
    /// Whether what is wrong with our hearing is that it comes late, more than that parts of it
    /// are missing.
    pub is_late: bool,
    /// Share of our frames that the other side could not play, over the whole call, as it reports.
    pub missed_there: f32,
    /// How long a packet takes to the other side and back, once it has reported.
    pub round_trip: Option<Duration>,
    /// How long the jitter buffer holds sound.
    pub buffer_delay: Duration,
    /// What the jitter buffer had to do.
    pub buffer: JitterCounters,
    /// Loudness of what we send, 0 to 1, for a meter.
    pub level_sent: f32,
    /// Loudness of what we play, 0 to 1, for a meter.
    pub level_received: f32,
    /// Whether sound that was not silence was sent.
    pub sound_sent: bool,
    /// Whether sound that was not silence was received.
    pub sound_received: bool,
}

impl AudioSession {
    /// The call's figures up to now.
    pub fn statistics(&self) -> AudioStatistics {
        let (received, lost) = self.reception.as_ref().map_or((0, 0), |r| (r.received(), r.lost()));
        let received = self.earlier.0 + received;
        let lost = (self.earlier.1 + lost).max(0).unsigned_abs();
        let expected = (received + lost).max(1);
        let there = self.heard_there;
        let heard = Heard::of(&self.misses, &self.jitter, self.round_trip, there.there);
        AudioStatistics {
            packets_sent: self.sent.packets,
            packets_received: received,
            packets_lost: lost,
            packets_refused: self.refused,
            loss_received: lost as f32 / expected as f32,
            loss_sent: self.path.loss(),
            jitter: self.reception.as_ref().map_or(Duration::ZERO, |r| r.jitter()),
            jitter_sent: self.jitter_sent,
            heard: heard.lately.map(|lately| lately.estimate()),
            heard_there: there.estimate,
            is_late: heard.lately.is_some_and(|lately| lately.is_late()),
            missed_there: there.missed,
            round_trip: self.round_trip,
            buffer_delay: self.jitter.delay(),
            buffer: self.jitter.counters(),
            level_sent: self.level_sent.level(),
            level_received: self.level_received.level(),
            sound_sent: self.sent.packets > 0 && self.level_sent.has_heard_sound(),
            sound_received: self.level_received.has_heard_sound(),
        }
    }
}
