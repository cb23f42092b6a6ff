//! The sound of one call, without sockets and clocks: frames and datagrams go in, datagrams and
//! frames come out.
//!
//! ```text
//! microphone ─► capture ─► Opus ─► RTP ─► SRTP ─► poll ─► network
//! network ─► receive ─► SRTP ─► RTP ─► jitter buffer ─► playout ─► Opus ─► stretch ─► speaker
//! ```

mod statistics;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
pub use statistics::AudioStatistics;
use webrtc_util::marshal::{Marshal, Unmarshal};

use super::codec::{CodecError, Decoder, Encoder, FRAME_SAMPLES, Frame, SILENCE};
use super::digit::{Digit, DigitReceiver, DigitSender, EventPacket};
use super::jitter::{Arrival, Insertion, JitterBuffer, Pace, Pull};
use super::level::LevelMeter;
use super::metrics::{Heard, HeardThere};
use super::path::{Path, Plan};
use super::quality::Misses;
use super::red::{self, Copies};
use super::report::{Reception, Reporter, Sent};
use super::sdp::{Direction, DtlsRole, Negotiated, PayloadTypes};
use super::srtp::{DatagramKind, Profile, SrtpError, SrtpSession};
use super::stretch::{lengthen, shorten};
use crate::base::{Instant, Now, Rng};

/// The sound of one call.
///
/// Every 20 ms the driver hands [`capture`](Self::capture) a frame from the microphone and takes
/// one for the speaker from [`playout`](Self::playout); it hands every datagram that is not STUN
/// or DTLS to [`receive`](Self::receive), calls [`handle_timeout`](Self::handle_timeout) at
/// [`deadline`](Self::deadline), and after each of these sends what [`poll`](Self::poll) gives.
#[derive(Debug)]
pub struct AudioSession {
    settings: SessionSettings,
    /// `None` where nobody encrypts: with phones that know nothing of it.
    srtp: Option<SrtpSession>,
    rng: Rng,
    encoder: Encoder,
    decoder: Decoder,
    jitter: JitterBuffer,
    reporter: Reporter,
    path: Path,
    copies: Copies,
    source: u32,
    sequence: u16,
    timestamp: u32,
    sent: Sent,
    reception: Option<Reception>,
    /// Packets of sources before the present one: received and lost.
    earlier: (u64, i64),
    /// Decoded sound that fills no whole frame yet.
    decoded: VecDeque<f32>,
    outbound: VecDeque<Bytes>,
    digits_sent: DigitSender,
    digits_heard: DigitReceiver,
    level_sent: LevelMeter,
    level_received: LevelMeter,
    is_over: bool,
    peer_said_goodbye: bool,
    round_trip: Option<Duration>,
    jitter_sent: Option<Duration>,
    misses: Misses,
    heard_there: HeardThere,
    /// Whether the frame before was sent.
    is_talkspurt: bool,
    refused: u64,
}

/// What a call's sound is made of, after SDP and DTLS.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// The payload type to send Opus under.
    pub send_payload_type: u8,
    /// The payload type under which Opus comes in.
    pub receive_payload_type: u8,
    /// Whether the other side makes use of in-band error correction.
    pub in_band_fec: bool,
    /// Copies of earlier frames (`red/48000/2`, RFC 2198), if both sides know them.
    pub copies: Option<PayloadTypes>,
    /// Whether silence need not be sent.
    pub dtx: bool,
    /// The most bits per second that the other side wants.
    pub bitrate_max: Option<u32>,
    /// Digits as events (`telephone-event/48000`, RFC 4733), if both sides know them.
    pub digits: Option<PayloadTypes>,
    /// Which way sound flows.
    pub direction: Direction,
    /// Our name in RTCP, the same for the whole call; random, so that it tells nothing
    /// (RFC 7022). At most 255 bytes are used.
    pub cname: String,
}

/// Keys from the DTLS handshake.
#[derive(Clone, Copy)]
pub struct SrtpKeys<'a> {
    /// The protection profile that was chosen.
    pub profile: Profile,
    /// What the exporter gave for `EXTRACTOR-dtls_srtp` (RFC 5764 §4.2).
    pub keying: &'a [u8],
    /// Our part in the handshake.
    pub role: DtlsRole,
}

/// Why a call's sound can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The keys do not fit.
    #[error("Media encryption could not be set up: {0}.")]
    Keys(#[from] SrtpError),
    /// The codec does not start.
    #[error("The voice codec could not be set up: {0}.")]
    Codec(#[from] CodecError),
}

/// Datagrams that may wait to be sent; a driver that polls leaves none behind.
const OUTBOUND_MAX: usize = 64;
/// Longest datagram taken in: nothing longer crosses an ordinary network in one piece.
const DATAGRAM_MAX: usize = 1500;

impl SessionSettings {
    /// The settings that an offer and answer lead to, with a random name.
    pub fn new(negotiated: &Negotiated, rng: &mut Rng) -> Self {
        Self {
            send_payload_type: negotiated.send_payload_type,
            receive_payload_type: negotiated.receive_payload_type,
            in_band_fec: negotiated.opus.in_band_fec,
            copies: negotiated.copies,
            dtx: negotiated.opus.dtx,
            bitrate_max: negotiated.opus.bitrate_max,
            digits: negotiated
                .send_telephone_event
                .zip(negotiated.receive_telephone_event)
                .map(|(send, receive)| PayloadTypes { send, receive }),
            direction: negotiated.direction,
            cname: rng.ice_string(16),
        }
    }
}

impl AudioSession {
    /// A call's sound, about to begin.
    ///
    /// # Errors
    /// The keys do not fit their profile, or the codec does not start.
    pub fn new(
        now: Now,
        settings: SessionSettings,
        keys: SrtpKeys<'_>,
        rng: Rng,
    ) -> Result<Self, SessionError> {
        let srtp = SrtpSession::new(keys.profile, keys.keying, keys.role)?;
        Self::with(now, settings, Some(srtp), rng)
    }

    /// The sound of a call that is not encrypted (`RTP/AVP`, RFC 3551), about to begin.
    ///
    /// # Errors
    /// The codec does not start.
    pub fn unencrypted(
        now: Now,
        settings: SessionSettings,
        rng: Rng,
    ) -> Result<Self, SessionError> {
        Self::with(now, settings, None, rng)
    }

    fn with(
        now: Now,
        mut settings: SessionSettings,
        srtp: Option<SrtpSession>,
        mut rng: Rng,
    ) -> Result<Self, SessionError> {
        while settings.cname.len() > 255 {
            settings.cname.pop();
        }
        let source = rng.u64() as u32;
        Ok(Self {
            srtp,
            encoder: Encoder::new(settings.in_band_fec, settings.dtx)?,
            decoder: Decoder::new()?,
            jitter: JitterBuffer::default(),
            reporter: Reporter::new(now, source, settings.cname.clone(), &mut rng),
            path: Path::new(settings.bitrate_max, settings.copies.is_some()),
            copies: Copies::default(),
            source,
            // In the lower half, so that a lost first packet can't upset the rollover counter
            // (RFC 3711 §3.3.1).
            sequence: rng.below(1 << 15) as u16,
            timestamp: rng.u64() as u32,
            sent: Sent::default(),
            reception: None,
            earlier: (0, 0),
            decoded: VecDeque::new(),
            outbound: VecDeque::new(),
            digits_sent: DigitSender::default(),
            digits_heard: DigitReceiver::default(),
            level_sent: LevelMeter::default(),
            level_received: LevelMeter::default(),
            is_over: false,
            peer_said_goodbye: false,
            round_trip: None,
            jitter_sent: None,
            misses: Misses::default(),
            heard_there: HeardThere::default(),
            is_talkspurt: false,
            refused: 0,
            settings,
            rng,
        })
    }

    /// Sends 20 ms of sound from the microphone.
    pub fn capture(&mut self, now: Instant, frame: &Frame) {
        self.level_sent.watch(frame);
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(FRAME_SAMPLES as u32);
        if self.is_over || !self.settings.direction.sends() {
            return;
        }
        if let Some(event) = self.digits_sent.next(timestamp, FRAME_SAMPLES as u16) {
            self.send_event(now, event);
            return;
        }
        let Plan { bitrate, loss_percent, distances } = self.path.plan();
        // A figure that the codec refuses leaves the one before in force.
        let _ = self.encoder.set_bitrate(bitrate);
        let _ = self.encoder.expect_loss(loss_percent);
        let Ok(payload) = self.encoder.encode(frame) else {
            return;
        };
        // The first packet of a talkspurt is marked (RFC 3551 §4.1).
        let marker = !std::mem::replace(&mut self.is_talkspurt, !payload.is_empty());
        if payload.is_empty() {
            return;
        }
        let payload = Bytes::copy_from_slice(payload);
        let opus = self.settings.send_payload_type;
        let (payload_type, packed) = match self.settings.copies {
            Some(types) if !distances.is_empty() => {
                (types.send, self.copies.pack(opus, timestamp, distances, &payload))
            }
            _ => (opus, payload.clone()),
        };
        self.copies.remember(timestamp, payload);
        let header = rtp::header::Header { marker, payload_type, timestamp, ..Default::default() };
        self.send_rtp(now, header, packed);
    }

    /// Sends a digit in the place of our sound, for `length` (0.1 s is usual, 1.3 s the most),
    /// behind those that are not over yet. Gives `false` if the other side knows no digits or too
    /// many wait already.
    pub fn send_digit(&mut self, digit: Digit, length: Duration) -> bool {
        self.settings.digits.is_some() && self.digits_sent.push(digit, length)
    }

    /// The next digit that the other side has pressed.
    pub fn take_digit(&mut self) -> Option<Digit> {
        self.digits_heard.take()
    }

    /// Takes a datagram from the network.
    pub fn receive(&mut self, now: Instant, datagram: &[u8]) {
        let taken = match DatagramKind::of(datagram) {
            _ if datagram.len() > DATAGRAM_MAX => None,
            DatagramKind::Rtp => self.receive_rtp(now, datagram),
            DatagramKind::Rtcp => self.receive_rtcp(now, datagram),
            _ => None,
        };
        if taken.is_none() {
            self.refused += 1;
        }
    }

    /// The next 20 ms for the speaker.
    pub fn playout(&mut self, now: Instant) -> Frame {
        // Each turn adds at least 2.5 ms unless a packet is faulty; the bound is for those.
        for _ in 0..FRAME_SAMPLES / 120 {
            if self.decoded.len() >= FRAME_SAMPLES {
                break;
            }
            self.decode_more(now);
        }
        let mut frame = SILENCE;
        let length = self.decoded.len().min(FRAME_SAMPLES);
        for (sample, decoded) in frame.iter_mut().zip(self.decoded.drain(..length)) {
            *sample = decoded;
        }
        frame
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.is_over).then(|| self.reporter.deadline())
    }

    /// Sends the report that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.is_over || now < self.reporter.deadline() {
            return;
        }
        let heard = Heard::of(&self.misses, &self.jitter, self.round_trip, self.heard_there.there);
        let reception = self.reception.as_mut().map(|reception| (reception, heard));
        if let Some(report) = self.reporter.report(now, &mut self.rng, &self.sent, reception) {
            self.send_rtcp(&report);
        }
    }

    /// The next datagram to be sent.
    pub fn poll(&mut self) -> Option<Bytes> {
        self.outbound.pop_front()
    }

    /// Says goodbye; nothing is sent after that.
    pub fn end(&mut self, now: Instant) {
        if self.is_over {
            return;
        }
        let heard = Heard::of(&self.misses, &self.jitter, self.round_trip, self.heard_there.there);
        let reception = self.reception.as_mut().map(|reception| (reception, heard));
        if let Some(goodbye) = self.reporter.goodbye(now, &self.sent, reception) {
            self.send_rtcp(&goodbye);
        }
        self.is_over = true;
    }

    /// Changes which way sound flows, after a new offer and answer.
    pub fn set_direction(&mut self, direction: Direction) {
        self.settings.direction = direction;
    }

    /// Whether the other side has ended its sound.
    pub fn peer_said_goodbye(&self) -> bool {
        self.peer_said_goodbye
    }

    fn send(&mut self, datagram: Bytes) {
        if self.outbound.len() >= OUTBOUND_MAX {
            // Old sound is worth less than new.
            self.outbound.pop_front();
        }
        self.outbound.push_back(datagram);
    }

    fn send_event(&mut self, now: Instant, event: EventPacket) {
        let Some(types) = self.settings.digits else { return };
        let header = rtp::header::Header {
            marker: event.marker,
            payload_type: types.send,
            timestamp: event.timestamp,
            ..Default::default()
        };
        self.send_rtp(now, header, Bytes::copy_from_slice(&event.payload));
    }

    /// Sends a packet with this payload type, marker and timestamp.
    fn send_rtp(&mut self, now: Instant, header: rtp::header::Header, payload: Bytes) {
        self.sequence = self.sequence.wrapping_add(1);
        let timestamp = header.timestamp;
        let header = rtp::header::Header {
            version: 2,
            payload_type: header.payload_type & 0x7f,
            sequence_number: self.sequence,
            ssrc: self.source,
            ..header
        };
        self.sent.octets += payload.len() as u64;
        let packet = rtp::packet::Packet { header, payload };
        let sealed = packet.marshal().ok().and_then(|packet| match &mut self.srtp {
            Some(srtp) => srtp.protect_rtp(&packet).ok(),
            None => Some(packet),
        });
        if let Some(sealed) = sealed {
            self.sent.packets += 1;
            self.sent.last = Some((timestamp, now));
            self.send(sealed);
        }
    }

    fn send_rtcp(&mut self, compound: &[u8]) {
        let sealed = match &mut self.srtp {
            Some(srtp) => srtp.protect_rtcp(compound).ok(),
            None => Some(Bytes::copy_from_slice(compound)),
        };
        if let Some(sealed) = sealed {
            self.send(sealed);
        }
    }

    fn receive_rtp(&mut self, now: Instant, datagram: &[u8]) -> Option<()> {
        let mut packet = match &mut self.srtp {
            Some(srtp) => srtp.unprotect_rtp(datagram).ok()?,
            None => Bytes::copy_from_slice(datagram),
        };
        let packet = rtp::packet::Packet::unmarshal(&mut packet).ok()?;
        let header = &packet.header;
        if self.settings.digits.is_some_and(|types| types.receive == header.payload_type) {
            let reception = self.reception.as_mut().filter(|r| r.source == header.ssrc)?;
            reception.count_event(header.sequence_number);
            return self.digits_heard.receive(header.timestamp, &packet.payload);
        }
        if !self.settings.direction.receives() {
            return None;
        }
        let opus = self.settings.receive_payload_type;
        let has_copies =
            self.settings.copies.is_some_and(|types| types.receive == header.payload_type);
        if !has_copies && header.payload_type != opus {
            return None;
        }
        let payload = match has_copies {
            true => {
                red::unpack(&packet.payload)?.last().filter(|own| own.payload_type == opus)?.payload
            }
            false => packet.payload.clone(),
        };
        self.receive_frame(now, header, payload)?;
        if has_copies {
            self.receive_copies(now, header.timestamp, &packet.payload);
        }
        Some(())
    }

    /// Takes the packet's own frame.
    fn receive_frame(
        &mut self,
        now: Instant,
        header: &rtp::header::Header,
        payload: Bytes,
    ) -> Option<()> {
        let duration = Decoder::duration(&payload)?;
        let (sequence, timestamp) = (header.sequence_number, header.timestamp);
        let reception = match &mut self.reception {
            Some(reception) if reception.source == header.ssrc => reception,
            // Another source: the other side has started again, or found that we share a number.
            other => {
                if let Some(before) = other {
                    self.earlier.0 += before.received();
                    self.earlier.1 += before.lost();
                    self.jitter.restart();
                }
                other.insert(Reception::new(header.ssrc, sequence))
            }
        };
        let has_fec = Decoder::has_redundancy(&payload);
        let arrival = Arrival { sequence: Some(sequence), timestamp, duration, has_fec, payload };
        if self.jitter.insert(now, arrival) == Insertion::Restarted {
            self.earlier.0 += reception.received();
            self.earlier.1 += reception.lost();
            *reception = Reception::new(header.ssrc, sequence);
        }
        reception.count(now, sequence, timestamp);
        if let Some(loss) = reception.loss_lately() {
            self.path.presume(loss);
        }
        Some(())
    }

    /// Takes the copies of earlier frames that came along.
    fn receive_copies(&mut self, now: Instant, timestamp: u32, packet: &Bytes) {
        let opus = self.settings.receive_payload_type;
        let Some(blocks) = red::unpack(packet) else { return };
        for block in blocks.filter(|block| block.offset > 0 && block.payload_type == opus) {
            let Some(duration) = Decoder::duration(&block.payload) else { continue };
            let timestamp = timestamp.wrapping_sub(block.offset);
            let payload = block.payload;
            let arrival = Arrival { sequence: None, timestamp, duration, has_fec: false, payload };
            self.jitter.insert(now, arrival);
        }
    }

    fn receive_rtcp(&mut self, now: Instant, datagram: &[u8]) -> Option<()> {
        let compound = match &mut self.srtp {
            Some(srtp) => srtp.unprotect_rtcp(datagram).ok()?,
            None => Bytes::copy_from_slice(datagram),
        };
        let feedback = self.reporter.read(now, &compound);
        self.round_trip = feedback.round_trip.or(self.round_trip);
        self.jitter_sent = feedback.jitter.or(self.jitter_sent);
        self.heard_there = feedback.heard.unwrap_or(self.heard_there);
        self.peer_said_goodbye |= feedback.goodbye;
        if let Some(fraction) = feedback.fraction_lost {
            self.path.report(fraction, feedback.round_trip);
        }
        if let (Some((source, ntp_time)), Some(reception)) =
            (feedback.sender_report, &mut self.reception)
            && source == reception.source
        {
            reception.note_sender_report(now, ntp_time);
        }
        Some(())
    }

    fn decode_more(&mut self, now: Instant) {
        let Self { decoder, decoded, level_received: level, .. } = self;
        let lost_before = self.jitter.counters().lost;
        let pull = self.jitter.pull(now, decoded.len() as u32);
        let lost = self.jitter.counters().lost - lost_before;
        self.misses.note(&pull, lost);
        let done = match pull {
            Pull::Packet(payload, pace) => decoder.decode(&payload).map(|sound| {
                level.watch(sound);
                match pace {
                    Pace::Natural => decoded.extend(sound),
                    Pace::Shorter { most, hurry } => shorten(sound, most as usize, hurry, decoded),
                    Pace::Longer => lengthen(sound, decoded),
                }
            }),
            Pull::Recover { successor, samples } => {
                decoder.recover(&successor, samples).map(|sound| decoded.extend(sound))
            }
            Pull::Conceal(samples) => decoder.conceal(samples).map(|sound| decoded.extend(sound)),
            Pull::Silence => {
                level.watch(&SILENCE);
                decoded.extend(SILENCE);
                Ok(())
            }
        };
        if done.is_err() {
            self.refused += 1;
        }
    }
}

impl std::fmt::Debug for SrtpKeys<'_> {
    /// Without the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpKeys").field("role", &self.role).finish_non_exhaustive()
    }
}
