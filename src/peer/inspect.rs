//! How full our tables and queues are, for operators and for the checks of simulations.

use super::attach::UNREACHABLE_MAX;
use super::links::LINKS_SPARE;
use super::{LOOPBACK_MAX, Peer};
use crate::storage;

/// A table or queue that is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Which one.
    pub name: &'static str,
    /// How much is in it.
    pub count: usize,
    /// How much may be.
    pub max: usize,
}

impl Peer {
    /// All bounded tables and queues.
    pub fn loads(&self) -> [Load; 9] {
        let load = |name, (count, max)| Load { name, count, max };
        [
            load("links", (self.links.len(), self.config.links_max + LINKS_SPARE)),
            load("requests", (self.transactions.len(), self.transactions.max())),
            load("answers", self.answers.load()),
            load("certificates", self.verifier.load()),
            load("copies", self.copies.load()),
            load("publications", self.publications.load()),
            load("unreachable", (self.unreachable.len(), UNREACHABLE_MAX)),
            load("loopback", (self.loopback.len(), LOOPBACK_MAX)),
            load("storage", (self.storage.bytes(), storage::limits::BYTES_MAX)),
        ]
    }
}
