//! Opus on bare RTP (`RTP/AVP`, RFC 3551): descriptions for phones that know neither ICE nor the
//! encryption of media. Nobody on the way is kept from listening.

use std::net::{IpAddr, SocketAddr};

use ::sdp::description::common::Attribute;
use ::sdp::description::media as wire;

use super::read::{self, Lines};
use super::write::{self, direction_word};
use super::{Direction, OpusWish, Origin, PayloadTypes, SdpError, facing};

/// One side's audio stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainDescription {
    /// Where this side receives.
    pub address: SocketAddr,
    /// The RTP payload type under which this side wants to receive Opus.
    pub opus_payload_type: u8,
    /// The RTP payload type under which this side takes keys (RFC 4733), if it takes any.
    pub telephone_event: Option<u8>,
    /// Which way sound flows, seen from this side.
    pub direction: Direction,
    /// Whether this side takes RTCP on the port of RTP (RFC 5761).
    pub has_rtcp_mux: bool,
}

/// What both sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainNegotiated {
    /// The other side's stream.
    pub remote: PlainDescription,
    /// The payload types of Opus.
    pub opus: PayloadTypes,
    /// The payload types of keys, if both sides know them.
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
        Ok(self.negotiated(remote, wish))
    }

    fn negotiated(&self, remote: PlainDescription, wish: OpusWish) -> PlainNegotiated {
        let digits = remote.telephone_event.zip(self.telephone_event);
        let types = |(send, receive)| PayloadTypes { send, receive };
        PlainNegotiated {
            opus: types((remote.opus_payload_type, self.opus_payload_type)),
            digits: digits.map(types),
            wish,
            direction: facing(self.direction, remote.direction),
            remote,
        }
    }

    fn audio(&self) -> wire::MediaDescription {
        let number = self.opus_payload_type;
        let mut formats = vec![number.to_string()];
        let mut attributes = vec![
            Attribute::new("rtpmap".into(), Some(format!("{number} opus/48000/2"))),
            Attribute::new("fmtp".into(), Some(format!("{number} useinbandfec=1"))),
        ];
        if let Some(number) = self.telephone_event {
            formats.push(number.to_string());
            let map = format!("{number} telephone-event/48000");
            attributes.push(Attribute::new("rtpmap".into(), Some(map)));
            attributes.push(Attribute::new("fmtp".into(), Some(format!("{number} 0-15"))));
        }
        attributes.push(Attribute::new("ptime".into(), Some("20".into())));
        attributes.push(Attribute::new(direction_word(self.direction).into(), None));
        if self.has_rtcp_mux {
            attributes.push(Attribute::new("rtcp-mux".into(), None));
        }
        let (address, port) =
            (self.address.ip().to_string(), isize::try_from(self.address.port()).unwrap_or(9));
        let protos = ["RTP", "AVP"].map(String::from).to_vec();
        write::stream((address, port), protos, formats, attributes)
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

    /// Accepts the offer with this stream of ours, under the offer's payload types (RFC 3264
    /// §6.1).
    pub fn answer(&self, origin: Origin, local: &PlainDescription) -> (String, PlainNegotiated) {
        let remote = &self.remote;
        let ours = PlainDescription {
            opus_payload_type: remote.opus_payload_type,
            telephone_event: remote.telephone_event.filter(|_| local.telephone_event.is_some()),
            direction: facing(local.direction, remote.direction),
            has_rtcp_mux: local.has_rtcp_mux && remote.has_rtcp_mux,
            ..local.clone()
        };
        let streams = self.streams.iter().enumerate().map(|(index, name)| {
            if index == self.chosen { ours.audio() } else { write::refused(name) }
        });
        let text = write::description(origin, streams.collect());
        (text, ours.negotiated(remote.clone(), self.wish))
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
    let (opus_payload_type, wish) = read::opus(lines)?;
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
        opus_payload_type,
        telephone_event: read::telephone_event(lines),
        direction: Direction::from_flows(direction.sends(), receives),
        has_rtcp_mux: lines.own("rtcp-mux").next().is_some(),
    };
    Ok((description, wish))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> PlainDescription {
        PlainDescription {
            address: "192.0.2.1:4000".parse().expect("an address"),
            opus_payload_type: 111,
            telephone_event: Some(101),
            direction: Direction::SendRecv,
            has_rtcp_mux: true,
        }
    }

    const ORIGIN: Origin = Origin { session_id: 1, version: 1 };

    /// RFC 3264 §6.1: each side sends to where the other one receives, under the offer's numbers.
    #[test]
    fn two_sides_agree() {
        let theirs = PlainDescription {
            address: "192.0.2.2:6000".parse().expect("an address"),
            opus_payload_type: 96,
            telephone_event: None,
            has_rtcp_mux: false,
            ..local()
        };
        let offer = PlainOffer::parse(&theirs.offer(ORIGIN)).expect("usable");
        let (answer, ours) = offer.answer(ORIGIN, &local());
        assert_eq!(ours.remote, theirs);
        assert_eq!(ours.opus, PayloadTypes { send: 96, receive: 96 });
        assert_eq!((ours.digits, ours.direction), (None, Direction::SendRecv));
        let negotiated = theirs.accept(&answer).expect("usable");
        assert_eq!(negotiated.remote.address, local().address);
        assert!(!negotiated.remote.has_rtcp_mux, "only if both do");
    }

    /// A stream that is put on hold, in the way of today and in that of old.
    #[test]
    fn a_stream_on_hold() {
        let text = local().offer(ORIGIN);
        for held in [text.replace("sendrecv", "sendonly"), text.replace("192.0.2.1", "0.0.0.0")] {
            let offer = PlainOffer::parse(&held).expect("usable");
            let (_, negotiated) = offer.answer(ORIGIN, &local());
            assert_eq!(negotiated.direction, Direction::RecvOnly, "{held}");
        }
    }

    /// What can't be used is refused, and another stream beside ours as well.
    #[test]
    fn what_is_of_no_use() {
        let text = local().offer(ORIGIN);
        let error = |text: &str| PlainOffer::parse(text).expect_err("of no use");
        assert!(matches!(error(&text.replace("RTP/AVP", "RTP/SAVP")), SdpError::NoAudio));
        assert!(matches!(error(&text.replace("opus", "G722")), SdpError::NoCommonCodec));
        let named = text.replace("192.0.2.1", "host.example");
        assert!(matches!(error(&named), SdpError::BadAttribute("c=")));
        let video = format!("{text}m=video 5000 RTP/AVP 99\r\n");
        let (answer, _) = PlainOffer::parse(&video).expect("usable").answer(ORIGIN, &local());
        assert!(answer.contains("m=video 0 RTP/AVP 99"), "{answer}");
    }
}
