use std::collections::BTreeMap;

use super::super::cookie::{Cookies, Greeting};
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

fn datagram(end: &mut Dtls) -> Bytes {
    let Some(DtlsOutput::Datagram(datagram)) = end.poll() else { panic!("nothing to send") };
    datagram
}

/// Asks a client for its cookie; its next flight is still to be sent.
fn prove(client: &mut Dtls, now: Instant) -> Proof {
    let cookies = Cookies::default();
    let source = "192.0.2.1:4000".parse().unwrap();
    let Some(Greeting::Challenge(challenge)) = cookies.judge(&datagram(client), source, now) else {
        panic!("no cookie has been asked for");
    };
    client.handle_datagram(now, &challenge);
    let second = datagram(client);
    client.outputs.push_front(DtlsOutput::Datagram(second.clone()));
    let Some(Greeting::Proven(proof)) = cookies.judge(&second, source, now) else {
        panic!("the cookie is not good");
    };
    proof
}

/// A cookie is good for whom it was made for, for a while: not at another address or port, not for
/// another ClientHello, not at another server, and not after two minutes.
#[test]
fn a_cookie_proves_one_address_for_a_while() {
    let (cookies, alice) = (Cookies::default(), certificate("alice"));
    let at = |s: u64| Instant::from_micros(s * 1_000_000);
    let begin = at(600);
    let source = "192.0.2.1:4000".parse().unwrap();
    let mut client = Dtls::new(DtlsRole::Client, &alice, None, accept_all(), begin).unwrap();
    let first = datagram(&mut client);
    let challenge = |cookies: &Cookies| match cookies.judge(&first, source, begin) {
        Some(Greeting::Challenge(challenge)) => challenge,
        _ => panic!("no cookie has been asked for"),
    };
    assert!(challenge(&cookies).len() <= first.len(), "an answer that serves no flood");
    client.handle_datagram(begin, &challenge(&cookies));
    let second = datagram(&mut client);
    let is_good = |cookies: &Cookies, hello: &[u8], source: &str, now| {
        let greeting = cookies.judge(hello, source.parse().unwrap(), now);
        matches!(greeting, Some(Greeting::Proven(_)))
    };
    assert!(is_good(&cookies, &second, "192.0.2.1:4000", begin));
    assert!(is_good(&cookies, &second, "[::ffff:192.0.2.1]:4000", at(659)));
    assert!(!is_good(&cookies, &second, "192.0.2.1:4001", begin));
    assert!(!is_good(&cookies, &second, "192.0.2.2:4000", begin));
    assert!(!is_good(&cookies, &second, "192.0.2.1:4000", at(720)));
    assert!(!is_good(&Cookies::default(), &second, "192.0.2.1:4000", begin));
    assert!(!is_good(&cookies, &first, "192.0.2.1:4000", begin));
    let mut other = second.to_vec();
    other[13 + 12 + 2] ^= 1;
    assert!(!is_good(&cookies, &other, "192.0.2.1:4000", begin), "the client's random");
    assert!(cookies.judge(&second[..60], source, begin).is_none(), "half a ClientHello");
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
        let client = Dtls::new(DtlsRole::Client, certificates[0], None, client_verify, now);
        let mut client = client.unwrap();
        let proof = cookie.then(|| prove(&mut client, now));
        let proof = proof.as_ref();
        let server = Dtls::new(DtlsRole::Server, certificates[1], proof, server_verify, now);
        Self {
            ends: [client, server.unwrap()],
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
    let result = Dtls::new(DtlsRole::Client, &broken, None, accept_all(), Instant::ORIGIN);
    assert!(matches!(result.err(), Some(DtlsError::Key(_))));
}

/// The server's data overtakes its last flight, as over two pairs of one path: it is there when the
/// handshake is complete. Without end it is not kept.
#[test]
fn data_that_overtakes_the_last_flight_waits_for_it() {
    let (alice, bob) = (certificate("alice"), certificate("bob"));
    let mut pair = Pair::new([accept_all(), accept_all()], [&alice, &bob], false);
    let now = pair.now;
    let last_flight = loop {
        let from_client: Vec<DtlsOutput> = std::iter::from_fn(|| pair.ends[0].poll()).collect();
        for output in from_client {
            let DtlsOutput::Datagram(datagram) = output else { panic!("{output:?}") };
            pair.ends[1].handle_datagram(now, &datagram);
        }
        let from_server: Vec<DtlsOutput> = std::iter::from_fn(|| pair.ends[1].poll()).collect();
        if from_server.iter().any(|output| matches!(output, DtlsOutput::Connected { .. })) {
            break from_server;
        }
        for output in from_server {
            let DtlsOutput::Datagram(datagram) = output else { panic!("{output:?}") };
            pair.ends[0].handle_datagram(now, &datagram);
        }
    };
    for _ in 0..=limits::EARLY_MAX {
        pair.ends[1].send(now, b"INVITE").unwrap();
        let data = datagram(&mut pair.ends[1]);
        pair.ends[0].handle_datagram(now, &data);
    }
    assert_eq!(pair.ends[0].poll(), None);
    for output in last_flight {
        if let DtlsOutput::Datagram(datagram) = output {
            pair.ends[0].handle_datagram(now, &datagram);
        }
    }
    let told: Vec<DtlsOutput> = std::iter::from_fn(|| pair.ends[0].poll()).collect();
    let data = DtlsOutput::Data(Bytes::from_static(b"INVITE"));
    assert!(matches!(told.first(), Some(DtlsOutput::Connected { .. })), "{told:?}");
    assert!(told[1..] == vec![data; limits::EARLY_MAX], "{told:?}");
}
