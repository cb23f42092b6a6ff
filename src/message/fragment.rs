//! Fragmentation and reassembly (RFC 6940 §6.7). Any node may cut; only the destination joins.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::header::{ForwardingHeader, Fragment, LAST};
use super::packet::Packet;
use super::view::{FRAGMENT, LENGTH, VIA_LENGTH};
use crate::base::{Instant, TransactionId};

/// Cuts an encoded message, or a fragment of one, into equal parts so that each, with its header,
/// has at most `size_max` bytes. What fits stays whole, and so does what has lists that leave
/// less than 256 bytes of a part for the body.
pub fn split(message: Bytes, size_max: usize) -> impl Iterator<Item = Bytes> {
    let header = header_length(&message).unwrap_or(message.len());
    let whole = message.len() - header;
    let room = size_max.saturating_sub(header);
    let is_cut = whole > room && room >= BODY_MIN;
    let part = if is_cut { whole.div_ceil(whole.div_ceil(room)) } else { whole.max(1) };
    let starts = (0..whole.max(1)).step_by(part);
    starts.map(move |start| match is_cut {
        true => cut(&message, header, start, (start + part).min(whole)),
        false => message.clone(),
    })
}

/// The part of a message with the bytes from `start` to `end` of its payload.
fn cut(message: &[u8], header: usize, start: usize, end: usize) -> Bytes {
    let mut part = Vec::with_capacity(header + end - start);
    part.extend_from_slice(&message[..header]);
    part.extend_from_slice(&message[header + start..header + end]);
    let mut field = [0; 4];
    field.copy_from_slice(&message[FRAGMENT..FRAGMENT + 4]);
    let mut field = u32::from_be_bytes(field) + start as u32;
    if header + end < message.len() {
        field &= !LAST;
    }
    let length = part.len() as u32;
    part[FRAGMENT..FRAGMENT + 4].copy_from_slice(&field.to_be_bytes());
    part[LENGTH..LENGTH + 4].copy_from_slice(&length.to_be_bytes());
    part.into()
}

/// The length of a message's forwarding header, if there is one and it is whole.
fn header_length(message: &[u8]) -> Option<usize> {
    header_length_declared(message).filter(|length| *length <= message.len())
}

/// The length that a message's forwarding header claims to have, in bytes, whether that much has
/// come or not; `None` if not even the claim has.
pub fn header_length_declared(message: &[u8]) -> Option<usize> {
    let lists = message.get(VIA_LENGTH..ForwardingHeader::FIXED_LENGTH)?;
    let lists = lists.chunks(2).map(|field| usize::from(field[0]) << 8 | usize::from(field[1]));
    Some(ForwardingHeader::FIXED_LENGTH + lists.sum::<usize>())
}

/// Joins fragments that arrive at their destination. A request and its answer share a
/// transaction ID, so each side needs a table of its own (T-06).
#[derive(Clone, Debug, Default)]
pub struct Reassembly {
    sets: BTreeMap<TransactionId, Set>,
    bytes: usize,
}

impl Reassembly {
    /// Takes a fragment; gives the whole message when this one completes it, with the header
    /// of this fragment. `length_max` bounds the message.
    pub fn insert(&mut self, now: Instant, packet: Packet, length_max: usize) -> Option<Packet> {
        self.expire(now);
        let id = packet.header.transaction_id;
        let end = packet.header.fragment.offset as usize + packet.payload.len();
        if end > length_max || packet.payload.is_empty() {
            return None;
        }
        if !self.sets.contains_key(&id) {
            self.make_room(packet.payload.len());
        }
        let set = self.sets.entry(id).or_insert_with(|| Set::new(now));
        let before = set.bytes();
        let agreed = set.insert(&packet);
        self.bytes = self.bytes + set.bytes() - before;
        if !agreed {
            self.remove(id);
            return None;
        }
        let payload = self.sets.get(&id)?.whole()?;
        self.remove(id);
        let header = ForwardingHeader { fragment: Fragment::WHOLE, ..packet.header };
        Some(Packet { header, payload })
    }

    /// Forgets sets that have waited longer than a request can live.
    pub fn expire(&mut self, now: Instant) {
        let old: Vec<_> = self
            .sets
            .iter()
            .filter(|(_, set)| now.saturating_since(set.since) >= WAIT_MAX)
            .map(|(id, _)| *id)
            .collect();
        for id in old {
            self.remove(id);
        }
    }

    /// Holds what the limits allow and no more than it counts.
    #[cfg(any(test, fuzzing))]
    pub(super) fn check(&self) {
        assert!(self.sets.len() <= SETS_MAX && self.bytes <= BYTES_MAX);
        assert_eq!(self.bytes, self.sets.values().map(Set::bytes).sum::<usize>());
        assert!(self.sets.values().all(|set| set.parts.len() <= PARTS_MAX));
    }

    fn make_room(&mut self, wanted: usize) {
        while self.sets.len() >= SETS_MAX || self.bytes + wanted > BYTES_MAX {
            let oldest = self.sets.iter().min_by_key(|(_, set)| set.since).map(|(id, _)| *id);
            let Some(oldest) = oldest else { return };
            self.remove(oldest);
        }
    }

    fn remove(&mut self, id: TransactionId) {
        if let Some(set) = self.sets.remove(&id) {
            self.bytes -= set.bytes();
        }
        // An empty map keeps room for some sets.
        if self.sets.is_empty() {
            self.sets = BTreeMap::new();
        }
    }
}

/// The parts of one message so far.
#[derive(Clone, Debug)]
struct Set {
    since: Instant,
    parts: BTreeMap<u32, Bytes>,
    length: Option<usize>,
}

impl Set {
    fn new(since: Instant) -> Self {
        Self { since, parts: BTreeMap::new(), length: None }
    }

    fn bytes(&self) -> usize {
        self.parts.values().map(Bytes::len).sum()
    }

    /// `false` if the part contradicts what came before, or is one too many.
    fn insert(&mut self, packet: &Packet) -> bool {
        let Fragment { last, offset } = packet.header.fragment;
        let end = offset as usize + packet.payload.len();
        if last && self.length.is_some_and(|length| length != end) {
            return false;
        }
        if last {
            self.length = Some(end);
        }
        let conflict = self.parts.iter().any(|(start, part)| {
            let from = (*start).max(offset) as usize;
            let to = (*start as usize + part.len()).min(end);
            from < to
                && part[from - *start as usize..to - *start as usize]
                    != packet.payload[from - offset as usize..to - offset as usize]
        });
        if conflict || self.parts.len() >= PARTS_MAX {
            return false;
        }
        let known = self.parts.get(&offset).map_or(0, Bytes::len);
        if packet.payload.len() > known {
            self.parts.insert(offset, packet.payload.clone());
        }
        self.length.is_none_or(|length| end <= length)
    }

    fn whole(&self) -> Option<Bytes> {
        let length = self.length?;
        let mut whole = Vec::with_capacity(length);
        for (offset, part) in &self.parts {
            let skip = whole.len().checked_sub(*offset as usize)?;
            whole.extend_from_slice(part.get(skip..).unwrap_or_default());
        }
        (whole.len() == length).then(|| whole.into())
    }
}

// limits

/// Smallest useful share of body in a fragment, in bytes (RFC 6940 §6.7).
const BODY_MIN: usize = 256;
/// How long parts wait for the rest: the maximum request lifetime (RFC 6940 §6.7).
const WAIT_MAX: Duration = Duration::from_secs(15);
/// Messages being joined at a time; a peer talks to few others at once.
const SETS_MAX: usize = 64;
/// Bytes held in all.
const BYTES_MAX: usize = 1 << 20;
/// Parts of one message: a message of 64 KiB in parts of 256 bytes.
const PARTS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::NodeId;
    use crate::message::Destination;

    fn packet(length: usize) -> Packet {
        let payload: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
        Packet {
            header: ForwardingHeader {
                overlay: 1,
                configuration_sequence: 0,
                ttl: 100,
                fragment: Fragment::WHOLE,
                transaction_id: TransactionId(7),
                max_response_length: 0,
                via_list: Vec::new(),
                destination_list: vec![Destination::Node(NodeId::from_u128(5))],
                options: Vec::new(),
            },
            payload: payload.into(),
        }
    }

    fn split(packet: Packet, size_max: usize) -> Vec<Packet> {
        let message = packet.encode().expect("short");
        let parts = super::split(message, size_max);
        parts.map(|part| Packet::decode(&part, 16).expect("a fragment")).collect()
    }

    /// R6940-6.7-01, R6940-6.7-02, R6940-6.7-05: equal parts with the full header, the last marked.
    #[test]
    fn parts_are_equal_and_the_last_is_marked() {
        let parts = split(packet(2000), 1168);
        assert_eq!(parts.len(), 2);
        assert!(!parts[0].header.fragment.last && parts[1].header.fragment.last);
        assert_eq!(parts[1].header.fragment.offset as usize, parts[0].payload.len());
        assert_eq!(parts[0].payload.len(), parts[1].payload.len());
        for part in &parts {
            assert!(part.encode().expect("short").len() <= 1168);
            assert_eq!(part.header.destination_list, packet(0).header.destination_list);
        }
    }

    /// R6940-6.7-04, R6940-6.7-01: the length field is the part's; all else in the header is as
    /// it was, reserved bits too.
    #[test]
    fn each_part_tells_its_own_length() {
        let mut message = packet(3000).encode().expect("short").to_vec();
        message[FRAGMENT] |= 0x15;
        let header = header_length(&message).expect("a header");
        let parts: Vec<Bytes> = super::split(message.clone().into(), 1100).collect();
        assert_eq!(parts.len(), 3);
        let mut payload = Vec::new();
        for part in &parts {
            assert_eq!(part[LENGTH..LENGTH + 4], (part.len() as u32).to_be_bytes());
            let mut same = part[..header].to_vec();
            same[FRAGMENT] |= 0x40;
            same[FRAGMENT + 1..LENGTH + 4].copy_from_slice(&message[FRAGMENT + 1..LENGTH + 4]);
            assert_eq!(same, message[..header]);
            payload.extend_from_slice(&part[header..]);
        }
        assert_eq!(payload, message[header..]);
        let whole: Vec<Bytes> = super::split(message.clone().into(), 5000).collect();
        assert_eq!(whole, [Bytes::from(message)]);
    }

    /// R6940-6.7-10: without the bit that is always set there is no fragment, whatever the rest of
    /// the field says.
    #[test]
    fn nothing_is_a_fragment_without_the_high_bit() {
        let message = packet(500).encode().expect("short").to_vec();
        for field in [0u32, 0x4000_0000, 0x4000_0100, 0x100, 0x7fff_ffff] {
            let mut legacy = message.clone();
            legacy[FRAGMENT..FRAGMENT + 4].copy_from_slice(&field.to_be_bytes());
            assert!(Packet::decode(&legacy.into(), 16).is_err(), "{field:#x}");
        }
    }

    /// R6940-6.7-03: no tiny fragments.
    #[test]
    fn a_small_mtu_leaves_the_message_whole() {
        assert_eq!(split(packet(2000), 300).len(), 1);
    }

    /// R6940-6.7-06: a part may be cut again on the way.
    #[test]
    fn parts_of_parts_join_in_any_order() {
        let mut parts: Vec<_> =
            split(packet(4000), 1168).into_iter().flat_map(|p| split(p, 500)).collect();
        parts.reverse();
        let mut table = Reassembly::default();
        let whole: Vec<_> =
            parts.into_iter().filter_map(|p| table.insert(Instant::ORIGIN, p, 5000)).collect();
        assert_eq!(whole, vec![packet(4000)]);
        assert_eq!(table.bytes, 0);
    }

    /// R6940-6.7-11: two transmissions cut differently join; a contradiction drops the set.
    #[test]
    fn overlaps_must_agree() {
        let first = split(packet(2000), 1168);
        let second = split(packet(2000), 600);
        let mut table = Reassembly::default();
        assert!(table.insert(Instant::ORIGIN, first[1].clone(), 5000).is_none());
        assert!(table.insert(Instant::ORIGIN, second[0].clone(), 5000).is_none());
        let whole = second[1..].iter().find_map(|p| table.insert(Instant::ORIGIN, p.clone(), 5000));
        assert_eq!(whole, Some(packet(2000)));

        let mut other = second[1].clone();
        other.payload = vec![0xee; other.payload.len()].into();
        assert!(table.insert(Instant::ORIGIN, first[0].clone(), 5000).is_none());
        assert!(table.insert(Instant::ORIGIN, other, 5000).is_none());
        assert!(table.insert(Instant::ORIGIN, first[1].clone(), 5000).is_none());
    }

    /// R6940-6.7-07, R6940-6.7-08: what does not fit or waits too long is dropped.
    #[test]
    fn the_table_is_bounded_in_time_and_space() {
        let mut table = Reassembly::default();
        let parts = split(packet(2000), 1168);
        for id in 0..1000 {
            let mut part = parts[0].clone();
            part.header.transaction_id = TransactionId(id);
            assert!(table.insert(Instant::ORIGIN, part, 5000).is_none());
        }
        assert!(table.sets.len() <= SETS_MAX && table.bytes <= BYTES_MAX);
        table.expire(Instant::ORIGIN + WAIT_MAX);
        assert_eq!((table.sets.len(), table.bytes), (0, 0));
        assert!(table.insert(Instant::ORIGIN, parts[1].clone(), 1500).is_none());
        assert!(table.sets.is_empty());
    }
}
