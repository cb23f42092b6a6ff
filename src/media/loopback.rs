//! Hearing oneself as the other side would: sound goes through all of a call, and a network in
//! between that delays and loses packets.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::codec::{Format, Frame, SILENCE};
use super::sdp::{COPIES_PAYLOAD_TYPE, Direction, DtlsRole, OPUS_PAYLOAD_TYPE, PayloadTypes};
use super::session::{AudioSession, SessionError, SessionSettings, SrtpKeys};
use super::srtp::Profile;
use crate::base::{Instant, Now, Rng};

/// Both ends of a call with oneself.
#[derive(Debug)]
pub struct Loopback {
    here: AudioSession,
    there: AudioSession,
    /// Datagrams on their way: when they arrive, and whether there.
    under_way: VecDeque<(Instant, bool, Bytes)>,
    delay: Duration,
    loss: f64,
    rng: Rng,
}

/// Datagrams on their way at most: both directions for the longest delay.
const UNDER_WAY_MAX: usize = 512;
/// The longest delay.
const DELAY_MAX: Duration = Duration::from_secs(2);
const PROFILE: Profile = Profile::AeadAes128Gcm;

impl Loopback {
    /// A call with oneself over a network with this delay each way, which loses this share of its
    /// packets.
    ///
    /// # Errors
    /// The codec does not start.
    pub fn new(now: Now, delay: Duration, loss: f64, mut rng: Rng) -> Result<Self, SessionError> {
        let keying: Vec<u8> = (0..PROFILE.keying_length()).map(|_| rng.u64() as u8).collect();
        let mut session = |role| {
            let settings = SessionSettings {
                send: Format::opus(OPUS_PAYLOAD_TYPE),
                receive: vec![Format::opus(OPUS_PAYLOAD_TYPE)],
                in_band_fec: true,
                copies: Some(PayloadTypes {
                    send: COPIES_PAYLOAD_TYPE,
                    receive: COPIES_PAYLOAD_TYPE,
                }),
                dtx: true,
                bitrate_max: None,
                digits: None,
                direction: Direction::SendRecv,
                cname: rng.ice_string(16),
            };
            let keys = SrtpKeys { profile: PROFILE, keying: &keying, role };
            AudioSession::new(now, settings, keys, Rng::from_number(rng.u64()))
        };
        Ok(Self {
            here: session(DtlsRole::Client)?,
            there: session(DtlsRole::Server)?,
            under_way: VecDeque::new(),
            delay: delay.min(DELAY_MAX),
            loss,
            rng,
        })
    }

    /// Says 20 ms, and gives 20 ms of what is heard at the other end.
    pub fn turn(&mut self, now: Instant, said: &Frame) -> Frame {
        self.here.capture(now, said);
        // The other end says nothing, but tells what it hears.
        self.there.capture(now, &SILENCE);
        for is_there in [false, true] {
            let session = if is_there { &mut self.there } else { &mut self.here };
            if session.deadline().is_some_and(|deadline| deadline <= now) {
                session.handle_timeout(now);
            }
            while let Some(datagram) = session.poll() {
                if self.rng.unit() >= self.loss && self.under_way.len() < UNDER_WAY_MAX {
                    self.under_way.push_back((now + self.delay, !is_there, datagram));
                }
            }
        }
        while let Some((at, is_there, datagram)) = self.under_way.pop_front() {
            if at > now {
                self.under_way.push_front((at, is_there, datagram));
                break;
            }
            let session = if is_there { &mut self.there } else { &mut self.here };
            session.receive(now, &datagram);
        }
        self.there.playout(now)
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::FRAME_SAMPLES;
    use super::super::compare::correlation;
    use super::*;

    fn heard(delay_ms: u64, loss: f64) -> (Vec<f32>, Vec<f32>) {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let said = super::super::read_wav(&folder.join("speech-bob.wav")).expect("speech");
        let at = |tick: u64| Instant::from_micros(1_000_000 + tick * 20_000);
        let (now, delay) = (Now::new(at(0), 0), Duration::from_millis(delay_ms));
        let mut loopback = Loopback::new(now, delay, loss, Rng::from_number(1)).expect("a codec");
        let mut heard = Vec::new();
        for tick in 0..300 {
            let rest = said.get(tick as usize * FRAME_SAMPLES..).unwrap_or_default();
            let frame = std::array::from_fn(|index| rest.get(index).copied().unwrap_or(0.0));
            heard.extend(loopback.turn(at(tick), &frame));
        }
        (said, heard)
    }

    #[test]
    fn one_is_heard_as_late_and_as_broken_as_is_wished() {
        let (said, near) = heard(0, 0.0);
        let (_, far) = heard(400, 0.0);
        let (near, far) = (correlation(&said, &near, 48_000), correlation(&said, &far, 48_000));
        assert!(near.coefficient > 0.85 && far.coefficient > 0.85, "{near:?} {far:?}");
        let later_ms = (far.lag_samples - near.lag_samples) / 48;
        assert!((360..=440).contains(&later_ms), "{later_ms} ms");
        let (_, broken) = heard(0, 0.5);
        let broken = correlation(&said, &broken, 48_000).coefficient;
        assert!(broken < near.coefficient - 0.1, "{broken}");
    }
}
