//! What sound is sent as: Opus (RFC 7587), or what every ordinary phone knows (RFC 3551 §4.5.14).
//!
//! Whatever the codec, sound goes in and comes out at 48 kHz in frames of 20 ms.

mod g711;
mod opus;

use g711::{G711Decoder, G711Encoder, Law};
use opus::{OpusDecoder, OpusEncoder};

/// Samples per second, everywhere in this room.
pub const SAMPLE_RATE: u32 = 48_000;
/// Samples in a frame: 20 ms.
pub const FRAME_SAMPLES: usize = 960;
/// 20 ms of mono sound, each sample between -1 and 1.
pub type Frame = [f32; FRAME_SAMPLES];
/// A frame in which nothing is heard.
pub const SILENCE: Frame = [0.0; FRAME_SAMPLES];

/// Longest sound in one packet: 120 ms (RFC 6716 §2.1.4).
pub(super) const PACKET_SAMPLES_MAX: usize = 5760;

/// What sound is sent as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// The whole voice, and repair of what is lost.
    Opus,
    /// The sound of a telephone, as in North America and Japan: G.711 with µ-law.
    Pcmu,
    /// The sound of a telephone, as elsewhere: G.711 with A-law.
    Pcma,
}

/// A codec under its RTP payload type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The codec.
    pub codec: Codec,
    /// Its number in RTP.
    pub payload_type: u8,
}

/// The codec refused; with bounded input this means a defect, or a hostile packet.
#[derive(Debug, thiserror::Error)]
#[error("the Opus codec failed: {0}")]
pub struct CodecError(#[from] ::opus::Error);

impl Codec {
    /// All of them, the best first.
    pub const ALL: [Self; 3] = [Self::Opus, Self::Pcma, Self::Pcmu];

    /// Ticks of its RTP clock in a second (RFC 3551 §6, RFC 7587 §4.1).
    pub fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => SAMPLE_RATE,
            Self::Pcmu | Self::Pcma => g711::RATE,
        }
    }

    /// Samples at 48 kHz in a tick of its RTP clock.
    pub(super) fn samples_per_tick(self) -> u32 {
        SAMPLE_RATE / self.clock_rate()
    }

    /// Samples at 48 kHz that a packet decodes to, or `None` if it is not of this codec.
    pub(super) fn duration(self, packet: &[u8]) -> Option<u32> {
        match self {
            Self::Opus => opus::duration(packet),
            Self::Pcmu | Self::Pcma => {
                let samples = packet.len().checked_mul(self.samples_per_tick() as usize)?;
                let is_usual = (1..=PACKET_SAMPLES_MAX).contains(&samples);
                is_usual.then(|| u32::try_from(samples).ok())?
            }
        }
    }

    /// Whether a packet holds redundancy for the frame before.
    pub(super) fn has_redundancy(self, packet: &[u8]) -> bool {
        self == Self::Opus && opus::has_redundancy(packet)
    }
}

impl Format {
    /// Opus under this number.
    pub fn opus(payload_type: u8) -> Self {
        Self { codec: Codec::Opus, payload_type }
    }
}

/// Makes packets of frames.
#[derive(Debug)]
pub(super) enum Encoder {
    Opus(OpusEncoder),
    G711(G711Encoder),
}

impl Encoder {
    /// An encoder for speech; what Opus can do against loss and in silence is for Opus alone.
    pub(super) fn new(codec: Codec, in_band_fec: bool, dtx: bool) -> Result<Self, CodecError> {
        Ok(match codec {
            Codec::Opus => Self::Opus(OpusEncoder::new(in_band_fec, dtx)?),
            Codec::Pcmu => Self::G711(G711Encoder::new(Law::Mu)),
            Codec::Pcma => Self::G711(G711Encoder::new(Law::A)),
        })
    }

    /// Tells how much of a hundred packets gets lost, and how many bits a second may have.
    pub(super) fn adapt(&mut self, loss_percent: u8, bitrate: u32) -> Result<(), CodecError> {
        match self {
            Self::Opus(opus) => {
                opus.set_bitrate(bitrate)?;
                opus.expect_loss(loss_percent)
            }
            Self::G711(_) => Ok(()),
        }
    }

    /// The packet for a frame; empty if it is one of a silence that needs none.
    pub(super) fn encode(&mut self, frame: &Frame) -> Result<&[u8], CodecError> {
        match self {
            Self::Opus(opus) => opus.encode(frame),
            Self::G711(g711) => Ok(g711.encode(frame)),
        }
    }
}

/// Makes sound of packets, and of their absence.
#[derive(Debug)]
pub(super) enum Decoder {
    Opus(OpusDecoder),
    G711(G711Decoder),
}

impl Decoder {
    /// A decoder that has heard nothing.
    pub(super) fn new(codec: Codec) -> Result<Self, CodecError> {
        Ok(match codec {
            Codec::Opus => Self::Opus(OpusDecoder::new()?),
            Codec::Pcmu => Self::G711(G711Decoder::new(Law::Mu)),
            Codec::Pcma => Self::G711(G711Decoder::new(Law::A)),
        })
    }

    /// What it decodes.
    pub(super) fn codec(&self) -> Codec {
        match self {
            Self::Opus(_) => Codec::Opus,
            Self::G711(g711) => match g711.law() {
                Law::Mu => Codec::Pcmu,
                Law::A => Codec::Pcma,
            },
        }
    }

    /// The packet's sound.
    pub(super) fn decode(&mut self, packet: &[u8]) -> Result<&[f32], CodecError> {
        match self {
            Self::Opus(opus) => opus.decode(packet),
            Self::G711(g711) => Ok(g711.decode(packet)),
        }
    }

    /// `samples` of sound for the lost packet before `successor`, from the redundancy in it
    /// (RFC 6716 §2.1.7), or invented if there is none.
    pub(super) fn recover(&mut self, successor: &[u8], samples: u32) -> Result<&[f32], CodecError> {
        match self {
            Self::Opus(opus) => opus.recover(successor, samples),
            Self::G711(g711) => Ok(g711.conceal(samples)),
        }
    }

    /// `samples` of invented sound that continues what was heard and fades.
    pub(super) fn conceal(&mut self, samples: u32) -> Result<&[f32], CodecError> {
        match self {
            Self::Opus(opus) => opus.conceal(samples),
            Self::G711(g711) => Ok(g711.conceal(samples)),
        }
    }
}
