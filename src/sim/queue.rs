//! What is going to happen, in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bytes::Bytes;

use super::network::End;
use crate::base::Instant;
use crate::peer::LinkError;

/// Something that is going to happen.
#[derive(Debug)]
pub(super) enum Happening {
    /// The deadline of a peer may have come.
    Wake(u32),
    /// Something on one side of a link.
    Link(End, OnLink),
    /// The run has something to do.
    Due(Task),
}

/// Something that is going to happen on one side of a link.
#[derive(Debug)]
pub(super) enum OnLink {
    Gathered,
    Up,
    Message(Bytes),
    /// The retransmissions of a message to the other side are used up.
    Unacknowledged(Bytes),
    Down(LinkError),
    /// Connecting has taken too long, if it still goes on.
    GiveUp,
}

/// What a run has planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// A peer comes: the founder, or one that joins through others.
    Arrive,
    /// The session of a user ends.
    Depart(u32),
    /// A user registers, or changes the registration.
    Publish(u32),
    /// A peer looks a user up, for the so-manieth time.
    Fetch { by: u32, of: u32, attempt: u8 },
    /// Somebody looks somebody up, and the next one does after a while.
    Load,
    /// What a peer kept that is gone should be elsewhere by now.
    Mourn,
    /// A hostile peer does what it does by itself.
    Tick(u32),
}

/// A heap by time; what was put in first comes first among equals. The heap moves 24 bytes at a
/// time, what happens stays where it is.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<(Instant, u64, u32)>>,
    sequence: u64,
    slots: Vec<Option<Happening>>,
    free: Vec<u32>,
}

impl Queue {
    pub(super) fn push(&mut self, at: Instant, what: Happening) {
        self.sequence += 1;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(what);
                slot
            }
            None => {
                self.slots.push(Some(what));
                self.slots.len() as u32 - 1
            }
        };
        self.heap.push(Reverse((at, self.sequence, slot)));
    }

    /// The next that happens not later than `end`.
    pub(super) fn pop_until(&mut self, end: Instant) -> Option<(Instant, Happening)> {
        if self.heap.peek()?.0.0 > end {
            return None;
        }
        let Reverse((at, _, slot)) = self.heap.pop()?;
        self.free.push(slot);
        Some((at, self.slots[slot as usize].take()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_first_comes_first_among_equals() {
        let mut queue = Queue::default();
        let at = Instant::from_micros;
        for (time, peer) in [(5, 1), (3, 2), (5, 3), (9, 4)] {
            queue.push(at(time), Happening::Wake(peer));
        }
        let mut order = Vec::new();
        while let Some((_, Happening::Wake(peer))) = queue.pop_until(at(8)) {
            order.push(peer);
            if peer == 2 {
                queue.push(at(5), Happening::Wake(5));
            }
        }
        assert_eq!(order, [2, 1, 3, 5]);
        assert!(queue.pop_until(at(9)).is_some() && queue.pop_until(at(9)).is_none());
    }
}
