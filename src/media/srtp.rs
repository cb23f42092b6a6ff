//! Encryption of RTP and RTCP with keys from DTLS (RFC 3711, 5764, 7714), and telling apart what
//! shares their port (RFC 7983, 5761).

use std::collections::BTreeMap;

use bytes::Bytes;
use webrtc_srtp::context::Context;
use webrtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use webrtc_srtp::protection_profile::ProtectionProfile;

use super::sdp::DtlsRole;

/// Both directions' encryption of one call.
pub struct SrtpSession {
    profile: Profile,
    outbound: Context,
    inbound_key: Vec<u8>,
    inbound_salt: Vec<u8>,
    /// One context for each source that has proved itself. The library's own table of sources
    /// grows with every forged packet and knows no bound.
    inbound: BTreeMap<u32, Context>,
}

/// How packets are protected (RFC 5764 §4.1.2, RFC 7714 §14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// AES in counter mode with an 80-bit HMAC.
    Aes128CmHmacSha1_80,
    /// AES-GCM with keys of 128 bits.
    AeadAes128Gcm,
    /// AES-GCM with keys of 256 bits.
    AeadAes256Gcm,
}

/// Why a packet was not let through, or keys not taken.
#[derive(Debug, thiserror::Error)]
pub enum SrtpError {
    /// The DTLS exporter gave another number of bytes than the profile needs.
    #[error("media keys have {actual} bytes where {expected} are needed")]
    KeyLength {
        /// What the profile needs.
        expected: usize,
        /// What there was.
        actual: usize,
    },
    /// Too short or otherwise not a packet.
    #[error("not a protected packet")]
    Malformed,
    /// Packets from more sources than [`SOURCES_MAX`].
    #[error("too many sources in one call")]
    TooManySources,
    /// Forged, changed or replayed, or the keys are used up.
    #[error("media protection failed: {0}")]
    Protection(#[from] webrtc_srtp::Error),
}

/// Sources that one call may have in its life: a source changes at a collision or a restart,
/// which are rare; none is ever forgotten, because its packets could be replayed then.
pub const SOURCES_MAX: usize = 8;

/// Packets that may overtake another and not make it count as replayed: 20 s of sound.
const REPLAY_WINDOW: usize = 1024;

impl Profile {
    /// The profile of a DTLS `use_srtp` number, if we know it.
    pub fn from_code(code: u16) -> Option<Self> {
        match code {
            0x0001 => Some(Self::Aes128CmHmacSha1_80),
            0x0007 => Some(Self::AeadAes128Gcm),
            0x0008 => Some(Self::AeadAes256Gcm),
            _ => None,
        }
    }

    /// Bytes that the DTLS exporter must give: two keys and two salts.
    pub fn keying_length(self) -> usize {
        2 * (self.key_length() + self.salt_length())
    }

    fn key_length(self) -> usize {
        match self {
            Self::Aes128CmHmacSha1_80 | Self::AeadAes128Gcm => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    fn salt_length(self) -> usize {
        match self {
            Self::Aes128CmHmacSha1_80 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }

    fn wire(self) -> ProtectionProfile {
        match self {
            Self::Aes128CmHmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
            Self::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
            Self::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
        }
    }
}

impl SrtpSession {
    /// The encryption for exported `keying`, laid out as client key, server key, client salt,
    /// server salt (RFC 5764 §4.2).
    ///
    /// # Errors
    /// `keying` has not [`Profile::keying_length`] bytes.
    pub fn new(profile: Profile, keying: &[u8], role: DtlsRole) -> Result<Self, SrtpError> {
        let expected = profile.keying_length();
        if keying.len() != expected {
            return Err(SrtpError::KeyLength { expected, actual: keying.len() });
        }
        let (keys, salts) = keying.split_at(2 * profile.key_length());
        let (client_key, server_key) = keys.split_at(profile.key_length());
        let (client_salt, server_salt) = salts.split_at(profile.salt_length());
        let client = (client_key, client_salt);
        let server = (server_key, server_salt);
        let (ours, theirs) = match role {
            DtlsRole::Client => (client, server),
            DtlsRole::Server => (server, client),
        };
        Ok(Self {
            profile,
            outbound: context(profile, ours.0, ours.1)?,
            inbound_key: theirs.0.to_vec(),
            inbound_salt: theirs.1.to_vec(),
            inbound: BTreeMap::new(),
        })
    }

    /// Encrypts an RTP packet.
    ///
    /// # Errors
    /// Not an RTP packet, or 2^48 packets have been sent.
    pub fn protect_rtp(&mut self, packet: &[u8]) -> Result<Bytes, SrtpError> {
        Ok(self.outbound.encrypt_rtp(packet)?)
    }

    /// Encrypts a compound RTCP packet.
    ///
    /// # Errors
    /// Not an RTCP packet.
    pub fn protect_rtcp(&mut self, packet: &[u8]) -> Result<Bytes, SrtpError> {
        Ok(self.outbound.encrypt_rtcp(packet)?)
    }

    /// Decrypts an RTP packet that is authentic and new.
    ///
    /// # Errors
    /// Everything else.
    pub fn unprotect_rtp(&mut self, packet: &[u8]) -> Result<Bytes, SrtpError> {
        let source = packet.get(8..12).ok_or(SrtpError::Malformed)?;
        self.inbound(source, |context| context.decrypt_rtp(packet))
    }

    /// Decrypts a compound RTCP packet that is authentic and new.
    ///
    /// # Errors
    /// Everything else.
    pub fn unprotect_rtcp(&mut self, packet: &[u8]) -> Result<Bytes, SrtpError> {
        // The index stands before the tag in RFC 3711 §3.4, behind it in RFC 7714 §9.2.
        let (behind, least) = match self.profile {
            Profile::Aes128CmHmacSha1_80 => (14, 8 + 14),
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => (4, 8 + 16 + 4),
        };
        if packet.len() < least {
            return Err(SrtpError::Malformed);
        }
        let index_at = packet.len() - behind;
        // The E bit (RFC 3711 §3.4): the library lets packets without it through unauthenticated.
        if packet[index_at] & 0x80 == 0 {
            return Err(SrtpError::Malformed);
        }
        self.inbound(&packet[4..8], |context| context.decrypt_rtcp(packet))
    }

    fn inbound(
        &mut self,
        source: &[u8],
        decrypt: impl FnOnce(&mut Context) -> Result<Bytes, webrtc_srtp::Error>,
    ) -> Result<Bytes, SrtpError> {
        let source = u32::from_be_bytes(source.try_into().map_err(|_| SrtpError::Malformed)?);
        if let Some(context) = self.inbound.get_mut(&source) {
            return Ok(decrypt(context)?);
        }
        if self.inbound.len() >= SOURCES_MAX {
            return Err(SrtpError::TooManySources);
        }
        let mut context = context(self.profile, &self.inbound_key, &self.inbound_salt)?;
        let packet = decrypt(&mut context)?;
        self.inbound.insert(source, context);
        Ok(packet)
    }
}

impl std::fmt::Debug for SrtpSession {
    /// Without the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpSession").field("profile", &self.profile).finish_non_exhaustive()
    }
}

fn context(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Context, webrtc_srtp::Error> {
    let rtp = srtp_replay_protection(REPLAY_WINDOW);
    let rtcp = srtcp_replay_protection(REPLAY_WINDOW);
    Context::new(key, salt, profile.wire(), Some(rtp), Some(rtcp))
}

/// What a datagram on a media port is (RFC 7983 §7, RFC 5761 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramKind {
    /// STUN: for ICE.
    Stun,
    /// DTLS: for the handshake.
    Dtls,
    /// TURN channel data.
    TurnChannel,
    /// RTP, encrypted or not.
    Rtp,
    /// RTCP, encrypted or not.
    Rtcp,
    /// Nothing that belongs here.
    Unknown,
}

impl DatagramKind {
    /// Looks at the first two bytes.
    pub fn of(datagram: &[u8]) -> Self {
        match datagram {
            [0..=3, ..] => Self::Stun,
            [20..=63, ..] => Self::Dtls,
            [64..=79, ..] => Self::TurnChannel,
            [128..=191, 192..=223, ..] => Self::Rtcp,
            [128..=191, _, ..] => Self::Rtp,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROFILES: [Profile; 3] =
        [Profile::Aes128CmHmacSha1_80, Profile::AeadAes128Gcm, Profile::AeadAes256Gcm];

    fn pair(profile: Profile) -> (SrtpSession, SrtpSession) {
        let keying: Vec<u8> = (0..profile.keying_length() as u8).collect();
        let session = |role| SrtpSession::new(profile, &keying, role).expect("right length");
        (session(DtlsRole::Client), session(DtlsRole::Server))
    }

    fn rtp(sequence: u16, source: u32) -> Vec<u8> {
        let mut packet = vec![0x80, 111];
        packet.extend(sequence.to_be_bytes());
        packet.extend([0, 0, 0, 1]);
        packet.extend(source.to_be_bytes());
        packet.extend(b"sound");
        packet
    }

    /// An empty receiver report.
    const RTCP: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 9];

    #[test]
    fn both_ways_and_both_kinds() {
        for profile in PROFILES {
            let (mut client, mut server) = pair(profile);
            let sealed = client.protect_rtp(&rtp(1, 9)).expect("a packet");
            assert_ne!(&sealed[12..17], b"sound");
            assert_eq!(server.unprotect_rtp(&sealed).expect("authentic"), rtp(1, 9));
            let sealed = server.protect_rtcp(&RTCP).expect("a packet");
            assert_eq!(client.unprotect_rtcp(&sealed).expect("authentic"), RTCP[..]);
        }
    }

    #[test]
    fn replayed_and_changed_packets_are_refused() {
        for profile in PROFILES {
            let (mut client, mut server) = pair(profile);
            let sealed = client.protect_rtp(&rtp(1, 9)).expect("a packet");
            for index in 0..sealed.len() {
                let mut changed = sealed.to_vec();
                changed[index] ^= 1;
                assert!(server.unprotect_rtp(&changed).is_err(), "byte {index}");
            }
            assert!(server.unprotect_rtp(&sealed).is_ok());
            assert!(server.unprotect_rtp(&sealed).is_err(), "a replay");
            let sealed = client.protect_rtcp(&RTCP).expect("a packet");
            for index in 0..sealed.len() {
                let mut changed = sealed.to_vec();
                changed[index] ^= 0x80;
                assert!(server.unprotect_rtcp(&changed).is_err(), "byte {index}");
            }
            assert!(server.unprotect_rtcp(&sealed).is_ok());
            assert!(server.unprotect_rtcp(&sealed).is_err(), "a replay");
        }
    }

    #[test]
    fn an_own_packet_sent_back_is_refused() {
        let (mut client, _) = pair(Profile::AeadAes128Gcm);
        let sealed = client.protect_rtp(&rtp(1, 9)).expect("a packet");
        assert!(client.unprotect_rtp(&sealed).is_err());
    }

    #[test]
    fn the_sequence_number_wraps() {
        for profile in PROFILES {
            let (mut client, mut server) = pair(profile);
            for sequence in (65_000..=u16::MAX).chain(0..1000) {
                let sealed = client.protect_rtp(&rtp(sequence, 9)).expect("a packet");
                assert!(server.unprotect_rtp(&sealed).is_ok(), "{sequence}");
            }
        }
    }

    #[test]
    fn forged_sources_leave_no_trace_and_real_ones_are_bounded() {
        let (mut client, mut server) = pair(Profile::AeadAes128Gcm);
        for source in 0..10_000 {
            assert!(server.unprotect_rtp(&rtp(1, source)).is_err());
        }
        assert!(server.inbound.is_empty());
        for source in 0..20 {
            let sealed = client.protect_rtp(&rtp(1, source)).expect("a packet");
            let is_let_in = server.unprotect_rtp(&sealed).is_ok();
            assert_eq!(is_let_in, (source as usize) < SOURCES_MAX);
        }
    }

    #[test]
    fn keys_of_a_wrong_length_are_refused() {
        let keys = SrtpSession::new(Profile::AeadAes128Gcm, &[0; 60], DtlsRole::Client);
        assert!(matches!(keys, Err(SrtpError::KeyLength { expected: 56, actual: 60 })));
    }

    #[test]
    fn datagrams_are_told_apart() {
        let kinds = [
            (&[0, 1][..], DatagramKind::Stun),
            (&[22, 254], DatagramKind::Dtls),
            (&[64, 0], DatagramKind::TurnChannel),
            (&[0x80, 111], DatagramKind::Rtp),
            (&[0x80, 0x80 | 111], DatagramKind::Rtp),
            (&[0x80, 200], DatagramKind::Rtcp),
            (&[0x81, 203], DatagramKind::Rtcp),
            (&[16, 0], DatagramKind::Unknown),
            (&[255, 0], DatagramKind::Unknown),
            (&[], DatagramKind::Unknown),
        ];
        for (datagram, kind) in kinds {
            assert_eq!(DatagramKind::of(datagram), kind, "{datagram:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            for profile in PROFILES {
                let (_, mut server) = pair(profile);
                prop_assert!(server.unprotect_rtp(&bytes).is_err());
                prop_assert!(server.unprotect_rtcp(&bytes).is_err());
                if let [first, second, ..] = &mut bytes[..] {
                    (*first, *second) = (0x80 | *first, 200);
                }
                prop_assert!(server.unprotect_rtcp(&bytes).is_err());
            }
        }
    }
}
