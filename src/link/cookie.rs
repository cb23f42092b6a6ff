//! Cookies (RFC 6347 §4.2.1): under load, whoever begins a handshake proves its address before
//! anything is kept of it.
//!
//! The engine's own cookies take an association for each client. They follow from its seed and the
//! client's random, though, so one that is seeded with a keyed hash of the client's address, asked
//! and dropped leaves nothing behind, and another of the same seed takes the handshake up. In
//! `dimpl` a seed makes cookies, randoms and nonces; keys are random all the same.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use dimpl::crypto::{CryptoProvider, SupportedDtls12CipherSuite};
use dimpl::{Config, Error, PskResolver};
use ring::hmac;

use super::clock::os_seed;
use super::dtls::{config, settings};
use crate::base::{Instant, Reader};

/// How long a cookie is good, at least; at most twice as long.
const PERIOD_MS: u64 = 60_000;
/// Cookies and everything before them fit.
const ANSWER_MAX: usize = 256;

/// Makes and recognises cookies.
pub struct Cookies(hmac::Key);

/// What to do about somebody who begins a handshake.
pub enum Greeting {
    /// Send this HelloVerifyRequest and forget it.
    Challenge(Bytes),
    /// Let it in.
    Proven(Proof),
}

/// A client that has been heard and hears us at its address.
#[derive(Clone, Debug)]
pub struct Proof {
    seed: u64,
    /// Its ClientHello as it was before it had a cookie.
    pub(super) bare: Bytes,
}

impl Default for Cookies {
    fn default() -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &os_seed()))
    }
}

impl Cookies {
    /// Judges a ClientHello; `None` if it is none, or comes in parts.
    pub fn judge(&self, datagram: &[u8], source: SocketAddr, now: Instant) -> Option<Greeting> {
        let hello = ClientHello::read(datagram)?;
        let period = now.as_millis() / PERIOD_MS;
        let seed = self.seed(source, period);
        let challenge = challenge(seed, &hello.bare)?;
        if hello.cookie.is_empty() {
            return Some(Greeting::Challenge(challenge));
        }
        let before = self.seed(source, period.saturating_sub(1));
        for seed in [seed, before] {
            let proof = Proof { seed, bare: hello.bare.clone() };
            if self.is_same(hello.cookie, cookie_of(&self::challenge(seed, &proof.bare)?)?) {
                return Some(Greeting::Proven(proof));
            }
        }
        Some(Greeting::Challenge(challenge))
    }

    fn seed(&self, source: SocketAddr, period: u64) -> u64 {
        let mut text = match source.ip().to_canonical() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        text.extend(source.port().to_be_bytes());
        text.extend(period.to_be_bytes());
        let tag = hmac::sign(&self.0, &text);
        let first = tag.as_ref().first_chunk().copied();
        u64::from_be_bytes(first.unwrap_or_default())
    }

    /// Compares in a time that tells nothing.
    fn is_same(&self, given: &[u8], expected: &[u8]) -> bool {
        hmac::verify(&self.0, expected, hmac::sign(&self.0, given).as_ref()).is_ok()
    }
}

impl Proof {
    /// The settings of the association that takes the handshake up.
    pub(super) fn config(&self) -> Result<Arc<Config>, Error> {
        let config = settings().use_server_cookie(true).dangerously_set_rng_seed(self.seed);
        config.build().map(Arc::new)
    }
}

/// The HelloVerifyRequest of an association that is never heard of again.
fn challenge(seed: u64, bare: &[u8]) -> Option<Bytes> {
    let config = settings()
        .with_crypto_provider(short_provider()?)
        .dtls13_cipher_suites(&[])
        .with_psk_server(None, Arc::new(NoKeys))
        .use_server_cookie(true)
        .dangerously_set_rng_seed(seed)
        .build()
        .ok()?;
    let now = std::time::Instant::now();
    let mut engine = dimpl::Dtls::new_12_psk(Arc::new(config), now);
    engine.handle_timeout(now).ok()?;
    engine.handle_packet(bare).ok()?;
    let mut buffer = [0; ANSWER_MAX];
    loop {
        match engine.poll_output(&mut buffer) {
            dimpl::Output::Packet(packet) => return Some(Bytes::copy_from_slice(packet)),
            dimpl::Output::Timeout(_) | dimpl::Output::BufferTooSmall { .. } => return None,
            _ => {}
        }
    }
}

/// What is not needed up to the cookie is left out: the engine tests all it has before each use.
fn short_provider() -> Option<CryptoProvider> {
    type Suites = Vec<&'static dyn SupportedDtls12CipherSuite>;
    static SUITES: OnceLock<Suites> = OnceLock::new();
    let config = config().ok()?;
    let whole = config.crypto_provider();
    let of_psk = || whole.cipher_suites.iter().copied().filter(|s| s.suite().is_psk()).collect();
    let cipher_suites = SUITES.get_or_init(of_psk);
    Some(CryptoProvider { kx_groups: &[], cipher_suites, ..whole.clone() })
}

/// Nobody gets so far as to be asked for a key.
struct NoKeys;

impl PskResolver for NoKeys {
    fn resolve(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

/// The cookie in a HelloVerifyRequest: behind the headers (13 and 12 bytes) and the version.
fn cookie_of(challenge: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(challenge.get(27..)?);
    reader.opaque8().ok()
}

/// A ClientHello in one piece (RFC 6347 §4.2.2, RFC 5246 §7.4.1.2).
struct ClientHello<'a> {
    cookie: &'a [u8],
    /// The same without it, as the first one was.
    bare: Bytes,
}

impl<'a> ClientHello<'a> {
    fn read(datagram: &'a [u8]) -> Option<Self> {
        const HANDSHAKE: u8 = 22;
        const CLIENT_HELLO: u8 = 1;
        const RANDOM_END: usize = 34;
        let record = datagram.get(13..)?;
        let (header, body) = record.split_at_checked(12)?;
        let length = |at: usize| Some(number(header.get(at..at + 3)?));
        let is_whole = length(1)? == body.len() && length(6)? == 0 && length(9)? == body.len();
        let is_hello = datagram.first() == Some(&HANDSHAKE) && header[0] == CLIENT_HELLO;
        if !is_whole || !is_hello || number(&datagram[11..13]) != record.len() {
            return None;
        }
        let mut reader = Reader::new(body.get(RANDOM_END..)?);
        let session = reader.opaque8().ok()?;
        let cookie = reader.opaque8().ok()?;
        let before = RANDOM_END + 1 + session.len();
        let after = before + 1 + cookie.len();
        let length = body.len() - cookie.len();
        let in_three = (length as u32).to_be_bytes();
        let mut bare = datagram[..3].to_vec();
        bare.extend([0; 8]);
        bare.extend(((length + 12) as u16).to_be_bytes());
        bare.push(CLIENT_HELLO);
        bare.extend(&in_three[1..]);
        bare.extend([0; 5]);
        bare.extend(&in_three[1..]);
        bare.extend(&body[..before]);
        bare.push(0);
        bare.extend(body.get(after..)?);
        Some(Self { cookie, bare: bare.into() })
    }
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// Whether a client says that it has a cookie: its ClientHello is not its first message.
pub(super) fn is_second(datagram: &[u8]) -> bool {
    datagram.get(17..19).is_some_and(|sequence| sequence != [0, 0])
}
