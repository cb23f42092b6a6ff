//! Via lists that have become too long, and the opaque IDs that stand for them on the rest of the
//! way (RFC 6940 §6.1.2, §6.1.3, §6.3.2.2): list compression.
//!
//! An ID has 16 bits: one that is always set, twelve for the place in a table, and three that
//! count how often the place has been used anew, so that an answer that comes much too late is
//! dropped instead of being sent somewhere else.

use std::sync::Arc;
use std::time::Duration;

use crate::base::{Instant, Rng};

/// The lists that we have replaced, each kept for the life of a request.
#[derive(Debug)]
pub struct ReturnPaths {
    life: Duration,
    slots: Vec<Slot>,
    /// The place that has been free for the longest time, or will be free first.
    next: usize,
}

#[derive(Debug)]
struct Slot {
    generation: u16,
    since: Instant,
    /// The encoded destination list that an answer goes on with.
    list: Arc<[u8]>,
}

impl ReturnPaths {
    /// No lists. Each will be kept for five times the overlay-reliability-timer `timer`: once is
    /// demanded (RFC 6940 §6.1.2), and so long may an answer to its last transmission take.
    pub fn new(timer: Duration) -> Self {
        Self { life: timer * TRANSMISSIONS, slots: Vec::new(), next: 0 }
    }

    /// The ID for an encoded destination list, or `None` if too many are kept already. The same
    /// list has the same ID as long as it is kept.
    pub fn compress(&mut self, now: Instant, list: &[u8], rng: &mut Rng) -> Option<[u8; 2]> {
        let is_kept = |slot: &Slot| now.saturating_since(slot.since) < self.life;
        let same = self.slots.iter().position(|slot| *slot.list == *list && is_kept(slot));
        if let Some(place) = same {
            self.slots[place].since = now;
            return Some(id(place, self.slots[place].generation));
        }
        let oldest = self.slots.get(self.next);
        let place = match oldest {
            Some(slot) if !is_kept(slot) => self.next,
            _ if self.slots.len() < SLOTS_MAX => self.slots.len(),
            _ => return None,
        };
        let generation = match self.slots.get(place) {
            Some(slot) => slot.generation.wrapping_add(1),
            None => rng.u64() as u16,
        };
        let slot = Slot { generation, since: now, list: list.into() };
        if place == self.slots.len() {
            self.slots.push(slot);
        } else {
            self.slots[place] = slot;
            self.next = (place + 1) % self.slots.len();
        }
        Some(id(place, generation))
    }

    /// The list that one of our IDs stands for; `None` if it is none of ours or is over.
    pub fn expand(&self, now: Instant, opaque: &[u8]) -> Option<Arc<[u8]>> {
        let bits = u16::from_be_bytes(opaque.try_into().ok()?);
        let place = usize::from(bits & !ALWAYS) >> GENERATION_BITS;
        let slot = self.slots.get(place)?;
        let is_meant = bits == u16::from_be_bytes(id(place, slot.generation));
        let is_kept = now.saturating_since(slot.since) < self.life;
        (is_meant && is_kept).then(|| slot.list.clone())
    }
}

fn id(place: usize, generation: u16) -> [u8; 2] {
    let place = (place << GENERATION_BITS) as u16;
    (ALWAYS | place | generation & GENERATIONS).to_be_bytes()
}

const ALWAYS: u16 = 0x8000;
const GENERATION_BITS: u32 = 3;
const GENERATIONS: u16 = (1 << GENERATION_BITS) - 1;
/// Of a request (RFC 6940 §6.2.1).
const TRANSMISSIONS: u32 = 5;

// limits

/// Lists kept at a time; the ID has room for 4096. A list that does not find room goes on as it is.
const SLOTS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const TIMER: Duration = Duration::from_millis(3000);

    fn at(ms: u64) -> Instant {
        Instant::ORIGIN + Duration::from_millis(ms)
    }

    /// R6940-6.1.2-06: what is kept for an answer outlives the overlay-reliability-timer, and ends.
    #[test]
    fn a_list_is_kept_for_the_life_of_a_request() {
        let mut rng = Rng::from_number(1);
        let mut paths = ReturnPaths::new(TIMER);
        let id = paths.compress(at(0), b"list", &mut rng).expect("room");
        assert_eq!(paths.expand(at(2900), &id).as_deref(), Some(&b"list"[..]));
        assert_eq!(paths.expand(at(14_999), &id).as_deref(), Some(&b"list"[..]));
        assert_eq!(paths.expand(at(15_000), &id), None);
        assert_eq!(paths.compress(at(1), b"list", &mut rng), Some(id), "the same list");
    }

    /// R6940-6.3.2.2-06, R6940-6.3.2.2-07: a place that is used anew has another generation, the
    /// first of which is random, and the ID of its former list means nothing any more.
    #[test]
    fn a_place_used_anew_has_another_id() {
        let mut rng = Rng::from_number(1);
        let mut paths = ReturnPaths::new(TIMER);
        let mut ids: Vec<[u8; 2]> = Vec::new();
        for turn in 0..8u64 {
            let now = at(turn * 20_000);
            let id = paths.compress(now, &turn.to_be_bytes(), &mut rng).expect("room");
            assert!(id[0] & 0x80 != 0);
            assert_eq!(paths.expand(now, &id).as_deref(), Some(&turn.to_be_bytes()[..]));
            assert!(ids.iter().all(|old| paths.expand(now, old).is_none()), "turn {turn}");
            ids.push(id);
        }
        assert_eq!(paths.slots.len(), 1, "always the same place");
        let first = |seed| {
            let mut rng = Rng::from_number(seed);
            ReturnPaths::new(TIMER).compress(at(0), b"list", &mut rng).expect("room")
        };
        assert!((2..50).any(|seed| first(seed) != first(1)));
        assert_eq!(paths.expand(at(0), &[0xff, 0xff]), None);
        assert_eq!(paths.expand(at(0), &[ids[7][0] & 0x7f, ids[7][1]]), None);
        assert_eq!(paths.expand(at(0), &[1, 2, 3]), None);
    }

    #[test]
    fn the_table_is_bounded() {
        let mut rng = Rng::from_number(1);
        let mut paths = ReturnPaths::new(TIMER);
        let ids: Vec<_> =
            (0..1000u64).map(|n| paths.compress(at(n), &n.to_be_bytes(), &mut rng)).collect();
        assert_eq!(ids.iter().flatten().count(), SLOTS_MAX);
        assert_eq!(paths.slots.len(), SLOTS_MAX);
        let later = paths.compress(at(15_000), b"list", &mut rng).expect("the first is over");
        assert_eq!(paths.expand(at(15_000), &later).as_deref(), Some(&b"list"[..]));
        assert_eq!(paths.expand(at(15_000), &ids[0].expect("kept")), None);
        assert!(paths.expand(at(15_000), &ids[1].expect("kept")).is_some());
    }
}
