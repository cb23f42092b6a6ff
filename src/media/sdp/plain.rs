//! Sound on bare RTP (`RTP/AVP`, RFC 3551): descriptions for phones that know neither ICE nor the
//! encryption of media. Nobody on the way is kept from listening.

use std::net::{IpAddr, SocketAddr};

use ::sdp::description::common::Attribute;
use ::sdp::description::media as wire;

use super::read::{self, Lines};
use super::write::{self, direction_word};
use super::{
    Direction, OPUS_PAYLOAD_TYPE, OpusWish, Origin, PayloadTypes, SdpError,
    TELEPHONE_EVENT_PAYLOAD_TYPE, facing,
};
use crate::media::{Codec, Format};

/// One side's audio stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainDescription {
    /// Where this side receives.
    pub address: SocketAddr,
    /// The codecs that this side takes, the one that it likes best first.
    pub formats: Vec<Format>,
    /// The clocks in which this side takes keys (RFC 4733 §2.1), each with its RTP payload type.
    pub telephone_events: Vec<TelephoneEvent>,
    /// Which way sound flows, seen from this side.
    pub direction: Direction,
    /// Whether this side takes RTCP on the port of RTP (RFC 5761).
    pub has_rtcp_mux: bool,
}

/// Keys of a telephone in the clock of a codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// Ticks in a second.
    pub clock_rate: u32,
    /// Its number in RTP.
    pub payload_type: u8,
}

/// What both sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainNegotiated {
    /// The other side's stream.
    pub remote: PlainDescription,
    /// What our sound is sent as.
    pub send: Format,
    /// What sound may come in as, the likeliest first.
    pub receive: Vec<Format>,
    /// The payload types of keys in the clock of what is sent, if both sides know them.
    pub digits: Option<PayloadTypes>,
    /// What our encoder has to heed.
    pub wish: OpusWish,
    /// Which way sound flows, seen from us.
    pub direction: Direction,
}

/// An offer that can be answered.
#[derive(Clone, Debug)]
pub struct PlainOffer {
    streams: Vec<wire::MediaName>,
    chosen: usize,
    remote: PlainDescription,
    wish: OpusWish,
}

impl PlainDescription {
    /// All that we know, heard at this address.
    pub fn ours(address: SocketAddr) -> Self {
        let event = |clock_rate, payload_type| TelephoneEvent { clock_rate, payload_type };
        Self {
            address,
            formats: Codec::ALL.map(|codec| Format { codec, payload_type: number(codec) }).to_vec(),
            telephone_events: vec![
                event(Codec::Opus.clock_rate(), TELEPHONE_EVENT_PAYLOAD_TYPE),
                event(Codec::Pcmu.clock_rate(), TELEPHONE_EVENT_8K_PAYLOAD_TYPE),
            ],
            direction: Direction::SendRecv,
            has_rtcp_mux: true,
        }
    }

    /// Makes what was agreed on keep its numbers in later offers (RFC 3264 §8.3.2).
    pub fn keep(&mut self, negotiated: &PlainNegotiated) {
        for format in &mut self.formats {
            let agreed = negotiated.receive.iter().find(|agreed| agreed.codec == format.codec);
            *format = agreed.copied().unwrap_or(*format);
        }
        let clock_rate = negotiated.send.codec.clock_rate();
        for event in self.telephone_events.iter_mut().filter(|e| e.clock_rate == clock_rate) {
            event.payload_type =
                negotiated.digits.map_or(event.payload_type, |types| types.receive);
        }
    }

    /// The text of an offer of this stream.
    pub fn offer(&self, origin: Origin) -> String {
        write::description(origin, vec![self.audio()])
    }

    /// Reads the answer to the offer of this stream.
    ///
    /// # Errors
    /// Whatever makes the answer unusable.
    pub fn accept(&self, answer: &str) -> Result<PlainNegotiated, SdpError> {
        let session = read::parse(answer)?;
        let [media] = &session.media_descriptions[..] else { return Err(SdpError::Refused) };
        if media.media_name.port.value == 0 {
            return Err(SdpError::Refused);
        }
        let (remote, wish) = stream(&Lines { session: &session, media })?;
        self.negotiated(remote, wish).ok_or(SdpError::NoCommonCodec)
    }

    /// What comes of the other side's answer to this, or of this as an answer.
    fn negotiated(&self, remote: PlainDescription, wish: OpusWish) -> Option<PlainNegotiated> {
        // The first of the answer is the one to use (RFC 3264 §7); the others may come as well.
        let send = *remote.formats.iter().find(|format| self.format(format.codec).is_some())?;
        let receive = remote.formats.iter().filter_map(|format| self.format(format.codec));
        let clock_rate = send.codec.clock_rate();
        let digits = remote.telephone_event(clock_rate).zip(self.telephone_event(clock_rate));
        Some(PlainNegotiated {
            send,
            receive: receive.collect(),
            digits: digits.map(|(send, receive)| PayloadTypes { send, receive }),
            wish,
            direction: facing(self.direction, remote.direction),
            remote,
        })
    }

    fn format(&self, codec: Codec) -> Option<Format> {
        self.formats.iter().find(|format| format.codec == codec).copied()
    }

    fn telephone_event(&self, clock_rate: u32) -> Option<u8> {
        let mut events = self.telephone_events.iter();
        events.find(|event| event.clock_rate == clock_rate).map(|event| event.payload_type)
    }

    fn audio(&self) -> wire::MediaDescription {
        let mut numbers = Vec::new();
        let mut attributes = Vec::new();
        let mut add = |key: &str, value: String| {
            attributes.push(Attribute::new(key.into(), Some(value)));
        };
        for Format { codec, payload_type } in &self.formats {
            numbers.push(payload_type.to_string());
            add("rtpmap", format!("{payload_type} {}", encoding(*codec)));
            if *codec == Codec::Opus {
                add("fmtp", format!("{payload_type} useinbandfec=1"));
            }
        }
        for TelephoneEvent { clock_rate, payload_type } in &self.telephone_events {
            numbers.push(payload_type.to_string());
            add("rtpmap", format!("{payload_type} telephone-event/{clock_rate}"));
            add("fmtp", format!("{payload_type} 0-15"));
        }
        attributes.push(Attribute::new("ptime".into(), Some("20".into())));
        attributes.push(Attribute::new(direction_word(self.direction).into(), None));
        if self.has_rtcp_mux {
            attributes.push(Attribute::new("rtcp-mux".into(), None));
        }
        let (address, port) =
            (self.address.ip().to_string(), isize::try_from(self.address.port()).unwrap_or(9));
        let protos = ["RTP", "AVP"].map(String::from).to_vec();
        write::stream((address, port), protos, numbers, attributes)
    }
}

impl PlainOffer {
    /// Reads an offer and picks the first audio stream that we can use.
    ///
    /// # Errors
    /// The text is broken, or none of its streams can be used.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        let session = read::parse(text)?;
        let mut first_error = None;
        for (chosen, media) in session.media_descriptions.iter().enumerate() {
            match stream(&Lines { session: &session, media }) {
                Ok((remote, wish)) => {
                    let names = session.media_descriptions.iter().map(|m| m.media_name.clone());
                    return Ok(Self { streams: names.collect(), chosen, remote, wish });
                }
                Err(SdpError::NoAudio) => {}
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or(SdpError::NoAudio))
    }

    /// Accepts the offer with this stream of ours: the codec that we like best, under the offer's
    /// payload types (RFC 3264 §6.1).
    ///
    /// # Errors
    /// There is no codec that both know.
    pub fn answer(
        &self,
        origin: Origin,
        local: &PlainDescription,
    ) -> Result<(String, PlainNegotiated), SdpError> {
        let remote = &self.remote;
        // Of the two laws the offer's first is the one that nobody on the way has to change.
        let best = match remote.format(Codec::Opus).filter(|o| local.format(o.codec).is_some()) {
            Some(opus) => opus,
            None => {
                let mut known = remote.formats.iter().filter(|f| local.format(f.codec).is_some());
                *known.next().ok_or(SdpError::NoCommonCodec)?
            }
        };
        let clock_rate = best.codec.clock_rate();
        let event = remote.telephone_event(clock_rate);
        let event = event.filter(|_| local.telephone_event(clock_rate).is_some());
        let event = event.map(|payload_type| TelephoneEvent { clock_rate, payload_type });
        let ours = PlainDescription {
            formats: vec![best],
            telephone_events: event.into_iter().collect(),
            direction: facing(local.direction, remote.direction),
            has_rtcp_mux: local.has_rtcp_mux && remote.has_rtcp_mux,
            ..local.clone()
        };
        let streams = self.streams.iter().enumerate().map(|(index, name)| {
            if index == self.chosen { ours.audio() } else { write::refused(name) }
        });
        let text = write::description(origin, streams.collect());
        let negotiated = ours.negotiated(remote.clone(), self.wish);
        Ok((text, negotiated.ok_or(SdpError::NoCommonCodec)?))
    }
}

/// The meaning of one stream; [`SdpError::NoAudio`] if it is of another sort.
fn stream(lines: &Lines<'_>) -> Result<(PlainDescription, OpusWish), SdpError> {
    let name = &lines.media.media_name;
    let protos: Vec<&str> = name.protos.iter().map(String::as_str).collect();
    let port = u16::try_from(name.port.value).unwrap_or(0);
    if name.media != "audio" || port == 0 || !matches!(protos[..], ["RTP", "AVP" | "AVPF"]) {
        return Err(SdpError::NoAudio);
    }
    let (formats, wish) = formats(lines)?;
    let own = lines.media.connection_information.as_ref();
    let connection = own.or(lines.session.connection_information.as_ref());
    let address = connection.and_then(|connection| connection.address.as_ref());
    let address: Option<IpAddr> = address.and_then(|address| address.address.parse().ok());
    let address = address.ok_or(SdpError::BadAttribute("c="))?;
    let direction = read::direction(lines);
    // An address of zeros was how a call was put on hold before there were directions (RFC 3264
    // §8.4).
    let receives = direction.receives() && !address.is_unspecified();
    let description = PlainDescription {
        address: SocketAddr::new(address, port),
        formats,
        telephone_events: telephone_events(lines),
        direction: Direction::from_flows(direction.sends(), receives),
        has_rtcp_mux: lines.own("rtcp-mux").next().is_some(),
    };
    Ok((description, wish))
}

/// The codecs that we know of a stream's, in its order.
fn formats(lines: &Lines<'_>) -> Result<(Vec<Format>, OpusWish), SdpError> {
    let mut wish = OpusWish { in_band_fec: false, dtx: false, bitrate_max: None };
    let mut formats = Vec::new();
    for text in &lines.media.media_name.formats {
        let payload_type = text.parse().ok().filter(|number| *number < 128);
        let payload_type = payload_type.ok_or(SdpError::BadAttribute("m="))?;
        let map = lines.encoding(text);
        let is_it = |codec: &&Codec| match map {
            Some(map) => {
                let name = encoding(**codec);
                // One channel need not be said (RFC 8866 §6.6).
                let map =
                    if name.matches('/').count() == 1 { map.trim_end_matches("/1") } else { map };
                map.eq_ignore_ascii_case(name)
            }
            // The numbers of old need no line (RFC 3551 §6).
            None => **codec != Codec::Opus && number(**codec) == payload_type,
        };
        let Some(codec) = Codec::ALL.iter().find(is_it).copied() else { continue };
        if codec == Codec::Opus {
            wish = read::opus_wish(lines, text);
        }
        if formats.iter().all(|format: &Format| format.codec != codec) {
            formats.push(Format { codec, payload_type });
        }
    }
    if formats.is_empty() {
        return Err(SdpError::NoCommonCodec);
    }
    Ok((formats, wish))
}

/// The keys that a stream takes in the clocks of our codecs.
fn telephone_events(lines: &Lines<'_>) -> Vec<TelephoneEvent> {
    let event = |clock_rate| {
        let payload_type = read::telephone_event(lines, clock_rate)?;
        Some(TelephoneEvent { clock_rate, payload_type })
    };
    [Codec::Opus, Codec::Pcmu].iter().filter_map(|codec| event(codec.clock_rate())).collect()
}

/// What `rtpmap` says of a codec (RFC 7587 §7, RFC 3551 §6).
fn encoding(codec: Codec) -> &'static str {
    match codec {
        Codec::Opus => "opus/48000/2",
        Codec::Pcmu => "PCMU/8000",
        Codec::Pcma => "PCMA/8000",
    }
}

/// The payload type that we offer for a codec (RFC 3551 §6).
fn number(codec: Codec) -> u8 {
    match codec {
        Codec::Opus => OPUS_PAYLOAD_TYPE,
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
    }
}

/// The payload type that we offer for keys beside the sound of a telephone.
const TELEPHONE_EVENT_8K_PAYLOAD_TYPE: u8 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> PlainDescription {
        PlainDescription::ours("192.0.2.1:4000".parse().expect("an address"))
    }

    const ORIGIN: Origin = Origin { session_id: 1, version: 1 };

    /// RFC 3264 §6.1: each side sends to where the other one receives, under the offer's numbers.
    #[test]
    fn two_sides_agree() {
        let theirs = PlainDescription {
            address: "192.0.2.2:6000".parse().expect("an address"),
            formats: vec![Format::opus(96)],
            telephone_events: Vec::new(),
            has_rtcp_mux: false,
            ..local()
        };
        let offer = PlainOffer::parse(&theirs.offer(ORIGIN)).expect("usable");
        let (answer, ours) = offer.answer(ORIGIN, &local()).expect("a codec");
        assert_eq!(ours.remote, theirs);
        assert_eq!((ours.send, ours.receive), (Format::opus(96), vec![Format::opus(96)]));
        assert_eq!((ours.digits, ours.direction), (None, Direction::SendRecv));
        let negotiated = theirs.accept(&answer).expect("usable");
        assert_eq!(negotiated.remote.address, local().address);
        assert!(!negotiated.remote.has_rtcp_mux, "only if both do");
    }

    /// An offer of this one codec, as an ordinary phone makes it.
    fn telephone(text: &str, codec: &str) -> String {
        let (session, _) = text.split_once("m=").expect("a stream");
        let number = if codec == "PCMU/8000" { 0 } else { 9 };
        format!(
            "{session}m=audio 4000 RTP/AVP {number} 97\r\nc=IN IP4 192.0.2.1\r\n\
             a=rtpmap:{number} {codec}\r\na=rtpmap:97 telephone-event/8000\r\n"
        )
    }

    /// RFC 3551 §6: a phone that knows no Opus is talked to in what it knows, with keys in that
    /// clock; numbers of old need no `rtpmap`. Opus is taken wherever it stands in the offer.
    #[test]
    fn an_ordinary_phone() {
        let pcmu = Format { codec: Codec::Pcmu, payload_type: 0 };
        let text = telephone(&local().offer(ORIGIN), "PCMU/8000");
        for text in [&text, &text.replace("a=rtpmap:0 PCMU/8000\r\n", "")] {
            let offer = PlainOffer::parse(text).expect("usable");
            let (answer, ours) = offer.answer(ORIGIN, &local()).expect("a codec");
            assert_eq!((ours.send, &ours.receive[..]), (pcmu, &[pcmu][..]), "{text}");
            assert_eq!(ours.digits, Some(PayloadTypes { send: 97, receive: 97 }));
            assert!(answer.contains("RTP/AVP 0 97") && !answer.contains("opus"), "{answer}");
            let accepted = local().accept(&answer).expect("usable");
            assert_eq!((accepted.send, accepted.receive), (pcmu, vec![pcmu]));
            assert_eq!(accepted.digits, Some(PayloadTypes { send: 97, receive: 100 }));
        }
        let late = text.replace("0 97", "0 97 98") + "a=rtpmap:98 opus/48000/2\r\n";
        let answer = PlainOffer::parse(&late).expect("usable").answer(ORIGIN, &local());
        let (_, negotiated) = answer.expect("a codec");
        assert_eq!(negotiated.send, Format::opus(98));
        let mut local = local();
        local.keep(&negotiated);
        assert!(local.offer(ORIGIN).contains("a=rtpmap:98 opus/48000/2"));
    }

    /// A stream that is put on hold, in the way of today and in that of old.
    #[test]
    fn a_stream_on_hold() {
        let text = local().offer(ORIGIN);
        for held in [text.replace("sendrecv", "sendonly"), text.replace("192.0.2.1", "0.0.0.0")] {
            let offer = PlainOffer::parse(&held).expect("usable");
            let (_, negotiated) = offer.answer(ORIGIN, &local()).expect("a codec");
            assert_eq!(negotiated.direction, Direction::RecvOnly, "{held}");
        }
    }

    /// What can't be used is refused, and another stream beside ours as well.
    #[test]
    fn what_is_of_no_use() {
        let text = local().offer(ORIGIN);
        let error = |text: &str| PlainOffer::parse(text).expect_err("of no use");
        assert!(matches!(error(&text.replace("RTP/AVP", "RTP/SAVP")), SdpError::NoAudio));
        assert!(matches!(error(&telephone(&text, "G722")), SdpError::NoCommonCodec));
        let named = text.replace("192.0.2.1", "host.example");
        assert!(matches!(error(&named), SdpError::BadAttribute("c=")));
        let video = format!("{text}m=video 5000 RTP/AVP 99\r\n");
        let answered = PlainOffer::parse(&video).expect("usable").answer(ORIGIN, &local());
        let (answer, _) = answered.expect("a codec");
        assert!(answer.contains("m=video 0 RTP/AVP 99"), "{answer}");
    }
}
