//! Session descriptions: what a call's sound will be, offered and answered (RFC 3264).
//!
//! A description holds one audio stream of Opus (RFC 7587) on SRTP keyed by DTLS (RFC 5763), with
//! every ICE candidate in it (RFC 8839; nothing trickles) and RTCP on the same port (RFC 5761).
//! Toward phones that know nothing of all that there is [`PlainDescription`]: bare RTP, and G.711
//! for those that know no Opus.
//! The crate `sdp` reads and writes the lines; their meaning is decided here.

mod plain;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use plain::{PlainDescription, PlainNegotiated, PlainOffer, TelephoneEvent};
pub use read::Offer;

/// One side's audio stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaDescription {
    /// ICE user name fragment (RFC 8839 §5.4).
    pub ice_ufrag: String,
    /// ICE password (RFC 8839 §5.4).
    pub ice_pwd: String,
    /// Candidates, each the text after `candidate:` (RFC 8839 §5.1).
    pub candidates: Vec<String>,
    /// SHA-256 of the DTLS certificate (RFC 8122 §5).
    pub fingerprint: [u8; 32],
    /// Who opens DTLS (RFC 5763 §5). In what is handed to [`Offer::answer`] it is a wish, heeded
    /// only if the offer leaves the choice.
    pub setup: Setup,
    /// The RTP payload type under which this side wants to receive Opus.
    pub opus_payload_type: u8,
    /// The payload type of copies of earlier frames (RFC 2198), if this side knows them.
    pub copies_payload_type: Option<u8>,
    /// The RTP payload type under which this side takes the keys that the other one presses, with
    /// Opus's clock (RFC 4733 §2.4.1). In what is handed to [`Offer::answer`] it is a wish, heeded
    /// under the offer's number.
    pub telephone_event: Option<u8>,
    /// Which way sound flows, seen from this side.
    pub direction: Direction,
    /// Whether this side records the call; `None` for one that knows nothing of recording
    /// (RFC 7866 §6.1.2).
    pub recording: Option<bool>,
}

/// The payload type that we offer for Opus: the first dynamic one browsers use too.
pub const OPUS_PAYLOAD_TYPE: u8 = 111;
/// The payload type that we offer for copies of earlier frames: that of browsers.
pub const COPIES_PAYLOAD_TYPE: u8 = 63;

/// The RTP payload types of a format, as each side has named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadTypes {
    /// What the other side wants to receive it under.
    pub send: u8,
    /// What we receive it under.
    pub receive: u8,
}
/// The payload type that we offer for keys.
pub const TELEPHONE_EVENT_PAYLOAD_TYPE: u8 = 101;

/// Who opens the DTLS association (RFC 4145 §4, RFC 5763 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// The other side chooses: what an offer says.
    ActPass,
    /// This side is the DTLS client.
    Active,
    /// This side is the DTLS server.
    Passive,
}

/// Which way sound flows (RFC 8866 §6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// Only from this side.
    SendOnly,
    /// Only to this side.
    RecvOnly,
    /// Neither way.
    Inactive,
}

impl Direction {
    /// Whether this side sends.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether this side receives.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The direction of a side that does these.
    pub fn from_flows(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }
}

/// The `o=` line's numbers (RFC 8866 §5.2). The version grows by one with each new description
/// of the same session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Random, the same for the whole session; the upper two bits are not written, because some
    /// readers take it for a signed number.
    pub session_id: u64,
    /// Grows with each changed description.
    pub version: u64,
}

/// What both sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The other side's stream: its ICE credentials and candidates, and its fingerprint, which
    /// the certificate in the DTLS handshake must match.
    pub remote: MediaDescription,
    /// Our part in the DTLS handshake.
    pub dtls_role: DtlsRole,
    /// The payload type to send Opus under.
    pub send_payload_type: u8,
    /// The payload type under which Opus comes in.
    pub receive_payload_type: u8,
    /// The payload types of copies of earlier frames, if both sides know them.
    pub copies: Option<PayloadTypes>,
    /// The payload type to send keys under, if the other side takes any.
    pub send_telephone_event: Option<u8>,
    /// The payload type under which keys come in, if the other side may send any.
    pub receive_telephone_event: Option<u8>,
    /// What our encoder has to heed.
    pub opus: OpusWish,
    /// Which way sound flows, seen from us.
    pub direction: Direction,
}

/// Our part in the DTLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsRole {
    /// We send the ClientHello.
    Client,
    /// We wait for it.
    Server,
}

/// What a receiver of Opus asks of the sender (RFC 7587 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusWish {
    /// It can use in-band error correction.
    pub in_band_fec: bool,
    /// It does not mind if silence is not sent.
    pub dtx: bool,
    /// The most bits per second that it wants, if it says.
    pub bitrate_max: Option<u32>,
}

/// Why a description can't be used. The sentence of each is fit to be shown.
#[derive(Debug, thiserror::Error)]
pub enum SdpError {
    /// Longer than [`limits::TEXT_MAX`].
    #[error("The session description has {0} bytes, which is too long.")]
    TooLong(usize),
    /// Not a session description.
    #[error("The session description can't be read: {0}.")]
    Malformed(#[source] ::sdp::Error),
    /// An attribute's value is not what its standard says.
    #[error("The session description has an unusable {0} line.")]
    BadAttribute(&'static str),
    /// No audio stream on DTLS-SRTP.
    #[error("The other side offers no encrypted audio stream that this program knows.")]
    NoAudio,
    /// No Opus in it.
    #[error("The other side has no codec in common with this program.")]
    NoCommonCodec,
    /// No SHA-256 fingerprint, so that media could not be authenticated.
    #[error("The other side gave no SHA-256 fingerprint for its media encryption.")]
    NoFingerprint,
    /// No ICE user name fragment and password.
    #[error("The other side gave no ICE credentials for media.")]
    NoIce,
    /// RTCP would need a port of its own.
    #[error("The other side can't carry RTP and RTCP on one port.")]
    NoRtcpMux,
    /// Both sides would be DTLS client, or both server.
    #[error("The two sides do not agree who opens media encryption.")]
    BadSetup,
    /// An answer that refuses the stream, or does not match what was offered.
    #[error("The other side refused the audio stream.")]
    Refused,
}

impl SdpError {
    /// Whether the text itself is broken (SIP answers 400) rather than understood and not
    /// acceptable (SIP answers 488).
    pub fn is_malformed(&self) -> bool {
        matches!(self, Self::TooLong(_) | Self::Malformed(_) | Self::BadAttribute(_))
    }
}

/// The text of an offer of this stream.
pub fn offer(origin: Origin, local: &MediaDescription) -> String {
    write::description(origin, vec![write::audio(local, None, None)])
}

/// Answers an offer in one step; [`Offer::parse`] and [`Offer::answer`] do it in two, for a side
/// that needs the offer's candidates before it has its own.
///
/// # Errors
/// Whatever makes the offer unusable.
pub fn answer(
    offer: &str,
    origin: Origin,
    local: &MediaDescription,
) -> Result<(String, Negotiated), SdpError> {
    let offer = Offer::parse(offer)?;
    Ok(offer.answer(origin, local))
}

/// Reads the answer to the offer of `local`.
///
/// # Errors
/// Whatever makes the answer unusable, or unfit for what was offered.
pub fn accept(local: &MediaDescription, answer: &str) -> Result<Negotiated, SdpError> {
    let stream = read::answered_stream(answer)?;
    let dtls_role = match (local.setup, stream.description.setup) {
        (Setup::ActPass | Setup::Passive, Setup::Active) => DtlsRole::Server,
        (Setup::ActPass | Setup::Active, Setup::Passive) => DtlsRole::Client,
        _ => return Err(SdpError::BadSetup),
    };
    // Each side sends under the number of the other one, if both know keys (RFC 3264 §7).
    let sends_keys = stream.description.telephone_event.is_some();
    let takes_keys = local.telephone_event.is_some();
    Ok(Negotiated {
        dtls_role,
        send_payload_type: stream.description.opus_payload_type,
        receive_payload_type: local.opus_payload_type,
        copies: stream
            .description
            .copies_payload_type
            .zip(local.copies_payload_type)
            .map(|(send, receive)| PayloadTypes { send, receive }),
        send_telephone_event: stream.description.telephone_event.filter(|_| takes_keys),
        receive_telephone_event: local.telephone_event.filter(|_| sends_keys),
        opus: stream.opus,
        direction: facing(local.direction, stream.description.direction),
        remote: stream.description,
    })
}

/// Our direction, given what we wish and what the other side does (RFC 3264 §6.1).
fn facing(ours: Direction, theirs: Direction) -> Direction {
    Direction::from_flows(ours.sends() && theirs.receives(), ours.receives() && theirs.sends())
}

/// Bounds on what is read.
pub mod limits {
    /// Longest description in bytes: one with 32 candidates has about 4,000.
    pub const TEXT_MAX: usize = 16 * 1024;
    /// Streams in one description; ordinary ones have one or two.
    pub const STREAMS_MAX: usize = 8;
    /// Candidates kept of one stream; more would only slow the checks down (RFC 8445 §6.1.2.5
    /// suggests at most 100 pairs).
    pub const CANDIDATES_MAX: usize = 32;
    /// Longest candidate, user name fragment or password kept: RFC 8839 §5.4 allows 256
    /// characters for the latter two.
    pub const FIELD_MAX: usize = 256;
}
