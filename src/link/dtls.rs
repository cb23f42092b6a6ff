//! One DTLS association (RFC 6347) with certificates on both sides (RFC 6940 §6.5.1.13). Pure:
//! datagrams and moments go in, datagrams and plaintext come out.
//!
//! The engine is `dimpl`. DTLS 1.2 is what RFC 6940 names, and in 1.2 the server's last flight
//! comes after it has judged the client's certificate: whoever is connected has been accepted.
//! Only ECDHE suites with AEAD are offered, not the one with RSA key exchange and CBC that
//! TLS 1.2 once called mandatory.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use dimpl::{Config, ConfigBuilder, DtlsCertificate};
use thiserror::Error;

use super::cookie::Proof;
use crate::base::Instant;

/// Timers and bounds of a handshake.
pub mod limits {
    use std::time::Duration;

    /// When the first flight is sent again; RFC 6347 §4.2.4.1 says 1 s, but the path has just
    /// answered a connectivity check or is about to be given up for another.
    pub const FLIGHT_RTO: Duration = Duration::from_millis(400);
    /// How often a flight is sent again: doubling from [`FLIGHT_RTO`] this fills the handshake.
    pub const FLIGHT_RETRIES: usize = 6;
    /// A handshake that takes longer has failed: the lifetime of a request (RFC 6940 §3).
    pub const HANDSHAKE: Duration = Duration::from_secs(15);
    /// Handshake datagrams are no larger, so that they pass everywhere unfragmented.
    pub const HANDSHAKE_MTU: usize = 1150;
    /// The largest plaintext of one record (RFC 6347 §4.1).
    pub const RECORD_MAX: usize = 1 << 14;
    /// Datagrams with data that are kept until the handshake is complete.
    pub const EARLY_MAX: usize = 8;
    /// The longest of them: what goes over most paths in one piece.
    pub const EARLY_BYTES_MAX: usize = 1500;
}

use limits::*;

/// Who sends the ClientHello. The sender of an Attach is the server (RFC 6940 §6.5.1.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsRole {
    /// Sends the ClientHello.
    Client,
    /// Waits for the ClientHello.
    Server,
}

/// What this side shows the other: a certificate and its ECDSA P-256 or P-384 key.
#[derive(Clone)]
pub struct LocalCertificate {
    /// The X.509 certificate.
    pub certificate_der: Vec<u8>,
    /// The PKCS#8 private key.
    pub private_key_pkcs8_der: Vec<u8>,
}

impl fmt::Debug for LocalCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalCertificate({} bytes)", self.certificate_der.len())
    }
}

/// Judges the other side's certificate (DER); the error says why it is refused.
pub type Verify = Arc<dyn Fn(&[u8]) -> Result<(), String> + Send + Sync>;

/// Why an association ended or never was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DtlsError {
    /// Our own key is not one that the engine takes.
    #[error("our own private key is unusable: {0}")]
    Key(String),
    /// [`Verify`] said no.
    #[error("the other side's certificate was refused: {0}")]
    CertificateRefused(String),
    /// No certificate came.
    #[error("the other side showed no certificate")]
    NoCertificate,
    /// The handshake was not completed in time; a side that refuses our certificate may say so
    /// by silence.
    #[error("the secure connection (DTLS) was not completed in time")]
    Timeout,
    /// The engine gave up: a violation of the protocol.
    #[error("DTLS failed: {0}")]
    Protocol(String),
    /// The other side closed the association.
    #[error("the other side closed the connection")]
    Closed,
    /// More than one record can hold.
    #[error("a record holds {RECORD_MAX} bytes, not {0}")]
    TooLong(usize),
}

/// What the association wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DtlsOutput {
    /// Send this to the other side.
    Datagram(Bytes),
    /// The handshake is complete and the certificate was accepted; comes before any data.
    Connected {
        /// The other side's certificate.
        peer_certificate_der: Bytes,
        /// Keys for media, if both sides want them (RFC 5764).
        srtp: Option<SrtpKeys>,
    },
    /// The other side sent this.
    Data(Bytes),
    /// It is over; nothing follows.
    Failed(DtlsError),
}

/// A protection profile for media (RFC 5764 §4.1.2, RFC 7714 §14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SrtpProfile {
    /// `SRTP_AES128_CM_HMAC_SHA1_80`
    Aes128CmSha1_80,
    /// `SRTP_AEAD_AES_128_GCM`
    AeadAes128Gcm,
    /// `SRTP_AEAD_AES_256_GCM`
    AeadAes256Gcm,
}

impl SrtpProfile {
    /// Bytes of a master key and of a master salt.
    pub const fn lengths(self) -> (usize, usize) {
        match self {
            Self::Aes128CmSha1_80 => (16, 14),
            Self::AeadAes128Gcm => (16, 12),
            Self::AeadAes256Gcm => (32, 12),
        }
    }
}

/// A master key and salt for one direction.
#[derive(Clone, PartialEq, Eq)]
pub struct SrtpMaster {
    /// The master key.
    pub key: Vec<u8>,
    /// The master salt.
    pub salt: Vec<u8>,
}

/// Keys for media that the handshake agreed on (RFC 5764 §4.2).
#[derive(Clone, PartialEq, Eq)]
pub struct SrtpKeys {
    /// How they are used.
    pub profile: SrtpProfile,
    /// Protects what the DTLS client sends.
    pub client: SrtpMaster,
    /// Protects what the DTLS server sends.
    pub server: SrtpMaster,
}

impl SrtpKeys {
    /// The masters for what we send and for what we receive.
    pub fn send_receive(&self, role: DtlsRole) -> (&SrtpMaster, &SrtpMaster) {
        match role {
            DtlsRole::Client => (&self.client, &self.server),
            DtlsRole::Server => (&self.server, &self.client),
        }
    }

    /// Cuts the exported material: client key, server key, client salt, server salt.
    fn cut(material: &[u8], profile: dimpl::SrtpProfile) -> Option<Self> {
        let profile = match profile {
            dimpl::SrtpProfile::AES128_CM_SHA1_80 => SrtpProfile::Aes128CmSha1_80,
            dimpl::SrtpProfile::AEAD_AES_128_GCM => SrtpProfile::AeadAes128Gcm,
            dimpl::SrtpProfile::AEAD_AES_256_GCM => SrtpProfile::AeadAes256Gcm,
            _ => return None,
        };
        let (key, salt) = profile.lengths();
        let (keys, salts) = material.split_at_checked(2 * key)?;
        let (client_salt, rest) = salts.split_at_checked(salt)?;
        let server_salt = rest.get(..salt)?;
        let master = |key: &[u8], salt: &[u8]| SrtpMaster { key: key.into(), salt: salt.into() };
        Some(Self {
            profile,
            client: master(&keys[..key], client_salt),
            server: master(&keys[key..], server_salt),
        })
    }
}

impl fmt::Debug for SrtpKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SrtpKeys({:?})", self.profile)
    }
}

impl fmt::Debug for SrtpMaster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SrtpMaster")
    }
}

/// The settings of every association.
pub(super) fn settings() -> ConfigBuilder {
    Config::builder()
        .mtu(HANDSHAKE_MTU)
        .use_server_cookie(false)
        .flight_start_rto(FLIGHT_RTO)
        .flight_retries(FLIGHT_RETRIES)
        .handshake_timeout(HANDSHAKE)
}

/// The settings, made once: the engine tests all its cryptography whenever they are.
pub(super) fn config() -> Result<Arc<Config>, dimpl::Error> {
    static CONFIG: OnceLock<Arc<Config>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let config = Arc::new(settings().build()?);
    Ok(CONFIG.get_or_init(|| config).clone())
}

/// One association, from the first flight to the close.
pub struct Dtls {
    engine: dimpl::Dtls,
    /// The engine counts in the operating system's instants; only differences matter to it.
    origin: std::time::Instant,
    verify: Verify,
    state: State,
    deadline: Option<Instant>,
    peer_certificate: Option<Bytes>,
    /// What came from a side that is connected already, before we were: the paths of its last
    /// flight and of the first data may differ (RFC 6347 §4.1).
    early: Vec<Bytes>,
    outputs: VecDeque<DtlsOutput>,
}

/// The type of a record with data (RFC 5246 §6.2.1).
const APPLICATION_DATA: u8 = 23;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Handshake,
    Connected,
    Over,
}

impl Dtls {
    /// Begins an association; a client's first flight is ready at once.
    ///
    /// A server is given the `proof` of a client that was asked for a cookie (RFC 6347 §4.2.1);
    /// after ICE no client is.
    pub fn new(
        role: DtlsRole,
        local: &LocalCertificate,
        proof: Option<&Proof>,
        verify: Verify,
        now: Instant,
    ) -> Result<Self, DtlsError> {
        let config = proof.map_or_else(config, Proof::config);
        let config = config.map_err(|error| DtlsError::Protocol(format!("{error:?}")))?;
        // The engine panics on a key that it cannot read, so it is tried before.
        config
            .crypto_provider()
            .key_provider
            .load_private_key(&local.private_key_pkcs8_der)
            .map_err(|error| DtlsError::Key(format!("{error:?}")))?;
        if local.certificate_der.is_empty() {
            return Err(DtlsError::Key("there is no certificate for it".to_owned()));
        }
        let certificate = DtlsCertificate {
            certificate: local.certificate_der.clone(),
            private_key: local.private_key_pkcs8_der.clone(),
        };
        let origin = std::time::Instant::now();
        let mut dtls = Self {
            engine: dimpl::Dtls::new_12(config, certificate, origin),
            origin,
            verify,
            state: State::Handshake,
            deadline: None,
            peer_certificate: None,
            early: Vec::new(),
            outputs: VecDeque::new(),
        };
        dtls.engine.set_active(role == DtlsRole::Client);
        dtls.handle_timeout(now);
        if let Some(proof) = proof {
            // The answer, the cookie, has been sent before.
            dtls.handle_datagram(now, &proof.bare);
            dtls.outputs.clear();
        }
        Ok(dtls)
    }

    /// Takes a datagram from the other side.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        let is_data = datagram.first() == Some(&APPLICATION_DATA);
        // Who has shown no good certificate yet has nothing to say.
        if is_data && self.state == State::Handshake && self.peer_certificate.is_some() {
            if self.early.len() < EARLY_MAX && datagram.len() <= EARLY_BYTES_MAX {
                self.early.push(Bytes::copy_from_slice(datagram));
            }
            return;
        }
        self.step(now, |engine| engine.handle_packet(datagram));
        if self.state == State::Connected {
            for early in std::mem::take(&mut self.early) {
                self.step(now, |engine| engine.handle_packet(&early));
            }
        }
    }

    /// Call this when the deadline has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.step(now, |_| Ok(()));
    }

    /// Sends `data` as one record; only after [`DtlsOutput::Connected`].
    pub fn send(&mut self, now: Instant, data: &[u8]) -> Result<(), DtlsError> {
        if data.len() > RECORD_MAX {
            return Err(DtlsError::TooLong(data.len()));
        }
        if self.state != State::Connected {
            return Err(DtlsError::Closed);
        }
        self.step(now, |engine| engine.send_application_data(data).map(|_| ()));
        Ok(())
    }

    /// Tells the other side that this is the end.
    pub fn close(&mut self, now: Instant) {
        self.step(now, |engine| engine.close());
        self.state = State::Over;
        self.deadline = None;
    }

    /// The next thing to do, until there is none.
    pub fn poll(&mut self) -> Option<DtlsOutput> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn step(
        &mut self,
        now: Instant,
        act: impl FnOnce(&mut dimpl::Dtls) -> Result<(), dimpl::Error>,
    ) {
        if self.state == State::Over {
            return;
        }
        let engine_now = self.origin + Duration::from_micros(now.as_micros());
        let result = self.engine.handle_timeout(engine_now).and_then(|()| act(&mut self.engine));
        // What the engine still has to say, an alert perhaps, goes out even after an error.
        self.drain();
        if let Err(error) = result {
            self.fail(match error {
                dimpl::Error::Timeout(_) => DtlsError::Timeout,
                other => DtlsError::Protocol(other.to_string()),
            });
        }
    }

    fn drain(&mut self) {
        let mut connected = false;
        let mut srtp = None;
        let mut data = Vec::new();
        let mut closed = false;
        let mut buffer = vec![0; 2048];
        while self.state != State::Over {
            match self.engine.poll_output(&mut buffer) {
                dimpl::Output::Packet(packet) => {
                    let packet = Bytes::copy_from_slice(packet);
                    self.outputs.push_back(DtlsOutput::Datagram(packet));
                }
                dimpl::Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
                dimpl::Output::Timeout(at) => {
                    // Rounded up: a timeout that comes early is none.
                    let nanos = at.saturating_duration_since(self.origin).as_nanos();
                    let micros = u64::try_from(nanos.div_ceil(1000)).unwrap_or(u64::MAX);
                    self.deadline = Some(Instant::from_micros(micros));
                    break;
                }
                dimpl::Output::Connected => connected = true,
                dimpl::Output::PeerCert(der) => {
                    let der = Bytes::copy_from_slice(der);
                    if let Err(reason) = (self.verify)(&der) {
                        self.fail(DtlsError::CertificateRefused(reason));
                        return;
                    }
                    self.peer_certificate = Some(der);
                }
                dimpl::Output::KeyingMaterial(material, profile) => {
                    srtp = SrtpKeys::cut(&material, profile);
                }
                dimpl::Output::ApplicationData(bytes) => data.push(Bytes::copy_from_slice(bytes)),
                dimpl::Output::CloseNotify => closed = true,
                _ => {}
            }
        }
        if connected {
            self.on_connected(srtp);
        }
        if self.state == State::Connected {
            self.outputs.extend(data.into_iter().map(DtlsOutput::Data));
        }
        if closed {
            self.fail(DtlsError::Closed);
        }
    }

    fn on_connected(&mut self, srtp: Option<SrtpKeys>) {
        match self.peer_certificate.clone() {
            Some(peer_certificate_der) => {
                self.state = State::Connected;
                self.outputs.push_back(DtlsOutput::Connected { peer_certificate_der, srtp });
            }
            None => self.fail(DtlsError::NoCertificate),
        }
    }

    fn fail(&mut self, error: DtlsError) {
        if self.state != State::Over {
            self.state = State::Over;
            self.deadline = None;
            self.outputs.push_back(DtlsOutput::Failed(error));
        }
    }
}

#[cfg(test)]
#[path = "dtls_tests.rs"]
pub(super) mod tests;
