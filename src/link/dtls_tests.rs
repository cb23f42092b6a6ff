use std::collections::BTreeMap;

use super::*;
use crate::base::Rng;

/// A self-signed ECDSA P-256 certificate, as enrolment without a server makes them.
pub(in crate::link) fn certificate(name: &str) -> LocalCertificate {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    LocalCertificate {
        certificate_der: certificate.der().to_vec(),
        private_key_pkcs8_der: key.serialize_der(),
    }
}

pub(in crate::link) fn accept_all() -> Verify {
    Arc::new(|_| Ok(()))
}

pub(in crate::link) fn accept_only(expected: &LocalCertificate) -> Verify {
    let expected = expected.certificate_der.clone();
    Arc::new(move |der| if der == expected { Ok(()) } else { Err("not who we expect".to_owned()) })
}

/// Two associations, client first, over a path with loss under a virtual clock.
struct Pair {
    ends: [Dtls; 2],
    outputs: [Vec<DtlsOutput>; 2],
    queue: BTreeMap<(Instant, u64), (usize, Bytes)>,
    rng: Rng,
    loss_percent: u64,
    now: Instant,
    counter: u64,
    /// Every datagram that was delivered, to replay it.
    history: Vec<(usize, Bytes)>,
}

impl Pair {
    fn new(verify: [Verify; 2], certificates: [&LocalCertificate; 2], cookie: bool) -> Self {
        let now = Instant::ORIGIN;
        let [client_verify, server_verify] = verify;
        let client = Dtls::new(DtlsRole::Client, certificates[0], cookie, client_verify, now);
        let server = Dtls::new(DtlsRole::Server, certificates[1], cookie, server_verify, now);
        Self {
            ends: [client.unwrap(), server.unwrap()],
            outputs: [Vec::new(), Vec::new()],
            queue: BTreeMap::new(),
            rng: Rng::from_number(0),
            loss_percent: 0,
            now,
            counter: 0,
            history: Vec::new(),
        }
    }

    fn flush(&mut self) {
        for side in 0..2 {
            while let Some(output) = self.ends[side].poll() {
                let DtlsOutput::Datagram(datagram) = output else {
                    self.outputs[side].push(output);
                    continue;
                };
                self.counter += 1;
                if self.rng.below(100) >= self.loss_percent {
                    let delay = Duration::from_millis(10 + self.rng.below(20));
                    self.queue.insert((self.now + delay, self.counter), (1 - side, datagram));
                }
            }
        }
    }

    /// Runs until nothing is under way, or `until`.
    fn run(&mut self, until: Duration) {
        let end = Instant::ORIGIN + until;
        loop {
            self.flush();
            let arrival = self.queue.first_key_value().map(|((due, _), _)| *due);
            let timer = self.ends.iter().filter_map(Dtls::deadline).min();
            let Some(next) = [arrival, timer].into_iter().flatten().min() else { return };
            if next > end {
                return;
            }
            self.now = next.max(self.now);
            if arrival == Some(next) {
                let (_, (to, datagram)) = self.queue.pop_first().unwrap();
                self.history.push((to, datagram.clone()));
                self.ends[to].handle_datagram(self.now, &datagram);
            } else {
                self.ends.iter_mut().for_each(|dtls| dtls.handle_timeout(self.now));
            }
        }
    }

    fn connected(&self, side: usize) -> bool {
        self.outputs[side].iter().any(|output| matches!(output, DtlsOutput::Connected { .. }))
    }

    fn keys(&self, side: usize) -> Option<SrtpKeys> {
        self.outputs[side].iter().find_map(|output| match output {
            DtlsOutput::Connected { srtp, .. } => srtp.clone(),
            _ => None,
        })
    }
}

#[test]
fn both_sides_learn_the_certificate_and_the_same_keys() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    for cookie in [false, true] {
        let verify = [accept_only(&bob), accept_only(&alice)];
        let mut pair = Pair::new(verify, [&alice, &bob], cookie);
        pair.run(Duration::from_secs(5));
        assert!(pair.connected(0) && pair.connected(1), "{:?}", pair.outputs);
        let keys = pair.keys(0).unwrap();
        assert_eq!(pair.keys(1), Some(keys.clone()));
        assert_ne!(keys.client, keys.server);
        assert_eq!(keys.send_receive(DtlsRole::Client).0, keys.send_receive(DtlsRole::Server).1);
        let (key, salt) = keys.profile.lengths();
        assert_eq!((keys.server.key.len(), keys.server.salt.len()), (key, salt));
    }
}

/// At a loss of one datagram in four in each direction, 60 handshakes of 60 succeed in time.
#[test]
fn the_handshake_survives_heavy_loss() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    for seed in 0..60 {
        let mut pair = Pair::new([accept_all(), accept_all()], [&alice, &bob], false);
        pair.rng = Rng::from_number(seed);
        pair.loss_percent = 25;
        pair.run(Duration::from_secs(30));
        assert!(pair.connected(0) && pair.connected(1), "seed {seed}: {:?}", pair.outputs);
    }
}

/// R6940-13.6.2-01, R6940-6.5.1.13-03: a certificate that the other side does not accept ends the
/// handshake for both, whichever side shows it.
#[test]
fn a_wrong_certificate_is_refused_both_ways() {
    let (alice, bob, mallory) = (certificate("alice"), certificate("bob"), certificate("mallory"));
    for (shown, refuser) in [([&mallory, &bob], 1), ([&alice, &mallory], 0)] {
        let verify = [accept_only(&bob), accept_only(&alice)];
        let mut pair = Pair::new(verify, shown, false);
        pair.run(Duration::from_secs(40));
        assert!(!pair.connected(0) && !pair.connected(1), "{:?}", pair.outputs);
        let refusal = DtlsError::CertificateRefused("not who we expect".to_owned());
        assert_eq!(pair.outputs[refuser], [DtlsOutput::Failed(refusal)]);
        assert_eq!(pair.outputs[1 - refuser], [DtlsOutput::Failed(DtlsError::Timeout)]);
    }
}

/// R6940-6.4.2.1-01: a record that comes again is not delivered again.
#[test]
fn a_replayed_record_is_dropped() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    let mut pair = Pair::new([accept_all(), accept_all()], [&alice, &bob], false);
    pair.run(Duration::from_secs(5));
    pair.ends[0].send(pair.now, b"once").unwrap();
    pair.run(Duration::from_secs(10));
    let received = |pair: &Pair| {
        pair.outputs[1].iter().filter(|output| matches!(output, DtlsOutput::Data(_))).count()
    };
    assert_eq!(received(&pair), 1);
    for (to, datagram) in pair.history.clone() {
        pair.ends[to].handle_datagram(pair.now, &datagram);
    }
    pair.flush();
    assert_eq!(received(&pair), 1);
}

#[test]
fn forged_and_random_datagrams_do_not_end_an_association() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    let mut pair = Pair::new([accept_all(), accept_all()], [&alice, &bob], false);
    pair.run(Duration::from_secs(5));
    let mut rng = Rng::from_number(3);
    // A fatal alert in the clear, then noise that begins like each record type.
    let alert = hex::decode("15fefd000000000000000900020228").unwrap();
    pair.ends[1].handle_datagram(pair.now, &alert);
    for kind in 20..64u8 {
        let mut noise = rng.bytes::<60>();
        noise[0] = kind;
        noise[1..3].copy_from_slice(&[0xfe, 0xfd]);
        pair.ends[1].handle_datagram(pair.now, &noise);
    }
    pair.ends[0].send(pair.now, b"still here").unwrap();
    pair.run(Duration::from_secs(10));
    let data = DtlsOutput::Data(Bytes::from_static(b"still here"));
    assert_eq!(pair.outputs[1].last(), Some(&data));
}

#[test]
fn closing_tells_the_other_side() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    let mut pair = Pair::new([accept_all(), accept_all()], [&alice, &bob], false);
    pair.run(Duration::from_secs(5));
    pair.ends[0].close(pair.now);
    pair.run(Duration::from_secs(10));
    assert_eq!(pair.outputs[1].last(), Some(&DtlsOutput::Failed(DtlsError::Closed)));
    assert_eq!(pair.ends[0].send(pair.now, b"late"), Err(DtlsError::Closed));
}

#[test]
fn a_key_that_cannot_be_read_is_an_error() {
    let mut broken = certificate("alice");
    broken.private_key_pkcs8_der.truncate(20);
    let result = Dtls::new(DtlsRole::Client, &broken, false, accept_all(), Instant::ORIGIN);
    assert!(matches!(result.err(), Some(DtlsError::Key(_))));
}
