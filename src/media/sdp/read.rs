//! From text to meaning.

use std::io::Cursor;

use ::sdp::description::media as wire;
use ::sdp::description::session::SessionDescription;

use super::{
    Direction, DtlsRole, MediaDescription, Negotiated, OpusWish, Origin, PayloadTypes, SdpError,
    Setup, facing, limits, write,
};
use crate::media::SAMPLE_RATE;

/// An offer that can be answered.
#[derive(Clone, Debug)]
pub struct Offer {
    streams: Vec<wire::MediaName>,
    chosen: usize,
    stream: Stream,
}

/// A usable audio stream of a description.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) description: MediaDescription,
    pub(super) opus: OpusWish,
    mid: Option<String>,
}

impl Offer {
    /// Reads an offer and picks the first audio stream that we can use.
    ///
    /// # Errors
    /// The text is broken, or none of its streams can be used; the error is that of the first
    /// audio stream.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        let session = parse(text)?;
        let mut first_error = None;
        for (chosen, media) in session.media_descriptions.iter().enumerate() {
            match stream(&session, media) {
                Ok(stream) => {
                    let streams =
                        session.media_descriptions.iter().map(|m| m.media_name.clone()).collect();
                    return Ok(Self { streams, chosen, stream });
                }
                Err(SdpError::NoAudio) => {}
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or(SdpError::NoAudio))
    }

    /// The offered stream, for ICE to begin with.
    pub fn remote(&self) -> &MediaDescription {
        &self.stream.description
    }

    /// Accepts the offer with this stream of ours. The payload type is the offer's, whatever
    /// `local` says (RFC 3264 §6.1); an offer that leaves the choice makes us the DTLS client
    /// unless `local` wishes to be passive (RFC 5763 §5).
    pub fn answer(&self, origin: Origin, local: &MediaDescription) -> (String, Negotiated) {
        let remote = &self.stream.description;
        let setup = match (remote.setup, local.setup) {
            (Setup::Active, _) | (Setup::ActPass, Setup::Passive) => Setup::Passive,
            _ => Setup::Active,
        };
        let direction = facing(local.direction, remote.direction);
        let payload_type = remote.opus_payload_type;
        let copies = remote.copies_payload_type.filter(|_| local.copies_payload_type.is_some());
        let telephone_event = remote.telephone_event.filter(|_| local.telephone_event.is_some());
        let ours = MediaDescription {
            setup,
            direction,
            opus_payload_type: payload_type,
            copies_payload_type: copies,
            telephone_event,
            ..local.clone()
        };
        let streams = self.streams.iter().enumerate().map(|(index, name)| {
            if index == self.chosen {
                write::audio(&ours, Some(&name.protos), self.stream.mid.as_deref())
            } else {
                write::refused(name)
            }
        });
        let text = write::description(origin, streams.collect());
        let negotiated = Negotiated {
            remote: remote.clone(),
            dtls_role: if setup == Setup::Active { DtlsRole::Client } else { DtlsRole::Server },
            send_payload_type: payload_type,
            receive_payload_type: payload_type,
            copies: copies.map(|number| PayloadTypes { send: number, receive: number }),
            send_telephone_event: telephone_event,
            receive_telephone_event: telephone_event,
            opus: self.stream.opus,
            direction,
        };
        (text, negotiated)
    }
}

/// The stream of an answer to an offer of ours, which had one.
pub(super) fn answered_stream(text: &str) -> Result<Stream, SdpError> {
    let session = parse(text)?;
    let [media] = &session.media_descriptions[..] else {
        return Err(SdpError::Refused);
    };
    if media.media_name.port.value == 0 {
        return Err(SdpError::Refused);
    }
    stream(&session, media)
}

pub(super) fn parse(text: &str) -> Result<SessionDescription, SdpError> {
    if text.len() > limits::TEXT_MAX {
        return Err(SdpError::TooLong(text.len()));
    }
    let session =
        SessionDescription::unmarshal(&mut Cursor::new(text)).map_err(SdpError::Malformed)?;
    if session.media_descriptions.len() > limits::STREAMS_MAX {
        return Err(SdpError::BadAttribute("m="));
    }
    Ok(session)
}

/// The meaning of one stream; [`SdpError::NoAudio`] if it is of another sort.
fn stream(
    session: &SessionDescription,
    media: &wire::MediaDescription,
) -> Result<Stream, SdpError> {
    let name = &media.media_name;
    let protos: Vec<&str> = name.protos.iter().map(String::as_str).collect();
    let is_usable = name.media == "audio"
        && name.port.value != 0
        && matches!(protos[..], ["UDP", "TLS", "RTP", "SAVP" | "SAVPF"]);
    if !is_usable {
        return Err(SdpError::NoAudio);
    }
    let lines = Lines { session, media };
    let (opus_payload_type, opus) = opus(&lines)?;
    let fingerprint = fingerprint(&lines)?;
    let ice_ufrag = lines.text("ice-ufrag")?.ok_or(SdpError::NoIce)?;
    let ice_pwd = lines.text("ice-pwd")?.ok_or(SdpError::NoIce)?;
    if lines.own("rtcp-mux").next().is_none() {
        return Err(SdpError::NoRtcpMux);
    }
    let candidates = lines.own("candidate").flatten().filter(|c| c.len() <= limits::FIELD_MAX);
    let candidates = candidates.take(limits::CANDIDATES_MAX).map(String::from).collect();
    let description = MediaDescription {
        ice_ufrag,
        ice_pwd,
        candidates,
        fingerprint,
        setup: setup(&lines)?,
        opus_payload_type,
        copies_payload_type: copies(&lines, opus_payload_type),
        telephone_event: telephone_event(&lines, SAMPLE_RATE),
        direction: direction(&lines),
        recording: recording(&lines),
    };
    Ok(Stream { description, opus, mid: lines.text("mid")? })
}

/// The attribute lines of a stream, and behind them those of the session.
pub(super) struct Lines<'a> {
    pub(super) session: &'a SessionDescription,
    pub(super) media: &'a wire::MediaDescription,
}

impl<'a> Lines<'a> {
    /// The values of the stream's own lines of this name.
    pub(super) fn own(&self, key: &'a str) -> impl Iterator<Item = Option<&'a str>> {
        let lines = self.media.attributes.iter().filter(move |a| a.key == key);
        lines.map(|a| a.value.as_deref())
    }

    /// The values of the stream's lines, then of the session's.
    fn all(&self, key: &'a str) -> impl Iterator<Item = Option<&'a str>> {
        let session = self.session.attributes.iter().filter(move |a| a.key == key);
        self.own(key).chain(session.map(|a| a.value.as_deref()))
    }

    /// The first of the stream's formats that is mapped to this encoding.
    fn format(&self, encoding: &str) -> Option<&'a String> {
        let is_it = |format: &&String| {
            self.encoding(format).is_some_and(|name| name.eq_ignore_ascii_case(encoding))
        };
        self.media.media_name.formats.iter().find(is_it)
    }

    /// What a format is mapped to.
    pub(super) fn encoding(&self, format: &str) -> Option<&'a str> {
        let mut maps = self.own("rtpmap").flatten().filter_map(|map| map.split_once(' '));
        maps.find(|(number, _)| *number == format).map(|(_, name)| name.trim())
    }

    /// The value of the first such line, of bounded length.
    fn text(&self, key: &'static str) -> Result<Option<String>, SdpError> {
        let Some(value) = self.all(key).next() else { return Ok(None) };
        let value = value.map(str::trim).filter(|v| !v.is_empty() && v.len() <= limits::FIELD_MAX);
        value.map(|v| Some(v.into())).ok_or(SdpError::BadAttribute(key))
    }
}

/// The payload type of copies of Opus frames (RFC 2198 §5).
fn copies(lines: &Lines<'_>, opus: u8) -> Option<u8> {
    let format = lines.format("red/48000/2")?;
    let mut parameters = lines.own("fmtp").flatten().filter_map(|line| line.split_once(' '));
    let opus = opus.to_string();
    let is_of_opus = parameters
        .find(|(number, _)| number == format)
        .is_none_or(|(_, formats)| formats.trim().split('/').all(|number| number == opus));
    format.parse().ok().filter(|number| is_of_opus && *number < 128)
}

/// The payload type of the first Opus among the stream's formats, and its parameters.
fn opus(lines: &Lines<'_>) -> Result<(u8, OpusWish), SdpError> {
    // RFC 7587 §7: always 48000 and 2, whatever is really sent.
    let format = lines.format("opus/48000/2").ok_or(SdpError::NoCommonCodec)?;
    let payload_type = format.parse().ok().filter(|t| *t < 128);
    let payload_type = payload_type.ok_or(SdpError::BadAttribute("m="))?;
    Ok((payload_type, opus_wish(lines, format)))
}

/// What the writer asks of Opus under this number.
pub(super) fn opus_wish(lines: &Lines<'_>, format: &str) -> OpusWish {
    let mut wish = OpusWish { in_band_fec: false, dtx: false, bitrate_max: None };
    let parameters = lines.own("fmtp").flatten().filter_map(|line| line.split_once(' '));
    let parameters = parameters.filter(|(number, _)| *number == format).map(|(_, text)| text);
    for (name, value) in
        parameters.flat_map(|text| text.split(';')).filter_map(|p| p.split_once('='))
    {
        match name.trim() {
            "useinbandfec" => wish.in_band_fec = value.trim() == "1",
            "usedtx" => wish.dtx = value.trim() == "1",
            "maxaveragebitrate" => wish.bitrate_max = value.trim().parse().ok(),
            _ => {}
        }
    }
    wish
}

/// The payload type of the first telephone events in this clock, which is that of the codec
/// (RFC 4733 §2.1). All that take any take the sixteen keys (§2.4.1).
pub(super) fn telephone_event(lines: &Lines<'_>, clock_rate: u32) -> Option<u8> {
    let format = lines.format(&format!("telephone-event/{clock_rate}"))?;
    format.parse().ok().filter(|number| *number < 128)
}

/// The first SHA-256 fingerprint (RFC 8122 §5).
fn fingerprint(lines: &Lines<'_>) -> Result<[u8; 32], SdpError> {
    let mut values = lines.all("fingerprint").flatten().filter_map(|v| v.split_once(' '));
    let (_, text) = values
        .find(|(function, _)| function.eq_ignore_ascii_case("sha-256"))
        .ok_or(SdpError::NoFingerprint)?;
    let bad = || SdpError::BadAttribute("fingerprint");
    let bytes = text.trim().split(':').map(|byte| {
        (byte.len() == 2).then(|| u8::from_str_radix(byte, 16).ok()).flatten().ok_or_else(bad)
    });
    bytes.collect::<Result<Vec<u8>, _>>()?.try_into().map_err(|_| bad())
}

/// Whether the writer records the call. Whoever says what they prefer knows of recording as well
/// (RFC 7866 §6.1.2, §6.2.2).
fn recording(lines: &Lines<'_>) -> Option<bool> {
    let state = lines.all("record").flatten().next().map(|state| state.trim() == "on");
    state.or_else(|| lines.all("recordpref").next().map(|_| false))
}

/// Who opens DTLS; without the line, whoever wrote the description does (RFC 4145 §4.1).
fn setup(lines: &Lines<'_>) -> Result<Setup, SdpError> {
    match lines.text("setup")?.as_deref() {
        None | Some("active") => Ok(Setup::Active),
        Some("passive") => Ok(Setup::Passive),
        Some("actpass") => Ok(Setup::ActPass),
        Some(_) => Err(SdpError::BadAttribute("setup")),
    }
}

/// Which way the writer wants sound to flow; both without a line (RFC 8866 §6.7).
pub(super) fn direction(lines: &Lines<'_>) -> Direction {
    let words = [
        ("sendrecv", Direction::SendRecv),
        ("sendonly", Direction::SendOnly),
        ("recvonly", Direction::RecvOnly),
        ("inactive", Direction::Inactive),
    ];
    let own = words.iter().find(|(word, _)| lines.own(word).next().is_some());
    let found = own.or_else(|| words.iter().find(|(word, _)| lines.all(word).next().is_some()));
    found.map_or(Direction::SendRecv, |(_, direction)| *direction)
}
