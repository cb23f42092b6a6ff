//! From meaning to text.

use ::sdp::description::common::{Address, Attribute, ConnectionInformation};
use ::sdp::description::media as wire;
use ::sdp::description::session::{self, SessionDescription, TimeDescription, Timing};

use super::{Direction, MediaDescription, Origin, Setup};

/// A whole description of these streams.
pub(super) fn description(origin: Origin, streams: Vec<wire::MediaDescription>) -> String {
    let session = SessionDescription {
        version: 0,
        origin: session::Origin {
            username: "-".into(),
            session_id: origin.session_id & (u64::MAX >> 2),
            session_version: origin.version,
            network_type: "IN".into(),
            address_type: "IP4".into(),
            // Names no host: the candidates do that (RFC 8866 §5.2 leaves the choice).
            unicast_address: "0.0.0.0".into(),
        },
        session_name: "-".into(),
        session_information: None,
        uri: None,
        email_address: None,
        phone_number: None,
        connection_information: None,
        bandwidth: Vec::new(),
        time_descriptions: vec![TimeDescription {
            timing: Timing { start_time: 0, stop_time: 0 },
            repeat_times: Vec::new(),
        }],
        time_zones: Vec::new(),
        encryption_key: None,
        attributes: Vec::new(),
        media_descriptions: streams,
    };
    session.marshal()
}

/// The audio stream, in an answer with the protocol and the `mid` of the offer.
pub(super) fn audio(
    local: &MediaDescription,
    protos: Option<&[String]>,
    mid: Option<&str>,
) -> wire::MediaDescription {
    let payload_type = local.opus_payload_type;
    let (address, port) = default_destination(&local.candidates);
    let default_protos = ["UDP", "TLS", "RTP", "SAVP"].map(String::from);
    let mut attributes = Vec::new();
    let mut add = |key: &str, value: Option<String>| {
        attributes.push(Attribute::new(key.into(), value));
    };
    if let Some(mid) = mid {
        add("mid", Some(mid.into()));
    }
    add("rtpmap", Some(format!("{payload_type} opus/48000/2")));
    add("fmtp", Some(format!("{payload_type} minptime=10;useinbandfec=1;usedtx=1")));
    let mut formats = vec![payload_type.to_string()];
    if let Some(number) = local.copies_payload_type {
        add("rtpmap", Some(format!("{number} red/48000/2")));
        add("fmtp", Some(format!("{number} {payload_type}/{payload_type}")));
        formats.push(number.to_string());
    }
    if let Some(number) = local.telephone_event {
        add("rtpmap", Some(format!("{number} telephone-event/48000")));
        add("fmtp", Some(format!("{number} 0-15")));
        formats.push(number.to_string());
    }
    add("ptime", Some("20".into()));
    add(direction_word(local.direction), None);
    if let Some(is_recorded) = local.recording {
        add("record", Some(if is_recorded { "on" } else { "off" }.into()));
    }
    add("rtcp-mux", None);
    // RFC 3611 §5.1.
    add("rtcp-xr", Some("pkt-loss-rle voip-metrics".into()));
    add("setup", Some(setup_word(local.setup).into()));
    add("fingerprint", Some(format!("sha-256 {}", colon_hex(&local.fingerprint))));
    add("ice-ufrag", Some(local.ice_ufrag.clone()));
    add("ice-pwd", Some(local.ice_pwd.clone()));
    for candidate in local.candidates.iter().filter(|c| !c.contains(char::is_control)) {
        add("candidate", Some(candidate.clone()));
    }
    add("end-of-candidates", None);
    let protos = protos.unwrap_or(&default_protos).to_vec();
    stream((address, port), protos, formats, attributes)
}

/// A stream of sound that is received at an address.
pub(super) fn stream(
    (address, port): (String, isize),
    protos: Vec<String>,
    formats: Vec<String>,
    attributes: Vec<Attribute>,
) -> wire::MediaDescription {
    let address_type = if address.contains(':') { "IP6" } else { "IP4" };
    wire::MediaDescription {
        media_name: wire::MediaName {
            media: "audio".into(),
            port: wire::RangedPort { value: port, range: None },
            protos,
            formats,
        },
        media_title: None,
        connection_information: Some(ConnectionInformation {
            network_type: "IN".into(),
            address_type: address_type.into(),
            address: Some(Address { address, ttl: None, range: None }),
        }),
        bandwidth: Vec::new(),
        encryption_key: None,
        attributes,
    }
}

/// A stream of the offer that the answer refuses: port zero (RFC 3264 §6).
pub(super) fn refused(name: &wire::MediaName) -> wire::MediaDescription {
    let mut name = name.clone();
    name.port = wire::RangedPort { value: 0, range: None };
    wire::MediaDescription { media_name: name, ..Default::default() }
}

/// The address that someone without ICE would send to: the most reachable UDP candidate of
/// component 1, or port 9 if there is none (RFC 8839 §4.2.1.2).
fn default_destination(candidates: &[String]) -> (String, isize) {
    let rank = |kind: &str| match kind {
        "relay" => 3,
        "srflx" => 2,
        _ => 1,
    };
    let parse = |text: &String| {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [_, "1", transport, _, address, port, "typ", kind, ..] = fields[..] else {
            return None;
        };
        let address: std::net::IpAddr = address.parse().ok()?;
        let port: u16 = port.parse().ok()?;
        (transport.eq_ignore_ascii_case("udp") && port != 0).then(|| {
            (rank(kind), address.is_ipv4(), address.to_string(), isize::try_from(port).unwrap_or(9))
        })
    };
    candidates
        .iter()
        .filter_map(parse)
        .max_by_key(|(rank, is_ipv4, ..)| (*rank, *is_ipv4))
        .map_or_else(|| ("0.0.0.0".into(), 9), |(_, _, address, port)| (address, port))
}

pub(super) fn direction_word(direction: Direction) -> &'static str {
    match direction {
        Direction::SendRecv => "sendrecv",
        Direction::SendOnly => "sendonly",
        Direction::RecvOnly => "recvonly",
        Direction::Inactive => "inactive",
    }
}

fn setup_word(setup: Setup) -> &'static str {
    match setup {
        Setup::ActPass => "actpass",
        Setup::Active => "active",
        Setup::Passive => "passive",
    }
}

/// The form of RFC 8122 §5: upper-case bytes between colons.
fn colon_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":")
}
