//! Fuzz targets: frames, Simple Reliability, STUN and DTLS. See [`crate::fuzz`].

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;

use super::cookie::Cookies;
use super::dtls::{Dtls, DtlsOutput, DtlsRole, LocalCertificate};
use super::framing::Frame;
use super::hop::{Hop, Input, Output, QUEUE_MAX};
use super::pace::limits::WINDOW_MAX;
use super::reliability::Reliability;
use super::stun::{BindingQuery, Packet, answer_binding};
use crate::base::{DecodeError, Instant, Reader};

/// One record of a link.
pub fn frame(bytes: &[u8]) {
    if let Ok(frame) = Frame::read(&Bytes::copy_from_slice(bytes)) {
        assert_eq!(frame.write().as_deref(), Some(bytes));
    }
}

/// Both ends of a link over a path that loses, repeats, reorders and makes up records.
pub fn reliability(bytes: &[u8]) {
    let mut script = Reader::new(bytes);
    let mut pair = Pair {
        ends: [Reliability::default(), Reliability::default()],
        flying: VecDeque::new(),
        sent: BTreeSet::new(),
        given_back: BTreeSet::new(),
        is_honest: true,
        now: Instant::ORIGIN,
    };
    for number in 0..STEPS_MAX {
        if pair.step(number, &mut script).is_err() {
            return;
        }
    }
}

struct Pair {
    ends: [Reliability; 2],
    flying: VecDeque<(usize, Bytes)>,
    sent: BTreeSet<Bytes>,
    given_back: BTreeSet<Bytes>,
    /// Nothing was made up so far.
    is_honest: bool,
    now: Instant,
}

impl Pair {
    fn step(&mut self, number: u32, script: &mut Reader<'_>) -> Result<(), DecodeError> {
        let step = script.u8()?;
        let who = usize::from(step >> 7);
        match step % 8 {
            0 | 1 => {
                let message = Bytes::copy_from_slice(&number.to_be_bytes());
                self.sent.insert(message.clone());
                self.input(who, Input::Send(message));
            }
            2 | 3 => {
                if let Some((to, record)) = self.flying.pop_front() {
                    self.input(to, Input::Record(record));
                }
            }
            4 => drop(self.flying.pop_front()),
            5 => match step & 0x40 {
                0 => self.flying.extend(self.flying.front().cloned()),
                _ => self.flying.rotate_left(1.min(self.flying.len())),
            },
            6 => {
                self.is_honest = false;
                let record = Bytes::copy_from_slice(script.opaque8()?);
                self.input(who, Input::Record(record));
            }
            _ => self.wait(Duration::from_millis(u64::from(script.u8()?) * 20)),
        }
        Ok(())
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        for who in 0..2 {
            for round in 0.. {
                assert!(round < ROUNDS_MAX, "a timer that is due again and again");
                if self.ends[who].deadline().is_none_or(|at| at > self.now) {
                    break;
                }
                self.input(who, Input::Timeout);
            }
        }
    }

    fn input(&mut self, who: usize, input: Input) {
        let end = &mut self.ends[who];
        end.handle(self.now, input);
        assert!(end.pending() <= QUEUE_MAX + WINDOW_MAX);
        while let Some(output) = end.poll() {
            match output {
                Output::Record(record) => self.flying.push_back((1 - who, record)),
                Output::Deliver(message) => {
                    assert!(!self.is_honest || self.sent.contains(&message));
                }
                Output::Undelivered(message) => {
                    assert!(self.sent.contains(&message), "of somebody else's making");
                    assert!(self.given_back.insert(message), "given back twice");
                }
                _ => {}
            }
        }
        self.flying.truncate(QUEUE_MAX);
    }
}

/// A datagram at the bootstrap port, and one that comes in place of a STUN server's answer.
pub fn stun(bytes: &[u8]) {
    let source = "192.0.2.1:6084".parse().expect("an address");
    let _ = Packet::classify(bytes);
    if let Some(answer) = answer_binding(bytes, source) {
        assert!(answer.len() <= 20 + 12 + 8, "an answer that serves no flood");
    }
    let Some(query) = BindingQuery::new() else { return };
    let mut answer = bytes.to_vec();
    if let (Some(theirs), Some(ours)) = (answer.get_mut(8..20), query.request.get(8..20)) {
        theirs.copy_from_slice(ours);
    }
    let _ = query.mapped_address(&answer);
}

/// Both ends of a DTLS association over a path that loses, repeats, reorders and changes
/// datagrams and makes some up.
pub fn dtls(bytes: &[u8]) {
    static CERTIFICATES: OnceLock<[LocalCertificate; 2]> = OnceLock::new();
    let certificates = CERTIFICATES.get_or_init(|| [certificate("a"), certificate("b")]);
    let mut script = Reader::new(bytes);
    static COOKIES: OnceLock<Cookies> = OnceLock::new();
    let source = SocketAddr::from(([192, 0, 2, 1], 4000));
    let _ = COOKIES.get_or_init(Cookies::default).judge(bytes, source, Instant::ORIGIN);
    let mut now = Instant::ORIGIN;
    let roles = [DtlsRole::Client, DtlsRole::Server];
    let mut ends = [0, 1].map(|i| {
        let verify = Arc::new(|_: &[u8]| Ok(()));
        Dtls::new(roles[i], &certificates[i], None, verify, now).expect("our own key")
    });
    let mut flying: VecDeque<(usize, Bytes)> = VecDeque::new();
    for _ in 0..STEPS_MAX {
        for (who, end) in ends.iter_mut().enumerate() {
            for count in 0.. {
                assert!(count < ROUNDS_MAX, "endless output");
                let Some(output) = end.poll() else { break };
                if let DtlsOutput::Datagram(datagram) = output {
                    flying.push_back((1 - who, datagram));
                }
            }
        }
        flying.truncate(QUEUE_MAX);
        if dtls_step(&mut script, &mut ends, &mut flying, &mut now).is_err() {
            return;
        }
    }
}

fn dtls_step(
    script: &mut Reader<'_>,
    ends: &mut [Dtls; 2],
    flying: &mut VecDeque<(usize, Bytes)>,
    now: &mut Instant,
) -> Result<(), DecodeError> {
    let step = script.u8()?;
    let who = usize::from(step >> 7);
    match step % 8 {
        0..=2 => {
            if let Some((to, datagram)) = flying.pop_front() {
                ends[to].handle_datagram(*now, &datagram);
            }
        }
        3 => match step & 0x40 {
            0 => drop(flying.pop_front()),
            _ => flying.extend(flying.front().cloned()),
        },
        4 => {
            let (at, byte) = (usize::from(script.u16()?), script.u8()?);
            if let Some((to, datagram)) = flying.pop_front() {
                let mut changed = datagram.to_vec();
                if let Some(place) = changed.get_mut(at % datagram.len().max(1)) {
                    *place ^= byte;
                }
                flying.push_front((to, changed.into()));
            }
        }
        5 => ends[who].handle_datagram(*now, script.opaque16()?),
        6 => {
            let _ = ends[who].send(*now, script.opaque8()?);
        }
        _ => {
            *now = *now + Duration::from_millis(u64::from(script.u8()?) * 20);
            for end in ends {
                if end.deadline().is_some_and(|at| at <= *now) {
                    end.handle_timeout(*now);
                }
            }
        }
    }
    Ok(())
}

fn certificate(name: &str) -> LocalCertificate {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
    let params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    LocalCertificate {
        certificate_der: certificate.der().to_vec(),
        private_key_pkcs8_der: key.serialize_der(),
    }
}

/// Steps of one script; more say nothing new.
const STEPS_MAX: u32 = 400;
/// Timeouts at one moment, or outputs of one input: a full window and its acknowledgements.
const ROUNDS_MAX: usize = 1000;
