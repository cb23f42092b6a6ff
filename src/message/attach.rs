//! Attach (RFC 6940 §6.5.1) and AppAttach (§6.5.2), and the candidates that both carry.

use std::net::{IpAddr, SocketAddr};

use crate::base::{Decode, DecodeError, Encode, Reader, Writer};

/// Request for a link, and the answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attach {
    /// ICE user fragment.
    pub ufrag: Vec<u8>,
    /// ICE password.
    pub password: Vec<u8>,
    /// [`ROLE_PASSIVE`] in a request, [`ROLE_ACTIVE`] in its answer.
    pub role: Vec<u8>,
    /// Where the sender may be reached.
    pub candidates: Vec<IceCandidate>,
    /// Whether the receiver is to send an Update once the link is up.
    pub send_update: bool,
}

/// The role of who sends a request: it waits for the other's ClientHello (§6.5.1.13).
pub const ROLE_PASSIVE: &[u8] = b"passive";
/// The role of who answers.
pub const ROLE_ACTIVE: &[u8] = b"active";

impl Encode for Attach {
    fn encode(&self, writer: &mut Writer) {
        writer.vec8(|w| w.bytes(&self.ufrag));
        writer.vec8(|w| w.bytes(&self.password));
        writer.vec8(|w| w.bytes(&self.role));
        writer.vec16(|w| w.list(&self.candidates));
        writer.bool(self.send_update);
    }
}

impl Decode for Attach {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            ufrag: reader.opaque8()?.to_vec(),
            password: reader.opaque8()?.to_vec(),
            role: reader.opaque8()?.to_vec(),
            candidates: candidates(reader)?,
            send_update: reader.bool("send_update")?,
        })
    }
}

/// Request for a connection of an application, and the answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppAttach {
    /// ICE user fragment.
    pub ufrag: Vec<u8>,
    /// ICE password.
    pub password: Vec<u8>,
    /// Application-ID (§14.5): [`APPLICATION_SIP`] or [`APPLICATION_SIPS`] here.
    pub application: u16,
    /// As in [`Attach`].
    pub role: Vec<u8>,
    /// Where the sender may be reached.
    pub candidates: Vec<IceCandidate>,
}

/// Application-ID of SIP.
pub const APPLICATION_SIP: u16 = 5060;
/// Application-ID of SIPS.
pub const APPLICATION_SIPS: u16 = 5061;

impl Encode for AppAttach {
    fn encode(&self, writer: &mut Writer) {
        writer.vec8(|w| w.bytes(&self.ufrag));
        writer.vec8(|w| w.bytes(&self.password));
        writer.u16(self.application);
        writer.vec8(|w| w.bytes(&self.role));
        writer.vec16(|w| w.list(&self.candidates));
    }
}

impl Decode for AppAttach {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            ufrag: reader.opaque8()?.to_vec(),
            password: reader.opaque8()?.to_vec(),
            application: reader.u16()?,
            role: reader.opaque8()?.to_vec(),
            candidates: candidates(reader)?,
        })
    }
}

/// One way to reach a node (§6.5.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceCandidate {
    /// The candidate's address.
    pub address: SocketAddr,
    /// [`OVERLAY_LINK_DTLS_UDP_SR`] or another OverlayLinkType.
    pub overlay_link: u8,
    /// ICE foundation.
    pub foundation: Vec<u8>,
    /// ICE priority.
    pub priority: u32,
    /// Host, reflexive or relayed.
    pub candidate_type: CandidateType,
    /// For reflexive and relayed candidates, the address that they were made from.
    pub related_address: Option<SocketAddr>,
    /// Extensions, kept as they came.
    pub extensions: Vec<(Vec<u8>, Vec<u8>)>,
}

impl IceCandidate {
    /// Whether the candidate is for ICE or for a connection without, if its OverlayLinkType is
    /// one that we know.
    pub fn uses_ice(&self) -> Option<bool> {
        match self.overlay_link {
            OVERLAY_LINK_DTLS_UDP_SR => Some(true),
            OVERLAY_LINK_DTLS_UDP_SR_NO_ICE | OVERLAY_LINK_TLS_TCP_FH_NO_ICE => Some(false),
            _ => None,
        }
    }
}

/// OverlayLinkType of DTLS over UDP with simple reliability, on ICE.
pub const OVERLAY_LINK_DTLS_UDP_SR: u8 = 1;
/// OverlayLinkType of DTLS over UDP with simple reliability, without ICE.
pub const OVERLAY_LINK_DTLS_UDP_SR_NO_ICE: u8 = 3;
/// OverlayLinkType of TLS over TCP with the framing header, without ICE.
pub const OVERLAY_LINK_TLS_TCP_FH_NO_ICE: u8 = 4;

/// What a candidate is (§6.5.1.1); peer-reflexive ones are never signalled (T-14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateType {
    /// An address of the node itself.
    Host,
    /// The address that a STUN server sees.
    ServerReflexive,
    /// An address on a relay.
    Relay,
    /// A type that we do not know.
    Unknown(u8),
}

impl CandidateType {
    fn code(self) -> u8 {
        match self {
            Self::Host => 1,
            Self::ServerReflexive => 2,
            Self::Relay => 4,
            Self::Unknown(code) => code,
        }
    }

    fn has_related_address(self) -> bool {
        matches!(self, Self::ServerReflexive | Self::Relay)
    }
}

impl From<u8> for CandidateType {
    fn from(code: u8) -> Self {
        match code {
            1 => Self::Host,
            2 => Self::ServerReflexive,
            4 => Self::Relay,
            code => Self::Unknown(code),
        }
    }
}

impl Encode for IceCandidate {
    fn encode(&self, writer: &mut Writer) {
        encode_address(self.address, writer);
        writer.u8(self.overlay_link);
        writer.vec8(|w| w.bytes(&self.foundation));
        writer.u32(self.priority);
        writer.u8(self.candidate_type.code());
        if self.candidate_type.has_related_address() {
            encode_address(self.related_address.unwrap_or(self.address), writer);
        }
        writer.vec16(|w| {
            for (name, value) in &self.extensions {
                w.vec16(|w| w.bytes(name));
                w.vec16(|w| w.bytes(value));
            }
        });
    }
}

/// An address as IpAddressPort (§6.3.1.1).
pub fn encode_address(address: SocketAddr, writer: &mut Writer) {
    match address.ip() {
        IpAddr::V4(ip) => {
            writer.u8(ADDRESS_IPV4);
            writer.vec8(|w| {
                w.bytes(&ip.octets());
                w.u16(address.port());
            });
        }
        IpAddr::V6(ip) => {
            writer.u8(ADDRESS_IPV6);
            writer.vec8(|w| {
                w.bytes(&ip.octets());
                w.u16(address.port());
            });
        }
    }
}

/// An IpAddressPort; `None` for an address type that we do not know, as its length lets us pass
/// over it.
pub fn decode_address(reader: &mut Reader<'_>) -> Result<Option<SocketAddr>, DecodeError> {
    let address_type = reader.u8()?;
    let data = reader.opaque8()?;
    let mut data = reader.nested(data);
    let ip: IpAddr = match address_type {
        ADDRESS_IPV4 => data.array::<4>()?.into(),
        ADDRESS_IPV6 => data.array::<16>()?.into(),
        _ => return Ok(None),
    };
    let port = data.u16()?;
    data.end("address")?;
    Ok(Some(SocketAddr::new(ip, port)))
}

/// All candidates with addresses of types that we know; the rest of the list survives the others.
fn candidates(reader: &mut Reader<'_>) -> Result<Vec<IceCandidate>, DecodeError> {
    let list = reader.opaque16()?;
    let mut list = reader.nested(list);
    let mut candidates = Vec::new();
    while !list.is_empty() {
        candidates.extend(candidate(&mut list)?);
    }
    Ok(candidates)
}

fn candidate(reader: &mut Reader<'_>) -> Result<Option<IceCandidate>, DecodeError> {
    let address = decode_address(reader)?;
    let overlay_link = reader.u8()?;
    let foundation = reader.opaque8()?.to_vec();
    let priority = reader.u32()?;
    let candidate_type = CandidateType::from(reader.u8()?);
    // One of an unknown type counts as the candidate's own, which is what we write for none.
    let related_address = match candidate_type.has_related_address() {
        true => decode_address(reader)?.or(address),
        false => None,
    };
    let extension_bytes = reader.opaque16()?;
    let mut nested = reader.nested(extension_bytes);
    let mut extensions = Vec::new();
    while !nested.is_empty() {
        extensions.push((nested.opaque16()?.to_vec(), nested.opaque16()?.to_vec()));
    }
    Ok(address.map(|address| IceCandidate {
        address,
        overlay_link,
        foundation,
        priority,
        candidate_type,
        related_address,
        extensions,
    }))
}

const ADDRESS_IPV4: u8 = 1;
const ADDRESS_IPV6: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> IceCandidate {
        IceCandidate {
            address: "192.0.2.1:6084".parse().expect("address"),
            overlay_link: OVERLAY_LINK_DTLS_UDP_SR,
            foundation: b"1".to_vec(),
            priority: 0x7eff_ffff,
            candidate_type: CandidateType::Host,
            related_address: None,
            extensions: Vec::new(),
        }
    }

    fn attach(candidates: Vec<IceCandidate>) -> Attach {
        Attach {
            ufrag: b"ufrg".to_vec(),
            password: b"password1234567890123456".to_vec(),
            role: ROLE_PASSIVE.to_vec(),
            candidates,
            send_update: true,
        }
    }

    /// R6940-6.5.1.1-02: a host candidate has no related address, a reflexive one has.
    #[test]
    fn candidates_have_the_printed_layout() {
        let bytes = host().to_bytes().expect("short");
        assert_eq!(hex::encode(&bytes), "0106c000020117c40101317effffff010000");
        let reflexive = IceCandidate {
            candidate_type: CandidateType::ServerReflexive,
            related_address: Some("10.0.0.1:6084".parse().expect("address")),
            ..host()
        };
        let bytes = reflexive.to_bytes().expect("short");
        assert_eq!(hex::encode(&bytes[15..]), "0201060a00000117c40000");
        let both = attach(vec![host(), reflexive]);
        assert_eq!(Attach::from_bytes(&both.to_bytes().expect("short")), Ok(both));
    }

    /// R6940-6.3.1.1-03: a candidate with an unknown address type is passed over.
    #[test]
    fn an_unknown_address_type_costs_one_candidate() {
        let mut bytes = attach(vec![host(), host()]).to_bytes().expect("short");
        let at = bytes.windows(2).position(|w| w == [1, 6]).expect("an address");
        bytes[at] = 9;
        assert_eq!(Attach::from_bytes(&bytes), Ok(attach(vec![host()])));
    }

    /// R6940-6.3.1.1-04: a Boolean is 0 or 1.
    #[test]
    fn send_update_is_0_or_1() {
        let mut bytes = attach(Vec::new()).to_bytes().expect("short");
        *bytes.last_mut().expect("not empty") = 2;
        assert_eq!(Attach::from_bytes(&bytes), Err(DecodeError::Invalid("send_update")));
    }

    /// R6940-6.5.2-01: AppAttach has an Application-ID and no send_update.
    #[test]
    fn app_attach_differs_by_one_byte() {
        let attach = attach(vec![host()]);
        let app = AppAttach {
            ufrag: attach.ufrag.clone(),
            password: attach.password.clone(),
            application: APPLICATION_SIP,
            role: attach.role.clone(),
            candidates: attach.candidates.clone(),
        };
        let bytes = app.to_bytes().expect("short");
        assert_eq!(bytes.len(), attach.to_bytes().expect("short").len() + 1);
        assert_eq!(AppAttach::from_bytes(&bytes), Ok(app));
    }
}
