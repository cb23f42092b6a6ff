//! Fuzz targets: session descriptions, packets of sound, the jitter buffer and WAV files. See
//! [`crate::fuzz`].

use std::time::Duration;

use bytes::Bytes;

use super::jitter::{Arrival, JitterBuffer, Pull, limits};
use super::sdp::{
    Direction, DtlsRole, MediaDescription, Offer, Origin, PayloadTypes, Setup, accept,
};
use super::{
    AudioSession, Codec, FRAME_SAMPLES, Format, Profile, SILENCE, SessionSettings, SrtpKeys,
    SrtpSession, wav,
};
use crate::base::{DecodeError, Instant, Now, Reader, Rng};

/// An offer, its answer, and the same text taken as an answer to us.
pub fn sdp(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let ours = MediaDescription {
        ice_ufrag: "frag".into(),
        ice_pwd: "passwordpassword12345678".into(),
        candidates: vec!["1 1 udp 2130706431 10.0.1.1 40000 typ host".into()],
        fingerprint: [7; 32],
        setup: Setup::ActPass,
        opus_payload_type: 111,
        copies_payload_type: Some(63),
        telephone_event: Some(101),
        direction: Direction::SendRecv,
        recording: Some(false),
    };
    let origin = Origin { session_id: 1, version: 1 };
    let _ = accept(&ours, text);
    let Ok(offer) = Offer::parse(text) else { return };
    let (answer, negotiated) = offer.answer(origin, &ours);
    let theirs = MediaDescription {
        opus_payload_type: negotiated.send_payload_type,
        telephone_event: negotiated.send_telephone_event,
        ..offer.remote().clone()
    };
    // Our own offers have one stream, so an answer about more is not one to accept.
    if answer.matches("\nm=").count() > 1 {
        return;
    }
    let accepted = accept(&theirs, &answer).expect("what we answer can be accepted");
    assert_eq!(accepted.remote.fingerprint, ours.fingerprint);
    assert_ne!(accepted.dtls_role, negotiated.dtls_role);
}

/// One side of a call, with datagrams from the other that are rightly protected and hold
/// anything, and others that are not.
pub fn sound(bytes: &[u8]) {
    let keying: Vec<u8> = (0..60).collect();
    let profile = Profile::Aes128CmHmacSha1_80;
    let start = Now::new(Instant::from_micros(1_000_000), 1_700_000_000_000);
    let mut rng = Rng::from_number(1);
    let settings = SessionSettings {
        send: Format::opus(111),
        receive: [(Codec::Opus, 111), (Codec::Pcmu, 0), (Codec::Pcma, 8)]
            .map(|(codec, payload_type)| Format { codec, payload_type })
            .to_vec(),
        in_band_fec: true,
        copies: Some(PayloadTypes { send: 63, receive: 63 }),
        dtx: false,
        bitrate_max: None,
        digits: Some(PayloadTypes { send: 101, receive: 101 }),
        direction: Direction::SendRecv,
        cname: rng.ice_string(16),
    };
    let keys = SrtpKeys { profile, keying: &keying, role: DtlsRole::Client };
    let mut session = AudioSession::new(start, settings, keys, rng).expect("good keys");
    let mut other = SrtpSession::new(profile, &keying, DtlsRole::Server).expect("good keys");
    let mut script = Reader::new(bytes);
    let mut now = start.instant;
    for _ in 0..STEPS_MAX {
        if sound_step(&mut script, &mut session, &mut other, &mut now).is_err() {
            return;
        }
        assert!(std::iter::from_fn(|| session.poll()).count() <= 4);
    }
}

fn sound_step(
    script: &mut Reader<'_>,
    session: &mut AudioSession,
    other: &mut SrtpSession,
    now: &mut Instant,
) -> Result<(), DecodeError> {
    match script.u8()? % 8 {
        0..=2 => {
            if let Ok(packet) = other.protect_rtp(script.opaque16()?) {
                session.receive(*now, &packet);
            }
        }
        3 => {
            if let Ok(packet) = other.protect_rtcp(script.opaque16()?) {
                session.receive(*now, &packet);
            }
        }
        4 => session.receive(*now, script.opaque16()?),
        5 => {
            let frame = session.playout(*now);
            assert!(frame.iter().all(|sample| sample.is_finite()));
        }
        6 => session.capture(*now, &[0.1; FRAME_SAMPLES]),
        _ => {
            *now = *now + Duration::from_millis(u64::from(script.u8()?) * 10);
            if session.deadline().is_some_and(|at| at <= *now) {
                session.handle_timeout(*now);
            }
        }
    }
    Ok(())
}

/// Packets that come early, late, twice or with absurd numbers, and the pulls between.
pub fn jitter(bytes: &[u8]) {
    let mut script = Reader::new(bytes);
    let mut buffer = JitterBuffer::default();
    let mut now = Instant::from_micros(1_000_000);
    let mut last = (0, 0);
    while jitter_step(&mut script, &mut buffer, &mut now, &mut last).is_ok() {
        assert!(buffer.len() <= limits::PACKETS_MAX);
    }
}

fn jitter_step(
    script: &mut Reader<'_>,
    buffer: &mut JitterBuffer,
    now: &mut Instant,
    last: &mut (u16, u32),
) -> Result<(), DecodeError> {
    let step = script.u8()?;
    match step % 4 {
        0 => {
            // The next packet as it should be, or one a little off.
            let off = if step & 0x80 == 0 { 1 } else { script.u8()? as i8 };
            let (sequence, timestamp) = (
                last.0.wrapping_add_signed(off.into()),
                last.1.wrapping_add_signed(i32::from(off) * 960),
            );
            *last = (sequence, timestamp);
        }
        1 => *last = (script.u16()?, script.u32()?),
        2 => {
            match buffer.pull(*now, u32::from(step >> 2) * 8) {
                Pull::Recover { samples, .. } | Pull::Conceal(samples) => {
                    assert!((1..=DURATION_MAX).contains(&samples), "{samples}");
                }
                Pull::Packet(..) | Pull::Silence => {}
            }
            return Ok(());
        }
        _ => {
            *now = *now + Duration::from_millis(u64::from(script.u8()?));
            return Ok(());
        }
    }
    let duration = DURATIONS[usize::from(step >> 4 & 7)];
    let sequence = (step & 8 == 0).then_some(last.0);
    let has_fec = step & 4 == 0;
    let (timestamp, payload) = (last.1, Bytes::new());
    let arrival = Arrival { sequence, timestamp, duration, has_fec, payload };
    buffer.insert(*now, arrival);
    Ok(())
}

/// A recording.
pub fn wav(bytes: &[u8]) {
    if let Ok(sound) = wav::sound(bytes) {
        assert!(sound.iter().all(|sample| sample.is_finite()));
    }
    let Ok(mut playing) = wav::Playing::new(bytes) else { return };
    let mut frame = SILENCE;
    for _ in 0..FRAMES_MAX {
        let Ok(true) = playing.read(&mut frame) else { return };
        assert!(frame.iter().all(|sample| sample.is_finite()));
    }
}

/// Frames of a file that is played: more than the bytes of most.
const FRAMES_MAX: usize = 50;
/// Steps of one script; more say nothing new.
const STEPS_MAX: usize = 200;
/// What an Opus packet may last, in samples at 48 kHz (RFC 6716 §2.1.4).
const DURATIONS: [u32; 8] = [960, 120, 240, 480, 1920, 2880, 3840, DURATION_MAX];
const DURATION_MAX: u32 = 5760;
