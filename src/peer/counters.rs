//! What a peer counts, for its operator.

use serde::{Serialize, Serializer};

use crate::routing::DropReason;

/// What a peer has done since it was made. Fragments count like messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
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
    #[serde(serialize_with = "by_reason")]
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

/// Every reason for which messages have vanished, in words, with how many.
fn by_reason<S: Serializer>(
    dropped: &[u64; DropReason::COUNT],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let all = DropReason::ALL.into_iter().map(|reason| (reason, dropped[reason as usize]));
    serializer.collect_map(all.filter(|(_, count)| *count > 0).map(|(r, n)| (r.to_string(), n)))
}
