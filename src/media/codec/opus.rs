//! Opus at 48 kHz, mono, 20 ms (RFC 6716, 7587).

use opus::{Application, Bitrate, Channels, Signal};

use super::{CodecError, Frame, PACKET_SAMPLES_MAX, SAMPLE_RATE};

/// Longest packet that an encoder may make: 20 ms at 510 kbit/s, the codec's most.
const PACKET_MAX: usize = 1275;
/// What a receiver may ask for in bits per second (RFC 7587 §6.1).
const BITRATES: (u32, u32) = (6_000, 510_000);
/// How hard the encoder searches, of 10, while bits are scarce and while there are enough.
const COMPLEXITY: (i32, i32) = (9, 7);
/// Bits a second that are enough: speech is a little better so with less search than at 32 kbit/s
/// with more (PESQ-WB 4.33 and 4.28), for four fifths of the work.
const ENOUGH: u32 = 40_000;
/// More redundancy than for this much loss costs more quality than it saves.
const LOSS_PERCENT_MAX: u8 = 30;

/// Makes packets of frames.
#[derive(Debug)]
pub struct OpusEncoder {
    encoder: opus::Encoder,
    buffer: Vec<u8>,
    loss_percent: u8,
    bitrate: u32,
}

impl OpusEncoder {
    /// An encoder for speech.
    ///
    /// # Errors
    /// The codec can't be set up (no memory).
    pub(super) fn new(in_band_fec: bool, dtx: bool) -> Result<Self, CodecError> {
        let mut encoder = opus::Encoder::new(SAMPLE_RATE, Channels::Mono, Application::Voip)?;
        encoder.set_inband_fec(in_band_fec)?;
        encoder.set_signal(Signal::Voice)?;
        encoder.set_dtx(dtx)?;
        Ok(Self { encoder, buffer: vec![0; PACKET_MAX], loss_percent: 0, bitrate: 0 })
    }

    /// Tells how much of a hundred packets gets lost, so that redundancy can be dosed.
    ///
    /// # Errors
    /// The codec refuses the figure.
    pub(super) fn expect_loss(&mut self, percent: u8) -> Result<(), CodecError> {
        let percent = percent.min(LOSS_PERCENT_MAX);
        if percent != self.loss_percent {
            self.encoder.set_packet_loss_perc(i32::from(percent))?;
            self.loss_percent = percent;
        }
        Ok(())
    }

    /// Sets how many bits a second may have.
    ///
    /// # Errors
    /// The codec refuses the figure.
    pub(super) fn set_bitrate(&mut self, bitrate: u32) -> Result<(), CodecError> {
        let bitrate = bitrate.clamp(BITRATES.0, BITRATES.1);
        if bitrate != self.bitrate {
            self.encoder.set_bitrate(Bitrate::Bits(bitrate as i32))?;
            let complexity = if bitrate < ENOUGH { COMPLEXITY.0 } else { COMPLEXITY.1 };
            self.encoder.set_complexity(complexity)?;
            self.bitrate = bitrate;
        }
        Ok(())
    }

    /// The packet for a frame; empty if it is one of a silence that needs none.
    ///
    /// # Errors
    /// The codec fails.
    pub(super) fn encode(&mut self, frame: &Frame) -> Result<&[u8], CodecError> {
        let length = self.encoder.encode_float(frame, &mut self.buffer)?;
        // What is left of a packet in a silence is its first byte or two (RFC 7587 §3.1.3).
        Ok(if length <= 2 { &[] } else { &self.buffer[..length] })
    }
}

/// Makes sound of packets, and of their absence.
#[derive(Debug)]
pub struct OpusDecoder {
    decoder: opus::Decoder,
    buffer: Vec<f32>,
}

impl OpusDecoder {
    /// A decoder that has heard nothing.
    ///
    /// # Errors
    /// The codec can't be set up (no memory).
    pub(super) fn new() -> Result<Self, CodecError> {
        let decoder = opus::Decoder::new(SAMPLE_RATE, Channels::Mono)?;
        Ok(Self { decoder, buffer: vec![0.0; PACKET_SAMPLES_MAX] })
    }

    /// The packet's sound.
    ///
    /// # Errors
    /// The packet is not Opus.
    pub(super) fn decode(&mut self, packet: &[u8]) -> Result<&[f32], CodecError> {
        if packet.is_empty() {
            return Ok(&[]);
        }
        let samples = self.decoder.decode_float(packet, &mut self.buffer, false)?;
        Ok(&self.buffer[..samples])
    }

    /// `samples` of sound for the lost packet before `successor`, from the redundancy in it
    /// (RFC 6716 §2.1.7), or invented if there is none.
    ///
    /// # Errors
    /// The successor is not Opus.
    pub(super) fn recover(&mut self, successor: &[u8], samples: u32) -> Result<&[f32], CodecError> {
        let samples = whole_steps(samples);
        let samples = self.decoder.decode_float(successor, &mut self.buffer[..samples], true)?;
        Ok(&self.buffer[..samples])
    }

    /// `samples` of invented sound that continues what was heard and fades.
    ///
    /// # Errors
    /// The codec fails.
    pub(super) fn conceal(&mut self, samples: u32) -> Result<&[f32], CodecError> {
        let samples = whole_steps(samples);
        let samples = self.decoder.decode_float(&[], &mut self.buffer[..samples], false)?;
        Ok(&self.buffer[..samples])
    }
}

/// Samples that a packet decodes to, or `None` if it is not Opus.
pub(super) fn duration(packet: &[u8]) -> Option<u32> {
    let samples = opus::packet::get_nb_samples(packet, SAMPLE_RATE).ok()?;
    (1..=PACKET_SAMPLES_MAX).contains(&samples).then(|| u32::try_from(samples).ok())?
}

/// Whether a packet of one frame holds redundancy for the frame before (RFC 6716 §4.2.4).
pub(super) fn has_redundancy(packet: &[u8]) -> bool {
    let &[toc, first, ..] = packet else { return false };
    // Below 16 the speech layer is in it (§3.1): of 10 or 20 ms, the flag follows one bit of
    // voice activity.
    let (configuration, is_one_frame) = (toc >> 3, toc & 3 == 0);
    let has_speech_layer = configuration < 12 && configuration & 3 < 2 || configuration >> 2 == 3;
    has_speech_layer && is_one_frame && toc & 4 == 0 && first & 0x40 != 0
}

/// The codec invents sound in steps of 2.5 ms.
fn whole_steps(samples: u32) -> usize {
    let samples = usize::try_from(samples).unwrap_or(PACKET_SAMPLES_MAX);
    (samples.clamp(120, PACKET_SAMPLES_MAX) / 120) * 120
}

#[cfg(test)]
mod tests {
    use super::super::FRAME_SAMPLES;
    use super::*;

    fn tone(at: usize) -> Frame {
        std::array::from_fn(|i| ((at * FRAME_SAMPLES + i) as f32 * 0.0576).sin() * 0.3)
    }

    fn power(samples: &[f32]) -> f32 {
        samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32
    }

    #[test]
    fn a_tone_survives_loss_by_redundancy_and_by_invention() {
        let mut encoder = OpusEncoder::new(true, false).expect("an encoder");
        encoder.expect_loss(20).expect("a percentage");
        let packets: Vec<Vec<u8>> =
            (0..50).map(|at| encoder.encode(&tone(at)).expect("a packet").to_vec()).collect();
        assert!(has_redundancy(&packets[31]));
        let mut plain = OpusEncoder::new(false, false).expect("an encoder");
        assert!(!has_redundancy(plain.encode(&tone(0)).expect("a packet")));
        assert_eq!(duration(&packets[0]), Some(960));
        let mut decoder = OpusDecoder::new().expect("a decoder");
        for packet in &packets[..30] {
            decoder.decode(packet).expect("sound");
        }
        let recovered = power(decoder.recover(&packets[31], 960).expect("sound"));
        decoder.decode(&packets[31]).expect("sound");
        let invented = power(decoder.conceal(960).expect("sound"));
        assert!((0.03..0.06).contains(&recovered), "{recovered} instead of 0.045");
        assert!((0.01..0.06).contains(&invented), "{invented}, fading from 0.045");
    }

    #[test]
    fn what_is_not_opus_is_an_error() {
        let mut decoder = OpusDecoder::new().expect("a decoder");
        assert_eq!(duration(&[]), None);
        assert!(decoder.decode(&[0xff; 3]).is_err());
        assert!(decoder.decode(&[]).expect("nothing").is_empty());
    }

    #[test]
    fn the_receivers_most_is_heeded() {
        let size = |bitrate| {
            let mut encoder = OpusEncoder::new(false, false).expect("an encoder");
            encoder.set_bitrate(bitrate).expect("a bitrate");
            (0..50).map(|at| encoder.encode(&tone(at)).expect("a packet").len()).sum::<usize>()
        };
        assert!(size(8_000) * 2 < size(32_000));
    }
}
