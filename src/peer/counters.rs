//! What a peer counts, for its operator.

use crate::routing::DropReason;

/// What a peer has done since it was made. Fragments count like messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that came over links.
    pub received: u64,
    /// Messages that were sent over links, those for others included.
    pub sent: u64,
    /// Messages for others that were passed on.
    pub forwarded: u64,
    /// Messages that went another way because the first one did not acknowledge them.
    pub rerouted: u64,
    /// Requests that were answered with an error.
    pub refused: u64,
    dropped: [u64; DropReason::COUNT],
}

impl Counters {
    /// Messages that vanished.
    pub fn dropped(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// Messages that vanished for this reason.
    pub fn dropped_for(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    /// Every reason for which messages have vanished, with how many.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> {
        let all = DropReason::ALL.into_iter().map(|reason| (reason, self.dropped_for(reason)));
        all.filter(|(_, count)| *count > 0)
    }

    pub(super) fn drop(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }
}
