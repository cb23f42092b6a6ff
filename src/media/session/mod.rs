//! The sound of one call, without sockets and clocks: frames and datagrams go in, datagrams and
//! frames come out.
//!
//! ```text
//! microphone ─► capture ─► codec ─► RTP ─► SRTP ─► poll ─► network
//! network ─► receive ─► SRTP ─► RTP ─► jitter buffer ─► playout ─► codec ─► stretch ─► speaker
//! ```

mod statistics;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
pub use statistics::AudioStatistics;
use webrtc_util::marshal::{Marshal, Unmarshal};

use super::codec::{Codec, CodecError, Decoder, Encoder, FRAME_SAMPLES, Format, Frame, SILENCE};
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
/// one for the speaker from [`playout`](Self::playout), sooner or later if its
/// [interval](Self::playout_interval) is another; it hands every datagram that is not STUN or DTLS
/// to [`receive`](Self::receive), calls [`handle_timeout`](Self::handle_timeout) at
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
    /// What our sound is sent as.
    pub send: Format,
    /// What the other side's sound may come as, the likeliest first.
    pub receive: Vec<Format>,
    /// Whether the other side makes use of in-band error correction.
    pub in_band_fec: bool,
    /// Copies of earlier frames (`red/48000/2`, RFC 2198), if both sides know them.
    pub copies: Option<PayloadTypes>,
    /// Whether silence need not be sent.
    pub dtx: bool,
    /// The most bits per second that the other side wants.
    pub bitrate_max: Option<u32>,
    /// Digits as events in the clock of what is sent (RFC 4733 §2.1), if both sides know them.
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
            send: Format::opus(negotiated.send_payload_type),
            receive: vec![Format::opus(negotiated.receive_payload_type)],
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

    fn encoder(&self) -> Result<Encoder, CodecError> {
        Encoder::new(self.send.codec, self.in_band_fec, self.dtx)
    }

    fn decoder(&self) -> Result<Decoder, CodecError> {
        Decoder::new(self.receive.first().map_or(self.send.codec, |format| format.codec))
    }

    /// What the RTP timestamp grows by in a frame.
    fn ticks_per_frame(&self) -> u16 {
        FRAME_SAMPLES as u16 / self.send.codec.samples_per_tick() as u16
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
            encoder: settings.encoder()?,
            decoder: settings.decoder()?,
            jitter: JitterBuffer::default(),
            reporter: Reporter::new(now, source, &settings, &mut rng),
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
        let (timestamp, ticks) = (self.timestamp, self.settings.ticks_per_frame());
        self.timestamp = timestamp.wrapping_add(u32::from(ticks));
        if self.is_over || !self.settings.direction.sends() {
            return;
        }
        if let Some(event) = self.digits_sent.next(timestamp, ticks) {
            self.send_event(now, event);
            return;
        }
        let Plan { bitrate, loss_percent, distances } = self.path.plan();
        // Figures that the codec refuses leave those before in force.
        let _ = self.encoder.adapt(loss_percent, bitrate);
        let Ok(payload) = self.encoder.encode(frame) else {
            return;
        };
        // The first packet of a talkspurt is marked (RFC 3551 §4.1).
        let marker = !std::mem::replace(&mut self.is_talkspurt, !payload.is_empty());
        if payload.is_empty() {
            return;
        }
        let payload = Bytes::copy_from_slice(payload);
        let own = self.settings.send.payload_type;
        let (payload_type, packed) = match self.settings.copies {
            Some(types) if !distances.is_empty() => {
                (types.send, self.copies.pack(own, timestamp, distances, &payload))
            }
            _ => (own, payload.clone()),
        };
        self.copies.remember(timestamp, payload);
        let header = rtp::header::Header { marker, payload_type, timestamp, ..Default::default() };
        self.send_rtp(now, header, packed);
    }

    /// Sends a digit in the place of our sound, for `length` (0.1 s is usual, 1.3 s the most),
    /// behind those that are not over yet. Gives `false` if the other side knows no digits or too
    /// many wait already.
    pub fn send_digit(&mut self, digit: Digit, length: Duration) -> bool {
        let clock_rate = self.settings.send.codec.clock_rate();
        self.settings.digits.is_some() && self.digits_sent.push(digit, length, clock_rate)
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
        self.misses.tick();
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

    /// How long after the last playout the next is best: 20 ms, or once a little less or more.
    pub fn playout_interval(&self) -> Duration {
        self.jitter.interval()
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

    /// Goes on as a new offer and answer have it. Our name stays what it was.
    ///
    /// # Errors
    /// The codec does not start; then all is as it was.
    pub fn change(&mut self, settings: SessionSettings) -> Result<(), SessionError> {
        let before = &self.settings;
        if settings.send.codec != before.send.codec {
            self.encoder = settings.encoder()?;
            // Another clock begins where the one before would have gone on.
            self.reporter.set_codec(settings.send.codec);
            self.is_talkspurt = false;
        }
        let cname = before.cname.clone();
        self.settings = SessionSettings { cname, ..settings };
        Ok(())
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
            self.follow_source(header).count_event(header.sequence_number);
            return self.digits_heard.receive(header.timestamp, &packet.payload);
        }
        if !self.settings.direction.receives() {
            return None;
        }
        let has_copies =
            self.settings.copies.is_some_and(|types| types.receive == header.payload_type);
        let (payload_type, payload) = match has_copies {
            true => {
                let own = red::unpack(&packet.payload)?.last()?;
                (own.payload_type, own.payload)
            }
            false => (header.payload_type, packet.payload.clone()),
        };
        let mut formats = self.settings.receive.iter();
        let codec = formats.find(|format| format.payload_type == payload_type)?.codec;
        self.listen_to(codec)?;
        self.receive_frame(now, header, payload)?;
        if has_copies {
            self.receive_copies(now, header.timestamp, &packet.payload);
        }
        Some(())
    }

    /// Makes ready for a codec: the other side may take any that it was told of (RFC 3264 §5.1).
    fn listen_to(&mut self, codec: Codec) -> Option<()> {
        if self.decoder.codec() != codec {
            self.decoder = Decoder::new(codec).ok()?;
            self.forget_source();
        }
        Some(())
    }

    /// What comes from now on has nothing to do with what came before.
    fn forget_source(&mut self) {
        if let Some(before) = self.reception.take() {
            self.earlier.0 += before.received();
            self.earlier.1 += before.lost();
            self.jitter.restart();
        }
    }

    /// What is counted of the source of a packet, from then on the one that is listened to.
    fn follow_source(&mut self, header: &rtp::header::Header) -> &mut Reception {
        if self.reception.as_ref().is_some_and(|reception| reception.source != header.ssrc) {
            // The other side has started again, or found that we share a number.
            self.forget_source();
        }
        let codec = self.decoder.codec();
        let new = || Reception::new(header.ssrc, header.sequence_number, codec);
        self.reception.get_or_insert_with(new)
    }

    /// Takes the packet's own frame.
    fn receive_frame(
        &mut self,
        now: Instant,
        header: &rtp::header::Header,
        payload: Bytes,
    ) -> Option<()> {
        let codec = self.decoder.codec();
        let duration = codec.duration(&payload)?;
        let sequence = header.sequence_number;
        let timestamp = header.timestamp.wrapping_mul(codec.samples_per_tick());
        self.follow_source(header);
        let has_fec = codec.has_redundancy(&payload);
        let arrival = Arrival { sequence: Some(sequence), timestamp, duration, has_fec, payload };
        let is_anew = self.jitter.insert(now, arrival) == Insertion::Restarted;
        let reception = self.reception.as_mut()?;
        if is_anew {
            self.earlier.0 += reception.received();
            self.earlier.1 += reception.lost();
            *reception = Reception::new(header.ssrc, sequence, codec);
        }
        reception.count(now, sequence, timestamp);
        if let Some(loss) = reception.loss_lately() {
            self.path.presume(loss);
        }
        Some(())
    }

    /// Takes the copies of earlier frames that came along.
    fn receive_copies(&mut self, now: Instant, timestamp: u32, packet: &Bytes) {
        let Some(opus) = self.settings.receive.iter().find(|f| f.codec == Codec::Opus).copied()
        else {
            return;
        };
        let Some(blocks) = red::unpack(packet) else { return };
        let is_copy =
            |block: &red::Block| block.offset > 0 && block.payload_type == opus.payload_type;
        for block in blocks.filter(is_copy) {
            let Some(duration) = opus.codec.duration(&block.payload) else { continue };
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
            self.path.report(fraction, feedback.round_trip, &feedback.lost);
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
        self.misses.note(&pull, lost, decoder.codec());
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
