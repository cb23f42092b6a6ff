//! Whether this machine has moved to another network, or has slept: links that were made before
//! lead nowhere then, though nothing on them says so for a while.
//!
//! Both are looked for once a second. Systems tell of new addresses in a way of each one's own,
//! and of sleep in none that a process which was merely stopped would hear of.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};
use webrtc_util::vnet::net::Net;

use super::clock::unix_ms;

/// What has happened to this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// It has these addresses now, and others before.
    Addresses(BTreeSet<IpAddr>),
    /// It has slept, or the process was stopped, for so long that others take it for gone.
    Slept,
}

/// Looks for moves.
pub(super) struct Moving {
    look: Interval,
    addresses: BTreeSet<IpAddr>,
    looked_unix_ms: u64,
}

impl Moving {
    /// Looks from now on.
    pub(super) async fn watch() -> Self {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { look, addresses: addresses().await, looked_unix_ms: unix_ms() }
    }

    /// Waits for the next move. Nothing is lost when the future is dropped.
    pub(super) async fn moved(&mut self) -> Moved {
        loop {
            self.look.tick().await;
            if let Some(moved) = self.found(addresses().await, unix_ms()) {
                return moved;
            }
        }
    }

    fn found(&mut self, addresses: BTreeSet<IpAddr>, unix_ms: u64) -> Option<Moved> {
        let before = std::mem::replace(&mut self.looked_unix_ms, unix_ms);
        let is_changed = self.addresses != addresses;
        self.addresses.clone_from(&addresses);
        // The wall clock goes on whether the machine sleeps or the process is stopped.
        if unix_ms.saturating_sub(before) >= SLEEP.as_millis() as u64 {
            return Some(Moved::Slept);
        }
        is_changed.then_some(Moved::Addresses(addresses))
    }
}

/// All addresses of this machine.
async fn addresses() -> BTreeSet<IpAddr> {
    let interfaces = Net::new(None).get_interfaces().await;
    interfaces.iter().flat_map(|interface| interface.addrs()).map(|net| net.addr()).collect()
}

/// Between two looks: a fifth of what a call may be silent for.
const LOOK: Duration = Duration::from_secs(1);
/// Whoever sends something to us gives our link up after less (RFC 6940 §6.6.3.1: 15.5 s from the
/// first transmission to the end of the fifth), and no look is ever late by as much.
const SLEEP: Duration = Duration::from_secs(12);

#[cfg(test)]
mod tests {
    use super::*;

    fn set(addresses: &[&str]) -> BTreeSet<IpAddr> {
        addresses.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn other_addresses_and_a_gap_in_time_are_moves() {
        let mut moving = Moving::watch().await;
        let (home, cafe) = (set(&["127.0.0.1", "192.0.2.7"]), set(&["127.0.0.1", "198.51.100.7"]));
        (moving.addresses, moving.looked_unix_ms) = (home.clone(), 1_000_000);
        assert_eq!(moving.found(home.clone(), 1_001_000), None);
        assert_eq!(moving.found(cafe.clone(), 1_002_000), Some(Moved::Addresses(cafe.clone())));
        assert_eq!(moving.found(cafe.clone(), 1_003_000), None);
        // Busy machines are late, and clocks are set back.
        assert_eq!(moving.found(cafe.clone(), 1_009_000), None);
        assert_eq!(moving.found(cafe.clone(), 1_004_000), None);
        assert_eq!(moving.found(home.clone(), 1_604_000), Some(Moved::Slept));
        assert_eq!(moving.found(home, 1_605_000), None, "the addresses are known");
    }
}
