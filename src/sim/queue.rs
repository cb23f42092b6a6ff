//! What is going to happen, in order.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;

use bytes::Bytes;

use crate::base::Instant;
use crate::crypto::Certificate;
use crate::peer::{Command, IceParameters, LinkError, LinkId, RequestId};

/// Something that is going to happen to a peer.
#[derive(Debug)]
pub(super) enum Happening {
    /// Its deadline may have come.
    Wake,
    /// It is asked for something.
    Command(RequestId, Command),
    /// Something on one of its links.
    Link(LinkId, OnLink),
    /// It stops in the middle of everything.
    Kill,
}

/// Something that is going to happen on a link.
#[derive(Debug)]
pub(super) enum OnLink {
    Gathered(IceParameters),
    Up(Arc<Certificate>),
    Message(Bytes),
    Down(LinkError),
    /// Connecting has taken too long, if it still goes on.
    GiveUp,
}

/// A heap by time; what was put in first comes first among equals.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: Instant, peer: usize, what: Happening) {
        self.sequence += 1;
        self.heap.push(Reverse(Entry { at, sequence: self.sequence, peer, what }));
    }

    /// The next that happens not later than `end`.
    pub(super) fn pop_until(&mut self, end: Instant) -> Option<(Instant, usize, Happening)> {
        if self.heap.peek()?.0.at > end {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.peer, entry.what))
    }
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    sequence: u64,
    peer: usize,
    what: Happening,
}

impl Entry {
    fn key(&self) -> (Instant, u64) {
        (self.at, self.sequence)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}
