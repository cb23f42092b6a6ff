//! Copies of earlier frames in each packet (RFC 2198), for paths that lose packets.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

/// The frames sent last, of which copies go along.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// Timestamp and payload, the newest last.
    sent: VecDeque<(u32, Bytes)>,
}

/// A part of a packet with copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) payload_type: u8,
    /// How much earlier than the packet, in samples; 0 for the packet's own frame.
    pub(super) offset: u32,
    pub(super) payload: Bytes,
}

/// Frames remembered: as many as the farthest copy is behind.
const SENT_MAX: usize = 6;
/// What 10 bits can tell (RFC 2198 §3).
const LENGTH_MAX: usize = 0x3ff;
/// What 14 bits can tell.
const OFFSET_MAX: u32 = 0x3fff;
/// Blocks read of one packet; others send two or three.
const BLOCKS_MAX: usize = 8;

impl Copies {
    /// The payload of a packet: the frame itself behind copies of those that were sent `distances`
    /// packets ago, the farthest first.
    pub(super) fn pack(
        &self,
        payload_type: u8,
        timestamp: u32,
        distances: &[usize],
        frame: &[u8],
    ) -> Bytes {
        let chosen = distances.iter().filter_map(|distance| {
            let index = self.sent.len().checked_sub(*distance)?;
            let (earlier, payload) = self.sent.get(index)?;
            let offset = timestamp.wrapping_sub(*earlier);
            (offset <= OFFSET_MAX && payload.len() <= LENGTH_MAX).then_some((offset, payload))
        });
        let length: usize = chosen.clone().map(|(_, payload)| payload.len() + 4).sum();
        let mut packet = BytesMut::with_capacity(length + 1 + frame.len());
        for (offset, payload) in chosen.clone() {
            packet.put_u8(0x80 | payload_type);
            packet.put_uint(u64::from(offset) << 10 | payload.len() as u64, 3);
        }
        packet.put_u8(payload_type & 0x7f);
        chosen.for_each(|(_, payload)| packet.put_slice(payload));
        packet.put_slice(frame);
        packet.freeze()
    }

    /// Remembers a frame that was sent.
    pub(super) fn remember(&mut self, timestamp: u32, payload: Bytes) {
        if self.sent.len() >= SENT_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back((timestamp, payload));
    }
}

/// The parts of a packet, its own frame last; `None` if it is none of RFC 2198.
pub(super) fn unpack(packet: &Bytes) -> Option<impl Iterator<Item = Block> + Clone> {
    let mut headers = [(0, 0, 0); BLOCKS_MAX];
    let (mut count, mut at) = (0, 0);
    loop {
        let first = *packet.get(at)?;
        if first & 0x80 == 0 {
            at += 1;
            *headers.get_mut(count)? = (first, 0, usize::MAX);
            break;
        }
        let rest = packet.get(at + 1..at + 4)?;
        let word = rest.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
        *headers.get_mut(count)? = (first & 0x7f, word >> 10, (word & 0x3ff) as usize);
        count += 1;
        at += 4;
    }
    let packet = packet.clone();
    Some(headers.into_iter().take(count + 1).map_while(move |(payload_type, offset, length)| {
        let end = at.saturating_add(length).min(packet.len());
        let is_whole = length == usize::MAX || end == at + length;
        let payload = packet.slice(at..end);
        at = end;
        is_whole.then_some(Block { payload_type, offset, payload })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_come_out_as_they_went_in() {
        let mut copies = Copies::default();
        for number in 0..6u8 {
            let payload = vec![number; 40 + usize::from(number)];
            copies.remember(u32::from(number) * 960, payload.into());
        }
        let packet = copies.pack(111, 6 * 960, &[3, 1], &[6; 50]);
        let blocks: Vec<Block> = unpack(&packet).expect("blocks").collect();
        let seen: Vec<_> =
            blocks.iter().map(|b| (b.offset, b.payload[0], b.payload.len())).collect();
        assert_eq!(seen, [(2880, 3, 43), (960, 5, 45), (0, 6, 50)]);
        assert!(blocks.iter().all(|block| block.payload_type == 111));
        assert_eq!(copies.pack(111, 5 * 960, &[], &[9])[..], [111, 9]);
    }

    #[test]
    fn what_is_too_old_or_too_long_stays_at_home() {
        let mut copies = Copies::default();
        copies.remember(0, vec![1; 2000].into());
        copies.remember(960, vec![2; 10].into());
        let packet = copies.pack(111, 1920, &[2, 1], &[3]);
        assert_eq!(unpack(&packet).expect("blocks").count(), 2);
        assert_eq!(unpack(&copies.pack(111, 48_000, &[1], &[3])).expect("blocks").count(), 1);
    }

    #[test]
    fn broken_packets_end_early() {
        let count = |bytes: &'static [u8]| unpack(&Bytes::from_static(bytes)).map(Iterator::count);
        assert_eq!(count(&[]), None);
        assert_eq!(count(&[0x80 | 111, 0, 0]), None);
        assert_eq!(count(&[0x80 | 111, 0, 0, 9, 111, 1, 2]), Some(0), "shorter than it says");
        assert_eq!(count(&[0xef; 60]), None, "too many blocks");
        assert_eq!(count(&[111]), Some(1), "an empty frame");
    }
}
