//! The framing header around every message on a link (RFC 6940 §6.6.2). Pure.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::base::{DecodeError, Encode, Reader, Writer};

/// Bytes that a data frame adds to its message: type, sequence number and length.
pub const OVERHEAD: usize = 8;

/// Bytes of an acknowledgement.
const ACK_LENGTH: usize = 9;

/// Sequence numbers that a receiver remembers (RFC 6940 §6.6.2).
pub const REMEMBERED: usize = 32;

/// One unit on a link: a message or the acknowledgement of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message on its way.
    Data {
        /// Rises by one for each frame sent on a connection, retransmissions included.
        sequence: u32,
        /// A RELOAD message, or a fragment of one.
        message: Bytes,
    },
    /// The receipt for one data frame.
    Ack {
        /// The sequence number of the frame that arrived.
        ack_sequence: u32,
        /// Which of the 32 frames before it arrived too: the lowest bit is `ack_sequence - 1`.
        received: u32,
    },
}

impl Frame {
    const DATA: u8 = 128;
    const ACK: u8 = 129;

    /// Reads the one frame that fills `record`; the message shares its memory.
    pub fn read(record: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(record);
        let frame = match reader.u8()? {
            Self::DATA => {
                let sequence = reader.u32()?;
                Self::Data { sequence, message: record.slice_ref(reader.opaque24()?) }
            }
            Self::ACK => Self::Ack { ack_sequence: reader.u32()?, received: reader.u32()? },
            _ => return Err(DecodeError::Invalid("framed message type")),
        };
        reader.end("framed message")?;
        Ok(frame)
    }

    /// The length in bytes of the frame that begins a stream, or `None` if too little of it has
    /// come to tell.
    pub fn length(stream: &[u8]) -> Result<Option<usize>, DecodeError> {
        match (stream.first(), stream.get(5..OVERHEAD)) {
            (None, _) | (Some(&Self::DATA), None) => Ok(None),
            (Some(&Self::DATA), Some(length)) => {
                let length = length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                Ok(Some(OVERHEAD + length))
            }
            (Some(&Self::ACK), _) => Ok(Some(ACK_LENGTH)),
            (Some(_), _) => Err(DecodeError::Invalid("framed message type")),
        }
    }

    /// The frame as it goes into one DTLS record, or `None` if its message has 16 MiB or more.
    pub fn write(&self) -> Option<Bytes> {
        self.to_bytes().ok().map(Bytes::from)
    }
}

impl Encode for Frame {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Data { sequence, message } => {
                writer.u8(Self::DATA);
                writer.u32(*sequence);
                writer.vec24(|w| w.bytes(message));
            }
            Self::Ack { ack_sequence, received } => {
                writer.u8(Self::ACK);
                writer.u32(*ack_sequence);
                writer.u32(*received);
            }
        }
    }
}

/// Makes the acknowledgements for the frames that arrive on a connection.
#[derive(Debug, Default)]
pub(super) struct Acknowledger {
    received: VecDeque<u32>,
}

impl Acknowledger {
    /// The acknowledgement of the frame with this number, and whether the number has come before.
    pub(super) fn take(&mut self, sequence: u32) -> (Frame, bool) {
        let received = self.received.iter().fold(0, |mask, earlier| {
            match sequence.wrapping_sub(*earlier) {
                // "Less than N but greater than N-32": bit 31 is never set.
                distance @ 1..=31 => mask | 1 << (distance - 1),
                _ => mask,
            }
        });
        let is_known = self.received.contains(&sequence);
        if self.received.len() == REMEMBERED {
            self.received.pop_front();
        }
        self.received.push_back(sequence);
        (Frame::Ack { ack_sequence: sequence, received }, is_known)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// R6940-6.6.2-01: type, sequence number and a length of three bytes; acknowledgements have
    /// two numbers.
    #[test]
    fn frames_have_the_bytes_of_the_standard() {
        let data = Frame::Data { sequence: 0, message: Bytes::from(vec![7; 38]) };
        let written = data.write().unwrap();
        assert_eq!(hex::encode(&written[..8]), "8000000000000026");
        assert_eq!(written.len(), OVERHEAD + 38);
        let ack = Frame::Ack { ack_sequence: 0, received: 0 };
        assert_eq!(hex::encode(ack.write().unwrap()), "810000000000000000");
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for bad in ["", "80", "82000000000000", "8000000000000001", "800000000000000000ff", "8100"]
        {
            let record = Bytes::from(hex::decode(bad).unwrap());
            assert!(Frame::read(&record).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_frame_survives_the_wire(sequence: u32, received: u32, body: Vec<u8>) {
            let data = Frame::Data { sequence, message: body.into() };
            prop_assert_eq!(Frame::read(&data.write().unwrap()), Ok(data.clone()));
            let ack = Frame::Ack { ack_sequence: sequence, received };
            prop_assert_eq!(Frame::read(&ack.write().unwrap()), Ok(ack.clone()));
            let lengths = [&data, &ack].map(|frame| frame.write().unwrap().len());
            let stream = [data.write().unwrap(), ack.write().unwrap()].concat();
            prop_assert_eq!(Frame::length(&stream), Ok(Some(lengths[0])));
            prop_assert_eq!(Frame::length(&stream[lengths[0]..]), Ok(Some(lengths[1])));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(record: Vec<u8>) {
            let _ = Frame::read(&record.into());
        }
    }
}
