//! What happens in a run.

use std::time::Duration;

use super::limits;
use super::network::Faults;
use crate::routing::chord::Table;

/// What happens in a run. [`Scenario::new`] has no faults; each field adds one.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// How many peers join.
    pub peers: u32,
    /// Everything that is left to chance follows from this number.
    pub seed: u64,
    /// How much peers want to know of the ring.
    pub table: Table,
    /// How many links each of them may have.
    pub links: usize,
    /// How long the ring may settle after the last arrival.
    pub settle: Duration,
    /// How many users each peer looks up before the faults begin.
    pub fetches_per_peer: u32,
    /// How long nobody does anything, so that the cost of upkeep can be measured.
    pub idle: Duration,
    /// How long the faults go on, at least; longer if kill and partition need it.
    pub safety: Duration,
    /// The mean time that a user stays, exponentially distributed; for ever without.
    pub session: Option<Duration>,
    /// The share of peers that die at one moment.
    pub kill: f64,
    /// How long east and west are cut off from each other.
    pub partition: Duration,
    /// What links do to messages.
    pub faults: Faults,
    /// The share of peers that are hostile.
    pub hostile: f64,
    /// The share of pairs of peers that can never be linked, although others reach both of them.
    /// The first peers, through which others join, are reached by everybody.
    pub walls: f64,
    /// Whether each event gets a line.
    pub is_traced: bool,
}

impl Scenario {
    /// This many peers that join, register and look each other up, without any fault.
    pub fn new(peers: u32, seed: u64) -> Self {
        Self {
            peers,
            seed,
            table: Table::Wide,
            links: limits::LINKS,
            settle: Duration::from_secs(60),
            fetches_per_peer: 3,
            idle: Duration::from_secs(60),
            safety: Duration::ZERO,
            session: None,
            kill: 0.0,
            partition: Duration::ZERO,
            faults: Faults::default(),
            hostile: 0.0,
            walls: 0.0,
            is_traced: false,
        }
    }

    /// Whether anything goes wrong on purpose.
    pub(super) fn has_faults(&self) -> bool {
        let calm = Self { faults: Faults::default(), session: None, ..Self::new(1, 0) };
        self.session != calm.session
            || self.kill > 0.0
            || self.hostile > 0.0
            || self.faults != calm.faults
            || !self.partition.is_zero()
            || !self.safety.is_zero()
    }

    /// How many peers last as long as the overlay, so that others can join through them. In the
    /// world outside, documents name peers that last.
    pub(super) fn bootstrap_nodes(&self) -> u32 {
        self.peers.min(limits::BOOTSTRAP_NODES + self.peers / limits::PEERS_PER_BOOTSTRAP_NODE)
    }
}
